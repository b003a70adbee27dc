//! What several kinds of fault ask of their scenario.
//!
//! Owns checks of heads, shares and times, and the words in which they refuse. Must not know any one fault.

use std::ops::Range;

use block::Nanos;

use crate::law::FailureTime;
use crate::media::MediaModel;
use crate::scenario::{Bytes, Time};

/// How long a drive takes to answer from its tables, without the medium.
pub(super) const WITHOUT_MEDIUM: Nanos = Nanos::new(100_000);

/// Whether the disk has this head.
pub(super) fn head(head: u16, medium: &dyn MediaModel) -> Result<(), String> {
    let heads = medium.shape().heads;
    if head < heads {
        return Ok(());
    }
    Err(format!("there is no head {head}: this disk has heads 0 to {}", heads - 1))
}

/// Whether nothing turns on this medium.
pub(super) fn flash(kind: &str, medium: &dyn MediaModel) -> Result<(), String> {
    if !medium.rotates() {
        return Ok(());
    }
    Err(format!("{kind} is a fault of flash: the disk must have medium = \"flash\""))
}

/// Whether two numbers are rising shares of something.
pub(super) fn shares(name: &str, of: &str, [from, to]: [f64; 2]) -> Result<(), String> {
    if 0.0 <= from && from < to && to <= 1.0 {
        return Ok(());
    }
    Err(format!("{name} [{from}, {to}] is not two rising shares of {of}, as in [0.2, 0.3]"))
}

/// Whether a number is a share or a probability.
pub(super) fn share(name: &str, share: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&share) {
        return Ok(());
    }
    Err(format!("{name} {share} is not a number from 0 to 1"))
}

/// Whether a number lies in a range in which it makes sense; not-a-number never does.
pub(super) fn within(name: &str, value: f64, [from, to]: [f64; 2]) -> Result<(), String> {
    if (from..=to).contains(&value) {
        return Ok(());
    }
    Err(format!("{name} {value} is not a number from {from} to {to}"))
}

/// Whether a size is not beyond anything that is built.
pub(super) fn size(name: &str, size: Bytes) -> Result<(), String> {
    if size.0 <= 1 << 48 {
        return Ok(());
    }
    Err(format!("{name} {size} is more than 256 TiB"))
}

/// Whether stretches of a mean length that take a share of a region can be laid in reasonable time and memory.
pub(super) fn pieces(
    [from, to]: [f64; 2],
    share: f64,
    extent: Bytes,
    medium: &dyn MediaModel,
) -> Result<(), String> {
    let bytes = medium.shape().bytes() as f64 * (to - from) * share;
    if share >= 1.0 || bytes / extent.0 as f64 <= 5e6 {
        return Ok(());
    }
    Err("there are more than 5 million pieces; make extent larger, or region or share smaller".into())
}

/// Whether all sectors of a head or die can be laid in reasonable time and memory.
pub(super) fn pieces_of_a_head(medium: &dyn MediaModel) -> Result<(), String> {
    match medium.pieces_of_a_head() {
        ..=5_000_000 => Ok(()),
        pieces => Err(format!(
            "each die of this drive has {pieces} pages, and more than 5 million are too many for a fault that takes a \
             whole one; make the drive smaller, or its pages larger"
        )),
    }
}

/// Whether a number is a count that can be laid in reasonable time.
pub(super) fn count(name: &str, count: f64) -> Result<(), String> {
    if (0.0..=1e6).contains(&count) {
        return Ok(());
    }
    Err(format!("{name} {count} is not a number from 0 to 1000000"))
}

/// Whether a number is a probability, and a time is some.
pub(super) fn some_time(name: &str, time: Time) -> Result<(), String> {
    if time.0 > Nanos::ZERO {
        return Ok(());
    }
    Err(format!("{name} {time} is no time at all"))
}

/// Whether two times rise, or are equal.
pub(super) fn times(name: &str, [from, to]: [Time; 2]) -> Result<(), String> {
    if from <= to {
        return Ok(());
    }
    Err(format!("{name} runs from {from} to {to}; the first must not be longer"))
}

/// Whether these can be the parameters of a density of chances.
pub(super) fn odds(name: &str, odds: [f64; 2]) -> Result<(), String> {
    if odds.iter().all(|x| *x > 0.0 && *x < 100.0) {
        return Ok(());
    }
    Err(format!("{name} holds two numbers above 0 and below 100, as in [0.30, 1.9]"))
}

/// Time of a failure: the drive's own unless the scenario gives one.
pub(super) fn failure(time: Option<[Time; 2]>) -> FailureTime {
    time.map_or(FailureTime::Recovery, |[from, to]| FailureTime::Between(from.0, to.0))
}

/// Cylinders that lie in these shares of all.
pub(super) fn cylinders([from, to]: [f64; 2], medium: &dyn MediaModel) -> Range<u32> {
    let all = medium.shape().cylinders;
    let at = |share: f64| (share * f64::from(all)) as u32;
    at(from).min(all - 1)..at(to).max(at(from) + 1).min(all)
}
