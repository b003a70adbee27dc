//! How an operating system shows a drive to those who read.
//!
//! Owns splitting, the page cache, time-outs and resets, and the error numbers. Must not know damage or clocks: it is
//! told when a read begins and says when it ends. Behaviour of Linux: requests are split at a device's maximum; a
//! medium error is not retried; a command without an answer is tried again after resets.

use block::{ByteRange, Damage, Errno, Good, Nanos, Offset, ReadReply};

use crate::dice::Dice;
use crate::disk::{Answer, Command, Garbled, Reply, SimDisk};
use crate::law::ErrorClass;
use crate::media::{Lba, Row};

/// Which way reads take through the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Commands straight to the drive: its own words, a prefix where it gave one.
    Raw,
    /// Past the page cache (O_DIRECT): requests are split, a piece that fails brings nothing.
    Direct,
    /// Through the page cache: pages of 4096 bytes, read ahead, failed ones read again page by page.
    Buffered,
}

/// How the system treats a drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemOptions {
    /// Which way reads take.
    pub access: Access,
    /// Largest command in bytes; a multiple of 4096.
    pub command_max: u64,
    /// How long a command may take before the system resets the drive.
    pub timeout: Nanos,
    /// How often a command that was not answered is tried again.
    pub retries: u32,
}

impl Default for SystemOptions {
    fn default() -> SystemOptions {
        SystemOptions {
            access: Access::Direct,
            command_max: 1280 << 10,
            timeout: Nanos::from_secs(30),
            retries: 5,
        }
    }
}

/// An operating system with one drive.
pub struct System {
    disk: SimDisk,
    options: SystemOptions,
    dice: Dice,
    /// Resets so far; numbers their draws.
    resets: u32,
    /// Bytes that the page cache holds.
    cached: block::RangeSet,
    /// Whether the system has given the drive up: nothing reaches it any more.
    is_offline: bool,
    /// Wrong bytes of the last read.
    garbled: Vec<Garbled>,
}

/// How a read ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The device answered.
    Read(ReadReply),
    /// The device is gone.
    Gone,
    /// The simulation has reached its horizon: nothing is answered any more.
    OutOfTime,
}

/// How long the kernel waits for an abort, and for the reset of a device, a target or bus, and a host.
const LADDER: [Nanos; 4] =
    [Nanos::from_secs(10), Nanos::from_secs(10), Nanos::from_secs(35), Nanos::from_secs(5)];
/// How long an answer to one reset is waited for.
const RESET_WAIT: Nanos = Nanos::from_secs(10);
/// How long a drive is waited for whose power came back.
const POWER_WAIT: Nanos = Nanos::from_secs(60);
/// A page of the cache, in bytes.
const PAGE: u64 = 4096;
/// How far the cache reads ahead, in bytes.
const AHEAD: u64 = 128 << 10;

impl System {
    /// Connects a drive. `seed` is the disk's.
    pub fn new(disk: SimDisk, options: SystemOptions, seed: u64) -> System {
        System {
            disk,
            options,
            dice: Dice::new(seed, "system resets"),
            resets: 0,
            cached: block::RangeSet::new(),
            is_offline: false,
            garbled: Vec::new(),
        }
    }

    /// The drive.
    pub fn disk(&self) -> &SimDisk {
        &self.disk
    }

    /// From now on remembers every command that the drive gets.
    pub fn keep_log(&mut self) {
        self.disk.keep_log();
    }

    /// How the drive is treated.
    pub fn options(&self) -> &SystemOptions {
        &self.options
    }

    /// Wrong bytes that the last read brought.
    pub fn garbled(&self) -> &[Garbled] {
        &self.garbled
    }

    /// Reads `range`, which lies on the disk, at `now`; tells how it ended and when.
    pub fn read(&mut self, range: ByteRange, now: Nanos, patience: Nanos) -> (Outcome, Nanos) {
        self.read_as(self.options.access, range, now, patience)
    }

    /// Reads as [`System::read`] does, the way `access`: one system has readers of each kind.
    pub fn read_as(
        &mut self,
        access: Access,
        range: ByteRange,
        now: Nanos,
        patience: Nanos,
    ) -> (Outcome, Nanos) {
        self.garbled.clear();
        if self.is_offline {
            return (Outcome::Gone, now);
        }
        match access {
            Access::Raw => self.read_raw(range, now, patience),
            Access::Direct => self.read_direct(range, now, patience),
            Access::Buffered => self.read_buffered(range, now, patience),
        }
    }

    /// Hands the drive one command for `range` at `now`, with no system in between that would split it, tire of waiting
    /// or reset the drive: for those who have a system of their own, such as the client of a server.
    pub fn read_bare(&mut self, range: ByteRange, now: Nanos) -> Reply {
        self.garbled.clear();
        let logical = u64::from(self.disk.shape().logical);
        let (at, end) = (range.start().bytes() / logical, range.end().bytes().div_ceil(logical));
        let command = Command { at, count: end.min(self.disk.shape().sectors) - at };
        let reply = self.disk.serve(&command, now);
        self.garbled.extend(reply.garbled.clone());
        reply
    }

    /// The drive, to do something to it.
    pub fn disk_mut(&mut self) -> &mut SimDisk {
        &mut self.disk
    }

    /// Reads in a row: `count` reads of `unit` bytes from `at` on, the first at `now`, none begun from `until` on but the
    /// first. Returns how many were made and when the last ended; `None` if the first is not certain to go well. Each is
    /// exactly what [`System::read`] would do.
    pub fn read_row(
        &mut self,
        at: Offset,
        unit: u64,
        count: u64,
        now: Nanos,
        until: Nanos,
    ) -> Option<(u64, Nanos)> {
        let logical = u64::from(self.disk.shape().logical);
        let is_plain = self.options.access != Access::Buffered && unit <= self.options.command_max;
        if self.is_offline || !is_plain || !at.is_multiple_of(logical) || !unit.is_multiple_of(logical) {
            return None;
        }
        let row = Row { at: at.bytes() / logical, unit: unit / logical, count, until };
        self.disk.serve_row(&row, now)
    }

    /// Whether the drive is on the bus.
    pub fn is_there(&mut self, now: Nanos) -> bool {
        !self.is_offline && self.disk.is_there(now)
    }

    /// Tells the drive at `now` to drop what it is doing. Returns when it is ready.
    ///
    /// Errors: when it was given up, because it does not hear.
    pub fn soft_reset(&mut self, now: Nanos) -> Result<Nanos, Nanos> {
        if self.is_offline {
            return Err(now);
        }
        self.resets += 1;
        match self.disk.reset(now, self.dice.roll(self.resets, 0)) {
            Nanos::NEVER => Err(now + RESET_WAIT),
            ready => Ok(ready),
        }
    }

    /// Resets drive and link at `now`, in steps, and takes a drive back that hears, though it was given up. Returns when it
    /// is ready.
    ///
    /// Errors: as [`System::soft_reset`].
    pub fn hard_reset(&mut self, now: Nanos) -> Result<Nanos, Nanos> {
        self.cached = block::RangeSet::new();
        let ready =
            self.reset(now).ok_or(now + LADDER.into_iter().fold(Nanos::ZERO, |sum, wait| sum + wait))?;
        self.is_offline = false;
        Ok(ready)
    }

    /// Takes the drive's power at `now`, and gives it back. Returns when it is ready.
    ///
    /// Errors: when it was given up, because it has died.
    pub fn power_cycle(&mut self, now: Nanos) -> Result<Nanos, Nanos> {
        self.cached = block::RangeSet::new();
        let ready = self.disk.power_cycle(now);
        self.is_offline = ready == Nanos::NEVER;
        if self.is_offline { Err(now + POWER_WAIT) } else { Ok(ready) }
    }

    /// Looks for the drive on the bus again, waiting for one that comes back by itself; a drive that the system gave up,
    /// or that stays away, has its power taken first. Returns when it is ready; `None` if it does not come back.
    pub fn rediscover(&mut self, now: Nanos) -> Option<Nanos> {
        let mut ready = self.disk.comes_back(now);
        if self.is_offline || ready == Nanos::NEVER {
            ready = self.disk.power_cycle(now);
            self.is_offline = ready == Nanos::NEVER;
        }
        self.cached = block::RangeSet::new();
        (!self.is_offline && self.disk.is_there(ready)).then_some(ready)
    }

    /// Writes `range`, whole sectors of the disk, past the page cache at `now`; tells how it ended and when. What lies
    /// before a place that failed has been written.
    pub fn write(&mut self, range: ByteRange, now: Nanos) -> (Outcome, Nanos) {
        let (mut now, mut at) = (now, range.start());
        self.cached = block::RangeSet::new();
        while at < range.end() && !self.is_offline {
            let piece = ByteRange::between(at, (at + self.options.command_max).min(range.end()));
            let (reply, done) = self.exchange(piece, now, Nanos::NEVER, SimDisk::write);
            now = done;
            match self.outcome(piece, reply, true) {
                Outcome::Read(ReadReply { damage: None, .. }) => at = piece.end(),
                Outcome::Read(ReadReply { good, damage }) => {
                    let before = (at - range.start()) as usize;
                    let good = ReadReply { good, damage: None }.good_bytes(piece.length() as usize);
                    return (Outcome::Read(ReadReply { good: Good::Prefix(before + good), damage }), now);
                }
                ended => return (ended, now),
            }
        }
        (if self.is_offline { Outcome::Gone } else { Outcome::Read(ReadReply::all()) }, now)
    }

    fn read_raw(&mut self, range: ByteRange, now: Nanos, patience: Nanos) -> (Outcome, Nanos) {
        let (reply, done) = self.command(range, now, patience);
        (self.outcome(range, reply, true), done)
    }

    fn read_direct(&mut self, range: ByteRange, now: Nanos, patience: Nanos) -> (Outcome, Nanos) {
        let mut now = now;
        let mut at = range.start();
        while at < range.end() {
            let piece = ByteRange::between(at, (at + self.options.command_max).min(range.end()));
            let (reply, done) = self.command(piece, now, patience);
            now = done;
            match self.outcome(piece, reply, false) {
                Outcome::Read(ReadReply { damage: None, .. }) => at = piece.end(),
                // What lies before a piece that failed has been read; of the piece itself nothing counts.
                Outcome::Read(ReadReply { damage, .. }) => {
                    let reply = ReadReply { good: Good::Prefix((at - range.start()) as usize), damage };
                    return (Outcome::Read(reply), now);
                }
                ended => return (ended, now),
            }
        }
        (Outcome::Read(ReadReply::all()), now)
    }

    fn read_buffered(&mut self, range: ByteRange, now: Nanos, patience: Nanos) -> (Outcome, Nanos) {
        let end = Offset::new(self.disk.shape().bytes());
        let mut now = now;
        let mut at = range.start().align_down(PAGE);
        while at < range.end() {
            let page = ByteRange::between(at, (at + PAGE).min(end));
            if self.cached.covers(page) {
                at = page.end();
                continue;
            }
            // A window is asked for at once; when it fails, its pages one by one, as they are wanted.
            let window = ByteRange::between(at, (at + AHEAD).min(end));
            let (reply, done) = self.command(window, now, patience);
            now = done;
            if matches!(reply, Some(Reply { answer: Answer::Done, .. })) {
                self.cached.insert(window);
                continue;
            }
            if let ended @ (Outcome::Gone | Outcome::OutOfTime) = self.outcome(window, reply, false) {
                return (ended, now);
            }
            for page in pages(window).filter(|page| page.start() < range.end()) {
                let (reply, done) = self.command(page, now, patience);
                now = done;
                match self.outcome(page, reply, false) {
                    Outcome::Read(ReadReply { damage: None, .. }) => self.cached.insert(page),
                    Outcome::Read(ReadReply { damage, .. }) => {
                        // Copied to the reader in pages: those before the failed one count.
                        let good = page.start().max(range.start()) - range.start();
                        let damage = damage.map(|damage| Damage { errno: Errno::EIO, ..damage });
                        return (Outcome::Read(ReadReply { good: Good::Prefix(good as usize), damage }), now);
                    }
                    ended => return (ended, now),
                }
            }
        }
        (Outcome::Read(ReadReply::all()), now)
    }

    /// Sends one command through time-outs and resets. `None`: the system gave up waiting for an answer.
    fn command(&mut self, range: ByteRange, now: Nanos, patience: Nanos) -> (Option<Reply>, Nanos) {
        self.exchange(range, now, patience, SimDisk::serve)
    }

    fn exchange(
        &mut self,
        range: ByteRange,
        now: Nanos,
        patience: Nanos,
        send: fn(&mut SimDisk, &Command, Nanos) -> Reply,
    ) -> (Option<Reply>, Nanos) {
        let shape = self.disk.shape();
        let logical = u64::from(shape.logical);
        let at: Lba = range.start().bytes() / logical;
        let count = range.end().bytes().div_ceil(logical).min(shape.sectors) - at;
        let timeout = self.options.timeout.min(patience);
        let mut now = now;
        for _ in 0..=self.options.retries {
            let reply = send(&mut self.disk, &Command { at, count }, now);
            let limit = now + timeout;
            if reply.done <= limit {
                let done = reply.done;
                self.garbled.extend(reply.garbled.clone());
                return (Some(reply), done);
            }
            if limit >= self.disk.horizon() {
                return (Some(Reply::new(Answer::Silent, Nanos::NEVER)), self.disk.horizon());
            }
            now = match self.reset(limit) {
                Some(ready) => ready,
                None => {
                    self.is_offline = true;
                    return (None, now + timeout);
                }
            };
            if timeout == patience {
                // The reader would not wait any longer: no second try.
                break;
            }
        }
        (None, now)
    }

    /// Aborts what the drive is doing, by a ladder of resets; `None`: it does not hear, and the system gives it up.
    fn reset(&mut self, now: Nanos) -> Option<Nanos> {
        // Abort, device, target, bus and host reset, as long as the kernel waits for each.
        let mut now = now;
        for wait in LADDER {
            self.resets += 1;
            let ready = self.disk.reset(now, self.dice.roll(self.resets, 0));
            if ready != Nanos::NEVER {
                return Some(ready);
            }
            now += wait;
        }
        None
    }

    fn outcome(&self, range: ByteRange, reply: Option<Reply>, keeps_prefix: bool) -> Outcome {
        let logical = u64::from(self.disk.shape().logical);
        let failed = |good: usize, errno, at| {
            let damage = Some(Damage { errno, at });
            Outcome::Read(ReadReply { good: Good::Prefix(good), damage })
        };
        match reply.map(|reply| reply.answer) {
            Some(Answer::Done) => Outcome::Read(ReadReply::all()),
            Some(Answer::Error { class, bad }) => {
                let place = Offset::new(bad * logical);
                let good = if keeps_prefix { place.max(range.start()) - range.start() } else { 0 };
                let told = keeps_prefix.then_some(place);
                failed(good as usize, errno(class), told)
            }
            Some(Answer::Gone) => Outcome::Gone,
            Some(Answer::Silent) => Outcome::OutOfTime,
            None if self.is_offline => failed(0, Errno::EIO, None),
            None => failed(0, Errno::ETIMEDOUT, None),
        }
    }
}

fn pages(window: ByteRange) -> impl Iterator<Item = ByteRange> {
    let mut at = window.start();
    std::iter::from_fn(move || {
        let page = ByteRange::between(at, (at + PAGE).min(window.end()));
        at = page.end();
        (!page.is_empty()).then_some(page)
    })
}

/// What Linux calls an error of a drive (SCSI sense to block status to errno).
fn errno(class: ErrorClass) -> Errno {
    match class {
        ErrorClass::Uncorrectable | ErrorClass::AddressMark | ErrorClass::NotFound => Errno::ENODATA,
        ErrorClass::LinkChecksum => Errno::EILSEQ,
        ErrorClass::Aborted | ErrorClass::NotReady | ErrorClass::IllegalMode => Errno::EIO,
    }
}
