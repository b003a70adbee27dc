//! The rescue map against two others that are too simple to be wrong: a plain list of blocks, and `rangemap`.

use block::{ByteRange, Offset, RangeSet};
use map::{Block, Builder, RescueMap, Status};
use proptest::prelude::*;
use rangemap::RangeMap;

/// Bytes that the maps here have at most; small, so that edits meet.
const SMALL: u64 = 60;
/// The same for maps of many chunks.
const LARGE: u64 = 12_000;

/// Start, end and status of each block.
#[derive(Clone, Debug, Default)]
struct Plain {
    blocks: Vec<(u64, u64, Status)>,
}

/// What can be done to a map.
#[derive(Clone, Debug)]
enum Edit {
    Change(u64, u64, Status),
    Split(u64),
    SplitAtBorders,
    Merge,
    Truncate(u64),
    ExtendTo(u64, u64, Status),
}

impl Plain {
    fn extent(&self) -> Option<(u64, u64)> {
        Some((self.blocks.first()?.0, self.blocks.last()?.1))
    }

    fn split(&mut self, at: u64) {
        if let Some(i) = self.blocks.iter().position(|(start, end, _)| *start < at && at < *end) {
            let (start, end, status) = self.blocks[i];
            self.blocks[i] = (start, at, status);
            self.blocks.insert(i + 1, (at, end, status));
        }
    }

    fn merge_if(&mut self, mergeable: impl Fn(u64) -> bool) {
        let mut merged: Vec<(u64, u64, Status)> = Vec::new();
        for (start, end, status) in self.blocks.drain(..) {
            match merged.last_mut() {
                Some(last) if last.2 == status && mergeable(start) => last.1 = end,
                _ => merged.push((start, end, status)),
            }
        }
        self.blocks = merged;
    }

    fn change(&mut self, start: u64, end: u64, status: Status, domain: &RangeSet) {
        let Some((first, last)) = self.extent() else { return };
        let (start, end) = (start.max(first), end.min(last));
        if start >= end {
            return;
        }
        self.split(start);
        self.split(end);
        for block in self.blocks.iter_mut().filter(|block| start <= block.0 && block.1 <= end) {
            block.2 = status;
        }
        // One block within the range; joined at its ends where the domain lies on both sides.
        let joins =
            |at: u64| domain.contains(Offset::new(at)) && domain.contains(Offset::new(at).saturating_back(1));
        self.merge_if(|at| {
            let is_edge = at == start || at == end;
            (start < at && at < end) || (is_edge && joins(at))
        });
    }

    fn apply(&mut self, edit: &Edit, domain: &RangeSet) {
        match *edit {
            Edit::Change(start, end, status) => self.change(start, end, status, domain),
            Edit::Split(at) => self.split(at),
            Edit::SplitAtBorders => {
                for range in domain.ranges() {
                    self.split(range.start().bytes());
                    self.split(range.end().bytes());
                }
            }
            Edit::Merge => self.merge_if(|_| true),
            Edit::Truncate(end) => {
                self.split(end);
                self.blocks.retain(|block| block.1 <= end);
            }
            Edit::ExtendTo(start, end, status) => match self.extent() {
                None if start < end => self.blocks.push((start, end, status)),
                None => {}
                Some((first, last)) => {
                    if start < first {
                        self.blocks.insert(0, (start, first, status));
                    }
                    if end > last {
                        self.blocks.push((last, end, status));
                    }
                }
            },
        }
    }
}

fn apply(map: &mut RescueMap, edit: &Edit, domain: &RangeSet) {
    match *edit {
        Edit::Change(start, end, status) => map.change(range(start, end), status, domain),
        Edit::Split(at) => map.split_at(Offset::new(at)),
        Edit::SplitAtBorders => map.split_at_borders(domain),
        Edit::Merge => map.merge(),
        Edit::Truncate(end) => map.truncate(Offset::new(end)),
        Edit::ExtendTo(start, end, status) => map.extend_to(range(start, end), status),
    }
}

fn range(start: u64, end: u64) -> ByteRange {
    ByteRange::between(Offset::new(start), Offset::new(end))
}

fn plain(block: Block) -> (u64, u64, Status) {
    (block.range.start().bytes(), block.range.end().bytes(), block.status)
}

fn status() -> impl Strategy<Value = Status> {
    prop::sample::select(Status::ALL.to_vec())
}

fn ends(size: u64) -> impl Strategy<Value = (u64, u64)> {
    (0..=size, 0..=size).prop_map(|(a, b)| (a.min(b), a.max(b)))
}

fn edit(size: u64) -> impl Strategy<Value = Edit> {
    let near = (0..=size, 0u64..9).prop_map(|(start, length)| (start, start + length));
    let change =
        (prop_oneof![3 => near, 1 => ends(size)], status()).prop_map(|((a, b), s)| Edit::Change(a, b, s));
    prop_oneof![
        20 => change,
        6 => (0..=size).prop_map(Edit::Split),
        1 => Just(Edit::SplitAtBorders),
        1 => Just(Edit::Merge),
        1 => (size / 2..=size).prop_map(Edit::Truncate),
        1 => (ends(size), status()).prop_map(|((a, b), s)| Edit::ExtendTo(a, b, s)),
    ]
}

fn domain(size: u64) -> impl Strategy<Value = RangeSet> {
    prop_oneof![
        Just(RangeSet::from(ByteRange::ALL)),
        prop::collection::vec(ends(size), 0..5)
            .prop_map(|r| r.into_iter().map(|(a, b)| range(a, b)).collect()),
    ]
}

/// Many blocks of one to four bytes, all chunks full.
fn large_map() -> impl Strategy<Value = Vec<(u64, Status)>> {
    prop::collection::vec((1u64..4, status()), 1000..4000)
}

fn agree_after_each(
    map: &mut RescueMap,
    plain_map: &mut Plain,
    edits: &[Edit],
    domain: &RangeSet,
) -> Result<(), TestCaseError> {
    for edit in edits {
        apply(map, edit, domain);
        plain_map.apply(edit, domain);
        map.check();
        prop_assert_eq!(map.len(), plain_map.blocks.len(), "{:?}", edit);
        prop_assert!(map.blocks().map(plain).eq(plain_map.blocks.iter().copied()), "{:?}", edit);
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_edit_does_what_it_does_to_a_plain_list(start in 0u64..20, end in 20u64..=SMALL, first in status(),
            domain in domain(SMALL), edits in prop::collection::vec(edit(SMALL), 0..30)) {
        let mut map = RescueMap::single(range(start, end), first);
        let mut plain_map = Plain { blocks: vec![(start, end, first)] };
        agree_after_each(&mut map, &mut plain_map, &edits, &domain)?;
    }

    #[test]
    fn questions_are_answered_like_by_a_plain_list(domain in domain(SMALL), at in 0..=SMALL, wanted in status(),
            (from, to) in ends(SMALL), edits in prop::collection::vec(edit(SMALL), 0..30)) {
        let mut map = RescueMap::single(range(5, 50), Status::NonTried);
        for edit in &edits {
            apply(&mut map, edit, &domain);
        }
        let blocks: Vec<_> = map.blocks().map(plain).collect();
        let offset = Offset::new(at);
        let holding = |(start, end, _): &(u64, u64, Status)| *start <= at && at < *end;
        prop_assert_eq!(map.block_at(offset).map(plain), blocks.iter().copied().find(holding));
        let next = blocks.iter().copied().find(|(_, end, s)| *s == wanted && *end > at);
        prop_assert_eq!(map.next_with(wanted, offset).map(plain), next);
        let previous = blocks.iter().copied().rfind(|(start, _, s)| *s == wanted && *start < at);
        prop_assert_eq!(map.previous_with(wanted, offset).map(plain), previous);
        let inside: Vec<_> = blocks.iter().copied().filter(|(s, e, _)| (*s).max(from) < (*e).min(to)).collect();
        prop_assert_eq!(map.blocks_in(range(from, to)).map(plain).collect::<Vec<_>>(), inside.clone());
        let backwards: Vec<_> = map.blocks_in(range(from, to)).rev().map(plain).collect();
        prop_assert_eq!(backwards, inside.into_iter().rev().collect::<Vec<_>>());
        for (i, block) in map.blocks().enumerate() {
            prop_assert_eq!(map.before(block.range).map(plain), i.checked_sub(1).map(|i| blocks[i]));
            prop_assert_eq!(map.after(block.range).map(plain), blocks.get(i + 1).copied());
        }
        prop_assert_eq!(map.is_untried(), blocks.iter().all(|(_, _, s)| *s == Status::NonTried));
    }

    #[test]
    fn statuses_are_those_of_a_rangemap(edits in prop::collection::vec((ends(SMALL), status()), 0..40)) {
        let all = RangeSet::from(ByteRange::ALL);
        let mut map = RescueMap::single(range(0, SMALL), Status::NonTried);
        let mut other = RangeMap::new();
        other.insert(0..SMALL, Status::NonTried);
        for ((start, end), status) in edits {
            map.change(range(start, end), status, &all);
            if start < end {
                other.insert(start..end, status);
            }
            map.check();
            // Over a domain of everything, touching blocks of one status are always one.
            let blocks: Vec<_> = other.iter().map(|(r, s)| (r.start, r.end, *s)).collect();
            prop_assert_eq!(map.blocks().map(plain).collect::<Vec<_>>(), blocks);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn maps_of_many_chunks_are_edited_like_a_plain_list(runs in large_map(), domain in domain(LARGE),
                                                        edits in prop::collection::vec(edit(LARGE), 0..60)) {
        let mut builder = Builder::new();
        let mut plain_map = Plain::default();
        let mut at = 0;
        for (length, status) in runs {
            builder.push(range(at, at + length), status);
            plain_map.blocks.push((at, at + length, status));
            at += length;
        }
        let mut map = builder.finish();
        agree_after_each(&mut map, &mut plain_map, &edits, &domain)?;
        for status in Status::ALL {
            let mut from = Offset::ZERO;
            let mut found = Vec::new();
            while let Some(block) = map.next_with(status, from) {
                found.push(plain(block));
                from = block.range.end();
            }
            let expected: Vec<_> = plain_map.blocks.iter().copied().filter(|b| b.2 == status).collect();
            prop_assert_eq!(&found, &expected);
            let mut before = Offset::MAX;
            for expected in expected.iter().rev() {
                let block = map.previous_with(status, before).unwrap();
                prop_assert_eq!(plain(block), *expected);
                before = block.range.start();
            }
            prop_assert_eq!(map.previous_with(status, before), None);
        }
    }

    #[test]
    fn a_map_that_is_rescued_bit_by_bit_shrinks_to_one_block(runs in large_map(), step in 3u64..40, order in 0..3) {
        let all = RangeSet::from(ByteRange::ALL);
        let mut map = Builder::new();
        let mut other = RangeMap::new();
        let mut end = 0;
        for (length, status) in runs {
            map.push(range(end, end + length), status);
            other.insert(end..end + length, status);
            end += length;
        }
        let mut map = map.finish();
        map.merge();
        let steps = end.div_ceil(step);
        for i in 0..steps {
            // Upwards, downwards, or all over the map.
            let place = match order { 0 => i, 1 => steps - 1 - i, _ => i * 7919 % steps };
            let (start, stop) = (place * step, (place * step + step).min(end));
            map.change(range(start, stop), Status::Finished, &all);
            other.insert(start..stop, Status::Finished);
            if i % 16 == 0 {
                map.check();
                let blocks = other.iter().map(|(r, s)| (r.start, r.end, *s));
                prop_assert!(map.blocks().map(plain).eq(blocks));
            }
        }
        if order < 2 || !steps.is_multiple_of(7919) {
            prop_assert_eq!(map, RescueMap::single(range(0, end), Status::Finished));
        }
    }
}
