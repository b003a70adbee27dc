//! What an attempt at a damaged sector does.
//!
//! Owns the laws of success, of time and of error class. Must not know which sectors follow them.

use std::sync::Arc;

use block::Nanos;

use crate::dice::{self, Chance, Dice};

pub mod ladder;

pub use ladder::Ladder;

/// How a drive reports that a read failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// Uncorrectable data (ATA UNC, sense 3/11/00).
    Uncorrectable,
    /// Address mark not found (AMNF, 3/13/00).
    AddressMark,
    /// Sector or servo not found (IDNF, 3/14/01).
    NotFound,
    /// Aborted by the firmware (ABRT, B/00/00).
    Aborted,
    /// The link's checksum was wrong (ICRC, B/47/00).
    LinkChecksum,
    /// Not ready (2/04/01).
    NotReady,
    /// The track is of a kind that cannot be read so (5/64/00).
    IllegalMode,
}

/// The law of a stretch.
#[derive(Clone, Debug, PartialEq)]
pub struct Law {
    /// Whether attempts succeed.
    pub health: Health,
    /// How long a failing attempt takes.
    pub failure: FailureTime,
    /// What it reports.
    pub class: ErrorClass,
    /// How much a second of contact wears the head, in seconds of ordinary damage.
    pub gravity: f64,
    /// The kind of fault that it came from.
    pub origin: &'static str,
}

/// Whether attempts succeed.
#[derive(Clone, Debug, PartialEq)]
pub enum Health {
    /// Answered with zeros: never written, trimmed, or reallocated without its data.
    Zeros {
        /// Time of the answer, without the medium.
        time: Nanos,
    },
    /// Always succeeds, after some more turns.
    Slow {
        /// Least time more.
        from: Nanos,
        /// Most.
        to: Nanos,
    },
    /// Always succeeds, so much later: drawn from evenly spaced quantiles, two at least.
    Late(Arc<[Nanos]>),
    /// Each sector has a chance of its own, drawn with density Beta(`a`, `b`), and keeps it.
    Weak {
        /// First parameter.
        a: f64,
        /// Second parameter.
        b: f64,
    },
    /// Every attempt has the same chance, whatever the sector.
    Unsteady {
        /// Probability that an attempt fails.
        failing: f64,
        /// Probability that one that succeeds is slow.
        slow: f64,
        /// Least time more of a slow one.
        from: Nanos,
        /// Most.
        to: Nanos,
    },
    /// Each sector has a chance of its own at each turn, uniform between two, and a try takes some turns.
    Turns {
        /// Least chance.
        from: f64,
        /// Most.
        to: f64,
        /// Turns of a try.
        tries: u32,
    },
    /// A flash codeword that does not come out at once.
    Ladder(Ladder),
    /// As unsteady, with the probability that the state of the head gives.
    Head(u16),
    /// Never succeeds.
    Bad,
    /// As somebody recorded it: some attempt succeeded, or none.
    Recorded {
        /// Whether some did.
        answers: bool,
    },
}

/// How long a failing attempt takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureTime {
    /// The drive's own error recovery: its time with 3 % deviation, one time in twenty twice as long; cut by ERC.
    Recovery,
    /// Uniform between two times.
    Between(Nanos, Nanos),
    /// One of up to four times, each with so many thousandths; the last one with what is missing. 2 % deviation.
    Steps([(u16, Nanos); 4]),
    /// Drawn from evenly spaced quantiles, two at least: of 21 the times that 0, 5, 10 ... 100 % of the failures do not
    /// exceed.
    Quantiles(Arc<[Nanos]>),
}

/// What an attempt at a physical sector led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// Its bytes, so much later than a healthy sector's.
    Good(Nanos),
    /// Nothing, after so long.
    Failed(Nanos),
}

/// What laws need to know of the drive.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions {
    /// Time of a turn, or of one try.
    pub turn: Nanos,
    /// How long the drive tries before it gives up.
    pub recovery: Nanos,
    /// Limit on that, if the host set one.
    pub erc: Option<Nanos>,
    /// Factor on the chances of weak sectors: temperature, fresh spin-up.
    pub ease: f64,
    /// Probability of each head that an attempt under it fails.
    pub heads: Vec<f64>,
    /// What the chance at a turn gains from the way on which the heads came.
    pub gain: f64,
    /// How often power was cycled.
    pub starts: u32,
}

impl Default for Conditions {
    fn default() -> Conditions {
        Conditions {
            turn: Nanos::new(8_333_333),
            recovery: Nanos::from_secs(3),
            erc: None,
            ease: 1.0,
            heads: Vec::new(),
            gain: 0.0,
            starts: 0,
        }
    }
}

impl Conditions {
    /// Probability that an attempt under this head fails.
    fn failure_of(&self, head: u16) -> f64 {
        self.heads.get(usize::from(head)).copied().unwrap_or(0.0)
    }
}

/// What is certain about every sector under a law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// Some attempt succeeds.
    Answers,
    /// None does.
    Never,
    /// It depends on the sector's draws.
    BySector,
}

/// The dice of all laws of a disk.
#[derive(Clone, Debug)]
pub struct LawDice {
    media: Dice,
    attempt: Dice,
    latency: Dice,
}

impl LawDice {
    /// Makes the dice of a disk.
    pub fn new(seed: u64) -> LawDice {
        LawDice {
            media: Dice::new(seed, "law media"),
            attempt: Dice::new(seed, "law attempt"),
            latency: Dice::new(seed, "law latency"),
        }
    }

    /// The draw that decides the `attempt`-th attempt (from 0) at a sector.
    fn decision(&mut self, attempt: u32, sector: u64) -> u64 {
        match attempt < FRESH {
            true => self.attempt.roll(attempt, sector),
            false => in_series(self.series(attempt, sector), attempt),
        }
    }

    /// Where the series begins that a late attempt belongs to.
    fn series(&mut self, attempt: u32, sector: u64) -> u64 {
        self.attempt.roll((attempt - attempt % SERIES).max(FRESH), sector)
    }
}

/// Attempts at a sector that have a draw of their own. Finding the place of a draw takes a hundred times as long as
/// drawing; whether one of a thousand attempts succeeds is asked of millions of sectors, and attempts behind these are
/// hardly made but there.
const FRESH: u32 = 32;

/// Later attempts that share one draw, from which theirs are made (SplitMix64).
const SERIES: u32 = 256;

/// The draw of an attempt in a series.
fn in_series(series: u64, attempt: u32) -> u64 {
    dice::mix(series.wrapping_add(u64::from(attempt % SERIES + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// Logarithm of a probability that is not worth asking for: one sector in 10^19.
const HARDLY: f64 = -43.75;

impl Law {
    /// A law of errors that cannot be corrected, with the drive's own recovery time.
    pub fn new(health: Health, origin: &'static str) -> Law {
        // Where nothing is wrong with the surface, contact is as harmless as anywhere.
        let gravity = if matches!(health, Health::Zeros { .. }) { 0.01 } else { 1.0 };
        Law { health, failure: FailureTime::Recovery, class: ErrorClass::Uncorrectable, gravity, origin }
    }

    /// Where several meet in one sector, the highest rank holds.
    pub fn rank(&self) -> u8 {
        match self.health {
            Health::Zeros { .. } => 0,
            Health::Slow { .. } | Health::Late(_) => 1,
            Health::Weak { .. } | Health::Turns { .. } | Health::Ladder(_) => 2,
            Health::Unsteady { .. } => 3,
            Health::Head(_) => 4,
            Health::Bad => 5,
            // Whatever else is drawn there: this was seen.
            Health::Recorded { .. } => 6,
        }
    }

    /// Makes the `attempt`-th attempt (from 0) at a physical sector.
    pub fn attempt(&self, sector: u64, attempt: u32, dice: &mut LawDice, now: &Conditions) -> Trial {
        if let Health::Ladder(ladder) = &self.health {
            let (roll, latency) = (dice.decision(attempt, sector), dice.latency.roll(attempt, sector));
            return match ladder.climb(sector, roll, latency, &mut dice.media, now) {
                Some(more) => Trial::Good(more),
                None => Trial::Failed(self.failure_time(sector, attempt, dice, now)),
            };
        }
        let odds = self.odds(sector, dice, now);
        if odds >= 1.0 {
            return Trial::Good(self.more_time(sector, attempt, 0, odds, dice, now));
        }
        let roll = if odds <= 0.0 { u64::MAX } else { dice.decision(attempt, sector) };
        if Chance::of(odds).hits(roll) {
            return Trial::Good(self.more_time(sector, attempt, roll, odds, dice, now));
        }
        Trial::Failed(self.failure_time(sector, attempt, dice, now))
    }

    /// What is certain about any sector under this law, whatever its draws.
    pub fn certainty(&self, attempts: u32, now: &Conditions) -> Certainty {
        let odds = match self.health {
            Health::Zeros { .. }
            | Health::Slow { .. }
            | Health::Late(_)
            | Health::Recorded { answers: true } => 1.0,
            Health::Bad | Health::Recorded { answers: false } => 0.0,
            Health::Unsteady { failing, .. } => 1.0 - failing,
            Health::Head(head) => 1.0 - now.failure_of(head),
            Health::Weak { .. } => return Certainty::BySector,
            Health::Turns { from, tries, .. } if from > 0.0 => of_any(from * now.ease, tries),
            Health::Turns { .. } => return Certainty::BySector,
            Health::Ladder(ref ladder) if ladder.is_certain_within(attempts) => 1.0,
            Health::Ladder(_) => return Certainty::BySector,
        };
        // Less than one sector in 10^18 would fail as often.
        match libm::pow(1.0 - odds, f64::from(attempts)) < 1e-18 {
            true => Certainty::Answers,
            false if odds <= 0.0 => Certainty::Never,
            false => Certainty::BySector,
        }
    }

    /// Whether some attempt of the first `attempts` brings the sector's bytes, as things stand.
    pub fn answers_within(&self, sector: u64, attempts: u32, dice: &mut LawDice, now: &Conditions) -> bool {
        let odds = self.odds(sector, dice, now);
        let chance = Chance::of(odds);
        if chance == Chance::NEVER {
            return false;
        }
        if odds >= 1.0 || f64::from(attempts) * libm::log(1.0 - odds) < HARDLY {
            return true;
        }
        if (0..attempts.min(FRESH)).any(|n| chance.hits(dice.attempt.roll(n, sector))) {
            return true;
        }
        let mut first = FRESH;
        while first < attempts {
            let end = (first - first % SERIES + SERIES).min(attempts);
            let series = dice.series(first, sector);
            if (first..end).any(|n| chance.hits(in_series(series, n))) {
                return true;
            }
            first = end;
        }
        false
    }

    /// Probability that one attempt at this sector succeeds.
    pub fn odds(&self, sector: u64, dice: &mut LawDice, now: &Conditions) -> f64 {
        match self.health {
            Health::Zeros { .. }
            | Health::Slow { .. }
            | Health::Late(_)
            | Health::Recorded { answers: true } => 1.0,
            Health::Weak { a, b } => dice::beta(dice.media.roll(0, sector), a, b) * now.ease,
            Health::Unsteady { failing, .. } => 1.0 - failing,
            Health::Head(head) => 1.0 - now.failure_of(head),
            Health::Turns { from, to, tries } => {
                let own = from + (to - from) * dice::unit(dice.media.roll(0, sector));
                of_any((own + now.gain) * now.ease, tries)
            }
            Health::Ladder(ref ladder) => ladder.odds(sector, &mut dice.media, now),
            Health::Bad | Health::Recorded { answers: false } => 0.0,
        }
    }

    /// Whether what several sectors of a command take more passes at the same time: the longest counts, not the sum.
    pub fn is_side_by_side(&self) -> bool {
        matches!(self.health, Health::Ladder(_))
    }

    fn more_time(
        &self,
        sector: u64,
        attempt: u32,
        roll: u64,
        odds: f64,
        dice: &mut LawDice,
        now: &Conditions,
    ) -> Nanos {
        match self.health {
            Health::Zeros { .. }
            | Health::Bad
            | Health::Head(_)
            | Health::Ladder(_)
            | Health::Recorded { .. } => Nanos::ZERO,
            Health::Slow { from, to } => between(dice.latency.roll(attempt, sector), from, to),
            Health::Late(ref times) => drawn(dice.latency.roll(attempt, sector), times),
            Health::Weak { .. } | Health::Turns { .. } => {
                // Inside one command the drive tries R times with equal chances, which together make `odds`; the same
                // draw that decides says how many it took.
                let tries = match self.health {
                    Health::Turns { tries, .. } => f64::from(tries),
                    _ => (now.recovery.nanoseconds() / now.turn.nanoseconds().max(1)).max(1) as f64,
                };
                let share = libm::log(1.0 - dice::unit(roll)) / libm::log(1.0 - odds.min(1.0 - 1e-12));
                let retries = (share * tries) as u64;
                Nanos::new(retries.saturating_mul(now.turn.nanoseconds()))
            }
            Health::Unsteady { slow, from, to, .. } => {
                if slow <= 0.0 {
                    return Nanos::ZERO;
                }
                let roll = dice.latency.roll(attempt, sector);
                if Chance::of(slow).hits(roll) {
                    // What is left of a draw below the threshold is uniform again.
                    between((dice::unit(roll) / slow * u64::MAX as f64) as u64, from, to)
                } else {
                    Nanos::ZERO
                }
            }
        }
    }

    fn failure_time(&self, sector: u64, attempt: u32, dice: &mut LawDice, now: &Conditions) -> Nanos {
        let roll = dice.latency.roll(attempt, sector);
        match &self.failure {
            FailureTime::Between(from, to) => between(roll, *from, *to),
            FailureTime::Steps(steps) => {
                let mut left = ((u128::from(dice::mix(roll)) * 1000) >> 64) as u16;
                let step = steps.iter().find(|(share, _)| {
                    let is_this = left < *share;
                    left = left.saturating_sub(*share);
                    is_this
                });
                let time = step.unwrap_or(&steps[3]).1.nanoseconds() as f64;
                Nanos::new((time * (1.0 + 0.02 * dice::normal(roll))).max(0.0) as u64)
            }
            FailureTime::Quantiles(times) => drawn(roll, times),
            FailureTime::Recovery => {
                let base = now.recovery.nanoseconds() as f64;
                let twice = if Chance::of(0.05).hits(dice::mix(roll)) { base } else { 0.0 };
                let time = Nanos::new((base * (1.0 + 0.03 * dice::normal(roll)) + twice).max(0.0) as u64);
                now.erc.map_or(time, |erc| time.min(erc))
            }
        }
    }
}

/// Chance that one of so many turns succeeds, each with this chance.
fn of_any(each: f64, tries: u32) -> f64 {
    1.0 - libm::pow(1.0 - each.clamp(0.0, 1.0), f64::from(tries))
}

/// A time between two of evenly spaced quantiles.
fn drawn(roll: u64, times: &[Nanos]) -> Nanos {
    // The upper bits tell between which two, what is left of them where.
    let place = u128::from(roll) * times.len().saturating_sub(1) as u128;
    let step = (place >> 64) as usize;
    match times.get(step..step + 2) {
        Some([from, to]) => between(place as u64, *from, *to),
        _ => times.first().copied().unwrap_or(Nanos::ZERO),
    }
}

fn between(roll: u64, from: Nanos, to: Nanos) -> Nanos {
    let width = to.since(from).nanoseconds();
    from + Nanos::new(((u128::from(roll) * u128::from(width)) >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions() -> Conditions {
        Conditions::default()
    }

    #[test]
    fn retries_of_weak_sectors_fall_as_the_real_drive_showed() {
        // m30: passes 1, 2 and 3 over the sectors that were left gained 13.5, 9.3 and 5.2 %.
        let law = Law::new(Health::Weak { a: 0.30, b: 1.9 }, "test");
        let (mut dice, now) = (LawDice::new(3), conditions());
        let mut left: Vec<u64> = (0..40_000).collect();
        let mut gains = Vec::new();
        for attempt in 0..3 {
            let before = left.len() as f64;
            left.retain(|sector| matches!(law.attempt(*sector, attempt, &mut dice, &now), Trial::Failed(_)));
            gains.push(1.0 - left.len() as f64 / before);
        }
        // Beta(a, b) after n failures: a / (a + b + n).
        for (gain, expected) in gains.iter().zip([0.30 / 2.2, 0.30 / 3.2, 0.30 / 4.2]) {
            assert!((gain - expected).abs() < 0.01, "{gains:?}");
        }
    }

    #[test]
    fn failing_takes_the_recovery_time_and_erc_cuts_it() {
        let law = Law::new(Health::Bad, "test");
        let mut dice = LawDice::new(3);
        let times = |dice: &mut LawDice, now: &Conditions| -> Vec<u64> {
            let time = |trial| match trial {
                Trial::Failed(time) => time.nanoseconds() / 1_000_000,
                Trial::Good(_) => panic!("a bad sector answered"),
            };
            (0..2000).map(|sector| time(law.attempt(sector, 0, dice, now))).collect()
        };
        let mut free = times(&mut dice, &conditions());
        free.sort_unstable();
        assert!((2990..3020).contains(&free[1000]), "median {}", free[1000]);
        let doubled = free.iter().filter(|time| **time > 5000).count();
        assert!((60..140).contains(&doubled), "{doubled} of 2000 took twice as long");
        let cut = times(&mut dice, &Conditions { erc: Some(Nanos::from_secs(1)), ..conditions() });
        assert!(cut.iter().all(|time| *time == 1000));
    }

    #[test]
    fn failures_in_steps_take_each_time_as_often_as_told() {
        let seconds = Nanos::from_secs;
        let steps = [(250, seconds(1)), (450, seconds(2)), (0, seconds(3)), (300, seconds(9))];
        let law = Law { failure: FailureTime::Steps(steps), ..Law::new(Health::Bad, "test") };
        let mut dice = LawDice::new(3);
        let mut counts = [0; 4];
        for sector in 0..4000 {
            let Trial::Failed(time) = law.attempt(sector, 0, &mut dice, &conditions()) else { panic!() };
            let seconds = time.nanoseconds() as f64 / 1e9;
            let near = steps.iter().position(|(_, step)| {
                let step = step.nanoseconds() as f64 / 1e9;
                (seconds / step - 1.0).abs() < 0.12
            });
            counts[near.expect("one of the times")] += 1;
        }
        for (count, (share, _)) in counts.iter().zip(steps) {
            assert!((count - i32::from(share) * 4).abs() < 120, "{counts:?}");
        }
    }

    #[test]
    fn quantiles_of_any_number_give_times_between_them() {
        let ms = |all: &[u64]| -> Arc<[Nanos]> { all.iter().map(|ms| Nanos::from_millis(*ms)).collect() };
        // A half between 10 and 20, a half between 20 and 100.
        let late = Law::new(Health::Late(ms(&[10, 20, 100])), "test");
        let failing =
            Law { failure: FailureTime::Quantiles(ms(&[10, 20, 100])), ..Law::new(Health::Bad, "test") };
        let mut dice = LawDice::new(6);
        for (law, answers) in [(&late, true), (&failing, false)] {
            let mut short = 0;
            for sector in 0..4000 {
                let time = match law.attempt(sector, 0, &mut dice, &conditions()) {
                    Trial::Good(time) if answers => time,
                    Trial::Failed(time) if !answers => time,
                    other => panic!("{other:?}"),
                };
                assert!((Nanos::from_millis(10)..=Nanos::from_millis(100)).contains(&time), "{time:?}");
                short += u32::from(time < Nanos::from_millis(20));
            }
            assert!((1900..2100).contains(&short), "{short} of 4000");
        }
    }

    #[test]
    fn what_answers_in_the_end_is_what_attempts_bring() {
        let law = Law::new(Health::Weak { a: 0.30, b: 1.9 }, "test");
        let (mut dice, now) = (LawDice::new(5), conditions());
        // Short of the first series, in it, at its end, and in later ones.
        for attempts in [1, 32, 33, 100, 256, 257, 1000] {
            for sector in 0..500 {
                let brought =
                    (0..attempts).any(|n| matches!(law.attempt(sector, n, &mut dice, &now), Trial::Good(_)));
                let told = law.answers_within(sector, attempts, &mut dice, &now);
                assert_eq!(told, brought, "sector {sector}, {attempts} attempts");
            }
        }
    }

    #[test]
    fn late_attempts_have_draws_as_good_as_early_ones() {
        // Of 1000 attempts at a chance of one in a thousand, 1 - 1/e bring something; and no two draws are alike.
        let law = Law::new(
            Health::Unsteady { failing: 0.999, slow: 0.0, from: Nanos::ZERO, to: Nanos::ZERO },
            "test",
        );
        let (mut dice, now) = (LawDice::new(7), conditions());
        let found = (0..4000).filter(|sector| law.answers_within(*sector, 1000, &mut dice, &now)).count();
        let expected = 4000.0 * (1.0 - libm::pow(0.999, 1000.0));
        // Four deviations.
        assert!((found as f64 - expected).abs() < 4.0 * 30.5, "{found} of 4000, expected {expected}");
        let mut draws: Vec<u64> = (0..2000)
            .flat_map(|n| [3, 4].map(|sector| (n, sector)))
            .map(|(n, s)| dice.decision(n, s))
            .collect();
        draws.sort_unstable();
        draws.dedup();
        assert_eq!(draws.len(), 4000);
    }
}
