//! What somebody can do to a running disk from outside.
//!
//! Owns the levers and what each does to the drive. Must not know who pulls them. A lever is one line in [`Lever`] and one
//! arm in [`SimDisk::apply`].

use block::Nanos;
use thiserror::Error;

use crate::disk::{Power, SimDisk};
use crate::law::{ErrorClass, FailureTime, Health, Law};
use crate::surface::Stretch;

/// A thing to do to a drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lever {
    /// Reset it, without taking its power: helps against some hangs.
    Reset,
    /// Take its power for five seconds: helps against all hangs, and may be its end.
    PowerCycle,
    /// Break a head, from 0: whatever lies under it fails from now on.
    KillHead(u16),
    /// Take it off the bus.
    Vanish,
    /// Put it back.
    Return,
}

/// Why a lever does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LeverError {
    /// There is no such head.
    #[error("there is no head {head}: they are 0 to {}", heads - 1)]
    NoHead {
        /// The one that was asked for.
        head: u16,
        /// How many there are.
        heads: u16,
    },
    /// The head serves too many pieces to list.
    #[error("head {head} serves {pieces} pieces of the disk: more than can be broken at once")]
    TooManyPieces {
        /// Which head.
        head: u16,
        /// About how many.
        pieces: u64,
    },
    /// It hangs, and does not hear.
    #[error("the drive does not hear it; take its power")]
    Deaf,
    /// It has died.
    #[error("the drive has died: it does not come back")]
    Dead,
    /// It never went away.
    #[error("the drive is there")]
    There,
}

/// Pieces that a head may serve for it to be broken: as many as a scenario may lay.
const PIECES_MAX: u64 = 5_000_000;

impl SimDisk {
    /// Pulls a lever at `now`; returns when the drive is ready again. `luck` is a draw that decides whether a drive that
    /// hangs hears a reset.
    pub fn apply(&mut self, lever: Lever, now: Nanos, luck: u64) -> Result<Nanos, LeverError> {
        match lever {
            Lever::Reset => match self.reset(now, luck) {
                Nanos::NEVER if self.is_dead() => Err(LeverError::Dead),
                Nanos::NEVER => Err(LeverError::Deaf),
                ready => Ok(ready),
            },
            Lever::PowerCycle => match self.power_cycle(now) {
                Nanos::NEVER => Err(LeverError::Dead),
                ready => Ok(ready),
            },
            Lever::KillHead(head) => self.kill_head(head).map(|()| now),
            Lever::Vanish if self.is_dead() => Err(LeverError::Dead),
            Lever::Vanish => {
                self.drive_mut().power = Power::Gone(Nanos::NEVER);
                Ok(now)
            }
            Lever::Return => match self.drive().power {
                Power::Dead => Err(LeverError::Dead),
                Power::Gone(_) => {
                    // Its power comes back, and it spins up.
                    let drive = self.drive_mut();
                    let ready = now + drive.medium.spin_up();
                    drive.medium.power_cycled();
                    drive.power = Power::SpinningUp(ready);
                    Ok(ready)
                }
                _ => Err(LeverError::There),
            },
        }
    }

    fn is_dead(&self) -> bool {
        self.drive().power == Power::Dead
    }

    fn kill_head(&mut self, head: u16) -> Result<(), LeverError> {
        let medium = &self.drive().medium;
        let heads = medium.shape().heads;
        if head >= heads {
            return Err(LeverError::NoHead { head, heads });
        }
        let pieces = medium.pieces_of_a_head();
        if pieces > PIECES_MAX {
            return Err(LeverError::TooManyPieces { head, pieces });
        }
        let sectors = medium.sectors_of(head);
        let surface = &mut self.drive_mut().surface;
        // As of a head that was dead from the start: the servo is not found, and nothing is touched.
        let law = surface.add_law(Law {
            failure: FailureTime::Between(Nanos::from_millis(400), Nanos::from_secs(2)),
            class: ErrorClass::NotFound,
            gravity: 0.0,
            ..Law::new(Health::Bad, "killed head")
        });
        surface.add_all(sectors.into_iter().map(|sectors| Stretch { sectors, law }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scenario;
    use crate::disk::{Answer, Command};

    const TEXT: &str = "description = \"d\"\nseed = 3\n[disk]\nmedium = \"hard-disk\"\nprofile = \"d35_1t\"\n\
                        size = \"64 MiB\"\nheads = 4\nsectors-per-track = [256, 128]\nband = \"1 MiB\"\n";

    fn disk() -> SimDisk {
        Scenario::parse("plain", "plain.toml", TEXT).unwrap().disk(3).unwrap()
    }

    fn answer(disk: &mut SimDisk, at: u64, now: Nanos) -> Answer {
        disk.serve(&Command { at, count: 8 }, now).answer
    }

    #[test]
    fn a_killed_head_takes_its_sectors_with_it_and_no_others() {
        let mut disk = disk();
        let under = disk.drive().medium.sectors_of(2);
        let other = disk.drive().medium.sectors_of(1)[0].start;
        assert_eq!(answer(&mut disk, under[0].start, Nanos::ZERO), Answer::Done);
        let now = Nanos::from_secs(1);
        assert_eq!(disk.apply(Lever::KillHead(2), now, 0), Ok(now));
        assert!(
            under.iter().all(|piece| matches!(answer(&mut disk, piece.start, now), Answer::Error { .. }))
        );
        assert_eq!(answer(&mut disk, other, now), Answer::Done);
        assert_eq!(disk.apply(Lever::KillHead(4), now, 0), Err(LeverError::NoHead { head: 4, heads: 4 }));
    }

    #[test]
    fn what_vanishes_is_gone_until_it_returns_and_then_spins_up() {
        let mut disk = disk();
        let now = Nanos::from_secs(1);
        assert_eq!(disk.apply(Lever::Return, now, 0), Err(LeverError::There));
        disk.apply(Lever::Vanish, now, 0).unwrap();
        assert_eq!(answer(&mut disk, 0, Nanos::from_secs(100)), Answer::Gone);
        let back = Nanos::from_secs(200);
        let ready = disk.apply(Lever::Return, back, 0).unwrap();
        assert!(ready > back);
        let reply = disk.serve(&Command { at: 0, count: 8 }, back);
        assert!(reply.answer == Answer::Done && reply.done > ready);
    }

    #[test]
    fn a_reset_that_is_heard_ends_a_hang_and_power_ends_every_one() {
        let (mut heard, mut deaf) = (disk(), disk());
        for disk in [&mut heard, &mut deaf] {
            disk.drive_mut().power = Power::Hung;
        }
        let now = Nanos::from_secs(5);
        assert!(heard.apply(Lever::Reset, now, 0).is_ok());
        assert_eq!(answer(&mut heard, 0, Nanos::from_secs(20)), Answer::Done);
        assert_eq!(deaf.apply(Lever::Reset, now, u64::MAX), Err(LeverError::Deaf));
        assert_eq!(answer(&mut deaf, 0, Nanos::from_secs(20)), Answer::Silent);
        let ready = deaf.apply(Lever::PowerCycle, Nanos::from_secs(30), 0).unwrap();
        assert_eq!(answer(&mut deaf, 0, ready), Answer::Done);
        heard.drive_mut().power = Power::Dead;
        for lever in [Lever::Reset, Lever::PowerCycle, Lever::Vanish, Lever::Return] {
            assert_eq!(heard.apply(lever, now, 0), Err(LeverError::Dead));
        }
    }
}
