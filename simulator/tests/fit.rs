//! Drives whose parameters are known, logged, fitted, and compared with the scenario that was written.

use std::fs;
use std::ops::Range;

use block::timing_log::{Entry, Header, Outcome, Writer};
use block::{Errno, Nanos, Offset};
use simulator::fit::schedule::Schedule;
use simulator::fit::{Fit, period};
use simulator::recording::{Reading, Recording};
use simulator::scenario::library;
use simulator::{Answer, Command, Scenario, survey};

/// What becomes of a read that failed.
#[derive(Clone, Copy, PartialEq)]
enum Failed {
    /// Nothing.
    Left,
    /// Its physical sectors are read one by one.
    Scraped,
}

/// The log of a drive that was read once from its start, `share` of it, in reads of `unit` bytes.
fn logged(text: &str, unit: u64, share: f64, failed: Failed) -> (Scenario, Recording) {
    let text = format!("description = \"A drive that is known.\"\nseed = 3\n{text}");
    let truth = Scenario::parse("truth", "truth.toml", &text).unwrap_or_else(|error| panic!("{error}"));
    let mut disk = truth.disk(truth.seed()).unwrap();
    let shape = disk.shape();
    let header = Header {
        size: Some(shape.bytes()),
        logical_sector: shape.logical,
        physical_sector: shape.physical,
        source: None,
    };
    let mut log = Vec::new();
    let mut writer = Writer::new(&mut log, &header).unwrap();
    let mut now = Nanos::ZERO;
    let mut read = |at: u64, count: u64| {
        let reply = disk.serve(&Command { at, count }, now);
        let is_good = reply.answer == Answer::Done;
        let entry = Entry {
            began: now,
            at: Offset::new(at * u64::from(shape.logical)),
            unit: count * u64::from(shape.logical),
            reads: 1,
            backwards: false,
            outcome: if is_good { Outcome::Good } else { Outcome::Failed { errno: Errno::EIO, good: 0 } },
            took: reply.done.since(now),
        };
        writer.put(&entry).unwrap();
        now = reply.done;
        is_good
    };
    let (count, sector) = (unit / u64::from(shape.logical), u64::from(shape.physical / shape.logical));
    let mut at = 0;
    while at + count <= (shape.sectors as f64 * share) as u64 {
        if !read(at, count) && failed == Failed::Scraped {
            (at..at + count).step_by(sector as usize).for_each(|at| _ = read(at, sector));
        }
        at += count;
    }
    let recording = Recording::parse(&String::from_utf8(log).unwrap(), Reading::default()).unwrap();
    (truth, recording)
}

/// The scenario that was written, read again with the files beside it.
fn reopened(fit: &Fit) -> Scenario {
    let folder = tempfile::tempdir().unwrap();
    for (name, map) in fit.files("fitted") {
        let mut text = Vec::new();
        map::mapfile::write(&mut text, &Default::default(), &Default::default(), map).unwrap();
        fs::write(folder.path().join(name), text).unwrap();
    }
    let path = folder.path().join("fitted.toml");
    fs::write(&path, fit.scenario("drive.log", "fitted")).unwrap();
    library::read(&path.to_string_lossy()).unwrap_or_else(|error| panic!("{error}"))
}

fn near(what: &str, found: f64, truth: f64, tolerance: f64, fit: &Fit) {
    let told = || format!("{}\n{}", fit.report(), fit.scenario("drive.log", "fitted"));
    assert!((found / truth - 1.0).abs() < tolerance, "{what}: {found} of {truth}\n{}", told());
}

/// Rates of ten parts of a disk.
fn rates(scenario: &Scenario) -> Vec<f64> {
    let speeds = survey::speeds(&mut *scenario.medium.build(scenario.seed()).medium, 10);
    speeds.iter().map(|speed| speed.rate).collect()
}

/// Damaged bytes of a new disk in a part of it.
fn damage(scenario: &Scenario, part: Range<u64>) -> Vec<Range<u64>> {
    let disk = scenario.disk(scenario.seed()).unwrap();
    let stretches = disk.drive().surface.stretches();
    let bytes = stretches.iter().map(|s| s.sectors.start * 512..s.sectors.end * 512);
    let cut = bytes.map(|range| range.start.max(part.start)..range.end.min(part.end));
    cut.filter(|range| range.start < range.end).collect()
}

fn bytes(ranges: &[Range<u64>]) -> f64 {
    ranges.iter().map(|range| range.end - range.start).sum::<u64>() as f64
}

const GB: u64 = 1_000_000_000;

/// Of each band nothing under one head comes: the heads, their bands and the damage of what was not read are found.
#[test]
fn a_dead_head_is_written_down_with_its_bands_and_goes_on_where_nobody_read() {
    let (truth, recording) = logged(
        "[disk]\nmedium = \"hard-disk\"\nprofile = \"d35_1t\"\nsize = 60000002048\nheads = 4\nband = \"48 MB\"\nzones = 6\n\
         head-density = 0.0\n[[fault]]\nkind = \"dead-head\"\nhead = 2\n",
        1 << 20,
        0.6,
        Failed::Left,
    );
    let fit = Fit::of(&recording);
    let fitted = reopened(&fit);
    // Seen: within 3 %. Behind it: within 6 %.
    for (part, (found, truth)) in rates(&fitted).iter().zip(rates(&truth)).enumerate() {
        near(&format!("rate of part {part}"), *found, truth, if part < 6 { 0.03 } else { 0.06 }, &fit);
    }
    let shape = fitted.disk(1).unwrap().shape();
    assert_eq!(shape.heads, 4, "{}", fit.report());
    let unread = 37 * GB..58 * GB;
    let (found, expected) = (damage(&fitted, unread.clone()), damage(&truth, unread.clone()));
    near("damage where nobody read", bytes(&found), bytes(&expected), 0.10, &fit);
    // The sixth zone begins behind 50 GB.
    let zone = 38 * GB..44 * GB;
    let period = |damage: &[Range<u64>]| period::find(damage, zone.clone()).expect("a period");
    let (found, expected) = (period(&found), period(&expected));
    near("period where nobody read", found.period, expected.period, 0.06, &fit);
    near("arc where nobody read", found.arc, expected.arc, 0.08, &fit);
    // And where somebody did, as it was.
    let read = 0..30 * GB;
    near("damage", bytes(&damage(&fitted, read.clone())), bytes(&damage(&truth, read)), 0.03, &fit);
    assert_eq!(Schedule::of(&recording, &fitted, 0).unwrap().unexplained(), Vec::<String>::new());
}

/// Under one head some sectors come late: their share, their delay and the head are found.
#[test]
fn a_head_that_is_slow_is_written_down_with_its_share() {
    let (truth, recording) = logged(
        "[disk]\nmedium = \"hard-disk\"\nprofile = \"d35_1t\"\nsize = 40000000000\nheads = 5\nband = \"48 MB\"\nzones = 4\n\
         head-density = 0.0\n[[fault]]\nkind = \"weak-head\"\nhead = 3\nfailing = 0.0\nslow = 0.0008\n\
         slow-time = [\"100 ms\", \"300 ms\"]\n",
        1 << 20,
        0.7,
        Failed::Left,
    );
    let fit = Fit::of(&recording);
    let fitted = reopened(&fit);
    assert_eq!(fitted.disk(1).unwrap().shape().heads, 5, "{}", fit.report());
    let head = fit.head.as_ref().expect("a head");
    // A read of 256 sectors that meets two is late once.
    near("share of slow sectors", head.slow, 0.0008, 0.15, &fit);
    let schedule = Schedule::of(&recording, &fitted, 0).unwrap();
    assert_eq!(schedule.unexplained(), Vec::<String>::new(), "{schedule:?}");
    // All of both disks, read as the log was.
    let whole = |scenario: &Scenario| {
        let mut disk = scenario.disk(1).unwrap();
        let (mut now, mut late, mut at) = (Nanos::ZERO, 0.0, 28 * GB / 512 / 2048 * 2048);
        while at + 2048 <= disk.shape().sectors {
            let done = disk.serve(&Command { at, count: 2048 }, now).done;
            late += if done.since(now) > Nanos::from_millis(80) { 1.0 } else { 0.0 };
            (at, now) = (at + 2048, done);
        }
        late
    };
    near("slow reads where nobody had read", whole(&fitted), whole(&truth), 0.15, &fit);
}

/// Pauses of a drive that is healthy otherwise: as many reads are slow, by as much.
#[test]
fn slow_reads_are_as_many_and_as_slow_as_they_were() {
    let (_, recording) = logged(
        "[disk]\nmedium = \"hard-disk\"\nprofile = \"d35_1t\"\nsize = 20000002048\nhead-density = 0.0\n\
         [[fault]]\nkind = \"hiccups\"\nevery = \"500 ms\"\nmedian = \"90 ms\"\nsigma = 0.4\n",
        256 << 10,
        1.0,
        Failed::Left,
    );
    let late = |took: Nanos| took > Nanos::from_millis(25);
    let count = recording.records.iter().filter(|record| record.took.is_some_and(late)).count() as f64;
    let share = count / recording.records.len() as f64;
    let fit = Fit::of(&recording);
    near("share of slow reads", fit.slow.share(), share, 0.02, &fit);
    let fitted = reopened(&fit);
    let schedule = Schedule::of(&recording, &fitted, 0).unwrap();
    assert_eq!(schedule.unexplained(), Vec::<String>::new(), "{schedule:?}");
    // A pause gives a drive time to read ahead, a slow place does not.
    near("time", schedule.secs().simulated, schedule.secs().recorded, 0.03, &fit);
    assert!(schedule.good.0 < 0.10, "{schedule:?}");
    assert_eq!(schedule.failures, (0, 0));
}

/// A scratch across the tracks tells how fast the disk turns, and how long its tracks are.
#[test]
fn a_scratch_tells_speed_skew_and_tracks() {
    let (truth, recording) = logged(
        "[disk]\nmedium = \"hard-disk\"\nprofile = \"d25_500\"\nsize = \"4 GB\"\nheads = 2\nzones = 3\nband = \"100 MB\"\n\
         head-density = 0.0\nphysical-sector = 512\nrecovery = \"500 ms\"\n\
         [[fault]]\nkind = \"scratch\"\nshape = \"radial\"\nhead = 1\ncylinders = [0.0, 1.0]\n",
        65536,
        1.0,
        Failed::Scraped,
    );
    let fit = Fit::of(&recording);
    let text = fit.scenario("drive.log", "fitted");
    assert!(text.contains("rpm = 5400"), "{}\n{text}", fit.report());
    let (track, _) = fit.track.expect("a track");
    let (skew, _) = track.geometry.expect("a second distance");
    assert!((skew - 0.17).abs() < 0.02, "{}", fit.report());
    let fitted = reopened(&fit);
    assert_eq!(fitted.disk(1).unwrap().shape().heads, 2, "{}", fit.report());
    let outer = |scenario: &Scenario| {
        scenario.medium.build(1).medium.zones().first().map_or(0.0, |zone| zone.sectors_per_track.1 as f64)
    };
    near("sectors of the outermost track", outer(&fitted), outer(&truth), 0.03, &fit);
    for (found, truth) in rates(&fitted).iter().zip(rates(&truth)) {
        // Where a zone ends inside of a part, some of that part is taken for the other one.
        near("rate", *found, truth, 0.06, &fit);
    }
}
