//! Killed at any moment, the next run resumes and no promise was false.
//!
//! Number of kills: `DISKWRIGHT_KILLS`, 300 unless set.

use std::time::Duration;

use nix::libc;
use rig::{BadRange, FaultyFile, FaultyFileOptions};

use super::*;

#[test]
fn killed_at_random_moments_a_rescue_resumes_and_its_map_never_lied() {
    let kills: u64 = std::env::var("DISKWRIGHT_KILLS").map_or(300, |n| n.parse().expect("a number"));
    let size = 24 << 20;
    let damage: Vec<BadRange> = (0..40)
        .map(|i| {
            let at = (i * 7_919 % (size / 512)) * 512;
            BadRange::new(at..at + 512 * (1 + i % 5), libc::EIO)
        })
        .collect();
    let file =
        FaultyFile::serve(FaultyFileOptions { size, bad: damage.clone(), ..FaultyFileOptions::default() });
    let mut expected = None;
    let (mut killed, mut seed) = (0, 0);
    while killed < kills {
        let bench = Bench::new();
        let mut kept_before = 0;
        loop {
            seed += 1;
            let mut command = bench.command();
            command.args(["rescue", "--quiet", "--mapfile-interval=0,5"]).arg(file.path()).arg("image");
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let ended = rig::run_and_kill(&mut command, rig::moment(seed, Duration::from_millis(80)));
            bench.wait_for_the_last_writer();
            if bench.path("image.map").exists() {
                let kept = bench.check_promises(file.content());
                assert!(kept >= kept_before, "seed {seed}: {kept_before} bytes were saved, {kept} are left");
                kept_before = kept;
            }
            match ended {
                rig::Ended::Killed => killed += 1,
                rig::Ended::ByItself(status) => {
                    assert_eq!(status.code(), Some(1), "seed {seed}");
                    break;
                }
            }
        }
        let missing = bench.missing();
        assert_eq!(&missing, expected.get_or_insert(missing.clone()), "seed {seed}: another end");
    }
    let bytes: u64 = expected.unwrap_or_default().iter().map(|(_, length, _)| length).sum();
    let truth: block::RangeSet = damage
        .iter()
        .map(|b| block::ByteRange::new(block::Offset::new(b.bytes.start), b.bytes.end - b.bytes.start))
        .collect();
    assert_eq!(bytes, truth.bytes());
}

#[test]
fn the_image_is_synced_before_the_map_that_vouches_for_it_gets_its_name() {
    let bench = Bench::new();
    rig::Content::new(3).write_image(&bench.path("source"), 24 << 20);
    let trace = bench.path("trace");
    let mut command = Command::new("strace");
    command.current_dir(bench.folder.path()).args(["-f", "-y", "-s", "16", "-e"]);
    command.arg("trace=pwrite64,write,fsync,fdatasync,rename,renameat,renameat2,link,linkat");
    command.arg("-o").arg(&trace).arg(env!("CARGO_BIN_EXE_diskwright"));
    command.args(["rescue", "--quiet", "--mapfile-interval=0,5", "source", "image"]);
    let status = command.status().expect("strace runs (Debian package strace; ci/check installs it)");
    assert_eq!(status.code(), Some(0));
    let text = std::fs::read_to_string(&trace).expect("a trace");
    let (mut image_dirty, mut map_dirty, mut folder_dirty, mut renames) = (false, false, false, 0);
    for line in text.lines().filter(|line| line.contains("= ")) {
        let is = |call: &str, file: &str| line.contains(&format!("{call}(")) && line.contains(file);
        if is("pwrite64", "/image>") {
            image_dirty = true;
        } else if is("fsync", "/image>") {
            image_dirty = false;
        } else if is("write", "/image.map.diskwright-new>") {
            map_dirty = true;
        } else if is("fsync", "/image.map.diskwright-new>") {
            map_dirty = false;
        } else if line.contains("rename") && line.contains("image.map\"") {
            assert!(!image_dirty, "a map got its name before the image was synced:\n{line}");
            assert!(!map_dirty, "a map got its name before it was synced:\n{line}");
            assert!(!folder_dirty, "the folder was not synced after the last map:\n{line}");
            renames += 1;
            folder_dirty = true;
        } else if line.contains("fsync(") && !line.contains("/image") {
            folder_dirty = false;
        }
    }
    assert!(renames > 5, "only {renames} saves were seen:\n{text}");
    assert!(!folder_dirty, "the folder was not synced at the end");
}
