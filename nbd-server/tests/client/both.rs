//! Our server and our client, with random devices between them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use block::{ByteRange, RangeSet, ReadQueue, Recovery};
use nbd_server::{Listener, Server, ServerOptions};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serving::{
    Answer, AttachError, Device, Exports, Facts, OpenError, Outlet, Reply, Request, Trouble, Work,
};

use super::*;

/// A device with damage, of which some answers come late and in another order, and which now and then goes away.
struct Patchy {
    size: u64,
    damage: RangeSet,
    /// Whether it reads on behind damage.
    reads_on: bool,
    /// Each so many requests it goes, with or without a word.
    leaves: u64,
    count: AtomicU64,
    late: Mutex<Vec<Late>>,
    wrote: AtomicBool,
}

/// An answer that nobody has got yet: its name, for whom, and what it says.
type Late = (u64, Arc<dyn Outlet>, Reply);

impl Patchy {
    fn answer(&self, range: ByteRange) -> Reply {
        let mut bytes = content().bytes(range.start().bytes(), range.length() as usize);
        let mut troubles = Vec::new();
        for bad in self.damage.pieces_in(range) {
            let end = if self.reads_on { bad.end() } else { range.end() };
            let range_of_trouble = ByteRange::between(bad.start(), end);
            let from = (bad.start() - range.start()) as usize;
            bytes[from..from + range_of_trouble.length() as usize].fill(0xBD);
            let (at, errno) = (Some(bad.start()), Errno::EIO);
            troubles.push(Trouble { range: range_of_trouble, at, errno, text: "media: bad".into() });
            if !self.reads_on {
                break;
            }
        }
        Reply::Answer(Answer { bytes, troubles })
    }

    /// Lets go of what is late, the last one first.
    fn release(&self) {
        let late = std::mem::take(&mut *self.late.lock().expect("no thread has panicked"));
        for (ticket, outlet, reply) in late.into_iter().rev() {
            outlet.deliver(ticket, reply);
        }
    }
}

impl Device for Patchy {
    fn facts(&self) -> Facts {
        Facts {
            size: self.size,
            logical_sector: 512,
            physical_sector: 4096,
            rotates: false,
            is_writable: true,
            has_health: true,
            description: "patchy".into(),
        }
    }

    fn attach(&self) -> Result<(), AttachError> {
        Ok(())
    }

    fn detach(&self, gone: &Arc<dyn Outlet>) {
        self.late.lock().expect("no thread has panicked").retain(|(_, outlet, _)| !Arc::ptr_eq(outlet, gone));
    }

    fn submit(&self, request: Request, ticket: u64, outlet: &Arc<dyn Outlet>) -> Option<Reply> {
        if request.work != Work::Read {
            self.wrote.store(true, Ordering::Relaxed);
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_multiple_of(self.leaves) {
            let is_polite = count.is_multiple_of(2 * self.leaves);
            return Some(if is_polite { Reply::Shutdown("gone".into()) } else { Reply::Drop });
        }
        let reply = self.answer(request.range);
        if count % 3 == 1 {
            self.late.lock().expect("no thread has panicked").push((ticket, outlet.clone(), reply));
            return None;
        }
        Some(reply)
    }
}

struct One(Arc<Patchy>);

impl Exports for One {
    fn list(&self) -> Vec<(String, String)> {
        vec![("patchy".into(), String::new())]
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Device>, OpenError> {
        match name {
            "" | "patchy" => Ok(self.0.clone()),
            _ => Err(OpenError::Unknown),
        }
    }
}

#[test]
fn what_the_server_has_is_what_the_client_gets() {
    let seeds = std::env::var("DISKWRIGHT_SEEDS").map_or(20, |n| n.parse().expect("a number"));
    for seed in 0..seeds {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let sectors = dice.random_range(8..4000u64);
        let size = sectors * 512;
        let mut range = || {
            let (start, length) = (dice.random_range(0..sectors), dice.random_range(1..40));
            ByteRange::new(Offset::new(start * 512), length * 512).overlap(ByteRange::new(Offset::ZERO, size))
        };
        let damage: RangeSet = (0..12).map(|_| range()).collect();
        let device = Arc::new(Patchy {
            size,
            damage: damage.clone(),
            reads_on: dice.random(),
            leaves: dice.random_range(10..100),
            count: AtomicU64::new(0),
            late: Mutex::default(),
            wrote: AtomicBool::new(false),
        });
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = Listener::unix(&folder.path().join("socket")).expect("a socket");
        let address = listener.address().uri("patchy").expect("an address");
        let server = Server::new(Arc::new(One(device.clone())), ServerOptions::default(), Box::new(|_| {}));
        server.listen(vec![listener]).expect("a thread");
        let uri = Uri::parse(&address).expect("an address").unwrap_or_else(|e| panic!("{e}"));
        let mut source = NbdSource::open(uri, NbdOptions::default()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(source.export().description.as_deref(), Some("patchy"));
        let mut losses = 0;
        for _ in 0..20 {
            let mut asked = std::collections::BTreeMap::new();
            for _ in 0..dice.random_range(1..8) {
                let at = dice.random_range(0..size);
                let length = dice.random_range(1..=(size - at).min(60_000)) as usize;
                asked.insert(source.submit(request(at, length)), (at, length));
            }
            while !asked.is_empty() {
                let Some(done) = source.complete(Some(Nanos::from_millis(1))) else {
                    device.release();
                    continue;
                };
                let (at, length) = asked.remove(&done.ticket).expect("one of ours");
                let reply = match done.result {
                    Ok(reply) => reply,
                    Err(error) => {
                        assert!(error.is_loss(), "seed {seed}: {error}");
                        losses += 1;
                        continue;
                    }
                };
                let range = ByteRange::new(Offset::new(at), length as u64);
                let mut good = RangeSet::from(range).minus(&damage);
                // The server reads whole sectors.
                let read = ByteRange::between(range.start().align_down(512), range.end().align_up(512));
                if let Some(first) = damage.pieces_in(read).next().filter(|_| !device.reads_on) {
                    good.crop(ByteRange::between(range.start(), first.start()));
                }
                let place = |at: usize| range.start() + at as u64;
                let pieces = reply.pieces(length);
                let found: RangeSet = pieces
                    .iter()
                    .map(|piece| ByteRange::between(place(piece.start), place(piece.end)))
                    .collect();
                assert_eq!(found, good, "seed {seed}: {range}");
                for piece in pieces {
                    let truth = content().bytes(at + piece.start as u64, piece.len());
                    assert!(done.buffer[piece] == truth, "seed {seed}: {range} holds something else");
                }
            }
            if source.presence().is_ok() {
                continue;
            }
            // What it knows the export by may be answered late, too.
            let stop = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        device.release();
                        rig::pause(std::time::Duration::from_millis(1));
                    }
                });
                rig::wait_until("it does not come back", || source.recover(Recovery::Rediscover).is_ok());
                stop.store(true, Ordering::Relaxed);
            });
        }
        assert!(losses > 0 || device.count.load(Ordering::Relaxed) < 2 * device.leaves, "seed {seed}");
        assert!(
            !device.wrote.load(Ordering::Relaxed),
            "seed {seed}: something else than a read was asked for"
        );
        drop(source);
        server.stop();
    }
}
