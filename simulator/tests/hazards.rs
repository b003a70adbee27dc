//! Disks that change as they are read: rows of reads live through exactly what single reads do.

use std::sync::Arc;

use block::source::Row;
use block::{BlockSource, Clock, Nanos, Offset, Patience, Recovery, VirtualClock};
use proptest::prelude::*;
use simulator::{Access, Pace, Scenario, SimSource};

const DISK: &str = r#"
description = "A small disk with clusters, and with faults that depend on what was read before."

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
"#;

const STICK: &str = r#"
description = "A small stick."

[disk]
medium = "flash"
profile = "usb_stick_8"
size = "64 MiB"
block-pages = 16
"#;

const CARD: &str = r#"
description = "A small card that is soon hot."

[disk]
medium = "flash"
profile = "nvme_1t"
size = "64 MiB"
throttle-after = "40 ms"
"#;

const DVD: &str = r#"
description = "A small disc."

[disk]
medium = "optical"
profile = "dvd"
size = "64 MiB"
"#;

const FLOPPY: &str = r#"
description = "A floppy disk."

[disk]
medium = "floppy"
profile = "3.5-1440"
"#;

/// Faults that meet on one disk.
const TOGETHER: [(&str, &[&str]); 10] = [
    (
        DISK,
        &[
            "kind = \"fading-head\"\nhead = 2\nfailing = 0.02\nfades-in = \"1 min\"\nrest = \"5 min\"",
            "kind = \"vanish\"\nper-error = 0.1",
            "kind = \"slow-firmware\"\nafter-errors = 5\nrelapse = \"30 s\"",
        ],
    ),
    (DISK, &["kind = \"hang\"\nper-error = 0.2\nno-return = 0.05", "kind = \"death\"\nmean = \"60 s\""]),
    (DISK, &["kind = \"wear\"\nlife = \"600 s\"\nspreads = 2.0", "kind = \"dead-head\"\nhead = 3"]),
    (
        DISK,
        &[
            "kind = \"thermal\"\nambient = 50.0\ntau = \"1 min\"",
            "kind = \"hiccups\"\nevery = \"500 ms\"",
            "kind = \"garbage\"\nper-error = 0.3",
        ],
    ),
    (
        DISK,
        &[
            "kind = \"translator\"\nafter = \"40 s\"",
            "kind = \"fast-fail\"\nknown = 0.3",
            "kind = \"hiccups\"",
        ],
    ),
    // Only work away from damage.
    (DISK, &["kind = \"wear\"\nlife = \"100 ms\"\nspreads = 0.0", "kind = \"death\"\nafter = \"20 s\""]),
    (
        STICK,
        &[
            "kind = \"flash-errors\"\ncount = 20\nexact = true",
            "kind = \"flash-block\"\ncount = 3\nchance = [0.1, 3.0]",
            "kind = \"controller-panic\"\nchance = 0.05\nreturns = 0.8",
        ],
    ),
    (
        CARD,
        &[
            "kind = \"flash-retention\"\nshare = 0.3\nextent = \"256 KiB\"",
            "kind = \"trimmed\"\nextent = \"1 MiB\"",
        ],
    ),
    (
        DVD,
        &[
            "kind = \"disc-scratch\"\nradius = [24.1, 24.5]\nwidth = 20.0\nhit = 0.1\nretry = [0.5, 5.0]",
            "kind = \"cache-warming\"",
        ],
    ),
    (FLOPPY, &["kind = \"floppy-weak\"\nweak = 8\nbad = 3\nsheds = true"]),
];

fn source((disk, faults): (&str, &[&str]), seed: u64, access: Access) -> (SimSource, Arc<VirtualClock>) {
    let text = faults.iter().fold(disk.to_owned(), |text, fault| text + "\n[[fault]]\n" + fault + "\n");
    let scenario =
        Scenario::parse("hazards", "hazards.toml", &text).unwrap_or_else(|error| panic!("{error}"));
    let clock = Arc::new(VirtualClock::new(Nanos::ZERO));
    (scenario.source(seed, Some(access), clock.clone(), Pace::Instant).unwrap(), clock)
}

/// Bytes of a disk, and of a read that needs no splitting.
fn size_and_unit(source: &SimSource) -> (u64, u64) {
    (source.system().disk().shape().bytes(), source.system().options().command_max.min(64 << 10))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn rows_live_through_the_same_history_as_their_reads(
        faults in 0..TOGETHER.len(),
        seed in 0u64..1000,
        starts in prop::collection::vec((0u64..1 << 26, 1u64..400, 0u64..600), 1..12),
        access in 0usize..2,
    ) {
        let (faults, access) = (TOGETHER[faults], [Access::Raw, Access::Direct][access]);
        let ((mut rows, rows_clock), (mut reads, reads_clock)) =
            (source(faults, seed, access), source(faults, seed, access));
        let (size, unit) = size_and_unit(&rows);
        'all: for (start, count, pause) in starts {
            let mut at = start % size / 4096 * 4096;
            let mut left = count.min((size - at) / unit);
            while left > 0 {
                let until = rows_clock.now() + Nanos::from_secs(5);
                let row = Row { at: Offset::new(at), unit, count: left, backwards: false, until };
                let examined = rows.examine(&row, Patience::Endless).unwrap();
                let count = examined.as_ref().map_or(1, |examined| examined.reads);
                for _ in 0..count {
                    let mut buffer = vec![0; unit as usize];
                    let reply = reads.read_at(Offset::new(at), &mut buffer, Patience::Endless);
                    prop_assert_eq!(&reply, &examined.as_ref().map(|examined| examined.reply.clone()).map_err(Clone::clone));
                    at += unit;
                }
                prop_assert_eq!(rows_clock.now(), reads_clock.now());
                left -= count;
                if examined.is_err() {
                    let found = rows.recover(Recovery::Rediscover);
                    prop_assert_eq!(&found, &reads.recover(Recovery::Rediscover));
                    prop_assert_eq!(rows_clock.now(), reads_clock.now());
                    if found.is_err() {
                        break 'all;
                    }
                }
            }
            let pause = Nanos::from_secs(pause);
            rows_clock.sleep(pause);
            reads_clock.sleep(pause);
        }
        let (one, other) = (rows.system().disk().drive(), reads.system().disk().drive());
        prop_assert_eq!(&one.attempts, &other.attempts);
        prop_assert_eq!(&one.health, &other.health);
        prop_assert_eq!(&one.conditions, &other.conditions);
        prop_assert_eq!(one.power, other.power);
        prop_assert_eq!(one.surface.stretches(), other.surface.stretches());
    }
}

#[test]
fn most_histories_have_rows_and_trouble() {
    // The property would hold of disks on which nothing happens, too.
    for faults in TOGETHER {
        let (mut reads_in_rows, mut lost) = (0, 0);
        for seed in 0..20 {
            let (mut disk, _) = source(faults, seed, Access::Direct);
            let (size, unit) = size_and_unit(&disk);
            let mut at = 0;
            while at < size / unit * unit {
                let count = (size - at) / unit;
                let row = Row { at: Offset::new(at), unit, count, backwards: false, until: Nanos::NEVER };
                match disk.examine(&row, Patience::Endless).unwrap() {
                    Ok(examined) => {
                        reads_in_rows += examined.reads - 1;
                        at += examined.reads * unit;
                    }
                    Err(_) if disk.recover(Recovery::Rediscover).is_ok() => lost += 1,
                    Err(_) => {
                        lost += 1;
                        break;
                    }
                }
            }
            lost += u64::from(!disk.system().disk().drive().surface.stretches().is_empty());
        }
        assert!(reads_in_rows > 200 && lost > 10, "{faults:?}: {reads_in_rows} reads, {lost} losses");
    }
}
