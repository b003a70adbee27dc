//! A rescue from start to end.
//!
//! Owns how job, engine, screen and signals come together. Must not know the order of reads.

use std::path::Path;
use std::process::ExitCode;

use block::sink::FileSinkOptions;
use block::{BlockSink, BlockSource, ByteRange, Clock, Nanos, Offset, Patience, WallClock, sink::FileSink};
use engine::strategy::Classic;
use engine::strategy::classic::{ClassicOptions, Turning, UnreadInsides};
use engine::{
    Direction, Ending, FileStore, Holes, Keeper, KeeperOptions, Limits, Marking, RatesOptions, Recheck,
    Rescue, RescueOptions, Stage, Surroundings, Trouble, WriteOptions,
};
use map::{Masked, Phase, Position, RescueMap, Status};

use crate::personality::Complaint;
use crate::personality::ddrescue::PROGRAM;
use crate::personality::ddrescue::about::Outlook;
use crate::personality::ddrescue::area::{Area, Gap};
use crate::personality::ddrescue::command;
use crate::personality::ddrescue::job::{BadAreas, Job, Operation};
use crate::personality::ddrescue::logs::Logs;
use crate::personality::ddrescue::operator::Person;
use crate::personality::ddrescue::screen::Screen;
use crate::personality::ddrescue::signals::Signals;
use crate::personality::ddrescue::start::{self, Files, Start};
use crate::personality::ddrescue::watch::Watch;
use crate::personality::ddrescue::words::{self, Headings};

/// Bytes without damage after which reads are joined.
const AHEAD_AFTER: u64 = 64 << 20;

/// Runs a rescue, or obeys standard input.
pub fn run(job: &Job) -> Result<ExitCode, Complaint> {
    let files = start::check_files(job)?;
    if job.ignore_write_errors {
        return Err(Complaint::usage("Option '-w' is incompatible with rescue mode."));
    }
    let clock = WallClock::new();
    let headings = Headings::new(job, &clock);
    let begin = start::prepare(job, &files)?;
    let outlook = outlook(job, &files, &begin);
    let skip_initial = outlook.skip_initial;
    if !outlook.announce() {
        return Ok(ExitCode::FAILURE);
    }
    let mut sink = open_outfile(job, &files.outfile)?;
    if job.preallocate {
        preallocate(job, &begin, &mut sink)?;
    }
    if let Some(mapfile) = files.mapfile.as_deref().filter(|_| !begin.map_exists) {
        create_mapfile(mapfile, &headings, &clock, &begin.position, begin.book.map())?;
    }
    let logs = Logs::open(job, &headings)?;
    let outlook = outlook_of(job, &files, &begin, skip_initial);
    if job.operation == Operation::Command {
        return Ok(command::obey(job, &files, begin, &mut sink, &headings, &clock));
    }
    outlook.status();
    let options = rescue_options(job, &begin);
    let strategy = Classic::new(classic_options(job, &begin));
    let position = first_position(job, &begin, &options.limits);
    let Start { source, test_map, book, .. } = begin;
    let mut source = source_of(source, test_map);
    let work = Work { job, files: &files, clock: &clock, headings: &headings, logs };
    Ok(work.rescue(&mut *source, &mut sink, options, strategy, book, position))
}

/// The status line that is saved if nothing is read at all: copying begins with its first pass.
fn first_position(job: &Job, begin: &Start, limits: &Limits) -> Position {
    let position = begin.position;
    let resumes = position.phase == Phase::Copying && position.pass <= 5 && job.passes == [true; 5];
    let may_begin = limits.bad_areas_max.is_none_or(|limit| begin.book.bad_areas() <= limit);
    if begin.book.bytes(Status::NonTried) > 0 && !resumes && may_begin {
        Position { pass: 1, ..position }
    } else {
        position
    }
}

/// The source as the rescue sees it: through the test map, if there is one.
pub fn source_of<'a, S: BlockSource + 'a>(
    source: S,
    test_map: Option<RescueMap>,
) -> Box<dyn BlockSource + 'a> {
    match test_map {
        Some(map) => Box::new(Masked::new(source, &map)),
        None => Box::new(source),
    }
}

/// Keeps the map in the mapfile, if there is one.
pub fn keeper(job: &Job, files: &Files, clock: &dyn Clock) -> Option<Keeper> {
    let options =
        KeeperOptions { save_secs: job.save_interval, sync_secs: job.sync_interval, journal: false };
    let store = |path| Box::new(FileStore::new(path));
    files.mapfile.as_deref().map(|path| Keeper::new(store(path), options, clock.now().whole_secs()))
}

fn outlook<'a>(job: &'a Job, files: &'a Files, begin: &'a Start) -> Outlook<'a> {
    let skip = ClassicOptions::skip_sizes(begin.size, job.skip, job.sector.into());
    outlook_of(job, files, begin, skip.0)
}

fn outlook_of<'a>(job: &'a Job, files: &'a Files, begin: &'a Start, skip_initial: u64) -> Outlook<'a> {
    Outlook {
        job,
        names: (&files.infile, &files.outfile),
        size: begin.size,
        book: &begin.book,
        position: begin.position,
        map_end: begin.map_exists.then_some(begin.map_end),
        skip_initial,
    }
}

fn open_outfile(job: &Job, outfile: &Path) -> Result<FileSink, Complaint> {
    let options = FileSinkOptions {
        direct: job.direct_out,
        truncate: job.truncate,
        read_back: job.compare_before_write,
        holes: false,
        read_only: false,
    };
    let mut sink = FileSink::open(outfile, options).map_err(|error| words::sink(&error))?;
    sink.size().map_err(|error| words::sink(&error))?;
    Ok(sink)
}

fn preallocate(job: &Job, begin: &Start, sink: &mut FileSink) -> Result<(), Complaint> {
    let span = begin.book.domain().span().unwrap_or_default();
    let moved = |at: Offset| at.shifted(job.shift()).unwrap_or(Offset::MAX);
    let end = sink.size().map_err(|error| words::sink(&error))?;
    if end >= moved(span.end()).bytes() {
        return Ok(());
    }
    sink.allocate(ByteRange::between(moved(span.start()), moved(span.end())))
        .map_err(|error| words::sink(&error))
}

/// Writes the first map.
pub fn create_mapfile(
    path: &Path,
    headings: &Headings,
    clock: &dyn Clock,
    position: &Position,
    map: &RescueMap,
) -> Result<(), Complaint> {
    let heading = headings.mapfile(clock.now(), None);
    engine::keeper::write_map(&mut FileStore::new(path), &heading, position, map, false)
        .map_err(|error| Complaint::about(path, "Can't create mapfile").because(&error))
}

/// What the options say about the run.
pub fn rescue_options<S>(job: &Job, begin: &Start<S>) -> RescueOptions {
    let limits = Limits {
        bad_areas_max: job.bad_areas.map(|limit| match limit {
            BadAreas::InAll(limit) => limit,
            BadAreas::New(limit) => limit.saturating_add(begin.book.bad_areas()),
        }),
        error_rate_max: job.error_rate,
        idle_secs_max: job.timeout,
        read_errors_max: job.read_errors,
        slow_reads_max: job.slow_reads,
    };
    let rates = RatesOptions {
        read_rate_min: job.min_read_rate,
        slow_delay_secs: job.delay_slow,
        slow_reset: job.reset_slow,
    };
    let write = WriteOptions {
        shift: job.shift(),
        sparse: job.sparse,
        holes: Holes::LeftOut,
        compare: job.compare_before_write,
        synchronous: job.synchronous,
        size_min: job.extend_outfile,
    };
    // A copy within one file may read what it wrote just before: never ahead. And whether a source is slow is judged by
    // the single reads of each second: joined ones would find out megabytes later.
    let is_ahead = begin.test_map.is_none() && !job.same_file && job.min_read_rate.is_none();
    RescueOptions {
        sector: job.sector.into(),
        write,
        limits,
        rates,
        ahead_after: is_ahead.then_some(AHEAD_AFTER),
        share: false,
        watch: false,
        patience: Patience::Endless,
        marking: Marking::AtOnce,
        reopen_on_error: job.reopen_on_error,
        recheck: if job.check_on_error { Recheck::EachError } else { Recheck::Never },
        pause_on_error: job.pause_on_error,
        pause_on_pass: Nanos::from_secs(job.pause_on_pass),
        read_rate_max: job.max_read_rate,
        keep_map_extent: job.complete_only,
    }
}

/// What the options mean to the strategy.
pub fn classic_options<S>(job: &Job, begin: &Start<S>) -> ClassicOptions {
    let (skip_initial, skip_max) = ClassicOptions::skip_sizes(begin.size, job.skip, job.sector.into());
    ClassicOptions {
        edition: engine::strategy::Edition::Gnu1_29,
        sector: job.sector.into(),
        cluster: job.cluster,
        skip_initial,
        skip_max,
        passes: job.passes,
        direction: if job.reverse { Direction::Backwards } else { Direction::Forwards },
        turning: if job.unidirectional { Turning::Never } else { Turning::Alternating },
        trimming: !job.no_trim,
        scraping: !job.no_scrape,
        retries: job.retries,
        unread_insides: UnreadInsides::Overlooked,
        resume: Some(begin.position),
    }
}

struct Work<'a> {
    job: &'a Job,
    files: &'a Files,
    clock: &'a WallClock,
    headings: &'a Headings,
    logs: Logs,
}

impl Work<'_> {
    fn rescue(
        self,
        source: &mut dyn BlockSource,
        sink: &mut FileSink,
        options: RescueOptions,
        mut strategy: Classic,
        book: engine::Book,
        position: Position,
    ) -> ExitCode {
        let Work { job, files, clock, headings, logs } = self;
        let verbosity = job.verbosity;
        let Some(signals) = Signals::listen_or_complain(job) else { return ExitCode::FAILURE };
        let mut watch = Watch::new(job, Screen::new(job, clock.now().whole_secs()), logs);
        watch.open();
        let mut person = Person::new(files.mapfile.as_deref().unwrap_or(Path::new("")), verbosity);
        let message = |stage: Option<Stage>| stage.map(words::stage);
        let surroundings = Surroundings {
            source,
            sink,
            clock,
            observer: &mut watch,
            operator: &mut person,
            interrupt: &|| signals.is_interrupted(),
            keeper: keeper(job, files, clock),
            heading: &|stage| headings.mapfile(clock.now(), message(stage).as_deref()),
        };
        let ending = Rescue::new(surroundings, options, book, position).run(&mut strategy);
        if let Ending::Failed(Trouble::Map(_)) = ending {
            watch.reasons.push("Mapfile error".to_owned());
        }
        watch.close(clock.now(), verbosity, matches!(ending, Ending::Finished));
        exit_of(job, files, &signals, &ending)
    }
}

/// Complains about what failed, and returns the exit status; after a signal it does not return.
fn exit_of(job: &Job, files: &Files, signals: &Signals, ending: &Ending) -> ExitCode {
    match ending {
        Ending::Finished => ExitCode::SUCCESS,
        Ending::Limits(_) => ExitCode::FAILURE,
        Ending::Interrupted => signals.die(),
        Ending::Failed(trouble) => {
            let complaint = words::trouble(&files.infile, trouble).filter(|_| job.verbosity >= 0);
            if let Some(complaint) = complaint {
                complaint.print(PROGRAM, &job.argv0);
            }
            ExitCode::FAILURE
        }
    }
}

/// Ends a run that is no rescue: its screen, its complaint, its exit status.
pub fn end_simple_run(
    job: &Job,
    files: &Files,
    area: &mut Area,
    signals: &Signals,
    ending: &Ending,
) -> ExitCode {
    match ending {
        Ending::Finished => area.close("Finished", Gap::None),
        Ending::Interrupted => area.break_off(&["Interrupted by user".to_owned()]),
        Ending::Failed(Trouble::Map(_)) => area.break_off(&["Mapfile error".to_owned()]),
        Ending::Limits(_) | Ending::Failed(_) => area.break_off(&[]),
    }
    exit_of(job, files, signals, ending)
}
