//! GNU ddrescuelog: what can be done with a mapfile alone.
//!
//! Owns the way from its command line to its exit status. Must not know how maps are kept or compared.

use std::ffi::OsString;
use std::process::ExitCode;

use super::Complaint;

mod dialect;
mod operations;
mod output;
mod status;

pub use dialect::DIALECT;
use dialect::{Evaluated, Job};

/// Its name in messages, whatever it was called by.
const PROGRAM: &str = "ddrescuelog";
/// The original, in banners and comments.
const ORIGINAL: &str = "GNU ddrescuelog 1.29";

/// Runs it with its whole command line.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let argv0 = arguments.first().cloned().unwrap_or_else(|| PROGRAM.into());
    let words = arguments.iter().skip(1).cloned();
    let line = match super::arguments::parse(DIALECT.options, words) {
        Ok(line) => line,
        Err(error) => {
            Complaint::usage(error.to_string()).print(PROGRAM, &argv0);
            return ExitCode::FAILURE;
        }
    };
    let mut job = Job::default();
    let outcome = match job.evaluate(line) {
        Ok(Evaluated::Help) => output::help(&argv0),
        Ok(Evaluated::Version) => output::version(),
        Ok(Evaluated::Operation(operation)) => operations::perform(&job, operation, &arguments),
        Err(complaint) => Err(complaint),
    };
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(complaint) => {
            job.complain(&complaint, &argv0);
            ExitCode::from(complaint.status)
        }
    }
}

/// Returns the complaint about a whole command line, if there is one, without acting on it.
pub fn check(words: &[OsString]) -> Result<(), Complaint> {
    let line = super::arguments::parse(DIALECT.options, words.iter().skip(1).cloned())
        .map_err(|error| Complaint::usage(error.to_string()))?;
    Job::default().evaluate(line).map(drop)
}
