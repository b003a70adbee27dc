//! How long the arm takes.
//!
//! Owns the seek curve and its fit to a data sheet. Must not know sectors.

use block::Nanos;

use super::Profile;

/// Time over distance: `a + b * sqrt(d)` up to `near` cylinders, `c + e * d` beyond, as measured curves look
/// (DiskSim's validated disks).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeekCurve {
    a: f64,
    b: f64,
    c: f64,
    e: f64,
    near: f64,
}

impl SeekCurve {
    /// Fits the curve to a data sheet's times for one track, the average and the full stroke. The parts meet with the
    /// same slope at a quarter of the stroke; all but the time for one track is then scaled so that the mean over
    /// random pairs of cylinders is the average.
    pub fn fit(profile: &Profile) -> SeekCurve {
        let stroke = f64::from(profile.cylinders().max(4));
        let near = 0.25 * stroke;
        let ms = |time: Nanos| time.nanoseconds() as f64;
        let (one, full) = (ms(profile.seek_track), ms(profile.seek_full));
        let e = (full - one) / (0.75 + 2.0 * 0.25) / stroke;
        let curve = SeekCurve { a: one, b: 2.0 * e * libm::sqrt(near), c: one + e * near, e, near };
        // The distance of two random cylinders has density 2 (1 - d).
        let steps = 1000;
        let mean = (0..steps)
            .map(|step| (f64::from(step) + 0.5) / f64::from(steps))
            .map(|share| 2.0 * (1.0 - share) * curve.nanoseconds(share * stroke))
            .sum::<f64>()
            / f64::from(steps);
        let scale = ((ms(profile.seek_average) - one) / (mean - one)).max(0.0);
        SeekCurve { b: curve.b * scale, c: one + (curve.c - one) * scale, e: curve.e * scale, ..curve }
    }

    /// Time to travel over so many cylinders.
    pub fn time(&self, distance: u32) -> Nanos {
        if distance == 0 { Nanos::ZERO } else { Nanos::new(self.nanoseconds(f64::from(distance)) as u64) }
    }

    fn nanoseconds(&self, distance: f64) -> f64 {
        if distance <= self.near {
            self.a + self.b * libm::sqrt(distance)
        } else {
            self.c + self.e * distance
        }
    }
}
