//! How long a drive takes to fail.
//!
//! Owns the estimate: a few exact values that firmware and kernels like, and a mixture for the rest. Must not know where
//! reads fail.

use super::mixture::{self, Part};

/// A time that many failures take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Atom {
    /// Seconds.
    pub secs: f64,
    /// Share of all failures within 2 % of it.
    pub share: f64,
}

/// Times of failures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FailureTimes {
    /// Values that many of them take, most frequent first.
    pub atoms: Vec<Atom>,
    /// The others, by the logarithm of their seconds; shares are of the others.
    pub rest: Vec<Part>,
    /// Evenly spaced quantiles of all, in seconds, as [`super::quantiles`] makes them; empty without failures.
    pub quantiles: Vec<f64>,
    /// The middle one of all; 0 without failures.
    pub median: f64,
}

/// Half the width of an atom.
const NEAR: f64 = 0.02;
/// The least share of an atom.
const SHARE_MIN: f64 = 0.1;
/// Parts of the mixture at most.
const PARTS: usize = 3;

/// Fits times of failures in seconds.
pub fn fit(times: &[f64]) -> FailureTimes {
    let mut left: Vec<f64> = times.iter().copied().filter(|secs| *secs > 0.0).collect();
    left.sort_unstable_by(f64::total_cmp);
    let quantiles = super::quantiles(&left);
    let median = left.get(left.len() / 2).copied().unwrap_or(0.0);
    let all = left.len() as f64;
    let mut atoms = Vec::new();
    while let Some((from, to)) = densest(&left).filter(|(from, to)| (to - from) as f64 >= SHARE_MIN * all) {
        atoms.push(Atom { secs: left[(from + to) / 2], share: (to - from) as f64 / all });
        left.drain(from..to);
    }
    let logs: Vec<f64> = left.iter().map(|secs| libm::log(*secs)).collect();
    FailureTimes { atoms, rest: mixture::fit(&logs, PARTS), quantiles, median }
}

/// The indices between which most sorted values lie within 2 % of their middle.
fn densest(sorted: &[f64]) -> Option<(usize, usize)> {
    let mut from = 0;
    let mut best = None;
    for to in 1..=sorted.len() {
        while sorted[to - 1] * (1.0 - NEAR) > sorted[from] * (1.0 + NEAR) {
            from += 1;
        }
        if best.is_none_or(|(first, last)| to - from > last - first) {
            best = Some((from, to));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Sequence;

    #[test]
    fn exact_times_are_told_from_the_rest() {
        let mut dice = Sequence::new(4, "failures");
        let times: Vec<f64> = (0..3000)
            .map(|_| match dice.unit() {
                u if u < 0.5 => 3.0 * (1.0 + 0.005 * dice.normal()),
                u if u < 0.7 => 30.0 * (1.0 + 0.002 * dice.normal()),
                _ => dice.log_normal(0.8, 0.5),
            })
            .collect();
        let found = fit(&times);
        assert_eq!(found.atoms.len(), 2, "{found:?}");
        assert!(
            (found.atoms[0].secs - 3.0).abs() < 0.03 && (found.atoms[0].share - 0.5).abs() < 0.03,
            "{found:?}"
        );
        assert!(
            (found.atoms[1].secs - 30.0).abs() < 0.3 && (found.atoms[1].share - 0.2).abs() < 0.03,
            "{found:?}"
        );
        assert_eq!(found.rest.len(), 1, "{found:?}");
        assert!((found.rest[0].mean - libm::log(0.8)).abs() < 0.06, "{found:?}");
        assert!((found.rest[0].sigma - 0.5).abs() < 0.05, "{found:?}");
        assert!((found.median - 3.0).abs() < 0.1 && found.quantiles.len() == 101);
        assert_eq!(fit(&[]), FailureTimes::default());
    }
}
