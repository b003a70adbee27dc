//! The strategies named after tools that run here, beside those tools: both read the same failing file, and their reads are
//! compared one by one.
//!
//! What fails are the lost bytes of the small twins of S03, S05 and S06. Reads behind the end of the file, which touch no
//! disk, count on neither side.

use std::path::Path;
use std::process::{Command, Stdio};

use rig::{BadRange, FaultyFile, FaultyFileOptions, Mount, Request};
use simulator::scenario::library;

/// Of a hundred reads so many must be the same, by the longest common subsequence.
const EQUAL_MIN: f64 = 99.0;

/// A read: where, how much, and whether it came.
type Read = (u64, u64, bool);

/// A tool, and the strategy that imitates it.
struct Peer {
    strategy: &'static str,
    /// Options of `diskwright rescue` besides.
    options: &'static [&'static str],
    /// Its command lines, run in turn; `{}` is the source.
    runs: &'static [&'static [&'static str]],
}

const PEERS: [Peer; 5] = [
    Peer {
        strategy: "sequential",
        options: &[],
        runs: &[&["dd", "if={}", "of=image", "bs=64K", "conv=noerror,sync"]],
    },
    Peer { strategy: "safecopy", options: &[], runs: &[&["safecopy", "-b", "4096", "{}", "image"]] },
    Peer {
        strategy: "safecopy-stages",
        options: &[],
        runs: &[
            &["safecopy", "--stage1", "-b", "4096", "{}", "image"],
            &["safecopy", "--stage2", "-b", "4096", "{}", "image"],
            &["safecopy", "--stage3", "-b", "4096", "{}", "image"],
        ],
    },
    Peer {
        strategy: "myrescue",
        options: &[],
        runs: &[
            &["myrescue", "-S", "{}", "image"],
            &["myrescue", "-f", "1", "{}", "image"],
            &["myrescue", "-r", "10", "-f", "2", "{}", "image"],
        ],
    },
    Peer {
        strategy: "recoverdm",
        options: &["--sector-size=512"],
        runs: &[&["recoverdm", "-t", "40", "-i", "{}", "-o", "image"]],
    },
];

/// A file that fails where a disk does.
fn file_of(scenario: &str) -> FaultyFile {
    let all = library::all().unwrap_or_else(|error| panic!("{error}"));
    let scenario = all.into_iter().find(|found| found.name == scenario).expect("a scenario");
    let lost = scenario.lost(scenario.seed()).expect("a disk");
    let bad = lost.ranges().iter();
    let bad = bad.map(|range| BadRange::new(range.start().bytes()..range.end().bytes(), nix::libc::EIO));
    FaultyFile::serve(FaultyFileOptions {
        size: scenario.medium.bytes(),
        bad: bad.collect(),
        ..FaultyFileOptions::default()
    })
}

/// Reads as they reached the file, without those behind its end.
fn arrived(requests: &[Request], size: u64) -> Vec<Read> {
    let within = requests.iter().filter(|request| request.bytes.start < size);
    within
        .map(|Request { bytes, errno, .. }| (bytes.start, bytes.end.min(size) - bytes.start, errno.is_none()))
        .collect()
}

/// What the tool reads.
fn reads_of_tool(peer: &Peer, file: &FaultyFile, size: u64, folder: &Path) -> Vec<Read> {
    file.forget_requests();
    for run in peer.runs {
        let source = file.path();
        let words: Vec<String> =
            run.iter().map(|word| word.replace("{}", &source.to_string_lossy())).collect();
        // Most of them end with an error: there is damage.
        Command::new(&words[0])
            .args(&words[1..])
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap_or_else(|error| panic!("{}: {error}; ci/check installs it", words[0]));
    }
    arrived(&file.requests(), size)
}

/// What the strategy reads, by its own log: reads far from damage reach the file joined.
fn reads_of_strategy(peer: &Peer, file: &FaultyFile, folder: &Path) -> Vec<Read> {
    let status = assert_cmd::Command::cargo_bin("diskwright")
        .expect("the program")
        .args(["rescue", "--quiet", "--log-reads=reads", "--strategy", peer.strategy])
        .args(peer.options)
        .arg(file.path())
        .arg("discard:")
        .current_dir(folder)
        .output()
        .expect("it runs");
    let complaint = String::from_utf8_lossy(&status.stderr);
    assert_eq!(status.status.code(), Some(1), "{}: {complaint}", peer.strategy);
    let log = std::fs::read_to_string(folder.join("reads")).expect("a log");
    let lines = log.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let field = |index: usize| {
                let text = line.split_whitespace().nth(index).expect(line);
                match text.strip_prefix("0x") {
                    Some(digits) => u64::from_str_radix(digits, 16).expect(line),
                    None => text.parse().expect(line),
                }
            };
            (field(0), field(1), field(3) == 0)
        })
        .collect()
}

/// Length of the longest common subsequence, by Myers' method: its cost grows with the difference. Zero if less than
/// nine tenths are common.
fn common(one: &[Read], other: &[Read]) -> usize {
    let (n, m) = (one.len() as i64, other.len() as i64);
    let most = (n.max(m) / 5).min(20_000) + 1;
    // For each diagonal, how far `one` is used up; diagonals are counted from -most - 1 on.
    let index = |k: i64| (k + most + 1) as usize;
    let mut furthest = vec![0i64; index(most + 1) + 1];
    for d in 0..=most {
        for k in (-d..=d).step_by(2) {
            let (below, above) = (furthest[index(k - 1)], furthest[index(k + 1)]);
            let mut x = if k == -d || (k != d && below < above) { above } else { below + 1 };
            while x < n && (0..m).contains(&(x - k)) && one[x as usize] == other[(x - k) as usize] {
                x += 1;
            }
            furthest[index(k)] = x;
            if x >= n && x - k >= m {
                return ((n + m - d) / 2) as usize;
            }
        }
    }
    0
}

fn compare(scenario: &str) {
    let file = file_of(scenario);
    let size = std::fs::metadata(file.path()).expect("a file").len();
    for peer in &PEERS {
        // In memory: some of them sync each sector.
        let folders = [Mount::tmpfs(1 << 30), Mount::tmpfs(1 << 30)];
        let theirs = reads_of_tool(peer, &file, size, folders[0].path());
        let ours = reads_of_strategy(peer, &file, folders[1].path());
        let equal = common(&ours, &theirs);
        let percent = equal as f64 * 100.0 / ours.len().max(theirs.len()) as f64;
        println!(
            "{scenario}, {}: {equal} of {} and {}, {percent:.2} %",
            peer.strategy,
            ours.len(),
            theirs.len()
        );
        let first = ours.iter().zip(&theirs).position(|(one, other)| one != other);
        let around = first.map(|at| {
            let shown = at.saturating_sub(3)..at + 12;
            let part = |reads: &[Read]| reads[shown.start..shown.end.min(reads.len())].to_vec();
            (part(&ours), part(&theirs))
        });
        assert!(
            percent >= EQUAL_MIN,
            "{}, {scenario}: {percent:.2} %, from {first:?}: {around:?}",
            peer.strategy
        );
    }
}

#[test]
fn on_latent_errors_in_clusters_they_read_as_their_models() {
    compare("medium-small");
}

#[test]
fn on_a_radial_scratch_they_read_as_their_models() {
    compare("radial-scratch-small");
}

#[test]
fn under_a_dead_head_they_read_as_their_models() {
    compare("dead-head-small");
}

#[test]
fn the_comparison_finds_what_differs() {
    let read = |at| (at, 1, true);
    let one: Vec<Read> = (0..60).map(read).collect();
    let other: Vec<Read> = (0..60).filter(|at| *at != 7).chain([99]).map(read).collect();
    assert_eq!(common(&one, &one), 60);
    assert_eq!((common(&one, &other), common(&other, &one)), (59, 59));
    assert_eq!(common(&one, &[]), 0);
    let late: Vec<Read> = one.iter().map(|(at, n, _)| (*at, *n, false)).collect();
    assert_eq!(common(&one, &late), 0);
}
