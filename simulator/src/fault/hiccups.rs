//! Pauses that a healthy drive makes too.
//!
//! Owns when they come and how long they last. Must not know what is read.
//!
//! Values: a calibration of about 60 ms every two minutes. A weak servo or vibration is the same with other numbers: it
//! misses a turn now and then, as in every = "800 ms", median = "8.33 ms", sigma = 0.0.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::events::Events;
use super::{Before, Fault, Opening};
use crate::dice;
use crate::disk::{Command, Drive};
use crate::media::MediaModel;
use crate::scenario::Time;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// Hiccups: now and then a command waits.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hiccups {
    /// Mean time from one to the next; drawn from an exponential law.
    #[serde(default = "two_minutes")]
    pub every: Time,
    /// Median of their length.
    #[serde(default = "sixty_millis")]
    pub median: Time,
    /// Deviation of the logarithm of their length.
    #[serde(default = "half")]
    pub sigma: f64,
}

fn two_minutes() -> Time {
    Time(Nanos::from_secs(120))
}

fn sixty_millis() -> Time {
    Time(Nanos::from_millis(60))
}

fn half() -> f64 {
    0.5
}

impl NamedFault for Hiccups {
    const KIND: &'static str = "hiccups";
}

impl FaultSpec for Hiccups {
    fn build(&self, _: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        if self.every.0 < Nanos::from_millis(10) {
            return Err(format!("every {} is shorter than 10 ms", self.every));
        }
        if !(0.0..=3.0).contains(&self.sigma) {
            return Err(format!("sigma {} is not a number from 0 to 3", self.sigma));
        }
        Ok(Box::new(Pausing { spec: self.clone(), events: Events::unlaid(), next: Nanos::ZERO }))
    }

    fn scaled(&self, _: f64) -> Box<dyn FaultSpec> {
        Box::new(self.clone())
    }
}

struct Pausing {
    spec: Hiccups,
    events: Events,
    /// When the next one is due.
    next: Nanos,
}

impl Pausing {
    /// Goes on to the next one; returns how long it will last.
    fn turn(&mut self) -> Nanos {
        let roll = self.events.draw();
        let mean = self.spec.every.0.nanoseconds() as f64;
        self.next += Nanos::new(dice::exponential(roll, mean) as u64 + 1);
        let length = libm::exp(self.spec.sigma * dice::normal(self.events.more(roll)));
        Nanos::new((self.spec.median.0.nanoseconds() as f64 * length) as u64)
    }
}

impl Fault for Pausing {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        self.events = Events::of(opening, "hiccups");
        self.turn();
    }

    fn before(&mut self, _: &Command, now: Nanos, _: &mut Drive) -> Before {
        let mut wait = None;
        // Those that came while nobody read are over.
        while self.next <= now {
            wait = Some(self.turn());
        }
        wait.map_or(Before::Go, Before::Wait)
    }

    fn quiet_until(&self, _: Nanos, _: &Drive) -> Nanos {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{disk, refusal};
    use super::*;

    #[test]
    fn they_come_as_often_and_last_as_long_as_told() {
        let mut disk = disk(&["kind = \"hiccups\"\nevery = \"2 s\""], 1);
        let mut now = Nanos::ZERO;
        let mut pauses: Vec<u64> = Vec::new();
        while now < Nanos::from_secs(2000) {
            let done = disk.serve(&Command { at: 0, count: 8 }, now).done;
            let time = done.since(now).nanoseconds() / 1_000_000;
            if time > 12 {
                pauses.push(time);
            }
            now = done;
        }
        // Sigma 0.5: one in 2000 is shorter than 12 ms.
        assert!((880..1090).contains(&pauses.len()), "{} in 2000 s", pauses.len());
        pauses.sort_unstable();
        let median = pauses[pauses.len() / 2];
        assert!((55..66).contains(&median), "median {median} ms");
        let tenth = pauses[pauses.len() / 10];
        assert!((28..36).contains(&tenth), "exp(-1.28 / 2) of 60 ms is 32 ms, found {tenth}");
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert!(refusal("kind = \"hiccups\"\nevery = \"1 ms\"").contains("every 1 ms is shorter than 10 ms"));
    }
}
