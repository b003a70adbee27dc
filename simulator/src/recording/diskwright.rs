//! What `diskwright rescue --log-timings` writes.
//!
//! Owns how its lines become records. Must not know the format: see [`block::timing_log`].

use block::timing_log::{Outcome, TimingLog};
use block::{Errno, Nanos};

use super::{Failure, Record, Recording, RecordingError};
use crate::law::ErrorClass;

pub(super) fn parse(text: &str) -> Result<Recording, RecordingError> {
    let log = TimingLog::parse(text).map_err(|e| RecordingError::at(e.line, e.reason))?;
    let mut records = Vec::new();
    for entry in log.entries {
        let failed = match entry.outcome {
            Outcome::Good => None,
            Outcome::Failed { errno, good } => Some(Failure { class: class(errno), good }),
            // Neither says anything about the medium.
            Outcome::End { .. } | Outcome::Gone => continue,
        };
        records.push(Record {
            began: Some(entry.began),
            at: entry.at.bytes(),
            unit: entry.unit,
            reads: entry.reads,
            backwards: entry.backwards,
            failed,
            took: Some(Nanos::new(entry.took.nanoseconds() / entry.reads)),
        });
    }
    let header = log.header;
    let smallest = records.iter().map(|record| record.unit).min().unwrap_or(512);
    let sector = |bytes: u32| (bytes > 0).then_some(u64::from(bytes));
    Ok(Recording {
        size: header.size,
        block: sector(header.logical_sector).unwrap_or(smallest),
        physical: sector(header.physical_sector),
        records,
        cut_line: log.cut_line,
        ..Recording::default()
    })
}

/// What a drive called an error that the system called so.
fn class(errno: Errno) -> ErrorClass {
    match errno {
        Errno::ENODATA => ErrorClass::Uncorrectable,
        Errno::EILSEQ => ErrorClass::LinkChecksum,
        _ => ErrorClass::Aborted,
    }
}
