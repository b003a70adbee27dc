//! How errors lie beside each other.
//!
//! Owns the estimates of runs, gaps, clusters and of the two-state chain. Must not know times.

use super::mixture::Part;

/// Sectors of one kind in a row: where they begin, how many there are, whether they are bad. Rising; gaps between rows
/// are sectors of which nothing is known.
pub type Rows = [(u64, u64, bool)];

/// How errors lie.
#[derive(Clone, Debug, PartialEq)]
pub struct Errors {
    /// Clusters: errors that are closer than the distance at which clusters are told apart.
    pub clusters: u64,
    /// Lengths of runs of bad sectors.
    pub runs: Vec<f64>,
    /// Lengths of gaps between runs of one cluster.
    pub gaps: Vec<f64>,
    /// Exponent of the lengths of runs.
    pub run_exponent: f64,
    /// Exponent of the lengths of gaps.
    pub gap_exponent: f64,
    /// Extents of clusters of more than one error: the logarithm of sectors.
    pub extent: Part,
    /// How many of those there are.
    pub extents: usize,
    /// Share of the sectors in a cluster that are bad.
    pub bad_inside: f64,
}

/// Measures rows. `apart`: good sectors between two errors of different clusters, at least. `None` without errors.
pub fn measure(rows: &Rows, apart: u64) -> Option<Errors> {
    let (mut runs, mut gaps, mut extents, mut inside) = (Vec::new(), Vec::new(), Vec::new(), (0, 0));
    // Start and end of the cluster so far, and its bad sectors.
    let mut open: Option<(u64, u64, u64)> = None;
    let mut clusters = 0;
    let mut close = |cluster: Option<(u64, u64, u64)>| {
        let Some((start, end, bad)) = cluster else { return };
        if end - start > bad {
            extents.push(libm::log((end - start) as f64));
            inside = (inside.0 + bad, inside.1 + end - start);
        }
    };
    for (start, count, _) in rows.iter().filter(|(.., bad)| *bad) {
        runs.push(*count as f64);
        match &mut open {
            Some((_, end, bad)) if start - *end < apart => {
                if start > end {
                    gaps.push((start - *end) as f64);
                }
                *end = start + count;
                *bad += count;
            }
            _ => {
                clusters += 1;
                close(open.replace((*start, start + count, *count)));
            }
        }
    }
    close(open);
    if runs.is_empty() {
        return None;
    }
    let count = extents.len().max(1) as f64;
    let mean = extents.iter().sum::<f64>() / count;
    let sigma = libm::sqrt(extents.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count);
    Some(Errors {
        clusters,
        run_exponent: exponent(&runs),
        gap_exponent: exponent(&gaps),
        runs,
        gaps,
        extent: Part { share: 1.0, mean, sigma },
        extents: extents.len(),
        bad_inside: if inside.1 == 0 { 1.0 } else { inside.0 as f64 / inside.1 as f64 },
    })
}

/// Exponent of a power law of whole numbers from 1 on, by maximum likelihood (continuous from one half on).
pub fn exponent(lengths: &[f64]) -> f64 {
    let sum: f64 = lengths.iter().map(|length| libm::log(length / 0.5)).sum();
    1.0 + lengths.len() as f64 / sum.max(1e-9)
}

/// A chain of two states over sectors (Gilbert and Elliott).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chain {
    /// Probability that the sector behind a good one is bad.
    pub into: f64,
    /// Probability that the sector behind a bad one is good.
    pub out_of: f64,
}

/// Fits the chain to rows of sectors, rising and perhaps with others left out between them: what is seen `d` sectors on has
/// gone through `d` steps. `None` unless both kinds are there.
pub fn chain(rows: &Rows) -> Option<Chain> {
    let (mut bad, mut all) = (0, 0);
    for (_, count, is_bad) in rows {
        all += count;
        bad += if *is_bad { *count } else { 0 };
    }
    if bad == 0 || bad == all {
        return None;
    }
    let bad = bad as f64 / all as f64;
    // Pairs by distance, so that long logs cost little.
    let mut pairs: std::collections::BTreeMap<u64, [u64; 4]> = std::collections::BTreeMap::new();
    let kind = |from: bool, to: bool| usize::from(from) * 2 + usize::from(to);
    for (index, (start, count, is_bad)) in rows.iter().enumerate() {
        pairs.entry(1).or_default()[kind(*is_bad, *is_bad)] += count - 1;
        if let Some((next, _, is_next_bad)) = rows.get(index + 1) {
            pairs.entry(next - (start + count - 1)).or_default()[kind(*is_bad, *is_next_bad)] += 1;
        }
    }
    let likelihood = |kept: f64| {
        let each = |(distance, counts): (&u64, &[u64; 4])| {
            let left = libm::pow(kept, *distance as f64);
            // From good to good and bad, from bad to good and bad.
            let odds = [
                1.0 - bad * (1.0 - left),
                bad * (1.0 - left),
                (1.0 - bad) * (1.0 - left),
                bad + (1.0 - bad) * left,
            ];
            counts.iter().zip(odds).map(|(n, p)| *n as f64 * libm::log(p.max(1e-300))).sum::<f64>()
        };
        pairs.iter().map(each).sum::<f64>()
    };
    // What is kept of a state from one sector to the next, on a scale that is fine near 1.
    let kept = |x: f64| 1.0 - libm::exp(-x);
    let (mut low, mut high) = (0.001, 20.0);
    for _ in 0..80 {
        let (a, b) = (low + (high - low) * 0.382, low + (high - low) * 0.618);
        if likelihood(kept(a)) < likelihood(kept(b)) { low = a } else { high = b }
    }
    let change = 1.0 - kept((low + high) / 2.0);
    Some(Chain { into: bad * change, out_of: (1.0 - bad) * change })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Sequence;

    #[test]
    fn runs_gaps_and_clusters_are_what_they_were_drawn_from() {
        let mut dice = Sequence::new(6, "chain");
        let whole = |x: f64| (x + 0.5) as u64;
        let (mut at, mut rows) = (0u64, Vec::new());
        for _ in 0..200 {
            for _ in 0..20 {
                let run = whole(dice.power_law(1.65, 0.5, 256.5)).max(1);
                rows.push((at, run, true));
                let gap = whole(dice.power_law(1.35, 0.5, 1024.5)).max(1);
                rows.push((at + run, gap, false));
                at += run + gap;
            }
            rows.push((at, 100_000, false));
            at += 100_000;
        }
        let found = measure(&rows, 2048).unwrap();
        assert_eq!((found.clusters, found.runs.len(), found.gaps.len()), (200, 4000, 3800));
        // Cut off at the longest, the estimate lies a little above.
        assert!((1.62..1.72).contains(&found.run_exponent), "{}", found.run_exponent);
        assert!((1.36..1.50).contains(&found.gap_exponent), "{}", found.gap_exponent);
        assert!((0.02..0.3).contains(&found.bad_inside), "{}", found.bad_inside);
        assert_eq!(measure(&[(0, 100, false)], 10), None);
    }

    #[test]
    fn a_chain_is_found_again_through_skips() {
        for (into, out_of, longest) in [(0.01, 0.2, 1), (0.01, 0.2, 8), (0.002, 0.01, 100)] {
            let mut dice = Sequence::new(8, "chain");
            let (mut is_bad, mut seen, mut next) = (false, Vec::new(), 0);
            for at in 0..400_000u64 {
                is_bad = if is_bad { !dice.chance(out_of) } else { dice.chance(into) };
                if at == next {
                    seen.push((at, 1, is_bad));
                    next += 1 + dice.below(longest);
                }
            }
            let found = chain(&seen).unwrap();
            let near = |found: f64, truth: f64| (found / truth - 1.0).abs() < 0.15;
            assert!(near(found.into, into) && near(found.out_of, out_of), "{found:?} of {into}, {out_of}");
        }
        assert_eq!(chain(&[(0, 2, true)]), None);
    }
}
