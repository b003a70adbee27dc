//! The strategy of `dd conv=noerror`: everything once, in order, in blocks of one size.
//!
//! Owns that order. Must not know how a read is done.
//! Source: POSIX dd, and what GNU dd does where that says less.

use block::{Offset, Patience};
use map::{Phase, Status};

use super::course::{Manner, natural_start, next_part};
use super::register::{Ground, Made, Settings};
use crate::{Direction, EndsAt, IfUnread, Outcome, Stage, Step, Strategy, View};

/// Settings of [`Sequential`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequentialOptions {
    /// Bytes of a read; borders lie at its multiples.
    pub block: u64,
    /// From which end.
    pub direction: Direction,
}

/// Everything once, in order. What fails is left as non-trimmed for whoever comes next.
#[derive(Clone, Debug)]
pub struct Sequential {
    options: SequentialOptions,
    at: Offset,
}

impl Sequential {
    /// Makes the strategy. It goes on by itself where an earlier run stopped: what was tried is not tried again.
    pub fn new(options: SequentialOptions) -> Sequential {
        let at = natural_start(options.direction);
        Sequential { options, at }
    }

    /// Makes it as the register does.
    pub(super) fn make(ground: &Ground, settings: &Settings) -> Made {
        settings.none_but(&[])?;
        let block = ground.block_or(64 << 10);
        Ok(Box::new(Sequential::new(SequentialOptions { block, direction: ground.direction })))
    }
}

impl Strategy for Sequential {
    fn name(&self) -> &'static str {
        "sequential"
    }

    fn step(&mut self, view: View<'_>, last: Option<&Outcome>) -> Option<Step> {
        let SequentialOptions { block: unit, direction } = self.options;
        if let Some(outcome) = last {
            self.at = outcome.sweep.after(outcome.last);
        }
        let part = next_part(view, &[Status::NonTried], self.at, direction)?;
        let stage = Stage { phase: Phase::Copying, pass: 1, round: 1, direction };
        let (if_unread, ends_at, patience) = (IfUnread::NonTrimmed, EndsAt::RangeEnd, Patience::Endless);
        Some(Manner { unit, stage, if_unread, ends_at, patience }.sweep(part.range))
    }
}
