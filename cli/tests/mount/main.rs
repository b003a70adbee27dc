//! `diskwright mount`: disks as files and block devices, read by programs that know nothing of it. Needs root.

mod ends;
mod peers;
mod reads;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use block::{ByteRange, Offset, RangeSet};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rig::wait_until;
use simulator::LogicalUnit;
use simulator::scenario::library;
use tempfile::TempDir;

/// A disk of 8 MiB with sectors of 512 bytes: bad ones alone, in a pair, across a page, and at the end.
const SPOTS: &str = r#"
description = "Bad sectors."
seed = 1

[disk]
medium = "hard-disk"
profile = "pata40"
size = 8388608

[[fault]]
kind = "region"
health = "bad"
ranges = [[512, 1024], [100352, 101376], [1048064, 1049088], [8388096, 8388608]]
"#;

/// The same disk, which hangs for good at sectors 2048 to 2055.
const HANGING: &str = r#"
description = "Sectors that hang the drive."
seed = 1

[disk]
medium = "hard-disk"
profile = "pata40"
size = 8388608

[[fault]]
kind = "region"
health = "bad"
ranges = [[1048576, 1052672]]

[[fault]]
kind = "hang"
per-error = 1.0
no-return = 0.0
"#;

/// Where the hanging sectors begin, in pages.
const HANGING_PAGE: &str = "skip=256";

/// A folder for mounts and what is read from them.
struct Bench {
    folder: TempDir,
}

/// A mount that is there.
struct Mounted {
    child: Child,
    /// What can be read: the file, or the loop device over it.
    name: PathBuf,
    /// The file.
    file: PathBuf,
}

impl Bench {
    fn new() -> Bench {
        Bench { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A folder with a scenario `disk.toml` in it.
    fn with(scenario: &str) -> Bench {
        let bench = Bench::new();
        fs::write(bench.path("disk.toml"), scenario).expect("a scenario");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        // As the system sees it, which is how it is told.
        self.folder.path().canonicalize().expect("a folder").join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_diskwright"));
        command.current_dir(self.folder.path()).stdin(Stdio::null()).arg("mount").args(words);
        command
    }

    /// Runs `diskwright mount` to its end.
    fn run(&self, words: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(words).output().expect("diskwright runs");
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (status.code().unwrap_or(-1), text(&stdout), text(&stderr))
    }

    /// Mounts `disk` over the file `disk` here, and waits until it is there.
    fn mount(&self, disk: &str, options: &[&str]) -> Mounted {
        let mut command = self.command(&[disk, "file"]);
        let mut child = command.args(options).stdout(Stdio::piped()).spawn().expect("diskwright runs");
        let mut line = String::new();
        let output = child.stdout.as_mut().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let (name, _) = line.split_once('\t').unwrap_or_else(|| panic!("{disk} is not mounted: {line:?}"));
        Mounted { child, name: name.into(), file: self.path("file") }
    }

    /// Runs another program here; returns how it ended and what it wrote.
    fn tool(&self, program: &str, words: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).args(words);
        // Its own words, whoever speaks.
        command.env("LC_ALL", "C").stdin(Stdio::null());
        command.output().unwrap_or_else(|e| panic!("{program}, which ci/check installs: {e}"))
    }

    /// Starts to read a page that is not answered, and waits until it waits.
    fn hanging_reader(&self, name: &Path) -> Child {
        let from = format!("if={}", name.display());
        let mut command = Command::new("dd");
        command.args([&from, "of=/dev/null", "bs=4096", "count=1", HANGING_PAGE]).env("LC_ALL", "C");
        let child = command.stderr(Stdio::piped()).spawn().expect("dd runs");
        let stack = format!("/proc/{}/syscall", child.id());
        // Number 0: read, of whatever is open as its standard input.
        wait_until("dd does not read", || {
            fs::read_to_string(&stack).is_ok_and(|text| text.starts_with("0 0x0 "))
        });
        child
    }
}

impl Mounted {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("it runs");
    }

    /// Asks it to end, and waits; returns its exit status.
    fn end(mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.child.wait().expect("a status").code()
    }

    fn threads_and_files(&self) -> (usize, usize) {
        let count =
            |name: &str| fs::read_dir(format!("/proc/{}/{name}", self.child.id())).expect("it runs").count();
        (count("task"), count("fd"))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

/// Waits for a program; returns how it ended and its complaints.
fn ended(mut child: Child) -> (ExitStatus, String) {
    let mut text = String::new();
    if let Some(stderr) = &mut child.stderr {
        stderr.read_to_string(&mut text).expect("text");
    }
    (child.wait().expect("a status"), text)
}

fn is_mounted(path: &Path) -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("a table");
    table.lines().any(|line| line.split(' ').nth(4) == path.to_str())
}

fn killed_by(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// The disk itself, of a scenario in a file or of the library.
fn unit(disk: &str) -> LogicalUnit {
    let scenario = library::open(disk).unwrap_or_else(|e| panic!("{disk}: {e}"));
    scenario.unit(scenario.seed(), None).expect("a disk")
}

/// What no attempt brings.
fn lost(disk: &str) -> RangeSet {
    let scenario = library::open(disk).unwrap_or_else(|e| panic!("{disk}: {e}"));
    scenario.lost(scenario.seed()).expect("a disk")
}

/// Every unit of `bytes` bytes that has something of `set` in it, on a disk of `size`.
fn widened(set: &RangeSet, bytes: u64, size: u64) -> RangeSet {
    let wide = |range: &ByteRange| {
        let end = range.end().align_up(bytes).min(Offset::new(size));
        ByteRange::between(range.start().align_down(bytes), end)
    };
    set.ranges().iter().map(wide).collect()
}

/// Checks that `image` has the disk's bytes everywhere but in `bad`.
fn check_image(disk: &str, image: &Path, bad: &RangeSet) {
    let unit = unit(disk);
    let bytes = fs::read(image).expect("an image");
    let all: RangeSet = [ByteRange::new(Offset::ZERO, unit.size())].into_iter().collect();
    let mut expected = vec![0; 1 << 20];
    for range in all.minus(bad).ranges() {
        let mut at = range.start();
        while at < range.end() {
            let piece = ByteRange::between(at, (at + expected.len() as u64).min(range.end()));
            let expected = &mut expected[..piece.length() as usize];
            unit.truth(at, expected).expect("its bytes");
            let from = at.bytes() as usize;
            assert!(bytes.get(from..from + expected.len()) == Some(expected), "wrong bytes in {piece:?}");
            at = piece.end();
        }
    }
}
