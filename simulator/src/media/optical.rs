//! Optical discs: a spiral, a pickup that has to find its place, and a drive that goes slower when it meets errors.
//!
//! Owns the time of a healthy read and the drive's speed. Must not know damage.
//!
//! The disc turns at a constant rate, so that the edge passes faster than the middle. After every second failed read
//! the drive goes on at its next lower speed; after thirty seconds without trouble it tries the higher one again.

use std::ops::Range;

use block::Nanos;

use super::{Lba, MediaModel, Place, Shape, Track};

mod drive;
mod spec;
mod spiral;

pub use drive::{Drive, FailureSteps, Format};
pub use spec::OpticalDisc;
pub use spiral::Spiral;

/// Radius of the edge, in millimetres, at which drives reach the speed that they are sold with.
const EDGE: f64 = 58.0;
/// Time of a command before anything moves.
const OVERHEAD: u64 = 1_000_000;
/// The link: 33 MB/s.
const LINK: u64 = 33_000_000;
/// Bytes of the drive's cache.
const CACHE: u64 = 1 << 20;
/// Seek of a few turns.
const SEEK_LEAST: u64 = 80_000_000;
/// So long without trouble, and the drive speeds up again.
const CLEAN: u64 = 30_000_000_000;
/// So long without work, and the disc stops.
const IDLE: u64 = 90_000_000_000;
/// A read that is held up so long is trouble.
const TROUBLE: u64 = 100_000_000;

/// A disc in a drive.
#[derive(Clone, Debug)]
pub struct Optical {
    format: Format,
    drive: Drive,
    spiral: Spiral,
    shape: Shape,
    /// Index of the speed.
    step: usize,
    /// Failed reads since the speed changed.
    failures: u32,
    /// Since when there was no trouble; `None` if there was, and no read began since.
    clean_since: Option<u64>,
    stream: Option<Stream>,
    /// Sector over which the pickup stands.
    pickup: Lba,
    /// When the last read ended; `None` if the disc stands.
    last: Option<u64>,
}

/// What the drive is reading ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stream {
    /// The oldest sector in the cache.
    first: Lba,
    /// The sector behind the last one that was asked for.
    next: Lba,
    /// When that one was read.
    time: u64,
}

impl Optical {
    /// Puts a disc in a drive; it does not turn yet.
    pub fn new(format: Format, drive: Drive, spiral: Spiral) -> Optical {
        let shape = Shape {
            sectors: spiral.sectors(),
            logical: 2048,
            physical: 2048 * format.block,
            heads: spiral.layers,
            cylinders: spiral.turns_in_all(),
        };
        Optical {
            format,
            drive,
            spiral,
            shape,
            step: 0,
            failures: 0,
            clean_since: Some(0),
            stream: None,
            pickup: 0,
            last: None,
        }
    }

    /// The kind of disc.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// The drive.
    pub fn drive(&self) -> &Drive {
        &self.drive
    }

    /// Where sectors lie.
    pub fn spiral(&self) -> &Spiral {
        &self.spiral
    }

    /// The speed at the edge, in times the speed 1.
    pub fn speed(&self) -> f64 {
        self.drive.speeds.get(self.step).copied().unwrap_or(1.0)
    }

    /// Time of a sector at full speed at the beginning of the disc.
    pub fn base(&self) -> Nanos {
        Nanos::new(self.sector_time_at(self.drive.speeds.first().copied().unwrap_or(1.0), 0))
    }

    fn sector_time_at(&self, speed: f64, at: Lba) -> u64 {
        let (_, along) = self.spiral.unfold(at);
        let here = speed * self.spiral.radius(along as f64) / EDGE;
        (1e9 / (self.format.rate * here)) as u64
    }

    /// Time of a turn at the speed of now.
    fn turn_time(&self) -> u64 {
        (self.sector_time_at(self.speed(), 0) as f64 * self.spiral.sectors_per_turn(0.0)) as u64
    }

    /// Time to go elsewhere, and for the place to come round: half a turn.
    fn travel(&self, to: Lba) -> u64 {
        let turns = |at| self.spiral.turns(self.spiral.unfold(at).1 as f64);
        let distance = (turns(self.pickup) - turns(to)).abs();
        let is_other_layer = self.spiral.unfold(self.pickup).0 != self.spiral.unfold(to).0;
        let half = self.turn_time() / 2;
        if distance <= 2.0 && !is_other_layer {
            return half;
        }
        let share = (distance * self.spiral.pitch / (EDGE - self.spiral.inner)).min(1.0);
        SEEK_LEAST + (self.drive.seek_full.nanoseconds() as f64 * libm::sqrt(share)) as u64 + half
    }

    /// Spins up if the disc stands, and chooses the speed; returns when the pickup can begin.
    fn begin(&mut self, issued: u64) -> u64 {
        let stands = self.last.is_none_or(|last| issued > last.saturating_add(IDLE));
        if stands {
            self.stream = None;
            self.step = 0;
        }
        let clean_since = *self.clean_since.get_or_insert(issued);
        if self.step > 0 && issued >= clean_since.saturating_add(CLEAN) {
            self.step -= 1;
            self.failures = 0;
            self.clean_since = Some(issued);
        }
        let spin_up = if stands { self.drive.spin_up.nanoseconds() } else { 0 };
        issued.saturating_add(OVERHEAD).saturating_add(spin_up)
    }
}

impl MediaModel for Optical {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn told_sector(&self) -> u32 {
        self.shape.logical
    }

    fn optical(&self) -> Option<&Optical> {
        Some(self)
    }

    fn place(&self, at: Lba) -> Place {
        let (head, along) = self.spiral.unfold(at);
        let turns = self.spiral.turns(along as f64);
        Place { head, cylinder: turns as u32, angle: turns - libm::floor(turns) }
    }

    fn tracks(&self, head: u16, cylinders: Range<u32>) -> Vec<Track> {
        if head >= self.spiral.layers {
            return Vec::new();
        }
        let end = cylinders.end.min(self.shape.cylinders);
        let start_of = |turn: u32| libm::ceil(self.spiral.along(f64::from(turn))).max(0.0) as u64;
        let turns = cylinders.start.min(end)..end;
        let tracks = turns.map(|turn| {
            let along = start_of(turn)..start_of(turn + 1);
            let angle = self.spiral.turns(along.start as f64) - f64::from(turn);
            let sectors = self.spiral.fold(head, along);
            Track { first: sectors.start, sectors: sectors.end - sectors.start, cylinder: turn, angle }
        });
        let mut tracks: Vec<Track> = tracks.filter(|track| track.sectors > 0).collect();
        tracks.sort_by_key(|track| track.first);
        tracks
    }

    fn sectors_of(&self, head: u16) -> Vec<Range<Lba>> {
        match head < self.spiral.layers {
            true => std::iter::once(self.spiral.fold(head, 0..self.spiral.per_layer)).collect(),
            false => Vec::new(),
        }
    }

    fn read(&mut self, at: Lba, count: u64, issued: Nanos, _damage: Lba) -> Nanos {
        let start = self.begin(issued.nanoseconds());
        let at = at.min(self.shape.sectors - 1);
        let end = at + count;
        if count == 0 {
            let there = start.saturating_add(self.travel(at));
            (self.pickup, self.stream, self.last) = (at, None, Some(there));
            return Nanos::new(there);
        }
        let sector = self.sector_time_at(self.speed(), at);
        let cache = CACHE / u64::from(self.shape.logical);
        let bytes = count * u64::from(self.shape.logical);
        let sent = start.saturating_add(bytes * 1_000_000_000 / LINK);
        let kept = self.stream.filter(|stream| stream.first <= at && at <= stream.next + cache);
        let ready = match kept {
            Some(stream) if end <= stream.next => {
                self.last = Some(sent);
                return Nanos::new(sent);
            }
            Some(stream) => {
                // It has read on since, as far as its cache goes.
                let ahead = issued.nanoseconds().saturating_sub(cache * sector);
                stream.time.max(ahead) + (end - stream.next) * sector
            }
            None => start.saturating_add(self.travel(at)).saturating_add(count * sector),
        };
        let first = kept.map_or(at, |stream| stream.first).max(end.saturating_sub(cache));
        self.stream = Some(Stream { first, next: end, time: ready });
        let done = ready.max(sent);
        (self.pickup, self.last) = (end - 1, Some(done));
        Nanos::new(done)
    }

    fn held_up(&mut self, by: Nanos) {
        if let Some(stream) = &mut self.stream {
            stream.time = stream.time.saturating_add(by.nanoseconds());
        }
        self.last = self.last.map(|last| last.saturating_add(by.nanoseconds()));
        if by.nanoseconds() >= TROUBLE {
            self.clean_since = None;
        }
    }

    fn stopped_at(&mut self, at: Lba) {
        self.stream = None;
        self.pickup = at.min(self.shape.sectors - 1);
        self.clean_since = None;
        self.failures += 1;
        if self.failures >= 2 && self.step + 1 < self.drive.speeds.len() {
            self.step += 1;
            self.failures = 0;
        }
    }

    fn turn(&self) -> Nanos {
        Nanos::new(self.turn_time())
    }

    fn spin_up(&self) -> Nanos {
        self.drive.spin_up
    }

    fn power_cycled(&mut self) {
        (self.stream, self.step, self.failures, self.pickup) = (None, 0, 0, 0);
        self.clean_since = None;
    }
}

#[cfg(test)]
mod tests;
