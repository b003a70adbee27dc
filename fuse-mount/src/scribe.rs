//! Writes of parts of sectors.
//!
//! Owns a thread that reads the sectors at the edges, changes them, and writes the whole. Must not know who writes.
//!
//! Such writes are carried out one after the other, and all that come while one is under way wait behind it: two of them
//! may want the same sector.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, PoisonError, Weak};

use block::{ByteRange, Errno, Offset};
use fuser::ReplyWrite;
use serving::{Facts, Outlet, Reply, Work};

use crate::caller::{Caller, fuse, told};
use crate::desk::{Asker, Desk, covering};

/// A write.
pub(crate) struct Writing {
    pub(crate) at: Offset,
    pub(crate) bytes: Vec<u8>,
    pub(crate) reply: ReplyWrite,
    pub(crate) outlet: Arc<dyn Outlet>,
    pub(crate) client: u64,
    pub(crate) thread: u32,
}

/// Whoever carries out writes of parts of sectors.
pub(crate) struct Scribe {
    desk: Weak<Desk>,
    /// Writes that it has not finished.
    load: Arc<AtomicUsize>,
    queue: std::sync::Mutex<Option<Sender<Writing>>>,
}

impl Scribe {
    pub(crate) fn new(desk: &Arc<Desk>) -> Scribe {
        Scribe { desk: Arc::downgrade(desk), load: Arc::default(), queue: std::sync::Mutex::default() }
    }

    /// Carries out a write within the disk.
    pub(crate) fn write(&self, writing: Writing, facts: &Facts) {
        let Some(desk) = self.desk.upgrade() else { return writing.reply.error(fuse(Errno::EIO)) };
        let range = ByteRange::new(writing.at, writing.bytes.len() as u64);
        if whole(range, facts) == range && self.load.load(Ordering::Acquire) == 0 {
            let Writing { bytes, reply, outlet, client, thread, .. } = writing;
            let caller = Caller::Write(reply, range.length() as u32);
            desk.ask(Asker { outlet: &outlet, client, thread }, Work::Write(bytes), range, None, caller);
            return;
        }
        self.load.fetch_add(1, Ordering::AcqRel);
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = queue.get_or_insert_with(|| {
            let (sender, receiver) = channel::<Writing>();
            let (desk, load) = (self.desk.clone(), self.load.clone());
            std::thread::spawn(move || {
                for writing in receiver {
                    carry_out(&desk, writing);
                    load.fetch_sub(1, Ordering::AcqRel);
                }
            });
            sender
        });
        // It ends after us, and not before.
        let _ = sender.send(writing);
    }
}

fn carry_out(desk: &Weak<Desk>, writing: Writing) {
    let Some(desk) = desk.upgrade() else { return writing.reply.error(fuse(Errno::EIO)) };
    let Writing { at, bytes, reply, outlet, client, thread } = writing;
    let asker = Asker { outlet: &outlet, client, thread };
    let length = bytes.len() as u32;
    match change(&desk, asker, ByteRange::new(at, bytes.len() as u64), bytes) {
        Ok(()) => reply.written(length),
        Err(errno) => reply.error(fuse(told(errno, desk.showing.damage))),
    }
}

/// Writes `bytes` into `range`, and what is there already around it.
fn change(desk: &Desk, asker: Asker<'_>, range: ByteRange, bytes: Vec<u8>) -> Result<(), Errno> {
    let whole = whole(range, &desk.device.facts());
    if whole == range {
        return exchange(desk, asker, Work::Write(bytes), whole).map(drop);
    }
    let mut all = exchange(desk, asker, Work::Read, whole)?;
    let from = (range.start() - whole.start()) as usize;
    all.get_mut(from..from + bytes.len()).ok_or(Errno::EIO)?.copy_from_slice(&bytes);
    all.truncate(whole.length() as usize);
    exchange(desk, asker, Work::Write(all), whole).map(drop)
}

/// The sectors that a stretch touches.
fn whole(range: ByteRange, facts: &Facts) -> ByteRange {
    covering(range, u64::from(facts.logical_sector), facts.size)
}

/// Asks the device, and waits.
fn exchange(desk: &Desk, asker: Asker<'_>, work: Work, range: ByteRange) -> Result<Vec<u8>, Errno> {
    let (sender, receiver) = channel();
    desk.ask(asker, work, range, None, Caller::Scribe(sender));
    match receiver.recv() {
        Ok(Reply::Answer(answer)) => answer.troubles.first().map_or(Ok(answer.bytes), |it| Err(it.errno)),
        Ok(Reply::Shutdown(_) | Reply::Drop) => Err(Errno::ENODEV),
        Err(_) => Err(Errno::EIO),
    }
}
