//! The spiral of a disc.
//!
//! Owns where on the disc a sector lies. Must not know drives, nor damage.
//!
//! The spiral runs outwards at constant linear density; a second layer runs back. Lengths are in millimetres.

use crate::media::Lba;

/// Where sectors lie on a disc.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spiral {
    /// Radius at which the data begin.
    pub inner: f64,
    /// Distance of neighbouring turns.
    pub pitch: f64,
    /// Length of a sector along the track.
    pub sector: f64,
    /// Sectors of a layer.
    pub per_layer: u64,
    /// Layers: 1 or 2.
    pub layers: u16,
}

impl Spiral {
    /// Sectors in all.
    pub fn sectors(&self) -> u64 {
        self.per_layer * u64::from(self.layers)
    }

    /// Layer of a sector, and how many sectors of track lie between it and the middle of the disc.
    pub fn unfold(&self, at: Lba) -> (u16, u64) {
        match at < self.per_layer {
            true => (0, at),
            false => (1, self.sectors().saturating_sub(at + 1)),
        }
    }

    /// Sectors of a layer that lie there, counted from the middle, in rising order.
    pub fn fold(&self, layer: u16, along: std::ops::Range<u64>) -> std::ops::Range<Lba> {
        let (from, end) = (along.start.min(self.per_layer), along.end.min(self.per_layer));
        match layer {
            0 => from..end,
            _ => self.sectors() - end..self.sectors() - from,
        }
    }

    /// Radius at so many sectors of track from the middle.
    pub fn radius(&self, along: f64) -> f64 {
        libm::sqrt(self.inner * self.inner + along * self.sector * self.pitch / std::f64::consts::PI)
    }

    /// Turns from the beginning at so many sectors of track from the middle.
    pub fn turns(&self, along: f64) -> f64 {
        (self.radius(along) - self.inner) / self.pitch
    }

    /// Turns from the beginning at a radius.
    pub fn turns_at_radius(&self, radius: f64) -> f64 {
        (radius - self.inner) / self.pitch
    }

    /// How many sectors of track lie between the middle and so many turns; negative before the beginning.
    pub fn along(&self, turns: f64) -> f64 {
        let radius = self.inner + turns * self.pitch;
        (radius * radius - self.inner * self.inner) * std::f64::consts::PI / (self.sector * self.pitch)
    }

    /// Sectors of a turn at so many sectors of track from the middle.
    pub fn sectors_per_turn(&self, along: f64) -> f64 {
        2.0 * std::f64::consts::PI * self.radius(along) / self.sector
    }

    /// Turns of a layer, the last one begun.
    pub fn turns_in_all(&self) -> u32 {
        self.turns(self.per_layer as f64) as u32 + 1
    }

    /// Radius at which the data end.
    pub fn outer(&self) -> f64 {
        self.radius(self.per_layer as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CD: Spiral = Spiral { inner: 25.0, pitch: 0.0016, sector: 16.7, per_layer: 356_465, layers: 1 };

    #[test]
    fn a_turn_holds_as_many_sectors_as_two_drives_showed() {
        // Periods of the damage of a scratched disc, measured at four places.
        for (at, measured) in [(60_000.0, 12.7), (98_000.0, 14.4), (138_000.0, 16.0), (244_000.0, 19.6)] {
            let found = CD.sectors_per_turn(at);
            assert!((found / measured - 1.0).abs() < 0.03, "{found} at {at}, measured {measured}");
        }
    }

    #[test]
    fn places_and_sectors_are_each_others_inverse() {
        for at in (0..356_465).step_by(1001) {
            let along = CD.along(CD.turns(at as f64));
            assert!((along - at as f64).abs() < 1e-3, "{along} for {at}");
        }
        let dvd = Spiral { per_layer: 1000, layers: 2, ..CD };
        assert_eq!(dvd.unfold(1000), (1, 999));
        assert_eq!(dvd.unfold(1999), (1, 0));
        assert_eq!(dvd.fold(1, 0..2), 1998..2000);
        for at in 0..2000 {
            let (layer, along) = dvd.unfold(at);
            assert_eq!(dvd.fold(layer, along..along + 1), at..at + 1);
        }
    }
}
