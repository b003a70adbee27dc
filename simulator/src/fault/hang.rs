//! A drive that hangs itself up at errors.
//!
//! Owns how often. Must not know how it is woken: resets and power are the drive's own.
//!
//! Values: 0.002 of the errors is usual, 0.05 an unstable drive. One power cycle in 10000 kills a healthy drive, one in
//! 200 one with weak heads, one in 20 one that clicks (assumptions; no public measurement).

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::events::Events;
use super::{Fault, Opening, checks};
use crate::dice::Chance;
use crate::disk::{Answer, Command, Drive, Power, Reply, Served};
use crate::media::MediaModel;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// Hanging: after some errors the drive answers nothing any more. A reset wakes it four times in five, power always.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hang {
    /// Probability that an error is a hang.
    #[serde(default = "usual")]
    pub per_error: f64,
    /// Probability that the drive does not come back when its power was off.
    #[serde(default = "seldom")]
    pub no_return: f64,
}

fn usual() -> f64 {
    0.002
}

fn seldom() -> f64 {
    0.0001
}

impl NamedFault for Hang {
    const KIND: &'static str = "hang";
}

impl FaultSpec for Hang {
    fn build(&self, _: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        checks::share("per-error", self.per_error)?;
        checks::share("no-return", self.no_return)?;
        Ok(Box::new(Hanging { spec: self.clone(), errors: Events::unlaid(), cycles: Events::unlaid() }))
    }

    fn scaled(&self, _: f64) -> Box<dyn FaultSpec> {
        Box::new(self.clone())
    }
}

struct Hanging {
    spec: Hang,
    errors: Events,
    cycles: Events,
}

impl Fault for Hanging {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        self.errors = Events::of(opening, "hang");
        self.cycles = Events::of(opening, "hang power");
    }

    fn after(&mut self, _: &Command, served: &mut Served, drive: &mut Drive) {
        if served.failed() && Chance::of(self.spec.per_error).hits(self.errors.draw()) {
            hang_up(served, drive);
        }
    }

    fn power_cycled(&mut self, _: Nanos, drive: &mut Drive) {
        if Chance::of(self.spec.no_return).hits(self.cycles.draw()) {
            drive.power = Power::Dead;
        }
    }

    fn is_hazard(&self) -> bool {
        true
    }
}

/// Leaves a command without an answer and the drive deaf.
pub(super) fn hang_up(served: &mut Served, drive: &mut Drive) {
    drive.power = Power::Hung;
    served.reply = Reply::new(Answer::Silent, Nanos::NEVER);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{disk, refusal};
    use super::*;

    const BAD: &str =
        "kind = \"region\"\nhealth = \"bad\"\nshares = [[0.5, 1.0]]\nfailure-time = [\"10 ms\", \"10 ms\"]";

    /// Hangs at 2000 errors, resets that woke it, power cycles that it did not survive.
    fn lives(hang: &str, seed: u64) -> (u32, u32, bool) {
        let mut disk = disk(&[BAD, hang], seed);
        let mut now = Nanos::ZERO;
        let (mut hangs, mut woken) = (0, 0);
        for index in 0..2000u64 {
            let reply = disk.serve(&Command { at: 65536 + index * 8, count: 8 }, now);
            match reply.answer {
                Answer::Error { .. } => now = reply.done,
                Answer::Silent => {
                    hangs += 1;
                    now += Nanos::from_secs(30);
                    let ready = disk.reset(now, crate::dice::mix(index));
                    woken += u32::from(ready != Nanos::NEVER);
                    now = if ready == Nanos::NEVER { disk.power_cycle(now) } else { ready };
                    if now == Nanos::NEVER {
                        return (hangs, woken, true);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        (hangs, woken, false)
    }

    #[test]
    fn one_error_in_twenty_is_a_hang_and_four_resets_in_five_wake_it() {
        let (hangs, woken, is_dead) = lives("kind = \"hang\"\nper-error = 0.05\nno-return = 0.0", 1);
        assert!((75..130).contains(&hangs), "{hangs} hangs at 2000 errors");
        let share = f64::from(woken) / f64::from(hangs);
        assert!((0.7..0.9).contains(&share), "{share} woke up at a reset");
        assert!(!is_dead);
    }

    #[test]
    fn power_may_be_its_death() {
        assert!(lives("kind = \"hang\"\nper-error = 0.5\nno-return = 0.2", 1).2);
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert!(
            refusal("kind = \"hang\"\nper-error = 2.0").contains("per-error 2 is not a number from 0 to 1")
        );
    }
}
