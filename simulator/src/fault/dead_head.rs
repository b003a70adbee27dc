//! A head that reads nothing any more.
//!
//! Owns which sectors it takes with it and how its failures take their time. Must not know layouts.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Opening, checks};
use crate::disk::{Command, Drive, Served};
use crate::law::{ErrorClass, FailureTime, Health, Law};
use crate::media::MediaModel;
use crate::scenario::Time;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// A dead head: every sector under it fails.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DeadHead {
    /// Which, from 0.
    pub head: u16,
    /// Time of a failure, from and to: the servo is not found.
    #[serde(default = "no_servo")]
    pub failure_time: [Time; 2],
    /// What it reports.
    #[serde(default = "not_found")]
    pub class: ErrorClass,
    /// After how many failures in a row the drive calibrates itself anew; 0: never.
    #[serde(default = "three")]
    pub calibrates_after: u32,
    /// Time of a calibration.
    #[serde(default = "seven_seconds")]
    pub calibration: Time,
}

fn no_servo() -> [Time; 2] {
    [Time(Nanos::from_millis(400)), Time(Nanos::from_secs(2))]
}

fn not_found() -> ErrorClass {
    ErrorClass::NotFound
}

fn three() -> u32 {
    3
}

fn seven_seconds() -> Time {
    Time(Nanos::from_secs(7))
}

impl NamedFault for DeadHead {
    const KIND: &'static str = "dead-head";
}

impl FaultSpec for DeadHead {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        checks::head(self.head, medium)?;
        checks::pieces_of_a_head(medium)?;
        checks::times("failure-time", self.failure_time)?;
        Ok(Box::new(Dead { spec: self.clone(), law: 0, failures: 0 }))
    }

    fn scaled(&self, _: f64) -> Box<dyn FaultSpec> {
        Box::new(self.clone())
    }
}

struct Dead {
    spec: DeadHead,
    law: usize,
    /// Failures since the last success or calibration.
    failures: u32,
}

impl Fault for Dead {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let [from, to] = self.spec.failure_time;
        self.law = opening.law(Law {
            failure: FailureTime::Between(from.0, to.0),
            class: self.spec.class,
            // It finds nothing, so it touches nothing.
            gravity: 0.0,
            ..Law::new(Health::Bad, "dead-head")
        });
        for sectors in opening.medium.sectors_of(self.spec.head) {
            opening.lay(self.law, sectors);
        }
    }

    fn after(&mut self, _: &Command, served: &mut Served, drive: &mut Drive) {
        if served.failure.is_none_or(|failure| failure.law != self.law) {
            return;
        }
        self.failures += 1;
        if self.spec.calibrates_after > 0 && self.failures >= self.spec.calibrates_after {
            self.failures = 0;
            drive.health.calibrations += 1;
            served.reply.done += self.spec.calibration.0;
        }
    }
}
