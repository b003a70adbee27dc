//! The timing log: what each read of a drive asked for, what came of it, and how long it took.
//!
//! Owns the format. Must not know who reads, nor what is made of the times.
//!
//! Text, one line for each read or row of equal good reads, after comment lines that begin with `#`:
//!
//! ```text
//! # Diskwright timing log 1
//! # size 1000204886016 logical 512 physical 4096
//! # source Example HDD serial 1234
//! # seq t_us pos len result dur_us
//! 0 17 0 65536x512 ok 171834
//! 1 171851 33554432 65536 error:5 3012345
//! 2 3184200 33558528 512<8 ok 1520
//! ```
//!
//! - The first line names the format and its version. `size`, sectors and `source` are left out where they are not known.
//! - `seq` counts lines from 0; `t_us` is when the first read of the line began, in microseconds since the log began.
//! - `pos` is the lowest byte that the line is about.
//! - `len` is the bytes of a read; `UNITxREADS` are so many reads in rising order, `UNIT<READS` in falling order.
//! - `result` is `ok`, `error:ERRNO` for damage (`error:ERRNO:GOOD` if the first GOOD bytes came all the same), `end:GOOD`
//!   where the source ends after GOOD bytes, or `gone` for a device that was lost.
//! - `dur_us` is how long it took; of a row, all of it together. Reads are made one after the other; only what a failed
//!   one that was not waited for brings after all has a line of its own that begins before that one ended.
//! - Every line ends with a line feed. A last one without was cut, by a crash, and says nothing.

use std::io::{self, Write};

use thiserror::Error;

use crate::{Errno, Nanos, Offset};

/// What the first line says.
const TITLE: &str = "# Diskwright timing log 1";
/// What the first line of other versions begins with.
const TITLE_START: &str = "# Diskwright timing log ";

/// What a log says of the drive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Bytes in all.
    pub size: Option<u64>,
    /// Bytes of a logical sector; 0 if unknown.
    pub logical_sector: u32,
    /// Bytes of a physical sector; 0 if unknown.
    pub physical_sector: u32,
    /// Model and serial number.
    pub source: Option<String>,
}

/// One line: a read, or a row of equal ones that went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it began, since the log began; whole microseconds.
    pub began: Nanos,
    /// The lowest byte.
    pub at: Offset,
    /// Bytes of one read; not 0, but for [`Outcome::Gone`].
    pub unit: u64,
    /// Number of reads; at least 1.
    pub reads: u64,
    /// Whether each read lies before the one made before it.
    pub backwards: bool,
    /// What came of it.
    pub outcome: Outcome,
    /// How long all of it took; whole microseconds.
    pub took: Nanos,
}

/// What came of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All bytes.
    Good,
    /// Damage, after so many good bytes.
    Failed {
        /// The system's error number.
        errno: Errno,
        /// Good bytes from the start of the read.
        good: u64,
    },
    /// The source ends after so many bytes.
    End {
        /// Bytes from the start of the read.
        good: u64,
    },
    /// The device was lost.
    Gone,
}

/// A log that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimingLog {
    /// What it says of the drive.
    pub header: Header,
    /// Its lines, in the order of time.
    pub entries: Vec<Entry>,
    /// The line at its end, from 1, that is not complete, and is not among the entries.
    pub cut_line: Option<usize>,
}

/// A log that cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: {reason}")]
pub struct TimingLogError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub reason: String,
}

/// Writes a log.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    lines: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a log.
    pub fn new(mut out: W, header: &Header) -> io::Result<Writer<W>> {
        writeln!(out, "{TITLE}")?;
        let size = header.size.map_or(String::new(), |size| format!("size {size} "));
        let sector = |name, bytes: u32| match bytes {
            0 => String::new(),
            bytes => format!("{name} {bytes} "),
        };
        let (logical, physical) =
            (sector("logical", header.logical_sector), sector("physical", header.physical_sector));
        writeln!(out, "# {}", format!("{size}{logical}{physical}").trim_end())?;
        if let Some(source) = &header.source {
            writeln!(out, "# source {}", source.replace(char::is_control, " "))?;
        }
        writeln!(out, "# seq t_us pos len result dur_us")?;
        Ok(Writer { out, lines: 0 })
    }

    /// Adds a line.
    pub fn put(&mut self, entry: &Entry) -> io::Result<()> {
        let micros = |time: Nanos| time.nanoseconds() / 1000;
        let length = match (entry.reads, entry.backwards) {
            (1, _) => entry.unit.to_string(),
            (reads, false) => format!("{}x{reads}", entry.unit),
            (reads, true) => format!("{}<{reads}", entry.unit),
        };
        let outcome = match entry.outcome {
            Outcome::Good => "ok".to_owned(),
            Outcome::Failed { errno, good: 0 } => format!("error:{}", errno.0),
            Outcome::Failed { errno, good } => format!("error:{}:{good}", errno.0),
            Outcome::End { good } => format!("end:{good}"),
            Outcome::Gone => "gone".to_owned(),
        };
        let (began, at, took) = (micros(entry.began), entry.at.bytes(), micros(entry.took));
        writeln!(self.out, "{} {began} {at} {length} {outcome} {took}", self.lines)?;
        self.lines += 1;
        Ok(())
    }

    /// Hands on what was written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl TimingLog {
    /// Whether a text says that it is a timing log, of any version.
    pub fn is_one(text: &str) -> bool {
        text.starts_with(TITLE_START)
    }

    /// Reads a log.
    ///
    /// Errors: the first line that cannot be, be it that it cannot be read, lies outside of the drive, or began before
    /// the line before it, or before that one's read ended.
    pub fn parse(text: &str) -> Result<TimingLog, TimingLogError> {
        let wrong = |line, reason: String| TimingLogError { line, reason };
        let mut log = TimingLog::default();
        let (lines, is_cut) = (text.lines().count(), !text.ends_with('\n'));
        for (index, text) in text.lines().enumerate() {
            let line = index + 1;
            if line == lines && is_cut && line > 1 {
                // Even what looks whole may lack the last digits of a number.
                log.cut_line = Some(line);
            } else if line == 1 {
                check_title(text).map_err(|reason| wrong(line, reason))?;
            } else if let Some(comment) = text.strip_prefix('#') {
                log.header.take(comment.trim()).map_err(|reason| wrong(line, reason))?;
            } else if !text.trim().is_empty() {
                let entry = log.entry(text).map_err(|reason| wrong(line, reason))?;
                log.entries.push(entry);
            }
        }
        if text.is_empty() {
            check_title("").map_err(|reason| wrong(1, reason))?;
        }
        Ok(log)
    }

    fn entry(&self, text: &str) -> Result<Entry, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [seq, began, at, length, outcome, took] = fields[..] else {
            return Err(format!(
                "{} fields; a line has six: seq t_us pos len result dur_us (the log may have been cut here)",
                fields.len()
            ));
        };
        let seq = number(seq, "seq")?;
        if seq != self.entries.len() as u64 {
            return Err(format!(
                "seq {seq} where {} should be: lines are missing or doubled",
                self.entries.len()
            ));
        }
        let (unit, reads, backwards) = length_of(length)?;
        let micros = |text, what| {
            let micros = number(text, what)?;
            micros
                .checked_mul(1000)
                .map(Nanos::new)
                .ok_or_else(|| format!("{what} {micros} is too long a time"))
        };
        let entry = Entry {
            began: micros(began, "t_us")?,
            at: Offset::new(number(at, "pos")?.min(Offset::MAX.bytes())),
            unit,
            reads,
            backwards,
            outcome: outcome_of(outcome, unit, reads)?,
            took: micros(took, "dur_us")?,
        };
        if let Some(last) = self.entries.last().filter(|last| entry.began < last.began) {
            return Err(format!(
                "began at {} us, before the line above it ({} us): times must rise",
                entry.began.nanoseconds() / 1000,
                last.began.nanoseconds() / 1000
            ));
        }
        self.entries.last().map_or(Ok(()), |last| overlap(last, &entry))?;
        let end = unit.checked_mul(reads).and_then(|length| length.checked_add(entry.at.bytes()));
        match (end, self.header.size) {
            (None, _) => Err(format!("{length} at {at} reaches behind every possible drive")),
            (Some(end), Some(size)) if end > size && !matches!(entry.outcome, Outcome::End { .. }) => {
                Err(format!("reaches to byte {end} of a drive that has {size}"))
            }
            _ => Ok(entry),
        }
    }
}

impl Header {
    fn take(&mut self, comment: &str) -> Result<(), String> {
        if let Some(source) = comment.strip_prefix("source ") {
            self.source = Some(source.to_owned());
            return Ok(());
        }
        let words: Vec<&str> = comment.split_ascii_whitespace().collect();
        if !matches!(words.first(), Some(&("size" | "logical" | "physical"))) {
            return Ok(());
        }
        for pair in words.chunks(2) {
            let [name, value] = pair else { return Err(format!("{} has no value", pair[0])) };
            let value = number(value, name)?;
            let sector = || {
                let bytes = u32::try_from(value).ok().filter(|bytes| *bytes > 0);
                bytes.ok_or_else(|| {
                    format!("{name} {value} is no size of a sector; leave out what is not known")
                })
            };
            match *name {
                "size" => self.size = Some(value),
                "logical" => self.logical_sector = sector()?,
                "physical" => self.physical_sector = sector()?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// How much of a read may lie before the end of the one above it: clocks are read a moment later, and rounded.
const OVERLAP_MAX: Nanos = Nanos::from_millis(1);

/// Refuses a read that was made while the one above it was not done. What a failed read brings after it was given up
/// belongs to both.
fn overlap(last: &Entry, entry: &Entry) -> Result<(), String> {
    let ended = last.began.nanoseconds().saturating_add(last.took.nanoseconds());
    let early = ended.saturating_sub(entry.began.nanoseconds());
    let is_late_answer = matches!(last.outcome, Outcome::Failed { .. })
        && entry.outcome == Outcome::Good
        && entry.at >= last.at
        && entry.at.bytes() - last.at.bytes() < last.unit;
    if early <= OVERLAP_MAX.nanoseconds() || is_late_answer {
        return Ok(());
    }
    Err(format!(
        "began at {} us, but the read above it took until {} us: reads are made one after the other",
        entry.began.nanoseconds() / 1000,
        ended / 1000
    ))
}

fn check_title(text: &str) -> Result<(), String> {
    if text == TITLE {
        return Ok(());
    }
    Err(match text.strip_prefix(TITLE_START) {
        Some(version) => format!("version {version} of the timing log; this program reads version 1"),
        None => format!("a timing log begins with the line {TITLE:?}"),
    })
}

fn number(text: &str, what: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{what} {text:?} is not a whole number"))
}

fn length_of(text: &str) -> Result<(u64, u64, bool), String> {
    let cut = text.split_once('x').map(|parts| (parts, false));
    let ((unit, reads), backwards) =
        cut.or_else(|| text.split_once('<').map(|parts| (parts, true))).unwrap_or(((text, "1"), false));
    let (unit, reads) = (number(unit, "len")?, number(reads, "number of reads")?);
    if reads == 0 {
        return Err(format!("len {text:?} is no read at all"));
    }
    Ok((unit, reads, backwards))
}

fn outcome_of(text: &str, unit: u64, reads: u64) -> Result<Outcome, String> {
    let wrong = || format!("result {text:?}; it is ok, error:ERRNO, error:ERRNO:GOOD, end:GOOD or gone");
    let parts: Vec<&str> = text.split(':').collect();
    let short = |good: &str| {
        let good = number(good, "number of good bytes")?;
        if good < unit {
            Ok(good)
        } else {
            Err(format!("{good} good bytes of a read of {unit} that fell short"))
        }
    };
    let errno = |text: &str| text.parse().ok().filter(|errno| *errno > 0).map(Errno).ok_or_else(wrong);
    let outcome = match parts[..] {
        ["ok"] => Outcome::Good,
        ["error", number] => Outcome::Failed { errno: errno(number)?, good: 0 },
        ["error", number, good] => Outcome::Failed { errno: errno(number)?, good: short(good)? },
        ["end", good] => Outcome::End { good: short(good)? },
        ["gone"] => Outcome::Gone,
        _ => return Err(wrong()),
    };
    if outcome != Outcome::Good && reads != 1 {
        return Err(format!("{reads} reads that ended as {text}; only good reads share a line"));
    }
    if unit == 0 && outcome != Outcome::Gone {
        return Err("a read of 0 bytes".into());
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry() -> impl Strategy<Value = (u64, Entry)> {
        let outcome = prop_oneof![
            3 => Just(Outcome::Good),
            1 => (1i32..130, 0u64..512).prop_map(|(errno, good)| Outcome::Failed { errno: Errno(errno), good }),
            1 => (0u64..512).prop_map(|good| Outcome::End { good }),
            1 => Just(Outcome::Gone),
        ];
        let row = (1u64..1000, any::<bool>(), 0u64..1 << 40, 512u64..1 << 20, 0u64..1 << 40);
        (0u64..1 << 30, outcome, row).prop_map(|(pause, outcome, (reads, backwards, at, unit, took))| {
            let reads = if outcome == Outcome::Good { reads } else { 1 };
            let backwards = backwards && reads > 1;
            let (at, took) = (Offset::new(at), Nanos::new(took * 1000));
            (pause, Entry { began: Nanos::ZERO, at, unit, reads, backwards, outcome, took })
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(entries in prop::collection::vec(entry(), 0..20),
                                         size in prop::option::of(1u64 << 50..1 << 60),
                                         source in prop::option::of("[a-zA-Z0-9][a-zA-Z0-9 ]{0,20}[a-z]")) {
            let mut log = TimingLog {
                header: Header { size, logical_sector: 512, physical_sector: 4096, source },
                entries: Vec::new(),
                cut_line: None,
            };
            let mut now = 0;
            for (pause, entry) in entries {
                now += pause;
                log.entries.push(Entry { began: Nanos::new(now * 1000), ..entry });
                now += entry.took.nanoseconds() / 1000;
            }
            let mut text = Vec::new();
            let mut writer = Writer::new(&mut text, &log.header).unwrap();
            log.entries.iter().for_each(|entry| writer.put(entry).unwrap());
            prop_assert_eq!(TimingLog::parse(&String::from_utf8(text).unwrap()), Ok(log));
        }

        #[test]
        fn no_text_panics(text in "(# Diskwright timing log 1\n)?([0-9a-z:<x \n#-]{0,60})") {
            let _ = TimingLog::parse(&text);
        }
    }

    #[test]
    fn a_log_that_cannot_be_says_where_and_why() {
        let head = "# Diskwright timing log 1\n# size 8192 logical 512 physical 512\n";
        for (lines, line, expected) in [
            ("0 0 0 512 ok", 3, "the log may have been cut here"),
            ("1 0 0 512 ok 9", 3, "lines are missing or doubled"),
            ("0 9 0 512 ok 9\n1 8 512 512 ok 9", 4, "times must rise"),
            ("0 0 7680 512x2 ok 9", 3, "reaches to byte 8704 of a drive that has 8192"),
            ("0 0 0 512 bad 9", 3, "it is ok, error:ERRNO"),
            ("0 0 0 512 error:5:512 9", 3, "512 good bytes of a read of 512 that fell short"),
            ("0 0 0 512x2 error:5 9", 3, "only good reads share a line"),
            ("0 0 0 512x0 ok 9", 3, "no read at all"),
            ("0 0 0 0 ok 9", 3, "a read of 0 bytes"),
            ("0 -1 0 512 ok 9", 3, "t_us \"-1\" is not a whole number"),
            ("0 0 99999999999999999999 512 ok 9", 3, "is not a whole number"),
            ("0 0 0 9223372036854775808x4 ok 9", 3, "behind every possible drive"),
            ("# size", 3, "size has no value"),
            ("# logical 0", 3, "logical 0 is no size of a sector"),
            ("# physical 0", 3, "physical 0 is no size of a sector"),
            ("0 0 0 512 ok 5000\n1 3000 512 512 ok 9000", 4, "the read above it took until 5000 us"),
            ("0 0 0 512 error:5 5000\n1 3000 512 512 ok 9000", 4, "reads are made one after the other"),
        ] {
            let error = TimingLog::parse(&format!("{head}{lines}\n")).expect_err(lines);
            assert_eq!(error.line, line, "{lines}");
            assert!(error.reason.contains(expected), "{lines}: {}", error.reason);
        }
        for (text, expected) in
            [("", "begins with"), ("# Diskwright timing log 2\n", "version 2"), ("x", "begins")]
        {
            assert!(TimingLog::parse(text).unwrap_err().reason.contains(expected), "{text}");
        }
    }

    #[test]
    fn a_last_line_that_was_cut_says_nothing() {
        let head = "# Diskwright timing log 1\n# size 8192\n0 0 0 512 ok 9\n";
        for cut in ["1", "1 9 51", "1 9 512 512 ok", "1 9 512 512 ok 12", "# si"] {
            let log = TimingLog::parse(&format!("{head}{cut}")).unwrap();
            assert_eq!((log.entries.len(), log.cut_line), (1, Some(4)), "{cut}");
        }
        assert_eq!(TimingLog::parse(head).unwrap().cut_line, None);
        // Others are no crash's doing.
        assert_eq!(TimingLog::parse(&format!("{head}1 9\n2 9")).unwrap_err().line, 4);
        assert_eq!(TimingLog::parse(&format!("{head}1 9\n")).unwrap_err().line, 4);
    }

    #[test]
    fn what_a_read_that_was_given_up_brings_after_all_overlaps_it() {
        let head = "# Diskwright timing log 1\n0 0 1024 1024 error:110 5000\n";
        assert_eq!(TimingLog::parse(&format!("{head}1 0 1024 512 ok 90000\n")).unwrap().entries.len(), 2);
        assert_eq!(TimingLog::parse(&format!("{head}1 0 2048 512 ok 90000\n")).unwrap_err().line, 3);
    }

    #[test]
    fn unknown_sectors_are_left_out() {
        let mut text = Vec::new();
        Writer::new(&mut text, &Header { size: Some(512), ..Header::default() }).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("\n# size 512\n"), "{text}");
        assert_eq!(TimingLog::parse(&text).unwrap().header.logical_sector, 0);
    }
}
