//! When a rescue has had enough.
//!
//! Owns the limits a user may set and the test whether one is passed. Must not know what is said about it.

use crate::{Book, Rates};

/// Limits; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bad areas in the domain.
    pub bad_areas_max: Option<u64>,
    /// Bytes of failed reads in the last second.
    pub error_rate_max: Option<u64>,
    /// Seconds without rescued data.
    pub idle_secs_max: Option<u64>,
    /// Failed reads.
    pub read_errors_max: Option<u64>,
    /// Slow reads.
    pub slow_reads_max: Option<u64>,
}

/// A limit that was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// More bad areas than allowed.
    BadAreas,
    /// More bytes of failed reads in a second than allowed.
    ErrorRate {
        /// Bytes per second.
        rate: u64,
    },
    /// Longer without data than allowed.
    Idle,
    /// More failed reads than allowed.
    ReadErrors,
    /// More slow reads than allowed.
    SlowReads,
}

impl Limits {
    /// Returns the limits that a read has just passed: these stop the run before anything else is done.
    pub fn passed_by_reads(&self, rates: &Rates) -> Vec<Limit> {
        let over = self.read_errors_max.is_some_and(|limit| rates.read_errors() > limit);
        if over { vec![Limit::ReadErrors] } else { Vec::new() }
    }

    /// The same for a read that has just been judged slow.
    pub fn passed_by_slowness(&self, rates: &Rates) -> Vec<Limit> {
        let over = self.slow_reads_max.is_some_and(|limit| rates.slow_reads() > limit);
        if over { vec![Limit::SlowReads] } else { Vec::new() }
    }

    /// Returns every limit that is passed.
    pub fn passed(&self, book: &Book, rates: &Rates) -> Vec<Limit> {
        let over = |value: u64, limit: Option<u64>| limit.is_some_and(|limit| value > limit);
        let mut passed = Vec::new();
        if over(book.bad_areas(), self.bad_areas_max) {
            passed.push(Limit::BadAreas);
        }
        if over(rates.error_rate(), self.error_rate_max) {
            passed.push(Limit::ErrorRate { rate: rates.error_rate() });
        }
        if over(rates.idle_secs(), self.idle_secs_max) {
            passed.push(Limit::Idle);
        }
        if over(rates.read_errors(), self.read_errors_max) {
            passed.push(Limit::ReadErrors);
        }
        if over(rates.slow_reads(), self.slow_reads_max) {
            passed.push(Limit::SlowReads);
        }
        passed
    }
}
