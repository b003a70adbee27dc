//! GNU ddrescuelog: what can be done with a mapfile alone.
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs it with its whole command line.
pub fn run(_arguments: Vec<OsString>) -> ExitCode {
    ExitCode::FAILURE
}
