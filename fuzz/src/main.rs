//! Feeds mutated seeds to all targets for a while, on any compiler.
//!
//! Usage: smoke SECONDS [TARGET [FILE]]
//!   For SECONDS, shared by all targets or spent on TARGET; with FILE, runs that input alone.
//!
//! A failing input is kept in `artifacts/`. Runs start from the same seed, so that they differ in length only.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use block::{Clock, Nanos, WallClock};
use diskwright_fuzz::{TARGETS, Target};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// An input that takes longer is a failure too.
const INPUT_TIME_MAX: Nanos = Nanos::from_secs(10);
const INPUT_BYTES_MAX: usize = 8192;

/// What is being tried, for the one who watches.
static CURRENT: Mutex<(&str, Vec<u8>)> = Mutex::new(("", Vec::new()));
/// Counts inputs, so that the watcher sees progress.
static TRIED: AtomicU64 = AtomicU64::new(0);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(seconds) = words.first().and_then(|word| word.parse::<u64>().ok()) else {
        eprintln!("usage: smoke SECONDS [TARGET [FILE]]");
        return ExitCode::from(2);
    };
    let wanted = |target: &&Target| words.get(1).is_none_or(|name| name == target.name);
    let targets: Vec<&Target> = TARGETS.iter().filter(wanted).collect();
    if targets.is_empty() {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("smoke: no target '{}'; there are {}", words[1], names.join(", "));
        return ExitCode::from(2);
    }
    if let Some(file) = words.get(2) {
        let bytes = std::fs::read(file).unwrap_or_else(|e| panic!("cannot read {file}: {e}"));
        (targets[0].run)(&bytes);
        println!("{}: {file} passes", targets[0].name);
        return ExitCode::SUCCESS;
    }
    std::thread::spawn(watch);
    let share = Nanos::new(Nanos::from_secs(seconds).nanoseconds() / targets.len() as u64);
    let failed = targets.iter().filter(|target| !feed(target, share)).count();
    println!("{} passed, {failed} failed", targets.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tries inputs on one target for `time`; false if one failed.
fn feed(target: &'static Target, time: Nanos) -> bool {
    let clock = WallClock::new();
    let begun = clock.now();
    let mut dice = ChaCha8Rng::seed_from_u64(1);
    let seeds = seeds(target);
    let mut tried = 0;
    // At least the seeds themselves.
    while tried < seeds.len() as u64 || clock.now().since(begun) < time {
        let bytes = match seeds.get(tried as usize) {
            Some(seed) => seed.clone(),
            None => mutated(&seeds, target.words, &mut dice),
        };
        set_current(target.name, &bytes);
        if std::panic::catch_unwind(|| (target.run)(&bytes)).is_err() {
            let file = keep(target.name, &bytes);
            println!("{}: FAILED after {tried} inputs; kept as {}", target.name, file.display());
            println!("replay: ci/fuzz 0 {} {}", target.name, file.display());
            return false;
        }
        tried += 1;
        TRIED.fetch_add(1, Ordering::Relaxed);
    }
    set_current("", &[]);
    println!("{}: {tried} inputs", target.name);
    true
}

/// Ends the program when one input takes too long.
fn watch() {
    let clock = WallClock::new();
    let mut last = (u64::MAX, clock.now());
    loop {
        clock.sleep(Nanos::from_millis(500));
        let tried = TRIED.load(Ordering::Relaxed);
        let (name, bytes) = CURRENT.lock().unwrap_or_else(|e| e.into_inner()).clone();
        if tried != last.0 || name.is_empty() {
            last = (tried, clock.now());
        } else if clock.now().since(last.1) > INPUT_TIME_MAX {
            println!("{name}: an input takes longer than 10 s; kept as {}", keep(name, &bytes).display());
            println!("0 passed, 1 failed");
            std::process::exit(1);
        }
    }
}

fn set_current(name: &'static str, bytes: &[u8]) {
    let mut current = CURRENT.lock().unwrap_or_else(|e| e.into_inner());
    current.0 = name;
    current.1.clear();
    current.1.extend_from_slice(bytes);
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The saved inputs of a target, by name; at least the empty one.
fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder("corpus").join(target.name))
        .unwrap_or_else(|e| panic!("the target {} has no corpus: {e}", target.name))
        .map(|entry| entry.expect("a folder can be read to its end").path())
        .collect();
    files.sort();
    let read = |file: &PathBuf| std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    std::iter::once(Vec::new()).chain(files.iter().map(read)).collect()
}

fn keep(name: &str, bytes: &[u8]) -> PathBuf {
    let sum = bytes.iter().fold(0xCBF2_9CE4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    let file = folder("artifacts").join(format!("{name}-{sum:016x}"));
    std::fs::create_dir_all(folder("artifacts"))
        .and_then(|()| std::fs::write(&file, bytes))
        .unwrap_or_else(|e| panic!("cannot keep {}: {e}", file.display()));
    file
}

/// Changes a seed in a few places.
fn mutated(seeds: &[Vec<u8>], words: &[&str], dice: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = seeds[dice.random_range(0..seeds.len())].clone();
    for _ in 0..dice.random_range(1..8) {
        let at = dice.random_range(0..=bytes.len());
        let end = dice.random_range(at..=bytes.len().min(at + 64));
        match dice.random_range(0..8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = dice.random_range(0..=255) as u8,
            2 => drop(bytes.drain(at..end)),
            3 => {
                let piece = bytes[at..end].to_vec();
                let to = dice.random_range(0..=bytes.len());
                bytes.splice(to..to, piece);
            }
            4 => {
                let mut piece = vec![0; dice.random_range(1..16)];
                dice.fill_bytes(&mut piece);
                bytes.splice(at..at, piece);
            }
            5 => {
                let other = &seeds[dice.random_range(0..seeds.len())];
                let from = dice.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ if !words.is_empty() => {
                let word = words[dice.random_range(0..words.len())];
                bytes.splice(at..end.min(at + word.len()), word.bytes());
            }
            _ => {}
        }
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}
