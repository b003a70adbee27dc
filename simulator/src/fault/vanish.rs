//! A drive that leaves the bus.
//!
//! Owns how often, and how it comes back. Must not know why: a bridge, a connector, a supply.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::events::Events;
use super::{Fault, Opening, checks};
use crate::dice::{self, Chance};
use crate::disk::{Answer, Command, Drive, Power, Reply, Served};
use crate::media::MediaModel;
use crate::scenario::Time;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// Vanishing: at some errors the drive is gone. It comes back by itself, or must be plugged in anew.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Vanish {
    /// Probability at an error: 0.0005 is a usual USB bridge, 0.00002 a SATA port.
    #[serde(default = "usb")]
    pub per_error: f64,
    /// How long it is away, from and to.
    #[serde(default = "some_seconds")]
    pub away: [Time; 2],
    /// Probability that it stays away until its power was off.
    #[serde(default = "third")]
    pub needs_power: f64,
}

fn usb() -> f64 {
    0.0005
}

fn some_seconds() -> [Time; 2] {
    [Time(Nanos::from_secs(2)), Time(Nanos::from_secs(5))]
}

fn third() -> f64 {
    0.3
}

impl NamedFault for Vanish {
    const KIND: &'static str = "vanish";
}

impl FaultSpec for Vanish {
    fn build(&self, _: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        checks::share("per-error", self.per_error)?;
        checks::share("needs-power", self.needs_power)?;
        checks::times("away", self.away)?;
        Ok(Box::new(Vanishing { spec: self.clone(), errors: Events::unlaid() }))
    }

    fn scaled(&self, _: f64) -> Box<dyn FaultSpec> {
        Box::new(self.clone())
    }
}

struct Vanishing {
    spec: Vanish,
    errors: Events,
}

impl Fault for Vanishing {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        self.errors = Events::of(opening, "vanish");
    }

    fn after(&mut self, _: &Command, served: &mut Served, drive: &mut Drive) {
        if !served.failed() {
            return;
        }
        let roll = self.errors.draw();
        if !Chance::of(self.spec.per_error).hits(roll) {
            return;
        }
        let now = served.reply.done;
        let stays = self.errors.more(roll);
        let [from, to] = self.spec.away.map(|time| time.0.nanoseconds());
        let away = from + ((to - from) as f64 * dice::unit(self.errors.more(stays))) as u64;
        let back =
            if Chance::of(self.spec.needs_power).hits(stays) { Nanos::NEVER } else { now + Nanos::new(away) };
        drive.power = Power::Gone(back);
        served.reply = Reply::new(Answer::Gone, now);
    }

    fn is_hazard(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use block::{BlockSource, Clock, Offset, Patience, Recovery, SourceError, VirtualClock};

    use super::super::testing::{parse, refusal};
    use super::*;
    use crate::{Access, Pace};

    const BAD: &str =
        "kind = \"region\"\nhealth = \"bad\"\nshares = [[0.5, 1.0]]\nfailure-time = [\"10 ms\", \"10 ms\"]";

    #[test]
    fn it_is_gone_and_found_again_after_some_seconds_or_by_its_power() {
        let clock = Arc::new(VirtualClock::new(Nanos::ZERO));
        let scenario = parse(&[BAD, "kind = \"vanish\"\nper-error = 0.1"]).unwrap();
        let mut source = scenario.source(1, Some(Access::Raw), clock.clone(), Pace::Instant).unwrap();
        let (mut lost, mut by_itself) = (0, 0);
        for index in 0..1000u64 {
            let at = Offset::new((32 << 20) + index * 4096);
            match source.read_at(at, &mut [0; 4096], Patience::Endless) {
                Ok(reply) => assert!(reply.damage.is_some()),
                Err(SourceError::Gone { .. }) => {
                    lost += 1;
                    assert!(source.presence().is_err());
                    let (before, cycles) = (clock.now(), source.system().disk().drive().health.power_cycles);
                    source.recover(Recovery::Rediscover).unwrap();
                    let was_off = source.system().disk().drive().health.power_cycles > cycles;
                    let away = clock.now().since(before);
                    by_itself += u32::from(!was_off);
                    let expected = if was_off { 14_000..16_000 } else { 2_000..5_001 };
                    assert!(expected.contains(&(away.nanoseconds() / 1_000_000)), "{away:?}");
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!((75..130).contains(&lost), "{lost} times gone at 1000 errors");
        let share = f64::from(by_itself) / f64::from(lost);
        assert!((share - 0.7).abs() < 0.12, "{share} came back by themselves");
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert!(
            refusal("kind = \"vanish\"\naway = [\"5 s\", \"2 s\"]").contains("away runs from 5 s to 2 s")
        );
    }
}
