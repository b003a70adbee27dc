//! What ddrescuelog prints and writes.
//!
//! Owns the heading of written maps, the annotations, and the messages about writing. Must not know why.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use block::{Clock, RangeSet, WallClock};
use map::algebra::{Side, pieces};
use map::list::Listing;
use map::mapfile::{self, Heading};
use map::{Mapfile, Position, RescueMap};

use super::{DIALECT, ORIGINAL};
use crate::personality::number::{self, Prefixes};
use crate::personality::{Complaint, banner};

/// What a shell shows for a program that ended because nobody reads its output any more.
const BROKEN_PIPE_STATUS: u8 = 141;

/// Where a map goes.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// Standard output.
    Stdout,
    /// A file, replaced if it exists.
    File(OsString),
}

/// Standard output without the line buffer that stands before it.
pub(super) fn stdout() -> Result<File, Complaint> {
    let owned = io::stdout().as_fd().try_clone_to_owned();
    owned
        .map(File::from)
        .map_err(|error| Complaint::about("(stdout)", "Error writing mapfile").because(&error))
}

/// Prints a text.
pub(super) fn print(text: &str) -> Result<u8, Complaint> {
    match stdout()?.write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(BROKEN_PIPE_STATUS),
        // Like the original, do not fail when a report cannot be shown.
        _ => Ok(0),
    }
}

/// Shows the help.
pub(super) fn help(argv0: &OsStr) -> Result<u8, Complaint> {
    print(&DIALECT.help(&argv0.to_string_lossy()))
}

/// Shows the version.
pub(super) fn version() -> Result<u8, Complaint> {
    print(&format!("{}\nLicensed under MIT or Apache-2.0, at your choice. No warranty.\n", banner(ORIGINAL)))
}

/// Writes a map.
pub(super) fn write_map(
    target: &Target,
    command: &[OsString],
    position: &Position,
    map: &RescueMap,
) -> Result<u8, Complaint> {
    map.check();
    let mut out: Box<dyn Write> = match target {
        Target::Stdout => Box::new(stdout()?),
        Target::File(name) => Box::new(File::create(name).map_err(|error| write_failed(target, &error))?),
    };
    match mapfile::write(&mut out, &heading(command), position, map) {
        Ok(()) => Ok(0),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(BROKEN_PIPE_STATUS),
        Err(error) => Err(write_failed(target, &error)),
    }
}

/// Writes a map with sizes a person can read; blocks as they are split in the file and by the domain.
pub(super) fn write_annotated(
    command: &[OsString],
    file: &Mapfile,
    domain: &RangeSet,
    prefixes: Prefixes,
) -> Result<u8, Complaint> {
    let mut text = Vec::new();
    let note = format!("\t#  {}B", number::size(file.position.at.bytes(), prefixes));
    mapfile::write_heading(&mut text, &heading(command), &file.position, &note);
    for piece in pieces(&file.map, domain) {
        mapfile::push_block(&mut text, piece.range, piece.status);
        if piece.side == Side::Inside {
            let at = number::size(piece.range.start().bytes(), prefixes);
            let length = number::size(piece.range.length(), prefixes);
            // Sizes in whole bytes stand out by the missing unit.
            let unit = if piece.range.length() > number::SIZE_LIMIT as u64 { 'B' } else { ' ' };
            let _ = write!(text, "\t#  {at:>9}B  {length:>9}{unit}");
        }
        text.push(b'\n');
    }
    match stdout()?.write_all(&text) {
        Ok(()) => Ok(0),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(BROKEN_PIPE_STATUS),
        Err(error) => Err(write_failed(&Target::Stdout, &error)),
    }
}

/// Writes sector numbers.
pub(super) fn list(listing: &Listing<'_>) -> Result<u8, Complaint> {
    match listing.write_list(&mut stdout()?) {
        Ok(()) => Ok(0),
        Err(error) => list_failed(&error),
    }
}

/// Says that a list or bitmap cannot be written.
pub(super) fn list_failed(error: &io::Error) -> Result<u8, Complaint> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(BROKEN_PIPE_STATUS);
    }
    Err(Complaint::about("(stdout)", "Error writing block list or bitmap").because(error))
}

fn write_failed(target: &Target, error: &io::Error) -> Complaint {
    let name = match target {
        Target::Stdout => OsStr::new("(stdout)"),
        Target::File(name) => name,
    };
    Complaint::about(name, "Error writing mapfile").because(error)
}

fn heading(command: &[OsString]) -> Heading {
    let command: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    // A line end inside an argument must not end the comment.
    let command = command.join(" ").replace(['\n', '\r'], " ");
    Heading {
        comments: vec![
            format!("Mapfile. Created by {}", banner(ORIGINAL)),
            format!("Command line: {command}"),
            format!("Start time:   {}", number::timestamp(WallClock::new().now())),
        ],
    }
}
