//! Plain damage over given parts of a disk.
//!
//! Owns what a scenario may say of such parts. Must not know how damage came there.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Opening, checks};
use crate::law::{ErrorClass, Health, Law};
use crate::media::{Lba, MediaModel};
use crate::scenario::kind::{FaultSpec, NamedFault};
use crate::scenario::{Bytes, Time};

/// Damage of one sort over given parts of the disk.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Region {
    /// What is wrong there.
    pub health: RegionHealth,
    /// Parts in bytes, from and to, as in [["2.1 GB", "3.5 GB"]].
    #[serde(default)]
    pub ranges: Vec<[Bytes; 2]>,
    /// Parts as shares of the disk, from and to, as in [[0.2, 0.3]].
    #[serde(default)]
    pub shares: Vec<[f64; 2]>,
    /// Weak: parameters of the density of the sectors' chances ([0.30, 1.9] if not given, as sectors have that failed).
    pub retry: Option<[f64; 2]>,
    /// Slow: how much longer a physical sector takes, from and to (100 ms to 1 s if not given).
    pub slow_time: Option<[Time; 2]>,
    /// Bad and weak: how long a failing attempt takes, from and to; the drive's own time if not given.
    pub failure_time: Option<[Time; 2]>,
    /// Bad and weak: what a failing attempt reports (uncorrectable if not given).
    pub class: Option<ErrorClass>,
}

/// What is wrong with a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegionHealth {
    /// Nothing comes, however often it is tried.
    Bad,
    /// Each sector has a chance of its own.
    Weak,
    /// All comes, slowly.
    Slow,
    /// Zeros come at once: never written, or trimmed.
    Zeros,
}

impl NamedFault for Region {
    const KIND: &'static str = "region";
}

impl FaultSpec for Region {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        let size = medium.shape().bytes();
        if self.ranges.is_empty() && self.shares.is_empty() {
            return Err(
                "there are neither ranges, as in [[\"2.1 GB\", \"3.5 GB\"]], nor shares, as in [[0.2, 0.3]]"
                    .into(),
            );
        }
        for [from, to] in &self.ranges {
            if from >= to || to.0 > size {
                return Err(format!(
                    "ranges has [{from}, {to}]; the disk has {} in rising order",
                    Bytes(size)
                ));
            }
        }
        for shares in &self.shares {
            checks::shares("shares", "the disk", *shares)?;
        }
        let bytes = |share: f64| (share * size as f64) as u64;
        let shares = self.shares.iter().map(|[from, to]| [bytes(*from), bytes(*to)]);
        let mut parts: Vec<[u64; 2]> =
            self.ranges.iter().map(|[from, to]| [from.0, to.0]).chain(shares).collect();
        parts.sort_unstable();
        if let Some(pair) = parts.windows(2).find(|pair| pair[1][0] < pair[0][1]) {
            let (start, end) = (Bytes(pair[1][0]), Bytes(pair[0][1]));
            return Err(format!("two parts overlap from {start} to {end}; name each place once"));
        }
        let fails = matches!(self.health, RegionHealth::Bad | RegionHealth::Weak);
        let misplaced = [
            ("retry", self.retry.is_some() && self.health != RegionHealth::Weak, "weak"),
            ("slow-time", self.slow_time.is_some() && self.health != RegionHealth::Slow, "slow"),
            ("failure-time", self.failure_time.is_some() && !fails, "bad and weak"),
            ("class", self.class.is_some() && !fails, "bad and weak"),
        ];
        if let Some((name, _, owners)) = misplaced.into_iter().find(|(_, is_wrong, _)| *is_wrong) {
            return Err(format!("{name} says nothing about this health; it is for health {owners}"));
        }
        self.retry.map_or(Ok(()), |retry| checks::odds("retry", retry))?;
        self.slow_time.map_or(Ok(()), |times| checks::times("slow-time", times))?;
        self.failure_time.map_or(Ok(()), |times| checks::times("failure-time", times))?;
        Ok(Box::new(Laying { spec: self.clone() }))
    }

    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec> {
        let smaller = |[from, to]: &[Bytes; 2]| {
            let from = (from.0 as f64 * ratio) as u64;
            [Bytes(from), Bytes(((to.0 as f64 * ratio) as u64).max(from + 1))]
        };
        Box::new(Region { ranges: self.ranges.iter().map(smaller).collect(), ..self.clone() })
    }
}

struct Laying {
    spec: Region,
}

impl Fault for Laying {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let spec = &self.spec;
        let health = match spec.health {
            RegionHealth::Bad => Health::Bad,
            RegionHealth::Weak => {
                let [a, b] = spec.retry.unwrap_or([0.30, 1.9]);
                Health::Weak { a, b }
            }
            RegionHealth::Slow => {
                let usual = [Time(Nanos::from_millis(100)), Time(Nanos::from_secs(1))];
                let [from, to] = spec.slow_time.unwrap_or(usual);
                Health::Slow { from: from.0, to: to.0 }
            }
            RegionHealth::Zeros => Health::Zeros { time: checks::WITHOUT_MEDIUM },
        };
        let law = opening.law(Law {
            failure: checks::failure(spec.failure_time),
            class: spec.class.unwrap_or(ErrorClass::Uncorrectable),
            ..Law::new(health, "region")
        });
        let shape = opening.shape();
        let logical = u64::from(shape.logical);
        for [from, to] in &spec.ranges {
            opening.lay(law, from.0 / logical..to.0.div_ceil(logical));
        }
        for [from, to] in &spec.shares {
            let at = |share: f64| (share * shape.sectors as f64) as Lba;
            opening.lay(law, at(*from)..at(*to));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{disk, good, parse, read_on, refusal};
    use super::*;

    fn region(lines: &str) -> String {
        format!("kind = \"region\"\n{lines}")
    }

    #[test]
    fn each_sort_of_damage_does_what_it_says_and_nothing_beside_it() {
        // 16 to 32 MiB of 64: sectors 32768 to 65535.
        let read = |lines: &str| {
            let mut disk = disk(&[&region(&format!("{lines}\nshares = [[0.25, 0.5]]"))], 3);
            let beside = good(&read_on(&mut disk, 32768 - 80, 8, 10, Nanos::ZERO).0)
                + good(&read_on(&mut disk, 65536, 8, 10, Nanos::from_secs(1)).0);
            assert_eq!(beside, 20, "{lines}");
            let start = Nanos::from_secs(100);
            let (replies, end) = read_on(&mut disk, 40_000, 8, 200, start);
            (good(&replies), end.since(start).nanoseconds() / 1_000_000 / 200)
        };
        let (bad, time) = read("health = \"bad\"");
        assert_eq!(bad, 0);
        assert!((2900..3500).contains(&time), "{time} ms");
        let (weak, _) = read("health = \"weak\"\nretry = [2.0, 2.0]");
        assert!((75..125).contains(&weak), "{weak} of 200 at even odds");
        let (slow, time) = read("health = \"slow\"\nslow-time = [\"20 ms\", \"40 ms\"]");
        assert_eq!(slow, 200);
        assert!((25..45).contains(&time), "{time} ms");
        let (zeros, time) = read("health = \"zeros\"");
        assert_eq!((zeros, time), (200, 0));
    }

    #[test]
    fn a_range_in_bytes_is_cut_to_the_small_twin() {
        let scenario = parse(&[&region("health = \"bad\"\nranges = [[\"16 MiB\", \"32 MiB\"]]")]).unwrap();
        let spec = &scenario.faults[0].spec;
        let small = format!("{:?}", spec.scaled(0.25));
        assert!(small.contains("Bytes(4194304), Bytes(8388608)"), "{small}");
    }

    #[test]
    fn what_cannot_be_is_told() {
        let cases = [
            ("health = \"bad\"", "there are neither ranges"),
            ("health = \"bad\"\nranges = [[\"1 MiB\", \"65 MiB\"]]", "the disk has 64 MiB"),
            ("health = \"bad\"\nshares = [[0.5, 1.5]]", "not two rising shares of the disk"),
            ("health = \"zeros\"\nshares = [[0.1, 0.2]]\nretry = [1.0, 1.0]", "it is for health weak"),
            ("health = \"weak\"\nshares = [[0.1, 0.2]]\nretry = [0.0, 1.0]", "two numbers above 0"),
        ];
        for (lines, expected) in cases {
            let found = refusal(&region(lines));
            assert!(found.contains(expected), "{lines}: {found}");
        }
    }
}
