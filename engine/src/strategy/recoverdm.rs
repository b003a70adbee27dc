//! The strategy of recoverdm: sector by sector, six tries for each.
//!
//! Owns the tries. Must not know how a read is done.
//! Source: recoverdm(1), and what the program was seen to read. Before its fourth try it seeks to the end of the device,
//! where nothing is read. Its resets reach floppies and optical drives only, and are left out.

use block::{ByteRange, Offset, Patience};
use map::{Phase, Position, Status};

use super::course::{Manner, next_part};
use super::register::{Ground, Made, Settings};
use crate::{Direction, EndsAt, IfUnread, Outcome, Stage, Step, Strategy, View};

/// Settings of [`Recoverdm`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoverdmOptions {
    /// Bytes of a sector.
    pub sector: u64,
    /// How often a sector is read before it is given up; at least 1.
    pub tries: u32,
    /// Sectors to go on by behind one that was given up; 1 passes over none.
    pub skip: u64,
    /// Where an earlier run stopped.
    pub resume: Option<Position>,
}

/// Sector by sector.
#[derive(Clone, Debug)]
pub struct Recoverdm {
    options: RecoverdmOptions,
    at: Offset,
    /// Tries of the sector at `at` that have failed.
    failed: u32,
    sector: ByteRange,
}

impl Recoverdm {
    /// Makes the strategy.
    pub fn new(options: RecoverdmOptions) -> Recoverdm {
        Recoverdm { options, at: Offset::ZERO, failed: 0, sector: ByteRange::default() }
    }

    /// Makes it as the register does.
    pub(super) fn make(ground: &Ground, settings: &Settings) -> Made {
        settings.none_but(&["tries", "skip"])?;
        Ok(Box::new(Recoverdm::new(RecoverdmOptions {
            sector: ground.sector,
            tries: settings.number("tries", 1..=1000, 6)? as u32,
            skip: settings.number("skip", 1..=1 << 32, 1)?,
            resume: ground.resume,
        })))
    }

    /// A sector that an earlier run was at has its other tries first.
    fn resume(&mut self, view: View<'_>) {
        let Some(position) = self.options.resume.take().filter(|at| at.phase == Phase::Copying) else {
            return;
        };
        let block = view.book.map().block_at(position.at).filter(|block| block.status == Status::BadSector);
        let sector = block.map(|block| block.range.overlap(ByteRange::new(position.at, self.options.sector)));
        let piece = |sector: ByteRange| view.book.domain().pieces_in(sector).next();
        if let Some(sector) = sector.and_then(piece) {
            (self.sector, self.failed) = (sector, 1);
        }
    }
}

impl Strategy for Recoverdm {
    fn name(&self) -> &'static str {
        "recoverdm"
    }

    fn step(&mut self, view: View<'_>, last: Option<&Outcome>) -> Option<Step> {
        self.resume(view);
        let RecoverdmOptions { sector, tries, skip, .. } = self.options;
        if let Some(outcome) = last {
            self.at = outcome.sweep.after(outcome.last);
            if outcome.failed {
                self.failed += 1;
                self.sector = outcome.last;
            } else {
                self.failed = 0;
            }
        }
        let stage = Stage { phase: Phase::Copying, pass: 1, round: 1, direction: Direction::Forwards };
        let (if_unread, ends_at, patience) = (IfUnread::BadSector, EndsAt::Damage, Patience::Endless);
        let manner = Manner { unit: sector, stage, if_unread, ends_at, patience };
        if self.failed > 0 && self.failed < tries {
            return Some(manner.read(self.sector));
        }
        if self.failed > 0 {
            self.failed = 0;
            self.at = self.sector.start() + sector * skip;
        }
        let part = next_part(view, &[Status::NonTried], self.at, Direction::Forwards)?;
        Some(manner.sweep(part.range))
    }
}
