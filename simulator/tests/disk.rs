//! Whole simulated disks: the same one each time, whoever reads it how.

use std::collections::BTreeMap;
use std::sync::Arc;

use block::source::Row;
use block::{BlockSource, Clock, Good, Nanos, Offset, Patience, VirtualClock};
use proptest::prelude::*;
use simulator::dice::Sequence;
use simulator::law::Health;
use simulator::surface::Stretch;
use simulator::{Access, Answer, Command, Pace, Scenario, SimDisk, SimSource};

/// A small disk with everything that can be laid on a surface.
const SMALL: &str = r#"
description = "A small disk with clusters and a dead head."
seed = 5

[disk]
medium = "hard-disk"
profile = "d35_1t"
size = "64 MiB"
heads = 4
sectors-per-track = [256, 128]
band = "1 MiB"

[[fault]]
kind = "clusters"
count = 20
exact = true
singles = 5
retry = [0.30, 1.9]
rim = 8

[[fault]]
kind = "dead-head"
head = 3
"#;

fn scenario() -> Scenario {
    Scenario::parse("small", "small.toml", SMALL).unwrap()
}

fn source(seed: u64, access: Access) -> (SimSource, Arc<VirtualClock>) {
    let clock = Arc::new(VirtualClock::new(Nanos::ZERO));
    let source = scenario().source(seed, Some(access), clock.clone(), Pace::Instant).unwrap();
    (source, clock)
}

/// The answers of each physical sector in the order in which they came, when sectors are read one by one.
fn answers(disk: &mut SimDisk, order: &[u64]) -> BTreeMap<u64, Vec<bool>> {
    let mut now = Nanos::ZERO;
    let mut answers: BTreeMap<u64, Vec<bool>> = BTreeMap::new();
    for sector in order {
        let reply = disk.serve(&Command { at: sector * 8, count: 8 }, now);
        now = reply.done;
        answers.entry(*sector).or_default().push(reply.answer == Answer::Done);
    }
    answers
}

/// Damaged physical sectors of a disk and their neighbours.
fn interesting(disk: &SimDisk) -> Vec<u64> {
    let ends = disk.drive().surface.stretches().iter().flat_map(|s| [s.sectors.start / 8, s.sectors.end / 8]);
    let mut sectors: Vec<u64> = ends.filter(|sector| *sector < disk.shape().sectors / 8).collect();
    sectors.dedup();
    sectors
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_nth_answer_of_a_sector_does_not_depend_on_the_order(seed in 0u64..1 << 62, shuffle in any::<u64>()) {
        let mut one = scenario().disk(seed).unwrap();
        let mut other = scenario().disk(seed).unwrap();
        let sectors = interesting(&one);
        let order: Vec<u64> = sectors.iter().chain(&sectors).chain(&sectors).take(300).copied().collect();
        let mut mixed = order.clone();
        let mut dice = simulator::dice::Sequence::new(shuffle >> 1, "order");
        for index in (1..mixed.len()).rev() {
            mixed.swap(index, dice.below(index as u64 + 1) as usize);
        }
        prop_assert_eq!(answers(&mut one, &order), answers(&mut other, &mixed));
    }

    #[test]
    fn rows_are_the_same_as_their_reads(seed in 0u64..1000, starts in prop::collection::vec((0u64..1 << 26, 1u64..200), 1..12),
                                        access in 0usize..2) {
        // One asks for rows where it can, the other for each read; both must live through the same history.
        let access = [Access::Raw, Access::Direct][access];
        let ((mut rows, rows_clock), (mut reads, reads_clock)) = (source(seed, access), source(seed, access));
        let unit = 64 << 10;
        for (start, count) in starts {
            let mut at = start / 4096 * 4096;
            let mut left = count.min(((64 << 20) - at) / unit);
            while left > 0 {
                let until = rows_clock.now() + Nanos::from_millis(50);
                let row = Row { at: Offset::new(at), unit, count: left, backwards: false, until };
                let examined = rows.examine(&row, Patience::Endless).unwrap().unwrap();
                for _ in 0..examined.reads {
                    let mut buffer = vec![0; unit as usize];
                    let reply = reads.read_at(Offset::new(at), &mut buffer, Patience::Endless).unwrap();
                    prop_assert_eq!(&reply, &examined.reply);
                    at += unit;
                }
                prop_assert_eq!(rows_clock.now(), reads_clock.now());
                left -= examined.reads;
            }
            prop_assert_eq!(&rows.system().disk().drive().attempts, &reads.system().disk().drive().attempts);
            prop_assert_eq!(&rows.system().disk().drive().health, &reads.system().disk().drive().health);
        }
    }
}

#[test]
fn what_is_read_well_is_the_truth() {
    for access in [Access::Raw, Access::Direct, Access::Buffered] {
        let (mut source, _) = source(9, access);
        let mut failed = 0;
        for index in 0..1024 {
            let at = Offset::new(index * 65536);
            let mut buffer = vec![0xee; 65536];
            let reply = source.read_at(at, &mut buffer, Patience::Endless).unwrap();
            let good = reply.good_bytes(65536);
            let mut truth = vec![0; good];
            source.content().read(at, &mut truth).unwrap();
            assert!(buffer[..good] == truth[..], "{access:?} at {at}");
            failed += u64::from(reply.damage.is_some());
            assert_eq!(reply.damage.is_some(), reply.good != Good::All);
        }
        assert!(failed > 100, "{access:?}: a quarter lies under a dead head, but only {failed} reads failed");
    }
}

#[test]
fn the_way_through_the_system_decides_what_is_lost_around_an_error() {
    let only_error = |access| {
        let (mut source, clock) = source(5, access);
        let bad = {
            // Of a dead head nothing comes, however often it is tried.
            let surface = &source.system().disk().drive().surface;
            let dead = |s: &&Stretch| surface.law(s.law).health == Health::Bad && s.sectors.start > 128;
            surface.stretches().iter().find(dead).unwrap().sectors.start
        };
        let start = (bad - 64) / 8 * 8;
        let mut buffer = vec![0; 128 * 512];
        let reply = source.read_at(Offset::new(start * 512), &mut buffer, Patience::Endless).unwrap();
        (reply, (bad - start) * 512, clock.now())
    };
    let (raw, bad, _) = only_error(Access::Raw);
    assert!(raw.good_bytes(65536) as u64 <= bad);
    assert!(raw.damage.unwrap().at.is_some(), "the drive says where");
    let (direct, _, direct_time) = only_error(Access::Direct);
    assert_eq!(direct.good, Good::Prefix(0), "a piece that fails brings nothing");
    let (_, _, buffered_time) = only_error(Access::Buffered);
    assert!(buffered_time > direct_time, "what was read ahead is read again");
}

#[test]
fn a_mistake_in_a_scenario_is_shown_with_its_place() {
    let wrong = |from: &str, to: &str| {
        let text = SMALL.replacen(from, to, 1);
        Scenario::parse("small", "small.toml", &text).expect_err(to).to_string()
    };
    let cases = [
        (
            "size = \"64 MiB\"",
            "size = \"64001 kB\"",
            "small.toml:5:1: size 64001000 is not a whole number of sectors",
        ),
        ("count = 20", "count = 20\nextent-sigma = nan", "extent-sigma NaN is not a number from 0 to 10"),
        ("[[fault]]", "[connection]\ncommand-max = \"1 B\"\n[[fault]]", "1 B is not a multiple of 4096"),
        ("[[fault]]", "[expect]\nrescued_bytes = 99999999999\n[[fault]]", "more than the disk has: 67108864"),
        ("[[fault]]", "[small]\nsize = \"300 MiB\"\n[[fault]]", "300 MiB is more than 256 MiB"),
        ("[[fault]]", "[rescue]\noptions = [\"--truncate\"]\n[[fault]]", "none that a scenario may give"),
        ("[[fault]]", "[content]\nimage = \"missing.img\"\n[[fault]]", "image missing.img: No such file"),
        (
            "[[fault]]",
            "[[fault]]\nkind = \"region\"\nhealth = \"bad\"\nshares = [[0.1, 0.2], [0.15, 0.3]]\n[[fault]]",
            "two parts overlap",
        ),
        ("heads = 4", "heads = 0", "0 heads; a disk has 1 to 64"),
        ("heads = 4", "haeds = 4", "unknown field `haeds`, expected one of"),
        (
            "kind = \"dead-head\"\nhead = 3",
            "kind = \"dead-head\"\nhead = 4",
            "there is no head 4: this disk has heads 0 to 3",
        ),
        ("kind = \"clusters\"", "kind = \"cluster\"", "kind \"cluster\" is not known; it is one of "),
        ("kind = \"clusters\"\n", "", "there is no kind; it is one of"),
        ("seed = 5", "seed = -1", "a whole number from 0 to 2^63 - 1"),
        ("seed = 5", "seed = 9223372036854775808", "small.toml:3:8"),
        ("band = \"1 MiB\"", "band = \"1 Mib\"", "a size such as \"500 GB\""),
        ("medium = \"hard-disk\"\n", "", "there is no medium; it is one of hard-disk"),
    ];
    for (from, to, expected) in cases {
        let found = wrong(from, to);
        assert!(found.contains(expected), "{to}: {found}");
    }
}

/// A medium whose commands overlap, 1 ms each.
const PARALLEL: &str = r#"
description = "Sixty-four commands at once."
seed = 1

[disk]
medium = "uniform"
size = "64 MiB"
sector = 4096
sector-time = "1 ms"
queue-depth = 64
"#;

#[test]
fn commands_overlap_as_far_as_the_queue_is_deep_and_a_row_waits_for_all_of_them() {
    let mut disk = Scenario::parse("parallel", "parallel.toml", PARALLEL).unwrap().disk(1).unwrap();
    let ms = Nanos::from_millis;
    let done = |disk: &mut SimDisk, at| disk.serve(&Command { at, count: 1 }, Nanos::ZERO).done;
    assert!((0..64).all(|at| done(&mut disk, at) == ms(1)), "the first 64 side by side");
    assert!((0..64).all(|at| done(&mut disk, at) == ms(2)), "the others when one of those is done");
    let row = simulator::media::Row { at: 100, unit: 1, count: 8, until: Nanos::NEVER };
    assert_eq!(disk.serve_row(&row, ms(1)), None, "beside commands that are still being served");
    assert_eq!(disk.serve_row(&row, ms(2)), Some((8, ms(10))));
}

#[test]
fn dies_work_side_by_side_but_share_the_link() {
    let text = "description = \"d\"\nseed = 1\n[disk]\nmedium = \"flash\"\nprofile = \"nvme_1t\"\nsize = \"1 GiB\"\n";
    let open = || Scenario::parse("nvme", "nvme.toml", text).unwrap().disk(1).unwrap();
    let all = |count: u64, length: u64| {
        let mut disk = open();
        let ends = (0..count).map(|n| disk.serve(&Command { at: n * 8192, count: length }, Nanos::ZERO).done);
        ends.max().unwrap()
    };
    assert!(all(32, 8) < all(1, 8) + all(1, 8), "32 short reads take less time than two in a row");
    let (megabytes, took) = (32.0, all(32, 2048).nanoseconds() as f64 / 1e9);
    assert!(megabytes * 1048576.0 / took < 3.5e9, "no more than the link carries: {took} s");
}

#[test]
fn what_is_lost_of_a_part_of_a_disk_is_that_part_of_what_is_lost() {
    for name in ["heavy-small", "sd-card-small", "dead-head-small", "dvd-alternating-small", "floppy"] {
        let scenario = simulator::scenario::library::find(name).expect("it is there").expect("and opens");
        let whole = scenario.lost(3).unwrap();
        assert!(!whole.is_empty(), "{name} loses something");
        let size = scenario.disk(3).unwrap().shape().bytes();
        // Pieces of 512 bytes and of thousands, that begin and end anywhere; often in the midst of a physical sector.
        let mut dice = Sequence::new(5, name);
        let mut domain = block::RangeSet::new();
        let mut at = 0;
        while at < size {
            let longest = if dice.chance(0.5) { 8 } else { 4096 };
            let end = (at + dice.below(longest) * 512 + 512).min(size);
            domain.insert(block::ByteRange::between(block::Offset::new(at), block::Offset::new(end)));
            at = end + dice.below(8192) * 512;
        }
        assert_eq!(scenario.lost_within(3, &domain).unwrap(), whole.intersection(&domain), "{name}");
    }
}
