//! The way that a pass takes through a map: where its next block is, and which part of it is left.
//!
//! Owns this walk in both directions. Must not know why somebody takes it.

use block::{ByteRange, Offset, Patience};
use map::{Block, Status};

use crate::{Direction, EndsAt, IfUnread, Stage, Step, Sweep, View};

/// What all sweeps of a pass have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Size of one read in bytes.
    pub unit: u64,
    pub stage: Stage,
    pub if_unread: IfUnread,
    pub ends_at: EndsAt,
    pub patience: Patience,
}

impl Manner {
    /// Reads `range` in this manner, in the direction of the pass.
    pub fn sweep(self, range: ByteRange) -> Step {
        let Manner { unit, stage, if_unread, ends_at, patience } = self;
        let direction = stage.direction;
        Step::Sweep(Sweep { range, unit, direction, stage, if_unread, ends_at, patience })
    }

    /// Reads `range` in one read.
    pub fn read(self, range: ByteRange) -> Step {
        Manner { unit: range.length().max(1), ..self }.sweep(range)
    }
}

/// Where a pass begins that is not told where.
pub(super) fn natural_start(direction: Direction) -> Offset {
    match direction {
        Direction::Forwards => Offset::ZERO,
        Direction::Backwards => Offset::MAX,
    }
}

/// The next block with `status` from `at` on, or down to it.
pub(super) fn next_block(view: View<'_>, status: Status, at: Offset, direction: Direction) -> Option<Block> {
    match direction {
        Direction::Forwards => view.book.next_with(status, at),
        Direction::Backwards => view.book.previous_with(status, at),
    }
}

/// What is left, from `at` on, of the next block with one of `statuses`.
pub(super) fn next_part(
    view: View<'_>,
    statuses: &[Status],
    at: Offset,
    direction: Direction,
) -> Option<Block> {
    let blocks = statuses.iter().filter_map(|status| next_block(view, *status, at, direction));
    let parts = blocks.map(|block| Block { range: part_from(block.range, at, direction), ..block });
    match direction {
        Direction::Forwards => parts.min_by_key(|block| block.range.start()),
        Direction::Backwards => parts.max_by_key(|block| block.range.end()),
    }
}

/// The part of a block that has not been passed yet.
pub(super) fn part_from(block: ByteRange, at: Offset, direction: Direction) -> ByteRange {
    match direction {
        Direction::Forwards => ByteRange::between(block.start().max(at), block.end()),
        Direction::Backwards => ByteRange::between(block.start(), block.end().min(at)),
    }
}

/// The end of a range that a pass meets first.
pub(super) fn near_end(range: ByteRange, direction: Direction) -> Offset {
    match direction {
        Direction::Forwards => range.start(),
        Direction::Backwards => range.end(),
    }
}

/// The end of a range that a pass meets last.
pub(super) fn far_end(range: ByteRange, direction: Direction) -> Offset {
    near_end(range, direction.opposite())
}

/// So many bytes further on.
pub(super) fn ahead_of(at: Offset, bytes: u64, direction: Direction) -> Offset {
    match direction {
        Direction::Forwards => at + bytes,
        Direction::Backwards => at.saturating_back(bytes),
    }
}

/// The next border of `unit` bytes from `at` on, which may be `at`.
pub(super) fn border_from(at: Offset, unit: u64, direction: Direction) -> Offset {
    match direction {
        Direction::Forwards => at.align_up(unit),
        Direction::Backwards => at.align_down(unit),
    }
}

/// Whether a pass comes to `one` before it comes to `other`.
pub(super) fn is_before(one: Offset, other: Offset, direction: Direction) -> bool {
    match direction {
        Direction::Forwards => one < other,
        Direction::Backwards => one > other,
    }
}

/// Where an earlier run stopped, if that lies in the domain and there is still something to do from there on.
pub(super) fn resumed_at(view: View<'_>, at: Offset, direction: Direction, status: Status) -> Option<Offset> {
    let byte = match direction {
        Direction::Forwards => at,
        Direction::Backwards if at > Offset::ZERO => at.saturating_back(1),
        Direction::Backwards => return None,
    };
    let is_useful = view.book.domain().contains(byte) && next_block(view, status, at, direction).is_some();
    is_useful.then_some(at)
}
