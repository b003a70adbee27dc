//! What to tell at the end: what was rescued, what is missing, what to run next.
//!
//! Owns these sentences. Must not know how the numbers came about.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use block::RangeSet;
use engine::{Book, Ending, Trouble};
use map::Status;

use super::tracker::{self, Tracker};
use crate::personality::number::{Prefixes, size};

/// Bytes of a page of the system's cache.
pub const PAGE: u64 = 4096;

/// How a rescue ended, for whoever ran it.
pub struct Summary<'a> {
    /// Map and sums.
    pub book: &'a Book,
    /// How it ended.
    pub ending: &'a Ending,
    /// What was seen on the way.
    pub tracker: &'a Tracker,
    /// The words of the command, its own name included.
    pub command: &'a [OsString],
    /// Whether bad sectors were read again in this run.
    pub retried: bool,
    /// Whether some phase was left out by an option.
    pub is_partial: bool,
    /// The strategy, if it is not one with GNU ddrescue's phases.
    pub strategy: Option<&'a str>,
    /// Whether a device with sectors smaller than pages was read through the page cache.
    pub is_buffered: bool,
    /// The kernel's name of the disk, if it is one.
    pub disk: Option<&'a String>,
    /// Whether it is somewhere else, behind a server.
    pub is_remote: bool,
    /// What was read and what was written.
    pub copy: (&'a Path, &'a Path),
    /// The map that says where to go on, if there is one.
    pub map: Option<&'a Path>,
    /// Unit of numbers.
    pub prefixes: Prefixes,
}

impl Summary<'_> {
    /// The sentences, one a line.
    pub fn lines(&self) -> Vec<String> {
        let book = self.book;
        let bytes = |count: u64| format!("{}B", size(count, self.prefixes));
        let total = book.domain_bytes();
        let rescued = book.bytes(Status::Finished);
        let percent = if total == 0 { 100.0 } else { rescued as f64 * 100.0 / total as f64 };
        // 99.9999 % is not all.
        let percent = if rescued < total { percent.min(99.9999) } else { percent };
        let mut lines = vec![format!("Rescued {} of {} ({percent:.4}%).", bytes(rescued), bytes(total))];
        if rescued < total {
            lines.push(format!(
                "Missing: {} bad in {} areas, {} not yet trimmed, {} not yet scraped, {} not yet tried.",
                bytes(book.bytes(Status::BadSector)),
                book.bad_areas(),
                bytes(book.bytes(Status::NonTrimmed)),
                bytes(book.bytes(Status::NonScraped)),
                bytes(book.bytes(Status::NonTried)),
            ));
        }
        if self.is_buffered && self.fails_by_page() {
            lines.push(
                "All that failed lies in whole pages of 4096 bytes: the page cache may have widened the damage. \
                 Run again without --buffered, or with --idirect, and --retrim to get the sectors in between."
                    .into(),
            );
        }
        if self.tracker.slowdown.has_lasted() {
            lines
                .push("The drive stayed slow after its last error: --reopen-on-error may wake it up.".into());
        }
        if self.tracker.reads_left_behind > 0 {
            lines.push(format!(
                "Reads marked as failed because they took too long: {}. What they brought in the end is rescued.",
                self.tracker.reads_left_behind
            ));
        }
        let has_long_reads =
            self.tracker.longest_read >= tracker::LONG_READ || self.tracker.reads_left_behind > 0;
        if has_long_reads && self.is_remote {
            lines.push(format!(
                "The longest read took {} s: the server, or the drive behind it, retries for long.",
                self.tracker.longest_read.whole_secs()
            ));
        } else if has_long_reads {
            let disk = self.disk.map_or("<disk>", |disk| disk);
            lines.push(format!(
                "The longest read took {} s: the drive or the kernel retries for long. A lower error recovery time \
                 (smartctl -l scterc,70,70 /dev/{disk}) or command timeout (echo 10 > /sys/block/{disk}/device/timeout) \
                 makes such reads give up sooner.",
                self.tracker.longest_read.whole_secs()
            ));
        }
        if let Some(run) = self.tracker.sameness.longest() {
            lines.push(format!(
                "Since the first error {} came in runs of equal sectors, the longest of {} at {}: the drive may give \
                 stale data for good. Compare with --check-every=100, or read that area again later.",
                bytes(self.tracker.sameness.bytes()),
                bytes(run.length()),
                run.start(),
            ));
        }
        lines.extend(self.next());
        lines.extend(self.ways_around());
        lines
    }

    /// Whether all that failed lies in whole pages, as where the system reads more than it is asked for.
    fn fails_by_page(&self) -> bool {
        let mut failed = RangeSet::new();
        let blocks = self.book.map().blocks();
        let is_failed = |status| !matches!(status, Status::Finished | Status::NonTried);
        blocks.filter(|block| is_failed(block.status)).for_each(|block| failed.insert(block.range));
        let is_whole = |bytes: u64| bytes.is_multiple_of(PAGE);
        let in_pages = |range: &block::ByteRange| is_whole(range.start().bytes()) && is_whole(range.length());
        !failed.is_empty() && failed.ranges().iter().all(in_pages)
    }

    fn next(&self) -> Option<String> {
        let again = self.command_line(&[]);
        let book = self.book;
        Some(match self.ending {
            Ending::Failed(Trouble::Source(_) | Trouble::Mute { .. } | Trouble::EndsEarly { .. })
                if self.is_remote =>
            {
                format!("Make sure that the server is there and serves the same, then go on with: {again}")
            }
            Ending::Failed(Trouble::Source(_) | Trouble::Mute { .. } | Trouble::EndsEarly { .. }) => {
                format!("Reconnect the drive, then go on with: {again}")
            }
            Ending::Failed(Trouble::Sink(_)) => format!(
                "Nothing that the map calls rescued is lost. Make room or mend the destination, then go on with: {again}"
            ),
            Ending::Failed(_) => return None,
            Ending::Interrupted if self.map.is_some() => format!("Stopped. Go on with: {again}"),
            Ending::Limits(_) if self.map.is_some() => format!("A limit stopped it. Go on with: {again}"),
            Ending::Interrupted | Ending::Limits(_) => "Without a map this cannot be resumed.".into(),
            Ending::Finished if book.domain_bytes() == 0 => {
                "The source has no bytes: make sure that it is the right one.".into()
            }
            Ending::Finished if book.is_complete() => "Nothing is missing.".into(),
            Ending::Finished if self.map.is_none() => return None,
            Ending::Finished if let Some(strategy) = self.strategy => format!(
                "This is all that {strategy} does. To read what it leaves: {}",
                self.command_line(&["--strategy=classic"])
            ),
            Ending::Finished if self.is_partial => {
                "Some phases were left out. To read what they leave, run the same command without --no-trim, --no-scrape \
                 and --cpass."
                    .into()
            }
            Ending::Finished if self.retried => format!(
                "To try again from scratch what failed, in case the drive is in a better mood: {}",
                self.command_line(&["--retrim", "--try-again"])
            ),
            Ending::Finished => {
                format!(
                    "To try every bad sector three more times: {}",
                    self.command_line(&["--retry-passes=3"])
                )
            }
        })
    }

    /// How to go on without the destination that failed.
    fn ways_around(&self) -> Vec<String> {
        let (Ending::Failed(Trouble::Sink(_)), Some(map)) = (self.ending, self.map) else {
            return Vec::new();
        };
        let (source, image, map) = (quoted(self.copy.0), quoted(self.copy.1), quoted(map));
        vec![
            "Or rescue what is left into a second image on another disk, with the options that you gave:"
                .into(),
            format!("  diskwright map invert {map} -o rest.domain"),
            format!("  diskwright rescue --domain-mapfile=rest.domain {source} rest.img"),
            "and join the two where there is room for both:".into(),
            format!(
                "  diskwright rescue --force --domain-mapfile=rest.img.map rest.img {image} join.map && \
                 diskwright map or {map} rest.img.map -o {map}"
            ),
        ]
    }

    /// The command as it was given, with more options, as one can paste it.
    fn command_line(&self, more: &[&str]) -> String {
        let mut words: Vec<String> = repeatable(self.command).into_iter().map(quoted).collect();
        // Of two options that say the same the last one counts, and an option's value may be a word of its own: the new
        // ones go behind all the others.
        let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
        let new = more.iter().filter(|option| !words[..end].iter().any(|word| word == *option));
        let new: Vec<String> = new.map(|option| (*option).to_owned()).collect();
        words.splice(end..end, new);
        words.join(" ")
    }
}

/// The words of a command without what can be done once only: what was emptied must not be emptied again, and a log of
/// timings is a new file.
fn repeatable(command: &[OsString]) -> Vec<&OsString> {
    let end = command.iter().position(|word| word == "--").unwrap_or(command.len());
    let (mut options, names) = (command[..end].iter(), &command[end..]);
    let mut kept = Vec::new();
    while let Some(word) = options.next() {
        let text = word.to_string_lossy();
        let name = text.split('=').next().unwrap_or_default();
        // A name may be cut as long as it is no other one's beginning.
        if text == "-t" || (name.starts_with("--tru") && "--truncate".starts_with(name)) {
            continue;
        }
        if name.starts_with("--log-t") && "--log-timings".starts_with(name) {
            if !text.contains('=') {
                options.next();
            }
            continue;
        }
        kept.push(word);
    }
    kept.extend(names);
    kept
}

/// A word as one can paste it into a shell.
fn quoted(word: impl AsRef<OsStr>) -> String {
    let bytes = word.as_ref().as_bytes();
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && text.chars().all(is_plain) => text.to_owned(),
        Ok(text) if !text.contains(char::is_control) => format!("'{}'", text.replace('\'', "'\\''")),
        // Names are bytes, and a terminal could not show these.
        _ => {
            let shown = bytes.iter().map(|byte| match byte {
                b'\'' | b'\\' => format!("\\{}", char::from(*byte)),
                b' '..=b'~' => char::from(*byte).to_string(),
                _ => format!("\\{byte:03o}"),
            });
            format!("$'{}'", shown.collect::<String>())
        }
    }
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || "/._-+=:,@%".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_done_once_only_is_not_suggested_again() {
        let left = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            repeatable(&words)
                .into_iter()
                .map(|word| word.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(left("d rescue -t a b"), "d rescue a b");
        assert_eq!(left("d rescue --trunc --try-again a b"), "d rescue --try-again a b");
        assert_eq!(left("d rescue --log-timings t a --log-t=t b"), "d rescue a b");
        assert_eq!(
            left("d rescue --log-reads r -- -t --log-timings"),
            "d rescue --log-reads r -- -t --log-timings"
        );
    }

    #[test]
    fn any_name_comes_out_of_a_shell_as_it_went_in() {
        let names: [&[u8]; 8] = [
            b"/dev/sdx",
            b"",
            b"two words",
            b"it's",
            "\u{e4}\u{2192}'".as_bytes(),
            b"\xff\xfe1'\\'2",
            b"line\nline\x1b[2J",
            b"\x01777 $HOME `x`",
        ];
        for name in names {
            let shown = quoted(OsStr::from_bytes(name));
            let mut shell = std::process::Command::new("bash");
            let output = shell.arg("-c").arg(format!("printf %s {shown}")).output().expect("bash runs");
            assert_eq!(output.stdout, name, "{shown}");
        }
        assert_eq!(quoted("a/b.img"), "a/b.img");
        assert_eq!(quoted("a b"), "'a b'");
    }
}
