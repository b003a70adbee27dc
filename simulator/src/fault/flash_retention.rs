//! Flash that was left without power for years: charge has leaked, and wide areas answer late.
//!
//! Owns where they lie. Must not know drives.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Opening, checks};
use crate::law::{FailureTime, Health, Ladder, Law};
use crate::media::MediaModel;
use crate::scenario::kind::{FaultSpec, NamedFault};
use crate::scenario::{Bytes, Time};

/// Areas that have to be read through the retry ladder.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct FlashRetention {
    /// Where, as shares of the drive: from and to.
    pub region: [f64; 2],
    /// Share of the region that has suffered: what was written long ago.
    pub share: f64,
    /// Mean length of what was written at one time.
    pub extent: Bytes,
    /// Density of the chance that one level of the retry ladder brings a codeword: two parameters.
    pub chance: [f64; 2],
    /// Probability that a power cycle gives a codeword another chance: thresholds are tuned anew.
    pub retune: f64,
    /// How long a failure takes, from and to; the drive's own time if not given.
    pub failure_time: Option<[Time; 2]>,
}

impl Default for FlashRetention {
    fn default() -> FlashRetention {
        FlashRetention {
            region: [0.0, 1.0],
            share: 1.0,
            extent: Bytes(16 << 20),
            chance: [15.0, 85.0],
            retune: 0.1,
            failure_time: None,
        }
    }
}

impl NamedFault for FlashRetention {
    const KIND: &'static str = "flash-retention";
}

impl FaultSpec for FlashRetention {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        checks::flash("flash-retention", medium)?;
        checks::shares("region", "the disk", self.region)?;
        checks::odds("chance", self.chance)?;
        if !(self.share > 0.0 && self.share <= 1.0 && (0.0..=1.0).contains(&self.retune)) {
            return Err("share is above 0 and at most 1, retune from 0 to 1".into());
        }
        if self.extent.0 < u64::from(medium.shape().physical) {
            return Err(format!("extent {} is less than a codeword", self.extent));
        }
        checks::pieces(self.region, self.share, self.extent, medium)?;
        self.failure_time.map_or(Ok(()), |times| checks::times("failure-time", times))?;
        Ok(Box::new(Leaked { spec: self.clone(), failure: checks::failure(self.failure_time) }))
    }

    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec> {
        let extent = Bytes(((self.extent.0 as f64 * libm::sqrt(ratio)) as u64).max(64 << 10));
        Box::new(FlashRetention { extent, ..self.clone() })
    }
}

struct Leaked {
    spec: FlashRetention,
    failure: FailureTime,
}

impl Fault for Leaked {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let spec = &self.spec;
        let mut dice = opening.dice("flash retention");
        let ladder = Ladder { retune: spec.retune, ..Ladder::new(spec.chance, opening.medium.turn()) };
        let law = opening.law(Law {
            failure: self.failure.clone(),
            ..Law::new(Health::Ladder(ladder), "flash-retention")
        });
        let shape = opening.shape();
        for sectors in shares(spec.region, spec.share, spec.extent, shape, &mut dice) {
            opening.lay(law, sectors);
        }
    }
}

/// Stretches of a mean length that take a share of a region, in rising order.
pub(super) fn shares(
    region: [f64; 2],
    share: f64,
    extent: Bytes,
    shape: crate::media::Shape,
    dice: &mut crate::dice::Sequence,
) -> Vec<std::ops::Range<crate::media::Lba>> {
    let [from, end] = region.map(|part| (part * shape.sectors as f64) as u64);
    if share >= 1.0 {
        return std::iter::once(from..end).collect();
    }
    let mean = extent.0 as f64 / f64::from(shape.logical);
    let mut at = from;
    let mut stretches = Vec::new();
    while at < end {
        let length = (dice.exponential(mean) as u64).max(1);
        let gap = dice.exponential(mean * (1.0 - share) / share) as u64;
        // Begins with a gap as often as it takes.
        at += gap;
        if at < end {
            stretches.push(at..(at + length).min(end));
        }
        at += length;
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Sequence;
    use crate::media::flash::{Flash, Profile};

    #[test]
    fn a_share_of_the_region_has_suffered_and_nothing_outside() {
        let shape = Flash::new(Profile::named("ssd_128").unwrap(), 1).shape();
        let mut dice = Sequence::new(1, "shares");
        let stretches = shares([0.25, 0.75], 0.4, Bytes(16 << 20), shape, &mut dice);
        let half = shape.sectors as f64 / 2.0;
        let taken = stretches.iter().map(|s| s.end - s.start).sum::<u64>() as f64;
        assert!((taken / half - 0.4).abs() < 0.03, "{} of the region", taken / half);
        assert!(
            stretches[0].start >= shape.sectors / 4 && stretches.last().unwrap().end <= shape.sectors * 3 / 4
        );
        assert!(stretches.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }
}
