//! What BLOCK_STATUS tells.
//!
//! Owns how what a device knows becomes descriptors. Must not know media: nothing here reads one.

use block::{ByteRange, ExtentKind};
use serving::Device;

use crate::reply::{Packet, Replies};
use crate::terms::{Context, Terms};
use crate::transmission::Detail;
use crate::wire;

/// Most descriptors of one context.
pub const DESCRIPTOR_COUNT_MAX: usize = 65536;

/// Bytes that a device is asked about at a time, so that what it tells stays small.
const WINDOW: u64 = 256 << 20;

/// Makes the reply: one chunk for each context that was chosen.
pub fn reply(device: &dyn Device, terms: &Terms, cookie: u64, range: ByteRange, detail: Detail) -> Packet {
    let replies = Replies { is_structured: terms.is_structured };
    let contexts: Vec<_> = terms
        .contexts
        .iter()
        .map(|context| (context.id(), descriptors(device, *context, range, detail)))
        .collect();
    replies.status(cookie, &contexts)
}

/// Lengths and flags from the start of `range` on, neighbours different, at most to its end.
fn descriptors(device: &dyn Device, context: Context, range: ByteRange, detail: Detail) -> Vec<(u32, u32)> {
    let most = if detail == Detail::One { 1 } else { DESCRIPTOR_COUNT_MAX };
    let mut descriptors: Vec<(u64, u32)> = Vec::new();
    let mut at = range.start();
    // One more than fits shows that the last one that does is whole.
    while at < range.end() && descriptors.len() <= most {
        let window = ByteRange::new(at, WINDOW).overlap(range);
        let start = at;
        for (part, flags) in states(device, context, window) {
            let part = part.overlap(ByteRange::between(at, window.end()));
            if part.is_empty() || descriptors.len() > most {
                continue;
            }
            // What the device passes over it knows nothing about.
            add(&mut descriptors, part.start() - at, 0);
            add(&mut descriptors, part.length(), flags);
            at = part.end();
        }
        // A device with much to tell may stop early, and is asked again from there; not one that tells nothing.
        if at == start {
            add(&mut descriptors, window.length(), 0);
            at = window.end();
        }
    }
    descriptors.truncate(most);
    // The range of a request has less than 2^32 bytes.
    descriptors.into_iter().map(|(length, flags)| (length as u32, flags)).collect()
}

fn add(descriptors: &mut Vec<(u64, u32)>, length: u64, flags: u32) {
    match descriptors.last_mut() {
        _ if length == 0 => {}
        Some((last, same)) if *same == flags => *last += length,
        _ => descriptors.push((length, flags)),
    }
}

fn states(device: &dyn Device, context: Context, range: ByteRange) -> Vec<(ByteRange, u32)> {
    match context {
        Context::Allocation => {
            let flags = |kind| match kind {
                ExtentKind::Data => 0,
                ExtentKind::Hole => wire::STATE_HOLE | wire::STATE_ZERO,
            };
            device.extents(range).into_iter().map(|extent| (extent.range, flags(extent.kind))).collect()
        }
        Context::Health(moment) => {
            let known = device.health(range, moment.into()).unwrap_or_default();
            known.into_iter().map(|(range, health)| (range, health.0)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use block::{Extent, Offset};
    use serving::{Facts, Outlet, Reply, Request};

    use super::*;

    /// Data and holes in turns, of `unit` bytes each.
    struct Striped {
        unit: u64,
    }

    impl Device for Striped {
        fn facts(&self) -> Facts {
            unreachable!("nobody asks")
        }

        fn detach(&self, _: &Arc<dyn Outlet>) {}

        fn submit(&self, _: Request, _: u64, _: &Arc<dyn Outlet>) -> Option<Reply> {
            unreachable!("the status of blocks is no request")
        }

        fn extents(&self, range: ByteRange) -> Vec<Extent> {
            let mut extents = Vec::new();
            let mut at = range.start();
            while at < range.end() {
                let stripe = at.bytes() / self.unit;
                let end = Offset::new((stripe + 1) * self.unit).min(range.end());
                let kind = if stripe.is_multiple_of(2) { ExtentKind::Data } else { ExtentKind::Hole };
                extents.push(Extent { range: ByteRange::between(at, end), kind });
                at = end;
            }
            extents
        }
    }

    fn range(start: u64, length: u64) -> ByteRange {
        ByteRange::new(Offset::new(start), length)
    }

    fn told(unit: u64, range: ByteRange, detail: Detail) -> Vec<(u32, u32)> {
        descriptors(&Striped { unit }, Context::Allocation, range, detail)
    }

    #[test]
    fn neighbours_differ_and_cover_what_was_asked_for() {
        let found = told(4096, range(1024, 8192), Detail::All);
        assert_eq!(found, [(3072, 0), (4096, 3), (1024, 0)]);
        assert_eq!(told(4096, range(1024, 8192), Detail::One), [(3072, 0)]);
        // Across windows too.
        let found = told(1 << 31, range(1 << 30, (1 << 31) + 4096), Detail::All);
        assert_eq!(found, [(1 << 30, 0), ((1 << 30) + 4096, 3)]);
        let found = told(1 << 33, range(0, u64::from(u32::MAX)), Detail::One);
        assert_eq!(found, [(u32::MAX, 0)]);
    }

    #[test]
    fn there_is_an_end_to_what_is_told_at_once() {
        let found = told(4096, range(0, 1 << 31), Detail::All);
        assert_eq!(found.len(), DESCRIPTOR_COUNT_MAX);
        assert!(found.iter().enumerate().all(|(index, found)| *found == (4096, index as u32 % 2 * 3)));
    }
}
