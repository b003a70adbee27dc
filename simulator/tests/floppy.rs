//! Whole simulated floppy disks.

use block::Nanos;
use simulator::law::Health;
use simulator::{Answer, Command, Scenario, SimDisk};

const OLD: &str = r#"
description = "An old floppy disk."
seed = 16

[disk]
medium = "floppy"
profile = "3.5-1440"

[[fault]]
kind = "floppy-weak"
weak = 12
bad = 5
chance = [0.02, 0.1]
"#;

fn disk(text: &str) -> SimDisk {
    let scenario = Scenario::parse("floppy", "floppy.toml", text).unwrap_or_else(|error| panic!("{error}"));
    scenario.disk(scenario.seed()).unwrap_or_else(|error| panic!("{error}"))
}

/// Damaged sectors: weak ones and bad ones.
fn damaged(disk: &SimDisk) -> (Vec<u64>, Vec<u64>) {
    let surface = &disk.drive().surface;
    let sectors = |is_bad: bool| {
        let these =
            surface.stretches().iter().filter(|s| (surface.law(s.law).health == Health::Bad) == is_bad);
        these.flat_map(|s| s.sectors.clone()).collect()
    };
    (sectors(false), sectors(true))
}

#[test]
fn a_disk_has_as_many_weak_and_bad_sectors_as_told_and_failures_take_a_second() {
    let mut disk = disk(OLD);
    let (weak, bad) = damaged(&disk);
    assert_eq!((weak.len(), bad.len()), (12, 5));
    let (mut now, mut answered) = (Nanos::ZERO, 0);
    for round in 0..60 {
        for at in weak.iter().chain(&bad).copied() {
            let reply = disk.serve(&Command { at, count: 1 }, now);
            let time = reply.done.since(now);
            now = reply.done;
            if reply.answer == Answer::Done {
                assert!(weak.contains(&at));
                answered += 1;
            } else {
                // Steps to the cylinder, and the time of all tries.
                let (least, most) = (Nanos::from_millis(1090), Nanos::from_millis(1900));
                assert!(time > least && time < most, "{time:?} in round {round}");
            }
        }
    }
    // 12 sectors 60 times, with 0.02 to 0.1 at each of five turns.
    assert!((100..500).contains(&answered), "{answered} answers");
}

#[test]
fn coming_from_the_far_side_gains_most_and_from_below_nothing() {
    // All weak sectors alike, so that gains can be seen.
    let text = OLD.replace("chance = [0.02, 0.1]", "chance = [0.05, 0.05]");
    let share = |from: fn(u64) -> u64| {
        let mut disk = disk(&text);
        let (weak, bad) = damaged(&disk);
        let is_healthy = |at: &u64| !weak.contains(at) && !bad.contains(at);
        let (mut now, mut answered, mut tries) = (Nanos::ZERO, 0.0, 0.0);
        for _ in 0..200 {
            for at in weak.iter().copied().filter(|at| (3 * 36..77 * 36).contains(at)) {
                let elsewhere = from(at / 36) * 36;
                let healthy = (elsewhere..elsewhere + 36).find(is_healthy).expect("a healthy sector");
                now = disk.serve(&Command { at: healthy, count: 1 }, now).done;
                let reply = disk.serve(&Command { at, count: 1 }, now);
                now = reply.done;
                tries += 1.0;
                answered += f64::from(u8::from(reply.answer == Answer::Done));
            }
        }
        answered / tries
    };
    // Of five turns one has to bring it.
    let expected = |p: f64| 1.0 - (1.0 - p) * (1.0 - p) * (1.0 - p) * (1.0 - p) * (1.0 - p);
    for (found, p) in
        [(share(|cylinder| cylinder - 1), 0.05), (share(|_| 0), 0.10), (share(|cylinder| cylinder + 1), 0.13)]
    {
        assert!((found - expected(p)).abs() < 0.04, "{found} answered, expected {}", expected(p));
    }
}

#[test]
fn a_disk_that_sheds_answers_less_and_less() {
    let text = OLD.replace("chance = [0.02, 0.1]", "chance = [0.1, 0.1]\nsheds = true");
    let mut disk = disk(&text);
    let (weak, _) = damaged(&disk);
    let mut now = Nanos::ZERO;
    let mut answers = |disk: &mut SimDisk, rounds: u32| {
        let mut count = 0;
        for _ in 0..rounds {
            for at in &weak {
                let reply = disk.serve(&Command { at: *at, count: 1 }, now);
                now = reply.done;
                count += u32::from(reply.answer == Answer::Done);
            }
        }
        count
    };
    let early = answers(&mut disk, 50);
    answers(&mut disk, 300);
    let late = answers(&mut disk, 50);
    assert!(late * 3 < early * 2, "{early} of 600 tries answered at first, {late} later");
}

#[test]
fn mistakes_are_told() {
    for (from, to, expected) in [
        ("3.5-1440", "8-250", "profile \"8-250\" is not known; it is one of 3.5-1440, 5.25-1200, 5.25-360"),
        ("weak = 12", "weak = 1200", "1200 weak and 5 bad sectors; at most 144 of 2880"),
        ("chance = [0.02, 0.1]", "chance = [0.5, 0.1]", "chance [0.5, 0.1] is not two rising probabilities"),
        (
            "medium = \"floppy\"\nprofile = \"3.5-1440\"",
            "medium = \"flash\"\nprofile = \"sd_32\"",
            "floppy-weak is a fault of floppy disks",
        ),
    ] {
        let found =
            Scenario::parse("floppy", "floppy.toml", &OLD.replacen(from, to, 1)).expect_err(to).to_string();
        assert!(found.contains(expected), "{to}: {found}");
    }
}
