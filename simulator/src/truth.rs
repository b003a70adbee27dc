//! What could be rescued from a disk, and what a rescue made of it.
//!
//! Owns the judging. Must not be shown to a strategy.

use block::{ByteRange, Offset, RangeSet};

use crate::disk::SimDisk;
use crate::law::Certainty;

/// Attempts after which a sector that has not answered is lost.
pub const ATTEMPTS: u32 = 1000;

/// Bytes of `domain` that no attempt of the first [`ATTEMPTS`] brings, on a disk as it is: freshly opened and without
/// hazards, it tells what could have been rescued.
pub fn lost(disk: &mut SimDisk, domain: &RangeSet) -> RangeSet {
    let shape = disk.shape();
    let (group, logical) = (shape.lbas_per_sector(), u64::from(shape.logical));
    let bytes = |sectors: std::ops::Range<u64>| {
        ByteRange::between(Offset::new(sectors.start * logical), Offset::new(sectors.end * logical))
    };
    let (drive, mut lost) = (disk.drive_mut(), Vec::new());
    for stretch in drive.surface.stretches().to_vec() {
        let law = drive.surface.law(stretch.law);
        let certainty = law.certainty(ATTEMPTS, &drive.conditions);
        if certainty == Certainty::Answers {
            continue;
        }
        // Two pieces of the domain may have parts of one physical sector.
        let mut next = stretch.sectors.start / group;
        for piece in domain.pieces_in(bytes(stretch.sectors.clone())) {
            if certainty == Certainty::Never {
                lost.push(piece);
                continue;
            }
            let physical = group * logical;
            for sector in next.max(piece.start().bytes() / physical)..piece.end().bytes().div_ceil(physical) {
                if !law.answers_within(sector, ATTEMPTS, &mut drive.dice, &drive.conditions) {
                    lost.push(bytes(sector * group..((sector + 1) * group).min(shape.sectors)));
                }
                next = sector + 1;
            }
        }
    }
    lost.into_iter().collect::<RangeSet>().intersection(domain)
}
