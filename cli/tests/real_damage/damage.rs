//! Random damage.
//!
//! Owns its kinds. Must not know who serves it.

use std::ops::Range;

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// Makes damage of some kind to `size` bytes: ranges in order and apart, with borders that are multiples of `grain` or
/// the end.
pub fn random(rng: &mut ChaCha8Rng, size: u64, grain: u64) -> Vec<Range<u64>> {
    let mut bad = Vec::new();
    let mut add = |rng: &mut ChaCha8Rng, longest: u64| {
        let start = rng.random_range(0..size);
        bad.push(start..start + rng.random_range(1..=longest.max(1)));
    };
    match rng.random_range(0..8) {
        // Single sectors.
        0 | 1 => (0..rng.random_range(1..40)).for_each(|_| add(rng, grain)),
        // Bands.
        2 => (0..rng.random_range(1..10)).for_each(|_| add(rng, size / 8)),
        // Clusters around a wound.
        3 | 4 => {
            for _ in 0..rng.random_range(1..6) {
                add(rng, size / 20);
                (0..rng.random_range(0..20)).for_each(|_| add(rng, 3 * grain.max(64)));
            }
        }
        // Good islands in a sea of damage.
        5 => {
            let mut at = 0;
            while at < size {
                let length = rng.random_range(1..=(size / 6).max(1));
                bad.push(at..at + length);
                at += length + rng.random_range(1..=4 * grain.max(512));
            }
        }
        // The ends.
        6 => {
            let length = *[1, grain, 20 * grain, size / 4].choose(rng).expect("not empty");
            bad.push(0..length.max(1));
            bad.push(size.saturating_sub(length)..size);
        }
        // None.
        _ => {}
    }
    normal(bad, size, grain)
}

/// Puts ranges in order, widens them to whole grains and joins those that touch.
pub fn normal(mut bad: Vec<Range<u64>>, size: u64, grain: u64) -> Vec<Range<u64>> {
    bad.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in bad {
        let range = range.start / grain * grain..range.end.next_multiple_of(grain).min(size);
        match joined.last_mut() {
            _ if range.is_empty() => {}
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}
