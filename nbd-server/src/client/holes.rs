//! What a server says of holes, as extents.
//!
//! Owns what its descriptors mean. Must not know how one asks.

use block::{ByteRange, Extent, ExtentKind, Offset};

use super::replies::Descriptor;
use crate::wire::STATE_ZERO;

/// Adds what descriptors say from `at` on, at most up to `end`; returns how far they go.
pub(super) fn extend(extents: &mut Vec<Extent>, at: u64, end: u64, descriptors: &[Descriptor]) -> u64 {
    let mut at = at;
    for Descriptor { length, flags } in descriptors {
        if at >= end {
            break;
        }
        let to = at.saturating_add((*length).into()).min(end);
        // What takes no space may hold anything; what reads as zeros is as good as read.
        let kind = if flags & STATE_ZERO != 0 { ExtentKind::Hole } else { ExtentKind::Data };
        push(extents, ByteRange::between(Offset::new(at), Offset::new(to)), kind);
        at = to;
    }
    at
}

/// Adds a stretch behind the others, joined with the last one if that is like it.
pub(super) fn push(extents: &mut Vec<Extent>, range: ByteRange, kind: ExtentKind) {
    match extents.last_mut() {
        _ if range.is_empty() => {}
        Some(last) if last.kind == kind && last.range.end() == range.start() => {
            last.range = ByteRange::between(last.range.start(), range.end());
        }
        _ => extents.push(Extent { range, kind }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_reads_as_zeros_is_a_hole_and_the_last_stretch_is_cut() {
        let mut extents = Vec::new();
        let flags = |length, flags| Descriptor { length, flags };
        let reached =
            extend(&mut extents, 100, 200, &[flags(10, 0), flags(10, 1), flags(20, 3), flags(5, 2)]);
        assert_eq!(reached, 145);
        assert_eq!(extend(&mut extents, reached, 200, &[flags(1000, 0), flags(10, 2)]), 200);
        let shown: Vec<_> =
            extents.iter().map(|e| (e.range.start().bytes(), e.range.length(), e.kind)).collect();
        assert_eq!(
            shown,
            [(100, 20, ExtentKind::Data), (120, 25, ExtentKind::Hole), (145, 55, ExtentKind::Data)]
        );
    }
}
