//! A head that gets worse the longer it works.
//!
//! Owns how its failures grow with use and fall with rest. Must not know layouts.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Before, Fault, Opening, checks};
use crate::disk::{Command, Drive, Served};
use crate::law::{Health, Law};
use crate::media::MediaModel;
use crate::scenario::Time;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// A fading head: the probability that an attempt under it fails grows by e in each `fades-in` of its work.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FadingHead {
    /// Which, from 0.
    pub head: u16,
    /// Probability that an attempt at a sector fails, at the start.
    #[serde(default = "hundredth")]
    pub failing: f64,
    /// Time of work under this head in which that becomes e times as much.
    #[serde(default = "two_hours")]
    pub fades_in: Time,
    /// How long the drive must be left alone, or off, for the head to recover.
    #[serde(default = "twenty_minutes")]
    pub rest: Time,
    /// Factor on the probability at each rest.
    #[serde(default = "a_third")]
    pub recovers_to: f64,
    /// How long a failing attempt takes, from and to; the drive's own time if not given.
    pub failure_time: Option<[Time; 2]>,
}

fn hundredth() -> f64 {
    0.01
}

fn two_hours() -> Time {
    Time(Nanos::from_secs(2 * 3600))
}

fn twenty_minutes() -> Time {
    Time(Nanos::from_secs(20 * 60))
}

fn a_third() -> f64 {
    0.3
}

impl NamedFault for FadingHead {
    const KIND: &'static str = "fading-head";
}

impl FaultSpec for FadingHead {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        checks::head(self.head, medium)?;
        checks::pieces_of_a_head(medium)?;
        checks::share("failing", self.failing)?;
        checks::share("recovers-to", self.recovers_to)?;
        if self.failing == 0.0 || self.recovers_to == 0.0 || self.fades_in.0 == Nanos::ZERO {
            return Err("failing, fades-in and recovers-to are above 0".into());
        }
        self.failure_time.map_or(Ok(()), |times| checks::times("failure-time", times))?;
        Ok(Box::new(Fading { spec: self.clone(), worked: 0 }))
    }

    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec> {
        // There is as much less to read; but errors take as long as they do.
        let scale = libm::sqrt(ratio);
        let shorter = (self.fades_in.0.nanoseconds() as f64 * scale) as u64;
        Box::new(FadingHead { fades_in: Time(Nanos::new(shorter.max(1_000_000_000))), ..self.clone() })
    }
}

struct Fading {
    spec: FadingHead,
    /// Nanoseconds of work, less what rests gave back.
    worked: u64,
}

impl Fading {
    fn failing(&self) -> f64 {
        let share = self.worked as f64 / self.spec.fades_in.0.nanoseconds() as f64;
        (self.spec.failing * libm::exp(share)).min(1.0)
    }

    /// Rests if the drive was left alone until now.
    fn rest(&mut self, now: Nanos, drive: &mut Drive) {
        if now.since(drive.busy_until) >= self.spec.rest.0 {
            let back = -libm::log(self.spec.recovers_to) * self.spec.fades_in.0.nanoseconds() as f64;
            self.worked = self.worked.saturating_sub(back as u64);
        }
        self.tell(drive);
    }

    fn tell(&self, drive: &mut Drive) {
        if let Some(failing) = drive.conditions.heads.get_mut(usize::from(self.spec.head)) {
            *failing = self.failing();
        }
    }
}

impl Fault for Fading {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let failure = checks::failure(self.spec.failure_time);
        let law = Law { failure, gravity: 0.01, ..Law::new(Health::Head(self.spec.head), "fading-head") };
        let law = opening.law(law);
        for sectors in opening.medium.sectors_of(self.spec.head) {
            opening.lay(law, sectors);
        }
    }

    fn before(&mut self, _: &Command, now: Nanos, drive: &mut Drive) -> Before {
        self.rest(now, drive);
        Before::Go
    }

    fn after(&mut self, command: &Command, served: &mut Served, drive: &mut Drive) {
        let is_mine = drive.medium.place(command.at).head == self.spec.head;
        if is_mine && served.reply.done != Nanos::NEVER {
            let time = served.reply.done.since(served.began).nanoseconds();
            self.worked = self.worked.saturating_add(time);
            self.tell(drive);
        }
    }

    // Healthy reads in a row never touch this head: all its sectors follow its law.
    fn streamed(&mut self, _: &Command, from: Nanos, _: Nanos, drive: &mut Drive) {
        self.rest(from, drive);
    }

    fn is_hazard(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{disk, good, read_on, refusal};
    use super::*;

    const FADING: &str = "kind = \"fading-head\"\nhead = 1\nfailing = 0.05\nfades-in = \"10 min\"";

    /// How many of 1000 sectors under the head come at the first attempt.
    fn brought(disk: &mut crate::SimDisk, now: Nanos) -> (usize, Nanos) {
        let first = disk.drive().medium.sectors_of(1)[0].start;
        let (replies, now) = read_on(disk, first, 8, 250, now);
        (good(&replies), now)
    }

    #[test]
    fn work_makes_it_worse_and_rest_makes_it_better() {
        let mut disk = disk(&[FADING], 2);
        let (fresh, mut now) = brought(&mut disk, Nanos::ZERO);
        assert!((225..=245).contains(&fresh), "{fresh} of 250 at the start");
        let mut tired = fresh;
        while tired > 100 {
            (tired, now) = brought(&mut disk, now);
            assert!(now < Nanos::from_secs(3600), "it does not fade");
        }
        let failing = disk.drive().conditions.heads[1];
        now += Nanos::from_secs(20 * 60 + 1);
        disk.serve(&Command { at: 0, count: 8 }, now);
        let rested = disk.drive().conditions.heads[1];
        assert!((rested / failing - 0.3).abs() < 0.001 || failing == 1.0, "{failing} became {rested}");
        assert!(brought(&mut disk, now).0 > tired);
    }

    #[test]
    fn work_of_the_other_heads_does_not_tire_it() {
        let mut disk = disk(&[FADING], 2);
        let other = disk.drive().medium.sectors_of(2)[0].start;
        let (_, now) = read_on(&mut disk, other, 8, 200, Nanos::ZERO);
        disk.serve(&Command { at: 0, count: 8 }, now);
        assert_eq!(disk.drive().conditions.heads[1], 0.05);
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert!(refusal("kind = \"fading-head\"\nhead = 4").contains("heads 0 to 3"));
        let never = "kind = \"fading-head\"\nhead = 0\nfades-in = \"0 s\"";
        assert!(refusal(never).contains("fades-in and recovers-to are above 0"));
    }
}
