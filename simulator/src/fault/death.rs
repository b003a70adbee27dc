//! A drive whose time runs out.
//!
//! Owns the hour of its death. Must not know what it dies of.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Before, Fault, Opening, checks};
use crate::disk::{Answer, Command, Drive, Power, Reply};
use crate::media::MediaModel;
use crate::scenario::Time;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// Death by the clock: after so much time of work the drive is gone for ever.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Death {
    /// Mean time of work until then; the time itself is drawn from an exponential law. 40 h if neither is given.
    pub mean: Option<Time>,
    /// Time of work until then, exactly.
    pub after: Option<Time>,
}

impl NamedFault for Death {
    const KIND: &'static str = "death";
}

impl FaultSpec for Death {
    fn build(&self, _: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        if self.mean.is_some() && self.after.is_some() {
            return Err("mean and after are both given; a drive dies once".into());
        }
        self.mean.map_or(Ok(()), |mean| checks::some_time("mean", mean))?;
        Ok(Box::new(Dying { spec: self.clone(), life: Nanos::NEVER }))
    }

    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec> {
        // There is as much less to read; but errors take as long as they do.
        let shorter = |time: Time| Time(Nanos::new((time.0.nanoseconds() as f64 * libm::sqrt(ratio)) as u64));
        let mean = self.mean.unwrap_or(USUAL);
        let mean = self.after.is_none().then(|| Time(shorter(mean).0.max(Nanos::from_secs(1))));
        Box::new(Death { mean, after: self.after.map(shorter) })
    }
}

const USUAL: Time = Time(Nanos::from_secs(40 * 3600));

struct Dying {
    spec: Death,
    /// Time of work that it has.
    life: Nanos,
}

impl Fault for Dying {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let mean = self.spec.mean.unwrap_or(USUAL).0.nanoseconds() as f64;
        let drawn = Nanos::new(opening.dice("death").exponential(mean) as u64);
        self.life = self.spec.after.map_or(drawn, |after| after.0);
    }

    fn before(&mut self, _: &Command, now: Nanos, drive: &mut Drive) -> Before {
        if drive.health.busy < self.life {
            return Before::Go;
        }
        drive.power = Power::Dead;
        Before::Answer(Reply::new(Answer::Gone, now))
    }

    fn quiet_until(&self, now: Nanos, drive: &Drive) -> Nanos {
        now + self.life.since(drive.health.busy)
    }

    fn is_hazard(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{disk, good, read_on, refusal};
    use super::*;

    #[test]
    fn it_works_so_long_and_then_no_power_brings_it_back() {
        let mut disk = disk(&["kind = \"death\"\nafter = \"2 s\""], 1);
        // Pauses are not work.
        let (_, now) = read_on(&mut disk, 0, 128, 10, Nanos::ZERO);
        let later = now + Nanos::from_secs(1000);
        let mut now = later;
        while disk.drive().health.busy < Nanos::from_secs(2) {
            let (replies, done) = read_on(&mut disk, 0, 1024, 100, now);
            now = done;
            if good(&replies) < 100 {
                break;
            }
        }
        let busy = disk.drive().health.busy;
        assert!(busy >= Nanos::from_secs(2) && busy < Nanos::from_millis(2100), "{busy:?}");
        let (replies, _) = read_on(&mut disk, 0, 8, 1, now);
        assert_eq!(replies[0].answer, Answer::Gone);
        assert_eq!(disk.power_cycle(now), Nanos::NEVER);
        assert!(!disk.is_there(now + Nanos::from_secs(3600)));
    }

    #[test]
    fn lives_are_exponential() {
        let life = |seed| {
            let mut disk = disk(&["kind = \"death\"\nmean = \"1 s\""], seed);
            read_on(&mut disk, 0, 128, 500, Nanos::ZERO);
            disk.drive().health.busy.nanoseconds() as f64 / 1e6
        };
        let lives: Vec<f64> = (0..300).map(life).collect();
        // It dies between reads, which take some milliseconds.
        let longer = lives.iter().filter(|life| **life > 1000.0).count();
        assert!((85..140).contains(&longer), "{longer} of 300 lived longer than the mean; 1/e would");
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert!(refusal("kind = \"death\"\nmean = \"1 h\"\nafter = \"1 h\"").contains("a drive dies once"));
        assert!(refusal("kind = \"death\"\nmean = \"0 s\"").contains("mean 0 ns is no time at all"));
    }
}
