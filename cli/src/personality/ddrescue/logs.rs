//! The log files of a rescue.
//!
//! Owns their layout. Must not know when something is logged.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use block::{ByteRange, Errno, Nanos, Offset};
use engine::{Rates, Tried};
use map::{Position, Status};

use crate::personality::Complaint;
use crate::personality::ddrescue::PROGRAM;
use crate::personality::ddrescue::job::Job;
use crate::personality::ddrescue::words::Headings;
use crate::personality::number::{self, Decimals};

/// The three logs, as far as they were asked for.
#[derive(Debug, Default)]
pub struct Logs {
    events: Option<Log>,
    rates: Option<Log>,
    reads: Option<Log>,
    /// Whether reads were logged since the last pass began.
    has_reads: bool,
    rated: Option<u64>,
}

#[derive(Debug)]
struct Log {
    kind: &'static str,
    path: PathBuf,
    file: BufWriter<File>,
    is_broken: bool,
}

impl Logs {
    /// Opens what the job asks for.
    pub fn open(job: &Job, headings: &Headings) -> Result<Logs, Complaint> {
        let mut logs = Logs::default();
        if let Some(path) = &job.log_events {
            let mut log = Log::open(path, "events", OpenOptions::new().append(true).create(true))?;
            if log.file.get_ref().metadata().is_ok_and(|metadata| metadata.len() > 0) {
                log.put("\n");
            }
            log.head(headings, "Events Logfile", "#         Time  Rescued  Event\n");
            logs.events = Some(log);
        }
        let overwrite = || OpenOptions::new().write(true).create(true).truncate(true).clone();
        if let Some(path) = &job.log_rates {
            let mut log = Log::open(path, "rates", &overwrite())?;
            let columns = "#Time  Ipos  Current_rate  Average_rate  Bad_areas  Bad_size\n";
            log.head(headings, "Rates Logfile", columns);
            logs.rates = Some(log);
        }
        if let Some(path) = &job.log_reads {
            let mut log = Log::open(path, "reads", &overwrite())?;
            let columns = "#  Ipos       Size  Copied_size  Error_size  Errno\n";
            log.head(headings, "Reads Logfile", columns);
            logs.reads = Some(log);
        }
        Ok(logs)
    }

    /// A pass begins.
    pub fn pass(&mut self, secs: u64, rescued: &str, message: &str) {
        let time = number::log_duration(secs);
        if let Some(log) = &mut self.events {
            log.put(&format!("{time:>14}  {rescued}  {message}\n"));
            log.flush();
        }
        if let Some(log) = &mut self.reads {
            let gap = if self.has_reads { "\n" } else { "" };
            log.put(&format!("{gap}# {time}  {message}\n"));
        }
    }

    /// The run stops early.
    pub fn reason(&mut self, text: &str) {
        if let Some(log) = &mut self.events {
            log.put(&format!("{:22}{text}\n", ""));
        }
    }

    /// The screen was refreshed.
    pub fn refreshed(&mut self, rates: &Rates, at: Offset, bad_areas: u64, bad_bytes: u64) {
        let secs = rates.run_secs();
        if self.rated.is_some_and(|rated| secs <= rated) {
            return;
        }
        self.rated = Some(secs);
        if let Some(log) = &mut self.rates {
            let (current, average) = (rates.current(), rates.average());
            log.put(&format!("{secs:2}  {at}  {current:8}  {average:8}  {bad_areas:7}  {bad_bytes:8}\n"));
            log.flush();
        }
    }

    /// A second began between reads.
    pub fn second(&mut self, secs: u64) {
        if let Some(log) = &mut self.reads {
            log.put(&format!("# {}\n", number::log_duration(secs)));
            log.flush();
        }
    }

    /// Reads were made.
    pub fn tried(&mut self, tried: &Tried<'_>) {
        let Some(log) = &mut self.reads else { return };
        self.has_reads = true;
        if tried.failed > 0 || tried.copied < tried.range.length() {
            log.read(tried.range, tried.copied, tried.failed, tried.errno);
        } else {
            tried.reads().for_each(|read| log.read(read, read.length(), 0, None));
        }
    }

    /// The run ends.
    pub fn close(mut self, secs: u64, rescued: &str, position: Position, now: Nanos, verbosity: i32) {
        if let Some(log) = &mut self.events {
            let (time, Position { at, phase, .. }) = (number::log_duration(secs), position);
            log.put(&format!("{time:>14}  {rescued}  End of run ({at}  {})\n", phase.name()));
        }
        for log in [self.events, self.rates, self.reads].into_iter().flatten() {
            log.close(now, verbosity);
        }
    }
}

/// How much is rescued, for the events log.
pub fn rescued(book: &engine::Book) -> String {
    number::percentage(book.bytes(Status::Finished), book.domain_bytes(), Decimals::TwoCut)
}

impl Log {
    fn open(path: &Path, kind: &'static str, options: &OpenOptions) -> Result<Log, Complaint> {
        let text = || format!("Can't open file for logging {kind}");
        let file = options.open(path).map_err(|error| Complaint::about(path, text()).because(&error))?;
        Ok(Log { kind, path: path.to_owned(), file: BufWriter::new(file), is_broken: false })
    }

    fn head(&mut self, headings: &Headings, kind: &str, columns: &str) {
        for line in headings.common(kind) {
            self.put(&format!("# {line}\n"));
        }
        self.put(columns);
    }

    fn read(&mut self, range: ByteRange, copied: u64, failed: u64, errno: Option<Errno>) {
        let errno = errno.filter(|errno| *errno != Errno::EIO);
        let errno = errno.map_or(String::new(), |errno| format!("\t{}", errno.0));
        self.put(&format!("{}\t{}\t{copied}\t{failed}{errno}\n", range.start(), range.length()));
    }

    fn put(&mut self, text: &str) {
        self.is_broken |= self.file.write_all(text.as_bytes()).is_err();
    }

    fn flush(&mut self) {
        self.is_broken |= self.file.flush().is_err();
    }

    fn close(mut self, now: Nanos, verbosity: i32) {
        self.put(&format!("# End time:     {}\n", number::timestamp(now)));
        self.flush();
        if self.is_broken && verbosity >= 0 {
            let text = format!("warning: error closing the {} logging file.", self.kind);
            Complaint::about(&self.path, text).print(PROGRAM, PROGRAM.as_ref());
        }
    }
}
