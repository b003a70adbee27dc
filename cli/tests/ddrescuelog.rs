//! Our ddrescuelog and the original, side by side on random maps and random options: same output, same messages, same
//! exit status, same files left behind.
//!
//! `DISKWRIGHT_SEEDS` says how many cases to try; `DISKWRIGHT_SEED` replays one. The original must be installed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ORIGINAL: &str = "/usr/bin/ddrescuelog";
const OURS: &str = env!("CARGO_BIN_EXE_diskwright");
const STATUSES: [char; 5] = ['?', '*', '/', '-', '+'];

/// One command line and what it finds.
#[derive(Debug, Default)]
struct Case {
    files: BTreeMap<&'static str, String>,
    words: Vec<String>,
    input: Vec<u8>,
}

/// What is left of a run, without what must differ.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    status: Option<i32>,
    output: String,
    messages: String,
    files: BTreeMap<String, String>,
}

impl Outcome {
    /// All of it, line by line, padded so that two can be compared.
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("status {:?}", self.status)];
        lines.extend([&self.messages, &self.output].into_iter().chain(self.files.values()).flat_map(
            |text| {
                let lines = text.lines().map(str::to_owned);
                lines.chain(std::iter::repeat(String::from("(end)"))).take(500)
            },
        ));
        lines
    }
}

#[test]
fn random_cases_end_like_the_original() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("DISKWRIGHT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("DISKWRIGHT_SEEDS").unwrap_or(500),
    };
    let mut different = 0;
    for seed in seeds {
        let case = Dice(ChaCha8Rng::seed_from_u64(seed)).case();
        let (theirs, ours) = (run(ORIGINAL, &case), run(OURS, &case));
        if theirs != ours {
            eprintln!("DISKWRIGHT_SEED={seed} ddrescuelog {}", case.words.join(" "));
            if number("DISKWRIGHT_SEED").is_some() {
                eprintln!("{case:#?}\noriginal: {theirs:#?}\nours: {ours:#?}");
            }
            for (theirs, ours) in theirs.lines().iter().zip(&ours.lines()).filter(|(a, b)| a != b).take(3) {
                eprintln!("  original: {theirs}\n  ours:     {ours}");
            }
            different += 1;
        }
        assert!(different < 8, "too many differences; the seeds are printed above");
    }
    assert_eq!(different, 0, "the seeds are printed above; set DISKWRIGHT_SEED to see one in full");
}

#[test]
fn known_cases_end_like_the_original() {
    let mut files = BTreeMap::new();
    files.insert("a", "0x0 ? 1\n0 4096 +\n4096 4096 -\n8192 1000 ?\n".to_owned());
    files.insert("b", "0x200 - 3\n0 1000 ?\n1000 5000 +\n6000 4000 *\n".to_owned());
    files.insert("done", "0x200 + 1\n0 9999 +\n".to_owned());
    let lines = [
        "",
        "-D",
        "a",
        "-D a b",
        "-t",
        "-n a -- -z",
        "--sh a",
        "--c a",
        "--d a",
        "-i 1K -n a",
        "-i -5 -n a",
        "-b 0 -n a",
        "-b 1s -n a",
        "--block=99999999999 -n a",
        "-a ? a",
        "-a ?,+,- a",
        "-a ?,x a",
        "-l x a",
        "-c? a",
        "-C?? a",
        "-F lis -l+ a",
        "-m a -m b -n a",
        "-n -D a",
        "-xa -yb a",
        "--shift -i 5 -o 6 a",
        "-l+ -i 5 -o 6 a",
        "-D -m nothere a",
        "-D nothere",
        "-vD a",
        "-vd a",
        "-vd done",
        "-d done",
        "-qD a",
        "-p b a",
        "-p done nothere",
        "-P b a",
        "-tv nothere a b",
        "-n -m /dev/null a",
        "-x /dev/null a",
        "-c a",
        "-p - -",
        "-D /",
        "-n -s 0 nothere",
        "-q -t a",
        "-tBv done a",
        "-A b",
        "-D -",
        "-d -",
    ];
    for line in lines {
        let words = line.split_whitespace().map(str::to_owned).collect();
        let case = Case { files: files.clone(), words, input: b"0 ? 1\n0 5 +\n".to_vec() };
        assert_eq!(run(ORIGINAL, &case), run(OURS, &case), "ddrescuelog {line}");
    }
}

#[test]
fn a_run_of_ones_that_begins_outside_the_domain_counts_inside() {
    let words = ["-c", "-Fbitmap", "-i512", "-s1024", "-"].map(str::to_owned).to_vec();
    let case = Case { words, input: vec![0b11], ..Case::default() };
    let blocks = |outcome: Outcome| outcome.output.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let inside = ["0x00000000  0x00000200  -", "0x00000200  0x00000200  +", "0x00000400  0x00000200  -"];
    assert_eq!(blocks(run(OURS, &case))[..3], inside);
    assert_eq!(blocks(run(ORIGINAL, &case))[0], "0x00000000  0x00000600  -", "the defect is gone; follow it");
}

#[test]
fn a_bitmap_without_end_is_refused() {
    let files = BTreeMap::from([("a", "0 ? 1\n0 0x7FFFFFFFFFFFFFFF +\n".to_owned())]);
    let words = ["-l+", "-Fbitmap", "a"].map(str::to_owned).to_vec();
    let outcome = run(OURS, &Case { files, words, input: Vec::new() });
    assert_eq!((outcome.status, outcome.output.as_str()), (Some(1), "\n"));
    assert!(outcome.messages.contains("would never end"), "{}", outcome.messages);
}

#[test]
fn a_map_that_begins_above_0_stays_in_one_piece_when_shifted_up() {
    let files = BTreeMap::from([("a", "0 ? 1\n100 50 +\n".to_owned())]);
    let words = ["--shift", "-o30", "a"].map(str::to_owned).to_vec();
    let outcome = run(OURS, &Case { files, words, input: Vec::new() });
    let expected =
        "0x00000000     ?               1\n0x00000064  0x0000001E  ?\n0x00000082  0x00000032  +\n\n";
    assert_eq!(outcome.output, expected);
}

/// Runs a program as `ddrescuelog` in a folder of its own with the case's files.
fn run(program: &str, case: &Case) -> Outcome {
    assert!(
        Path::new(program).exists(),
        "{program} is missing; install the package gddrescue to run this test"
    );
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in &case.files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut child = Command::new(program)
        .arg0("ddrescuelog")
        .args(&case.words)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(&case.input);
    let output = child.wait_with_output().unwrap();
    let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap());
    Outcome {
        status: output.status.code(),
        output: without_comments(&output.stdout),
        messages: String::from_utf8_lossy(&output.stderr).into_owned(),
        files: left
            .map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                (name, without_comments(&fs::read(entry.path()).unwrap()))
            })
            .collect(),
    }
}

/// Comments name product, version and time.
fn without_comments(text: &[u8]) -> String {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"# "));
    lines.map(|line| line.escape_ascii().to_string() + "\n").collect()
}

/// Makes cases.
struct Dice(ChaCha8Rng);

impl Dice {
    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from.choose(&mut self.0).unwrap().clone()
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.0.random_ratio(1, n)
    }

    fn case(&mut self) -> Case {
        let mut case = Case::default();
        for name in ["a", "b", "c"] {
            let text = self.map_text();
            case.files.insert(name, text);
        }
        if self.one_in(2) {
            // Two maps that differ little, so that comparing is not always a difference.
            let text = self.changed(&case.files["a"]);
            case.files.insert("b", text);
        }
        self.options(&mut case);
        if self.one_in(12) {
            let at = self.0.random_range(0..=case.words.len());
            let words = [
                "-x",
                "--no-such",
                "-Z",
                "--s=5",
                "-i1K",
                "-s",
                "--size=",
                "-D",
                "--",
                "-",
                "-b0",
                "-l%",
                "-i0x",
                "-s-2",
                "--force=1",
                "-o99999999999999999999",
                "--bl=2048",
                "nothere",
                "-m/dev/null",
            ];
            case.words.insert(at, self.pick(&words).to_owned());
        }
        if case.words.iter().any(|word| word == "-t") {
            // Since 1.29 several files are named without asking; the original here is older.
            case.words.retain(|word| word != "-q");
            case.words.insert(0, "-v".to_owned());
        }
        case
    }

    fn options(&mut self, case: &mut Case) {
        let sector = self.pick(&[1u64, 64, 512, 512, 512, 1000, 2048]);
        let operation = self.0.random_range(0..15);
        let mut words = vec![match self.0.random_range(0..4) {
            0 => format!("-b{sector}"),
            1 => format!("--block-size={sector}"),
            2 => format!("--sector-size={sector}"),
            _ => format!("--sec={sector}"),
        }];
        // Only these take an offset that is not in whole sectors.
        let positions: &[String] = &if matches!(operation, 2 | 6) && !self.one_in(6) {
            (0..30).map(|n| format!("{n}s")).collect::<Vec<_>>()
        } else {
            (0..30)
                .map(|_| self.0.random_range(0..20_000).to_string())
                .chain(["5s".into(), "1Ki".into()])
                .collect()
        };
        // Moving a map that does not start at 0 upwards is done wrongly by the original.
        let is_shift = operation == 14;
        if self.one_in(3) {
            words.push(format!("-i{}", self.pick(positions)));
            if is_shift && !self.one_in(5) || matches!(operation, 2 | 6) && self.one_in(2) {
                words.push("-o0".to_owned());
            }
        }
        if self.one_in(if is_shift { 2 } else { 4 }) {
            words.push(format!("--output-position={}", self.pick(positions)));
            if !self.one_in(5) {
                words.push("--inp=0".to_owned());
            }
        }
        if self.one_in(3) {
            words.push(format!("-s{}", self.pick(positions)));
        }
        if self.one_in(4) {
            words.push(self.pick(&["-mb", "--domain-mapfile=b", "-mc"]).to_owned());
        }
        for flag in ["-L", "-B", "-v", "-f", "-q"] {
            if self.one_in(if flag == "-q" { 20 } else { 5 }) {
                words.push(flag.to_owned());
            }
        }
        let mut names = vec!["a".to_owned()];
        let types = |dice: &mut Dice, most| -> String {
            (0..dice.0.random_range(1..=most)).map(|_| dice.pick(&STATUSES)).collect()
        };
        let word = match operation {
            0 => format!("-a{},{}", types(self, 6), types(self, 6)),
            1 => "-A".to_owned(),
            2 => {
                self.creation(case, &mut words, sector);
                names = vec![self.pick(&["-", "new", "new", "a"]).to_owned()];
                self.pick(&["-c", "-c?+", "--create-mapfile=/-", "-c-+"]).to_owned()
            }
            3 => format!("-C{}", self.pick(&["", "?", "+", "-"])),
            4 => "-d".to_owned(),
            5 => "-D".to_owned(),
            6 => {
                // In bitmaps moved down the original loses the first bits.
                let is_moved = words.iter().any(|word| word.starts_with("-o") || word.starts_with("--out"));
                if self.one_in(2) && !is_moved || words.contains(&"--inp=0".to_owned()) {
                    words.push(format!("-F{}", self.pick(&["list", "bitmap", "bitmap-le", "bitmap-be"])));
                }
                format!("-l{}", types(self, 3))
            }
            7 => "-n".to_owned(),
            8 => self.pick(&["-pb", "--compare-mapfile=b", "-pc"]).to_owned(),
            9 => self.pick(&["-Pb", "--compare-as=b", "-Pc"]).to_owned(),
            10 => {
                if self.one_in(2) {
                    names.push(self.pick(&["b", "c", "nothere"]).to_owned());
                }
                "-t".to_owned()
            }
            11 => format!("-x{}", self.pick(&["b", "c"])),
            12 => format!("-y{}", self.pick(&["b", "c"])),
            13 => format!("-z{}", self.pick(&["b", "c"])),
            _ => "--shift".to_owned(),
        };
        let at = self.0.random_range(0..=words.len());
        words.insert(at, word);
        if names == ["a"] && operation != 2 && self.one_in(10) {
            case.input = case.files["a"].clone().into_bytes();
            names = vec!["-".to_owned()];
        }
        words.extend(names);
        case.words = words;
    }

    /// Sectors to make a map of.
    fn creation(&mut self, case: &mut Case, words: &mut Vec<String>, sector: u64) {
        if self.one_in(2) {
            // The original loses runs that begin outside the domain, so let it begin at 0 or cover everything.
            words.retain(|word| {
                !word.starts_with("-i") && !word.starts_with("-m") && !word.starts_with("--dom")
            });
            words.push(format!("-F{}", self.pick(&["bitmap", "bitmap-be"])));
            let length = self.0.random_range(0..40);
            case.input = (0..length).map(|_| self.pick(&[0, 0, 255, 1, 0x80, 0x18, 0xA5])).collect();
            // Where the domain ends within a run of ones, it does the same.
            words.retain(|word| !word.starts_with("-s"));
            return;
        }
        let count = self.0.random_range(0..40);
        let mut text = String::new();
        for _ in 0..count {
            let number = self.0.random_range(0..40_000 / sector.max(100));
            let _ = match self.0.random_range(0..6) {
                0 => writeln!(text, "0x{number:x}"),
                1 => writeln!(text, " 0{number:o}\n"),
                2 => write!(text, "{number} "),
                _ => writeln!(text, "{number}"),
            };
        }
        if self.one_in(12) {
            text.push_str(self.pick(&["x\n", "-1\n", "#\n", "99999999999999999999\n"]));
        }
        case.input = text.into_bytes();
    }

    fn map_text(&mut self) -> String {
        let mut text = String::new();
        if self.one_in(2) {
            text.push_str("# Mapfile. Created by a test\n#\n\n");
        }
        let _ = writeln!(
            text,
            "0x{:08X}     {}               {}",
            self.0.random_range(0..20_000),
            self.pick(&['?', '*', '/', '-', 'F', 'G', '+']),
            self.0.random_range(1..9)
        );
        let mut lines = Vec::new();
        let count = match self.0.random_range(0..10) {
            0 => 0,
            1 => 200,
            _ => self.0.random_range(1..15),
        };
        let mut at = 0u64;
        let all_finished = self.one_in(8);
        let unit = self.pick(&[1, 1, 512]);
        for _ in 0..count {
            let size = self.0.random_range(1..3000 / unit + 2) * unit;
            let status = if all_finished { '+' } else { self.pick(&STATUSES) };
            lines.push(match self.0.random_range(0..5) {
                0 => format!("{at} {size} {status}"),
                1 => format!("\t 0x{at:x}   0{size:o} {status} # note"),
                2 => format!("0x{at:X} {size}{status}more"),
                _ => format!("0x{at:08X}  0x{size:08X}  {status}"),
            });
            at += size;
            if self.one_in(120) {
                at += 512;
            }
        }
        if self.one_in(40) && !lines.is_empty() {
            let at = self.0.random_range(0..lines.len());
            let wrong = ["0x", "x", "5 5", "0 5 !", "-1 5 +", "", "  ", "# comment", "5 0 +", "0x5 -6 +"];
            lines.insert(at, self.pick(&wrong).to_owned());
        }
        if self.one_in(25) && lines.len() > 1 {
            let (a, b) = (self.0.random_range(0..lines.len()), self.0.random_range(0..lines.len()));
            lines.swap(a, b);
        }
        text + &lines.join("\n") + if self.one_in(10) { "" } else { "\n" }
    }

    /// The same map with at most one block different.
    fn changed(&mut self, text: &str) -> String {
        if self.one_in(3) {
            return text.to_owned();
        }
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let at = self.0.random_range(0..lines.len());
        let (old, new) = (self.pick(&STATUSES), self.pick(&STATUSES));
        lines[at] = lines[at].replace(old, &new.to_string());
        lines.join("\n") + "\n"
    }
}
