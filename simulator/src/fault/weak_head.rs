//! A head that reads badly.
//!
//! Owns how often it fails and how long it takes. Must not know layouts.
//!
//! Values: on a real drive with a weak head half of the single sectors failed at random; slow but successful reads
//! took 0.2 to 1.4 s.

use std::ops::Range;
use std::path::Path;

use ::map::Status;
use block::{ByteRange, Nanos, Offset, RangeSet};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Opening, checks, map};
use crate::law::{Health, Law};
use crate::media::{Lba, MediaModel};
use crate::scenario::Time;
use crate::scenario::kind::{FaultSpec, NamedFault, ReadFile};

/// A weak head: every attempt at every sector under it may fail, and the next one succeed.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WeakHead {
    /// Which, from 0.
    pub head: u16,
    /// Probability that an attempt at a sector fails: 0.02 is a head past its best, 0.5 one at its end.
    #[serde(default = "tenth")]
    pub failing: f64,
    /// Probability that an attempt that succeeds is slow.
    #[serde(default = "twentieth")]
    pub slow: f64,
    /// How much longer a slow one takes, from and to.
    #[serde(default = "slow_time")]
    pub slow_time: [Time; 2],
    /// How long a failing attempt takes, from and to; the drive's own time if not given.
    pub failure_time: Option<[Time; 2]>,
    /// A mapfile: only where it says that nobody has tried, and behind its end. What was tried there is told otherwise.
    pub untried_in: Option<String>,
    /// Bytes of the map that were tried.
    #[serde(skip)]
    tried: RangeSet,
    /// How much shorter this disk is than the map's.
    #[serde(skip, default = "one")]
    ratio: f64,
}

fn one() -> f64 {
    1.0
}

fn tenth() -> f64 {
    0.1
}

fn twentieth() -> f64 {
    0.05
}

fn slow_time() -> [Time; 2] {
    [Time(Nanos::from_millis(200)), Time(Nanos::from_millis(1400))]
}

impl NamedFault for WeakHead {
    const KIND: &'static str = "weak-head";
}

impl FaultSpec for WeakHead {
    fn load(&mut self, folder: &Path, read: ReadFile<'_>) -> Result<Vec<u8>, String> {
        let Some(file) = &self.untried_in else { return Ok(Vec::new()) };
        let (map, text) = map::loaded(&folder.join(file), read)?;
        let tried = map.blocks().filter(|block| block.status != Status::NonTried);
        self.tried = tried.map(|block| block.range).collect();
        Ok(text)
    }

    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        checks::head(self.head, medium)?;
        checks::pieces_of_a_head(medium)?;
        checks::share("failing", self.failing)?;
        checks::share("slow", self.slow)?;
        checks::times("slow-time", self.slow_time)?;
        self.failure_time.map_or(Ok(()), |times| checks::times("failure-time", times))?;
        Ok(Box::new(Weak { spec: self.clone() }))
    }

    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec> {
        Box::new(WeakHead { ratio: self.ratio * ratio, ..self.clone() })
    }
}

struct Weak {
    spec: WeakHead,
}

impl Fault for Weak {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let WeakHead { head, failing, slow, slow_time: [from, to], failure_time, .. } = self.spec;
        let health = Health::Unsteady { failing, slow, from: from.0, to: to.0 };
        let failure = checks::failure(failure_time);
        let law = opening.law(Law { failure, gravity: 0.01, ..Law::new(health, "weak-head") });
        let mut sectors = opening.medium.sectors_of(head);
        if !self.spec.tried.is_empty() {
            sectors = self.untried(sectors, u64::from(opening.shape().logical));
        }
        for sectors in sectors {
            opening.lay(law, sectors);
        }
    }
}

impl Weak {
    /// What of these sectors nobody has tried.
    fn untried(&self, sectors: Vec<Range<Lba>>, logical: u64) -> Vec<Range<Lba>> {
        let moved =
            |at: Offset| Offset::new((at.bytes() as f64 * self.spec.ratio) as u64 / logical * logical);
        let tried: RangeSet = self
            .spec
            .tried
            .ranges()
            .iter()
            .map(|range| ByteRange::between(moved(range.start()), moved(range.end())))
            .collect();
        let bytes = |range: &Range<Lba>| {
            ByteRange::between(Offset::new(range.start * logical), Offset::new(range.end * logical))
        };
        let all: RangeSet = sectors.iter().map(bytes).collect();
        let left = all.minus(&tried);
        left.ranges().iter().map(|r| r.start().bytes() / logical..r.end().bytes() / logical).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{disk, good, read_on, refusal};
    use block::Nanos;

    #[test]
    fn each_attempt_fails_anew_and_some_successes_are_slow() {
        let weak = "kind = \"weak-head\"\nhead = 1\nfailing = 0.3\nslow = 0.2";
        let mut disk = disk(&[weak], 1);
        let first = disk.drive().medium.sectors_of(1)[0].start;
        let mut now = Nanos::ZERO;
        let (mut slow, mut successes, mut never) = (0, 0, 0);
        for sector in 0..200 {
            let mut brought = 0;
            for _ in 0..10 {
                let (replies, done) = read_on(&mut disk, first + sector * 8, 8, 1, now);
                let time = done.since(now);
                if good(&replies) == 1 {
                    brought += 1;
                    slow += u32::from(time >= Nanos::from_millis(200));
                    assert!(time < Nanos::from_millis(1450), "{time:?}");
                }
                now = done;
            }
            successes += brought;
            never += u32::from(brought == 0);
        }
        let share = f64::from(successes) / 2000.0;
        assert!((share - 0.7).abs() < 0.03, "{share} succeeded");
        let share = f64::from(slow) / f64::from(successes);
        assert!((share - 0.2).abs() < 0.03, "{share} were slow");
        // Ten failures in a row happen to one sector in 170000.
        assert_eq!(never, 0);
        let healthy = disk.drive().medium.sectors_of(2)[0].start;
        assert_eq!(good(&read_on(&mut disk, healthy, 8, 100, now).0), 100);
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert!(refusal("kind = \"weak-head\"\nhead = 9").contains("heads 0 to 3"));
        assert!(
            refusal("kind = \"weak-head\"\nhead = 0\nfailing = 1.5")
                .contains("failing 1.5 is not a number from 0 to 1")
        );
        let times = "kind = \"weak-head\"\nhead = 0\nslow-time = [\"2 s\", \"1 s\"]";
        assert!(refusal(times).contains("slow-time runs from 2 s to 1 s"));
    }
}
