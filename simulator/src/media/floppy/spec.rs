//! Classes of floppy disks, and what a scenario may say of one.
//!
//! Owns the keys of `[disk]` with `medium = "floppy"` and the formats' values. Must not know how the drive works.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Floppy;
use crate::law::Conditions;
use crate::media::MediaModel;
use crate::scenario::medium::{Healthy, MediumSpec, NamedMedium};
use crate::system::SystemOptions;

/// The values of a format and its drive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Format {
    /// Cylinders.
    pub cylinders: u32,
    /// Sides.
    pub heads: u16,
    /// Sectors of 512 bytes on a track.
    pub sectors_per_track: u64,
    /// Turns per minute.
    pub rpm: u32,
    /// Step from one cylinder to the next.
    pub step: Nanos,
    /// Time for the heads to settle after steps.
    pub settle: Nanos,
    /// Time for the motor to start.
    pub motor_on: Nanos,
    /// Turns in which the driver reads a cylinder.
    pub cylinder_turns: f64,
    /// Turns after which the driver calls a sector bad.
    pub failure_turns: f64,
}

impl Format {
    /// Names of the formats.
    pub const NAMES: [&'static str; 3] = ["3.5-1440", "5.25-1200", "5.25-360"];

    /// The values of a format. Turns of the 5.25" disk of 1.2 MB as measured: 0.70 s for a cylinder, 1.33 s for a
    /// failure; the others' so that a cylinder takes 0.56 s and a failure 1.1 s.
    pub fn named(name: &str) -> Option<Format> {
        let high = Format {
            cylinders: 80,
            heads: 2,
            sectors_per_track: 18,
            rpm: 300,
            step: Nanos::from_millis(3),
            settle: Nanos::from_millis(15),
            motor_on: Nanos::from_millis(500),
            cylinder_turns: 2.7,
            failure_turns: 5.5,
        };
        Some(match name {
            "3.5-1440" => high,
            "5.25-1200" => Format {
                sectors_per_track: 15,
                rpm: 360,
                motor_on: Nanos::from_millis(750),
                cylinder_turns: 4.1,
                failure_turns: 8.0,
                ..high
            },
            "5.25-360" => Format { cylinders: 40, sectors_per_track: 9, step: Nanos::from_millis(6), ..high },
            _ => return None,
        })
    }

    /// Time of so many turns.
    pub fn turns(&self, turns: f64) -> Nanos {
        Nanos::new((60e9 / f64::from(self.rpm) * turns) as u64)
    }
}

/// A floppy disk: its format.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FloppyDisk {
    /// The format: 3.5-1440, 5.25-1200 or 5.25-360.
    pub profile: String,
}

impl NamedMedium for FloppyDisk {
    const MEDIUM: &'static str = "floppy";
}

impl MediumSpec for FloppyDisk {
    fn check(&self) -> Result<(), String> {
        match Format::named(&self.profile) {
            Some(_) => Ok(()),
            None => {
                let names = Format::NAMES.join(", ");
                Err(format!("profile {:?} is not known; it is one of {names}", self.profile))
            }
        }
    }

    fn build(&self, _seed: u64) -> Healthy {
        // Checked before: an unknown class would not have come here.
        let floppy = Floppy::new(Format::named(&self.profile).unwrap_or_else(|| unreachable!()));
        let heads = vec![0.0; usize::from(floppy.shape().heads)];
        let conditions = Conditions { recovery: floppy.failure(), heads, ..Conditions::default() };
        Healthy { medium: Box::new(floppy), conditions }
    }

    fn system(&self) -> SystemOptions {
        SystemOptions { command_max: 16 << 10, ..SystemOptions::default() }
    }

    fn bytes(&self) -> u64 {
        Format::named(&self.profile).map_or(0, |format| Floppy::new(format).shape().bytes())
    }

    fn shrunk(&self, _bytes: u64) -> Box<dyn MediumSpec> {
        // No floppy disk is larger than a small twin.
        Box::new(self.clone())
    }
}
