//! How a recorded course of reads goes on another disk.
//!
//! Owns making the reads again and comparing their times. Must not know how the other disk was made.

use block::Nanos;

use super::{Fit, ks};
use crate::disk::{Answer, Command, SimDisk};
use crate::media::Row;
use crate::recording::{Record, Recording};
use crate::scenario::Scenario;

/// Steps of a schedule at most: reads, or rows of reads that meet nothing.
const STEPS_MAX: u64 = 20_000_000;
/// Times of good reads that are kept at most.
const TIMES_MAX: usize = 200_000;
/// Times that differ by less than this share are the same.
const NEAR: f64 = 0.10;
/// The fitted disk may take so much more or less time, and meet so many more or fewer errors, as a share.
pub const APART_MAX: f64 = 0.10;
/// Times of reads may be this far apart before a person must know: Kolmogorov's and Smirnov's distance.
pub const DISTANCE_MAX: f64 = 0.25;
/// Fewer times tell nothing of their distribution.
const COUNT_MIN: usize = 200;

/// Time of one sort of reads, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// As recorded.
    pub recorded: f64,
    /// On the other disk.
    pub simulated: f64,
}

/// Sorts of reads, by what the log says of them.
pub const SORTS: [&str; 3] = ["good reads in a row", "good reads elsewhere", "reads that failed"];

/// Both courses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    /// Time by sort, as in [`SORTS`].
    pub spent: [Spent; 3],
    /// Failed reads as recorded, and on the other disk.
    pub failures: (u64, u64),
    /// How far apart the times of good reads are, and of how many reads: log and disk, 10 % taken as equal.
    pub good: (f64, usize),
    /// The same for the reads that failed in each.
    pub failed: (f64, usize),
}

/// Times of reads, thinned out evenly where there are too many.
#[derive(Default)]
struct Times {
    logs: Vec<f64>,
    every: u64,
    seen: u64,
}

impl Times {
    fn add(&mut self, secs: f64, count: u64) {
        if secs <= 0.0 {
            return;
        }
        self.every = self.every.max(1);
        let kept = (self.seen + count) / self.every - self.seen / self.every;
        self.seen += count;
        self.logs.extend(std::iter::repeat_n(libm::log(secs), kept.min(TIMES_MAX as u64) as usize));
        while self.logs.len() > TIMES_MAX {
            let mut index = 0;
            self.logs.retain(|_| {
                index += 1;
                index % 2 == 0
            });
            self.every *= 2;
        }
    }

    /// Distance to the times of another course, and how many values it rests on.
    fn apart(&self, other: &Times) -> (f64, usize) {
        let mut sorted = other.logs.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let count = self.logs.len().min(sorted.len());
        if count == 0 {
            return (0.0, 0);
        }
        let below = |x: f64| sorted.partition_point(|value| *value <= x) as f64 / sorted.len() as f64;
        (ks::distance_within(libm::log(1.0 + NEAR), &self.logs, below), count)
    }
}

/// Records of a log that are held out to see what a model of the others is worth: the last fifth.
const HELD_OUT: usize = 5;
/// Of shorter logs nothing is held out.
const RECORDS_MIN: usize = 1000;

impl Schedule {
    /// Fits all but the last fifth of a log, and makes those reads again on that disk. `None` for lists, logs without times,
    /// short ones, and where [`Schedule::of`] finds nothing.
    pub fn held_out(recording: &Recording) -> Option<Schedule> {
        let count = recording.records.len();
        let is_timed = recording.records.iter().all(|record| record.took.is_some());
        if recording.rest.is_some() || count < RECORDS_MIN || !is_timed {
            return None;
        }
        let kept = count - count / HELD_OUT;
        let seen = Recording {
            size: Some(recording.extent()),
            records: recording.records[..kept].to_vec(),
            ..recording.clone()
        };
        let scenario = Fit::of(&seen).in_memory("the log").ok()?;
        Schedule::of(recording, &scenario, kept)
    }

    /// Makes the recorded reads from record number `from` on again, after those before them; of a list of sectors, which
    /// is no course of time, what it says of each sector. `None` if the log has no times, is too long, or the disk does
    /// not answer.
    pub fn of(recording: &Recording, scenario: &Scenario, from: usize) -> Option<Schedule> {
        let listed = recording.rest.map(|rest| each_once(recording, rest));
        let records = listed.as_ref().unwrap_or(&recording.records);
        if records.is_empty() || records.iter().any(|record| record.took.is_none()) {
            return None;
        }
        let mut run = Run { disk: scenario.disk(scenario.seed()).ok()?, now: Nanos::ZERO, steps: 0 };
        let mut schedule = Schedule::default();
        let mut times: [Times; 4] = Default::default();
        let mut last_end = None;
        for (index, record) in records.iter().enumerate() {
            let took = record.took.map_or(0.0, seconds);
            let sort = match (record.failed, last_end) {
                (Some(_), _) => 2,
                (None, Some(end)) if end == record.at => 0,
                (None, _) if record.reads > 1 => 0,
                (None, _) => 1,
            };
            last_end = record.failed.is_none().then(|| record.end());
            let began = run.now;
            let mut failures = 0;
            let mut told = |secs: f64, count: u64, is_good: bool| {
                failures += if is_good { 0 } else { count };
                if index >= from {
                    times[if is_good { 1 } else { 3 }].add(secs, count);
                }
            };
            run.make(record, &mut told)?;
            if index < from {
                continue;
            }
            times[if record.failed.is_none() { 0 } else { 2 }].add(took, record.reads);
            schedule.spent[sort].recorded += took * record.reads as f64;
            schedule.spent[sort].simulated += seconds(run.now.since(began));
            schedule.failures.0 += if record.failed.is_some() { record.reads } else { 0 };
            schedule.failures.1 += failures;
        }
        let [good, good_simulated, failed, failed_simulated] = &times;
        schedule.good = good.apart(good_simulated);
        schedule.failed = failed.apart(failed_simulated);
        Some(schedule)
    }

    /// Seconds of all reads.
    pub fn secs(&self) -> Spent {
        let sum = |of: fn(&Spent) -> f64| self.spent.iter().map(of).sum();
        Spent { recorded: sum(|spent| spent.recorded), simulated: sum(|spent| spent.simulated) }
    }

    /// What the other disk does not explain, in words; empty if it is like the one of the log.
    pub fn unexplained(&self) -> Vec<String> {
        let mut told = Vec::new();
        let all = self.secs();
        let apart = all.simulated / all.recorded.max(1e-9) - 1.0;
        if apart.abs() > APART_MAX {
            let worst = SORTS.iter().zip(&self.spent).max_by(|(_, a), (_, b)| {
                (a.recorded - a.simulated).abs().total_cmp(&(b.recorded - b.simulated).abs())
            });
            let (name, spent) = worst.unwrap_or((&SORTS[0], &all));
            told.push(format!(
                "the same reads take {:.1} s on the fitted disk and {:.1} s in the log, most of the difference with {name} \
                 ({:.1} s and {:.1} s)",
                all.simulated, all.recorded, spent.simulated, spent.recorded
            ));
        }
        let (recorded, simulated) = (self.failures.0 as f64, self.failures.1 as f64);
        if (simulated - recorded).abs() > (APART_MAX * recorded).max(3.0 * libm::sqrt(recorded).max(1.0)) {
            told.push(format!("{simulated} reads fail on the fitted disk, and {recorded} in the log"));
        }
        for (name, (distance, count)) in [("good", self.good), ("failed", self.failed)] {
            if count >= COUNT_MIN && distance > DISTANCE_MAX {
                told.push(format!(
                    "the times of {name} reads lie otherwise: Kolmogorov-Smirnov distance {distance:.2}, where up to \
                     {DISTANCE_MAX} would do"
                ));
            }
        }
        told
    }
}

struct Run {
    disk: SimDisk,
    now: Nanos,
    steps: u64,
}

impl Run {
    /// Makes the reads of a record; tells seconds of a read, how many there were, and whether they went well.
    fn make(&mut self, record: &Record, told: &mut dyn FnMut(f64, u64, bool)) -> Option<()> {
        let shape = self.disk.shape();
        let logical = u64::from(shape.logical);
        let mut number = 0;
        while number < record.reads {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return None;
            }
            let place = if record.backwards { record.reads - 1 - number } else { number };
            let at = (record.at + place * record.unit) / logical;
            let end = (record.at + (place + 1) * record.unit).div_ceil(logical).min(shape.sectors);
            if at >= end {
                return Some(());
            }
            let is_row = !record.backwards
                && record.reads > number + 1
                && record.unit.is_multiple_of(logical)
                && record.at.is_multiple_of(logical);
            if is_row {
                let fitting = (shape.sectors - at) / (record.unit / logical);
                let count = (record.reads - number).min(fitting);
                let row = Row { at, unit: record.unit / logical, count, until: Nanos::NEVER };
                if let Some((made, done)) = (count > 0).then(|| self.disk.serve_row(&row, self.now)).flatten()
                {
                    told(seconds(done.since(self.now)) / made as f64, made, true);
                    (self.now, number) = (done, number + made);
                    continue;
                }
            }
            let reply = self.disk.serve(&Command { at, count: end - at }, self.now);
            if reply.done == Nanos::NEVER {
                return None;
            }
            told(seconds(reply.done.since(self.now)), 1, reply.answer == Answer::Done);
            (self.now, number) = (reply.done, number + 1);
        }
        Some(())
    }
}

/// What a list says of each sector, and the time of all others between them.
fn each_once(recording: &Recording, rest: Nanos) -> Vec<Record> {
    let block = recording.block.max(1);
    let mut listed = recording.records.clone();
    listed.sort_by_key(|record| record.at);
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

fn seconds(time: Nanos) -> f64 {
    time.nanoseconds() as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Sequence;

    /// A log of an even disk of 2048 blocks, each read `micros` long.
    fn even(micros: impl Fn(u64) -> u64) -> Recording {
        let read = |n: u64| Record::good(n * 2048, 2048, Nanos::new(micros(n) * 1000));
        Recording { block: 2048, records: (0..2048).map(read).collect(), ..Recording::default() }
    }

    #[test]
    fn a_disk_like_the_logged_one_is_told_from_another() {
        let recording = even(|_| 1000);
        let fitted = Fit::of(&recording).in_memory("log").unwrap();
        let schedule = Schedule::of(&recording, &fitted, 0).unwrap();
        assert_eq!(schedule.unexplained(), Vec::<String>::new());
        let all = schedule.secs();
        assert!((all.recorded - 2.048).abs() < 1e-9 && (all.simulated - 2.048).abs() < 1e-3, "{all:?}");
        let slower = even(|_| 1300);
        let told = Schedule::of(&slower, &fitted, 0).unwrap().unexplained();
        assert!(told[0].contains("take 2.0 s on the fitted disk and 2.7 s in the log"), "{told:?}");
        assert!(told[0].contains("good reads in a row (2.0 s and 2.7 s)"), "{told:?}");
        assert!(told[1].contains("the times of good reads lie otherwise"), "{told:?}");
        // From one read on: only those count.
        let last = Schedule::of(&slower, &fitted, 2000).unwrap().secs();
        assert!((last.recorded - 48.0 * 1300e-6).abs() < 1e-9, "{last:?}");
        let failing = Recording {
            records: (0..2048).map(|n| Record::failed(n * 2048, 2048, Nanos::from_millis(1))).collect(),
            ..recording
        };
        let told = Schedule::of(&failing, &fitted, 0).unwrap().unexplained();
        assert!(
            told.iter().any(|line| line.starts_with("0 reads fail on the fitted disk, and 2048")),
            "{told:?}"
        );
    }

    #[test]
    fn rows_are_made_again_as_their_reads_are_and_without_times_nothing_is() {
        let single = even(|_| 1000);
        let fitted = Fit::of(&single).in_memory("log").unwrap();
        let row = Record { reads: 2048, ..Record::good(0, 2048, Nanos::from_millis(1)) };
        let rows = Recording { records: vec![row], ..single.clone() };
        let (one, other) =
            (Schedule::of(&single, &fitted, 0).unwrap(), Schedule::of(&rows, &fitted, 0).unwrap());
        let (one_secs, other_secs) = (one.secs(), other.secs());
        assert!((one_secs.recorded - other_secs.recorded).abs() < 1e-9, "{one_secs:?}, {other_secs:?}");
        assert!((one_secs.simulated - other_secs.simulated).abs() < 1e-9, "{one_secs:?}, {other_secs:?}");
        assert_eq!((one.good.1, other.good.1), (2048, 2048));
        let timeless = Recording { records: vec![Record { took: None, ..row }], ..single };
        assert_eq!(Schedule::of(&timeless, &fitted, 0), None);
        assert_eq!(Schedule::held_out(&timeless), None);
    }

    #[test]
    fn what_is_held_out_is_judged_by_a_disk_fitted_to_the_rest() {
        let mut dice = Sequence::new(1, "held out");
        let steady = even(|_| 1000);
        let held_out = Schedule::held_out(&steady).unwrap();
        assert!((held_out.secs().recorded - 0.409).abs() < 1e-3, "{held_out:?}");
        assert_eq!(held_out.unexplained(), Vec::<String>::new());
        // At the end it is another drive.
        let mut changed = even(|n| if n < 1700 { 1000 } else { 5000 });
        changed.records.iter_mut().for_each(|record| {
            record.took = record.took.map(|took| Nanos::new(took.nanoseconds() + dice.below(1000)));
        });
        assert!(!Schedule::held_out(&changed).unwrap().unexplained().is_empty());
    }
}
