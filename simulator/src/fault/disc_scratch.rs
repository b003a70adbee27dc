//! A scratch on a disc: across the tracks or along them.
//!
//! Owns its course and width. Must not know what it does to a drive.

use schemars::JsonSchema;
use serde::Deserialize;

use super::disc::{Marks, check_radius, optical};
use super::{Fault, Opening, checks};
use crate::media::MediaModel;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// A scratch: a line from one radius to another.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DiscScratch {
    /// Where it begins and ends, in millimetres from the middle.
    pub radius: [f64; 2],
    /// Where it begins, in turns from 0 to 1; drawn if not given.
    pub angle: Option<f64>,
    /// Turns that it goes around on each millimetre outwards; 0 is straight across the tracks.
    #[serde(default)]
    pub slope: f64,
    /// Its width along the track where it is widest, in millimetres.
    pub width: f64,
    /// Share of a turn that it takes along the track, for scratches around the middle.
    #[serde(default)]
    pub arc: f64,
    /// Deviation of the logarithm of the width from turn to turn.
    #[serde(default = "width_sigma")]
    pub width_sigma: f64,
    /// Whether it is narrower towards its ends.
    #[serde(default = "yes")]
    pub tapers: bool,
    /// Probability that it touches a turn.
    #[serde(default = "one")]
    pub hit: f64,
    /// Density of the chance that an attempt succeeds where it is too wide: two parameters. None if not given.
    pub retry: Option<[f64; 2]>,
}

fn width_sigma() -> f64 {
    0.15
}

fn yes() -> bool {
    true
}

fn one() -> f64 {
    1.0
}

impl NamedFault for DiscScratch {
    const KIND: &'static str = "disc-scratch";
}

impl FaultSpec for DiscScratch {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        let disc = optical("disc-scratch", medium)?;
        let [from, to] = self.radius;
        if from >= to {
            return Err(format!("radius runs from {from} to {to} mm; it must rise"));
        }
        check_radius(disc, from)?;
        check_radius(disc, to)?;
        if !(self.width > 0.0 && self.width < 400.0 && (0.0..=2.0).contains(&self.width_sigma)) {
            return Err("width is above 0 and below 400 mm, width-sigma from 0 to 2".into());
        }
        if !(0.0..=1.0).contains(&self.arc) || !(0.0..=1.0).contains(&self.hit) {
            return Err("arc and hit are shares from 0 to 1".into());
        }
        if !(-1000.0..=1000.0).contains(&self.slope) || self.angle.is_some_and(|a| !(0.0..=1.0).contains(&a))
        {
            return Err("slope is at most 1000 turns on a millimetre, angle in turns from 0 to 1".into());
        }
        self.retry.map_or(Ok(()), |retry| checks::odds("retry", retry))?;
        Ok(Box::new(Scratch { spec: self.clone() }))
    }

    fn scaled(&self, _: f64) -> Box<dyn FaultSpec> {
        // The small disc has the same radii, with fewer turns.
        Box::new(self.clone())
    }
}

struct Scratch {
    spec: DiscScratch,
}

impl Fault for Scratch {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let spec = &self.spec;
        let mut dice = opening.dice("disc scratch");
        let Some(marks) = Marks::new(opening, "disc-scratch", false, spec.retry) else { return };
        let spiral = marks.spiral();
        let [from, to] = spec.radius.map(|radius| spiral.turns_at_radius(radius).max(0.0));
        marks.slow_down(opening, [from, to], &mut dice);
        let angle = spec.angle.unwrap_or_else(|| dice.unit());
        let (first, last) = (libm::floor(from) as u64, libm::ceil(to) as u64);
        for turn in first..last.min(u64::from(spiral.turns_in_all())) {
            // One draw each, whatever is made of it, so that drives with other margins meet the same scratch.
            let (is_hit, width) = (dice.chance(spec.hit), dice.log_normal(1.0, spec.width_sigma));
            let share = ((turn as f64 + 0.5 - from) / (to - from)).clamp(0.0, 1.0);
            let taper = if spec.tapers { 4.0 * share * (1.0 - share) } else { 1.0 };
            let radius = spiral.inner + turn as f64 * spiral.pitch;
            let around = spec.arc * 2.0 * std::f64::consts::PI * radius;
            let turned = angle + spec.slope * (radius - spec.radius[0]);
            let at = turn as f64 + (turned - libm::floor(turned));
            // Draws what follows it in any case, too.
            let length = if is_hit { (spec.width * width).max(around) * taper } else { 0.0 };
            marks.mark(opening, at, length, &mut dice);
        }
    }
}
