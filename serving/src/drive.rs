//! A real drive behind the door.
//!
//! Owns the drive's descriptors, how an error's place is found, and the deadline of a request. Must not know who asks. The
//! drive is only read, past the page cache; it may hang for minutes, and whoever asked is answered all the same.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use block::source::{Access, FileOptions, FileSource};
use block::{
    BlockSource, ByteRange, Clock, Damage, Errno, Geometry, Good, Nanos, Offset, Patience, ReadReply,
    Recovery, SourceError, WallClock,
};

use crate::device::{Answer, Device, Facts, Outlet, Reply, Request, Trouble, Work};
use crate::pool::Pool;

/// Reads in flight at a drive that does not rotate.
const IN_FLIGHT: usize = 32;

/// How a drive is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriveOptions {
    /// How long a request may take before it is answered with an error, whatever the drive does.
    pub deadline: Nanos,
    /// Whether a read goes on behind a place that failed.
    pub reads_on: bool,
}

impl Default for DriveOptions {
    fn default() -> DriveOptions {
        DriveOptions { deadline: Nanos::from_secs(30), reads_on: false }
    }
}

/// A drive, served for reading only.
pub struct DriveDevice {
    facts: Facts,
    pool: Arc<Pool<Reader>>,
    deadlines: Arc<Deadlines>,
    options: DriveOptions,
}

impl DriveDevice {
    /// Opens the block device, or whatever else can be read past the page cache, at `path`.
    ///
    /// Errors: as of opening a source; [`SourceError::NotSeekable`] too where the size is unknown.
    pub fn open(
        path: &Path,
        options: DriveOptions,
        clock: Arc<WallClock>,
    ) -> Result<DriveDevice, SourceError> {
        let source = FileSource::open(path, file_options())?;
        let Geometry { size: Some(size), logical_sector, physical_sector } = source.geometry() else {
            return Err(SourceError::NotSeekable { device: path.to_owned() });
        };
        let info = source.info();
        let named = [info.model.as_deref(), info.serial.as_deref()].into_iter().flatten();
        let description = std::iter::once(path.to_string_lossy().trim().to_owned())
            .chain(named.map(|text| text.trim().to_owned()))
            .collect::<Vec<_>>()
            .join(", ");
        let rotates = source.abilities().rotates;
        let identity = info.identity();
        let facts = Facts {
            size,
            logical_sector,
            physical_sector,
            rotates,
            is_writable: false,
            has_health: false,
            description,
        };
        // The first reader has the descriptor that the drive was looked at with; later ones look for the same drive.
        let (first, name) = (Mutex::new(Some(source)), path.to_owned());
        let make = move || {
            let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
            let is_same = |source: &FileSource| identity.is_none() || source.info().identity() == identity;
            let source = first.or_else(|| FileSource::open(&name, file_options()).ok().filter(is_same));
            Reader { source, name: name.clone(), sector: physical_sector, reads_on: options.reads_on }
        };
        let threads = if rotates { 1 } else { IN_FLIGHT };
        let pool = Arc::new(Pool::new(threads, make, Reader::serve));
        let stuck = Arc::downgrade(&pool);
        let deadlines = Deadlines::new(clock, move || {
            // Whoever hangs keeps its thread; others need one.
            if let Some(pool) = stuck.upgrade() {
                pool.give_up_one();
            }
        });
        Ok(DriveDevice { facts, pool, deadlines, options })
    }
}

fn file_options() -> FileOptions {
    FileOptions { access: Access::Direct, ..FileOptions::default() }
}

impl Device for DriveDevice {
    fn facts(&self) -> Facts {
        self.facts.clone()
    }

    fn detach(&self, _: &Arc<dyn Outlet>) {}

    fn submit(&self, request: Request, ticket: u64, outlet: &Arc<dyn Outlet>) -> Option<Reply> {
        let range = request.range;
        match request.work {
            Work::Read | Work::Cache => {}
            Work::Flush => return Some(Reply::done(Vec::new())),
            Work::Write(_) | Work::Zero { .. } | Work::Trim => {
                return Some(Reply::failed(range, Errno::EROFS, "drive: it is only read"));
            }
        }
        let race = self.deadlines.watch(range, ticket, outlet, self.options.deadline);
        self.pool.submit(request, ticket, &(race as Arc<dyn Outlet>))
    }
}

/// What a thread reads with.
struct Reader {
    /// `None`: the drive is not there.
    source: Option<FileSource>,
    name: PathBuf,
    sector: u32,
    reads_on: bool,
}

impl Reader {
    fn serve(&mut self, request: Request) -> Reply {
        let Request { work, range, mut buffer, .. } = request;
        buffer.resize(range.length() as usize, 0);
        match self.read(range, &mut buffer) {
            Ok(troubles) => {
                let bytes = if work == Work::Cache { Vec::new() } else { buffer };
                Reply::Answer(Answer { bytes, troubles })
            }
            Err(error) => {
                let errno = error.errno().unwrap_or(Errno::ENODEV);
                Reply::failed(range, errno, format!("drive: {error}"))
            }
        }
    }

    fn read(&mut self, range: ByteRange, bytes: &mut [u8]) -> Result<Vec<Trouble>, SourceError> {
        let (mut troubles, mut at) = (Vec::<Trouble>::new(), range.start());
        while at < range.end() {
            let from = (at - range.start()) as usize;
            let (good, damage) = self.read_to_damage(at, &mut bytes[from..])?;
            let bad = at + good as u64;
            let Some(damage) = damage else {
                if bad < range.end() {
                    // Shorter than it said it was.
                    let range = ByteRange::between(bad, range.end());
                    troubles.push(trouble(range, Errno::EIO, "drive: it ends here"));
                }
                break;
            };
            let next =
                if self.reads_on { bad.align_down(self.sector()) + self.sector() } else { range.end() };
            let lost = ByteRange::between(bad, next.min(range.end()));
            match troubles.last_mut().filter(|last| last.range.end() == lost.start()) {
                Some(last) => last.range = ByteRange::between(last.range.start(), lost.end()),
                None => {
                    troubles.push(trouble(lost, damage.errno, &format!("media: {}", damage.errno.text())))
                }
            }
            at = lost.end();
        }
        Ok(troubles)
    }

    /// Reads up to the first sector that fails; says how many bytes are good and what stopped it, if not the end.
    fn read_to_damage(
        &mut self,
        at: Offset,
        bytes: &mut [u8],
    ) -> Result<(usize, Option<Damage>), SourceError> {
        let reply = self.read_once(at, bytes)?;
        let mut good = reply.good_bytes(bytes.len());
        let Some(damage) = reply.damage else { return Ok((good, None)) };
        if bytes.len() as u64 <= self.sector() {
            return Ok((good, Some(damage)));
        }
        // Past the page cache a read fails whole: the place is found sector by sector, each but the last of which is quick.
        while good < bytes.len() {
            let start = at + good as u64;
            let end = (start.align_down(self.sector()) + self.sector()).min(at + bytes.len() as u64);
            let length = (end - start) as usize;
            match self.read_once(start, &mut bytes[good..good + length])? {
                ReadReply { good: Good::All, damage: None } => good += length,
                ReadReply { damage: None, .. } => return Ok((good, None)),
                ReadReply { damage: Some(damage), .. } => return Ok((good, Some(damage))),
            }
        }
        // What failed at first did not fail again.
        Ok((good, None))
    }

    /// Reads once; through one loss of the drive, if it is back already.
    fn read_once(&mut self, at: Offset, bytes: &mut [u8]) -> Result<ReadReply, SourceError> {
        let mut is_back = false;
        loop {
            let source = self.source()?;
            let error = match source.read_at(at, bytes, Patience::Endless) {
                // Many systems call a lost device an input/output error.
                Ok(reply) if reply.damage.is_some() => match source.presence() {
                    Ok(()) => return Ok(reply),
                    Err(error) => error,
                },
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            if is_back || source.recover(Recovery::Rediscover).is_err() {
                return Err(error);
            }
            is_back = true;
        }
    }

    fn source(&mut self) -> Result<&mut FileSource, SourceError> {
        let name = &self.name;
        let gone = || SourceError::Disappeared { device: name.clone(), errno: Errno::ENODEV };
        self.source.as_mut().ok_or_else(gone)
    }

    fn sector(&self) -> u64 {
        u64::from(self.sector)
    }
}

fn trouble(range: ByteRange, errno: Errno, text: &str) -> Trouble {
    Trouble { range, at: Some(range.start()), errno, text: text.to_owned() }
}

/// Answers requests whose time is up.
struct Deadlines {
    clock: Arc<WallClock>,
    watched: Mutex<Watched>,
    changed: Condvar,
    on_stuck: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Watched {
    /// In the order of their deadlines, which is that of their coming.
    races: VecDeque<(Nanos, Weak<Race>)>,
    is_running: bool,
}

/// A request whose answer and whose deadline race each other: the first one counts.
struct Race {
    is_over: AtomicBool,
    range: ByteRange,
    ticket: u64,
    /// Not held: a client that has gone is not kept by a drive that hangs.
    outlet: Weak<dyn Outlet>,
}

impl Outlet for Race {
    fn is_open(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed) && self.outlet.upgrade().is_some_and(|outlet| outlet.is_open())
    }

    fn deliver(&self, ticket: u64, reply: Reply) {
        if !self.is_over.swap(true, Ordering::Relaxed)
            && let Some(outlet) = self.outlet.upgrade()
        {
            outlet.deliver(ticket, reply);
        }
    }
}

impl Deadlines {
    fn new(clock: Arc<WallClock>, on_stuck: impl Fn() + Send + Sync + 'static) -> Arc<Deadlines> {
        let (watched, changed) = (Mutex::default(), Condvar::new());
        Arc::new(Deadlines { clock, watched, changed, on_stuck: Box::new(on_stuck) })
    }

    fn watch(
        self: &Arc<Deadlines>,
        range: ByteRange,
        ticket: u64,
        outlet: &Arc<dyn Outlet>,
        limit: Nanos,
    ) -> Arc<Race> {
        let outlet = Arc::downgrade(outlet);
        let race = Arc::new(Race { is_over: AtomicBool::new(false), range, ticket, outlet });
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        while watched.races.front().is_some_and(|(_, race)| race.strong_count() == 0) {
            watched.races.pop_front();
        }
        watched.races.push_back((self.clock.now() + limit, Arc::downgrade(&race)));
        if !watched.is_running {
            watched.is_running = true;
            let deadlines = Arc::downgrade(self);
            std::thread::spawn(move || run(&deadlines));
        } else if watched.races.len() == 1 {
            self.changed.notify_one();
        }
        race
    }
}

fn run(deadlines: &Weak<Deadlines>) {
    while let Some(deadlines) = deadlines.upgrade() {
        let mut watched = deadlines.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = match watched.races.front() {
            // Whoever made this may have gone: that is looked at now and then.
            None => Nanos::from_secs(10),
            Some((due, _)) => due.since(deadlines.clock.now()),
        };
        if wait > Nanos::ZERO {
            let wait = Duration::from_nanos(wait.nanoseconds());
            drop(deadlines.changed.wait_timeout(watched, wait).unwrap_or_else(PoisonError::into_inner));
            continue;
        }
        let late = watched.races.pop_front().and_then(|(_, race)| race.upgrade());
        drop(watched);
        if let Some(race) = late.filter(|race| !race.is_over.load(Ordering::Relaxed)) {
            race.deliver(
                race.ticket,
                Reply::failed(race.range, Errno::ETIMEDOUT, "drive: no answer in time"),
            );
            (deadlines.on_stuck)();
        }
    }
}

#[cfg(test)]
mod tests;
