//! Whole simulated flash drives.

use std::sync::Arc;

use block::{BlockSource, Clock, Good, Nanos, Offset, Patience, Recovery, VirtualClock};
use simulator::law::Health;
use simulator::{Access, Answer, Command, Pace, Scenario};

const WORN: &str = r#"
description = "A small worn drive."
seed = 5

[disk]
medium = "flash"
profile = "ssd_128"
size = "64 MiB"
block-pages = 16

[[fault]]
kind = "flash-errors"
count = 10
exact = true
"#;

fn scenario(text: &str) -> Scenario {
    Scenario::parse("flash", "flash.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn worn_pages_answer_late_and_bad_ones_not_at_all() {
    let mut disk = scenario(WORN).disk(5).unwrap();
    let stretches = disk.drive().surface.stretches().to_vec();
    let (mut late, mut failed) = (0, 0);
    let mut now = Nanos::ZERO;
    for stretch in &stretches {
        let Health::Ladder(ladder) = disk.drive().surface.law(stretch.law).health.clone() else { panic!() };
        let reply = disk.serve(&Command { at: stretch.sectors.start, count: 8 }, now);
        let time = reply.done.since(now);
        now = reply.done;
        match reply.answer {
            Answer::Done => {
                // A level at least, and not more than the whole ladder.
                assert!(time >= Nanos::new(240_000) && time < Nanos::from_millis(15), "{time:?}");
                late += 1;
            }
            _ => {
                assert!(time >= Nanos::from_millis(200), "{time:?}");
                failed += u32::from(ladder.chance[0] < 1.0);
            }
        }
    }
    assert!(late >= 10 && failed >= 10, "{late} late and {failed} failed of {}", stretches.len());
}

#[test]
fn what_a_command_waits_for_is_the_longest_retry_not_all_of_them() {
    let worn = WORN.replace(
        "kind = \"flash-errors\"\ncount = 10\nexact = true",
        "kind = \"flash-retention\"\nchance = [15, 85]",
    );
    let mut disk = scenario(&worn).disk(5).unwrap();
    let mut now = Nanos::ZERO;
    for index in 0..200 {
        let reply = disk.serve(&Command { at: index * 128, count: 128 }, now);
        let time = reply.done.since(now);
        now = reply.done;
        assert_eq!(reply.answer, Answer::Done);
        // The ladder and its soft decoding once, whatever the number of codewords.
        assert!(time < Nanos::from_millis(14), "{time:?}");
    }
    assert!(now > Nanos::from_millis(200), "200 reads of leaked pages took {now:?} only");
}

#[test]
fn a_panic_ends_when_power_is_cycled() {
    let text = r#"
description = "A stick whose controller stops at its first bad page."
seed = 2

[disk]
medium = "flash"
profile = "usb_stick_8"
size = "64 MiB"

[[fault]]
kind = "flash-block"
at = ["1 MiB"]

[[fault]]
kind = "controller-panic"
chance = 1.0
"#;
    let scenario = scenario(text);
    assert_eq!(scenario.system_options(None).command_max, 120 << 10);
    let clock = Arc::new(VirtualClock::new(Nanos::ZERO));
    let mut source = scenario.source(2, Some(Access::Direct), clock.clone(), Pace::Instant).unwrap();
    assert!(!source.abilities().rotates);
    let mut buffer = vec![0; 4096];
    let mut read = |source: &mut simulator::SimSource, at| {
        source.read_at(Offset::new(at), &mut buffer, Patience::Endless)
    };
    assert_eq!(read(&mut source, 0).unwrap().good, Good::All);
    assert!(read(&mut source, 1 << 20).unwrap().damage.is_some());
    assert!(clock.now() > Nanos::from_secs(30), "the system waits before it gives up");
    assert!(read(&mut source, 0).is_err(), "nothing reaches a drive that was given up");
    source.recover(Recovery::Rediscover).unwrap();
    assert_eq!(read(&mut source, 0).unwrap().good, Good::All);
}

#[test]
fn trimmed_stretches_are_zeros_at_once() {
    let text = WORN.replace(
        "kind = \"flash-errors\"\ncount = 10\nexact = true",
        "kind = \"trimmed\"\nshare = 0.5\nextent = \"1 MiB\"",
    );
    let clock = Arc::new(VirtualClock::new(Nanos::ZERO));
    let mut source = scenario(&text).source(2, Some(Access::Direct), clock.clone(), Pace::Instant).unwrap();
    let (mut zeros, mut truth) = (0, vec![0; 4096]);
    for index in 0..16384 {
        let (mut buffer, before) = (vec![1; 4096], clock.now());
        source.read_at(Offset::new(index * 4096), &mut buffer, Patience::Endless).unwrap();
        source.truth(Offset::new(index * 4096), &mut truth).unwrap();
        assert!(buffer == truth);
        if buffer.iter().all(|byte| *byte == 0) {
            zeros += 1;
            assert_eq!(clock.now().since(before), Nanos::new(30_000));
        }
    }
    assert!((6000..10_400).contains(&zeros), "{zeros} of 16384 pages are empty");
}

#[test]
fn a_dead_die_takes_its_pages_and_small_twins_keep_it() {
    let text = r#"
description = "A drive with a dead die."
seed = 2

[disk]
medium = "flash"
profile = "nvme_1t"

[[fault]]
kind = "flash-die"
die = 3
"#;
    let small = scenario(text).small().unwrap().unwrap();
    let disk = small.disk(2).unwrap();
    assert_eq!(disk.shape().bytes(), 256 << 20);
    let lost: u64 = disk.drive().surface.stretches().iter().map(|s| s.sectors.end - s.sectors.start).sum();
    let share = lost as f64 / disk.shape().sectors as f64;
    assert!((share * 32.0 - 1.0).abs() < 0.05, "{share} is lost, one die of 32");
}

#[test]
fn mistakes_are_told() {
    let wrong = |from: &str, to: &str| {
        let text = WORN.replacen(from, to, 1);
        Scenario::parse("flash", "flash.toml", &text).expect_err(to).to_string()
    };
    for (from, to, expected) in [
        ("ssd_128", "ssd_129", "profile \"ssd_129\" is not known; it is one of ssd_128, nvme_1t"),
        ("size = \"64 MiB\"", "size = 1000", "size 1000 is not a whole number of codewords"),
        ("block-pages = 16", "block-pages = 0", "block-pages 0; a block has 1 to 65536 pages"),
        ("block-pages = 16", "dies = 0", "4 channels and 0 dies"),
        ("block-pages = 16", "page = \"12 KiB\"", "page 12288; it is a power of two"),
        ("exact = true", "worn = [1]", "worn holds two numbers, or none"),
        ("exact = true", "chance = [0, 1]", "chance holds two numbers above 0"),
        (
            "flash-errors\"\ncount = 10\nexact = true",
            "flash-die\"\ndie = 16",
            "there is no die 16: this drive has dies 0 to 15",
        ),
        (
            "medium = \"flash\"\nprofile = \"ssd_128\"\nsize = \"64 MiB\"\nblock-pages = 16",
            "medium = \"hard-disk\"\nprofile = \"pata40\"",
            "flash-errors is a fault of flash",
        ),
    ] {
        let found = wrong(from, to);
        assert!(found.contains(expected), "{to}: {found}");
    }
}
