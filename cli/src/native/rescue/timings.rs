//! `--log-timings`: writes down what each read of a drive brought and how long it took, to bring the drive home as a
//! scenario.
//!
//! Owns the file and what of a rescue goes into it. Must not know the format: see [`block::timing_log`].

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use block::device::DeviceInfo;
use block::timing_log::{Entry, Header, Outcome, Writer};
use block::{Clock, Errno, Nanos};
use engine::{Direction, Event, Observer, Report, Tried};

use super::failure::Failure;

/// The log of a rescue.
pub(super) struct Timings {
    path: PathBuf,
    log: Writer<BufWriter<File>>,
    clock: Arc<dyn Clock + Send + Sync>,
    start: Nanos,
    /// The first thing that went wrong; nothing is written after it.
    broken: Option<io::Error>,
}

impl Timings {
    /// Begins a log in a new file. `clock` is the rescue's, or runs like it.
    pub(super) fn create(
        path: &Path,
        info: &DeviceInfo,
        clock: Arc<dyn Clock + Send + Sync>,
    ) -> Result<Timings, Failure> {
        let failure = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::usage(format!(
                "{}: already exists; a log of timings tells of one run: give each run a file of its own",
                path.display()
            )),
            _ => Failure::system(format!("{}: cannot write the log of timings: {error}", path.display())),
        };
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failure)?;
        let source =
            [info.model.clone(), info.serial.clone()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let header = Header {
            size: info.size,
            logical_sector: info.logical_sector,
            physical_sector: info.physical_sector,
            source: Some(source).filter(|source| !source.is_empty()),
        };
        let log = Writer::new(BufWriter::new(file), &header).map_err(failure)?;
        let start = clock.now();
        Ok(Timings { path: path.to_owned(), log, clock, start, broken: None })
    }

    /// Ends the log. Returns what to say if some of it is missing.
    pub(super) fn close(mut self) -> Option<String> {
        let error = self.broken.take().or_else(|| self.log.flush().err())?;
        Some(format!("{}: the log of timings is not complete: {error}", self.path.display()))
    }

    fn tried(&mut self, tried: &Tried<'_>) {
        let began = self.clock.now().since(self.start).nanoseconds().saturating_sub(tried.took.nanoseconds());
        let began = Nanos::new(began);
        let length = tried.range.length();
        let outcome = match (tried.copied, tried.failed) {
            (copied, 0) if copied == length => return self.rows(tried, began),
            (good, 0) => Outcome::End { good },
            // The log knows where the drive stopped, and not that it went on behind that.
            _ => Outcome::Failed { errno: tried.errno.unwrap_or(Errno::EIO), good: tried.leading },
        };
        self.put(Entry {
            began,
            at: tried.range.start(),
            unit: length,
            reads: 1,
            backwards: false,
            outcome,
            took: tried.took,
        });
    }

    /// Writes good reads: a line for as many equal ones as follow each other.
    fn rows(&mut self, tried: &Tried<'_>, began: Nanos) {
        let length = u128::from(tried.range.length().max(1));
        let mut row: Option<Entry> = None;
        let mut done = 0u128;
        // Where a read begins and ends in time is known of all together: each has its share by its bytes.
        let time_at =
            |bytes: u128| Nanos::new((u128::from(tried.took.nanoseconds()) * bytes / length) as u64);
        for read in tried.reads() {
            let before = done;
            done += u128::from(read.length());
            let took = time_at(done).since(time_at(before));
            match &mut row {
                Some(row) if row.unit == read.length() => {
                    row.reads += 1;
                    row.at = row.at.min(read.start());
                    row.took += took;
                }
                _ => {
                    let next = Entry {
                        began: began + time_at(before),
                        at: read.start(),
                        unit: read.length(),
                        reads: 1,
                        backwards: tried.direction == Direction::Backwards,
                        outcome: Outcome::Good,
                        took,
                    };
                    row.replace(next).into_iter().for_each(|row| self.put(row));
                }
            }
        }
        row.into_iter().for_each(|row| self.put(row));
    }

    fn put(&mut self, entry: Entry) {
        if self.broken.is_none() {
            self.broken = self.log.put(&entry).err();
        }
    }
}

impl Observer for Timings {
    fn on(&mut self, event: &Event<'_>, _: &Report<'_>) {
        match event {
            Event::Tried(tried) => self.tried(tried),
            Event::DeviceLost { at } => self.put(Entry {
                began: self.clock.now().since(self.start),
                at: *at,
                unit: 0,
                reads: 1,
                backwards: false,
                outcome: Outcome::Gone,
                took: Nanos::ZERO,
            }),
            // So that little is missing after a crash.
            Event::Saved if self.broken.is_none() => self.broken = self.log.flush().err(),
            _ => {}
        }
    }
}
