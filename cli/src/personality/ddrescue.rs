//! GNU ddrescue: rescues a failing disk.
//!
//! Owns the way from a command line to a run. Must not know how runs work.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::personality::ddrescue::job::{Job, Operation, Refusal, Wish};
use crate::personality::{Complaint, arguments};

mod about;
mod area;
mod command;
pub mod dialect;
mod fill;
mod generate;
pub(crate) mod job;
pub(crate) mod logs;
mod operator;
pub(crate) mod screen;
pub(crate) mod session;
pub(crate) mod signals;
pub(crate) mod start;
mod subsectors;
pub(crate) mod watch;
pub(crate) mod words;

pub use dialect::DIALECT;

/// The name under which it complains, whatever it was called by.
const PROGRAM: &str = "ddrescue";

/// Runs it with its whole command line.
pub fn run(words: Vec<OsString>) -> ExitCode {
    let argv0 = words.first().cloned().unwrap_or_default();
    let job = match understand(&words) {
        Ok(Wish::Help) => return print(&DIALECT.help(&argv0.to_string_lossy())),
        Ok(Wish::Version) => return print(&version()),
        Ok(Wish::Work(job)) => job,
        Err(refusal) => return stop(&refusal.complaint, refusal.verbosity, &argv0),
    };
    match work(&job) {
        Ok(code) => code,
        Err(complaint) => stop(&complaint, job.verbosity, &argv0),
    }
}

/// Returns the complaint about a whole command line, if there is one, without acting on it.
pub fn check(words: &[OsString]) -> Result<(), Complaint> {
    understand(words).map(drop).map_err(|refusal| refusal.complaint)
}

/// The whole command line is parsed before any of it is evaluated, so that no `-q` silences what is wrong with it.
fn understand(words: &[OsString]) -> Result<Wish, Refusal> {
    let line = arguments::parse(DIALECT.options, words.iter().skip(1).cloned())
        .map_err(|error| Refusal { complaint: Complaint::usage(error.to_string()), verbosity: 0 })?;
    job::evaluate(words, &line.options, &line.names)
}

fn work(job: &Job) -> Result<ExitCode, Complaint> {
    match &job.operation {
        Operation::Rescue | Operation::Command => session::run(job),
        Operation::Fill { .. } => fill::run(job),
        Operation::Generate => generate::run(job),
    }
}

fn stop(complaint: &Complaint, verbosity: i32, argv0: &OsString) -> ExitCode {
    if verbosity >= 0 {
        complaint.print(PROGRAM, argv0);
    }
    ExitCode::from(complaint.status)
}

fn version() -> String {
    format!(
        "{}\nLicense MIT or Apache-2.0, at your choice.\n\
         This is free software: you are free to change and redistribute it.\n\
         There is NO WARRANTY, to the extent permitted by law.\n",
        words::program()
    )
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
