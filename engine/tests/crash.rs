//! Power fails at every step of a rescue: nothing that the map calls rescued may be lost.
//!
//! Number of seeds: `DISKWRIGHT_CRASH_SEEDS`, 10,000 unless set.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use block::sink::ForgetfulSink;
use block::sink::SinkAction;
use block::source::MemorySource;
use block::{
    Abilities, BlockSink, BlockSource, ByteRange, Clock, Errno, Geometry, Nanos, Offset, Patience, RangeSet,
    ReadReply, Recovery, SinkError, SourceError, VirtualClock,
};
use engine::keeper::Found;
use engine::rescue::Surroundings;
use engine::strategy::{Classic, ClassicOptions};
use engine::{
    Book, Ending, Event, Keeper, KeeperOptions, MapStore, MemoryStore, Observer, Report, Rescue,
    RescueOptions, Unattended, WriteOptions,
};
use map::mapfile::Heading;
use map::{Mapfile, RescueMap, Status};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use simulator::{Pace, Scenario};

/// Steps left until the power fails; shared by all that need power.
#[derive(Clone)]
struct Power(Arc<AtomicU64>);

impl Power {
    fn take(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

struct PoweredSink(ForgetfulSink, Power);

impl PoweredSink {
    fn step<T>(
        &mut self,
        act: impl FnOnce(&mut ForgetfulSink) -> Result<T, SinkError>,
    ) -> Result<T, SinkError> {
        if self.1.take() {
            return act(&mut self.0);
        }
        Err(SinkError { path: "sink".into(), action: SinkAction::Write, at: Offset::ZERO, errno: Errno::EIO })
    }
}

impl BlockSink for PoweredSink {
    fn write_at(&mut self, at: Offset, bytes: &[u8]) -> Result<(), SinkError> {
        self.step(|sink| sink.write_at(at, bytes))
    }
    fn read_back(&mut self, at: Offset, buffer: &mut [u8]) -> Result<usize, SinkError> {
        self.step(|sink| sink.read_back(at, buffer))
    }
    fn flush(&mut self) -> Result<(), SinkError> {
        self.step(BlockSink::flush)
    }
    fn size(&mut self) -> Result<u64, SinkError> {
        self.step(BlockSink::size)
    }
    fn extend(&mut self, size: u64) -> Result<(), SinkError> {
        self.step(|sink| sink.extend(size))
    }
    fn allocate(&mut self, range: ByteRange) -> Result<(), SinkError> {
        self.step(|sink| sink.allocate(range))
    }
}

struct PoweredStore(MemoryStore, Power);

impl PoweredStore {
    fn step(&mut self, act: impl FnOnce(&mut MemoryStore) -> io::Result<()>) -> io::Result<()> {
        if self.1.take() { act(&mut self.0) } else { Err(io::Error::other("no power")) }
    }
}

impl MapStore for PoweredStore {
    fn write_new(&mut self, content: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        self.step(|store| store.write_new(content))
    }
    fn sync_new(&mut self) -> io::Result<()> {
        self.step(MapStore::sync_new)
    }
    fn link_backup(&mut self) -> io::Result<()> {
        self.step(MapStore::link_backup)
    }
    fn rename_new(&mut self) -> io::Result<()> {
        self.step(MapStore::rename_new)
    }
    fn sync_folder(&mut self) -> io::Result<()> {
        self.step(MapStore::sync_folder)
    }
    fn append_journal(&mut self, text: &[u8]) -> io::Result<()> {
        self.step(|store| store.append_journal(text))
    }
    fn sync_journal(&mut self) -> io::Result<()> {
        self.step(MapStore::sync_journal)
    }
    fn remove_journal(&mut self) -> io::Result<()> {
        self.step(MapStore::remove_journal)
    }
}

/// A source whose reads take a second each.
struct SlowSource<'a>(MemorySource, &'a VirtualClock);

impl BlockSource for SlowSource<'_> {
    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }
    fn abilities(&self) -> Abilities {
        self.0.abilities()
    }
    fn read_at(
        &mut self,
        at: Offset,
        buffer: &mut [u8],
        patience: Patience,
    ) -> Result<ReadReply, SourceError> {
        self.1.sleep(Nanos::from_secs(1));
        self.0.read_at(at, buffer, patience)
    }
    fn recover(&mut self, measure: Recovery) -> Result<(), SourceError> {
        self.0.recover(measure)
    }
}

/// Remembers how much was rescued when the map was last saved.
#[derive(Default)]
struct SavedWatch(Rc<Cell<u64>>);

impl Observer for SavedWatch {
    fn on(&mut self, event: &Event<'_>, report: &Report<'_>) {
        if matches!(event, Event::Saved) {
            self.0.set(report.book.bytes(Status::Finished));
        }
    }
}

struct World {
    bytes: Vec<u8>,
    damage: RangeSet,
    sink: ForgetfulSink,
    store: MemoryStore,
    save_secs: u64,
    cluster: u64,
    sparse: bool,
    /// A simulated disk in the place of bytes and damage, and its seed.
    disk: Option<(&'static Scenario, u64)>,
    journal: bool,
    /// Times that a journal was joined with its map.
    joined: Cell<u64>,
}

/// Small enough to be rescued thousands of times, with damage that answers after some tries.
const DISK: &str = r#"
description = "A disk of half a megabyte with weak clusters and a dead head."
[disk]
medium = "hard-disk"
profile = "d35_1t"
size = "512 KiB"
physical-sector = 512
heads = 2
sectors-per-track = [64, 32]
band = "64 KiB"
[[fault]]
kind = "clusters"
count = 3
extent-max = "32 KiB"
hole = 0.0
retry = [0.6, 0.6]
[[fault]]
kind = "dead-head"
head = 1
"#;

static SCENARIO: LazyLock<Scenario> =
    LazyLock::new(|| Scenario::parse("crash", "crash.toml", DISK).unwrap_or_else(|error| panic!("{error}")));

impl World {
    fn random(dice: &mut ChaCha8Rng) -> World {
        let sectors = dice.random_range(8..200u64);
        let mut bytes: Vec<u8> = (0..sectors * 512).map(|_| dice.random_range(1..=255u8)).collect();
        for _ in 0..dice.random_range(0..3) {
            let from = dice.random_range(0..bytes.len());
            let to = bytes.len().min(from + dice.random_range(0..20_000));
            bytes[from..to].fill(0);
        }
        let areas = dice.random_range(0..5);
        let damage = (0..areas)
            .map(|_| {
                let start = dice.random_range(0..sectors);
                ByteRange::new(Offset::new(start * 512), 512 * dice.random_range(1..20u64))
            })
            .collect();
        World {
            bytes,
            damage,
            sink: ForgetfulSink::new(),
            store: MemoryStore::new(),
            save_secs: dice.random_range(0..12),
            cluster: 512 * dice.random_range(1..9u64),
            sparse: dice.random(),
            disk: None,
            journal: dice.random(),
            joined: Cell::new(0),
        }
    }

    /// The same with a simulated disk.
    fn simulated(dice: &mut ChaCha8Rng) -> World {
        let seed = dice.random_range(0..1 << 40);
        let clock = Arc::new(VirtualClock::new(Nanos::ZERO));
        let source = SCENARIO.source(seed, None, clock, Pace::Instant).expect("a disk");
        let mut bytes = vec![0; 512 << 10];
        source.content().read(Offset::ZERO, &mut bytes).expect("computed bytes");
        World { bytes, damage: RangeSet::new(), disk: Some((&SCENARIO, seed)), ..World::random(dice) }
    }

    /// Runs until the end or until the power fails; returns how it ended and the bytes rescued at the last save.
    fn run(&self, steps: u64) -> (Ending, u64) {
        let power = Power(Arc::new(AtomicU64::new(steps)));
        // A simulated disk has three days from the start of its clock.
        let start = if self.disk.is_some() { Nanos::ZERO } else { Nanos::from_secs(1_000_000) };
        let clock = Arc::new(VirtualClock::new(start));
        let memory = MemorySource::new(self.bytes.clone()).with_damage(self.damage.clone());
        let mut source: Box<dyn BlockSource> = match self.disk {
            None => Box::new(SlowSource(memory, &clock)),
            Some((scenario, seed)) => {
                Box::new(scenario.source(seed, None, clock.clone(), Pace::Instant).expect("a disk"))
            }
        };
        let mut sink = PoweredSink(self.sink.clone(), power.clone());
        let whole = ByteRange::new(Offset::ZERO, self.bytes.len() as u64);
        let joined = self.join_journal(&mut PoweredStore(self.store.clone(), power.clone()));
        if joined.is_err() {
            return (Ending::Interrupted, self.finished());
        }
        let mapfile = self.mapfile();
        assert_eq!(self.store.journal(), None, "a journal that nobody reads");
        let mut map = mapfile.map;
        map.extend_to(whole, Status::NonTried);
        let saved = Rc::new(Cell::new(0));
        let mut watch = SavedWatch(saved.clone());
        let options = KeeperOptions { save_secs: Some(self.save_secs), sync_secs: 20, journal: self.journal };
        let store = Box::new(PoweredStore(self.store.clone(), power));
        let keeper = Keeper::new(store, options, clock.now().whole_secs());
        let classic = ClassicOptions {
            cluster: self.cluster,
            skip_initial: 4096,
            skip_max: 16384,
            resume: Some(mapfile.position),
            ..ClassicOptions::default()
        };
        let book = Book::new(map, RangeSet::from(whole));
        saved.set(book.bytes(Status::Finished));
        let mut nobody = Unattended;
        let mut rescue = Rescue::new(
            Surroundings {
                source: &mut *source,
                sink: &mut sink,
                clock: &*clock,
                observer: &mut watch,
                operator: &mut nobody,
                interrupt: &|| false,
                keeper: Some(keeper),
                heading: &|_| Heading::default(),
            },
            RescueOptions {
                watch: false,
                write: WriteOptions { sparse: self.sparse, ..WriteOptions::default() },
                ..RescueOptions::default()
            },
            book,
            mapfile.position,
        );
        let ending = rescue.run(&mut Classic::new(classic));
        drop(rescue);
        (ending, saved.get())
    }

    /// What the next run knows: map and journal together.
    fn mapfile(&self) -> Mapfile {
        let text = self.store.text().unwrap_or_default();
        let mut mapfile = Mapfile::parse(&text)
            .unwrap_or_else(|e| panic!("a torn map: {e}\n{}", String::from_utf8_lossy(&text)));
        if let Some(journal) = self.store.journal() {
            engine::journal::replay(&mut mapfile, &text, &journal);
        }
        mapfile
    }

    /// Bytes that the next run knows to be rescued.
    fn finished(&self) -> u64 {
        self.mapfile().map.blocks().filter(|b| b.status == Status::Finished).map(|b| b.range.length()).sum()
    }

    /// What a run does with a journal before anything else.
    fn join_journal(&self, store: &mut PoweredStore) -> io::Result<()> {
        let Some(journal) = self.store.journal() else { return Ok(()) };
        let text = self.store.text().unwrap_or_default();
        match engine::keeper::join_journal(store, &text, &journal)? {
            Found::ForeignJournal => store.remove_journal(),
            Found::Joined => {
                self.joined.set(self.joined.get() + 1);
                Ok(())
            }
            Found::NoJournal => Ok(()),
        }
    }

    /// Every byte that the map calls rescued is the source's in the image.
    fn check_promises(&self) -> u64 {
        let image = self.sink.bytes();
        let mapfile = self.mapfile();
        let finished: Vec<ByteRange> =
            mapfile.map.blocks().filter(|b| b.status == Status::Finished).map(|b| b.range).collect();
        for range in &finished {
            let (from, to) = (range.start().bytes() as usize, range.end().bytes() as usize);
            assert_eq!(image.get(from..to), Some(&self.bytes[from..to]), "a false + at {range}");
        }
        finished.iter().map(|r| r.length()).sum()
    }
}

#[test]
fn no_crash_makes_the_map_lie_and_every_run_resumes() {
    crash_worlds(World::random, 1);
}

#[test]
fn nor_does_one_on_a_simulated_disk() {
    crash_worlds(World::simulated, 10);
}

/// Crashes worlds; one in `share` of the seeds that are asked for.
fn crash_worlds(make: fn(&mut ChaCha8Rng) -> World, share: u64) {
    let seeds = std::env::var("DISKWRIGHT_CRASH_SEEDS").map_or(10_000, |n| n.parse().expect("a number"));
    let seed_now = RefCell::new(0u64);
    let mut joined = 0;
    for seed in 0..seeds / share {
        *seed_now.borrow_mut() = seed;
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let world = make(&mut dice);
        let result =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| crash_and_resume(&world, &mut dice)));
        if let Err(panic) = result {
            eprintln!("seed {seed} (run it alone by changing the loop's range)");
            std::panic::resume_unwind(panic);
        }
        joined += world.joined.get();
    }
    assert!(joined > seeds / share / 20, "only {joined} journals were met in {} runs", seeds / share);
}

fn crash_and_resume(world: &World, dice: &mut ChaCha8Rng) {
    let mut crashes = 0;
    loop {
        // At first at any step, so that all of them are met; later further apart, so that the rescue gets on.
        let steps = if crashes < 6 { dice.random_range(0..30) } else { 10_000 };
        let (ending, saved) = world.run(steps);
        if matches!(ending, Ending::Finished) {
            break;
        }
        let promised_before = saved;
        world.sink.crash(|| dice.random());
        world.store.crash(|| dice.random());
        let kept = world.check_promises();
        // What was saved is saved: nothing of it is read again.
        assert!(kept >= promised_before, "{kept} bytes kept of {promised_before} saved");
        crashes += 1;
        assert!(crashes < 10, "the rescue does not get on: {ending:?}");
    }
    world.check_promises();
    let whole = ByteRange::new(Offset::ZERO, world.bytes.len() as u64);
    let mapfile = world.mapfile();
    assert_eq!(mapfile.map.extent(), Some(whole));
    if world.disk.is_some() {
        // Which of its weak sectors answered hangs on how often each was tried between crashes.
        return;
    }
    let expected: RescueMap = {
        let mut map = RescueMap::single(whole, Status::Finished);
        for bad in world.damage.pieces_in(whole) {
            map.change(bad, Status::BadSector, &RangeSet::from(whole));
        }
        map
    };
    assert_eq!(mapfile.map, expected);
}

#[test]
fn a_failing_store_stops_the_run_and_leaves_the_old_map() {
    let mut dice = ChaCha8Rng::seed_from_u64(7);
    let world = World { save_secs: 0, ..World::random(&mut dice) };
    world.store.fail_at(12);
    let (ending, _) = world.run(u64::MAX);
    assert!(matches!(ending, Ending::Failed(engine::Trouble::Map(_))), "{ending:?}");
    world.check_promises();
}
