//! The names of other tools that this program answers to, each with that tool's own command line.
//!
//! Owns which name leads where, and how a failure is told in those tools' manner. Must not know what a command does.
//! A tool is one folder in `personality/` and one line in [`find`].

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::process::ExitCode;

use block::Errno;

pub mod arguments;
pub mod ddrescue;
pub mod ddrescuelog;
pub mod mapfiles;
pub mod number;

/// Runs a tool with its whole command line, its own name included.
pub type Run = fn(Vec<OsString>) -> ExitCode;

/// The tool that answers to `name`, the base name of the command.
pub fn find(name: &OsStr) -> Option<Run> {
    match name.to_str()? {
        "ddrescue" => Some(ddrescue::run),
        "ddrescuelog" => Some(ddrescuelog::run),
        _ => None,
    }
}

/// Why a tool stops, in words it will print as `PROG: FILE: text: cause`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The file it is about.
    pub file: Option<String>,
    /// What is wrong.
    pub text: String,
    /// What the system said.
    pub cause: Option<Errno>,
    /// Exit status.
    pub status: u8,
    /// Whether to point to `--help`.
    pub hint: Hint,
}

/// Whether a complaint points to `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// It does not.
    None,
    /// `Try 'ARGV0 --help' for more information.`
    Help,
}

impl Complaint {
    /// Something is wrong that has to do with no file.
    pub fn new(text: impl Into<String>) -> Complaint {
        Complaint { file: None, text: text.into(), cause: None, status: 1, hint: Hint::None }
    }

    /// The command line is wrong.
    pub fn usage(text: impl Into<String>) -> Complaint {
        Complaint { hint: Hint::Help, ..Complaint::new(text) }
    }

    /// Something is wrong with `file`.
    pub fn about(file: impl AsRef<OsStr>, text: impl Into<String>) -> Complaint {
        let file = file.as_ref().to_string_lossy().into_owned();
        Complaint { file: Some(file), ..Complaint::new(text) }
    }

    /// Adds what the system said.
    pub fn because(self, error: &io::Error) -> Complaint {
        Complaint { cause: Some(Errno::of(error)), ..self }
    }

    /// Changes the exit status.
    pub fn with_status(self, status: u8) -> Complaint {
        Complaint { status, ..self }
    }

    /// Which file, what is wrong, and what the system said.
    pub fn message(&self) -> String {
        let file = self.file.as_ref().map_or(String::new(), |file| format!("{file}: "));
        let cause = self.cause.map_or(String::new(), |cause| format!(": {cause}"));
        format!("{file}{}{cause}", self.text)
    }

    /// Prints it on standard error as the words of `program`, which was called as `argv0`.
    pub fn print(&self, program: &str, argv0: &OsStr) {
        let mut text = format!("{program}: {}\n", self.message());
        if self.hint == Hint::Help {
            text.push_str(&format!("Try '{} --help' for more information.\n", argv0.to_string_lossy()));
        }
        // Nobody is left to be told when standard error is gone.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// The line under which a tool presents itself: `Diskwright 0.1.0 (compatible with GNU ddrescue 1.29)`.
pub fn banner(original: &str) -> String {
    format!("Diskwright {} (compatible with {original})", env!("CARGO_PKG_VERSION"))
}
