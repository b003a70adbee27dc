//! How flash is read when a page does not come out right at once.
//!
//! Owns the ladder: the same page with shifted thresholds, level by level; then soft decoding; then the other dies'
//! parity. Must not know which codewords need it.

use block::Nanos;

use super::Conditions;
use crate::dice::{self, Chance, Dice};

/// A retry ladder. Each codeword has a chance of its own to come out at a level, drawn with density
/// Beta(`chance[0]`, `chance[1]`), until power is cycled: then thresholds may be tuned anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Ladder {
    /// Parameters of the density of the chance that one level brings a codeword.
    pub chance: [f64; 2],
    /// Levels.
    pub levels: u32,
    /// Time of a level: a page is sensed again, and the thresholds set.
    pub step: Nanos,
    /// Least time of soft decoding, which is worth [`SOFT_WORTH`] levels.
    pub soft_from: Nanos,
    /// Most.
    pub soft_to: Nanos,
    /// Share of the codewords whose parity on the other dies is whole; 0 for drives without.
    pub parity: f64,
    /// Least time of a rebuild from parity.
    pub rebuild_from: Nanos,
    /// Most.
    pub rebuild_to: Nanos,
    /// Probability that a power cycle gives a codeword another chance.
    pub retune: f64,
}

/// Levels that soft decoding is worth.
pub const SOFT_WORTH: u32 = 100;

/// Power cycles that are looked at: the last ones decide.
const STARTS_SEEN: u32 = 64;

impl Ladder {
    /// The usual ladder: 20 levels of `step` each.
    pub fn new(chance: [f64; 2], step: Nanos) -> Ladder {
        Ladder {
            chance,
            levels: 20,
            step,
            soft_from: Nanos::from_millis(2),
            soft_to: Nanos::from_millis(10),
            parity: 0.0,
            rebuild_from: Nanos::from_millis(5),
            rebuild_to: Nanos::from_millis(50),
            retune: 0.1,
        }
    }

    /// Chance that one level brings this codeword, as thresholds are tuned now.
    pub fn level_odds(&self, codeword: u64, media: &mut Dice, now: &Conditions) -> f64 {
        let retune = Chance::of(self.retune);
        // The draw that holds is that of the last start at which this codeword was tuned anew.
        let first = now.starts.saturating_sub(STARTS_SEEN);
        let mut roll = None;
        for start in (first + 1..=now.starts).rev() {
            let at_start = media.roll(start, codeword);
            if retune.hits(dice::mix(at_start)) {
                roll = Some(at_start);
                break;
            }
        }
        let roll = roll.unwrap_or_else(|| media.roll(0, codeword));
        (dice::beta(roll, self.chance[0], self.chance[1]) * now.ease).clamp(0.0, 1.0)
    }

    /// Whether parity on the other dies can rebuild this codeword; never changes.
    fn has_parity(&self, codeword: u64, media: &mut Dice) -> bool {
        self.parity > 0.0 && Chance::of(self.parity).hits(dice::mix(!media.roll(0, codeword)))
    }

    /// Chance that one attempt brings this codeword.
    pub fn odds(&self, codeword: u64, media: &mut Dice, now: &Conditions) -> f64 {
        if self.has_parity(codeword, media) {
            return 1.0;
        }
        let level = self.level_odds(codeword, media, now);
        1.0 - libm::pow(1.0 - level, f64::from(self.levels + SOFT_WORTH))
    }

    /// Whether less than one codeword in 10^9 fails so many attempts.
    pub fn is_certain_within(&self, attempts: u32) -> bool {
        let [a, b] = self.chance;
        let levels = f64::from(self.levels + SOFT_WORTH) * f64::from(attempts);
        // The mean of (1 - p)^levels over the density: a quotient of beta functions.
        let beta = |a: f64, b: f64| libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
        beta(a, b + levels) - beta(a, b) < libm::log(1e-9)
    }

    /// How much longer an attempt with this draw takes than a healthy read; `None` if it does not bring the codeword.
    pub fn climb(
        &self,
        codeword: u64,
        roll: u64,
        latency: u64,
        media: &mut Dice,
        now: &Conditions,
    ) -> Option<Nanos> {
        let level = self.level_odds(codeword, media, now);
        // The first level that brings it, geometric; beyond all levels if the chance is nil.
        let steps = f64::from(self.levels + SOFT_WORTH);
        let needed = if level >= 1.0 {
            0.0
        } else {
            libm::log(1.0 - dice::unit(roll)) / libm::log(1.0 - level.max(1e-12))
        };
        if needed < f64::from(self.levels) {
            return Some(Nanos::new(self.step.nanoseconds() * (needed as u64 + 1)));
        }
        let all = Nanos::new(self.step.nanoseconds() * u64::from(self.levels));
        let soft = super::between(latency, self.soft_from, self.soft_to);
        if needed < steps {
            return Some(all + soft);
        }
        let rebuild = super::between(dice::mix(latency), self.rebuild_from, self.rebuild_to);
        self.has_parity(codeword, media).then_some(all + soft + rebuild)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Nanos = Nanos::new(120_000);

    fn climbs(ladder: &Ladder, count: u64, now: &Conditions) -> Vec<Option<u64>> {
        let (mut media, mut attempt, mut latency) =
            (Dice::new(1, "media"), Dice::new(1, "attempt"), Dice::new(1, "latency"));
        (0..count)
            .map(|codeword| {
                let (roll, late) = (attempt.roll(0, codeword), latency.roll(0, codeword));
                ladder.climb(codeword, roll, late, &mut media, now).map(Nanos::nanoseconds)
            })
            .collect()
    }

    #[test]
    fn levels_are_geometric_and_take_one_more_sensing_each() {
        // A density this narrow is a number: 0.6 fresh, 0.15 worn.
        for chance in [0.6, 0.15] {
            let ladder = Ladder::new([chance * 5000.0, (1.0 - chance) * 5000.0], STEP);
            let times = climbs(&ladder, 20_000, &Conditions::default());
            let at_level = |level: u64| {
                let count = times.iter().filter(|time| **time == Some(level * 120_000)).count();
                count as f64 / 20_000.0
            };
            for level in 1..=4 {
                let expected = chance * libm::pow(1.0 - chance, (level - 1) as f64);
                assert!(
                    (at_level(level) - expected).abs() < 0.012,
                    "{chance}: level {level} {}",
                    at_level(level)
                );
            }
            let failed = times.iter().filter(|time| time.is_none()).count() as f64 / 20_000.0;
            let expected = libm::pow(1.0 - chance, 120.0);
            assert!((failed - expected).abs() < 0.004, "{chance}: {failed} failed, expected {expected}");
        }
    }

    #[test]
    fn parity_brings_back_its_share_and_takes_its_time() {
        let hopeless = Ladder { parity: 0.75, ..Ladder::new([0.001, 100.0], STEP) };
        let times = climbs(&hopeless, 10_000, &Conditions::default());
        let rebuilt: Vec<u64> = times.iter().flatten().copied().collect();
        assert!((7300..7700).contains(&rebuilt.len()), "{} of 10000 were rebuilt", rebuilt.len());
        // But for the few that come out on the ladder after all.
        let least = 20 * 120_000 + 2_000_000 + 5_000_000;
        let climbed = rebuilt.iter().filter(|time| !(least..=least + 53_000_000).contains(*time)).count();
        assert!(climbed < 40, "{climbed}");
    }

    #[test]
    fn a_power_cycle_tunes_a_tenth_anew_and_the_rest_stays() {
        let ladder = Ladder::new([0.3, 3.0], STEP);
        let mut media = Dice::new(4, "media");
        let mut odds = |starts| -> Vec<u64> {
            let now = Conditions { starts, ..Conditions::default() };
            (0..5000).map(|codeword| ladder.level_odds(codeword, &mut media, &now).to_bits()).collect()
        };
        let rounds = [odds(0), odds(1), odds(2), odds(50)];
        let changed = |a: &[u64], b: &[u64]| a.iter().zip(b).filter(|(a, b)| a != b).count() as f64 / 5000.0;
        assert!((changed(&rounds[0], &rounds[1]) - 0.1).abs() < 0.02);
        assert!((changed(&rounds[1], &rounds[2]) - 0.1).abs() < 0.02);
        assert!(changed(&rounds[0], &rounds[3]) > 0.98);
    }

    #[test]
    fn worn_codewords_are_certain_to_answer_and_bad_ones_are_not() {
        assert!(Ladder::new([3.0, 17.0], STEP).is_certain_within(1000));
        assert!(!Ladder::new([0.03, 3.0], STEP).is_certain_within(1000));
        // E[(1 - p)^120] over Beta(1, 1) is 1 / 121.
        assert!(!Ladder::new([1.0, 1.0], STEP).is_certain_within(1));
    }

    #[test]
    fn odds_are_the_share_of_attempts_that_succeed() {
        let ladder = Ladder { parity: 0.2, ..Ladder::new([0.05, 2.0], STEP) };
        let now = Conditions::default();
        let mut media = Dice::new(1, "media");
        let expected: f64 = (0..20_000).map(|codeword| ladder.odds(codeword, &mut media, &now)).sum();
        let found = climbs(&ladder, 20_000, &now).iter().flatten().count() as f64;
        assert!((found / expected - 1.0).abs() < 0.03, "{found} of {expected}");
    }
}
