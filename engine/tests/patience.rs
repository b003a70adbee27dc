//! Reads that take longer than somebody is willing to wait: they count as failed, nothing is asked of the device before it
//! is done with them, and what they bring after all is kept.
//!
//! Number of seeds: `DISKWRIGHT_SEEDS`, 2,000 unless set.

use std::collections::VecDeque;

use block::sink::MemorySink;
use block::source::MemorySource;
use block::{
    Abilities, BlockSource, ByteRange, Clock, Completion, Damage, Errno, Geometry, Nanos, Offset, Patience,
    RangeSet, ReadQueue, ReadReply, ReadRequest, Recovery, SourceError, Ticket, VirtualClock,
};
use engine::rescue::{Interrupt, Surroundings};
use engine::strategy::{Classic, ClassicOptions};
use engine::{Book, Ending, Event, Observer, Report, Rescue, RescueOptions, Unattended};
use map::mapfile::Heading;
use map::{Position, RescueMap, Status};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SECTOR: u64 = 512;
const LIMIT: Nanos = Nanos::from_secs(5);
const QUICK: Nanos = Nanos::from_millis(1);

/// A device that serves one read after the other, and takes its time where it is slow.
struct Sluggish<'a> {
    inner: MemorySource,
    slow: Vec<(ByteRange, Nanos)>,
    clock: &'a VirtualClock,
    open: VecDeque<(Ticket, ReadRequest, Nanos)>,
    next: u64,
    kind: Kind,
    reads_ahead: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Reads can be left behind.
    Queue,
    /// Reads can be aborted.
    Aborting,
}

impl Sluggish<'_> {
    fn time_of(&self, range: ByteRange) -> Nanos {
        let touched = self.slow.iter().filter(|(slow, _)| !slow.overlap(range).is_empty());
        touched.map(|(_, time)| *time).max().unwrap_or(QUICK)
    }
}

impl BlockSource for Sluggish<'_> {
    fn geometry(&self) -> Geometry {
        self.inner.geometry()
    }
    fn abilities(&self) -> Abilities {
        Abilities { keeps_good: false, rotates: false, in_flight_max: 3, piece_bytes: 8192 }
    }
    fn read_at(
        &mut self,
        at: Offset,
        buffer: &mut [u8],
        patience: Patience,
    ) -> Result<ReadReply, SourceError> {
        let time = self.time_of(ByteRange::new(at, buffer.len() as u64));
        match patience {
            Patience::UpTo(limit) if time > limit => {
                self.clock.sleep(limit);
                Ok(ReadReply::failed(Damage::new(Errno::ETIMEDOUT)))
            }
            _ => {
                self.clock.sleep(time);
                self.inner.read_at(at, buffer, patience)
            }
        }
    }
    fn recover(&mut self, measure: Recovery) -> Result<(), SourceError> {
        self.inner.recover(measure)
    }
    fn queue(&mut self) -> Option<&mut dyn ReadQueue> {
        (self.kind == Kind::Queue).then_some(self as &mut dyn ReadQueue)
    }
}

impl ReadQueue for Sluggish<'_> {
    fn submit(&mut self, request: ReadRequest) -> Ticket {
        let range = ByteRange::new(request.at, request.length as u64);
        let begins = self.open.back().map_or(self.clock.now(), |(_, _, done)| *done);
        assert!(self.reads_ahead || self.open.is_empty(), "a read of a device that is busy");
        self.next += 1;
        self.open.push_back((Ticket(self.next), request, begins + self.time_of(range)));
        Ticket(self.next)
    }
    fn complete(&mut self, wait: Option<Nanos>) -> Option<Completion> {
        let left = self.open.front()?.2.since(self.clock.now());
        if let Some(wait) = wait.filter(|wait| *wait < left) {
            self.clock.sleep(wait);
            return None;
        }
        self.clock.sleep(left);
        let (ticket, ReadRequest { at, length, mut buffer }, _) = self.open.pop_front()?;
        let result = self.inner.read_at(at, &mut buffer[..length], Patience::Endless);
        Some(Completion { ticket, buffer, result })
    }
    fn in_flight(&self) -> usize {
        self.open.len()
    }
}

/// One read, as it was told: range, bytes copied and failed, error number, time.
type Told = (ByteRange, u64, u64, Option<Errno>, Nanos);

#[derive(Default)]
struct Log(Vec<Told>);

impl Observer for Log {
    fn on(&mut self, event: &Event<'_>, _: &Report<'_>) {
        if let Event::Tried(tried) = event {
            self.0.push((tried.range, tried.copied, tried.failed, tried.errno, tried.took));
        }
    }
}

struct Left {
    ending: Ending,
    map: RescueMap,
    image: Vec<u8>,
    log: Vec<Told>,
}

struct Case {
    bytes: Vec<u8>,
    damage: RangeSet,
    slow: Vec<(ByteRange, Nanos)>,
    kind: Kind,
    ahead_after: Option<u64>,
}

impl Case {
    fn of_sectors(sectors: u64) -> Case {
        let bytes = (0..sectors * SECTOR).map(|i| (i % 251) as u8 + 1).collect();
        Case { bytes, damage: RangeSet::new(), slow: Vec::new(), kind: Kind::Queue, ahead_after: None }
    }

    fn whole(&self) -> ByteRange {
        ByteRange::new(Offset::ZERO, self.bytes.len() as u64)
    }

    fn run(&self, clock: &VirtualClock, interrupt: &Interrupt<'_>) -> Left {
        let inner = MemorySource::new(self.bytes.clone()).with_damage(self.damage.clone());
        let (slow, open, reads_ahead) = (self.slow.clone(), VecDeque::new(), self.ahead_after.is_some());
        let mut source = Sluggish { inner, slow, clock, open, next: 0, kind: self.kind, reads_ahead };
        let mut sink = MemorySink::default();
        let book = Book::new(RescueMap::single(self.whole(), Status::NonTried), self.whole().into());
        let (mut log, mut nobody) = (Log::default(), Unattended);
        let surroundings = Surroundings {
            source: &mut source,
            sink: &mut sink,
            clock,
            observer: &mut log,
            operator: &mut nobody,
            interrupt,
            keeper: None,
            heading: &|_| Heading::default(),
        };
        let patience = Patience::UpTo(LIMIT);
        let options = RescueOptions { patience, ahead_after: self.ahead_after, ..RescueOptions::default() };
        let mut rescue = Rescue::new(surroundings, options, book, Position::default());
        let classic = ClassicOptions {
            cluster: 4 * SECTOR,
            skip_initial: 4 * SECTOR,
            skip_max: 16 * SECTOR,
            ..ClassicOptions::default()
        };
        let ending = rescue.run(&mut Classic::new(classic));
        let map = rescue.book().map().clone();
        drop(rescue);
        Left { ending, map, image: sink.bytes, log: log.0 }
    }
}

fn sectors(first: u64, count: u64) -> ByteRange {
    ByteRange::new(Offset::new(first * SECTOR), count * SECTOR)
}

#[test]
fn a_read_over_the_limit_counts_as_failed_and_what_it_brings_after_all_is_kept() {
    let mut case = Case::of_sectors(32);
    case.slow = vec![(sectors(9, 1), Nanos::from_secs(60))];
    let clock = VirtualClock::default();
    let left = case.run(&clock, &|| false);
    assert!(matches!(left.ending, Ending::Finished), "{:?}", left.ending);
    let told = |range: ByteRange| left.log.iter().filter(move |told| told.0 == range).collect::<Vec<_>>();
    let length = 4 * SECTOR;
    assert_eq!(
        told(sectors(8, 4)),
        [
            &(sectors(8, 4), 0, length, Some(Errno::ETIMEDOUT), LIMIT),
            &(sectors(8, 4), length, 0, None, Nanos::from_secs(60)),
        ]
    );
    // The strategy jumps away from it as from any damage; the next read's time is its own.
    let next = left.log.iter().skip_while(|told| told.0 != sectors(8, 4)).nth(2).expect("another read");
    assert_eq!((next.0, next.4), (sectors(16, 4), QUICK));
    assert_eq!(left.map, RescueMap::single(case.whole(), Status::Finished));
    assert_eq!(left.image, case.bytes);
}

#[test]
fn a_device_that_can_abort_reads_is_told_how_long_to_take() {
    let mut case = Case { kind: Kind::Aborting, ..Case::of_sectors(32) };
    case.slow = vec![(sectors(9, 1), Nanos::from_secs(60))];
    let clock = VirtualClock::default();
    let left = case.run(&clock, &|| false);
    assert!(matches!(left.ending, Ending::Finished), "{:?}", left.ending);
    let bad: Vec<ByteRange> =
        left.map.blocks().filter(|b| b.status != Status::Finished).map(|b| b.range).collect();
    assert_eq!(bad, [sectors(9, 1)]);
    // The cluster in the first pass, the sector when its cluster is trimmed.
    assert_eq!(left.log.iter().filter(|told| told.3 == Some(Errno::ETIMEDOUT)).count(), 2);
    assert!(clock.now() < Nanos::from_secs(11));
}

#[test]
fn nobody_who_wants_to_leave_waits_for_a_read_that_was_left_behind() {
    let mut case = Case::of_sectors(32);
    case.slow = vec![(sectors(9, 1), Nanos::from_secs(3600))];
    let clock = VirtualClock::default();
    let left = case.run(&clock, &|| clock.now() > Nanos::from_secs(10));
    assert!(matches!(left.ending, Ending::Interrupted), "{:?}", left.ending);
    assert!(clock.now() < Nanos::from_secs(11));
    let failed = left.map.block_at(Offset::new(9 * SECTOR)).expect("a block");
    assert_eq!((failed.range, failed.status), (sectors(8, 4), Status::NonTrimmed));
}

#[test]
fn slow_reads_cost_no_byte_that_the_device_gives_at_last() {
    let seeds = std::env::var("DISKWRIGHT_SEEDS").map_or(2_000, |n| n.parse().expect("a number"));
    for seed in 0..seeds {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let count = dice.random_range(1..300u64);
        let mut case = Case::of_sectors(count);
        let whole = case.whole();
        let mut range = || sectors(dice.random_range(0..count), dice.random_range(1..12)).overlap(whole);
        case.damage = (0..3).map(|_| range()).collect();
        let slow: Vec<ByteRange> = (0..3).map(|_| range()).collect();
        case.slow =
            slow.into_iter().map(|slow| (slow, Nanos::from_millis(dice.random_range(0..20_000)))).collect();
        case.ahead_after = dice.random::<bool>().then(|| dice.random_range(0..50_000));
        let clock = VirtualClock::default();
        let left = case.run(&clock, &|| false);
        assert!(matches!(left.ending, Ending::Finished), "seed {seed}: {:?}", left.ending);
        let bad: RangeSet =
            left.map.blocks().filter(|b| b.status != Status::Finished).map(|b| b.range).collect();
        assert_eq!(bad, case.damage, "seed {seed}");
        for block in left.map.blocks().filter(|b| b.status == Status::Finished) {
            let (from, to) = (block.range.start().bytes() as usize, block.range.end().bytes() as usize);
            assert!(
                left.image[from..to] == case.bytes[from..to],
                "a false + at {}, seed {seed}",
                block.range
            );
        }
    }
}
