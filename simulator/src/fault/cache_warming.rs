//! A drive that has decoded a block just after it reported a failure: the next read of it comes from the cache.
//!
//! Owns what the cache holds. Must not know damage.
//!
//! Two rescue maps of a scratched DVD show it: tens of thousands of single bad sectors strictly alternate with good
//! ones, although sixteen sectors are corrected together; 92 % of the errors are one sector long.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Before, Fault, Opening};
use crate::dice::{Chance, Dice};
use crate::disk::{Answer, Command, Drive, Reply, Served};
use crate::law::Health;
use crate::media::MediaModel;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// Failed reads leave their block in the cache.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct CacheWarming {
    /// Probability that a failed read leaves its block in the cache, for one read.
    pub chance: f64,
}

impl Default for CacheWarming {
    fn default() -> CacheWarming {
        CacheWarming { chance: 0.92 }
    }
}

impl NamedFault for CacheWarming {
    const KIND: &'static str = "cache-warming";
}

impl FaultSpec for CacheWarming {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        let shape = medium.shape();
        if shape.lbas_per_sector() < 2 {
            return Err(
                "cache-warming needs a medium that corrects several sectors together, as a dvd".into()
            );
        }
        if !(0.0..=1.0).contains(&self.chance) {
            return Err(format!("chance {} is not a probability from 0 to 1", self.chance));
        }
        Ok(Box::new(Warming { chance: Chance::of(self.chance), dice: None, warm: None }))
    }

    fn scaled(&self, _: f64) -> Box<dyn FaultSpec> {
        Box::new(self.clone())
    }
}

struct Warming {
    chance: Chance,
    dice: Option<Dice>,
    /// The block in the cache.
    warm: Option<u64>,
}

/// Time of an answer from the cache.
const CACHED: Nanos = Nanos::from_millis(1);

impl Fault for Warming {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        self.dice = Some(Dice::new(opening.seed, &format!("cache warming {}", opening.number)));
    }

    fn before(&mut self, command: &Command, now: Nanos, drive: &mut Drive) -> Before {
        let group = drive.medium.shape().lbas_per_sector();
        let is_warm = self.warm == Some(command.at / group) && self.warm == Some((command.end() - 1) / group);
        // It is good for one read, and any other command takes its place.
        self.warm = None;
        match is_warm {
            true => Before::Answer(Reply::new(Answer::Done, now + CACHED)),
            false => Before::Go,
        }
    }

    fn after(&mut self, _: &Command, served: &mut Served, drive: &mut Drive) {
        let Answer::Error { bad, .. } = served.reply.answer else { return };
        let block = bad / drive.medium.shape().lbas_per_sector();
        // What never decodes is never in the cache.
        let laws = drive.surface.overlapping(bad..bad + 1);
        let is_hopeless = laws.iter().any(|stretch| drive.surface.law(stretch.law).health == Health::Bad);
        let attempt = drive.attempts.of(block);
        if let Some(dice) = self.dice.as_mut().filter(|_| !is_hopeless)
            && self.chance.hits(dice.roll(attempt, block))
        {
            self.warm = Some(block);
        }
    }

    fn streamed(&mut self, _: &Command, _: Nanos, _: Nanos, _: &mut Drive) {
        self.warm = None;
    }

    fn is_hazard(&self) -> bool {
        true
    }
}
