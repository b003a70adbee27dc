//! Maps for tests: one status per byte, as the simplest thing that can be right.
//!
//! Owns the translation between that and a rescue map. Must not know what is tested.

use block::{ByteRange, Offset};
use proptest::prelude::*;

use crate::{RescueMap, Status};

/// Any status.
pub(crate) fn status() -> impl Strategy<Value = Status> {
    prop::sample::select(Status::ALL.to_vec())
}

/// Up to some forty statuses, in runs.
pub(crate) fn statuses() -> impl Strategy<Value = Vec<Status>> {
    let runs = prop::collection::vec((status(), 1usize..6), 0..12);
    runs.prop_map(|runs| runs.into_iter().flat_map(|(status, n)| vec![status; n]).collect())
}

/// The map that starts at `start` and has these statuses byte by byte; each byte a block of its own.
pub(crate) fn map_of(start: u64, statuses: &[Status]) -> RescueMap {
    let byte = |(i, status): (usize, &Status)| (ByteRange::new(Offset::new(start + i as u64), 1), *status);
    statuses.iter().enumerate().map(byte).collect()
}

/// The statuses of a map byte by byte, from its start.
pub(crate) fn model_of(map: &RescueMap) -> Vec<Status> {
    map.blocks().flat_map(|block| vec![block.status; block.range.length() as usize]).collect()
}
