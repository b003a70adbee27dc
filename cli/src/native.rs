//! Diskwright's own commands.
//!
//! Owns the list of commands, their exit statuses, and how their failures are told. Must not know what a command does.
//! A command is one file in `native/` and one line in [`Action`].

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use ::map::MapfileError;
use block::{Errno, SourceError};
use clap::{Parser, Subcommand};
use fuse_mount::{LoopError, MountError, PlaceError};
use simulator::scenario::ScenarioError;
use thiserror::Error;

pub mod attendance;
pub mod control;
pub mod disk;
pub mod disk_argument;
pub mod export;
pub mod gen_docs;
mod input;
pub mod map;
pub mod mount;
mod output;
mod picture;
pub mod rescue;
pub mod scenario;
pub mod serve;
pub mod served;

/// Rescue data from failing disks.
#[derive(Debug, Parser)]
#[command(name = "diskwright", version, about, long_about = None)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Look at maps of rescues, combine them, and turn them into lists of sectors and back
    #[command(subcommand)]
    Map(map::MapCommand),
    /// Read everything that can be read from a failing disk: good parts first, resumable at any moment
    #[command(disable_help_flag = true)]
    Rescue {
        /// See 'diskwright rescue --help'
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
    /// Tell a disk that is being served what happens to it: a reset, a broken head, gone from the bus
    Control(control::ControlCommand),
    /// Show a disk as a file, or as a block device, that fails as the disk does; until a signal comes
    Mount(mount::MountCommand),
    /// Write the damage of a simulated disk as it stands at a moment, for other tools
    Export(export::ExportOptions),
    /// Look at simulated disks and what happened to them, and write new ones
    #[command(subcommand)]
    Scenario(scenario::ScenarioCommand),
    /// Serve simulated disks, images and drives over the network: what is bad in them fails there as it does here
    Serve(serve::ServeOptions),
    /// Write the manual pages and the shell completions of every name this program answers to
    #[command(hide = true)]
    GenDocs {
        /// Gets the folders man and completions
        folder: PathBuf,
        /// Gets schema.json, the JSON schema of scenarios
        scenarios: Option<PathBuf>,
    },
}

/// Runs a command with its whole command line.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments.iter()) {
        Ok(cli) => cli,
        Err(told) => return tell(&told),
    };
    let result = match cli.action {
        // Its options come from ddrescue's table: see `rescue::dialect`.
        Action::Rescue { .. } => return rescue::run(arguments),
        Action::GenDocs { folder, scenarios } => {
            let failed = |path: PathBuf, e| output::failed("write generated files into it", &path, &e);
            let written = gen_docs::write(&folder).map_err(|e| failed(folder, e));
            let schema = |folder: PathBuf| gen_docs::write_schema(&folder).map_err(|e| failed(folder, e));
            written.and_then(|()| scenarios.map_or(Ok(()), schema)).map(|()| 0)
        }
        Action::Control(command) => control::run(&command),
        Action::Map(command) => map::run(command, &arguments),
        Action::Mount(command) => mount::run(&command),
        Action::Export(options) => export::run(options),
        Action::Scenario(command) => scenario::run(command),
        Action::Serve(options) => serve::run(&options),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            failure.tell();
            ExitCode::from(failure.status())
        }
    }
}

/// Prints the help or version that was asked for, or what is wrong with the command line.
fn tell(told: &clap::Error) -> ExitCode {
    let printed = told.print().and_then(|()| std::io::stdout().flush());
    match printed {
        // A closed pipe is the reader's choice, and nobody is left to be told when standard error is gone.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe && !told.use_stderr() => {
            let _ = writeln!(anstream::stderr(), "diskwright: cannot write to standard output: {error}");
            ExitCode::from(4)
        }
        _ => ExitCode::from(told.exit_code() as u8),
    }
}

/// Why a command cannot do what it should.
#[derive(Debug, Error)]
pub enum Failure {
    /// The command line makes no sense in a way that only shows later. Exit status 2.
    #[error("{0}")]
    Usage(String),
    /// The system refuses something. Exit status 4.
    #[error("{}: cannot {action}", path.display())]
    System {
        /// What was being done, as in "cannot read it".
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        #[source]
        errno: Errno,
    },
    /// Somebody else refuses, or is not there. Exit status 4.
    #[error("{0}")]
    Refused(String),
    /// A map cannot be understood. Exit status 5.
    #[error("{}: not a map that can be used", path.display())]
    BadMap {
        /// Its name.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        error: MapfileError,
    },
    /// A scenario cannot be used. Exit status 5.
    #[error(transparent)]
    BadScenario(#[from] ScenarioError),
    /// A disk cannot be opened. Exit status 4.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A disk cannot be shown over a file. Exit status 4.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A disk cannot be mounted. Exit status 4.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// There is no loop device. Exit status 4.
    #[error(transparent)]
    Loop(#[from] LoopError),
    /// Other input cannot be understood. Exit status 5.
    #[error("{}: {text}", path.display())]
    BadInput {
        /// Its name.
        path: PathBuf,
        /// What is wrong, where, and what to do.
        text: String,
    },
}

impl Failure {
    /// The exit status that goes with it.
    pub fn status(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::System { .. }
            | Failure::Refused(_)
            | Failure::Source(_)
            | Failure::Place(_)
            | Failure::Mount(_)
            | Failure::Loop(_) => 4,
            Failure::BadMap { .. } | Failure::BadScenario(_) | Failure::BadInput { .. } => 5,
        }
    }

    /// Writes it to standard error.
    fn tell(&self) {
        // Nobody is left to be told when standard error is gone.
        let _ = writeln!(anstream::stderr(), "diskwright: {}", self.told());
    }

    /// The failure and its causes in one line.
    fn told(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        text
    }
}
