//! A simulated disk behind the door.
//!
//! Owns the disk, its time, and the requests that it will not answer by itself. Must not know who asks, nor damage. One
//! lock guards it; nobody waits for anything while holding it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use block::{ByteRange, Clock, Errno, Extent, Nanos, Offset, WallClock};
use simulator::disk::Answer as Word;
use simulator::system::Outcome;
use simulator::{Access, LogicalUnit, Scenario};

use crate::device::{Answer, AttachError, Device, Facts, Outlet, Reply, Request, Trouble, Work};
use crate::pace::{Course, Idle, Pace};
use crate::timer::Timer;

mod words;

/// How a simulated disk is served.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SimOptions {
    /// How fast its time passes.
    pub pace: Pace,
    /// Whether time passes while nobody asks.
    pub idle: Idle,
    /// How its clients' systems read, whatever they say themselves.
    pub access: Option<Access>,
    /// Whether a read goes on behind a place that failed.
    pub reads_on: bool,
    /// What clients see when the drive has left the bus.
    pub when_gone: WhenGone,
    /// Whether it tells its health.
    pub tells_health: bool,
}

/// What clients see of a drive that has left the bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenGone {
    /// Every request fails at once.
    #[default]
    Eio,
    /// They are told to leave.
    Shutdown,
    /// Their connections break off.
    Drop,
    /// The same, and new ones are not let in.
    Refuse,
    /// Nothing is answered.
    Mute,
}

/// A simulated disk, served.
pub struct SimDevice {
    description: String,
    options: SimOptions,
    clock: Arc<WallClock>,
    state: Mutex<State>,
    timer: Timer,
}

struct State {
    unit: LogicalUnit,
    course: Course,
    /// Requests that are not answered until somebody does something about it.
    held: Vec<Held>,
    /// Clients that are there.
    clients: usize,
}

/// A request without an answer.
struct Held {
    ticket: u64,
    range: ByteRange,
    outlet: Arc<dyn Outlet>,
}

impl SimDevice {
    /// Opens the disk of a scenario with `seed`.
    ///
    /// Errors: as of opening scenarios.
    pub fn open(
        scenario: &Scenario,
        seed: u64,
        options: SimOptions,
        clock: Arc<WallClock>,
    ) -> Result<SimDevice, simulator::scenario::ScenarioError> {
        let unit = scenario.unit(seed, options.access)?;
        let course = Course::new(options.pace, options.idle, clock.now());
        let state = State { unit, course, held: Vec::new(), clients: 0 };
        Ok(SimDevice {
            description: format!(
                "{}, seed {seed}: {}",
                scenario.name,
                first_line(&scenario.head.description)
            ),
            options,
            timer: Timer::new(clock.clone()),
            clock,
            state: Mutex::new(state),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers the requests that hang, each with an error; returns how many there were.
    pub fn release(&self) -> usize {
        let mut state = self.lock();
        let count = state.held.len();
        self.give_up_held(&mut state, words::RELEASED);
        count
    }

    fn give_up_held(&self, state: &mut State, text: &str) {
        for held in state.held.drain(..) {
            let reply = Reply::failed(held.range, Errno::EIO, text);
            self.timer.add(Nanos::ZERO, held.outlet, held.ticket, reply);
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// What came of a request: an answer and when, in the disk's time.
enum Served {
    At(Nanos, Reply),
    Never,
}

impl Device for SimDevice {
    fn facts(&self) -> Facts {
        let state = self.lock();
        let disk = state.unit.system().disk();
        let shape = disk.shape();
        Facts {
            size: shape.bytes(),
            logical_sector: shape.logical,
            physical_sector: disk.drive().medium.told_sector(),
            rotates: disk.drive().medium.rotates(),
            is_writable: disk.is_writable(),
            has_health: self.options.tells_health,
            description: self.description.clone(),
        }
    }

    fn attach(&self) -> Result<(), AttachError> {
        let mut state = self.lock();
        let now = state.arrival(self.clock.now());
        if self.options.when_gone == WhenGone::Refuse && !state.unit.system_mut().is_there(now) {
            return Err(AttachError::Gone);
        }
        state.clients += 1;
        Ok(())
    }

    fn detach(&self, outlet: &Arc<dyn Outlet>) {
        let gone: Vec<Held> = {
            let mut state = self.lock();
            state.clients = state.clients.saturating_sub(1);
            let (gone, kept) = std::mem::take(&mut state.held)
                .into_iter()
                .partition(|held| Arc::ptr_eq(&held.outlet, outlet));
            state.held = kept;
            gone
        };
        drop(gone);
        self.timer.forget(outlet);
    }

    fn submit(&self, request: Request, ticket: u64, outlet: &Arc<dyn Outlet>) -> Option<Reply> {
        let mut state = self.lock();
        let arrival = state.arrival(self.clock.now());
        let range = request.range;
        match state.serve(request, arrival, &self.options) {
            Served::Never => {
                state.held.push(Held { ticket, range, outlet: outlet.clone() });
                None
            }
            Served::At(done, reply) => {
                let due = state.course.due(done);
                drop(state);
                if due <= self.clock.now() {
                    return Some(reply);
                }
                self.timer.add(due, outlet.clone(), ticket, reply);
                None
            }
        }
    }

    fn extents(&self, range: ByteRange) -> Vec<Extent> {
        self.lock().unit.extents(range)
    }
}

impl State {
    fn arrival(&mut self, now: Nanos) -> Nanos {
        self.course.arrival(now, self.unit.system().disk().free_from())
    }

    fn serve(&mut self, request: Request, arrival: Nanos, options: &SimOptions) -> Served {
        let Request { work, range, buffer, .. } = request;
        match work {
            Work::Read => self.read(range, buffer, arrival, request.access.or(options.access), options),
            Work::Cache => {
                let access = request.access.or(options.access);
                match self.read(range, buffer, arrival, access, options) {
                    Served::At(done, Reply::Answer(answer)) => {
                        Served::At(done, Reply::Answer(Answer { bytes: Vec::new(), ..answer }))
                    }
                    other => other,
                }
            }
            Work::Write(bytes) => self.write(range, &bytes, arrival, options),
            Work::Zero { .. } | Work::Trim => {
                // A drive without a command for it is written to; in pieces, so that memory stays small.
                const PIECE: u64 = 1 << 20;
                let zeros = vec![0; PIECE.min(range.length()) as usize];
                let (mut at, mut now) = (range.start(), arrival);
                while at < range.end() {
                    let piece = ByteRange::between(at, (at + PIECE).min(range.end()));
                    match self.write(piece, &zeros[..piece.length() as usize], now, options) {
                        Served::At(done, Reply::Answer(answer)) if answer.troubles.is_empty() => now = done,
                        other => return other,
                    }
                    at = piece.end();
                }
                Served::At(now, Reply::done(Vec::new()))
            }
            // What was written is in memory: it is as durable as it gets.
            Work::Flush => Served::At(arrival, Reply::done(Vec::new())),
        }
    }

    fn read(
        &mut self,
        range: ByteRange,
        mut bytes: Vec<u8>,
        arrival: Nanos,
        access: Option<Access>,
        options: &SimOptions,
    ) -> Served {
        bytes.resize(range.length() as usize, 0);
        match access {
            None => self.read_bare(range, bytes, arrival, options),
            Some(access) => self.read_as(range, bytes, arrival, access, options),
        }
    }

    /// Reads as a system of this machine would, with its time-outs and resets.
    fn read_as(
        &mut self,
        range: ByteRange,
        mut bytes: Vec<u8>,
        arrival: Nanos,
        access: Access,
        options: &SimOptions,
    ) -> Served {
        let (outcome, done) = self.unit.read(range, arrival, Nanos::NEVER, Some(access));
        let reply = match outcome {
            Outcome::Gone => return gone(range, done, options),
            Outcome::OutOfTime => return Served::Never,
            Outcome::Read(reply) => reply,
        };
        let good = reply.good_bytes(bytes.len());
        if let Err(error) = self.unit.fill(range.start(), &mut bytes[..good]) {
            return Served::At(done, Reply::failed(range, Errno::EIO, words::content(&error)));
        }
        let troubles = reply.damage.map(|damage| Trouble {
            range: ByteRange::between(range.start() + good as u64, range.end()),
            at: damage.at,
            errno: damage.errno,
            text: damage.errno.text(),
        });
        Served::At(done, Reply::Answer(Answer { bytes, troubles: troubles.into_iter().collect() }))
    }

    /// Hands the drive its commands bare.
    fn read_bare(
        &mut self,
        range: ByteRange,
        mut bytes: Vec<u8>,
        arrival: Nanos,
        options: &SimOptions,
    ) -> Served {
        let shape = self.unit.system().disk().shape();
        let (logical, group) = (u64::from(shape.logical), shape.lbas_per_sector());
        let (mut at, mut now) = (range.start(), arrival);
        let mut troubles: Vec<Trouble> = Vec::new();
        while at < range.end() {
            let rest = ByteRange::between(at, range.end());
            let reply = self.unit.system_mut().read_bare(rest, now);
            if reply.done == Nanos::NEVER {
                return Served::Never;
            }
            now = reply.done;
            let (good, next, text) = match reply.answer {
                Word::Done => (rest, range.end(), None),
                Word::Silent => return Served::Never,
                Word::Gone => return gone(range, now, options),
                Word::Error { class, bad } => {
                    let place = Offset::new(bad * logical).max(at);
                    let next = match options.reads_on {
                        true => Offset::new((bad / group + 1) * group * logical).min(range.end()),
                        false => range.end(),
                    };
                    let attempts = self.unit.system().disk().drive().attempts.of(bad / group);
                    (ByteRange::between(at, place), next, Some(words::media(class, bad, attempts)))
                }
            };
            let from = (at - range.start()) as usize;
            let part = &mut bytes[from..from + good.length() as usize];
            if let Err(error) = self.unit.fill(at, part) {
                return Served::At(now, Reply::failed(range, Errno::EIO, words::content(&error)));
            }
            if let Some(text) = text {
                let lost = ByteRange::between(good.end(), next);
                match troubles.last_mut().filter(|last| last.range.end() == lost.start()) {
                    // One bad run is one trouble.
                    Some(last) => last.range = ByteRange::between(last.range.start(), lost.end()),
                    None => troubles.push(Trouble {
                        range: lost,
                        at: Some(lost.start()),
                        errno: Errno::EIO,
                        text,
                    }),
                }
            }
            at = next;
        }
        Served::At(now, Reply::Answer(Answer { bytes, troubles }))
    }

    fn write(&mut self, range: ByteRange, bytes: &[u8], arrival: Nanos, options: &SimOptions) -> Served {
        let (outcome, done) = match self.unit.write(range.start(), bytes, arrival) {
            Ok(ended) => ended,
            Err(error) => {
                let errno = error.errno().unwrap_or(Errno::EIO);
                return Served::At(arrival, Reply::failed(range, errno, error.to_string()));
            }
        };
        match outcome {
            Outcome::Gone => gone(range, done, options),
            Outcome::OutOfTime => Served::Never,
            Outcome::Read(reply) => {
                let good = reply.good_bytes(bytes.len()) as u64;
                let troubles = reply.damage.map(|damage| Trouble {
                    range: ByteRange::between(range.start() + good, range.end()),
                    at: Some(range.start() + good),
                    errno: damage.errno,
                    text: words::write_fault((range.start() + good).bytes() / self.logical()),
                });
                let troubles = troubles.into_iter().collect();
                Served::At(done, Reply::Answer(Answer { bytes: Vec::new(), troubles }))
            }
        }
    }

    fn logical(&self) -> u64 {
        u64::from(self.unit.system().disk().shape().logical)
    }
}

/// What clients see of a drive that is not there.
fn gone(range: ByteRange, now: Nanos, options: &SimOptions) -> Served {
    match options.when_gone {
        WhenGone::Eio => Served::At(now, Reply::failed(range, Errno::ENODEV, words::GONE)),
        WhenGone::Shutdown => Served::At(now, Reply::Shutdown(words::GONE.into())),
        WhenGone::Drop | WhenGone::Refuse => Served::At(now, Reply::Drop),
        WhenGone::Mute => Served::Never,
    }
}
