//! Command mode: a rescue in which standard input says what is read.
//!
//! Owns the commands and their answers. Must not know how bytes are copied.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use block::sink::FileSink;
use block::{ByteRange, Offset, WallClock};
use engine::{Ending, Rescue, Surroundings};
use map::mapfile;

use crate::personality::Complaint;
use crate::personality::ddrescue::job::Job;
use crate::personality::ddrescue::operator::Person;
use crate::personality::ddrescue::session;
use crate::personality::ddrescue::start::{Files, Start};
use crate::personality::ddrescue::words::{self, Headings};

/// Does what the lines of standard input say, until they end.
pub fn obey(
    job: &Job,
    files: &Files,
    begin: Start,
    sink: &mut FileSink,
    headings: &Headings,
    clock: &WallClock,
) -> ExitCode {
    let _ = (job, files, begin, sink, headings, clock);
    ExitCode::FAILURE
}
