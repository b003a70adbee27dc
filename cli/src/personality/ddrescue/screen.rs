//! The screen of a running rescue.
//!
//! Owns the layout of 1.29: data preview and six lines of numbers. Must not know when it is refreshed.

use std::collections::VecDeque;
use std::fmt::Write as _;

use block::Offset;
use engine::{Report, Stage, Tried};
use map::{Phase, Status};

use crate::personality::ddrescue::job::Job;
use crate::personality::number::{self, Decimals, Precision, Prefixes};

/// Bytes in a line of the data preview.
const PREVIEW_COLUMNS: usize = 16;
/// Columns of such a line.
const PREVIEW_WIDTH: usize = 78;

/// What the screen shows besides the engine's report.
#[derive(Debug)]
pub struct Screen {
    prefixes: Prefixes,
    shift: i64,
    counts_slow_reads: bool,
    passes: [bool; 5],
    retries: Option<u32>,
    started: u64,
    /// The current rate at each refresh of this pass but the first.
    samples: VecDeque<u64>,
    preview: Vec<u8>,
    preview_lines: usize,
    /// Where the preview's data was read; `None`: there is none.
    preview_at: Option<Offset>,
}

/// When the screen is refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// For the first time in a pass.
    First,
    /// In the middle of one, or at its end.
    Later,
}

/// Whether the run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It does, or was stopped.
    Running,
    /// It came to its end.
    Finished,
}

/// Rates that the remaining time is guessed from.
const SAMPLES_MAX: usize = 30;

impl Screen {
    /// Makes the screen of a run that starts at second `started`.
    pub fn new(job: &Job, started: u64) -> Screen {
        Screen {
            prefixes: job.prefixes,
            shift: job.shift(),
            counts_slow_reads: job.min_read_rate.is_some(),
            passes: job.passes,
            retries: job.retries,
            started,
            samples: VecDeque::new(),
            preview: vec![0; job.preview_lines * PREVIEW_COLUMNS],
            preview_lines: job.preview_lines,
            preview_at: None,
        }
    }

    /// Lines that the screen takes.
    pub fn height(&self) -> usize {
        6 + if self.preview_lines > 0 { self.preview_lines + 2 } else { 0 }
    }

    /// Whether the options allow another pass of the same phase.
    pub fn has_pass_after(&self, stage: Stage) -> bool {
        match stage.phase {
            Phase::Copying => self.passes.iter().skip(stage.pass as usize).any(|pass| *pass),
            Phase::Retrying => self.retries.is_none_or(|retries| stage.round < retries),
            _ => false,
        }
    }

    /// Takes note of data for the preview.
    pub fn keep(&mut self, tried: &Tried<'_>) {
        if self.preview_lines == 0 {
            return;
        }
        let Some(last) = tried.reads().last().filter(|_| tried.failed == 0 || tried.copied > 0) else {
            return;
        };
        let from = (last.start() - tried.range.start()) as usize;
        if tried.failed > 0 && tried.copied == 0 {
            self.preview_at = None;
            return;
        }
        self.preview_at = Some(last.start());
        // Holes are not read; they are zeros.
        self.preview.fill(0);
        if let Some(data) = tried.data.get(from..) {
            let length = data.len().min(self.preview.len());
            self.preview[..length].copy_from_slice(&data[..length]);
        }
    }

    /// Takes note that the last read brought nothing.
    pub fn forget(&mut self) {
        self.preview_at = None;
    }

    /// All lines.
    pub fn lines(&mut self, report: &Report<'_>, at: Offset, moment: Moment, state: State) -> String {
        self.sample(report.rates.current(), moment);
        let mut text = String::new();
        self.push_preview(&mut text);
        let (book, rates) = (report.book, report.rates);
        let size = |bytes: u64| number::size(bytes, self.prefixes);
        let of = |status: Status| size(book.bytes(status));
        let rate = |rate: u64| number::rate(rate, self.prefixes);
        // Before the first read this may lie before the start of outfile.
        let out_at =
            number::scaled((at.bytes() as i64).saturating_add(self.shift), number::SIZE_LIMIT, self.prefixes);
        let high = |secs: u64| number::duration(i64::try_from(secs).unwrap_or(i64::MAX), Precision::High);
        let remaining = self.remaining(report).unwrap_or_else(|| "n/a".to_owned());
        // Within the first second nobody can tell whether a read was successful after the start.
        let since = rates.since_success().filter(|since| rates.now().saturating_sub(*since) > self.started);
        let since = since.filter(|_| state == State::Running).map_or("n/a".to_owned(), high);
        let slow = match self.counts_slow_reads {
            true => format!(" slow reads:{:9},", rates.slow_reads()),
            false => " ".repeat(22),
        };
        let rescued = number::percentage(book.bytes(Status::Finished), book.domain_bytes(), Decimals::TwoCut);
        let lines = [
            format!(
                "     ipos: {:>9}B, non-trimmed: {:>9}B,   current rate: {:>8}B/s",
                size(at.bytes()),
                of(Status::NonTrimmed),
                rate(rates.current())
            ),
            format!(
                "     opos: {:>9}B, non-scraped: {:>9}B,   average rate: {:>8}B/s",
                out_at,
                of(Status::NonScraped),
                rate(rates.average())
            ),
            format!(
                "non-tried: {:>9}B,  bad-sector: {:>9}B,     error rate: {:>8}B/s",
                of(Status::NonTried),
                of(Status::BadSector),
                rate(rates.error_rate())
            ),
            format!(
                "  rescued: {:>9}B,   bad areas:{:>11},       run time: {:>11}",
                of(Status::Finished),
                book.bad_areas(),
                high(rates.run_secs())
            ),
            format!(
                "pct rescued:  {rescued}, read errors:{:>11}, remaining time: {remaining:>11}",
                rates.read_errors()
            ),
            format!("{slow}         time since last successful read: {since:>11}"),
        ];
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    fn sample(&mut self, rate: u64, moment: Moment) {
        match moment {
            Moment::First => self.samples.clear(),
            Moment::Later => {
                self.samples.truncate(SAMPLES_MAX - 1);
                self.samples.push_front(rate);
            }
        }
    }

    fn remaining(&self, report: &Report<'_>) -> Option<String> {
        const LOW_PRECISION_SECS: u64 = 180;
        let book = report.book;
        if book.domain().span().is_some_and(|span| span.end() == Offset::MAX) {
            return None;
        }
        let mean = self.samples.iter().sum::<u64>().checked_div(self.samples.len() as u64).unwrap_or(0);
        let bad = if self.retries != Some(0) { book.bytes(Status::BadSector) } else { 0 };
        let left = [Status::NonTried, Status::NonTrimmed, Status::NonScraped].map(|s| book.bytes(s));
        let bytes = left.iter().sum::<u64>() + bad;
        let secs = bytes.div_ceil(Some(mean).filter(|mean| *mean > 0)?);
        let precision = if secs >= LOW_PRECISION_SECS { Precision::Low } else { Precision::High };
        Some(number::duration(i64::try_from(secs).ok()?, precision))
    }

    fn push_preview(&self, text: &mut String) {
        if self.preview_lines == 0 {
            return;
        }
        text.push_str("Data preview:\n");
        match self.preview_at {
            None => {
                for line in 0..self.preview_lines {
                    let is_middle = line == (self.preview_lines - 1) / 2;
                    let note = if is_middle { "No data available" } else { "" };
                    let _ = writeln!(text, "{:28}{note:w$}", "", w = PREVIEW_WIDTH - 28);
                }
            }
            Some(at) => {
                for (line, bytes) in self.preview.chunks(PREVIEW_COLUMNS).enumerate() {
                    let place = (at + (line * PREVIEW_COLUMNS) as u64).bytes() & 0xFF_FFFF_FFFF;
                    let _ = write!(text, "{place:010X} ");
                    for (column, byte) in bytes.iter().enumerate() {
                        let gap = if column == PREVIEW_COLUMNS / 2 { " " } else { "" };
                        let _ = write!(text, "{gap} {byte:02X}");
                    }
                    text.push_str("  ");
                    let is_shown = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
                    text.extend(bytes.iter().map(|b| if is_shown(b) { *b as char } else { '.' }));
                    text.push('\n');
                }
            }
        }
        text.push('\n');
    }
}
