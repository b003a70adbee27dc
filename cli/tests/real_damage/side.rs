//! One run of one side, and what it leaves.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const ORIGINAL: &str = "/usr/bin/ddrescue";

/// For how long a run may go on. The original has endless loops for some inputs.
const RUN_TIME_MAX: Duration = Duration::from_secs(20);
/// Exit status of `timeout` when it had to kill.
const KILLED_BY_TIMEOUT: i32 = 137;

/// Who runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The original.
    Original,
    /// This project.
    Ours,
}

/// Both.
pub const SIDES: [Side; 2] = [Side::Original, Side::Ours];

impl Side {
    /// The other one.
    pub fn other(self) -> Side {
        match self {
            Side::Original => Side::Ours,
            Side::Ours => Side::Original,
        }
    }

    /// A program called `ddrescue`.
    pub fn program(self) -> PathBuf {
        match self {
            Side::Original => {
                assert!(Path::new(ORIGINAL).exists(), "{ORIGINAL} is missing (Debian package gddrescue)");
                PathBuf::from(ORIGINAL)
            }
            Side::Ours => {
                let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("names");
                let link = folder.join("ddrescue");
                fs::create_dir_all(&folder).expect("a folder");
                // Another thread, or an earlier run, may have made it.
                let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_diskwright"), &link);
                link
            }
        }
    }

    /// Its command line in `folder`, where it finds its files.
    pub fn command(self, folder: &Path, words: &[String]) -> Command {
        Side::quiet(Command::new(self.program()), folder, words)
    }

    fn quiet(mut command: Command, folder: &Path, words: &[String]) -> Command {
        command.args(words).current_dir(folder).env("LC_ALL", "C").env("HOME", folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs to the end; `None` if there is none.
    pub fn run(self, folder: &Path, words: &[String]) -> Option<Outcome> {
        let _ = fs::remove_file(folder.join("reads"));
        let mut command = Command::new("timeout");
        command.args(["-s", "KILL", &RUN_TIME_MAX.as_secs().to_string()]).arg(self.program());
        let mut command = Side::quiet(command, folder, words);
        let messages = folder.join("messages");
        command.arg0("timeout").stderr(File::create(&messages).expect("a file"));
        let status = command.status().expect("timeout runs");
        if status.code() == Some(KILLED_BY_TIMEOUT) {
            return None;
        }
        Some(Outcome {
            status: status.code().unwrap_or_else(|| -status.signal().unwrap_or(0)),
            reads: lines(&folder.join("reads")).iter().map(|line| without_errno(line)).collect(),
            map: lines(&folder.join("map")),
            image: fs::read(folder.join("image")).unwrap_or_default(),
            messages: text(&messages)
                .replace(&*self.program().to_string_lossy(), "ddrescue")
                .lines()
                .map(as_since_1_28)
                .collect(),
        })
    }
}

/// What is left of a run, without what must differ.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Exit status, or the negative number of the signal that ended it.
    pub status: i32,
    /// The reads log without comments and error numbers.
    pub reads: Vec<String>,
    /// The mapfile without comments.
    pub map: Vec<String>,
    /// The image.
    pub image: Vec<u8>,
    /// Standard error.
    pub messages: Vec<String>,
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The lines of a file that are no comments.
pub fn lines(path: &Path) -> Vec<String> {
    let is_content = |line: &&str| !line.starts_with('#') && !line.is_empty();
    text(path).lines().filter(is_content).map(str::to_owned).collect()
}

/// 1.28 put the number of the error into the fifth column.
fn without_errno(line: &str) -> String {
    line.split('\t').take(4).collect::<Vec<_>>().join("\t")
}

/// 1.28 put the number of the error at the end of the message, which is not compared, and verifies no more.
fn as_since_1_28(line: &str) -> String {
    let line = line.find(" (errno=").map_or(line, |at| &line[..at]);
    line.replace("Can't verify input file size", "Can't check input file size")
}

/// Shows where two outcomes differ; `None` if they do not.
pub fn difference(original: &Outcome, ours: &Outcome) -> Option<String> {
    let mut text = String::new();
    if original.status != ours.status {
        text.push_str(&format!("status: original {}, ours {}\n", original.status, ours.status));
    }
    text.push_str(&first_difference("reads", &original.reads, &ours.reads));
    text.push_str(&first_difference("map", &original.map, &ours.map));
    text.push_str(&first_difference("messages", &original.messages, &ours.messages));
    if original.image != ours.image {
        let at = original.image.iter().zip(&ours.image).position(|(one, other)| one != other);
        let lengths = (original.image.len(), ours.image.len());
        text.push_str(&format!("images of {lengths:?} bytes differ at {at:?}\n"));
    }
    (!text.is_empty()).then_some(text)
}

fn first_difference(name: &str, original: &[String], ours: &[String]) -> String {
    let longest = original.len().max(ours.len());
    let Some(at) = (0..longest).find(|at| original.get(*at) != ours.get(*at)) else { return String::new() };
    let around = |lines: &[String]| {
        let from = at.saturating_sub(3);
        let shown = lines.iter().skip(from).take(7).map(|line| format!("    {line}\n"));
        shown.collect::<String>()
    };
    format!(
        "{name}: line {} of {} and {}\n  original:\n{}  ours:\n{}",
        at + 1,
        original.len(),
        ours.len(),
        around(original),
        around(ours)
    )
}
