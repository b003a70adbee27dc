//! A source seen through its map: what the map does not call finished cannot be read.
//!
//! Owns that rule. Must not know why somebody wants to see a disk that way: test mode, a half-rescued image, a rehearsal.

use block::{
    Abilities, BlockSource, ByteRange, Damage, Errno, Extent, Geometry, Offset, Patience, RangeSet,
    ReadReply, Recovery, SourceError,
};

use crate::{RescueMap, Status};

/// A source of which only whole reads inside one finished block of a map succeed. Everything else fails completely,
/// as a medium error, without the source being asked.
pub struct Masked<S> {
    source: S,
    readable: RangeSet,
}

impl<S: BlockSource> Masked<S> {
    /// Puts `map` before `source`.
    pub fn new(source: S, map: &RescueMap) -> Masked<S> {
        Masked { source, readable: finished_of(map) }
    }
}

/// The finished bytes of a map; touching finished blocks are one range.
pub fn finished_of(map: &RescueMap) -> RangeSet {
    map.blocks().filter(|b| b.status == Status::Finished).map(|b| b.range).collect()
}

impl<S: BlockSource> BlockSource for Masked<S> {
    fn geometry(&self) -> Geometry {
        self.source.geometry()
    }

    fn abilities(&self) -> Abilities {
        // Large reads would fail where small ones succeed: the mask has no prefix.
        Abilities { in_flight_max: 1, ..self.source.abilities() }
    }

    fn read_at(
        &mut self,
        at: Offset,
        buffer: &mut [u8],
        patience: Patience,
    ) -> Result<ReadReply, SourceError> {
        let request = ByteRange::new(at, buffer.len() as u64);
        if self.readable.covers(request) {
            self.source.read_at(at, buffer, patience)
        } else {
            Ok(ReadReply::failed(Damage::new(Errno::EIO)))
        }
    }

    fn recover(&mut self, measure: Recovery) -> Result<(), SourceError> {
        self.source.recover(measure)
    }

    fn presence(&mut self) -> Result<(), SourceError> {
        self.source.presence()
    }

    fn extents(&mut self, range: ByteRange) -> Vec<Extent> {
        self.source.extents(range)
    }
}
