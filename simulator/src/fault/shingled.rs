//! What is different on disks with shingled tracks.
//!
//! Owns which sectors are still in the media cache, never written, or in a lost band. Must not know tracks.
//!
//! Values: one to three per cent of the disk are in the cache, in fragments of about 64 KiB; what was never written or
//! was trimmed reads as zeros in 0.1 ms; bands have 256 MiB, and damage may take a whole one.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Opening, checks};
use crate::law::{Health, Law};
use crate::media::{Lba, MediaModel};
use crate::scenario::Bytes;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// A shingled disk.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Shingled {
    /// Which share of the disk was never written, or trimmed.
    pub unmapped: f64,
    /// Mean size of a piece of that.
    pub piece: Bytes,
    /// Which share of the disk is still in the media cache: the arm goes there and back.
    pub cached: f64,
    /// Mean size of a piece of that.
    pub fragment: Bytes,
    /// How many bands are lost.
    pub lost_bands: u32,
    /// Size of a band.
    pub band: Bytes,
}

impl Default for Shingled {
    fn default() -> Shingled {
        Shingled {
            unmapped: 0.3,
            piece: Bytes(1 << 30),
            cached: 0.02,
            fragment: Bytes(64 << 10),
            lost_bands: 0,
            band: Bytes(256 << 20),
        }
    }
}

impl NamedFault for Shingled {
    const KIND: &'static str = "shingled";
}

impl FaultSpec for Shingled {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        checks::share("unmapped", self.unmapped)?;
        if !(0.0..=0.5).contains(&self.cached) {
            return Err(format!("cached {} is not a share from 0 to 0.5", self.cached));
        }
        let physical = Bytes(u64::from(medium.shape().physical));
        for (name, bytes) in [("piece", self.piece), ("fragment", self.fragment), ("band", self.band)] {
            if bytes < physical {
                return Err(format!("{name} {bytes} is less than a physical sector"));
            }
            checks::size(name, bytes)?;
        }
        let bands = medium.shape().bytes().div_ceil(self.band.0);
        if u64::from(self.lost_bands) > bands {
            return Err(format!("lost-bands {} of {bands}", self.lost_bands));
        }
        let size = medium.shape().bytes() as f64;
        let pieces = size * self.unmapped / self.piece.0 as f64;
        let fragments = size * self.cached / self.fragment.0 as f64;
        if pieces + fragments > 5e6 {
            return Err(
                "there are more than 5 million pieces and fragments; make them larger or their share smaller"
                    .into(),
            );
        }
        Ok(Box::new(Laying { spec: self.clone() }))
    }

    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec> {
        let smaller =
            |bytes: Bytes| Bytes(((bytes.0 as f64 * libm::sqrt(ratio)) as u64 / 4096 * 4096).max(64 << 10));
        Box::new(Shingled { piece: smaller(self.piece), band: smaller(self.band), ..self.clone() })
    }
}

struct Laying {
    spec: Shingled,
}

impl Fault for Laying {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let unmapped = self.lay_unmapped(opening);
        self.lay_cached(opening, &unmapped);
        let bad = opening.law(Law::new(Health::Bad, "shingled"));
        let band = self.spec.band.0 / u64::from(opening.shape().logical);
        let bands = opening.shape().sectors.div_ceil(band);
        let mut dice = opening.dice("shingled bands");
        let mut lost: Vec<u64> = Vec::new();
        while lost.len() < self.spec.lost_bands as usize {
            let one = dice.below(bands);
            if !lost.contains(&one) {
                lost.push(one);
                opening.lay(bad, one * band..(one + 1) * band);
            }
        }
    }
}

impl Laying {
    /// Pieces by turns, exponentially long; returns where those that were never written lie, in rising order.
    fn lay_unmapped(&self, opening: &mut Opening<'_>) -> Vec<std::ops::Range<Lba>> {
        let share = self.spec.unmapped;
        if share <= 0.0 {
            return Vec::new();
        }
        let zeros = opening.law(Law::new(Health::Zeros { time: checks::WITHOUT_MEDIUM }, "shingled"));
        let shape = opening.shape();
        let group = shape.lbas_per_sector();
        let mean = self.spec.piece.0 as f64 / f64::from(shape.logical);
        let mut dice = opening.dice("shingled unmapped");
        let mut is_unmapped = dice.chance(share);
        let (mut at, mut pieces): (Lba, _) = (0, Vec::new());
        while at < shape.sectors {
            let mean = if is_unmapped { mean } else { mean * (1.0 - share) / share };
            let end = at + (dice.exponential(mean) as u64 / group + 1) * group;
            if is_unmapped {
                opening.lay(zeros, at..end);
                pieces.push(at..end);
            }
            is_unmapped = !is_unmapped;
            at = end;
        }
        pieces
    }

    fn lay_cached(&self, opening: &mut Opening<'_>, unmapped: &[std::ops::Range<Lba>]) {
        let share = self.spec.cached;
        if share <= 0.0 {
            return;
        }
        let turn = opening.medium.turn().nanoseconds();
        // A seek of about a turn, and half a turn of waiting more or less.
        let trip = Health::Slow { from: Nanos::new(turn / 2), to: Nanos::new(2 * turn) };
        let trip = opening.law(Law { gravity: 0.01, ..Law::new(trip, "shingled") });
        let shape = opening.shape();
        let group = shape.lbas_per_sector();
        let mean = self.spec.fragment.0 as f64 / f64::from(shape.logical);
        let mut dice = opening.dice("shingled cache");
        let mut at: Lba = 0;
        loop {
            at += (dice.exponential(mean * (1.0 - share) / share) as u64 / group + 1) * group;
            let end = at + (dice.exponential(mean) as u64 / group + 1) * group;
            if at >= shape.sectors {
                return;
            }
            let next = unmapped.partition_point(|piece| piece.end <= at);
            if unmapped.get(next).is_none_or(|piece| end < piece.start) {
                // There, and behind it back.
                opening.lay(trip, at..at + group);
                opening.lay(trip, end..end + group);
            }
            at = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{disk, good, read_on, refusal};
    use super::*;
    use crate::law::Health;

    /// Shares of the disk that read as zeros, and that are lost; trips to the cache.
    fn shares(disk: &crate::SimDisk) -> (f64, f64, usize) {
        let surface = &disk.drive().surface;
        let (mut zeros, mut lost, mut trips) = (0, 0, 0);
        for stretch in surface.stretches() {
            let length = stretch.sectors.end - stretch.sectors.start;
            match surface.law(stretch.law).health {
                Health::Zeros { .. } => zeros += length,
                Health::Slow { .. } => trips += (length / 8) as usize,
                _ => lost += length,
            }
        }
        let all = disk.shape().sectors as f64;
        (zeros as f64 / all, lost as f64 / all, trips)
    }

    #[test]
    fn shares_of_the_disk_are_zeros_lost_or_far_away() {
        let text = "kind = \"shingled\"\npiece = \"256 KiB\"\nfragment = \"16 KiB\"\nlost-bands = 3\nband = \"1 MiB\"";
        let (mut zeros, mut trips) = (0.0, 0);
        for seed in 0..10 {
            let disk = disk(&[text], seed);
            let (zero, lost, trip) = shares(&disk);
            assert_eq!(lost, 3.0 / 64.0, "seed {seed}");
            zeros += zero / 10.0;
            trips += trip;
        }
        assert!((zeros - 0.3 * 61.0 / 64.0).abs() < 0.03, "{zeros} are zeros");
        // A fragment of 16 KiB and a little in each 802 KiB, two trips each, seven in ten where something was written; but
        // some of those lie across an edge, or in a lost band.
        let all = 10.0 * 2.0 * 65536.0 / 802.0 * 0.7;
        let share = trips as f64 / all;
        assert!((0.8..1.0).contains(&share), "{trips} trips of {all}");
    }

    #[test]
    fn a_fragment_costs_a_trip_there_and_one_back() {
        let sparse = "kind = \"shingled\"\nunmapped = 0.0\ncached = 0.02\nfragment = \"1 MiB\"";
        let read = |faults: &[&str]| {
            let mut disk = disk(faults, 3);
            let trips = disk.drive().surface.stretches().len() as u64;
            let (replies, time) = read_on(&mut disk, 0, 512, 256, Nanos::ZERO);
            assert_eq!(good(&replies), 256);
            (time.nanoseconds() / 1_000_000, trips)
        };
        let ((slow, trips), (plain, _)) = (read(&[sparse]), read(&[]));
        assert!(trips >= 2);
        // Up to two turns for the trip, and one for coming round again.
        let more = slow - plain;
        assert!((4 * trips..=30 * trips).contains(&more), "{more} ms for {trips} trips");
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert!(refusal("kind = \"shingled\"\nlost-bands = 2").contains("lost-bands 2 of 1"));
        assert!(
            refusal("kind = \"shingled\"\ncached = 0.9").contains("cached 0.9 is not a share from 0 to 0.5")
        );
        assert!(
            refusal("kind = \"shingled\"\npiece = \"512 B\"")
                .contains("piece 512 B is less than a physical sector")
        );
    }
}
