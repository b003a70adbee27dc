//! A simulated drive: commands in, answers and times out.
//!
//! Owns the order in which medium, damage and faults act on a command, and the drive's state. Must not know how an
//! operating system shows it, nor strategies. Moves no clock: it is told when a command arrives and says when it is
//! done.

use std::collections::BTreeSet;
use std::ops::Range;

use block::Nanos;

use crate::attempts::Attempts;
use crate::dice::Dice;
use crate::fault::{Before, Fault, Opening};
use crate::law::{Conditions, ErrorClass, Health, LawDice, Trial};
use crate::media::{Lba, MediaModel, Row, Shape};
use crate::surface::Surface;

mod writing;

/// A read command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// First sector.
    pub at: Lba,
    /// Number of sectors; at least 1.
    pub count: u64,
}

impl Command {
    /// The sector behind the last.
    pub fn end(&self) -> Lba {
        self.at + self.count
    }
}

/// What a drive says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All sectors were read.
    Done,
    /// A sector could not be read.
    Error {
        /// What the drive calls it.
        class: ErrorClass,
        /// The sector that failed; those before it were read.
        bad: Lba,
    },
    /// Nothing, ever: the drive hangs until it is reset or powered off.
    Silent,
    /// The drive is not there.
    Gone,
}

/// An answer and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What.
    pub answer: Answer,
    /// When; [`Nanos::NEVER`] if never.
    pub done: Nanos,
    /// Sectors that were delivered as good with wrong bytes: the drive does not know.
    pub garbled: Option<Garbled>,
}

impl Reply {
    /// An answer with nothing wrong that the drive does not know.
    pub fn new(answer: Answer, done: Nanos) -> Reply {
        Reply { answer, done, garbled: None }
    }
}

/// Sectors delivered with wrong bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Garbled {
    /// Which.
    pub sectors: Range<Lba>,
    /// What they hold instead.
    pub filling: Filling,
}

/// What wrong bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filling {
    /// Zeros.
    Zeros,
    /// The bytes so many sectors before.
    Shifted(u64),
    /// Bytes that were never on this disk.
    Stale,
}

/// A command as it went, open to change by faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// When the drive began with it.
    pub began: Nanos,
    /// What it will be told.
    pub reply: Reply,
    /// Number of the law of the first sector that was not healthy, if one was met.
    pub law: Option<usize>,
    /// The sector that failed, if one did.
    pub failure: Option<Failure>,
    /// How long it was in contact with damage.
    pub contact: Nanos,
}

impl Served {
    /// Whether a sector failed.
    pub fn failed(&self) -> bool {
        matches!(self.reply.answer, Answer::Error { .. })
    }
}

/// A physical sector that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Number of the sector.
    pub sector: u64,
    /// Number of its law.
    pub law: usize,
    /// How long the drive tried; part of the time of the command.
    pub time: Nanos,
}

/// Whether a drive hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It does.
    Ready,
    /// It will from then on.
    SpinningUp(Nanos),
    /// It hangs; a reset may help.
    Hung,
    /// It hangs; only power helps.
    Stuck,
    /// It left the bus; comes back by itself then, or never.
    Gone(Nanos),
    /// It has died.
    Dead,
}

/// Everything about a drive that faults may look at and change.
pub struct Drive {
    /// Its healthy self.
    pub medium: Box<dyn MediaModel>,
    /// Its damage.
    pub surface: Surface,
    /// Whether it hears.
    pub power: Power,
    /// What laws need to know.
    pub conditions: Conditions,
    /// How often each physical sector was tried, as far as that matters.
    pub attempts: Attempts,
    /// Dice of the laws.
    pub dice: LawDice,
    /// Dice of what writing does.
    writing: Dice,
    /// What SMART would tell, and more.
    pub health: HealthLog,
    /// When the last command ended.
    pub busy_until: Nanos,
    /// When each of the commands that the drive works on side by side ended.
    lanes: Vec<Nanos>,
}

/// Counters of a drive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthLog {
    /// Commands served.
    pub commands: u64,
    /// Commands that ended at a sector that failed.
    pub errors: u64,
    /// Physical sectors that failed and were not written since (SMART 197).
    pub pending: BTreeSet<u64>,
    /// Physical sectors that could not be read, and were written since: they hold what was written.
    pub renewed: BTreeSet<u64>,
    /// Physical sectors replaced by spare ones (SMART 5).
    pub reallocated: u64,
    /// Resets.
    pub resets: u64,
    /// Power cycles (SMART 12).
    pub power_cycles: u64,
    /// Time spent serving.
    pub busy: Nanos,
    /// Temperature in degrees Celsius (SMART 194), where it is simulated.
    pub temperature: Option<i16>,
    /// How often the arm was taken back to find its way anew: audible, and bad for heads.
    pub calibrations: u64,
}

/// Commands as they were served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// The first command.
    pub command: Command,
    /// How many were served, each right behind the one before; more than one only if all went well.
    pub count: u64,
    /// When the first one arrived.
    pub arrival: Nanos,
    /// What the last one was told.
    pub reply: Reply,
}

/// A simulated drive.
pub struct SimDisk {
    drive: Drive,
    faults: Vec<Box<dyn Fault>>,
    horizon: Nanos,
    log: Option<Vec<Logged>>,
    /// Whether writes reach the drive.
    is_writable: bool,
}

impl SimDisk {
    /// Makes a drive and lays its damage.
    pub fn new(
        medium: Box<dyn MediaModel>,
        mut faults: Vec<Box<dyn Fault>>,
        seed: u64,
        conditions: Conditions,
        horizon: Nanos,
    ) -> SimDisk {
        let (mut laws, mut stretches, mut health) = (Vec::new(), Vec::new(), HealthLog::default());
        for (number, fault) in faults.iter_mut().enumerate() {
            let (laws, stretches, health) = (&mut laws, &mut stretches, &mut health);
            fault.lay(&mut Opening { medium: &*medium, seed, number, laws, stretches, health });
        }
        let conditions = Conditions { turn: medium.turn(), ..conditions };
        let queue_depth = medium.queue_depth();
        let drive = Drive {
            surface: Surface::new(laws, stretches),
            medium,
            power: Power::Ready,
            conditions,
            attempts: Attempts::default(),
            dice: LawDice::new(seed),
            writing: Dice::new(seed, "writing"),
            health,
            busy_until: Nanos::ZERO,
            lanes: vec![Nanos::ZERO; queue_depth.max(1)],
        };
        SimDisk { drive, faults, horizon, log: None, is_writable: false }
    }

    /// From now on remembers every command: memory grows with the rescue.
    pub fn keep_log(&mut self) {
        self.log = Some(Vec::new());
    }

    /// The commands served since [`SimDisk::keep_log`], in their order.
    pub fn log(&self) -> &[Logged] {
        self.log.as_deref().unwrap_or_default()
    }

    /// Whether something on this disk depends on the order of reads.
    pub fn has_hazards(&self) -> bool {
        self.faults.iter().any(|fault| fault.is_hazard())
    }

    /// Sizes and counts.
    pub fn shape(&self) -> Shape {
        self.drive.medium.shape()
    }

    /// The drive as it is now.
    pub fn drive(&self) -> &Drive {
        &self.drive
    }

    /// The drive as it is now, to be tried out: what is drawn for it is what a rescue would meet.
    pub(crate) fn drive_mut(&mut self) -> &mut Drive {
        &mut self.drive
    }

    /// When the drive can begin with a command that is waiting for it.
    pub fn free_from(&self) -> Nanos {
        self.drive.free_lane().1
    }

    /// The drive and what is wrong with it, for those who look at a disk without reading it.
    pub(crate) fn parts(&mut self) -> (&mut Drive, &mut [Box<dyn Fault>]) {
        (&mut self.drive, &mut self.faults)
    }

    /// When the simulation ends: from then on no command is answered.
    pub fn horizon(&self) -> Nanos {
        self.horizon
    }

    /// Lets the simulation go on for ever: nobody who serves a disk knows how long it will be wanted.
    pub fn never_end(&mut self) {
        self.horizon = Nanos::NEVER;
    }

    /// Serves a command that arrives at `arrival`. Commands are begun in the order in which they are handed in, and as
    /// many side by side as the medium can; see [`MediaModel::queue_depth`].
    pub fn serve(&mut self, command: &Command, arrival: Nanos) -> Reply {
        let reply = self.answer(command, arrival);
        if let Some(log) = &mut self.log {
            log.push(Logged { command: *command, count: 1, arrival, reply: reply.clone() });
        }
        reply
    }

    fn answer(&mut self, command: &Command, arrival: Nanos) -> Reply {
        self.carry_out(command, arrival, Drive::serve)
    }

    /// Carries out a command: lets the faults have their say before and after the drive.
    fn carry_out(
        &mut self,
        command: &Command,
        arrival: Nanos,
        work: fn(&mut Drive, &Command, Nanos) -> Served,
    ) -> Reply {
        debug_assert!(command.count > 0 && command.end() <= self.shape().sectors);
        let (lane, free) = self.drive.free_lane();
        let mut start = arrival.max(free);
        if start >= self.horizon {
            return Reply::new(Answer::Silent, Nanos::NEVER);
        }
        match self.ready_from(start) {
            Ok(ready) => start = ready,
            Err(reply) => return reply,
        }
        for fault in &mut self.faults {
            match fault.before(command, start, &mut self.drive) {
                Before::Go => {}
                Before::Wait(time) => start += time,
                Before::Answer(reply) => {
                    self.end(lane, start, &reply);
                    return reply;
                }
            }
        }
        let mut served = work(&mut self.drive, command, start);
        for fault in &mut self.faults {
            fault.after(command, &mut served, &mut self.drive);
        }
        self.end(lane, start, &served.reply);
        served.reply
    }

    /// Serves healthy reads in a row, each arriving when the one before is done, and says how many and when the last was
    /// done; exactly as [`SimDisk::serve`] would. `None` if the first one is not certain to be served untroubled.
    pub fn serve_row(&mut self, row: &Row, arrival: Nanos) -> Option<(u64, Nanos)> {
        if self.drive.lanes.len() > 1 && arrival < self.drive.busy_until {
            // They would be begun beside commands that are still being served.
            return None;
        }
        let start = arrival.max(self.drive.busy_until);
        let quiet = self.faults.iter().map(|fault| fault.quiet_until(start, &self.drive)).min();
        let until = row.until.min(quiet.unwrap_or(Nanos::NEVER)).min(self.horizon);
        if self.drive.power != Power::Ready || start >= until {
            return None;
        }
        let damage = self.drive.surface.next_damage(row.at);
        let count = row.count.min(damage.saturating_sub(row.at) / row.unit);
        if count == 0 {
            return None;
        }
        let (made, done) = self.drive.medium.read_row(Row { count, until, ..*row }, start, damage);
        let command = Command { at: row.at, count: made * row.unit };
        for fault in &mut self.faults {
            fault.streamed(&command, start, done, &mut self.drive);
        }
        if let Some(log) = &mut self.log {
            let first = Command { at: row.at, count: row.unit };
            log.push(Logged { command: first, count: made, arrival, reply: Reply::new(Answer::Done, done) });
        }
        self.drive.all_busy_until(done);
        self.drive.health.commands += made;
        self.drive.health.busy += done.since(start);
        Some((made, done))
    }

    /// Whether the drive is on the bus at `now`.
    pub fn is_there(&mut self, now: Nanos) -> bool {
        !matches!(self.ready_from(now), Err(Reply { answer: Answer::Gone, .. }))
    }

    /// When a drive that is not there will come back by itself: at once if it is there, [`Nanos::NEVER`] if it will not.
    pub fn comes_back(&self, now: Nanos) -> Nanos {
        match self.drive.power {
            Power::Gone(back) => back.max(now),
            Power::Dead => Nanos::NEVER,
            _ => now,
        }
    }

    /// Resets the drive at `now`, without taking its power; returns when it is ready, or [`Nanos::NEVER`] if it does not
    /// hear. `hears` is a draw that decides whether a hung drive does.
    pub fn reset(&mut self, now: Nanos, hears: u64) -> Nanos {
        self.drive.health.resets += 1;
        // Idle drives take some tenths of a second, those in error recovery seconds.
        let cost = if self.drive.busy_until > now { Nanos::from_secs(3) } else { Nanos::from_millis(500) };
        match self.drive.power {
            Power::Hung if !crate::dice::Chance::of(0.8).hits(hears) => {
                self.drive.power = Power::Stuck;
                Nanos::NEVER
            }
            Power::Stuck | Power::Dead | Power::Gone(_) => Nanos::NEVER,
            Power::Ready | Power::SpinningUp(_) | Power::Hung => {
                self.drive.power = Power::Ready;
                // Whatever it was doing is over.
                self.drive.medium.stopped_at(0);
                self.drive.all_busy_until(now + cost);
                now + cost
            }
        }
    }

    /// Takes the power for five seconds at `now`; returns when the drive is ready, or [`Nanos::NEVER`] if it has died.
    pub fn power_cycle(&mut self, now: Nanos) -> Nanos {
        if self.drive.power == Power::Dead {
            return Nanos::NEVER;
        }
        let identified = Nanos::from_secs(1);
        let ready = now + Nanos::from_secs(5) + self.drive.medium.spin_up() + identified;
        self.drive.health.power_cycles += 1;
        self.drive.conditions.starts += 1;
        self.drive.medium.power_cycled();
        self.drive.power = Power::SpinningUp(ready);
        self.drive.all_busy_until(now);
        for fault in &mut self.faults {
            fault.power_cycled(now, &mut self.drive);
        }
        match self.drive.power {
            Power::SpinningUp(ready) => ready,
            // It did not come back.
            _ => Nanos::NEVER,
        }
    }

    fn ready_from(&mut self, now: Nanos) -> Result<Nanos, Reply> {
        match self.drive.power {
            Power::Ready => Ok(now),
            Power::SpinningUp(ready) => {
                self.drive.power = Power::Ready;
                Ok(now.max(ready))
            }
            Power::Hung | Power::Stuck => Err(Reply::new(Answer::Silent, Nanos::NEVER)),
            Power::Gone(back) if back <= now => {
                self.drive.power = Power::Ready;
                self.drive.medium.power_cycled();
                Ok(now)
            }
            Power::Gone(_) | Power::Dead => Err(Reply::new(Answer::Gone, now)),
        }
    }

    fn end(&mut self, lane: usize, start: Nanos, reply: &Reply) {
        self.drive.health.commands += 1;
        self.drive.health.errors += u64::from(matches!(reply.answer, Answer::Error { .. }));
        if reply.done != Nanos::NEVER {
            self.drive.lanes[lane] = reply.done;
            self.drive.busy_until = self.drive.busy_until.max(reply.done);
            self.drive.health.busy += reply.done.since(start);
        }
    }
}

impl Drive {
    /// The lane that is free first, and when.
    fn free_lane(&self) -> (usize, Nanos) {
        let lanes = self.lanes.iter().copied().enumerate();
        lanes.min_by_key(|(_, free)| *free).unwrap_or((0, self.busy_until))
    }

    fn all_busy_until(&mut self, time: Nanos) {
        self.busy_until = time;
        self.lanes.fill(time);
    }

    /// Reads with the medium and the damage on it.
    pub(crate) fn serve(&mut self, command: &Command, start: Nanos) -> Served {
        let damage = self.surface.next_damage(command.at);
        if damage >= command.end() {
            let done = self.medium.read(command.at, command.count, start, damage);
            let reply = Reply::new(Answer::Done, done);
            return Served { began: start, reply, law: None, failure: None, contact: Nanos::ZERO };
        }
        let walk = self.walk(command);
        let group = self.medium.shape().lbas_per_sector();
        let bad = walk.failed.map(|failure| (failure.sector * group).max(command.at));
        let good = bad.unwrap_or(command.end()) - command.at;
        let behind = self.surface.next_damage(command.end());
        let at_once = walk.healthy == 0 && walk.failed.is_none() && walk.without_medium;
        let read = match at_once {
            // Zeros that the drive knows of: nothing moves.
            true => start,
            false => self.medium.read(command.at, good, start, behind),
        };
        let mut done = read + walk.delay;
        let answer = match walk.failed.zip(bad) {
            None => Answer::Done,
            Some((failure, bad)) => {
                done += failure.time;
                self.medium.stopped_at(bad);
                self.health.pending.insert(failure.sector);
                Answer::Error { class: self.surface.law(failure.law).class, bad }
            }
        };
        if walk.failed.is_none() && walk.delay > Nanos::ZERO && !at_once {
            self.medium.held_up(walk.delay);
        }
        let reply = Reply::new(answer, done);
        let contact = if at_once { Nanos::ZERO } else { done.since(start) };
        Served { began: start, reply, law: walk.first_law, failure: walk.failed, contact }
    }

    /// Tries the damaged sectors of a command, up to the first that fails.
    fn walk(&mut self, command: &Command) -> Walk {
        let shape = self.medium.shape();
        let group = shape.lbas_per_sector();
        let mut walk = Walk::default();
        let mut covered = 0;
        // What passes side by side: the longest holds all up.
        let mut longest = Nanos::ZERO;
        for index in 0.. {
            let Some(stretch) = self.surface.overlapping(command.at..command.end()).get(index).cloned()
            else {
                break;
            };
            let from = stretch.sectors.start.max(command.at);
            let to = stretch.sectors.end.min(command.end());
            covered += to - from;
            let law = self.surface.law(stretch.law);
            walk.first_law.get_or_insert(stretch.law);
            if let Health::Zeros { time } = law.health {
                walk.delay = walk.delay.max(time);
                continue;
            }
            walk.without_medium = false;
            let sectors = from / group..to.div_ceil(group);
            let mut tried = sectors.start;
            for sector in sectors.clone() {
                tried = sector + 1;
                let attempt = self.attempts.of(sector);
                match law.attempt(sector, attempt, &mut self.dice, &self.conditions) {
                    Trial::Good(more) if law.is_side_by_side() => longest = longest.max(more),
                    Trial::Good(more) => walk.delay += more,
                    Trial::Failed(time) => {
                        walk.failed = Some(Failure { sector, law: stretch.law, time });
                        break;
                    }
                }
            }
            self.attempts.add(sectors.start..tried);
            if walk.failed.is_some() {
                break;
            }
        }
        walk.delay += longest;
        walk.healthy = command.count - covered.min(command.count);
        walk
    }
}

/// What the damaged sectors of a command led to.
#[derive(Debug)]
struct Walk {
    /// Time that attempts took beyond a healthy read.
    delay: Nanos,
    /// The first sector that failed.
    failed: Option<Failure>,
    first_law: Option<usize>,
    /// Sectors that no law covers, as far as the command got.
    healthy: u64,
    /// Whether the drive answered all damaged sectors from its tables.
    without_medium: bool,
}

impl Default for Walk {
    fn default() -> Walk {
        Walk { delay: Nanos::ZERO, failed: None, first_law: None, healthy: 0, without_medium: true }
    }
}
