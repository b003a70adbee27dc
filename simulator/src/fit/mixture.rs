//! Mixtures of log-normal laws: which of several things a drive did, told by how long it took.
//!
//! Owns the estimate (expectation and maximisation) and the choice of how many. Must not know what the parts mean.

/// One part of a mixture over logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// Its share of all values.
    pub share: f64,
    /// Mean of the logarithm.
    pub mean: f64,
    /// Deviation of the logarithm.
    pub sigma: f64,
}

/// The narrowest part: below it lies the precision of clocks.
const SIGMA_MIN: f64 = 0.005;
/// Rounds of estimation at most.
const ROUNDS: usize = 200;

/// Fits 1 to `most` parts to logarithms and keeps as many as the Bayesian information criterion wants. Empty without
/// values.
pub fn fit(logs: &[f64], most: usize) -> Vec<Part> {
    let mut best: (f64, Vec<Part>) = (f64::INFINITY, Vec::new());
    for count in 1..=most.min(logs.len()) {
        let (parts, likelihood) = fit_exactly(logs, count);
        let parameters = (3 * count - 1) as f64;
        let criterion = parameters * libm::log(logs.len() as f64) - 2.0 * likelihood;
        if criterion < best.0 {
            best = (criterion, parts);
        }
    }
    best.1.sort_unstable_by(|a, b| a.mean.total_cmp(&b.mean));
    best.1
}

/// Share of the values of a mixture that are at most `log`.
pub fn cumulative(parts: &[Part], log: f64) -> f64 {
    parts.iter().map(|part| part.share * normal_below((log - part.mean) / part.sigma)).sum()
}

fn normal_below(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

fn fit_exactly(logs: &[f64], count: usize) -> (Vec<Part>, f64) {
    let mut sorted = logs.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let spread = (sorted[sorted.len() - 1] - sorted[0]).max(SIGMA_MIN);
    // Starts where the values are, and where they are not: in the middle of equal shares, then of equal widths.
    let by_rank = |i: usize| sorted[(2 * i + 1) * sorted.len() / (2 * count)];
    let by_width = |i: usize| sorted[0] + spread * (i as f64 + 0.5) / count as f64;
    let starts: [Vec<f64>; 2] = [(0..count).map(by_rank).collect(), (0..count).map(by_width).collect()];
    let ends = starts.map(|means| {
        let sigma = (spread / (2 * count) as f64).max(SIGMA_MIN);
        let parts = means.iter().map(|mean| Part { share: 1.0 / count as f64, mean: *mean, sigma });
        improve(logs, parts.collect())
    });
    let [a, b] = ends;
    if a.1 >= b.1 { a } else { b }
}

fn improve(logs: &[f64], mut parts: Vec<Part>) -> (Vec<Part>, f64) {
    let mut last = f64::NEG_INFINITY;
    let mut weights = vec![0.0; parts.len()];
    for _ in 0..ROUNDS {
        let mut sums = vec![(0.0, 0.0, 0.0); parts.len()];
        let mut likelihood = 0.0;
        for log in logs {
            let mut total = 0.0;
            for (weight, part) in weights.iter_mut().zip(&parts) {
                let z = (log - part.mean) / part.sigma;
                *weight = part.share / part.sigma * libm::exp(-0.5 * z * z);
                total += *weight;
            }
            // Far from all parts the densities vanish; such a value counts for none.
            if total < 1e-290 {
                likelihood -= 667.0;
                continue;
            }
            likelihood += libm::log(total * 0.398_942_280_401_432_7);
            for (sum, weight) in sums.iter_mut().zip(&weights) {
                let share = weight / total;
                *sum = (sum.0 + share, sum.1 + share * log, sum.2 + share * log * log);
            }
        }
        for (part, (weight, first, second)) in parts.iter_mut().zip(sums) {
            if weight > 1e-9 {
                let mean = first / weight;
                let sigma = libm::sqrt((second / weight - mean * mean).max(0.0)).max(SIGMA_MIN);
                *part = Part { share: weight / logs.len() as f64, mean, sigma };
            } else {
                part.share = 1e-12;
            }
        }
        if likelihood - last < 1e-6 * likelihood.abs().max(1.0) {
            return (parts, likelihood);
        }
        last = likelihood;
    }
    (parts, last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Sequence;
    use crate::fit::ks;

    #[test]
    fn parts_are_found_again_and_no_more_than_there_are() {
        let truth = [(0.7, -0.02, 0.05), (0.2, 0.8, 0.06), (0.1, 2.5, 0.4)];
        let mut dice = Sequence::new(3, "mixture");
        let logs: Vec<f64> = (0..4000)
            .map(|_| {
                let u = dice.unit();
                let part = truth[usize::from(u > 0.7) + usize::from(u > 0.9)];
                part.1 + part.2 * dice.normal()
            })
            .collect();
        let parts = fit(&logs, 5);
        assert_eq!(parts.len(), 3, "{parts:?}");
        for (part, (share, mean, sigma)) in parts.iter().zip(truth) {
            assert!((part.share - share).abs() < 0.02, "{parts:?}");
            assert!((part.mean - mean).abs() < 0.05, "{parts:?}");
            assert!((part.sigma / sigma - 1.0).abs() < 0.15, "{parts:?}");
        }
        let apart = ks::distance(&logs, |log| cumulative(&parts, log));
        assert!(ks::is_close(apart, logs.len()), "{apart}");
    }

    #[test]
    fn few_and_equal_values_do_no_harm() {
        assert!(fit(&[], 5).is_empty());
        assert_eq!(fit(&[1.0], 5).len(), 1);
        let equal = fit(&[2.0; 50], 5);
        assert_eq!(equal.len(), 1);
        assert!((equal[0].mean - 2.0).abs() < 1e-9);
    }
}
