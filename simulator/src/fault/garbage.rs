//! Bytes that are wrong, and called good.
//!
//! Owns when that happens and what comes instead. Must not know the bytes.
//!
//! Values: one error in 10000 on drives, one in 100 behind bad bridges (assumptions; no public measurement).

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::events::Events;
use super::{Fault, Opening, checks};
use crate::dice::Chance;
use crate::disk::{Answer, Command, Drive, Filling, Garbled, Served};
use crate::media::MediaModel;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// Garbage: after some errors the first sectors of the next good read hold zeros, other sectors' bytes, or old ones.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Garbage {
    /// Probability at an error.
    #[serde(default = "seldom")]
    pub per_error: f64,
    /// How many sectors are wrong, at most.
    #[serde(default = "eight")]
    pub sectors_max: u64,
}

fn seldom() -> f64 {
    0.0001
}

fn eight() -> u64 {
    8
}

impl NamedFault for Garbage {
    const KIND: &'static str = "garbage";
}

impl FaultSpec for Garbage {
    fn build(&self, _: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        checks::share("per-error", self.per_error)?;
        if !(1..=4096).contains(&self.sectors_max) {
            return Err(format!("sectors-max {} is not a number from 1 to 4096", self.sectors_max));
        }
        Ok(Box::new(Garbling { spec: self.clone(), errors: Events::unlaid(), due: None }))
    }

    fn delivers_garbage(&self) -> bool {
        true
    }

    fn scaled(&self, _: f64) -> Box<dyn FaultSpec> {
        Box::new(self.clone())
    }
}

struct Garbling {
    spec: Garbage,
    errors: Events,
    /// What comes with the next good read.
    due: Option<(u64, Filling)>,
}

impl Fault for Garbling {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        self.errors = Events::of(opening, "garbage");
    }

    fn after(&mut self, command: &Command, served: &mut Served, _: &mut Drive) {
        if served.failed() {
            let roll = self.errors.draw();
            if Chance::of(self.spec.per_error).hits(roll) {
                let which = self.errors.more(roll);
                let count = 1 + (which >> 8) % self.spec.sectors_max;
                let filling = match which % 3 {
                    0 => Filling::Zeros,
                    1 => Filling::Shifted(count),
                    _ => Filling::Stale,
                };
                self.due = Some((count, filling));
            }
        } else if served.reply.answer == Answer::Done
            && served.reply.garbled.is_none()
            && let Some((count, filling)) = self.due.take()
        {
            let sectors = command.at..command.at + count.min(command.count);
            served.reply.garbled = Some(Garbled { sectors, filling });
        }
    }

    fn quiet_until(&self, now: Nanos, _: &Drive) -> Nanos {
        if self.due.is_some() { now } else { Nanos::NEVER }
    }

    fn is_hazard(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use block::{BlockSource, Offset, Patience, VirtualClock};

    use super::super::testing::{parse, refusal};
    use super::*;
    use crate::{Access, Pace};

    const BAD: &str =
        "kind = \"region\"\nhealth = \"bad\"\nshares = [[0.5, 1.0]]\nfailure-time = [\"10 ms\", \"10 ms\"]";

    #[test]
    fn wrong_bytes_come_as_good_after_errors_and_only_the_truth_knows() {
        let scenario = parse(&[BAD, "kind = \"garbage\"\nper-error = 0.2"]).unwrap();
        let clock = Arc::new(VirtualClock::new(Nanos::ZERO));
        let mut source = scenario.source(1, Some(Access::Raw), clock, Pace::Instant).unwrap();
        let mut wrong = 0;
        for index in 0..1000u64 {
            let bad = Offset::new((32 << 20) + index * 4096);
            assert!(source.read_at(bad, &mut [0; 4096], Patience::Endless).unwrap().damage.is_some());
            let at = Offset::new((1 << 20) + index * 4096);
            let (mut bytes, mut truth) = (vec![0; 8192], vec![0; 8192]);
            assert_eq!(source.read_at(at, &mut bytes, Patience::Endless).unwrap().damage, None);
            source.truth(at, &mut truth).unwrap();
            let same = (0..16).take_while(|sector| {
                bytes[8192 - (sector + 1) * 512..8192 - sector * 512]
                    == truth[8192 - (sector + 1) * 512..8192 - sector * 512]
            });
            let garbled = 16 - same.count();
            assert!(garbled <= 8);
            assert_eq!(garbled > 0, !source.garbled().is_empty(), "the simulation knows");
            wrong += u32::from(garbled > 0);
            // Read once more, it is right.
            assert_eq!(source.read_at(at, &mut bytes, Patience::Endless).unwrap().damage, None);
            assert_eq!(bytes, truth);
        }
        assert!((160..240).contains(&wrong), "{wrong} of 1000 at one in five");
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert!(
            refusal("kind = \"garbage\"\nsectors-max = 0").contains("sectors-max 0 is not a number from 1")
        );
    }
}
