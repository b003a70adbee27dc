//! Media of which only two numbers are known: the time of a sector and that of a seek.
//!
//! Owns the time of a healthy read on them. Must not know damage.

use std::ops::Range;

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Lba, MediaModel, Place, Shape, Track};
use crate::dice::SECTORS_MAX;
use crate::law::Conditions;
use crate::scenario::medium::{Healthy, MediumSpec, NamedMedium};
use crate::scenario::{Bytes, Time};

/// A medium on which every sector takes the same time, and seeks take time in proportion to their way.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Uniform {
    /// Bytes in all.
    pub size: Bytes,
    /// Bytes of a sector; a multiple of 512, at most 64 KiB.
    #[serde(default = "sector")]
    pub sector: u32,
    /// Bytes of the unit that fails, a multiple of the sector; a sector if not given.
    pub physical_sector: Option<u32>,
    /// Time of a sector.
    pub sector_time: Time,
    /// Time of a seek, for each sector between the end of a read and the start of the next.
    #[serde(default = "nothing")]
    pub seek: Time,
    /// Commands that the drive works on side by side, each taking its own time; 1, one after the other, to 1024.
    #[serde(default = "one")]
    pub queue_depth: u32,
    /// Time that the drive spends on a sector before it gives up.
    #[serde(default = "second")]
    pub recovery: Time,
    /// Time of one try on a sector that reads badly.
    #[serde(default = "turn")]
    pub turn: Time,
}

fn one() -> u32 {
    1
}

fn sector() -> u32 {
    512
}

fn nothing() -> Time {
    Time(Nanos::ZERO)
}

fn second() -> Time {
    Time(Nanos::from_secs(1))
}

fn turn() -> Time {
    Time(Nanos::from_millis(10))
}

impl NamedMedium for Uniform {
    const MEDIUM: &'static str = "uniform";
}

impl MediumSpec for Uniform {
    fn check(&self) -> Result<(), String> {
        let (size, sector) = (self.size.0, u64::from(self.sector));
        if sector == 0 || sector % 512 != 0 || sector > 65536 {
            return Err(format!("sectors of {sector} bytes; they have a multiple of 512, at most 65536"));
        }
        let physical = u64::from(self.physical());
        if physical == 0 || physical % sector != 0 {
            return Err(format!(
                "physical-sector {physical} is not a whole number of sectors of {sector} bytes"
            ));
        }
        if size == 0 || size % physical != 0 {
            return Err(format!("size {size} is not a whole number of sectors of {physical} bytes"));
        }
        if !(1..=1024).contains(&self.queue_depth) {
            return Err(format!("queue-depth {}; it is between 1 and 1024", self.queue_depth));
        }
        if size / sector >= SECTORS_MAX {
            return Err("size is beyond 2^39 sectors".into());
        }
        Ok(())
    }

    fn build(&self, _: u64) -> Healthy {
        let turn = self.turn.0.max(Nanos::new(1));
        let conditions =
            Conditions { turn, recovery: self.recovery.0, heads: vec![0.0], ..Conditions::default() };
        Healthy { medium: Box::new(Steady { spec: self.clone(), next: 0 }), conditions }
    }

    fn bytes(&self) -> u64 {
        self.size.0
    }

    fn shrunk(&self, bytes: u64) -> Box<dyn MediumSpec> {
        let sector = u64::from(self.physical());
        Box::new(Uniform { size: Bytes(self.size.0.min(bytes) / sector * sector), ..self.clone() })
    }
}

impl Uniform {
    fn physical(&self) -> u32 {
        self.physical_sector.unwrap_or(self.sector)
    }
}

struct Steady {
    spec: Uniform,
    /// The sector behind the last one read.
    next: Lba,
}

impl MediaModel for Steady {
    fn shape(&self) -> Shape {
        let sectors = self.spec.size.0 / u64::from(self.spec.sector);
        Shape { sectors, logical: self.spec.sector, physical: self.spec.physical(), heads: 1, cylinders: 1 }
    }

    fn queue_depth(&self) -> usize {
        self.spec.queue_depth as usize
    }

    fn place(&self, _: Lba) -> Place {
        Place { head: 0, cylinder: 0, angle: 0.0 }
    }

    fn tracks(&self, _: u16, _: Range<u32>) -> Vec<Track> {
        Vec::new()
    }

    fn sectors_of(&self, head: u16) -> Vec<Range<Lba>> {
        if head == 0 { std::iter::once(0..self.shape().sectors).collect() } else { Vec::new() }
    }

    fn read(&mut self, at: Lba, count: u64, issued: Nanos, _: Lba) -> Nanos {
        let times = |time: Time, count: u64| time.0.nanoseconds().saturating_mul(count);
        let seek = times(self.spec.seek, self.next.abs_diff(at));
        self.next = at + count;
        issued + Nanos::new(seek.saturating_add(times(self.spec.sector_time, count)))
    }

    fn held_up(&mut self, _: Nanos) {}

    fn stopped_at(&mut self, at: Lba) {
        self.next = at;
    }

    fn turn(&self) -> Nanos {
        self.spec.turn.0.max(Nanos::new(1))
    }

    fn spin_up(&self) -> Nanos {
        self.spec.recovery.0
    }

    fn power_cycled(&mut self) {
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_and_seeks_take_what_they_are_said_to() {
        let us = |count: u64| Nanos::new(count * 1000);
        let spec = Uniform {
            size: Bytes(2048 * 100_000),
            sector: 2048,
            physical_sector: None,
            sector_time: Time(us(100)),
            seek: Time(Nanos::new(500)),
            queue_depth: 1,
            recovery: second(),
            turn: turn(),
        };
        spec.check().unwrap();
        let mut medium = spec.build(1).medium;
        assert_eq!(medium.read(0, 10, us(5), Lba::MAX), us(1005));
        assert_eq!(medium.read(10, 1, us(2000), Lba::MAX), us(2100), "no seek");
        assert_eq!(medium.read(1, 1, us(3000), Lba::MAX), us(3105), "a seek back over ten sectors");
    }
}
