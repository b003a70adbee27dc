//! An image behind the door: a file, and what of it a map calls rescued.
//!
//! Owns the file and that rule. Must not know who asks. What the page cache holds is answered at once; for the rest a
//! thread waits.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use block::source::{FileOptions, FileSource};
use block::{BlockSource, ByteRange, Errno, Extent, ExtentKind, Offset, RangeSet, SourceError};
use map::RescueMap;
use map::masked::finished_of;
use rustix::fs::fstatfs;
use rustix::io::{ReadWriteFlags, preadv2};

use crate::device::{Answer, Device, Facts, Health, Moment, Outlet, Reply, Request, Trouble, Work};
use crate::pool::Pool;

/// Threads that wait for the file.
const THREADS: usize = 16;
/// File systems that live in memory, where a read never waits, by their magic numbers: tmpfs, ramfs.
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];
/// What is said of a byte that the map does not call finished.
const MISSING: &str = "image: not rescued";

/// An image, whole or half rescued.
pub struct ImageDevice {
    image: Arc<Image>,
    extents: RangeSet,
    description: String,
    pool: Pool<()>,
}

struct Image {
    path: PathBuf,
    file: File,
    size: u64,
    /// What can be read; `None`: all of it.
    finished: Option<RangeSet>,
    sector: u32,
    /// Whether a read goes on behind a place that failed.
    reads_on: bool,
    /// Whether the file system lives in memory.
    is_in_memory: bool,
}

/// How an image is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageOptions {
    /// Bytes of a sector.
    pub sector: u32,
    /// Whether a read goes on behind a place that failed.
    pub reads_on: bool,
}

impl Default for ImageOptions {
    fn default() -> ImageOptions {
        ImageOptions { sector: 512, reads_on: false }
    }
}

impl ImageDevice {
    /// Opens the image at `path`, of which only what `map` calls finished can be read.
    ///
    /// Errors: it cannot be opened, or is no regular file.
    pub fn open(
        path: &Path,
        map: Option<&RescueMap>,
        options: ImageOptions,
    ) -> Result<ImageDevice, SourceError> {
        let failed = |e: &std::io::Error| SourceError::Open { device: path.to_owned(), errno: Errno::of(e) };
        // Looked at first: opening a pipe would wait for a writer.
        if !std::fs::metadata(path).map_err(|e| failed(&e))?.is_file() {
            return Err(SourceError::NotSeekable { device: path.to_owned() });
        }
        let mut source = FileSource::open(path, FileOptions::default())?;
        let size = source.geometry().size.unwrap_or(0);
        let extents = source.extents(ByteRange::new(Offset::ZERO, size));
        let extents = extents.iter().filter(|extent| extent.kind == ExtentKind::Data);
        let file = File::open(path).map_err(|e| failed(&e))?;
        let magic = fstatfs(&file).map(|facts| facts.f_type).unwrap_or_default();
        let image = Arc::new(Image {
            path: path.to_owned(),
            file,
            size,
            finished: map.map(finished_of),
            sector: options.sector,
            reads_on: options.reads_on,
            is_in_memory: IN_MEMORY.contains(&magic),
        });
        let reader = image.clone();
        Ok(ImageDevice {
            extents: extents.map(|extent| extent.range).collect(),
            description: match map {
                None => format!("image {}", path.display()),
                Some(_) => format!("image {}, as far as it is rescued", path.display()),
            },
            image,
            pool: Pool::new(
                THREADS,
                || (),
                move |(), request| {
                    let range = request.range;
                    // It may wait, so it never comes back.
                    let refused = |_| Reply::failed(range, Errno::EIO, "image: not read");
                    reader.serve(request, true).unwrap_or_else(refused)
                },
            ),
        })
    }
}

impl Device for ImageDevice {
    fn facts(&self) -> Facts {
        Facts {
            size: self.image.size,
            logical_sector: self.image.sector,
            physical_sector: self.image.sector,
            rotates: false,
            is_writable: false,
            has_health: self.image.finished.is_some(),
            description: self.description.clone(),
        }
    }

    fn detach(&self, _: &Arc<dyn Outlet>) {}

    fn submit(&self, request: Request, ticket: u64, outlet: &Arc<dyn Outlet>) -> Option<Reply> {
        match self.image.serve(request, self.image.is_in_memory) {
            Ok(reply) => Some(reply),
            Err(request) => self.pool.submit(request, ticket, outlet),
        }
    }

    fn extents(&self, range: ByteRange) -> Vec<Extent> {
        let hidden = self.image.finished.as_ref();
        // What is not rescued is a hole of the file, too, but nobody knows what belongs there.
        let mut data: RangeSet = self.extents.pieces_in(range).collect();
        if let Some(finished) = hidden {
            let all: RangeSet = [range].into_iter().collect();
            data = data.ranges().iter().chain(all.minus(finished).ranges()).copied().collect();
        }
        Extent::cover(range, &data)
    }

    fn health(&self, range: ByteRange, _: Moment) -> Option<Vec<(ByteRange, Health)>> {
        let finished = self.image.finished.as_ref()?;
        let (mut stretches, mut at) = (Vec::new(), range.start());
        for piece in finished.pieces_in(range) {
            stretches.push((ByteRange::between(at, piece.start()), Health(Health::BAD)));
            stretches.push((piece, Health::default()));
            at = piece.end();
        }
        stretches.push((ByteRange::between(at, range.end()), Health(Health::BAD)));
        stretches.retain(|(range, _)| !range.is_empty());
        Some(stretches)
    }
}

impl Image {
    /// Serves a request, waiting for the file if it `may_wait`; else the request comes back if that would be necessary.
    fn serve(&self, request: Request, may_wait: bool) -> Result<Reply, Request> {
        let range = request.range;
        match request.work {
            Work::Read | Work::Cache => {}
            Work::Flush => return Ok(Reply::done(Vec::new())),
            Work::Write(_) | Work::Zero { .. } | Work::Trim => {
                return Ok(Reply::failed(range, Errno::EROFS, "image: it is not written to"));
            }
        }
        let (good, mut troubles) = self.good(range);
        let mut request = request;
        request.buffer.resize(range.length() as usize, 0);
        for piece in good {
            let from = (piece.start() - range.start()) as usize;
            let part = &mut request.buffer[from..from + piece.length() as usize];
            if !may_wait {
                let into = &mut [std::io::IoSliceMut::new(part)];
                match preadv2(&self.file, into, piece.start().bytes(), ReadWriteFlags::NOWAIT) {
                    Ok(count) if count as u64 == piece.length() => continue,
                    _ => return Err(request),
                }
            }
            if let Err(e) = self.file.read_exact_at(part, piece.start().bytes()) {
                // The file may have shrunk, or sit on a failing disk itself.
                let text = format!("{}: cannot read the image: {e}", self.path.display());
                let range = ByteRange::between(piece.start(), range.end());
                troubles.retain(|trouble| trouble.range.end() <= piece.start());
                troubles.push(Trouble { range, at: None, errno: Errno::of(&e), text });
                break;
            }
        }
        let bytes = if request.work == Work::Cache { Vec::new() } else { request.buffer };
        Ok(Reply::Answer(Answer { bytes, troubles }))
    }

    /// What of a read can be answered, and what cannot.
    fn good(&self, range: ByteRange) -> (Vec<ByteRange>, Vec<Trouble>) {
        let Some(finished) = &self.finished else { return (vec![range], Vec::new()) };
        if finished.covers(range) {
            return (vec![range], Vec::new());
        }
        let (mut good, mut troubles, mut at) = (Vec::new(), Vec::new(), range.start());
        let mut missing = |from: Offset, to: Offset| {
            if from < to {
                let (range, text) = (ByteRange::between(from, to), MISSING.to_owned());
                troubles.push(Trouble { range, at: Some(from), errno: Errno::EIO, text });
            }
            from < to
        };
        let sector = u64::from(self.sector);
        for piece in finished.pieces_in(range) {
            // Whole sectors only: half a sector is none.
            let (from, to) = (piece.start().align_up(sector), piece.end().align_down(sector));
            if from >= to {
                continue;
            }
            if missing(at, from) && !self.reads_on {
                at = range.end();
                break;
            }
            good.push(ByteRange::between(from, to));
            at = to;
        }
        missing(at, range.end());
        if !self.reads_on {
            // It ends at the first one.
            troubles.truncate(1);
            if let Some(trouble) = troubles.first_mut() {
                trouble.range = ByteRange::between(trouble.range.start(), range.end());
                good.retain(|piece| piece.end() <= trouble.range.start());
            }
        }
        (good, troubles)
    }
}

#[cfg(test)]
mod tests;
