//! Which record tells of a read.
//!
//! Owns the looking up by place and length, and how often each was asked for. Must not know drives.

use std::collections::BTreeMap;
use std::ops::Range;

use block::{ByteRange, Nanos, Offset, RangeSet};

use crate::attempts::Attempts;
use crate::recording::{Failure, Record, Recording};

/// Records by the size of their reads and how these lie in multiples of it.
pub(crate) struct Index {
    /// Key: bytes of a read, and where it begins modulo that.
    classes: BTreeMap<(u64, u64), Class>,
}

/// Reads of one size, side by side.
#[derive(Default)]
struct Class {
    /// Start to end, and what each read in there was answered in turn; disjoint.
    rows: BTreeMap<u64, (u64, Vec<Answer>)>,
    /// How often each read was played, by its number.
    played: Attempts,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Answer {
    failed: Option<Failure>,
    took: Option<Nanos>,
}

/// What is known of the bytes from some place on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Known {
    /// They were read, up to `until`.
    Told {
        /// The byte behind.
        until: u64,
        /// Whether that failed.
        failed: Option<Failure>,
        /// How long it took.
        took: Option<Nanos>,
    },
    /// Nobody read them, up to `until`.
    Untold {
        /// The byte behind.
        until: u64,
    },
}

/// Which bytes ever came.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// Those that some read brought.
    pub(crate) good: Vec<Range<u64>>,
    /// Those that none brought, read by themselves.
    pub(crate) bad: Vec<Range<u64>>,
    /// Those of longer reads that failed.
    pub(crate) unclear: Vec<Range<u64>>,
}

impl Index {
    pub(crate) fn new(recording: &Recording) -> Index {
        let mut classes: BTreeMap<(u64, u64), Class> = BTreeMap::new();
        for record in &recording.records {
            classes.entry((record.unit, record.at % record.unit)).or_default().insert(record);
        }
        Index { classes }
    }

    /// What is known of the bytes from `at` on, `end` at most; counts as an attempt.
    pub(crate) fn next(&mut self, at: u64, end: u64, recording: &Recording) -> Known {
        // The longest read that fits was recorded for this one, or for a part of it.
        let fits = |((unit, phase), class): &(&(u64, u64), &mut Class)| {
            *unit <= end - at && at % unit == *phase && class.answers(at).is_some()
        };
        if let Some(((unit, _), class)) = self.classes.iter_mut().rev().find(fits) {
            let answer = class.play(at, *unit, recording.alternates);
            return Known::Told { until: at + unit, failed: answer.failed, took: answer.took };
        }
        // A longer read that went well brought these bytes too.
        let mut until = end;
        for ((unit, phase), class) in &self.classes {
            let start = at.checked_sub(*phase).map(|over| over / unit * unit + phase);
            let answers = start.and_then(|start| class.answers(start));
            let whole = answers.and_then(|all| all.iter().find(|answer| answer.failed.is_none()));
            if let Some(answer) = whole {
                let until = end.min(start.unwrap_or(at) + unit);
                let share = |time: Nanos| {
                    let part = u128::from(time.nanoseconds()) * u128::from(until - at) / u128::from(*unit);
                    Nanos::new(part as u64)
                };
                return Known::Told { until, failed: None, took: answer.took.map(share) };
            }
            until = until.min(class.next_start(at, *unit, *phase).unwrap_or(end));
        }
        Known::Untold { until }
    }

    /// Whether no record tells of any of these bytes.
    pub(crate) fn is_untold(&self, start: u64, end: u64) -> bool {
        self.classes.values().all(|class| {
            let before = class.rows.range(..end).next_back();
            before.is_none_or(|(_, (until, _))| *until <= start)
        })
    }

    /// What became of reads of at most `sector` bytes that failed at first.
    pub(crate) fn retries(&self, sector: u64) -> Retries {
        let mut retries = Retries::default();
        let (mut tries, mut lost) = (0, 0);
        let (mut before, mut found) = (0, 0);
        for ((unit, _), class) in self.classes.iter().filter(|((unit, _), _)| *unit <= sector) {
            for (start, (end, answers)) in &class.rows {
                let sectors = (end - start) / unit;
                let failures = answers.iter().take_while(|answer| answer.failed.is_some()).count();
                if failures == 0 {
                    continue;
                }
                let passes = &mut retries.passes;
                passes.resize(passes.len().max(answers.len().min(failures + 1)), (0, 0));
                (1..failures).for_each(|before| passes[before].0 += sectors);
                if failures < answers.len() {
                    passes[failures].0 += sectors;
                    passes[failures].1 += sectors;
                    retries.recovered.push(*start..*end);
                    before += failures as u64 * sectors;
                    found += sectors;
                } else {
                    tries += failures as u64 * sectors;
                    lost += sectors;
                }
            }
        }
        retries.tries = tries as f64 / (lost as f64).max(1.0);
        retries.failed_first = before as f64 / (found as f64).max(1.0);
        retries.recovered.sort_unstable_by_key(|range| range.start);
        retries
    }

    /// Which bytes ever came. Reads of at most `sector` bytes fail as a whole.
    pub(crate) fn truth(&self, sector: u64) -> Truth {
        let (mut good, mut bad, mut unclear) = (Vec::new(), Vec::new(), Vec::new());
        for ((unit, _), class) in &self.classes {
            for (start, (end, answers)) in &class.rows {
                if answers.iter().any(|answer| answer.failed.is_none()) {
                    good.push(*start..*end);
                    continue;
                }
                let failures = answers.iter().filter_map(|answer| answer.failed);
                let prefix = failures.map(|failure| failure.good).max().unwrap_or(0);
                let fails = if *unit <= sector { &mut bad } else { &mut unclear };
                if prefix == 0 {
                    fails.push(*start..*end);
                    continue;
                }
                for at in (*start..*end).step_by(*unit as usize) {
                    good.push(at..at + prefix);
                    fails.push(at + prefix..at + unit);
                }
            }
        }
        let good = set(&good);
        let bad = set(&bad).minus(&good);
        let unclear = set(&unclear).minus(&good).minus(&bad);
        Truth { good: ranges(&good), bad: ranges(&bad), unclear: ranges(&unclear) }
    }
}

/// What became of sectors that failed at first.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    /// By how often they had failed before: how often they were tried then, and how often that brought them.
    pub(crate) passes: Vec<(u64, u64)>,
    /// Bytes that came later.
    pub(crate) recovered: Vec<Range<u64>>,
    /// How often each of those was tried that never came, on the average.
    pub(crate) tries: f64,
    /// How often each of those had failed that came later, on the average.
    pub(crate) failed_first: f64,
}

impl Truth {
    /// Bytes of a disk of `size` bytes that nobody read.
    pub(crate) fn untold(&self, size: u64) -> Vec<Range<u64>> {
        let told: Vec<_> = self.good.iter().chain(&self.bad).chain(&self.unclear).cloned().collect();
        let whole = std::iter::once(0..size).collect::<Vec<_>>();
        ranges(&set(&whole).minus(&set(&told)))
    }
}

fn set(ranges: &[Range<u64>]) -> RangeSet {
    ranges.iter().map(|r| ByteRange::between(Offset::new(r.start), Offset::new(r.end))).collect()
}

fn ranges(set: &RangeSet) -> Vec<Range<u64>> {
    set.ranges().iter().map(|range| range.start().bytes()..range.end().bytes()).collect()
}

impl Class {
    fn insert(&mut self, record: &Record) {
        let answer = Answer { failed: record.failed, took: record.took };
        let (start, end) = (record.at, record.end());
        self.split(start);
        self.split(end);
        let inside: Vec<(u64, u64)> = self.rows.range(start..end).map(|(at, (end, _))| (*at, *end)).collect();
        let mut at = start;
        for (from, to) in inside {
            if at < from {
                self.rows.insert(at, (from, vec![answer]));
            }
            if let Some((_, answers)) = self.rows.get_mut(&from) {
                answers.push(answer);
            }
            at = to;
        }
        if at < end {
            self.rows.insert(at, (end, vec![answer]));
        }
    }

    fn split(&mut self, at: u64) {
        let found = self.rows.range(..at).next_back().map(|(start, row)| (*start, row.clone()));
        if let Some((start, (end, answers))) = found.filter(|(_, (end, _))| at < *end) {
            self.rows.insert(start, (at, answers.clone()));
            self.rows.insert(at, (end, answers));
        }
    }

    /// Answers to the read that begins at `at`, if it was recorded.
    fn answers(&self, at: u64) -> Option<&[Answer]> {
        let (_, (end, answers)) = self.rows.range(..=at).next_back()?;
        (at < *end).then_some(answers)
    }

    /// The answer to this attempt at the read that begins at `at`, which was recorded.
    fn play(&mut self, at: u64, unit: u64, alternates: bool) -> Answer {
        let number = at / unit;
        let attempt = self.played.of(number) as usize;
        self.played.add(number..number + 1);
        let answers = self.answers(at).unwrap_or(&[]);
        let kept = if alternates { answers.len().min(2) } else { 1 };
        let index = match attempt.checked_sub(answers.len()) {
            None => attempt,
            Some(over) => answers.len().saturating_sub(kept) + over % kept.max(1),
        };
        answers.get(index).copied().unwrap_or(Answer { failed: None, took: None })
    }

    /// Where the first recorded read behind `at` begins.
    fn next_start(&self, at: u64, unit: u64, phase: u64) -> Option<u64> {
        if let Some((_, (end, _))) = self.rows.range(..=at).next_back() {
            let next = at.checked_sub(phase).map_or(phase, |over| (over / unit + 1) * unit + phase);
            if at < *end && next < *end {
                return Some(next);
            }
        }
        self.rows.range(at + 1..).next().map(|(start, _)| *start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(records: Vec<Record>) -> Recording {
        Recording { block: 512, records, ..Recording::default() }
    }

    fn told(until: u64, fails: bool, millis: u64) -> Known {
        let failed = Record::failed(0, 1, Nanos::ZERO).failed.filter(|_| fails);
        Known::Told { until, failed, took: Some(Nanos::from_millis(millis)) }
    }

    #[test]
    fn the_same_read_gets_the_same_answers_in_turn_and_the_last_is_kept() {
        let ms = Nanos::from_millis;
        let all = vec![
            Record { reads: 4, ..Record::good(0, 1024, ms(1)) },
            Record::failed(1024, 1024, ms(30)),
            Record::good(1024, 1024, ms(9)),
        ];
        let recording = recording(all);
        let mut index = Index::new(&recording);
        for (at, expected) in [
            (1024, told(2048, false, 1)),
            (1024, told(2048, true, 30)),
            (0, told(1024, false, 1)),
            (1024, told(2048, false, 9)),
            (1024, told(2048, false, 9)),
            (3072, told(4096, false, 1)),
        ] {
            assert_eq!(index.next(at, at + 1024, &recording), expected, "at {at}");
        }
        let alternating = Recording { alternates: true, ..recording };
        let mut index = Index::new(&alternating);
        let fails: Vec<bool> = (0..7)
            .map(|_| matches!(index.next(1024, 2048, &alternating), Known::Told { failed: Some(_), .. }))
            .collect();
        assert_eq!(fails, [false, true, false, true, false, true, false]);
    }

    #[test]
    fn other_reads_are_put_together() {
        let ms = Nanos::from_millis;
        let all = vec![
            Record::failed(0, 4096, ms(30)),
            Record::good(0, 512, ms(1)),
            Record::good(8192, 4096, ms(8)),
            Record::good(100 * 512, 1024, ms(2)),
        ];
        let recording = recording(all);
        let mut index = Index::new(&recording);
        assert_eq!(index.next(0, 8192, &recording), told(4096, true, 30), "the longest that fits");
        assert_eq!(index.next(0, 2048, &recording), told(512, false, 1), "a shorter one in it");
        assert_eq!(
            index.next(512, 2048, &recording),
            Known::Untold { until: 2048 },
            "of a long one that failed"
        );
        assert_eq!(
            index.next(8192 + 512, 12288, &recording),
            told(12288, false, 7),
            "its share of a long one"
        );
        assert_eq!(
            index.next(12288, 1 << 20, &recording),
            Known::Untold { until: 51200 },
            "up to the next one"
        );
        assert!(index.is_untold(4096, 8192) && !index.is_untold(4095, 8192) && !index.is_untold(4096, 8193));
    }

    #[test]
    fn sectors_that_failed_are_counted_by_their_tries() {
        let ms = Nanos::from_millis;
        let (good, failed) = (|at| Record::good(at, 512, ms(1)), |at| Record::failed(at, 512, ms(1)));
        let row = Record { reads: 3, ..failed(512) };
        let all =
            vec![good(0), failed(0), row, failed(512), failed(512), good(1024), failed(1536), good(1536)];
        let retries = Index::new(&recording(all)).retries(512);
        // The second, third and fourth sector failed at first: once more, not, once more, and so on.
        assert_eq!(retries.passes, [(0, 0), (3, 1), (2, 1)]);
        assert_eq!(retries.recovered, [1024..1536, 1536..2048]);
        assert_eq!((retries.tries, retries.failed_first), (3.0, 1.5));
    }

    #[test]
    fn what_some_read_brought_is_not_lost() {
        let ms = Nanos::from_millis;
        let prefix = Record {
            failed: Some(Failure { class: crate::law::ErrorClass::Aborted, good: 1024 }),
            ..Record::failed(8192, 4096, ms(1))
        };
        let all = vec![
            Record::failed(0, 2048, ms(30)),
            Record::good(0, 512, ms(1)),
            Record::failed(512, 512, ms(1)),
            prefix,
        ];
        let truth = Index::new(&recording(all)).truth(512);
        assert_eq!(truth.good, [0..512, 8192..9216]);
        assert_eq!((truth.bad.len(), truth.bad[0].clone()), (1, 512..1024));
        assert_eq!(truth.unclear, [1024..2048, 9216..12288]);
        assert_eq!(truth.untold(16384), [2048..8192, 12288..16384]);
    }
}
