//! Firmware that loses itself in background repairs.
//!
//! Owns when the whole drive turns slow and when it is itself again. Must not know damage.
//!
//! Values: reports tell of 30 kB/s and less, up to some hundred; a power cycle helps, for a while.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::events::Events;
use super::{Before, Fault, Opening, checks};
use crate::dice;
use crate::disk::{Command, Drive, Served};
use crate::media::MediaModel;
use crate::scenario::kind::{FaultSpec, NamedFault};
use crate::scenario::{Bytes, Time};

/// Slow firmware: after some errors all reads crawl, good areas too, until the power was off.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SlowFirmware {
    /// Errors after which it turns slow.
    #[serde(default = "twenty")]
    pub after_errors: u32,
    /// How fast it still is, in bytes per second: from and to.
    #[serde(default = "crawling")]
    pub rate: [Bytes; 2],
    /// Mean time after a power cycle until it turns slow again without an error.
    #[serde(default = "ten_minutes")]
    pub relapse: Time,
}

fn twenty() -> u32 {
    20
}

fn crawling() -> [Bytes; 2] {
    [Bytes(30_000), Bytes(500_000)]
}

fn ten_minutes() -> Time {
    Time(Nanos::from_secs(600))
}

impl NamedFault for SlowFirmware {
    const KIND: &'static str = "slow-firmware";
}

impl FaultSpec for SlowFirmware {
    fn build(&self, _: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        let [from, to] = self.rate;
        if from.0 == 0 || from > to {
            return Err(format!(
                "rate runs from {from} to {to} a second; the first is above 0 and not larger"
            ));
        }
        if self.after_errors == 0 {
            return Err("after-errors is at least 1".into());
        }
        checks::some_time("relapse", self.relapse)?;
        Ok(Box::new(Firmware {
            spec: self.clone(),
            events: Events::unlaid(),
            errors: 0,
            slow: None,
            relapse_at: Nanos::NEVER,
            was_slow: false,
        }))
    }

    fn scaled(&self, _: f64) -> Box<dyn FaultSpec> {
        Box::new(SlowFirmware { after_errors: self.after_errors.div_ceil(4), ..self.clone() })
    }
}

struct Firmware {
    spec: SlowFirmware,
    events: Events,
    /// Since power came.
    errors: u32,
    /// Bytes per second while it is slow.
    slow: Option<u64>,
    relapse_at: Nanos,
    was_slow: bool,
}

impl Firmware {
    fn turn_slow(&mut self) {
        let [from, to] = self.spec.rate.map(|rate| rate.0 as f64);
        // Each octave is as likely.
        let rate = from * libm::pow(to / from, dice::unit(self.events.draw()));
        self.slow = Some((rate as u64).max(1));
        self.was_slow = true;
        self.relapse_at = Nanos::NEVER;
    }
}

impl Fault for Firmware {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        self.events = Events::of(opening, "slow firmware");
    }

    fn before(&mut self, _: &Command, now: Nanos, _: &mut Drive) -> Before {
        if self.slow.is_none() && now >= self.relapse_at {
            self.turn_slow();
        }
        Before::Go
    }

    fn after(&mut self, command: &Command, served: &mut Served, drive: &mut Drive) {
        if let Some(rate) = self.slow {
            let bytes = command.count * u64::from(drive.medium.shape().logical);
            let time = u128::from(bytes) * 1_000_000_000 / u128::from(rate);
            served.reply.done += Nanos::new(time as u64);
        }
        self.errors += u32::from(served.failed());
        if self.slow.is_none() && self.errors >= self.spec.after_errors {
            self.turn_slow();
        }
    }

    fn quiet_until(&self, now: Nanos, _: &Drive) -> Nanos {
        if self.slow.is_some() { now } else { self.relapse_at }
    }

    fn power_cycled(&mut self, now: Nanos, _: &mut Drive) {
        self.errors = 0;
        self.slow = None;
        if self.was_slow {
            let mean = self.spec.relapse.0.nanoseconds() as f64;
            self.relapse_at = now + Nanos::new(dice::exponential(self.events.draw(), mean) as u64);
        }
    }

    fn is_hazard(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{disk, refusal};
    use super::*;
    use crate::SimDisk;

    const BAD: &str =
        "kind = \"region\"\nhealth = \"bad\"\nshares = [[0.5, 1.0]]\nfailure-time = [\"10 ms\", \"10 ms\"]";
    const SLOW: &str = "kind = \"slow-firmware\"\nafter-errors = 20\nrelapse = \"10 min\"";

    /// Bytes per second of a good read.
    fn rate(disk: &mut SimDisk, now: Nanos) -> f64 {
        let done = disk.serve(&Command { at: 0, count: 128 }, now).done;
        65536e9 / done.since(now).nanoseconds() as f64
    }

    fn errors(disk: &mut SimDisk, count: u64, mut now: Nanos) -> Nanos {
        for index in 0..count {
            now = disk.serve(&Command { at: 65536 + index * 8, count: 8 }, now).done;
        }
        now
    }

    #[test]
    fn errors_make_all_reads_crawl_until_power_is_off_and_it_comes_again() {
        let mut disk = disk(&[BAD, SLOW], 1);
        let now = errors(&mut disk, 19, Nanos::ZERO);
        assert!(rate(&mut disk, now) > 2e6);
        let now = errors(&mut disk, 1, now + Nanos::from_secs(1));
        let slow = rate(&mut disk, now);
        assert!((29_000.0..500_000.0).contains(&slow), "{slow} bytes per second");
        // A reset does not help.
        let now = disk.reset(now + Nanos::from_secs(10), 0);
        assert!(rate(&mut disk, now) < 500_000.0);
        let on = disk.power_cycle(now + Nanos::from_secs(10));
        assert!(rate(&mut disk, on) > 1e6);
        let late = on + Nanos::from_secs(3600 * 3);
        assert!(rate(&mut disk, late) < 500_000.0, "three hours without a relapse are one in sixty million");
    }

    #[test]
    fn relapses_come_after_ten_minutes_on_the_average() {
        let early = (0..400).filter(|seed| {
            let mut disk = disk(&[BAD, SLOW], *seed);
            let now = errors(&mut disk, 20, Nanos::ZERO);
            let on = disk.power_cycle(now);
            rate(&mut disk, on + Nanos::from_secs(600)) < 500_000.0
        });
        let share = early.count() as f64 / 400.0;
        assert!((share - 0.63).abs() < 0.08, "{share} were slow again after the mean time");
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert!(
            refusal("kind = \"slow-firmware\"\nrate = [\"2 kB\", \"1 kB\"]")
                .contains("from 2 kB to 1 kB a second")
        );
        assert!(refusal("kind = \"slow-firmware\"\nafter-errors = 0").contains("at least 1"));
    }
}
