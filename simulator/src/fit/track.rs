//! Damage that comes back with every turn: a scratch across tracks.
//!
//! Owns the estimate of the track from distances between errors. Must not know disks.
//!
//! A line across the tracks of one surface is met once a turn. From the start of one error to the start of the next it is
//! a track less its skew; where the line crosses the end of a track, a turn goes by without it, and it is two tracks less
//! the skew. The two distances give both.

/// What distances between errors tell of the tracks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Track {
    /// The most frequent distance from start to start, in sectors.
    pub step: f64,
    /// Share of the distances that are within 1 % of it.
    pub share: f64,
    /// Skew from track to track in turns, and sectors of a track; `None` if the second distance is not seen.
    pub geometry: Option<(f64, f64)>,
}

/// Bins are 1 % wide.
const WIDTH: f64 = 0.01;
/// The least share of the most frequent distance.
const SHARE_MIN: f64 = 0.25;
/// The least share of the second one.
const SECOND_MIN: f64 = 0.02;
/// Shortest distance that is looked at, in sectors: below it lie the errors of one place.
const STEP_MIN: u64 = 16;
/// Fewest distances that tell something.
const COUNT_MIN: usize = 30;

/// Looks at the starts of errors, rising, in sectors; they lie in one zone. `None`: no distance is frequent enough.
pub fn find(starts: &[u64]) -> Option<Track> {
    let mut steps: Vec<f64> = starts
        .windows(2)
        .map(|two| two[1] - two[0])
        .filter(|step| *step >= STEP_MIN)
        .map(|step| step as f64)
        .collect();
    if steps.len() < COUNT_MIN {
        return None;
    }
    steps.sort_unstable_by(f64::total_cmp);
    let all = steps.len() as f64;
    let (step, count) = mode(&steps)?;
    let share = count as f64 / all;
    if share < SHARE_MIN {
        return None;
    }
    // Two tracks less the skew are at least twice a track less it, and less than three times.
    let from = steps.partition_point(|x| *x < 2.0 * step * (1.0 + WIDTH));
    let to = steps.partition_point(|x| *x < 2.9 * step);
    let geometry = mode(&steps[from..to.max(from)])
        .filter(|(_, count)| *count as f64 >= SECOND_MIN * all)
        .map(|(second, _)| {
            let ratio = second / step;
            let skew = (ratio - 2.0) / (ratio - 1.0);
            (skew, step / (1.0 - skew))
        });
    Some(Track { step, share, geometry })
}

/// The middle of the 1 % in which most of the sorted values lie, and how many those are.
fn mode(sorted: &[f64]) -> Option<(f64, usize)> {
    let mut from = 0;
    let mut best: Option<(usize, usize)> = None;
    for to in 1..=sorted.len() {
        while sorted[to - 1] > sorted[from] * (1.0 + WIDTH) {
            from += 1;
        }
        if best.is_none_or(|(first, last)| to - from > last - first) {
            best = Some((from, to));
        }
    }
    best.map(|(from, to)| (sorted[(from + to) / 2], to - from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Sequence;
    use crate::media::MediaModel;
    use crate::media::rotating::{Profile, Rotating};

    #[test]
    fn a_line_across_tracks_tells_their_length_and_skew() {
        let class = Profile::named("d25_500").unwrap();
        let profile = Profile {
            bytes: 1 << 30,
            heads: 2,
            zones: 1,
            sectors_outer: 1253,
            sectors_inner: 1253,
            track_skew: 0.115,
            band_bytes: 100_000_000,
            ..class
        };
        let disk = Rotating::new(profile, &[1.0, 1.0]);
        let mut dice = Sequence::new(1, "track");
        // A line at one angle; one turn in twenty goes by without an error.
        let lines = disk.tracks(0, 0..u32::MAX).into_iter().filter_map(|track| {
            let turned = (0.3 - track.angle).rem_euclid(1.0);
            let sector = (turned * track.sectors as f64) as u64;
            (sector < track.sectors && !dice.chance(0.05)).then_some(track.first + sector)
        });
        let mut starts: Vec<u64> = lines.collect();
        starts.sort_unstable();
        let found = find(&starts).unwrap();
        assert!((found.step / (1253.0 * 0.885) - 1.0).abs() < 0.01, "{found:?}");
        assert!((found.share - 0.95 * 0.885).abs() < 0.05, "{found:?}");
        let (skew, sectors) = found.geometry.unwrap();
        assert!((skew - 0.115).abs() < 0.012 && (sectors / 1253.0 - 1.0).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn errors_anywhere_have_no_track() {
        let mut dice = Sequence::new(2, "track");
        let mut starts: Vec<u64> = (0..2000).map(|_| dice.below(10_000_000)).collect();
        starts.sort_unstable();
        assert_eq!(find(&starts), None);
        assert_eq!(find(&[0, 1000, 2000]), None, "too few");
    }

    /// The map of a drive with a scratch: 1109 sectors at the outside, and its second distance.
    #[test]
    fn a_real_scratch_has_the_track_that_its_map_shows() {
        let Some(data) = std::env::var_os("DISKWRIGHT_DATA") else { return };
        let path = std::path::Path::new(&data).join("mapfiles/m04-hdd-radial-scratch-zbr.map");
        let map = map::Mapfile::parse(&std::fs::read(path).unwrap()).unwrap().map;
        let bad = map.blocks().filter(|block| block.status != map::Status::Finished);
        let areas: block::RangeSet = bad.map(|block| block.range).collect();
        let starts = areas.ranges().iter().map(|area| area.start().bytes());
        let starts: Vec<u64> = starts.filter(|at| *at < 26_000_000_000).map(|at| at / 512).collect();
        let found = find(&starts).unwrap();
        assert!((found.step / 1109.0 - 1.0).abs() < 0.01, "{found:?}");
        let (skew, sectors) = found.geometry.unwrap();
        assert!((skew - 0.115).abs() < 0.02 && (sectors / 1253.0 - 1.0).abs() < 0.02, "{found:?}");
    }
}
