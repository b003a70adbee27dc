//! What a rescue is doing just now, in plain words and numbers.
//!
//! Owns the digest of events that all of the native displays share. Must not know how it is shown.

use block::{Errno, Nanos};
use engine::{Event, Limit, Report, Stage};
use map::{Phase, Status};

use super::sameness::Sameness;
use super::slowdown::Slowdown;

/// A read this long means that drive or kernel retry for long.
pub const LONG_READ: Nanos = Nanos::from_secs(20);

/// Digest of a running rescue.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    /// The running pass.
    pub stage: Option<Stage>,
    /// What keeps the rescue from reading on, if anything does.
    pub trouble: Trouble,
    /// How long the last read took.
    pub last_read: Nanos,
    /// Longest read in this run.
    pub longest_read: Nanos,
    /// Bytes rescued in this run.
    pub rescued_now: u64,
    /// Bytes that were rescued before it.
    pub rescued_before: Option<u64>,
    /// Failed reads in this run.
    pub failed_reads: u64,
    /// Those of them that took too long.
    pub reads_left_behind: u64,
    /// Limits that were passed.
    pub limits: Vec<Limit>,
    /// Whether the drive has stayed slow since its last error.
    pub slowdown: Slowdown,
    /// Data that looks too much alike, since the first error.
    pub sameness: Sameness,
}

/// What keeps a rescue from reading on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// A read is not answered.
    Waiting {
        /// Where.
        at: u64,
        /// For how long.
        since: Nanos,
    },
    /// The device is gone.
    Lost,
    /// A pause that was asked for.
    Pause,
    /// Stopping, as asked for.
    Stopping,
}

impl Tracker {
    /// Takes note of an event.
    pub fn on(&mut self, event: &Event<'_>, report: &Report<'_>) {
        self.stage = report.stage;
        let rescued = report.book.bytes(Status::Finished);
        let before = *self.rescued_before.get_or_insert(rescued);
        match event {
            Event::Tried(tried) => {
                self.trouble = Trouble::None;
                // Of reads that were answered in a row only the mean is known.
                let reads = if tried.data.is_empty() { tried.range.length().div_ceil(tried.unit) } else { 1 };
                let took = Nanos::new(tried.took.nanoseconds() / reads.max(1));
                self.last_read = took;
                self.longest_read = self.longest_read.max(took);
                // Not what the read brought: some strategies read again what they have.
                self.rescued_now = rescued.saturating_sub(before);
                if self.failed_reads > 0 {
                    self.sameness.look_at(tried.range.start(), tried.data);
                }
                if tried.failed > 0 {
                    self.failed_reads += 1;
                    self.reads_left_behind += u64::from(tried.errno == Some(Errno::ETIMEDOUT));
                }
                let rates = report.rates;
                self.slowdown.note(rates.now(), report.position.phase, rates.current(), self.failed_reads);
            }
            Event::Waiting { range, since } => {
                self.trouble = Trouble::Waiting { at: range.start().bytes(), since: *since };
            }
            Event::DeviceLost { .. } => self.trouble = Trouble::Lost,
            Event::DeviceFound => self.trouble = Trouble::None,
            Event::PauseBegins => self.trouble = Trouble::Pause,
            Event::Interrupted => self.trouble = Trouble::Stopping,
            Event::LimitPassed(limit) => self.limits.push(*limit),
            _ => {}
        }
    }
}

/// What a pass does and why, in a few words.
pub fn words_for(stage: Option<Stage>) -> String {
    let Some(stage) = stage else { return "getting ready".into() };
    match (stage.phase, stage.pass) {
        (Phase::Copying, 1) => {
            "reading what nobody has tried yet, and jumping away from damage: easy parts first".into()
        }
        (Phase::Copying, 2) => "coming back from the other side to what was jumped over".into(),
        (Phase::Copying, 3) => "reading on from the end of good areas until something fails".into(),
        (Phase::Copying, 4) => "reading back from the start of good areas until something fails".into(),
        (Phase::Copying, _) => "reading everything that is left untried, without jumping".into(),
        (Phase::Trimming, _) => "finding the edges of failed areas, sector by sector".into(),
        (Phase::Scraping, _) => "reading the inside of failed areas, sector by sector".into(),
        (Phase::Retrying, _) => format!("trying every bad sector again, round {}", stage.round),
        (Phase::Filling, _) => "writing over chosen areas".into(),
        (Phase::Generating, _) => "guessing a map".into(),
        (Phase::Finished, _) => "done".into(),
    }
}

/// The field's name of a pass: `copying 1/5`, `trimming` …
pub fn name_of(stage: Option<Stage>) -> String {
    match stage {
        None => "starting".into(),
        Some(stage) if stage.phase == Phase::Copying => format!("copying {}/5", stage.pass),
        Some(stage) if stage.phase == Phase::Retrying => format!("retrying {}", stage.round),
        Some(stage) => stage.phase.name().into(),
    }
}

/// Bytes that this run will still try, if it is not to retry for ever.
pub fn left_to_try(report: &Report<'_>, retries: bool) -> u64 {
    let book = report.book;
    let bad = if retries { book.bytes(Status::BadSector) } else { 0 };
    book.bytes(Status::NonTried) + book.bytes(Status::NonTrimmed) + book.bytes(Status::NonScraped) + bad
}

/// Remaining time as a range in seconds, from the fastest and the slowest of the last seconds. Bytes that already
/// failed once are taken to be a hundred times slower, as they are on most drives.
pub fn remaining_range(report: &Report<'_>) -> Option<(u64, Option<u64>)> {
    let (slowest, fastest) = report.rates.sample_bounds()?;
    let untried = report.book.bytes(Status::NonTried);
    let failed = report.book.bytes(Status::NonTrimmed) + report.book.bytes(Status::NonScraped);
    if fastest == 0 {
        return None;
    }
    let is_copying = report.stage.is_some_and(|stage| stage.phase == Phase::Copying);
    let weight = if is_copying { 100 } else { 1 };
    let least = (untried + failed).div_ceil(fastest);
    let most = (slowest > 0).then(|| (untried + failed * weight).div_ceil(slowest));
    Some((least, most))
}
