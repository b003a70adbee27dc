//! Threads that wait for devices, so that nobody else has to.
//!
//! Owns threads and the requests that wait for one. Must not know devices: how a request is served is handed in. A thread
//! may hang in the system for as long as a dying drive likes; it is never waited for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::device::{Outlet, Reply, Request};

/// Most threads that may be stuck before no more are put in their place.
const STUCK_MAX: usize = 64;

/// A request for a worker.
struct Task {
    request: Request,
    ticket: u64,
    outlet: Arc<dyn Outlet>,
}

/// Serves requests with tools of type `T`, one for each thread.
pub(crate) struct Pool<T> {
    shared: Arc<Shared<T>>,
    requests: Sender<Task>,
    waiting: Receiver<Task>,
    threads: Mutex<usize>,
    threads_max: usize,
}

type Make<T> = dyn Fn() -> T + Send + Sync;
type Serve<T> = dyn Fn(&mut T, Request) -> Reply + Send + Sync;

struct Shared<T> {
    make: Box<Make<T>>,
    serve: Box<Serve<T>>,
    in_flight: AtomicUsize,
    /// Threads that are given up: as many end when they come back.
    surplus: AtomicUsize,
}

impl<T: 'static> Pool<T> {
    /// Makes a pool of at most `threads_max` threads, none of which begins before there is work.
    pub(crate) fn new(
        threads_max: usize,
        make: impl Fn() -> T + Send + Sync + 'static,
        serve: impl Fn(&mut T, Request) -> Reply + Send + Sync + 'static,
    ) -> Pool<T> {
        let shared = Shared {
            make: Box::new(make),
            serve: Box::new(serve),
            in_flight: AtomicUsize::new(0),
            surplus: AtomicUsize::new(0),
        };
        let (requests, waiting) = unbounded();
        Pool { shared: Arc::new(shared), requests, waiting, threads: Mutex::new(0), threads_max }
    }

    /// Serves a request as soon as a thread is free; those that wait are served in their order. If it can never be
    /// served, it comes back with the reply.
    pub(crate) fn submit(&self, request: Request, ticket: u64, outlet: &Arc<dyn Outlet>) -> Option<Reply> {
        let wanted = self.shared.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        let range = request.range;
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if *threads < self.threads_max.min(wanted) {
            match self.start() {
                Ok(()) => *threads += 1,
                // With some, one more is only faster.
                Err(_) if *threads > 0 => {}
                Err(e) => {
                    self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
                    let text = format!("this machine, not the disk: no thread to read with: {e}");
                    return Some(Reply::failed(range, block::Errno::of(&e), text));
                }
            }
        }
        // The pool holds a receiver, so the channel is open.
        let _ = self.requests.send(Task { request, ticket, outlet: outlet.clone() });
        None
    }

    /// A thread hangs: another one takes its place, and it ends when it comes back.
    pub(crate) fn give_up_one(&self) {
        if self.shared.surplus.fetch_add(1, Ordering::Relaxed) < STUCK_MAX && self.start().is_ok() {
            return;
        }
        self.shared.surplus.fetch_sub(1, Ordering::Relaxed);
    }

    fn start(&self) -> std::io::Result<()> {
        let (shared, waiting) = (self.shared.clone(), self.waiting.clone());
        let body = move || {
            let mut tool = (shared.make)();
            for Task { request, ticket, outlet } in waiting {
                if outlet.is_open() {
                    let reply = (shared.serve)(&mut tool, request);
                    outlet.deliver(ticket, reply);
                }
                shared.in_flight.fetch_sub(1, Ordering::Relaxed);
                let leave = |surplus: usize| surplus.checked_sub(1);
                if shared.surplus.fetch_update(Ordering::Relaxed, Ordering::Relaxed, leave).is_ok() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("serve".into()).stack_size(256 << 10).spawn(body).map(drop)
    }
}
