//! What a scenario may say of a flash drive.
//!
//! Owns the keys of `[disk]` with `medium = "flash"` and what is possible. Must not know how the drive works.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Flash, Profile, Throttle};
use crate::dice::SECTORS_MAX;
use crate::law::Conditions;
use crate::scenario::medium::{Healthy, MediumSpec, NamedMedium};
use crate::scenario::{Bytes, Time};
use crate::system::SystemOptions;

/// A flash drive: a class, and what is different on this one.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FlashDrive {
    /// The class: ssd_128, nvme_1t, usb_stick_8, sd_32 or emmc_64.
    pub profile: String,
    /// Bytes in all.
    pub size: Option<Bytes>,
    /// Bytes of a logical sector: 512 or 4096.
    pub logical_sector: Option<u32>,
    /// Bytes of a page: a power of two from 4 to 64 KiB.
    pub page: Option<Bytes>,
    /// Pages that are erased together.
    pub block_pages: Option<u32>,
    /// Channels to the dies.
    pub channels: Option<u16>,
    /// Dies in all.
    pub dies: Option<u16>,
    /// Share of the drive whose pages lie anywhere, because they were written at random.
    pub scattered: Option<f64>,
    /// Time of a command in the controller.
    pub controller: Option<Time>,
    /// Time in which a page is sensed.
    pub sense: Option<Time>,
    /// Time that the firmware spends on a page before it gives up.
    pub recovery: Option<Time>,
    /// After how long at full work the drive is hot and slows down; "0 s": never.
    pub throttle_after: Option<Time>,
    /// Speed of a hot drive in percent; 20 if not given.
    pub throttle_percent: Option<u32>,
}

impl NamedMedium for FlashDrive {
    const MEDIUM: &'static str = "flash";
}

impl FlashDrive {
    fn profile(&self) -> Option<Profile> {
        let class = Profile::named(&self.profile)?;
        let percent = self.throttle_percent.or(class.throttle.map(|throttle| throttle.percent)).unwrap_or(20);
        let after = self.throttle_after.map(|time| time.0).or(class.throttle.map(|throttle| throttle.after));
        Some(Profile {
            bytes: self.size.map_or(class.bytes, |bytes| bytes.0),
            logical: self.logical_sector.unwrap_or(class.logical),
            page: self.page.map_or(class.page, |bytes| bytes.0.min(u64::from(u32::MAX)) as u32),
            block_pages: self.block_pages.unwrap_or(class.block_pages),
            channels: self.channels.unwrap_or(class.channels),
            dies: self.dies.unwrap_or(class.dies),
            scattered: self.scattered.unwrap_or(class.scattered),
            controller: self.controller.map_or(class.controller, |time| time.0),
            sense: self.sense.map_or(class.sense, |time| time.0),
            recovery: self.recovery.map_or(class.recovery, |time| time.0),
            throttle: after.filter(|after| *after > Nanos::ZERO).map(|after| Throttle { after, percent }),
            ..class
        })
    }
}

impl MediumSpec for FlashDrive {
    fn check(&self) -> Result<(), String> {
        let Some(profile) = self.profile() else {
            let names = Profile::NAMES.join(", ");
            return Err(format!("profile {:?} is not known; it is one of {names}", self.profile));
        };
        if profile.logical != 512 && profile.logical != 4096 {
            return Err(format!("logical-sector {}; it is 512 or 4096", profile.logical));
        }
        if !profile.page.is_power_of_two() || !(4096..=65536).contains(&profile.page) {
            return Err(format!("page {}; it is a power of two from 4 to 64 KiB", profile.page));
        }
        if profile.bytes == 0 || !profile.bytes.is_multiple_of(u64::from(profile.codeword)) {
            let codeword = profile.codeword;
            return Err(format!(
                "size {} is not a whole number of codewords of {codeword} bytes",
                profile.bytes
            ));
        }
        if profile.bytes / u64::from(profile.logical) >= SECTORS_MAX {
            return Err("size is beyond 2^39 sectors (256 TiB with sectors of 512 bytes)".into());
        }
        if !(1..=1024).contains(&profile.dies) || !(1..=profile.dies).contains(&profile.channels) {
            let (channels, dies) = (profile.channels, profile.dies);
            return Err(format!(
                "{channels} channels and {dies} dies; a drive has 1 to 1024 dies on at most as many channels"
            ));
        }
        if !(1..=65536).contains(&profile.block_pages) {
            return Err(format!("block-pages {}; a block has 1 to 65536 pages", profile.block_pages));
        }
        if !(0.0..=1.0).contains(&profile.scattered) {
            return Err(format!("scattered {} is not a share from 0 to 1", profile.scattered));
        }
        if profile.throttle.is_some_and(|throttle| !(1..=100).contains(&throttle.percent)) {
            return Err("throttle-percent is a number from 1 to 100".into());
        }
        Ok(())
    }

    fn build(&self, seed: u64) -> Healthy {
        // Checked before: an unknown class would not have come here.
        let profile = self.profile().unwrap_or_else(|| unreachable!());
        let conditions = Conditions {
            recovery: profile.recovery,
            heads: vec![0.0; usize::from(profile.dies)],
            ..Conditions::default()
        };
        Healthy { medium: Box::new(Flash::new(profile, seed)), conditions }
    }

    fn system(&self) -> SystemOptions {
        let usual = SystemOptions::default();
        self.profile().map_or(usual, |profile| SystemOptions {
            command_max: profile.command_max,
            timeout: profile.timeout,
            ..usual
        })
    }

    fn bytes(&self) -> u64 {
        self.profile().map_or(0, |profile| profile.bytes)
    }

    fn shrunk(&self, bytes: u64) -> Box<dyn MediumSpec> {
        let Some(profile) = self.profile() else { return Box::new(self.clone()) };
        let bytes = profile.bytes.min(bytes) / 4096 * 4096;
        let ratio = bytes as f64 / profile.bytes as f64;
        // As many dies, with smaller blocks, and as soon too hot.
        let block = (f64::from(profile.block_pages) * libm::sqrt(ratio)) as u32;
        let heated = profile.throttle.map(|throttle| Time(scaled(throttle.after, ratio)));
        Box::new(FlashDrive {
            size: Some(Bytes(bytes)),
            block_pages: Some(block.max(16)),
            throttle_after: heated.or(self.throttle_after),
            ..self.clone()
        })
    }
}

fn scaled(time: Nanos, ratio: f64) -> Nanos {
    Nanos::new(((time.nanoseconds() as f64 * ratio) as u64).max(1))
}
