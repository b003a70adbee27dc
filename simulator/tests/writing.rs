//! Disks that may be written to: what a write heals, and what it cannot.

use std::sync::Arc;

use block::{BlockSource, Clock, Errno, Nanos, Offset, Patience, SourceError, VirtualClock};
use simulator::{Access, Pace, Scenario, SimSource};

fn source(head: &str, fault: &str) -> (SimSource, Arc<VirtualClock>) {
    let text = format!(
        "description = \"t\"\n{head}\n[disk]\nmedium = \"hard-disk\"\nprofile = \"d35_1t\"\nsize = \"64 MiB\"\nheads = 4\n\
         sectors-per-track = [256, 128]\nband = \"1 MiB\"\n[[fault]]\n{fault}\n"
    );
    let scenario =
        Scenario::parse("writing", "writing.toml", &text).unwrap_or_else(|error| panic!("{error}"));
    let clock = Arc::new(VirtualClock::new(Nanos::ZERO));
    (scenario.source(7, Some(Access::Raw), clock.clone(), Pace::Instant).unwrap(), clock)
}

const BAD: &str =
    "kind = \"region\"\nhealth = \"bad\"\nshares = [[0.5, 1.0]]\nfailure-time = [\"10 ms\", \"10 ms\"]";
const HALF: u64 = 32 << 20;

#[test]
fn a_write_brings_pending_sectors_back_and_three_in_ten_are_replaced() {
    let (mut disk, clock) = source("writable = true", BAD);
    let health = |disk: &SimSource| disk.system().disk().drive().health.clone();
    let mut buffer = vec![0; 4096];
    let (mut quick, mut slow) = (0, 0);
    for index in 0..400u64 {
        let at = Offset::new(HALF + index * 4096);
        assert!(disk.read_at(at, &mut buffer, Patience::Endless).unwrap().damage.is_some());
        assert_eq!(health(&disk).pending.len(), 1);
        let bytes = vec![index as u8 | 1; 4096];
        let before = clock.now();
        assert_eq!(disk.write_at(at, &bytes).unwrap().damage, None);
        match clock.now().since(before).nanoseconds() / 1_000_000 {
            0..40 => quick += 1,
            40..240 => slow += 1,
            time => panic!("{time} ms"),
        }
        assert_eq!(health(&disk).pending.len(), 0);
        assert_eq!(disk.read_at(at, &mut buffer, Patience::Endless).unwrap().damage, None);
        assert_eq!(buffer, bytes);
    }
    assert_eq!(health(&disk).reallocated, slow);
    assert!((90..150).contains(&slow) && quick + slow == 400, "{slow} of 400 were replaced");
}

#[test]
fn what_was_written_lies_over_what_was_there_and_the_rest_stays() {
    let zeros = "kind = \"region\"\nhealth = \"zeros\"\nshares = [[0.5, 1.0]]";
    let (mut disk, _) = source("writable = true", zeros);
    let mut before = vec![0; 8192];
    disk.truth(Offset::new(HALF - 4096), &mut before).unwrap();
    assert!(before[4096..].iter().all(|byte| *byte == 0));
    disk.write_at(Offset::new(HALF), &[0xab; 512]).unwrap();
    disk.write_at(Offset::new(HALF - 512), &[0xcd; 512]).unwrap();
    let mut after = vec![0; 8192];
    assert_eq!(disk.read_at(Offset::new(HALF - 4096), &mut after, Patience::Endless).unwrap().damage, None);
    let mut expected = before;
    expected[3584..4096].fill(0xcd);
    expected[4096..4608].fill(0xab);
    assert!(after[..4608] == expected[..4608]);
    assert!(
        after[4608..].iter().all(|byte| *byte == 0),
        "a physical sector that is written in part keeps its zeros"
    );
}

#[test]
fn a_part_of_a_bad_physical_sector_cannot_be_written_nor_anything_under_a_dead_head() {
    let (mut disk, _) = source("writable = true", BAD);
    assert!(disk.write_at(Offset::new(HALF + 512), &[1; 512]).unwrap().damage.is_some());
    assert_eq!(disk.write_at(Offset::new(HALF), &[1; 4096]).unwrap().damage, None);
    assert_eq!(disk.write_at(Offset::new(HALF + 512), &[2; 512]).unwrap().damage, None);
    let (mut disk, _) = source("writable = true", "kind = \"dead-head\"\nhead = 1");
    let dead = disk.system().disk().drive().medium.sectors_of(1)[0].start;
    let at = Offset::new((dead - 8) * 512);
    let reply = disk.write_at(at, &[1; 8192]).unwrap();
    assert_eq!(reply.good_bytes(8192), 4096, "what lies before the dead head was written");
    let mut buffer = vec![0; 4096];
    assert_eq!(disk.read_at(at, &mut buffer, Patience::Endless).unwrap().damage, None);
    assert_eq!(buffer, [1; 4096]);
}

#[test]
fn nothing_is_written_unless_the_scenario_says_so() {
    let (mut disk, clock) = source("", BAD);
    let error = disk.write_at(Offset::ZERO, &[1; 512]).unwrap_err();
    assert!(matches!(error, SourceError::Refused { errno: Errno::EROFS, .. }), "{error}");
    assert_eq!(clock.now(), Nanos::ZERO);
    let (mut disk, _) = source("writable = true", BAD);
    let error = disk.write_at(Offset::new(100), &[1; 512]).unwrap_err();
    assert!(matches!(error, SourceError::Refused { errno: Errno::EINVAL, .. }), "{error}");
}
