//! Every strategy of the register on random simulated disks.
//!
//! Number of seeds: `DISKWRIGHT_SEEDS`, 100 unless set.

use block::{ByteRange, Offset, RangeSet};
use engine::Ending;
use engine::strategy::STRATEGIES;
use map::Status;

mod bench;

use bench::{Disk, Read, Rescued};

/// Nobody reads a disk of some thousand sectors so often.
const READS_MAX: u64 = 2_000_000;

fn seeds() -> u64 {
    std::env::var("DISKWRIGHT_SEEDS").map_or(100, |n| n.parse().expect("a number"))
}

fn each_disk(areas_max: u64, mut test: impl FnMut(&'static str, u64, &Disk)) {
    for seed in 0..seeds() {
        let disk = Disk::random(seed, areas_max);
        for entry in STRATEGIES {
            test(entry.name, seed, &disk);
        }
    }
}

fn rescued(disk: &Disk, name: &str) -> Rescued {
    disk.rescue(name, disk.untried(), None, READS_MAX)
}

#[test]
fn a_strategy_comes_to_an_end_and_calls_rescued_exactly_what_was_delivered() {
    each_disk(8, |name, seed, disk| {
        let rescued = rescued(disk, name);
        assert!(matches!(rescued.ending, Ending::Finished), "{name}, seed {seed}: {:?}", rescued.ending);
        let finished = rescued.finished();
        assert_eq!(finished, rescued.delivered(), "{name}, seed {seed}");
        assert!(finished.intersection(&disk.lost).is_empty(), "{name}, seed {seed}");
        assert!(rescued.is_true_in(&finished), "{name}, seed {seed}: other bytes than the disk's");
    });
}

/// Bytes of the pieces in which a strategy reads at last: one that is whole must be rescued.
fn grain(name: &str, disk: &Disk) -> Option<u64> {
    let is_direct = disk.access == simulator::Access::Direct;
    Some(match name {
        "sequential" => 64 << 10,
        "dd-rescue-like" => if is_direct { 512 } else { 4096 }.max(disk.sector),
        "safecopy-stages" | "myrescue" => 4096,
        // What it jumps over is not looked at.
        "safecopy" => return None,
        _ => disk.sector,
    })
}

#[test]
fn what_can_be_read_within_a_strategys_rules_is_rescued() {
    each_disk(8, |name, seed, disk| {
        let Some(grain) = grain(name, disk) else { return };
        let finished = rescued(disk, name).finished();
        for at in (0..disk.size).step_by(grain as usize) {
            let piece = ByteRange::new(Offset::new(at), grain).overlap(disk.whole());
            let is_good = disk.lost.pieces_in(piece).next().is_none();
            let is_left = is_good && !finished.covers(piece);
            assert!(
                !is_left,
                "{name}, seed {seed}: {piece:?} was left; of {:?} {:?}",
                disk.lost, disk.access
            );
        }
    });
}

#[test]
fn safecopy_leaves_areas_that_begin_and_end_with_damage() {
    let mut areas = 0;
    each_disk(8, |name, seed, disk| {
        // Where a failed read brings what lies before the damage, that stands apart within an area. And an area from which
        // a jump leads over the end of the disk has no far edge.
        let last_jump =
            ByteRange::between(Offset::new(disk.size.saturating_sub(18 * 4096)), disk.whole().end());
        let has_edges = disk.lost.pieces_in(last_jump).next().is_none();
        if name != "safecopy" || disk.access == simulator::Access::Raw || !has_edges {
            return;
        }
        let finished = rescued(disk, name).finished();
        let whole: RangeSet = disk.whole().into();
        for area in whole.minus(&finished).ranges() {
            areas += 1;
            let first = ByteRange::new(area.start().align_down(4096), 4096);
            let last = ByteRange::between(area.end().saturating_back(4096), area.end());
            for edge in [first, last] {
                let is_damaged = disk.lost.pieces_in(edge).next().is_some();
                assert!(is_damaged, "seed {seed}: {edge:?} of {area:?} is good");
            }
        }
    });
    assert!(areas > 0, "none of the disks has an area with two edges");
}

#[test]
fn on_a_disk_without_damage_every_strategy_reads_as_sequential_does_with_its_blocks() {
    each_disk(0, |name, seed, disk| {
        let reads = rescued(disk, name).reads;
        let unit = reads.iter().map(|read| read.1).max().expect("a read");
        let whole = (0..disk.size).step_by(unit as usize);
        let expected: Vec<Read> =
            whole.map(|at| (at, unit.min(disk.size - at))).map(|(at, n)| (at, n, n)).collect();
        assert_eq!(reads, expected, "{name}, seed {seed}");
    });
}

#[test]
fn a_rescue_that_was_interrupted_anywhere_goes_on_to_at_least_the_same_end() {
    each_disk(5, |name, seed, disk| {
        let unbroken = rescued(disk, name);
        let reads = unbroken.reads.len() as u64;
        // A place that differs from seed to seed, and the very first and last reads.
        for stop in [1, reads / 2, (seed * 7919) % reads.max(1), reads.saturating_sub(1)] {
            let first = disk.rescue(name, disk.untried(), None, stop);
            if !matches!(first.ending, Ending::Interrupted) {
                continue;
            }
            let second = disk.rescue(name, first.map.clone(), Some(first.position), READS_MAX);
            let place = format!("{name}, seed {seed}, interrupted after {stop} of {reads} reads");
            assert!(matches!(second.ending, Ending::Finished), "{place}");
            let missing = unbroken.finished().minus(&second.finished());
            assert!(missing.is_empty(), "{place}: {missing:?} is missing");
            let again: u64 =
                first.finished().intersection(&second.reads.iter().map(range_of).collect()).bytes();
            assert!(again <= read_again_max(name, disk, &second), "{place}: {again} bytes were read again");
        }
    });
}

fn range_of((at, length, _): &Read) -> ByteRange {
    ByteRange::new(Offset::new(*at), *length)
}

/// Bytes that a resumed rescue may read although they are rescued.
fn read_again_max(name: &str, disk: &Disk, resumed: &Rescued) -> u64 {
    let failed = resumed.reads.iter().filter(|(_, length, copied)| copied < length).count() as u64;
    match name {
        // Whole blocks, of which a part may be rescued; areas that are searched anew; the ends of the disk.
        "safecopy" | "safecopy-stages" if failed > 0 => disk.size,
        "safecopy" | "safecopy-stages" => 4096,
        "myrescue" => failed * 4096,
        _ => 0,
    }
}

#[test]
fn a_map_of_another_strategy_is_a_beginning_for_every_one() {
    each_disk(5, |name, seed, disk| {
        let other = STRATEGIES[seed as usize % STRATEGIES.len()].name;
        let first = disk.rescue(other, disk.untried(), None, seed * 31 % 400);
        // Where the other one stopped means nothing to this one.
        let second = disk.rescue(name, first.map.clone(), None, READS_MAX);
        let place = format!("{name} after {other}, seed {seed}");
        assert!(matches!(second.ending, Ending::Finished), "{place}");
        assert!(first.finished().minus(&second.finished()).is_empty(), "{place}");
        let untried = second.map.blocks().filter(|block| block.status == Status::NonTried).count();
        let is_jumping = matches!(name, "safecopy" | "safecopy-stages");
        assert!(untried == 0 || is_jumping, "{place}: {untried} blocks were never tried");
    });
}
