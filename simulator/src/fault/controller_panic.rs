//! A controller that stops answering after reads of bad pages, until its power is taken.
//!
//! Owns when, and whether it comes back. Must not know what is bad.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, checks};
use crate::dice::{Chance, Dice};
use crate::disk::{Answer, Command, Drive, Power, Reply, Served};
use crate::law::Health;
use crate::media::MediaModel;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// A controller that panics.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ControllerPanic {
    /// Probability at each page that cannot be read.
    pub chance: f64,
    /// After so many since power came on it is certain; 0: never.
    pub after: u32,
    /// Probability that it comes back when power is cycled.
    pub returns: f64,
}

impl Default for ControllerPanic {
    fn default() -> ControllerPanic {
        ControllerPanic { chance: 0.01, after: 0, returns: 1.0 }
    }
}

impl NamedFault for ControllerPanic {
    const KIND: &'static str = "controller-panic";
}

impl FaultSpec for ControllerPanic {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        checks::flash("controller-panic", medium)?;
        if !(0.0..=1.0).contains(&self.chance) || !(0.0..=1.0).contains(&self.returns) {
            return Err("chance and returns are probabilities from 0 to 1".into());
        }
        Ok(Box::new(Panic { spec: self.clone(), dice: None, errors: 0, panics: 0 }))
    }

    fn scaled(&self, _: f64) -> Box<dyn FaultSpec> {
        Box::new(self.clone())
    }
}

struct Panic {
    spec: ControllerPanic,
    dice: Option<Dice>,
    /// Failures since power came on.
    errors: u32,
    panics: u32,
}

impl Fault for Panic {
    fn lay(&mut self, opening: &mut super::Opening<'_>) {
        self.dice = Some(Dice::new(opening.seed, &format!("controller panic {}", opening.number)));
    }

    fn after(&mut self, _: &Command, served: &mut Served, drive: &mut Drive) {
        let Answer::Error { bad, .. } = served.reply.answer else { return };
        let is_medium =
            served.law.is_some_and(|law| !matches!(drive.surface.law(law).health, Health::Zeros { .. }));
        let Some(dice) = self.dice.as_mut().filter(|_| is_medium) else { return };
        self.errors += 1;
        let sector = bad / drive.medium.shape().lbas_per_sector();
        // Each try at a page is a chance of its own.
        let attempt = drive.attempts.of(sector);
        let is_enough = self.spec.after > 0 && self.errors >= self.spec.after;
        if is_enough || Chance::of(self.spec.chance).hits(dice.roll(attempt, sector)) {
            drive.power = Power::Stuck;
            served.reply = Reply::new(Answer::Silent, Nanos::NEVER);
        }
    }

    fn power_cycled(&mut self, _: Nanos, drive: &mut Drive) {
        if self.errors > 0 && drive.power != Power::Dead {
            self.panics += 1;
            if let Some(dice) = &mut self.dice {
                let returns =
                    Chance::of(self.spec.returns).hits(dice.roll(u32::MAX >> 4, u64::from(self.panics)));
                if !returns {
                    drive.power = Power::Dead;
                }
            }
        }
        self.errors = 0;
    }

    fn is_hazard(&self) -> bool {
        true
    }
}
