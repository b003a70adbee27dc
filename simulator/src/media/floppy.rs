//! Floppy disks, as the driver shows them: it reads whole cylinders and answers from its buffer.
//!
//! Owns the time of a healthy read. Must not know damage.

use std::ops::Range;

use block::Nanos;

use super::{Lba, MediaModel, Place, Shape, Track};

mod spec;

pub use spec::{FloppyDisk, Format};

/// Time of a sector from the driver's buffer: 34 microseconds, as measured.
const BUFFERED: u64 = 34_000;
/// So long without work, and the motor is turned off.
const MOTOR_OFF: u64 = 3_000_000_000;

/// A floppy disk in its drive.
#[derive(Clone, Debug)]
pub struct Floppy {
    format: Format,
    shape: Shape,
    /// Cylinder under the heads.
    cylinder: u32,
    /// Cylinder in the driver's buffer.
    buffered: Option<u32>,
    /// When the last read ended; `None` if the motor is off.
    last: Option<u64>,
}

impl Floppy {
    /// Puts a disk in a drive, its motor off.
    pub fn new(format: Format) -> Floppy {
        let shape = Shape {
            sectors: u64::from(format.cylinders) * u64::from(format.heads) * format.sectors_per_track,
            logical: 512,
            physical: 512,
            heads: format.heads,
            cylinders: format.cylinders,
        };
        Floppy { format, shape, cylinder: 0, buffered: None, last: None }
    }

    /// The values that it was made from.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// How long the driver tries before it calls a sector bad.
    pub fn failure(&self) -> Nanos {
        self.format.turns(self.format.failure_turns)
    }

    /// Cylinder of a sector.
    pub fn cylinder_of(&self, at: Lba) -> u32 {
        (at / self.per_cylinder()) as u32
    }

    fn per_cylinder(&self) -> u64 {
        u64::from(self.format.heads) * self.format.sectors_per_track
    }

    /// Starts the motor and goes to a cylinder; returns when the heads are there.
    fn go(&mut self, cylinder: u32, now: u64) -> u64 {
        let is_off = self.last.is_none_or(|last| now > last.saturating_add(MOTOR_OFF));
        let motor = if is_off { self.format.motor_on.nanoseconds() } else { 0 };
        let steps = u64::from(cylinder.abs_diff(self.cylinder));
        let settle = if steps > 0 { self.format.settle.nanoseconds() } else { 0 };
        self.cylinder = cylinder;
        let there = now.saturating_add(motor + steps * self.format.step.nanoseconds() + settle);
        self.last = Some(there);
        there
    }
}

impl MediaModel for Floppy {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn floppy(&self) -> Option<&Floppy> {
        Some(self)
    }

    fn place(&self, at: Lba) -> Place {
        let per_track = self.format.sectors_per_track;
        let track = at / per_track;
        Place {
            head: (track % u64::from(self.format.heads)) as u16,
            cylinder: self.cylinder_of(at),
            angle: (at % per_track) as f64 / per_track as f64,
        }
    }

    fn tracks(&self, head: u16, cylinders: Range<u32>) -> Vec<Track> {
        if head >= self.format.heads {
            return Vec::new();
        }
        let sectors = self.format.sectors_per_track;
        let track = |cylinder: u32| Track {
            first: u64::from(cylinder) * self.per_cylinder() + u64::from(head) * sectors,
            sectors,
            cylinder,
            angle: 0.0,
        };
        (cylinders.start..cylinders.end.min(self.format.cylinders)).map(track).collect()
    }

    fn sectors_of(&self, head: u16) -> Vec<Range<Lba>> {
        let tracks = self.tracks(head, 0..self.format.cylinders);
        tracks.into_iter().map(|track| track.first..track.first + track.sectors).collect()
    }

    fn read(&mut self, at: Lba, count: u64, issued: Nanos, _damage: Lba) -> Nanos {
        let mut now = issued.nanoseconds();
        let at = at.min(self.shape.sectors - 1);
        if count == 0 {
            return Nanos::new(self.go(self.cylinder_of(at), now));
        }
        for cylinder in self.cylinder_of(at)..=self.cylinder_of(at + count - 1) {
            if self.buffered != Some(cylinder) {
                now = self.go(cylinder, now);
                now = now.saturating_add(self.format.turns(self.format.cylinder_turns).nanoseconds());
                self.buffered = Some(cylinder);
                self.last = Some(now);
            }
        }
        Nanos::new(now.saturating_add(count * BUFFERED))
    }

    fn held_up(&mut self, by: Nanos) {
        self.last = self.last.map(|last| last.saturating_add(by.nanoseconds()));
    }

    // A sector that failed leaves the others of its cylinder in the buffer.
    fn stopped_at(&mut self, _at: Lba) {}

    fn turn(&self) -> Nanos {
        self.format.turns(1.0)
    }

    fn spin_up(&self) -> Nanos {
        self.format.motor_on
    }

    fn power_cycled(&mut self) {
        (self.cylinder, self.buffered, self.last) = (0, None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Row;
    use proptest::prelude::*;

    #[test]
    fn the_first_sector_of_a_cylinder_takes_half_a_second_and_the_others_nothing() {
        // Measured on a disk of 1.2 MB: 0.69 to 0.72 s and 32 to 35 us.
        for (name, least, most) in [("5.25-1200", 690, 720), ("3.5-1440", 545, 575), ("5.25-360", 545, 575)] {
            let mut disk = Floppy::new(Format::named(name).unwrap());
            let per_cylinder = disk.per_cylinder();
            let mut now = disk.read(0, 1, Nanos::ZERO, Lba::MAX);
            assert!(now > Nanos::from_millis(1000), "{name}: the motor starts first, {now:?}");
            for at in 1..disk.shape.sectors {
                let done = disk.read(at, 1, now, Lba::MAX);
                let time = done.since(now).nanoseconds();
                now = done;
                match at % per_cylinder {
                    0 => assert!((least..most).contains(&(time / 1_000_000)), "{name}: {time} ns at {at}"),
                    _ => assert_eq!(time, 34_000, "{name} at {at}"),
                }
            }
        }
    }

    #[test]
    fn failures_take_the_measured_time() {
        for (name, milliseconds) in [("5.25-1200", 1333), ("3.5-1440", 1100), ("5.25-360", 1100)] {
            let disk = Floppy::new(Format::named(name).unwrap());
            assert_eq!(disk.failure().nanoseconds() / 1_000_000, milliseconds, "{name}");
        }
    }

    #[test]
    fn every_sector_lies_on_one_track() {
        for name in Format::NAMES {
            let disk = Floppy::new(Format::named(name).unwrap());
            let mut owners = vec![false; disk.shape.sectors as usize];
            for head in 0..disk.shape.heads {
                for track in disk.tracks(head, 0..disk.shape.cylinders) {
                    for at in track.first..track.first + track.sectors {
                        assert!(!std::mem::replace(&mut owners[at as usize], true));
                        let place = disk.place(at);
                        assert_eq!((place.head, place.cylinder), (head, track.cylinder));
                    }
                }
            }
            assert!(owners.iter().all(|owned| *owned));
        }
    }

    proptest! {
        #[test]
        fn a_row_is_its_reads(at in 0u64..2000, unit in 1u64..50, count in 1u64..40, limit in 0u64..9000) {
            let make = || Floppy::new(Format::named("3.5-1440").unwrap());
            let (mut row, mut single) = (make(), make());
            let count = count.min((2880 - at) / unit);
            let until = Nanos::from_millis(limit);
            let (made, done) = row.read_row(Row { at, unit, count, until }, Nanos::ZERO, Lba::MAX);
            let (mut reads, mut now) = (0, Nanos::ZERO);
            while reads < count && (reads == 0 || now < until) {
                now = single.read(at + reads * unit, unit, now, Lba::MAX);
                reads += 1;
            }
            prop_assert_eq!((made, done), (reads, now));
            prop_assert_eq!((row.last, row.cylinder), (single.last, single.cylinder));
        }
    }
}
