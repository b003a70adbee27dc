//! The map of a running rescue with its domain, and sums that are kept up to date.
//!
//! Owns the agreement between map, domain and sums. Must not know why something changes.

use block::{ByteRange, Offset, RangeSet};
use map::{Block, RescueMap, Status, Summary};

/// Map, domain and the sums over what of the map lies in the domain.
#[derive(Clone, Debug)]
pub struct Book {
    map: RescueMap,
    domain: RangeSet,
    bytes: [u64; 5],
    bad_areas: u64,
}

impl Book {
    /// Opens a book: joins equal neighbours of the map and splits it at the borders of the domain.
    pub fn new(mut map: RescueMap, domain: RangeSet) -> Book {
        map.merge();
        Book::of_blocks(map, domain)
    }

    /// Opens a book whose map keeps its blocks as they are split, but for the borders of the domain.
    pub fn of_blocks(mut map: RescueMap, domain: RangeSet) -> Book {
        map.split_at_borders(&domain);
        let mut book = Book { map, domain, bytes: [0; 5], bad_areas: 0 };
        book.recount();
        book
    }

    /// The map.
    pub fn map(&self) -> &RescueMap {
        &self.map
    }

    /// What is to be rescued.
    pub fn domain(&self) -> &RangeSet {
        &self.domain
    }

    /// Gives blocks in the domain another status, each for itself: equal neighbours stay apart. Linear.
    pub fn retype(&mut self, becomes: impl Fn(Status) -> Status) {
        let domain = &self.domain;
        let new_status = |block: &Block| match domain.contains(block.range.start()) {
            true => becomes(block.status),
            false => block.status,
        };
        self.map = self.map.blocks().map(|block| (block.range, new_status(&block))).collect();
        self.recount();
    }

    /// Bytes with this status in the domain.
    pub fn bytes(&self, status: Status) -> u64 {
        self.bytes[status as usize]
    }

    /// Bytes in the domain that were tried without being rescued.
    pub fn failed_bytes(&self) -> u64 {
        self.bytes(Status::NonTrimmed) + self.bytes(Status::NonScraped) + self.bytes(Status::BadSector)
    }

    /// Bytes of the map that lie in the domain.
    pub fn domain_bytes(&self) -> u64 {
        self.bytes.iter().sum()
    }

    /// Runs of bad sectors in the domain.
    pub fn bad_areas(&self) -> u64 {
        self.bad_areas
    }

    /// Whether everything in the domain is rescued.
    pub fn is_complete(&self) -> bool {
        self.bytes(Status::Finished) == self.domain_bytes()
    }

    /// Gives `range`, which must lie in one piece of the domain, a status. Cost: logarithmic in the blocks of the map.
    pub fn change(&mut self, range: ByteRange, status: Status) {
        debug_assert!(self.domain.covers(range));
        let around = ByteRange::between(range.start().saturating_back(1), range.end() + 1);
        let before = self.bad_blocks(around);
        for block in self.map.blocks_in(range) {
            let length = block.range.overlap(range).length();
            self.bytes[block.status as usize] -= length;
            self.bytes[status as usize] += length;
        }
        self.map.change(range, status, &self.domain);
        self.bad_areas = self.bad_areas + self.bad_blocks(around) - before;
    }

    /// Forgets everything at and after `end`, in map and domain: the source ends there.
    pub fn cut(&mut self, end: Offset) {
        self.map.truncate(end);
        self.crop_domain(end);
    }

    /// Forgets everything at and after `end` in the domain only.
    pub fn crop_domain(&mut self, end: Offset) {
        self.domain.crop(ByteRange::between(Offset::ZERO, end));
        self.map.split_at(end);
        self.recount();
    }

    /// Returns the first block with `status` in the domain that contains or follows `from`.
    pub fn next_with(&self, status: Status, from: Offset) -> Option<Block> {
        let mut from = from;
        loop {
            let piece = self.domain.at_or_after(from)?;
            from = from.max(piece.start());
            let block = self.map.next_with(status, from)?;
            if block.range.start() < piece.end() {
                return Some(block);
            }
            from = block.range.start();
        }
    }

    /// Returns the last block with `status` in the domain that has a byte before `before`.
    pub fn previous_with(&self, status: Status, before: Offset) -> Option<Block> {
        let mut before = before;
        loop {
            let piece = self.domain.at_or_before(before)?;
            before = before.min(piece.end());
            let block = self.map.previous_with(status, before)?;
            if block.range.end() > piece.start() {
                return Some(block);
            }
            before = block.range.end();
        }
    }

    /// Joins equal neighbours, as before the last save.
    pub fn merge(&mut self) {
        self.map.merge();
    }

    fn bad_blocks(&self, around: ByteRange) -> u64 {
        // Blocks do not cross borders of the domain, so one byte tells whether a block lies in it.
        let is_bad = |b: &Block| b.status == Status::BadSector && self.domain.contains(b.range.start());
        self.map.blocks_in(around).filter(is_bad).count() as u64
    }

    fn recount(&mut self) {
        let summary = Summary::of(&self.map, &self.domain);
        self.bytes = Status::ALL.map(|status| summary.bytes(status));
        self.bad_areas = summary.areas(Status::BadSector);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_kept_up_to_date_equal_sums_counted_afresh(
            pieces in prop::collection::vec((0u64..60, 1u64..20), 1..5),
            changes in prop::collection::vec((0u64..64, 1u64..16, 0usize..5), 0..40),
        ) {
            let domain: RangeSet = pieces.iter().map(|(at, n)| ByteRange::new(Offset::new(*at), *n)).collect();
            let whole = ByteRange::new(Offset::ZERO, 80);
            let mut book = Book::new(RescueMap::single(whole, Status::NonTried), domain.clone());
            for (at, length, status) in changes {
                let wanted = ByteRange::new(Offset::new(at), length);
                let pieces: Vec<ByteRange> = domain.pieces_in(wanted).collect();
                for piece in pieces {
                    book.change(piece, Status::ALL[status]);
                }
                book.map().check();
                let fresh = Summary::of(book.map(), &domain);
                for status in Status::ALL {
                    prop_assert_eq!(book.bytes(status), fresh.bytes(status));
                }
                prop_assert_eq!(book.bad_areas(), fresh.areas(Status::BadSector));
            }
        }
    }
}
