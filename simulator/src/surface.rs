//! What is wrong with which sectors.
//!
//! Owns the table of damaged stretches and how damage that meets in one place composes: the worst wins. Must not know
//! how damage came there, nor what an attempt at it does.

use std::collections::BinaryHeap;
use std::ops::Range;

use crate::law::{Health, Law};
use crate::media::Lba;

/// Sectors that follow one law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Which; whole physical sectors, not empty.
    pub sectors: Range<Lba>,
    /// Number of the law.
    pub law: usize,
}

/// All damage of a disk. Sectors that no stretch covers are healthy.
#[derive(Clone, Debug, Default)]
pub struct Surface {
    laws: Vec<Law>,
    /// In rising order, disjoint.
    stretches: Vec<Stretch>,
}

impl Surface {
    /// Makes a table of stretches in any order, overlapping or not. Takes n log n.
    pub fn new(laws: Vec<Law>, stretches: Vec<Stretch>) -> Surface {
        let stretches = flatten(&laws, stretches);
        Surface { laws, stretches }
    }

    /// The law of a number.
    pub fn law(&self, number: usize) -> &Law {
        &self.laws[number]
    }

    /// The stretches, in rising order.
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// Those that have sectors in `sectors`, in rising order.
    pub fn overlapping(&self, sectors: Range<Lba>) -> &[Stretch] {
        let first = self.first_ending_after(sectors.start);
        let count = self.stretches[first..].partition_point(|stretch| stretch.sectors.start < sectors.end);
        &self.stretches[first..first + count]
    }

    /// Those of `sectors` that read as zeros, whatever the disk once held there.
    pub fn zeros(&self, sectors: Range<Lba>) -> impl Iterator<Item = Range<Lba>> {
        let is_zeros = |stretch: &&Stretch| matches!(self.laws[stretch.law].health, Health::Zeros { .. });
        let cut = move |s: &Stretch| s.sectors.start.max(sectors.start)..s.sectors.end.min(sectors.end);
        self.overlapping(sectors.clone()).iter().filter(is_zeros).map(cut)
    }

    /// The first damaged sector at or behind `at`; the largest number if there is none.
    pub fn next_damage(&self, at: Lba) -> Lba {
        let next = self.stretches.get(self.first_ending_after(at));
        next.map_or(Lba::MAX, |stretch| stretch.sectors.start.max(at))
    }

    /// The end of the last damaged sector at or before `at`; 0 if there is none.
    pub fn last_damage(&self, at: Lba) -> Lba {
        let count = self.stretches.partition_point(|stretch| stretch.sectors.start < at);
        self.stretches[..count].last().map_or(0, |stretch| stretch.sectors.end.min(at))
    }

    /// Adds damage to a disk in use. Linear in the table.
    pub fn add(&mut self, added: Stretch) {
        let first = self.first_ending_after(added.sectors.start);
        let count =
            self.stretches[first..].partition_point(|stretch| stretch.sectors.start < added.sectors.end);
        let mut here: Vec<Stretch> = self.stretches[first..first + count].to_vec();
        here.push(added);
        self.stretches.splice(first..first + count, flatten(&self.laws, here));
    }

    /// Adds much damage to a disk in use at once. Takes n log n of the whole table.
    pub fn add_all(&mut self, added: impl IntoIterator<Item = Stretch>) {
        let mut all = std::mem::take(&mut self.stretches);
        all.extend(added);
        self.stretches = flatten(&self.laws, all);
    }

    /// Adds a law to a disk in use; returns its number.
    pub fn add_law(&mut self, law: Law) -> usize {
        self.laws.push(law);
        self.laws.len() - 1
    }

    /// Heals sectors of a disk in use: they were written or reallocated. Linear in the table.
    pub fn heal(&mut self, sectors: Range<Lba>) {
        let first = self.first_ending_after(sectors.start);
        let count = self.stretches[first..].partition_point(|stretch| stretch.sectors.start < sectors.end);
        let mut left = Vec::new();
        for stretch in &self.stretches[first..first + count] {
            for kept in [
                stretch.sectors.start..sectors.start.min(stretch.sectors.end),
                sectors.end.max(stretch.sectors.start)..stretch.sectors.end,
            ] {
                if !kept.is_empty() {
                    left.push(Stretch { sectors: kept, law: stretch.law });
                }
            }
        }
        self.stretches.splice(first..first + count, left);
    }

    fn first_ending_after(&self, at: Lba) -> usize {
        self.stretches.partition_point(|stretch| stretch.sectors.end <= at)
    }
}

/// Makes stretches disjoint and rising: where several meet, the law that ranks worst holds, the later one among equals.
fn flatten(laws: &[Law], mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    stretches.retain(|stretch| !stretch.sectors.is_empty());
    stretches.sort_by_key(|stretch| stretch.sectors.start);
    // A single fault of a million pieces is laid so: joining them in place takes no second table.
    if stretches.is_sorted_by(|one, next| one.sectors.end <= next.sectors.start) {
        stretches.dedup_by(|next, last| {
            let is_more = last.sectors.end == next.sectors.start && last.law == next.law;
            if is_more {
                last.sectors.end = next.sectors.end;
            }
            is_more
        });
        return stretches;
    }
    let mut flat: Vec<Stretch> = Vec::with_capacity(stretches.len());
    let mut push = |sectors: Range<Lba>, law: usize| match flat.last_mut() {
        _ if sectors.is_empty() => {}
        Some(last) if last.sectors.end == sectors.start && last.law == law => last.sectors.end = sectors.end,
        _ => flat.push(Stretch { sectors, law }),
    };
    // Those that cover the present position, the worst on top.
    let mut open: BinaryHeap<(u8, usize, Lba)> = BinaryHeap::new();
    let mut at = 0;
    for index in 0..=stretches.len() {
        let next = stretches.get(index);
        let start = next.map_or(Lba::MAX, |stretch| stretch.sectors.start);
        while let Some(&(_, law, end)) = open.peek()
            && at < start
        {
            if end > at {
                push(at..end.min(start), law);
                at = end.min(start);
            }
            if end <= at {
                open.pop();
            }
        }
        at = start;
        if let Some(stretch) = next {
            // Most damage meets no other.
            let behind = stretches.get(index + 1).map_or(Lba::MAX, |stretch| stretch.sectors.start);
            if open.is_empty() && stretch.sectors.end <= behind {
                push(stretch.sectors.clone(), stretch.law);
                at = stretch.sectors.end;
                continue;
            }
            open.push((laws[stretch.law].rank(), stretch.law, stretch.sectors.end));
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn laws() -> Vec<Law> {
        let healths =
            [Health::Zeros { time: block::Nanos::ZERO }, Health::Weak { a: 1.0, b: 1.0 }, Health::Bad];
        healths.map(|health| Law::new(health, "test")).to_vec()
    }

    fn arbitrary() -> impl Strategy<Value = Vec<Stretch>> {
        let one = (0u64..100, 0u64..30, 0usize..3)
            .prop_map(|(start, length, law)| Stretch { sectors: start..start + length, law });
        prop::collection::vec(one, 0..12)
    }

    /// The law of each sector, asked one by one.
    fn naive(stretches: &[Stretch]) -> Vec<Option<usize>> {
        let here = |at| stretches.iter().filter(move |s| s.sectors.contains(&at)).map(|s| s.law).max();
        (0..140).map(here).collect()
    }

    fn found(surface: &Surface) -> Vec<Option<usize>> {
        (0..140).map(|at| surface.overlapping(at..at + 1).first().map(|s| s.law)).collect()
    }

    proptest! {
        #[test]
        fn the_worst_wins_sector_by_sector(stretches in arbitrary(), added in arbitrary(), healed in 0u64..100) {
            let mut surface = Surface::new(laws(), stretches.clone());
            prop_assert_eq!(found(&surface), naive(&stretches));
            for at in 0..140 {
                let next = (at..140).find(|x| naive(&stretches)[*x as usize].is_some()).unwrap_or(Lba::MAX);
                prop_assert_eq!(surface.next_damage(at), next);
                let last = (0..at).rev().find(|x| naive(&stretches)[*x as usize].is_some()).map_or(0, |x| x + 1);
                prop_assert_eq!(surface.last_damage(at), last);
            }
            let stretches_before = stretches.clone();
            let all: Vec<Stretch> = stretches.into_iter().chain(added.clone()).collect();
            added.iter().filter(|s| !s.sectors.is_empty()).cloned().for_each(|stretch| surface.add(stretch));
            prop_assert_eq!(found(&surface), naive(&all));
            let mut at_once = Surface::new(laws(), stretches_before);
            at_once.add_all(added);
            prop_assert_eq!(found(&at_once), found(&surface));
            surface.heal(healed..healed + 10);
            let mut left = naive(&all);
            left[healed as usize..healed as usize + 10].fill(None);
            prop_assert_eq!(found(&surface), left);
        }
    }
}
