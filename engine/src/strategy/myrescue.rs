//! The strategy of myrescue: block by block, first with growing steps over damage, then what was stepped over, then what
//! failed.
//!
//! Owns its three runs: `-S`, then `-f 1`, then `-r 10 -f 2`. Must not know how a read is done.
//! Source: myrescue(1), and what the program was seen to read.

use block::{ByteRange, Offset, Patience};
use map::{Phase, Position, Status};

use super::course::{Manner, next_part};
use super::register::{Ground, Made, Settings};
use crate::{Direction, EndsAt, IfUnread, Outcome, Stage, Step, Strategy, View};

/// Settings of [`Myrescue`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MyrescueOptions {
    /// Bytes of a block, whose borders lie at its multiples.
    pub block: u64,
    /// Bytes of a sector of the source.
    pub sector: u64,
    /// How often a failed block is read in the last run; at least 1.
    pub tries: u32,
    /// Where an earlier run stopped.
    pub resume: Option<Position>,
}

/// Three runs over blocks.
#[derive(Clone, Debug)]
pub struct Myrescue {
    options: MyrescueOptions,
    run: Run,
    at: Offset,
    /// Blocks to go on by behind the last read.
    step: u64,
}

#[derive(Clone, Copy, Debug)]
enum Run {
    /// Over damage with steps that double.
    Stepping,
    /// All that was stepped over.
    Rest,
    /// Failed blocks; so many tries of this one have failed.
    Failed(Option<(ByteRange, u32)>),
}

impl Myrescue {
    /// Makes the strategy.
    pub fn new(options: MyrescueOptions) -> Myrescue {
        let (run, at) = match options.resume {
            Some(Position { phase: Phase::Copying, pass: 2, at }) => (Run::Rest, at),
            Some(Position { phase: Phase::Retrying, at, .. }) => (Run::Failed(None), at),
            Some(Position { phase: Phase::Copying, at, .. }) => (Run::Stepping, at),
            _ => (Run::Stepping, Offset::ZERO),
        };
        Myrescue { options, run, at, step: 1 }
    }

    /// Makes it as the register does.
    pub(super) fn make(ground: &Ground, settings: &Settings) -> Made {
        settings.none_but(&["tries"])?;
        Ok(Box::new(Myrescue::new(MyrescueOptions {
            block: ground.block_or(4096),
            sector: ground.sector,
            tries: settings.number("tries", 1..=1000, 10)? as u32,
            resume: ground.resume,
        })))
    }

    fn manner(&self) -> Manner {
        let (phase, pass, ends_at) = match self.run {
            Run::Stepping => (Phase::Copying, 1, EndsAt::Damage),
            Run::Rest => (Phase::Copying, 2, EndsAt::RangeEnd),
            Run::Failed(_) => (Phase::Retrying, 1, EndsAt::Damage),
        };
        let stage = Stage { phase, pass, round: pass, direction: Direction::Forwards };
        let (unit, if_unread, patience) = (self.options.block, IfUnread::NonTrimmed, Patience::Endless);
        Manner { unit, stage, if_unread, ends_at, patience }
    }

    fn step_over(&mut self, view: View<'_>, last: Option<&Outcome>) -> Option<Step> {
        let block = self.options.block;
        if let Some(outcome) = last {
            self.at = outcome.sweep.after(outcome.last);
            if outcome.earlier_reads > 0 || !outcome.failed {
                self.step = 1;
            }
            if outcome.failed {
                self.step = self.step.saturating_mul(2);
                self.at = outcome.last.start().align_down(block) + block.saturating_mul(self.step);
            }
        }
        let part = next_part(view, &[Status::NonTried], self.at, Direction::Forwards)?;
        if part.range.start() > self.at {
            // A block that needs no reading ends a row of failures.
            self.step = 1;
        }
        Some(self.manner().sweep(part.range))
    }

    fn retry(&mut self, view: View<'_>, last: Option<&Outcome>) -> Option<Step> {
        let MyrescueOptions { block, sector, tries, .. } = self.options;
        if let (Run::Failed(Some((range, failed))), Some(outcome)) = (self.run, last) {
            self.at = range.end();
            let failed = if outcome.failed { failed + 1 } else { tries };
            self.run = Run::Failed((failed < tries).then_some((range, failed)));
        }
        let (range, failed) = match self.run {
            Run::Failed(Some(again)) => again,
            _ => {
                // A block of one sector has no edges that could be unknown.
                let failed = [Status::NonTrimmed, Status::BadSector];
                let statuses = if block <= sector { &failed[..] } else { &failed[..1] };
                let part = next_part(view, statuses, self.at, Direction::Forwards)?;
                let start = part.range.start();
                let whole = ByteRange::new(start.align_down(block), block);
                (view.book.domain().pieces_in(whole).find(|piece| piece.contains(start))?, 0)
            }
        };
        self.run = Run::Failed(Some((range, failed)));
        Some(self.manner().read(range))
    }
}

impl Strategy for Myrescue {
    fn name(&self) -> &'static str {
        "myrescue"
    }

    fn step(&mut self, view: View<'_>, last: Option<&Outcome>) -> Option<Step> {
        let mut last = last;
        loop {
            let step = match self.run {
                Run::Stepping => self.step_over(view, last),
                Run::Rest => {
                    self.at = last.map_or(self.at, |outcome| outcome.sweep.after(outcome.last));
                    let part = next_part(view, &[Status::NonTried], self.at, Direction::Forwards);
                    part.map(|part| self.manner().sweep(part.range))
                }
                Run::Failed(_) => return self.retry(view, last),
            };
            if step.is_some() {
                return step;
            }
            last = None;
            self.at = Offset::ZERO;
            self.run = if matches!(self.run, Run::Stepping) { Run::Rest } else { Run::Failed(None) };
        }
    }
}
