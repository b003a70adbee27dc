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
        Abilities { keeps_good: false, rotates: false, in_flight_max: 1, piece_bytes: 1 << 20 }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &mut MemorySource, at: u64, length: usize) -> Result<(ReadReply, Vec<u8>), SourceError> {
        let mut bytes = vec![0; length];
        let reply = source.read_at(Offset::new(at), &mut bytes, Patience::Endless)?;
        bytes.truncate(reply.good_bytes(length));
        Ok((reply, bytes))
    }

    #[test]
    fn a_read_stops_before_the_first_damaged_byte() {
        let damage = [ByteRange::new(Offset::new(10), 5), ByteRange::new(Offset::new(50), 1)];
        let mut source = MemorySource::new((0..100).collect()).with_damage(damage.into_iter().collect());
        let bad = Some(Damage::new(Errno::EIO));
        let prefix = |bytes| ReadReply { good: Good::Prefix(bytes), damage: bad };
        assert_eq!(read(&mut source, 5, 20), Ok((prefix(5), vec![5, 6, 7, 8, 9])));
        assert_eq!(read(&mut source, 12, 1), Ok((prefix(0), vec![])));
        assert_eq!(read(&mut source, 15, 2), Ok((ReadReply::all(), vec![15, 16])));
        let asked = [(5, 20), (12, 1), (15, 2)].map(|(at, length)| ByteRange::new(Offset::new(at), length));
        assert_eq!(source.reads, asked);
    }

    #[test]
    fn the_end_is_a_short_read_without_damage() {
        let mut source = MemorySource::new(vec![7; 100]);
        let prefix = |bytes| ReadReply { good: Good::Prefix(bytes), damage: None };
        assert_eq!(read(&mut source, 98, 10), Ok((prefix(2), vec![7, 7])));
        assert_eq!(read(&mut source, 100, 10), Ok((prefix(0), vec![])));
        assert_eq!(read(&mut source, 5000, 10), Ok((prefix(0), vec![])));
    }

    #[test]
    fn a_lost_device_comes_back_when_it_is_reopened() {
        let mut source = MemorySource::new(vec![7; 100]);
        source.lost_after = Some(1);
        read(&mut source, 0, 1).unwrap();
        assert!(matches!(read(&mut source, 1, 1), Err(SourceError::Gone { .. })));
        source.recover(Recovery::Rediscover).unwrap();
        read(&mut source, 1, 1).unwrap();
    }
}
