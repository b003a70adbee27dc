//! Writing to a simulated drive.
//!
//! Owns what a write does to damage: it is the one way in which a sector becomes good again. Must not know bytes, nor
//! who writes. A rescue never does: this is for tools that scrub, erase or are rescued to.
//!
//! Values: of the sectors that could not be read, seven in ten are good once written; the others are replaced by spare
//! ones, which takes 40 to 200 ms.

use block::Nanos;

use super::{Answer, Command, Drive, Failure, Reply, Served, SimDisk};
use crate::dice::{self, Chance};
use crate::law::{ErrorClass, Health, Law, Trial};

/// The head must come to rest more than for reading.
const SETTLING: Nanos = Nanos::new(650_000);
/// Time to replace a sector: at least, and how much more at most, in nanoseconds.
const REPLACING: (u64, u64) = (40_000_000, 160_000_000);

impl SimDisk {
    /// Lets writes reach the drive from now on.
    pub fn allow_writing(&mut self) {
        self.is_writable = true;
    }

    /// Whether writes reach the drive.
    pub fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// Serves a write that arrives at `arrival`, as [`SimDisk::serve`] does a read. A drive that is not writable aborts
    /// it at once.
    pub fn write(&mut self, command: &Command, arrival: Nanos) -> Reply {
        if !self.is_writable {
            let answer = Answer::Error { class: ErrorClass::Aborted, bad: command.at };
            return Reply::new(answer, arrival.max(self.drive.busy_until));
        }
        self.carry_out(command, arrival, Drive::write)
    }
}

/// What a write meets in a physical sector.
enum Meets {
    /// Nothing that matters.
    Nothing,
    /// Data that cannot be read, and need not be.
    Data,
    /// A head, or a track, that does not work: as a read would.
    Trouble,
}

impl Drive {
    fn write(&mut self, command: &Command, start: Nanos) -> Served {
        let group = self.medium.shape().lbas_per_sector();
        let sectors = command.at / group..command.end().div_ceil(group);
        let (mut more, mut failure) = (Nanos::ZERO, None);
        let (mut first_law, mut healed) = (None, Vec::new());
        for stretch in self.surface.overlapping(command.at..command.end()).to_vec() {
            let law = self.surface.law(stretch.law).clone();
            first_law.get_or_insert(stretch.law);
            let here = stretch.sectors.start / group..stretch.sectors.end.div_ceil(group);
            for sector in here.start.max(sectors.start)..here.end.min(sectors.end) {
                let is_whole = command.at <= sector * group && (sector + 1) * group <= command.end();
                match meets(&law, is_whole) {
                    Meets::Nothing => {
                        // Written in part, the rest stays zeros.
                        if is_whole && matches!(law.health, Health::Zeros { .. }) {
                            healed.push(sector);
                        }
                    }
                    Meets::Data => {
                        more += self.renew(sector);
                        self.health.renewed.insert(sector);
                        healed.push(sector);
                    }
                    Meets::Trouble => {
                        let attempt = self.attempts.of(sector);
                        self.attempts.add(sector..sector + 1);
                        match law.attempt(sector, attempt, &mut self.dice, &self.conditions) {
                            Trial::Good(time) => more += time,
                            Trial::Failed(time) => {
                                failure = Some(Failure { sector, law: stretch.law, time });
                                break;
                            }
                        }
                    }
                }
            }
            if failure.is_some() {
                break;
            }
        }
        for sector in healed {
            self.surface.heal(sector * group..(sector + 1) * group);
        }
        let bad = failure.map(|failure| (failure.sector * group).max(command.at));
        let written = bad.unwrap_or(command.end()) - command.at;
        let mut done = self.medium.read(command.at, written, start, command.at + written) + SETTLING + more;
        let answer = match failure.zip(bad) {
            None => Answer::Done,
            Some((failure, bad)) => {
                done += failure.time;
                Answer::Error { class: self.surface.law(failure.law).class, bad }
            }
        };
        // What was read ahead may be what was written over.
        self.medium.stopped_at(command.at + written.saturating_sub(1));
        let contact = if first_law.is_some() { done.since(start) } else { Nanos::ZERO };
        Served { began: start, reply: Reply::new(answer, done), law: first_law, failure, contact }
    }

    /// Writes over a sector that could not be read; returns how much longer that takes.
    fn renew(&mut self, sector: u64) -> Nanos {
        let was_pending = self.health.pending.remove(&sector);
        let roll = self.writing.roll(self.attempts.of(sector), sector);
        if !was_pending || Chance::of(0.7).hits(roll) {
            return Nanos::ZERO;
        }
        self.health.reallocated += 1;
        let (least, most) = REPLACING;
        Nanos::new(least + (most as f64 * dice::unit(dice::mix(roll))) as u64)
    }
}

fn meets(law: &Law, is_whole: bool) -> Meets {
    let is_data = matches!(law.class, ErrorClass::Uncorrectable | ErrorClass::AddressMark);
    match law.health {
        Health::Zeros { .. } | Health::Slow { .. } | Health::Late(_) => Meets::Nothing,
        Health::Unsteady { .. } | Health::Head(_) => Meets::Trouble,
        // To change a part of a physical sector the drive must read the rest.
        _ if is_data && is_whole => Meets::Data,
        _ => Meets::Trouble,
    }
}
