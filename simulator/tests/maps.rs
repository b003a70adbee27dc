//! Mapfiles as the damage of simulated disks.

use std::fs;
use std::path::Path;

use block::{ByteRange, Nanos, Offset};
use simulator::scenario::library;
use simulator::{Answer, Command, Scenario};

/// All that a scenario of a map needs.
const SCENARIO: &str = r#"
description = "What a rescue of somebody's drive wrote down."

[disk]
medium = "hard-disk"
profile = "pata40"
size = "64 MiB"

[[fault]]
kind = "map"
file = "drive.map"
"#;

const MAP: &str = "# of a drive\n0x0 + 1\n0 0x100000 +\n0x100000 0x600 -\n0x100600 0x3f00000 +\n";

fn open(folder: &Path, scenario: &str) -> Result<Scenario, String> {
    let path = folder.join("drive.toml");
    fs::write(&path, scenario).unwrap();
    library::read(&path.to_string_lossy()).map_err(|error| error.to_string())
}

#[test]
fn a_map_in_the_scenarios_folder_is_the_disks_damage() {
    let folder = tempfile::tempdir().unwrap();
    let map = MAP.replace("0x3f00000 +", "0x3effa00 +");
    fs::write(folder.path().join("drive.map"), &map).unwrap();
    let scenario = open(folder.path(), SCENARIO).unwrap();
    let lost = scenario.lost(1).unwrap();
    assert_eq!(lost.ranges(), [ByteRange::new(Offset::new(0x10_0000), 0x600)]);

    // What the map says is part of what the disk is.
    fs::write(folder.path().join("drive.map"), map.replace("0x600 -", "0x600 +")).unwrap();
    let other = open(folder.path(), SCENARIO).unwrap();
    assert!(other.lost(1).unwrap().is_empty());
    assert_ne!(other.digest, scenario.digest);
}

#[test]
fn a_map_that_cannot_be_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let missing = open(folder.path(), SCENARIO).unwrap_err();
    assert!(missing.contains("drive.toml:9:1: cannot read the map"), "{missing}");
    fs::write(folder.path().join("drive.map"), MAP).unwrap();
    let long = open(folder.path(), SCENARIO).unwrap_err();
    assert!(long.contains("the disk has 67108864 bytes; give [disk] size = 67110400"), "{long}");
    fs::write(folder.path().join("drive.map"), "0x0 + 1\n0 0x200 +\n0x400 0x200 -\n").unwrap();
    let gap = open(folder.path(), SCENARIO).unwrap_err();
    assert!(gap.contains("drive.map:3: block at 0x00000400 should start at 0x00000200"), "{gap}");
}

#[test]
fn a_small_twin_has_the_damage_in_the_same_places() {
    let folder = tempfile::tempdir().unwrap();
    let map = "0x0 + 1\n0 0x10000000 +\n0x10000000 0x10000 -\n0x10010000 0x2fff0000 +\n";
    fs::write(folder.path().join("drive.map"), map).unwrap();
    let large = open(folder.path(), &SCENARIO.replace("64 MiB", "1 GiB")).unwrap();
    let small = large.small().unwrap().unwrap();
    let lost = small.lost(0).unwrap();
    assert_eq!(lost.ranges(), [ByteRange::new(Offset::new(0x400_0000), 0x4000)]);
}

#[test]
fn a_map_of_slow_places_answers_late_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let map = MAP.replace("0x3f00000 +", "0x3effa00 +");
    fs::write(folder.path().join("drive.map"), &map).unwrap();
    let slow = format!("{SCENARIO}slow-time = [\"80 ms\", \"90 ms\", \"100 ms\"]\n");
    let scenario = open(folder.path(), &slow).unwrap();
    assert!(scenario.lost(1).unwrap().is_empty());
    let mut disk = scenario.disk(1).unwrap();
    let mut now = Nanos::ZERO;
    let mut read = |at: u64| {
        let reply = disk.serve(&Command { at, count: 1 }, now);
        let took = reply.done.since(now).nanoseconds() / 1_000_000;
        now = reply.done;
        assert_eq!(reply.answer, Answer::Done);
        took
    };
    read(2040);
    // Three sectors from 1 MiB on.
    let took: Vec<u64> = (2046..2054).map(&mut read).collect();
    let late: Vec<bool> = took.iter().map(|took| *took >= 80).collect();
    assert_eq!(late, [false, false, true, true, true, false, false, false], "{took:?}");
    for (line, expected) in [
        ("slow-time = [\"1 ms\"]", "slow-time holds 1 times; give two (from and to) or up to 1001 quantiles"),
        ("slow-time = [\"2 ms\", \"1 ms\"]", "slow-time holds times in rising order"),
        ("failure-time = []", "failure-time holds 0 times"),
        ("slow-time = [\"1 ms\", \"2 ms\"]\nretry = [1.0, 1.0]", "and retry that some do not"),
    ] {
        let error = open(folder.path(), &format!("{SCENARIO}{line}\n")).unwrap_err();
        assert!(error.contains(expected), "{line}: {error}");
    }
}

#[test]
fn a_weak_head_may_be_told_of_only_where_nobody_has_tried() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("drive.map"), "0x0 + 1\n0 0x2000000 +\n0x2000000 0x2000000 ?\n").unwrap();
    let head = "[[fault]]\nkind = \"weak-head\"\nhead = 1\nfailing = 1.0\nuntried-in = \"drive.map\"\n";
    let disk = SCENARIO.split("[[fault]]").next().unwrap();
    let lost = |text: &str| open(folder.path(), text).unwrap().lost(1).unwrap();
    let found = lost(&format!("{disk}{head}"));
    let half = ByteRange::new(Offset::new(0), 0x200_0000);
    let everywhere = lost(&format!("{disk}{}", head.replace("untried-in", "# ")));
    assert!(found.pieces_in(half).next().is_none() && !found.is_empty(), "{found:?}");
    let behind = ByteRange::new(half.end(), 0x200_0000);
    assert_eq!(found.bytes(), everywhere.pieces_in(behind).map(|piece| piece.length()).sum::<u64>());
    let error = open(folder.path(), &format!("{disk}{}", head.replace("drive.map", "no.map"))).unwrap_err();
    assert!(error.contains("cannot read the map"), "{error}");
}

/// What the folder of real maps says of itself, with real maps in it.
#[test]
fn real_maps_are_disks_with_as_much_damage() {
    let Some(data) = std::env::var_os("DISKWRIGHT_DATA") else { return };
    for (name, size, bad) in [
        ("m02-hdd-80gb-scraped", 80_060_424_192u64, 5_424_128u64..5_424_129),
        ("m04-hdd-radial-scratch-zbr", 193_000_000_000, 10_000_000..25_000_000),
        ("m27-hdd-2tb-one-4k", 2_000_398_934_016, 4096..4097),
    ] {
        let path = Path::new(&data).join("mapfiles").join(name).with_extension("map");
        let text = fs::read(&path).unwrap();
        let extent = map::Mapfile::parse(&text).unwrap().map.extent().unwrap().end().bytes();
        let known = format!("file = {path:?}\nunknown = \"good\"");
        let scenario = SCENARIO
            .replace("\"pata40\"", "\"d35_1t\"\nphysical-sector = 512")
            .replace("\"64 MiB\"", &extent.max(size).next_multiple_of(512).to_string())
            .replace("file = \"drive.map\"", &known);
        let folder = tempfile::tempdir().unwrap();
        let scenario = open(folder.path(), &scenario).unwrap();
        let lost = scenario.lost(1).unwrap().bytes();
        assert!(bad.contains(&lost), "{name}: {lost} bytes lost");
    }
}
