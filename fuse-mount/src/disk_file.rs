//! The file that the kernel sees.
//!
//! Owns what each call on the file does. Must not know how requests are carried out.
//!
//! It behaves like a disk where files and disks differ: it has its size, whatever anybody wants to make of it; opening it
//! to write does not empty it; there is no room behind its end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use block::{ByteRange, Errno, Offset};
use fuser::{
    BsdFileFlags, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyOpen, ReplyWrite, TimeOrNow, WriteFlags,
};
use nix::libc;
use serving::Work;

use crate::caller::{Caller, Reader, fuse};
use crate::desk::{Asker, Desk};
use crate::place::Look;
use crate::scribe::{Scribe, Writing};

/// How long the kernel may believe what it was told: not at all, so that nothing is ever stale.
const VALID: Duration = Duration::ZERO;

/// Largest request in bytes.
const REQUEST_MAX: u32 = 1 << 20;

pub(crate) struct DiskFile {
    desk: Arc<Desk>,
    scribe: Scribe,
    look: Look,
    /// When it appeared.
    time: SystemTime,
}

impl DiskFile {
    pub(crate) fn new(desk: &Arc<Desk>, look: Look) -> DiskFile {
        DiskFile { desk: desk.clone(), scribe: Scribe::new(desk), look, time: look.time }
    }

    fn attributes(&self) -> FileAttr {
        let facts = self.desk.device.facts();
        let mode = if facts.is_writable { self.look.mode } else { self.look.mode & !0o222 };
        FileAttr {
            ino: INodeNo::ROOT,
            size: facts.size,
            blocks: facts.size.div_ceil(512),
            atime: self.time,
            mtime: self.time,
            ctime: self.time,
            crtime: self.time,
            kind: FileType::RegularFile,
            perm: mode,
            nlink: 1,
            uid: self.look.owner,
            gid: self.look.group,
            rdev: 0,
            blksize: facts.physical_sector,
            flags: 0,
        }
    }
}

impl Filesystem for DiskFile {
    fn init(&mut self, _: &fuser::Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Several direct reads at once, also through a loop device. A kernel that cannot asks one after the other.
        let _ = config.add_capabilities(InitFlags::FUSE_ASYNC_DIO);
        let _ = config.set_max_write(REQUEST_MAX);
        Ok(())
    }

    fn getattr(&self, _: &fuser::Request, _: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&VALID, &self.attributes());
    }

    fn setattr(
        &self,
        _: &fuser::Request,
        _: INodeNo,
        mode: Option<u32>,
        owner: Option<u32>,
        group: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        handle: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let attributes = self.attributes();
        // Without a handle: opened to be emptied. That means nothing to a disk.
        let is_resized = size.is_some_and(|size| size != attributes.size && (size, handle) != (0, None));
        if is_resized {
            reply.error(fuser::Errno::EINVAL);
        } else if mode.is_some() || owner.is_some() || group.is_some() {
            reply.error(fuser::Errno::EPERM);
        } else {
            reply.attr(&VALID, &attributes);
        }
    }

    fn open(&self, _: &fuser::Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.desk.open() {
            // Past the page cache, which would hide faults and ask for more than the reader did.
            Ok(client) => reply.opened(FileHandle(client), FopenFlags::FOPEN_DIRECT_IO),
            Err(errno) => reply.error(fuse(errno)),
        }
    }

    fn read(
        &self,
        request: &fuser::Request,
        _: INodeNo,
        handle: FileHandle,
        at: u64,
        size: u32,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let facts = self.desk.device.facts();
        let asked = on_disk(at, u64::from(size), facts.size);
        if asked.is_empty() {
            return reply.data(&[]);
        }
        let Some(window) = self.desk.window(handle.0) else { return reply.error(fuse(Errno::EIO)) };
        let (access, prefix) = self.desk.showing.reading.of(flags.0 & libc::O_DIRECT != 0);
        let covering = prefix.covering(asked, &facts);
        let caller = Caller::Read(Reader { reply, asked, covering, prefix });
        let asker = Asker { outlet: &window, client: handle.0, thread: request.pid() };
        self.desk.ask(asker, Work::Read, covering, access, caller);
    }

    fn write(
        &self,
        request: &fuser::Request,
        _: INodeNo,
        handle: FileHandle,
        at: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let facts = self.desk.device.facts();
        let range = on_disk(at, bytes.len() as u64, facts.size);
        if !facts.is_writable {
            return reply.error(fuse(Errno::EROFS));
        }
        if range.is_empty() {
            return if bytes.is_empty() { reply.written(0) } else { reply.error(fuse(Errno::ENOSPC)) };
        }
        let Some(outlet) = self.desk.window(handle.0) else { return reply.error(fuse(Errno::EIO)) };
        let bytes = bytes[..range.length() as usize].to_vec();
        let (client, thread) = (handle.0, request.pid());
        self.scribe.write(Writing { at: range.start(), bytes, reply, outlet, client, thread }, &facts);
    }

    fn flush(&self, _: &fuser::Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, request: &fuser::Request, _: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        let Some(window) = self.desk.window(handle.0) else { return reply.error(fuse(Errno::EIO)) };
        let asker = Asker { outlet: &window, client: handle.0, thread: request.pid() };
        let nothing = ByteRange::new(Offset::default(), 0);
        self.desk.ask(asker, Work::Flush, nothing, None, Caller::Flush(reply));
    }

    fn release(
        &self,
        _: &fuser::Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.desk.close(handle.0);
        reply.ok();
    }
}

/// What of a stretch lies on a disk of `size` bytes.
fn on_disk(at: u64, length: u64, size: u64) -> ByteRange {
    let start = at.min(size);
    ByteRange::new(Offset::new(start), length.min(size - start))
}
