//! What was estimated, as text: a report for people and a scenario.
//!
//! Owns the words and which medium fits. Must not know how anything is estimated.

use std::fmt::Write;

use block::Nanos;

use super::chain::Errors;
use super::retry::Chances;
use super::{Fit, ks};
use crate::disk::{Answer, Command};
use crate::media::rotating::Profile;
use crate::recording::{Record, Recording};
use crate::scenario::{Scenario, Time};

/// Least size of a drive that is taken for a hard disk.
const HARD_DISK_MIN: u64 = 1_000_000_000;
/// Reads of a schedule that are made again at most.
const READS_MAX: u64 = 2_000_000;

/// How a recorded course of reads goes on another disk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Seconds as recorded.
    pub recorded_secs: f64,
    /// Seconds on the other disk.
    pub simulated_secs: f64,
    /// Failed reads as recorded.
    pub recorded_failures: u64,
    /// Failed reads on the other disk.
    pub simulated_failures: u64,
}

impl Schedule {
    /// Makes the recorded reads again; of a list of sectors, which is no course of time, one try at each sector. `None` if the
    /// log has no times or is too long.
    pub fn of(recording: &Recording, scenario: &Scenario) -> Option<Schedule> {
        let listed = recording.rest.map(|rest| one_try_each(recording, rest));
        let records = listed.as_ref().unwrap_or(&recording.records);
        let reads: u64 = records.iter().map(|record| record.reads).sum();
        if reads > READS_MAX || records.iter().any(|record| record.took.is_none()) {
            return None;
        }
        let mut disk = scenario.disk(scenario.seed()).ok()?;
        let shape = disk.shape();
        let logical = u64::from(shape.logical);
        let mut schedule =
            Schedule { recorded_secs: 0.0, simulated_secs: 0.0, recorded_failures: 0, simulated_failures: 0 };
        let secs = |time: Nanos| time.nanoseconds() as f64 / 1e9;
        let mut now = Nanos::ZERO;
        for record in records {
            let took = record.took.unwrap_or(Nanos::ZERO);
            schedule.recorded_secs += secs(took) * record.reads as f64;
            schedule.recorded_failures += if record.failed.is_some() { record.reads } else { 0 };
            for number in 0..record.reads {
                let number = if record.backwards { record.reads - 1 - number } else { number };
                let at = (record.at + number * record.unit) / logical;
                let end = (record.at + (number + 1) * record.unit).div_ceil(logical).min(shape.sectors);
                if at >= end {
                    continue;
                }
                let reply = disk.serve(&Command { at, count: end - at }, now);
                schedule.simulated_failures += u64::from(reply.answer != Answer::Done);
                if reply.done == Nanos::NEVER {
                    return None;
                }
                now = reply.done;
            }
        }
        schedule.simulated_secs = secs(now);
        Some(schedule)
    }
}

/// The first record of each sector, and the time of all others between them.
fn one_try_each(recording: &Recording, rest: Nanos) -> Vec<Record> {
    let block = recording.block.max(1);
    let mut listed = recording.records.clone();
    listed.sort_by_key(|record| record.at);
    listed.dedup_by_key(|record| record.at);
    let (mut all, mut at) = (Vec::new(), 0);
    let fill = |from: u64, to: u64| Record { reads: (to - from) / block, ..Record::good(from, block, rest) };
    for record in listed {
        if record.at >= at + block {
            all.push(fill(at, record.at));
        }
        at = record.end().max(at);
        all.push(record);
    }
    let end = recording.extent();
    if end >= at + block {
        all.push(fill(at, end));
    }
    all
}

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
        if let Some(head) = &self.head {
            say(
                &mut text,
                format_args!(
                    "Head      damage comes back every {:.0} bytes and lasts {:.0}: one head of {}",
                    head.period,
                    head.arc,
                    head.heads()
                ),
            );
        }
        if let Some(track) = &self.track {
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

    /// A scenario of a drive like this one. `log` is the log's name; `map` and `recovered` are those of the files that
    /// [`Fit::map`] and [`Fit::recovered`] go to; the second one is not named if that map is empty.
    pub fn scenario(&self, log: &str, map: &str, recovered: &str) -> String {
        let mut text = String::new();
        let known = self.coverage.good_bytes + self.coverage.bad_bytes + self.coverage.unclear_bytes;
        let description = format!(
            "A drive as its log {log} tells of it: {} reads, of which {} failed, over {:.2} % of it. What was read is as it \
             was; the rest is drawn from what was found there.",
            self.coverage.reads,
            self.coverage.failed,
            100.0 * known as f64 / self.size as f64
        );
        say(&mut text, format_args!("description = {}\nseed = 1\n", toml::Value::from(description)));
        if self.size >= HARD_DISK_MIN && self.sector == 512 {
            self.hard_disk(&mut text);
        } else {
            self.uniform(&mut text);
        }
        say(
            &mut text,
            format_args!("\n# What the log tells of each sector, and the laws for what it does not tell of."),
        );
        say(&mut text, format_args!("[[fault]]\nkind = \"map\"\nfile = {}", toml::Value::from(map)));
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
        }
        let density = |a: f64, b: f64| {
            let (a, b) = (a.clamp(0.01, 99.0), b.clamp(0.01, 99.0));
            format!("retry = [{a:.2}, {b:.2}]")
        };
        if let Some(chances) = &self.retry {
            let density = density(chances.a, chances.b + self.tries);
            let tries = self.tries;
            say(
                &mut text,
                format_args!("# Chances of sectors that failed {tries:.1} times, on the average.\n{density}"),
            );
        }
        self.failure_time(&mut text);
        if !self.recovered.is_empty() {
            let chances = self.retry.unwrap_or(Chances { a: 1.0, b: 1.0 });
            let density = density(chances.a + 1.0, chances.b + 1.0);
            let file = toml::Value::from(recovered);
            say(&mut text, format_args!("\n# Sectors that came after they had failed."));
            say(
                &mut text,
                format_args!("[[fault]]\nkind = \"map\"\nfile = {file}\nunknown = \"good\"\n{density}"),
            );
            self.failure_time(&mut text);
        }
        text
    }

    fn failure_time(&self, text: &mut String) {
        if self.failures.quantiles.len() == 21 {
            let times = self.failures.quantiles.iter().map(|secs| format!("\"{}\"", micros(*secs)));
            let times = times.collect::<Vec<_>>().join(", ");
            say(text, format_args!("# Times that 0, 5, 10 ... 100 % of the failures did not exceed."));
            say(text, format_args!("failure-time = [{times}]"));
        }
    }

    fn hard_disk(&self, text: &mut String) {
        // Between the capacities of two classes.
        let classes = [
            (100_000_000_000, "pata40"),
            (700_000_000_000, "d25_500"),
            (2_500_000_000_000, "d35_1t"),
            (10_000_000_000_000, "d35_4t"),
        ];
        let name = classes.iter().find(|(below, _)| self.size < *below).map_or("d35_20t", |(_, name)| name);
        let class = Profile::named(name).unwrap_or_else(|| unreachable!("a class of the list"));
        say(
            text,
            format_args!(
                "[disk]\nmedium = \"hard-disk\"\n# Taken by the size; its speed of rotation is assumed."
            ),
        );
        say(
            text,
            format_args!(
                "profile = \"{name}\"\nsize = {}\nphysical-sector = {}",
                self.disk_size(),
                self.physical
            ),
        );
        if let (Some(first), Some(last)) = (self.zones.first(), self.zones.last()) {
            let turn = class.turn().nanoseconds() as f64 / 1e9;
            let sectors =
                |rate: f64| ((rate * turn * (1.0 + class.track_skew) / 512.0) as u64).clamp(16, 900_000);
            let outer = sectors(first.rate);
            let inner = if last.end as f64 > 0.9 * self.size as f64 {
                sectors(last.rate)
            } else {
                // Not seen: as much less as on other drives of the class.
                outer * class.sectors_inner / class.sectors_outer
            };
            say(
                text,
                format_args!(
                    "# From the rates at the outside and the inside.\nsectors-per-track = [{outer}, {}]",
                    inner.clamp(8, outer)
                ),
            );
        }
        if let Some(head) = &self.head {
            let (period, arc) = (head.period as u64, head.arc as u64);
            say(
                text,
                format_args!(
                    "# Damage comes back every {period} bytes and lasts {arc}: one head of {}, as with",
                    head.heads()
                ),
            );
            say(text, format_args!("# heads = {} and band = {arc}.", head.heads()));
        }
        self.recovery(text);
    }

    fn uniform(&self, text: &mut String) {
        let rate = self.rate_at(self.size / 2).unwrap_or(1e6);
        say(
            text,
            format_args!(
                "[disk]\nmedium = \"uniform\"\nsize = {}\nsector = {}",
                self.disk_size(),
                self.sector.next_multiple_of(512)
            ),
        );
        if self.physical > self.sector {
            say(text, format_args!("physical-sector = {}", self.physical));
        }
        say(text, format_args!("sector-time = \"{}\"", micros(self.sector as f64 / rate)));
        self.recovery(text);
    }

    fn recovery(&self, text: &mut String) {
        if let Some(middle) = self.failures.quantiles.get(10) {
            say(text, format_args!("recovery = \"{}\"", micros(*middle)));
        }
    }

    /// The size, whole in units.
    fn disk_size(&self) -> u64 {
        self.size.next_multiple_of(self.physical.next_multiple_of(512))
    }
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

        let folder = tempfile::tempdir().unwrap();
        for (name, map) in [("fit.map", &fit.map), ("recovered.map", &fit.recovered)] {
            let mut text = Vec::new();
            map::mapfile::write(&mut text, &Default::default(), &Default::default(), map).unwrap();
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let path = folder.path().join("fit.toml");
        let text = fit.scenario("drive.log", "fit.map", "recovered.map");
        let fitted =
            Scenario::parse("fit", &path.to_string_lossy(), &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let schedule = Schedule::of(&recording, &fitted).unwrap();
        let (secs, failures) = (
            schedule.simulated_secs / schedule.recorded_secs,
            schedule.simulated_failures as f64 / schedule.recorded_failures as f64,
        );
        assert!((0.9..1.1).contains(&secs), "{schedule:?}\n{}\n{text}", fit.report());
        assert!((0.8..1.2).contains(&failures), "{schedule:?}\n{}\n{text}", fit.report());

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
        let text = fit.scenario("disc.log", "disc.map", "recovered.map");
        for line in
            ["medium = \"uniform\"", "sector = 2048", "sector-time = \"2 ms\"", "recovery = \"1200 ms\""]
        {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
        assert_eq!(fit.failures.atoms.len(), 1);
        assert_eq!((fit.coverage.reads, fit.coverage.failed, fit.coverage.bad_bytes), (1000, 10, 20480));
    }
}
