//! A server: those who listen, those who are connected, and the end of both.
//!
//! Owns connections and their number. Must not know what is served, nor what is said.

use std::collections::BTreeMap;
use std::io::{PipeReader, PipeWriter, Write as _};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use block::{Clock, Nanos, WallClock};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serving::Exports;

use crate::connection;
use crate::handshake::Manners;
use crate::link::{FlowLimits, Gone, Link};
use crate::listen::Listener;
use crate::pool::Pool;
use crate::stream::Stream;

/// Bytes of the stack of a thread that serves one client. Only what is used of it takes memory.
pub(crate) const STACK: usize = 512 << 10;

/// How long threads may take to notice that their clients are gone.
const LAST_WAIT: Nanos = Nanos::from_millis(500);

/// How a server works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// How it negotiates.
    pub manners: Manners,
    /// How long a negotiation may take.
    pub handshake_time_max: Nanos,
    /// How much a client may have under way.
    pub flow: FlowLimits,
    /// Connections at a time; further ones are closed at once.
    pub connection_count_max: usize,
    /// Of these, those that have not opened anything yet.
    pub handshake_count_max: usize,
    /// How long requests may take that are under way when the server ends.
    pub grace: Nanos,
    /// How long clients may ask for more, only to be told that the server ends.
    pub farewell: Nanos,
}

impl Default for ServerOptions {
    fn default() -> ServerOptions {
        ServerOptions {
            manners: Manners::default(),
            handshake_time_max: Nanos::from_secs(10),
            flow: FlowLimits::default(),
            connection_count_max: 256,
            handshake_count_max: 64,
            grace: Nanos::from_secs(5),
            farewell: Nanos::from_millis(250),
        }
    }
}

/// Is told what goes on, in one line each time, for those who look for a fault.
pub type Tell = Box<dyn Fn(&str) + Send + Sync>;

/// A server at work.
pub struct Server {
    shared: Arc<Shared>,
    acceptors: Mutex<Vec<JoinHandle<()>>>,
}

/// What everybody in a server knows.
pub(crate) struct Shared {
    pub(crate) exports: Arc<dyn Exports>,
    pub(crate) options: ServerOptions,
    pub(crate) clock: WallClock,
    pub(crate) pool: Arc<Pool>,
    pub(crate) clients: Clients,
    tell: Tell,
    is_ending: AtomicBool,
    next_client: AtomicU64,
    /// Closed when nobody is to be let in any more.
    door: Mutex<Option<PipeWriter>>,
}

/// Those who are connected.
#[derive(Default)]
pub(crate) struct Clients {
    peers: Mutex<Peers>,
}

#[derive(Default)]
struct Peers {
    all: BTreeMap<u64, Arc<Peer>>,
    /// Of these, those that have opened something.
    opened: usize,
    /// No more come, and those that negotiate open nothing.
    is_closed: bool,
}

/// A client.
pub(crate) struct Peer {
    /// Its number, the first is 1.
    pub(crate) number: u64,
    pub(crate) stream: Arc<Stream>,
    link: OnceLock<Arc<Link>>,
}

impl Peer {
    /// Notes that the client has opened something.
    pub(crate) fn enter(&self, link: Arc<Link>, clients: &Clients) -> Result<(), Gone> {
        let mut peers = clients.lock();
        if peers.is_closed {
            return Err(Gone);
        }
        if self.link.set(link).is_ok() {
            peers.opened += 1;
        }
        Ok(())
    }
}

impl Clients {
    fn lock(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets one in, if there is room.
    fn add(&self, number: u64, stream: Stream, options: &ServerOptions) -> Option<Arc<Peer>> {
        let mut peers = self.lock();
        let negotiating = peers.all.len() - peers.opened;
        let is_full =
            peers.all.len() >= options.connection_count_max || negotiating >= options.handshake_count_max;
        if is_full || peers.is_closed {
            return None;
        }
        let peer = Arc::new(Peer { number, stream: Arc::new(stream), link: OnceLock::new() });
        peers.all.insert(number, peer.clone());
        Some(peer)
    }

    fn remove(&self, peer: &Peer) {
        let mut peers = self.lock();
        peers.all.remove(&peer.number);
        if peer.link.get().is_some() {
            peers.opened -= 1;
        }
    }

    fn peers(&self) -> Vec<Arc<Peer>> {
        self.lock().all.values().cloned().collect()
    }

    fn links(&self) -> Vec<Arc<Link>> {
        self.lock().all.values().filter_map(|peer| peer.link.get().cloned()).collect()
    }

    fn count(&self) -> usize {
        self.lock().all.len()
    }
}

impl Shared {
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    pub(crate) fn tell(&self, line: &str) {
        (self.tell)(line);
    }

    fn door(&self) -> MutexGuard<'_, Option<PipeWriter>> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a client in this thread.
    fn serve(&self, peer: &Peer) {
        if let Err(reason) = connection::serve(peer, self) {
            self.tell(&format!("client {}: {reason}", peer.number));
        }
    }

    /// Serves a client in a thread of its own.
    fn welcome(self: &Arc<Shared>, stream: Stream) {
        let number = self.next_client.fetch_add(1, Ordering::Relaxed);
        let Some(peer) = self.clients.add(number, stream, &self.options) else {
            self.tell(&format!("client {number}: turned away, there are too many"));
            return;
        };
        let (shared, served) = (self.clone(), peer.clone());
        let thread = std::thread::Builder::new().name("nbd client".into()).stack_size(STACK);
        let spawned = thread.spawn(move || {
            // Whatever goes wrong in here, the client is off the books afterwards.
            let _off = OffTheBooks { shared: &shared, peer: &served };
            shared.serve(&served);
        });
        if let Err(error) = spawned {
            self.clients.remove(&peer);
            self.tell(&format!("client {number}: no thread for it: {error}"));
        }
    }
}

struct OffTheBooks<'a> {
    shared: &'a Shared,
    peer: &'a Peer,
}

impl Drop for OffTheBooks<'_> {
    fn drop(&mut self) {
        self.shared.clients.remove(self.peer);
    }
}

impl Server {
    /// Makes a server that nobody can reach yet.
    pub fn new(exports: Arc<dyn Exports>, options: ServerOptions, tell: Tell) -> Server {
        let shared = Shared {
            exports,
            options,
            clock: WallClock::new(),
            pool: Arc::default(),
            clients: Clients::default(),
            tell,
            is_ending: AtomicBool::new(false),
            next_client: AtomicU64::new(1),
            door: Mutex::default(),
        };
        Server { shared: Arc::new(shared), acceptors: Mutex::default() }
    }

    /// Lets in whoever comes to one of these.
    ///
    /// Errors: the system has no pipe, or no thread, left.
    pub fn listen(&self, listeners: Vec<Listener>) -> std::io::Result<()> {
        let (reader, writer) = std::io::pipe()?;
        let shared = self.shared.clone();
        let thread = std::thread::Builder::new().name("nbd door".into()).stack_size(STACK);
        let acceptor = thread.spawn(move || accept(&shared, &listeners, &reader))?;
        self.acceptors.lock().unwrap_or_else(PoisonError::into_inner).push(acceptor);
        *self.shared.door() = Some(writer);
        Ok(())
    }

    /// Serves one client, and returns when it has left.
    pub fn serve(&self, stream: Stream) {
        let number = self.shared.next_client.fetch_add(1, Ordering::Relaxed);
        if let Some(peer) = self.shared.clients.add(number, stream, &self.shared.options) {
            let _off = OffTheBooks { shared: &self.shared, peer: &peer };
            self.shared.serve(&peer);
        }
    }

    /// Serves one client in a thread of its own.
    pub fn welcome(&self, stream: Stream) {
        self.shared.welcome(stream);
    }

    /// Number of clients that are connected.
    pub fn client_count(&self) -> usize {
        self.shared.clients.count()
    }

    /// Ends: nobody comes in, whoever asks for more is told so, what is under way is finished as far as that does not
    /// take too long. Returns when all connections are closed.
    pub fn stop(&self) {
        let shared = &self.shared;
        shared.is_ending.store(true, Ordering::Relaxed);
        if let Some(mut door) = shared.door().take() {
            // Closing it would do, but a writer that was inherited by a child would keep it open.
            let _ = door.write_all(b"x");
        }
        let acceptors = std::mem::take(&mut *self.acceptors.lock().unwrap_or_else(PoisonError::into_inner));
        for acceptor in acceptors {
            let _ = acceptor.join();
        }
        let start = shared.clock.now();
        let passed = || shared.clock.now().since(start);
        let tick = || shared.clock.sleep(Nanos::from_millis(5));
        let grace = shared.options.grace;
        for link in shared.clients.links() {
            link.refuse(grace);
        }
        while shared.clients.count() > 0 && passed() < shared.options.farewell {
            tick();
        }
        shared.clients.lock().is_closed = true;
        for link in shared.clients.links() {
            link.refuse(grace);
            link.leave();
        }
        while !shared.clients.links().is_empty() && passed() < grace {
            tick();
        }
        for link in shared.clients.links() {
            link.give_up();
        }
        // Those that still negotiate, and those that do not take what they are told, end with the process.
        let end = passed() + LAST_WAIT;
        while !shared.clients.links().is_empty() && passed() < end {
            tick();
        }
        for peer in shared.clients.peers() {
            peer.stream.stop();
        }
    }
}

/// Allows this process as many descriptors as the system lets it have: each connection takes one. A system that refuses
/// lets fewer clients in.
pub fn raise_descriptor_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Lets clients in until the door closes.
fn accept(shared: &Arc<Shared>, listeners: &[Listener], door: &PipeReader) {
    let mut polled: Vec<PollFd<'_>> =
        listeners.iter().map(|listener| PollFd::new(listener.as_fd(), PollFlags::POLLIN)).collect();
    polled.push(PollFd::new(door.as_fd(), PollFlags::POLLIN));
    let count = listeners.len();
    loop {
        if poll(&mut polled, PollTimeout::NONE).is_err() {
            continue;
        }
        let is_ready = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        if polled.get(count).is_none_or(is_ready) {
            return;
        }
        for (listener, _) in listeners.iter().zip(&polled).filter(|(_, fd)| is_ready(fd)) {
            match listener.accept() {
                Ok(Some(stream)) => shared.welcome(stream),
                Ok(None) => {}
                Err(error) => {
                    shared.tell(&format!("cannot let anybody in: {error}"));
                    // Out of descriptors, perhaps: some may come back.
                    let mut door = [PollFd::new(door.as_fd(), PollFlags::POLLIN)];
                    let _ = poll(&mut door, PollTimeout::from(50u8));
                }
            }
        }
    }
}
