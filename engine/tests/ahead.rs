//! Reading ahead changes nothing: the same reads are recorded, the same map and image come out, whatever the source
//! does with reads in flight.
//!
//! Number of seeds: `DISKWRIGHT_SEEDS`, 2,000 unless set.

use block::sink::MemorySink;
use block::source::MemorySource;
use block::{
    Abilities, BlockSource, ByteRange, Completion, Extent, ExtentKind, Geometry, Nanos, Offset, Patience,
    RangeSet, ReadQueue, ReadReply, ReadRequest, Recovery, SourceError, Ticket, VirtualClock,
};
use engine::rescue::Surroundings;
use engine::strategy::classic::Turning;
use engine::strategy::{Classic, ClassicOptions};
use engine::{
    Book, Direction, Ending, Event, Observer, Report, Rescue, RescueOptions, Unattended, WriteOptions,
};
use map::mapfile::Heading;
use map::{Position, RescueMap, Status};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A source with reads in flight that are answered in any order, some only after having been asked for again.
struct Shuffled {
    inner: MemorySource,
    holes: RangeSet,
    open: Vec<(Ticket, ReadRequest)>,
    next: u64,
    dice: ChaCha8Rng,
    abilities: Abilities,
}

impl BlockSource for Shuffled {
    fn geometry(&self) -> Geometry {
        self.inner.geometry()
    }
    fn abilities(&self) -> Abilities {
        self.abilities
    }
    fn read_at(
        &mut self,
        at: Offset,
        buffer: &mut [u8],
        patience: Patience,
    ) -> Result<ReadReply, SourceError> {
        assert!(self.open.is_empty(), "a lone read while others are in flight");
        self.inner.read_at(at, buffer, patience)
    }
    fn recover(&mut self, measure: Recovery) -> Result<(), SourceError> {
        self.inner.recover(measure)
    }
    fn extents(&mut self, range: ByteRange) -> Vec<Extent> {
        let mut extents = Vec::new();
        let mut at = range.start();
        for hole in self.holes.pieces_in(range) {
            extents.push(Extent { range: ByteRange::between(at, hole.start()), kind: ExtentKind::Data });
            extents.push(Extent { range: hole, kind: ExtentKind::Hole });
            at = hole.end();
        }
        extents.push(Extent { range: ByteRange::between(at, range.end()), kind: ExtentKind::Data });
        extents.retain(|extent| !extent.range.is_empty());
        extents
    }
    fn queue(&mut self) -> Option<&mut dyn ReadQueue> {
        Some(self)
    }
}

impl ReadQueue for Shuffled {
    fn submit(&mut self, request: ReadRequest) -> Ticket {
        assert!(self.open.len() < self.abilities.in_flight_max, "more reads in flight than allowed");
        self.next += 1;
        self.open.push((Ticket(self.next), request));
        Ticket(self.next)
    }
    fn complete(&mut self, wait: Option<Nanos>) -> Option<Completion> {
        if self.open.is_empty() || (wait.is_some() && self.dice.random_ratio(1, 3)) {
            return None;
        }
        let (ticket, request) = self.open.swap_remove(self.dice.random_range(0..self.open.len()));
        let ReadRequest { at, length, mut buffer } = request;
        let result = self.inner.read_at(at, &mut buffer[..length], Patience::Endless);
        Some(Completion { ticket, buffer, result })
    }
    fn in_flight(&self) -> usize {
        self.open.len()
    }
}

/// Reads as GNU ddrescue would log them, and where it says that it stands after each of them.
#[derive(Default)]
struct ReadsLog(Vec<(u64, u64, u64, u64)>, Position);

impl Observer for ReadsLog {
    fn on(&mut self, event: &Event<'_>, report: &Report<'_>) {
        let Event::Tried(tried) = event else { return };
        self.1 = report.position;
        let reads: Vec<ByteRange> = tried.reads().collect();
        if reads.len() > 1 {
            assert_eq!(tried.copied, tried.range.length());
            self.0.extend(reads.iter().map(|r| (r.start().bytes(), r.length(), r.length(), 0)));
        } else {
            self.0.push((tried.range.start().bytes(), tried.range.length(), tried.copied, tried.failed));
        }
    }
}

struct Case {
    bytes: Vec<u8>,
    damage: RangeSet,
    holes: RangeSet,
    classic: ClassicOptions,
    sparse: bool,
    seed: u64,
    /// Bytes that the map says there are, at least as many as there are.
    size: u64,
    /// Where the domain begins.
    start: u64,
}

/// What is left of a run.
struct Left {
    log: Vec<(u64, u64, u64, u64)>,
    map: RescueMap,
    image: Vec<u8>,
    position: Position,
}

impl Case {
    fn random(seed: u64) -> Case {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let length = dice.random_range(1..400_000u64);
        let mut bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8 + 1).collect();
        let mut ranges = |count: u32, longest: u64| -> RangeSet {
            let count = dice.random_range(0..=count);
            let mut range = || {
                let start = dice.random_range(0..length);
                ByteRange::new(Offset::new(start), dice.random_range(1..longest).min(length - start))
            };
            (0..count).map(|_| range()).collect()
        };
        let damage = ranges(4, 30_000);
        let holes = ranges(3, 200_000);
        let damage: RangeSet =
            damage.ranges().iter().copied().filter(|d| holes.pieces_in(*d).next().is_none()).collect();
        for hole in holes.ranges() {
            bytes[hole.start().bytes() as usize..hole.end().bytes() as usize].fill(0);
        }
        let directions = [Direction::Forwards, Direction::Backwards];
        let skip_initial = 512 * dice.random_range(0..40);
        let classic = ClassicOptions {
            cluster: 512 * dice.random_range(1..20u64),
            skip_initial,
            skip_max: skip_initial * dice.random_range(1..9u64),
            direction: directions[dice.random_range(0..2)],
            turning: if dice.random() { Turning::Alternating } else { Turning::Never },
            retries: Some(dice.random_range(0..3)),
            ..ClassicOptions::default()
        };
        let size = if dice.random_ratio(1, 4) { length + dice.random_range(0..100_000) } else { length };
        let start = if dice.random() { dice.random_range(0..length) } else { 0 };
        Case { bytes, damage, holes, classic, sparse: dice.random(), seed, size, start }
    }

    fn run(&self, ahead_after: Option<u64>, watch: bool) -> Left {
        let mut dice = ChaCha8Rng::seed_from_u64(self.seed ^ 0x5EED);
        let abilities = Abilities {
            rotates: false,
            in_flight_max: dice.random_range(2..9),
            piece_bytes: 1 << dice.random_range(13..17),
        };
        let inner = MemorySource::new(self.bytes.clone()).with_damage(self.damage.clone());
        let mut source =
            Shuffled { inner, holes: self.holes.clone(), open: Vec::new(), next: 0, dice, abilities };
        let mut sink = MemorySink::default();
        let whole = ByteRange::new(Offset::ZERO, self.size);
        let domain = ByteRange::between(Offset::new(self.start), whole.end());
        let book = Book::new(RescueMap::single(whole, Status::NonTried), domain.into());
        let mut log = ReadsLog::default();
        let (clock, mut nobody) = (VirtualClock::default(), Unattended);
        let surroundings = Surroundings {
            source: &mut source,
            sink: &mut sink,
            clock: &clock,
            observer: &mut log,
            operator: &mut nobody,
            interrupt: &|| false,
            keeper: None,
            heading: &|_| Heading::default(),
        };
        let write = WriteOptions { sparse: self.sparse, ..WriteOptions::default() };
        let options = RescueOptions { ahead_after, watch, write, ..RescueOptions::default() };
        let mut rescue = Rescue::new(surroundings, options, book, Position::default());
        let ending = rescue.run(&mut Classic::new(self.classic.clone()));
        assert!(matches!(ending, Ending::Finished), "{ending:?}");
        let map = rescue.book().map().clone();
        drop(rescue);
        Left { log: log.0, map, image: sink.bytes, position: log.1 }
    }
}

#[test]
fn reading_ahead_records_the_same_reads_map_and_image_as_reading_one_by_one() {
    let seeds = std::env::var("DISKWRIGHT_SEEDS").map_or(2_000, |n| n.parse().expect("a number"));
    for seed in 0..seeds {
        let case = Case::random(seed);
        let plain = case.run(None, false);
        let mut dice = ChaCha8Rng::seed_from_u64(seed ^ 0xA11E);
        let ahead = case.run(Some(dice.random_range(0..50_000)), dice.random());
        assert_eq!(plain.map, ahead.map, "map, seed {seed}");
        assert_eq!(plain.log, ahead.log, "reads, seed {seed}");
        assert_eq!(plain.position, ahead.position, "position, seed {seed}");
        assert!(plain.image == ahead.image, "image, seed {seed}");
    }
}

#[test]
fn damage_next_to_every_border_of_a_piece_is_found_exactly() {
    // Pieces begin and end on multiples of the cluster: put single bad sectors all along.
    for sector in 0..64u64 {
        let mut case = Case::random(1);
        case.bytes = vec![7; 64 * 512];
        (case.size, case.start) = (64 * 512, 0);
        case.holes = RangeSet::new();
        case.damage = ByteRange::new(Offset::new(sector * 512), 512).into();
        case.classic =
            ClassicOptions { cluster: 2048, skip_initial: 512, skip_max: 512, ..ClassicOptions::default() };
        let left = case.run(Some(0), true);
        let bad: Vec<ByteRange> =
            left.map.blocks().filter(|b| b.status != Status::Finished).map(|b| b.range).collect();
        assert_eq!(bad, case.damage.ranges());
    }
}
