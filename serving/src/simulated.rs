//! A simulated disk behind the door.
//!
//! Owns the disk's place in real time, and the requests that it will not answer by itself. Must not know who asks, nor
//! damage. One lock guards it; nobody waits for anything while holding it.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use block::{ByteRange, Clock, Errno, Extent, Nanos, RangeSet, WallClock};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use simulator::disk::Power;
use simulator::lever::Lever;
use simulator::scenario::ScenarioError;
use simulator::{Access, Scenario};

use crate::access_log::{AccessLog, Asked, Entry, Pulled, Start, Verb};
use crate::device::{AttachError, Device, Facts, Health, Moment, Outlet, Reply, Request, Work};
use crate::order::Order;
use crate::pace::{Course, Idle, Pace};
use crate::timer::Timer;

pub(crate) mod core;
mod words;

use core::{Core, Served};

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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

/// A log of everything that is asked of a disk.
#[derive(Clone)]
pub struct Logging {
    /// The log.
    pub log: Arc<AccessLog>,
    /// What it calls the disk.
    pub disk: String,
    /// Where the scenario is found again: a name, or a file.
    pub scenario: String,
}

/// A simulated disk, served.
pub struct SimDevice {
    scenario: Scenario,
    seed: u64,
    options: SimOptions,
    clock: Arc<WallClock>,
    logging: Option<Logging>,
    state: Mutex<State>,
    timer: Timer,
    /// The disk as it was before the first request, for those who want to know.
    fresh: OnceLock<Option<Mutex<Core>>>,
}

struct State {
    core: Core,
    course: Course,
    /// Requests that are not answered until somebody does something about it.
    held: Vec<Held>,
    /// Whether requests wait, and those that do.
    is_paused: bool,
    waiting: Vec<(Request, u64, Arc<dyn Outlet>)>,
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
        scenario: Scenario,
        seed: u64,
        options: SimOptions,
        clock: Arc<WallClock>,
        logging: Option<Logging>,
    ) -> Result<SimDevice, ScenarioError> {
        let core = Core::new(scenario.unit(seed, options.access)?, seed, options);
        if let Some(Logging { log, disk, scenario: origin }) = &logging {
            log.write(&Entry::Start(Start {
                disk: disk.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                scenario: origin.clone(),
                digest: digest_of(&scenario),
                seed,
                access: options.access,
                reads_on: options.reads_on,
                when_gone: options.when_gone,
            }));
        }
        let course = Course::new(options.pace, options.idle, clock.now());
        let state =
            State { core, course, held: Vec::new(), is_paused: false, waiting: Vec::new(), clients: 0 };
        Ok(SimDevice {
            scenario,
            seed,
            options,
            logging,
            timer: Timer::new(clock.clone()),
            clock,
            state: Mutex::new(state),
            fresh: OnceLock::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a request of a disk that is locked already.
    fn serve(
        &self,
        state: &mut State,
        request: Request,
        ticket: u64,
        outlet: &Arc<dyn Outlet>,
    ) -> Option<(Nanos, Reply)> {
        let arrival = state.arrival(self.clock.now());
        let (range, client, access) = (request.range, request.client, request.access);
        let served = match &self.logging {
            None => state.core.serve(request, arrival),
            Some(logging) => {
                let work = verb(&request.work);
                let (served, said) = state.core.serve_told(request, arrival);
                logging.log.write(&Entry::Request(Asked {
                    disk: logging.disk.clone(),
                    client,
                    work,
                    offset: range.start().bytes(),
                    length: range.length(),
                    access,
                    at_ns: arrival.nanoseconds(),
                    said,
                }));
                served
            }
        };
        match served {
            Served::Never => {
                state.held.push(Held { ticket, range, outlet: outlet.clone() });
                None
            }
            Served::At(done, reply) => Some((state.course.due(done), reply)),
        }
    }

    /// Answers the requests that hang, each with an error; returns how many there were.
    fn release(&self, state: &mut State, text: &str) -> usize {
        let count = state.held.len();
        for held in state.held.drain(..) {
            let reply = Reply::failed(held.range, Errno::EIO, text);
            self.timer.add(Nanos::ZERO, held.outlet, held.ticket, reply);
        }
        count
    }

    fn resume(&self, state: &mut State) -> usize {
        state.is_paused = false;
        let waiting = std::mem::take(&mut state.waiting);
        let count = waiting.len();
        for (request, ticket, outlet) in waiting {
            if let Some((due, reply)) = self.serve(state, request, ticket, &outlet) {
                self.timer.add(due, outlet, ticket, reply);
            }
        }
        count
    }

    fn pull(&self, state: &mut State, lever: Lever) -> Result<Value, String> {
        let now = state.arrival(self.clock.now());
        let ready = state.core.apply(lever, now);
        if let Some(logging) = &self.logging {
            logging.log.write(&Entry::Lever(Pulled {
                disk: logging.disk.clone(),
                lever: Order::Pull(lever).to_string(),
                at_ns: now.nanoseconds(),
                ready_ns: ready.as_ref().ok().map(|ready| ready.nanoseconds()),
            }));
        }
        let ready = ready.map_err(|e| e.to_string())?;
        // What the drive was asked before is over.
        let aborted = match lever {
            Lever::Reset | Lever::PowerCycle => self.release(state, words::ABORTED),
            Lever::Vanish => self.release(state, words::GONE),
            Lever::KillHead(_) | Lever::Return => 0,
        };
        Ok(json!({ "ready_seconds": ready.nanoseconds() as f64 / 1e9, "aborted": aborted }))
    }

    fn tell_state(&self, state: &State) -> Value {
        let drive = state.core.unit.system().disk().drive();
        let power = match drive.power {
            Power::Ready => "ready",
            Power::SpinningUp(_) => "spinning-up",
            Power::Hung => "hung",
            Power::Stuck => "stuck",
            Power::Gone(_) => "gone",
            Power::Dead => "dead",
        };
        let health = &drive.health;
        json!({
            "scenario": self.scenario.name,
            "seed": self.seed,
            "power": power,
            "virtual_seconds": drive.busy_until.nanoseconds() as f64 / 1e9,
            "busy_seconds": health.busy.nanoseconds() as f64 / 1e9,
            "clients": state.clients,
            "paused": state.is_paused,
            "waiting": state.waiting.len(),
            "hanging": state.held.len(),
            "on_the_way": self.timer.len(),
            "commands": health.commands,
            "errors": health.errors,
            "pending": health.pending.len(),
            "reallocated": health.reallocated,
            "resets": health.resets,
            "power_cycles": health.power_cycles,
            "calibrations": health.calibrations,
            "temperature": health.temperature,
        })
    }

    /// What can be rescued at all, and what cannot be read now. The first takes a disk of its own, and no lock.
    fn tell_truth(&self) -> Result<Value, String> {
        let lost = self.scenario.lost(self.seed).map_err(|e| e.to_string())?;
        let (size, bad) = {
            let mut state = self.lock();
            let size = state.core.unit.size();
            let (mut bad, mut at) = (Vec::new(), block::Offset::ZERO);
            while at.bytes() < size {
                let rest = ByteRange::between(at, block::Offset::new(size));
                let told = state.core.health(rest);
                let Some((last, _)) = told.last() else { break };
                at = last.end();
                let is_bad = |health: &Health| health.0 & (Health::BAD | Health::HANG) != 0;
                bad.extend(told.into_iter().filter(|(_, health)| is_bad(health)).map(|(range, _)| range));
            }
            (size, bad.into_iter().collect::<RangeSet>())
        };
        let list = |set: &RangeSet| -> Vec<[u64; 2]> {
            set.ranges().iter().map(|range| [range.start().bytes(), range.length()]).collect()
        };
        Ok(json!({
            "size_bytes": size,
            "recoverable_bytes": size - lost.bytes(),
            "lost": list(&lost),
            "bad_now": list(&bad),
        }))
    }
}

/// What a log keeps of a scenario, to know it again.
pub(crate) fn digest_of(scenario: &Scenario) -> String {
    scenario.digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn verb(work: &Work) -> Verb {
    match work {
        Work::Read => Verb::Read,
        Work::Cache => Verb::Cache,
        Work::Write(_) => Verb::Write,
        Work::Zero { .. } => Verb::Zero,
        Work::Trim => Verb::Trim,
        Work::Flush => Verb::Flush,
    }
}

impl Device for SimDevice {
    fn facts(&self) -> Facts {
        let state = self.lock();
        let disk = state.core.unit.system().disk();
        let shape = disk.shape();
        let about = self.scenario.head.description.lines().next().unwrap_or_default();
        Facts {
            size: shape.bytes(),
            logical_sector: shape.logical,
            physical_sector: disk.drive().medium.told_sector(),
            rotates: disk.drive().medium.rotates(),
            is_writable: disk.is_writable(),
            has_health: self.options.tells_health,
            description: format!("{}, seed {}: {about}", self.scenario.name, self.seed),
        }
    }

    fn attach(&self) -> Result<(), AttachError> {
        let mut state = self.lock();
        let now = state.arrival(self.clock.now());
        if self.options.when_gone == WhenGone::Refuse && !state.core.unit.system_mut().is_there(now) {
            return Err(AttachError::Gone);
        }
        state.clients += 1;
        Ok(())
    }

    fn detach(&self, outlet: &Arc<dyn Outlet>) {
        let gone = {
            let mut state = self.lock();
            state.clients = state.clients.saturating_sub(1);
            let is_gone = |other: &Arc<dyn Outlet>| Arc::ptr_eq(other, outlet);
            let held: Vec<Held> = state.held.extract_if(.., |held| is_gone(&held.outlet)).collect();
            let waiting: Vec<_> = state.waiting.extract_if(.., |(_, _, outlet)| is_gone(outlet)).collect();
            (held, waiting)
        };
        // Whatever outlets do when they end, they do without the lock.
        drop(gone);
        self.timer.forget(outlet);
    }

    fn give_up(&self, outlet: &Arc<dyn Outlet>, patience: Nanos) -> Vec<u64> {
        let (held, waiting) = {
            let mut state = self.lock();
            let is_asked = |other: &Arc<dyn Outlet>| Arc::ptr_eq(other, outlet);
            let held: Vec<Held> = state.held.extract_if(.., |held| is_asked(&held.outlet)).collect();
            let waiting: Vec<_> = state.waiting.extract_if(.., |(_, _, outlet)| is_asked(outlet)).collect();
            (held, waiting)
        };
        let mut tickets: Vec<u64> = held.iter().map(|held| held.ticket).collect();
        tickets.extend(waiting.iter().map(|(_, ticket, _)| *ticket));
        tickets.extend(self.timer.take_after(outlet, self.clock.now() + patience));
        tickets
    }

    fn submit(&self, request: Request, ticket: u64, outlet: &Arc<dyn Outlet>) -> Option<Reply> {
        let mut state = self.lock();
        if state.is_paused {
            state.waiting.push((request, ticket, outlet.clone()));
            return None;
        }
        let (due, reply) = self.serve(&mut state, request, ticket, outlet)?;
        drop(state);
        if due == Nanos::ZERO || due <= self.clock.now() {
            return Some(reply);
        }
        self.timer.add(due, outlet.clone(), ticket, reply);
        None
    }

    fn extents(&self, range: ByteRange) -> Vec<Extent> {
        self.lock().core.unit.extents(range)
    }

    fn health(&self, range: ByteRange, moment: Moment) -> Option<Vec<(ByteRange, Health)>> {
        if !self.options.tells_health {
            return None;
        }
        match moment {
            Moment::Now => Some(self.lock().core.health(range)),
            Moment::Start => {
                let open = || {
                    let unit = self.scenario.unit(self.seed, self.options.access).ok()?;
                    Some(Mutex::new(Core::new(unit, self.seed, self.options)))
                };
                let fresh = self.fresh.get_or_init(open).as_ref()?;
                Some(fresh.lock().unwrap_or_else(PoisonError::into_inner).health(range))
            }
        }
    }

    fn obey(&self, order: Order) -> Result<Value, String> {
        if order == Order::Truth {
            return self.tell_truth();
        }
        let mut state = self.lock();
        match order {
            Order::Pause => {
                state.is_paused = true;
                Ok(json!({}))
            }
            Order::Resume => Ok(json!({ "resumed": self.resume(&mut state) })),
            Order::Release => Ok(json!({ "released": self.release(&mut state, words::RELEASED) })),
            Order::Pull(lever) => self.pull(&mut state, lever),
            Order::State | Order::Truth => Ok(self.tell_state(&state)),
        }
    }
}

impl State {
    /// The disk's time at which a request arrives now.
    fn arrival(&mut self, now: Nanos) -> Nanos {
        self.course.arrival(now, self.core.free_from())
    }
}

#[cfg(test)]
mod tests;
