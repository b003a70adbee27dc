//! A sector that throws the device out is damage; a device that does not answer any more is not.

use std::sync::Arc;

use block::sink::MemorySink;
use block::source::MemorySource;
use block::{
    Abilities, BlockSource, ByteRange, Clock, Errno, Geometry, Nanos, Offset, Patience, ReadReply, Recovery,
    SourceError, VirtualClock,
};
use engine::rescue::Surroundings;
use engine::strategy::{Classic, ClassicOptions};
use engine::{Book, Ending, LostRemedy, Operator, Rescue, RescueOptions, SaveRemedy, Trouble};
use map::mapfile::Heading;
use map::{Position, RescueMap, Status};

const SIZE: u64 = 1 << 20;

/// A drive that leaves when it is asked for one sector, and can be opened again at once.
struct Touchy {
    inner: MemorySource,
    /// The sector.
    killer: Offset,
    /// Reads that are answered before it never answers again, though it can be opened.
    reads_left: u64,
    is_gone: bool,
    /// How long it takes to find out that it has left.
    leaving: Nanos,
    clock: Arc<VirtualClock>,
}

impl BlockSource for Touchy {
    fn geometry(&self) -> Geometry {
        self.inner.geometry()
    }
    fn abilities(&self) -> Abilities {
        self.inner.abilities()
    }
    fn read_at(
        &mut self,
        at: Offset,
        buffer: &mut [u8],
        patience: Patience,
    ) -> Result<ReadReply, SourceError> {
        let range = ByteRange::new(at, buffer.len() as u64);
        self.is_gone |= range.contains(self.killer) || self.reads_left == 0;
        if self.is_gone {
            self.clock.sleep(self.leaving);
            return Err(SourceError::Gone { device: "touchy".into(), at, errno: Errno::ENODEV });
        }
        self.reads_left -= 1;
        self.inner.read_at(at, buffer, patience)
    }
    fn recover(&mut self, _: Recovery) -> Result<(), SourceError> {
        self.is_gone = false;
        Ok(())
    }
}

/// Waits for a lost device for a minute.
struct Patient;

impl Operator for Patient {
    fn map_not_saved(
        &mut self,
        _: &engine::KeeperError,
        _: &mut engine::operator::WriteMap<'_>,
    ) -> SaveRemedy {
        SaveRemedy::Stop
    }

    fn device_lost(&mut self, _: &SourceError, gone: Nanos) -> LostRemedy {
        if gone < Nanos::from_secs(60) {
            LostRemedy::LookAgain(Nanos::from_secs(2))
        } else {
            LostRemedy::Stop
        }
    }
}

fn rescue(source: &mut Touchy) -> (Ending, Book, Nanos) {
    let clock = source.clock.clone();
    let whole = ByteRange::new(Offset::ZERO, SIZE);
    let mut map = RescueMap::new();
    map.extend_to(whole, Status::NonTried);
    let surroundings = Surroundings {
        source,
        sink: &mut MemorySink::default(),
        clock: &*clock,
        observer: &mut (),
        operator: &mut Patient,
        interrupt: &|| false,
        keeper: None,
        heading: &|_| Heading::default(),
    };
    let options = RescueOptions { watch: false, ..RescueOptions::default() };
    let mut rescue = Rescue::new(surroundings, options, Book::new(map, whole.into()), Position::default());
    let ending = rescue.run(&mut Classic::new(ClassicOptions::default()));
    (ending, rescue.book().clone(), clock.now())
}

fn touchy(killer: u64, reads_left: u64, leaving: Nanos) -> Touchy {
    let inner = MemorySource::new(vec![7; SIZE as usize]);
    let clock = Arc::new(VirtualClock::new(Nanos::ZERO));
    Touchy { inner, killer: Offset::new(killer), reads_left, is_gone: false, leaving, clock }
}

#[test]
fn a_sector_that_throws_the_drive_out_is_found_alone() {
    // Systems take up to minutes of resets before they call a drive lost: longer than a lost one is waited for.
    for leaving in [Nanos::ZERO, Nanos::from_secs(90)] {
        let (ending, book, _) = rescue(&mut touchy(300 * 512, u64::MAX, leaving));
        assert!(matches!(ending, Ending::Finished), "{ending:?}");
        let bad: Vec<ByteRange> =
            book.map().blocks().filter(|b| b.status != Status::Finished).map(|b| b.range).collect();
        assert_eq!(bad, [ByteRange::new(Offset::new(300 * 512), 512)]);
    }
}

#[test]
fn a_drive_that_never_answers_again_marks_nothing() {
    let (ending, book, now) = rescue(&mut touchy(u64::MAX >> 1, 5, Nanos::ZERO));
    assert!(matches!(ending, Ending::Failed(Trouble::Source(SourceError::Gone { .. }))), "{ending:?}");
    assert_eq!(book.bytes(Status::Finished), 5 * 65536);
    assert_eq!(book.bytes(Status::NonTried), SIZE - 5 * 65536);
    assert!(now >= Nanos::from_secs(60), "it was waited for: {now:?}");
}
