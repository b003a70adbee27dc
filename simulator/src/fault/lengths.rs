//! How long errors are, and the gaps between them.
//!
//! Owns the laws of lengths: powers, and tables that were measured on real drives. Must not know where errors lie.
//!
//! Lengths on real drives have no scale of their own, so that a power says much with one number; but drives fail in
//! groups of sectors, pages and stripes as well, and fewer of their errors are one sector long than a power has. Whose
//! numbers are known is drawn from a table.

use crate::dice::Sequence;

/// How lengths are distributed, in physical sectors.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lengths {
    /// A density that falls as a power, up to a longest one.
    Power {
        /// The exponent.
        exponent: f64,
        /// The longest.
        max: u64,
    },
    /// Lengths, rising, each with the share of all that are not longer; between two of them, each octave has as many.
    Measured(&'static [(u64, f64)]),
}

/// Runs of errors of a hard disk of 80 GB that was read sector by sector: 1472 of them.
pub(super) const DISK_RUNS: Lengths = Lengths::Measured(&[
    (1, 0.397),
    (2, 0.592),
    (3, 0.673),
    (4, 0.720),
    (6, 0.764),
    (7, 0.781),
    (8, 0.827),
    (9, 0.888),
    (10, 0.896),
    (12, 0.904),
    (16, 0.930),
    (24, 0.954),
    (32, 0.963),
    (64, 0.977),
    (128, 0.993),
    (256, 0.997),
    (568, 1.0),
]);

/// Runs of errors of a hard disk that fails in sectors of 4 KiB: of 104, 55 % were one sector long and the mean was 3.6. They
/// are cut where a cluster ends, and have an exponent of 1.73 then.
pub(super) const DISK_RUNS_4K: Lengths = Lengths::Power { exponent: 1.70, max: 56 };

/// Gaps between the errors of one cluster of that disk, up to 1 MiB: 31 % were one sector long, 67 % up to 8, and 87 % up to 64.
pub(super) const DISK_GAPS_4K: Lengths = Lengths::Power { exponent: 1.20, max: 256 };

/// Gaps between the errors of one cluster of the first disk. 1362 were measured; there are more long ones here, because those
/// that lead out of the cluster are drawn but not met.
pub(super) const DISK_GAPS: Lengths = Lengths::Measured(&[
    (1, 0.278),
    (2, 0.377),
    (3, 0.433),
    (4, 0.473),
    (5, 0.561),
    (6, 0.616),
    (8, 0.654),
    (12, 0.679),
    (16, 0.713),
    (24, 0.741),
    (32, 0.760),
    (48, 0.785),
    (64, 0.809),
    (96, 0.830),
    (128, 0.850),
    (192, 0.873),
    (256, 0.885),
    (512, 0.916),
    (1024, 0.957),
    (2047, 1.0),
]);

/// Errors of a solid-state drive of 128 GB, in codewords of 4 KiB: 1130 of them, none longer than a page.
pub(super) const FLASH_RUNS: Lengths = Lengths::Measured(&[(1, 0.770), (2, 0.892), (3, 0.941), (4, 1.0)]);

/// Gaps between the errors of one cluster of that drive: 887. What lies side by side on a die comes again 48 codewords on.
pub(super) const FLASH_GAPS: Lengths = Lengths::Measured(&[
    (1, 0.344),
    (2, 0.369),
    (3, 0.375),
    (4, 0.432),
    (5, 0.489),
    (6, 0.527),
    (7, 0.570),
    (8, 0.583),
    (11, 0.596),
    (35, 0.597),
    (39, 0.688),
    (43, 0.697),
    (44, 0.711),
    (46, 0.762),
    (48, 0.789),
    (50, 0.795),
    (83, 0.805),
    (86, 0.844),
    (91, 0.857),
    (92, 0.886),
    (94, 0.909),
    (96, 0.927),
    (104, 0.937),
    (131, 0.938),
    (144, 0.961),
    (182, 0.962),
    (196, 0.993),
    (256, 1.0),
]);

/// How many errors each of the 243 clusters of that drive had.
pub(super) const FLASH_ERRORS: Lengths = Lengths::Measured(&[
    (1, 0.280),
    (2, 0.498),
    (3, 0.613),
    (4, 0.691),
    (5, 0.765),
    (6, 0.798),
    (7, 0.823),
    (8, 0.860),
    (10, 0.885),
    (12, 0.905),
    (16, 0.963),
    (20, 0.975),
    (38, 1.0),
]);

/// Lengths that are summed up one by one.
const ROUNDED: u64 = 100;

impl Lengths {
    /// Draws one of those that are not longer than `limit`; at least 1.
    pub(super) fn draw(&self, limit: u64, dice: &mut Sequence) -> u64 {
        let limit = limit.max(1);
        match self {
            Lengths::Power { exponent, max } => {
                let max = limit.min(*max).max(1);
                // Rounded from [0.5, max + 0.5).
                ((dice.power_law(*exponent, 0.5, max as f64 + 0.5) + 0.5) as u64).clamp(1, max)
            }
            Lengths::Measured(table) => {
                let share = dice.unit() * share_up_to(table, limit);
                let index = table.partition_point(|(_, up_to)| *up_to <= share).min(table.len() - 1);
                let (low, high, below, up_to) = step(table, index);
                let part = (share - below) / (up_to - below);
                let length = low * libm::pow(high / low, part);
                ((length + 0.5) as u64).clamp(1, limit)
            }
        }
    }

    /// The mean.
    pub(super) fn mean(&self) -> f64 {
        match self {
            Lengths::Power { exponent, max } => {
                let integral = |power: f64, low: f64, high: f64| {
                    (libm::pow(high, power) - libm::pow(low, power)) / power
                };
                let of = |power, low: u64, high: u64| integral(power, low as f64 + 0.5, high as f64 + 0.5);
                // Short ones are rounded by much.
                let rounded = (*max).min(ROUNDED);
                let sum: f64 = (1..=rounded).map(|x| x as f64 * of(1.0 - exponent, x - 1, x)).sum();
                (sum + of(2.0 - exponent, rounded, *max)) / of(1.0 - exponent, 0, *max)
            }
            Lengths::Measured(table) => {
                let each = |index| {
                    let (low, high, below, up_to) = step(table, index);
                    let one = high - low <= 1.0;
                    let mean = if one { high - 0.5 } else { (high - low) / libm::log(high / low) };
                    (up_to - below) * mean
                };
                (0..table.len()).map(each).sum()
            }
        }
    }
}

/// A step of a table: lengths from and to, both half a sector on, and the shares up to either.
fn step(table: &[(u64, f64)], index: usize) -> (f64, f64, f64, f64) {
    let (length, up_to) = table[index];
    let (before, below) = index.checked_sub(1).map_or((0, 0.0), |before| table[before]);
    (before as f64 + 0.5, length as f64 + 0.5, below, up_to)
}

/// The share of lengths that are at most so long.
fn share_up_to(table: &[(u64, f64)], limit: u64) -> f64 {
    let index = table.partition_point(|(length, _)| *length < limit);
    if index == table.len() {
        return 1.0;
    }
    let (low, high, below, up_to) = step(table, index);
    below + (up_to - below) * libm::log((limit as f64 + 0.5) / low) / libm::log(high / low)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: [Lengths; 5] = [DISK_RUNS, DISK_GAPS, FLASH_RUNS, FLASH_GAPS, FLASH_ERRORS];

    fn drawn(lengths: &Lengths, limit: u64) -> Vec<u64> {
        let mut dice = Sequence::new(5, "lengths");
        (0..40_000).map(|_| lengths.draw(limit, &mut dice)).collect()
    }

    #[test]
    fn as_many_are_drawn_as_the_table_says() {
        for lengths in TABLES {
            let Lengths::Measured(table) = &lengths else { panic!() };
            assert!(table.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1), "{table:?}");
            let (last, all) = table[table.len() - 1];
            assert_eq!(all, 1.0);
            let drawn = drawn(&lengths, u64::MAX);
            for (length, share) in *table {
                let found = drawn.iter().filter(|x| *x <= length).count() as f64 / drawn.len() as f64;
                assert!((found - share).abs() < 0.01, "{found} up to {length}, not {share}");
            }
            assert!(drawn.iter().all(|x| (1..=last).contains(x)));
        }
    }

    #[test]
    fn a_limit_cuts_off_what_is_longer_and_keeps_the_rest_in_proportion() {
        for lengths in TABLES.into_iter().chain([Lengths::Power { exponent: 1.65, max: 256 }]) {
            for limit in [1, 2, 7, 20] {
                let (short, all) = (drawn(&lengths, limit), drawn(&lengths, u64::MAX));
                let kept: Vec<&u64> = all.iter().filter(|x| **x <= limit).collect();
                for length in 1..=limit {
                    let share = |count: usize, of: usize| count as f64 / of as f64;
                    let found = share(short.iter().filter(|x| **x == length).count(), short.len());
                    let expected = share(kept.iter().filter(|x| ***x == length).count(), kept.len());
                    assert!(
                        (found - expected).abs() < 0.012,
                        "{found} of {length} below {limit}: {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_mean_is_that_of_what_is_drawn() {
        let powers = [1.65, 2.12].map(|exponent| Lengths::Power { exponent, max: 256 });
        for lengths in TABLES.into_iter().chain(powers) {
            let drawn = drawn(&lengths, u64::MAX);
            let found = drawn.iter().sum::<u64>() as f64 / drawn.len() as f64;
            let mean = lengths.mean();
            assert!((found / mean - 1.0).abs() < 0.05, "{found} for {mean}: {lengths:?}");
        }
    }
}
