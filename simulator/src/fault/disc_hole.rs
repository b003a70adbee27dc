//! A spot where the reflecting layer of a disc is missing.
//!
//! Owns its shape. Must not know what it does to a drive.

use schemars::JsonSchema;
use serde::Deserialize;

use super::disc::{Marks, check_radius, optical};
use super::{Fault, Opening, checks};
use crate::media::MediaModel;
use crate::scenario::kind::{FaultSpec, NamedFault};

/// A hole in the reflecting layer: the pickup loses the track, and sectors behind the hole go with it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DiscHole {
    /// Where its middle is, in millimetres from that of the disc.
    pub radius: f64,
    /// Where it is, in turns from 0 to 1; drawn if not given.
    pub angle: Option<f64>,
    /// Its size along the track, in millimetres.
    pub length: f64,
    /// Its size across the tracks, in millimetres; as along if not given.
    pub depth: Option<f64>,
    /// Density of the chance that an attempt succeeds: two parameters. None if not given.
    pub retry: Option<[f64; 2]>,
}

impl NamedFault for DiscHole {
    const KIND: &'static str = "disc-hole";
}

impl FaultSpec for DiscHole {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        check_radius(optical("disc-hole", medium)?, self.radius)?;
        let is_size = |size: f64| size > 0.0 && size < 60.0;
        if !is_size(self.length) || !is_size(self.depth.unwrap_or(self.length)) {
            return Err("length and depth are above 0 and below 60 mm".into());
        }
        if self.angle.is_some_and(|angle| !(0.0..=1.0).contains(&angle)) {
            return Err("angle is in turns from 0 to 1".into());
        }
        self.retry.map_or(Ok(()), |retry| checks::odds("retry", retry))?;
        Ok(Box::new(Hole { spec: self.clone() }))
    }

    fn scaled(&self, _: f64) -> Box<dyn FaultSpec> {
        Box::new(self.clone())
    }
}

struct Hole {
    spec: DiscHole,
}

impl Fault for Hole {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let spec = &self.spec;
        let mut dice = opening.dice("disc hole");
        let Some(marks) = Marks::new(opening, "disc-hole", true, spec.retry) else { return };
        let spiral = marks.spiral();
        let angle = spec.angle.unwrap_or_else(|| dice.unit());
        let half = spec.depth.unwrap_or(spec.length) / 2.0;
        let [from, to] = [spec.radius - half, spec.radius + half].map(|r| spiral.turns_at_radius(r).max(0.0));
        marks.slow_down(opening, [from, to], &mut dice);
        let last = (libm::ceil(to) as u64).min(u64::from(spiral.turns_in_all()));
        for turn in libm::floor(from) as u64..last {
            let radius = spiral.inner + (turn as f64 + angle) * spiral.pitch;
            let off = (radius - spec.radius) / half;
            let chord = spec.length * libm::sqrt((1.0 - off * off).max(0.0));
            marks.mark(opening, turn as f64 + angle, chord, &mut dice);
        }
    }
}
