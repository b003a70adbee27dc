//! A strategy like that of HDDSuperClone: phases of copying that learn how far to skip, then trimming, dividing, scraping.
//!
//! Owns the phases. How far to skip is learned in `skip.rs`. Must not know how a read is done.
//! Source: the public manual of HDDSuperClone 2.3; never held against the program, hence "like".

use block::{ByteRange, Nanos, Offset, Patience};
use map::{Phase, Position, Status};

use super::course::{Manner, ahead_of, natural_start, near_end, next_part, resumed_at};
use super::register::{Ground, Made, Settings};
use crate::{Direction, EndsAt, IfUnread, Outcome, Stage, Step, Strategy, View};

mod skip;

pub use skip::{Pace, Skip};

/// A read that takes longer is skipped from in phases 1 and 2.
const LONG_READ: Nanos = Nanos::from_secs(1);
/// Bytes per second below which phase 3 skips.
const RATE_MIN: u64 = 50_000;
/// How often in a row the rate is found so low before it does.
const SLOW_UPDATES: u32 = 2;
/// Time between two looks at the rate.
const UPDATE: Nanos = Nanos::from_secs(1);

/// Settings of [`SupercloneLike`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupercloneOptions {
    /// Bytes of a sector.
    pub sector: u64,
    /// Bytes of a read while copying; a multiple of the sector.
    pub cluster: u64,
    /// Bytes of the source, if known.
    pub size: Option<u64>,
    /// How fast skips grow.
    pub pace: Pace,
    /// How often failed clusters are divided before they are read by sectors: 1 or 2.
    pub divisions: u32,
    /// How often bad sectors are read again; `None`: for ever.
    pub retries: Option<u32>,
    /// Where an earlier run stopped.
    pub resume: Option<Position>,
}

/// Copying in four phases, then into failed clusters from their edges, then in ever smaller pieces.
#[derive(Clone, Debug)]
pub struct SupercloneLike {
    options: SupercloneOptions,
    skip: Skip,
    /// What is done now; `None` before the first step.
    part: Option<Part>,
    at: Offset,
    slow: SlowUpdates,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Phases 1 to 4.
    Copying(u32),
    /// From the start of each failed cluster, then from its end.
    Trimming(Side, ByteRange),
    /// In pieces of a cluster; the last of them are sectors.
    Dividing(u32),
    Retrying(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Leading,
    Trailing,
}

/// Looks at a rate that was too low, in a row.
#[derive(Clone, Copy, Debug, Default)]
struct SlowUpdates {
    count: u32,
    bytes: u64,
    time: Nanos,
}

impl SlowUpdates {
    /// Takes note of a read; returns whether the rate has been too low for too long.
    fn read(&mut self, bytes: u64, took: Nanos) -> bool {
        self.bytes += bytes;
        self.time += took;
        if self.time < UPDATE {
            return false;
        }
        let is_slow = u128::from(self.bytes) * 1_000_000_000
            < u128::from(RATE_MIN) * u128::from(self.time.nanoseconds());
        let count = if is_slow { self.count + 1 } else { 0 };
        let is_over = count >= SLOW_UPDATES;
        *self = SlowUpdates { count: if is_over { 0 } else { count }, ..SlowUpdates::default() };
        is_over
    }
}

impl SupercloneLike {
    /// Makes the strategy.
    pub fn new(options: SupercloneOptions) -> SupercloneLike {
        let sectors = options.size.map(|size| size / options.sector);
        let skip = Skip::new(options.pace, sectors);
        SupercloneLike { options, skip, part: None, at: Offset::ZERO, slow: SlowUpdates::default() }
    }

    /// Makes it as the register does.
    pub(super) fn make(ground: &Ground, settings: &Settings) -> Made {
        settings.none_but(&["fast", "divisions"])?;
        let is_fast = settings.number("fast", 0..=1, 0)? == 1;
        Ok(Box::new(SupercloneLike::new(SupercloneOptions {
            sector: ground.sector,
            cluster: ground.block_or(64 << 10),
            size: ground.size,
            pace: if is_fast { Pace::Fast } else { Pace::Usual },
            divisions: settings.number("divisions", 1..=2, 1)? as u32,
            retries: ground.retries,
            resume: ground.resume,
        })))
    }

    fn begin(&mut self, view: View<'_>) -> Part {
        let (part, status) = match self.options.resume {
            Some(Position { phase: Phase::Copying, pass: pass @ 1..=4, .. }) => {
                (Part::Copying(pass), Status::NonTried)
            }
            Some(Position { phase: Phase::Trimming, .. }) => {
                (Part::Trimming(Side::Leading, ByteRange::default()), Status::NonTrimmed)
            }
            Some(Position { phase: Phase::Scraping, pass, .. }) if pass > 0 => {
                (Part::Dividing(pass.min(self.options.divisions + 1)), Status::NonScraped)
            }
            Some(Position { phase: Phase::Retrying, pass, .. }) if pass > 0 => {
                (Part::Retrying(1), Status::BadSector)
            }
            _ => (Part::Copying(1), Status::NonTried),
        };
        let direction = direction_of(part);
        let at = self.options.resume.and_then(|position| resumed_at(view, position.at, direction, status));
        // What is left of earlier parts comes first, as they find nothing else.
        let is_left = match part {
            Part::Copying(_) => false,
            _ => view.book.bytes(Status::NonTried) > 0,
        };
        if is_left {
            self.at = Offset::ZERO;
            return Part::Copying(1);
        }
        self.at = at.filter(|_| !matches!(part, Part::Trimming(..))).unwrap_or(natural_start(direction));
        part
    }

    fn manner(&self, part: Part) -> Manner {
        let SupercloneOptions { sector, cluster, divisions, .. } = self.options;
        let (phase, pass) = match part {
            Part::Copying(pass) => (Phase::Copying, pass),
            Part::Trimming(..) => (Phase::Trimming, 1),
            Part::Dividing(pass) => (Phase::Scraping, pass),
            Part::Retrying(pass) => (Phase::Retrying, pass),
        };
        let (unit, if_unread, ends_at) = match part {
            Part::Copying(1 | 2) => (cluster, IfUnread::NonTrimmed, EndsAt::DamageOrLongRead(LONG_READ)),
            Part::Copying(3) => {
                let time = cluster.saturating_mul(1_000_000_000) / RATE_MIN;
                (cluster, IfUnread::NonTrimmed, EndsAt::DamageOrLongRead(Nanos::new(time)))
            }
            Part::Copying(_) => (cluster, IfUnread::NonTrimmed, EndsAt::RangeEnd),
            Part::Trimming(..) => (sector, IfUnread::BadSector, EndsAt::Damage),
            Part::Dividing(pass) if pass <= divisions => {
                let parts = match (pass, divisions) {
                    (1, 1) => 8,
                    (1, _) => 4,
                    _ => 16,
                };
                let unit = (cluster / parts).next_multiple_of(sector);
                (unit, IfUnread::NonScraped, EndsAt::RangeEnd)
            }
            Part::Dividing(_) | Part::Retrying(_) => (sector, IfUnread::BadSector, EndsAt::RangeEnd),
        };
        let stage = Stage { phase, pass, round: pass, direction: direction_of(part) };
        Manner { unit, stage, if_unread, ends_at, patience: Patience::Endless }
    }

    fn after(&self, part: Part) -> Option<Part> {
        let SupercloneOptions { divisions, retries, .. } = self.options;
        Some(match part {
            Part::Copying(phase @ 1..=3) => Part::Copying(phase + 1),
            Part::Copying(_) => Part::Trimming(Side::Leading, ByteRange::default()),
            Part::Trimming(..) => Part::Dividing(1),
            Part::Dividing(pass) if pass <= divisions => Part::Dividing(pass + 1),
            Part::Dividing(_) => Part::Retrying(1),
            Part::Retrying(pass) => Part::Retrying(pass + 1),
        })
        .filter(|part| match part {
            Part::Retrying(pass) => retries.is_none_or(|retries| *pass <= retries),
            _ => true,
        })
    }

    /// Returns where copying goes on.
    fn after_copying(&mut self, phase: u32, outcome: &Outcome) -> Offset {
        let at = outcome.sweep.after(outcome.last);
        let direction = outcome.sweep.direction;
        let sector = self.options.sector;
        let good = if outcome.earlier_reads > 0 { outcome.sweep.unit } else { 0 } * outcome.earlier_reads;
        let is_long =
            matches!(outcome.sweep.ends_at, EndsAt::DamageOrLongRead(limit) if outcome.last_took > limit);
        let is_bad = outcome.failed || is_long;
        match phase {
            1 | 2 => {
                let last = if is_bad { 0 } else { outcome.last_copied };
                self.skip.progress((good + last) / sector);
                if !is_bad {
                    return at;
                }
                let from = near_end(outcome.last, direction);
                let to = ahead_of(from, self.skip.take().saturating_mul(sector), direction);
                match direction {
                    Direction::Forwards => to.max(at),
                    Direction::Backwards => to.min(at),
                }
            }
            3 => {
                if outcome.earlier_reads > 0 || !is_bad {
                    self.slow = SlowUpdates::default();
                }
                if is_bad && self.slow.read(outcome.last_copied, outcome.last_took) {
                    return ahead_of(at, self.skip.least().saturating_mul(sector), direction);
                }
                at
            }
            _ => at,
        }
    }

    fn trim(&mut self, view: View<'_>, side: Side, block: ByteRange, last: Option<&Outcome>) -> Option<Step> {
        let sectors = |strategy: &SupercloneLike, side, range| {
            let direction = match side {
                Side::Leading => Direction::Forwards,
                Side::Trailing => Direction::Backwards,
            };
            let mut step = strategy.manner(Part::Trimming(side, range)).sweep(range);
            if let Step::Sweep(sweep) = &mut step {
                sweep.direction = direction;
            }
            step
        };
        if let Some(outcome) = last {
            let rest = match (side, outcome.failed) {
                (_, false) => ByteRange::default(),
                (Side::Leading, true) => ByteRange::between(outcome.last.end(), block.end()),
                (Side::Trailing, true) => ByteRange::between(block.start(), outcome.last.start()),
            };
            if !rest.is_empty() {
                let next =
                    Part::Trimming(if side == Side::Leading { Side::Trailing } else { Side::Leading }, rest);
                self.part = Some(next);
                return Some(match side {
                    Side::Leading => sectors(self, Side::Trailing, rest),
                    Side::Trailing => Step::Mark { range: rest, status: Status::NonScraped },
                });
            }
        }
        let next = next_part(view, &[Status::NonTrimmed], self.at, Direction::Forwards)?;
        self.at = next.range.end();
        self.part = Some(Part::Trimming(Side::Leading, next.range));
        Some(sectors(self, Side::Leading, next.range))
    }
}

fn direction_of(part: Part) -> Direction {
    match part {
        Part::Copying(2) => Direction::Backwards,
        _ => Direction::Forwards,
    }
}

impl Strategy for SupercloneLike {
    fn name(&self) -> &'static str {
        "superclone-like"
    }

    fn step(&mut self, view: View<'_>, last: Option<&Outcome>) -> Option<Step> {
        let mut last = last;
        loop {
            let part = match self.part {
                Some(part) => part,
                None => self.begin(view),
            };
            self.part = Some(part);
            let status = match part {
                Part::Copying(_) => Status::NonTried,
                Part::Trimming(..) => Status::NonTrimmed,
                Part::Dividing(_) => Status::NonScraped,
                Part::Retrying(_) => Status::BadSector,
            };
            let step = match part {
                Part::Trimming(side, block) => self.trim(view, side, block, last),
                _ => {
                    if let Some(outcome) = last {
                        self.at = match part {
                            Part::Copying(phase) => self.after_copying(phase, outcome),
                            _ => outcome.sweep.after(outcome.last),
                        };
                    }
                    let next = next_part(view, &[status], self.at, direction_of(part));
                    next.map(|next| self.manner(part).sweep(next.range))
                }
            };
            if step.is_some() {
                return step;
            }
            last = None;
            let next = self.after(part)?;
            if matches!(next, Part::Retrying(_)) && view.book.bytes(Status::BadSector) == 0 {
                return None;
            }
            if matches!(next, Part::Copying(_)) {
                self.skip.end_run();
            }
            self.part = Some(next);
            self.at = natural_start(direction_of(next));
        }
    }
}
