//! Errors that the drive knows of before it tries.
//!
//! Owns which sectors it has in its list. Must not know why they fail.

use std::collections::BTreeSet;

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Opening, checks};
use crate::dice::{self, Chance, Dice};
use crate::disk::{Command, Drive, Served};
use crate::media::MediaModel;
use crate::scenario::Time;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// Fast failures: a sector in the drive's list of pending ones fails at once, as about a tenth of all drives do it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FastFail {
    /// Which share of the sectors that fail are in the list from the start.
    #[serde(default)]
    pub known: f64,
    /// Whether a sector comes into the list when it fails, and fails fast from then on.
    #[serde(default = "yes")]
    pub remembers: bool,
    /// Time of a fast failure, from and to.
    #[serde(default = "fast")]
    pub time: [Time; 2],
}

fn yes() -> bool {
    true
}

fn fast() -> [Time; 2] {
    [Time(Nanos::from_millis(20)), Time(Nanos::from_millis(60))]
}

impl NamedFault for FastFail {
    const KIND: &'static str = "fast-fail";
}

impl FaultSpec for FastFail {
    fn build(&self, _: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        checks::share("known", self.known)?;
        checks::times("time", self.time)?;
        Ok(Box::new(Listing { spec: self.clone(), dice: Dice::new(0, "unlaid"), listed: BTreeSet::new() }))
    }

    fn scaled(&self, _: f64) -> Box<dyn FaultSpec> {
        Box::new(self.clone())
    }
}

struct Listing {
    spec: FastFail,
    dice: Dice,
    /// Physical sectors that have failed.
    listed: BTreeSet<u64>,
}

impl Fault for Listing {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        self.dice = Dice::new(opening.seed, &format!("fast fail {}", opening.number));
    }

    fn after(&mut self, _: &Command, served: &mut Served, drive: &mut Drive) {
        let Some(failure) = &mut served.failure else { return };
        let was_listed = !self.listed.insert(failure.sector) && self.spec.remembers;
        if !was_listed && !Chance::of(self.spec.known).hits(self.dice.roll(0, failure.sector)) {
            return;
        }
        let [from, to] = self.spec.time.map(|time| time.0.nanoseconds());
        let roll = self.dice.roll(drive.attempts.of(failure.sector).max(1), failure.sector);
        let time = Nanos::new(from + ((to - from) as f64 * dice::unit(roll)) as u64);
        if time < failure.time {
            let saved = failure.time.since(time);
            failure.time = time;
            served.reply.done = Nanos::new(served.reply.done.nanoseconds() - saved.nanoseconds());
            served.contact = served.contact.since(saved);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{disk, refusal};
    use super::*;

    const BAD: &str = "kind = \"region\"\nhealth = \"bad\"\nshares = [[0.5, 1.0]]";

    /// Times of two attempts at each of 200 sectors, in milliseconds.
    fn times(fault: &str) -> Vec<[u64; 2]> {
        let mut disk = disk(&[BAD, fault], 1);
        let mut now = Nanos::ZERO;
        let mut time = |sector: u64| {
            let done = disk.serve(&Command { at: 65536 + sector * 8, count: 8 }, now).done;
            let time = done.since(now).nanoseconds() / 1_000_000;
            now = done;
            time
        };
        (0..200).map(|sector| [time(sector), time(sector)]).collect()
    }

    #[test]
    fn what_is_in_the_list_fails_at_once() {
        let remembered = times("kind = \"fast-fail\"");
        // A seek and some turns come on top.
        assert!(remembered.iter().all(|[first, second]| *first > 2500 && (20..100).contains(second)));
        let known = times("kind = \"fast-fail\"\nknown = 0.3\nremembers = false");
        let fast = known.iter().filter(|[first, second]| *first < 100 && *second < 100).count();
        let slow = known.iter().filter(|[first, second]| *first > 2500 && *second > 2500).count();
        assert_eq!(fast + slow, 200, "a sector is in the list or not");
        assert!((40..80).contains(&fast), "{fast} of 200");
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert!(refusal("kind = \"fast-fail\"\nknown = 7.0").contains("known 7 is not a number from 0 to 1"));
    }
}
