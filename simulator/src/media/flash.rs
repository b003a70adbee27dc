//! Flash: solid-state drives, memory cards, sticks. Nothing moves; pages lie on dies that work side by side.
//!
//! Owns the time of a healthy read, where pages lie, and the slowing down when hot. Must not know damage.
//!
//! What is written in a row is striped over all dies, page by page. What is written at random ends up anywhere: of a
//! share of the regions each page has a die and a block of its own, by a hash. A read waits for the controller, for the
//! first page to be sensed, and then for the slowest of the further pages, the channels and the link.

use std::ops::Range;

use block::Nanos;

use super::{Lba, MediaModel, Place, Shape, Track};
use crate::dice::{self, Chance, Dice, Sequence};

mod profile;
mod spec;

pub use profile::{Profile, Throttle};
pub use spec::FlashDrive;

/// Pages of a region, which is striped or scattered as a whole: 1 MiB of pages of 16 KiB.
const REGION_PAGES: u64 = 64;

/// A flash drive.
#[derive(Clone, Debug)]
pub struct Flash {
    profile: Profile,
    shape: Shape,
    /// Logical sectors of a page.
    page: u64,
    pages: u64,
    scattered: Chance,
    salt: u64,
    sensing: Dice,
    heat: Heat,
    /// Until when the link carries what was read before.
    link_busy_until: u64,
}

/// How far a drive has warmed up: nanoseconds of work at full speed that it has not got rid of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Heat {
    work: u64,
    at: u64,
    is_throttled: bool,
}

impl Flash {
    /// Makes a drive. `seed` decides where scattered pages lie.
    pub fn new(profile: Profile, seed: u64) -> Flash {
        let sectors = profile.bytes / u64::from(profile.logical);
        let page = u64::from(profile.page) / u64::from(profile.logical);
        let pages = sectors.div_ceil(page);
        let blocks = pages.div_ceil(u64::from(profile.dies) * u64::from(profile.block_pages));
        let shape = Shape {
            sectors,
            logical: profile.logical,
            physical: profile.codeword,
            heads: profile.dies,
            cylinders: blocks.clamp(1, u64::from(u32::MAX)) as u32,
        };
        Flash {
            shape,
            page,
            pages,
            scattered: Chance::of(profile.scattered),
            salt: Sequence::new(seed, "flash layout").draw(),
            sensing: Dice::new(seed, "flash sensing"),
            heat: Heat::default(),
            link_busy_until: 0,
            profile,
        }
    }

    /// The values that it was made from.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    fn hash(&self, number: u64) -> u64 {
        dice::mix(self.salt.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    fn is_scattered(&self, region: u64) -> bool {
        self.scattered.hits(self.hash(!region))
    }

    /// Die and block of a page.
    fn find(&self, page: u64) -> (u16, u32) {
        let dies = u64::from(self.profile.dies);
        if self.is_scattered(page / REGION_PAGES) {
            let hash = self.hash(page);
            return (
                ((hash & 0xffff_ffff) % dies) as u16,
                ((hash >> 32) % u64::from(self.shape.cylinders)) as u32,
            );
        }
        ((page % dies) as u16, (page / dies / u64::from(self.profile.block_pages)) as u32)
    }

    /// Pages on a die, in rising order.
    fn pages_of(&self, die: u16) -> impl Iterator<Item = u64> + '_ {
        let dies = u64::from(self.profile.dies);
        (0..self.pages.div_ceil(REGION_PAGES)).flat_map(move |region| {
            let pages = region * REGION_PAGES..((region + 1) * REGION_PAGES).min(self.pages);
            let is_scattered = self.is_scattered(region);
            // Of a striped region every D-th page; of a scattered one all have to be asked.
            let ahead = (u64::from(die) + dies - pages.start % dies) % dies;
            let (first, step) =
                if is_scattered { (pages.start, 1) } else { (pages.start + ahead, dies as usize) };
            (first..pages.end).step_by(step).filter(move |page| !is_scattered || self.find(*page).0 == die)
        })
    }

    fn sectors_of_page(&self, page: u64) -> Range<Lba> {
        page * self.page..((page + 1) * self.page).min(self.shape.sectors)
    }

    /// Works off the heat of the time that has passed, and says how much slower work is now, in fifths and so on: work
    /// takes `.0 / .1` times as long.
    fn slowdown(&mut self, now: u64) -> (u64, u64) {
        let Some(throttle) = self.profile.throttle else { return (1, 1) };
        let passed = now.saturating_sub(self.heat.at);
        self.heat.at = now.max(self.heat.at);
        // Half of full work is got rid of at any time.
        self.heat.work = self.heat.work.saturating_sub(passed / 2);
        let limit = throttle.after.nanoseconds() / 2;
        self.heat.is_throttled = self.heat.work >= if self.heat.is_throttled { limit / 2 } else { limit };
        if self.heat.is_throttled { (100, u64::from(throttle.percent.max(1))) } else { (1, 1) }
    }
}

impl MediaModel for Flash {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn rotates(&self) -> bool {
        false
    }

    fn queue_depth(&self) -> usize {
        if self.profile.is_parallel { usize::from(self.profile.dies) } else { 1 }
    }

    fn place(&self, at: Lba) -> Place {
        let page = at / self.page;
        let (head, cylinder) = self.find(page);
        let block = u64::from(self.profile.block_pages);
        let in_block = page / u64::from(self.profile.dies) % block;
        Place { head, cylinder, angle: in_block as f64 / block as f64 }
    }

    fn tracks(&self, head: u16, cylinders: Range<u32>) -> Vec<Track> {
        let mut tracks = Vec::new();
        for page in self.pages_of(head) {
            let sectors = self.sectors_of_page(page);
            let place = self.place(sectors.start);
            if cylinders.contains(&place.cylinder) {
                tracks.push(Track {
                    first: sectors.start,
                    sectors: sectors.end - sectors.start,
                    cylinder: place.cylinder,
                    angle: place.angle,
                });
            }
        }
        tracks
    }

    fn pieces_of_a_head(&self) -> u64 {
        match self.profile.dies {
            // Whatever lies on the only die lies there in one piece.
            0 | 1 => 0,
            dies => self.pages / u64::from(dies),
        }
    }

    fn sectors_of(&self, head: u16) -> Vec<Range<Lba>> {
        let mut ranges: Vec<Range<Lba>> = Vec::new();
        for page in self.pages_of(head) {
            let sectors = self.sectors_of_page(page);
            match ranges.last_mut() {
                Some(last) if last.end == sectors.start => last.end = sectors.end,
                _ => ranges.push(sectors),
            }
        }
        ranges
    }

    fn read(&mut self, at: Lba, count: u64, issued: Nanos, _damage: Lba) -> Nanos {
        let (slower, faster) = self.slowdown(issued.nanoseconds());
        let controller = self.profile.controller.nanoseconds();
        if count == 0 {
            return Nanos::new(issued.nanoseconds().saturating_add(controller));
        }
        let first = at / self.page;
        let pages = (at + count).div_ceil(self.page) - first;
        let dies = u64::from(self.profile.dies);
        let sense = self.profile.sense.nanoseconds();
        // Lower, middle and upper pages of a cell are sensed in different times: the page's own, whenever it is read.
        let own = libm::exp(self.profile.sense_sigma * dice::normal(self.sensing.roll(0, first)));
        let first_sense = (sense as f64 * own) as u64;
        let bytes = count * u64::from(self.shape.logical);
        let carried = nanos_for(bytes, self.profile.bus)
            .max(nanos_for(bytes, self.profile.channel_rate * u64::from(self.profile.channels)));
        let sensed = (pages.div_ceil(dies) - 1) * sense;
        let work = first_sense + carried.max(sensed);
        self.heat.work = self.heat.work.saturating_add(work);
        let time = controller + (u128::from(work) * u128::from(slower) / u128::from(faster)) as u64;
        // Dies work side by side, but one link carries it all.
        let sensed = issued.nanoseconds().saturating_add(controller).saturating_add(first_sense);
        let wait = self.link_busy_until.saturating_sub(sensed);
        self.link_busy_until = issued.nanoseconds().saturating_add(time).saturating_add(wait);
        Nanos::new(self.link_busy_until)
    }

    fn held_up(&mut self, _by: Nanos) {}

    fn stopped_at(&mut self, _at: Lba) {}

    fn turn(&self) -> Nanos {
        self.profile.sense + Nanos::new(40_000)
    }

    fn spin_up(&self) -> Nanos {
        self.profile.start
    }

    fn power_cycled(&mut self) {
        self.heat = Heat::default();
        self.link_busy_until = 0;
    }
}

fn nanos_for(bytes: u64, rate: u64) -> u64 {
    (u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1))) as u64
}

#[cfg(test)]
mod tests;
