//! How much of a map has which status.
//!
//! Owns the counting of bytes and areas. Must not know how they are shown.

use block::RangeSet;

use crate::{RescueMap, Status};

/// Bytes and areas by status, of the part of a map that lies in a domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    bytes: [u64; 5],
    areas: [u64; 5],
}

impl Summary {
    /// Counts what of `map` lies in `domain`. An area is a run of touching blocks of one status within one piece of
    /// the domain. Linear in both.
    pub fn of(map: &RescueMap, domain: &RangeSet) -> Summary {
        let mut summary = Summary::default();
        for piece in domain.ranges() {
            let mut last = None;
            for block in map.blocks_in(*piece) {
                summary.bytes[block.status as usize] += block.range.overlap(*piece).length();
                if last != Some(block.status) {
                    summary.areas[block.status as usize] += 1;
                }
                last = Some(block.status);
            }
        }
        summary
    }

    /// Bytes with this status.
    pub fn bytes(&self, status: Status) -> u64 {
        self.bytes[status as usize]
    }

    /// Areas with this status.
    pub fn areas(&self, status: Status) -> u64 {
        self.areas[status as usize]
    }

    /// Bytes with any status.
    pub fn total(&self) -> u64 {
        self.bytes.iter().sum()
    }

    /// Bytes that were tried without being rescued: non-trimmed, non-scraped, bad-sector.
    pub fn failed(&self) -> u64 {
        self.bytes(Status::NonTrimmed) + self.bytes(Status::NonScraped) + self.bytes(Status::BadSector)
    }

    /// Whether everything is rescued.
    pub fn is_complete(&self) -> bool {
        self.total() == self.bytes(Status::Finished)
    }
}
