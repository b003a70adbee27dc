//! Progress as JSON Lines on standard output.
//!
//! Owns the shape of each line. Byte counts are integers, which may exceed 2^53. Must not know terminals.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use block::{Clock, Nanos, WallClock};
use engine::{Event, Observer, Report};
use map::Status;
use serde_json::{Value, json};

use super::tracker::{self, Tracker};

/// Lines of progress are never closer to each other.
const PROGRESS_INTERVAL: Nanos = Nanos::from_millis(200);

/// Writes events as lines.
pub struct Json {
    tracker: Tracker,
    last_progress: Option<u64>,
    /// Real time: a simulated second may pass in no time.
    clock: WallClock,
    progress_written: Nanos,
}

impl Json {
    /// Makes an observer that writes lines.
    pub fn new() -> Json {
        Json {
            tracker: Tracker::default(),
            last_progress: None,
            clock: WallClock::new(),
            progress_written: Nanos::ZERO,
        }
    }
}

impl Default for Json {
    fn default() -> Json {
        Json::new()
    }
}

/// Whether the first line has been written.
static HAS_BEGUN: AtomicBool = AtomicBool::new(false);

/// Writes the first and the last line of a rescue that does not begin, or the last one of one that cannot be concluded.
pub fn write_failure(error: &str, exit: u8) {
    if !HAS_BEGUN.load(Ordering::Relaxed) {
        write(&json!({ "event": "start", "version": env!("CARGO_PKG_VERSION") }));
    }
    write(&json!({
        "event": "end",
        "rescued_bytes": 0,
        "failed_reads": 0,
        "ending": "not-begun",
        "error": error,
        "exit": exit,
    }));
}

/// Writes one line. A closed standard output does not stop a rescue.
pub fn write(line: &Value) {
    HAS_BEGUN.store(true, Ordering::Relaxed);
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn state(event: &str, report: &Report<'_>) -> Value {
    let book = report.book;
    json!({
        "event": event,
        "run_secs": report.rates.run_secs(),
        "phase": report.position.phase.name(),
        "pass": report.position.pass,
        "position": report.position.at.bytes(),
        "domain_bytes": book.domain_bytes(),
        "rescued_bytes": book.bytes(Status::Finished),
        "non_tried_bytes": book.bytes(Status::NonTried),
        "non_trimmed_bytes": book.bytes(Status::NonTrimmed),
        "non_scraped_bytes": book.bytes(Status::NonScraped),
        "bad_sector_bytes": book.bytes(Status::BadSector),
        "bad_areas": book.bad_areas(),
        "failed_reads": report.rates.read_errors(),
        "current_rate": report.rates.current(),
        "average_rate": report.rates.average(),
        "since_success_secs": report.rates.since_success(),
    })
}

impl Observer for Json {
    fn on(&mut self, event: &Event<'_>, report: &Report<'_>) {
        self.tracker.on(event, report);
        let second = report.rates.run_secs();
        let line = match event {
            Event::PassBegins(stage) => {
                let mut line = state("pass", report);
                line["doing"] = tracker::words_for(Some(*stage)).into();
                line
            }
            Event::Waiting { range, since } => {
                let mut line = state("waiting", report);
                line["at"] = range.start().bytes().into();
                line["waiting_secs"] = since.whole_secs().into();
                if self.last_progress == Some(second) {
                    return;
                }
                self.last_progress = Some(second);
                line
            }
            Event::DeviceLost { at } => {
                let mut line = state("device-lost", report);
                line["at"] = at.bytes().into();
                line
            }
            Event::DeviceFound => state("device-found", report),
            Event::Saved => state("saved", report),
            Event::LimitPassed(_) => state("limit", report),
            Event::Interrupted => state("interrupted", report),
            Event::EndFound(at) => {
                let mut line = state("end-found", report);
                line["at"] = at.bytes().into();
                line
            }
            Event::Reading { .. } if self.last_progress.is_none_or(|last| second > last) => {
                let now = self.clock.now();
                if now.since(self.progress_written) < PROGRESS_INTERVAL {
                    return;
                }
                self.progress_written = now;
                self.last_progress = Some(second);
                let mut line = state("progress", report);
                let ms = |time: Nanos| time.nanoseconds() / 1_000_000;
                line["last_read_ms"] = ms(self.tracker.last_read).into();
                line["slow_since_error"] = self.tracker.slowdown.is_lasting().into();
                line["longest_read_ms"] = ms(self.tracker.longest_read).into();
                line
            }
            _ => return,
        };
        write(&line);
    }
}
