//! Maps made in one go, from touching blocks in rising order.
//!
//! Owns the filling of chunks. Must not know what the blocks mean.

use block::{ByteRange, Offset};

use super::{CHUNK_BLOCKS_BUILT, Chunk, RescueMap, bit};
use crate::Status;

/// Builds a map from touching blocks in rising order, in linear time.
#[derive(Debug, Default)]
pub struct Builder {
    map: RescueMap,
    last: Option<Status>,
}

impl Builder {
    /// Makes a builder without blocks.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Where the next block must start; `None` before the first.
    pub fn end(&self) -> Option<Offset> {
        self.last.map(|_| self.map.end)
    }

    /// Appends a block, also where the one before has the same status. Empty ranges are passed over.
    ///
    /// Panics if the range does not start where the last one ended.
    pub fn push(&mut self, range: ByteRange, status: Status) {
        if range.is_empty() {
            return;
        }
        assert!(self.end().is_none_or(|end| end == range.start()), "blocks must touch");
        if self.map.chunks.last().is_none_or(|chunk| chunk.starts.len() >= CHUNK_BLOCKS_BUILT) {
            self.map.chunks.push(Chunk::with_room());
            self.map.firsts.push(range.start());
            self.map.masks.push(0);
        }
        let at = self.map.chunks.len() - 1;
        let chunk = &mut self.map.chunks[at];
        chunk.starts.push(range.start());
        chunk.statuses.push(status);
        chunk.counts[status as usize] += 1;
        self.map.masks[at] |= bit(status);
        self.map.end = range.end();
        self.map.length += 1;
        self.last = Some(status);
    }

    /// Appends a block, joined with the one before if that has the same status. See [`Builder::push`].
    pub fn push_merged(&mut self, range: ByteRange, status: Status) {
        if self.last == Some(status) && !range.is_empty() {
            assert_eq!(self.map.end, range.start(), "blocks must touch");
            self.map.end = range.end();
        } else {
            self.push(range, status);
        }
    }

    /// Returns the map.
    pub fn finish(self) -> RescueMap {
        self.map
    }
}

/// Collects touching ranges with their statuses into a map.
pub trait CollectMap: Iterator<Item = (ByteRange, Status)> + Sized {
    /// Keeps each block for itself.
    fn collect_split(self) -> RescueMap {
        let mut builder = Builder::new();
        self.for_each(|(range, status)| builder.push(range, status));
        builder.finish()
    }

    /// Joins neighbours of equal status.
    fn collect_merged(self) -> RescueMap {
        let mut builder = Builder::new();
        self.for_each(|(range, status)| builder.push_merged(range, status));
        builder.finish()
    }
}

impl<I: Iterator<Item = (ByteRange, Status)>> CollectMap for I {}
