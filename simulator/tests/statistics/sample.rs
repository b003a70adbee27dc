//! What is measured of damage, on generated disks and in maps alike.
//!
//! Owns clusters and chains as they are counted for the reference numbers. Must not know where the damage came from.

use simulator::SimDisk;
use simulator::fit::ks;
use simulator::law::Certainty;
use simulator::truth::ATTEMPTS;

use crate::reference::Shares;

/// How errors lie.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Lengths of runs of errors.
    pub runs: Vec<f64>,
    /// Lengths of gaps between the runs of one cluster.
    pub gaps: Vec<f64>,
    /// From the start of a cluster's first run to the end of its last.
    pub extents: Vec<f64>,
    /// Runs of each cluster.
    pub errors: Vec<f64>,
    /// Bad sectors, and all sectors of all clusters.
    pub bad: [f64; 2],
}

impl Sample {
    /// Measures errors: where they begin and how long they are, rising, touching or not. `apart`: good sectors between two
    /// clusters, at least.
    pub fn of(errors: impl IntoIterator<Item = (u64, u64)>, apart: u64) -> Sample {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for (start, count) in errors {
            match runs.last_mut() {
                Some((_, end)) if *end == start => *end += count,
                _ => runs.push((start, start + count)),
            }
        }
        let mut sample = Sample::default();
        for cluster in runs.chunk_by(|run, next| next.0 - run.1 < apart) {
            let (first, last) = (cluster[0].0, cluster[cluster.len() - 1].1);
            sample.runs.extend(cluster.iter().map(|(start, end)| (end - start) as f64));
            sample.gaps.extend(cluster.windows(2).map(|pair| (pair[1].0 - pair[0].1) as f64));
            sample.extents.push((last - first) as f64);
            sample.errors.push(cluster.len() as f64);
            sample.bad[0] += cluster.iter().map(|(start, end)| (end - start) as f64).sum::<f64>();
            sample.bad[1] += (last - first) as f64;
        }
        sample
    }

    /// The samples of several disks as one.
    pub fn together(samples: &[Sample]) -> Sample {
        let mut all = Sample::default();
        for sample in samples {
            all.runs.extend(&sample.runs);
            all.gaps.extend(&sample.gaps);
            all.extents.extend(&sample.extents);
            all.errors.extend(&sample.errors);
            all.bad = [all.bad[0] + sample.bad[0], all.bad[1] + sample.bad[1]];
        }
        all
    }

    /// In units of so many sectors, of which each length has at least one.
    pub fn in_units(mut self, sectors: f64) -> Sample {
        for lengths in [&mut self.runs, &mut self.gaps, &mut self.extents] {
            lengths.iter_mut().for_each(|length| *length = (*length / sectors).round().max(1.0));
        }
        self
    }

    /// Share of the sectors of clusters that are bad.
    pub fn bad_share(&self) -> f64 {
        self.bad[0] / self.bad[1]
    }
}

/// What never answers, or not to everybody, on a disk as it was opened: physical sectors.
pub fn errors_of(disk: &SimDisk) -> Vec<(u64, u64)> {
    let (drive, group) = (disk.drive(), disk.shape().lbas_per_sector());
    let fails =
        |law: usize| drive.surface.law(law).certainty(ATTEMPTS, &drive.conditions) != Certainty::Answers;
    let stretches = drive.surface.stretches().iter().filter(|stretch| fails(stretch.law));
    stretches.map(|s| (s.sectors.start / group, (s.sectors.end - s.sectors.start) / group)).collect()
}

/// Chains of errors: lengths from the first start to the last in sectors, and how many errors each has.
pub struct Chains {
    pub lengths: Vec<f64>,
    pub hits: Vec<f64>,
    /// Share of all errors that are in chains.
    pub share: f64,
}

/// Chains of four errors or more that begin at most `near` sectors one after the other.
pub fn chains(starts: &[u64], near: u64) -> Chains {
    let all = starts.chunk_by(|start, next| next - start <= near);
    let long: Vec<&[u64]> = all.filter(|chain| chain.len() >= 4).collect();
    let hits: Vec<f64> = long.iter().map(|chain| chain.len() as f64).collect();
    Chains {
        lengths: long.iter().map(|chain| (chain[chain.len() - 1] - chain[0]) as f64).collect(),
        share: hits.iter().sum::<f64>() / starts.len() as f64,
        hits,
    }
}

/// Exponent of a power law of whole numbers from 1 on, by maximum likelihood.
pub fn exponent(lengths: &[f64]) -> f64 {
    1.0 + lengths.len() as f64 / lengths.iter().map(|x| (x / 0.5).ln()).sum::<f64>()
}

/// The distance of Kolmogorov and Smirnov from reference quantiles.
pub fn distance(values: &[f64], reference: Shares) -> f64 {
    ks::distance(values, |x| {
        let count = reference.partition_point(|(value, _)| *value <= x);
        count.checked_sub(1).map_or(0.0, |last| reference[last].1)
    })
}

/// The value that so many of them do not exceed.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values[((share * values.len() as f64) as usize).min(values.len() - 1)]
}

/// Of the sectors `lag` behind a bad one, the share that is bad too.
pub fn again_bad(errors: &[(u64, u64)], lag: u64) -> f64 {
    let (mut next, mut both, mut all) = (0, 0, 0);
    for (start, count) in errors {
        let (from, to) = (start + lag, start + count + lag);
        all += count;
        while next < errors.len() && errors[next].0 + errors[next].1 <= from {
            next += 1;
        }
        let met = errors[next..].iter().take_while(|(start, _)| *start < to);
        both += met.map(|(start, count)| (start + count).min(to) - (*start).max(from)).sum::<u64>();
    }
    both as f64 / all as f64
}
