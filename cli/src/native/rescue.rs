//! `diskwright rescue`: somebody with a dying drive runs it and gets everything that can be read.
//!
//! Owns how source, destination, map, engine and displays come together, and the exit status. Must not know the order
//! of reads.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use block::device::DeviceInfo;
use block::{BlockSink, ByteRange, Clock, Offset, SourceError, WallClock};
use engine::rescue::Surroundings;
use engine::{
    Book, Ending, FileStore, Fingerprint, Holes, Keeper, KeeperOptions, Marking, Recheck, Rescue,
    RescueOptions, Stage, WriteOptions,
};
use map::mapfile::Heading;

use crate::personality::ddrescue::job::Job;
use crate::personality::ddrescue::logs::Logs;
use crate::personality::ddrescue::session;
use crate::personality::ddrescue::start::{self, Files, Start};
use crate::personality::ddrescue::words::{self, Headings};

pub mod checks;
pub mod dialect;
mod displays;
pub mod failure;
mod files;
pub mod guard;
pub mod json;
pub mod live;
mod method;
mod network;
pub mod operator;
mod origin;
pub mod plain;
mod report;
pub mod sameness;
pub mod signals;
mod simulated;
pub mod slowdown;
pub mod summary;
mod timings;
pub mod tracker;
mod wanted;

use displays::Displays;
use failure::{Failure, chain};
use operator::Person;
use origin::Origin;
use signals::Signals;
use simulated::Verdict;
use summary::Summary;
use timings::Timings;
use wanted::{Destination, Wanted};

/// What its messages begin with.
const NAME: &str = "diskwright rescue";

/// Runs the command with its words, from `diskwright rescue` on.
pub fn run(words: Vec<OsString>) -> ExitCode {
    if let guard::Role::Guard(code) = guard::divide(&words) {
        return code;
    }
    // Whatever is wrong with the other words: a program that reads lines gets its first and its last one.
    let wants_json = words.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    match wanted::parse(words).and_then(|wanted| wanted.map_or(Ok(ExitCode::SUCCESS), rescue)) {
        Ok(code) => code,
        Err(failure) => {
            if wants_json {
                json::write_failure(&failure.to_string(), failure.status());
            }
            ExitCode::from(failure.report(NAME))
        }
    }
}

fn rescue(mut wanted: Wanted) -> Result<ExitCode, Failure> {
    let real = WallClock::new();
    let simulated = wanted.simulation.as_ref().map(|simulation| simulation.clock.clone());
    let clock: &dyn Clock = simulated.as_deref().map_or(&real, |clock| clock);
    if !wanted.allow_mounted && simulated.is_none() && wanted.network.is_none() {
        checks::check_source(&wanted.source)?;
    }
    wanted.check_names()?;
    let (source, info) = files::open_source(&wanted)?;
    files::settle_sectors(&mut wanted.job, &info);
    let wanted = &wanted;
    let job = &wanted.job;
    files::check_positions(job, &info)?;
    check_places(wanted, &info)?;
    // Before the map is read: whoever holds the destination may still save it.
    let claim = wanted.claim(&real)?;
    let _map_claim = wanted.claim_map(&real)?;
    files::join_journal(wanted)?;
    let mapfile = files::read_map(wanted)?;
    files::check_belonging(wanted, &info, mapfile.as_ref())?;

    let resume = wanted.method.resume(mapfile.as_ref());
    let is_first = mapfile.is_none_or(|mapfile| mapfile.map.extent().is_none());
    let headings = Headings::new(job, clock);
    let names = Files {
        infile: wanted.source.clone(),
        outfile: wanted.destination_name(),
        mapfile: wanted.map.clone(),
    };
    let begin = start::prepare_from(job, &names, |_| Ok(source)).map_err(Failure::from)?;
    let mut sink = files::open_sink(wanted)?;
    let _claim = claim.map_or_else(|| wanted.claim(&real), |file| Ok(Some(file)))?;
    allocate(job, &begin, &mut *sink)?;
    let logs = Logs::open(job, &headings).map_err(Failure::from)?;
    let timings = match (&wanted.log_timings, &simulated) {
        (None, _) => None,
        (Some(path), Some(clock)) => Some(Timings::create(path, &info, clock.clone())?),
        (Some(path), None) => Some(Timings::create(path, &info, Arc::new(WallClock::new()))?),
    };
    let (patience, share) = (wanted.read_patience, wanted.share);
    let options = options(job, &begin);
    let recheck = wanted.check_every.map_or(options.recheck, Recheck::EveryErrors);
    let options = RescueOptions { patience, share, recheck, ..options };
    let is_direct = simulated.is_some() || wanted.is_direct(&info);
    let ground = method::ground_of(job, &begin, is_direct, wanted.has_block, resume);
    let mut strategy = wanted.method.make(job, &begin, ground).map_err(Failure::usage)?;
    let signals =
        Signals::listen().map_err(|e| Failure::system(format!("cannot listen for signals: {e}")))?;
    let identity = files::identity_comment(&info);
    let heading = |stage: Option<Stage>| {
        let message = stage.map(words::stage);
        let mut heading = headings.mapfile(clock.now(), message.as_deref());
        heading.comments.insert(1, identity.clone());
        heading.comments.extend(wanted.method.comment());
        heading
    };
    if let Some(path) = wanted.map.as_deref().filter(|_| is_first) {
        create_map(path, &heading(None), &begin)?;
    }
    // From here on nothing ends without being told of: who reads a first line may wait for a last one.
    wanted.announce(&info, &begin);
    let keeper = wanted.map.as_deref().map(|path| {
        let (save_secs, sync_secs, journal) = (job.save_interval, job.sync_interval, wanted.journal);
        let options = KeeperOptions { save_secs, sync_secs, journal };
        let keeper = Keeper::new(Box::new(FileStore::new(path)), options, clock.now().whole_secs());
        // An hour of a simulation may pass in a second, and only the second would be lost.
        if simulated.is_some() { keeper.timed_by(Box::new(WallClock::new())) } else { keeper }
    });
    let mut origin = begin.source;
    let mut source = session::source_of(&mut origin, begin.test_map);
    let mut person = Person::new(
        wanted.map.as_deref().unwrap_or(Path::new("diskwright.map")),
        wanted.patience,
        signals.stop.clone(),
    );
    let mut displays = Displays::new(wanted, &info, &signals, logs, timings, clock.now());
    let surroundings = Surroundings {
        source: &mut *source,
        sink: &mut *sink,
        clock,
        observer: &mut displays,
        operator: &mut person,
        interrupt: &|| signals.is_interrupted(),
        keeper,
        heading: &heading,
    };
    let mut rescue = Rescue::new(surroundings, options, begin.book, begin.position);
    let ending = rescue.run(&mut *strategy);
    let book = rescue.book().clone();
    drop(rescue);
    drop(source);
    displays.close(clock.now(), matches!(ending, Ending::Finished));
    let code = code_of(&ending, book.is_complete());
    let summary = Summary {
        book: &book,
        ending: &ending,
        tracker: &displays.tracker,
        command: &wanted.words,
        retried: job.retries != Some(0),
        is_partial: wanted.method.is_classic() && (job.no_trim || job.no_scrape || job.passes != [true; 5]),
        strategy: Some(wanted.method.name()).filter(|_| !wanted.method.is_classic()),
        is_buffered: info.is_block_device
            && !wanted.is_direct(&info)
            && u64::from(job.sector) < summary::PAGE,
        disk: Some(&info.disk_name).filter(|name| !name.is_empty()),
        is_remote: wanted.network.is_some(),
        copy: (&wanted.source, &wanted.destination_name()),
        map: wanted.map.as_deref(),
        prefixes: job.prefixes,
    };
    let (verdict, code) = match judge(wanted, &origin, &book, displays.fingerprint.take()) {
        Ok(verdict) => (verdict, code),
        Err(failure) => (None, failure.report(NAME)),
    };
    wanted.conclude(&summary, &person, verdict.as_ref(), code);
    Ok(ExitCode::from(code))
}

/// Holds a simulated disk's rescue against the truth.
fn judge(
    wanted: &Wanted,
    origin: &Origin,
    book: &Book,
    fingerprint: Option<Fingerprint>,
) -> Result<Option<Verdict>, Failure> {
    let (Some(simulation), Some(source), Some(fingerprint)) =
        (&wanted.simulation, origin.simulated(), fingerprint)
    else {
        return Ok(None);
    };
    let image = match &wanted.destination {
        Destination::File(path) => Some((path.as_path(), wanted.job.shift())),
        Destination::Discard => None,
    };
    simulation.judge(source, book, image, fingerprint.finish(book)).map(Some)
}

/// Refuses to write where something would be destroyed.
fn check_places(wanted: &Wanted, source: &DeviceInfo) -> Result<(), Failure> {
    if let Destination::File(path) = &wanted.destination {
        checks::check_destination(source, path, wanted.overwrite())?;
        checks::check_abilities(path, &wanted.job)?;
    }
    let job = &wanted.job;
    let logs = [&job.log_events, &job.log_rates, &job.log_reads, &wanted.log_timings];
    for written in wanted.map.iter().chain(logs.into_iter().flatten()) {
        checks::check_place(source, written)?;
    }
    Ok(())
}

/// Makes sure of the room that the domain takes, if that was asked for.
fn allocate(job: &Job, begin: &Start<Origin>, sink: &mut dyn BlockSink) -> Result<(), Failure> {
    let Some(span) = begin.book.domain().span().filter(|_| job.preallocate) else { return Ok(()) };
    let moved = |at: Offset| at.shifted(job.shift()).unwrap_or(Offset::MAX);
    let span = ByteRange::between(moved(span.start()), moved(span.end()));
    sink.allocate(span).map_err(|e| Failure::system(chain(&e)))
}

fn options(job: &Job, begin: &Start<Origin>) -> RescueOptions {
    let options = session::rescue_options(job, begin);
    RescueOptions {
        watch: true,
        marking: Marking::AfterPresence,
        // Somebody else's bytes may be in a device, or in an image that is written over.
        write: WriteOptions { holes: Holes::Made, ..options.write },
        ..options
    }
}

/// Writes the map before the first byte is written: an image without a map is one that nobody can go on with. And who
/// cannot have a map there should know it now, not after hours.
fn create_map(path: &Path, heading: &Heading, begin: &Start<Origin>) -> Result<(), Failure> {
    let (store, map) = (&mut FileStore::new(path), begin.book.map());
    engine::keeper::write_map(store, heading, &begin.position, map, false)
        .map_err(|e| Failure::system(format!("{}: cannot create the map: {e}", path.display())))
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
