//! Classes of hard disks.
//!
//! Owns their data-sheet values. Must not know what is computed from them.

use block::Nanos;

use super::Layout;

/// The values of a hard disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Bytes in all; a multiple of the physical sector.
    pub bytes: u64,
    /// Bytes of a logical sector.
    pub logical: u32,
    /// Bytes of a physical sector.
    pub physical: u32,
    /// Turns per minute.
    pub rpm: u32,
    /// Surfaces that are used.
    pub heads: u16,
    /// Sectors of 512 bytes on the outermost track.
    pub sectors_outer: u64,
    /// Sectors of 512 bytes on the innermost track.
    pub sectors_inner: u64,
    /// Steps in which sectors per track fall.
    pub zones: u32,
    /// Deviation of the density from head to head.
    pub density_sigma: f64,
    /// Turns between the end of a track and the start of the next one.
    pub track_skew: f64,
    /// Order of heads and tracks.
    pub layout: Layout,
    /// Bytes under one head before the next one goes on, for layouts in bands.
    pub band_bytes: u64,
    /// Seek over one track.
    pub seek_track: Nanos,
    /// Seek, average over random pairs.
    pub seek_average: Nanos,
    /// Seek over all tracks.
    pub seek_full: Nanos,
    /// Change of the head.
    pub head_switch: Nanos,
    /// Time of a command before anything moves.
    pub overhead: Nanos,
    /// Cache in bytes.
    pub cache_bytes: u64,
    /// Streams that share the cache.
    pub segments: u32,
    /// Speed of the link in bytes per second.
    pub bus: u64,
    /// Time to turn at full speed.
    pub spin_up: Nanos,
    /// Time that the drive spends on a sector before it gives up.
    pub recovery: Nanos,
    /// Error recovery control: the host's limit on that, if it set one.
    pub erc: Option<Nanos>,
}

const fn us(count: u64) -> Nanos {
    Nanos::new(count * 1000)
}

impl Profile {
    /// Names of the classes.
    pub const NAMES: [&'static str; 5] = ["pata40", "d35_1t", "d35_4t", "d35_20t", "d25_500"];

    /// The values of a class. Sources: data sheets of the classes; skews and bands of old disks as measured.
    pub fn named(name: &str) -> Option<Profile> {
        let modern = Profile {
            bytes: 1_000_204_886_016,
            logical: 512,
            physical: 4096,
            rpm: 7200,
            heads: 2,
            sectors_outer: 3400,
            sectors_inner: 1600,
            zones: 20,
            density_sigma: 0.02,
            track_skew: 0.10,
            layout: Layout::Band,
            band_bytes: 128_000_000,
            seek_track: us(1000),
            seek_average: us(8500),
            seek_full: us(18_000),
            head_switch: us(900),
            overhead: us(100),
            cache_bytes: 32 << 20,
            segments: 16,
            bus: 300_000_000,
            spin_up: Nanos::from_secs(9),
            recovery: Nanos::from_secs(3),
            erc: None,
        };
        Some(match name {
            "d35_1t" => modern,
            "pata40" => Profile {
                bytes: 40_020_664_320,
                physical: 512,
                sectors_outer: 944,
                sectors_inner: 520,
                zones: 16,
                density_sigma: 0.0,
                track_skew: 0.22,
                layout: Layout::Cylinder,
                seek_track: us(1200),
                seek_average: us(9300),
                seek_full: us(21_000),
                head_switch: us(1000),
                overhead: us(300),
                cache_bytes: 2 << 20,
                segments: 8,
                bus: 100_000_000,
                spin_up: Nanos::from_secs(6),
                recovery: Nanos::from_millis(1500),
                ..modern
            },
            "d35_4t" => Profile {
                bytes: 4_000_787_030_016,
                heads: 8,
                sectors_outer: 2930,
                sectors_inner: 1440,
                seek_track: us(900),
                seek_average: us(8200),
                seek_full: us(17_000),
                head_switch: us(800),
                overhead: us(90),
                cache_bytes: 64 << 20,
                segments: 32,
                bus: 600_000_000,
                spin_up: Nanos::from_secs(12),
                recovery: Nanos::from_secs(7),
                erc: Some(Nanos::from_secs(7)),
                ..modern
            },
            "d35_20t" => Profile {
                bytes: 20_000_588_955_648,
                heads: 20,
                sectors_outer: 4640,
                sectors_inner: 2300,
                track_skew: 0.08,
                band_bytes: 256_000_000,
                seek_track: us(700),
                seek_average: us(8000),
                seek_full: us(16_000),
                head_switch: us(800),
                overhead: us(80),
                cache_bytes: 256 << 20,
                segments: 64,
                bus: 600_000_000,
                spin_up: Nanos::from_secs(25),
                recovery: Nanos::from_secs(7),
                erc: Some(Nanos::from_secs(7)),
                ..modern
            },
            "d25_500" => Profile {
                bytes: 500_107_862_016,
                rpm: 5400,
                heads: 4,
                sectors_outer: 2390,
                sectors_inner: 1200,
                track_skew: 0.17,
                band_bytes: 100_000_000,
                seek_track: us(2000),
                seek_average: us(12_500),
                seek_full: us(24_000),
                head_switch: us(1400),
                overhead: us(150),
                cache_bytes: 16 << 20,
                spin_up: Nanos::from_secs(4),
                recovery: Nanos::from_secs(2),
                ..modern
            },
            _ => return None,
        })
    }

    /// Time of one turn.
    pub fn turn(&self) -> Nanos {
        Nanos::new(60_000_000_000 / u64::from(self.rpm.max(1)))
    }

    /// Cylinders that the disk needs, about.
    pub fn cylinders(&self) -> u32 {
        let mean = (self.sectors_outer + self.sectors_inner) * 512 / 2;
        (self.bytes / (u64::from(self.heads.max(1)) * mean.max(1))).clamp(1, u64::from(u32::MAX / 2)) as u32
    }

    /// Tracks of a band: the same number everywhere, so that bands shrink inwards.
    pub fn band_tracks(&self) -> u32 {
        (self.band_bytes / (self.sectors_outer * 512).max(1)).clamp(1, u64::from(u32::MAX / 2)) as u32
    }

    /// Media rate on the outermost track, in bytes per second.
    pub fn rate_outer(&self) -> f64 {
        (self.sectors_outer * 512) as f64 * 1e9 / self.turn().nanoseconds() as f64
    }

    pub(super) fn bus_time(&self, bytes: u64) -> u64 {
        (u128::from(bytes) * 1_000_000_000 / u128::from(self.bus.max(1))) as u64
    }
}
