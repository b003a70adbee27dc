//! A random simulated disk, and a rescue of it by any strategy, from any map, up to any read.

use std::cell::Cell;
use std::fmt::Write as _;
use std::sync::Arc;

use block::sink::MemorySink;
use block::{ByteRange, Nanos, Offset, RangeSet, VirtualClock};
use engine::rescue::Surroundings;
use engine::strategy::{self, Ground, Settings};
use engine::{Book, Ending, Event, Observer, Report, Rescue, RescueOptions, Unattended};
use map::mapfile::Heading;
use map::masked::finished_of;
use map::{Position, RescueMap, Status};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use simulator::{Access, Pace, Scenario};

/// A read that was made: where, how much, and how much of it came.
pub type Read = (u64, u64, u64);

/// A disk to rescue.
pub struct Disk {
    pub scenario: Scenario,
    pub access: Access,
    pub lost: RangeSet,
    pub size: u64,
    pub sector: u64,
}

impl Disk {
    /// A disk with up to `areas_max` bad places and as many slow ones.
    pub fn random(seed: u64, areas_max: u64) -> Disk {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let sector = if dice.random::<bool>() { 512 } else { 4096 };
        // Not always a multiple of anybody's block.
        let sectors = dice.random_range(1..3 << 20) / sector + 1;
        let size = sectors * sector;
        let mut text = format!(
            "description = \"Random.\"\n[disk]\nmedium = \"uniform\"\nsize = {size}\nphysical-sector = {sector}\n\
             sector-time = \"20 us\"\nrecovery = \"300 ms\"\n"
        );
        let mut taken = RangeSet::new();
        for health in ["bad", "slow"] {
            let mut ranges = Vec::new();
            for _ in 0..dice.random_range(0..=areas_max) {
                let start = dice.random_range(0..sectors);
                // Most are small, few are large.
                let longest = dice.random_range(0..600);
                let longest = dice.random_range(0..=longest);
                let length = 1 + dice.random_range(0..=longest);
                let end = (start + length).min(sectors);
                let range = ByteRange::between(Offset::new(start * sector), Offset::new(end * sector));
                if taken.pieces_in(range).next().is_none() {
                    taken.insert(range);
                    ranges.push([range.start().bytes(), range.end().bytes()]);
                }
            }
            if !ranges.is_empty() {
                let _ = write!(
                    text,
                    "[[fault]]\nkind = \"region\"\nhealth = \"{health}\"\nranges = {ranges:?}\n"
                );
                // Slower ones would be given up by the system.
                text += if health == "slow" { "slow-time = [\"20 ms\", \"100 ms\"]\n" } else { "" };
            }
        }
        let access = if dice.random::<bool>() { Access::Raw } else { Access::Direct };
        let scenario =
            Scenario::parse("random", "random.toml", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let lost = scenario.lost(seed).expect("a disk");
        Disk { scenario, access, lost, size, sector }
    }

    pub fn whole(&self) -> ByteRange {
        ByteRange::new(Offset::ZERO, self.size)
    }

    /// A map of which nothing was tried.
    pub fn untried(&self) -> RescueMap {
        RescueMap::single(self.whole(), Status::NonTried)
    }

    pub fn ground(&self) -> Ground {
        Ground { is_direct: self.access == Access::Direct, ..Ground::new(self.sector, Some(self.size)) }
    }

    /// Rescues it with the strategy `name` from `map` on, not making more reads than `reads_max`.
    pub fn rescue(&self, name: &str, map: RescueMap, resume: Option<Position>, reads_max: u64) -> Rescued {
        let clock = Arc::new(VirtualClock::new(Nanos::ZERO));
        let seed = self.scenario.seed();
        let mut source =
            self.scenario.source(seed, Some(self.access), clock.clone(), Pace::Instant).expect("a disk");
        let mut sink = MemorySink::default();
        let mut log = Log::default();
        let ground = Ground { resume, ..self.ground() };
        let entry = strategy::find(name).expect("a strategy");
        let mut strategy = (entry.make)(&ground, &Settings::default()).expect("it can be made");
        assert_eq!(strategy.name(), name);
        let asked = Cell::new(0);
        let interrupt = || {
            asked.set(asked.get() + 1);
            asked.get() > reads_max
        };
        let surroundings = Surroundings {
            source: &mut source,
            sink: &mut sink,
            clock: &*clock,
            observer: &mut log,
            operator: &mut Unattended,
            interrupt: &interrupt,
            keeper: None,
            heading: &|_| Heading::default(),
        };
        let options = RescueOptions { sector: self.sector, watch: false, ..RescueOptions::default() };
        let book = Book::new(map, self.whole().into());
        let mut rescue = Rescue::new(surroundings, options, book, resume.unwrap_or_default());
        let ending = rescue.run(&mut *strategy);
        let map = rescue.book().map().clone();
        drop(rescue);
        let mut truth = vec![0; self.size as usize];
        source.truth(Offset::ZERO, &mut truth).expect("bytes");
        Rescued { map, ending, reads: log.reads, position: log.position, image: sink.bytes, truth }
    }
}

/// What a rescue led to.
pub struct Rescued {
    pub map: RescueMap,
    pub ending: Ending,
    pub reads: Vec<Read>,
    pub position: Position,
    image: Vec<u8>,
    truth: Vec<u8>,
}

impl Rescued {
    pub fn finished(&self) -> RangeSet {
        finished_of(&self.map)
    }

    /// What reads brought.
    pub fn delivered(&self) -> RangeSet {
        let ranges = self.reads.iter().map(|(at, _, copied)| ByteRange::new(Offset::new(*at), *copied));
        ranges.filter(|range| !range.is_empty()).collect()
    }

    /// Whether the image holds the disk's bytes in `ranges`.
    pub fn is_true_in(&self, ranges: &RangeSet) -> bool {
        ranges.ranges().iter().all(|range| {
            let bytes = range.start().bytes() as usize..range.end().bytes() as usize;
            self.image.get(bytes.clone()) == self.truth.get(bytes)
        })
    }
}

#[derive(Default)]
struct Log {
    reads: Vec<Read>,
    position: Position,
}

impl Observer for Log {
    fn on(&mut self, event: &Event<'_>, report: &Report<'_>) {
        self.position = report.position;
        if let Event::Tried(tried) = event {
            let mut left = tried.copied;
            for read in tried.reads() {
                let copied = left.min(read.length());
                left -= copied;
                self.reads.push((read.start().bytes(), read.length(), copied));
            }
        }
    }
}
