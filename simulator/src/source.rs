//! A simulated disk as a source that anybody can read.
//!
//! Owns the moving of the clock. Must not know damage, nor who reads.

use std::sync::Arc;

use block::source::{Examined, Row};
use block::{
    Abilities, BlockSource, ByteRange, Clock, Errno, Geometry, Good, Nanos, Offset, Patience, RangeSet,
    ReadReply, Recovery, SourceError, VirtualClock, WallClock,
};

use crate::content::{Content, ContentError};
use crate::system::{Outcome, System};
use crate::unit::LogicalUnit;

/// How much faster than real time simulated time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as it can be computed.
    Instant,
    /// So many times as fast as real time; 1 is real time.
    Times(f64),
}

/// A simulated disk.
pub struct SimSource {
    unit: LogicalUnit,
    clock: Arc<VirtualClock>,
    pace: Pace,
    real: WallClock,
    /// Where the last read began.
    last_at: Offset,
}

impl SimSource {
    /// Makes a source of a disk. `clock` is moved by reads; whoever waits for the disk must look at the same one.
    pub fn new(unit: LogicalUnit, clock: Arc<VirtualClock>, pace: Pace) -> SimSource {
        SimSource { unit, clock, pace, real: WallClock::new(), last_at: Offset::ZERO }
    }

    /// The drive, its system and its bytes.
    pub fn unit(&self) -> &LogicalUnit {
        &self.unit
    }

    /// The system with the drive.
    pub fn system(&self) -> &System {
        self.unit.system()
    }

    /// The time of this disk.
    pub fn clock(&self) -> &VirtualClock {
        &self.clock
    }

    /// From now on remembers every command that the drive gets.
    pub fn keep_log(&mut self) {
        self.unit.system_mut().keep_log();
    }

    /// What the disk would hold if it were healthy.
    pub fn content(&self) -> &Content {
        self.unit.content()
    }

    /// Bytes whose last delivery as good was wrong.
    pub fn garbled(&self) -> &RangeSet {
        self.unit.garbled()
    }

    /// What the disk would deliver if nothing were wrong with it; see [`LogicalUnit::truth`].
    pub fn truth(&self, at: Offset, bytes: &mut [u8]) -> Result<(), ContentError> {
        self.unit.truth(at, bytes)
    }

    /// Writes whole logical sectors; what is written stays in memory. The reply tells how much of it the drive took.
    ///
    /// Errors: as [`BlockSource::read_at`], and [`SourceError::Refused`] where the scenario does not say
    /// `writable = true`, or where there are no such sectors.
    pub fn write_at(&mut self, at: Offset, bytes: &[u8]) -> Result<ReadReply, SourceError> {
        let (outcome, done) = self.unit.write(at, bytes, self.clock.now())?;
        self.concluded(outcome, done, at)
    }

    fn pass(&self, until: Nanos) {
        let pause = until.since(self.clock.now());
        if let Pace::Times(factor) = self.pace {
            self.real.sleep(Nanos::new((pause.nanoseconds() as f64 / factor) as u64));
        }
        self.clock.sleep(pause);
    }

    fn gone(&self, at: Offset) -> SourceError {
        SourceError::Gone { device: self.unit.name().to_owned(), at, errno: Errno::ENODEV }
    }

    /// Reads without bytes where nobody wants them: an empty buffer.
    fn read(&mut self, range: ByteRange, patience: Patience) -> Result<ReadReply, SourceError> {
        let patience = match patience {
            Patience::Endless => Nanos::NEVER,
            Patience::UpTo(limit) => limit,
        };
        self.last_at = range.start();
        let (outcome, done) = self.unit.read(range, self.clock.now(), patience, None);
        self.concluded(outcome, done, range.start())
    }

    /// Lets the time of a command pass, and tells what came of it.
    fn concluded(&self, outcome: Outcome, done: Nanos, at: Offset) -> Result<ReadReply, SourceError> {
        self.pass(done);
        match outcome {
            Outcome::Read(reply) => Ok(reply),
            Outcome::Gone => Err(self.gone(at)),
            Outcome::OutOfTime => Err(SourceError::TimeIsUp { device: self.unit.name().to_owned(), at }),
        }
    }
}

impl BlockSource for SimSource {
    fn geometry(&self) -> Geometry {
        let shape = self.unit.system().disk().shape();
        let told = self.unit.system().disk().drive().medium.told_sector();
        Geometry { size: Some(shape.bytes()), logical_sector: shape.logical, physical_sector: told }
    }

    fn abilities(&self) -> Abilities {
        // One clock: reads ahead would only be other reads.
        let rotates = self.unit.system().disk().drive().medium.rotates();
        Abilities { keeps_good: false, rotates, in_flight_max: 1, piece_bytes: 64 << 10 }
    }

    fn read_at(
        &mut self,
        at: Offset,
        buffer: &mut [u8],
        patience: Patience,
    ) -> Result<ReadReply, SourceError> {
        let size = Offset::new(self.unit.system().disk().shape().bytes());
        let range = ByteRange::new(at, buffer.len() as u64).overlap(ByteRange::between(Offset::ZERO, size));
        if range.is_empty() {
            return Ok(ReadReply { good: Good::Prefix(0), damage: None });
        }
        let reply = self.read(range, patience)?;
        let length = range.length() as usize;
        let good = reply.good_bytes(length);
        self.unit.fill(at, &mut buffer[..good])?;
        Ok(match reply {
            ReadReply { good: Good::All, damage: None } if length < buffer.len() => {
                ReadReply { good: Good::Prefix(length), damage: None }
            }
            reply => reply,
        })
    }

    fn examine(&mut self, row: &Row, patience: Patience) -> Option<Result<Examined, SourceError>> {
        let now = self.clock.now();
        if !row.backwards
            && let Some((reads, done)) =
                self.unit.system_mut().read_row(row.at, row.unit, row.count, now, row.until)
        {
            self.pass(done);
            let range = ByteRange::new(row.at, reads * row.unit);
            self.unit.note_delivered(range);
            return Some(Ok(Examined { reads, reply: ReadReply::all() }));
        }
        let range = match row.backwards {
            false => ByteRange::new(row.at, row.unit),
            true => ByteRange::between(row.at.saturating_back(row.unit), row.at),
        };
        let size = Offset::new(self.unit.system().disk().shape().bytes());
        if range.end() > size {
            return None;
        }
        let reply = match self.read(range, patience) {
            Ok(reply) => reply,
            Err(error) => return Some(Err(error)),
        };
        let good = reply.good_bytes(range.length() as usize) as u64;
        self.unit.note_garbled(ByteRange::new(range.start(), good));
        Some(Ok(Examined { reads: 1, reply }))
    }

    fn recover(&mut self, measure: Recovery) -> Result<(), SourceError> {
        match measure {
            Recovery::Reopen => match self.unit.system_mut().is_there(self.clock.now()) {
                true => Ok(()),
                false => Err(SourceError::Disappeared {
                    device: self.unit.name().to_owned(),
                    errno: Errno::ENOENT,
                }),
            },
            Recovery::Rediscover => match self.unit.system_mut().rediscover(self.clock.now()) {
                Some(ready) => {
                    self.pass(ready);
                    Ok(())
                }
                None => Err(SourceError::NotFound {
                    device: self.unit.name().to_owned(),
                    identity: self.unit.name().to_string_lossy().into_owned(),
                }),
            },
            Recovery::SoftReset | Recovery::HardReset | Recovery::PowerCycle => {
                let (now, system) = (self.clock.now(), self.unit.system_mut());
                let ended = match measure {
                    Recovery::SoftReset => system.soft_reset(now),
                    Recovery::HardReset => system.hard_reset(now),
                    _ => system.power_cycle(now),
                };
                let (Ok(until) | Err(until)) = ended;
                self.pass(until);
                let unanswered = |_| SourceError::Unanswered {
                    device: self.unit.name().to_owned(),
                    what: measure.words(),
                };
                ended.map(|_| ()).map_err(unanswered)
            }
        }
    }

    fn presence(&mut self) -> Result<(), SourceError> {
        match self.unit.system_mut().is_there(self.clock.now()) {
            true => Ok(()),
            false => Err(self.gone(self.last_at)),
        }
    }
}
