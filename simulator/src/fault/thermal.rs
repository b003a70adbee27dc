//! A drive that gets warm.
//!
//! Owns its temperature and what comes of that. Must not know what is read.
//!
//! Law: T' = (ambient + power * resistance - T) / tau, in steps of ten seconds in which the time of work is counted, so
//! that how reads are told of makes no difference. Values: 5 W idle, 8 W at work, 3 K/W without a fan and 1 with one.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Before, Fault, Opening};
use crate::disk::{Command, Drive, Served};
use crate::media::MediaModel;
use crate::scenario::Time;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// Temperature: weak sectors answer best at one, and above another the drive makes pauses. In degrees Celsius.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Thermal {
    /// Of the room, and of the drive when it is switched on.
    pub ambient: f64,
    /// Degrees for each watt: 3 without a fan, 1 with one.
    pub resistance: f64,
    /// Time in which two thirds of a change are done.
    pub tau: Time,
    /// At which weak sectors answer best. Drawn if not given: 32, with a deviation of 8.
    pub optimum: Option<f64>,
    /// Above this one the drive pauses a second in each half minute.
    pub throttle: f64,
}

impl Default for Thermal {
    fn default() -> Thermal {
        Thermal {
            ambient: 25.0,
            resistance: 3.0,
            tau: Time(Nanos::from_secs(25 * 60)),
            optimum: None,
            throttle: 60.0,
        }
    }
}

impl NamedFault for Thermal {
    const KIND: &'static str = "thermal";
}

const IDLE_WATTS: f64 = 5.0;
const WORK_WATTS: f64 = 8.0;
/// A step, in nanoseconds.
const STEP: u64 = 10_000_000_000;

impl FaultSpec for Thermal {
    fn build(&self, _: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        let is_warm = |degrees: f64| (-40.0..=100.0).contains(&degrees);
        if !is_warm(self.ambient) || !is_warm(self.throttle) || self.optimum.is_some_and(|t| !is_warm(t)) {
            return Err("ambient, optimum and throttle are degrees Celsius from -40 to 100".into());
        }
        if !(0.0..=20.0).contains(&self.resistance) {
            return Err(format!("resistance {} is not a number from 0 to 20", self.resistance));
        }
        if self.tau.0 < Nanos::from_secs(60) {
            return Err(format!("tau {} is shorter than a minute", self.tau));
        }
        let decay = libm::exp(-(STEP as f64) / self.tau.0.nanoseconds() as f64);
        let body = Body { spec: self.clone(), decay, step: 0, worked: 0, temperature: self.ambient };
        Ok(Box::new(Warming { body, optimum: 0.0, next_pause: Nanos::ZERO }))
    }

    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec> {
        let tau = (self.tau.0.nanoseconds() as f64 * libm::sqrt(ratio)) as u64;
        Box::new(Thermal { tau: Time(Nanos::new(tau).max(Nanos::from_secs(60))), ..self.clone() })
    }
}

struct Warming {
    body: Body,
    optimum: f64,
    /// No pause for the heat before then.
    next_pause: Nanos,
}

/// A body that warms at work.
#[derive(Clone)]
struct Body {
    spec: Thermal,
    /// How much of a difference is left after a step.
    decay: f64,
    /// Number of the present step, and nanoseconds of work in it.
    step: u64,
    worked: u64,
    /// At the start of the step.
    temperature: f64,
}

impl Body {
    fn step_end(&self) -> u64 {
        (self.step + 1).saturating_mul(STEP)
    }

    fn end_step(&mut self) {
        let share = self.worked as f64 / STEP as f64;
        let watts = IDLE_WATTS + (WORK_WATTS - IDLE_WATTS) * share;
        let goal = self.spec.ambient + watts * self.spec.resistance;
        self.temperature = goal + (self.temperature - goal) * self.decay;
        self.step += 1;
        self.worked = 0;
    }

    fn idle_until(&mut self, time: Nanos) {
        while self.step_end() <= time.nanoseconds() {
            self.end_step();
        }
    }

    fn work(&mut self, from: Nanos, to: Nanos) {
        self.idle_until(from);
        let (mut at, to) = (from.nanoseconds(), to.nanoseconds());
        while at < to {
            let end = self.step_end().min(to);
            self.worked += end - at;
            at = end;
            if at == self.step_end() {
                self.end_step();
            }
        }
    }
}

impl Warming {
    fn ease(&self, drive: &mut Drive) {
        let off = (self.body.temperature - self.optimum) / 12.0;
        drive.conditions.ease = libm::exp(-off * off);
    }

    fn worked(&mut self, from: Nanos, to: Nanos, drive: &mut Drive) {
        self.body.work(from, to);
        drive.health.temperature = Some(self.body.temperature as i16);
    }
}

impl Fault for Warming {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let drawn = 32.0 + 8.0 * opening.dice("thermal").normal();
        self.optimum = self.body.spec.optimum.unwrap_or(drawn);
    }

    fn before(&mut self, _: &Command, now: Nanos, drive: &mut Drive) -> Before {
        self.body.idle_until(now);
        self.ease(drive);
        if self.body.temperature > self.body.spec.throttle && now >= self.next_pause {
            self.next_pause = now + Nanos::from_secs(31);
            return Before::Wait(Nanos::from_secs(1));
        }
        Before::Go
    }

    fn after(&mut self, _: &Command, served: &mut Served, drive: &mut Drive) {
        if served.reply.done != Nanos::NEVER {
            self.worked(served.began, served.reply.done, drive);
        }
    }

    fn quiet_until(&self, now: Nanos, _: &Drive) -> Nanos {
        let mut body = self.body.clone();
        body.idle_until(now);
        let next = Nanos::new(body.step_end());
        if body.temperature > body.spec.throttle { next.min(self.next_pause) } else { next }
    }

    fn streamed(&mut self, _: &Command, from: Nanos, to: Nanos, drive: &mut Drive) {
        // All of them began in this step: none later than `quiet_until` tells.
        self.body.idle_until(from);
        self.ease(drive);
        self.worked(from, to, drive);
    }

    fn is_hazard(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{disk, refusal};
    use super::*;

    #[test]
    fn work_warms_by_eight_watts_and_rest_cools() {
        let mut disk = disk(&["kind = \"thermal\"\ntau = \"5 min\""], 1);
        let mut now = Nanos::ZERO;
        let mut after_tau = None;
        while now < Nanos::from_secs(3600) {
            now = disk.serve(&Command { at: 0, count: 4096 }, now).done;
            if now > Nanos::from_secs(300) {
                after_tau = after_tau.or(disk.drive().health.temperature);
            }
        }
        // 25 + 8 * 3 in the end; two thirds of the way after tau.
        assert!((39..=40).contains(&after_tau.unwrap()), "{after_tau:?}");
        assert_eq!(disk.drive().health.temperature, Some(48));
        disk.serve(&Command { at: 0, count: 8 }, now + Nanos::from_secs(3600));
        assert_eq!(disk.drive().health.temperature, Some(40), "25 + 5 * 3");
    }

    #[test]
    fn a_hot_drive_pauses_a_second_in_each_half_minute() {
        let mut disk = disk(&["kind = \"thermal\"\nambient = 45.0\ntau = \"1 min\""], 1);
        let (mut now, mut pauses) = (Nanos::ZERO, 0);
        let mut ease: Vec<f64> = Vec::new();
        while now < Nanos::from_secs(3600) {
            let done = disk.serve(&Command { at: 0, count: 4096 }, now).done;
            pauses += u32::from(done.since(now) > Nanos::from_secs(1));
            ease.push(disk.drive().conditions.ease);
            now = done;
        }
        // 45 + 24 degrees are soon above 60.
        assert!((110..=117).contains(&pauses), "{pauses} pauses");
        assert!(ease.iter().all(|ease| (0.0..=1.0).contains(ease)));
        assert!(
            ease[ease.len() - 1] < 0.5 * ease[0],
            "hot is worse than warm: {} and {}",
            ease[0],
            ease[ease.len() - 1]
        );
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert!(refusal("kind = \"thermal\"\nambient = 300.0").contains("degrees Celsius from -40 to 100"));
        assert!(refusal("kind = \"thermal\"\ntau = \"1 s\"").contains("tau 1 s is shorter than a minute"));
    }
}
