//! A simulated drive in a computer: its commands through an operating system or bare, and the bytes that come of them.
//!
//! Owns the bytes: what the disk holds, what was written over it, what a drive delivers wrongly. Must not know clocks: it
//! is told when a read begins and says when it ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use block::{ByteRange, Errno, Extent, Nanos, Offset, RangeSet, SourceError};

use crate::content::{Content, ContentError};
use crate::disk::Filling;
use crate::system::{Access, Outcome, System};

/// A simulated drive, the system it is connected to, and its bytes.
pub struct LogicalUnit {
    name: PathBuf,
    system: System,
    content: Content,
    /// Bytes whose last delivery as good was wrong.
    garbled: RangeSet,
    /// What was written, by logical sector: it lies over the content.
    written: BTreeMap<u64, Box<[u8]>>,
}

impl LogicalUnit {
    /// Connects a drive and its content. `name` is for messages.
    pub fn new(name: PathBuf, system: System, content: Content) -> LogicalUnit {
        LogicalUnit { name, system, content, garbled: RangeSet::new(), written: BTreeMap::new() }
    }

    /// What messages call it.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// The system with the drive.
    pub fn system(&self) -> &System {
        &self.system
    }

    /// The system with the drive, to do something to it.
    pub fn system_mut(&mut self) -> &mut System {
        &mut self.system
    }

    /// What the disk would hold if it were healthy.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Bytes whose last delivery as good was wrong.
    pub fn garbled(&self) -> &RangeSet {
        &self.garbled
    }

    /// Bytes in all.
    pub fn size(&self) -> u64 {
        self.system.disk().shape().bytes()
    }

    /// What the disk would deliver if nothing were wrong with it: its content, and zeros where nothing was ever written.
    pub fn truth(&self, at: Offset, bytes: &mut [u8]) -> Result<(), ContentError> {
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

    /// Tells where the disk holds data, and where an image behind it has holes that read as zeros; in order, touching,
    /// covering `range`. Damaged sectors are data: nobody knows that they are zeros.
    pub fn extents(&self, range: ByteRange) -> Vec<Extent> {
        let logical = u64::from(self.system.disk().shape().logical);
        let sectors = range.start().bytes() / logical..range.end().bytes().div_ceil(logical);
        let bytes = |from: u64, to: u64| {
            ByteRange::between(Offset::new(from * logical), Offset::new(to * logical)).overlap(range)
        };
        let damaged = self.system.disk().drive().surface.overlapping(sectors.clone());
        let damaged = damaged.iter().map(|stretch| bytes(stretch.sectors.start, stretch.sectors.end));
        let written = self.written.range(sectors).map(|(sector, _)| bytes(*sector, sector + 1));
        let data = self.content.stored(range).into_iter().chain(damaged).chain(written).collect();
        Extent::cover(range, &data)
    }

    /// Reads `range`, which lies on the disk, at `now`, as the system shows it to readers of its own way, or of `access`;
    /// tells how it ended and when. [`LogicalUnit::fill`] brings the bytes.
    pub fn read(
        &mut self,
        range: ByteRange,
        now: Nanos,
        patience: Nanos,
        access: Option<Access>,
    ) -> (Outcome, Nanos) {
        let access = access.unwrap_or(self.system.options().access);
        self.system.read_as(access, range, now, patience)
    }

    /// Writes whole logical sectors at `now`; what is written stays in memory. Tells how much of it the drive took, and
    /// when that was done.
    ///
    /// Errors: [`SourceError::Refused`] where the scenario does not say `writable = true`, or where there are no such
    /// sectors.
    pub fn write(&mut self, at: Offset, bytes: &[u8], now: Nanos) -> Result<(Outcome, Nanos), SourceError> {
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
        let (outcome, done) = self.system.write(range, now);
        if let Outcome::Read(reply) = &outcome {
            let taken = reply.good_bytes(bytes.len());
            for (index, sector) in bytes[..taken].chunks_exact(logical as usize).enumerate() {
                self.written.insert(at.bytes() / logical + index as u64, sector.into());
            }
        }
        Ok((outcome, done))
    }

    /// Fills `bytes` with what the last read delivered at `at`.
    ///
    /// Errors: the content of this disk cannot be read.
    pub fn fill(&mut self, at: Offset, bytes: &mut [u8]) -> Result<(), SourceError> {
        let refused = |name: &PathBuf, e: ContentError| SourceError::Refused {
            device: name.clone(),
            at: e.at,
            errno: Errno::of(&e.error),
        };
        self.truth(at, bytes).map_err(|e| refused(&self.name, e))?;
        let range = ByteRange::new(at, bytes.len() as u64);
        self.note_delivered(range);
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

    /// Takes note that `range` was delivered as it is.
    pub fn note_delivered(&mut self, range: ByteRange) {
        if !self.garbled.is_empty() {
            self.garbled = without(&self.garbled, range);
        }
    }

    /// Takes note of what the last read delivered wrongly in `range`, whose bytes nobody wants.
    pub fn note_garbled(&mut self, range: ByteRange) {
        self.note_delivered(range);
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

/// What of `set` lies outside `range`.
fn without(set: &RangeSet, range: ByteRange) -> RangeSet {
    let cut = |piece: &ByteRange| {
        let (before, rest) = piece.split_at(range.start());
        let (_, behind) = rest.split_at(range.end());
        [before, behind]
    };
    set.ranges().iter().flat_map(cut).collect()
}
