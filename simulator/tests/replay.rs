//! Recorded drives that answer again.

use std::fs;
use std::path::Path;

use block::{ByteRange, Nanos, Offset};
use simulator::fit::Fit;
use simulator::fit::schedule::Schedule;
use simulator::recording::{Reading, Recording};
use simulator::scenario::library;
use simulator::{Answer, Command, Scenario, SimDisk};

fn open(folder: &Path, scenario: &str) -> Result<Scenario, String> {
    let path = folder.join("drive.toml");
    fs::write(&path, format!("description = \"A recorded drive.\"\n{scenario}")).unwrap();
    library::read(&path.to_string_lossy()).map_err(|error| error.to_string())
}

fn with_log(log: &str, scenario: &str) -> Result<Scenario, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("drive.log"), log).unwrap();
    open(folder.path(), scenario)
}

const MICRO: u64 = 1000;
const MILLI: u64 = 1000 * MICRO;

/// Reads, one after the other: for each whether it went well (else which sector failed), and its time.
fn read(disk: &mut SimDisk, reads: &[(u64, u64)]) -> Vec<(Option<u64>, u64)> {
    let mut now = Nanos::ZERO;
    let each = |(at, count): &(u64, u64)| {
        let reply = disk.serve(&Command { at: *at, count: *count }, now);
        let took = reply.done.since(now).nanoseconds();
        now = reply.done;
        match reply.answer {
            Answer::Done => (None, took),
            Answer::Error { bad, .. } => (Some(bad), took),
            other => panic!("{other:?}"),
        }
    };
    reads.iter().map(each).collect()
}

const TIMING: &str = "0000000000 1200 2048\n0000000001 900000 -1\n0000000001 910000 -1\n0000000001 4000 2048\n\
                      0000000002 700000 -1\n0000000003 1300 2048\n";

#[test]
fn a_timing_log_is_a_disk_of_its_own() {
    let scenario = with_log(TIMING, "[replay]\nlog = \"drive.log\"\n").unwrap();
    let mut disk = scenario.disk(1).unwrap();
    assert_eq!((disk.shape().sectors, disk.shape().logical), (4, 2048));
    let found = read(&mut disk, &[(0, 1), (1, 1), (1, 1), (1, 1), (1, 1), (2, 1), (2, 1), (0, 4)]);
    let ms = MILLI;
    let expected = [
        (None, 1200 * MICRO),
        (Some(1), 900 * ms),
        (Some(1), 910 * ms),
        (None, 4 * ms),
        (None, 4 * ms),
        (Some(2), 700 * ms),
        (Some(2), 700 * ms),
        // Put together, up to the sector that fails.
        (Some(2), 1200 * MICRO + 4 * ms + 700 * ms),
    ];
    assert_eq!(found, expected);
    // What answered once is not lost.
    let lost = scenario.lost(1).unwrap();
    assert_eq!(lost.ranges(), [ByteRange::new(Offset::new(4096), 2048)]);
}

#[test]
fn what_the_log_does_not_cover_is_the_models_or_an_error() {
    let disk = "[disk]\nmedium = \"uniform\"\nsize = 16384\nsector = 2048\nsector-time = \"5 ms\"\n";
    let reads = [(4, 2), (3, 1), (2, 4), (5, 1)];
    let model = with_log(TIMING, &format!("{disk}[replay]\nlog = \"drive.log\"\n")).unwrap();
    let found = read(&mut model.disk(1).unwrap(), &reads);
    assert_eq!(found, [(None, 10 * MILLI), (None, 1300 * MICRO), (Some(2), 700 * MILLI), (None, 5 * MILLI)]);
    assert_eq!(model.lost(1).unwrap().bytes(), 2048);
    let error =
        with_log(TIMING, &format!("{disk}[replay]\nlog = \"drive.log\"\nunknown = \"error\"\n")).unwrap();
    let found = read(&mut error.disk(1).unwrap(), &reads);
    assert_eq!(found, [(Some(4), 0), (None, 1300 * MICRO), (Some(2), 700 * MILLI), (Some(5), 0)]);
    assert_eq!(error.lost(1).unwrap().bytes(), 5 * 2048);

    // What was seen is not overruled by other damage, which rules elsewhere.
    let dead = "[[fault]]\nkind = \"dead-head\"\nhead = 0\n";
    let dead = with_log(TIMING, &format!("{disk}[replay]\nlog = \"drive.log\"\n{dead}")).unwrap();
    assert_eq!(dead.lost(1).unwrap().bytes(), 5 * 2048);
    let found = read(&mut dead.disk(1).unwrap(), &[(3, 1), (3, 2)]);
    assert_eq!((found[0], found[1].0), ((None, 1300 * MICRO), Some(4)));
}

#[test]
fn a_simulator_cfg_keeps_its_times_its_turns_and_its_seeks() {
    let cfg = "blocksize=512\nfilesize=5120000\nsoftfailcount=1\ndelay=100\nseekdelay=50\nslow=10 3\n\
               softfail=20 1 4\nhardfail=30 5\n";
    let scenario = with_log(cfg, "[replay]\nlog = \"drive.log\"\n").unwrap();
    let mut disk = scenario.disk(1).unwrap();
    assert_eq!(disk.shape().bytes(), 5_120_000);
    let found = read(&mut disk, &[(0, 10), (10, 1), (11, 9), (20, 1), (20, 1), (20, 1), (20, 1), (1020, 1)]);
    let expected = [
        (None, 1000 * MICRO),
        (None, 800 * MICRO),
        (None, 900 * MICRO),
        (Some(20), 1600 * MICRO),
        (None, 200 * MICRO),
        // Back by one sector, and once more before each good read.
        (Some(20), 1600 * MICRO + 50),
        (None, 200 * MICRO),
        // A thousand sectors on, less the one behind which the head stands.
        (None, 100 * MICRO + 999 * 50),
    ];
    assert_eq!(found, expected);
    assert_eq!(scenario.lost(1).unwrap().bytes(), 512);
    let swapped = "[replay]\nlog = \"drive.log\"\nsoftfail = \"fail-good\"\n";
    let mut disk = with_log(cfg, swapped).unwrap().disk(1).unwrap();
    assert_eq!(read(&mut disk, &[(20, 1)])[0].1, 200 * MICRO + 20 * 50);
}

#[test]
fn a_log_of_reads_gives_answers_and_the_model_their_times() {
    let log = "# Reads Logfile\n#  Ipos       Size  Copied_size  Error_size  Errno\n\
               0x00000000\t4096\t4096\t0\n0x00001000\t4096\t1024\t3072\n0x00001400\t512\t0\t512\n";
    let disk = "[disk]\nmedium = \"uniform\"\nsize = 16384\nsector-time = \"5 ms\"\nrecovery = \"3 s\"\n";
    let scenario = with_log(log, &format!("{disk}[replay]\nlog = \"drive.log\"\n")).unwrap();
    let found = read(&mut scenario.disk(1).unwrap(), &[(0, 8), (8, 8), (10, 1), (11, 1)]);
    let good = 5 * MILLI;
    assert_eq!(
        found,
        [(None, 8 * good), (Some(10), 2 * good + 3000 * MILLI), (Some(10), 3000 * MILLI), (None, good)]
    );
}

#[test]
fn logs_that_cannot_be_are_told_with_file_and_line() {
    let replay = "[replay]\nlog = \"drive.log\"\n";
    let disk = "[disk]\nmedium = \"uniform\"\nsize = 4096\nsector-time = \"5 ms\"\n";
    for (log, scenario, expected) in [
        ("what\n", replay.to_owned(), "drive.log: not a log of a known kind"),
        (
            "0000000000 5 2048\n0000000001 5\n",
            replay.to_owned(),
            "drive.log:2: \"0000000001 5\" is not BLOCK",
        ),
        (TIMING, format!("{disk}{replay}"), "tells of byte 8192, but the disk has 4096"),
        (
            "# Diskwright timing log 1\n# size 1024\n0 0 100 512 ok 5\n",
            format!("{disk}{replay}"),
            "a read at byte 100, which is not a whole sector of 512 bytes",
        ),
        ("# Diskwright timing log 3\n", replay.to_owned(), "drive.log:1: version 3"),
        ("# Diskwright timing log 1\n", replay.to_owned(), "the log tells of no read"),
        (TIMING, format!("{replay}unknwon = \"error\"\n"), "unknown field `unknwon`"),
        (TIMING, format!("{replay}block = 1000\n"), "a multiple of 512 bytes"),
        (TIMING, "[replay]\nlog = \"other.log\"\n".to_owned(), "cannot read the log"),
    ] {
        let error = with_log(log, &scenario).expect_err(expected);
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(error.contains("drive.toml:"), "{error}");
    }
}

/// The published sets of a scratched disc in two drives: one try per sector takes as long as it was measured to.
#[test]
fn one_try_per_sector_of_the_measured_disc_takes_as_long_as_it_did() {
    let Some(data) = std::env::var_os("DISKWRIGHT_DATA") else { return };
    for (drive, seconds) in [("a", 25_100.0), ("b", 30_245.0)] {
        let path = Path::new(&data).join(format!("timings/safecopy-cd-drive-{drive}.csv"));
        let folder = tempfile::tempdir().unwrap();
        let scenario = open(folder.path(), &format!("[replay]\nlog = {path:?}\n")).unwrap();
        let mut disk = scenario.disk(1).unwrap();
        let reads: Vec<(u64, u64)> = (0..disk.shape().sectors).map(|sector| (sector, 1)).collect();
        assert_eq!(reads.len(), 356_465);
        let found = read(&mut disk, &reads);
        let total = found.iter().map(|(_, time)| *time as f64 / 1e9).sum::<f64>();
        println!("drive {drive}: {total:.0} s");
        assert!((0.8 * seconds..1.2 * seconds).contains(&total), "drive {drive}: {total} s");
    }
}

/// Their models take as long, and fail as often, as the logs say.
#[test]
fn the_fitted_disc_takes_as_long_as_the_measured_one() {
    let Some(data) = std::env::var_os("DISKWRIGHT_DATA") else { return };
    for name in ["cd-drive-a", "cd-drive-b", "floppy-525"] {
        let path = Path::new(&data).join(format!("timings/safecopy-{name}.csv"));
        let (recording, _) = Recording::open(&path, Reading::default()).unwrap();
        let fitted = Fit::of(&recording).in_memory(name).unwrap();
        let schedule = Schedule::of(&recording, &fitted, 0).unwrap();
        println!("{name}: {schedule:?}");
        assert_eq!(schedule.unexplained(), Vec::<String>::new(), "{name}");
    }
}
