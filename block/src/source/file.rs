//! A file or a block device as a source.
//!
//! Owns the descriptor, alignment for O_DIRECT, and what an error number means here. Must not know maps or rescues.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nix::libc;
use nix::unistd::Whence;

use crate::device::{self, DeviceInfo};
use crate::source::cache::Adviser;
use crate::source::workers::{ReadAt, Workers};
use crate::{
    Abilities, BlockSource, Buffer, ByteRange, Damage, Errno, Extent, ExtentKind, Geometry, Good, Offset,
    Patience, ReadQueue, ReadReply, Recovery, SourceError, buffer,
};

/// Whether reads go through the page cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Through the page cache.
    #[default]
    Buffered,
    /// Past the page cache (O_DIRECT): a bad sector fails alone, and nobody reads ahead.
    Direct,
}

/// What the page cache is told about a source that is read through it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Advice {
    /// Nothing.
    #[default]
    None,
    /// To read nothing ahead near damage, and to forget what has been read.
    Careful,
}

/// How a source is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileOptions {
    /// Through the page cache or past it.
    pub access: Access,
    /// What the page cache is told.
    pub advice: Advice,
    /// Unit to which direct reads are widened, in bytes; the device's own logical sector if `None`.
    pub sector: Option<u32>,
    /// Error numbers to be taken for damage even though they say that the device is lost or the request refused.
    pub damage_errnos: Vec<Errno>,
}

/// A file or device, opened for reading only.
pub struct FileSource {
    open: Arc<OpenFile>,
    info: DeviceInfo,
    options: FileOptions,
    workers: Workers,
}

impl FileSource {
    /// Opens `path`.
    pub fn open(path: &Path, options: FileOptions) -> Result<FileSource, SourceError> {
        let (open, info) = OpenFile::open(path, &options, None)?;
        let open = Arc::new(open);
        // Through the page cache one reader keeps the kernel's own read-ahead in step; past it, each thread is a
        // request in flight.
        let threads = if options.access == Access::Direct && !info.rotates() { 32 } else { 1 };
        let workers = Workers::new(threads, reader(&open));
        Ok(FileSource { open, info, options, workers })
    }

    /// What the system knows about it.
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn reopen(&mut self, path: &Path) -> Result<(), SourceError> {
        let (open, info) = OpenFile::open(path, &self.options, self.open.adviser.as_ref())?;
        // A name may belong to another disk by now, whose bytes must not get into this one's image.
        if let Some(identity) = self.info.identity().filter(|known| info.identity().as_ref() != Some(known)) {
            return Err(SourceError::NotFound { device: path.to_owned(), identity: identity.to_string() });
        }
        self.open = Arc::new(open);
        self.info = info;
        self.workers.replace(reader(&self.open));
        Ok(())
    }

    fn rediscover(&mut self) -> Result<(), SourceError> {
        let device = self.info.path.clone();
        let Some(identity) = self.info.identity() else { return Err(SourceError::Anonymous { device }) };
        // The old descriptor keeps a dead device's name taken; nobody reads through it any more.
        let Some(path) = device::find(&identity, &device) else {
            return Err(SourceError::NotFound { device, identity: identity.to_string() });
        };
        self.reopen(&path)
    }
}

fn reader(open: &Arc<OpenFile>) -> Arc<ReadAt> {
    let open = open.clone();
    Arc::new(move |at, buffer: &mut [u8]| open.read(at, buffer))
}

impl BlockSource for FileSource {
    fn geometry(&self) -> Geometry {
        Geometry {
            size: self.info.size,
            logical_sector: self.info.logical_sector,
            physical_sector: self.info.physical_sector,
        }
    }

    fn abilities(&self) -> Abilities {
        match (self.info.rotates(), self.options.access) {
            (true, _) => {
                Abilities { keeps_good: false, rotates: true, in_flight_max: 2, piece_bytes: 1 << 20 }
            }
            // Handing a piece from one thread to another costs a wake-up: smaller pieces would spend their time on those.
            (false, Access::Buffered) => {
                Abilities { keeps_good: false, rotates: false, in_flight_max: 3, piece_bytes: 2 << 20 }
            }
            (false, Access::Direct) => {
                Abilities { keeps_good: false, rotates: false, in_flight_max: 4, piece_bytes: 1 << 20 }
            }
        }
    }

    fn read_at(&mut self, at: Offset, buffer: &mut [u8], _: Patience) -> Result<ReadReply, SourceError> {
        self.open.read(at, buffer)
    }

    fn recover(&mut self, measure: Recovery) -> Result<(), SourceError> {
        match measure {
            Recovery::Reopen => {
                let path = self.info.path.clone();
                self.reopen(&path)
            }
            Recovery::Rediscover => self.rediscover(),
            // What the system offers for this differs from device to device, and may hit others on the same bus.
            Recovery::SoftReset | Recovery::HardReset | Recovery::PowerCycle => {
                Err(SourceError::Unsupported { device: self.info.path.clone(), what: measure.words() })
            }
        }
    }

    fn presence(&mut self) -> Result<(), SourceError> {
        let device = self.info.path.clone();
        std::fs::metadata(&device)
            .map_err(|e| SourceError::Disappeared { device: device.clone(), errno: Errno::of(&e) })?;
        // A device thrown out by the system keeps its name for a while, but has no size any more.
        let is_empty = || nix::unistd::lseek(&self.open.file, 0, Whence::SeekEnd).is_ok_and(|end| end == 0);
        if self.info.is_block_device && self.info.size.is_some() && is_empty() {
            return Err(SourceError::Gone { device, at: Offset::ZERO, errno: Errno::ENODEV });
        }
        Ok(())
    }

    fn extents(&mut self, range: ByteRange) -> Vec<Extent> {
        if !self.info.is_regular {
            vec![Extent { range, kind: ExtentKind::Data }]
        } else {
            self.open.extents(range)
        }
    }

    fn shareable(&self) -> Option<BorrowedFd<'_>> {
        self.info.is_regular.then(|| self.open.file.as_fd())
    }

    fn queue(&mut self) -> Option<&mut dyn ReadQueue> {
        Some(&mut self.workers)
    }
}

/// An open descriptor with what is needed to read from it in any thread.
struct OpenFile {
    file: File,
    path: PathBuf,
    access: Access,
    sector: u64,
    damage_errnos: Vec<Errno>,
    /// Tells the page cache what to do; `None`: nobody does.
    adviser: Option<Adviser>,
    /// Aligned memory for reads that are not, kept for the next one.
    spare: Mutex<Option<Buffer>>,
}

impl OpenFile {
    /// Opens `path`; `before` advised about it when it was opened before.
    fn open(
        path: &Path,
        options: &FileOptions,
        before: Option<&Adviser>,
    ) -> Result<(OpenFile, DeviceInfo), SourceError> {
        let failed = |e: std::io::Error| SourceError::Open { device: path.to_owned(), errno: Errno::of(&e) };
        let kind = std::fs::metadata(path).map_err(failed)?.file_type();
        if kind.is_fifo() || kind.is_socket() {
            // Opening a pipe waits for somebody to write to it: never, in a rescue.
            return Err(SourceError::NotSeekable { device: path.to_owned() });
        }
        let direct = if options.access == Access::Direct { libc::O_DIRECT } else { 0 };
        let file = OpenOptions::new().read(true).custom_flags(direct).open(path).map_err(failed)?;
        let end = nix::unistd::lseek(&file, 0, Whence::SeekEnd)
            .map_err(|_| SourceError::NotSeekable { device: path.to_owned() })?;
        let info = DeviceInfo::of(path, &file, end as u64).map_err(failed)?;
        let sector = u64::from(options.sector.unwrap_or(info.logical_sector));
        let is_advised = options.access == Access::Buffered && options.advice == Advice::Careful;
        let adviser = is_advised.then(|| before.map_or_else(|| Adviser::new(&file), Adviser::renewed));
        let open = OpenFile {
            file,
            path: path.to_owned(),
            access: options.access,
            sector,
            damage_errnos: options.damage_errnos.clone(),
            adviser,
            spare: Mutex::new(None),
        };
        Ok((open, info))
    }

    fn read(&self, at: Offset, into: &mut [u8]) -> Result<ReadReply, SourceError> {
        let (copied, errno) = match self.access {
            Access::Buffered => self.read_advised(at, into),
            Access::Direct => self.read_direct(at, into),
        };
        let Some(errno) = errno else {
            let good = if copied == into.len() { Good::All } else { Good::Prefix(copied) };
            return Ok(ReadReply { good, damage: None });
        };
        if copied == 0 && !self.damage_errnos.contains(&errno) {
            let (device, at) = (self.path.clone(), at);
            if errno.is_loss() {
                return Err(SourceError::Gone { device, at, errno });
            }
            if errno.is_refusal() {
                return Err(SourceError::Refused { device, at, errno });
            }
        }
        Ok(ReadReply { good: Good::Prefix(copied), damage: Some(Damage::new(errno)) })
    }

    /// Reads as [`OpenFile::read_plain`], and lets the page cache know.
    fn read_advised(&self, at: Offset, into: &mut [u8]) -> (usize, Option<Errno>) {
        let Some(adviser) = &self.adviser else { return self.read_plain(at, into) };
        adviser.before(&self.file, into.len() as u64);
        let (copied, errno) = self.read_plain(at, into);
        adviser.after(&self.file, ByteRange::new(at, copied as u64), errno.is_some());
        (copied, errno)
    }

    /// Reads until the buffer is full, the file ends or an error stops it; returns bytes read and the error.
    fn read_plain(&self, at: Offset, into: &mut [u8]) -> (usize, Option<Errno>) {
        let mut copied = 0;
        while copied < into.len() {
            match self.file.read_at(&mut into[copied..], at.bytes() + copied as u64) {
                Ok(0) => return (copied, None),
                Ok(count) => copied += count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return (copied, Some(Errno::of(&e))),
            }
        }
        (copied, None)
    }

    /// As above for O_DIRECT: widens the request to whole sectors in aligned memory where it is not.
    fn read_direct(&self, at: Offset, into: &mut [u8]) -> (usize, Option<Errno>) {
        let start = at.align_down(self.sector);
        let end = (at + into.len() as u64).align_up(self.sector);
        let wide = (end - start) as usize;
        if wide == into.len() && into.as_ptr().align_offset(buffer::ALIGNMENT) == 0 {
            return self.read_plain(at, into);
        }
        let lock = || self.spare.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut aligned = lock().take().unwrap_or_else(|| buffer::zeroed(wide));
        if aligned.len() < wide {
            aligned = buffer::zeroed(wide);
        }
        let (copied, errno) = self.read_plain(start, &mut aligned[..wide]);
        let skipped = (at - start) as usize;
        let wanted = copied.saturating_sub(skipped).min(into.len());
        into[..wanted].copy_from_slice(&aligned[skipped..skipped + wanted]);
        *lock() = Some(aligned);
        // An error past what was wanted is somebody else's.
        (wanted, errno.filter(|_| wanted < into.len()))
    }

    fn extents(&self, range: ByteRange) -> Vec<Extent> {
        let seek = |from: Offset, whence| nix::unistd::lseek(&self.file, from.bytes() as i64, whence);
        let mut extents = Vec::new();
        let mut at = range.start();
        while at < range.end() {
            let data = match seek(at, Whence::SeekData) {
                Ok(data) => Offset::new(data as u64).min(range.end()),
                // Nothing but a hole up to the end of the file; behind it, let a read tell.
                Err(nix::errno::Errno::ENXIO) => {
                    let size = self.file.metadata().map_or(at, |m| Offset::new(m.len()));
                    size.clamp(at, range.end())
                }
                Err(_) => at,
            };
            if data > at {
                extents.push(Extent { range: ByteRange::between(at, data), kind: ExtentKind::Hole });
            }
            let hole = seek(data, Whence::SeekHole)
                .map_or(range.end(), |hole| Offset::new(hole as u64))
                .min(range.end());
            let hole = if hole > data { hole } else { range.end() };
            if hole > data {
                extents.push(Extent { range: ByteRange::between(data, hole), kind: ExtentKind::Data });
            }
            at = hole;
        }
        extents
    }
}
