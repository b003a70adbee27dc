//! Progress as a plain line now and then, for logs and pipes.
//!
//! Owns the line and when it is due. Must not know terminals.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use block::{Clock, Nanos, WallClock};
use engine::{Event, Observer, Report};
use map::Status;

use super::tracker::{self, Tracker, Trouble};
use crate::personality::number::{Precision, Prefixes, duration, rate, size};

/// Seconds between two lines.
const INTERVAL_SECS: u64 = 10;

/// Lines are never closer to each other than this in real time, but at a new pass.
const REAL_INTERVAL: Nanos = Nanos::from_secs(1);

/// A read this long is worth telling.
const TOLD_READ: Nanos = Nanos::from_secs(1);

/// Writes lines to standard error.
pub struct Plain {
    tracker: Tracker,
    prefixes: Prefixes,
    written_at: Option<u64>,
    trouble_told: Trouble,
    /// Set from outside (SIGUSR1): a line is wanted now.
    wanted: Arc<AtomicBool>,
    /// Whether it was told that the drive stays slow.
    slowdown_told: bool,
    /// Whether lines come by themselves, or only when wanted.
    habit: Habit,
    /// Real time: ten simulated seconds may pass in no time.
    clock: WallClock,
    written_really_at: Nanos,
}

/// When lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Now and then, and at every new pass.
    Regular,
    /// Only when somebody asks.
    Asked,
}

impl Plain {
    /// Makes an observer that writes lines.
    pub fn new(prefixes: Prefixes, wanted: Arc<AtomicBool>, habit: Habit) -> Plain {
        let (tracker, trouble_told) = (Tracker::default(), Trouble::None);
        Plain {
            tracker,
            prefixes,
            written_at: None,
            trouble_told,
            wanted,
            slowdown_told: false,
            habit,
            clock: WallClock::new(),
            written_really_at: Nanos::ZERO,
        }
    }

    fn write_line(&mut self, report: &Report<'_>) {
        self.written_at = Some(report.rates.run_secs());
        self.written_really_at = self.clock.now();
        // Nobody is left to be told when standard error is gone.
        let _ = writeln!(std::io::stderr(), "{}", line(&self.tracker, report, self.prefixes));
    }
}

impl Observer for Plain {
    fn on(&mut self, event: &Event<'_>, report: &Report<'_>) {
        self.tracker.on(event, report);
        if self.wanted.swap(false, Ordering::Relaxed) {
            self.write_line(report);
            return;
        }
        if self.habit == Habit::Asked {
            return;
        }
        if !self.slowdown_told && self.tracker.slowdown.is_lasting() {
            self.slowdown_told = true;
            let advice = "stop with Ctrl-C and go on with --reopen-on-error, which may wake it up";
            let _ = writeln!(std::io::stderr(), "The drive has stayed slow since its last error: {advice}.");
        }
        let is_trouble_new =
            std::mem::discriminant(&self.tracker.trouble) != std::mem::discriminant(&self.trouble_told);
        self.trouble_told = self.tracker.trouble;
        let now = report.rates.run_secs();
        let is_due = self.written_at.is_some_and(|at| now >= at + INTERVAL_SECS)
            && self.clock.now().since(self.written_really_at) >= REAL_INTERVAL;
        if is_due || is_trouble_new || matches!(event, Event::PassBegins(_)) {
            self.write_line(report);
        }
    }
}

/// One line of progress.
pub fn line(tracker: &Tracker, report: &Report<'_>, prefixes: Prefixes) -> String {
    let book = report.book;
    let total = book.domain_bytes();
    let percent = if total == 0 { 100.0 } else { book.bytes(Status::Finished) as f64 * 100.0 / total as f64 };
    let state = match tracker.trouble {
        Trouble::None if tracker.last_read >= TOLD_READ => {
            let secs = tracker.last_read.nanoseconds() as f64 / 1e9;
            format!("{}; the last read took {secs:.1} s", tracker::words_for(report.stage))
        }
        Trouble::None => tracker::words_for(report.stage),
        Trouble::Waiting { at, since } => {
            format!("waiting for a read at {at} that has not been answered for {} s", since.whole_secs())
        }
        Trouble::Lost => "the device is gone; the map is saved; waiting for it to come back".into(),
        Trouble::Pause => "pausing, as asked for".into(),
        Trouble::Stopping => "stopping; the map is being saved".into(),
    };
    format!(
        "{:>9}  {:>12}  {percent:6.2}% rescued ({}B), {}B failed, {}B untried, {} bad areas, {}B/s: {state}",
        duration(report.rates.run_secs() as i64, Precision::High),
        tracker::name_of(report.stage),
        size(book.bytes(Status::Finished), prefixes),
        size(book.failed_bytes(), prefixes),
        size(book.bytes(Status::NonTried), prefixes),
        book.bad_areas(),
        rate(report.rates.current(), prefixes),
    )
}
