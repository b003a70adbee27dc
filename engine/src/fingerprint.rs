//! One number for everything that happened in a rescue.
//!
//! Owns the canonical form of reads and map changes. Must not know where bytes come from.
//!
//! Reads are hashed as canonical rows: the longest rows of adjoining reads of one size in one direction with one outcome,
//! with the time at which the first began and the last ended. So the number does not depend on how the loop joined
//! them, nor on paths, threads or terminals.

use std::sync::Arc;

use block::{ByteRange, Clock, Errno, Nanos};
use sha2::{Digest, Sha256};

use crate::{Book, Direction, Event, Observer, Report, Tried};

/// Listens to a rescue and hashes it.
pub struct Fingerprint {
    hash: Sha256,
    clock: Arc<dyn Clock + Send + Sync>,
    row: Option<Row>,
}

/// A row of equal reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    range: ByteRange,
    unit: u64,
    direction: Direction,
    outcome: Outcome,
    began: Nanos,
    ended: Nanos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Good,
    Failed(Option<Errno>),
    /// So many bytes came; never part of a longer row.
    Partly(u64, Option<Errno>),
}

impl Fingerprint {
    /// Begins with what the rescue is about: whatever `subject` holds makes another number. `clock` is the rescue's.
    pub fn new(subject: &[u8], clock: Arc<dyn Clock + Send + Sync>) -> Fingerprint {
        let mut hash = Sha256::new();
        hash.update((subject.len() as u64).to_le_bytes());
        hash.update(subject);
        Fingerprint { hash, clock, row: None }
    }

    /// Ends with the map as it is; returns 64 hexadecimal digits.
    pub fn finish(mut self, book: &Book) -> String {
        self.flush();
        // Where equal blocks are split is the map's own affair.
        let mut status = None;
        for block in book.map().blocks() {
            if status.replace(block.status) != Some(block.status) {
                self.record(b'=', &[block.range.start().bytes(), block.status as u64]);
            }
        }
        self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn tried(&mut self, tried: &Tried<'_>) {
        let ended = self.clock.now();
        let began = Nanos::new(ended.nanoseconds().saturating_sub(tried.took.nanoseconds()));
        let outcome = match (tried.copied, tried.failed) {
            (copied, 0) if copied == tried.range.length() => Outcome::Good,
            (0, failed) if failed == tried.range.length() => Outcome::Failed(tried.errno),
            (copied, _) => Outcome::Partly(copied, tried.errno),
        };
        let (range, unit, direction) = (tried.range, tried.unit, tried.direction);
        let next = Row { range, unit, direction, outcome, began, ended };
        match &mut self.row {
            Some(row) if row.goes_on_with(&next) => {
                let start = row.range.start().min(range.start());
                row.range = ByteRange::between(start, row.range.end().max(range.end()));
                row.ended = ended;
            }
            _ => {
                self.flush();
                self.row = Some(next);
            }
        }
    }

    fn flush(&mut self) {
        let Some(row) = self.row.take() else { return };
        let (kind, copied, errno) = match row.outcome {
            Outcome::Good => (0, 0, None),
            Outcome::Failed(errno) => (1, 0, errno),
            Outcome::Partly(copied, errno) => (2, copied, errno),
        };
        let errno = errno.map_or(0, |errno| errno.0 as u64);
        let (start, end) = (row.range.start().bytes(), row.range.end().bytes());
        let (began, ended) = (row.began.nanoseconds(), row.ended.nanoseconds());
        let backwards = u64::from(row.direction == Direction::Backwards);
        self.record(b'r', &[start, end, row.unit, backwards, kind, copied, errno, began, ended]);
    }

    fn record(&mut self, kind: u8, numbers: &[u64]) {
        self.hash.update([kind]);
        numbers.iter().for_each(|number| self.hash.update(number.to_le_bytes()));
    }
}

impl Row {
    fn goes_on_with(&self, next: &Row) -> bool {
        let adjoins = match self.direction {
            Direction::Forwards => self.range.end() == next.range.start(),
            Direction::Backwards => self.range.start() == next.range.end(),
        };
        adjoins
            && self.direction == next.direction
            && self.unit == next.unit
            && self.outcome == next.outcome
            && !matches!(self.outcome, Outcome::Partly(..))
    }
}

impl Observer for Fingerprint {
    fn on(&mut self, event: &Event<'_>, _: &Report<'_>) {
        match event {
            Event::Tried(tried) => self.tried(tried),
            Event::Marked { range, status } => {
                self.flush();
                self.record(b'm', &[range.start().bytes(), range.end().bytes(), *status as u64]);
            }
            Event::Recovered(measure) => {
                self.flush();
                // By its name, which does not change when there are more of them.
                self.hash.update(format!("!{measure:?};"));
            }
            Event::EndFound(at) => {
                self.flush();
                self.record(b'e', &[at.bytes()]);
            }
            _ => {}
        }
    }
}
