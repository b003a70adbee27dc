//! What must be in order before a run may begin.
//!
//! Owns the checks, their order, and what map and domain come out of them. Must not know what the run will do.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use block::source::{Access, Advice, FileOptions, FileSource};
use block::{BlockSource, ByteRange, Offset, RangeSet, SourceError};
use engine::Book;
use map::masked::finished_of;
use map::{Mapfile, Position, RescueMap, Status};

use crate::personality::Complaint;
use crate::personality::ddrescue::job::{Job, Operation};
use crate::personality::ddrescue::subsectors;
use crate::personality::mapfiles::{DomainOptions, Reader, Reading};
use crate::personality::number;

/// The files of a run.
#[derive(Clone, Debug)]
pub struct Files {
    /// Read.
    pub infile: PathBuf,
    /// Written.
    pub outfile: PathBuf,
    /// Both.
    pub mapfile: Option<PathBuf>,
}

/// A run that may begin.
pub struct Start<S = FileSource> {
    /// The opened infile.
    pub source: S,
    /// Its size, as far as it counts.
    pub size: Option<u64>,
    /// What is to be taken for readable, if not everything.
    pub test_map: Option<RescueMap>,
    /// Map and domain.
    pub book: Book,
    /// The status line of the mapfile.
    pub position: Position,
    /// Whether there was a mapfile, even an empty one.
    pub map_exists: bool,
    /// Where it ended as it was read; 0 if it was empty.
    pub map_end: Offset,
}

/// Checks the names: what may not be what else.
pub fn check_files(job: &Job) -> Result<Files, Complaint> {
    let [Some(infile), Some(outfile), mapfile] = job.names.clone() else {
        return Err(Complaint::usage("Both input and output files must be specified."));
    };
    let files = Files { infile, outfile, mapfile };
    let Files { infile, outfile, mapfile } = &files;
    if !job.same_file && is_same(infile, outfile) {
        return Err(Complaint::about(outfile, "Infile and outfile are the same."));
    }
    if let Some(mapfile) = mapfile {
        if is_same(infile, mapfile) {
            return Err(Complaint::about(mapfile, "Infile and mapfile are the same."));
        }
        if is_same(outfile, mapfile) {
            return Err(Complaint::about(mapfile, "Outfile and mapfile are the same."));
        }
        let backup = backup_of(mapfile);
        if *infile == backup {
            return Err(Complaint::about(infile, "Infile and mapfile backup are the same."));
        }
        if *outfile == backup {
            return Err(Complaint::about(outfile, "Outfile and mapfile backup are the same."));
        }
        if is_special(mapfile) {
            return Err(Complaint::about(mapfile, "Mapfile exists and is not a regular file."));
        }
        if is_special(&backup) {
            return Err(Complaint::about(&backup, "Mapfile backup exists and is not a regular file."));
        }
    }
    if job.operation != Operation::Generate && is_special(outfile) {
        check_special_outfile(job, outfile)?;
    }
    Ok(files)
}

fn check_special_outfile(job: &Job, outfile: &Path) -> Result<(), Complaint> {
    let wanted = match job {
        Job { force: false, .. } => {
            "Use '--force' if you really want to overwrite it, but be\n          \
             aware that all existing data in the output file will be lost."
        }
        Job { operation: Operation::Fill { .. }, .. } => return Ok(()),
        Job { preallocate: true, .. } => "Only regular files can be preallocated.",
        Job { sparse: true, .. } => "Only regular files can be sparse.",
        Job { extend_outfile: Some(_), .. } => "Only regular files can be extended.",
        _ => return Ok(()),
    };
    let text = format!("Output file exists and is not a regular file.\nddrescue: {wanted}");
    Err(Complaint { hint: crate::personality::Hint::Help, ..Complaint::about(outfile, text) })
}

fn backup_of(mapfile: &Path) -> PathBuf {
    let mut name = mapfile.as_os_str().to_owned();
    name.push(".bak");
    PathBuf::from(name)
}

fn is_same(left: &Path, right: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    left == right || identity(left).is_some_and(|left| Some(left) == identity(right))
}

/// Whether something is there that is not a regular file.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file())
}

/// Reads the mapfile of a run; `None` if it is not there.
pub fn read_mapfile(path: &Path, reader: &mut Reader) -> Result<Option<Mapfile>, Complaint> {
    match fs::metadata(path) {
        Ok(_) => reader.read(path.as_os_str(), Reading::Strict).map(Some),
        Err(_) => Ok(None),
    }
}

fn reading(job: &Job) -> Reading {
    if job.loose_domain { Reading::Loose(Status::NonTried) } else { Reading::Strict }
}

/// What the options make of everything there is.
pub fn domain(job: &Job, reader: &mut Reader) -> Result<RangeSet, Complaint> {
    let options = DomainOptions {
        start: Offset::new(job.input_position),
        size: job.size,
        mapfile: job.domain_map.clone().map(PathBuf::into_os_string),
        reading: reading(job),
    };
    options.domain(reader)
}

/// Opens infile.
pub fn open_infile(job: &Job, infile: &Path) -> Result<FileSource, Complaint> {
    let options = FileOptions {
        access: if job.direct_in { Access::Direct } else { Access::Buffered },
        advice: Advice::None,
        sector: Some(job.sector),
        damage_errnos: job.continue_on.clone(),
    };
    FileSource::open(infile, options).map_err(|error| match error {
        SourceError::NotSeekable { .. } => Complaint::about(infile, "Input file is not seekable."),
        error => {
            let cause = error.errno().map_or(String::new(), |errno| format!(": {errno}"));
            Complaint::about(infile, format!("Can't open input file{cause}"))
        }
    })
}

/// Makes sure that the mapfile can be written to, if it is there.
pub fn check_writable(mapfile: &Path) -> Result<(), Complaint> {
    match OpenOptions::new().read(true).write(true).open(mapfile) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Complaint::about(mapfile, "Mapfile is not writable."))
        }
        _ => Ok(()),
    }
}

/// Prepares a rescue: everything up to the point where the banner is printed.
pub fn prepare(job: &Job, files: &Files) -> Result<Start, Complaint> {
    prepare_from(job, files, |job| open_infile(job, &files.infile))
}

/// The same with a source that somebody else knows how to open.
pub fn prepare_from<S: BlockSource>(
    job: &Job,
    files: &Files,
    open: impl FnOnce(&Job) -> Result<S, Complaint>,
) -> Result<Start<S>, Complaint> {
    let mut reader = Reader::default();
    let mut domain = domain(job, &mut reader)?;
    let test_map = match &job.test_map {
        Some(path) => Some(reader.read(path.as_os_str(), reading(job))?.map),
        None => None,
    };
    if job.same_file && job.truncate {
        return Err(Complaint::usage("Option '--same-file' is incompatible with '--truncate'."));
    }
    let source = open(job)?;
    let mut size = source.geometry().size.filter(|size| *size > 0);
    if let Some(map) = &test_map {
        let end = finished_of(map).span().unwrap_or_default().end().bytes();
        size = Some(size.map_or(end, |size| size.min(end))).filter(|size| *size > 0);
    }
    crop_to_size(&mut domain, size)?;

    let read = match &files.mapfile {
        Some(mapfile) => read_mapfile(mapfile, &mut reader)?,
        None => None,
    };
    let map_exists = read.is_some();
    let Mapfile { position, mut map, .. } = read.unwrap_or_default();
    let map_end_read = map.extent().map(ByteRange::end);
    if job.complete_only {
        domain.crop(map.extent().unwrap_or_default());
    } else {
        fit_to_size(&mut map, size)?;
    }
    map.merge();
    let map = subsectors::join(&map, job.sector.into());
    let mut book = Book::of_blocks(map, domain);
    retry_failed(job, &mut book);
    if job.check_input_size {
        check_size(size, map_end_read, map_exists)?;
    }
    if book.domain_bytes() == 0 {
        if job.complete_only && !map_exists {
            return Err(Complaint::usage("Nothing to complete; mapfile is missing or empty."));
        }
        return Err(nothing_to_do());
    }
    if job.truncate && !book.map().is_untried() {
        return Err(Complaint::usage("Outfile truncation and mapfile input are incompatible."));
    }
    if let Some(mapfile) = &files.mapfile {
        check_writable(mapfile)?;
    }
    let map_end = map_end_read.unwrap_or_default();
    Ok(Start { source, size, test_map, book, position, map_exists, map_end })
}

/// The domain is empty, which is no failure.
pub fn nothing_to_do() -> Complaint {
    Complaint::new("Nothing to do; domain is empty.").with_status(0)
}

/// Cuts the domain at the end of infile.
pub fn crop_to_size(domain: &mut RangeSet, size: Option<u64>) -> Result<(), Complaint> {
    let Some(size) = size else { return Ok(()) };
    let end = Offset::new(size);
    if let Some(span) = domain.span()
        && span.start() >= end
    {
        let (start, size) = (number::grouped(span.start().bytes() as i64), number::grouped(size as i64));
        let text =
            format!("Can't start reading at pos {start}.\n          Input file is only {size} bytes long.");
        return Err(Complaint::new(text));
    }
    domain.crop(ByteRange::between(Offset::ZERO, end));
    Ok(())
}

/// Makes the map cover infile, and nothing else.
pub fn fit_to_size(map: &mut RescueMap, size: Option<u64>) -> Result<(), Complaint> {
    let end = size.map_or(Offset::MAX, Offset::new);
    if let Some(last) = map.blocks().next_back()
        && last.range.end() > end
    {
        let advice = "\n          Use '-C' if you are reading from a partial copy.";
        if last.status == Status::Finished || last.range.start() > end {
            let text = match last.range.start() < end {
                true => "Rescued data in mapfile goes past end of input file.",
                false => "Last block in mapfile begins past end of input file.",
            };
            return Err(Complaint::usage(format!("{text}{advice}")));
        }
        map.truncate(end);
    }
    map.extend_to(ByteRange::between(Offset::ZERO, end), Status::NonTried);
    Ok(())
}

/// Takes failed blocks in the domain for less processed ones, as `-M` and `-A` ask.
fn retry_failed(job: &Job, book: &mut Book) {
    use Status::{BadSector, NonScraped, NonTried, NonTrimmed};
    if job.retrim {
        book.retype(|status| if matches!(status, NonScraped | BadSector) { NonTrimmed } else { status });
    }
    if job.try_again {
        book.retype(|status| if matches!(status, NonTrimmed | NonScraped) { NonTried } else { status });
    }
}

fn check_size(size: Option<u64>, map_end: Option<Offset>, map_exists: bool) -> Result<(), Complaint> {
    let end = map_end.filter(|end| map_exists && *end > Offset::ZERO && *end < Offset::MAX);
    let (Some(size), Some(end)) = (size, end) else {
        return Err(Complaint::new(
            "Can't check input file size.\n          Mapfile is unfinished or missing, or size is invalid.",
        ));
    };
    if end.bytes() != size {
        return Err(Complaint::new("Input file size differs from size calculated from mapfile."));
    }
    Ok(())
}
