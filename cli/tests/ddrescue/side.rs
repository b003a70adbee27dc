//! Two runs of one command line, and what is left of each.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const ORIGINAL: &str = "/usr/bin/ddrescue";
const OURS: &str = env!("CARGO_BIN_EXE_diskwright");

/// A run that takes longer is killed.
const LONGEST: Duration = Duration::from_secs(20);

/// Who runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The original.
    Original,
    /// This project.
    Ours,
}

/// What is left of a run, without what must differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Exit status, or the negative number of the signal that ended it.
    pub status: i32,
    /// The reads log without comments.
    pub reads: Vec<String>,
    /// The mapfile without comments.
    pub map: Vec<String>,
    /// The image.
    pub image: Vec<u8>,
    /// Standard error.
    pub messages: String,
    /// Standard output in the layout of 1.27; empty if the clock had a say in it.
    pub screen: String,
}

/// Runs one side in `folder`, where it finds its files; names in `words` are relative to that.
pub fn run(side: Side, folder: &Path, words: &[String], input: &[u8]) -> Outcome {
    run_with(side, folder, words, input, &[])
}

/// The same with these variables in its environment.
pub fn run_with(
    side: Side,
    folder: &Path,
    words: &[String],
    input: &[u8],
    variables: &[(&str, PathBuf)],
) -> Outcome {
    let (program, name) = match side {
        Side::Original => (ORIGINAL, "ddrescue"),
        Side::Ours => (OURS, "ddrescue"),
    };
    assert!(Path::new(program).exists(), "{program} must be installed");
    let _ = fs::remove_file(folder.join("reads"));
    let mut command = Command::new(program);
    command.arg0(name).args(words).current_dir(folder).env("LC_ALL", "C").env("HOME", folder);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let process = nix::unistd::Pid::from_raw(child.id() as i32);
    let (ended, end) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        if end.recv_timeout(LONGEST) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ = nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL);
        }
    });
    // Who refuses its command line does not read its input.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    drop(ended);
    guard.join().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (screen, messages) = (text(output.stdout), text(output.stderr));
    Outcome {
        status: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or(0)),
        reads: content_of(&folder.join("reads")),
        map: content_of(&folder.join("map")),
        image: fs::read(folder.join("image")).unwrap_or_default(),
        messages: match side {
            Side::Ours => without_numbers(&messages),
            // Renamed in 1.28 together with its option.
            // Numbers up to 9999 stay as they are in 1.29 only.
            Side::Original => {
                undivided(&messages).replace("Can't verify input file size", "Can't check input file size")
            }
        },
        screen: screen_of(side, &screen, &fs::read_to_string(folder.join("reads")).unwrap_or_default()),
    }
}

/// The lines of a file that are no comments.
fn content_of(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    // A map without blocks may have one without bytes.
    let is_content =
        |line: &&str| !line.starts_with('#') && !line.is_empty() && *line != "0x00000000  0x00000000  ?";
    text.lines().filter(is_content).map(str::to_owned).collect()
}

fn undivided(messages: &str) -> String {
    let mut text = messages.to_owned();
    for kilo in 1..=9u64 {
        for (unit, suffix) in [(1024, "Ki"), (1000, "k")] {
            let number = kilo * unit;
            text = text.replace(&format!(" {kilo}{suffix} "), &format!(" {number} "));
            text = text.replace(&format!(" {kilo}{suffix}.\n"), &format!(" {number}.\n"));
        }
    }
    text
}

/// Fatal errors of 1.29 end in the error's number.
fn without_numbers(messages: &str) -> String {
    let without =
        |line: &str| line.find(" (errno=").map_or(line.to_owned(), |at| line[..at].to_owned()) + "\n";
    messages.lines().map(without).collect()
}

/// A screen in the layout of 1.27; nothing if it shows that time has passed.
fn screen_of(side: Side, screen: &str, reads: &str) -> String {
    // The original moves up too few lines over a preview when all is rescued.
    let mut screen = screen.replace('\r', "\u{240d}\n");
    while screen.contains("\u{1b}[A\u{1b}[A") {
        screen = screen.replace("\u{1b}[A\u{1b}[A", "\u{1b}[A");
    }
    let lines = screen;
    let screen_shows_trimming = side == Side::Original && lines.contains("Trimming failed");
    let has_waited = |line: &str| line.contains("run time:") && !line.trim_end().ends_with(" 0s");
    // The original shows a trimming phase that marks without reading.
    let trims_unread = screen_shows_trimming && !reads.contains("Trimming");
    if trims_unread || lines.lines().any(has_waited) {
        return String::new();
    }
    let older = |line: &str| match side {
        // Numbers up to 9999 stay as they are in 1.29 only.
        // The original opens outfile before it says how long it is.
        _ if line.starts_with("About to copy") => line[..line.find("' to '").unwrap_or(0)].to_owned(),
        _ if preview_place(line).is_some() => preview_place(line).unwrap_or_default().to_owned(),
        _ if line.starts_with("(sizes limited") => "(sizes limited)".to_owned(),
        Side::Original => line.replace("GNU ddrescue 1.27", "(banner)").replace("' (0)", "'"),
        Side::Ours => as_1_27(line),
    };
    lines.lines().map(|line| older(line) + "\n").collect()
}

/// The place of a line of the data preview, whose end may be left over from an earlier read in the original.
fn preview_place(line: &str) -> Option<&str> {
    let place = line.get(..12).filter(|start| start.ends_with("  "))?;
    place[..10].bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(place)
}

fn as_1_27(line: &str) -> String {
    if line.starts_with("Diskwright") {
        return "(banner)".to_owned();
    }
    let numbers = |line: &str, name: &str, width: usize| -> Option<String> {
        let at = line.find(name)? + name.len();
        let end = at + line[at..].find(',')?;
        let number = line[at..end].trim();
        Some(format!("{}{number:>width$}{}", &line[..at], &line[end..]))
    };
    let mut line = line.to_owned();
    for (name, width) in [("bad areas:", 9), ("read errors:", 9)] {
        if line.contains("run time:") || line.contains("remaining time:") {
            line = numbers(&line, name, width).unwrap_or(line);
        }
    }
    for column in ["current rate:", "average rate:", "error rate:", "time since last"] {
        if let Some(at) = line.find(column).filter(|at| line[..*at].ends_with("   ")) {
            line.remove(at - 1);
        }
    }
    let is_rescue = line.contains("bad areas:") || line.contains("read errors:");
    for column in ["run time:", "remaining time:"] {
        if let Some(at) = line.find(column).filter(|_| is_rescue) {
            line.insert(at, ' ');
        }
    }
    line
}

/// Shows where two outcomes differ; `None` if they do not.
pub fn difference(original: &Outcome, ours: &Outcome) -> Option<String> {
    let mut text = String::new();
    if original.status != ours.status {
        text.push_str(&format!("status: original {}, ours {}\n", original.status, ours.status));
    }
    for (name, original, ours) in [("reads", &original.reads, &ours.reads), ("map", &original.map, &ours.map)]
    {
        text.push_str(&first_difference(name, original, ours));
    }
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    text.push_str(&first_difference("messages", &lines(&original.messages), &lines(&ours.messages)));
    // When it stops early the original may show one refresh less.
    if original.status == 0 && !original.screen.is_empty() && !ours.screen.is_empty() {
        let (one, other) = (lines(&original.screen), lines(&ours.screen));
        // The original does not count what trimming passes on to scraping unread.
        if one != other {
            text.push_str(&first_difference("screen", &without_sums(&one), &without_sums(&other)));
        }
    }
    if original.image != ours.image {
        let at = original.image.iter().zip(&ours.image).position(|(a, b)| a != b);
        let (one, other) = (original.image.len(), ours.image.len());
        text.push_str(&format!("image: lengths {one} and {other}, first different byte {at:?}\n"));
    }
    (!text.is_empty()).then_some(text)
}

fn without_sums(lines: &[String]) -> Vec<String> {
    let without =
        |line: &String| match ["non-trimmed:", "non-scraped:"].iter().find_map(|name| line.find(name)) {
            Some(at) => format!("{}{}", &line[..at], &line[at + 24..]),
            None => line.clone(),
        };
    lines.iter().map(without).collect()
}

/// Shows where two rows of lines differ; empty if they do not.
pub fn first_difference(name: &str, original: &[String], ours: &[String]) -> String {
    if original == ours {
        return String::new();
    }
    let at = original.iter().zip(ours).take_while(|(a, b)| a == b).count();
    let around = |lines: &[String]| {
        let shown = lines.iter().enumerate().skip(at.saturating_sub(4)).take(9);
        shown.map(|(i, line)| format!("  {i:5} {line}\n")).collect::<String>()
    };
    format!("{name}, from line {at}; original:\n{}ours:\n{}", around(original), around(ours))
}
