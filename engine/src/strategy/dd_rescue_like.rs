//! A strategy like that of dd_rescue: in order, in large blocks far from damage and in small ones near it.
//!
//! Owns the change between the two sizes. Must not know how a read is done.
//! Source: manual of dd_rescue, as far as it tells; never held against the program, hence "like".

use block::{Offset, Patience};
use map::{Phase, Status};

use super::course::{
    Manner, ahead_of, border_from, far_end, is_before, natural_start, near_end, next_block, next_part,
    part_from,
};
use super::register::{Ground, Made, Settings};
use crate::{Direction, EndsAt, IfUnread, Outcome, Stage, Step, Strategy, View};

/// Whole large blocks without an error after which large ones are read again.
const GOOD_BLOCKS: u64 = 2;

/// Settings of [`DdRescueLike`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DdRescueOptions {
    /// Bytes of a read far from damage.
    pub soft: u64,
    /// Bytes of a read near it; what fails at that size is not tried again.
    pub hard: u64,
    /// From which end.
    pub direction: Direction,
    /// Where an earlier run stopped.
    pub resume: Option<map::Position>,
}

/// Large blocks; after a failed one small ones, until two large blocks went by without an error.
#[derive(Clone, Debug)]
pub struct DdRescueLike {
    options: DdRescueOptions,
    at: Option<Offset>,
    /// Where large blocks may be read again.
    soft_from: Offset,
}

impl DdRescueLike {
    /// Makes the strategy.
    pub fn new(options: DdRescueOptions) -> DdRescueLike {
        let soft_from = natural_start(options.direction);
        DdRescueLike { options, at: None, soft_from }
    }

    /// Makes it as the register does.
    pub(super) fn make(ground: &Ground, settings: &Settings) -> Made {
        settings.none_but(&["hard"])?;
        let (soft, hard) = if ground.is_direct { (1 << 20, 512) } else { (64 << 10, 4096) };
        let soft = ground.block_or(soft);
        let hard = settings.number("hard", 1..=soft, hard)?.next_multiple_of(ground.sector).min(soft);
        let (direction, resume) = (ground.direction, ground.resume);
        Ok(Box::new(DdRescueLike::new(DdRescueOptions { soft, hard, direction, resume })))
    }

    /// Where it begins, and what the damage before that place means.
    fn begin(&mut self, view: View<'_>) -> Offset {
        let direction = self.options.direction;
        let at = match self.options.resume.filter(|position| position.phase == Phase::Copying) {
            Some(position) if position.at > Offset::ZERO || direction == Direction::Forwards => position.at,
            _ => natural_start(direction),
        };
        let back = direction.opposite();
        let failed = [Status::NonTrimmed, Status::NonScraped, Status::BadSector];
        let blocks = failed.iter().filter_map(|status| next_block(view, *status, at, back));
        let passed = blocks.map(|block| part_from(block.range, at, back)).filter(|part| !part.is_empty());
        for part in passed {
            self.avoid(near_end(part, back));
        }
        at
    }

    /// An error ends at `end`.
    fn avoid(&mut self, end: Offset) {
        let DdRescueOptions { soft, direction, .. } = self.options;
        let from = ahead_of(border_from(end, soft, direction), GOOD_BLOCKS * soft, direction);
        if is_before(self.soft_from, from, direction) {
            self.soft_from = from;
        }
    }
}

impl Strategy for DdRescueLike {
    fn name(&self) -> &'static str {
        "dd-rescue-like"
    }

    fn step(&mut self, view: View<'_>, last: Option<&Outcome>) -> Option<Step> {
        let DdRescueOptions { soft, hard, direction, .. } = self.options;
        let mut at = match self.at {
            Some(at) => at,
            None => self.begin(view),
        };
        if let Some(outcome) = last {
            at = outcome.sweep.after(outcome.last);
            if outcome.failed {
                self.avoid(at);
            }
            if outcome.failed && outcome.sweep.unit == soft && soft > hard {
                // Once more, in small blocks; what it brought before the error is finished and passed over.
                at = near_end(outcome.last, direction);
            }
        }
        self.at = Some(at);
        let part = next_part(view, &[Status::NonTried, Status::NonTrimmed], at, direction)?;
        let near = near_end(part.range, direction);
        let is_near_damage = is_before(near, self.soft_from, direction);
        let (unit, range) = match part.status {
            Status::NonTrimmed => (hard, part.range),
            _ if !is_near_damage => (soft, part.range),
            // As far as small blocks are read.
            _ => {
                let far = far_end(part.range, direction);
                let far = if is_before(self.soft_from, far, direction) { self.soft_from } else { far };
                (hard, part_from(part.range, far, direction.opposite()))
            }
        };
        let stage = Stage { phase: Phase::Copying, pass: 1, round: 1, direction };
        let (if_unread, ends_at, patience) = (IfUnread::NonTrimmed, EndsAt::Damage, Patience::Endless);
        Some(Manner { unit, stage, if_unread, ends_at, patience }.sweep(range))
    }
}
