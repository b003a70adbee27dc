//! Generate mode: guessing a mapfile from a partial copy.
//!
//! Owns how a run begins and what is shown of it. Must not know how the guess is made.

use std::path::Path;
use std::process::ExitCode;

use block::sink::{FileSink, FileSinkOptions};
use block::{BlockSink, BlockSource, Clock, WallClock};
use engine::generate::{Generate, GenerateOptions, GenerateProgress, GenerateSurroundings};
use engine::{Book, Rates, RatesOptions};
use map::{Phase, Position, Status};

use crate::personality::Complaint;
use crate::personality::ddrescue::about::{Outlook, banner, put};
use crate::personality::ddrescue::area::{Area, Place};
use crate::personality::ddrescue::job::Job;
use crate::personality::ddrescue::operator::Person;
use crate::personality::ddrescue::signals::Signals;
use crate::personality::ddrescue::start::{self, Files};
use crate::personality::ddrescue::words::{self, Headings};
use crate::personality::ddrescue::{PROGRAM, session};
use crate::personality::mapfiles::Reader;
use crate::personality::number::{self, Precision, Prefixes};

/// Lines of the refreshed screen.
const HEIGHT: usize = 2;
/// The line below them.
const MESSAGE: &str = "Generating mapfile...";

/// Generates.
pub fn run(job: &Job) -> Result<ExitCode, Complaint> {
    let files = start::check_files(job)?;
    if job.ask {
        return Err(Complaint::usage("Option '--ask' is incompatible with generate mode."));
    }
    if (job.has_rescue_options || job.has_writing_options) && job.verbosity >= 0 {
        let text = "warning: options -aACdDeEHIJKMnNOpPrRStTuwWxXy are ignored in generate mode.";
        Complaint::new(text).print(PROGRAM, &job.argv0);
    }
    let Some(mapfile) = files.mapfile.clone() else {
        return Err(Complaint::usage("Mapfile must be specified in generate mode."));
    };
    let clock = WallClock::new();
    let headings = Headings::new(job, &clock);
    let mut reader = Reader::default();
    let mut domain = start::domain(job, &mut reader)?;
    let plain = Job { direct_in: false, ..job.clone() };
    let source = start::open_infile(&plain, &files.infile)?;
    let size = source.geometry().size.filter(|size| *size > 0);
    start::crop_to_size(&mut domain, size)?;
    let read = start::read_mapfile(&mapfile, &mut reader)?;
    let exists = read.is_some();
    let read = read.unwrap_or_default();
    let (position, mut map) = (read.position, read.map);
    start::fit_to_size(&mut map, size)?;
    let book = Book::new(map, domain);
    if book.domain_bytes() == 0 {
        return Err(start::nothing_to_do());
    }
    if position.phase != Phase::Generating && !book.map().is_untried() {
        return Err(Complaint::about(&mapfile, "Mapfile alredy exists and is not empty."));
    }
    start::check_writable(&mapfile)?;
    let options = FileSinkOptions { read_only: true, ..FileSinkOptions::default() };
    let mut copy = FileSink::open(&files.outfile, options).map_err(|error| words::sink(&error))?;
    copy.size().map_err(|error| words::sink(&error))?;
    if !exists {
        session::create_mapfile(&mapfile, &headings, &clock, &position, book.map())?;
    }
    announce(job, &files, &book);
    Ok(generate(job, &files, &headings, &clock, &mut copy, book, position, exists))
}

fn announce(job: &Job, files: &Files, book: &Book) {
    if job.verbosity < 0 {
        return;
    }
    banner();
    if job.verbosity >= 1 {
        let (infile, outfile) = (files.infile.display(), files.outfile.display());
        put(&format!(
            "About to generate an approximate mapfile for '{infile}' and '{outfile}'\n{}\n",
            Outlook::places(job, book.domain())
        ));
    }
}

#[allow(clippy::too_many_arguments, reason = "everything that was prepared comes together here")]
fn generate(
    job: &Job,
    files: &Files,
    headings: &Headings,
    clock: &WallClock,
    copy: &mut FileSink,
    book: Book,
    position: Position,
    exists: bool,
) -> ExitCode {
    let Some(signals) = Signals::listen_or_complain(job) else { return ExitCode::FAILURE };
    let mut person = Person::new(files.mapfile.as_deref().unwrap_or(Path::new("")), job.verbosity);
    let options = GenerateOptions { sector: job.sector.into(), cluster: job.cluster, shift: job.shift() };
    let screen = std::cell::RefCell::new(Screen::new(job, clock, &book));
    screen.borrow_mut().open(&book, exists);
    let ending = {
        let mut watch = |progress: &GenerateProgress| screen.borrow_mut().reading(progress, clock);
        let surroundings = GenerateSurroundings {
            copy,
            clock,
            watch: &mut watch,
            operator: &mut person,
            interrupt: &|| signals.is_interrupted(),
            keeper: session::keeper(job, files, clock),
            heading: &|position| headings.mapfile(clock.now(), message_of(position)),
        };
        let mut generate = Generate::new(surroundings, options, book, position);
        let ending = generate.run();
        screen.borrow_mut().end(&generate.progress(), clock);
        ending
    };
    session::end_simple_run(job, files, &mut screen.borrow_mut().area, &signals, &ending)
}

fn message_of(position: &Position) -> Option<&'static str> {
    match position.phase {
        Phase::Finished => Some("Finished"),
        Phase::Generating => Some(MESSAGE),
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
    fn new(job: &Job, clock: &dyn Clock, book: &Book) -> Screen {
        let (now, rescued) = (clock.now().whole_secs(), book.bytes(Status::Finished));
        Screen {
            area: Area::new(HEIGHT, job.verbosity),
            prefixes: job.prefixes,
            shift: job.shift(),
            rates: Rates::new(RatesOptions::default(), now, rescued),
            shown: None,
        }
    }

    fn open(&mut self, book: &Book, exists: bool) {
        if self.area.is_loud() {
            let mut text = "Press Ctrl-C to interrupt\n".to_owned();
            if exists {
                let size = |bytes| number::size(bytes, self.prefixes);
                text.push_str(&format!(
                    "Initial status (read from mapfile)\nrescued: {:>9}B,  generated: {:>9}B\nCurrent status\n",
                    size(book.bytes(Status::Finished)),
                    size(book.domain_bytes() - book.bytes(Status::NonTried))
                ));
            }
            put(&text);
        }
        self.area.open();
    }

    fn reading(&mut self, progress: &GenerateProgress, clock: &dyn Clock) {
        self.rates.tick(clock.now().whole_secs(), progress.rescued_bytes);
        if self.shown != Some(self.rates.now()) {
            self.shown = Some(self.rates.now());
            let lines = self.lines(progress);
            self.area.show(Place::Same, &lines, Some(MESSAGE));
        }
    }

    fn end(&mut self, progress: &GenerateProgress, clock: &dyn Clock) {
        self.rates.tick(clock.now().whole_secs(), progress.rescued_bytes);
        let lines = self.lines(progress);
        self.area.show(Place::Same, &lines, None);
    }

    fn lines(&self, progress: &GenerateProgress) -> String {
        let size = |bytes| number::size(bytes, self.prefixes);
        let rate = |rate| number::rate(rate, self.prefixes);
        let at = progress.at.shifted(self.shift).unwrap_or_default();
        let secs = i64::try_from(self.rates.run_secs()).unwrap_or(i64::MAX);
        format!(
            "rescued: {:>9}B,  generated: {:>9}B,  current rate: {:>8}B/s\n   \
             opos: {:>9}B,  run time: {:>11},  average rate: {:>8}B/s\n",
            size(progress.rescued_bytes),
            size(progress.generated_bytes),
            rate(self.rates.current()),
            size(at.bytes()),
            number::duration(secs, Precision::High),
            rate(self.rates.average())
        )
    }
}
