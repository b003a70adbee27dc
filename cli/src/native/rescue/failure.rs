//! Why a rescue does not begin, with the exit status that says so.
//!
//! Owns the exit statuses of the native commands. Must not know what led to them.

use std::error::Error;
use std::io::Write;

use super::checks::Refusal;
use crate::personality::{Complaint, Hint};

/// Everything in the domain is rescued.
pub const DONE: u8 = 0;
/// Finished, but data is missing.
pub const MISSING: u8 = 1;
/// Wrong use.
pub const USAGE: u8 = 2;
/// Stopped by a limit or a lost device; can be resumed.
pub const STOPPED: u8 = 3;
/// The destination, the map or the system failed.
pub const SYSTEM: u8 = 4;
/// A map that cannot be understood.
pub const BAD_INPUT: u8 = 5;

/// Why it does not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    text: String,
    status: u8,
}

impl Failure {
    /// Wrong use.
    pub fn usage(text: String) -> Failure {
        Failure { text, status: USAGE }
    }

    /// The system refuses.
    pub fn system(text: String) -> Failure {
        Failure { text, status: SYSTEM }
    }

    /// The drive is not there.
    pub fn lost(text: String) -> Failure {
        Failure { text, status: STOPPED }
    }

    /// A map cannot be understood.
    pub fn bad_input(text: String) -> Failure {
        Failure { text, status: BAD_INPUT }
    }

    /// The exit status.
    pub fn status(&self) -> u8 {
        self.status
    }

    /// Tells it and returns the exit status.
    pub fn report(&self, program: &str) -> u8 {
        // Nobody is left to be told when standard error is gone.
        let _ = writeln!(std::io::stderr(), "{program}: {}", self.text);
        self.status
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure::usage(refusal.to_string())
    }
}

/// A complaint in the words of ddrescue, with the exit status of a native command.
impl From<Complaint> for Failure {
    fn from(complaint: Complaint) -> Failure {
        let status = match (complaint.status, complaint.hint) {
            (0, _) => DONE,
            (2, _) => BAD_INPUT,
            (_, Hint::Help) => USAGE,
            _ => SYSTEM,
        };
        Failure { text: complaint.message(), status }
    }
}

/// An error and its causes in one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
