//! Chance as a place: what happens to a sector at its n-th attempt is a function of seed, component, sector and n.
//!
//! Owns the layout of draws and the laws that turn them into numbers. Must not know what is decided with them.
//!
//! One ChaCha8 generator per component, its key made of the seed and a fixed hash of the component's label. The draw
//! for a sector and an attempt stands at word `attempt * 2^40 + 2 * sector`, so that reading in another order meets the
//! same disk, one seek serves all sectors of a command, and adding a component does not disturb the others.
//!
//! Floats go through `libm` and + - * / only: the same bits on every machine.

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The largest seed there is: seeds are 0 to 2^63 - 1, so that they fit every format's integers.
pub const SEED_MAX: u64 = i64::MAX as u64;

/// Sectors that a generator can tell apart: 2^39.
pub const SECTORS_MAX: u64 = 1 << 39;

/// Attempts at one sector that a generator can tell apart; later ones repeat.
const ATTEMPTS: u32 = 1 << 28;

fn generator(seed: u64, component: &str) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    // FNV-1a over the label, from four starting values.
    for (salt, word) in key[8..].chunks_exact_mut(8).enumerate() {
        let mut hash = 0xcbf2_9ce4_8422_2325u64 ^ (salt as u64);
        for byte in component.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        word.copy_from_slice(&hash.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// Draws by place.
#[derive(Clone, Debug)]
pub struct Dice {
    generator: ChaCha8Rng,
    /// Attempt and sector of the draw that comes next without seeking.
    next: (u32, u64),
}

impl Dice {
    /// Makes the dice of one component of one disk.
    pub fn new(seed: u64, component: &str) -> Dice {
        Dice { generator: generator(seed, component), next: (0, 0) }
    }

    /// The draw for the `attempt`-th attempt (from 0) at `sector`; uniform over all values.
    pub fn roll(&mut self, attempt: u32, sector: u64) -> u64 {
        debug_assert!(sector < SECTORS_MAX);
        let attempt = attempt % ATTEMPTS;
        if self.next != (attempt, sector) {
            self.generator.set_word_pos((u128::from(attempt) << 40) + 2 * u128::from(sector));
        }
        self.next = (attempt, sector + 1);
        self.generator.next_u64()
    }
}

/// Draws in a row, for what is made once when a disk is opened.
#[derive(Clone, Debug)]
pub struct Sequence {
    generator: ChaCha8Rng,
}

impl Sequence {
    /// Makes the sequence of one component of one disk.
    pub fn new(seed: u64, component: &str) -> Sequence {
        Sequence { generator: generator(seed, component) }
    }

    /// The next draw; uniform over all values.
    pub fn draw(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        unit(self.draw())
    }

    /// Uniform in [`low`, `high`).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform over 0 to `count` - 1; 0 if `count` is 0.
    pub fn below(&mut self, count: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(count)) >> 64) as u64
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        Chance::of(p).hits(self.draw())
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        normal(self.draw())
    }

    /// Log-normal, by its median and the deviation of its logarithm.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * libm::exp(sigma * self.normal())
    }

    /// Exponential, by its mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        exponential(self.draw(), mean)
    }

    /// Weibull, by shape and scale.
    pub fn weibull(&mut self, shape: f64, scale: f64) -> f64 {
        scale * libm::pow(-libm::log(1.0 - self.unit()), 1.0 / shape)
    }

    /// Poisson, by its mean. Takes time in proportion to the mean.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        let mut count = 0;
        let mut time = self.exponential(1.0);
        while time < mean {
            count += 1;
            time += self.exponential(1.0);
        }
        count
    }

    /// A density of y^-`exponent` over [`low`, `high`]; the exponent is not 1.
    pub fn power_law(&mut self, exponent: f64, low: f64, high: f64) -> f64 {
        let power = 1.0 - exponent;
        let (a, b) = (libm::pow(low, power), libm::pow(high, power));
        libm::pow(a + (b - a) * self.unit(), 1.0 / power)
    }
}

/// A probability as a threshold: decisions compare integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chance {
    threshold: u64,
    is_certain: bool,
}

impl Chance {
    /// Never.
    pub const NEVER: Chance = Chance { threshold: 0, is_certain: false };

    /// Makes a chance from a probability; below 0 is never, from 1 on always.
    pub fn of(p: f64) -> Chance {
        // 2^64 as a float is exact; the product is rounded down.
        Chance { threshold: (p * 18_446_744_073_709_551_616.0) as u64, is_certain: p >= 1.0 }
    }

    /// Whether it happens at this draw.
    pub fn hits(self, roll: u64) -> bool {
        roll < self.threshold || self.is_certain
    }
}

/// A draw as a number in [0, 1).
pub fn unit(roll: u64) -> f64 {
    (roll >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

/// A draw as a standard normal number (Box and Muller 1958, one draw split in two).
pub fn normal(roll: u64) -> f64 {
    let scale = 1.0 / 4_294_967_296.0;
    let radius = ((roll >> 32) as f64 + 0.5) * scale;
    let angle = (roll & 0xffff_ffff) as f64 * scale;
    libm::sqrt(-2.0 * libm::log(radius)) * libm::cos(2.0 * std::f64::consts::PI * angle)
}

/// A draw as an exponential number.
pub fn exponential(roll: u64, mean: f64) -> f64 {
    -mean * libm::log(1.0 - unit(roll))
}

/// A draw as a number with density Beta(`a`, `b`); the draws that it needs are made from this one.
pub fn beta(roll: u64, a: f64, b: f64) -> f64 {
    let mut state = roll;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(state)
    };
    if a > 2.0 || b > 2.0 {
        let (x, y) = (gamma(&mut next, a), gamma(&mut next, b));
        return if x + y > 0.0 { x / (x + y) } else { a / (a + b) };
    }
    // Jöhnk 1964. Acceptance is at worst a sixth for parameters up to 2; the bound is for those who trust no loop.
    for _ in 0..1000 {
        let (x, y) = (libm::pow(unit(next()), 1.0 / a), libm::pow(unit(next()), 1.0 / b));
        if x + y <= 1.0 && x + y > 0.0 {
            return x / (x + y);
        }
    }
    a / (a + b)
}

/// A number with density Gamma(`shape`, 1) (Marsaglia and Tsang 2000).
fn gamma(next: &mut impl FnMut() -> u64, shape: f64) -> f64 {
    if shape < 1.0 {
        let more = gamma(next, shape + 1.0);
        return more * libm::pow(1.0 - unit(next()), 1.0 / shape);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / libm::sqrt(9.0 * d);
    // Nineteen of twenty are accepted.
    for _ in 0..1000 {
        let x = normal(next());
        let v = (1.0 + c * x) * (1.0 + c * x) * (1.0 + c * x);
        if v > 0.0 && libm::log(1.0 - unit(next())) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            return d * v;
        }
    }
    shape
}

/// Mixes the bits of a word (finalizer of SplitMix64, Steele et al. 2014).
pub fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_order_of_questions_does_not_matter(seed in 0..=SEED_MAX,
                                                  places in prop::collection::vec((0u32..50, 0..SECTORS_MAX), 1..40)) {
            let mut dice = Dice::new(seed, "test");
            let answers: Vec<u64> = places.iter().map(|(n, s)| dice.roll(*n, *s)).collect();
            for ((attempt, sector), answer) in places.iter().zip(&answers).rev() {
                prop_assert_eq!(dice.roll(*attempt, *sector), *answer);
                prop_assert_eq!(Dice::new(seed, "test").roll(*attempt, *sector), *answer);
            }
        }

        #[test]
        fn neighbours_are_drawn_without_seeking_and_are_the_same(seed in 0..=SEED_MAX, first in 0u64..1 << 38) {
            let mut row = Dice::new(seed, "test");
            for sector in first..first + 100 {
                prop_assert_eq!(row.roll(3, sector), Dice::new(seed, "test").roll(3, sector));
            }
        }
    }

    #[test]
    fn seeds_and_components_have_draws_of_their_own() {
        let draw = |seed, component| Dice::new(seed, component).roll(0, 0);
        assert_ne!(draw(1, "a"), draw(2, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
    }

    #[test]
    fn draws_are_golden() {
        // Another value here is another disk for every scenario and seed.
        assert_eq!(Dice::new(7, "golden").roll(2, 1_000_000), 0x729b_9ed1_fdab_2c7a);
    }

    #[test]
    fn certain_is_certain_and_never_is_never() {
        assert!(Chance::of(1.0).hits(u64::MAX));
        assert!(!Chance::of(0.0).hits(0));
        assert!(!Chance::of(-1.0).hits(0));
    }

    /// Mean of many draws, to be held against the mean that the law has.
    fn mean(count: u32, mut draw: impl FnMut() -> f64) -> f64 {
        (0..count).map(|_| draw()).sum::<f64>() / f64::from(count)
    }

    #[test]
    fn laws_have_the_means_that_books_give_them() {
        let mut dice = Sequence::new(11, "laws");
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 0.03 * expected, "{found}");
        near(mean(20_000, || dice.unit()), 0.5);
        near(mean(20_000, || dice.exponential(3.0)), 3.0);
        near(mean(20_000, || dice.poisson(4.0) as f64), 4.0);
        near(mean(20_000, || dice.normal().powi(2)), 1.0);
        // Shape 1 is the exponential law.
        near(mean(20_000, || dice.weibull(1.0, 2.0)), 2.0);
        near(mean(20_000, || beta(dice.draw(), 0.30, 1.9)), 0.30 / 2.2);
        near(mean(20_000, || beta(dice.draw(), 2.0, 1.0)), 2.0 / 3.0);
        for (a, b) in [(3.0, 17.0), (0.03, 3.0), (15.0, 85.0), (0.5, 9.5)] {
            let (mean_of, count) = (a / (a + b), 40_000);
            let draws: Vec<f64> = (0..count).map(|_| beta(dice.draw(), a, b)).collect();
            let found = draws.iter().sum::<f64>() / f64::from(count);
            let variance = draws.iter().map(|x| (x - found) * (x - found)).sum::<f64>() / f64::from(count);
            let variance_of = mean_of * (1.0 - mean_of) / (a + b + 1.0);
            assert!((found / mean_of - 1.0).abs() < 0.1, "mean of Beta({a}, {b}): {found}");
            assert!((variance / variance_of - 1.0).abs() < 0.15, "variance of Beta({a}, {b}): {variance}");
        }
        // Exponent 3 on [1, 2]: the integral of y^-2 over that of y^-3.
        near(mean(20_000, || dice.power_law(3.0, 1.0, 2.0)), 0.5 / 0.375);
    }
}
