//! Which sector lies under which head, on which track.
//!
//! Owns the order of sectors over heads and tracks, zones and skews. Must not know time but for the skews.

use std::ops::Range;

use super::{Profile, SeekCurve};
use crate::media::Lba;

/// In which order heads and tracks are filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// A cylinder after the other, all heads of each: disks up to about 2000.
    Cylinder,
    /// The same, odd cylinders from the last head to the first.
    CylinderSerpentine,
    /// A band of tracks under one head, then the same band under the next, inwards and outwards by turns.
    Band,
    /// The same, the heads in falling order in every other band.
    BandAlternate,
    /// A whole zone under one head, the densest first.
    ZoneByHead,
}

/// Tracks in a row under one head, equally dense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First sector.
    pub first: Lba,
    /// Sectors in one turn.
    pub sectors_per_track: u64,
    /// Number of tracks.
    pub tracks: u32,
    /// First track.
    pub cylinder: u32,
    /// Whether tracks are filled towards lower cylinders.
    pub outwards: bool,
    /// The head.
    pub head: u16,
    /// Flow at the first sector, in nanoseconds.
    pub flow: u64,
}

impl Extent {
    /// Track of a sector.
    pub fn cylinder_of(&self, at: Lba) -> u32 {
        let track = ((at - self.first) / self.sectors_per_track).min(u64::from(self.tracks) - 1) as u32;
        self.cylinder_at(track)
    }

    fn cylinder_at(&self, track: u32) -> u32 {
        if self.outwards { self.cylinder - track } else { self.cylinder + track }
    }

    /// Its tracks under the head.
    pub fn cylinders(&self) -> Range<u32> {
        let last = self.cylinder_at(self.tracks - 1);
        self.cylinder.min(last)..self.cylinder.max(last) + 1
    }

    /// Tracks on some cylinders, with their first sectors, in the order of sectors.
    pub fn tracks_on(&self, cylinders: &Range<u32>) -> impl Iterator<Item = (u32, Lba)> + use<> {
        let extent = *self;
        let mine = self.cylinders();
        let within = |cylinder: u32| cylinder.clamp(mine.start, mine.end);
        let (from, to) = (within(cylinders.start), within(cylinders.end).max(within(cylinders.start)));
        let tracks = match self.outwards {
            false => from - mine.start..to - mine.start,
            true => mine.end - to..mine.end - from,
        };
        tracks.map(move |track| {
            (extent.cylinder_at(track), extent.first + u64::from(track) * extent.sectors_per_track)
        })
    }

    /// Flow at the start of sector `at`, or `sectors` behind it on the same track.
    pub(super) fn flow(&self, at: Lba, sectors: u64, turn: u64, skew: u64) -> u64 {
        let inside = at - self.first;
        let (track, sector) = (inside / self.sectors_per_track, inside % self.sectors_per_track);
        self.flow + track * (turn + skew) + (sector + sectors) * turn / self.sectors_per_track
    }

    fn end_flow(&self, turn: u64, skew: u64) -> u64 {
        self.flow + u64::from(self.tracks - 1) * (turn + skew) + turn
    }
}

/// A piece of the layout before sectors are counted.
struct Piece {
    head: u16,
    cylinder: u32,
    tracks: u32,
    outwards: bool,
    sectors_per_track: u64,
}

/// Lays out a disk: extents in the order of sectors, and the number of cylinders used. `density` holds a factor for
/// each head.
pub(super) fn lay_out(
    profile: &Profile,
    density: &[f64],
    seek: &SeekCurve,
    turn: u64,
    skew: u64,
) -> (Vec<Extent>, u32) {
    let total = profile.bytes / u64::from(profile.logical);
    let mut extents: Vec<Extent> = Vec::new();
    let (mut first, mut cylinders) = (0, 1);
    let mut last: Option<Extent> = None;
    for piece in pieces(profile, density) {
        if first >= total {
            break;
        }
        let needed = (total - first).div_ceil(piece.sectors_per_track);
        let tracks = u64::from(piece.tracks).min(needed) as u32;
        let flow = last.map_or(0, |last| {
            let from = last.cylinder_at(last.tracks - 1);
            let travel = seek.time(from.abs_diff(piece.cylinder)).nanoseconds();
            let switch = if last.head == piece.head { 0 } else { profile.head_switch.nanoseconds() };
            // No change of tracks is laid out tighter than the ordinary one.
            last.end_flow(turn, skew) + travel.max(switch).max(skew)
        });
        let extent = Extent {
            first,
            sectors_per_track: piece.sectors_per_track,
            tracks,
            cylinder: piece.cylinder,
            outwards: piece.outwards,
            head: piece.head,
            flow,
        };
        first += u64::from(tracks) * piece.sectors_per_track;
        cylinders = cylinders.max(piece.cylinder.max(extent.cylinder_at(tracks - 1)) + 1);
        extents.push(extent);
        last = Some(extent);
    }
    (extents, cylinders)
}

/// All pieces that a disk could need, in order, without end.
fn pieces<'a>(profile: &'a Profile, density: &'a [f64]) -> Box<dyn Iterator<Item = Piece> + 'a> {
    let heads = profile.heads;
    let piece = move |cylinder: u32, head: u16, tracks: u32, outwards: bool| Piece {
        head,
        cylinder: if outwards { cylinder + tracks - 1 } else { cylinder },
        tracks,
        outwards,
        sectors_per_track: sectors_at(profile, density, cylinder, head),
    };
    let order =
        move |backwards: bool| (0..heads).map(move |index| if backwards { heads - 1 - index } else { index });
    let band = profile.band_tracks();
    match profile.layout {
        Layout::Cylinder => Box::new(
            (0..).flat_map(move |cylinder| order(false).map(move |head| piece(cylinder, head, 1, false))),
        ),
        Layout::CylinderSerpentine => Box::new((0..).flat_map(move |cylinder: u32| {
            order(cylinder % 2 == 1).map(move |head| piece(cylinder, head, 1, false))
        })),
        Layout::Band => Box::new((0..).flat_map(move |group: u32| {
            order(false).map(move |head| piece(group * band, head, band, head % 2 == 1))
        })),
        Layout::BandAlternate => Box::new((0..).flat_map(move |group: u32| {
            let backwards = group % 2 == 1;
            order(backwards).map(move |head| piece(group * band, head, band, (head % 2 == 1) != backwards))
        })),
        Layout::ZoneByHead => {
            let zone = profile.cylinders().div_ceil(profile.zones).max(1);
            Box::new((0..).flat_map(move |group: u32| {
                let mut heads: Vec<u16> = order(false).collect();
                heads
                    .sort_by_key(|head| std::cmp::Reverse(sectors_at(profile, density, group * zone, *head)));
                heads
                    .into_iter()
                    .enumerate()
                    .map(move |(index, head)| piece(group * zone, head, zone, index % 2 == 1))
            }))
        }
    }
}

/// Which step of sectors per track a cylinder is in, from 0.
pub(super) fn zone_of(profile: &Profile, cylinder: u32) -> u64 {
    let zones = u64::from(profile.zones.max(1));
    (u64::from(cylinder) * zones / u64::from(profile.cylinders().max(1))).min(zones - 1)
}

/// Sectors in a turn: linear density is constant, so they fall with the radius, in the steps of the zones.
fn sectors_at(profile: &Profile, density: &[f64], cylinder: u32, head: u16) -> u64 {
    let (zones, zone) = (u64::from(profile.zones.max(1)), zone_of(profile, cylinder));
    let share = if zones == 1 { 0.0 } else { zone as f64 / (zones - 1) as f64 };
    let (outer, inner) = (profile.sectors_outer as f64, profile.sectors_inner as f64);
    let factor = density.get(usize::from(head)).copied().unwrap_or(1.0);
    // In whole physical sectors: none of them lies on two tracks.
    let group = u64::from(profile.physical / profile.logical);
    let sectors = ((outer - (outer - inner) * share) * factor) as u64 * 512 / u64::from(profile.logical);
    (sectors / group * group).max(group)
}
