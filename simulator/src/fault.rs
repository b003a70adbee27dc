//! What can be wrong with a drive.
//!
//! Owns the border between a kind of fault and the drive, and the register of kinds. A kind of fault is one file in
//! `fault/` and one line below. Must not know scenarios' text, nor those who read.
//!
//! Two sorts meet here: damage that lies on the surface from the start ([`Fault::lay`]), and behaviour that changes as
//! the drive is used (the other methods). A kind may have both.

use std::ops::Range;

use block::Nanos;

use crate::dice::Sequence;
use crate::disk::{Command, Drive, HealthLog, Reply, Served};
use crate::law::{Law, Trial};
use crate::media::{Lba, MediaModel, Shape};
use crate::surface::Stretch;

pub mod cache_warming;
mod checks;
pub mod clusters;
pub mod controller_panic;
pub mod dead_head;
pub mod death;
mod disc;
pub mod disc_hole;
pub mod disc_rot;
pub mod disc_scratch;
mod events;
pub mod fading_head;
pub mod fast_fail;
pub mod flash_block;
pub mod flash_die;
pub mod flash_errors;
pub mod flash_retention;
pub mod floppy_weak;
pub mod garbage;
pub mod hang;
pub mod hiccups;
pub mod killer;
mod lengths;
pub mod map;
pub mod protected;
pub mod reallocated;
pub mod region;
pub mod scratch;
pub mod shingled;
pub mod slow_firmware;
#[cfg(test)]
pub(crate) mod testing;
pub mod thermal;
pub mod translator;
pub mod trimmed;
pub mod vanish;
pub mod weak_head;
pub mod wear;

/// A fault of a drive.
pub trait Fault: Send {
    /// Lays damage on the surface, once, when the disk is opened.
    fn lay(&mut self, _surface: &mut Opening<'_>) {}

    /// A command is about to begin at `now`. May change the drive, delay the command, or answer in its place.
    fn before(&mut self, _command: &Command, _now: Nanos, _drive: &mut Drive) -> Before {
        Before::Go
    }

    /// A command was served. May change the drive and what the command answers.
    fn after(&mut self, _command: &Command, _served: &mut Served, _drive: &mut Drive) {}

    /// Until when healthy reads in a row can be served without asking [`Fault::before`]: each read that begins before
    /// this time would be let go unchanged. They are told to [`Fault::streamed`] together.
    fn quiet_until(&self, _now: Nanos, _drive: &Drive) -> Nanos {
        Nanos::NEVER
    }

    /// Healthy reads in a row were served from one time to another. Leaves the fault as [`Fault::after`] would after
    /// each of them.
    fn streamed(&mut self, _command: &Command, _from: Nanos, _to: Nanos, _drive: &mut Drive) {}

    /// Power was off and came back at `now`.
    fn power_cycled(&mut self, _now: Nanos, _drive: &mut Drive) {}

    /// Sectors whose first reads this fault answers by itself, in place of drive and surface; in rising order, disjoint.
    fn answers_for(&self, _shape: Shape) -> Vec<Range<Lba>> {
        Vec::new()
    }

    /// Answers the first read of some of the sectors of [`Fault::answers_for`], a physical one, to those who look at a disk
    /// without reading it: how much later it comes than is usual, or after how long it fails.
    fn first_answer(&mut self, _command: &Command, _now: Nanos, _drive: &mut Drive) -> Trial {
        Trial::Good(Nanos::ZERO)
    }

    /// Whether what this fault does depends on what was read before, so that the order of reads matters. Such a fault
    /// is left out when it is asked what could have been rescued.
    fn is_hazard(&self) -> bool {
        false
    }
}

/// What becomes of a command before it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// It begins.
    Go,
    /// It begins so much later.
    Wait(Nanos),
    /// It does not begin: this is the answer.
    Answer(Reply),
}

/// A disk that is being opened.
pub struct Opening<'a> {
    /// Its healthy self.
    pub medium: &'a dyn MediaModel,
    /// Its seed.
    pub seed: u64,
    /// Tells faults of one kind apart; part of their dice.
    pub number: usize,
    pub(crate) laws: &'a mut Vec<Law>,
    pub(crate) stretches: &'a mut Vec<Stretch>,
    pub(crate) health: &'a mut HealthLog,
}

impl Opening<'_> {
    /// Sizes and counts of the medium.
    pub fn shape(&self) -> Shape {
        self.medium.shape()
    }

    /// Draws for this fault; another label, other draws.
    pub fn dice(&self, label: &str) -> Sequence {
        Sequence::new(self.seed, &format!("{label} {}", self.number))
    }

    /// What SMART tells of the time before.
    pub fn health(&mut self) -> &mut HealthLog {
        self.health
    }

    /// Adds a law; returns its number.
    pub fn law(&mut self, law: Law) -> usize {
        self.laws.push(law);
        self.laws.len() - 1
    }

    /// Lays a law over the physical sectors that hold `sectors`, cut to the disk.
    pub fn lay(&mut self, law: usize, sectors: Range<Lba>) {
        let shape = self.shape();
        let group = shape.lbas_per_sector();
        let end = sectors.end.min(shape.sectors).div_ceil(group).saturating_mul(group).min(shape.sectors);
        let start = shape.sector_start(sectors.start);
        if start < end {
            self.stretches.push(Stretch { sectors: start..end, law });
        }
    }
}
