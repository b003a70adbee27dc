//! Fill, generate and command mode beside the original's.

use std::fs;
use std::path::Path;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::side::{self, Outcome, Side};

const CASES: u64 = 150;

#[test]
fn random_fills_write_the_same() {
    compare("fill", &|rng, size| {
        let types = ["?", "*", "/", "-", "+", "-*", "?/", "-l", "*l-", "+l", "?*/-+", "?*/-+l"];
        let mut words = vec![format!("-F{}", types.choose(rng).unwrap())];
        if rng.random_bool(0.2) {
            words.push(["-w", "-y", "-vv", "-B"].choose(rng).unwrap().to_string());
        }
        words.extend(places(rng, size));
        words.extend(["data", "image", "map"].map(str::to_owned));
        (words, String::new())
    });
}

#[test]
fn random_guesses_are_the_same() {
    compare("generate", &|rng, size| {
        let mut words = vec!["-G".to_owned()];
        if rng.random_bool(0.2) {
            words.push("-vv".to_owned());
        }
        words.extend(places(rng, size));
        words.extend(["disk", "image", "map"].map(str::to_owned));
        (words, String::new())
    });
}

#[test]
fn random_sessions_get_the_same_answers() {
    compare("command", &|rng, size| {
        let mut words = vec!["--command-mode".to_owned(), "-q".to_owned(), "-Hdamage".to_owned()];
        if rng.random_bool(0.3) {
            words.push("-C".to_owned());
        }
        words.extend(places(rng, size));
        words.extend(["disk", "image", "map"].map(str::to_owned));
        let mut session = String::new();
        for _ in 0..rng.random_range(0..12) {
            let (at, length) = (rng.random_range(0..=size), rng.random_range(0..=size));
            let line = match rng.random_range(0..14) {
                0..=3 => format!("c {at} {length}"),
                4 => format!("  c   {at:#x}\t0{length:o} more"),
                5..=7 => format!("s {at} {length}"),
                8 => format!("s{at} {length}"),
                9 => "u".to_owned(),
                10 => ["", "c", "s", "c 5", "s x 5", "c 5 x", "c -1 5", "u x", "x", "C 0 1", "cs 1 1"]
                    .choose(rng)
                    .unwrap()
                    .to_string(),
                11 => "s 0 1000000000".to_owned(),
                12 if rng.random_bool(0.3) => "f".to_owned(),
                12 if rng.random_bool(0.3) => "q".to_owned(),
                _ => format!("c 0 {size}"),
            };
            session.push_str(&line);
            session.push('\n');
        }
        if rng.random_bool(0.3) {
            session.push_str("c 0 5");
        }
        (words, session)
    });
}

type MakeWords<'a> = dyn Fn(&mut ChaCha8Rng, u64) -> (Vec<String>, String) + 'a;

fn compare(mode: &str, make: &MakeWords<'_>) {
    for seed in 0..CASES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let size = rng.random_range(1..=200_000u64);
        let (mut words, session) = make(&mut rng, size);
        let unit = ["-b512", "-b1000", "-b128", "-b4096"].choose(&mut rng).unwrap();
        words.insert(0, unit.to_string());
        let [original, ours] = [Side::Original, Side::Ours].map(|side| {
            let folder = tempfile::tempdir().unwrap();
            lay_out(folder.path(), mode, size, seed);
            let outcome = side::run(side, folder.path(), &words, session.as_bytes());
            Outcome { screen: outcome.screen.replace("(banner)\ndone", "done"), ..outcome }
        });
        let difference = side::difference(&original, &ours);
        let text = difference.unwrap_or_default();
        assert!(text.is_empty(), "{mode}, seed {seed}\nddrescue {}\n{session}\n{text}", words.join(" "));
    }
}

/// Options that say where and in what units.
fn places(rng: &mut ChaCha8Rng, size: u64) -> Vec<String> {
    let mut words = Vec::new();
    if rng.random_bool(0.5) {
        words.push(format!("-c{}", [1, 2, 7, 16].choose(rng).unwrap()));
    }
    for name in ["-i", "-s", "-o"] {
        if rng.random_bool(0.25) {
            words.push(format!("{name}{}", rng.random_range(0..=size)));
        }
    }
    words
}

fn lay_out(folder: &Path, mode: &str, size: u64, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x1A01);
    let mut content = |length: usize, share: f64| {
        let mut bytes = vec![0u8; length];
        for piece in bytes.chunks_mut(600) {
            if rng.random_bool(share) {
                rng.fill(piece);
            }
        }
        bytes
    };
    let (disk, data) = (content(size as usize, 1.0), content(1 + (seed as usize * 97) % 9000, 1.0));
    let image = content((size * (seed % 5) / 3) as usize, 0.4);
    fs::write(folder.join("disk"), disk).unwrap();
    fs::write(folder.join("data"), data).unwrap();
    fs::write(folder.join("image"), image).unwrap();
    let position = rng.random_range(0..=size);
    let (phase, statuses) = match mode {
        "fill" => (*['F', '?', '+'].choose(&mut rng).unwrap(), "?*/-+"),
        "generate" => (*['G', '?'].choose(&mut rng).unwrap(), "???-"),
        _ => ('?', "?*/-+"),
    };
    let statuses: Vec<char> =
        if phase == '?' && mode == "generate" { vec!['?'] } else { statuses.chars().collect() };
    fs::write(folder.join("map"), map(&mut rng, size, &statuses, &format!("{position} {phase}"))).unwrap();
    fs::write(folder.join("damage"), map(&mut rng, size, &['+', '+', '-'], "0 ?")).unwrap();
}

fn map(rng: &mut ChaCha8Rng, size: u64, statuses: &[char], heading: &str) -> String {
    let mut text = format!("{heading}\n");
    let longest = (size / rng.random_range(1..30)).max(1);
    let mut at = 0;
    while at < size {
        let length = rng.random_range(1..=longest).min(size - at);
        let status = if at == 0 && statuses.contains(&'+') { '+' } else { *statuses.choose(rng).unwrap() };
        text.push_str(&format!("{at} {length} {status}\n"));
        at += length;
    }
    text
}
