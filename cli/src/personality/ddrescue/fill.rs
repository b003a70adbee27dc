//! Fill mode: writing the data of infile over chosen blocks of outfile.
//!
//! Owns how a run begins and what is shown of it. Must not know how blocks are filled.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

use block::sink::{FileSink, FileSinkOptions};
use block::{BlockSink, Clock, WallClock};
use engine::fill::{Fill, FillOptions, FillProgress, FillSurroundings, Marks, OnWriteError};
use engine::{Book, Rates, RatesOptions};
use map::{Mapfile, Phase, Position, Status};

use crate::personality::Complaint;
use crate::personality::ddrescue::about::{Outlook, banner, put};
use crate::personality::ddrescue::area::{Area, Place};
use crate::personality::ddrescue::job::{Job, Operation};
use crate::personality::ddrescue::operator::Person;
use crate::personality::ddrescue::signals::Signals;
use crate::personality::ddrescue::start::{self, Files};
use crate::personality::ddrescue::words::{self, Headings};
use crate::personality::ddrescue::{PROGRAM, session};
use crate::personality::mapfiles::{self, Reader};
use crate::personality::number::{self, Precision, Prefixes};

/// Lines of the refreshed screen.
const HEIGHT: usize = 3;
/// The line below them.
const MESSAGE: &str = "Filling blocks...";

/// Fills.
pub fn run(job: &Job) -> Result<ExitCode, Complaint> {
    let Operation::Fill { statuses, located, .. } = &job.operation else { return Ok(ExitCode::FAILURE) };
    let files = start::check_files(job)?;
    if job.ask {
        return Err(Complaint::usage("Option '--ask' is incompatible with fill mode."));
    }
    if job.same_file {
        return Err(Complaint::usage("Option '--same-file' is incompatible with fill mode."));
    }
    if job.has_rescue_options && job.verbosity >= 0 {
        let text = "warning: options -aACdeEHIJKMnNOpPrRStTuWxX are ignored in fill mode.";
        Complaint::new(text).print(PROGRAM, &job.argv0);
    }
    let Some(mapfile) = files.mapfile.clone() else {
        return Err(Complaint::usage("Mapfile required in fill mode."));
    };
    let clock = WallClock::new();
    let headings = Headings::new(job, &clock);
    let mut reader = Reader::default();
    let mut domain = start::domain(job, &mut reader)?;
    let Some(Mapfile { position, map, .. }) = start::read_mapfile(&mapfile, &mut reader)? else {
        return Err(mapfiles::missing(mapfile.as_os_str()));
    };
    domain.crop(map.extent().unwrap_or_default());
    let book = Book::new(map, domain);
    if book.domain_bytes() == 0 {
        return Err(start::nothing_to_do());
    }
    start::check_writable(&mapfile)?;
    let data = read_data(&files.infile, job.cluster)?;
    let mut sink = open(job, &files)?;
    let options = FillOptions {
        statuses: statuses.clone(),
        sector: job.sector.into(),
        shift: job.shift(),
        marks: if *located { Marks::Place } else { Marks::None },
        on_error: if job.ignore_write_errors { OnWriteError::PassOver } else { OnWriteError::Stop },
        synchronous: job.synchronous,
    };
    announce(job, &files, &book, statuses);
    Ok(fill(job, &files, &headings, &clock, &mut sink, options, data, book, position))
}

/// Reads one cluster's worth, repeating what there is.
fn read_data(infile: &Path, cluster: u64) -> Result<Vec<u8>, Complaint> {
    const TEXT: &str = "Error reading fill data from input file";
    let file = File::open(infile)
        .map_err(|error| Complaint::about(infile, "Can't open input file").because(&error))?;
    let mut data = Vec::new();
    let read = file.take(cluster).read_to_end(&mut data);
    read.map_err(|error: io::Error| Complaint::about(infile, TEXT).because(&error))?;
    if data.is_empty() {
        return Err(Complaint::about(infile, TEXT));
    }
    let length = data.len();
    data.reserve_exact(cluster as usize - length);
    while data.len() < cluster as usize {
        let missing = cluster as usize - data.len();
        data.extend_from_within(..missing.min(length));
    }
    Ok(data)
}

fn open(job: &Job, files: &Files) -> Result<FileSink, Complaint> {
    let options = FileSinkOptions { direct: job.direct_out, ..FileSinkOptions::default() };
    let mut sink = FileSink::open(&files.outfile, options).map_err(|error| words::sink(&error))?;
    sink.size().map_err(|error| words::sink(&error))?;
    Ok(sink)
}

fn announce(job: &Job, files: &Files, book: &Book, statuses: &[Status]) {
    if job.verbosity < 0 {
        return;
    }
    banner();
    if job.verbosity >= 1 {
        let types: String = statuses.iter().map(|status| status.character()).collect();
        let (infile, outfile) = (files.infile.display(), files.outfile.display());
        let bytes = number::size(book.domain_bytes(), job.prefixes);
        let mut text = format!(
            "About to fill with data from '{infile}' blocks of '{outfile}' marked '{types}'\n    \
             Maximum size to fill: {bytes}Bytes\n{}",
            Outlook::places(job, book.domain())
        );
        if job.verbosity >= 2 {
            text.push_str(&format!("Direct out: {}\n", if job.direct_out { "yes" } else { "no" }));
        }
        put(&format!("{text}\n"));
    }
}

#[allow(clippy::too_many_arguments, reason = "everything that was prepared comes together here")]
fn fill(
    job: &Job,
    files: &Files,
    headings: &Headings,
    clock: &WallClock,
    sink: &mut FileSink,
    options: FillOptions,
    data: Vec<u8>,
    book: Book,
    position: Position,
) -> ExitCode {
    let verbosity = job.verbosity;
    let Some(signals) = Signals::listen_or_complain(job) else { return ExitCode::FAILURE };
    let mut person = Person::new(files.mapfile.as_deref().unwrap_or(Path::new("")), verbosity);
    let screen = std::cell::RefCell::new(Screen::new(job, clock));
    let ending = {
        let mut watch = |progress: &FillProgress| screen.borrow_mut().writing(progress, clock);
        let surroundings = FillSurroundings {
            sink,
            clock,
            watch: &mut watch,
            operator: &mut person,
            interrupt: &|| signals.is_interrupted(),
            keeper: session::keeper(job, files, clock),
            heading: &|position| headings.mapfile(clock.now(), message_of(position)),
        };
        let mut fill = Fill::new(surroundings, options, data, book, position);
        screen.borrow_mut().open(&fill.progress());
        let ending = fill.run();
        screen.borrow_mut().end(&fill.progress(), clock);
        ending
    };
    session::end_simple_run(job, files, &mut screen.borrow_mut().area, &signals, &ending)
}

fn message_of(position: &Position) -> Option<&'static str> {
    match position.phase {
        Phase::Finished => Some("Finished"),
        Phase::Filling => Some(MESSAGE),
        _ => None,
    }
}

struct Screen {
    area: Area,
    prefixes: Prefixes,
    shift: i64,
    rates: Rates,
    shown: Option<u64>,
}

impl Screen {
    fn new(job: &Job, clock: &dyn Clock) -> Screen {
        let now = clock.now().whole_secs();
        Screen {
            area: Area::new(HEIGHT, job.verbosity),
            prefixes: job.prefixes,
            shift: job.shift(),
            rates: Rates::new(RatesOptions::default(), now, 0),
            shown: None,
        }
    }

    fn open(&mut self, progress: &FillProgress) {
        self.rates = Rates::new(RatesOptions::default(), self.rates.now(), progress.filled_bytes);
        if self.area.is_loud() {
            let size = |bytes| number::size(bytes, self.prefixes);
            put(&format!(
                "Press Ctrl-C to interrupt\nInitial status (read from mapfile)\n\
                 filled size:    {:>9}B,  filled areas:    {:7}\n\
                 remaining size: {:>9}B,  remaining areas: {:7}\nCurrent status\n",
                size(progress.filled_bytes),
                progress.filled_areas,
                size(progress.left_bytes),
                progress.left_areas
            ));
        }
        self.area.open();
    }

    fn writing(&mut self, progress: &FillProgress, clock: &dyn Clock) {
        self.rates.tick(clock.now().whole_secs(), progress.filled_bytes);
        if self.shown != Some(self.rates.now()) {
            self.shown = Some(self.rates.now());
            let lines = self.lines(progress);
            self.area.show(Place::Same, &lines, Some(MESSAGE));
        }
    }

    fn end(&mut self, progress: &FillProgress, clock: &dyn Clock) {
        self.rates.tick(clock.now().whole_secs(), progress.filled_bytes);
        let lines = self.lines(progress);
        self.area.show(Place::Same, &lines, None);
    }

    fn lines(&self, progress: &FillProgress) -> String {
        let size = |bytes| number::size(bytes, self.prefixes);
        let rate = |rate| number::rate(rate, self.prefixes);
        let at = progress.at.shifted(self.shift).unwrap_or_default();
        let secs = i64::try_from(self.rates.run_secs()).unwrap_or(i64::MAX);
        format!(
            "filled size: {:>9}B,  filled areas: {:6},  current rate: {:>8}B/s\n\
             remain size: {:>9}B,  remain areas: {:6},  average rate: {:>8}B/s\n\
             current pos: {:>9}B,  run time: {:>11}\n",
            size(progress.filled_bytes),
            progress.filled_areas,
            rate(self.rates.current()),
            size(progress.left_bytes),
            progress.left_areas,
            rate(self.rates.average()),
            size(at.bytes()),
            number::duration(secs, Precision::High)
        )
    }
}
