//! The model of a drive, estimated from a log of its reads.
//!
//! Owns what is taken from a log and how the estimates come together; each estimator is a file in `fit/`. Must not know
//! logs' formats, nor how a scenario is run.

use std::collections::BTreeMap;
use std::ops::Range;

use block::{ByteRange, Nanos, Offset, RangeSet};
use map::{Builder, RescueMap, Status};

use crate::media::rotating::Profile;
use crate::recording::{Record, Recording};
use crate::replay::index::{Index, Truth};

pub mod chain;
pub mod failures;
pub mod ks;
pub mod mixture;
pub mod period;
pub mod platter;
pub mod retry;
pub mod schedule;
pub mod seeks;
pub mod slow;
pub mod text;
pub mod track;
pub mod zones;

use chain::{Chain, Errors};
use failures::FailureTimes;
use mixture::Part;
use period::Period;
use retry::Chances;
use seeks::Seeks;
use slow::{Mechanics, Slow};
use track::Track;
use zones::{Zone, rate_at};

/// What a log tells of a drive.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// Bytes of the drive, as far as known.
    pub size: u64,
    /// Bytes of a sector.
    pub sector: u64,
    /// Bytes of the unit that fails.
    pub physical: u64,
    /// What the log covers.
    pub coverage: Coverage,
    /// Where it reads how fast.
    pub zones: Vec<Zone>,
    /// How many times longer than expected healthy reads took, by logarithm.
    pub latency: Vec<Part>,
    /// Distance of that mixture from what was measured, and of how many values.
    pub latency_apart: (f64, usize),
    /// How long it takes to go elsewhere.
    pub seeks: Option<Seeks>,
    /// How long it takes to fail.
    pub failures: FailureTimes,
    /// How errors lie.
    pub errors: Option<Errors>,
    /// How damage comes back with a head.
    pub head: Option<Head>,
    /// How damage comes back with a turn, where it does so best, and bytes a second there.
    pub track: Option<(Track, Option<f64>)>,
    /// The chain of two states over sectors.
    pub chain: Option<Chain>,
    /// How often another try succeeds.
    pub retry: Option<Chances>,
    /// How often sectors that never came were tried, on the average.
    pub tries: f64,
    /// How often sectors that came in the end had failed before, on the average.
    pub failed_first: f64,
    /// The class of hard disk that it is taken for; `None` for anything else.
    pub class: Option<&'static str>,
    /// Good reads that took far too long.
    pub slow: Slow,
    /// What a seek takes for each byte of the way, in seconds, where that is all that is known.
    pub seek_per_byte: f64,
    /// Seconds of all reads.
    pub secs: f64,
    /// Seconds and bytes of the quickest reads of the usual length that go on where the one before ended; `None` if there are few.
    pub quickest: Option<(f64, u64)>,
    /// Whether reads take as long as commands or the link do: then rates tell nothing of the medium.
    pub link_bound: bool,
    /// What is known of each byte.
    pub map: RescueMap,
    /// The same drive's sectors that came after they had failed, as bad ones among good ones; empty if there are none.
    pub recovered: RescueMap,
    /// The same drive with a sector of each slow read as a bad one, others good where they were read, and how much later
    /// these came, in seconds; one for each sort of them.
    pub lagging: Vec<(RescueMap, Vec<f64>)>,
}

/// A head that brings damage back.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// How often, and how long.
    pub period: Period,
    /// The bytes in which it is so.
    pub window: Range<u64>,
    /// Share of what was read under it that failed.
    pub failing: f64,
    /// Share of the physical sectors that came which came late.
    pub slow: f64,
    /// Share of all damage in the window that is this head's.
    pub explains: f64,
}

/// What a log covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Reads.
    pub reads: u64,
    /// Reads that failed.
    pub failed: u64,
    /// Reads of which the time is known.
    pub timed: u64,
    /// Bytes that some read brought.
    pub good_bytes: u64,
    /// Bytes of sectors that were read by themselves and never came.
    pub bad_bytes: u64,
    /// Bytes of longer reads that failed.
    pub unclear_bytes: u64,
}

/// Good bytes between two errors of different clusters, at least.
const CLUSTER_GAP: u64 = 1 << 20;
/// Parts of the mixture of latencies at most.
const LATENCY_PARTS: usize = 5;
/// Latencies that are this near, by logarithm, are the same: clocks and buses make such differences.
const NEAR: f64 = 0.01;
/// Latencies that are fitted at most; of more, some are left out evenly.
const LATENCIES_MAX: usize = 20_000;
/// A head's period is looked for in at most so many bytes of a zone.
const WINDOW: u64 = 100_000_000_000;
/// A jump shorter than this, in bytes, is none.
const JUMP_MIN: u64 = 1 << 20;

impl Fit {
    /// Estimates everything that the recording tells something of.
    pub fn of(recording: &Recording) -> Fit {
        let (size, sector) = (recording.extent().max(1), recording.block.max(1));
        let physical = recording.physical.unwrap_or(sector).max(sector);
        let index = Index::new(recording);
        let truth = index.truth(physical);
        let mut statuses: BTreeMap<u64, (u64, Status)> = BTreeMap::new();
        let mut put = |ranges: &[Range<u64>], status| {
            statuses.extend(ranges.iter().map(|range| (range.start, (range.end, status))));
        };
        put(&truth.good, Status::Finished);
        put(&truth.bad, Status::BadSector);
        put(&truth.unclear, Status::NonTrimmed);
        let rest = if recording.rest.is_some() { Status::Finished } else { Status::NonTried };
        put(&truth.untold(size), rest);
        let mut builder = Builder::new();
        let mut rows = Vec::new();
        let (mut good_bytes, mut bad_bytes, mut unclear_bytes) = (0, 0, 0);
        for (start, (end, status)) in statuses {
            builder.push_merged(ByteRange::between(Offset::new(start), Offset::new(end)), status);
            let sum = match status {
                Status::Finished => &mut good_bytes,
                Status::BadSector => &mut bad_bytes,
                Status::NonTrimmed => &mut unclear_bytes,
                _ => continue,
            };
            *sum += end - start;
            let count = (end - start).div_ceil(physical);
            if status != Status::NonTrimmed && count > 0 {
                push_row(&mut rows, start / physical, count, status == Status::BadSector);
            }
        }
        let known: RangeSet = match recording.rest {
            Some(_) => ByteRange::new(Offset::ZERO, size).into(),
            None => [&truth.good, &truth.bad, &truth.unclear].into_iter().flatten().map(range_of).collect(),
        };
        let mut observed = Observed::of(recording, size);
        observed.keep_steady();
        let zones = match observed.unlisted {
            Some(rate) => vec![Zone { start: 0, end: size, rate }],
            None => zones::fit(&observed.streamed, size),
        };
        let jumps: Vec<(f64, f64)> =
            observed.jumps.iter().map(|(way, secs)| (*way as f64 / size as f64, *secs)).collect();
        let link_bound = is_link_bound(observed.quickest(), &zones);
        let class = class(size, sector, &observed.jumps, &zones, link_bound);
        let seeks = seeks::fit(&jumps);
        let mechanics = class.and_then(Profile::named).map_or(Mechanics::default(), |class| Mechanics {
            turn: class.turn().nanoseconds() as f64 / 1e9,
            stroke: class.seek_full.nanoseconds() as f64 / 1e9,
        });
        let mut slow = Slow::of(recording, &zones, seeks.as_ref(), mechanics, size);
        let retries = index.retries(physical);
        // What failed before follows the law of what failed.
        let is_recovered = |at: u64| {
            let next = retries.recovered.partition_point(|range| range.end <= at);
            retries.recovered.get(next).is_some_and(|range| range.start <= at)
        };
        slow.reads.retain(|(at, _)| !is_recovered(*at));
        let late = sectors_of(&slow.reads, physical);
        let mut damaged = [truth.bad.clone(), truth.unclear.clone(), late.clone()].concat();
        damaged.sort_by_key(|range| range.start);
        let logs = observed.latencies(&zones);
        let latency = mixture::fit(&logs, LATENCY_PARTS);
        let apart = ks::distance_within(NEAR, &logs, |log| mixture::cumulative(&latency, log));
        Fit {
            size,
            sector,
            physical,
            coverage: Coverage { good_bytes, bad_bytes, unclear_bytes, ..observed.coverage },
            seeks,
            latency_apart: (apart, logs.len()),
            failures: failures::fit(&observed.failures),
            failed_first: retries.failed_first,
            seek_per_byte: recording.seek.nanoseconds() as f64 / 1e9 / sector as f64,
            secs: observed.secs,
            quickest: observed.quickest(),
            link_bound,
            lagging: slow.sorts().iter().map(|reads| lagging(reads, &known, physical, size)).collect(),
            slow,
            class,
            errors: chain::measure(&rows, CLUSTER_GAP / physical),
            chain: chain::chain(&rows),
            track: track(&damaged, &zones, sector),
            head: head(&truth, &late, &zones, size),
            // A list does not tell how often the others were tried.
            retry: retry::fit(&retries.passes).filter(|_| recording.rest.is_none()),
            tries: retries.tries,
            recovered: recovered(&retries.recovered, size),
            zones,
            latency,
            map: builder.finish(),
        }
    }

    /// Bytes a second at a position; `None` if no read tells.
    pub fn rate_at(&self, at: u64) -> Option<f64> {
        rate_at(&self.zones, at)
    }
}

fn range_of(bytes: &Range<u64>) -> ByteRange {
    ByteRange::between(Offset::new(bytes.start), Offset::new(bytes.end))
}

/// A map in which these bytes are bad.
fn recovered(bytes: &[Range<u64>], size: u64) -> RescueMap {
    let bad: RangeSet = bytes.iter().map(range_of).collect();
    let whole: RangeSet = ByteRange::new(Offset::ZERO, size).into();
    let mut blocks: Vec<(ByteRange, Status)> = Vec::new();
    blocks.extend(whole.minus(&bad).ranges().iter().map(|range| (*range, Status::Finished)));
    blocks.extend(bad.ranges().iter().map(|range| (*range, Status::BadSector)));
    blocks.sort_unstable_by_key(|(range, _)| range.start());
    let mut builder = Builder::new();
    if !bad.is_empty() {
        blocks.into_iter().for_each(|(range, status)| builder.push(range, status));
    }
    builder.finish()
}

/// The physical sectors in which slow reads begin; rising.
fn sectors_of(slow: &[(u64, f64)], physical: u64) -> Vec<Range<u64>> {
    let mut starts: Vec<u64> = slow.iter().map(|(at, _)| at / physical * physical).collect();
    starts.sort_unstable();
    starts.dedup();
    starts.into_iter().map(|start| start..start.saturating_add(physical)).collect()
}

/// The track of the zone in which a turn is seen best.
fn track(damaged: &[Range<u64>], zones: &[Zone], sector: u64) -> Option<(Track, Option<f64>)> {
    let starts = |zone: &Zone| {
        let inside = damaged.iter().map(|range| range.start).filter(|at| (zone.start..zone.end).contains(at));
        inside.map(|at| at / sector).collect::<Vec<_>>()
    };
    let whole = Zone { start: 0, end: u64::MAX, rate: 0.0 };
    let zones = if zones.is_empty() { &[whole] } else { zones };
    let rate = |zone: &Zone| Some(zone.rate).filter(|rate| *rate > 0.0);
    let found = zones.iter().filter_map(|zone| Some((track::find(&starts(zone))?, rate(zone))));
    found.max_by(|(a, _), (b, _)| a.share.total_cmp(&b.share))
}

/// The strongest period of failures or of slow reads in a zone; without zones, at the start.
fn head(truth: &Truth, late: &[Range<u64>], zones: &[Zone], size: u64) -> Option<Head> {
    let mut failed = [truth.bad.clone(), truth.unclear.clone()].concat();
    failed.sort_by_key(|range| range.start);
    let start = std::iter::once(0..size.min(WINDOW)).filter(|_| zones.is_empty());
    let windows: Vec<Range<u64>> =
        zones.iter().map(|zone| zone.start..zone.end.min(zone.start + WINDOW)).chain(start).collect();
    let found = [&failed[..], late].into_iter().flat_map(|damage| {
        windows.iter().filter_map(move |window| Some((period::find(damage, window.clone())?, window, damage)))
    });
    let (period, window, damage) = found.max_by(|a, b| a.0.strength.total_cmp(&b.0.strength))?;
    let core = period.core();
    let inside = |ranges: &[Range<u64>]| core.inside(ranges.iter(), window);
    let all = |ranges: &[Range<u64>]| {
        let cut = |range: &Range<u64>| {
            range.end.min(window.end).saturating_sub(range.start.max(window.start)) as f64
        };
        ranges.iter().map(cut).sum::<f64>()
    };
    let [good, bad, unclear, slow] = [&truth.good, &truth.bad, &truth.unclear, late].map(inside);
    // Of a long read that failed most is good, unless nothing under this head ever came.
    let weight = if good < unclear / 10.0 { 1.0 } else { 0.1 };
    Some(Head {
        failing: (bad + weight * unclear) / (good + bad + unclear).max(1.0),
        slow: slow / good.max(1.0),
        explains: period.inside(damage.iter(), window) / all(damage).max(1.0),
        window: window.clone(),
        period,
    })
}

/// Adds sectors behind those that are there; neighbours of one kind are one row.
fn push_row(rows: &mut Vec<(u64, u64, bool)>, start: u64, count: u64, bad: bool) {
    match rows.last_mut() {
        Some((first, length, is_bad)) if *first + *length >= start && *is_bad == bad => {
            *length = start + count - *first;
        }
        // A physical sector of which a part came is told once.
        Some((first, length, _)) if *first + *length > start => {
            let start = *first + *length;
            if count > 1 {
                rows.push((start, count - 1, bad));
            }
        }
        _ => rows.push((start, count, bad)),
    }
}

/// The least hard disk, in bytes.
const HARD_DISK_MIN: u64 = 1_000_000_000;
/// A drive that goes elsewhere faster than this, in seconds, has no arm.
const ARM_MIN: f64 = 0.0015;
/// The class of hard disk that a drive of this size with these jumps (bytes, seconds) may be; `None` if it is none.
fn class(
    size: u64,
    sector: u64,
    jumps: &[(u64, f64)],
    zones: &[Zone],
    link_bound: bool,
) -> Option<&'static str> {
    // Small reads, so that the transfer does not matter.
    let mut times: Vec<f64> = jumps.iter().map(|(_, secs)| *secs).collect();
    times.sort_unstable_by(f64::total_cmp);
    let transfer = zones.first().map_or(0.0, |zone| sector as f64 / zone.rate);
    let has_arm = times.len() < 30 || times[times.len() / 10] > ARM_MIN + transfer;
    let is_one = size >= HARD_DISK_MIN && (sector == 512 || sector == 4096) && has_arm;
    // The one that is most like it in size, and more so in its rate: that tells the age.
    let unlike = |name: &str| {
        let class = Profile::named(name)?;
        let ratio = |x: f64, y: f64| libm::fabs(libm::log(x / y));
        let by_rate = zones.first().map_or(0.0, |zone| ratio(zone.rate, class.rate_outer()));
        let by_size = ratio(size as f64, class.bytes as f64);
        Some(by_size + if link_bound { 0.0 } else { RATE_WEIGHT * by_rate })
    };
    let classes = Profile::NAMES.into_iter().filter_map(|name| Some((name, unlike(name)?)));
    classes.filter(|_| is_one).min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(name, _)| name)
}

/// How much more a rate tells of a class than a size.
const RATE_WEIGHT: f64 = 4.0;
/// The quickest reads take this share of the mean or more if tracks do not matter.
const LINK_BOUND: f64 = 0.97;

/// Whether reads take as long as commands or the link do, so that their rates tell nothing of the medium: then none is
/// quicker than the others, where tracks would show by the pauses between them.
fn is_link_bound(quickest: Option<(f64, u64)>, zones: &[Zone]) -> bool {
    match (quickest, zones) {
        (Some((secs, bytes)), [zone]) => secs > LINK_BOUND * bytes as f64 / zone.rate,
        _ => false,
    }
}

/// A map in which a physical sector of each slow read is bad, and the rest of what was read good; and the delays.
fn lagging(reads: &[(u64, f64)], known: &RangeSet, physical: u64, size: u64) -> (RescueMap, Vec<f64>) {
    let mut builder = Builder::new();
    let late = sectors_of(reads, physical).into_iter().filter(|sector| sector.start < size);
    let late: Vec<ByteRange> = late.map(|sector| range_of(&(sector.start..sector.end.min(size)))).collect();
    let late: RangeSet = late.into_iter().collect();
    let whole: RangeSet = ByteRange::new(Offset::ZERO, size).into();
    let good = known.minus(&late);
    let untried = whole.minus(known).minus(&late);
    let parts = [(&late, Status::BadSector), (&good, Status::Finished), (&untried, Status::NonTried)];
    let mut blocks: Vec<(ByteRange, Status)> =
        parts.iter().flat_map(|(set, status)| set.ranges().iter().map(|range| (*range, *status))).collect();
    blocks.sort_unstable_by_key(|(range, _)| range.start());
    blocks.into_iter().for_each(|(range, status)| builder.push(range, status));
    (builder.finish(), reads.iter().map(|(_, late)| *late).collect())
}

/// Evenly spaced quantiles of values, with their mean: between each and the next as many values lie evenly. 21, or 101 of
/// a thousand values and more; none without values.
pub fn quantiles(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return Vec::new() };
    let steps = if sorted.len() < 1000 { 20 } else { 100 };
    let at = |step: usize| {
        let place = last as f64 * step as f64 / steps as f64;
        let index = (place as usize).min(last);
        let next = sorted[(index + 1).min(last)];
        sorted[index] + (next - sorted[index]) * (place - index as f64)
    };
    let mut knots: Vec<f64> = (0..=steps).map(at).collect();
    // A few large values make the uppermost part lean to its beginning.
    let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
    let drawn = knots.windows(2).map(|two| (two[0] + two[1]) / 2.0).sum::<f64>() / steps as f64;
    let (before, top) = (knots[steps - 1], knots[steps]);
    knots[steps] = (top + 2.0 * steps as f64 * (mean - drawn)).clamp(before, top);
    knots
}

/// Bytes that a drive reads ahead at most while nobody asks.
const AHEAD_MAX: u64 = 4 << 20;
/// Seconds of a read that give it time to do so.
const PAUSE: f64 = 0.05;
/// The least share of the bytes read in a row that is to be so far behind trouble.
const STEADY_MIN: f64 = 0.1;

/// Reads by what they tell.
#[derive(Default)]
struct Observed {
    coverage: Coverage,
    /// Reads that go on where the one before ended: position, bytes, seconds.
    streamed: Vec<(u64, u64, f64)>,
    /// Of these, those that come so long behind the last trouble that nothing was read ahead meanwhile.
    steady: Vec<(u64, u64, f64)>,
    /// Bytes read in a row since then.
    run: u64,
    /// Reads elsewhere: bytes between, seconds.
    jumps: Vec<(u64, f64)>,
    /// Seconds of failures.
    failures: Vec<f64>,
    /// Bytes a second of all sectors that a list does not name.
    unlisted: Option<f64>,
    /// Seconds of all reads.
    secs: f64,
}

impl Observed {
    fn of(recording: &Recording, size: u64) -> Observed {
        let mut observed = Observed::default();
        if let Some(rest) = recording.rest {
            return Observed::of_list(recording, rest, size);
        }
        let mut last_end = None;
        for record in &recording.records {
            observed.add(record, last_end);
            // Behind an error nobody knows where the head is.
            last_end = match record.failed {
                Some(_) => None,
                None if record.backwards => Some(record.at + record.unit),
                None => Some(record.end()),
            };
        }
        observed
    }

    /// What a list of sectors tells, which is no course of time: how long each takes, and nothing of seeks.
    fn of_list(recording: &Recording, rest: Nanos, size: u64) -> Observed {
        let block = recording.block.max(1);
        let secs = |time: Nanos| time.nanoseconds() as f64 / 1e9;
        let mut observed =
            Observed { unlisted: Some(block as f64 / secs(rest).max(1e-9)), ..Observed::default() };
        let mut listed = 0;
        let mut last = None;
        for record in &recording.records {
            observed.add(record, None);
            listed += if last.replace(record.at) == Some(record.at) { 0 } else { record.reads };
            if let (None, Some(took)) = (record.failed, record.took) {
                let reads = record.reads.min(1000) as usize;
                observed.streamed.extend(std::iter::repeat_n((record.at, record.unit, secs(took)), reads));
            }
        }
        let blocks = (size / block).saturating_sub(listed);
        observed.coverage.reads += blocks;
        observed.coverage.timed += blocks;
        observed.secs += secs(rest) * blocks as f64;
        let step = (blocks / LATENCIES_MAX as u64).max(1);
        // As many as the listed ones stand for, should there be too many of them.
        observed.streamed = observed.streamed.into_iter().step_by(step as usize).collect();
        let places = (0..blocks).step_by(step as usize);
        observed.streamed.extend(places.map(|number| (number * block, block, secs(rest))));
        observed
    }

    fn add(&mut self, record: &Record, last_end: Option<u64>) {
        self.coverage.reads += record.reads;
        self.coverage.failed += if record.failed.is_some() { record.reads } else { 0 };
        let Some(took) = record.took else { return };
        self.coverage.timed += record.reads;
        let secs = took.nanoseconds() as f64 / 1e9;
        self.secs += secs * record.reads as f64;
        if record.failed.is_some() || last_end != Some(record.at) || secs > PAUSE * record.reads as f64 {
            self.run = 0;
        }
        self.run = self.run.saturating_add(record.end() - record.at);
        let is_steady = self.run >= AHEAD_MAX && !record.backwards;
        if record.failed.is_some() {
            self.failures.extend(std::iter::repeat_n(secs, record.reads.min(1000) as usize));
            return;
        }
        if last_end == Some(record.at) && record.reads == 1 {
            self.streamed.push((record.at, record.unit, secs));
            self.steady.extend(is_steady.then_some((record.at, record.unit, secs)));
        } else if record.reads > 1 && !record.backwards {
            // One value for the whole row, shown at a few places of it.
            let step = record.reads.div_ceil(16);
            let places = (0..record.reads).step_by(step as usize);
            let from = self.streamed.len();
            self.streamed.extend(places.map(|n| (record.at + n * record.unit, record.unit, secs)));
            self.steady.extend(self.streamed[from..].iter().filter(|_| is_steady));
        } else if let Some(end) =
            last_end.filter(|end| end.abs_diff(record.at) >= JUMP_MIN && record.reads == 1)
        {
            self.jumps.push((end.abs_diff(record.at), secs));
        }
    }

    /// Leaves out streamed reads that may have been read ahead while something else was slow, if enough others are left.
    fn keep_steady(&mut self) {
        let bytes = |reads: &[(u64, u64, f64)]| reads.iter().map(|(_, bytes, _)| *bytes as f64).sum::<f64>();
        if bytes(&self.steady) > STEADY_MIN * bytes(&self.streamed) {
            self.streamed = std::mem::take(&mut self.steady);
        }
    }

    /// What the quickest hundredth of the streamed reads of the usual length took, and that length.
    fn quickest(&self) -> Option<(f64, u64)> {
        let unit = zones::usual_unit(&self.streamed);
        let of_unit = self.streamed.iter().filter(|(_, bytes, _)| *bytes == unit);
        let mut times: Vec<f64> = of_unit.map(|(.., secs)| *secs).collect();
        times.sort_unstable_by(f64::total_cmp);
        times.get(times.len() / 100).filter(|_| times.len() >= 100 && unit > 0).map(|secs| (*secs, unit))
    }

    /// Logarithms of how many times longer than expected streamed reads took.
    fn latencies(&self, zones: &[Zone]) -> Vec<f64> {
        let unit = zones::usual_unit(&self.streamed);
        let usual: Vec<_> = self.streamed.iter().filter(|(_, bytes, _)| *bytes >= unit / 2).collect();
        let step = usual.len().div_ceil(LATENCIES_MAX).max(1);
        let log = |(at, bytes, secs): &(u64, u64, f64)| {
            let expected = *bytes as f64 / rate_at(zones, *at)?;
            (*secs > 0.0).then(|| libm::log(secs / expected))
        };
        usual.into_iter().step_by(step).filter_map(log).collect()
    }
}
