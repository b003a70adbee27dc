//! How often another try succeeds.
//!
//! Owns the estimate of the density of chances. Must not know where sectors lie.
//!
//! If each sector keeps a chance of its own, drawn with density Beta(a, b), those that have failed n times answer the next
//! time with probability a / (a + b + n).

/// Tries and successes of sectors that had failed so often before (index 0: never).
pub type Passes = Vec<(u64, u64)>;

/// The density of the chances of sectors that failed once at least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chances {
    /// First parameter.
    pub a: f64,
    /// Second parameter.
    pub b: f64,
}

/// Least tries at sectors that had failed before.
const TRIES_MIN: u64 = 50;

/// Fits passes by moments: the inverse of the share that succeeds rises with n along a line. `None` if nothing ever
/// answered again, or too little was tried again.
pub fn fit(passes: &[(u64, u64)]) -> Option<Chances> {
    let known: Vec<(f64, f64, f64)> = passes
        .iter()
        .enumerate()
        .filter(|(_, (_, successes))| *successes > 0)
        .map(|(before, (tries, successes))| {
            let share = *successes as f64 / *tries as f64;
            // The inverse of a share is as uncertain as this many successes make it.
            (before as f64, 1.0 / share, *successes as f64 * share * share / (1.0 - share).max(0.01))
        })
        .collect();
    let tries: u64 = passes.iter().map(|(tries, _)| *tries).sum();
    let (first, ..) = known.first()?;
    if tries < TRIES_MIN {
        return None;
    }
    let weight: f64 = known.iter().map(|(.., w)| w).sum();
    let mean =
        |value: fn(&(f64, f64, f64)) -> f64| known.iter().map(|k| k.2 * value(k)).sum::<f64>() / weight;
    let (x, y) = (mean(|k| k.0), mean(|k| k.1));
    let spread = known.iter().map(|k| k.2 * (k.0 - x) * (k.0 - x)).sum::<f64>();
    let slope = known.iter().map(|k| k.2 * (k.0 - x) * (k.1 - y)).sum::<f64>() / spread;
    // One pass, or shares that do not fall: every sector has the same chance.
    let slope = if spread > 0.0 && slope > 0.01 { slope } else { 0.01 };
    let a = 1.0 / slope;
    let b = a * (y - slope * x - 1.0);
    debug_assert!(*first >= 0.0);
    Some(Chances { a, b }.within_bounds())
}

/// Parameters of a density are at most so large; narrower ones differ little.
const LARGEST: f64 = 99.0;
/// And at least so large.
const SMALLEST: f64 = 0.0001;

impl Chances {
    /// The same mean, with parameters that a scenario may have.
    pub fn within_bounds(self) -> Chances {
        let scale = (LARGEST / self.a.max(self.b)).min(1.0);
        let bounded = |x: f64| (x * scale).clamp(SMALLEST, LARGEST);
        Chances { a: bounded(self.a), b: bounded(self.b) }
    }

    /// Those of sectors that failed so many more times.
    pub fn after_failures(self, count: f64) -> Chances {
        Chances { b: self.b + count, ..self }.within_bounds()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::{Conditions, Health, Law, LawDice, Trial};

    #[test]
    fn the_law_of_simulated_sectors_is_found_again() {
        for (a, b) in [(0.30, 1.9), (1.0, 3.0)] {
            let law = Law::new(Health::Weak { a, b }, "test");
            let (mut dice, now) = (LawDice::new(7), Conditions::default());
            let mut left: Vec<u64> = (0..30_000).collect();
            let mut passes = Passes::new();
            for attempt in 0..8 {
                let before = left.len() as u64;
                left.retain(|sector| {
                    matches!(law.attempt(*sector, attempt, &mut dice, &now), Trial::Failed(_))
                });
                passes.push((before, before - left.len() as u64));
            }
            let found = fit(&passes).unwrap();
            assert!(
                (found.a / a - 1.0).abs() < 0.1 && (found.b / b - 1.0).abs() < 0.1,
                "{found:?} of {a}, {b}"
            );
        }
    }

    #[test]
    fn the_passes_of_the_real_drive_give_its_law() {
        // m30: 13.5, 9.3 and 5.2 % of the sectors that were left.
        let found = fit(&[(6011, 811), (5200, 484), (4716, 245)]).unwrap();
        let share = |n: f64| found.a / (found.a + found.b + n);
        for (n, real) in [(0.0, 0.135), (1.0, 0.093), (2.0, 0.052)] {
            assert!((share(n) - real).abs() < 0.03, "{found:?}: {} of {real}", share(n));
        }
        // One sector in five hundred, on the only pass that there was.
        let rare = fit(&[(0, 0), (1000, 2)]).unwrap();
        assert!((rare.a / (rare.a + rare.b) / 0.002 - 1.0).abs() < 0.01, "{rare:?}");
        assert!(rare.b <= LARGEST && rare.after_failures(5.0).b <= LARGEST, "{rare:?}");
        assert_eq!(fit(&[(500, 0), (500, 0)]), None, "nothing ever answered");
        assert_eq!(fit(&[(5, 1)]), None, "too little is known");
    }
}
