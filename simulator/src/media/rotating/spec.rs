//! What a scenario may say of a hard disk.
//!
//! Owns the keys of `[disk]` with `medium = "hard-disk"` and what is possible. Must not know how the disk works.

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Layout, Profile, Rotating};
use crate::dice::{SECTORS_MAX, Sequence};
use crate::law::Conditions;
use crate::scenario::medium::{Healthy, MediumSpec, NamedMedium};
use crate::scenario::{Bytes, Time};

/// Most changes of the head from the first sector to the last: each one is kept in memory.
const EXTENTS_MAX: u64 = 2_000_000;

/// A hard disk: a class, and what is different on this one.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HardDisk {
    /// The class: pata40, d35_1t, d35_4t, d35_20t or d25_500.
    pub profile: String,
    /// Bytes in all.
    pub size: Option<Bytes>,
    /// Bytes of a logical sector: 512 or 4096.
    pub logical_sector: Option<u32>,
    /// Bytes of a physical sector: 512 or 4096.
    pub physical_sector: Option<u32>,
    /// Turns per minute.
    pub rpm: Option<u32>,
    /// Surfaces that are used.
    pub heads: Option<u16>,
    /// Sectors of 512 bytes on the outermost and the innermost track.
    pub sectors_per_track: Option<[u64; 2]>,
    /// Steps in which sectors per track fall.
    pub zones: Option<u32>,
    /// Turns between the end of a track and the start of the next.
    pub track_skew: Option<f64>,
    /// Deviation of the density from head to head.
    pub head_density: Option<f64>,
    /// Order of heads and tracks.
    pub layout: Option<Layout>,
    /// Bytes under one head before the next goes on.
    pub band: Option<Bytes>,
    /// Time that the drive spends on a sector before it gives up.
    pub recovery: Option<Time>,
    /// Error recovery control: the host's limit on that. "0 s" takes away what the class has.
    pub erc: Option<Time>,
    /// Cache.
    pub cache: Option<Bytes>,
    /// Time of a command before anything moves.
    pub overhead: Option<Time>,
    /// Speed of the link, in bytes per second.
    pub bus: Option<Bytes>,
}

impl NamedMedium for HardDisk {
    const MEDIUM: &'static str = "hard-disk";
}

impl HardDisk {
    fn profile(&self) -> Option<Profile> {
        let class = Profile::named(&self.profile)?;
        let [outer, inner] = self.sectors_per_track.unwrap_or([class.sectors_outer, class.sectors_inner]);
        Some(Profile {
            bytes: self.size.map_or(class.bytes, |bytes| bytes.0),
            logical: self.logical_sector.unwrap_or(class.logical),
            physical: self.physical_sector.unwrap_or(class.physical.max(self.logical_sector.unwrap_or(0))),
            rpm: self.rpm.unwrap_or(class.rpm),
            heads: self.heads.unwrap_or(class.heads),
            sectors_outer: outer,
            sectors_inner: inner,
            zones: self.zones.unwrap_or(class.zones),
            track_skew: self.track_skew.unwrap_or(class.track_skew),
            density_sigma: self.head_density.unwrap_or(class.density_sigma),
            layout: self.layout.unwrap_or(class.layout),
            band_bytes: self.band.map_or(class.band_bytes, |bytes| bytes.0),
            recovery: self.recovery.map_or(class.recovery, |time| time.0),
            erc: self.erc.map_or(class.erc, |time| (time.0 > Nanos::ZERO).then_some(time.0)),
            cache_bytes: self.cache.map_or(class.cache_bytes, |bytes| bytes.0),
            overhead: self.overhead.map_or(class.overhead, |time| time.0),
            bus: self.bus.map_or(class.bus, |bytes| bytes.0),
            ..class
        })
    }
}

impl MediumSpec for HardDisk {
    fn check(&self) -> Result<(), String> {
        let Some(profile) = self.profile() else {
            return Err(format!(
                "profile {:?} is not known; it is one of {}",
                self.profile,
                Profile::NAMES.join(", ")
            ));
        };
        let sector = |bytes| bytes == 512 || bytes == 4096;
        if !sector(profile.logical) || !sector(profile.physical) || profile.physical < profile.logical {
            return Err("sectors have 512 or 4096 bytes, physical ones not fewer than logical ones".into());
        }
        if profile.bytes == 0 || !profile.bytes.is_multiple_of(u64::from(profile.physical)) {
            let physical = profile.physical;
            return Err(format!(
                "size {} is not a whole number of sectors of {physical} bytes",
                profile.bytes
            ));
        }
        if profile.bytes / u64::from(profile.logical) >= SECTORS_MAX {
            return Err("size is beyond 2^39 sectors (256 TiB with sectors of 512 bytes)".into());
        }
        if profile.heads == 0 || profile.heads > 64 {
            return Err(format!("{} heads; a disk has 1 to 64", profile.heads));
        }
        if !(1000..=30_000).contains(&profile.rpm) {
            return Err(format!("rpm {}; disks turn 1000 to 30000 times a minute", profile.rpm));
        }
        if profile.sectors_inner == 0
            || profile.sectors_inner > profile.sectors_outer
            || profile.sectors_outer > 1_000_000
        {
            return Err("sectors-per-track holds the outermost and the innermost track's, as in [944, 520]; the first is not smaller".into());
        }
        if profile.bus < 1000 {
            return Err(format!("bus {} a second is slower than any link", Bytes(profile.bus)));
        }
        if profile.zones == 0 || profile.zones > 1000 {
            return Err(format!("{} zones; a disk has 1 to 1000", profile.zones));
        }
        if !(0.0..1.0).contains(&profile.track_skew) || !(0.0..=0.1).contains(&profile.density_sigma) {
            return Err("track-skew is a share of a turn below 1, head-density a deviation up to 0.1".into());
        }
        if profile.band_bytes > 1 << 48 || profile.cache_bytes > 1 << 40 {
            return Err("band is at most 256 TiB, cache at most 1 TiB".into());
        }
        let tracks = u64::from(profile.cylinders()) * u64::from(profile.heads);
        let extents = match profile.layout {
            Layout::Cylinder | Layout::CylinderSerpentine => tracks,
            Layout::Band | Layout::BandAlternate => tracks / u64::from(profile.band_tracks()),
            Layout::ZoneByHead => u64::from(profile.zones) * u64::from(profile.heads),
        };
        if tracks > 1 << 32 || extents > EXTENTS_MAX {
            return Err(format!(
                "the head changes {extents} times on {tracks} tracks; at most {EXTENTS_MAX} times on 2^32 tracks: give \
                 longer bands, another layout, longer tracks or a smaller size"
            ));
        }
        Ok(())
    }

    fn build(&self, seed: u64) -> Healthy {
        // Checked before: an unknown class would not have come here.
        let profile = self.profile().or_else(|| Profile::named("d35_1t")).unwrap_or_else(|| unreachable!());
        let mut dice = Sequence::new(seed, "head density");
        let density: Vec<f64> = (0..profile.heads)
            .map(|_| 1.0 + (profile.density_sigma * dice.normal()).clamp(-0.05, 0.05))
            .collect();
        let conditions = Conditions {
            turn: profile.turn(),
            recovery: profile.recovery,
            erc: profile.erc,
            heads: vec![0.0; usize::from(profile.heads)],
            ..Conditions::default()
        };
        Healthy { medium: Box::new(Rotating::new(profile, &density)), conditions }
    }

    fn bytes(&self) -> u64 {
        self.profile().map_or(0, |profile| profile.bytes)
    }

    fn shrunk(&self, bytes: u64) -> Box<dyn MediumSpec> {
        let Some(profile) = self.profile() else { return Box::new(self.clone()) };
        let bytes = profile.bytes.min(bytes) / 4096 * 4096;
        // Tracks and their number shrink alike, as a smaller platter would.
        let ratio = bytes as f64 / profile.bytes as f64;
        let scale = libm::sqrt(ratio).max(1.0 / 24.0);
        let sectors = |count: u64| ((count as f64 * scale) as u64 / 8 * 8).max(16);
        let band = |bytes: u64| ((bytes as f64 * ratio.max(scale / 32.0)) as u64).max(256 << 10);
        Box::new(HardDisk {
            size: Some(Bytes(bytes)),
            sectors_per_track: Some([sectors(profile.sectors_outer), sectors(profile.sectors_inner)]),
            band: Some(Bytes(band(profile.band_bytes))),
            cache: Some(Bytes((profile.cache_bytes / 16).max(1 << 20))),
            ..self.clone()
        })
    }
}
