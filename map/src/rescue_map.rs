//! The rescue map: touching blocks, each with one status.
//!
//! Owns the blocks and the invariants that they touch and are not empty. Must not know files, clocks, or who
//! reads the disk.
//!
//! Blocks live in chunks of at most `CHUNK_BLOCKS_MAX`, as starts and statuses side by side: a block costs 9 bytes
//! plus slack, a change moves at most one chunk's tail, and looking for a status passes over a chunk by one look
//! at its mask. Chunks are found by binary search. An edit among n blocks costs log n comparisons and a bounded move.

use block::{ByteRange, Offset, RangeSet};

use crate::Status;

mod builder;

pub use builder::{Builder, CollectMap};

/// Most blocks in one chunk; a fuller one is halved.
const CHUNK_BLOCKS_MAX: usize = 512;
/// Blocks that bulk building puts into a chunk, leaving room to split a few before it is halved.
const CHUNK_BLOCKS_BUILT: usize = 384;
/// Neighbouring chunks that fit together in this many blocks are joined.
const CHUNK_BLOCKS_JOINED: usize = 192;

/// A run of bytes with one status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it lies.
    pub range: ByteRange,
    /// What is known about it.
    pub status: Status,
}

/// Touching blocks, each with one status. Neighbours may have the same status: see [`RescueMap::merge`].
#[derive(Clone, Debug, Default)]
pub struct RescueMap {
    chunks: Vec<Chunk>,
    /// First start in each chunk, apart from it so that binary search stays in few cache lines.
    firsts: Vec<Offset>,
    /// Which statuses occur in each chunk, one bit each.
    masks: Vec<u8>,
    end: Offset,
    length: usize,
}

#[derive(Clone, Debug)]
struct Chunk {
    starts: Vec<Offset>,
    statuses: Vec<Status>,
    counts: [u32; 5],
}

/// Where a block is: chunk and index in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    chunk: usize,
    index: usize,
}

impl RescueMap {
    /// Makes a map without blocks.
    pub fn new() -> RescueMap {
        RescueMap::default()
    }

    /// Makes a map of one block.
    pub fn single(range: ByteRange, status: Status) -> RescueMap {
        let mut builder = Builder::new();
        builder.push(range, status);
        builder.finish()
    }

    /// Number of blocks.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is no block.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// From the first block's start to the last one's end; `None` without blocks.
    pub fn extent(&self) -> Option<ByteRange> {
        Some(ByteRange::between(*self.firsts.first()?, self.end))
    }

    /// Whether every block is [`Status::NonTried`].
    pub fn is_untried(&self) -> bool {
        self.masks.iter().all(|mask| *mask == bit(Status::NonTried))
    }

    /// Returns the block that contains `at`.
    pub fn block_at(&self, at: Offset) -> Option<Block> {
        self.place_of(at).map(|place| self.block(place))
    }

    /// All blocks in order, from either end.
    pub fn blocks(&self) -> Blocks<'_> {
        match self.extent() {
            Some(extent) => self.blocks_in(extent),
            None => Blocks { map: self, ends: None },
        }
    }

    /// The blocks that have bytes in `range`, whole, in order, from either end.
    pub fn blocks_in(&self, range: ByteRange) -> Blocks<'_> {
        let Some(extent) = self.extent() else { return Blocks { map: self, ends: None } };
        let common = extent.overlap(range);
        if common.is_empty() {
            return Blocks { map: self, ends: None };
        }
        let last = common.end().saturating_back(1);
        Blocks { map: self, ends: self.place_of(common.start()).zip(self.place_of(last)) }
    }

    /// Returns the first block with `status` that contains or follows `from`.
    pub fn next_with(&self, status: Status, from: Offset) -> Option<Block> {
        let place = match self.place_of(from) {
            Some(place) => place,
            None if self.extent().is_some_and(|e| from < e.start()) => Place { chunk: 0, index: 0 },
            None => return None,
        };
        let chunk = &self.chunks[place.chunk];
        let found = match chunk.statuses[place.index..].iter().position(|s| *s == status) {
            Some(step) => Place { index: place.index + step, ..place },
            None => {
                let step = self.masks[place.chunk + 1..].iter().position(|mask| mask & bit(status) != 0)?;
                let chunk = place.chunk + 1 + step;
                Place { chunk, index: self.chunks[chunk].statuses.iter().position(|s| *s == status)? }
            }
        };
        Some(self.block(found))
    }

    /// Returns the last block with `status` that has a byte before `before`.
    pub fn previous_with(&self, status: Status, before: Offset) -> Option<Block> {
        let extent = self.extent()?;
        if before <= extent.start() {
            return None;
        }
        let place = self.place_of(before.min(extent.end()).saturating_back(1))?;
        let chunk = &self.chunks[place.chunk];
        let found = match chunk.statuses[..=place.index].iter().rposition(|s| *s == status) {
            Some(index) => Place { index, ..place },
            None => {
                let chunk = self.masks[..place.chunk].iter().rposition(|mask| mask & bit(status) != 0)?;
                Place { chunk, index: self.chunks[chunk].statuses.iter().rposition(|s| *s == status)? }
            }
        };
        Some(self.block(found))
    }

    /// Returns the block that ends where `block` starts.
    pub fn before(&self, block: ByteRange) -> Option<Block> {
        (block.start() > Offset::ZERO).then(|| self.block_at(block.start().saturating_back(1))).flatten()
    }

    /// Returns the block that starts where `block` ends.
    pub fn after(&self, block: ByteRange) -> Option<Block> {
        self.block_at(block.end())
    }

    /// Splits the block that has `at` inside it, if any, into two of the same status.
    pub fn split_at(&mut self, at: Offset) {
        let Some(place) = self.place_of(at) else { return };
        let block = self.block(place);
        if block.range.start() < at {
            self.insert_at(Place { index: place.index + 1, ..place }, at, block.status);
        }
    }

    /// Gives the bytes of `range` that lie in the map the status `status`, as one block, and joins it with touching
    /// blocks of the same status that lie in `domain` too. Blocks are never joined across a border of the domain.
    pub fn change(&mut self, range: ByteRange, status: Status, domain: &RangeSet) {
        let Some(extent) = self.extent() else { return };
        let range = range.overlap(extent);
        if range.is_empty() {
            return;
        }
        self.split_at(range.start());
        self.split_at(range.end());
        let before = self.before(range).filter(|b| b.status == status);
        let joins_before = before.is_some_and(|b| {
            domain.contains(b.range.end().saturating_back(1)) && domain.contains(range.start())
        });
        let after = self.after(range).filter(|b| b.status == status);
        let joins_after = after.is_some_and(|b| {
            domain.contains(b.range.start()) && domain.contains(range.end().saturating_back(1))
        });
        self.set_in(range, status, if joins_before { None } else { Some(range.start()) });
        if joins_after {
            self.remove_start(range.end());
        }
    }

    /// Joins touching blocks of the same status. Linear.
    pub fn merge(&mut self) {
        *self = self.blocks().map(|b| (b.range, b.status)).collect_merged();
    }

    /// Splits blocks at every border of `domain`. Linear in the map when anything is split.
    pub fn split_at_borders(&mut self, domain: &RangeSet) {
        for range in domain.ranges() {
            self.split_at(range.start());
            self.split_at(range.end());
        }
    }

    /// Removes all that lies at or after `end`.
    pub fn truncate(&mut self, end: Offset) {
        let Some(extent) = self.extent() else { return };
        if end >= extent.end() {
            return;
        }
        if end <= extent.start() {
            *self = RescueMap::new();
            return;
        }
        self.split_at(end);
        let Some(place) = self.place_of(end) else { return };
        for chunk in place.chunk..self.chunks.len() {
            let keep = if chunk == place.chunk { place.index } else { 0 };
            self.length -= self.chunks[chunk].starts.len() - keep;
            self.chunks[chunk].cut(keep);
        }
        let keep = if place.index == 0 { place.chunk } else { place.chunk + 1 };
        self.chunks.truncate(keep);
        self.firsts.truncate(keep);
        self.masks.truncate(keep);
        if let Some(last) = self.chunks.last() {
            self.masks[keep - 1] = last.mask();
        }
        self.end = end;
    }

    /// Adds blocks of `status` before and after the map, so that it covers `range` at least.
    /// A map without blocks becomes one block.
    pub fn extend_to(&mut self, range: ByteRange, status: Status) {
        let Some(extent) = self.extent() else {
            *self = RescueMap::single(range, status);
            return;
        };
        if range.start() < extent.start() {
            self.insert_at(Place { chunk: 0, index: 0 }, range.start(), status);
        }
        if range.end() > extent.end() {
            let chunk = self.chunks.len() - 1;
            let index = self.chunks[chunk].starts.len();
            self.end = range.end();
            self.insert_at(Place { chunk, index }, extent.end(), status);
        }
    }

    /// Panics unless blocks touch, none is empty, and the books kept beside them are right. For tests and for the
    /// moment before a map is written: a wrong map must never reach a file.
    pub fn check(&self) {
        let mut length = 0;
        let mut last_start = None;
        for (i, chunk) in self.chunks.iter().enumerate() {
            assert!(!chunk.starts.is_empty());
            assert_eq!(chunk.starts.len(), chunk.statuses.len());
            assert!(chunk.starts.len() <= CHUNK_BLOCKS_MAX);
            assert_eq!(self.firsts[i], chunk.starts[0]);
            assert_eq!(self.masks[i], chunk.mask());
            length += chunk.starts.len();
            for start in &chunk.starts {
                assert!(
                    last_start.is_none_or(|last| last < *start),
                    "blocks must touch and must not be empty"
                );
                last_start = Some(*start);
            }
        }
        assert_eq!(self.firsts.len(), self.chunks.len());
        assert_eq!(self.masks.len(), self.chunks.len());
        assert_eq!(length, self.length);
        assert!(last_start.is_none_or(|last| last < self.end));
    }

    fn place_of(&self, at: Offset) -> Option<Place> {
        if at >= self.end {
            return None;
        }
        let chunk = self.firsts.partition_point(|first| *first <= at).checked_sub(1)?;
        let index = self.chunks[chunk].starts.partition_point(|start| *start <= at) - 1;
        Some(Place { chunk, index })
    }

    fn block(&self, place: Place) -> Block {
        let chunk = &self.chunks[place.chunk];
        let end = match chunk.starts.get(place.index + 1) {
            Some(end) => *end,
            None => self.firsts.get(place.chunk + 1).copied().unwrap_or(self.end),
        };
        Block {
            range: ByteRange::between(chunk.starts[place.index], end),
            status: chunk.statuses[place.index],
        }
    }

    /// Inserts a block that starts at `start` before the place; it ends where the next one starts.
    fn insert_at(&mut self, place: Place, start: Offset, status: Status) {
        let chunk = &mut self.chunks[place.chunk];
        chunk.starts.insert(place.index, start);
        chunk.statuses.insert(place.index, status);
        chunk.counts[status as usize] += 1;
        self.masks[place.chunk] |= bit(status);
        self.firsts[place.chunk] = chunk.starts[0];
        self.length += 1;
        if chunk.starts.len() > CHUNK_BLOCKS_MAX {
            let upper = chunk.split_off(chunk.starts.len() / 2);
            self.masks[place.chunk] = self.chunks[place.chunk].mask();
            self.firsts.insert(place.chunk + 1, upper.starts[0]);
            self.masks.insert(place.chunk + 1, upper.mask());
            self.chunks.insert(place.chunk + 1, upper);
        }
    }

    /// Makes the blocks that start in `range` one block of `status` that starts at `keep`, or part of the block
    /// before if `None`. Both ends of the range must be block borders.
    fn set_in(&mut self, range: ByteRange, status: Status, keep: Option<Offset>) {
        let Some(place) = self.place_of(range.start()) else { return };
        let first = if keep.is_some() {
            self.retype(place, status);
            Place { index: place.index + 1, ..place }
        } else {
            place
        };
        self.remove_starts_in(range, first);
        // Edits that sweep upwards leave small chunks behind; they are joined from the right.
        if let Some(before) = place.chunk.checked_sub(1) {
            self.join(before);
        }
    }

    /// Removes the starts in `range` from `place` on.
    fn remove_starts_in(&mut self, range: ByteRange, mut place: Place) {
        loop {
            if place.index >= self.chunks[place.chunk].starts.len() {
                place = Place { chunk: place.chunk + 1, index: 0 };
                if place.chunk >= self.chunks.len() {
                    return;
                }
            }
            let chunk = &self.chunks[place.chunk];
            let stop = place.index + chunk.starts[place.index..].partition_point(|s| *s < range.end());
            if stop == place.index {
                return;
            }
            let emptied = self.remove(place.chunk, place.index..stop);
            if emptied {
                place.index = 0;
                if place.chunk >= self.chunks.len() {
                    return;
                }
            }
        }
    }

    fn remove_start(&mut self, start: Offset) {
        if let Some(place) = self.place_of(start) {
            debug_assert_eq!(self.chunks[place.chunk].starts[place.index], start);
            self.remove(place.chunk, place.index..place.index + 1);
        }
    }

    fn retype(&mut self, place: Place, status: Status) {
        let chunk = &mut self.chunks[place.chunk];
        let old = std::mem::replace(&mut chunk.statuses[place.index], status);
        chunk.counts[old as usize] -= 1;
        chunk.counts[status as usize] += 1;
        self.masks[place.chunk] = chunk.mask();
    }

    /// Removes starts, so that the block before grows over them. Returns whether the chunk itself went away.
    fn remove(&mut self, at: usize, indices: std::ops::Range<usize>) -> bool {
        let chunk = &mut self.chunks[at];
        self.length -= indices.len();
        for status in &chunk.statuses[indices.clone()] {
            chunk.counts[*status as usize] -= 1;
        }
        chunk.starts.drain(indices.clone());
        chunk.statuses.drain(indices);
        if chunk.starts.is_empty() {
            self.chunks.remove(at);
            self.firsts.remove(at);
            self.masks.remove(at);
            return true;
        }
        self.firsts[at] = chunk.starts[0];
        self.masks[at] = chunk.mask();
        self.join(at);
        false
    }

    /// Joins a chunk with the next one if both are small.
    fn join(&mut self, at: usize) {
        if at + 1 < self.chunks.len()
            && self.chunks[at].starts.len() + self.chunks[at + 1].starts.len() <= CHUNK_BLOCKS_JOINED
        {
            let next = self.chunks.remove(at + 1);
            self.firsts.remove(at + 1);
            self.masks.remove(at + 1);
            self.chunks[at].append(next);
            self.masks[at] = self.chunks[at].mask();
        }
    }
}

/// Same blocks, whatever the chunks.
impl PartialEq for RescueMap {
    fn eq(&self, other: &RescueMap) -> bool {
        self.end == other.end && self.length == other.length && self.blocks().eq(other.blocks())
    }
}

impl Eq for RescueMap {}

impl Chunk {
    fn with_room() -> Chunk {
        Chunk {
            starts: Vec::with_capacity(CHUNK_BLOCKS_BUILT + 1),
            statuses: Vec::with_capacity(CHUNK_BLOCKS_BUILT + 1),
            counts: [0; 5],
        }
    }

    fn mask(&self) -> u8 {
        (0..5).fold(0, |mask, i| mask | (u8::from(self.counts[i] > 0) << i))
    }

    fn recount(&mut self) {
        self.counts = [0; 5];
        for status in &self.statuses {
            self.counts[*status as usize] += 1;
        }
    }

    fn split_off(&mut self, at: usize) -> Chunk {
        let mut upper = Chunk {
            starts: self.starts.split_off(at),
            statuses: self.statuses.split_off(at),
            counts: [0; 5],
        };
        upper.recount();
        self.recount();
        upper
    }

    fn cut(&mut self, keep: usize) {
        self.starts.truncate(keep);
        self.statuses.truncate(keep);
        self.recount();
    }

    fn append(&mut self, next: Chunk) {
        self.starts.extend(next.starts);
        self.statuses.extend(next.statuses);
        self.recount();
    }
}

const fn bit(status: Status) -> u8 {
    1 << status as u8
}

/// Iterator over blocks, from either end.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    map: &'a RescueMap,
    /// First and last place still to come.
    ends: Option<(Place, Place)>,
}

impl Iterator for Blocks<'_> {
    type Item = Block;
    fn next(&mut self) -> Option<Block> {
        let (first, last) = self.ends?;
        let mut next = Place { index: first.index + 1, ..first };
        if next.index == self.map.chunks[first.chunk].starts.len() {
            next = Place { chunk: first.chunk + 1, index: 0 };
        }
        self.ends = (first != last).then_some((next, last));
        Some(self.map.block(first))
    }
}

impl DoubleEndedIterator for Blocks<'_> {
    fn next_back(&mut self) -> Option<Block> {
        let (first, last) = self.ends?;
        self.ends = (first != last).then(|| {
            let previous = match last.index.checked_sub(1) {
                Some(index) => Place { index, ..last },
                None => {
                    Place { chunk: last.chunk - 1, index: self.map.chunks[last.chunk - 1].starts.len() - 1 }
                }
            };
            (first, previous)
        });
        Some(self.map.block(last))
    }
}
