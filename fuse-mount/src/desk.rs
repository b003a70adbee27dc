//! Where requests of readers and writers become requests to the device.
//!
//! Owns the way there and back, and what readers see of a disk that fails. Must not know the protocol of the kernel.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use block::{ByteRange, Errno, Offset};
use serving::{AttachError, Device, Facts, Outlet, Reply, Request, Work};
use simulator::Access;

use crate::caller::{Caller, Waiting};

/// Buffers that are kept for the next reads.
const SPARE_MAX: usize = 4;

/// A page of the cache in bytes.
pub(crate) const PAGE: u64 = 4096;

/// How the disk is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Showing {
    /// How reads fail.
    pub reading: Reading,
    /// What damage is called.
    pub damage: Errno,
}

impl Default for Showing {
    fn default() -> Showing {
        Showing { reading: Reading::default(), damage: Errno::EIO }
    }
}

/// How reads fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// As the reader has opened the file: with O_DIRECT a read fails whole, without it in pages and with a read-ahead,
    /// and what lies before a failed page has been read.
    #[default]
    AsOpened,
    /// One way for everybody. `Raw`: as the drive says it, without a system that would tire of waiting.
    Always(Access),
}

impl Reading {
    /// How the requests of a reader are carried out, and what it gets of one that fails.
    pub(crate) fn of(self, is_direct: bool) -> (Option<Access>, Prefix) {
        match (self, is_direct) {
            (Reading::Always(Access::Raw), _) => (None, Prefix::Bytes),
            (Reading::Always(Access::Direct), _) | (Reading::AsOpened, true) => {
                (Some(Access::Direct), Prefix::Nothing)
            }
            (Reading::Always(Access::Buffered), _) | (Reading::AsOpened, false) => {
                (Some(Access::Buffered), Prefix::Pages)
            }
        }
    }
}

/// What a reader gets of what lies before a bad place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// Nothing.
    Nothing,
    /// Whole pages; and a page with a bad sector is bad.
    Pages,
    /// All of it.
    Bytes,
}

impl Prefix {
    /// The stretch of the disk that is asked for in the place of `asked`, which lies on it.
    pub(crate) fn covering(self, asked: ByteRange, facts: &Facts) -> ByteRange {
        let sector = u64::from(facts.logical_sector);
        let unit = if self == Prefix::Pages { sector.max(PAGE) } else { sector };
        covering(asked, unit, facts.size)
    }
}

/// Who asks.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// Where answers go that are not due at once.
    pub(crate) outlet: &'a Arc<dyn Outlet>,
    /// Number of the open file.
    pub(crate) client: u64,
    /// Number of the thread; 0 if it cannot be known.
    pub(crate) thread: u32,
}

/// A device and those who wait for it.
pub(crate) struct Desk {
    pub(crate) device: Arc<dyn Device>,
    pub(crate) showing: Showing,
    pub(crate) waiting: Waiting,
    open: Mutex<OpenFiles>,
    spare: Mutex<Vec<Vec<u8>>>,
}

/// Files that are open, each a client of the device.
#[derive(Default)]
struct OpenFiles {
    windows: BTreeMap<u64, Arc<dyn Outlet>>,
    next: u64,
}

impl Desk {
    pub(crate) fn new(device: Arc<dyn Device>, showing: Showing) -> Desk {
        let (waiting, open, spare) = Default::default();
        Desk { device, showing, waiting, open, spare }
    }

    /// Lets a client in; returns its number. Errors: why not.
    pub(crate) fn open(self: &Arc<Desk>) -> Result<u64, Errno> {
        self.device.attach().map_err(|AttachError::Gone| Errno::ENODEV)?;
        let mut open = self.open_files();
        let client = open.next;
        open.next += 1;
        open.windows.insert(client, Arc::new(Window { desk: Arc::downgrade(self), client }));
        Ok(client)
    }

    /// Where the answers of a client come.
    pub(crate) fn window(&self, client: u64) -> Option<Arc<dyn Outlet>> {
        self.open_files().windows.get(&client).cloned()
    }

    /// A client has gone.
    pub(crate) fn close(&self, client: u64) {
        let window = self.open_files().windows.remove(&client);
        if let Some(window) = window {
            self.device.detach(&window);
        }
    }

    /// Tells everybody who waits, and whoever comes from now on, that there will be no answer; returns how many waited.
    pub(crate) fn give_up(&self) -> usize {
        let count = self.waiting.close();
        let windows = std::mem::take(&mut self.open_files().windows);
        windows.values().for_each(|window| self.device.detach(window));
        count
    }

    fn open_files(&self) -> MutexGuard<'_, OpenFiles> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the device, and answers `caller` when it has answered.
    pub(crate) fn ask(
        &self,
        asker: Asker<'_>,
        work: Work,
        range: ByteRange,
        access: Option<Access>,
        caller: Caller,
    ) {
        let Some(ticket) = self.waiting.add(caller, asker.thread) else { return };
        let buffer = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let request = Request { work, range, is_durable: false, access, client: asker.client, buffer };
        match self.device.submit(request, ticket, asker.outlet) {
            Some(reply) => self.answer(ticket, reply),
            None => self.waiting.watch(),
        }
    }

    fn answer(&self, ticket: u64, reply: Reply) {
        // Nobody is there any more: it was killed, or everything ends.
        let Some(caller) = self.waiting.take(ticket) else { return };
        let buffer = caller.answer(reply, self.showing.damage);
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_MAX && buffer.capacity() > 0 {
            spare.push(buffer);
        }
    }
}

/// The whole units around a stretch that lies on a disk of `size` bytes.
pub(crate) fn covering(asked: ByteRange, unit: u64, size: u64) -> ByteRange {
    let end = asked.end().align_up(unit).min(Offset::new(size));
    ByteRange::between(asked.start().align_down(unit), end)
}

/// Where answers come for one open file.
struct Window {
    desk: Weak<Desk>,
    client: u64,
}

impl Outlet for Window {
    fn deliver(&self, ticket: u64, reply: Reply) {
        if let Some(desk) = self.desk.upgrade() {
            desk.answer(ticket, reply);
        }
    }

    fn is_open(&self) -> bool {
        self.desk.upgrade().is_some_and(|desk| desk.window(self.client).is_some())
    }
}
