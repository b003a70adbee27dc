//! Fill mode.
use crate::personality::Complaint;
use crate::personality::ddrescue::job::Job;
use std::process::ExitCode;
/// Runs it.
pub fn run(_: &Job) -> Result<ExitCode, Complaint> {
    Ok(ExitCode::FAILURE)
}
