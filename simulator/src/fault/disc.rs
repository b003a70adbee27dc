//! What marks on a disc do to the drive that reads it: shared by the kinds of faults of discs.
//!
//! Owns how long a mark must be to cost sectors, what is lost behind it, and how long failures take. Must not know how
//! marks came there.

use block::Nanos;

use super::Opening;
use crate::dice::Sequence;
use crate::law::{FailureTime, Health, Law};
use crate::media::MediaModel;
use crate::media::optical::{Drive, FailureSteps, Optical, Spiral};

/// Steps in which chances fall from the margin to the rim.
const RIM_STEPS: usize = 8;
/// Octaves of time over which slow sectors spread evenly: 4 to 1024 times the time of a sector.
const OCTAVES: u64 = 8;

/// The disc in its drive; refuses other media.
pub(super) fn optical<'m>(kind: &str, medium: &'m dyn MediaModel) -> Result<&'m Optical, String> {
    let wrong = || format!("{kind} is a fault of discs: the disk must have medium = \"optical\"");
    medium.optical().ok_or_else(wrong)
}

/// A fault that lays marks.
pub(super) struct Marks {
    spiral: Spiral,
    drive: Drive,
    /// Length along the track that is bridged.
    margin: f64,
    tail: [u32; 4],
    /// Laws of the first sector of a run and of the others.
    bad: [usize; 2],
    /// Laws from the margin to the rim.
    rim: [usize; RIM_STEPS],
    /// Laws of slow sectors, by octave.
    slow: Vec<usize>,
}

impl Marks {
    /// Prepares the laws. `is_hole`: the pickup has nothing to follow. `retry`: density of the chance that an attempt
    /// succeeds where the code cannot bridge the mark; none if not given.
    pub(super) fn new(
        opening: &mut Opening<'_>,
        origin: &'static str,
        is_hole: bool,
        retry: Option<[f64; 2]>,
    ) -> Option<Marks> {
        let disc = opening.medium.optical()?;
        let (spiral, drive, margin, base) =
            (*disc.spiral(), *disc.drive(), disc.format().margin, disc.base());
        let steps = if is_hole { drive.failure_hole } else { drive.failure_scratch };
        let failing = |health, steps: FailureSteps| Law {
            failure: FailureTime::Steps(steps),
            ..Law::new(health, origin)
        };
        let last_octave = Nanos::new(base.nanoseconds() << (OCTAVES + 2));
        let slow = (0..OCTAVES).map(|octave| {
            let from = Nanos::new(base.nanoseconds() << (octave + 2));
            Law::new(Health::Slow { from, to: from + from }, origin)
        });
        let slow: Vec<usize> = slow.collect::<Vec<Law>>().into_iter().map(|law| opening.law(law)).collect();
        let rim = std::array::from_fn(|step| {
            // From 0.9 down to 0.05.
            let succeeds = 0.9 - 0.85 * (step as f64 + 0.5) / RIM_STEPS as f64;
            let from = Nanos::new(last_octave.nanoseconds() / 16);
            let health = Health::Unsteady { failing: 1.0 - succeeds, slow: 1.0, from, to: last_octave };
            opening.law(failing(health, steps[0]))
        });
        let bad = steps.map(|steps| {
            let health = retry.map_or(Health::Bad, |[a, b]| Health::Weak { a, b });
            opening.law(failing(health, steps))
        });
        // Over a hole there is nothing to focus on: a quarter of what the code alone would bridge is too much.
        let margin = if is_hole { margin / 4.0 } else { margin };
        let tail = if is_hole { drive.tail_hole } else { drive.tail_scratch };
        Some(Marks { spiral, drive, margin, tail, bad, rim, slow })
    }

    /// Where sectors lie.
    pub(super) fn spiral(&self) -> Spiral {
        self.spiral
    }

    /// Marks so many millimetres of track, its middle at so many turns, on every layer.
    pub(super) fn mark(&self, opening: &mut Opening<'_>, turns: f64, length: f64, dice: &mut Sequence) {
        let tail = self.tail[dice.below(4) as usize];
        if length <= self.margin || turns < 0.0 {
            return;
        }
        let middle = self.spiral.along(turns);
        let half = length / 2.0 / self.spiral.sector;
        let first = libm::floor((middle - half).max(0.0)) as u64;
        let last = libm::floor((middle + half).max(0.0)) as u64;
        let beyond = (length / self.margin - 1.0) / self.drive.rim.max(1e-9);
        for layer in 0..self.spiral.layers {
            if beyond < 1.0 {
                let law = self.rim[((beyond * RIM_STEPS as f64) as usize).min(RIM_STEPS - 1)];
                opening.lay(law, self.spiral.fold(layer, first..last + 1));
                continue;
            }
            // So long as so many sectors of a CD.
            let lost = (f64::from(tail) * 16.7 / self.spiral.sector) as u64;
            opening.lay(self.bad[1], self.spiral.fold(layer, first + 1..last + 1 + lost));
            opening.lay(self.bad[0], self.spiral.fold(layer, first..first + 1));
        }
    }

    /// Makes good sectors slow between two numbers of turns, as many as the drive does around damage.
    pub(super) fn slow_down(&self, opening: &mut Opening<'_>, turns: [f64; 2], dice: &mut Sequence) {
        if self.drive.slow <= 0.0 {
            return;
        }
        let [from, end] = turns.map(|turns| self.spiral.along(turns.max(0.0)).max(0.0) as u64);
        let mut at = from;
        loop {
            at += dice.exponential(1.0 / self.drive.slow) as u64;
            if at >= end {
                return;
            }
            let law = self.slow[dice.below(OCTAVES) as usize];
            for layer in 0..self.spiral.layers {
                opening.lay(law, self.spiral.fold(layer, at..at + 1));
            }
            at += 1;
        }
    }
}

/// Refuses a place that is not on the disc.
pub(super) fn check_radius(disc: &Optical, radius: f64) -> Result<(), String> {
    let (inner, outer) = (disc.spiral().inner, disc.spiral().outer());
    match (inner - 5.0..=outer + 5.0).contains(&radius) {
        true => Ok(()),
        false => Err(format!(
            "nothing lies at a radius of {radius} mm: the data are from {inner} to {outer:.1} mm"
        )),
    }
}
