//! How long a drive takes to go somewhere else.
//!
//! Owns the estimate of the curve. Must not know what happens there.

/// Time of a jump in seconds: `base + root * sqrt(share) + line * share`, by the share of the drive that is crossed. Half
/// a turn of waiting is in the base.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seeks {
    /// Time of the shortest jump, with half a turn.
    pub base: f64,
    /// Factor of the square root of the way.
    pub root: f64,
    /// Factor of the way.
    pub line: f64,
}

/// Least jumps that a curve is fitted to.
const JUMPS_MIN: usize = 30;

/// Fits the curve to jumps of (share of the drive, seconds) by least squares. `None` with fewer than 30 jumps, or if they
/// are all alike.
pub fn fit(jumps: &[(f64, f64)]) -> Option<Seeks> {
    if jumps.len() < JUMPS_MIN {
        return None;
    }
    // Normal equations of three unknowns.
    let mut sums = [[0.0; 4]; 3];
    for (way, secs) in jumps {
        let row = [1.0, libm::sqrt(*way), *way, *secs];
        for (line, factor) in sums.iter_mut().zip(row) {
            for (sum, value) in line.iter_mut().zip(row) {
                *sum += factor * value;
            }
        }
    }
    let [base, root, line] = solve(sums)?;
    Some(Seeks { base, root, line })
}

/// Solves three equations (elimination with pivots).
fn solve(mut rows: [[f64; 4]; 3]) -> Option<[f64; 3]> {
    for column in 0..3 {
        let pivot = (column..3).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()))?;
        rows.swap(column, pivot);
        let head = rows[column];
        if head[column].abs() < 1e-12 * rows[0][0].abs().max(1.0) {
            return None;
        }
        for (index, row) in rows.iter_mut().enumerate().filter(|(index, _)| *index != column) {
            debug_assert_ne!(index, column);
            let factor = row[column] / head[column];
            for (value, of_head) in row.iter_mut().zip(head) {
                *value -= factor * of_head;
            }
        }
    }
    Some([rows[0][3] / rows[0][0], rows[1][3] / rows[1][1], rows[2][3] / rows[2][2]])
}

impl Seeks {
    /// Time of a jump over this share of the drive, in seconds.
    pub fn time(&self, way: f64) -> f64 {
        self.base + self.root * libm::sqrt(way) + self.line * way
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Sequence;

    #[test]
    fn a_curve_under_turning_noise_is_found_again() {
        let truth = Seeks { base: 0.0052, root: 0.008, line: 0.006 };
        let mut dice = Sequence::new(2, "seeks");
        let jumps: Vec<(f64, f64)> = (0..5000)
            .map(|_| {
                let way = dice.unit();
                (way, truth.time(way) + dice.between(-0.0042, 0.0042))
            })
            .collect();
        let found = fit(&jumps).unwrap();
        for way in [0.01, 0.1, 0.5, 1.0] {
            let apart = (found.time(way) / truth.time(way) - 1.0).abs();
            assert!(apart < 0.03, "{apart} at {way}: {found:?}");
        }
        assert_eq!(fit(&[(0.5, 0.01); 100]), None, "all alike");
        assert_eq!(fit(&jumps[..20]), None);
    }
}
