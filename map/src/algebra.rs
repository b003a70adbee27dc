//! Whole-map operations: change types, logic between maps, shifting, comparing.
//!
//! Owns what each operation means inside and outside a domain. Must not know files, options, or how a map is kept.
//!
//! Every operation is one pass over its maps, and returns a new map whose touching equal blocks are joined.

use block::{ByteRange, Offset, RangeSet};

use crate::masked::finished_of;
use crate::rescue_map::{Block, Blocks, Builder, CollectMap};
use crate::{RescueMap, Status};

/// Where a piece of a map lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// In the domain: examined and changed.
    Inside,
    /// Elsewhere: left alone.
    Outside,
}

/// A block, or the part of one on one side of the domain's border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it lies.
    pub range: ByteRange,
    /// What is known about it.
    pub status: Status,
    /// Whether the domain has it.
    pub side: Side,
}

/// All of a map, cut at the borders of a domain. See [`pieces`].
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    blocks: Blocks<'a>,
    /// What is left of a block that was cut.
    rest: Option<Block>,
    /// Ranges of the domain that do not lie wholly before the next piece.
    ahead: &'a [ByteRange],
}

/// Cuts a map at the borders of a domain.
pub fn pieces<'a>(map: &'a RescueMap, domain: &'a RangeSet) -> Pieces<'a> {
    Pieces { blocks: map.blocks(), rest: None, ahead: domain.ranges() }
}

impl Iterator for Pieces<'_> {
    type Item = Piece;
    fn next(&mut self) -> Option<Piece> {
        let block = self.rest.take().or_else(|| self.blocks.next())?;
        while let [first, others @ ..] = self.ahead
            && first.end() <= block.range.start()
        {
            self.ahead = others;
        }
        let (side, cut) = match self.ahead.first() {
            None => (Side::Outside, Offset::MAX),
            Some(range) if range.start() > block.range.start() => (Side::Outside, range.start()),
            Some(range) => (Side::Inside, range.end()),
        };
        let (range, rest) = block.range.split_at(cut);
        if !rest.is_empty() {
            self.rest = Some(Block { range: rest, status: block.status });
        }
        Some(Piece { range, status: block.status, side })
    }
}

/// Which status becomes which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    to: [Status; 5],
}

impl Change {
    /// Each of `old` becomes the one at the same place in `new`, or the last of `new` if that is shorter; of a
    /// status named twice the first mention counts. `None` if `new` is empty.
    pub fn new(old: &[Status], new: &[Status]) -> Option<Change> {
        let last = *new.last()?;
        let mut to = Status::ALL;
        for (at, status) in old.iter().enumerate().rev() {
            to[*status as usize] = new.get(at).copied().unwrap_or(last);
        }
        Some(Change { to })
    }

    /// Finished becomes bad, everything else becomes finished.
    pub fn invert() -> Change {
        let mut to = [Status::Finished; 5];
        to[Status::Finished as usize] = Status::BadSector;
        Change { to }
    }

    /// What `status` becomes.
    pub fn of(&self, status: Status) -> Status {
        self.to[status as usize]
    }
}

/// Changes statuses in the domain.
pub fn change(map: &RescueMap, domain: &RangeSet, change: &Change) -> RescueMap {
    pieces(map, domain)
        .map(|piece| match piece.side {
            Side::Inside => (piece.range, change.of(piece.status)),
            Side::Outside => (piece.range, piece.status),
        })
        .collect_merged()
}

/// How the finished bytes of one map act on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logic {
    /// Only what is finished in both stays finished.
    And,
    /// What is finished in either becomes finished.
    Or,
    /// What is finished in exactly one becomes finished.
    Xor,
}

impl Logic {
    fn of(self, status: Status, other_finished: bool) -> Status {
        match (self, status, other_finished) {
            (Logic::And, Status::Finished, false) | (Logic::Xor, Status::Finished, true) => Status::BadSector,
            (Logic::Or | Logic::Xor, _, true) => Status::Finished,
            _ => status,
        }
    }
}

/// Applies the finished bytes of `other` to `map`, where the domain and both maps have bytes.
pub fn combine(map: &RescueMap, other: &RescueMap, domain: &RangeSet, logic: Logic) -> RescueMap {
    let domain = cropped(&cropped(domain, map), other);
    let finished = finished_of(other);
    let mut ahead = finished.ranges();
    let mut builder = Builder::new();
    for piece in pieces(map, &domain) {
        if piece.side == Side::Outside {
            builder.push_merged(piece.range, piece.status);
            continue;
        }
        while let [first, others @ ..] = ahead
            && first.end() <= piece.range.start()
        {
            ahead = others;
        }
        let mut rest = piece.range;
        for range in ahead.iter().take_while(|range| range.start() < piece.range.end()) {
            let (before, from) = rest.split_at(range.start());
            let (common, after) = from.split_at(range.end());
            builder.push_merged(before, logic.of(piece.status, false));
            builder.push_merged(common, logic.of(piece.status, true));
            rest = after;
        }
        builder.push_merged(rest, logic.of(piece.status, false));
    }
    builder.finish()
}

/// Moves every block by `distance` bytes, after cutting the map at `end`. What falls below 0 or beyond
/// [`Offset::MAX`] is dropped; what is left free in front by moving up gets the status `front`.
pub fn shift(map: &RescueMap, end: Offset, distance: i64, front: Status) -> RescueMap {
    let Some(extent) = map.extent() else { return RescueMap::new() };
    let moved = |at: Offset| match at.shifted(distance) {
        Some(moved) => moved,
        None if distance < 0 => Offset::ZERO,
        None => Offset::MAX,
    };
    let mut builder = Builder::new();
    if distance > 0 {
        builder.push_merged(ByteRange::between(extent.start(), moved(extent.start())), front);
    }
    for block in map.blocks_in(ByteRange::between(Offset::ZERO, end)) {
        let range = ByteRange::between(moved(block.range.start()), moved(block.range.end().min(end)));
        if !range.is_empty() {
            builder.push_merged(range, block.status);
        }
    }
    builder.finish()
}

/// What of two maps is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Every status, and how far the maps reach into the domain.
    Statuses,
    /// Which bytes are finished.
    Finished,
}

/// Whether two maps say the same about the domain, however their blocks are split.
pub fn agree(left: &RescueMap, right: &RescueMap, domain: &RangeSet, compared: Compared) -> bool {
    first_difference(left, right, domain, compared).is_none()
}

/// The first byte in the domain about which two maps do not say the same. A map that has no block there says nothing.
pub fn first_difference(
    left: &RescueMap,
    right: &RescueMap,
    domain: &RangeSet,
    compared: Compared,
) -> Option<Offset> {
    let (mut left, mut right) = (runs(left, domain, compared), runs(right, domain, compared));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return None,
            (Some(only), None) | (None, Some(only)) => return Some(only.range.start()),
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) if a.range.start() != b.range.start() => {
                return Some(a.range.start().min(b.range.start()));
            }
            (Some(a), Some(b)) if a.status != b.status => return Some(a.range.start()),
            (Some(a), Some(b)) => return Some(a.range.end().min(b.range.end())),
        }
    }
}

/// What is compared of a map: pieces inside the domain, touching ones of equal status as one.
fn runs<'a>(
    map: &'a RescueMap,
    domain: &'a RangeSet,
    compared: Compared,
) -> impl Iterator<Item = Piece> + 'a {
    let is_compared = move |piece: &Piece| {
        piece.side == Side::Inside && (compared == Compared::Statuses || piece.status == Status::Finished)
    };
    let mut inside = pieces(map, domain).filter(is_compared).peekable();
    std::iter::from_fn(move || {
        let mut piece = inside.next()?;
        while let Some(next) =
            inside.next_if(|next| next.status == piece.status && next.range.start() == piece.range.end())
        {
            piece.range = ByteRange::between(piece.range.start(), next.range.end());
        }
        Some(piece)
    })
}

/// Whether everything in the domain is finished; true of a domain without bytes.
pub fn is_done(map: &RescueMap, domain: &RangeSet) -> bool {
    pieces(map, domain).all(|piece| piece.side == Side::Outside || piece.status == Status::Finished)
}

/// The part of the domain for which the map has blocks.
pub fn cropped(domain: &RangeSet, map: &RescueMap) -> RangeSet {
    let mut domain = domain.clone();
    domain.crop(map.extent().unwrap_or_default());
    domain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{map_of, model_of, status, statuses};

    fn domain_of(flags: &[bool]) -> RangeSet {
        let bytes = flags.iter().enumerate().filter(|(_, flag)| **flag);
        bytes.map(|(i, _)| ByteRange::new(Offset::new(i as u64), 1)).collect()
    }

    fn flags() -> impl Strategy<Value = Vec<bool>> {
        prop_oneof![Just(vec![true; 40]), prop::collection::vec(prop::bool::weighted(0.8), 0..40)]
    }

    proptest! {
        #[test]
        fn changing_touches_the_domain_only(model in statuses(), flags in flags(), new in status()) {
            let change = Change::new(&[Status::NonTried, Status::Finished], &[new]).unwrap();
            let map = super::change(&map_of(0, &model), &domain_of(&flags), &change);
            map.check();
            let expected: Vec<Status> = model.iter().enumerate()
                .map(|(i, s)| if flags.get(i) == Some(&true) { change.of(*s) } else { *s }).collect();
            prop_assert_eq!(model_of(&map), expected);
        }

        #[test]
        fn inverting_twice_leaves_finished_what_was(model in statuses()) {
            let all = RangeSet::from(ByteRange::ALL);
            let once = change(&map_of(0, &model), &all, &Change::invert());
            let twice = change(&once, &all, &Change::invert());
            prop_assert!(agree(&map_of(0, &model), &twice, &all, Compared::Finished));
        }

        #[test]
        fn logic_agrees_with_byte_by_byte(a in statuses(), b in statuses(), flags in flags(), start in 0u64..9) {
            for logic in [Logic::And, Logic::Or, Logic::Xor] {
                let map = combine(&map_of(0, &a), &map_of(start, &b), &domain_of(&flags), logic);
                map.check();
                let expected: Vec<Status> = a.iter().enumerate().map(|(i, s)| {
                    match i.checked_sub(start as usize).and_then(|j| b.get(j)) {
                        Some(other) if flags.get(i) == Some(&true) => logic.of(*s, *other == Status::Finished),
                        _ => *s,
                    }
                }).collect();
                prop_assert_eq!(model_of(&map), expected);
            }
        }

        #[test]
        fn shifting_up_and_down_again_loses_nothing(model in statuses(), by in 0i64..50) {
            let map = map_of(0, &model);
            let up = shift(&map, Offset::MAX, by, Status::NonTried);
            up.check();
            let down = shift(&up, Offset::MAX, -by, Status::NonTried);
            down.check();
            prop_assert_eq!(model_of(&down), model);
        }

        #[test]
        fn a_map_agrees_with_itself_however_it_is_split(model in statuses(), flags in flags(), at in 0u64..40) {
            let map = map_of(0, &model);
            let mut split = map.clone();
            split.split_at(Offset::new(at));
            let domain = domain_of(&flags);
            prop_assert!(agree(&map, &split, &domain, Compared::Statuses));
            let changed = change(&map, &domain, &Change::invert());
            let touched = cropped(&domain, &map).bytes() > 0;
            prop_assert_eq!(agree(&map, &changed, &domain, Compared::Statuses), !touched);
            let first = flags.iter().zip(&model).position(|(inside, _)| *inside).map(|at| Offset::new(at as u64));
            prop_assert_eq!(first_difference(&map, &changed, &domain, Compared::Finished), first);
        }

        #[test]
        fn done_means_that_everything_in_the_domain_is_finished(model in statuses(), flags in flags()) {
            let expected = model.iter().zip(&flags).all(|(s, inside)| !inside || *s == Status::Finished);
            prop_assert_eq!(is_done(&map_of(0, &model), &domain_of(&flags)), expected);
        }
    }

    #[test]
    fn a_gap_in_front_is_filled_from_where_the_map_began() {
        let map = map_of(2, &[Status::Finished]);
        let shifted = shift(&map, Offset::MAX, 3, Status::NonTried);
        assert_eq!(shifted.extent(), Some(ByteRange::new(Offset::new(2), 4)));
        assert_eq!(model_of(&shifted)[..3], [Status::NonTried; 3]);
    }
}
