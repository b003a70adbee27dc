//! An export of a server as a source.
//!
//! Owns what of a server's answers is believed, when a connection is made anew, and by what an export is known again. Must
//! not know what a rescue does with the bytes.
//!
//! Never sends anything that could write. Bytes are good only if a content chunk carried them; a server that does not
//! keep to the protocol is hung up on. A connection that is lost says nothing about the medium: what was in flight fails with
//! an error, never with damage.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use block::{
    Abilities, BlockSource, Buffer, ByteRange, Clock, Completion, Damage, Errno, Extent, ExtentKind,
    Geometry, Good, Nanos, Offset, Patience, ReadQueue, ReadReply, ReadRequest, Recovery, SourceError,
    Ticket, WallClock, buffer,
};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

mod connection;
mod evidence;
mod holes;
pub mod negotiate;
pub mod replies;
mod stream;
pub mod uri;
mod witness;

pub use negotiate::{Blocks, Export, NegotiateError};
pub use replies::Violation;
pub use uri::{Address, Uri, UriError};

use connection::{Connection, Delivery};
use replies::{Answer, Descriptor, Job, Open, ReadAnswer};
use witness::Witness;

/// Reads in flight where order does not matter.
const IN_FLIGHT: usize = 32;
/// Bytes of a read ahead: with as many in flight, enough for any way to the server, and little to throw away at damage.
const PIECE: usize = 256 << 10;
/// The same for a disk that rotates, of which few are in flight.
const PIECE_ROTATING: usize = 1 << 20;
/// So many reads may be left behind on one connection, below what any server takes in flight.
const LEFT_MAX: usize = 48;
/// The wait for a server that answers nothing doubles each time, up to this.
const MUTE_MAX: Nanos = Nanos::from_secs(320);
/// How long a block that an export is known again by may take.
const WITNESS_MAX: Nanos = Nanos::from_secs(10);
/// How long a question about holes may take.
const STATUS_MAX: Nanos = Nanos::from_secs(5);
/// Bytes of one question about holes.
const STATUS_BYTES: u64 = 1 << 30;
/// Most questions about holes at once; what they do not tell is data.
const STATUSES: usize = 64;

/// How an export is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NbdOptions {
    /// Error numbers to be taken for damage even though they say that the request is refused.
    pub damage_errnos: Vec<Errno>,
    /// How long a server that answers nothing while a read is left behind is waited for, before it is connected to anew.
    pub mute: Nanos,
}

impl Default for NbdOptions {
    fn default() -> NbdOptions {
        NbdOptions { damage_errnos: Vec::new(), mute: Nanos::from_secs(10) }
    }
}

/// An export, opened for reading only.
pub struct NbdSource {
    uri: Uri,
    options: NbdOptions,
    clock: WallClock,
    /// The export as it was opened first.
    export: Export,
    connection: Option<Connection>,
    /// Why there is none.
    cause: String,
    deliveries: Receiver<Delivery>,
    to_us: Sender<Delivery>,
    /// Number of the last connection, and name of the last read.
    connections: u64,
    tickets: u64,
    /// Reads that others made and that are not answered.
    lent: BTreeMap<Ticket, Range<u64>>,
    /// Those of them that nobody waits for.
    left: BTreeSet<Ticket>,
    /// Answers that came while another one was waited for.
    ready: VecDeque<Completion>,
    /// Reads of our own: `None` until they are answered. `Err`: the connection was lost.
    own: BTreeMap<Ticket, Option<Result<ReadAnswer, ()>>>,
    statuses: BTreeMap<u64, Option<Result<Vec<Descriptor>, u32>>>,
    doubt: Option<Doubt>,
    mute: Nanos,
    witness: Witness,
    knows_holes: bool,
}

/// Whether the server answers others while it does not answer what was left behind.
struct Doubt {
    /// A small read that tells, of which only the answer is wanted.
    probe: Ticket,
    /// When the connection is made anew.
    until: Nanos,
}

impl NbdSource {
    /// Connects, and opens the export.
    pub fn open(uri: Uri, options: NbdOptions) -> Result<NbdSource, SourceError> {
        let clock = WallClock::new();
        let (to_us, deliveries) = unbounded();
        let connection = Connection::open(&uri, 1, &clock, to_us.clone())
            .map_err(|e| SourceError::Unreachable { device: device_of(&uri), cause: e.to_string() })?;
        let export = connection.export.clone();
        let knows_holes = export.allocation.is_some();
        Ok(NbdSource {
            uri,
            mute: options.mute,
            options,
            clock,
            export,
            connection: Some(connection),
            cause: String::new(),
            deliveries,
            to_us,
            connections: 1,
            tickets: 0,
            lent: BTreeMap::new(),
            left: BTreeSet::new(),
            ready: VecDeque::new(),
            own: BTreeMap::new(),
            statuses: BTreeMap::new(),
            doubt: None,
            witness: Witness::default(),
            knows_holes,
        })
    }

    /// What was opened, and what was agreed on.
    pub fn export(&self) -> &Export {
        &self.export
    }

    /// Its name.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    fn device(&self) -> PathBuf {
        device_of(&self.uri)
    }

    fn disconnected(&self, at: u64) -> SourceError {
        let cause = self.cause.clone();
        SourceError::Disconnected { device: self.device(), at: Offset::new(at), cause }
    }

    /// How much of `length` bytes at `at` there is.
    fn available(&self, at: Offset, length: usize) -> usize {
        let left = self.export.size.saturating_sub(at.bytes());
        usize::try_from(left).unwrap_or(usize::MAX).min(length)
    }

    fn new_ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Sends a read; `Err` with its buffer if there is no connection.
    fn send(&mut self, ticket: Ticket, at: u64, length: usize, buffer: Buffer) -> Result<(), Buffer> {
        match &mut self.connection {
            Some(connection) => connection.read(ticket, at, length, buffer).map_err(|job| job.buffer),
            None => Err(buffer),
        }
    }

    /// Makes a read of our own.
    fn send_own(&mut self, at: u64, length: usize) -> Option<Ticket> {
        let ticket = self.new_ticket();
        self.send(ticket, at, length, buffer::zeroed(length)).ok()?;
        self.own.insert(ticket, None);
        Some(ticket)
    }

    /// The answer to a read of our own; `None` if it has not come after `wait`.
    fn await_own(&mut self, ticket: Ticket, wait: Nanos) -> Option<Result<ReadAnswer, ()>> {
        let until = self.clock.now() + wait;
        loop {
            if let Some(Some(_)) = self.own.get(&ticket) {
                return self.own.remove(&ticket).flatten();
            }
            if !self.receive(until.since(self.clock.now())) {
                self.own.remove(&ticket);
                return None;
            }
        }
    }

    /// Takes one delivery; `false` if none has come after `wait`.
    fn receive(&mut self, wait: Nanos) -> bool {
        let wait = Duration::from_nanos(wait.nanoseconds());
        match self.deliveries.recv_timeout(wait) {
            Ok(delivery) => self.take(delivery),
            // We hold a sender ourselves, so that it cannot be closed.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
        }
        true
    }

    fn take(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Answer(Answer::Status { cookie, result }) => {
                if let Some(status) = self.statuses.get_mut(&cookie) {
                    *status = Some(result);
                }
            }
            Delivery::Answer(Answer::Read(answer)) => self.take_read(answer),
            Delivery::Ended { number, open, cause } => {
                if self.connections == number {
                    self.connection = None;
                    if self.cause.is_empty() {
                        self.cause = cause.to_string();
                    }
                }
                for open in open {
                    match open {
                        Open::Read(job) => self.lose(job),
                        Open::Status { cookie, .. } => {
                            self.statuses.remove(&cookie);
                        }
                    }
                }
            }
        }
    }

    fn take_read(&mut self, answer: ReadAnswer) {
        let ReadAnswer { ticket, at, is_shutdown, .. } = answer;
        if is_shutdown {
            // It will close; what else it is asked until then would only be turned away, too.
            if let Some(connection) = &self.connection {
                connection.hang_up();
            }
            self.cause = "the server is shutting down".into();
        }
        if self.doubt.as_ref().is_some_and(|doubt| doubt.probe == ticket) {
            self.doubt = None;
            self.mute = self.options.mute;
            return;
        }
        if let Some(own) = self.own.get_mut(&ticket) {
            *own = Some(if is_shutdown { Err(()) } else { Ok(answer) });
            return;
        }
        if self.lent.remove(&ticket).is_none() {
            return;
        }
        self.left.remove(&ticket);
        let (buffer, result) = match is_shutdown {
            true => (answer.buffer, Err(self.disconnected(at))),
            false => self.judge(answer),
        };
        self.ready.push_back(Completion { ticket, buffer, result });
    }

    /// A read that is never answered.
    fn lose(&mut self, job: Job) {
        let Job { ticket, at, buffer, .. } = job;
        if self.doubt.as_ref().is_some_and(|doubt| doubt.probe == ticket) {
            self.doubt = None;
        } else if let Some(own) = self.own.get_mut(&ticket) {
            *own = Some(Err(()));
        } else if self.lent.remove(&ticket).is_some() {
            self.left.remove(&ticket);
            let result = Err(self.disconnected(at));
            self.ready.push_back(Completion { ticket, buffer, result });
        }
    }

    /// What an answer says about the medium.
    fn judge(&mut self, answer: ReadAnswer) -> (Buffer, Result<ReadReply, SourceError>) {
        let ReadAnswer { at, length, buffer, good, error, .. } = answer;
        for piece in &good {
            self.witness.note(at + piece.start as u64, &buffer[piece.clone()], self.export.blocks.min.into());
        }
        let Some((number, place)) = error else { return (buffer, Ok(ReadReply::all())) };
        let errno = errno_of(number);
        let is_damage = self.options.damage_errnos.contains(&errno);
        if good.is_empty() && errno.is_refusal() && !is_damage {
            return (buffer, Err(SourceError::Refused { device: self.device(), at: Offset::new(at), errno }));
        }
        let damage = Damage { errno, at: place.map(Offset::new) };
        let reply = ReadReply::of_pieces(good, length, damage);
        // An error past what was wanted is somebody else's.
        let reply = if reply.good == Good::Prefix(length) { ReadReply::all() } else { reply };
        (buffer, Ok(reply))
    }

    // Connections.

    /// Connects anew, and makes sure that it is the same export. What was in flight fails.
    fn reconnect(&mut self) -> Result<(), SourceError> {
        if let Some(connection) = &self.connection {
            connection.hang_up();
        }
        // The thread gives back what is open.
        while self.connection.is_some() {
            self.receive(Nanos::NEVER);
        }
        self.doubt = None;
        self.cause = "it could not be connected to again".into();
        self.connections += 1;
        let opened = Connection::open(&self.uri, self.connections, &self.clock, self.to_us.clone());
        let connection = opened.map_err(|e| self.unreachable(e.to_string()))?;
        if let Some(difference) = difference(&self.export, &connection.export) {
            return Err(SourceError::Another { device: self.device(), difference });
        }
        self.knows_holes = connection.export.allocation.is_some();
        self.connection = Some(connection);
        self.cause.clear();
        let checked = self.check_witness();
        if checked.is_err() {
            self.connection = None;
            self.cause = "it was connected to again, but not gone on with".into();
        }
        checked
    }

    fn unreachable(&self, cause: String) -> SourceError {
        SourceError::Unreachable { device: self.device(), cause }
    }

    /// Reads again what was read before.
    fn check_witness(&mut self) -> Result<(), SourceError> {
        let blocks = self.witness.blocks().to_vec();
        if blocks.is_empty() {
            return self.check_answer();
        }
        let mut is_known = false;
        for (at, expected) in blocks {
            let ticket = self.send_own(at, expected.len());
            let answer = ticket.and_then(|ticket| self.await_own(ticket, WITNESS_MAX));
            let Some(Ok(answer)) = answer else {
                return Err(self.unreachable(format!("it does not answer at {}", Offset::new(at))));
            };
            let is_whole = answer.good.iter().map(ExactSizeIterator::len).sum::<usize>() == expected.len();
            if is_whole && answer.buffer[..expected.len()] != expected[..] {
                let difference = format!("it holds something else at {}", Offset::new(at));
                return Err(SourceError::Another { device: self.device(), difference });
            }
            is_known |= is_whole;
        }
        match is_known {
            true => Ok(()),
            false => {
                Err(self.unreachable("it answers, but what could be read cannot be read any more".into()))
            }
        }
    }

    /// Makes sure that reads are answered at all, be it with an error. Who lets everybody in and answers nobody is not back.
    fn check_answer(&mut self) -> Result<(), SourceError> {
        let block = u64::from(self.export.blocks.min);
        // As far as can be from where a rescue begins.
        let at = self.export.size.saturating_sub(1) / block * block;
        let length = self.available(Offset::new(at), block as usize);
        let ticket = self.send_own(at, length);
        match ticket.and_then(|ticket| self.await_own(ticket, WITNESS_MAX)) {
            Some(Ok(_)) => Ok(()),
            Some(Err(())) => Err(self.unreachable(self.cause.clone())),
            None => Err(self.unreachable(format!("it does not answer at {}", Offset::new(at)))),
        }
    }

    // Reads that nobody waits for.

    /// Whether what was left behind may keep the server from answering others.
    fn is_in_doubt(&self) -> bool {
        self.doubt.is_some() && !self.left.is_empty()
    }

    /// Asks for something small that is none of what is not answered.
    fn begin_doubt(&mut self) {
        if self.doubt.is_some() {
            return;
        }
        let block = u64::from(self.export.blocks.min);
        let last = self.export.size.saturating_sub(1) / block * block;
        let known = self.witness.blocks().iter().rev().map(|(at, _)| *at);
        let is_avoided = |at: u64| {
            let ranges = self.left.iter().filter_map(|ticket| self.lent.get(ticket));
            ranges.clone().any(|range| range.start < at + block && at < range.end)
        };
        let at = known.chain([0, last]).find(|at| !is_avoided(*at)).unwrap_or(last);
        let length = self.available(Offset::new(at), block as usize);
        let probe = self.new_ticket();
        // Without a connection nothing keeps anybody waiting.
        if self.send(probe, at, length, buffer::zeroed(length)).is_ok() {
            self.doubt = Some(Doubt { probe, until: self.clock.now() + self.mute });
        }
    }

    /// Waits for a delivery. A server that answers nothing is connected to anew, now and then: many forget thereby what
    /// they hang in.
    fn wait(&mut self, wait: Nanos) -> bool {
        let Some(doubt) = self.doubt.as_ref().filter(|_| self.is_in_doubt()) else {
            return self.receive(wait);
        };
        let left = doubt.until.since(self.clock.now());
        if left > wait {
            return self.receive(wait);
        }
        if self.receive(left) {
            return true;
        }
        self.mute = Nanos::new(self.mute.nanoseconds() * 2).min(MUTE_MAX);
        // If that fails, whoever reads next is told.
        let _ = self.reconnect();
        true
    }

    // Holes.

    fn status(&mut self, range: Range<u64>) -> Option<Vec<Descriptor>> {
        if !self.knows_holes {
            return None;
        }
        let cookie = self.connection.as_mut()?.status(range)?;
        self.statuses.insert(cookie, None);
        let until = self.clock.now() + STATUS_MAX;
        loop {
            match self.statuses.get(&cookie) {
                // The connection is lost.
                None => return None,
                Some(Some(_)) => return self.statuses.remove(&cookie).flatten()?.ok(),
                Some(None) => {}
            }
            if !self.receive(until.since(self.clock.now())) {
                // A server that takes so long for it is not asked again.
                self.knows_holes = false;
                self.statuses.remove(&cookie);
                return None;
            }
        }
    }
}

impl BlockSource for NbdSource {
    fn geometry(&self) -> Geometry {
        let sector = self.export.blocks.min.max(512);
        Geometry { size: Some(self.export.size), logical_sector: sector, physical_sector: sector }
    }

    fn abilities(&self) -> Abilities {
        let rotates = self.export.rotates();
        let piece = if rotates { PIECE_ROTATING } else { PIECE };
        let most = 1 << self.export.blocks.max.ilog2();
        Abilities {
            rotates,
            keeps_good: true,
            in_flight_max: if rotates { 2 } else { IN_FLIGHT },
            piece_bytes: piece.min(most),
        }
    }

    fn read_at(
        &mut self,
        at: Offset,
        buffer: &mut [u8],
        patience: Patience,
    ) -> Result<ReadReply, SourceError> {
        while self.is_in_doubt() {
            self.wait(Nanos::NEVER);
        }
        let length = self.available(at, buffer.len());
        if length == 0 && !buffer.is_empty() {
            return Ok(ReadReply { good: Good::Prefix(0), damage: None });
        }
        let Some(ticket) = self.send_own(at.bytes(), length) else {
            return Err(self.disconnected(at.bytes()));
        };
        let wait = match patience {
            Patience::Endless => Nanos::NEVER,
            Patience::UpTo(limit) => limit,
        };
        let answer = match self.await_own(ticket, wait) {
            Some(Ok(answer)) => answer,
            Some(Err(())) => return Err(self.disconnected(at.bytes())),
            None => {
                self.lent.insert(ticket, at.bytes()..at.bytes() + length as u64);
                self.leave_behind(ticket);
                // Its answer, when it comes, is nobody's.
                return Ok(ReadReply::failed(Damage::new(Errno::ETIMEDOUT)));
            }
        };
        let (bytes, result) = self.judge(answer);
        let reply = result?;
        for piece in reply.pieces(length) {
            buffer[piece.clone()].copy_from_slice(&bytes[piece]);
        }
        Ok(shortened(reply, length, buffer.len()))
    }

    fn recover(&mut self, measure: Recovery) -> Result<(), SourceError> {
        match measure {
            // It has one name only.
            Recovery::Reopen | Recovery::Rediscover => self.reconnect(),
            Recovery::SoftReset | Recovery::HardReset | Recovery::PowerCycle => {
                Err(SourceError::Unsupported { device: self.device(), what: measure.words() })
            }
        }
    }

    fn presence(&mut self) -> Result<(), SourceError> {
        while self.receive(Nanos::ZERO) {}
        match self.connection {
            Some(_) => Ok(()),
            None => Err(self.disconnected(0)),
        }
    }

    fn extents(&mut self, range: ByteRange) -> Vec<Extent> {
        let min = u64::from(self.export.blocks.min);
        let end = range.end().bytes().min(self.export.size);
        let mut extents = Vec::new();
        // Questions begin and end as requests do.
        let first = range.start().align_down(min).bytes();
        let mut at = first;
        for _ in 0..STATUSES {
            if at >= end || !at.is_multiple_of(min) {
                break;
            }
            let to = end.next_multiple_of(min).min(at + STATUS_BYTES).min(self.export.size);
            let Some(descriptors) = self.status(at..to) else { break };
            at = holes::extend(&mut extents, at, end, &descriptors);
        }
        holes::push(&mut extents, ByteRange::between(Offset::new(at), range.end()), ExtentKind::Data);
        for extent in &mut extents {
            extent.range = extent.range.overlap(range);
        }
        extents.retain(|extent| !extent.range.is_empty());
        extents
    }

    fn queue(&mut self) -> Option<&mut dyn ReadQueue> {
        Some(self)
    }
}

impl ReadQueue for NbdSource {
    fn submit(&mut self, request: ReadRequest) -> Ticket {
        let ReadRequest { at, length, buffer } = request;
        assert!(length <= buffer.len(), "a read longer than its buffer");
        let ticket = self.new_ticket();
        let here = self.available(at, length);
        if here == 0 && length > 0 {
            let result = Ok(ReadReply { good: Good::Prefix(0), damage: None });
            self.ready.push_back(Completion { ticket, buffer, result });
            return ticket;
        }
        self.lent.insert(ticket, at.bytes()..at.bytes() + here as u64);
        if let Err(buffer) = self.send(ticket, at.bytes(), here, buffer) {
            self.lent.remove(&ticket);
            let result = Err(self.disconnected(at.bytes()));
            self.ready.push_back(Completion { ticket, buffer, result });
        }
        ticket
    }

    fn complete(&mut self, wait: Option<Nanos>) -> Option<Completion> {
        let until = wait.map(|wait| self.clock.now() + wait);
        loop {
            // What has come is taken first, so that nobody waits for what is here.
            while self.receive(Nanos::ZERO) {}
            if let Some(completion) = self.ready.pop_front() {
                return Some(completion);
            }
            if self.in_flight() == 0 {
                return None;
            }
            let left = until.map_or(Nanos::NEVER, |until| until.since(self.clock.now()));
            if !self.wait(left) {
                return None;
            }
        }
    }

    fn in_flight(&self) -> usize {
        let left = if self.is_in_doubt() { 0 } else { self.left.len() };
        self.lent.len() + self.ready.len() - left
    }

    fn can_leave_behind(&self) -> bool {
        true
    }

    fn leave_behind(&mut self, ticket: Ticket) {
        if !self.lent.contains_key(&ticket) {
            return;
        }
        self.left.insert(ticket);
        if self.left.len() > LEFT_MAX {
            // A server takes only so many at once.
            let _ = self.reconnect();
            return;
        }
        self.begin_doubt();
    }
}

fn device_of(uri: &Uri) -> PathBuf {
    uri.to_string().into()
}

/// What a reply about the first `length` bytes says of `asked`: behind them the export ends.
fn shortened(reply: ReadReply, length: usize, asked: usize) -> ReadReply {
    match reply.good {
        Good::All if length < asked => ReadReply { good: Good::Prefix(length), damage: None },
        _ => reply,
    }
}

/// What tells an export from what it was.
fn difference(before: &Export, now: &Export) -> Option<String> {
    if before.size != now.size {
        return Some(format!("it has {} bytes now, and had {}", now.size, before.size));
    }
    let (then, min) = (before.blocks.min, now.blocks.min);
    (then != min).then(|| format!("its smallest request is {min} bytes now, and was {then}"))
}

/// What a system would call an error of the protocol.
fn errno_of(number: u32) -> Errno {
    use crate::wire::error;
    match number {
        // The protocol's numbers are Linux's.
        error::EPERM
        | error::EIO
        | error::ENOMEM
        | error::EINVAL
        | error::ENOSPC
        | error::EOVERFLOW
        | error::ENOTSUP
        | error::ESHUTDOWN => Errno(number as i32),
        _ => Errno::EIO,
    }
}
