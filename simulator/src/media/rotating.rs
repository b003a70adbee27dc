//! Hard disks: an arm, heads, turning platters, zones, and a cache that reads ahead.
//!
//! Owns the time of a healthy read. Must not know damage.
//!
//! Time is a function of position: *flow* is how long the heads would stream from sector 0 to a sector, with all skews
//! and switches on the way. Skews are laid out so that a sequential read never misses a turn, so the angle of a sector
//! is its flow modulo one turn. Everything is in whole nanoseconds; reading in pieces therefore ends exactly when
//! reading at once does.

use std::ops::Range;

use block::Nanos;

use super::{Lba, MediaModel, Place, Shape, Track, Zone};

mod layout;
mod profile;
mod seek;
mod spec;

pub use layout::{Extent, Layout};
pub use profile::Profile;
pub use seek::SeekCurve;
pub use spec::HardDisk;

/// A hard disk.
#[derive(Clone, Debug)]
pub struct Rotating {
    profile: Profile,
    shape: Shape,
    extents: Vec<Extent>,
    /// For each head the numbers of its extents: in rising order of sectors and of tracks alike.
    by_head: Vec<Vec<usize>>,
    seek: SeekCurve,
    turn: u64,
    skew: u64,
    /// Sectors of the cache that serve one stream.
    segment: u64,
    /// The least time in which the heads read a segment.
    segment_time: u64,
    /// Extent of the last sector looked up.
    cursor: usize,
    /// Sector over which the arm stands.
    arm: Lba,
    stream: Option<Stream>,
}

/// What the drive is reading ahead.
#[derive(Clone, Copy, Debug)]
struct Stream {
    /// The oldest sector in the cache.
    first: Lba,
    /// The sector behind the last one that was asked for.
    next: Lba,
    /// Flow at the end of the sector before `next`.
    next_flow: u64,
    /// Where reading ahead stops.
    until: Lba,
    /// At this time the heads were at this flow, and went on from there.
    time: u64,
    flow: u64,
}

impl Rotating {
    /// Makes a disk, its arm over sector 0.
    pub fn new(profile: Profile, density: &[f64]) -> Rotating {
        let seek = SeekCurve::fit(&profile);
        let turn = profile.turn().nanoseconds();
        let skew = (profile.track_skew * turn as f64) as u64;
        let (extents, cylinders) = layout::lay_out(&profile, density, &seek, turn, skew);
        let sectors = profile.bytes / u64::from(profile.logical);
        let shape = Shape {
            sectors,
            logical: profile.logical,
            physical: profile.physical,
            heads: profile.heads,
            cylinders,
        };
        let segment = (profile.cache_bytes / u64::from(profile.segments) / u64::from(profile.logical)).max(1);
        let mut by_head = vec![Vec::new(); usize::from(profile.heads)];
        for (index, extent) in extents.iter().enumerate() {
            by_head[usize::from(extent.head)].push(index);
        }
        let densest = extents.iter().map(|extent| extent.sectors_per_track).max().unwrap_or(1);
        Rotating {
            shape,
            seek,
            turn,
            skew,
            segment,
            segment_time: segment * turn / densest,
            cursor: 0,
            arm: 0,
            stream: None,
            extents,
            by_head,
            profile,
        }
    }

    /// The values that it was made from.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The layout: sectors in rising order.
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// Time from one place to another, in nanoseconds.
    fn travel(&self, from: Lba, to: Lba) -> u64 {
        let (from, to) = (self.find(from), self.find(to));
        let distance = from.1.abs_diff(to.1);
        let switch = if from.0 == to.0 { 0 } else { self.profile.head_switch.nanoseconds() };
        self.seek.time(distance).nanoseconds().max(switch)
    }

    /// Head and cylinder.
    fn find(&self, at: Lba) -> (u16, u32) {
        let extent = &self.extents[self.index_of(at)];
        (extent.head, extent.cylinder_of(at))
    }

    fn index_of(&self, at: Lba) -> usize {
        let is_here = |index: usize| {
            self.extents[index].first <= at && self.extents.get(index + 1).is_none_or(|next| at < next.first)
        };
        if is_here(self.cursor) {
            return self.cursor;
        }
        self.extents.partition_point(|extent| extent.first <= at).saturating_sub(1)
    }

    /// Flow at the start of a sector.
    fn flow_start(&mut self, at: Lba) -> u64 {
        self.cursor = self.index_of(at);
        self.extents[self.cursor].flow(at, 0, self.turn, self.skew)
    }

    /// Flow at the end of the sector before `end`.
    fn flow_end(&mut self, end: Lba) -> u64 {
        let at = end.saturating_sub(1);
        self.cursor = self.index_of(at);
        self.extents[self.cursor].flow(at, 1, self.turn, self.skew)
    }

    /// Time until the sector of this flow passes under the heads.
    fn rotation(&self, flow: u64, now: u64) -> u64 {
        (flow % self.turn + self.turn - now % self.turn) % self.turn
    }

    fn end_of_ahead(&self, from: Lba, damage: Lba) -> Lba {
        (from + self.segment).min(damage).min(self.shape.sectors)
    }
}

impl MediaModel for Rotating {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn place(&self, at: Lba) -> Place {
        let extent = &self.extents[self.index_of(at)];
        let flow = extent.flow(at, 0, self.turn, self.skew);
        Place {
            head: extent.head,
            cylinder: extent.cylinder_of(at),
            angle: (flow % self.turn) as f64 / self.turn as f64,
        }
    }

    fn tracks(&self, head: u16, cylinders: Range<u32>) -> Vec<Track> {
        let mut tracks = Vec::new();
        let of_head = self.by_head.get(usize::from(head)).map_or(&[][..], Vec::as_slice);
        let from = of_head.partition_point(|index| self.extents[*index].cylinders().end <= cylinders.start);
        for extent in of_head[from..].iter().map(|index| &self.extents[*index]) {
            if extent.cylinders().start >= cylinders.end {
                break;
            }
            for (cylinder, first) in extent.tracks_on(&cylinders) {
                if first >= self.shape.sectors {
                    continue;
                }
                let flow = extent.flow(first, 0, self.turn, self.skew);
                let angle = (flow % self.turn) as f64 / self.turn as f64;
                let sectors = extent.sectors_per_track.min(self.shape.sectors - first);
                tracks.push(Track { first, sectors, cylinder, angle });
            }
        }
        tracks
    }

    fn sectors_of(&self, head: u16) -> Vec<Range<Lba>> {
        let end = |index: usize| self.extents.get(index + 1).map_or(self.shape.sectors, |next| next.first);
        let of_head = self.by_head.get(usize::from(head)).map_or(&[][..], Vec::as_slice);
        of_head.iter().map(|index| self.extents[*index].first..end(*index)).collect()
    }

    fn zones(&self) -> Vec<Zone> {
        let mut zones: Vec<Zone> = Vec::new();
        let mut last = None;
        let ends = self.extents.iter().skip(1).map(|extent| extent.first).chain([self.shape.sectors]);
        for (extent, end) in self.extents.iter().zip(ends) {
            let cylinders = extent.cylinders();
            let number = layout::zone_of(&self.profile, cylinders.start);
            let dense = extent.sectors_per_track;
            match zones.last_mut() {
                Some(zone) if last == Some(number) => {
                    zone.sectors.end = end;
                    let (start, stop) = (&mut zone.cylinders.start, &mut zone.cylinders.end);
                    (*start, *stop) = ((*start).min(cylinders.start), (*stop).max(cylinders.end));
                    let (fewest, most) = zone.sectors_per_track;
                    zone.sectors_per_track = (fewest.min(dense), most.max(dense));
                }
                _ => zones.push(Zone {
                    sectors: extent.first..end,
                    cylinders,
                    sectors_per_track: (dense, dense),
                }),
            }
            last = Some(number);
        }
        zones
    }

    fn read(&mut self, at: Lba, count: u64, issued: Nanos, damage: Lba) -> Nanos {
        let start = issued.nanoseconds().saturating_add(self.profile.overhead.nanoseconds());
        let end = at + count;
        let bus = start.saturating_add(self.profile.bus_time(count * u64::from(self.shape.logical)));
        let Some(mut stream) = self.stream.filter(|stream| stream.first <= at && at <= stream.until) else {
            return self.seek_and_read(at, end, start, bus, damage);
        };
        if end <= stream.next {
            return Nanos::new(bus);
        }
        let ready = |stream: &Stream, flow: u64| (stream.time + flow).saturating_sub(stream.flow);
        let end_flow = self.flow_end(end);
        // Far behind a full cache? The exact answer costs a look-up, so first a lower bound.
        let is_certainly_streaming = stream.until >= stream.next + self.segment
            && start < ready(&stream, stream.next_flow) + self.segment_time;
        if !is_certainly_streaming {
            let full = {
                let flow = self.flow_end(stream.until);
                ready(&stream, flow)
            };
            // A full cache stops the heads until half of it is free.
            if full < start && (end > stream.until || stream.until - end < self.segment / 2) {
                stream.flow = self.flow_start(stream.until.min(self.shape.sectors - 1));
                stream.time = start + self.rotation(stream.flow, start);
            } else if full < start {
                stream.next = end;
                stream.next_flow = end_flow;
                self.stream = Some(stream);
                return Nanos::new(bus);
            }
        }
        stream.next = end;
        stream.next_flow = end_flow;
        stream.first = stream.first.max(end.saturating_sub(self.segment));
        stream.until = self.end_of_ahead(end, damage).max(end);
        let done = ready(&stream, end_flow).max(bus);
        self.arm = end.min(self.shape.sectors - 1);
        self.stream = Some(stream);
        Nanos::new(done)
    }

    fn held_up(&mut self, by: Nanos) {
        if let Some(stream) = &mut self.stream {
            // Whole turns: the sector comes round again.
            let turns = by.nanoseconds().div_ceil(self.turn);
            stream.time = stream.time.saturating_add(turns.saturating_mul(self.turn));
        }
    }

    fn stopped_at(&mut self, at: Lba) {
        self.stream = None;
        self.arm = at;
    }

    fn turn(&self) -> Nanos {
        Nanos::new(self.turn)
    }

    fn spin_up(&self) -> Nanos {
        self.profile.spin_up
    }

    fn power_cycled(&mut self) {
        self.stream = None;
        self.arm = 0;
    }
}

impl Rotating {
    fn seek_and_read(&mut self, at: Lba, end: Lba, start: u64, bus: u64, damage: Lba) -> Nanos {
        let at = at.min(self.shape.sectors - 1);
        let there = start.saturating_add(self.travel(self.arm, at));
        let flow = self.flow_start(at);
        let time = there.saturating_add(self.rotation(flow, there));
        self.arm = at;
        if end <= at {
            self.stream = None;
            return Nanos::new(time);
        }
        let end_flow = self.flow_end(end);
        self.arm = end.min(self.shape.sectors - 1);
        let until = self.end_of_ahead(end, damage).max(end);
        self.stream = Some(Stream { first: at, next: end, next_flow: end_flow, until, time, flow });
        Nanos::new((time.saturating_add(end_flow - flow)).max(bus))
    }
}

#[cfg(test)]
mod tests;
