//! What is decided by the clock: slow reads, limits in seconds, throttling and pauses.
//!
//! Both sides run under a clock that only the reads of the disk move, each by what the case says. So nothing depends on
//! how busy the machine is, and each decision must be the same in the same second.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::side::{self, Outcome, Side};

const CASES: u64 = 300;

/// A stretch of the disk that is slow, bad or both.
struct Rule {
    from: u64,
    end: u64,
    micros_per_read: u64,
    micros_per_kib: u64,
    errno: i32,
}

#[test]
fn random_slow_disks_are_read_alike() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("DISKWRIGHT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("DISKWRIGHT_SEEDS").unwrap_or(CASES),
    };
    for seed in seeds {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let size = rng.random_range(200_000..=5_000_000);
        let rules = random_rules(&mut rng, size);
        let words = random_words(&mut rng);
        compare(&format!("seed {seed}"), size, &rules, &words);
    }
}

fn random_rules(rng: &mut ChaCha8Rng, size: u64) -> Vec<Rule> {
    // From tens of seconds for the whole disk to minutes.
    let speed = *[5_000, 8_000, 20_000].choose(rng).unwrap();
    let mut rules = vec![Rule { from: 0, end: size, micros_per_read: 0, micros_per_kib: speed, errno: 0 }];
    let bad = *[0.0, 0.2, 0.8].choose(rng).unwrap();
    for _ in 0..rng.random_range(0..12) {
        let from = rng.random_range(0..size) / 512 * 512;
        let end = from + rng.random_range(1..=size / 512 / 6) * 512;
        let is_bad = rng.random_bool(bad);
        rules.push(Rule {
            from,
            end: if is_bad { end.min(from + 60 * 512) } else { end },
            micros_per_read: *[0, 1_000, 30_000, 700_000, 4_000_000].choose(rng).unwrap(),
            micros_per_kib: *[0, 1_000, 50_000, 200_000].choose(rng).unwrap(),
            errno: if is_bad { nix::libc::EIO } else { 0 },
        });
    }
    rules
}

fn random_words(rng: &mut ChaCha8Rng) -> Vec<String> {
    let choices: &[(f64, &[&str])] = &[
        (0.6, &["-a0", "-a20k", "-a60k", "-a150k", "-a1M"]),
        (0.6, &["--delay-slow=0", "--delay-slow=2", "--delay-slow=10"]),
        (0.2, &["--max-slow-reads=0", "--max-slow-reads=3", "--max-slow-reads=20"]),
        (0.2, &["--reset-slow"]),
        (0.2, &["-T2", "-T7", "-T30"]),
        (0.2, &["-E0", "-E600", "-E20k", "-E100k"]),
        (0.1, &["-X2", "-X20", "-e3"]),
        (0.1, &["-J"]),
        (0.1, &["-O"]),
        (0.1, &["--pause-on-error=2", "--pause-on-error=s3"]),
        (0.1, &["--pause-on-pass=5"]),
        (0.2, &["-Z1", "-Z100k", "-Z200k"]),
        (0.3, &["-K64Ki", "-K64Ki,256Ki", "-K128Ki,1Mi", "-K0"]),
        (0.3, &["-c1", "-c16", "-c40"]),
        (0.2, &["-R", "-u", "-Ru"]),
        (0.2, &["-r1", "-r2"]),
        (0.2, &["-n", "-N", "-nN", "--cpass=1,2"]),
    ];
    let mut words = Vec::new();
    for (share, options) in choices {
        if rng.random_bool(*share) {
            words.push(options.choose(rng).unwrap().to_string());
        }
    }
    // With pauses of both kinds the original's display counts some of them twice and some not at all.
    if words.iter().any(|word| word == "--pause-on-error=s3") {
        words.retain(|word| !word.starts_with("--pause-on-pass"));
    }
    words
}

fn compare(name: &str, size: u64, rules: &[Rule], options: &[String]) {
    let sides = [Side::Original, Side::Ours].map(|side| run(side, size, rules, options));
    let [(original, original_rates), (ours, our_rates)] = sides;
    let mut text = side::difference(&original, &ours).unwrap_or_default();
    text.push_str(&side::first_difference("rates", &original_rates, &our_rates));
    let rules: Vec<String> = rules.iter().map(Rule::line).collect();
    assert!(
        text.is_empty(),
        "{name}: {size} bytes, ddrescue {}\n{}{text}",
        options.join(" "),
        rules.concat()
    );
}

fn run(side: Side, size: u64, rules: &[Rule], options: &[String]) -> (Outcome, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name);
    fs::write(path("disk"), (0..size).map(|i| (i * 7 + i / 251) as u8).collect::<Vec<u8>>()).unwrap();
    fs::write(path("rules"), rules.iter().map(Rule::line).collect::<String>()).unwrap();
    let mut words: Vec<String> = options.to_vec();
    words.extend(["--log-reads=reads", "--log-rates=rates", "disk", "image", "map"].map(str::to_owned));
    let variables =
        [("LD_PRELOAD", slow_disk()), ("SLOW_DISK", path("disk")), ("SLOW_DISK_RULES", path("rules"))];
    let outcome = side::run_with(side, folder.path(), &words, b"", &variables);
    (outcome, lines(&path("rates")))
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

impl Rule {
    fn line(&self) -> String {
        let Rule { from, end, micros_per_read, micros_per_kib, errno } = self;
        format!("{from} {end} {micros_per_read} {micros_per_kib} {errno}\n")
    }
}

/// The library with the clock and the disk.
fn slow_disk() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let library =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("slow_disk-{}.so", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ddrescue/slow_disk.c");
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
        assert!(command.status().expect("cc runs (Debian package gcc)").success(), "{command:?} failed");
        library
    };
    BUILT.get_or_init(build).clone()
}
