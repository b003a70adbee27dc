//! A strategy like that of FreeBSD's recoverdisk: a queue of work, in which what fails goes to the end in smaller pieces.
//!
//! Owns the sizes of the pieces. Must not know how a read is done.
//! Source: recoverdisk(1) of FreeBSD; never held against the program, hence "like".
//!
//! As the queue is first in, first out, each of its rounds runs over the whole source in order, and the map's statuses tell
//! what is in it: non-tried, then what failed in large pieces, then in middle ones, then sectors.

use block::{Offset, Patience};
use map::{Phase, Position, Status};

use super::course::{Manner, next_part, resumed_at};
use super::register::{Ground, Made, Settings};
use crate::{Direction, EndsAt, IfUnread, Outcome, Stage, Step, Strategy, View};

/// Settings of [`RecoverdiskLike`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoverdiskOptions {
    /// Bytes of a first read.
    pub large: u64,
    /// Bytes of a second one, where the first failed.
    pub middle: u64,
    /// Bytes of all others.
    pub sector: u64,
    /// How often bad sectors are read again; the program itself does so for ever, which is `None`.
    pub retries: Option<u32>,
    /// Where an earlier run stopped.
    pub resume: Option<Position>,
}

/// Large pieces, then middle ones, then sectors, again and again.
#[derive(Clone, Debug)]
pub struct RecoverdiskLike {
    options: RecoverdiskOptions,
    round: Round,
    at: Offset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    Large,
    Middle,
    Small,
    Again(u32),
}

impl RecoverdiskLike {
    /// Makes the strategy.
    pub fn new(options: RecoverdiskOptions) -> RecoverdiskLike {
        RecoverdiskLike { options, round: Round::Large, at: Offset::ZERO }
    }

    /// Makes it as the register does.
    pub(super) fn make(ground: &Ground, settings: &Settings) -> Made {
        settings.none_but(&["middle"])?;
        let large = ground.block_or(1 << 20);
        let middle = settings.number("middle", 1..=large, large.min(64 << 10))?;
        Ok(Box::new(RecoverdiskLike::new(RecoverdiskOptions {
            large,
            middle: middle.next_multiple_of(ground.sector).min(large),
            sector: ground.sector,
            retries: ground.retries,
            resume: ground.resume,
        })))
    }

    fn manner(&self) -> (Status, Manner) {
        let RecoverdiskOptions { large, middle, sector, .. } = self.options;
        let (status, phase, pass, unit, if_unread) = match self.round {
            Round::Large => (Status::NonTried, Phase::Copying, 1, large, IfUnread::NonTrimmed),
            Round::Middle => (Status::NonTrimmed, Phase::Trimming, 1, middle, IfUnread::NonScraped),
            Round::Small => (Status::NonScraped, Phase::Scraping, 1, sector, IfUnread::BadSector),
            Round::Again(pass) => (Status::BadSector, Phase::Retrying, pass, sector, IfUnread::BadSector),
        };
        let stage = Stage { phase, pass, round: pass, direction: Direction::Forwards };
        let (ends_at, patience) = (EndsAt::RangeEnd, Patience::Endless);
        (status, Manner { unit, stage, if_unread, ends_at, patience })
    }

    fn next_round(&self, view: View<'_>) -> Option<Round> {
        Some(match self.round {
            Round::Large => Round::Middle,
            Round::Middle => Round::Small,
            Round::Small => Round::Again(1),
            Round::Again(round) => Round::Again(round + 1),
        })
        .filter(|round| match round {
            Round::Again(round) => {
                self.options.retries.is_none_or(|retries| *round <= retries)
                    && view.book.bytes(Status::BadSector) > 0
            }
            _ => true,
        })
    }
}

impl Strategy for RecoverdiskLike {
    fn name(&self) -> &'static str {
        "recoverdisk-like"
    }

    fn step(&mut self, view: View<'_>, last: Option<&Outcome>) -> Option<Step> {
        if let Some(outcome) = last {
            self.at = outcome.sweep.after(outcome.last);
        }
        loop {
            let (status, manner) = self.manner();
            if let Some(part) = next_part(view, &[status], self.at, Direction::Forwards) {
                return Some(manner.sweep(part.range));
            }
            self.round = self.next_round(view)?;
            self.at = Offset::ZERO;
            let resume = self.options.resume.take_if(|_| self.round == Round::Again(1));
            if let Some(position) = resume.filter(|position| position.phase == Phase::Retrying) {
                self.at = resumed_at(view, position.at, Direction::Forwards, Status::BadSector)
                    .unwrap_or(Offset::ZERO);
            }
        }
    }
}
