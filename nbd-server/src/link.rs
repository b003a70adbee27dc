//! What a connection has under way: requests that the device has, and replies that the client has not.
//!
//! Owns their accounts, and the order in which replies leave. Must not know how requests are read. The one lock here is
//! never held while the device, the socket or anybody else is waited for.
//!
//! Whoever has something to send sends it, if nobody else is sending: the reader what is due at once; a writer, which is
//! there from the first reply that comes later on, the rest.

use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use block::{ByteRange, Nanos};
use serving::{Answer, Device, Outlet, Reply, Request, Work};

use crate::pool::Pool;
use crate::reply::{Last, Packet, Replies};
use crate::stream::{Came, Sent, Stream, Wanted};
use crate::terms::{PAYLOAD_MAX, Terms};
use crate::transmission::Pieces;
use crate::wire::{command, error};

/// How much one connection may have under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowLimits {
    /// Requests that are not answered yet; no more are read while there are so many.
    pub request_count_max: usize,
    /// Bytes that travel with them, either way; no more are read while there are so many.
    pub payload_bytes_max: u64,
    /// How long a client may take no byte of what it is sent.
    pub write_time_max: Nanos,
}

impl Default for FlowLimits {
    fn default() -> FlowLimits {
        FlowLimits {
            request_count_max: 64,
            payload_bytes_max: 64 << 20,
            write_time_max: Nanos::from_secs(60),
        }
    }
}

/// Most parts that one call of the system is given.
const SLICES_MAX: usize = 64;

/// How long somebody who waits for a reply goes without looking whether the client is still there.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a server that ends tells its clients.
const ENDING: &str = "the server is about to end";

/// The accounts of a connection.
pub struct Link {
    /// Both directions.
    pub stream: Arc<Stream>,
    /// What was agreed on.
    pub terms: Terms,
    /// The shape of replies.
    pub replies: Replies,
    /// Buffers.
    pub pool: Arc<Pool>,
    device: Arc<dyn Device>,
    limits: FlowLimits,
    client: u64,
    me: Weak<Link>,
    state: Mutex<State>,
    /// There is room, or nothing left, or no client.
    eased: Condvar,
    /// A reply has come late, or it is over.
    late: Condvar,
}

#[derive(Default)]
struct State {
    /// Requests that the device has, by ticket.
    open: BTreeMap<u64, Open>,
    next_ticket: u64,
    /// Replies that came later than their requests, and have not been looked at.
    late: Vec<(u64, Reply)>,
    queue: VecDeque<Outgoing>,
    /// Bytes of the first packet that have left.
    sent: usize,
    is_sending: bool,
    /// Requests that are not answered, or whose answer has not left.
    request_count: usize,
    /// Their payload.
    payload_bytes: u64,
    phase: Phase,
    readers_waiting: usize,
    is_writer_waiting: bool,
    writer: Option<JoinHandle<()>>,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Requests are carried out.
    #[default]
    Running,
    /// New ones are told that it is over.
    Refusing,
    /// It ends when nothing is under way.
    Leaving,
    /// Nothing can be sent any more.
    Broken,
    /// Nobody reads requests any more.
    Closed,
}

/// A request that the device has.
struct Open {
    cookie: u64,
    kind: u16,
    range: ByteRange,
    pieces: Pieces,
    /// Bytes that travel.
    payload: u64,
    /// What remains of a long read behind this piece.
    rest: ByteRange,
}

/// A packet, and what is off the accounts once it has left.
struct Outgoing {
    packet: Packet,
    requests: usize,
    payload: u64,
}

/// What is to be done.
pub struct Task {
    /// The client's name for it.
    pub cookie: u64,
    /// The command; see [`command`].
    pub kind: u16,
    /// The same, for the device.
    pub work: Work,
    /// Where.
    pub range: ByteRange,
    /// In how many pieces bytes may come.
    pub pieces: Pieces,
    /// Whether it must be durable before the reply.
    pub is_durable: bool,
}

/// The next piece of a long read.
pub struct Piece {
    cookie: u64,
    range: ByteRange,
}

/// How sending went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing is left.
    Empty,
    /// Somebody else is at it, and will see to the rest.
    Busy,
    /// There is no room: whoever gets this sees to the rest.
    Full,
    /// Nobody takes anything any more.
    Gone,
}

/// The client is gone, or was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl Link {
    /// Begins, once the device has let the client in.
    pub fn new(
        stream: Arc<Stream>,
        device: Arc<dyn Device>,
        terms: Terms,
        limits: FlowLimits,
        pool: Arc<Pool>,
        client: u64,
    ) -> Arc<Link> {
        Arc::new_cyclic(|me| Link {
            replies: Replies { is_structured: terms.is_structured },
            stream,
            terms,
            pool,
            device,
            limits,
            client,
            me: me.clone(),
            state: Mutex::default(),
            eased: Condvar::new(),
            late: Condvar::new(),
        })
    }

    /// The device behind it.
    pub fn device(&self) -> &dyn Device {
        &*self.device
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outlet(&self) -> Option<Arc<dyn Outlet>> {
        self.me.upgrade().map(|me| me as Arc<dyn Outlet>)
    }

    /// Hands a request to the device. If it is answered at once the reply is in the queue afterwards; of a long read,
    /// only the first piece.
    pub fn submit(&self, task: Task) -> Option<Piece> {
        let Task { cookie, kind, work, range, pieces, is_durable } = task;
        let (piece, rest) = match kind {
            command::READ => range.split_at(range.start() + u64::from(PAYLOAD_MAX)),
            _ => (range, ByteRange::new(range.end(), 0)),
        };
        let payload = match kind {
            command::READ | command::WRITE => piece.length(),
            _ => 0,
        };
        let ticket = {
            let mut state = self.lock();
            if state.phase > Phase::Running {
                state.queue.push_back(Outgoing::new(self.replies.error(cookie, error::ESHUTDOWN, ENDING)));
                return None;
            }
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            state.request_count += 1;
            state.payload_bytes += payload;
            state.open.insert(ticket, Open { cookie, kind, range: piece, pieces, payload, rest });
            ticket
        };
        // Devices know whole sectors only.
        let asked = match kind {
            command::READ | command::CACHE => outward(piece, self.terms.sector),
            _ => piece,
        };
        let buffer = match kind {
            command::READ => self.pool.take(asked.length() as usize),
            _ => Vec::new(),
        };
        let outlet = self.outlet()?;
        let request = Request { work, range: asked, is_durable, access: None, client: self.client, buffer };
        let reply = self.device.submit(request, ticket, &outlet)?;
        self.settle(ticket, reply)
    }

    /// Goes on with a long read.
    pub fn go_on(&self, piece: Piece) -> Option<Piece> {
        self.submit(Task {
            cookie: piece.cookie,
            kind: command::READ,
            work: Work::Read,
            range: piece.range,
            pieces: Pieces::Many,
            is_durable: false,
        })
    }

    /// Puts the reply of the device in the queue.
    fn settle(&self, ticket: u64, reply: Reply) -> Option<Piece> {
        // Given up since, if it is not there.
        let open = self.lock().open.remove(&ticket)?;
        let Open { cookie, kind, range, pieces, payload, rest } = open;
        let (packet, next, shuts) = match reply {
            Reply::Drop => {
                self.break_off();
                return None;
            }
            Reply::Shutdown(text) => (self.replies.error(cookie, error::ESHUTDOWN, &text), None, true),
            Reply::Answer(answer) if kind == command::READ => {
                let answer = cut(answer, range, self.terms.sector);
                let goes_on = !rest.is_empty() && answer.troubles.is_empty();
                let last = if goes_on { Last::No } else { Last::Yes };
                let packet = self.replies.read(cookie, range, pieces, answer, last);
                (packet, goes_on.then_some(Piece { cookie, range: rest }), false)
            }
            Reply::Answer(answer) => {
                let packet = self.replies.outcome(cookie, kind, range, &answer);
                self.pool.give(answer.bytes);
                (packet, None, false)
            }
        };
        let mut state = self.lock();
        // A server that ends leaves its clients in its own time.
        if shuts && state.phase == Phase::Running {
            state.phase = Phase::Leaving;
        }
        state.queue.push_back(Outgoing { packet, requests: 1, payload });
        next
    }

    /// Puts a reply in the queue that needed no device.
    pub fn answer(&self, packet: Packet) {
        self.lock().queue.push_back(Outgoing::new(packet));
    }

    /// Sends what fits.
    pub fn flush(&self) -> Flushed {
        let mut state = self.lock();
        loop {
            if state.phase >= Phase::Broken {
                return Flushed::Gone;
            }
            if state.is_sending {
                return Flushed::Busy;
            }
            if state.queue.is_empty() {
                self.leave_if_idle(&state);
                return Flushed::Empty;
            }
            state.is_sending = true;
            let mut batch = std::mem::take(&mut state.queue);
            let mut skip = state.sent;
            drop(state);
            let result = self.stream.send(&slices(&batch, skip));
            let mut gone = Outgoing::new(Packet::default());
            gone.requests = 0;
            if let Ok(Sent::Bytes(count)) = result {
                skip += count;
                while batch.front().is_some_and(|first| first.packet.length() <= skip) {
                    let Some(first) = batch.pop_front() else { break };
                    skip -= first.packet.length();
                    gone.requests += first.requests;
                    gone.payload += first.payload;
                    self.pool.give(first.packet.into_body());
                }
            }
            state = self.lock();
            state.is_sending = false;
            state.sent = skip;
            // What has come since belongs behind.
            batch.append(&mut state.queue);
            state.queue = batch;
            state.request_count = state.request_count.saturating_sub(gone.requests);
            state.payload_bytes = state.payload_bytes.saturating_sub(gone.payload);
            if state.readers_waiting > 0 {
                self.eased.notify_all();
            }
            match result {
                Ok(Sent::Bytes(_)) => {}
                Ok(Sent::Full) => return Flushed::Full,
                Err(_) => {
                    drop(state);
                    self.fail();
                    return Flushed::Gone;
                }
            }
        }
    }

    /// Sends everything, and waits for the client to take it.
    fn flush_all(&self) -> Result<(), Gone> {
        loop {
            match self.flush() {
                Flushed::Empty | Flushed::Busy => return Ok(()),
                Flushed::Full => self.wait_to_send(Wanted::Room).map(drop)?,
                Flushed::Gone => return Err(Gone),
            }
        }
    }

    /// Waits for room in the socket, or for more to read; a client that takes nothing for too long is left.
    pub fn wait_to_send(&self, wanted: Wanted) -> Result<Came, Gone> {
        match self.stream.wait(wanted, Some(self.limits.write_time_max)) {
            Ok(came @ (Came::Input | Came::Room)) => Ok(came),
            Ok(Came::Gone | Came::Nothing) | Err(_) => {
                self.fail();
                Err(Gone)
            }
        }
    }

    /// Whether one more request may be read.
    pub fn has_room(&self) -> bool {
        self.has_room_in(&self.lock())
    }

    fn has_room_in(&self, state: &State) -> bool {
        let open = state.request_count.max(state.queue.len());
        open < self.limits.request_count_max && state.payload_bytes < self.limits.payload_bytes_max
    }

    /// Waits until one more request may be read.
    pub fn wait_for_room(&self) -> Result<(), Gone> {
        self.wait_until(|state| self.has_room_in(state))
    }

    /// Waits until every reply that is owed has left.
    pub fn wait_until_idle(&self) -> Result<(), Gone> {
        self.wait_until(State::is_idle)
    }

    fn wait_until(&self, is_so: impl Fn(&State) -> bool) -> Result<(), Gone> {
        loop {
            if is_so(&self.lock()) {
                return Ok(());
            }
            match self.flush() {
                Flushed::Gone => return Err(Gone),
                Flushed::Full => {
                    self.wait_to_send(Wanted::Room)?;
                    continue;
                }
                Flushed::Empty | Flushed::Busy => {}
            }
            let mut state = self.lock();
            if is_so(&state) || state.phase >= Phase::Broken {
                continue;
            }
            state.readers_waiting += 1;
            let (mut state, waited) =
                self.eased.wait_timeout(state, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner);
            state.readers_waiting -= 1;
            drop(state);
            // Nobody reads here, and so nobody would see that the client has gone.
            if waited.timed_out() && self.stream.is_peer_gone() {
                self.fail();
                return Err(Gone);
            }
        }
    }

    /// The connection is of no more use.
    fn fail(&self) {
        let mut state = self.lock();
        state.phase = state.phase.max(Phase::Broken);
        self.eased.notify_all();
        drop(state);
        self.stream.stop();
    }

    /// The connection breaks off in the middle of whatever it is at.
    fn break_off(&self) {
        let mut state = self.lock();
        state.phase = state.phase.max(Phase::Broken);
        self.eased.notify_all();
        drop(state);
        self.stream.break_off();
    }

    /// Whether there is nobody left to read for.
    pub fn is_broken(&self) -> bool {
        self.lock().phase >= Phase::Broken
    }

    /// Whether the server is going to end this connection.
    pub fn is_leaving(&self) -> bool {
        self.lock().phase >= Phase::Leaving
    }

    /// Wakes the reader up if all that was to be done is done.
    fn leave_if_idle(&self, state: &State) {
        if state.phase == Phase::Leaving && state.is_idle() {
            self.stream.stop_receiving();
        }
    }

    /// The server is about to end: requests that nobody answers within `patience` are given up, new ones refused.
    pub fn refuse(&self, patience: Nanos) {
        {
            let mut state = self.lock();
            state.phase = state.phase.max(Phase::Refusing);
        }
        let Some(outlet) = self.outlet() else { return };
        for ticket in self.device.give_up(&outlet, patience) {
            outlet.deliver(ticket, Reply::Shutdown(ENDING.into()));
        }
    }

    /// Ends the connection once nothing is under way.
    pub fn leave(&self) {
        let mut state = self.lock();
        state.phase = state.phase.max(Phase::Leaving);
        self.leave_if_idle(&state);
    }

    /// Whether something is under way.
    pub fn is_idle(&self) -> bool {
        self.lock().is_idle()
    }

    /// Gives up everything that the device has not answered.
    pub fn give_up(&self) {
        let tickets: Vec<u64> = self.lock().open.keys().copied().collect();
        for ticket in tickets {
            self.deliver(ticket, Reply::Shutdown(ENDING.into()));
        }
    }

    /// Ends everything: nothing comes from the device any more, and nobody writes.
    pub fn close(&self) {
        if let Some(outlet) = self.outlet() {
            self.device.detach(&outlet);
        }
        let writer = {
            let mut state = self.lock();
            state.phase = Phase::Closed;
            self.late.notify_all();
            state.writer.take()
        };
        if let Some(writer) = writer {
            // It may be waiting for a client that takes nothing.
            self.stream.stop();
            let _ = writer.join();
        }
        let mut state = self.lock();
        state.queue.clear();
        state.late.clear();
        state.open.clear();
    }

    /// Sends what comes late, until it is over.
    fn write_late(&self) {
        loop {
            let mut state = self.lock();
            while state.late.is_empty() && state.phase < Phase::Closed {
                state.is_writer_waiting = true;
                state = self.late.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.is_writer_waiting = false;
            }
            if state.phase >= Phase::Closed {
                return;
            }
            let late = std::mem::take(&mut state.late);
            drop(state);
            for (ticket, reply) in late {
                let mut next = self.settle(ticket, reply);
                while let Some(piece) = next {
                    if self.flush_all().is_err() {
                        break;
                    }
                    next = self.go_on(piece);
                }
            }
            // A client that is gone is the reader's business.
            let _ = self.flush_all();
        }
    }
}

impl Outlet for Link {
    fn deliver(&self, ticket: u64, reply: Reply) {
        let mut state = self.lock();
        if state.phase >= Phase::Broken {
            return;
        }
        state.late.push((ticket, reply));
        if state.is_writer_waiting {
            self.late.notify_one();
        } else if state.writer.is_none() {
            let Some(me) = self.me.upgrade() else { return };
            let thread =
                std::thread::Builder::new().name("nbd writer".into()).stack_size(crate::server::STACK);
            match thread.spawn(move || me.write_late()) {
                Ok(writer) => state.writer = Some(writer),
                Err(_) => {
                    drop(state);
                    self.fail();
                }
            }
        }
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.open.is_empty() && self.late.is_empty() && self.queue.is_empty() && !self.is_sending
    }
}

impl Outgoing {
    fn new(packet: Packet) -> Outgoing {
        Outgoing { packet, requests: 0, payload: 0 }
    }
}

/// The whole sectors around a range.
fn outward(range: ByteRange, sector: u32) -> ByteRange {
    let sector = u64::from(sector);
    ByteRange::between(range.start().align_down(sector), range.end().align_up(sector))
}

/// Of an answer about the whole sectors around `range`, what is about `range`.
fn cut(mut answer: Answer, range: ByteRange, sector: u32) -> Answer {
    let asked = outward(range, sector);
    if asked == range {
        return answer;
    }
    if answer.bytes.len() as u64 == asked.length() {
        answer.bytes.drain(..(range.start() - asked.start()) as usize);
        answer.bytes.truncate(range.length() as usize);
    }
    answer.troubles.retain(|trouble| !trouble.range.overlap(range).is_empty());
    for trouble in &mut answer.troubles {
        trouble.range = trouble.range.overlap(range);
        trouble.at = trouble.at.map(|at| at.max(range.start()));
    }
    answer
}

/// What is to be sent next, as the system wants it.
fn slices(batch: &VecDeque<Outgoing>, mut skip: usize) -> Vec<IoSlice<'_>> {
    let mut slices = Vec::with_capacity((batch.len() * 2).min(SLICES_MAX));
    for outgoing in batch {
        let has_room = outgoing.packet.slices(skip, |slice| {
            slices.push(slice);
            slices.len() < SLICES_MAX
        });
        if !has_room {
            break;
        }
        skip = 0;
    }
    slices
}
