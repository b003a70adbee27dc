//! What ddrescue says about the engine's doings.
//!
//! Owns messages, headings and complaints. Must not know when they are shown.

use std::path::Path;

use block::sink::SinkAction;
use block::{Clock, Errno, Nanos, SinkError, SourceError};
use engine::{Direction, Limit, Stage, Trouble};
use map::Phase;
use map::mapfile::Heading;

use crate::personality::Complaint;
use crate::personality::ddrescue::job::Job;
use crate::personality::number;

/// The program as it presents itself, in banners and headings.
pub fn program() -> String {
    crate::personality::banner("GNU ddrescue 1.29")
}

/// The line under the screen while a pass runs.
pub fn stage(stage: Stage) -> String {
    let direction = match stage.direction {
        Direction::Forwards => "forwards",
        Direction::Backwards => "backwards",
    };
    match stage.phase {
        Phase::Copying => format!("Copying non-tried blocks... Pass {} ({direction})", stage.pass),
        Phase::Trimming => format!("Trimming failed blocks... ({direction})"),
        Phase::Scraping => format!("Scraping failed blocks... ({direction})"),
        Phase::Retrying => format!("Retrying bad sectors... Retry {} ({direction})", stage.round),
        Phase::Filling => "Filling blocks...".to_owned(),
        Phase::Generating => "Generating mapfile...".to_owned(),
        Phase::Finished => "Finished".to_owned(),
    }
}

/// Why a run stops before its end.
pub fn limit(limit: Limit) -> String {
    match limit {
        Limit::BadAreas => "Too many bad areas in input file".to_owned(),
        Limit::ErrorRate { rate } => format!("Too high error rate reading input file ({rate} B/s)"),
        Limit::Idle => "Timeout expired".to_owned(),
        Limit::ReadErrors => "Too many read errors".to_owned(),
        Limit::SlowReads => "Too many slow reads".to_owned(),
    }
}

/// The comments above a mapfile or log.
#[derive(Clone, Debug)]
pub struct Headings {
    command_line: String,
    started: Nanos,
}

impl Headings {
    /// Those of a run that starts now.
    pub fn new(job: &Job, clock: &dyn Clock) -> Headings {
        Headings { command_line: job.command_line.clone(), started: clock.now() }
    }

    /// The three lines that every file of a run begins with.
    pub fn common(&self, kind: &str) -> Vec<String> {
        vec![
            format!("{kind}. Created by {}", program()),
            format!("Command line: {}", self.command_line),
            format!("Start time:   {}", number::timestamp(self.started)),
        ]
    }

    /// The heading of a mapfile written now.
    pub fn mapfile(&self, now: Nanos, message: Option<&str>) -> Heading {
        let mut comments = self.common("Mapfile");
        comments.push(format!("Current time: {}", number::timestamp(now)));
        comments.extend(message.map(str::to_owned));
        Heading { comments }
    }
}

/// What to say when something failed; `None`: nothing but that it was the mapfile, which has been said.
pub fn trouble(infile: &Path, trouble: &Trouble) -> Option<Complaint> {
    let about = |text: &str| Some(Complaint::about(infile, text));
    match trouble {
        Trouble::Source(error) => Some(source(infile, error)),
        Trouble::Sink(error) => Some(sink(error)),
        Trouble::Map(_) => None,
        Trouble::EndBelowMap { .. } => about("EOF found below the size calculated from mapfile."),
        // Not told from damage under this name: the engine never asks.
        Trouble::Mute { errno, .. } => about(&numbered("Fatal error reading the input file", *errno)),
        Trouble::EndsEarly { .. } => about("Input file has become shorter."),
        Trouble::NoMoreData { .. } => about("Input file no longer returns data."),
        Trouble::InconsistentData { .. } => about("Input file returns inconsistent data."),
        Trouble::NoGoodSectorYet => about("Read error found before the first good read."),
    }
}

fn numbered(text: &str, errno: Errno) -> String {
    format!("{text}: {errno} (errno={})", errno.0)
}

fn source(infile: &Path, error: &SourceError) -> Complaint {
    let about = |text: String| Complaint::about(infile, text);
    match error {
        SourceError::Refused { errno, .. } if *errno == Errno::EINVAL => {
            about("Unaligned read error. Is sector size correct?".to_owned())
        }
        SourceError::Gone { errno, .. } | SourceError::Refused { errno, .. } => {
            about(numbered("Fatal error reading the input file", *errno))
        }
        SourceError::Disappeared { errno, .. } => about(format!("Input file disappeared: {errno}")),
        SourceError::Open { errno, .. } => about(format!("Can't reopen input file: {errno}")),
        SourceError::NotSeekable { .. } => about("Input file has become not seekable".to_owned()),
        SourceError::Anonymous { .. }
        | SourceError::NotFound { .. }
        | SourceError::Unsupported { .. }
        | SourceError::Unanswered { .. }
        | SourceError::Another { .. }
        | SourceError::Disconnected { .. }
        | SourceError::Unreachable { .. }
        | SourceError::TimeIsUp { .. } => about(error.to_string()),
    }
}

/// What to say about a destination that failed.
pub fn sink(error: &SinkError) -> Complaint {
    let text = match error.action {
        SinkAction::Open => format!("Can't open output file: {}", error.errno),
        SinkAction::Write => numbered("Write error", error.errno),
        SinkAction::Read => numbered("Read error", error.errno),
        SinkAction::Flush => numbered("Error syncing output file", error.errno),
        SinkAction::Extend => "Error extending output file size.".to_owned(),
        SinkAction::Allocate => format!("Can't preallocate output file: {}", error.errno),
        SinkAction::Measure => "Output file is not seekable.".to_owned(),
    };
    Complaint::about(&error.path, text)
}
