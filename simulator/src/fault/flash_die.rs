//! A flash die that does not answer: every page on it is lost, or has to be rebuilt.
//!
//! Owns which sectors it takes with it. Must not know layouts.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Opening, checks};
use crate::law::{FailureTime, Health, Law};
use crate::media::MediaModel;
use crate::scenario::Time;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// A dead die.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FlashDie {
    /// Which, from 0.
    pub die: u16,
    /// Whether the drive rebuilds its pages from the parity of the others, each in `rebuild-time`.
    #[serde(default)]
    pub parity: bool,
    /// How long a rebuild takes, from and to.
    #[serde(default = "rebuild")]
    pub rebuild_time: [Time; 2],
    /// How long a failure takes, from and to.
    #[serde(default = "no_answer")]
    pub failure_time: [Time; 2],
}

fn rebuild() -> [Time; 2] {
    [Time(Nanos::from_millis(5)), Time(Nanos::from_millis(50))]
}

fn no_answer() -> [Time; 2] {
    [Time(Nanos::from_millis(20)), Time(Nanos::from_millis(300))]
}

impl NamedFault for FlashDie {
    const KIND: &'static str = "flash-die";
}

impl FaultSpec for FlashDie {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        checks::flash("flash-die", medium)?;
        let dies = medium.shape().heads;
        if self.die >= dies {
            return Err(format!("there is no die {}: this drive has dies 0 to {}", self.die, dies - 1));
        }
        checks::pieces_of_a_head(medium)?;
        checks::times("rebuild-time", self.rebuild_time)?;
        checks::times("failure-time", self.failure_time)?;
        Ok(Box::new(Dead { spec: self.clone(), failure: checks::failure(Some(self.failure_time)) }))
    }

    fn scaled(&self, _: f64) -> Box<dyn FaultSpec> {
        Box::new(self.clone())
    }
}

struct Dead {
    spec: FlashDie,
    failure: FailureTime,
}

impl Fault for Dead {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let [from, to] = self.spec.rebuild_time;
        let health = match self.spec.parity {
            true => Health::Slow { from: from.0, to: to.0 },
            false => Health::Bad,
        };
        let law = opening.law(Law { failure: self.failure.clone(), ..Law::new(health, "flash-die") });
        for sectors in opening.medium.sectors_of(self.spec.die) {
            opening.lay(law, sectors);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Scenario;

    #[test]
    fn a_die_of_more_pages_than_can_be_laid_is_refused() {
        let told = |size: &str, fault: &str| {
            let disk = format!("[disk]\nmedium = \"flash\"\nprofile = \"ssd_128\"\nsize = \"{size}\"\n");
            let text = format!("description = \"t\"\n{disk}[[fault]]\n{fault}\n");
            Scenario::parse("test", "test.toml", &text).err().map(|error| error.to_string())
        };
        for fault in [
            "kind = \"flash-die\"\ndie = 3",
            "kind = \"dead-head\"\nhead = 3",
            "kind = \"weak-head\"\nhead = 3",
            "kind = \"fading-head\"\nhead = 3",
        ] {
            let large = told("16 TB", fault);
            assert!(
                large.as_deref().is_some_and(|told| told.contains("more than 5 million are too many")),
                "{large:?}"
            );
            assert_eq!(told("1 GiB", fault), None, "{fault}");
        }
    }
}
