//! How far two distributions are apart (Kolmogorov and Smirnov).
//!
//! Owns the distance and what is said of it. Must not know what is distributed.

/// The largest difference between the distribution of `values` and a cumulative distribution function; 1 without values.
pub fn distance(values: &[f64], cumulative: impl Fn(f64) -> f64) -> f64 {
    distance_within(0.0, values, cumulative)
}

/// The same where values that differ by no more than `near` are not told apart: times are measured, and many of them are
/// equal.
pub fn distance_within(near: f64, values: &[f64], cumulative: impl Fn(f64) -> f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    if values.is_empty() {
        return 1.0;
    }
    let count = values.len() as f64;
    let mut worst: f64 = 0.0;
    let mut index = 0;
    while index < values.len() {
        // Equal values are one step.
        let behind = index + values[index..].partition_point(|value| *value <= values[index]);
        worst = worst.max(behind as f64 / count - cumulative(values[index] + near));
        // A law of whole values steps there, too; one that does not is met from below.
        let before = cumulative(values[index] - near - values[index].abs().max(1e-300) * 1e-9);
        worst = worst.max(before - index as f64 / count);
        index = behind;
    }
    worst
}

/// The same for two sets of values.
pub fn between(one: &[f64], other: &[f64]) -> f64 {
    let mut other = other.to_vec();
    other.sort_unstable_by(f64::total_cmp);
    if other.is_empty() {
        return 1.0;
    }
    distance(one, |x| other.partition_point(|value| *value <= x) as f64 / other.len() as f64)
}

/// Whether a distance over so many values is no larger than chance makes it (at 5 %), or small in any case.
pub fn is_close(distance: f64, count: usize) -> bool {
    distance < 1.36 / libm::sqrt(count.max(1) as f64) || distance < 0.05
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Sequence;

    #[test]
    fn the_distance_is_that_of_the_books() {
        // Of 1 to 4 against the uniform law on 0 to 4: each step is a quarter high, and ends on the line.
        let uniform = |x: f64| (x / 4.0).clamp(0.0, 1.0);
        assert!((distance(&[1.0, 2.0, 3.0, 4.0], uniform) - 0.25).abs() < 1e-6);
        assert!((between(&[1.0, 1.0, 2.0], &[2.0, 3.0]) - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!(between(&[1.0, 2.0, 2.0], &[2.0, 1.0, 2.0]), 0.0);
        assert!(distance_within(1.0, &[1.0, 2.0, 3.0, 4.0], uniform) < 1e-6);
        assert_eq!((distance(&[], uniform), between(&[1.0], &[])), (1.0, 1.0));
    }

    #[test]
    fn what_was_drawn_from_a_law_is_close_to_it_and_not_to_another() {
        let mut dice = Sequence::new(1, "ks");
        let values: Vec<f64> = (0..2000).map(|_| dice.exponential(3.0)).collect();
        let law = |mean: f64| move |x: f64| 1.0 - libm::exp(-x.max(0.0) / mean);
        let (same, other) = (distance(&values, law(3.0)), distance(&values, law(3.6)));
        assert!(is_close(same, values.len()), "{same}");
        assert!(!is_close(other, values.len()), "{other}");
    }
}
