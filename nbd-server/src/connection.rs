//! One client, from the greeting to its leaving.
//!
//! Owns the reading of what it sends. Must not know who listens, nor how replies find their way. One thread reads: it
//! takes as many requests as the system gives at once, hands each to the device, and sends what was answered at once when
//! there is nothing more to read.

use std::cell::Cell;
use std::sync::Arc;

use block::{ByteRange, Clock, Nanos};
use serving::Work;

use crate::handshake::{Handshake, Opened, Progress};
use crate::link::{FlowLimits, Flushed, Gone, Link, Task};
use crate::pool::Pool;
use crate::server::{Peer, Shared};
use crate::status;
use crate::stream::{Came, Sent, Stream, Wanted};
use crate::transmission::{self, Detail, Durable, Order, Payload, Pieces, Refusal};
use crate::wire::{REQUEST_HEADER, RequestHeader};

/// Bytes that are read at a time; payloads are read where they belong.
const INPUT_BYTES: usize = 16 << 10;

/// Serves a client until one side leaves. Says why in a few words, if there is something to say.
pub(crate) fn serve(peer: &Peer, shared: &Shared) -> Result<(), String> {
    let mut input = Input::new();
    let Some(opened) = negotiate(&peer.stream, &mut input, shared)? else { return Ok(()) };
    let Opened { device, name, terms } = opened;
    let limits: FlowLimits = shared.options.flow;
    let link = Link::new(peer.stream.clone(), device, terms, limits, shared.pool.clone(), peer.number);
    match peer.enter(link.clone(), &shared.clients) {
        Ok(()) => {
            let _closing = Closing(&link);
            shared.tell(&format!("client {}: opens {name:?}", peer.number));
            Requests { link: &link, input, pool: &shared.pool }.serve()
        }
        // The server has begun to end since the client was let in.
        Err(Gone) => {
            link.close();
            Ok(())
        }
    }
}

/// Whatever goes wrong, the device learns that its client has gone.
struct Closing<'a>(&'a Link);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Negotiates; returns what the client has opened, if it has, and if the device has let it in.
fn negotiate(stream: &Stream, input: &mut Input, shared: &Shared) -> Result<Option<Opened>, String> {
    let begun = shared.clock.now();
    // What it takes to open disks is not the client's fault.
    let own = Cell::new(Nanos::ZERO);
    let left = || (begun + shared.options.handshake_time_max + own.get()).since(shared.clock.now());
    let mut handshake = Handshake::new(&*shared.exports, shared.options.manners);
    send(stream, &handshake.output(), &left)?;
    loop {
        if shared.is_ending() {
            handshake.end();
        }
        let mut rest = input.buffered();
        let before = rest.len();
        let asked = shared.clock.now();
        let progress = handshake.advance(&mut rest);
        own.set(own.get() + shared.clock.now().since(asked));
        let used = before - rest.len();
        input.consume(used);
        match progress {
            Progress::More => {
                let came = stream.wait(Wanted::Input, Some(left())).map_err(|error| error.to_string())?;
                match came {
                    Came::Input if input.fill(stream) => {}
                    Came::Input | Came::Gone => return Err("it left before it had opened anything".into()),
                    _ if left() == Nanos::ZERO => return Err("it takes too long to negotiate".into()),
                    _ => {}
                }
            }
            Progress::Answered => send(stream, &handshake.output(), &left)?,
            Progress::StartTls => return Err("there is no encryption here".into()),
            Progress::Opened(opened) => {
                opened.device.attach().map_err(|error| format!("it is turned away: {error}"))?;
                if let Err(error) = send(stream, &handshake.output(), &left) {
                    // It was let in, and nobody is left to take the leave.
                    let outlet: Arc<dyn serving::Outlet> = Arc::new(Nobody);
                    opened.device.detach(&outlet);
                    return Err(error);
                }
                return Ok(Some(opened));
            }
            Progress::Closed(reason) => {
                // A client that does not wait for it is no error.
                let _ = send(stream, &handshake.output(), &left);
                return Err(reason.into());
            }
        }
    }
}

/// A client that left between being let in and its first request.
struct Nobody;

impl serving::Outlet for Nobody {
    fn deliver(&self, _: u64, _: serving::Reply) {}
}

/// Sends all of it, while there is time.
fn send(stream: &Stream, mut bytes: &[u8], left: &dyn Fn() -> Nanos) -> Result<(), String> {
    while !bytes.is_empty() {
        match stream.send(&[std::io::IoSlice::new(bytes)]).map_err(|error| error.to_string())? {
            Sent::Bytes(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Sent::Full => match stream.wait(Wanted::Room, Some(left())).map_err(|error| error.to_string())? {
                Came::Gone => return Err("it left before it had opened anything".into()),
                _ if left() == Nanos::ZERO => return Err("it does not read what it is told".into()),
                _ => {}
            },
        }
    }
    Ok(())
}

/// What has come and was not looked at.
struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    fn new() -> Input {
        Input { bytes: vec![0; INPUT_BYTES], start: 0, end: 0 }
    }

    fn buffered(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        if self.start >= self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Waits for more; tells whether more has come.
    fn fill(&mut self, stream: &Stream) -> bool {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let Some(room) = self.bytes.get_mut(self.end..).filter(|room| !room.is_empty()) else { return false };
        match stream.receive(room) {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.end += count;
                true
            }
        }
    }

    /// The next header, if it is there as a whole.
    fn header(&mut self) -> Option<[u8; REQUEST_HEADER]> {
        let header = *self.buffered().first_chunk()?;
        self.consume(REQUEST_HEADER);
        Some(header)
    }

    /// Takes what is there, at most as much as `bytes` holds.
    fn take(&mut self, bytes: &mut [u8]) -> usize {
        let count = bytes.len().min(self.end - self.start);
        let (to, from) = (bytes.get_mut(..count), self.bytes.get(self.start..self.start + count));
        if let (Some(to), Some(from)) = (to, from) {
            to.copy_from_slice(from);
        }
        self.consume(count);
        count
    }
}

/// Why no more requests are read.
enum End {
    /// The client leaves, or sends no more: what it is owed, it gets.
    Left,
    /// It is gone.
    Gone,
    /// What it sends makes no sense.
    Nonsense(String),
}

impl From<Gone> for End {
    fn from(_: Gone) -> End {
        End::Gone
    }
}

/// Reads requests.
struct Requests<'a> {
    link: &'a Arc<Link>,
    input: Input,
    pool: &'a Pool,
}

impl Requests<'_> {
    fn serve(mut self) -> Result<(), String> {
        match self.read() {
            End::Left => {
                // Whether it stays for them is its own business.
                let _ = self.link.wait_until_idle();
                Ok(())
            }
            End::Gone => Ok(()),
            End::Nonsense(text) => Err(text),
        }
    }

    fn read(&mut self) -> End {
        loop {
            let Some(header) = self.input.header() else {
                match self.fill() {
                    Ok(()) => continue,
                    Err(end) => return end,
                }
            };
            let header = match RequestHeader::parse(&header) {
                Ok(header) => header,
                Err(error) => return End::Nonsense(error.to_string()),
            };
            if let Err(end) = self.request(header) {
                return end;
            }
        }
    }

    /// Sends what can be sent, and waits for more to read.
    fn fill(&mut self) -> Result<(), End> {
        self.wait_for_input()?;
        match self.input.fill(&self.link.stream) {
            true => Ok(()),
            false if self.link.is_broken() => Err(End::Gone),
            false => Err(End::Left),
        }
    }

    /// Sends what can be sent; returns when reading is the next thing to do.
    fn wait_for_input(&mut self) -> Result<(), End> {
        loop {
            match self.link.flush() {
                Flushed::Empty | Flushed::Busy => return Ok(()),
                Flushed::Gone => return Err(End::Gone),
                Flushed::Full => {
                    if self.link.wait_to_send(Wanted::Both)? == Came::Input {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn request(&mut self, header: RequestHeader) -> Result<(), End> {
        let link = self.link;
        let RequestHeader { cookie, kind, length, .. } = header;
        let Payload::Bytes(payload) = transmission::payload(&header) else {
            return Err(End::Nonsense(format!("it announces a payload of {length} bytes")));
        };
        if !link.has_room() {
            link.wait_for_room()?;
        }
        let task = |work, range, pieces, durable| Task {
            cookie,
            kind,
            work,
            range,
            pieces,
            is_durable: durable == Durable::First,
        };
        let task = match transmission::judge(&header, &link.terms) {
            Order::Read { range, pieces } => task(Work::Read, range, pieces, Durable::Later),
            Order::Write { range, durable } => {
                let bytes = self.payload(payload as usize)?;
                task(Work::Write(bytes), range, Pieces::Many, durable)
            }
            Order::Flush => task(Work::Flush, ByteRange::default(), Pieces::Many, Durable::Later),
            Order::Trim { range, durable } => task(Work::Trim, range, Pieces::Many, durable),
            Order::Cache(range) => task(Work::Cache, range, Pieces::Many, Durable::Later),
            Order::Zero { range, may_trim, durable } => {
                task(Work::Zero { may_trim }, range, Pieces::Many, durable)
            }
            Order::Status { range, detail } => {
                self.status(cookie, range, detail);
                return Ok(());
            }
            Order::Nothing => {
                link.answer(link.replies.done(cookie));
                return Ok(());
            }
            Order::Leave => return Err(End::Left),
            Order::Refuse(Refusal { error, text }) => {
                self.pass_over(payload)?;
                link.answer(link.replies.error(cookie, error, text));
                return Ok(());
            }
        };
        let mut next = link.submit(task);
        while let Some(piece) = next {
            link.wait_for_room()?;
            next = link.go_on(piece);
        }
        Ok(())
    }

    fn status(&self, cookie: u64, range: ByteRange, detail: Detail) {
        let link = self.link;
        link.answer(status::reply(link.device(), &link.terms, cookie, range, detail));
    }

    /// Reads the payload of a request.
    fn payload(&mut self, length: usize) -> Result<Vec<u8>, End> {
        let mut bytes = self.pool.take(length);
        bytes.resize(length, 0);
        let mut have = self.input.take(&mut bytes);
        while let Some(rest) = bytes.get_mut(have..).filter(|rest| !rest.is_empty()) {
            self.wait_for_input()?;
            match self.link.stream.receive(rest) {
                // Half a request is none.
                Ok(0) | Err(_) => return Err(End::Left),
                Ok(count) => have += count,
            }
        }
        Ok(bytes)
    }

    /// Reads the payload of a request that is refused.
    fn pass_over(&mut self, length: u32) -> Result<(), End> {
        let mut left = length as usize;
        while left > 0 {
            let there = left.min(self.input.buffered().len());
            self.input.consume(there);
            left -= there;
            if left > 0 {
                self.fill()?;
            }
        }
        Ok(())
    }
}
