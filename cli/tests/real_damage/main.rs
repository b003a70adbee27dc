//! Our ddrescue and the original side by side on files and devices that really fail, without `-H`.
//!
//! - [`random`]: random damage and options; same reads, map, image, messages and exit status.
//! - [`requests`]: what the device itself was asked for, as nbdkit's log shows it.
//! - [`crashes`]: killed at any moment, and maps that one side leaves and the other one finishes.
//!
//! `DISKWRIGHT_SEEDS` says how many cases to try, for each kind of source; `DISKWRIGHT_SEED` replays one;
//! `DISKWRIGHT_KILLS` says how often to kill. The original must be installed.

mod crashes;
mod damage;
mod random;
mod requests;
mod side;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What became of one seed.
enum Verdict {
    /// Both sides did the same.
    Same,
    /// The original did not come to an end, so that there is nothing to compare with.
    Endless,
    /// They differ: how, and how to see it again.
    Different(String),
}

/// Reads a number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Makes a folder, in memory if there is a place for that: nothing here depends on a disk, and each run waits for its
/// image to be safe.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder")
}

/// Tries as many seeds as the environment says, `usual` if it says nothing, on all processors.
fn try_seeds(what: &str, usual: u64, try_seed: impl Fn(u64) -> Verdict + Sync) {
    let seeds = match number("DISKWRIGHT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("DISKWRIGHT_SEEDS").unwrap_or(usual),
    };
    let next = AtomicU64::new(seeds.start);
    let endless = AtomicU64::new(0);
    let different = Mutex::new(Vec::new());
    let count = || different.lock().expect("no thread has panicked").len();
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) || count() >= 3 {
                return;
            }
            match try_seed(seed) {
                Verdict::Same => {}
                Verdict::Endless => {
                    endless.fetch_add(1, Ordering::Relaxed);
                }
                Verdict::Different(text) => {
                    different
                        .lock()
                        .expect("no thread has panicked")
                        .push(format!("{what}, seed {seed}: {text}"));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    let (endless, different) =
        (endless.into_inner(), different.into_inner().expect("no thread has panicked"));
    let tried = seeds.end - seeds.start;
    println!("{what}: {tried} seeds, of which the original did not finish {endless}");
    assert!(different.is_empty(), "{}", different.join("\n\n"));
    assert!(
        endless * 20 <= tried.max(20),
        "{what}: the original finished too few of its runs: {endless} of {tried}"
    );
}
