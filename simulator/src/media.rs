//! How long a healthy drive takes, and where on it a sector lies.
//!
//! Owns the border between the mechanics of a medium and what is wrong with it. Must not know damage, scenarios or
//! those who read. A kind of medium is one file in `media/`.

use std::ops::Range;

use block::Nanos;

pub mod flash;
pub mod floppy;
pub mod optical;
pub mod rotating;
pub mod uniform;

/// Number of a logical sector, from 0.
pub type Lba = u64;

/// What of a medium everybody must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Logical sectors in all.
    pub sectors: u64,
    /// Bytes of a logical sector.
    pub logical: u32,
    /// Bytes of a physical sector, the unit that fails; a multiple of the logical one.
    pub physical: u32,
    /// Heads, sides or dies; at least 1.
    pub heads: u16,
    /// Tracks that a head can stand on; at least 1.
    pub cylinders: u32,
}

impl Shape {
    /// Logical sectors in a physical one.
    pub fn lbas_per_sector(&self) -> u64 {
        u64::from(self.physical / self.logical)
    }

    /// First logical sector of the physical one that holds `at`.
    pub fn sector_start(&self, at: Lba) -> Lba {
        at - at % self.lbas_per_sector()
    }

    /// Bytes in all.
    pub fn bytes(&self) -> u64 {
        self.sectors * u64::from(self.logical)
    }
}

/// Where a sector lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Head, side or die.
    pub head: u16,
    /// Track under that head, from the edge where the disk begins.
    pub cylinder: u32,
    /// Where on the track, in turns from 0 to 1.
    pub angle: f64,
}

/// One turn of sectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Track {
    /// First sector.
    pub first: Lba,
    /// Number of sectors.
    pub sectors: u64,
    /// Track under the head.
    pub cylinder: u32,
    /// Where the first sector begins, in turns from 0 to 1.
    pub angle: f64,
}

/// Sectors in a row that are equally dense.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Which.
    pub sectors: Range<Lba>,
    /// Tracks that they lie on.
    pub cylinders: Range<u32>,
    /// Sectors in a turn, the fewest and the most of all heads.
    pub sectors_per_track: (u64, u64),
}

/// A healthy drive's time, position and streaming state.
///
/// All methods that take a time are called in the order of time.
pub trait MediaModel: Send {
    /// Sizes and counts; never change.
    fn shape(&self) -> Shape;

    /// Whether something turns, so that going elsewhere takes time.
    fn rotates(&self) -> bool {
        true
    }

    /// Bytes of a physical sector as the drive tells them; not every drive tells the unit that fails.
    fn told_sector(&self) -> u32 {
        self.shape().physical
    }

    /// The disc and its drive, if this is one: marks on a disc need to know where its turns lie.
    fn optical(&self) -> Option<&optical::Optical> {
        None
    }

    /// The floppy disk, if this is one.
    fn floppy(&self) -> Option<&floppy::Floppy> {
        None
    }

    /// Commands that the drive works on side by side; 1: one after the other.
    fn queue_depth(&self) -> usize {
        1
    }

    /// Where a sector lies.
    fn place(&self, at: Lba) -> Place;

    /// Tracks of `head` on `cylinders`, in the order of sectors. Empty where there are none.
    fn tracks(&self, head: u16, cylinders: Range<u32>) -> Vec<Track>;

    /// Sectors that `head` serves, in rising order.
    fn sectors_of(&self, head: u16) -> Vec<Range<Lba>>;

    /// About how many pieces these are, found without looking at each; 0 where they are few.
    fn pieces_of_a_head(&self) -> u64 {
        0
    }

    /// Zones, in rising order. Empty where the medium has none.
    fn zones(&self) -> Vec<Zone> {
        Vec::new()
    }

    /// Reads `count` healthy sectors at `at`, asked for at `issued`; returns when they are there. No sectors: only goes
    /// there. Reading ahead stops before `damage`, the first sector at or behind the end that is not healthy.
    fn read(&mut self, at: Lba, count: u64, issued: Nanos, damage: Lba) -> Nanos;

    /// Reads `row` as [`MediaModel::read`] would, read after read; returns how many it made and when the last was
    /// there. The same to the nanosecond.
    fn read_row(&mut self, row: Row, issued: Nanos, damage: Lba) -> (u64, Nanos) {
        let (mut made, mut now) = (0, issued);
        while made < row.count && (made == 0 || now < row.until) {
            now = self.read(row.at + made * row.unit, row.unit, now, damage);
            made += 1;
        }
        (made, now)
    }

    /// Something held up the last read for so long.
    fn held_up(&mut self, by: Nanos);

    /// The last read ended at a sector that failed: what was read ahead is lost.
    fn stopped_at(&mut self, at: Lba);

    /// Time of one turn; of one try where nothing turns.
    fn turn(&self) -> Nanos;

    /// Time to be ready after power comes on.
    fn spin_up(&self) -> Nanos;

    /// Power went off and came back.
    fn power_cycled(&mut self);
}

/// Equal reads in a row, each begun when the one before has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// First sector of the first read.
    pub at: Lba,
    /// Sectors of one read.
    pub unit: u64,
    /// Number of reads; at least 1.
    pub count: u64,
    /// No read is begun from this time on, but the first.
    pub until: Nanos,
}
