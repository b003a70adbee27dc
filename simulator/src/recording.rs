//! What somebody wrote down while a real drive was read.
//!
//! Owns one form for all kinds of logs, and the register of kinds: a kind is one file in `recording/` and one line in
//! [`Format`]. Must not know what is done with it.

use std::path::Path;

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::law::ErrorClass;
use crate::scenario::library;

mod ddrescue_reads;
mod diskwright;
mod safecopy_classes;
mod safecopy_simulator;
mod safecopy_timing;

/// A recorded drive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// Bytes in all, if the log says so.
    pub size: Option<u64>,
    /// Bytes of the smallest unit that was read.
    pub block: u64,
    /// Bytes of a physical sector, if the log says so.
    pub physical: Option<u64>,
    /// What was read, in the order in which it was.
    pub records: Vec<Record>,
    /// How long each block takes that no record tells of; `None` if such blocks are unknown.
    pub rest: Option<Nanos>,
    /// Time for each block between the end of a read and the start of the next.
    pub seek: Nanos,
    /// Whether a block that failed and then answered goes on doing so in turns; if not, its last answer is kept.
    pub alternates: bool,
    /// The line at the log's end, from 1, that was cut, and was passed over.
    pub cut_line: Option<usize>,
}

/// A read, or a row of equal ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    /// When it began, if that is known.
    pub began: Option<Nanos>,
    /// The lowest byte.
    pub at: u64,
    /// Bytes of one read.
    pub unit: u64,
    /// Number of reads.
    pub reads: u64,
    /// Whether each read lies before the one made before it.
    pub backwards: bool,
    /// Whether it failed, and how.
    pub failed: Option<Failure>,
    /// How long one read took, if that is known.
    pub took: Option<Nanos>,
}

/// A read that failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Failure {
    /// What the drive called it.
    pub class: ErrorClass,
    /// Good bytes from the start of the read.
    pub good: u64,
}

impl Record {
    /// A good read.
    pub fn good(at: u64, unit: u64, took: Nanos) -> Record {
        Record { began: None, at, unit, reads: 1, backwards: false, failed: None, took: Some(took) }
    }

    /// A read that brought nothing.
    pub fn failed(at: u64, unit: u64, took: Nanos) -> Record {
        let failure = Failure { class: ErrorClass::Aborted, good: 0 };
        Record { failed: Some(failure), ..Record::good(at, unit, took) }
    }

    /// Where it ends.
    pub fn end(&self) -> u64 {
        self.at.saturating_add(self.unit.saturating_mul(self.reads))
    }
}

impl Recording {
    /// How long a block usually takes that is well: as the log says, or the median of those that were read.
    pub fn usual(&self) -> Option<Nanos> {
        self.rest.or_else(|| self.median(|record| record.failed.is_none()))
    }

    /// How long a block takes, the median of reads of one sort.
    pub fn median(&self, is_of_sort: impl Fn(&Record) -> bool) -> Option<Nanos> {
        let of_sort = self.records.iter().filter(|record| is_of_sort(record));
        let mut times: Vec<u64> =
            of_sort.filter_map(|r| Some(r.took?.nanoseconds() * self.block / r.unit.max(1))).collect();
        times.sort_unstable();
        times.get(times.len() / 2).map(|time| Nanos::new(*time))
    }

    /// Bytes from the start of the drive to the end of what is known of it.
    pub fn extent(&self) -> u64 {
        self.size.unwrap_or_else(|| self.records.iter().map(Record::end).max().unwrap_or(0))
    }
}

/// Bytes of the largest drive that is believed: 1 EiB.
const BYTES_MAX: u64 = 1 << 60;
/// Bytes of the largest block that is believed.
const BLOCK_MAX: u64 = 1 << 30;

/// Kinds of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// What `diskwright rescue --log-timings` writes.
    Diskwright,
    /// What `safecopy -T` writes.
    SafecopyTiming,
    /// `simulator.cfg` of safecopy's simulator library.
    SafecopySimulator,
    /// Classes of sectors with exponents of time, as comma-separated values.
    SafecopyClasses,
    /// What `ddrescue --log-reads` writes: answers without times.
    DdrescueReads,
}

impl Format {
    /// All of them by their names.
    pub const NAMES: [(&'static str, Format); 5] = [
        ("diskwright", Format::Diskwright),
        ("safecopy-timing", Format::SafecopyTiming),
        ("safecopy-simulator", Format::SafecopySimulator),
        ("safecopy-classes", Format::SafecopyClasses),
        ("ddrescue-reads", Format::DdrescueReads),
    ];
}

/// What a log does not say of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Its kind; looked for in its first lines if not given.
    pub format: Option<Format>,
    /// Bytes of a block where the log counts in blocks and does not say how large they are.
    pub block: Option<u64>,
    /// Order of the exponents behind `softfail` in a `simulator.cfg`.
    pub softfail: Softfail,
}

/// Order of the two exponents of a sector that fails at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Softfail {
    /// The one of good reads first, as the simulator library reads it.
    #[default]
    GoodFail,
    /// The one of failing reads first, as the published sets were written.
    FailGood,
}

/// A log that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", line.map_or(String::new(), |line| format!("line {line}: ")))]
pub struct RecordingError {
    /// Line, from 1, if it is one line's fault.
    pub line: Option<usize>,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl RecordingError {
    fn at(line: usize, reason: impl Into<String>) -> RecordingError {
        RecordingError { line: Some(line), reason: reason.into() }
    }

    fn whole(reason: impl Into<String>) -> RecordingError {
        RecordingError { line: None, reason: reason.into() }
    }
}

impl Recording {
    /// Reads a log.
    pub fn parse(text: &str, reading: Reading) -> Result<Recording, RecordingError> {
        let format = match reading.format {
            Some(format) => format,
            None => recognise(text).ok_or_else(|| {
                RecordingError::whole(
                    "not a log of a known kind; name it, as in format = \"safecopy-timing\" (others are diskwright, \
                     safecopy-simulator, safecopy-classes and ddrescue-reads)",
                )
            })?,
        };
        let recording = match format {
            Format::Diskwright => diskwright::parse(text),
            Format::SafecopyTiming => safecopy_timing::parse(text, reading.block),
            Format::SafecopySimulator => safecopy_simulator::parse(text, reading.softfail),
            Format::SafecopyClasses => safecopy_classes::parse(text),
            Format::DdrescueReads => ddrescue_reads::parse(text),
        }?;
        if recording.records.is_empty() && recording.rest.is_none() {
            return Err(RecordingError::whole("the log tells of no read"));
        }
        let end = recording.records.iter().map(Record::end).max().unwrap_or(0).max(recording.extent());
        let block = recording.block.max(recording.physical.unwrap_or(0));
        if end > BYTES_MAX || !(1..=BLOCK_MAX).contains(&block) {
            return Err(RecordingError::whole(format!(
                "a drive of {end} bytes in blocks of {block}, which is none that there is"
            )));
        }
        Ok(recording)
    }

    /// Reads the log in a file; returns its text too. Errors name the file.
    pub fn open(path: &Path, reading: Reading) -> Result<(Recording, String), String> {
        let name = path.display();
        let unreadable = |e: std::io::Error| format!("cannot read the log {name}: {e}");
        let text = String::from_utf8(library::file(path).map_err(unreadable)?)
            .map_err(|_| format!("{name}: a log is text, but this is not UTF-8"))?;
        let recording = Recording::parse(&text, reading).map_err(|e| match e.line {
            Some(line) => format!("{name}:{line}: {}", e.reason),
            None => format!("{name}: {}", e.reason),
        })?;
        Ok((recording, text))
    }
}

/// Tells a log's kind by what it begins with.
fn recognise(text: &str) -> Option<Format> {
    if block::timing_log::TimingLog::is_one(text) {
        return Some(Format::Diskwright);
    }
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let begins = |start: &str| text.lines().take(20).any(|line| line.starts_with(start));
    if first.is_some_and(|line| line.starts_with("sector,count,class")) {
        Some(Format::SafecopyClasses)
    } else if begins("blocksize=") || begins("filesize=") {
        Some(Format::SafecopySimulator)
    } else if begins("#  Ipos       Size") {
        Some(Format::DdrescueReads)
    } else {
        let fields: Vec<&str> = first?.split(' ').collect();
        let is_timing = fields.len() == 3 && fields[0].len() >= 10;
        (is_timing && fields.iter().all(|field| field.parse::<i64>().is_ok()))
            .then_some(Format::SafecopyTiming)
    }
}

/// Reads a whole number.
fn number(text: &str, what: &str, line: usize) -> Result<u64, RecordingError> {
    text.trim()
        .parse()
        .map_err(|_| RecordingError::at(line, format!("{what} {text:?} is not a whole number")))
}

/// A time that doubles with each step of an exponent.
fn doubled(base: Nanos, exponent: u64, line: usize) -> Result<Nanos, RecordingError> {
    let factor = (exponent < 40).then(|| 1u64 << exponent);
    let time = factor.and_then(|factor| base.nanoseconds().checked_mul(factor));
    time.map(Nanos::new).ok_or_else(|| {
        RecordingError::at(line, format!("exponent {exponent} makes a time that no read takes"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::Fit;
    use proptest::prelude::*;

    #[test]
    fn a_log_tells_its_kind_by_its_first_lines() {
        for (text, format) in [
            ("# Diskwright timing log 1\n", Format::Diskwright),
            ("0000000000 1200 2048\n", Format::SafecopyTiming),
            ("verbose=0\nblocksize=512\n", Format::SafecopySimulator),
            ("# a heading\nsector,count,class,fail_exp,ok_exp\n", Format::SafecopyClasses),
            ("# Reads Logfile\n#  Ipos       Size  Copied_size  Error_size  Errno\n", Format::DdrescueReads),
        ] {
            assert_eq!(recognise(text), Some(format), "{text}");
        }
        for text in ["", "\n", "0 1 2\n", "0000000000 x 2048\n"] {
            assert_eq!(recognise(text), None, "{text}");
        }
    }

    /// Lines that mean something to one of the formats, with numbers of all sizes.
    fn text() -> impl Strategy<Value = String> {
        let number = prop_oneof![
            6 => (0u64..40).prop_map(|x| x * 512),
            3 => 0u64..9,
            1 => prop::sample::select(vec![u64::MAX, 1 << 63, 1 << 60, 999_999_999_999]),
        ];
        let numbers = prop::collection::vec(number, 6);
        let form = prop::sample::select(vec![
            "# Diskwright timing log 1\n# size A logical 512 physical B",
            "A B C D ok E",
            "0 0 A B error:5:C 9",
            "0 0 A BxC ok 9",
            "000000000A B C",
            "000000000A B -1",
            "blocksize=A\nfilesize=B\ndelay=C",
            "slow=A B",
            "softfail=A B C",
            "hardfail=A B",
            "softfailcount=A",
            "# sector=A B, sectors=C, base_read_us=D\nsector,count,class,fail_exp,ok_exp",
            "A,B,U,C,",
            "A,B,R,C,D",
            "0xA B C D",
        ]);
        let line = (form, numbers).prop_map(|(form, numbers)| {
            let names = ["A", "B", "C", "D", "E"];
            names.iter().zip(numbers).fold(form.to_owned(), |text, (name, number)| {
                // Names of keys and units are no places of numbers.
                text.split(' ')
                    .map(|word| {
                        if word.starts_with('#') {
                            word.to_owned()
                        } else {
                            word.replace(name, &number.to_string())
                        }
                    })
                    .collect::<Vec<_>>()
                    .join(" ")
            })
        });
        prop::collection::vec(line, 1..6).prop_map(|lines| lines.join("\n"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_log_panics_and_what_is_read_can_be_fitted(text in text()) {
            for (_, format) in Format::NAMES {
                let reading = Reading { format: Some(format), ..Reading::default() };
                let _ = recognise(&text);
                if let Ok(recording) = Recording::parse(&text, reading) {
                    let fit = Fit::of(&recording);
                    prop_assert!(!fit.report().is_empty() && !fit.scenario("a", "b").is_empty());
                }
            }
        }
    }
}
