//! A file or a device as the place where rescued bytes go.
//!
//! Owns the descriptor and what is needed to make its bytes durable. Must not know maps, nor whether somebody should
//! write here at all.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{FallocateFlags, FcntlArg, OFlag};
use nix::libc;

use crate::sink::SinkAction;
use crate::{BlockSink, Buffer, ByteRange, Errno, Offset, SinkError, buffer, device};

/// Bytes written before writeback is started in the background. Without it dirty pages pile up in memory, and a save,
/// which syncs first, takes minutes.
const WRITEBACK_BYTES: u64 = 64 << 20;
/// Bytes of one write through the page cache.
const WRITE_BYTES: usize = 256 << 10;

nix::ioctl_write_ptr!(
    /// Shares blocks of one file with another one, as `linux/fs.h` has it.
    clone_range,
    0x94,
    13,
    libc::file_clone_range
);

/// How a destination is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileSinkOptions {
    /// Bypass the page cache, except for pieces that are not aligned.
    pub direct: bool,
    /// Empty it first.
    pub truncate: bool,
    /// Open it for reading too.
    pub read_back: bool,
    /// Store zeros that were asked for by [`BlockSink::write_zeros`] as holes, where the file system can.
    pub holes: bool,
    /// Only read it: writing will fail.
    pub read_only: bool,
}

/// A file or device, opened for writing.
#[derive(Debug)]
pub struct FileSink {
    file: File,
    path: PathBuf,
    options: FileSinkOptions,
    regular: bool,
    is_direct_now: bool,
    aligned: Buffer,
    dirty: ByteRange,
    /// What is being written back.
    in_writeback: ByteRange,
    /// What the first failed sync said.
    lost: Option<Errno>,
}

impl FileSink {
    /// Opens `path`, creating it if it is not there.
    pub fn open(path: &Path, options: FileSinkOptions) -> Result<FileSink, SinkError> {
        let failed = |error: std::io::Error| SinkError {
            path: path.to_owned(),
            action: SinkAction::Open,
            at: Offset::ZERO,
            errno: Errno::of(&error),
        };
        let direct = if options.direct { libc::O_DIRECT } else { 0 };
        let file = OpenOptions::new()
            .write(!options.read_only)
            .read(options.read_back || options.read_only)
            .create(!options.read_only)
            .truncate(options.truncate)
            .custom_flags(direct)
            .mode(0o666)
            .open(path)
            .map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let kind = metadata.file_type();
        if kind.is_block_device() && !options.read_only && device::is_read_only(&metadata) {
            // Many drivers let it be opened, and refuse each write.
            return Err(failed(std::io::Error::from_raw_os_error(Errno::EROFS.0)));
        }
        Ok(FileSink {
            file,
            path: path.to_owned(),
            options,
            regular: kind.is_file(),
            is_direct_now: options.direct,
            aligned: buffer::zeroed(0),
            dirty: ByteRange::default(),
            in_writeback: ByteRange::default(),
            lost: None,
        })
    }

    /// Its descriptor's metadata.
    pub fn metadata(&self) -> std::io::Result<std::fs::Metadata> {
        self.file.metadata()
    }

    fn error(&self, action: SinkAction, at: Offset, errno: Errno) -> SinkError {
        SinkError { path: self.path.clone(), action, at, errno }
    }

    /// O_DIRECT can only write whole sectors; the last piece of a file rarely is one.
    fn set_direct(&mut self, direct: bool) -> Result<(), nix::errno::Errno> {
        if self.is_direct_now != direct {
            let flags = OFlag::from_bits_retain(nix::fcntl::fcntl(&self.file, FcntlArg::F_GETFL)?);
            let flags = if direct { flags | OFlag::O_DIRECT } else { flags - OFlag::O_DIRECT };
            nix::fcntl::fcntl(&self.file, FcntlArg::F_SETFL(flags))?;
            self.is_direct_now = direct;
        }
        Ok(())
    }

    /// Much larger writes are slower on some systems, which then look for memory in large pieces.
    fn write_in_chunks(&self, at: Offset, bytes: &[u8]) -> std::io::Result<()> {
        let chunk_bytes = if self.is_direct_now { bytes.len().max(1) } else { WRITE_BYTES };
        let mut at = at.bytes();
        for chunk in bytes.chunks(chunk_bytes) {
            self.file.write_all_at(chunk, at)?;
            at += chunk.len() as u64;
        }
        Ok(())
    }

    /// Keeps at most two windows of written bytes off the disk: starts writing one back, and waits for the one before.
    fn start_writeback(&mut self, written: ByteRange) {
        let continues = self.dirty.end() == written.start();
        self.dirty = if continues { ByteRange::between(self.dirty.start(), written.end()) } else { written };
        if self.dirty.length() < WRITEBACK_BYTES {
            return;
        }
        let window = std::mem::replace(&mut self.dirty, ByteRange::new(written.end(), 0));
        let before = std::mem::replace(&mut self.in_writeback, window);
        self.write_back(window, libc::SYNC_FILE_RANGE_WRITE);
        if !before.is_empty() {
            self.write_back(before, libc::SYNC_FILE_RANGE_WAIT_BEFORE);
        }
    }

    fn write_back(&mut self, range: ByteRange, how: libc::c_uint) {
        let (start, length) = (range.start().bytes() as i64, range.length() as i64);
        // SAFETY: sync_file_range takes an open descriptor, which `self.file` owns, and plain numbers; it touches no
        // memory of ours.
        let result = unsafe { libc::sync_file_range(self.file.as_raw_fd(), start, length, how) };
        let error = (result != 0).then(std::io::Error::last_os_error).map(|e| Errno::of(&e));
        // What has no pages to write back (a character device) says ESPIPE. Any other error is told only once, so it
        // must be kept for flush().
        if let Some(errno) =
            error.filter(|errno| ![libc::ESPIPE, libc::EINVAL, libc::ENOSYS].contains(&errno.0))
        {
            self.lost.get_or_insert(errno);
        }
    }
}

impl BlockSink for FileSink {
    fn write_at(&mut self, at: Offset, bytes: &[u8]) -> Result<(), SinkError> {
        let unit = buffer::ALIGNMENT as u64;
        let is_aligned = at.is_multiple_of(unit) && (bytes.len() as u64).is_multiple_of(unit);
        if self.options.direct {
            self.set_direct(is_aligned).map_err(|e| self.error(SinkAction::Write, at, e.into()))?;
        }
        let result = if self.is_direct_now && bytes.as_ptr().align_offset(buffer::ALIGNMENT) != 0 {
            let mut aligned = std::mem::replace(&mut self.aligned, buffer::zeroed(0));
            aligned.clear();
            aligned.extend_from_slice(bytes);
            let result = self.file.write_all_at(&aligned, at.bytes());
            self.aligned = aligned;
            result
        } else {
            self.write_in_chunks(at, bytes)
        };
        // A write that takes nothing, as at the end of a device, has no errno of its own.
        let full = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::WriteZero => Errno::ENOSPC,
            _ => Errno::of(&e),
        };
        result.map_err(|e| self.error(SinkAction::Write, at, full(e)))?;
        if !self.is_direct_now {
            self.start_writeback(ByteRange::new(at, bytes.len() as u64));
        }
        Ok(())
    }

    fn share(&mut self, from: BorrowedFd<'_>, range: ByteRange, at: Offset) -> bool {
        if !self.regular {
            return false;
        }
        let what = libc::file_clone_range {
            src_fd: from.as_raw_fd().into(),
            src_offset: range.start().bytes(),
            src_length: range.length(),
            dest_offset: at.bytes(),
        };
        // SAFETY: FICLONERANGE reads one file_clone_range, which lives on this stack, and takes two open descriptors, which
        // `self.file` and `from` hold open; it writes no memory of ours.
        unsafe { clone_range(self.file.as_raw_fd(), &raw const what) }.is_ok()
    }

    fn write_zeros(&mut self, range: ByteRange) -> Result<(), SinkError> {
        if self.options.holes && self.regular {
            let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            let (start, length) = (range.start().bytes() as i64, range.length() as i64);
            let punched = nix::fcntl::fallocate(&self.file, mode, start, length);
            if punched.is_ok() {
                return self.extend(range.end().bytes());
            }
        }
        super::write_out_zeros(self, range)
    }

    fn read_back(&mut self, at: Offset, buffer: &mut [u8]) -> Result<usize, SinkError> {
        if self.options.direct {
            self.set_direct(false).map_err(|e| self.error(SinkAction::Read, at, e.into()))?;
        }
        let mut done = 0;
        while done < buffer.len() {
            match self.file.read_at(&mut buffer[done..], at.bytes() + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.error(SinkAction::Read, at, Errno::of(&e))),
            }
        }
        Ok(done)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        // After a failed sync the system forgets the bytes that it could not write, and calls the next sync a success.
        // Nobody knows which bytes those were, so this sink can promise nothing any more.
        if let Some(errno) = self.lost {
            return Err(self.error(SinkAction::Flush, Offset::ZERO, errno));
        }
        match self.file.sync_all() {
            Ok(()) => Ok(()),
            // What cannot be synced (a character device, a pipe) holds nothing that a crash could take.
            Err(e) if Errno::of(&e) == Errno::EINVAL => Ok(()),
            Err(e) => {
                self.lost = Some(Errno::of(&e));
                Err(self.error(SinkAction::Flush, Offset::ZERO, Errno::of(&e)))
            }
        }
    }

    fn size(&mut self) -> Result<u64, SinkError> {
        nix::unistd::lseek(&self.file, 0, nix::unistd::Whence::SeekEnd)
            .map(|end| end as u64)
            .map_err(|e| self.error(SinkAction::Measure, Offset::ZERO, e.into()))
    }

    fn extend(&mut self, size: u64) -> Result<(), SinkError> {
        let end = self.size()?;
        if end >= size {
            return Ok(());
        }
        if let Err(e) = self.file.set_len(size) {
            // Some file systems cannot grow a file that way; a zero at its end does the same.
            let last = Offset::new(size).saturating_back(1);
            if let Err(write) = self.write_at(last, &[0]) {
                // A device has no length to set: there the write tells why not.
                let why = if self.regular { Errno::of(&e) } else { write.errno };
                return Err(self.error(SinkAction::Extend, last, why));
            }
        }
        Ok(())
    }

    fn allocate(&mut self, range: ByteRange) -> Result<(), SinkError> {
        let (start, length) = (range.start().bytes() as i64, range.length() as i64);
        nix::fcntl::posix_fallocate(&self.file, start, length)
            .map_err(|e| self.error(SinkAction::Allocate, range.start(), e.into()))
    }
}
