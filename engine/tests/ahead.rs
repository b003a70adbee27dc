//! Reading ahead changes nothing: the same reads are recorded, the same map and image come out, whatever the source
//! does with reads in flight.
//!
//! Number of seeds: `DISKWRIGHT_SEEDS`, 2,000 unless set.

use block::sink::MemorySink;
use block::source::MemorySource;
use block::{
    Abilities, BlockSource, ByteRange, Clock, Completion, Extent, ExtentKind, Geometry, Nanos, Offset,
    Patience, RangeSet, ReadQueue, ReadReply, ReadRequest, Recovery, SourceError, Ticket, VirtualClock,
};
use engine::rescue::Surroundings;
use engine::strategy::classic::Turning;
use engine::strategy::{Classic, ClassicOptions};
use engine::{
    Book, Direction, Ending, EndsAt, Event, IfUnread, Observer, Outcome, RatesOptions, Report, Rescue,
    RescueOptions, Stage, Step, Strategy, Sweep, Unattended, View, WriteOptions,
};
use map::mapfile::Heading;
use map::{Phase, Position, RescueMap, Status};
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
    /// What the source was asked for, in the order in which it answered.
    asked: Vec<ByteRange>,
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
            keeps_good: dice.random(),
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
        Left { log: log.0, map, image: sink.bytes, position: log.1, asked: source.inner.reads }
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

#[test]
fn after_a_piece_that_broke_nothing_is_read_in_pieces_before_enough_was_read_one_by_one() {
    for sector in 0..64u64 {
        let mut case = Case::random(sector);
        case.bytes = vec![7; 256 * 512];
        (case.size, case.start) = (256 * 512, 0);
        case.holes = RangeSet::new();
        case.damage = ByteRange::new(Offset::new((64 + sector) * 512), 512).into();
        case.classic = ClassicOptions { cluster: 2048, skip_initial: 0, ..ClassicOptions::default() };
        // More than there is.
        let left = case.run(Some(1 << 20), true);
        let pieces = left.asked.iter().filter(|read| read.length() > 2048);
        let broken = pieces.filter(|read| case.damage.pieces_in(**read).next().is_some());
        assert_eq!(broken.count(), 1, "sector {sector}");
    }
}

/// Begins a sweep over everything, which ends at its first slow read; then reads `units` units from where it stands.
struct Changing {
    whole: ByteRange,
    units: u64,
    steps: u32,
}

const UNIT: u64 = 4096;

impl Strategy for Changing {
    fn name(&self) -> &'static str {
        "changing"
    }

    fn step(&mut self, _: View<'_>, last: Option<&Outcome>) -> Option<Step> {
        self.steps += 1;
        let direction = Direction::Forwards;
        let stage = Stage { phase: Phase::Copying, pass: 1, round: 1, direction };
        let (if_unread, unit) = (IfUnread::NonTrimmed, UNIT);
        let patience = Patience::Endless;
        let sweep = |range, ends_at| {
            Step::Sweep(Sweep { range, unit, direction, stage, if_unread, ends_at, patience })
        };
        match (self.steps, last) {
            (1, _) => Some(sweep(self.whole, EndsAt::DamageOrSlowness)),
            (2, Some(outcome)) => {
                assert!(outcome.slow.is_some(), "the first sweep should end early");
                Some(sweep(ByteRange::new(outcome.last.end(), self.units * UNIT), EndsAt::Damage))
            }
            _ => None,
        }
    }
}

/// A source of which each piece takes two seconds.
struct Timed<'a>(Shuffled, &'a VirtualClock);

impl BlockSource for Timed<'_> {
    fn geometry(&self) -> Geometry {
        self.0.geometry()
    }
    fn abilities(&self) -> Abilities {
        self.0.abilities
    }
    fn read_at(
        &mut self,
        at: Offset,
        buffer: &mut [u8],
        patience: Patience,
    ) -> Result<ReadReply, SourceError> {
        self.0.read_at(at, buffer, patience)
    }
    fn recover(&mut self, measure: Recovery) -> Result<(), SourceError> {
        self.0.recover(measure)
    }
    fn queue(&mut self) -> Option<&mut dyn ReadQueue> {
        Some(self)
    }
}

impl ReadQueue for Timed<'_> {
    fn submit(&mut self, request: ReadRequest) -> Ticket {
        self.0.submit(request)
    }
    fn complete(&mut self, wait: Option<Nanos>) -> Option<Completion> {
        let completion = self.0.complete(wait)?;
        self.1.sleep(Nanos::from_secs(2));
        Some(completion)
    }
    fn in_flight(&self) -> usize {
        self.0.in_flight()
    }
}

#[test]
fn what_was_read_ahead_of_one_sweep_is_not_recorded_in_another_one_and_counts_as_in_flight() {
    // A piece is four units: of a sweep that goes on where the last one ended, the next piece of that one is too much.
    for units in 1..8 {
        let bytes: Vec<u8> = (0..64 * UNIT).map(|i| (i % 251) as u8 + 1).collect();
        let whole = ByteRange::new(Offset::ZERO, bytes.len() as u64);
        let clock = VirtualClock::default();
        let inner = Shuffled {
            inner: MemorySource::new(bytes.clone()),
            holes: RangeSet::new(),
            open: Vec::new(),
            next: 0,
            dice: ChaCha8Rng::seed_from_u64(units),
            abilities: Abilities {
                keeps_good: false,
                rotates: false,
                in_flight_max: 4,
                piece_bytes: 4 * UNIT as usize,
            },
        };
        let mut source = Timed(inner, &clock);
        let mut sink = MemorySink::default();
        let (mut nobody, mut log) = (Unattended, ReadsLog::default());
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
        let rates = RatesOptions { read_rate_min: Some(u64::MAX), slow_delay_secs: 0, slow_reset: false };
        let options = RescueOptions { rates, ahead_after: Some(0), ..RescueOptions::default() };
        let book = Book::new(RescueMap::single(whole, Status::NonTried), whole.into());
        let mut rescue = Rescue::new(surroundings, options, book, Position::default());
        let ending = rescue.run(&mut Changing { whole, units, steps: 0 });
        assert!(matches!(ending, Ending::Finished), "{ending:?}");
        let map = rescue.book().map().clone();
        drop(rescue);
        let end = (4 + units) * UNIT;
        let read = ByteRange::new(Offset::ZERO, end);
        let finished: Vec<ByteRange> =
            map.blocks().filter(|b| b.status == Status::Finished).map(|b| b.range).collect();
        assert_eq!(finished, [read], "{units} units");
        assert_eq!(sink.bytes, bytes[..end as usize], "{units} units");
    }
}
