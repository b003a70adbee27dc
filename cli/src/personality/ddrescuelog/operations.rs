//! What ddrescuelog does, operation by operation.
//!
//! Owns which files are read and written in which order, and the exit statuses. Must not know how options look.

use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal, Read};

use block::{Offset, RangeSet};
use map::algebra::{self, Compared};
use map::list::{self, BitOrder, BitmapError, Listing};
use map::{Mapfile, Position, Status};

use super::dialect::{Format, Job, Operation};
use super::output::{self, Target};
use super::status;
use crate::personality::Complaint;
use crate::personality::mapfiles::{Reader, Reading, shown};

/// Does what is asked for; returns the exit status.
pub(super) fn perform(job: &Job, operation: Operation, command: &[OsString]) -> Result<u8, Complaint> {
    let mut reader = Reader::default();
    let domain = job.domain.domain(&mut reader)?;
    let mut task = Task { job, command, reader, domain };
    match operation {
        Operation::ChangeTypes(change) => task.transform(|file, domain| {
            file.map = algebra::change(&file.map, domain, &change);
        }),
        Operation::Annotate => task.annotate(),
        Operation::Create { found, other } => task.create(found, other),
        Operation::Complete(gaps) => task.complete(gaps),
        Operation::DeleteIfDone => task.done(IfDone::Delete),
        Operation::DoneStatus => task.done(IfDone::Keep),
        Operation::ListBlocks(statuses) => task.list(&statuses),
        Operation::Compare(other) => task.compare(&other, Compared::Statuses),
        Operation::CompareAsDomain(other) => task.compare(&other, Compared::Finished),
        Operation::ShowStatus => task.show_status(),
        Operation::Combine(logic, other) => {
            let mut file = task.read()?;
            let other = task.reader.read(&other, Reading::Strict)?.map;
            task.domain = algebra::cropped(&algebra::cropped(&task.domain, &file.map), &other);
            task.not_empty()?;
            file.map = algebra::combine(&file.map, &other, &task.domain, logic);
            task.write(&file)
        }
        Operation::Shift => task.shift(),
    }
}

/// What becomes of a mapfile that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IfDone {
    Keep,
    Delete,
}

struct Task<'a> {
    job: &'a Job,
    command: &'a [OsString],
    reader: Reader,
    /// Cropped to the maps as they are read.
    domain: RangeSet,
}

impl Task<'_> {
    fn mapfile(&self) -> &OsString {
        &self.job.mapfiles[0]
    }

    fn read(&mut self) -> Result<Mapfile, Complaint> {
        self.reader.read(&self.job.mapfiles[0], Reading::Strict)
    }

    /// Reads the mapfile and crops the domain to it. Nothing left is an end with exit status 0.
    fn read_cropped(&mut self) -> Result<Mapfile, Complaint> {
        let file = self.read()?;
        self.domain = algebra::cropped(&self.domain, &file.map);
        self.not_empty()?;
        Ok(file)
    }

    fn not_empty(&self) -> Result<(), Complaint> {
        if self.domain.is_empty() { Err(nothing_to_do()) } else { Ok(()) }
    }

    fn write(&self, file: &Mapfile) -> Result<u8, Complaint> {
        output::write_map(&Target::Stdout, self.command, &file.position, &file.map)
    }

    fn transform(&mut self, change: impl FnOnce(&mut Mapfile, &RangeSet)) -> Result<u8, Complaint> {
        let mut file = self.read_cropped()?;
        change(&mut file, &self.domain);
        self.write(&file)
    }

    fn annotate(&mut self) -> Result<u8, Complaint> {
        let file = self.read_cropped()?;
        output::write_annotated(self.command, &file, &self.domain, self.job.prefixes)
    }

    fn create(&mut self, found: Status, other: Status) -> Result<u8, Complaint> {
        self.not_empty()?;
        self.offset_in_sectors()?;
        let name = self.mapfile().clone();
        if self.job.format != Format::List && io::stdin().is_terminal() {
            return Err(Complaint::about("(stdin)", "I won't read bitmap data from a terminal."));
        }
        if name != "-" && !self.job.force && fs::exists(&name).unwrap_or(true) {
            // A file that is not a mapfile at all deserves to be told so.
            self.read()?;
            return Err(Complaint::about(&name, "Mapfile exists. Use '--force' to overwrite it."));
        }
        let mut input = Vec::new();
        io::stdin().lock().read_to_end(&mut input).map_err(|error| {
            Complaint::about("(stdin)", "Error reading block list or bitmap").because(&error)
        })?;
        let sector_bytes = self.job.sector_bytes;
        let sectors = match self.job.format {
            Format::List => list::parse_list(&input, sector_bytes).map_err(|error| {
                let text = format!("Error reading block number at line {}", error.item);
                Complaint::about("(stdin)", text).with_status(2)
            })?,
            Format::Bitmap(order) => list::parse_bitmap(&input, order, sector_bytes),
        };
        let map = list::map_of_sectors(&sectors, sector_bytes, &self.domain, found, other);
        let map = algebra::shift(&map, Offset::MAX, self.job.distance(), other);
        let target = if name == "-" { Target::Stdout } else { Target::File(name) };
        output::write_map(&target, self.command, &Position::default(), &map)
    }

    fn complete(&mut self, gaps: Status) -> Result<u8, Complaint> {
        let mut file = self.reader.read(&self.job.mapfiles[0], Reading::Loose(gaps))?;
        file.map.merge();
        self.write(&file)
    }

    fn done(&mut self, if_done: IfDone) -> Result<u8, Complaint> {
        let file = self.read_cropped()?;
        let name = self.mapfile();
        if !algebra::is_done(&file.map, &self.domain) {
            if self.job.verbosity >= 1 {
                return Err(Complaint::about(shown(name), "Mapfile not done."));
            }
            return Ok(1);
        }
        if if_done == IfDone::Delete && name != "-" {
            fs::remove_file(name)
                .map_err(|error| Complaint::about(name, "Error deleting mapfile").because(&error))?;
            if self.job.verbosity >= 1 {
                return Err(Complaint::about(name, "Mapfile successfully deleted.").with_status(0));
            }
        }
        Ok(0)
    }

    fn list(&mut self, statuses: &[Status]) -> Result<u8, Complaint> {
        self.offset_in_sectors()?;
        if self.job.format != Format::List && io::stdout().is_terminal() {
            return Err(Complaint::about("(stdout)", "I won't write bitmap data to a terminal."));
        }
        let file = self.read_cropped()?;
        let listing = Listing {
            map: &file.map,
            domain: &self.domain,
            statuses,
            sector_bytes: self.job.sector_bytes,
            distance: self.job.distance(),
        };
        match self.job.format {
            Format::List => output::list(&listing),
            Format::Bitmap(order) => self.bitmap(&listing, order),
        }
    }

    fn bitmap(&self, listing: &Listing<'_>, order: BitOrder) -> Result<u8, Complaint> {
        match listing.write_bitmap(&mut output::stdout()?, order) {
            Ok(()) => Ok(0),
            Err(BitmapError::Write(error)) => output::list_failed(&error),
            Err(BitmapError::Endless) => Err(Complaint::about(
                shown(self.mapfile()),
                "A bitmap of a mapfile without end would never end. Use '--format=list'.",
            )),
        }
    }

    fn compare(&mut self, other: &OsString, compared: Compared) -> Result<u8, Complaint> {
        // Only the comparison as domains lets the maps themselves have gaps.
        let reading = match compared {
            Compared::Statuses => Reading::Strict,
            Compared::Finished => self.job.domain.reading,
        };
        let name = self.mapfile().clone();
        let first = self.reader.read(&name, reading)?.map;
        if algebra::cropped(&self.domain, &first).is_empty() {
            return Err(nothing_to_do());
        }
        let second = self.reader.read(other, reading)?.map;
        if algebra::cropped(&self.domain, &second).is_empty() {
            return Err(nothing_to_do());
        }
        if algebra::agree(&first, &second, &self.domain, compared) {
            return Ok(0);
        }
        let [first, second] = [&name, other].map(|name| name.to_string_lossy());
        Err(Complaint::new(format!("Mapfiles '{first}' and '{second}' differ.")))
    }

    fn show_status(&mut self) -> Result<u8, Complaint> {
        let mut highest = 0;
        for name in &self.job.mapfiles {
            let file = match self.reader.read(name, self.job.domain.reading) {
                Ok(file) => file,
                // What is not there is passed over; what cannot be understood ends the listing.
                Err(complaint) if complaint.status == 1 => {
                    self.job.complain(&complaint, &self.command[0]);
                    highest = highest.max(complaint.status);
                    continue;
                }
                Err(complaint) => return Err(complaint),
            };
            let domain = algebra::cropped(&self.domain, &file.map);
            if domain.is_empty() {
                self.job.complain(&nothing_to_do(), &self.command[0]);
                continue;
            }
            let is_named = self.job.verbosity >= 1 || self.job.mapfiles.len() > 1;
            let heading = is_named.then_some(name);
            output::print(&status::report(
                &file,
                &domain,
                heading.map(|name| name.as_os_str()),
                self.job.prefixes,
            ))?;
        }
        Ok(highest)
    }

    fn shift(&mut self) -> Result<u8, Complaint> {
        let distance = self.job.distance();
        let output = self.job.output_position.unwrap_or(self.job.domain.start);
        if output != Offset::ZERO && self.job.domain.start != Offset::ZERO {
            return Err(Complaint::new("Either '-i' or '-o' must be 0"));
        }
        let mut file = self.read_cropped()?;
        let end = self.domain.span().unwrap_or_default().end();
        file.map = algebra::shift(&file.map, end, distance, Status::NonTried);
        self.write(&file)
    }

    fn offset_in_sectors(&self) -> Result<(), Complaint> {
        if self.job.distance() % i64::from(self.job.sector_bytes) == 0 {
            return Ok(());
        }
        Err(Complaint::new("Offset between '-i' and '-o' must be 0 or a multiple of sector size."))
    }
}

/// Not a failure: there is just nothing.
fn nothing_to_do() -> Complaint {
    Complaint::new("Nothing to do; domain is empty.").with_status(0)
}
