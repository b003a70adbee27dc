//! Flash codewords that cannot be corrected, in clusters, and worn ones around them.
//!
//! Owns where they lie. Must not know drives.
//!
//! Values from the rescue map of a real solid-state drive of 128 GB: 1130 errors in 243 clusters, 78 % of one codeword,
//! none longer than a page; a twenty-fifth of a cluster is bad.

use schemars::JsonSchema;
use serde::Deserialize;

use super::clusters::{self, Clusters};
use super::lengths::{self, Lengths};
use super::{Fault, Opening, checks};
use crate::dice::Sequence;
use crate::law::{FailureTime, Health, Ladder, Law};
use crate::media::MediaModel;
use crate::scenario::kind::{FaultSpec, NamedFault};
use crate::scenario::{Bytes, Time};

/// Clusters of codewords that fail.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct FlashErrors {
    /// How many clusters, on the average; drawn from a Poisson law. Exactly as many if `exact`.
    pub count: f64,
    /// Whether `count` is exact.
    pub exact: bool,
    /// Share of the clusters that lie in the first tenth of the region.
    pub early: f64,
    /// Where clusters begin, as shares of the drive: from and to.
    pub region: [f64; 2],
    /// Median extent of a cluster; if not given, clusters have as many errors as those of a real drive.
    pub extent: Option<Bytes>,
    /// Deviation of the logarithm of the extent.
    pub extent_sigma: f64,
    /// Largest extent.
    pub extent_max: Bytes,
    /// Exponent of the lengths of errors; if not given, they are as long as on a real drive.
    pub run_exponent: Option<f64>,
    /// Exponent of the lengths of gaps between errors; if not given, they are as long as on a real drive.
    pub gap_exponent: Option<f64>,
    /// Longest gap.
    pub gap_max: Bytes,
    /// Page: errors are not longer, and do not cross from one to the next.
    pub page: Bytes,
    /// Density of the chance that one level of the retry ladder brings an error: two parameters.
    pub chance: [f64; 2],
    /// The same of the other codewords in a cluster, which are worn; they answer late. [] for healthy ones.
    pub worn: Vec<f64>,
    /// Share of the errors that the drive rebuilds from the parity of its other dies.
    pub parity: f64,
    /// How long a read of an error takes, from and to; the drive's own time if not given.
    pub failure_time: Option<[Time; 2]>,
}

impl Default for FlashErrors {
    fn default() -> FlashErrors {
        FlashErrors {
            count: 0.0,
            exact: false,
            early: 0.3,
            region: [0.0, 1.0],
            extent: None,
            extent_sigma: 3.0,
            extent_max: Bytes(8 << 20),
            run_exponent: None,
            gap_exponent: None,
            gap_max: Bytes(1 << 20),
            page: Bytes(16 << 10),
            chance: [0.03, 3.0],
            worn: vec![15.0, 85.0],
            parity: 0.0,
            failure_time: None,
        }
    }
}

impl NamedFault for FlashErrors {
    const KIND: &'static str = "flash-errors";
}

impl FaultSpec for FlashErrors {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        checks::flash("flash-errors", medium)?;
        checks::shares("region", "the disk", self.region)?;
        if !(0.0..=1e6).contains(&self.count) {
            return Err("count is a number from 0 to 1000000".into());
        }
        if !(0.0..=1.0).contains(&self.early) || !(0.0..=1.0).contains(&self.parity) {
            return Err("early and parity are shares from 0 to 1".into());
        }
        checks::within("extent-sigma", self.extent_sigma, [0.0, 10.0])?;
        let is_exponent = |x: f64| x > 0.0 && x < 10.0 && x != 1.0;
        if ![self.run_exponent, self.gap_exponent].into_iter().flatten().all(is_exponent) {
            return Err("exponents of runs and gaps are above 0, below 10, and not 1".into());
        }
        let codeword = u64::from(medium.shape().physical);
        if self.page.0 < codeword || !self.page.0.is_multiple_of(codeword) || self.gap_max.0 < codeword {
            return Err(format!(
                "page is a multiple of the codeword of {codeword} bytes, gap-max not below it"
            ));
        }
        checks::odds("chance", self.chance)?;
        let worn = match self.worn[..] {
            [] => None,
            [a, b] => Some([a, b]),
            _ => return Err("worn holds two numbers, or none".into()),
        };
        worn.map_or(Ok(()), |worn| checks::odds("worn", worn))?;
        self.failure_time.map_or(Ok(()), |times| checks::times("failure-time", times))?;
        Ok(Box::new(Laying { spec: self.clone(), worn, failure: checks::failure(self.failure_time) }))
    }

    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec> {
        // A tenth as many clusters on a drive of a hundredth: damage stays visible.
        let scale = libm::sqrt(ratio);
        let smaller = |bytes: Bytes| Bytes(((bytes.0 as f64 * scale) as u64).max(64 << 10));
        Box::new(FlashErrors {
            count: (self.count * scale).max(self.count.min(3.0)),
            extent_max: smaller(self.extent_max),
            ..self.clone()
        })
    }
}

struct Laying {
    spec: FlashErrors,
    worn: Option<[f64; 2]>,
    failure: FailureTime,
}

impl Laying {
    /// Where clusters lie, in codewords.
    fn places(&self) -> Clusters {
        let spec = &self.spec;
        Clusters { early: spec.early, region: spec.region, ..Clusters::default() }
    }

    /// The errors of one cluster: start behind its beginning and length, in codewords.
    fn errors(&self, codeword: u64, dice: &mut Sequence) -> Vec<(u64, u64)> {
        let spec = &self.spec;
        let (page, gap_max) = (spec.page.0 / codeword, spec.gap_max.0 / codeword);
        let power = |max| move |exponent| Lengths::Power { exponent, max };
        let run_lengths = spec.run_exponent.map_or(lengths::FLASH_RUNS, power(page));
        let gap_lengths = spec.gap_exponent.map_or(lengths::FLASH_GAPS, power(gap_max));
        let most = (spec.extent_max.0 / codeword).max(1);
        let (extent, count) = match spec.extent {
            Some(median) => {
                let extent = dice.log_normal(median.0 as f64, spec.extent_sigma) as u64 / codeword;
                (extent.clamp(1, most), u64::MAX)
            }
            None => (most, lengths::FLASH_ERRORS.draw(u64::MAX, dice)),
        };
        let (mut errors, mut at) = (Vec::new(), 0);
        while at < extent && (errors.len() as u64) < count {
            let run = run_lengths.draw(page, dice).min(extent - at);
            errors.push((at, run));
            at += run + gap_lengths.draw(gap_max.min(extent), dice);
        }
        errors
    }
}

impl Fault for Laying {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let spec = &self.spec;
        let mut dice = opening.dice("flash errors");
        let step = opening.medium.turn();
        let ladder = |chance| Law {
            failure: self.failure.clone(),
            ..Law::new(
                Health::Ladder(Ladder { parity: spec.parity, ..Ladder::new(chance, step) }),
                "flash-errors",
            )
        };
        // The later law holds where both lie.
        let worn = self.worn.map(|chance| opening.law(ladder(chance)));
        let bad = opening.law(ladder(spec.chance));
        let shape = opening.shape();
        let group = shape.lbas_per_sector();
        let codewords = shape.sectors / group;
        let codeword = u64::from(shape.physical);
        let page = spec.page.0 / codeword;
        let places = self.places();
        let count = if spec.exact { spec.count as u64 } else { dice.poisson(spec.count) };
        for _ in 0..count {
            let start = clusters::centre(&places, codewords, &mut dice);
            let mut end = start;
            let mut first = start;
            for (from, length) in self.errors(codeword, &mut dice) {
                // Back into the page in which it begins, but behind the error before.
                let from = start + from;
                let from = from.min(from - from % page + page - length).max(first);
                end = from + length.min(page - from % page);
                first = end + 1;
                opening.lay(bad, from * group..end * group);
            }
            if let Some(worn) = worn {
                opening.lay(worn, start * group..end * group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::flash::{Flash, Profile};
    use crate::surface::Surface;

    /// Lengths of the errors of a drive in codewords, and bytes of all clusters.
    fn errors(seed: u64) -> (Vec<u64>, u64) {
        let medium = Flash::new(Profile::named("ssd_128").unwrap(), seed);
        let spec = FlashErrors { count: 243.0, exact: true, ..FlashErrors::default() };
        let mut fault = spec.build(&medium).unwrap();
        let (mut laws, mut stretches) = (Vec::new(), Vec::new());
        fault.lay(&mut Opening {
            medium: &medium,
            seed,
            number: 0,
            laws: &mut laws,
            stretches: &mut stretches,
            health: &mut crate::disk::HealthLog::default(),
        });
        let surface = Surface::new(laws, stretches);
        let all = surface.stretches();
        let lengths =
            |law| all.iter().filter(move |s| s.law == law).map(|s| (s.sectors.end - s.sectors.start) / 8);
        (lengths(1).collect(), lengths(0).sum::<u64>() * 4096)
    }

    #[test]
    fn errors_have_the_statistics_of_the_real_drive() {
        let all: Vec<(Vec<u64>, u64)> = (0..40).map(errors).collect();
        let lengths: Vec<u64> = all.iter().flat_map(|(lengths, _)| lengths.clone()).collect();
        let count = lengths.len() as f64;
        // Only where two clusters meet can errors touch.
        let long = lengths.iter().filter(|length| **length > 4).count() as f64;
        assert!(long < 0.001 * count, "{long} of {count} errors are longer than a page");
        let exponent = 1.0 + count / lengths.iter().map(|x| libm::log(*x as f64 / 0.5)).sum::<f64>();
        assert!((exponent - 2.12).abs() < 0.05, "exponent {exponent}");
        let single = lengths.iter().filter(|length| **length == 1).count() as f64 / count;
        assert!((single - 0.78).abs() < 0.03, "{single} are single");
        let errors = count / 40.0;
        assert!(
            (1000.0..1400.0).contains(&errors),
            "{errors} errors in 243 clusters; the real drive had 1130"
        );
        let bad = lengths.iter().sum::<u64>() as f64 * 4096.0;
        let share = bad / (bad + all.iter().map(|(_, worn)| *worn as f64).sum::<f64>());
        assert!((0.03..0.07).contains(&share), "{share} of a cluster is bad; of the real drive's 0.04");
    }
}
