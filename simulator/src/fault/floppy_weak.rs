//! Sectors of a floppy disk that answer now and then, or never; and a head that gets dirty on them.
//!
//! Owns where they lie, what another way to their cylinder gains, and the dirt. Must not know drives.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Before, Fault, Opening};
use crate::disk::{Command, Drive, Served};
use crate::law::{FailureTime, Health, Law};
use crate::media::MediaModel;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// Weak and bad sectors.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct FloppyWeak {
    /// Sectors that answer now and then.
    pub weak: u32,
    /// Sectors that never answer.
    pub bad: u32,
    /// Share of them in the first tenth of the disk, which is used most.
    pub early: f64,
    /// Chance of a weak sector at each turn: from and to.
    pub chance: [f64; 2],
    /// What the chances gain when the heads come from the far side of the cylinder.
    pub gain_far_side: f64,
    /// What they gain when the heads come from cylinder 0, as after a calibration.
    pub gain_calibrated: f64,
    /// Whether the disk sheds its coat: each try at damage makes the track worse and the head dirty.
    pub sheds: bool,
}

impl Default for FloppyWeak {
    fn default() -> FloppyWeak {
        FloppyWeak {
            weak: 0,
            bad: 0,
            early: 0.3,
            chance: [0.02, 0.5],
            gain_far_side: 0.08,
            gain_calibrated: 0.05,
            sheds: false,
        }
    }
}

impl NamedFault for FloppyWeak {
    const KIND: &'static str = "floppy-weak";
}

impl FaultSpec for FloppyWeak {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        if medium.floppy().is_none() {
            return Err(
                "floppy-weak is a fault of floppy disks: the disk must have medium = \"floppy\"".into()
            );
        }
        let sectors = medium.shape().sectors;
        if u64::from(self.weak) + u64::from(self.bad) > sectors / 20 {
            let most = sectors / 20;
            return Err(format!(
                "{} weak and {} bad sectors; at most {most} of {sectors}",
                self.weak, self.bad
            ));
        }
        let [from, to] = self.chance;
        if !(from > 0.0 && from <= to && to <= 1.0) {
            return Err(format!("chance [{from}, {to}] is not two rising probabilities, as in [0.02, 0.5]"));
        }
        let is_share = |x: f64| (0.0..=1.0).contains(&x);
        if !(is_share(self.early) && is_share(self.gain_far_side) && is_share(self.gain_calibrated)) {
            return Err("early, gain-far-side and gain-calibrated are numbers from 0 to 1".into());
        }
        let turns = vec![0.0; medium.shape().cylinders as usize];
        Ok(Box::new(Weak { spec: self.clone(), cylinder: 0, gain: 0.0, tried: Nanos::ZERO, turns }))
    }

    fn scaled(&self, _: f64) -> Box<dyn FaultSpec> {
        Box::new(self.clone())
    }
}

struct Weak {
    spec: FloppyWeak,
    /// Cylinder under the heads.
    cylinder: u32,
    /// What the way to it gained.
    gain: f64,
    /// Time of all tries at damage.
    tried: Nanos,
    /// Turns of tries at damage, by cylinder.
    turns: Vec<f64>,
}

impl Weak {
    /// The heads go to one cylinder, and on to another one inwards.
    fn travel(&mut self, first: u32, last: u32) {
        if first != self.cylinder {
            self.gain = if self.cylinder > first {
                self.spec.gain_far_side
            } else if self.cylinder == 0 && first > 1 {
                self.spec.gain_calibrated
            } else {
                0.0
            };
        }
        if last != first {
            self.gain = 0.0;
        }
        self.cylinder = last;
    }
}

fn cylinders(command: &Command, drive: &Drive) -> [u32; 2] {
    [command.at, command.end() - 1].map(|at| drive.medium.place(at).cylinder)
}

impl Fault for Weak {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let spec = self.spec.clone();
        let Some(floppy) = opening.medium.floppy() else { return };
        let (time, tries) = (floppy.failure().nanoseconds(), floppy.format().failure_turns as u32);
        // Always the same, within a half of a hundredth.
        let failure = FailureTime::Between(Nanos::new(time - time / 200), Nanos::new(time + time / 200));
        let [from, to] = spec.chance;
        let law = |health| Law { failure: failure.clone(), ..Law::new(health, "floppy-weak") };
        let weak = opening.law(law(Health::Turns { from, to, tries }));
        let bad = opening.law(law(Health::Bad));
        let sectors = opening.shape().sectors;
        let mut dice = opening.dice("floppy");
        let mut taken = Vec::new();
        while taken.len() < (spec.weak + spec.bad) as usize {
            let part = if dice.chance(spec.early) { sectors / 10 } else { sectors };
            let sector = dice.below(part);
            // One that is taken makes place for the next free one.
            let free = (0..sectors).map(|step| (sector + step) % sectors).find(|at| !taken.contains(at));
            let Some(sector) = free else { break };
            let law = if taken.len() < spec.weak as usize { weak } else { bad };
            taken.push(sector);
            opening.lay(law, sector..sector + 1);
        }
    }

    fn before(&mut self, command: &Command, _: Nanos, drive: &mut Drive) -> Before {
        let [first, last] = cylinders(command, drive);
        self.travel(first, first);
        // Only damage asks for it; a row of healthy reads must leave the drive as its reads do.
        if drive.surface.next_damage(command.at) < command.end() {
            drive.conditions.gain = self.gain;
            if self.spec.sheds {
                let turns = self.turns.get(first as usize).copied().unwrap_or(0.0);
                // A hundredth in 100 s for the dirty head, a thousandth each turn for the track.
                let seconds = self.tried.nanoseconds() as f64 / 1e9;
                drive.conditions.ease = libm::pow(0.99, seconds / 100.0) * libm::pow(0.999, turns);
            }
        }
        self.travel(first, last);
        Before::Go
    }

    fn after(&mut self, command: &Command, served: &mut Served, drive: &mut Drive) {
        if served.law.is_none() {
            return;
        }
        self.tried += served.contact;
        let [first, _] = cylinders(command, drive);
        let turn = drive.medium.turn().nanoseconds().max(1) as f64;
        if let Some(turns) = self.turns.get_mut(first as usize) {
            *turns += served.contact.nanoseconds() as f64 / turn;
        }
    }

    fn streamed(&mut self, command: &Command, _: Nanos, _: Nanos, drive: &mut Drive) {
        let [first, last] = cylinders(command, drive);
        self.travel(first, last);
    }

    fn is_hazard(&self) -> bool {
        // The n-th answer depends on the way to the cylinder, and on the dirt.
        true
    }
}
