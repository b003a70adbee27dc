//! A connection to an export: requests go out as they are made, a thread takes the answers.
//!
//! Owns the socket and the thread. Must not know what the answers mean for a rescue. Sends requests to read and questions
//! about metadata, and no others: there is nothing here that could write.

use std::io::{BufReader, Read, Write};
use std::net::Shutdown;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use block::{Buffer, Clock, Nanos, Ticket};
use crossbeam_channel::Sender;

use super::replies::{Answer, Job, Open, Replies};
use super::stream::{self, Stream, Timed};
use super::uri::Uri;
use super::{Export, NegotiateError, Violation, negotiate};
use crate::wire::{RequestHeader, command};

/// How long a server may take to be connected to, and how long for the first words.
const CONNECT_MAX: Nanos = Nanos::from_secs(5);
/// How long a request, which is a few bytes, may take to be sent.
const SEND_MAX: Duration = Duration::from_secs(10);
/// Small replies are taken several at a time; large ones go past this.
const INPUT_BYTES: usize = 16 << 10;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody is there.
    #[error("cannot connect: {}", words(.0))]
    Connect(std::io::Error),
    /// Nothing was agreed on.
    #[error(transparent)]
    Negotiate(#[from] NegotiateError),
}

/// What the system says, without its number.
fn words(error: &std::io::Error) -> String {
    error.raw_os_error().map_or(error.to_string(), |number| block::Errno(number).to_string())
}

/// What a connection has to tell.
pub(super) enum Delivery {
    /// Something was answered.
    Answer(Answer),
    /// The connection with this number is over, and these are never answered.
    Ended { number: u64, open: Vec<Open>, cause: Cause },
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Cause {
    #[error("the server closed the connection")]
    Closed,
    #[error("{}", block::Errno(*.0))]
    System(i32),
    #[error("{0}")]
    Violation(Violation),
}

/// A connection.
pub(super) struct Connection {
    pub(super) export: Export,
    stream: Stream,
    inbox: Arc<Mutex<Inbox>>,
    next_cookie: u64,
}

/// What was asked since the thread last looked.
#[derive(Default)]
struct Inbox {
    open: Vec<Open>,
    /// Nobody will look any more.
    is_over: bool,
}

impl Connection {
    /// Connects, and opens the export. Answers go to `deliveries`.
    pub(super) fn open(
        uri: &Uri,
        number: u64,
        clock: &dyn Clock,
        deliveries: Sender<Delivery>,
    ) -> Result<Connection, ConnectError> {
        let stream = stream::connect(&uri.address, CONNECT_MAX).map_err(ConnectError::Connect)?;
        let mut timed = Timed { stream: &stream, clock, until: clock.now() + CONNECT_MAX };
        let export = negotiate::negotiate(&mut timed, &uri.export)?;
        let ready = || {
            stream.set_read_timeout(None)?;
            stream.set_write_timeout(Some(SEND_MAX))?;
            stream.try_clone()
        };
        let input = ready().map_err(ConnectError::Connect)?;
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        let (replies, to_thread) = (Replies::new(export.agreed()), inbox.clone());
        std::thread::Builder::new()
            .name("nbd".into())
            .stack_size(256 << 10)
            .spawn(move || listen(input, replies, &to_thread, &deliveries, number))
            .map_err(ConnectError::Connect)?;
        Ok(Connection { export, stream, inbox, next_cookie: 1 })
    }

    /// Asks for `length` bytes at `at`, which go to `buffer`. Returns the buffer's job if the connection is over.
    pub(super) fn read(
        &mut self,
        ticket: Ticket,
        at: u64,
        length: usize,
        buffer: Buffer,
    ) -> Result<(), Box<Job>> {
        let parts = parts(at, length as u64, &self.export);
        let requests: Vec<RequestHeader> = parts
            .map(|range| {
                self.next_cookie += 1;
                RequestHeader {
                    flags: 0,
                    kind: command::READ,
                    cookie: self.next_cookie,
                    offset: range.start,
                    length: (range.end - range.start) as u32,
                }
            })
            .collect();
        let part = |request: &RequestHeader| {
            (request.cookie, request.offset..request.offset + u64::from(request.length))
        };
        let parts = requests.iter().map(part).collect();
        let job = Job { ticket, at, length, buffer, parts };
        match self.ask(Open::Read(job), &requests) {
            Err(Open::Read(job)) => Err(Box::new(job)),
            _ => Ok(()),
        }
    }

    /// Asks which parts of `range` are holes. Returns the name of the question; `None` if the connection is over.
    pub(super) fn status(&mut self, range: Range<u64>) -> Option<u64> {
        self.next_cookie += 1;
        let cookie = self.next_cookie;
        let (offset, length) = (range.start, (range.end - range.start) as u32);
        let request = RequestHeader { flags: 0, kind: command::BLOCK_STATUS, cookie, offset, length };
        self.ask(Open::Status { cookie, range }, &[request]).ok().map(|()| cookie)
    }

    /// The order of requests is the order of calls.
    fn ask(&mut self, open: Open, requests: &[RequestHeader]) -> Result<(), Open> {
        {
            // An answer may come before the last byte of the request has left.
            let mut inbox = lock(&self.inbox);
            if inbox.is_over {
                return Err(open);
            }
            inbox.open.push(open);
        }
        let bytes: Vec<u8> = requests.iter().flat_map(RequestHeader::bytes).collect();
        if self.stream.write_all(&bytes).is_err() {
            // Nobody knows how much of it has left. The thread gives back what is open.
            self.hang_up();
        }
        Ok(())
    }

    /// Ends the connection. What is open comes back by way of the thread.
    pub(super) fn hang_up(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let leave = RequestHeader { flags: 0, kind: command::DISC, cookie: 0, offset: 0, length: 0 };
        // Politely if that is possible at once; a server must bear the other way, too.
        if self.stream.set_nonblocking(true).is_ok() {
            let _ = self.stream.write_all(&leave.bytes());
        }
        self.hang_up();
    }
}

/// Cuts what is wanted into requests that the server takes.
fn parts(at: u64, length: u64, export: &Export) -> impl Iterator<Item = Range<u64>> + use<> {
    let (min, max) = (u64::from(export.blocks.min), u64::from(export.blocks.max));
    let end = (at + length).next_multiple_of(min).min(export.size.max(at + length));
    let mut at = at - at % min;
    std::iter::from_fn(move || {
        let part = at..(at + max).min(end);
        at = part.end;
        (!part.is_empty()).then_some(part)
    })
}

fn lock(inbox: &Mutex<Inbox>) -> MutexGuard<'_, Inbox> {
    inbox.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes answers until the connection ends.
fn listen(
    stream: Stream,
    mut replies: Replies,
    inbox: &Mutex<Inbox>,
    deliveries: &Sender<Delivery>,
    number: u64,
) {
    let mut input = BufReader::with_capacity(INPUT_BYTES, &stream);
    let cause = loop {
        let count = match input.read(replies.place()) {
            Ok(0) => break Cause::Closed,
            Ok(count) => count,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => break Cause::System(block::Errno::of(&e).0),
        };
        // Whatever is answered now was asked before.
        lock(inbox).open.drain(..).for_each(|open| replies.expect(open));
        match replies.filled(count) {
            Ok(None) => {}
            Ok(Some(answer)) => {
                if deliveries.send(Delivery::Answer(answer)).is_err() {
                    break Cause::Closed;
                }
            }
            Err(violation) => break Cause::Violation(violation),
        }
    };
    let _ = stream.shutdown(Shutdown::Both);
    let mut inbox = lock(inbox);
    inbox.is_over = true;
    let open = inbox.open.drain(..).chain(replies.into_open()).collect();
    drop(inbox);
    let _ = deliveries.send(Delivery::Ended { number, open, cause });
}
