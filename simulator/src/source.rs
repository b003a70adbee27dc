//! A simulated disk as a source that anybody can read.
//!
//! Owns the moving of the clock and the bytes. Must not know damage, nor who reads.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use block::source::{Examined, Row};
use block::{
    Abilities, BlockSource, ByteRange, Clock, Errno, Geometry, Good, Nanos, Offset, Patience, RangeSet,
    ReadReply, Recovery, SourceError, VirtualClock, WallClock,
};

use crate::content::Content;
use crate::disk::Filling;
use crate::system::{Outcome, System};

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
    name: PathBuf,
    system: System,
    content: Content,
    clock: Arc<VirtualClock>,
    pace: Pace,
    real: WallClock,
    /// Bytes whose last delivery as good was wrong.
    garbled: RangeSet,
    /// What was written, by logical sector: it lies over the content.
    written: BTreeMap<u64, Box<[u8]>>,
    /// Where the last read began.
    last_at: Offset,
}

impl SimSource {
    /// Makes a source of a disk. `clock` is moved by reads; whoever waits for the disk must look at the same one.
    pub fn new(
        name: PathBuf,
        system: System,
        content: Content,
        clock: Arc<VirtualClock>,
        pace: Pace,
    ) -> SimSource {
        SimSource {
            name,
            system,
            content,
            clock,
            pace,
            real: WallClock::new(),
            garbled: RangeSet::new(),
            last_at: Offset::ZERO,
            written: BTreeMap::new(),
        }
    }

    /// The system with the drive.
    pub fn system(&self) -> &System {
        &self.system
    }

    /// The time of this disk.
    pub fn clock(&self) -> &VirtualClock {
        &self.clock
    }

    /// From now on remembers every command that the drive gets.
    pub fn keep_log(&mut self) {
        self.system.keep_log();
    }

    /// What the disk would hold if it were healthy.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Bytes whose last delivery as good was wrong.
    pub fn garbled(&self) -> &RangeSet {
        &self.garbled
    }

    fn pass(&self, until: Nanos) {
        let pause = until.since(self.clock.now());
        if let Pace::Times(factor) = self.pace {
            self.real.sleep(Nanos::new((pause.nanoseconds() as f64 / factor) as u64));
        }
        self.clock.sleep(pause);
    }

    fn gone(&self, at: Offset) -> SourceError {
        SourceError::Gone { device: self.name.clone(), at, errno: Errno::ENODEV }
    }

    /// What the disk would deliver if nothing were wrong with it: its content, and zeros where nothing was ever written.
    pub fn truth(&self, at: Offset, bytes: &mut [u8]) -> Result<(), crate::content::ContentError> {
        self.content.read(at, bytes)?;
        let range = ByteRange::new(at, bytes.len() as u64);
        let logical = u64::from(self.system.disk().shape().logical);
        let surface = &self.system.disk().drive().surface;
        let sectors = at.bytes() / logical..range.end().bytes().div_ceil(logical);
        for zeros in surface.zeros(sectors.clone()) {
            let zeros =
                ByteRange::between(Offset::new(zeros.start * logical), Offset::new(zeros.end * logical));
            let part = zeros.overlap(range);
            let from = (part.start() - at) as usize;
            bytes[from..from + part.length() as usize].fill(0);
        }
        for (sector, held) in self.written.range(sectors) {
            let start = Offset::new(sector * logical);
            let part = ByteRange::new(start, logical).overlap(range);
            let (from, inside) = ((part.start() - at) as usize, (part.start() - start) as usize);
            let length = part.length() as usize;
            bytes[from..from + length].copy_from_slice(&held[inside..inside + length]);
        }
        Ok(())
    }

    /// Writes whole logical sectors; what is written stays in memory. The reply tells how much of it the drive took.
    ///
    /// Errors: as [`BlockSource::read_at`], and [`SourceError::Refused`] where the scenario does not say
    /// `writable = true`, or where there are no such sectors.
    pub fn write_at(&mut self, at: Offset, bytes: &[u8]) -> Result<ReadReply, SourceError> {
        let shape = self.system.disk().shape();
        let logical = u64::from(shape.logical);
        let range = ByteRange::new(at, bytes.len() as u64);
        let refused = |errno| Err(SourceError::Refused { device: self.name.clone(), at, errno });
        if !self.system.disk().is_writable() {
            return refused(Errno::EROFS);
        }
        let is_whole = at.is_multiple_of(logical) && range.length().is_multiple_of(logical);
        if !is_whole || range.end().bytes() > shape.bytes() {
            return refused(Errno::EINVAL);
        }
        let (outcome, done) = self.system.write(range, self.clock.now());
        let reply = self.concluded(outcome, done, at)?;
        let taken = reply.good_bytes(bytes.len());
        for (index, sector) in bytes[..taken].chunks_exact(logical as usize).enumerate() {
            self.written.insert(at.bytes() / logical + index as u64, sector.into());
        }
        Ok(reply)
    }

    fn fill(&mut self, at: Offset, bytes: &mut [u8]) -> Result<(), SourceError> {
        let refused = |name: &PathBuf, e: crate::content::ContentError| SourceError::Refused {
            device: name.clone(),
            at: e.at,
            errno: Errno::of(&e.error),
        };
        self.truth(at, bytes).map_err(|e| refused(&self.name, e))?;
        let range = ByteRange::new(at, bytes.len() as u64);
        if !self.garbled.is_empty() {
            self.garbled = without(&self.garbled, range);
        }
        let logical = u64::from(self.system.disk().shape().logical);
        for wrong in self.system.garbled().to_vec() {
            let sectors = ByteRange::between(
                Offset::new(wrong.sectors.start * logical),
                Offset::new(wrong.sectors.end * logical),
            );
            let part = sectors.overlap(range);
            if part.is_empty() {
                continue;
            }
            let from = (part.start() - at) as usize;
            let bytes = &mut bytes[from..from + part.length() as usize];
            match wrong.filling {
                Filling::Zeros => bytes.fill(0),
                Filling::Shifted(by) => {
                    let other = part.start().saturating_back(by * logical);
                    self.truth(other, bytes).map_err(|e| refused(&self.name, e))?;
                }
                Filling::Stale => bytes.iter_mut().for_each(|byte| *byte ^= 0x5a),
            }
            self.garbled.insert(part);
        }
        Ok(())
    }

    /// Reads without bytes where nobody wants them: an empty buffer.
    fn read(&mut self, range: ByteRange, patience: Patience) -> Result<ReadReply, SourceError> {
        let patience = match patience {
            Patience::Endless => Nanos::NEVER,
            Patience::UpTo(limit) => limit,
        };
        self.last_at = range.start();
        let (outcome, done) = self.system.read(range, self.clock.now(), patience);
        self.concluded(outcome, done, range.start())
    }

    /// Lets the time of a command pass, and tells what came of it.
    fn concluded(&self, outcome: Outcome, done: Nanos, at: Offset) -> Result<ReadReply, SourceError> {
        self.pass(done);
        match outcome {
            Outcome::Read(reply) => Ok(reply),
            Outcome::Gone => Err(self.gone(at)),
            Outcome::OutOfTime => Err(SourceError::TimeIsUp { device: self.name.clone(), at }),
        }
    }

    fn note_garbled(&mut self, range: ByteRange) {
        if !self.garbled.is_empty() {
            self.garbled = without(&self.garbled, range);
        }
        let logical = u64::from(self.system.disk().shape().logical);
        for wrong in self.system.garbled() {
            let sectors = ByteRange::between(
                Offset::new(wrong.sectors.start * logical),
                Offset::new(wrong.sectors.end * logical),
            );
            self.garbled.insert(sectors.overlap(range));
        }
    }
}

impl BlockSource for SimSource {
    fn geometry(&self) -> Geometry {
        let shape = self.system.disk().shape();
        let told = self.system.disk().drive().medium.told_sector();
        Geometry { size: Some(shape.bytes()), logical_sector: shape.logical, physical_sector: told }
    }

    fn abilities(&self) -> Abilities {
        // One clock: reads ahead would only be other reads.
        let rotates = self.system.disk().drive().medium.rotates();
        Abilities { rotates, in_flight_max: 1, piece_bytes: 64 << 10 }
    }

    fn read_at(
        &mut self,
        at: Offset,
        buffer: &mut [u8],
        patience: Patience,
    ) -> Result<ReadReply, SourceError> {
        let size = Offset::new(self.system.disk().shape().bytes());
        let range = ByteRange::new(at, buffer.len() as u64).overlap(ByteRange::between(Offset::ZERO, size));
        if range.is_empty() {
            return Ok(ReadReply { good: Good::Prefix(0), damage: None });
        }
        let reply = self.read(range, patience)?;
        let length = range.length() as usize;
        let good = reply.good_bytes(length);
        self.fill(at, &mut buffer[..good])?;
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
            && let Some((reads, done)) = self.system.read_row(row.at, row.unit, row.count, now, row.until)
        {
            self.pass(done);
            let range = ByteRange::new(row.at, reads * row.unit);
            if !self.garbled.is_empty() {
                self.garbled = without(&self.garbled, range);
            }
            return Some(Ok(Examined { reads, reply: ReadReply::all() }));
        }
        let range = match row.backwards {
            false => ByteRange::new(row.at, row.unit),
            true => ByteRange::between(row.at.saturating_back(row.unit), row.at),
        };
        let size = Offset::new(self.system.disk().shape().bytes());
        if range.end() > size {
            return None;
        }
        let reply = match self.read(range, patience) {
            Ok(reply) => reply,
            Err(error) => return Some(Err(error)),
        };
        let good = reply.good_bytes(range.length() as usize) as u64;
        self.note_garbled(ByteRange::new(range.start(), good));
        Some(Ok(Examined { reads: 1, reply }))
    }

    fn recover(&mut self, measure: Recovery) -> Result<(), SourceError> {
        match measure {
            Recovery::Reopen => match self.system.is_there(self.clock.now()) {
                true => Ok(()),
                false => Err(SourceError::Disappeared { device: self.name.clone(), errno: Errno::ENOENT }),
            },
            Recovery::Rediscover => match self.system.rediscover(self.clock.now()) {
                Some(ready) => {
                    self.pass(ready);
                    Ok(())
                }
                None => Err(SourceError::NotFound {
                    device: self.name.clone(),
                    identity: self.name.to_string_lossy().into_owned(),
                }),
            },
        }
    }

    fn presence(&mut self) -> Result<(), SourceError> {
        match self.system.is_there(self.clock.now()) {
            true => Ok(()),
            false => Err(self.gone(self.last_at)),
        }
    }
}

/// What of `set` lies outside `range`.
fn without(set: &RangeSet, range: ByteRange) -> RangeSet {
    let cut = |piece: &ByteRange| {
        let (before, rest) = piece.split_at(range.start());
        let (_, behind) = rest.split_at(range.end());
        [before, behind]
    };
    set.ranges().iter().flat_map(cut).collect()
}
