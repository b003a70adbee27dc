//! Reading the last good sector again after errors: it finds a drive that has begun to give something else.

use block::sink::MemorySink;
use block::source::MemorySource;
use block::{
    Abilities, BlockSource, ByteRange, Geometry, Offset, Patience, RangeSet, ReadReply, Recovery,
    SourceError, VirtualClock,
};
use engine::rescue::Surroundings;
use engine::strategy::{Classic, ClassicOptions};
use engine::{Book, Ending, Event, Observer, Recheck, Report, Rescue, RescueOptions, Trouble, Unattended};
use map::mapfile::Heading;
use map::{Position, RescueMap, Status};

const SECTOR: u64 = 512;
const CLUSTER: u64 = 8 * SECTOR;

/// A drive that gives zeros for everything after some errors, and says nothing.
struct Turncoat {
    inner: MemorySource,
    errors: u64,
    turns_after: u64,
}

impl BlockSource for Turncoat {
    fn geometry(&self) -> Geometry {
        self.inner.geometry()
    }
    fn abilities(&self) -> Abilities {
        Abilities { keeps_good: false, rotates: false, in_flight_max: 1, piece_bytes: 4 * CLUSTER as usize }
    }
    fn read_at(
        &mut self,
        at: Offset,
        buffer: &mut [u8],
        patience: Patience,
    ) -> Result<ReadReply, SourceError> {
        let reply = self.inner.read_at(at, buffer, patience)?;
        self.errors += u64::from(reply.damage.is_some());
        if self.errors >= self.turns_after {
            buffer.fill(0);
        }
        Ok(reply)
    }
    fn recover(&mut self, measure: Recovery) -> Result<(), SourceError> {
        self.inner.recover(measure)
    }
}

struct Nobody;

impl Observer for Nobody {
    fn on(&mut self, _: &Event<'_>, _: &Report<'_>) {}
}

struct Left {
    ending: Ending,
    errors: u64,
    /// Reads of the drive, those that look again included.
    reads: Vec<ByteRange>,
}

/// Copies 64 clusters of which `bad` ones have a bad first sector.
fn run(recheck: Recheck, turns_after: u64, bad: &[u64], ahead_after: Option<u64>) -> Left {
    let bytes: Vec<u8> = (0..64 * CLUSTER).map(|at| (at / SECTOR % 251) as u8 + 1).collect();
    let whole = ByteRange::new(Offset::ZERO, bytes.len() as u64);
    let mut damage = RangeSet::new();
    bad.iter().for_each(|cluster| damage.insert(first_sector_of(*cluster)));
    let mut source = Turncoat { inner: MemorySource::new(bytes).with_damage(damage), errors: 0, turns_after };
    let (mut sink, mut observer, mut operator) = (MemorySink::default(), Nobody, Unattended);
    let clock = VirtualClock::default();
    let surroundings = Surroundings {
        source: &mut source,
        sink: &mut sink,
        clock: &clock,
        observer: &mut observer,
        operator: &mut operator,
        interrupt: &|| false,
        keeper: None,
        heading: &|_| Heading::default(),
    };
    let book = Book::new(RescueMap::single(whole, Status::NonTried), whole.into());
    let options = RescueOptions { recheck, ahead_after, ..RescueOptions::default() };
    let mut rescue = Rescue::new(surroundings, options, book, Position::default());
    let classic = ClassicOptions { cluster: CLUSTER, skip_initial: 0, ..ClassicOptions::default() };
    let ending = rescue.run(&mut Classic::new(classic));
    drop(rescue);
    Left { ending, errors: source.errors, reads: source.inner.reads }
}

fn first_sector_of(cluster: u64) -> ByteRange {
    ByteRange::new(Offset::new(cluster * CLUSTER), SECTOR)
}

fn every(errors: u64) -> Recheck {
    Recheck::EveryErrors(errors.try_into().expect("not zero"))
}

#[test]
fn a_drive_that_turns_is_found_at_the_next_look_whether_reads_are_joined_or_not() {
    for ahead_after in [None, Some(0)] {
        let left = run(every(3), 1, &[20, 30, 40, 50], ahead_after);
        assert!(
            matches!(left.ending, Ending::Failed(Trouble::InconsistentData { .. })),
            "{ahead_after:?}: {:?}",
            left.ending
        );
        assert_eq!(left.errors, 3, "{ahead_after:?}");
        let left = run(Recheck::Never, 1, &[20, 30, 40, 50], ahead_after);
        assert!(matches!(left.ending, Ending::Finished), "{ahead_after:?}: {:?}", left.ending);
    }
}

#[test]
fn an_honest_drive_is_looked_at_once_for_so_many_errors_and_the_rescue_goes_on() {
    let bad = [20, 30, 40, 50];
    let without = run(Recheck::Never, u64::MAX, &bad, None);
    let with = run(every(2), u64::MAX, &bad, None);
    assert!(matches!(with.ending, Ending::Finished), "{:?}", with.ending);
    assert_eq!(with.errors, without.errors);
    assert_eq!(with.reads.len() as u64, without.reads.len() as u64 + without.errors / 2);
}

#[test]
fn without_anything_to_compare_only_the_strict_look_stops() {
    let strict = run(Recheck::EachError, u64::MAX, &[0], None);
    assert!(matches!(strict.ending, Ending::Failed(Trouble::NoGoodSectorYet)), "{:?}", strict.ending);
    let lenient = run(every(1), u64::MAX, &[0], None);
    assert!(matches!(lenient.ending, Ending::Finished), "{:?}", lenient.ending);
}
