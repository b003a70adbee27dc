//! Good reads that took far longer than they should have: weak places that the drive saved by trying again.
//!
//! Owns which reads these are and how much later they came. Must not know how a drive is simulated, nor damage.

use block::Nanos;

use super::seeks::Seeks;
use super::zones::{Zone, rate_at};
use crate::recording::{Record, Recording};

/// What a healthy drive may lose on a read without anything being wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mechanics {
    /// Seconds of a turn; 0 where nothing turns.
    pub turn: f64,
    /// Seconds of a seek over all of it.
    pub stroke: f64,
}

/// Slow reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slow {
    /// Where each begins, in bytes, and how much later it came, in seconds; in the order of time.
    pub reads: Vec<(u64, f64)>,
    /// Good reads whose time tells whether they were slow.
    pub judged: u64,
}

/// A read that takes so many times as long as others there was held up.
const HELD_UP: f64 = 1.5;
/// Delays that differ so many times, with none between them, have two causes.
const GAP: f64 = 8.0;
/// Causes at most.
const SORTS_MAX: usize = 3;
/// A missed turn is nothing.
const TURNS: f64 = 1.5;
/// Slow reads that are kept at most.
const READS_MAX: usize = 1_000_000;

impl Slow {
    /// Finds the slow reads among the good ones.
    pub fn of(
        recording: &Recording,
        zones: &[Zone],
        seeks: Option<&Seeks>,
        drive: Mechanics,
        size: u64,
    ) -> Slow {
        let mut slow = Slow::default();
        let mut last_end = None;
        for record in &recording.records {
            let way = last_end.map(|end: u64| end.abs_diff(record.at));
            last_end = match record.failed {
                Some(_) => None,
                None if record.backwards => Some(record.at + record.unit),
                None => Some(record.end()),
            };
            let (None, Some(took), Some(rate)) = (record.failed, record.took, rate_at(zones, record.at))
            else {
                continue;
            };
            slow.judged += record.reads;
            let expected = match recording.rest {
                Some(rest) => seconds(rest) * record.unit as f64 / recording.block.max(1) as f64,
                None => record.unit as f64 / rate,
            };
            let allowed = match way {
                // Lists are no course of time; and a row is read in one go.
                _ if recording.rest.is_some() => 0.0,
                Some(0) => TURNS * drive.turn,
                // Half a turn is part of the curve.
                Some(way) => {
                    TURNS * drive.turn + seeks.map_or(drive.stroke, |s| s.time(way as f64 / size as f64))
                }
                None => TURNS * drive.turn + drive.stroke,
            };
            let late = seconds(took) - expected;
            if late > allowed.max((HELD_UP - 1.0) * expected) {
                slow.add(record, late);
            }
        }
        if recording.rest.is_some() {
            let listed: u64 = recording.records.iter().map(|record| record.reads).sum();
            slow.judged += (size / recording.block.max(1)).saturating_sub(listed);
        }
        slow
    }

    fn add(&mut self, record: &Record, late: f64) {
        let room = READS_MAX.saturating_sub(self.reads.len()) as u64;
        self.reads.extend((0..record.reads.min(room)).map(|number| (record.at + number * record.unit, late)));
    }

    /// How much later they came, in seconds; rising.
    pub fn excess(&self) -> Vec<f64> {
        let mut excess: Vec<f64> = self.reads.iter().map(|(_, late)| *late).collect();
        excess.sort_unstable_by(f64::total_cmp);
        excess
    }

    /// Reads by what held them up, as far as their times tell: where nothing lies between short and long delays, they are
    /// apart. Three sorts at most, the shortest first.
    pub fn sorts(&self) -> Vec<Vec<(u64, f64)>> {
        let mut reads = self.reads.clone();
        reads.sort_unstable_by(|a, b| a.1.total_cmp(&b.1));
        let mut gaps: Vec<(f64, usize)> =
            (1..reads.len()).map(|index| (reads[index].1 / reads[index - 1].1, index)).collect();
        gaps.retain(|(ratio, _)| *ratio >= GAP);
        gaps.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        gaps.truncate(SORTS_MAX - 1);
        let mut cuts: Vec<usize> = gaps.into_iter().map(|(_, index)| index).collect();
        cuts.sort_unstable();
        let mut sorts = Vec::new();
        for cut in cuts.into_iter().rev() {
            sorts.push(reads.split_off(cut));
        }
        sorts.push(reads);
        sorts.reverse();
        sorts.retain(|sort| !sort.is_empty());
        sorts
    }

    /// Share of the good reads that were slow.
    pub fn share(&self) -> f64 {
        self.reads.len() as f64 / self.judged.max(1) as f64
    }
}

fn seconds(time: Nanos) -> f64 {
    time.nanoseconds() as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::{Fit, quantiles};

    #[test]
    fn slow_reads_are_told_from_missed_turns_and_seeks() {
        let ms = Nanos::from_millis;
        let drive = Mechanics { turn: 0.008, stroke: 0.02 };
        let zones = [Zone { start: 0, end: 1 << 30, rate: 65536.0 / 0.001 }];
        let good = |at: u64, took| Record::good(at << 16, 65536, ms(took));
        let records = vec![
            good(0, 1),
            good(1, 9),  // a missed turn
            good(2, 40), // held up
            good(3, 1),
            good(1000, 25), // elsewhere
            good(1001, 1),
            Record::failed(1002 << 16, 65536, ms(3000)),
            good(1003, 20), // behind a failure
            good(500, 400), // elsewhere, and held up
        ];
        let recording = Recording { block: 512, records, ..Recording::default() };
        let slow = Slow::of(&recording, &zones, None, drive, 1 << 30);
        assert_eq!(slow.reads, [(2 << 16, 0.039), (500 << 16, 0.399)]);
        assert_eq!((slow.judged, slow.sorts().len()), (8, 2));
    }

    #[test]
    fn quantiles_keep_the_mean() {
        let mut dice = crate::dice::Sequence::new(3, "quantiles");
        for (count, near) in [(30, 0.05), (900, 0.01), (20_000, 0.01)] {
            let values: Vec<f64> = (0..count).map(|_| dice.log_normal(0.1, 1.2)).collect();
            let mean = values.iter().sum::<f64>() / count as f64;
            let knots = quantiles(&values);
            let drawn =
                knots.windows(2).map(|two| (two[0] + two[1]) / 2.0).sum::<f64>() / (knots.len() - 1) as f64;
            assert!((drawn / mean - 1.0).abs() < near, "{drawn} for {mean} of {count}");
            assert!(knots.is_sorted() && knots.len() == if count < 1000 { 21 } else { 101 });
        }
        assert!(quantiles(&[]).is_empty());
        let fit = Fit::of(&Recording::default());
        assert_eq!(fit.slow.share(), 0.0);
    }
}
