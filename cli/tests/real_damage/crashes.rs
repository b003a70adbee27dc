//! Killed at any moment, and maps handed over from one side to the other.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use map::{Mapfile, Status};
use nix::libc;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rig::{Across, BadRange, Content, Ended, FaultyFile, FaultyFileOptions};

use crate::side::{SIDES, Side, difference, lines};
use crate::{Verdict, damage, folder, number, try_seeds};

const SECTOR: u64 = 512;

#[test]
fn killed_at_random_moments_ddrescue_resumes_and_its_map_never_lied() {
    let kills = number("DISKWRIGHT_KILLS").unwrap_or(100);
    let (mut killed, mut seed) = (0, 0);
    while killed < kills {
        seed += 1;
        killed += kill_until_done(seed);
    }
}

/// Runs one rescue until it is left in peace; returns how often it was killed.
fn kill_until_done(seed: u64) -> u64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let size = rng.random_range(4 << 20..8 << 20) / SECTOR * SECTOR;
    let bad = some_damage(&mut rng, size);
    let file = serve(&mut rng, size, &bad);
    let mut words = manner(&mut rng);
    words.push("--mapfile-interval=0".to_owned());
    let words = with_names(words, &file.path());
    let folder = folder();
    let [whole, broken] = ["whole", "broken"].map(|name| folder.path().join(name));
    fs::create_dir(&whole).expect("a folder");
    fs::create_dir(&broken).expect("a folder");
    let expected = Side::Ours.run(&whole, &words).expect("ours comes to an end");
    let (mut killed, mut kept_before) = (0, 0);
    let latest = Duration::from_millis(rng.random_range(10..120));
    for moment in 0.. {
        let mut command = Side::Ours.command(&broken, &words);
        let after = rig::moment(seed * 1000 + moment, latest * (1 + moment as u32 / 20));
        let ended = rig::run_and_kill(&mut command, after);
        let kept = check_promises(&broken, file.content(), &format!("seed {seed}, moment {moment}"));
        assert!(kept >= kept_before, "seed {seed}: {kept_before} bytes were saved, {kept} are left");
        kept_before = kept;
        match ended {
            Ended::Killed => killed += 1,
            Ended::ByItself(status) => {
                assert_eq!(status.code(), Some(expected.status), "seed {seed}: {words:?}");
                break;
            }
        }
    }
    let text = format!("seed {seed}, killed {killed} times: ddrescue {}", words.join(" "));
    // The first line tells the position: that of a run that had nothing left to read is another one.
    assert_eq!(lines(&broken.join("map"))[1..], expected.map[1..], "{text}");
    assert!(fs::read(broken.join("image")).expect("an image") == expected.image, "{text}");
    assert_eq!(missing(&broken), bad, "{text}");
    killed
}

#[test]
fn what_one_side_leaves_half_done_both_sides_finish_alike() {
    try_seeds("handed over", 150, |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let size = rng.random_range(1..3_u64 << 20).next_multiple_of(SECTOR);
        let bad = some_damage(&mut rng, size);
        let file = serve(&mut rng, size, &bad);
        let first = *SIDES.choose(&mut rng).expect("not empty");
        let folder = folder();
        let half = folder.path().join("half");
        fs::create_dir(&half).expect("a folder");
        let mut begin = manner(&mut rng);
        let kill = rng.random_bool(0.5);
        if kill {
            begin.push("--mapfile-interval=0".to_owned());
        } else {
            let middle = size / 2 / SECTOR * SECTOR;
            let limits = [
                format!("-X{}", rng.random_range(0..40)),
                format!("-s{}", middle.max(SECTOR)),
                format!("--cpass={}", rng.random_range(1..=5)),
                "-N".to_owned(),
                "-n".to_owned(),
                format!("-e{}", rng.random_range(0..20)),
            ];
            begin.push(limits.choose(&mut rng).expect("not empty").clone());
        }
        let begin = with_names(begin, &file.path());
        if kill {
            rig::run_and_kill(
                &mut first.command(&half, &begin),
                rig::moment(seed, Duration::from_millis(60)),
            );
        } else if first.run(&half, &begin).is_none() {
            return Verdict::Endless;
        }
        let finish = with_names(manner(&mut rng), &file.path());
        let told = |text: &str| {
            let (begin, finish) = (begin.join(" "), finish.join(" "));
            Verdict::Different(format!(
                "{first:?} began (killed: {kill}): ddrescue {begin}\nthen: ddrescue {finish}\n{text}"
            ))
        };
        let mut outcomes = Vec::new();
        for side in SIDES {
            let place = folder.path().join(format!("{side:?}"));
            copy(&half, &place);
            match side.run(&place, &finish) {
                Some(outcome) => outcomes.push(outcome),
                None if side == Side::Original => return Verdict::Endless,
                None => return told("ours does not come to an end"),
            }
        }
        if let Some(text) = difference(&outcomes[0], &outcomes[1]) {
            return told(&text);
        }
        // A map that the original was writing when it was killed cannot be read; both said so.
        if outcomes[0].status != 0 {
            let is_torn = kill && first == Side::Original && outcomes[0].status == 2;
            return if is_torn { Verdict::Same } else { told("it cannot be finished") };
        }
        for side in SIDES {
            let place = folder.path().join(format!("{side:?}"));
            check_promises(&place, file.content(), &format!("seed {seed}"));
            // Insides that trimming did not read may be left to the next run: both leave them to each other.
            if side.other().run(&place, &finish).is_none() {
                return Verdict::Endless;
            }
            check_promises(&place, file.content(), &format!("seed {seed}"));
            if missing(&place) != bad {
                return told(&format!("missing {:?} instead of {bad:?}", missing(&place)));
            }
        }
        Verdict::Same
    });
}

/// Damage in whole sectors: then there is only one right end.
fn some_damage(rng: &mut ChaCha8Rng, size: u64) -> Vec<Range<u64>> {
    let mut left = 2000 * SECTOR;
    let mut bad = damage::random(rng, size, SECTOR);
    bad.retain(|range| {
        let fits = range.end - range.start <= left;
        left -= if fits { range.end - range.start } else { 0 };
        fits
    });
    bad
}

fn serve(rng: &mut ChaCha8Rng, size: u64, bad: &[Range<u64>]) -> FaultyFile {
    let across = if rng.random_bool(0.4) { Across::ComesShort } else { Across::FailsWhole };
    FaultyFile::serve(FaultyFileOptions {
        size,
        content: Content::new(rng.random()),
        bad: bad.iter().map(|range| BadRange::new(range.clone(), libc::EIO)).collect(),
        across,
    })
}

/// Options that change the way but not the end.
fn manner(rng: &mut ChaCha8Rng) -> Vec<String> {
    let mut words = Vec::new();
    for flag in ["-R", "-u", "-d", "-S", "-O", "-M", "-r1"] {
        if rng.random_bool(0.2) {
            words.push(flag.to_owned());
        }
    }
    if rng.random_bool(0.6) {
        words.push(format!("-c{}", [1, 3, 8, 16, 64].choose(rng).expect("not empty")));
    }
    if rng.random_bool(0.5) {
        words.push(format!("-K{}", ["0", "64Ki", "64Ki,128Ki", "100000"].choose(rng).expect("not empty")));
    }
    words
}

fn with_names(mut words: Vec<String>, source: &Path) -> Vec<String> {
    words.push("--log-reads=reads".to_owned());
    words.extend([source.display().to_string(), "image".to_owned(), "map".to_owned()]);
    words
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a folder");
    for name in ["image", "map", "map.bak"] {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).expect("a copy");
        }
    }
}

fn read_map(folder: &Path) -> Option<Mapfile> {
    let text = fs::read(folder.join("map")).ok()?;
    Some(Mapfile::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", folder.display())))
}

/// Every byte that the map calls finished is the source's in the image. Returns how many they are.
fn check_promises(folder: &Path, content: Content, what: &str) -> u64 {
    let Some(mapfile) = read_map(folder) else { return 0 };
    let image = fs::read(folder.join("image")).unwrap_or_default();
    let mut bytes = 0;
    for block in mapfile.map.blocks().filter(|block| block.status == Status::Finished) {
        let (from, length) = (block.range.start().bytes(), block.range.length() as usize);
        let there = image.get(from as usize..from as usize + length);
        assert!(there == Some(&content.bytes(from, length)[..]), "{what}: a false + at {}", block.range);
        bytes += length as u64;
    }
    bytes
}

/// The bad sectors of a map of which nothing else is missing, as far as they touch in one range.
fn missing(folder: &Path) -> Vec<Range<u64>> {
    let mapfile = read_map(folder).expect("a map");
    let blocks = mapfile.map.blocks().filter(|block| block.status != Status::Finished);
    let ranges = blocks.map(|block| {
        assert_eq!(block.status, Status::BadSector, "{} is not done", block.range);
        block.range.start().bytes()..block.range.end().bytes()
    });
    damage::normal(ranges.collect(), u64::MAX, 1)
}
