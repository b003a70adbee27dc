//! Maps whose changes are saved in a journal.

use std::time::Duration;

use nix::libc;
use rig::{BadRange, Content, FaultyFile, FaultyFileOptions};

use super::*;

/// A file with damage in many places, so that its map has many blocks.
fn file() -> FaultyFile {
    let size = 8 << 20;
    let bad =
        (0..40).map(|i| i * 7_919 % (size / 512) * 512).map(|at| BadRange::new(at..at + 512, libc::EIO));
    FaultyFile::serve(FaultyFileOptions { size, bad: bad.collect(), ..FaultyFileOptions::default() })
}

#[test]
fn killed_with_a_journal_a_rescue_goes_on_and_its_map_never_lied() {
    let file = file();
    let (mut joined, mut seed) = (0, 0);
    // Enough runs that some are killed while a journal is there.
    while joined < 3 {
        let bench = Bench::new();
        let mut kept_before = 0;
        loop {
            seed += 1;
            assert!(seed < 3000, "journals were left by only {joined} killed runs");
            let mut command = bench.command();
            command.args(["rescue", "--quiet", "--journal", "--mapfile-interval=0,5"]);
            command.arg(file.path()).arg("image").stdout(Stdio::null()).stderr(Stdio::null());
            let ended = rig::run_and_kill(&mut command, rig::moment(seed, Duration::from_millis(150)));
            bench.wait_for_the_last_writer();
            joined += u32::from(join(&bench));
            if bench.path("image.map").exists() {
                let kept = bench.check_promises(file.content());
                assert!(kept >= kept_before, "seed {seed}: {kept_before} bytes were saved, {kept} are left");
                kept_before = kept;
            }
            if let rig::Ended::ByItself(status) = ended {
                assert_eq!(status.code(), Some(1), "seed {seed}");
                break;
            }
        }
        assert!(!bench.path("image.map.journal").exists());
        assert_eq!(bench.missing().iter().map(|(_, length, _)| length).sum::<u64>(), 40 * 512);
    }
}

/// Joins the map with its journal, as the next run would; returns whether there was one.
fn join(bench: &Bench) -> bool {
    let mut store = engine::FileStore::new(&bench.path("image.map"));
    let (found, _) = store.join_journal().expect("a map");
    assert_ne!(found, engine::keeper::Found::ForeignJournal);
    found == engine::keeper::Found::Joined
}

#[test]
fn a_journal_that_does_not_fit_is_put_aside_and_nothing_in_it_is_used() {
    let bench = Bench::new();
    Content::new(30).write_image(&bench.path("source"), 1 << 20);
    bench.rescue(&bench.path("source"), &["--size=64Ki"]).expect(0);
    let before = bench.map().map;
    let foreign =
        format!("diskwright-journal-1 {}\n0x00000000  0x00100000  + 0123456789abcdef\n", "0".repeat(64));
    std::fs::write(bench.path("image.map.journal"), &foreign).expect("a journal");
    bench.rescue(&bench.path("source"), &["--size=64Ki"]).expect(0).says("does not fit the map");
    assert_eq!(bench.map().map, before);
    assert!(!bench.path("image.map.journal").exists());
    let aside = std::fs::read_to_string(bench.path("image.map.journal.foreign")).expect("what was put aside");
    assert_eq!(aside, foreign);
}

#[test]
fn no_file_of_a_rescue_may_be_its_journal() {
    let bench = Bench::new();
    Content::new(31).write_image(&bench.path("source"), 1 << 20);
    let mut command = bench.command();
    command.args(["rescue", "source", "map.journal", "map"]);
    Ended::of(command.output().expect("diskwright runs")).expect(2).says("the map's journal");
}
