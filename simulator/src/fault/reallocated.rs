//! Sectors that the drive has replaced by spare ones before.
//!
//! Owns where they are and what became of their bytes. Must not know when or why.

use schemars::JsonSchema;
use serde::Deserialize;

use block::Nanos;

use super::{Fault, Opening, checks};
use crate::law::{Health, Law};
use crate::media::MediaModel;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// Physical sectors that lie in the spare area: the arm goes there and back.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Reallocated {
    /// How many.
    pub count: u32,
    /// Which share of them lost their bytes and read as zeros, without an error.
    #[serde(default)]
    pub lost: f64,
    /// Where they are, as shares of the disk: from and to.
    #[serde(default = "everywhere")]
    pub region: [f64; 2],
}

fn everywhere() -> [f64; 2] {
    [0.0, 1.0]
}

impl NamedFault for Reallocated {
    const KIND: &'static str = "reallocated";
}

impl FaultSpec for Reallocated {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        checks::count("count", f64::from(self.count))?;
        checks::share("lost", self.lost)?;
        checks::shares("region", "the disk", self.region)?;
        let shape = medium.shape();
        if u64::from(self.count) > shape.sectors / shape.lbas_per_sector() / 10 {
            return Err(format!("count {} is more than a tenth of the disk's sectors", self.count));
        }
        Ok(Box::new(Laying { spec: self.clone() }))
    }

    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec> {
        let count = (f64::from(self.count) * libm::sqrt(ratio)) as u32;
        Box::new(Reallocated { count: count.max(self.count.min(10)), ..self.clone() })
    }
}

struct Laying {
    spec: Reallocated,
}

impl Fault for Laying {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let Reallocated { count, lost, region: [from, to] } = self.spec;
        let mut dice = opening.dice("reallocated");
        // A seek there and one back take about a turn each, and each is followed by half a turn and more.
        let turn = opening.medium.turn().nanoseconds();
        let trip = Health::Slow { from: Nanos::new(2 * turn), to: Nanos::new(5 * turn) };
        let kept = opening.law(Law { gravity: 0.01, ..Law::new(trip, "reallocated") });
        let zeros = Health::Zeros { time: Nanos::new(4 * turn) };
        let lost_law = opening.law(Law { gravity: 0.01, ..Law::new(zeros, "reallocated") });
        let shape = opening.shape();
        let group = shape.lbas_per_sector();
        let sectors = (shape.sectors / group) as f64;
        for _ in 0..count {
            let sector = (dice.between(from, to) * sectors) as u64;
            let law = if dice.chance(lost) { lost_law } else { kept };
            opening.lay(law, sector * group..(sector + 1) * group);
        }
        opening.health().reallocated += u64::from(count);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use block::{BlockSource, Clock, Nanos, Offset, Patience, VirtualClock};

    use super::super::testing::{disk, parse, refusal};
    use crate::law::Health;
    use crate::{Access, Pace};

    const MANY: &str = "kind = \"reallocated\"\ncount = 100\nlost = 0.5";

    #[test]
    fn all_of_them_answer_late_and_those_that_lost_their_bytes_are_zeros_in_truth_too() {
        let clock = Arc::new(VirtualClock::new(Nanos::ZERO));
        let mut source =
            parse(&[MANY]).unwrap().source(4, Some(Access::Raw), clock.clone(), Pace::Instant).unwrap();
        let surface = &source.system().disk().drive().surface;
        let all: Vec<(u64, bool)> = surface
            .stretches()
            .iter()
            .map(|s| (s.sectors.start, matches!(surface.law(s.law).health, Health::Zeros { .. })))
            .collect();
        assert!((90..=100).contains(&all.len()), "{} places", all.len());
        let lost = all.iter().filter(|(_, is_lost)| *is_lost).count();
        assert!((30..70).contains(&lost), "{lost} lost");
        for (at, is_lost) in all {
            let (mut bytes, mut truth) = (vec![0xee; 4096], vec![0xdd; 4096]);
            let at = Offset::new(at * 512);
            let before = clock.now();
            let reply = source.read_at(at, &mut bytes, Patience::Endless).unwrap();
            assert_eq!(reply.damage, None);
            assert!(clock.now().since(before) >= Nanos::from_millis(16));
            source.truth(at, &mut truth).unwrap();
            assert_eq!(bytes, truth);
            assert_eq!(bytes.iter().all(|byte| *byte == 0), is_lost);
        }
    }

    #[test]
    fn smart_knows_how_many_they_are() {
        assert_eq!(disk(&[MANY], 1).drive().health.reallocated, 100);
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert!(
            refusal("kind = \"reallocated\"\ncount = 9999")
                .contains("more than a tenth of the disk's sectors")
        );
        assert!(
            refusal("kind = \"reallocated\"\ncount = 9\nlost = -1.0")
                .contains("lost -1 is not a number from 0 to 1")
        );
    }
}
