//! Random damage, random maps to resume, random options.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::side::{self, Side};

/// Reads in one case at most, so that each takes milliseconds.
const SECTORS_MAX: u64 = 6000;
const STATUSES: [char; 5] = ['?', '*', '/', '-', '+'];

/// A disk, its damage, and what is done about it.
struct Case {
    size: u64,
    damage: String,
    domain: Option<String>,
    map: Option<String>,
    /// Words of each run, one after the other over the same files.
    runs: Vec<Vec<String>>,
}

#[test]
fn random_rescues_make_the_same_reads_and_the_same_map() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, end) = match number("DISKWRIGHT_SEED") {
        Some(seed) => (seed, seed + 1),
        None => (0, number("DISKWRIGHT_SEEDS").unwrap_or(400)),
    };
    let next = AtomicU64::new(first);
    let different = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || different.load(Ordering::Relaxed) >= 5 {
                        return;
                    }
                    if let Some(text) = try_seed(seed) {
                        different.fetch_add(1, Ordering::Relaxed);
                        eprintln!("{text}");
                    }
                }
            });
        }
    });
    assert_eq!(different.into_inner(), 0, "cases that differ");
}

fn try_seed(seed: u64) -> Option<String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let case = Case::new(&mut rng);
    let folder = tempfile::tempdir().unwrap();
    let folders = [Side::Original, Side::Ours].map(|side| (side, folder.path().join(format!("{side:?}"))));
    for (_, folder) in &folders {
        case.lay_out(folder, seed);
    }
    for (index, words) in case.runs.iter().enumerate() {
        let [original, ours] = folders.each_ref().map(|(side, folder)| side::run(*side, folder, words, b""));
        if let Some(text) = side::difference(&original, &ours) {
            let kept = folder.keep();
            let runs: Vec<String> = case.runs.iter().map(|words| words.join(" ")).collect();
            return Some(format!(
                "seed {seed}, run {index}, {} bytes, in {}\nddrescue {}\n{text}",
                case.size,
                kept.display(),
                runs.join("\nddrescue ")
            ));
        }
    }
    None
}

impl Case {
    fn new(rng: &mut ChaCha8Rng) -> Case {
        let sector = *[512, 512, 512, 512, 2048, 4096, 1000, 128].choose(rng).unwrap();
        let largest = (sector * SECTORS_MAX).min(6 << 20);
        let largest = *[20_000, 300_000, 2_000_000, largest].choose(rng).unwrap().min(&largest);
        let size = rng.random_range(1..=largest);
        let size = if rng.random_bool(0.5) { size.next_multiple_of(sector) } else { size };
        let runs = rng.random_range(1..=3);
        let has_domain = rng.random_bool(0.2);
        let has_map = rng.random_bool(0.35);
        Case {
            size,
            damage: damage(rng, size, sector),
            domain: has_domain.then(|| random_map(rng, size, &['+', '-', '?'], "0 ?")),
            map: has_map.then(|| {
                let position = rng.random_range(0..=size);
                let phase = ['?', '?', '?', '*', '/', '-', '-', '+', 'F'].choose(rng).unwrap();
                let pass = rng.random_range(1..=7);
                random_map(rng, size, &STATUSES, &format!("{position} {phase} {pass}"))
            }),
            runs: (0..runs).map(|_| words(rng, size, sector, has_domain)).collect(),
        }
    }

    fn lay_out(&self, folder: &Path, seed: u64) {
        fs::create_dir(folder).unwrap();
        let mut content = vec![0; self.size as usize];
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x00D1_5C00);
        for piece in content.chunks_mut(700) {
            // Some stretches are zeros, for -S.
            if rng.random_bool(0.8) {
                rng.fill(piece);
            }
        }
        fs::write(folder.join("disk"), content).unwrap();
        fs::write(folder.join("damage"), &self.damage).unwrap();
        for (name, text) in [("domain", &self.domain), ("map", &self.map), ("map.first", &self.map)] {
            if let Some(text) = text {
                fs::write(folder.join(name), text).unwrap();
            }
        }
    }
}

/// A test map of some kind of damage.
fn damage(rng: &mut ChaCha8Rng, size: u64, sector: u64) -> String {
    let mut bad = vec![];
    let aligned = rng.random_bool(0.7);
    let mut add = |rng: &mut ChaCha8Rng, longest: u64| {
        let start = rng.random_range(0..size);
        let length = rng.random_range(1..=longest.max(1));
        let (start, end) = (start, (start + length).min(size));
        let (start, end) = match aligned {
            true => (start / sector * sector, end.next_multiple_of(sector).min(size)),
            false => (start, end),
        };
        bad.push((start, end));
    };
    match rng.random_range(0..6) {
        0 => (0..rng.random_range(0..40)).for_each(|_| add(rng, sector)),
        1 => (0..rng.random_range(1..10)).for_each(|_| add(rng, size / 8)),
        2 => {
            for _ in 0..rng.random_range(1..6) {
                add(rng, size / 20);
                (0..rng.random_range(0..20)).for_each(|_| add(rng, 3 * sector));
            }
        }
        3 => {
            // Nearly everything: good islands in a sea of damage.
            let mut at = 0;
            while at < size {
                let length = rng.random_range(1..=(size / 6).max(1));
                bad.push((at, (at + length).min(size)));
                at += length + rng.random_range(1..=4 * sector);
            }
        }
        4 => add(rng, size),
        _ => {}
    }
    bad.sort_unstable();
    // A disk without a good byte has no size that anybody could know, and a rescue of it no end.
    let is_all_bad = bad.iter().fold(0, |end, (a, b)| if *a <= end { end.max(*b) } else { end }) >= size;
    if is_all_bad {
        bad = vec![(size / 2, size)];
    }
    let mut text = String::from("0 ?\n");
    let mut at = 0;
    for (start, end) in bad {
        if start > at {
            text.push_str(&format!("{at} {} +\n", start - at));
        }
        if end > at.max(start) {
            text.push_str(&format!("{} {} -\n", start.max(at), end - start.max(at)));
            at = end;
        }
    }
    if at < size {
        text.push_str(&format!("{at} {} +\n", size - at));
    }
    text
}

fn random_map(rng: &mut ChaCha8Rng, size: u64, statuses: &[char], heading: &str) -> String {
    let mut text = format!("{heading}\n");
    let unit = *[1u64, 512, 512, 512, 4096].choose(rng).unwrap();
    let longest = (size / rng.random_range(1..30)).max(1);
    let mut at = 0;
    while at < size {
        let length = rng.random_range(1..=longest).next_multiple_of(unit).min(size - at);
        text.push_str(&format!("{at} {length} {}\n", statuses.choose(rng).unwrap()));
        at += length;
    }
    text
}

/// The options of one run, and its files.
fn words(rng: &mut ChaCha8Rng, size: u64, sector: u64, has_domain: bool) -> Vec<String> {
    let mut words = vec![format!("-b{sector}"), "-Hdamage".to_owned(), "--log-reads=reads".to_owned()];
    let mut add = |rng: &mut ChaCha8Rng, chance: f64, make: &dyn Fn(&mut ChaCha8Rng) -> String| {
        if rng.random_bool(chance) {
            words.push(make(rng));
        }
    };
    for flag in ["-R", "-u", "-A", "-M", "-n", "-N"] {
        add(rng, 0.15, &|_| flag.to_owned());
    }
    for flag in ["-C", "-S", "-L", "-d", "-O", "-y", "-W", "-I", "-J", "-B", "-vvv"] {
        add(rng, 0.05, &|_| flag.to_owned());
    }
    add(rng, 0.5, &|rng| format!("-c{}", [1, 2, 3, 7, 8, 16, 64, 128, 300].choose(rng).unwrap()));
    add(rng, 0.4, &|rng| {
        let choices = ["0", "64Ki", "64Ki,128Ki", "100000", "200000,1Mi", ",70000", "65537,65539", ",1Mi"];
        format!("-K{}", choices.choose(rng).unwrap())
    });
    add(rng, 0.2, &|rng| format!("-i{}", rng.random_range(0..=size)));
    add(rng, 0.2, &|rng| format!("-s{}", rng.random_range(0..=size)));
    add(rng, 0.1, &|rng| format!("-o{}", rng.random_range(0..=size)));
    add(rng, 0.2, &|rng| {
        let choices = ["0", "1", "5", "1,5", "2", "2-4", "1-5", "1,3-5", "4", "3,1", "2,4"];
        format!("--cpass={}", choices.choose(rng).unwrap())
    });
    add(rng, 0.35, &|rng| format!("-r{}", rng.random_range(0..4)));
    add(rng, 0.3, &|rng| format!("-X{}", rng.random_range(0..30)));
    add(rng, 0.1, &|rng| format!("-e{}", rng.random_range(0..10)));
    add(rng, 0.1, &|rng| format!("-e+{}", rng.random_range(0..5)));
    add(rng, 0.05, &|rng| format!("-x{}", rng.random_range(1..=2 * size)));
    add(rng, 0.05, &|_| "-p".to_owned());
    add(rng, 0.05, &|rng| format!("-P{}", rng.random_range(1..5)));
    if has_domain && rng.random_bool(0.8) {
        words.push("-mdomain".to_owned());
    }
    // Stopped by both at once the original names both.
    if words.iter().any(|word| word == "-J") {
        words.retain(|word| !word.starts_with("-X"));
    }
    words.extend(["disk", "image", "map"].map(str::to_owned));
    words
}
