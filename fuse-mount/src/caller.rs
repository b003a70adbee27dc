//! Those who wait for an answer, and the table of them.
//!
//! Owns who waits for which answer, and what is said to each. Must not know how requests are carried out.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use block::{ByteRange, Errno, Offset};
use fuser::{ReplyData, ReplyEmpty, ReplyWrite};
use serving::{Reply, Trouble};

use crate::desk::{PAGE, Prefix};
use crate::dying::is_dying;

/// How often those who have waited for a while are looked at.
const ROUND: Duration = Duration::from_millis(100);

/// Somebody who waits.
pub(crate) enum Caller {
    /// A reader.
    Read(Reader),
    /// A writer of so many bytes.
    Write(ReplyWrite, u32),
    /// Somebody who wants everything written to be durable.
    Flush(ReplyEmpty),
    /// Ourselves, in the middle of a write.
    Scribe(Sender<Reply>),
}

/// A reader who waits.
pub(crate) struct Reader {
    pub(crate) reply: ReplyData,
    /// The bytes that it wants; on the disk.
    pub(crate) asked: ByteRange,
    /// The whole sectors that were asked of the device for it.
    pub(crate) covering: ByteRange,
    /// What it gets of what lies before a bad place.
    pub(crate) prefix: Prefix,
}

impl Caller {
    /// Says how it went; damage is told as `damage`. Returns the buffer of a read.
    pub(crate) fn answer(self, reply: Reply, damage: Errno) -> Vec<u8> {
        let (reader, answer) = match (self, reply) {
            (Caller::Scribe(sender), reply) => {
                // A scribe that has gone was told to go.
                let _ = sender.send(reply);
                return Vec::new();
            }
            (caller, Reply::Shutdown(_) | Reply::Drop) => {
                caller.fail(Errno::ENODEV);
                return Vec::new();
            }
            (Caller::Read(reader), Reply::Answer(answer)) => (reader, answer),
            (caller, Reply::Answer(answer)) => {
                match (caller, answer.troubles.first()) {
                    (caller, Some(trouble)) => caller.fail(told(trouble.errno, damage)),
                    (Caller::Write(reply, length), None) => reply.written(length),
                    (Caller::Flush(reply), None) => reply.ok(),
                    (caller, None) => caller.fail(Errno::EIO),
                }
                return Vec::new();
            }
        };
        match reader.outcome(&answer.bytes, &answer.troubles) {
            Ok(bytes) => reader.reply.data(bytes),
            Err(errno) => reader.reply.error(fuse(told(errno, damage))),
        }
        answer.bytes
    }

    /// Says that it did not go well.
    pub(crate) fn fail(self, errno: Errno) {
        match self {
            Caller::Read(reader) => reader.reply.error(fuse(errno)),
            Caller::Write(reply, _) => reply.error(fuse(errno)),
            Caller::Flush(reply) => reply.error(fuse(errno)),
            Caller::Scribe(sender) => {
                let nothing = ByteRange::new(Offset::default(), 0);
                let _ = sender.send(Reply::failed(nothing, errno, "given up"));
            }
        }
    }
}

impl Reader {
    /// The bytes that it gets, or the error.
    fn outcome<'a>(&self, bytes: &'a [u8], troubles: &[Trouble]) -> Result<&'a [u8], Errno> {
        let judged = if self.prefix == Prefix::Pages { self.covering } else { self.asked };
        let met = troubles.iter().find(|trouble| !trouble.range.overlap(judged).is_empty());
        let good = met.map(|trouble| match self.prefix {
            Prefix::Nothing => self.asked.start(),
            Prefix::Pages => trouble.range.start().align_down(PAGE),
            Prefix::Bytes => trouble.range.start(),
        });
        let end = match (met, good) {
            (Some(trouble), Some(good)) if good <= self.asked.start() => return Err(trouble.errno),
            (_, good) => good.map_or(self.asked.end(), |good| good.min(self.asked.end())),
        };
        let from = (self.asked.start() - self.covering.start()) as usize;
        let to = (end - self.covering.start()) as usize;
        bytes.get(from..to).ok_or(Errno::EIO)
    }
}

/// What is told instead of an error of the device: every kind of damage by one number, all else by its own.
pub(crate) fn told(errno: Errno, damage: Errno) -> Errno {
    let is_own = errno.is_loss() || errno.is_refusal() || [Errno::EROFS, Errno::ENOSPC].contains(&errno);
    if is_own { errno } else { damage }
}

pub(crate) fn fuse(errno: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(errno.0)
}

/// Everybody who waits.
#[derive(Default)]
pub(crate) struct Waiting {
    table: Mutex<Table>,
    came: Condvar,
}

#[derive(Default)]
struct Table {
    entries: BTreeMap<u64, Entry>,
    next: u64,
    /// Nobody is let in any more.
    is_closed: bool,
    /// Whoever makes the rounds sleeps until somebody waits.
    is_asleep: bool,
}

struct Entry {
    caller: Caller,
    /// The thread that waits, if it can be known; else 0.
    thread: u32,
}

impl Waiting {
    /// Lets somebody wait; returns its ticket. After the end it is told so instead.
    pub(crate) fn add(&self, caller: Caller, thread: u32) -> Option<u64> {
        let mut table = self.lock();
        if table.is_closed {
            drop(table);
            caller.fail(Errno::EIO);
            return None;
        }
        let ticket = table.next;
        table.next += 1;
        table.entries.insert(ticket, Entry { caller, thread });
        Some(ticket)
    }

    /// Takes note that an answer will take its time.
    pub(crate) fn watch(&self) {
        let mut table = self.lock();
        if table.is_asleep {
            table.is_asleep = false;
            self.came.notify_one();
        }
    }

    /// Whoever holds this ticket, who then waits no more.
    pub(crate) fn take(&self, ticket: u64) -> Option<Caller> {
        self.lock().entries.remove(&ticket).map(|entry| entry.caller)
    }

    /// Tells everybody that there will be no answer, and whoever comes from now on, too. Returns how many waited.
    pub(crate) fn close(&self) -> usize {
        let entries = {
            let mut table = self.lock();
            table.is_closed = true;
            self.came.notify_one();
            std::mem::take(&mut table.entries)
        };
        let count = entries.len();
        entries.into_values().for_each(|entry| entry.caller.fail(Errno::EIO));
        count
    }

    /// Lets those go who were killed while they waited, until the end: a thread that waits for an answer can die only
    /// when it has one.
    pub(crate) fn make_rounds(&self) {
        let mut table = self.lock();
        while !table.is_closed {
            if table.entries.is_empty() {
                table.is_asleep = true;
                table = self.came.wait(table).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            table = self.came.wait_timeout(table, ROUND).unwrap_or_else(PoisonError::into_inner).0;
            let waiting: Vec<(u64, u32)> =
                table.entries.iter().map(|(ticket, entry)| (*ticket, entry.thread)).collect();
            drop(table);
            for (ticket, _) in waiting.into_iter().filter(|(_, thread)| is_dying(*thread)) {
                if let Some(caller) = self.take(ticket) {
                    caller.fail(Errno::from(nix::errno::Errno::EINTR));
                }
            }
            table = self.lock();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
