//! A file that can be written to, and fails as told: at a place, when it is full, or when it is synced.
//!
//! Owns a FUSE mount with one file in it, and what was written there. Must not know who writes.

use std::ffi::OsStr;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, MountOption,
    OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, TimeOrNow, WriteFlags,
};
use nix::libc;

use crate::BadRange;
use crate::fuse::{FILE, FuseMount, NAME, VALID, attributes};

/// Something that was done to a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Bytes were written.
    Write(Range<u64>),
    /// What was written was made durable.
    Sync,
    /// The file was made so long, or so short.
    Resize(u64),
}

/// A file that fails as told when it is written to.
pub struct FaultyDestination {
    // Unmounted before what it serves goes.
    mount: FuseMount,
    server: Arc<Mutex<Server>>,
}

#[derive(Debug, Default)]
struct Server {
    bytes: Vec<u8>,
    deeds: Vec<Deed>,
    bad: Vec<BadRange>,
    size_max: Option<u64>,
    sync_errno: Option<i32>,
    dead: Option<i32>,
}

impl FaultyDestination {
    /// Mounts an empty file without faults.
    pub fn serve() -> FaultyDestination {
        let server = Arc::new(Mutex::new(Server::default()));
        let mount = FuseMount::new(OneFile { server: server.clone() }, MountOption::RW);
        FaultyDestination { mount, server }
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.mount.path()
    }

    /// What the file holds.
    pub fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    /// All that was done to it without an error, in order.
    pub fn deeds(&self) -> Vec<Deed> {
        self.lock().deeds.clone()
    }

    /// From now on writes that touch these ranges fail; an empty list lifts that.
    pub fn set_bad(&self, bad: Vec<BadRange>) {
        self.lock().bad = bad;
    }

    /// From now on the file cannot grow beyond `size` bytes: a write comes short there, and the next gives ENOSPC.
    /// `None` lifts that.
    pub fn set_size_max(&self, size: Option<u64>) {
        self.lock().size_max = size;
    }

    /// From now on each sync gives this error; `None` lifts that.
    pub fn set_sync_error(&self, errno: Option<i32>) {
        self.lock().sync_errno = errno;
    }

    /// From now on everything gives this error: the device is gone. `None` brings it back.
    pub fn set_dead(&self, errno: Option<i32>) {
        self.lock().dead = errno;
    }

    fn lock(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FaultyDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyDestination").field("path", &self.path()).finish_non_exhaustive()
    }
}

impl Server {
    fn alive(&self) -> Result<(), i32> {
        self.dead.map_or(Ok(()), Err)
    }

    /// Returns how many of the bytes were taken.
    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<usize, i32> {
        self.alive()?;
        let end = at + bytes.len() as u64;
        let touched = |bad: &&BadRange| bad.bytes.start.max(at) < bad.bytes.end.min(end);
        if let Some(bad) = self.bad.iter().find(touched) {
            return Err(bad.errno);
        }
        let end = end.min(self.size_max.unwrap_or(u64::MAX));
        if end <= at && !bytes.is_empty() {
            return Err(libc::ENOSPC);
        }
        let taken = (end - at) as usize;
        if (self.bytes.len() as u64) < end {
            self.bytes.resize(end as usize, 0);
        }
        self.bytes[at as usize..end as usize].copy_from_slice(&bytes[..taken]);
        self.deeds.push(Deed::Write(at..end));
        Ok(taken)
    }

    fn resize(&mut self, size: u64) -> Result<(), i32> {
        self.alive()?;
        if size > self.size_max.unwrap_or(u64::MAX) {
            return Err(libc::ENOSPC);
        }
        self.bytes.resize(size as usize, 0);
        self.deeds.push(Deed::Resize(size));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), i32> {
        self.alive()?;
        self.sync_errno.map_or(Ok(()), Err)?;
        self.deeds.push(Deed::Sync);
        Ok(())
    }
}

struct OneFile {
    server: Arc<Mutex<Server>>,
}

impl OneFile {
    fn lock(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn size(&self) -> u64 {
        self.lock().bytes.len() as u64
    }
}

impl Filesystem for OneFile {
    fn lookup(&self, _: &fuser::Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match attributes(FILE, self.size()) {
            Some(attributes) if parent == INodeNo::ROOT && name == NAME => {
                reply.entry(&VALID, &attributes, Generation(0));
            }
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &fuser::Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match attributes(inode, self.size()) {
            Some(attributes) => reply.attr(&VALID, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn setattr(
        &self,
        _: &fuser::Request,
        inode: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let resized = size.map_or(Ok(()), |size| self.lock().resize(size));
        match (resized, attributes(inode, self.size())) {
            (Ok(()), Some(attributes)) => reply.attr(&VALID, &attributes),
            (Err(errno), _) => reply.error(Errno::from_i32(errno)),
            (_, None) => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &fuser::Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.lock().alive() {
            // Past the page cache, which would take the bytes and fail later.
            Ok(()) => reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO),
            Err(errno) => reply.error(Errno::from_i32(errno)),
        }
    }

    fn read(
        &self,
        _: &fuser::Request,
        _: INodeNo,
        _: FileHandle,
        at: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let server = self.lock();
        let there = server.bytes.get(at as usize..).unwrap_or_default();
        match server.alive() {
            Ok(()) => reply.data(&there[..there.len().min(size as usize)]),
            Err(errno) => reply.error(Errno::from_i32(errno)),
        }
    }

    fn write(
        &self,
        _: &fuser::Request,
        _: INodeNo,
        _: FileHandle,
        at: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.lock().write(at, bytes) {
            Ok(taken) => reply.written(taken as u32),
            Err(errno) => reply.error(Errno::from_i32(errno)),
        }
    }

    fn fsync(&self, _: &fuser::Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        match self.lock().sync() {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(Errno::from_i32(errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    fn open(destination: &FaultyDestination) -> File {
        File::options().write(true).open(destination.path()).unwrap()
    }

    fn errno<T: fmt::Debug>(result: std::io::Result<T>) -> i32 {
        result.unwrap_err().raw_os_error().unwrap()
    }

    #[test]
    fn what_is_written_is_kept_and_told() {
        let destination = FaultyDestination::serve();
        let file = open(&destination);
        file.write_all_at(b"abc", 2).unwrap();
        file.sync_all().unwrap();
        file.set_len(10).unwrap();
        assert_eq!(destination.bytes(), b"\0\0abc\0\0\0\0\0");
        assert_eq!(std::fs::read(destination.path()).unwrap(), b"\0\0abc\0\0\0\0\0");
        assert_eq!(destination.deeds(), [Deed::Write(2..5), Deed::Sync, Deed::Resize(10)]);
    }

    #[test]
    fn each_fault_comes_and_goes() {
        let destination = FaultyDestination::serve();
        let file = open(&destination);
        destination.set_bad(vec![BadRange::new(512..1024, libc::EIO)]);
        assert_eq!(errno(file.write_at(&[1; 1024], 0)), libc::EIO);
        destination.set_bad(Vec::new());
        destination.set_size_max(Some(100));
        assert_eq!(file.write_at(&[1; 512], 0).unwrap(), 100);
        assert_eq!(errno(file.write_at(&[1; 512], 100)), libc::ENOSPC);
        destination.set_size_max(None);
        destination.set_sync_error(Some(libc::EIO));
        assert_eq!(errno(file.sync_all()), libc::EIO);
        destination.set_sync_error(None);
        file.sync_all().unwrap();
        destination.set_dead(Some(libc::ENODEV));
        assert_eq!(errno(file.write_at(&[1], 0)), libc::ENODEV);
        destination.set_dead(None);
        file.write_all_at(&[1], 0).unwrap();
    }
}
