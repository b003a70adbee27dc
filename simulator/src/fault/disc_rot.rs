//! Rot of a disc: the reflecting layer corrodes from the edge inwards.
//!
//! Owns how spots thicken towards the edge. Must not know what they do to a drive.

use schemars::JsonSchema;
use serde::Deserialize;

use super::disc::{Marks, optical};
use super::{Fault, Opening, checks};
use crate::media::MediaModel;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// Rot: spots, the more and the longer the nearer to the edge.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DiscRot {
    /// How far it has come from the end of the data inwards, in millimetres.
    pub depth: f64,
    /// Spots on a turn at the edge, on the average.
    #[serde(default = "spots")]
    pub spots: f64,
    /// Median length of a spot along the track at the edge, in millimetres.
    #[serde(default = "length")]
    pub length: f64,
    /// Density of the chance that an attempt succeeds: two parameters. None if not given.
    pub retry: Option<[f64; 2]>,
}

fn spots() -> f64 {
    4.0
}

fn length() -> f64 {
    6.0
}

impl NamedFault for DiscRot {
    const KIND: &'static str = "disc-rot";
}

impl FaultSpec for DiscRot {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        let spiral = *optical("disc-rot", medium)?.spiral();
        let width = spiral.outer() - spiral.inner;
        if !(self.depth > 0.0 && self.depth <= width) {
            return Err(format!("depth {}; the data are {width:.1} mm wide", self.depth));
        }
        if !((0.0..=100.0).contains(&self.spots) && self.length > 0.0 && self.length < 400.0) {
            return Err("spots is a number from 0 to 100, length above 0 and below 400 mm".into());
        }
        self.retry.map_or(Ok(()), |retry| checks::odds("retry", retry))?;
        Ok(Box::new(Rot { spec: self.clone() }))
    }

    fn scaled(&self, _: f64) -> Box<dyn FaultSpec> {
        Box::new(self.clone())
    }
}

struct Rot {
    spec: DiscRot,
}

impl Fault for Rot {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let spec = &self.spec;
        let mut dice = opening.dice("disc rot");
        let Some(marks) = Marks::new(opening, "disc-rot", false, spec.retry) else { return };
        let spiral = marks.spiral();
        let from = spiral.turns_at_radius(spiral.outer() - spec.depth);
        let turns = f64::from(spiral.turns_in_all());
        marks.slow_down(opening, [from, turns], &mut dice);
        for turn in libm::floor(from) as u64..u64::from(spiral.turns_in_all()) {
            let share = ((turn as f64 - from) / (turns - from)).clamp(0.0, 1.0);
            for _ in 0..dice.poisson(spec.spots * share * share) {
                let length = dice.log_normal(spec.length * share, 0.7);
                let angle = dice.unit();
                marks.mark(opening, turn as f64 + angle, length, &mut dice);
            }
        }
    }
}
