//! A set of bytes as sorted ranges that neither overlap nor touch.
//!
//! Owns the algebra of such sets: domains, surveys, damage. Must not know what the bytes mean.

use crate::{ByteRange, Offset};

/// A set of bytes: sorted, disjoint, non-empty ranges with a gap between neighbours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Vec<ByteRange>,
}

impl RangeSet {
    /// Makes an empty set.
    pub fn new() -> RangeSet {
        RangeSet::default()
    }

    /// Adds every byte of `range`. Cheap when ranges come in rising order; otherwise linear in the ranges behind.
    pub fn insert(&mut self, range: ByteRange) {
        if range.is_empty() {
            return;
        }
        // First range that touches or follows, and the first that lies wholly behind.
        let first = self.ranges.partition_point(|r| r.end() < range.start());
        let last = first + self.ranges[first..].partition_point(|r| r.start() <= range.end());
        if first == last {
            self.ranges.insert(first, range);
            return;
        }
        let start = self.ranges[first].start().min(range.start());
        let end = self.ranges[last - 1].end().max(range.end());
        self.ranges[first] = ByteRange::between(start, end);
        self.ranges.drain(first + 1..last);
    }

    /// The ranges in rising order.
    pub fn ranges(&self) -> &[ByteRange] {
        &self.ranges
    }

    /// Whether there is no byte in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Number of bytes.
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().map(|r| r.length()).sum()
    }

    /// From the first to the last byte, gaps included; `None` if empty.
    pub fn span(&self) -> Option<ByteRange> {
        Some(ByteRange::between(self.ranges.first()?.start(), self.ranges.last()?.end()))
    }

    /// Returns the range that contains `at`, or else the first behind it.
    pub fn at_or_after(&self, at: Offset) -> Option<ByteRange> {
        self.ranges.get(self.ranges.partition_point(|r| r.end() <= at)).copied()
    }

    /// Returns the range that has bytes right before `at`, or else the last one ending before it.
    pub fn at_or_before(&self, at: Offset) -> Option<ByteRange> {
        self.ranges[..self.ranges.partition_point(|r| r.start() < at)].last().copied()
    }

    /// Whether `at` is in the set.
    pub fn contains(&self, at: Offset) -> bool {
        self.at_or_after(at).is_some_and(|r| r.contains(at))
    }

    /// Whether all of `range` is in the set.
    pub fn covers(&self, range: ByteRange) -> bool {
        range.is_empty() || self.at_or_after(range.start()).is_some_and(|r| r.covers(range))
    }

    /// Returns the pieces of `range` that are in the set, in rising order.
    pub fn pieces_in(&self, range: ByteRange) -> impl Iterator<Item = ByteRange> + '_ {
        let first = self.ranges.partition_point(|r| r.end() <= range.start());
        self.ranges[first..]
            .iter()
            .take_while(move |r| r.start() < range.end())
            .map(move |r| r.overlap(range))
            // An empty range inside one of ours would be a piece of no bytes.
            .filter(|piece| !piece.is_empty())
    }

    /// Returns what is in both sets. Linear in both.
    pub fn intersection(&self, other: &RangeSet) -> RangeSet {
        let (mut mine, mut theirs) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        let mut ranges = Vec::new();
        while let (Some(a), Some(b)) = (mine.peek(), theirs.peek()) {
            let common = a.overlap(**b);
            if !common.is_empty() {
                ranges.push(common);
            }
            if a.end() < b.end() {
                mine.next()
            } else {
                theirs.next()
            };
        }
        RangeSet { ranges }
    }

    /// Returns what is in this set and not in the other one. Linear in both.
    pub fn minus(&self, other: &RangeSet) -> RangeSet {
        let mut ranges = Vec::new();
        let mut theirs = other.ranges.iter().peekable();
        for range in &self.ranges {
            let mut rest = *range;
            while theirs.next_if(|cut| cut.end() <= rest.start()).is_some() {}
            while let Some(cut) = theirs.peek().filter(|cut| cut.start() < rest.end()) {
                let (before, from_cut) = rest.split_at(cut.start());
                if !before.is_empty() {
                    ranges.push(before);
                }
                rest = from_cut.split_at(cut.end()).1;
                // It may reach into the next range too.
                if cut.end() > range.end() {
                    break;
                }
                theirs.next();
            }
            if !rest.is_empty() {
                ranges.push(rest);
            }
        }
        RangeSet { ranges }
    }

    /// Removes everything outside `range`.
    pub fn crop(&mut self, range: ByteRange) {
        self.ranges = self.pieces_in(range).collect();
    }
}

impl From<ByteRange> for RangeSet {
    fn from(range: ByteRange) -> RangeSet {
        [range].into_iter().collect()
    }
}

impl FromIterator<ByteRange> for RangeSet {
    /// Collects ranges in any order, overlapping or not. Sorts: n log n.
    fn from_iter<I: IntoIterator<Item = ByteRange>>(ranges: I) -> RangeSet {
        let mut sorted: Vec<ByteRange> = ranges.into_iter().filter(|r| !r.is_empty()).collect();
        sorted.sort_unstable();
        let mut merged: Vec<ByteRange> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match merged.last_mut() {
                Some(last) if range.start() <= last.end() => {
                    *last = ByteRange::between(last.start(), last.end().max(range.end()));
                }
                _ => merged.push(range),
            }
        }
        merged.shrink_to_fit();
        RangeSet { ranges: merged }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(bits: &[bool]) -> RangeSet {
        bits.iter()
            .enumerate()
            .filter(|(_, b)| **b)
            .map(|(i, _)| ByteRange::new(Offset::new(i as u64), 1))
            .collect()
    }

    fn bits(set: &RangeSet, length: usize) -> Vec<bool> {
        (0..length).map(|i| set.contains(Offset::new(i as u64))).collect()
    }

    #[test]
    fn an_empty_range_has_no_pieces_even_inside_the_set() {
        let mut set: RangeSet = ByteRange::new(Offset::new(32), 2).into();
        let nothing = ByteRange::new(Offset::new(33), 0);
        assert_eq!(set.pieces_in(nothing).next(), None);
        set.crop(nothing);
        assert!(set.is_empty());
    }

    #[test]
    fn the_nearest_range_is_found_in_both_directions() {
        let range = |start, end| ByteRange::between(Offset::new(start), Offset::new(end));
        let set: RangeSet = [range(10, 20), range(30, 40)].into_iter().collect();
        let after = |at| set.at_or_after(Offset::new(at));
        let before = |at| set.at_or_before(Offset::new(at));
        assert_eq!([after(0), after(10), after(19)], [Some(range(10, 20)); 3]);
        assert_eq!([after(20), after(39)], [Some(range(30, 40)); 2]);
        assert_eq!(after(40), None);
        assert_eq!(before(10), None);
        assert_eq!([before(11), before(20), before(30)], [Some(range(10, 20)); 3]);
        assert_eq!([before(31), before(100)], [Some(range(30, 40)); 2]);
        assert_eq!(set.span(), Some(range(10, 40)));
    }

    proptest! {
        #[test]
        fn algebra_agrees_with_one_flag_a_byte(a in prop::collection::vec(any::<bool>(), 64),
                                               b in prop::collection::vec(any::<bool>(), 64),
                                               from in 0u64..64, length in 0u64..64) {
            let (x, y) = (set(&a), set(&b));
            let both: Vec<bool> = a.iter().zip(&b).map(|(p, q)| *p && *q).collect();
            prop_assert_eq!(x.intersection(&y), set(&both));
            let left: Vec<bool> = a.iter().zip(&b).map(|(p, q)| *p && !*q).collect();
            prop_assert_eq!(x.minus(&y), set(&left));
            prop_assert_eq!(bits(&x, 64), a.clone());
            let range = ByteRange::new(Offset::new(from), length);
            let mut grown = x.clone();
            grown.insert(range);
            let mut cropped = x.clone();
            cropped.crop(range);
            let inside = |i: usize| range.contains(Offset::new(i as u64));
            prop_assert_eq!(grown, set(&(0..128).map(|i| inside(i) || a.get(i) == Some(&true)).collect::<Vec<_>>()));
            prop_assert_eq!(&cropped, &set(&(0..64).map(|i| inside(i) && a[i]).collect::<Vec<_>>()));
            prop_assert_eq!(x.covers(range), (from..from + length).all(|i| a.get(i as usize) == Some(&true)));
            prop_assert_eq!(x.bytes(), a.iter().filter(|v| **v).count() as u64);
        }
    }
}
