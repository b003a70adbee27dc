//! A disk that is shown to others.
//!
//! Owns what a word of the command line means here, and how the disk's time passes. Must not know how it is shown.

use std::path::Path;
use std::sync::Arc;

use ::map::RescueMap;
use block::WallClock;
use clap::Args;
use serving::{
    AccessLog, Device, DriveDevice, DriveOptions, Idle, ImageDevice, ImageOptions, Pace, SimDevice,
    SimOptions,
};

use crate::native::Failure;
use crate::native::control;
use crate::native::disk_argument::{self, DiskArgument};
use crate::native::map::files::{self, Blocks};
use crate::native::output::failed;

/// How a simulated disk's time passes.
#[derive(Clone, Copy, Debug, Args)]
pub struct TimeOptions {
    /// How fast a simulated disk is: real, so many times as fast (such as 10 or 0.5), or instant
    #[arg(long, value_name = "real|FACTOR|instant", default_value = "real", value_parser = pace)]
    pub pace: Pace,
    /// Whether time passes for a simulated disk while nobody asks it anything; with --pace=instant it never does
    #[arg(long, value_name = "on|off", default_value = "on", value_parser = idle)]
    pub idle: Idle,
}

fn pace(text: &str) -> Result<Pace, String> {
    match text {
        "real" => Ok(Pace::Real),
        "instant" => Ok(Pace::Instant),
        _ => match text.parse() {
            // Beyond these, times lose their meaning in a clock of nanoseconds.
            Ok(factor) if (1e-6..=1e9).contains(&factor) => Ok(Pace::Times(factor)),
            _ => Err("real, instant, or a number from 0.000001 to 1e9: how many times as fast".into()),
        },
    }
}

fn idle(text: &str) -> Result<Idle, String> {
    match text {
        "on" => Ok(Idle::Counts),
        "off" => Ok(Idle::Stops),
        _ => Err("on or off".into()),
    }
}

/// Reads the size of an image's sectors.
pub fn sector(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(bytes) if bytes.is_power_of_two() && (512..=65536).contains(&bytes) => Ok(bytes),
        _ => Err("a power of two from 512 to 65536".into()),
    }
}

/// How each kind of disk behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskOptions {
    /// A simulated one.
    pub simulated: SimOptions,
    /// An image.
    pub image: ImageOptions,
    /// A real one.
    pub drive: DriveOptions,
}

/// Opens a disk. Of an image with a map, only what the map calls finished can be read.
///
/// Errors: it cannot be opened; a map for what is no image.
pub fn open(
    argument: &DiskArgument,
    map: Option<&Path>,
    options: DiskOptions,
    clock: Arc<WallClock>,
    log: Option<Arc<AccessLog>>,
) -> Result<Arc<dyn Device>, Failure> {
    match argument {
        DiskArgument::Simulated(_) if map.is_some() => Err(no_image()),
        DiskArgument::Simulated(address) => {
            let (scenario, seed) = disk_argument::open(address)?;
            let access = address.access.or(options.simulated.access);
            let options = SimOptions { access, ..options.simulated };
            let logging = control::logging(log, &scenario.name, address);
            Ok(Arc::new(SimDevice::open(scenario, seed, options, clock, logging)?))
        }
        DiskArgument::Path(path) => {
            let metadata = path.metadata().map_err(|error| failed("open it", path, &error))?;
            if metadata.is_file() {
                let map: Option<RescueMap> =
                    map.map(|map| files::read(map, Blocks::Touching)).transpose()?.map(|file| file.map);
                Ok(Arc::new(ImageDevice::open(path, map.as_ref(), options.image)?))
            } else if map.is_some() {
                Err(no_image())
            } else {
                Ok(Arc::new(DriveDevice::open(path, options.drive, clock)?))
            }
        }
    }
}

/// Why a disk that is no image takes no map.
pub fn no_image() -> Failure {
    Failure::Usage("--map belongs to an image: this disk knows by itself what is bad".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_a_word_or_a_number_that_makes_sense() {
        assert_eq!(pace("real"), Ok(Pace::Real));
        assert_eq!(pace("instant"), Ok(Pace::Instant));
        assert_eq!(pace("0.5"), Ok(Pace::Times(0.5)));
        assert_eq!(pace("1e3"), Ok(Pace::Times(1000.0)));
        for text in ["", "0", "-1", "inf", "NaN", "fast", "1e10"] {
            assert!(pace(text).is_err(), "{text}");
        }
    }
}
