//! A file that fails as told: which bytes, with which error, from when on.
//!
//! Owns a FUSE mount with one file in it. Must not know who reads; a loop device over it is a disk that fails.
//!
//! Reads reach it as they were issued, past the page cache, and its errors reach the reader unchanged. A reply can be
//! held back, which is a drive that hangs.

use std::ffi::OsStr;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::{
    Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEntry, ReplyOpen,
};
use nix::libc;

use crate::Content;
use crate::fuse::{FILE, FuseMount, NAME, VALID, attributes};

/// What a read across a bad byte brings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Across {
    /// Nothing but the error, as from a disk past the page cache.
    #[default]
    FailsWhole,
    /// The bytes before the bad one; the error comes when it is asked for first.
    ComesShort,
}

/// Bytes that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRange {
    /// Which.
    pub bytes: Range<u64>,
    /// The error they give, such as `libc::EIO`.
    pub errno: i32,
}

impl BadRange {
    /// Makes bytes that give `errno`.
    pub fn new(bytes: Range<u64>, errno: i32) -> BadRange {
        BadRange { bytes, errno }
    }
}

/// What a faulty file is like.
#[derive(Clone, Debug)]
pub struct FaultyFileOptions {
    /// Bytes in all.
    pub size: u64,
    /// What they are.
    pub content: Content,
    /// Which of them fail.
    pub bad: Vec<BadRange>,
    /// What a read across a bad byte brings.
    pub across: Across,
}

impl Default for FaultyFileOptions {
    fn default() -> FaultyFileOptions {
        FaultyFileOptions {
            size: 1 << 20,
            content: Content::new(1),
            bad: Vec::new(),
            across: Across::default(),
        }
    }
}

/// A read that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which bytes.
    pub bytes: Range<u64>,
    /// Whether the reader had opened the file with O_DIRECT.
    pub direct: bool,
    /// The error it got, if any; `None` also for a read that is still held back.
    pub errno: Option<i32>,
}

/// A file that fails as told.
pub struct FaultyFile {
    mount: FuseMount,
    server: Arc<Mutex<Server>>,
}

impl FaultyFile {
    /// Mounts the file.
    pub fn serve(options: FaultyFileOptions) -> FaultyFile {
        let server = Arc::new(Mutex::new(Server {
            options,
            requests: Vec::new(),
            dead: None,
            dies_after: None,
            hold: None,
            held: Vec::new(),
        }));
        let mount = FuseMount::new(OneFile { server: server.clone() }, MountOption::RO);
        FaultyFile { mount, server }
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.mount.path()
    }

    /// What it would hold if it were whole.
    pub fn content(&self) -> Content {
        self.lock().options.content
    }

    /// Every read asked for since it was mounted or [`FaultyFile::forget_requests`] was called.
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    /// Starts the list of requests anew.
    pub fn forget_requests(&self) {
        self.lock().requests.clear();
    }

    /// Replaces the list of what fails.
    pub fn set_bad(&self, bad: Vec<BadRange>) {
        self.lock().options.bad = bad;
    }

    /// From now on every read gives `errno`; those held back get it at once.
    pub fn die(&self, errno: i32) {
        let mut server = self.lock();
        server.dead = Some(errno);
        server.answer_held();
    }

    /// After `count` more reads every read gives `errno`.
    pub fn die_after(&self, count: usize, errno: i32) {
        self.lock().dies_after = Some((count, errno));
    }

    /// Brings the file back to life.
    pub fn revive(&self) {
        let mut server = self.lock();
        server.dead = None;
        server.dies_after = None;
    }

    /// From now on reads that touch `bytes` get no answer until [`FaultyFile::release`].
    pub fn hold(&self, bytes: Range<u64>) {
        self.lock().hold = Some(bytes);
    }

    /// Number of reads that wait for an answer.
    pub fn held(&self) -> usize {
        self.lock().held.len()
    }

    /// Answers all reads that were held back, and holds back no more.
    pub fn release(&self) {
        let mut server = self.lock();
        server.hold = None;
        server.answer_held();
    }

    fn lock(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FaultyFile {
    fn drop(&mut self) {
        // A reader without an answer cannot be killed, and keeps the mount busy.
        self.release();
    }
}

impl fmt::Debug for FaultyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyFile").field("path", &self.path()).finish_non_exhaustive()
    }
}

struct Server {
    options: FaultyFileOptions,
    requests: Vec<Request>,
    dead: Option<i32>,
    dies_after: Option<(usize, i32)>,
    hold: Option<Range<u64>>,
    held: Vec<Held>,
}

/// A read without an answer.
struct Held {
    bytes: Range<u64>,
    /// Its place in the list of requests.
    index: usize,
    reply: ReplyData,
}

impl Server {
    fn read(&mut self, bytes: Range<u64>, direct: bool, reply: ReplyData) {
        if let Some((left, errno)) = &mut self.dies_after {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => self.dead = Some(*errno),
            }
        }
        let index = self.requests.len();
        self.requests.push(Request { bytes: bytes.clone(), direct, errno: None });
        if self.dead.is_none() && self.hold.as_ref().is_some_and(|hold| touch(hold, &bytes)) {
            self.held.push(Held { bytes, index, reply });
        } else {
            self.answer(bytes, index, reply);
        }
    }

    fn answer(&mut self, bytes: Range<u64>, index: usize, reply: ReplyData) {
        match self.outcome(&bytes) {
            Ok(length) => reply.data(&self.options.content.bytes(bytes.start, length)),
            Err(errno) => {
                if let Some(request) = self.requests.get_mut(index) {
                    request.errno = Some(errno);
                }
                reply.error(Errno::from_i32(errno));
            }
        }
    }

    fn answer_held(&mut self) {
        for Held { bytes, index, reply } in std::mem::take(&mut self.held) {
            self.answer(bytes, index, reply);
        }
    }

    /// Number of bytes that can be given, or the error.
    fn outcome(&self, bytes: &Range<u64>) -> Result<usize, i32> {
        if let Some(errno) = self.dead {
            return Err(errno);
        }
        let end = bytes.end.min(self.options.size);
        let asked = bytes.start..end.max(bytes.start);
        let first_bad = self
            .options
            .bad
            .iter()
            .filter(|bad| touch(&bad.bytes, &asked))
            .min_by_key(|bad| bad.bytes.start.max(asked.start));
        match first_bad {
            None => Ok((asked.end - asked.start) as usize),
            Some(bad) if bad.bytes.start > asked.start && self.options.across == Across::ComesShort => {
                Ok((bad.bytes.start - asked.start) as usize)
            }
            Some(bad) => Err(bad.errno),
        }
    }
}

fn touch(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start.max(other.start) < one.end.min(other.end)
}

struct OneFile {
    server: Arc<Mutex<Server>>,
}

impl OneFile {
    fn lock(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attributes(&self, inode: INodeNo) -> Option<FileAttr> {
        let size = self.lock().options.size;
        attributes(inode, size)
    }
}

impl Filesystem for OneFile {
    fn init(&mut self, _: &fuser::Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Several direct reads at once, also through a loop device. A kernel that cannot is still good for most tests.
        let _ = config.add_capabilities(InitFlags::FUSE_ASYNC_DIO);
        Ok(())
    }

    fn lookup(&self, _: &fuser::Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.attributes(FILE) {
            Some(attributes) if parent == INodeNo::ROOT && name == NAME => {
                reply.entry(&VALID, &attributes, Generation(0));
            }
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &fuser::Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode) {
            Some(attributes) => reply.attr(&VALID, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &fuser::Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // Past the page cache, which would hide faults and ask for more than the reader did.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &fuser::Request,
        _: INodeNo,
        _: FileHandle,
        at: u64,
        size: u32,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let direct = flags.0 & libc::O_DIRECT != 0;
        self.lock().read(at..at + u64::from(size), direct, reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait_until;
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    fn errno_of(file: &File, at: u64, length: usize) -> i32 {
        let error = file.read_at(&mut vec![0; length], at).unwrap_err();
        error.raw_os_error().unwrap()
    }

    #[test]
    fn each_bad_range_gives_its_own_error() {
        let bad = vec![BadRange::new(512..1024, libc::ENODATA), BadRange::new(4096..4097, libc::EIO)];
        let disk = FaultyFile::serve(FaultyFileOptions { bad, ..FaultyFileOptions::default() });
        let file = File::open(disk.path()).unwrap();
        assert_eq!(errno_of(&file, 0, 8192), libc::ENODATA);
        assert_eq!(errno_of(&file, 1023, 1), libc::ENODATA);
        assert_eq!(errno_of(&file, 4000, 512), libc::EIO);
        let mut good = vec![0; 3072];
        assert_eq!(file.read_at(&mut good, 1024).unwrap(), 3072);
        assert_eq!(good, disk.content().bytes(1024, 3072));
        let expected = [
            Request { bytes: 0..8192, direct: false, errno: Some(libc::ENODATA) },
            Request { bytes: 1023..1024, direct: false, errno: Some(libc::ENODATA) },
            Request { bytes: 4000..4512, direct: false, errno: Some(libc::EIO) },
            Request { bytes: 1024..4096, direct: false, errno: None },
        ];
        assert_eq!(disk.requests(), expected);
    }

    #[test]
    fn a_read_may_come_short_before_a_bad_byte() {
        let bad = vec![BadRange::new(600..700, libc::EIO)];
        let options = FaultyFileOptions { bad, across: Across::ComesShort, ..FaultyFileOptions::default() };
        let disk = FaultyFile::serve(options);
        let file = File::open(disk.path()).unwrap();
        assert_eq!(file.read_at(&mut [0; 512], 512).unwrap(), 88);
        assert_eq!(errno_of(&file, 600, 1), libc::EIO);
    }

    #[test]
    fn a_dead_file_answers_nothing_until_it_is_revived() {
        let disk = FaultyFile::serve(FaultyFileOptions::default());
        let file = File::open(disk.path()).unwrap();
        disk.die_after(2, libc::ENODEV);
        assert_eq!(file.read_at(&mut [0; 512], 0).unwrap(), 512);
        assert_eq!(file.read_at(&mut [0; 512], 0).unwrap(), 512);
        assert_eq!(errno_of(&file, 0, 512), libc::ENODEV);
        disk.revive();
        assert_eq!(file.read_at(&mut [0; 512], 0).unwrap(), 512);
    }

    #[test]
    fn a_held_read_waits_and_the_others_do_not() {
        let disk = FaultyFile::serve(FaultyFileOptions::default());
        let file = File::open(disk.path()).unwrap();
        disk.hold(0..512);
        let path = disk.path();
        let waiting =
            std::thread::spawn(move || File::open(path).unwrap().read_at(&mut [0; 512], 0).unwrap());
        wait_until("the read does not arrive", || disk.held() == 1);
        assert_eq!(file.read_at(&mut [0; 512], 512).unwrap(), 512);
        assert!(!waiting.is_finished());
        disk.release();
        assert_eq!(waiting.join().unwrap(), 512);
    }
}
