//! What was estimated, as text: a report for people and a scenario.
//!
//! Owns the words and which medium fits. Must not know how anything is estimated.

use std::fmt::Write;
use std::io;
use std::path::Path;

use ::map::RescueMap;
use block::Nanos;

use super::chain::Errors;
use super::retry::Chances;
use super::{Fit, Head, ks, platter};
use crate::media::rotating::Profile;
use crate::scenario::{Scenario, ScenarioError, Time};

/// Seconds of a day.
const DAY: f64 = 86_400.0;
/// Speeds of hard disks, in turns a minute.
const SPEEDS: [u32; 7] = [3600, 4200, 5400, 5900, 7200, 10_000, 15_000];
/// A speed that is as near as this, as a share, is meant.
const SPEED_NEAR: f64 = 0.03;
/// Bytes of a read from which on the link takes longer than the command.
const LONG: f64 = 32768.0;
/// From this share of the damage on, there is nothing but the head.
const EXPLAINED: f64 = 0.8;
/// How narrow the density of chances of sectors that came in the end is taken to be: one that did come tells little.
const SURENESS: f64 = 2.0;

impl Fit {
    /// What was found, for people.
    pub fn report(&self) -> String {
        let mut text = String::new();
        let c = &self.coverage;
        let share = |bytes: u64| 100.0 * bytes as f64 / self.size as f64;
        let known = c.good_bytes + c.bad_bytes + c.unclear_bytes;
        say(
            &mut text,
            format_args!(
                "Drive     {} bytes, sectors of {}, failing in units of {}",
                self.size, self.sector, self.physical
            ),
        );
        say(
            &mut text,
            format_args!("Reads     {} ({} failed), {} of them timed", c.reads, c.failed, c.timed),
        );
        say(
            &mut text,
            format_args!(
                "Coverage  {:.4} % of the drive: {} bytes good, {} bad, {} failed in longer reads only",
                share(known),
                c.good_bytes,
                c.bad_bytes,
                c.unclear_bytes
            ),
        );
        for zone in &self.zones {
            say(
                &mut text,
                format_args!(
                    "Zone      {:.2} to {:.2} %: {:.3} MB/s",
                    share(zone.start),
                    share(zone.end),
                    zone.rate / 1e6
                ),
            );
        }
        for part in &self.latency {
            say(
                &mut text,
                format_args!(
                    "Latency   {:.2} % of the reads take {:.2} times as long as expected (sigma {:.2})",
                    100.0 * part.share,
                    libm::exp(part.mean),
                    part.sigma
                ),
            );
        }
        let (apart, count) = self.latency_apart;
        if count > 0 {
            verdict(&mut text, "latency", apart, count);
        }
        if let Some(seeks) = &self.seeks {
            say(
                &mut text,
                format_args!(
                    "Seeks     {:.2} ms + {:.2} ms * sqrt(share) + {:.2} ms * share, half a turn included",
                    1e3 * seeks.base,
                    1e3 * seeks.root,
                    1e3 * seeks.line
                ),
            );
        }
        let excess = self.slow.excess();
        if let [.., most] = excess[..] {
            say(
                &mut text,
                format_args!(
                    "Slow      {:.4} % of the good reads came far too late, by {:.6} s in the middle and {most:.6} s at most",
                    100.0 * self.slow.share(),
                    excess[excess.len() / 2]
                ),
            );
        }
        for atom in &self.failures.atoms {
            say(&mut text, format_args!("Failures  {:.1} % take {:.3} s", 100.0 * atom.share, atom.secs));
        }
        let rest = 1.0 - self.failures.atoms.iter().map(|atom| atom.share).sum::<f64>();
        for part in &self.failures.rest {
            say(
                &mut text,
                format_args!(
                    "Failures  {:.1} % take about {:.3} s (sigma {:.2})",
                    100.0 * rest * part.share,
                    libm::exp(part.mean),
                    part.sigma
                ),
            );
        }
        if let Some(errors) = &self.errors {
            errors_report(&mut text, errors, self.physical);
        }
        if let Some(Head { period, failing, slow, .. }) = &self.head {
            let heads = period.heads();
            say(
                &mut text,
                format_args!(
                    "Head      damage comes back every {:.0} bytes and lasts {:.0}: one head of {heads}; {:.2} % of what is \
                     under it fails, {:.2} % is slow",
                    period.period,
                    period.arc,
                    100.0 * failing,
                    100.0 * slow
                ),
            );
        }
        if let Some((track, _)) = &self.track {
            let share = 100.0 * track.share;
            say(
                &mut text,
                format_args!("Track     {share:.0} % of the errors begin {:.0} sectors apart", track.step),
            );
            if let Some((skew, sectors)) = track.geometry {
                say(
                    &mut text,
                    format_args!("          tracks of {sectors:.0} sectors with a skew of {skew:.3} turns"),
                );
            }
        }
        if let Some(chain) = &self.chain {
            say(
                &mut text,
                format_args!(
                    "Chain     behind a good sector {:.3e} are bad, behind a bad one {:.3} good",
                    chain.into, chain.out_of
                ),
            );
        }
        if let Some(chances) = &self.retry {
            say(
                &mut text,
                format_args!("Retries   chances with density Beta({:.2}, {:.2})", chances.a, chances.b),
            );
        }
        text
    }

    /// The files that the scenario named `stem` needs beside it: their names, and the maps in them.
    pub fn files(&self, stem: &str) -> Vec<(String, &RescueMap)> {
        let mut all =
            vec![(format!("{stem}.map"), &self.map), (format!("{stem}.recovered.map"), &self.recovered)];
        all.extend(
            self.lagging.iter().enumerate().map(|(n, (map, _))| (format!("{stem}.{}", slow_map(n)), map)),
        );
        all.retain(|(_, map)| !map.is_empty());
        all
    }

    /// The scenario without any file: its disk can be built. Errors: as those of any scenario.
    pub fn in_memory(&self, log: &str) -> Result<Scenario, ScenarioError> {
        let stem = "fitted";
        let read = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let found = self.files(stem).into_iter().find(|(file, _)| *file == name);
            let (_, map) = found.ok_or(io::ErrorKind::NotFound)?;
            let mut text = Vec::new();
            map::mapfile::write(&mut text, &Default::default(), &Default::default(), map)?;
            Ok(text)
        };
        Scenario::parse_with(stem, "the fitted scenario", &self.scenario(log, stem), &read)
    }

    /// A scenario of a drive like this one. `log` is the log's name; `stem` is what the names of the files beside it
    /// begin with, which are those of [`Fit::files`].
    pub fn scenario(&self, log: &str, stem: &str) -> String {
        let mut text = String::new();
        let known = self.coverage.good_bytes + self.coverage.bad_bytes + self.coverage.unclear_bytes;
        let description = format!(
            "A drive as its log {log} tells of it: {} reads, of which {} failed, over {:.2} % of it. What was read is as it \
             was; the rest is drawn from what was found there.",
            self.coverage.reads,
            self.coverage.failed,
            100.0 * known as f64 / self.size as f64
        );
        say(&mut text, format_args!("description = {}\nseed = 1", toml::Value::from(description)));
        if self.secs > DAY {
            // What was read in one go is to be read again in one go.
            say(
                &mut text,
                format_args!("horizon = \"{:.0} d\"", libm::ceil(4.0 * self.secs / DAY).min(3650.0)),
            );
        }
        say(&mut text, format_args!(""));
        let mut disk = String::new();
        match self.class.and_then(|name| Some((name, Profile::named(name)?))) {
            Some((name, class)) => self.hard_disk(name, &class, &mut disk),
            None => self.uniform(&mut disk),
        }
        text += &disk;
        // Where the head tells what is damaged, nothing is to be drawn beside it.
        let head = self.head.as_ref().filter(|_| self.class.is_some());
        let ruling = head.filter(|head| head.explains > EXPLAINED);
        say(
            &mut text,
            format_args!("\n# What the log tells of each sector, and the laws for what it does not tell of."),
        );
        say(&mut text, format_args!("[[fault]]\nkind = \"map\"\nfile = {}", quoted(stem, "map")));
        if let Some(head) = ruling {
            let good = (1.0 - head.failing).clamp(0.0, 0.99);
            say(&mut text, format_args!("unknown = \"good\"\ngood-inside = {good:.4}"));
        }
        if let Some(errors) = &self.errors {
            let exponent = |x: f64| {
                let x = (x * 100.0).round() / 100.0;
                if x == 2.0 { 2.01 } else { x.clamp(1.05, 9.0) }
            };
            if errors.runs.len() >= 20 {
                say(&mut text, format_args!("run-exponent = {}", exponent(errors.run_exponent)));
            }
            if errors.gaps.len() >= 20 {
                say(&mut text, format_args!("gap-exponent = {}", exponent(errors.gap_exponent)));
            }
            if errors.extents >= 5 {
                let extent = (libm::exp(errors.extent.mean) * self.physical as f64).min(1e12) as u64;
                let sigma = errors.extent.sigma.clamp(0.0, 5.0);
                say(&mut text, format_args!("extent = {extent}\nextent-sigma = {sigma:.2}"));
            }
        }
        let density = |chances: Chances| format!("retry = [{:.4}, {:.4}]", chances.a, chances.b);
        if let Some(chances) = &self.retry {
            let density = density(chances.after_failures(self.tries));
            let tries = self.tries;
            say(
                &mut text,
                format_args!("# Chances of sectors that failed {tries:.1} times, on the average.\n{density}"),
            );
        }
        self.failure_time(&mut text);
        if !self.recovered.is_empty() {
            // As often as they failed in the log they fail again, on the average.
            let density = density(Chances { a: SURENESS, b: SURENESS * self.failed_first }.within_bounds());
            say(&mut text, format_args!("\n# Sectors that came after they had failed."));
            say(
                &mut text,
                format_args!(
                    "[[fault]]\nkind = \"map\"\nfile = {}\nunknown = \"good\"\n{density}",
                    quoted(stem, "recovered.map")
                ),
            );
            self.failure_time(&mut text);
        }
        for (number, (_, excess)) in self.lagging.iter().enumerate() {
            let share = 100.0 * excess.len() as f64 / self.slow.judged.max(1) as f64;
            say(
                &mut text,
                format_args!(
                    "\n# Places that answered late: {share:.4} % of the good reads, and so much later each.\n[[fault]]\nkind = \
                     \"map\"\nfile = {}",
                    quoted(stem, &slow_map(number))
                ),
            );
            if ruling.is_some() {
                say(&mut text, format_args!("unknown = \"good\""));
            }
            say(&mut text, format_args!("slow-time = {}", quantiles(&super::quantiles(excess))));
        }
        if let Some(head) = head.filter(|_| self.is_partial()) {
            self.head_fault(head, &disk, stem, &mut text);
        }
        text
    }

    fn failure_time(&self, text: &mut String) {
        let times = &self.failures.quantiles;
        if !times.is_empty() {
            say(
                text,
                format_args!(
                    "# Times of failures, from the shortest to the longest in even steps of their number."
                ),
            );
            say(text, format_args!("failure-time = {}", quantiles(times)));
        }
    }

    fn hard_disk(&self, name: &str, class: &Profile, text: &mut String) {
        let speed = if self.turning().is_some() { "" } else { "; its speed of rotation is assumed" };
        say(text, format_args!("[disk]\nmedium = \"hard-disk\"\n# Taken by the size{speed}."));
        let physical = if self.physical <= 512 { 512 } else { 4096 };
        let size = self.size.next_multiple_of(physical);
        say(text, format_args!("profile = \"{name}\"\nsize = {size}\nphysical-sector = {physical}"));
        if self.sector == 4096 {
            say(text, format_args!("logical-sector = 4096"));
        }
        if let Some((rpm, skew)) = self.turning() {
            say(
                text,
                format_args!(
                    "# From damage that comes back with each turn.\nrpm = {rpm}\ntrack-skew = {skew:.4}"
                ),
            );
        }
        if let Some((outer, inner, zones)) = self.tracks(class) {
            say(
                text,
                format_args!(
                    "# From the rates; nothing is known of the heads' own.\nsectors-per-track = [{outer}, {inner}]\n\
                     head-density = 0.0"
                ),
            );
            if let Some(zones) = zones {
                say(text, format_args!("zones = {zones}"));
            }
        }
        self.link(class, text);
        if let Some(Head { period, window, .. }) = &self.head {
            // As many tracks everywhere, so that bands shrink inwards: this is the outermost one.
            let here =
                self.rate_at(window.start).zip(self.rate_at(0)).map_or(1.0, |(here, first)| first / here);
            let heads = period.heads().clamp(2, 64);
            let track = 512.0 * self.tracks(class).map_or(class.sectors_outer, |(outer, ..)| outer) as f64;
            let tracks = libm::round(period.period / heads as f64 * here / track).max(1.0);
            let band = (tracks * track) as u64;
            say(
                text,
                format_args!(
                    "# Damage comes back every {:.0} bytes and lasts {:.0}.\nheads = {heads}\nband = {band}",
                    period.period, period.arc
                ),
            );
            let layout = if period.alternates { "band-alternate" } else { "band" };
            say(text, format_args!("layout = \"{layout}\""));
        }
        self.recovery(text);
    }

    /// What a command takes at least.
    fn link(&self, class: &Profile, text: &mut String) {
        let Some((secs, bytes)) = self.quickest else { return };
        let (own, bytes) = (class.overhead.nanoseconds() as f64 / 1e9, bytes as f64);
        // Reads of one length do not tell the command from the link: half of each is possible for both.
        let fast = (2.0 * bytes / secs).max(class.bus as f64);
        let (overhead, bus) = match self.link_bound {
            true if bytes >= LONG => (own.min(secs / 2.0), bytes / (secs - own.min(secs / 2.0))),
            true => (secs - bytes / fast, fast),
            false => (own.min(secs / 2.0), fast),
        };
        say(
            text,
            format_args!("# From the quickest reads.\noverhead = \"{}\"\nbus = {:.0}", micros(overhead), bus),
        );
    }

    /// Turns a minute and skew from track to track, as far as damage tells: a track of so many sectors, read at that rate,
    /// takes a turn and the skew. Only speeds that drives have.
    fn turning(&self) -> Option<(u32, f64)> {
        let (track, rate) = self.track.filter(|_| !self.link_bound)?;
        let ((skew, sectors), rate) = track.geometry.zip(rate)?;
        let turn = sectors * self.sector as f64 / (rate * (1.0 + skew));
        let rpm = 60.0 / turn;
        let near = |known: &&u32| (rpm / f64::from(**known) - 1.0).abs() < SPEED_NEAR;
        SPEEDS.iter().find(near).map(|known| (*known, skew)).filter(|_| (0.0..0.9).contains(&skew))
    }

    /// The head of the fitted disk under which the damage of that head lies. `disk` is the text of the disk.
    fn head_of(&self, disk: &str) -> Option<u16> {
        let Head { period, window, .. } = self.head.as_ref()?;
        let text = format!("description = \"a disk\"\n{disk}");
        let medium = Scenario::parse("fitted", "the fitted disk", &text).ok()?.medium.build(1).medium;
        let shape = medium.shape();
        let logical = u64::from(shape.logical);
        let shared = |head: &u16| {
            let sectors = medium.sectors_of(*head);
            let bytes: Vec<_> =
                sectors.iter().map(|range| range.start * logical..range.end * logical).collect();
            period.inside(bytes.iter(), window)
        };
        (0..shape.heads).max_by(|a, b| shared(a).total_cmp(&shared(b)))
    }

    /// The head, where nobody has tried. `disk` is the text of the disk.
    fn head_fault(&self, head: &Head, disk: &str, stem: &str, text: &mut String) {
        let Some(number) = self.head_of(disk) else { return };
        say(
            text,
            format_args!(
                "\n# The head, where nobody has tried: {:.2} % of what was read under it failed, {:.4} % of the rest was slow.",
                100.0 * head.failing,
                100.0 * head.slow
            ),
        );
        say(text, format_args!("[[fault]]\nkind = \"weak-head\"\nhead = {number}"));
        say(text, format_args!("untried-in = {}", quoted(stem, "map")));
        say(text, format_args!("failing = {:.6}\nslow = {:.6}", head.failing.min(1.0), head.slow.min(1.0)));
        for (key, times) in
            [("slow-time", self.slow.excess()), ("failure-time", self.failures.quantiles.clone())]
        {
            // Even between two times, with the same mean.
            let count = times.len().max(1) as f64;
            let mean = times.iter().sum::<f64>() / count;
            if let Some(least) = times.get(times.len() / 10) {
                let most = (2.0 * mean - least).max(*least);
                say(text, format_args!("{key} = [\"{}\", \"{}\"]", micros(*least), micros(most)));
            }
        }
    }

    /// Sectors of the outermost and the innermost track, with which a disk of this class has the rates that were found, and
    /// its zones, if there are others than the class has.
    fn tracks(&self, class: &Profile) -> Option<(u64, u64, Option<u32>)> {
        let (first, last) = (self.zones.first()?, self.zones.last()?);
        if self.link_bound {
            return None;
        }
        let (turn, skew) = match self.turning() {
            Some((rpm, skew)) => (60.0 / f64::from(rpm), skew),
            None => (class.turn().nanoseconds() as f64 / 1e9, class.track_skew),
        };
        let sectors = |rate: f64| ((rate * turn * (1.0 + skew) / 512.0 + 0.5) as u64).clamp(16, 900_000);
        if let Some(platter) = platter::fit(&self.zones, self.size, class.zones) {
            let zones = Some(platter.zones).filter(|zones| *zones != class.zones);
            return Some((sectors(platter.outer), sectors(platter.inner), zones));
        }
        let is_seen = (last.end - first.start) as f64 > 0.9 * self.size as f64;
        let outer = sectors(first.rate);
        // Of one rate all over; or not seen, and as much less as on other drives of the class.
        let inner = if is_seen { outer } else { (outer * class.sectors_inner / class.sectors_outer).max(8) };
        Some((outer, inner, None))
    }

    fn uniform(&self, text: &mut String) {
        let rate = self.rate_at(self.size / 2).unwrap_or(1e6);
        let (sector, size) = (self.sector.next_multiple_of(512), self.disk_size());
        say(text, format_args!("[disk]\nmedium = \"uniform\"\nsize = {size}\nsector = {sector}"));
        if self.physical > self.sector {
            say(text, format_args!("physical-sector = {}", self.physical));
        }
        say(text, format_args!("sector-time = \"{}\"", micros(self.sector as f64 / rate)));
        // A line is all that this medium knows: right in the middle.
        let curve = self.seeks.map_or(0.0, |seeks| seeks.time(1.0 / 3.0).max(0.0) / (self.size as f64 / 3.0));
        let seek = (self.seek_per_byte.max(curve) * sector as f64 * 1e9) as u64;
        if seek > 0 {
            say(text, format_args!("seek = \"{seek} ns\""));
        }
        self.recovery(text);
    }

    fn recovery(&self, text: &mut String) {
        if self.failures.median > 0.0 {
            say(text, format_args!("recovery = \"{}\"", micros(self.failures.median)));
        }
    }

    /// Whether there is something that nobody has tried.
    fn is_partial(&self) -> bool {
        self.map.blocks().any(|block| block.status == ::map::Status::NonTried)
    }

    /// The size, whole in units.
    fn disk_size(&self) -> u64 {
        self.size.next_multiple_of(self.physical.next_multiple_of(512))
    }
}

/// A file's name, as scenarios write it.
fn quoted(stem: &str, ending: &str) -> toml::Value {
    toml::Value::from(format!("{stem}.{ending}"))
}

/// What the map of a sort of slow reads is called.
fn slow_map(number: usize) -> String {
    if number == 0 { "slow.map".to_owned() } else { format!("slow{}.map", number + 1) }
}

/// Times as scenarios write them, ten in a line.
fn quantiles(secs: &[f64]) -> String {
    // Where all are equal, two say as much.
    let secs = if secs.first() == secs.last() { &secs[..secs.len().min(2)] } else { secs };
    let times: Vec<String> = secs.iter().map(|secs| format!("\"{}\"", micros(*secs))).collect();
    let lines: Vec<String> = times.chunks(10).map(|line| line.join(", ")).collect();
    format!("[{}]", lines.join(",\n  "))
}

fn errors_report(text: &mut String, errors: &Errors, physical: u64) {
    say(
        text,
        format_args!(
            "Errors    {} runs in {} clusters (median extent {:.0} bytes, sigma {:.2}), {:.1} % of a cluster is bad",
            errors.runs.len(),
            errors.clusters,
            libm::exp(errors.extent.mean) * physical as f64,
            errors.extent.sigma,
            100.0 * errors.bad_inside
        ),
    );
    for (name, lengths, exponent) in
        [("runs", &errors.runs, errors.run_exponent), ("gaps", &errors.gaps, errors.gap_exponent)]
    {
        let most = lengths.iter().copied().fold(1.0, f64::max);
        if lengths.len() < 2 || most < 2.0 {
            continue;
        }
        say(text, format_args!("          exponent of {name} {exponent:.2}"));
        verdict(text, name, ks::distance(lengths, |x| power_law(exponent, most, x)), lengths.len());
    }
}

/// Share of a power law of whole numbers, rounded from one half to `most` and a half, that is at most `x`.
pub fn power_law(exponent: f64, most: f64, x: f64) -> f64 {
    let integral = |x: f64| 1.0 - libm::pow(x / 0.5, 1.0 - exponent);
    (integral((libm::floor(x) + 0.5).clamp(0.5, most + 0.5)) / integral(most + 0.5)).clamp(0.0, 1.0)
}

fn verdict(text: &mut String, what: &str, apart: f64, count: usize) {
    let word = if ks::is_close(apart, count) { "fits" } else { "does not fit" };
    say(
        text,
        format_args!("          {what}: Kolmogorov-Smirnov distance {apart:.3} of {count} values: {word}"),
    );
}

fn say(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}

/// A time in whole microseconds, as scenarios write it.
fn micros(secs: f64) -> Time {
    Time(Nanos::new(((secs * 1e6) as u64).clamp(1, u64::MAX / 1000) * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Answer, Command};
    use crate::fit::schedule::Schedule;
    use crate::recording::{Record, Recording};

    /// A log of a scenario's disk, read once from start to end, failing sectors three times more.
    fn log_of(scenario: &Scenario, unit: u64) -> Recording {
        let mut disk = scenario.disk(1).unwrap();
        let logical = u64::from(disk.shape().logical);
        let (mut now, mut records) = (Nanos::ZERO, Vec::new());
        let count = unit / logical;
        let mut read = |at: u64| {
            let reply = disk.serve(&Command { at, count }, now);
            let took = reply.done.since(now);
            let record = match reply.answer {
                Answer::Done => Record::good(at * logical, unit, took),
                _ => Record::failed(at * logical, unit, took),
            };
            records.push(Record { began: Some(now), ..record });
            now = reply.done;
            record.failed.is_some()
        };
        let mut at = 0;
        while (at + count) * logical <= scenario.medium.bytes() {
            let _ = read(at) && read(at) && read(at) && read(at);
            at += count;
        }
        Recording {
            size: Some(scenario.medium.bytes()),
            block: 512,
            physical: Some(unit),
            records,
            ..Recording::default()
        }
    }

    #[test]
    fn a_fitted_scenario_is_a_disk_like_the_one_that_was_logged() {
        let truth = "description = \"a drive to be logged\"\n[disk]\nmedium = \"hard-disk\"\nprofile = \"d35_1t\"\n\
                     size = \"1 GiB\"\nhead-density = 0.0\nsectors-per-track = [400, 200]\nrecovery = \"2 s\"\n\
                     [[fault]]\nkind = \"clusters\"\ncount = 40\nexact = true\nretry = [0.30, 1.9]\n";
        let truth = Scenario::parse("truth", "truth.toml", truth).unwrap();
        let recording = log_of(&truth, 4096);
        let fit = Fit::of(&recording);
        assert_eq!(fit.coverage.good_bytes + fit.coverage.bad_bytes, 1 << 30);

        let text = fit.scenario("drive.log", "fit");
        let fitted = fit.in_memory("drive.log").unwrap_or_else(|e| panic!("{e}\n{text}"));
        let schedule = Schedule::of(&recording, &fitted, 0).unwrap();
        assert_eq!(schedule.unexplained(), Vec::<String>::new(), "{schedule:?}\n{}\n{text}", fit.report());

        // Sectors that never came do not come; those that did come as they are.
        let lost = fitted.lost(1).unwrap();
        assert!(
            lost.bytes() <= fit.coverage.bad_bytes,
            "{} lost, {} bad",
            lost.bytes(),
            fit.coverage.bad_bytes
        );
        let report = fit.report();
        for word in [
            "Coverage  100.0000 %",
            "Zone",
            "Latency",
            "Failures",
            "Errors",
            "Chain",
            "Retries",
            "Kolmogorov",
        ] {
            assert!(report.contains(word), "{word} is not in:\n{report}");
        }
    }

    #[test]
    fn a_log_of_a_disc_becomes_a_medium_of_its_sectors() {
        let mut recording = Recording { block: 2048, size: Some(2048 * 1000), ..Recording::default() };
        for sector in 0..1000 {
            let ms = Nanos::from_millis;
            let record = if sector % 100 == 7 {
                Record::failed(sector * 2048, 2048, ms(1200))
            } else {
                Record::good(sector * 2048, 2048, ms(2))
            };
            recording.records.push(record);
        }
        let fit = Fit::of(&recording);
        let text = fit.scenario("disc.log", "disc");
        for line in
            ["medium = \"uniform\"", "sector = 2048", "sector-time = \"2 ms\"", "recovery = \"1200 ms\""]
        {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
        assert_eq!(fit.failures.atoms.len(), 1);
        assert_eq!((fit.coverage.reads, fit.coverage.failed, fit.coverage.bad_bytes), (1000, 10, 20480));
    }
}
