//! How often each sector has been tried.
//!
//! Owns the counts, in rows of equal ones: memory grows with what happened, not with the disk. Must not know why.

use std::collections::BTreeMap;
use std::ops::Range;

/// Counts of attempts at physical sectors; those never tried are not stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Start to end and count; disjoint, neighbours that touch differ.
    rows: BTreeMap<u64, (u64, u32)>,
}

impl Attempts {
    /// How often `sector` has been tried.
    pub fn of(&self, sector: u64) -> u32 {
        match self.rows.range(..=sector).next_back() {
            Some((_, (end, count))) if sector < *end => *count,
            _ => 0,
        }
    }

    /// Counts one more attempt at each of `sectors`.
    pub fn add(&mut self, sectors: Range<u64>) {
        if sectors.is_empty() {
            return;
        }
        self.split(sectors.start);
        self.split(sectors.end);
        let inside: Vec<(u64, u64)> =
            self.rows.range(sectors.clone()).map(|(start, (end, _))| (*start, *end)).collect();
        let mut at = sectors.start;
        for (start, end) in inside {
            if at < start {
                self.rows.insert(at, (start, 1));
            }
            if let Some((_, count)) = self.rows.get_mut(&start) {
                *count = count.saturating_add(1);
            }
            at = end;
        }
        if at < sectors.end {
            self.rows.insert(at, (sectors.end, 1));
        }
        self.join_around(sectors);
    }

    /// Number of rows, for measuring memory.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    fn split(&mut self, at: u64) {
        let Some((start, (end, count))) = self.rows.range(..at).next_back().map(|(s, v)| (*s, *v)) else {
            return;
        };
        if at < end {
            self.rows.insert(start, (at, count));
            self.rows.insert(at, (end, count));
        }
    }

    fn join_around(&mut self, sectors: Range<u64>) {
        let first = self.rows.range(..sectors.start).next_back().map_or(sectors.start, |(start, _)| *start);
        let starts: Vec<u64> = self.rows.range(first..=sectors.end).map(|(start, _)| *start).collect();
        let mut kept: Option<u64> = None;
        for start in starts {
            let Some(&(end, count)) = self.rows.get(&start) else { continue };
            match kept.and_then(|kept| self.rows.get_mut(&kept)) {
                Some(row) if row.0 == start && row.1 == count => {
                    row.0 = end;
                    self.rows.remove(&start);
                }
                _ => kept = Some(start),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_agree_with_one_counter_a_sector(added in prop::collection::vec((0u64..60, 0u64..20), 0..40)) {
            let (mut attempts, mut naive) = (Attempts::default(), [0u32; 80]);
            for (start, length) in added {
                attempts.add(start..start + length);
                naive[start as usize..(start + length) as usize].iter_mut().for_each(|count| *count += 1);
            }
            let found: Vec<u32> = (0..80).map(|sector| attempts.of(sector)).collect();
            prop_assert_eq!(&found[..], &naive[..]);
            let changes = (1..80).filter(|i| naive[*i] != naive[*i - 1]).count();
            prop_assert!(attempts.rows() <= changes + 1);
        }
    }
}
