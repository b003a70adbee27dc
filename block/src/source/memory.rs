//! A medium in memory, with damage laid over it.
//!
//! Owns bytes and a list of what of them fails, for tests and small images. Must not know any operating system.

use crate::{
    Abilities, BlockSource, ByteRange, Damage, Errno, Geometry, Good, Offset, Patience, RangeSet, ReadReply,
    Recovery, SourceError,
};

/// Bytes that can be read, but for the damaged ones.
#[derive(Clone, Debug)]
pub struct MemorySource {
    bytes: Vec<u8>,
    damage: RangeSet,
    sector: u32,
    /// Every read asked of it so far, failed or not.
    pub reads: Vec<ByteRange>,
    /// Reads after this many find the device gone, until it is reopened.
    pub lost_after: Option<usize>,
}

impl MemorySource {
    /// Makes a source of healthy bytes with sectors of 512 bytes.
    pub fn new(bytes: Vec<u8>) -> MemorySource {
        MemorySource { bytes, damage: RangeSet::new(), sector: 512, reads: Vec::new(), lost_after: None }
    }

    /// Makes reads that touch a byte of `damage` stop before it.
    pub fn with_damage(mut self, damage: RangeSet) -> MemorySource {
        self.damage = damage;
        self
    }
}

impl BlockSource for MemorySource {
    fn geometry(&self) -> Geometry {
        Geometry {
            size: Some(self.bytes.len() as u64),
            logical_sector: self.sector,
            physical_sector: self.sector,
        }
    }

    fn abilities(&self) -> Abilities {
        Abilities { rotates: false, in_flight_max: 1, piece_bytes: 1 << 20 }
    }

    fn read_at(&mut self, at: Offset, buffer: &mut [u8], _: Patience) -> Result<ReadReply, SourceError> {
        if self.lost_after.is_some_and(|count| self.reads.len() >= count) {
            return Err(SourceError::Gone { device: "memory".into(), at, errno: Errno::ENODEV });
        }
        let request = ByteRange::new(at, buffer.len() as u64);
        self.reads.push(request);
        let present = request.overlap(ByteRange::new(Offset::ZERO, self.bytes.len() as u64));
        let first_bad = self.damage.pieces_in(present).next();
        let good = match first_bad {
            Some(bad) => bad.start() - at,
            None => present.length(),
        } as usize;
        if good > 0 {
            let from = at.bytes() as usize;
            buffer[..good].copy_from_slice(&self.bytes[from..from + good]);
        }
        Ok(ReadReply {
            good: if good == buffer.len() { Good::All } else { Good::Prefix(good) },
            damage: first_bad.map(|_| Damage::new(Errno::EIO)),
        })
    }

    fn recover(&mut self, _: Recovery) -> Result<(), SourceError> {
        self.lost_after = None;
        Ok(())
    }
}
