//! An imitation of a hardware imager: passes with growing patience and falling jumps, and resets of a drive that hangs.
//!
//! Owns its passes. Must not know how a read is given up.
//! Source: public manuals of such tools, condensed; numbers are indicative, hence the name of its own.

use block::{Nanos, Offset, Patience};
use map::{Phase, Position, Status};

use super::course::{Manner, ahead_of, natural_start, next_part};
use super::register::{Ground, Made, Settings};
use crate::{Direction, EndsAt, IfUnread, Outcome, Stage, Step, Strategy, View};

/// Bytes of a unit in which passes are told.
const UNIT: u64 = 512;

/// A pass.
#[derive(Clone, Copy, Debug)]
struct Pass {
    patience: Nanos,
    /// Units of a read.
    block: u64,
    /// Units that are passed over behind a failed read.
    jump: u64,
    direction: Direction,
    phase: Phase,
    /// Its number within the phase.
    number: u32,
    reads: &'static [Status],
    if_unread: IfUnread,
}

const PASSES: [Pass; 5] = {
    use Direction::{Backwards as B, Forwards as F};
    const fn copying(number: u32, millis: u64, block: u64, jump: u64, direction: Direction) -> Pass {
        let (phase, reads, if_unread) = (Phase::Copying, &[Status::NonTried], IfUnread::NonTrimmed);
        Pass { patience: Nanos::from_millis(millis), block, jump, direction, phase, number, reads, if_unread }
    }
    [
        copying(1, 500, 256, 100_000, F),
        copying(2, 1000, 256, 10_000, B),
        copying(3, 2000, 128, 1000, F),
        Pass {
            phase: Phase::Trimming,
            reads: &[Status::NonTried, Status::NonTrimmed],
            if_unread: IfUnread::NonScraped,
            ..copying(1, 5000, 16, 0, B)
        },
        Pass {
            phase: Phase::Scraping,
            // A piece of one sector was called bad at once, and had less time.
            reads: &[Status::NonScraped, Status::BadSector],
            if_unread: IfUnread::BadSector,
            ..copying(1, 10_000, 1, 0, F)
        },
    ]
};

/// Passes with growing patience and falling jumps.
#[derive(Clone, Debug)]
pub struct HwA {
    sector: u64,
    resume: Option<Position>,
    /// Index of the pass.
    pass: usize,
    at: Option<Offset>,
}

impl HwA {
    /// Makes the strategy for sectors of so many bytes.
    pub fn new(sector: u64, resume: Option<Position>) -> HwA {
        HwA { sector, resume, pass: 0, at: None }
    }

    /// Makes it as the register does.
    pub(super) fn make(ground: &Ground, settings: &Settings) -> Made {
        settings.none_but(&[])?;
        Ok(Box::new(HwA::new(ground.sector, ground.resume)))
    }

    fn in_sectors(&self, units: u64) -> u64 {
        (units * UNIT).next_multiple_of(self.sector)
    }

    fn begin(&mut self) -> Offset {
        let fits = |pass: &Pass, at: &Position| (pass.phase, pass.number) == (at.phase, at.pass);
        let resumed = self.resume.take();
        let found = resumed.and_then(|at| Some((PASSES.iter().position(|pass| fits(pass, &at))?, at)));
        match found {
            Some((pass, position)) if position.at > Offset::ZERO => {
                self.pass = pass;
                position.at
            }
            _ => natural_start(PASSES[self.pass].direction),
        }
    }
}

impl Strategy for HwA {
    fn name(&self) -> &'static str {
        "hwA"
    }

    fn step(&mut self, view: View<'_>, last: Option<&Outcome>) -> Option<Step> {
        let mut at = match self.at {
            Some(at) => at,
            None => self.begin(),
        };
        if let Some(outcome) = last {
            let Pass { jump, direction, .. } = PASSES[self.pass];
            at = outcome.sweep.after(outcome.last);
            if outcome.failed {
                at = ahead_of(at, self.in_sectors(jump), direction);
            }
        }
        loop {
            self.at = Some(at);
            let pass = PASSES.get(self.pass)?;
            if let Some(part) = next_part(view, pass.reads, at, pass.direction) {
                let Pass { phase, number, direction, if_unread, .. } = *pass;
                let stage = Stage { phase, pass: number, round: number, direction };
                let (unit, patience) = (self.in_sectors(pass.block), Patience::UpTo(pass.patience));
                return Some(
                    Manner { unit, stage, if_unread, ends_at: EndsAt::Damage, patience }.sweep(part.range),
                );
            }
            self.pass += 1;
            at = natural_start(PASSES.get(self.pass)?.direction);
        }
    }
}
