//! Sources that read on behind a place that failed, and sources that answer others while one read hangs: every good byte is
//! kept, no other one is, and nobody waits without need.
//!
//! Number of seeds: `DISKWRIGHT_SEEDS`, 2,000 unless set.

use std::collections::VecDeque;

use block::sink::MemorySink;
use block::{
    Abilities, BlockSource, ByteRange, Clock, Completion, Damage, Errno, Geometry, Nanos, Offset, Patience,
    RangeSet, ReadQueue, ReadReply, ReadRequest, Recovery, SourceError, Ticket, VirtualClock,
};
use engine::rescue::Surroundings;
use engine::strategy::{Classic, ClassicOptions};
use engine::{Book, Ending, Event, Observer, Report, Rescue, RescueOptions, Unattended};
use map::mapfile::Heading;
use map::{Position, RescueMap, Status};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SECTOR: u64 = 512;
const LIMIT: Nanos = Nanos::from_secs(5);
const QUICK: Nanos = Nanos::from_millis(1);

/// A source that brings all that is good of each request. Requests that touch `hung` are answered when `released`, others
/// meanwhile.
struct Going<'a> {
    bytes: Vec<u8>,
    damage: RangeSet,
    hung: RangeSet,
    released: Nanos,
    clock: &'a VirtualClock,
    open: VecDeque<(Ticket, ReadRequest, Nanos)>,
    left: Vec<Ticket>,
    next: u64,
    asked: Vec<ByteRange>,
}

impl Going<'_> {
    fn reply(&self, at: Offset, buffer: &mut [u8]) -> ReadReply {
        let range = ByteRange::new(at, buffer.len() as u64);
        let from = at.bytes() as usize;
        // What is not good is never the medium's.
        buffer.fill(0xEE);
        let good: Vec<_> = RangeSet::from(range)
            .minus(&self.damage)
            .ranges()
            .iter()
            .map(|good| (good.start() - at) as usize..(good.end() - at) as usize)
            .collect();
        for piece in &good {
            buffer[piece.clone()].copy_from_slice(&self.bytes[from + piece.start..from + piece.end]);
        }
        match self.damage.pieces_in(range).next() {
            None => ReadReply::all(),
            Some(bad) => {
                let damage = Damage { errno: Errno::EIO, at: Some(bad.start()) };
                ReadReply::of_pieces(good, buffer.len(), damage)
            }
        }
    }
}

impl BlockSource for Going<'_> {
    fn geometry(&self) -> Geometry {
        Geometry { size: Some(self.bytes.len() as u64), logical_sector: 512, physical_sector: 512 }
    }
    fn abilities(&self) -> Abilities {
        Abilities { keeps_good: true, rotates: false, in_flight_max: 4, piece_bytes: 8192 }
    }
    fn read_at(&mut self, at: Offset, buffer: &mut [u8], _: Patience) -> Result<ReadReply, SourceError> {
        self.asked.push(ByteRange::new(at, buffer.len() as u64));
        self.clock.sleep(QUICK);
        Ok(self.reply(at, buffer))
    }
    fn recover(&mut self, _: Recovery) -> Result<(), SourceError> {
        Ok(())
    }
    fn queue(&mut self) -> Option<&mut dyn ReadQueue> {
        Some(self)
    }
}

impl ReadQueue for Going<'_> {
    fn submit(&mut self, request: ReadRequest) -> Ticket {
        let range = ByteRange::new(request.at, request.length as u64);
        self.asked.push(range);
        let now = self.clock.now();
        let hangs = self.hung.pieces_in(range).next().is_some() && now < self.released;
        self.next += 1;
        self.open.push_back((Ticket(self.next), request, if hangs { self.released } else { now + QUICK }));
        Ticket(self.next)
    }
    fn complete(&mut self, wait: Option<Nanos>) -> Option<Completion> {
        let first = self.open.iter().map(|(_, _, due)| *due).min()?;
        let left = first.since(self.clock.now());
        // Like one that is watched by threads, it does not wait for what nobody waits for.
        if self.open.len() == self.left.len() && left > Nanos::ZERO {
            return None;
        }
        if let Some(wait) = wait.filter(|wait| *wait < left) {
            self.clock.sleep(wait);
            return None;
        }
        self.clock.sleep(left);
        let index = self.open.iter().position(|(_, _, due)| *due == first)?;
        let (ticket, ReadRequest { at, length, mut buffer }, _) = self.open.remove(index)?;
        self.left.retain(|left| *left != ticket);
        let result = Ok(self.reply(at, &mut buffer[..length]));
        Some(Completion { ticket, buffer, result })
    }
    fn in_flight(&self) -> usize {
        self.open.len() - self.left.len()
    }
    fn can_leave_behind(&self) -> bool {
        true
    }
    fn leave_behind(&mut self, ticket: Ticket) {
        self.left.push(ticket);
    }
}

#[derive(Default)]
struct Sums {
    copied: u64,
    failures: u64,
}

impl Observer for Sums {
    fn on(&mut self, event: &Event<'_>, _: &Report<'_>) {
        let Event::Tried(tried) = event else { return };
        assert!(tried.data.is_empty() || tried.data.len() as u64 == tried.leading);
        assert!(tried.copied + tried.failed == tried.range.length() && tried.leading <= tried.copied);
        self.copied += tried.copied;
        self.failures += u64::from(tried.failed > 0);
    }
}

struct Case {
    bytes: Vec<u8>,
    damage: RangeSet,
    hung: RangeSet,
    released: Nanos,
    cluster: u64,
    ahead_after: Option<u64>,
    retries: u32,
}

struct Left {
    map: RescueMap,
    image: Vec<u8>,
    sums: Sums,
    asked: Vec<ByteRange>,
    took: Nanos,
}

impl Case {
    fn of_sectors(sectors: u64) -> Case {
        Case {
            bytes: (0..sectors * SECTOR).map(|i| (i % 251) as u8 + 1).collect(),
            damage: RangeSet::new(),
            hung: RangeSet::new(),
            released: Nanos::ZERO,
            cluster: 8 * SECTOR,
            ahead_after: None,
            retries: 0,
        }
    }

    fn run(&self) -> Left {
        let clock = VirtualClock::default();
        let mut source = Going {
            bytes: self.bytes.clone(),
            damage: self.damage.clone(),
            hung: self.hung.clone(),
            released: self.released,
            clock: &clock,
            open: VecDeque::new(),
            left: Vec::new(),
            next: 0,
            asked: Vec::new(),
        };
        let whole = ByteRange::new(Offset::ZERO, self.bytes.len() as u64);
        let (mut sink, mut sums, mut nobody) = (MemorySink::default(), Sums::default(), Unattended);
        let surroundings = Surroundings {
            source: &mut source,
            sink: &mut sink,
            clock: &clock,
            observer: &mut sums,
            operator: &mut nobody,
            interrupt: &|| false,
            keeper: None,
            heading: &|_| Heading::default(),
        };
        let patience = Patience::UpTo(LIMIT);
        let options = RescueOptions { patience, ahead_after: self.ahead_after, ..RescueOptions::default() };
        let book = Book::new(RescueMap::single(whole, Status::NonTried), whole.into());
        let mut rescue = Rescue::new(surroundings, options, book, Position::default());
        let classic = ClassicOptions {
            cluster: self.cluster,
            skip_initial: self.cluster,
            skip_max: 4 * self.cluster,
            retries: Some(self.retries),
            ..ClassicOptions::default()
        };
        let ending = rescue.run(&mut Classic::new(classic));
        assert!(matches!(ending, Ending::Finished), "{ending:?}");
        let map = rescue.book().map().clone();
        drop(rescue);
        Left { map, image: sink.bytes, sums, asked: source.asked, took: clock.now() }
    }

    /// What is finished is the medium's; returns what is not finished.
    #[track_caller]
    fn check(&self, left: &Left, seed: u64) -> RangeSet {
        for block in left.map.blocks().filter(|b| b.status == Status::Finished) {
            let (from, to) = (block.range.start().bytes() as usize, block.range.end().bytes() as usize);
            let is_right = left.image[from..to] == self.bytes[from..to];
            assert!(is_right, "a false + at {}, seed {seed}", block.range);
        }
        left.map.blocks().filter(|b| b.status != Status::Finished).map(|b| b.range).collect()
    }
}

fn sectors(first: u64, count: u64) -> ByteRange {
    ByteRange::new(Offset::new(first * SECTOR), count * SECTOR)
}

#[test]
fn one_read_finds_single_bad_sectors_and_everything_around_them() {
    let mut case = Case::of_sectors(24);
    case.damage = [sectors(9, 1), sectors(11, 1), sectors(15, 1)].into_iter().collect();
    let left = case.run();
    assert_eq!(case.check(&left, 0), case.damage);
    // A gap of one sector is a bad sector at once: neither trimmed nor scraped.
    assert_eq!(left.asked, [sectors(0, 8), sectors(8, 8), sectors(16, 8)]);
    assert_eq!((left.sums.copied, left.sums.failures), (21 * SECTOR, 1));
    assert!(left.map.blocks().all(|b| matches!(b.status, Status::Finished | Status::BadSector)));
}

#[test]
fn a_piece_that_breaks_is_kept_up_to_the_request_that_failed() {
    // Pieces are two requests. The second piece breaks in its second request, which alone is read again.
    let mut case = Case { ahead_after: Some(0), ..Case::of_sectors(64) };
    case.damage = sectors(30, 2).into();
    let left = case.run();
    assert_eq!(case.check(&left, 0), case.damage);
    let first = sectors(17, 1).start();
    let reads = left.asked.iter().filter(|range| range.contains(first)).count();
    assert_eq!(reads, 1, "{:?}", left.asked);
    assert!(left.asked.contains(&sectors(24, 8)), "{:?}", left.asked);
}

#[test]
fn nothing_good_around_damage_is_lost_and_nothing_bad_is_called_good() {
    let seeds = std::env::var("DISKWRIGHT_SEEDS").map_or(2_000, |n| n.parse().expect("a number"));
    for seed in 0..seeds {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let count = dice.random_range(1..300u64);
        let mut case = Case::of_sectors(count);
        let whole = sectors(0, count);
        let mut range = || sectors(dice.random_range(0..count), dice.random_range(1..12)).overlap(whole);
        case.damage = (0..4).map(|_| range()).collect();
        case.hung = range().into();
        case.released = Nanos::from_secs(dice.random_range(0..30));
        case.cluster = SECTOR * dice.random_range(1..20u64);
        case.ahead_after = dice.random::<bool>().then(|| dice.random_range(0..50_000));
        // So many that the last one comes after the release.
        case.retries = 7;
        let left = case.run();
        assert_eq!(case.check(&left, seed), case.damage, "seed {seed}");
    }
}

#[test]
fn while_a_read_hangs_others_are_made_and_what_it_brings_at_last_is_kept() {
    for ahead_after in [None, Some(0)] {
        let mut case = Case { ahead_after, ..Case::of_sectors(256) };
        case.hung = sectors(101, 1).into();
        case.released = Nanos::from_secs(3600);
        let left = case.run();
        // It hangs in a piece, in its cluster, and alone.
        assert_eq!(case.check(&left, 0), case.hung);
        assert!(left.took < Nanos::from_secs(20), "{:?} s", left.took.whole_secs());
        // Here it comes while others are still retried: the reads that hung are there before those that are made anew.
        case.damage = sectors(200, 40).into();
        case.released = Nanos::from_secs(6);
        let left = case.run();
        assert_eq!(case.check(&left, 0), case.damage);
    }
}
