//! What a strategy may ask for, and what it is told afterwards.
//!
//! Owns the vocabulary between strategy and loop. Must not know how a read is done.

use block::{ByteRange, Errno, Nanos, Offset, Patience, Recovery};
use map::{Phase, Status};

/// Which way a pass runs over the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From low to high positions.
    Forwards,
    /// From high to low positions.
    Backwards,
}

impl Direction {
    /// The other one.
    pub fn opposite(self) -> Direction {
        match self {
            Direction::Forwards => Direction::Backwards,
            Direction::Backwards => Direction::Forwards,
        }
    }
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read, again and again, until the sweep ends.
    Sweep(Sweep),
    /// Change the map without reading.
    Mark {
        /// What.
        range: ByteRange,
        /// To what.
        status: Status,
    },
    /// Do nothing for so long.
    Rest(Nanos),
    /// Do something about a source in trouble.
    Recover(Recovery),
}

/// Equal reads in a row over a range.
///
/// Each read is `unit` bytes, cut so that it ends on a multiple of `unit` unless it reaches the end of the range.
/// The loop does not ask the strategy again before the sweep ends; it may join reads into larger ones as long as
/// all of them succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// What to read. Must lie in one piece of the domain. It may cross blocks of the map, and hold what was read before:
    /// what is rescued stays rescued, and no status becomes a less processed one.
    pub range: ByteRange,
    /// Size of one read in bytes.
    pub unit: u64,
    /// From which end.
    pub direction: Direction,
    /// What this is part of.
    pub stage: Stage,
    /// Status for what could not be read.
    pub if_unread: IfUnread,
    /// When to come back and ask.
    pub ends_at: EndsAt,
    /// How long to wait for one read, if that is less than what the rescue is told to wait.
    pub patience: Patience,
}

/// A phase, a pass, and how both are told to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The phase.
    pub phase: Phase,
    /// Its pass as saved in the map.
    pub pass: u32,
    /// Its pass as counted in this run. Differs from `pass` when retrying resumed in the second direction.
    pub round: u32,
    /// Which way it runs as a whole.
    pub direction: Direction,
}

/// Status for what could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfUnread {
    /// Non-trimmed, or bad-sector if it is not larger than a sector.
    NonTrimmed,
    /// Non-scraped, or bad-sector if it is not larger than a sector.
    NonScraped,
    /// Bad-sector, whatever its size.
    BadSector,
    /// The one that it has: this read is made for what it does to the drive. It does not move the position either.
    Unchanged,
}

/// What ends a sweep before its range is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndsAt {
    /// Nothing but the end of the range.
    RangeEnd,
    /// The first read that fails.
    Damage,
    /// The first read that fails, or after which the source is found to be slow.
    DamageOrSlowness,
    /// The first read that fails, or takes longer. Its reads are made one by one.
    DamageOrLongRead(Nanos),
}

impl Sweep {
    /// Returns the read to make when all up to `at` (down to it, when backwards) is done; `None` at the end.
    pub fn request_at(&self, at: Offset) -> Option<ByteRange> {
        self.piece_at(at, self.unit)
    }

    /// As [`Sweep::request_at`], for `length` bytes: a multiple of the unit.
    pub fn piece_at(&self, at: Offset, length: u64) -> Option<ByteRange> {
        let piece = match self.direction {
            Direction::Forwards => {
                let mut end = (at + length).min(self.range.end());
                if end < self.range.end() && end.align_down(self.unit) > at {
                    end = end.align_down(self.unit);
                }
                ByteRange::between(at, end)
            }
            Direction::Backwards => {
                let mut start = at.saturating_back(length).max(self.range.start());
                if start > self.range.start() && start.align_up(self.unit) < at {
                    start = start.align_up(self.unit);
                }
                ByteRange::between(start, at)
            }
        };
        (!piece.is_empty()).then_some(piece)
    }

    /// Whether each read must be known for itself, so that none may be joined with others.
    pub fn is_timed(&self) -> bool {
        matches!(self.ends_at, EndsAt::DamageOrLongRead(_)) || self.patience != Patience::Endless
    }

    /// Where it starts: the low end forwards, the high end backwards.
    pub fn origin(&self) -> Offset {
        match self.direction {
            Direction::Forwards => self.range.start(),
            Direction::Backwards => self.range.end(),
        }
    }

    /// Where the sweep stands after `done` has been read.
    pub fn after(&self, done: ByteRange) -> Offset {
        match self.direction {
            Direction::Forwards => done.end(),
            Direction::Backwards => done.start(),
        }
    }
}

/// How the last sweep ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The sweep.
    pub sweep: Sweep,
    /// The last read made; its unread part has been marked.
    pub last: ByteRange,
    /// Reads before the last one; none of them made the sweep end.
    pub earlier_reads: u64,
    /// Bytes that the last read copied.
    pub last_copied: u64,
    /// How many of them lie at its start, before anything that could not be read.
    pub last_leading: u64,
    /// Whether the last read failed.
    pub failed: bool,
    /// Why it did.
    pub errno: Option<Errno>,
    /// How long the last read took; with all that it was joined with, where reads need not be told apart.
    pub last_took: Nanos,
    /// Whether the source was found to be slow after the last read.
    pub slow: Option<Slow>,
}

/// The source was found to be slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow {
    /// Rate of the last second in bytes per second.
    pub rate: u64,
    /// Whether the second before was slow too.
    pub continued: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(start: u64, end: u64, direction: Direction) -> Sweep {
        Sweep {
            range: ByteRange::between(Offset::new(start), Offset::new(end)),
            unit: 100,
            direction,
            stage: Stage { phase: Phase::Copying, pass: 1, round: 1, direction },
            if_unread: IfUnread::NonTrimmed,
            ends_at: EndsAt::Damage,
            patience: Patience::Endless,
        }
    }

    fn reads(sweep: &Sweep) -> Vec<(u64, u64)> {
        let mut at = sweep.origin();
        let mut reads = Vec::new();
        while let Some(read) = sweep.request_at(at) {
            reads.push((read.start().bytes(), read.end().bytes()));
            at = sweep.after(read);
        }
        reads
    }

    #[test]
    fn reads_realign_themselves_after_an_unaligned_start() {
        assert_eq!(
            reads(&sweep(30, 350, Direction::Forwards)),
            [(30, 100), (100, 200), (200, 300), (300, 350)]
        );
        assert_eq!(
            reads(&sweep(30, 350, Direction::Backwards)),
            [(300, 350), (200, 300), (100, 200), (30, 100)]
        );
    }

    #[test]
    fn a_range_shorter_than_a_unit_is_one_read_even_across_a_multiple() {
        assert_eq!(reads(&sweep(90, 120, Direction::Forwards)), [(90, 120)]);
    }
}
