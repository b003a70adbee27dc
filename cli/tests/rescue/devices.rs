//! Real block devices with real damage.

use nix::libc;
use rig::{BadRange, FaultyFile, FaultyFileOptions, LoopDevice, LoopOptions};

use super::*;

fn bad(sectors: &[(u64, u64)], errno: i32) -> Vec<BadRange> {
    sectors.iter().map(|(at, count)| BadRange::new(at * 512..(at + count) * 512, errno)).collect()
}

#[test]
fn single_bad_sectors_of_a_device_are_found_exactly_and_nothing_else_is_lost() {
    let size = 8 << 20;
    let sectors = [(0, 1), (77, 1), (79, 2), (5000, 9), (16383, 1)];
    let damage = bad(&sectors, libc::ENODATA);
    let file = FaultyFile::serve(FaultyFileOptions { size, bad: damage, ..FaultyFileOptions::default() });
    let device = LoopDevice::over(&file.path());
    let bench = Bench::new();
    let ended = bench.rescue(device.path(), &[]).expect(1);
    ended.says("past the page cache");
    let expected: Vec<_> =
        sectors.iter().map(|(at, count)| (at * 512, count * 512, Status::BadSector)).collect();
    assert_eq!(bench.missing(), expected);
    assert_eq!(bench.check_promises(file.content()), size - 14 * 512);
    assert!(file.requests().iter().all(|request| request.direct), "a read went through the page cache");
}

#[test]
fn a_device_with_sectors_of_4096_bytes_is_read_in_these() {
    let size = 4 << 20;
    let damage =
        vec![BadRange::new(40_960..45_056, libc::EIO), BadRange::new(1_000_448..1_000_960, libc::EIO)];
    let file = FaultyFile::serve(FaultyFileOptions { size, bad: damage, ..FaultyFileOptions::default() });
    let device = LoopDevice::with(&file.path(), LoopOptions { sector: 4096, ..LoopOptions::default() });
    let bench = Bench::new();
    bench.rescue(device.path(), &[]).expect(1).says("sectors of 4096 bytes");
    let sector_of = 1_000_448 / 4096 * 4096;
    let expected = [(40_960, 4096, Status::BadSector), (sector_of, 4096, Status::BadSector)];
    assert_eq!(bench.missing(), expected);
    bench.check_promises(file.content());
}

#[test]
fn a_device_that_dies_and_comes_back_is_found_again_and_loses_nothing() {
    let size = 16 << 20;
    let file = FaultyFile::serve(FaultyFileOptions { size, ..FaultyFileOptions::default() });
    let device = LoopDevice::over(&file.path());
    file.die_after(6, libc::ENODEV);
    let bench = Bench::new();
    let mut command = bench.command();
    command.args(["rescue", "--json"]).arg(device.path()).arg("image").stdout(Stdio::piped());
    let child = command.spawn().expect("diskwright runs");
    // While it is gone, the map on the disk must not call any of it bad.
    rig::wait_until("the loss is not noticed", || bench.has_saved());
    rig::pause(std::time::Duration::from_millis(200));
    assert!(
        bench.missing().iter().all(|(_, _, status)| *status == Status::NonTried),
        "{:?}",
        bench.missing()
    );
    file.revive();
    let ended = Ended::of(child.wait_with_output().expect("diskwright ends")).expect(0);
    assert!(ended.stdout.contains("\"event\":\"device-lost\""), "{}", ended.stdout);
    assert!(ended.stdout.contains("\"event\":\"device-found\""), "{}", ended.stdout);
    assert_eq!(bench.missing(), []);
    assert_eq!(bench.check_promises(file.content()), size);
}

#[test]
fn a_device_that_stays_away_stops_the_run_resumably_and_marks_nothing() {
    let size = 16 << 20;
    let file = FaultyFile::serve(FaultyFileOptions { size, ..FaultyFileOptions::default() });
    let device = LoopDevice::over(&file.path());
    file.die_after(6, libc::ENODEV);
    let bench = Bench::new();
    let ended = bench.rescue(device.path(), &["--wait-for-device=1"]).expect(3);
    ended.says("the device is gone");
    ended.says("go on with");
    assert!(
        bench.missing().iter().all(|(_, _, status)| *status == Status::NonTried),
        "{:?}",
        bench.missing()
    );
    bench.check_promises(file.content());
    file.revive();
    bench.rescue(device.path(), &[]).expect(0).says("goes on from the map");
    assert_eq!(bench.check_promises(file.content()), size);
}

#[test]
fn json_begins_with_the_version_ends_with_the_exit_status_and_nothing_else_is_on_stdout() {
    let damage = bad(&[(100, 3)], libc::EIO);
    let file = FaultyFile::serve(FaultyFileOptions { bad: damage, ..FaultyFileOptions::default() });
    let bench = Bench::new();
    let ended = bench.rescue(&file.path(), &["--json"]).expect(1);
    let lines: Vec<serde_json::Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (first, last) = (&lines[0], &lines[lines.len() - 1]);
    assert_eq!((&first["event"], &first["version"]), (&"start".into(), &env!("CARGO_PKG_VERSION").into()));
    assert_eq!(last["event"], "end");
    assert_eq!(last["rescued_bytes"], (1 << 20) - 3 * 512);
    assert_eq!(last["exit"], 1);
    assert!(last["failed_reads"].as_u64() > Some(3), "{last}");
}

#[test]
fn a_drive_that_fails_everything_at_once_is_not_believed_and_nothing_of_that_is_marked() {
    let size = 32 << 20;
    let file = FaultyFile::serve(FaultyFileOptions { size, ..FaultyFileOptions::default() });
    let device = LoopDevice::over(&file.path());
    // Many systems call a drive that has hung up an input/output error.
    file.die_after(6, libc::EIO);
    let bench = Bench::new();
    let ended = bench.rescue(device.path(), &["--cluster-size=8", "--skip-size=0"]).expect(3);
    ended.says("it has hung up");
    ended.says("go on with");
    // On a busy machine some of the first failures are slow enough to be taken for damage.
    let is_marked = |status: Status| status != Status::NonTried;
    let marked: u64 =
        bench.missing().iter().filter(|(_, _, s)| is_marked(*s)).map(|(_, bytes, _)| bytes).sum();
    assert!(marked <= 32 * 4096, "{:?}", bench.missing());
    assert!(bench.check_promises(file.content()) > 0);
    file.revive();
    bench.rescue(device.path(), &[]).expect(0);
    assert_eq!(bench.check_promises(file.content()), size);
}

#[test]
fn damage_in_whole_pages_is_told_of_and_how_to_get_the_sectors_in_between() {
    let bad = vec![BadRange::new(1 << 20..(1 << 20) + 512, libc::EIO)];
    let file = FaultyFile::serve(FaultyFileOptions { size: 4 << 20, bad, ..FaultyFileOptions::default() });
    let device = LoopDevice::over(&file.path());
    let bench = Bench::new();
    bench.rescue(device.path(), &["--buffered"]).expect(1).says("whole pages of 4096 bytes");
    assert!(bench.missing().iter().map(|(_, bytes, _)| bytes).sum::<u64>() >= 4096);
    let ended = bench.rescue(device.path(), &["--retrim"]).expect(1);
    assert!(!ended.stderr.contains("whole pages"), "{}", ended.stderr);
    assert_eq!(bench.missing(), [(1 << 20, 512, Status::BadSector)]);
}

#[test]
fn a_large_dead_area_that_fails_fast_is_damage_as_long_as_the_rest_answers() {
    let size = 4 << 20;
    let damage = vec![BadRange::new(1 << 20..3 << 20, libc::EIO)];
    let file = FaultyFile::serve(FaultyFileOptions { size, bad: damage, ..FaultyFileOptions::default() });
    let device = LoopDevice::over(&file.path());
    let bench = Bench::new();
    bench.rescue(device.path(), &[]).expect(1);
    assert_eq!(bench.missing(), [(1 << 20, 2 << 20, Status::BadSector)]);
}
