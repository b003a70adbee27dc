//! Latent errors in clusters, and single ones.
//!
//! Owns the two-level generator: where clusters lie, and the runs and gaps inside. Must not know drives.
//!
//! Laws and values: cluster centres as studies of latent errors report them (a third in the first tenth of the disk);
//! extents, runs and gaps as in the rescue map of a real drive, or by powers.

use schemars::JsonSchema;
use serde::Deserialize;

use super::lengths::{self, Lengths};
use super::{Fault, Opening, checks};
use crate::dice::Sequence;
use crate::law::{Health, Law};
use crate::media::MediaModel;
use crate::scenario::kind::{FaultSpec, NamedFault};
use crate::scenario::{Bytes, Time};

/// Most sectors in all clusters together: each run of errors is kept in memory.
const SECTORS_MAX: f64 = 32e6;

/// Clusters of latent errors.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Clusters {
    /// How many, on the average; drawn from a Poisson law. Exactly as many if `exact`.
    pub count: f64,
    /// Whether `count` is exact.
    pub exact: bool,
    /// Single errors of one physical sector, on the average.
    pub singles: f64,
    /// Share of the clusters that lie in the first tenth of the region.
    pub early: f64,
    /// Where clusters begin, as shares of the disk: from and to.
    pub region: [f64; 2],
    /// Median extent of a cluster; it is cut behind its last error.
    pub extent: Bytes,
    /// Deviation of the logarithm of the extent.
    pub extent_sigma: f64,
    /// Largest extent.
    pub extent_max: Bytes,
    /// Exponent of the lengths of runs of errors; if not given, they are as long as on a real drive.
    pub run_exponent: Option<f64>,
    /// Longest run, in physical sectors.
    pub run_max: u64,
    /// Exponent of the lengths of gaps between runs; if not given, they are as long as on a real drive.
    pub gap_exponent: Option<f64>,
    /// Longest gap, in physical sectors.
    pub gap_max: u64,
    /// Probability that a cluster is a solid hole of 1 to 16 MiB.
    pub hole: f64,
    /// How many sectors on either side of a run are weak, at most.
    pub rim: u64,
    /// Whether errors may answer after many tries: parameters of the density of their chances.
    pub retry: Option<[f64; 2]>,
    /// How long a read of an error takes, from and to; the drive's own time if not given.
    pub failure_time: Option<[Time; 2]>,
}

impl Default for Clusters {
    fn default() -> Clusters {
        Clusters {
            count: 0.0,
            exact: false,
            singles: 0.0,
            early: 0.3,
            region: [0.0, 1.0],
            extent: Bytes(90 << 10),
            extent_sigma: 2.2,
            extent_max: Bytes(8 << 20),
            run_exponent: None,
            run_max: 568,
            gap_exponent: None,
            gap_max: 2047,
            hole: 0.02,
            rim: 0,
            retry: None,
            failure_time: None,
        }
    }
}

impl NamedFault for Clusters {
    const KIND: &'static str = "clusters";
}

impl FaultSpec for Clusters {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        checks::shares("region", "the disk", self.region)?;
        checks::count("count", self.count)?;
        checks::count("singles", self.singles)?;
        checks::share("early", self.early)?;
        checks::share("hole", self.hole)?;
        self.failure_time.map_or(Ok(()), |times| checks::times("failure-time", times))?;
        self.retry.map_or(Ok(()), |retry| checks::odds("retry", retry))?;
        checks::within("extent-sigma", self.extent_sigma, [0.0, 10.0])?;
        for (name, exponent) in [("run-exponent", self.run_exponent), ("gap-exponent", self.gap_exponent)] {
            exponent.map_or(Ok(()), |exponent| checks::within(name, exponent, [1.01, 10.0]))?;
        }
        checks::within("run-max", self.run_max as f64, [1.0, 1e9])?;
        checks::within("gap-max", self.gap_max as f64, [1.0, 1e9])?;
        checks::within("rim", self.rim as f64, [0.0, 1e6])?;
        checks::size("extent", self.extent)?;
        checks::size("extent-max", self.extent_max)?;
        let sectors = self.extent_max.0 / u64::from(medium.shape().physical);
        if self.count * sectors as f64 > SECTORS_MAX {
            return Err(format!(
                "{} clusters of up to {} may have more than {SECTORS_MAX} damaged sectors; give fewer or smaller ones",
                self.count, self.extent_max
            ));
        }
        Ok(Box::new(Laying { spec: self.clone() }))
    }

    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec> {
        // A tenth as many clusters on a disk of a hundredth: damage stays visible.
        let scale = libm::sqrt(ratio);
        let smaller = |bytes: Bytes| Bytes(((bytes.0 as f64 * scale) as u64).max(4096));
        Box::new(Clusters {
            count: (self.count * scale).max(self.count.min(3.0)),
            singles: (self.singles * scale).max(self.singles.min(3.0)),
            extent_max: smaller(self.extent_max),
            hole: 0.0,
            ..self.clone()
        })
    }
}

struct Laying {
    spec: Clusters,
}

impl Fault for Laying {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let spec = self.spec.clone();
        let mut dice = opening.dice("clusters");
        let health = spec.retry.map_or(Health::Bad, |[a, b]| Health::Weak { a, b });
        let law = Law { failure: checks::failure(spec.failure_time), ..Law::new(health, "clusters") };
        let bad = opening.law(law.clone());
        let rim = opening.law(Law { health: Health::Weak { a: 2.0, b: 1.0 }, ..law });
        let shape = opening.shape();
        let group = shape.lbas_per_sector();
        let sectors = shape.sectors / group;
        let count = if spec.exact { spec.count as u64 } else { dice.poisson(spec.count) };
        for _ in 0..count {
            let start = centre(&spec, sectors, &mut dice);
            for (from, length) in runs(&spec, shape.physical, &mut dice) {
                let from = start + from;
                let (first, end) = (from * group, (from + length) * group);
                opening.lay(bad, first..end);
                if spec.rim > 0 {
                    let (before, behind) = (dice.below(spec.rim) * group, dice.below(spec.rim) * group);
                    opening.lay(rim, first.saturating_sub(before)..first);
                    opening.lay(rim, end..end + behind);
                }
            }
        }
        for _ in 0..dice.poisson(spec.singles) {
            let sector = centre(&Clusters { early: 0.0, ..spec.clone() }, sectors, &mut dice);
            opening.lay(bad, sector * group..(sector + 1) * group);
        }
    }
}

/// Where a cluster begins, in physical sectors.
pub(super) fn centre(spec: &Clusters, sectors: u64, dice: &mut Sequence) -> u64 {
    let [from, to] = spec.region;
    let width = if dice.chance(spec.early) { (to - from) / 10.0 } else { to - from };
    let share = from + width * dice.unit();
    (share * sectors as f64) as u64
}

/// The runs of errors of one cluster: start behind its beginning and length, in physical sectors.
pub(super) fn runs(spec: &Clusters, physical: u32, dice: &mut Sequence) -> Vec<(u64, u64)> {
    let physical = u64::from(physical);
    if dice.chance(spec.hole) {
        let bytes = dice.between(1.0, 16.0) * 1_048_576.0;
        return vec![(0, bytes as u64 / physical)];
    }
    let bytes = dice.log_normal(spec.extent.0 as f64, spec.extent_sigma).min(spec.extent_max.0 as f64);
    let extent = (bytes as u64 / physical).max(1);
    let (run_lengths, gap_lengths) = (spec.run_lengths(physical), spec.gap_lengths(physical));
    // A gap that leads out of the cluster ends it. Drawn up to two and a half times its extent, measured gaps leave small
    // clusters as few errors as those of the real drive have.
    let reach = match gap_lengths {
        Lengths::Measured(_) => extent * 5 / 2,
        Lengths::Power { .. } => extent,
    };
    let (run_max, gap_max) = (spec.run_max, spec.gap_max.min(reach));
    let mut runs = Vec::new();
    let mut at = 0;
    while at < extent {
        let run = run_lengths.draw(run_max, dice).min(extent - at);
        runs.push((at, run));
        at += run + gap_lengths.draw(gap_max, dice);
    }
    runs
}

impl Clusters {
    /// The law of the lengths of runs, by the bytes of a physical sector.
    pub(super) fn run_lengths(&self, physical: u64) -> Lengths {
        let power = |exponent| Lengths::Power { exponent, max: self.run_max };
        let measured = if physical < 4096 { lengths::DISK_RUNS } else { lengths::DISK_RUNS_4K };
        self.run_exponent.map_or(measured, power)
    }

    /// The law of the lengths of gaps, by the bytes of a physical sector.
    pub(super) fn gap_lengths(&self, physical: u64) -> Lengths {
        let power = |exponent| Lengths::Power { exponent, max: self.gap_max };
        let measured = if physical < 4096 { lengths::DISK_GAPS } else { lengths::DISK_GAPS_4K };
        self.gap_exponent.map_or(measured, power)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Statistics {
        errors: usize,
        run_exponent: f64,
        gap_exponent: f64,
        bad_share: f64,
    }

    /// Statistics of 110 clusters by powers, as many as the drive had on which they were fitted.
    fn statistics(seed: u64) -> Statistics {
        let spec = Clusters {
            extent: Bytes(64 << 10),
            extent_sigma: 2.4,
            run_exponent: Some(1.65),
            run_max: 256,
            gap_exponent: Some(1.20),
            gap_max: 2048,
            ..Clusters::default()
        };
        let mut dice = Sequence::new(seed, "statistics");
        let (mut lengths, mut gaps, mut extent, mut bad) = (Vec::new(), Vec::new(), 0, 0);
        for _ in 0..110 {
            let spec = Clusters { hole: 0.0, ..spec.clone() };
            let runs = runs(&spec, 512, &mut dice);
            for pair in runs.windows(2) {
                gaps.push(pair[1].0 - pair[0].0 - pair[0].1);
            }
            lengths.extend(runs.iter().map(|(_, length)| *length));
            bad += runs.iter().map(|(_, length)| *length).sum::<u64>();
            extent += runs.last().map_or(0, |(start, length)| start + length);
        }
        // Maximum likelihood for a power law from 0.5 on.
        let exponent = |values: &[u64]| {
            let sum: f64 = values.iter().map(|x| libm::log(*x as f64 / 0.5)).sum();
            1.0 + values.len() as f64 / sum
        };
        Statistics {
            errors: lengths.len(),
            run_exponent: exponent(&lengths),
            gap_exponent: exponent(&gaps),
            bad_share: bad as f64 / extent as f64,
        }
    }

    #[test]
    fn clusters_by_powers_have_the_exponents_that_were_computed_for_them() {
        let all: Vec<Statistics> = (0..100).map(statistics).collect();
        let mean = |value: fn(&Statistics) -> f64| all.iter().map(value).sum::<f64>() / 100.0;
        let (run, gap) = (mean(|s| s.run_exponent), mean(|s| s.gap_exponent));
        assert!((run - 1.67).abs() <= 0.03, "run exponent {run}");
        assert!((gap - 1.36).abs() <= 0.03, "gap exponent {gap}");
        let bad = mean(|s| s.bad_share);
        assert!((0.07..=0.10).contains(&bad), "bad share {bad}");
        let usual = all.iter().filter(|s| (1100..=2000).contains(&s.errors)).count();
        assert!(usual >= 90, "{usual} of 100 seeds have 1100 to 2000 errors");
    }
}
