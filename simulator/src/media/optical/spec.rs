//! What a scenario may say of an optical disc.
//!
//! Owns the keys of `[disk]` with `medium = "optical"` and what is possible. Must not know how the drive works.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Drive, Format, Optical, Spiral};
use crate::law::Conditions;
use crate::scenario::Bytes;
use crate::scenario::medium::{Healthy, MediumSpec, NamedMedium};
use crate::system::SystemOptions;

/// Radius at which the widest discs end, in millimetres.
const OUTERMOST: f64 = 62.0;

/// A disc: a format, a drive, and what is different on this one.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OpticalDisc {
    /// The kind of disc: cd, dvd or bd.
    pub profile: String,
    /// The drive: usual (if not given), a or b; the last two read the same scratched disc, as measured.
    pub drive: Option<String>,
    /// Bytes in all, those of a full disc if not given.
    pub size: Option<Bytes>,
    /// Layers: 1 or 2; the second one runs back.
    pub layers: Option<u16>,
    /// Distance of neighbouring turns in micrometres; a wider one makes a smaller disc of the same shape.
    pub pitch: Option<f64>,
    /// Length of damage along the track that is bridged, in millimetres.
    pub margin: Option<f64>,
}

impl NamedMedium for OpticalDisc {
    const MEDIUM: &'static str = "optical";
}

impl OpticalDisc {
    fn parts(&self) -> Option<(Format, Drive, Spiral)> {
        let class = Format::named(&self.profile)?;
        let drive = Drive::named(self.drive.as_deref().unwrap_or("usual"), &self.profile)?;
        let layers = self.layers.unwrap_or(1);
        let sectors = self.size.map_or(class.sectors * u64::from(layers), |bytes| bytes.0 / 2048);
        let format = Format {
            pitch: self.pitch.map_or(class.pitch, |micrometres| micrometres / 1000.0),
            margin: self.margin.unwrap_or(class.margin * drive.margin),
            ..class
        };
        let per_layer = sectors / u64::from(layers.max(1));
        let spiral =
            Spiral { inner: format.inner, pitch: format.pitch, sector: format.sector, per_layer, layers };
        Some((format, drive, spiral))
    }
}

impl MediumSpec for OpticalDisc {
    fn check(&self) -> Result<(), String> {
        if Format::named(&self.profile).is_none() {
            let names = Format::NAMES.join(", ");
            return Err(format!("profile {:?} is not known; it is one of {names}", self.profile));
        }
        let Some((format, _, spiral)) = self.parts() else {
            let names = Drive::NAMES.join(", ");
            let drive = self.drive.as_deref().unwrap_or("");
            return Err(format!("drive {drive:?} is not known; it is one of {names}"));
        };
        if !(1..=2).contains(&spiral.layers) {
            return Err(format!("{} layers; a disc has 1 or 2", spiral.layers));
        }
        let block = 2048 * u64::from(format.block) * u64::from(spiral.layers);
        if self.size.is_some_and(|size| size.0 == 0 || !size.0.is_multiple_of(block)) {
            return Err(format!(
                "size is not a whole number of blocks of {block} bytes, which this disc has"
            ));
        }
        if !(format.pitch > 0.000_1 && format.pitch < 1.0) {
            return Err("pitch is a number of micrometres from 0.1 to 1000".into());
        }
        if spiral.outer() > OUTERMOST {
            let outer = spiral.outer();
            return Err(format!("the data would end at {outer:.1} mm; a disc ends at {OUTERMOST} mm"));
        }
        if !(0.0..100.0).contains(&format.margin) {
            return Err("margin is a number of millimetres from 0 to 100".into());
        }
        Ok(())
    }

    fn build(&self, _seed: u64) -> Healthy {
        // Checked before: an unknown class would not have come here.
        let (format, drive, spiral) = self.parts().unwrap_or_else(|| unreachable!());
        let conditions = Conditions {
            recovery: drive.failure_scratch[0][0].1,
            heads: vec![0.0; usize::from(spiral.layers)],
            ..Conditions::default()
        };
        Healthy { medium: Box::new(Optical::new(format, drive, spiral)), conditions }
    }

    fn system(&self) -> SystemOptions {
        // As drivers of such drives do.
        SystemOptions {
            command_max: 128 << 10,
            timeout: Nanos::from_secs(30),
            retries: 3,
            ..SystemOptions::default()
        }
    }

    fn bytes(&self) -> u64 {
        self.parts().map_or(0, |(_, _, spiral)| spiral.sectors() * 2048)
    }

    fn shrunk(&self, bytes: u64) -> Box<dyn MediumSpec> {
        let Some((format, _, spiral)) = self.parts() else { return Box::new(self.clone()) };
        let block = 2048 * u64::from(format.block) * u64::from(spiral.layers);
        let bytes = bytes / block * block;
        // Fewer turns of the same lengths between the same radii.
        let wider = format.pitch * 1000.0 * (spiral.sectors() * 2048) as f64 / bytes as f64;
        Box::new(OpticalDisc { size: Some(Bytes(bytes)), pitch: Some(wider), ..self.clone() })
    }
}
