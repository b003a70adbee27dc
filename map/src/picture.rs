//! A map reduced to a few cells, to be looked at.
//!
//! Owns which status stands for a stretch of many blocks. Must not know colours, characters or terminals.

use block::{ByteRange, Offset, RangeSet};

use crate::algebra::{Side, pieces};
use crate::{RescueMap, Status};

/// Divides `range` into `count` equal cells and returns the status to show for each; `None` where the map says nothing.
///
/// What somebody must not miss wins, however small: bad sectors over non-scraped over non-trimmed. Between finished and
/// non-tried the larger share wins. Linear in the blocks and in the cells.
pub fn cells(map: &RescueMap, range: ByteRange, count: usize) -> Vec<Option<Status>> {
    cells_in(map, &range.into(), range, count)
}

/// The same, looking only at bytes of `domain`; `None` also for cells that have none of them.
pub fn cells_in(map: &RescueMap, domain: &RangeSet, range: ByteRange, count: usize) -> Vec<Option<Status>> {
    let border = |index: usize| {
        let share = u128::from(range.length()) * index as u128 / count.max(1) as u128;
        range.start() + share as u64
    };
    let mut cells = Vec::with_capacity(count);
    let mut inside = pieces(map, domain).filter(|piece| piece.side == Side::Inside).peekable();
    for index in 0..count {
        // A range shorter than the cells still shows each of its bytes.
        let start = border(index).min(range.end().saturating_back(1));
        let cell = ByteRange::between(start, border(index + 1).max(start + 1)).overlap(range);
        while inside.peek().is_some_and(|piece| piece.range.end() <= cell.start()) {
            inside.next();
        }
        let mut bytes = [0u64; 5];
        let mut ahead = inside.clone();
        while let Some(piece) = ahead.next_if(|piece| piece.range.start() < cell.end()) {
            bytes[piece.status as usize] += piece.range.overlap(cell).length();
        }
        cells.push(shown(&bytes));
    }
    cells
}

fn shown(bytes: &[u64; 5]) -> Option<Status> {
    let has = |status: Status| bytes[status as usize] > 0;
    let damage =
        [Status::BadSector, Status::NonScraped, Status::NonTrimmed].into_iter().find(|status| has(*status));
    let (done, open) = (bytes[Status::Finished as usize], bytes[Status::NonTried as usize]);
    damage.or((done > 0 || open > 0).then_some(if done >= open {
        Status::Finished
    } else {
        Status::NonTried
    }))
}

/// Where in the cells a position is shown; `None` outside the range.
pub fn cell_of(at: Offset, range: ByteRange, count: usize) -> Option<usize> {
    let inside = range.contains(at).then(|| u128::from(at - range.start()))?;
    Some((inside * count as u128 / u128::from(range.length())) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_sector_is_seen_in_a_terabyte() {
        let range = ByteRange::new(Offset::ZERO, 1 << 40);
        let mut map = RescueMap::single(range, Status::Finished);
        map.change(ByteRange::new(Offset::new(1 << 39), 512), Status::BadSector, &range.into());
        let cells = cells(&map, range, 100);
        assert_eq!(cells.iter().filter(|cell| **cell == Some(Status::BadSector)).count(), 1);
        assert_eq!(cells[50], Some(Status::BadSector));
        assert_eq!(cell_of(Offset::new(1 << 39), range, 100), Some(50));
    }

    #[test]
    fn cells_without_a_byte_of_the_domain_show_nothing() {
        let range = ByteRange::new(Offset::ZERO, 10);
        let map = RescueMap::single(range, Status::Finished);
        let domain: RangeSet = [0, 8].map(|at| ByteRange::new(Offset::new(at), 2)).into_iter().collect();
        let finished = Some(Status::Finished);
        assert_eq!(cells_in(&map, &domain, range, 5), [finished, None, None, None, finished]);
    }

    #[test]
    fn a_map_without_end_has_cells_too() {
        let map = RescueMap::single(ByteRange::ALL, Status::NonScraped);
        assert_eq!(cells(&map, ByteRange::ALL, 3), [Some(Status::NonScraped); 3]);
    }

    #[test]
    fn more_cells_than_bytes_and_no_bytes_at_all_are_no_trouble() {
        let range = ByteRange::new(Offset::ZERO, 3);
        let map = RescueMap::single(range, Status::NonTried);
        assert_eq!(cells(&map, range, 10), vec![Some(Status::NonTried); 10]);
        assert_eq!(cells(&RescueMap::new(), range, 2), vec![None; 2]);
        assert_eq!(cells(&map, ByteRange::default(), 4).len(), 4);
    }
}
