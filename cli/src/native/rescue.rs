//! `diskwright rescue`: somebody with a dying drive runs it and gets everything that can be read.
//!
//! Owns how source, destination, map, engine and displays come together, and the exit status. Must not know the order
//! of reads.

use std::ffi::OsString;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use block::device::DeviceInfo;
use block::sink::{DiscardSink, FileSink, FileSinkOptions};
use block::source::{Access, FileOptions, FileSource};
use block::{BlockSink, ByteRange, Clock, Errno, Nanos, Offset, SourceError, WallClock};
use engine::rescue::Surroundings;
use engine::strategy::Classic;
use engine::{
    Ending, Event, FileStore, Holes, Keeper, KeeperOptions, Marking, Observer, Report, Rescue, RescueOptions,
    Stage, Strategy, WriteOptions,
};
use map::{Mapfile, Status};
use serde_json::json;

use crate::personality::arguments::{self, Given};
use crate::personality::ddrescue::job::{self, Job, Wish};
use crate::personality::ddrescue::logs::Logs;
use crate::personality::ddrescue::screen::Screen;
use crate::personality::ddrescue::start::{self, Files, Start};
use crate::personality::ddrescue::watch::Watch;
use crate::personality::ddrescue::words::{self, Headings};
use crate::personality::ddrescue::{dialect::Id, session};
use crate::personality::number;

pub mod checks;
pub mod dialect;
pub mod failure;
pub mod guard;
pub mod json;
pub mod live;
pub mod operator;
pub mod plain;
pub mod sameness;
pub mod signals;
pub mod summary;
pub mod tracker;

use checks::{Overwrite, Refusal};
use dialect::{DIALECT, Own, Word};
use failure::{Failure, chain};
use operator::Person;
use signals::Signals;
use tracker::Tracker;

/// How long a lost device is looked for, unless said otherwise.
const PATIENCE: Nanos = Nanos::from_secs(60);

/// Verbosity of ddrescue's displays, of which only the logs are used here.
const QUIET: i32 = -1;

/// What the command line asks for.
struct Wanted {
    job: Job,
    source: PathBuf,
    destination: Destination,
    map: Option<PathBuf>,
    /// Whether the map's name was given or made up.
    map_is_named: bool,
    access: Option<Access>,
    allow_mounted: bool,
    patience: Nanos,
    display: Display,
    words: Vec<OsString>,
}

enum Destination {
    File(PathBuf),
    Discard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Display {
    Json,
    Plain,
    Live,
    Quiet,
}

/// Runs the command with its words, from `diskwright rescue` on.
pub fn run(words: Vec<OsString>) -> ExitCode {
    if let guard::Role::Guard(code) = guard::divide(&words) {
        return code;
    }
    match parse(words).and_then(|wanted| wanted.map_or(Ok(ExitCode::SUCCESS), rescue)) {
        Ok(code) => code,
        Err(failure) => failure.report("diskwright rescue"),
    }
}

fn parse(words: Vec<OsString>) -> Result<Option<Wanted>, Failure> {
    let usage = |text: String| Failure::usage(format!("{text}\nTry 'diskwright rescue --help'."));
    let line =
        arguments::parse(DIALECT.options, words.iter().skip(2).cloned()).map_err(|e| usage(e.to_string()))?;
    let mut gnu: Vec<Given<Id>> = Vec::new();
    let (mut access, mut allow_mounted, mut patience, mut display) = (None, false, PATIENCE, None);
    for Given { id, name, value } in line.options {
        match id {
            Word::Gnu(id) => {
                if id == Id::DirectIn {
                    access = Some(Access::Direct);
                }
                gnu.push(Given { id, name, value });
            }
            Word::Own(Own::Json) => display = Some(Display::Json),
            Word::Own(Own::Plain) => display = Some(Display::Plain),
            Word::Own(Own::Buffered) => access = Some(Access::Buffered),
            Word::Own(Own::AllowMounted) => allow_mounted = true,
            Word::Own(Own::WaitForDevice) => {
                let given = Given { id, name, value };
                let secs = number::parse_interval(given.bytes())
                    .map_err(|e| usage(e.message(given.bytes(), &given.name)))?;
                patience = Nanos::from_secs(secs);
            }
        }
    }
    let wish = job::evaluate(&words, &gnu, &line.names).map_err(|refusal| usage(refusal.complaint.text))?;
    let mut job = match wish {
        Wish::Help => {
            print(&DIALECT.help("diskwright rescue"));
            return Ok(None);
        }
        Wish::Version => {
            print(&format!("diskwright {}\n", env!("CARGO_PKG_VERSION")));
            return Ok(None);
        }
        Wish::Work(job) => *job,
    };
    let [Some(source), Some(destination), map] = job.names.clone() else {
        return Err(usage("SOURCE and DESTINATION must be given.".into()));
    };
    // Zero stands for "the device's own": the GNU default of 512 was never asked for.
    if !gnu.iter().any(|given| given.id == Id::SectorSize) {
        let clusters = gnu.iter().any(|given| given.id == Id::ClusterSize).then_some(job.cluster / 512);
        job.cluster = clusters.unwrap_or(0);
        job.sector = 0;
    }
    let destination = match destination.as_os_str().to_str() {
        Some("discard:") => Destination::Discard,
        _ => Destination::File(destination),
    };
    let map_is_named = map.is_some();
    let map = map.or_else(|| match &destination {
        Destination::Discard => None,
        Destination::File(path) => {
            let mut name = path.clone().into_os_string();
            name.push(".map");
            Some(PathBuf::from(name))
        }
    });
    let display = match display {
        Some(display) => display,
        None if job.verbosity < 0 => Display::Quiet,
        None if std::io::stderr().is_terminal() && !is_dumb() => Display::Live,
        None => Display::Plain,
    };
    Ok(Some(Wanted {
        job,
        source,
        destination,
        map,
        map_is_named,
        access,
        allow_mounted,
        patience,
        display,
        words,
    }))
}

/// Whether the terminal can only print line after line.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|name| name.is_empty() || name == "dumb")
}

fn print(text: &str) {
    // A closed standard output is the reader's choice.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Says something to whoever looks on.
fn say(text: &str) {
    // Nobody is left to be told when standard error is gone, and a rescue does not end for that.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn rescue(wanted: Wanted) -> Result<ExitCode, Failure> {
    let mut wanted = wanted;
    if !wanted.allow_mounted {
        checks::check_source(&wanted.source).map_err(refused)?;
    }
    wanted.check_names().map_err(refused)?;
    let source = open_source(&wanted)?;
    let info = source.info().clone();
    settle_sectors(&mut wanted.job, &info);
    let job = &wanted.job;
    let overwrite = if job.force { Overwrite::Forced } else { Overwrite::Never };
    if let Destination::File(path) = &wanted.destination {
        checks::check_destination(&info, path, overwrite).map_err(refused)?;
    }
    let logs = [&job.log_events, &job.log_rates, &job.log_reads];
    for written in wanted.map.iter().chain(logs.into_iter().flatten()) {
        checks::check_place(&info, written).map_err(refused)?;
    }
    let clock = WallClock::new();
    // Before the map is read: whoever holds the destination may still save it.
    let claim = wanted.claim(&clock)?;
    let mapfile = read_map(&wanted)?;
    check_belonging(&wanted, &info, mapfile.as_ref(), overwrite)?;

    let is_first = mapfile.is_none_or(|mapfile| mapfile.map.extent().is_none());
    let headings = Headings::new(job, &clock);
    let files = Files {
        infile: wanted.source.clone(),
        outfile: wanted.destination_name(),
        mapfile: wanted.map.clone(),
    };
    let is_direct = wanted.is_direct(&info);
    let begin = start::prepare_from(job, &files, |_| Ok(source)).map_err(Failure::from)?;
    let mut sink = open_sink(&wanted)?;
    let _claim = claim.map_or_else(|| wanted.claim(&clock), |file| Ok(Some(file)))?;
    if job.preallocate
        && let Some(span) = begin.book.domain().span()
    {
        let moved = |at: Offset| at.shifted(job.shift()).unwrap_or(Offset::MAX);
        let span = ByteRange::between(moved(span.start()), moved(span.end()));
        sink.allocate(span).map_err(|e| Failure::system(chain(&e)))?;
    }
    let logs = Logs::open(job, &headings).map_err(Failure::from)?;
    let options = session::rescue_options(job, &begin);
    let options = RescueOptions {
        watch: true,
        marking: Marking::AfterPresence,
        // Somebody else's bytes may be in a device, or in an image that is written over.
        write: WriteOptions { holes: Holes::Made, ..options.write },
        ..options
    };
    let strategy = Classic::new(session::classic_options(job, &begin));
    wanted.announce(&info, &begin, is_direct);
    let retried = job.retries != Some(0);
    let is_partial = job.no_trim || job.no_scrape || job.passes != [true; 5];
    let is_buffered = info.is_block_device && !is_direct;

    let signals =
        Signals::listen().map_err(|e| Failure::system(format!("cannot listen for signals: {e}")))?;
    let identity = identity_comment(&info);
    let heading = |stage: Option<Stage>| {
        let message = stage.map(words::stage);
        let mut heading = headings.mapfile(clock.now(), message.as_deref());
        heading.comments.insert(1, identity.clone());
        heading
    };
    if let Some(path) = wanted.map.as_deref().filter(|_| is_first) {
        // Before the first byte is written: an image without a map is one that nobody can go on with. And who cannot have
        // a map there should know it now, not after hours.
        engine::keeper::write_map(
            &mut FileStore::new(path),
            &heading(None),
            &begin.position,
            begin.book.map(),
            false,
        )
        .map_err(|e| Failure::system(format!("{}: cannot create the map: {e}", path.display())))?;
    }
    let keeper = wanted.map.as_deref().map(|path| {
        let options = KeeperOptions { save_secs: job.save_interval, sync_secs: job.sync_interval };
        Keeper::new(Box::new(FileStore::new(path)), options, clock.now().whole_secs())
    });
    let mut source = session::source_of(begin.source, begin.test_map);
    let mut person =
        Person::new(wanted.map.as_deref().unwrap_or(Path::new("diskwright.map")), wanted.patience);
    let mut displays = Displays::new(&wanted, &info, signals.status_wanted.clone(), logs, clock.now());
    let surroundings = Surroundings {
        source: &mut *source,
        sink: &mut *sink,
        clock: &clock,
        observer: &mut displays,
        operator: &mut person,
        interrupt: &|| signals.is_interrupted(),
        keeper,
        heading: &heading,
    };
    let mut strategy: Box<dyn Strategy> = Box::new(strategy);
    let mut rescue = Rescue::new(surroundings, options, begin.book, begin.position);
    let ending = rescue.run(&mut *strategy);
    let book = rescue.book().clone();
    drop(rescue);
    displays.close(clock.now(), matches!(ending, Ending::Finished));
    let code = code_of(&ending, book.is_complete());
    let summary = summary::Summary {
        book: &book,
        ending: &ending,
        tracker: &displays.tracker,
        command: &wanted.words,
        retried,
        is_partial,
        is_buffered,
        has_map: wanted.map.is_some(),
        prefixes: wanted.job.prefixes,
    };
    wanted.conclude(&summary, &person, code);
    Ok(ExitCode::from(code))
}

/// Exit status of an ending.
fn code_of(ending: &Ending, is_complete: bool) -> u8 {
    use engine::Trouble as T;
    match ending {
        Ending::Finished if is_complete => failure::DONE,
        Ending::Finished => failure::MISSING,
        Ending::Limits(_) | Ending::Interrupted => failure::STOPPED,
        Ending::Failed(T::Source(SourceError::Refused { .. })) => failure::SYSTEM,
        Ending::Failed(
            T::Source(_)
            | T::Mute { .. }
            | T::EndsEarly { .. }
            | T::NoMoreData { .. }
            | T::InconsistentData { .. }
            | T::NoGoodSectorYet,
        ) => failure::STOPPED,
        Ending::Failed(T::Sink(_) | T::Map(_)) => failure::SYSTEM,
        Ending::Failed(T::EndBelowMap { .. }) => failure::BAD_INPUT,
    }
}

fn refused(refusal: Refusal) -> Failure {
    Failure::usage(refusal.to_string())
}

fn open_source(wanted: &Wanted) -> Result<FileSource, Failure> {
    let open = |access| {
        let damage_errnos = wanted.job.continue_on.clone();
        let sector = (wanted.job.sector > 0).then_some(wanted.job.sector);
        FileSource::open(&wanted.source, FileOptions { access, sector, damage_errnos })
    };
    if wanted.source.is_dir() {
        let advice = "this is a folder; name a device, or an image of one";
        return Err(Failure::usage(format!("{}: {advice}", wanted.source.display())));
    }
    // Not by opening it: a pipe would wait for somebody to write.
    let is_device =
        std::fs::metadata(&wanted.source).is_ok_and(|metadata| metadata.file_type().is_block_device());
    let access = wanted.access.unwrap_or(if is_device { Access::Direct } else { Access::Buffered });
    open(access).map_err(|error| match (&error, access) {
        (SourceError::Open { errno: Errno::EINVAL, .. }, Access::Direct) => Failure::system(format!(
            "{}: it cannot be read past the page cache; give --buffered (which may widen damage to 4096 bytes)",
            wanted.source.display()
        )),
        _ => Failure::system(chain(&error)),
    })
}

/// Sectors are the medium's own unless somebody said otherwise.
fn settle_sectors(job: &mut Job, info: &DeviceInfo) {
    if job.sector == 0 {
        job.sector = info.physical_sector;
        let sectors = if job.cluster > 0 { job.cluster } else { (65536 / u64::from(job.sector)).max(1) };
        let sectors = sectors.min(i32::MAX as u64 / u64::from(job.sector));
        job.cluster = sectors * u64::from(job.sector);
    }
}

fn read_map(wanted: &Wanted) -> Result<Option<Mapfile>, Failure> {
    let Some(path) = &wanted.map else { return Ok(None) };
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Failure::system(format!("{}: cannot read the map: {e}", path.display()))),
    };
    match Mapfile::parse(&text) {
        Ok(mapfile) => Ok(Some(mapfile)),
        Err(e) => Err(Failure::bad_input(format!("{}:{}: {}", path.display(), e.line, e.fault))),
    }
}

/// What the map says about its source, as a comment.
fn identity_comment(info: &DeviceInfo) -> String {
    let text = match (info.identity(), info.size) {
        (Some(identity), _) => format!("Source: {identity}"),
        (None, Some(size)) => format!("Source: {size} bytes"),
        (None, None) => "Source: unknown".into(),
    };
    // It ends with its line.
    text.replace(char::is_control, " ")
}

/// Refuses a map that belongs to another source or image.
fn check_belonging(
    wanted: &Wanted,
    info: &DeviceInfo,
    mapfile: Option<&Mapfile>,
    overwrite: Overwrite,
) -> Result<(), Failure> {
    let Some(map) = &wanted.map else { return Ok(()) };
    // An empty map says as little as none.
    let Some(mapfile) = mapfile.filter(|mapfile| mapfile.map.extent().is_some()) else {
        return match &wanted.destination {
            Destination::File(path) if overwrite == Overwrite::Never && has_content(path) => {
                Err(refused(Refusal::NoMap { path: path.clone(), map: map.clone() }))
            }
            _ => Ok(()),
        };
    };
    let now = identity_comment(info);
    let then = mapfile.comments.iter().find(|comment| comment.starts_with("Source: "));
    if let Some(then) = then.filter(|then| **then != now && overwrite == Overwrite::Never) {
        let words = |text: &str| text.trim_start_matches("Source: ").to_owned();
        return Err(refused(Refusal::OtherSource { map: map.clone(), then: words(then), now: words(&now) }));
    }
    let Destination::File(path) = &wanted.destination else { return Ok(()) };
    let last = mapfile.map.previous_with(Status::Finished, Offset::MAX);
    let needed =
        last.and_then(|block| block.range.end().shifted(wanted.job.shift())).map_or(0, Offset::bytes);
    let metadata = std::fs::metadata(path);
    let size = match &metadata {
        Ok(metadata) if !metadata.is_file() => return Ok(()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    if size < needed {
        return Err(refused(Refusal::ImageTooShort { path: path.clone(), map: map.clone(), size, needed }));
    }
    Ok(())
}

fn has_content(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
}

fn open_sink(wanted: &Wanted) -> Result<Box<dyn BlockSink>, Failure> {
    let Destination::File(path) = &wanted.destination else { return Ok(Box::new(DiscardSink::default())) };
    let job = &wanted.job;
    let options = FileSinkOptions {
        direct: job.direct_out,
        truncate: job.truncate,
        read_back: job.compare_before_write,
        holes: true,
        read_only: false,
    };
    let mut sink = FileSink::open(path, options).map_err(|e| Failure::system(chain(&e)))?;
    sink.size().map_err(|e| Failure::system(chain(&e)))?;
    Ok(Box::new(sink))
}

impl Wanted {
    fn destination_name(&self) -> PathBuf {
        match &self.destination {
            Destination::File(path) => path.clone(),
            Destination::Discard => "discard:".into(),
        }
    }

    /// Makes sure that no file of this run is written over by another one of its files.
    fn check_names(&self) -> Result<(), Refusal> {
        let job = &self.job;
        let part = |what, name: Option<&PathBuf>| name.map(|name| (what, name.clone()));
        let read = [
            part("the source itself", Some(&self.source)),
            part("the domain map", job.domain_map.as_ref()),
            part("the test map", job.test_map.as_ref()),
        ];
        let backup = self.map.as_ref().map(|map| {
            let mut name = map.clone().into_os_string();
            name.push(".bak");
            PathBuf::from(name)
        });
        let destination = match &self.destination {
            Destination::File(path) => Some(path),
            Destination::Discard => None,
        };
        let written = [
            part("the destination", destination),
            part("the map", self.map.as_ref()),
            part("the map's backup", backup.as_ref()),
            part("the log of events", job.log_events.as_ref()),
            part("the log of rates", job.log_rates.as_ref()),
            part("the log of reads", job.log_reads.as_ref()),
        ];
        let named = |parts: &[Option<checks::Part>]| parts.iter().flatten().cloned().collect::<Vec<_>>();
        self.map.as_deref().map_or(Ok(()), checks::check_map)?;
        checks::check_names(&named(&read), &named(&written))
    }

    fn claim(&self, clock: &dyn Clock) -> Result<Option<File>, Failure> {
        match &self.destination {
            Destination::File(path) => checks::claim(path, clock).map_err(refused),
            Destination::Discard => Ok(None),
        }
    }

    fn is_direct(&self, info: &DeviceInfo) -> bool {
        self.access.map_or(info.is_block_device, |access| access == Access::Direct)
    }

    /// Says what is about to happen.
    fn announce(&self, info: &DeviceInfo, begin: &Start, is_direct: bool) {
        let book = &begin.book;
        let map = self.map.as_ref().map(|path| path.to_string_lossy().into_owned());
        if self.display == Display::Json {
            json::write(&json!({
                "event": "start",
                "version": env!("CARGO_PKG_VERSION"),
                "source": self.source.to_string_lossy(),
                "source_identity": info.identity().map(|identity| identity.to_string()),
                "destination": self.destination_name().to_string_lossy(),
                "map": map,
                "resumed": begin.map_exists,
                "size_bytes": begin.size,
                "domain_bytes": book.domain_bytes(),
                "rescued_bytes": book.bytes(Status::Finished),
                "sector_bytes": self.job.sector,
                "direct": is_direct,
            }));
            return;
        }
        if self.display == Display::Quiet {
            return;
        }
        let bytes = |count| format!("{}B", number::size(count, self.job.prefixes));
        let size = begin.size.map_or("unknown size".into(), bytes);
        let how = if is_direct { "past the page cache" } else { "through the page cache" };
        let mut text = format!(
            "diskwright {}: rescuing {} ({size}, sectors of {} bytes, read {how}) into {}\n",
            env!("CARGO_PKG_VERSION"),
            self.source.display(),
            self.job.sector,
            self.destination_name().display(),
        );
        if let Some(map) = &map {
            let why = if self.map_is_named { "" } else { " (none was named)" };
            let state = if begin.map_exists { "goes on from" } else { "is kept in" };
            text.push_str(&format!("The rescue {state} the map {map}{why}.\n"));
        }
        if begin.map_exists {
            let done = bytes(book.bytes(Status::Finished));
            let left = bytes(book.domain_bytes() - book.bytes(Status::Finished));
            text.push_str(&format!("Earlier runs rescued {done}; {left} are left.\n"));
        }
        say(&text);
    }

    /// Says how it ended.
    fn conclude(&self, summary: &summary::Summary<'_>, person: &Person, code: u8) {
        let trouble = match summary.ending {
            Ending::Failed(trouble) => Some(chain(trouble)),
            _ => None,
        };
        if self.display == Display::Json {
            let book = summary.book;
            json::write(&json!({
                "event": "end",
                "rescued_bytes": book.bytes(Status::Finished),
                "domain_bytes": book.domain_bytes(),
                "bad_sector_bytes": book.bytes(Status::BadSector),
                "failed_bytes": book.failed_bytes(),
                "non_tried_bytes": book.bytes(Status::NonTried),
                "bad_areas": book.bad_areas(),
                "failed_reads": summary.tracker.failed_reads,
                "ending": match summary.ending {
                    Ending::Finished => "finished",
                    Ending::Limits(_) => "limit",
                    Ending::Interrupted => "interrupted",
                    Ending::Failed(_) => "failed",
                },
                "error": trouble,
                "emergency_map": person.emergency.as_ref().map(|path| path.to_string_lossy()),
                "exit": code,
            }));
            return;
        }
        if let Some(trouble) = trouble {
            say(&format!("diskwright rescue: {trouble}\n"));
        }
        if let Some(path) = &person.emergency {
            say(&format!(
                "The map was saved in {} instead: copy it to its place before you go on.\n",
                path.display()
            ));
        }
        if self.display != Display::Quiet {
            summary.lines().iter().for_each(|line| say(&format!("{line}\n")));
        }
    }
}

/// All that watch a rescue.
struct Displays {
    shown: Vec<Box<dyn Observer>>,
    /// Writes the logs; its screen shows nothing.
    logs: Option<Watch>,
    tracker: Tracker,
}

impl Displays {
    fn new(
        wanted: &Wanted,
        info: &DeviceInfo,
        status_wanted: Arc<AtomicBool>,
        logs: Logs,
        now: Nanos,
    ) -> Displays {
        let prefixes = wanted.job.prefixes;
        let plain = |habit| Box::new(plain::Plain::new(prefixes, status_wanted.clone(), habit));
        let identity =
            [info.model.clone(), info.serial.clone()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let name = wanted.source.display();
        let titles = live::Titles {
            source: if identity.is_empty() { name.to_string() } else { format!("{name} ({identity})") },
            destination: wanted.destination_name().to_string_lossy().into_owned(),
            map: wanted.map.as_ref().map_or(String::new(), |path| path.to_string_lossy().into_owned()),
            prefixes,
            retries: wanted.job.retries != Some(0),
        };
        let shown: Vec<Box<dyn Observer>> = match wanted.display {
            Display::Json => vec![Box::new(json::Json::new()), plain(plain::Habit::Asked)],
            Display::Quiet => vec![plain(plain::Habit::Asked)],
            Display::Plain => vec![plain(plain::Habit::Regular)],
            Display::Live => match live::Live::start(titles) {
                Some(live) => vec![Box::new(live)],
                None => vec![plain(plain::Habit::Regular)],
            },
        };
        let job = Job { verbosity: QUIET, ..wanted.job.clone() };
        let screen = Screen::new(&job, now.whole_secs());
        let logs = Some(Watch::new(&job, screen, logs));
        Displays { shown, logs, tracker: Tracker::default() }
    }

    fn close(&mut self, now: Nanos, is_finished: bool) {
        self.shown.clear();
        if let Some(logs) = self.logs.take() {
            logs.close(now, QUIET, is_finished);
        }
    }
}

impl Observer for Displays {
    fn on(&mut self, event: &Event<'_>, report: &Report<'_>) {
        self.tracker.on(event, report);
        if let Some(logs) = &mut self.logs {
            logs.on(event, report);
        }
        self.shown.iter_mut().for_each(|display| display.on(event, report));
    }
}
