//! Whole sectors for blocks whose borders lie inside a sector.
//!
//! Owns the rule which of two neighbours gets a split sector. Must not know why it was split.

use block::ByteRange;
use map::{RescueMap, Status};

/// Moves every border between two unfinished blocks to a border of a sector. The split sector goes to the less
/// processed neighbour, to the first one if both are equal; a neighbour that had nothing else vanishes. Linear.
pub fn join(map: &RescueMap, sector: u64) -> RescueMap {
    let mut joined: Vec<(ByteRange, Status)> = Vec::new();
    for block in map.blocks() {
        let mut next = (block.range, block.status);
        let Some(last) = joined.last_mut() else {
            joined.push(next);
            continue;
        };
        let border = next.0.start();
        let is_whole = border.is_multiple_of(sector);
        if is_whole || last.1 == Status::Finished || next.1 == Status::Finished {
            joined.push(next);
        } else if last.1 <= next.1 {
            let cut = border.align_up(sector);
            if next.0.end() <= cut {
                last.0 = ByteRange::between(last.0.start(), next.0.end());
            } else {
                last.0 = ByteRange::between(last.0.start(), cut);
                next.0 = ByteRange::between(cut, next.0.end());
                joined.push(next);
            }
        } else {
            let cut = border.align_down(sector);
            if last.0.start() >= cut {
                *last = (ByteRange::between(last.0.start(), next.0.end()), next.1);
            } else {
                last.0 = ByteRange::between(last.0.start(), cut);
                next.0 = ByteRange::between(cut, next.0.end());
                joined.push(next);
            }
        }
    }
    joined.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use block::Offset;

    use super::*;

    fn map(blocks: &[(u64, Status)]) -> RescueMap {
        let mut at = Offset::ZERO;
        let block = |(length, status): &(u64, Status)| {
            let range = ByteRange::new(at, *length);
            at = range.end();
            (range, *status)
        };
        blocks.iter().map(block).collect()
    }

    #[test]
    fn a_split_sector_goes_to_the_less_processed_side() {
        use Status::{BadSector, NonTried, NonTrimmed};
        let before = map(&[(700, NonTried), (1000, BadSector), (1000, NonTrimmed)]);
        let after = map(&[(1024, NonTried), (512, BadSector), (1164, NonTrimmed)]);
        assert_eq!(join(&before, 512), after);
    }

    #[test]
    fn a_neighbour_that_had_only_its_part_of_the_sector_vanishes() {
        use Status::{BadSector, NonTried, NonTrimmed};
        assert_eq!(join(&map(&[(700, NonTried), (300, BadSector)]), 512), map(&[(1000, NonTried)]));
        let small_first = map(&[(512, NonTrimmed), (100, BadSector), (1000, NonTried)]);
        assert_eq!(join(&small_first, 512), map(&[(512, NonTrimmed), (1100, NonTried)]));
    }

    #[test]
    fn finished_blocks_keep_their_borders() {
        let before = map(&[(700, Status::Finished), (300, Status::NonTried)]);
        assert_eq!(join(&before, 512), before);
    }
}
