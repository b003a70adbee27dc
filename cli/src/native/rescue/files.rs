//! The files of a rescue: source, destination and map, opened after they were checked against each other.
//!
//! Owns how each is opened, and what must agree between them. Must not know what is done with them.

use std::fs::File;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use block::device::DeviceInfo;
use block::sink::{DiscardSink, FileSink, FileSinkOptions};
use block::source::{Access, Advice, FileOptions, FileSource};
use block::{BlockSink, Clock, Errno, Offset, SourceError};
use engine::FileStore;
use engine::keeper::Found;
use map::{Mapfile, Status};

use super::checks::{self, Overwrite, Refusal};
use super::failure::{Failure, chain};
use super::network;
use super::origin::Origin;
use super::wanted::{Destination, Wanted};
use crate::personality::ddrescue::job::Job;

/// Opens the source; tells what the system says about it.
pub(super) fn open_source(wanted: &Wanted) -> Result<(Origin, DeviceInfo), Failure> {
    if let Some(simulation) = &wanted.simulation {
        let source = simulation.open()?;
        let info = simulation.info(&wanted.source, &source);
        return Ok((Origin::Simulated(source), info));
    }
    if let Some(uri) = &wanted.network {
        let source = network::open(uri, &wanted.job)?;
        let info = network::info(&source);
        return Ok((Origin::Network(source), info));
    }
    let source = open_file(wanted)?;
    let info = source.info().clone();
    Ok((Origin::Real(source), info))
}

fn open_file(wanted: &Wanted) -> Result<FileSource, Failure> {
    let open = |access| {
        let damage_errnos = wanted.job.continue_on.clone();
        let sector = (wanted.job.sector > 0).then_some(wanted.job.sector);
        FileSource::open(
            &wanted.source,
            FileOptions { access, advice: Advice::Careful, sector, damage_errnos },
        )
    };
    if wanted.source.is_dir() {
        let advice = "this is a folder; name a device, or an image of one";
        return Err(Failure::usage(format!("{}: {advice}", wanted.source.display())));
    }
    // Not by opening it: a pipe would wait for somebody to write.
    let is_device =
        std::fs::metadata(&wanted.source).is_ok_and(|metadata| metadata.file_type().is_block_device());
    let access = wanted.access.unwrap_or(if is_device { Access::Direct } else { Access::Buffered });
    let source = open(access).map_err(|error| match (&error, access) {
        (SourceError::Open { errno: Errno::EINVAL, .. }, Access::Direct) => Failure::system(format!(
            "{}: it cannot be read past the page cache; give --buffered (which may widen damage to 4096 bytes)",
            wanted.source.display()
        )),
        (SourceError::Open { errno, .. }, _) => Failure::system(chain(&error) + advice_on(*errno)),
        _ => Failure::system(chain(&error)),
    })?;
    if is_device && source.info().size.is_none() {
        // Nothing could be read, and nothing be missing: that must not look like a rescue that went well.
        return Err(Failure::lost(format!(
            "{}: this device has no bytes: there is no medium in it, or the drive has not come up; insert one, or \
             switch the drive off and on, then run this again",
            wanted.source.display()
        )));
    }
    Ok(source)
}

/// What to do about a file or device that cannot be opened.
fn advice_on(errno: Errno) -> &'static str {
    use nix::errno::Errno as E;
    match E::from_raw(errno.0) {
        E::ENOENT | E::ENOTDIR => "; check the name and its folder",
        E::EACCES | E::EPERM => "; run this as somebody who may, such as root",
        E::ENOMEDIUM | E::ENXIO | E::ENODEV => "; insert a medium, or reconnect the drive",
        _ => "",
    }
}

/// Refuses positions that the source does not have, or that no destination could have.
pub(super) fn check_positions(job: &Job, info: &DeviceInfo) -> Result<(), Failure> {
    let start = job.input_position;
    if let Some(size) = info.size.filter(|size| *size > 0 && start >= *size) {
        let path = info.path.display();
        return Err(Failure::usage(format!(
            "--input-position={start}: {path} is only {size} bytes long; name an earlier position"
        )));
    }
    let end = info.size.unwrap_or(start).min(job.size.map_or(u64::MAX, |size| start.saturating_add(size)));
    let last = job.output_position.unwrap_or(start).checked_add(end.saturating_sub(start));
    if last.is_none_or(|last| last > i64::MAX as u64) {
        let at = job.output_position.unwrap_or(start);
        return Err(Failure::usage(format!(
            "--output-position={at}: no file and no device reaches that far; name an earlier position"
        )));
    }
    Ok(())
}

/// Sectors are the medium's own unless somebody said otherwise.
pub(super) fn settle_sectors(job: &mut Job, info: &DeviceInfo) {
    if job.sector == 0 {
        job.sector = info.physical_sector;
        let sectors = if job.cluster > 0 { job.cluster } else { (65536 / u64::from(job.sector)).max(1) };
        let sectors = sectors.min(i32::MAX as u64 / u64::from(job.sector));
        job.cluster = sectors * u64::from(job.sector);
    }
}

/// Brings into the map what a run that was killed left in its journal.
pub(super) fn join_journal(wanted: &Wanted) -> Result<(), Failure> {
    let Some(path) = &wanted.map else { return Ok(()) };
    let mut store = FileStore::new(path);
    let journal = store.journal().to_owned();
    match store.join_journal() {
        Ok((Found::NoJournal, _)) => {}
        Ok((Found::Joined, _)) => wanted.tell(&format!("{}: joined with the map\n", journal.display())),
        Ok((Found::ForeignJournal, aside)) => wanted.tell(&format!(
            "{}: this journal does not fit the map {}, so nothing in it is used; it is {} now\n",
            journal.display(),
            path.display(),
            aside.display()
        )),
        // A map that cannot be understood is told of by whoever reads it.
        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {}
        Err(e) => {
            let (path, journal, advice) = (path.display(), journal.display(), advice_on(Errno::of(&e)));
            let what = format!("cannot bring the journal {journal} into this map");
            return Err(Failure::system(format!("{path}: {what}: {e}{advice}")));
        }
    }
    Ok(())
}

/// Reads the map, if it is there.
pub(super) fn read_map(wanted: &Wanted) -> Result<Option<Mapfile>, Failure> {
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
pub(super) fn identity_comment(info: &DeviceInfo) -> String {
    let text = match (info.identity(), info.size) {
        (Some(identity), _) => format!("Source: {identity}"),
        (None, Some(size)) => format!("Source: {size} bytes"),
        (None, None) => "Source: unknown".into(),
    };
    // It ends with its line.
    text.replace(char::is_control, " ")
}

/// Refuses a map that belongs to another source or image.
pub(super) fn check_belonging(
    wanted: &Wanted,
    info: &DeviceInfo,
    mapfile: Option<&Mapfile>,
) -> Result<(), Failure> {
    let overwrite = wanted.overwrite();
    let Some(map) = &wanted.map else { return Ok(()) };
    // An empty map says as little as none.
    let Some(mapfile) = mapfile.filter(|mapfile| mapfile.map.extent().is_some()) else {
        return match &wanted.destination {
            Destination::File(path) if overwrite == Overwrite::Never && has_content(path) => {
                Err(Refusal::NoMap { path: path.clone(), map: map.clone() }.into())
            }
            _ => Ok(()),
        };
    };
    let now = identity_comment(info);
    let then = mapfile.comments.iter().find(|comment| comment.starts_with("Source: "));
    if let Some(then) = then.filter(|then| **then != now && overwrite == Overwrite::Never) {
        let words = |text: &str| text.trim_start_matches("Source: ").to_owned();
        return Err(Failure::from(Refusal::OtherSource {
            map: map.clone(),
            then: words(then),
            now: words(&now),
        }));
    }
    check_reach(wanted, info, mapfile)?;
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
        return Err(Failure::from(Refusal::ImageTooShort {
            path: path.clone(),
            map: map.clone(),
            size,
            needed,
        }));
    }
    Ok(())
}

/// Refuses a map that goes on where the source has ended: it is another one's, whoever made it.
fn check_reach(wanted: &Wanted, info: &DeviceInfo, mapfile: &Mapfile) -> Result<(), Refusal> {
    let (Some(map), Some(size), Some(extent)) = (&wanted.map, info.size, mapfile.map.extent()) else {
        return Ok(());
    };
    // One that was made while nobody knew the size has no end.
    let is_longer = extent.end().bytes() > size && extent.end() < Offset::MAX;
    if is_longer && !wanted.job.complete_only && wanted.overwrite() == Overwrite::Never {
        return Err(Refusal::OtherSource {
            map: map.clone(),
            then: format!("at least {} bytes", extent.end().bytes()),
            now: format!("{size} bytes"),
        });
    }
    Ok(())
}

fn has_content(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
}

/// Opens the destination.
pub(super) fn open_sink(wanted: &Wanted) -> Result<Box<dyn BlockSink>, Failure> {
    let Destination::File(path) = &wanted.destination else { return Ok(Box::new(DiscardSink::default())) };
    let job = &wanted.job;
    let options = FileSinkOptions {
        direct: job.direct_out,
        truncate: job.truncate,
        read_back: job.compare_before_write,
        holes: true,
        read_only: false,
    };
    let mut sink =
        FileSink::open(path, options).map_err(|e| Failure::system(chain(&e) + advice_on(e.errno)))?;
    sink.size().map_err(|e| Failure::system(chain(&e)))?;
    Ok(Box::new(sink))
}

impl Wanted {
    /// Makes sure that no file of this run is written over by another one of its files.
    pub(super) fn check_names(&self) -> Result<(), Refusal> {
        let job = &self.job;
        let part = |what, name: Option<&PathBuf>| name.map(|name| (what, name.clone()));
        let read = [
            part("the source itself", Some(&self.source).filter(|_| self.reads_a_path())),
            part("the domain map", job.domain_map.as_ref()),
            part("the test map", job.test_map.as_ref()),
        ];
        let backup = self.map.as_ref().map(|map| {
            let mut name = map.clone().into_os_string();
            name.push(".bak");
            PathBuf::from(name)
        });
        let journal = self.map.as_ref().map(|map| FileStore::new(map).journal().to_owned());
        let destination = match &self.destination {
            Destination::File(path) => Some(path),
            Destination::Discard => None,
        };
        let written = [
            part("the destination", destination),
            part("the map", self.map.as_ref()),
            part("the map's backup", backup.as_ref()),
            part("the map's journal", journal.as_ref()),
            part("the log of events", job.log_events.as_ref()),
            part("the log of rates", job.log_rates.as_ref()),
            part("the log of reads", job.log_reads.as_ref()),
            part("the log of timings", self.log_timings.as_ref()),
        ];
        let named = |parts: &[Option<checks::Part>]| parts.iter().flatten().cloned().collect::<Vec<_>>();
        self.map.as_deref().map_or(Ok(()), checks::check_map)?;
        checks::check_names(&named(&read), &named(&written))
    }

    /// Claims the map for this rescue alone.
    pub(super) fn claim_map(&self, clock: &dyn Clock) -> Result<Option<UnixDatagram>, Refusal> {
        self.map.as_deref().map_or(Ok(None), |map| checks::claim_map(map, clock))
    }

    /// Claims the destination for this rescue alone.
    pub(super) fn claim(&self, clock: &dyn Clock) -> Result<Option<File>, Failure> {
        match &self.destination {
            Destination::File(path) => checks::claim(path, clock).map_err(Failure::from),
            Destination::Discard => Ok(None),
        }
    }
}
