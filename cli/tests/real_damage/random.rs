//! Random damage and options.

use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::libc;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rig::{Across, BadRange, Content, FaultyFile, FaultyFileOptions, LoopDevice, LoopOptions, NbdFile};

use crate::side::{self, SIDES};
use crate::{Verdict, damage, folder, try_seeds};

/// Reads of one sector that one case may need for all its damage, so that it takes no more than a second.
const SECTORS_MAX: u64 = 3000;
/// Bytes to be clean before we read ahead.
const AHEAD_AFTER: u64 = 64 << 20;

/// What is done about some damage.
struct Case {
    size: u64,
    sector: u64,
    bad: Vec<Range<u64>>,
    /// Words of each run, one after the other over the same files, without the names.
    runs: Vec<Vec<String>>,
}

#[test]
fn a_failing_file_is_read_as_by_the_original() {
    try_seeds("failing file", 400, |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let sector = *[512, 512, 512, 512, 1000, 2048, 4096].choose(&mut rng).expect("not empty");
        let grain = *[512, 512, 512, 4096, 1].choose(&mut rng).expect("not empty");
        let mut case = Case::small(&mut rng, sector, grain, 1);
        case.say_sometimes(&mut rng, 0.15, "-d");
        let file = serve(&mut rng, &case);
        case.compare(&file.path())
    });
}

#[test]
fn a_failing_device_is_read_as_by_the_original() {
    try_seeds("failing device", 80, |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let sector = *[512, 512, 4096].choose(&mut rng).expect("not empty");
        let mut case = Case::small(&mut rng, sector, sector, 4096);
        // Through the page cache the second reader would find what the first one has read.
        case.say("-d");
        let file = serve(&mut rng, &case);
        let options = LoopOptions { sector: sector as u32, ..LoopOptions::default() };
        let device = LoopDevice::with(&file.path(), options);
        case.compare(device.path())
    });
}

#[test]
fn a_failing_network_disk_is_read_as_by_the_original() {
    try_seeds("failing network disk", 30, |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let grain = *[512, 512, 4096, 1].choose(&mut rng).expect("not empty");
        let mut case = Case::small(&mut rng, 512, grain, 512);
        case.say("-d");
        let folder = folder();
        let image = folder.path().join("truth");
        write_with_zeros(&mut rng, &image, case.size, seed);
        let served = NbdFile::over(&image, &case.bad);
        if rng.random_bool(0.3) {
            let device = LoopDevice::over(&served.path());
            case.compare(device.path())
        } else {
            case.compare(&served.path())
        }
    });
}

#[test]
fn reading_ahead_begins_ends_and_begins_again_unseen() {
    try_seeds("large failing file", 6, |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut case = Case::large(&mut rng);
        case.say_sometimes(&mut rng, 0.5, "-d");
        let file = serve(&mut rng, &case);
        case.compare(&file.path())
    });
}

#[test]
fn holes_of_a_whole_file_are_passed_over_unseen() {
    try_seeds("file with holes", 60, |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut case = Case::small(&mut rng, 512, 512, 1);
        case.bad.clear();
        let folder = folder();
        let path = folder.path().join("sparse");
        let file = fs::File::create(&path).expect("a file");
        file.set_len(case.size).expect("a size");
        for _ in 0..rng.random_range(0..6) {
            let at = rng.random_range(0..case.size);
            let length = rng.random_range(1..=200_000).min(case.size - at);
            file.write_all_at(&Content::new(seed).bytes(at, length as usize), at).expect("data");
        }
        case.compare(&path)
    });
}

fn serve(rng: &mut ChaCha8Rng, case: &Case) -> FaultyFile {
    // Most of these mean damage; the last three that something else is wrong.
    let errnos = match rng.random_range(0..10) {
        0..6 => vec![libc::EIO],
        6..9 => vec![libc::EIO, libc::ENODATA, libc::ETIMEDOUT, libc::EREMOTEIO, libc::EILSEQ],
        _ => vec![libc::EIO, libc::ENXIO, libc::EACCES, libc::EINVAL],
    };
    let errno = |rng: &mut ChaCha8Rng| *errnos.choose(rng).expect("not empty");
    let bad = case.bad.iter().map(|range| BadRange::new(range.clone(), errno(rng))).collect();
    FaultyFile::serve(FaultyFileOptions {
        size: case.size,
        content: Content::new(rng.random()),
        bad,
        across: if rng.random_bool(0.4) { Across::ComesShort } else { Across::FailsWhole },
    })
}

/// Random bytes among which some stretches are zeros, for `-S`.
fn write_with_zeros(rng: &mut ChaCha8Rng, path: &Path, size: u64, seed: u64) {
    let mut bytes = Content::new(seed).bytes(0, size as usize);
    for piece in bytes.chunks_mut(5000) {
        if rng.random_bool(0.3) {
            piece.fill(0);
        }
    }
    fs::write(path, bytes).expect("a file");
}

impl Case {
    /// A disk of at most a few MiB, a multiple of `unit` bytes long.
    fn small(rng: &mut ChaCha8Rng, sector: u64, grain: u64, unit: u64) -> Case {
        let largest = *[20_000u64, 300_000, 2 << 20, 5 << 20].choose(rng).expect("not empty");
        let size = rng.random_range(1..=largest);
        let size = if rng.random_bool(0.5) { size.next_multiple_of(sector) } else { size };
        let size = size.next_multiple_of(unit);
        let mut bad = damage::random(rng, size, grain);
        let mut left = SECTORS_MAX * sector;
        bad.retain(|range| {
            let length = range.end - range.start;
            let fits = length <= left;
            left -= if fits { length } else { 0 };
            fits
        });
        let runs = (0..rng.random_range(1..=3)).map(|_| words(rng, size, sector)).collect();
        Case { size, sector, bad, runs }
    }

    /// A disk with damage so far apart that reading ahead begins again in between.
    fn large(rng: &mut ChaCha8Rng) -> Case {
        let size = AHEAD_AFTER * 5 / 2 + rng.random_range(0..AHEAD_AFTER);
        let mut bad = Vec::new();
        let mut at = rng.random_range(0..8 << 20);
        while at < size {
            for _ in 0..rng.random_range(1..4) {
                let start = at + rng.random_range(0..2 << 20);
                bad.push(start..start + rng.random_range(1..=20) * 512);
            }
            at += AHEAD_AFTER - (8 << 20) + rng.random_range(0..24 << 20);
        }
        let bad = damage::normal(bad, size, 512);
        let mut words = vec![format!("-c{}", [64, 128, 128, 128, 256, 100].choose(rng).expect("not empty"))];
        for flag in ["-R", "-u", "-n", "-O", "-M"] {
            if rng.random_bool(0.25) {
                words.push(flag.to_owned());
            }
        }
        if rng.random_bool(0.5) {
            words.push(format!("-K{}", ["0", "64Ki,1Mi", "300000"].choose(rng).expect("not empty")));
        }
        if rng.random_bool(0.3) {
            words.push(format!("-i{}", rng.random_range(0..4 << 20)));
        }
        Case { size, sector: 512, bad, runs: vec![words] }
    }

    fn say(&mut self, word: &str) {
        self.runs.iter_mut().for_each(|words| words.push(word.to_owned()));
    }

    fn say_sometimes(&mut self, rng: &mut ChaCha8Rng, chance: f64, word: &str) {
        if rng.random_bool(chance) {
            self.say(word);
        }
    }

    fn compare(&self, source: &Path) -> Verdict {
        let folder = folder();
        let folders = SIDES.map(|side| folder.path().join(format!("{side:?}")));
        folders.iter().for_each(|folder| fs::create_dir(folder).expect("a folder"));
        for (index, words) in self.runs.iter().enumerate() {
            let mut words = words.clone();
            words.extend([format!("-b{}", self.sector), "--log-reads=reads".to_owned()]);
            words.extend([source.display().to_string(), "image".to_owned(), "map".to_owned()]);
            let Some(original) = SIDES[0].run(&folders[0], &words) else { return Verdict::Endless };
            let text = match SIDES[1].run(&folders[1], &words) {
                Some(ours) => side::difference(&original, &ours),
                None => Some("ours does not come to an end\n".to_owned()),
            };
            if let Some(text) = text {
                return Verdict::Different(self.shown(index, &text));
            }
        }
        Verdict::Same
    }

    fn shown(&self, run: usize, difference: &str) -> String {
        let mut text = format!("{} bytes, run {run} differs\n", self.size);
        for words in &self.runs {
            let _ = writeln!(text, "  ddrescue -b{} {} SOURCE image map", self.sector, words.join(" "));
        }
        let _ = writeln!(text, "  bad: {:?}", self.bad.iter().take(12).collect::<Vec<_>>());
        text + difference
    }
}

/// The options of one run.
fn words(rng: &mut ChaCha8Rng, size: u64, sector: u64) -> Vec<String> {
    let mut words = Vec::new();
    let mut add = |rng: &mut ChaCha8Rng, chance: f64, make: &dyn Fn(&mut ChaCha8Rng) -> String| {
        if rng.random_bool(chance) {
            words.push(make(rng));
        }
    };
    let one_of =
        |rng: &mut ChaCha8Rng, choices: &[&str]| (*choices.choose(rng).expect("not empty")).to_owned();
    for flag in ["-R", "-u", "-A", "-M", "-n", "-N"] {
        add(rng, 0.15, &|_| flag.to_owned());
    }
    for flag in ["-C", "-S", "-O", "-J", "-W", "-I", "-y"] {
        add(rng, 0.08, &|_| flag.to_owned());
    }
    add(rng, 0.5, &|rng| format!("-c{}", one_of(rng, &["1", "2", "3", "7", "8", "16", "64", "128", "300"])));
    add(rng, 0.4, &|rng| {
        format!(
            "-K{}",
            one_of(rng, &["0", "64Ki", "64Ki,128Ki", "100000", "200000,1Mi", ",70000", "65537,65539"])
        )
    });
    for (chance, option) in [(0.2, "-i"), (0.2, "-s"), (0.1, "-o")] {
        let unit = if rng.random_bool(0.5) { 1 } else { sector };
        add(rng, chance, &|rng| format!("{option}{}", rng.random_range(0..=size) / unit * unit));
    }
    add(rng, 0.2, &|rng| {
        format!("--cpass={}", one_of(rng, &["0", "1", "5", "1,5", "2", "2-4", "1-5", "4", "2,4"]))
    });
    add(rng, 0.35, &|rng| format!("-r{}", rng.random_range(0..3)));
    add(rng, 0.2, &|rng| format!("-X{}", rng.random_range(0..30)));
    add(rng, 0.1, &|rng| format!("-e{}", rng.random_range(0..10)));
    words
}
