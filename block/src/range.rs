//! A stretch of bytes, half-open.
//!
//! Owns the arithmetic of ends: nowhere else is 1 added to a last byte. Must not know what lies there.

use std::fmt;

use crate::Offset;

/// Bytes from `start` up to, not including, `end`. May be empty. `end` is at most [`Offset::MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteRange {
    start: Offset,
    end: Offset,
}

impl ByteRange {
    /// Everything there can be.
    pub const ALL: ByteRange = ByteRange { start: Offset::ZERO, end: Offset::MAX };

    /// Makes a range from its first byte and its length in bytes, cut at [`Offset::MAX`].
    pub fn new(start: Offset, length: u64) -> ByteRange {
        ByteRange { start, end: start + length }
    }

    /// Makes a range from its first byte and the byte after its last; empty at `start` if `end` lies before it.
    pub fn between(start: Offset, end: Offset) -> ByteRange {
        ByteRange { start, end: end.max(start) }
    }

    /// The first byte.
    pub const fn start(self) -> Offset {
        self.start
    }

    /// The byte after the last.
    pub const fn end(self) -> Offset {
        self.end
    }

    /// Length in bytes.
    pub const fn length(self) -> u64 {
        self.end.bytes() - self.start.bytes()
    }

    /// Whether there is no byte in it.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether `at` is one of its bytes.
    pub fn contains(self, at: Offset) -> bool {
        self.start <= at && at < self.end
    }

    /// Whether every byte of `inner` is one of its bytes. True for an empty `inner` within its bounds.
    pub fn covers(self, inner: ByteRange) -> bool {
        self.start <= inner.start && inner.end <= self.end
    }

    /// Returns what both have in common; empty if nothing.
    pub fn overlap(self, other: ByteRange) -> ByteRange {
        ByteRange::between(self.start.max(other.start), self.end.min(other.end))
    }

    /// Returns the parts before and from `at`; `at` outside leaves one of them empty.
    pub fn split_at(self, at: Offset) -> (ByteRange, ByteRange) {
        let cut = at.clamp(self.start, self.end);
        (ByteRange { start: self.start, end: cut }, ByteRange { start: cut, end: self.end })
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_that_only_touch_have_nothing_in_common() {
        let left = ByteRange::new(Offset::new(0), 512);
        let right = ByteRange::new(Offset::new(512), 512);
        assert!(left.overlap(right).is_empty());
        assert!(!left.contains(Offset::new(512)));
    }

    #[test]
    fn splitting_outside_leaves_one_part_empty() {
        let range = ByteRange::new(Offset::new(512), 512);
        assert_eq!(range.split_at(Offset::ZERO), (ByteRange::new(Offset::new(512), 0), range));
        assert_eq!(range.split_at(Offset::MAX), (range, ByteRange::new(Offset::new(1024), 0)));
    }

    #[test]
    fn what_reaches_beyond_the_largest_position_is_cut_there() {
        let range = ByteRange::new(Offset::MAX, 512);
        assert!(range.is_empty());
        assert_eq!(ByteRange::new(Offset::new(512), u64::MAX).end(), Offset::MAX);
        assert_eq!(ByteRange::ALL.length(), i64::MAX as u64);
    }

    proptest! {
        #[test]
        fn arithmetic_agrees_with_one_question_a_byte(a in 0u64..40, m in 0u64..40, b in 0u64..40, n in 0u64..40,
                                                      cut in 0u64..90) {
            let (x, y) = (ByteRange::new(Offset::new(a), m), ByteRange::new(Offset::new(b), n));
            let (left, right) = x.split_at(Offset::new(cut));
            let mut count = 0;
            for at in (0..90).map(Offset::new) {
                prop_assert_eq!(x.overlap(y).contains(at), x.contains(at) && y.contains(at));
                prop_assert_eq!(left.contains(at), x.contains(at) && at.bytes() < cut);
                prop_assert_eq!(right.contains(at), x.contains(at) && at.bytes() >= cut);
                count += u64::from(x.contains(at));
            }
            prop_assert_eq!(x.length(), count);
            prop_assert_eq!(x.is_empty(), count == 0);
            if !y.is_empty() {
                let is_inside = (0..90).map(Offset::new).all(|at| !y.contains(at) || x.contains(at));
                prop_assert_eq!(x.covers(y), is_inside);
            }
        }
    }
}
