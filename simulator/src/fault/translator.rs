//! Firmware that no longer knows where sectors are.
//!
//! Owns when that begins. Must not know the medium, which may be perfect.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Before, Fault, Opening};
use crate::disk::{Answer, Command, Drive, Reply, Served};
use crate::law::{ErrorClass, FailureTime, Health, Law};
use crate::media::{Lba, MediaModel};
use crate::scenario::Time;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// A lost translator: all reads are aborted at once, for good. From the start if nothing is given.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Translator {
    /// Time of work until then.
    pub after: Option<Time>,
    /// Errors until then.
    pub after_errors: Option<u64>,
}

impl NamedFault for Translator {
    const KIND: &'static str = "translator";
}

/// Time of an aborted command.
const ABORTED: Nanos = Nanos::from_millis(50);

impl FaultSpec for Translator {
    fn build(&self, _: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        Ok(Box::new(Losing { spec: self.clone(), is_lost: false }))
    }

    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec> {
        let shorter = |time: Time| Time(Nanos::new((time.0.nanoseconds() as f64 * libm::sqrt(ratio)) as u64));
        let after_errors = self.after_errors.map(|count| count.div_ceil(4));
        Box::new(Translator { after: self.after.map(shorter), after_errors })
    }
}

struct Losing {
    spec: Translator,
    is_lost: bool,
}

impl Losing {
    fn is_due(&self, drive: &Drive) -> bool {
        self.is_lost
            || self.spec.after.is_some_and(|after| drive.health.busy >= after.0)
            || self.spec.after_errors.is_some_and(|errors| drive.health.errors >= errors)
    }
}

impl Fault for Losing {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        if !self.is_hazard() {
            let law = opening.law(Law {
                failure: FailureTime::Between(ABORTED, ABORTED),
                class: ErrorClass::Aborted,
                gravity: 0.0,
                ..Law::new(Health::Bad, "translator")
            });
            opening.lay(law, 0..Lba::MAX);
        }
    }

    fn before(&mut self, command: &Command, now: Nanos, drive: &mut Drive) -> Before {
        self.is_lost = self.is_due(drive);
        if !self.is_lost {
            return Before::Go;
        }
        let answer = Answer::Error { class: ErrorClass::Aborted, bad: command.at };
        Before::Answer(Reply::new(answer, now + ABORTED))
    }

    fn after(&mut self, _: &Command, _: &mut Served, _: &mut Drive) {}

    fn quiet_until(&self, now: Nanos, drive: &Drive) -> Nanos {
        if self.is_due(drive) {
            return now;
        }
        self.spec.after.map_or(Nanos::NEVER, |after| now + after.0.since(drive.health.busy))
    }

    fn is_hazard(&self) -> bool {
        self.spec.after.is_some() || self.spec.after_errors.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{disk, good, read_on};
    use super::*;

    #[test]
    fn everything_is_aborted_at_once_from_then_on() {
        let aborted = |disk: &mut crate::SimDisk, now: Nanos| {
            let reply = disk.serve(&Command { at: 64, count: 8 }, now);
            assert_eq!(reply.answer, Answer::Error { class: ErrorClass::Aborted, bad: 64 });
            reply.done.since(now)
        };
        let mut later = disk(&["kind = \"translator\"\nafter = \"1 s\""], 1);
        let mut now = Nanos::ZERO;
        while later.drive().health.busy < Nanos::from_secs(1) {
            let (replies, done) = read_on(&mut later, 0, 128, 1, now);
            assert_eq!(good(&replies), 1);
            now = done;
        }
        assert_eq!(aborted(&mut later, now), Nanos::from_millis(50));
        let on = later.power_cycle(now + Nanos::from_secs(1));
        assert_eq!(aborted(&mut later, on), Nanos::from_millis(50));
        let mut at_once = disk(&["kind = \"translator\""], 1);
        assert!(aborted(&mut at_once, Nanos::ZERO) < Nanos::from_millis(80));
        let bad = "kind = \"region\"\nhealth = \"bad\"\nshares = [[0.5, 1.0]]";
        let mut by_errors = disk(&[bad, "kind = \"translator\"\nafter-errors = 3"], 1);
        let (_, now) = read_on(&mut by_errors, 65536, 8, 2, Nanos::ZERO);
        assert_eq!(good(&read_on(&mut by_errors, 0, 8, 1, now).0), 1);
        let (_, now) = read_on(&mut by_errors, 65536, 8, 1, now + Nanos::from_secs(1));
        aborted(&mut by_errors, now);
    }
}
