//! Threads that read, so that the one who waits can do something else meanwhile.
//!
//! Owns threads, their requests and replies. Must not know what a read is: that is a function handed in.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::{Completion, Nanos, Offset, ReadQueue, ReadReply, ReadRequest, SourceError, Ticket};

/// Reads into a buffer at a position; called from any thread.
pub(super) type ReadAt = dyn Fn(Offset, &mut [u8]) -> Result<ReadReply, SourceError> + Send + Sync;

/// A queue of reads served by threads that all call one function.
///
/// Threads start when there is work for them and end when the queue is dropped. They are never joined: one of them may
/// hang in the system for as long as a dying drive likes.
pub(super) struct Workers {
    read: Arc<ReadAt>,
    threads: usize,
    threads_max: usize,
    requests: Sender<(Ticket, ReadRequest, Arc<ReadAt>)>,
    waiting: Receiver<(Ticket, ReadRequest, Arc<ReadAt>)>,
    done: Sender<Completion>,
    replies: Receiver<Completion>,
    next: u64,
    in_flight: usize,
}

impl Workers {
    pub(super) fn new(threads_max: usize, read: Arc<ReadAt>) -> Workers {
        let (requests, waiting) = unbounded();
        let (done, replies) = unbounded();
        Workers { read, threads: 0, threads_max, requests, waiting, done, replies, next: 0, in_flight: 0 }
    }

    /// Reads from now on call `read`, in threads of their own: those that are there may hang for good. Reads in flight
    /// keep what they were started with, and are still answered.
    pub(super) fn replace(&mut self, read: Arc<ReadAt>) {
        self.read = read;
        // Without a sender the old threads finish what is open and end.
        (self.requests, self.waiting) = unbounded();
        self.threads = 0;
    }

    fn start_thread(&mut self) {
        let (waiting, done) = (self.waiting.clone(), self.done.clone());
        let body = move || {
            for (ticket, ReadRequest { at, length, mut buffer }, read) in waiting {
                let result = read(at, &mut buffer[..length]);
                if done.send(Completion { ticket, buffer, result }).is_err() {
                    return;
                }
            }
        };
        // Without any thread nothing would ever be read; with some, one more is only faster.
        match std::thread::Builder::new().name("read".into()).stack_size(256 << 10).spawn(body) {
            Ok(_) => self.threads += 1,
            Err(e) => assert!(self.threads > 0, "the system refuses to start a thread for reading: {e}"),
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // Nobody wants what has not been started: a failing disk should not be asked for it.
        while self.waiting.try_recv().is_ok() {}
    }
}

impl ReadQueue for Workers {
    fn submit(&mut self, request: ReadRequest) -> Ticket {
        // A panic in a thread would be a reply that never comes.
        assert!(request.length <= request.buffer.len(), "a read longer than its buffer");
        let ticket = Ticket(self.next);
        self.next += 1;
        self.in_flight += 1;
        if self.threads < self.threads_max.min(self.in_flight) {
            self.start_thread();
        }
        // The queue holds a receiver itself, so the channel cannot be closed.
        let _ = self.requests.send((ticket, request, self.read.clone()));
        ticket
    }

    fn complete(&mut self, wait: Option<Nanos>) -> Option<Completion> {
        if self.in_flight == 0 {
            return None;
        }
        let completion = match wait {
            None => self.replies.recv().ok(),
            Some(wait) => self.replies.recv_timeout(Duration::from_nanos(wait.nanoseconds())).ok(),
        };
        self.in_flight -= usize::from(completion.is_some());
        completion
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }
}
