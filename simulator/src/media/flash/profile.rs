//! Classes of flash drives.
//!
//! Owns their usual values. Must not know what is computed from them.

use block::Nanos;

/// The values of a flash drive.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Bytes in all; a multiple of the codeword.
    pub bytes: u64,
    /// Bytes of a logical sector.
    pub logical: u32,
    /// Bytes that are corrected together: the unit that fails.
    pub codeword: u32,
    /// Bytes that are sensed together.
    pub page: u32,
    /// Pages that are erased together.
    pub block_pages: u32,
    /// Channels to the dies.
    pub channels: u16,
    /// Dies in all.
    pub dies: u16,
    /// Share of the regions whose pages lie anywhere, because they were written at random.
    pub scattered: f64,
    /// Time of a command in the controller.
    pub controller: Nanos,
    /// Time in which a page is sensed, median.
    pub sense: Nanos,
    /// Deviation of the logarithm of that time from page to page.
    pub sense_sigma: f64,
    /// Speed of a channel in bytes per second.
    pub channel_rate: u64,
    /// Speed of the link in bytes per second.
    pub bus: u64,
    /// Whether the drive works on commands side by side, one for each die.
    pub is_parallel: bool,
    /// Time to be ready after power comes on.
    pub start: Nanos,
    /// Time that the firmware spends on a page before it gives up.
    pub recovery: Nanos,
    /// Slowing down when hot.
    pub throttle: Option<Throttle>,
    /// Largest command that a system usually sends, in bytes.
    pub command_max: u64,
    /// How long a system usually waits for an answer.
    pub timeout: Nanos,
}

/// Slowing down when hot: heat gathers with work and is got rid of half as fast as full work makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// After so long at full work the drive is hot.
    pub after: Nanos,
    /// Speed of a hot drive, in percent.
    pub percent: u32,
}

const fn us(count: u64) -> Nanos {
    Nanos::new(count * 1000)
}

impl Profile {
    /// Names of the classes.
    pub const NAMES: [&'static str; 5] = ["ssd_128", "nvme_1t", "usb_stick_8", "sd_32", "emmc_64"];

    /// The values of a class. Sources: sensing times as chip makers give them (MLC 50, TLC 75 to 80 microseconds); times
    /// of controllers 60 (NVMe), 100 (SATA), 400 (USB, SD) microseconds; links as their standards say. Capacities are
    /// those of real drives of the class.
    pub fn named(name: &str) -> Option<Profile> {
        let ssd = Profile {
            bytes: 128_035_676_160,
            logical: 512,
            codeword: 4096,
            page: 16 << 10,
            block_pages: 256,
            channels: 4,
            dies: 16,
            scattered: 0.3,
            controller: us(100),
            sense: us(80),
            sense_sigma: 0.15,
            channel_rate: 400_000_000,
            bus: 550_000_000,
            is_parallel: false,
            start: Nanos::from_secs(2),
            recovery: Nanos::from_millis(300),
            throttle: None,
            command_max: 1280 << 10,
            timeout: Nanos::from_secs(30),
        };
        Some(match name {
            "ssd_128" => ssd,
            "nvme_1t" => Profile {
                bytes: 1_000_204_886_016,
                block_pages: 1024,
                channels: 8,
                dies: 32,
                controller: us(60),
                channel_rate: 800_000_000,
                bus: 3_500_000_000,
                is_parallel: true,
                start: Nanos::from_secs(5),
                recovery: Nanos::from_millis(100),
                throttle: Some(Throttle { after: Nanos::from_secs(180), percent: 20 }),
                ..ssd
            },
            "usb_stick_8" => Profile {
                bytes: 7_864_320_000,
                channels: 1,
                dies: 2,
                scattered: 0.05,
                controller: us(400),
                sense: us(50),
                channel_rate: 40_000_000,
                bus: 35_000_000,
                start: Nanos::from_secs(3),
                recovery: Nanos::from_secs(1),
                // What a bulk-only bridge takes at once.
                command_max: 120 << 10,
                ..ssd
            },
            "sd_32" => Profile {
                bytes: 31_914_983_424,
                channels: 1,
                dies: 1,
                scattered: 0.1,
                controller: us(400),
                channel_rate: 200_000_000,
                bus: 90_000_000,
                start: Nanos::from_secs(1),
                recovery: Nanos::from_millis(500),
                command_max: 240 << 10,
                timeout: Nanos::from_secs(10),
                ..ssd
            },
            "emmc_64" => Profile {
                bytes: 62_537_072_640,
                channels: 1,
                dies: 2,
                controller: us(150),
                channel_rate: 400_000_000,
                bus: 300_000_000,
                start: Nanos::from_secs(1),
                recovery: Nanos::from_millis(500),
                command_max: 512 << 10,
                timeout: Nanos::from_secs(10),
                ..ssd
            },
            _ => return None,
        })
    }
}
