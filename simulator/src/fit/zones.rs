//! How fast a drive reads where: the rate of reads that go on where the one before ended.
//!
//! Owns the estimate of zones. Must not know what else reads do.

use std::collections::BTreeMap;

/// A stretch that is read at one rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zone {
    /// First byte.
    pub start: u64,
    /// Byte behind.
    pub end: u64,
    /// Bytes a second.
    pub rate: f64,
}

/// Bins of position.
const BINS: u64 = 64;
/// A step of the rate that begins a new zone.
const EDGE: f64 = 0.03;

/// A read that takes so many times as long as others there was held up, and tells nothing of the rate.
const HELD_UP: f64 = 1.5;
/// But not one that takes no more seconds longer than this: it waits for the next track to come round.
const TRACK_PAUSE: f64 = 0.006;

/// Bytes a second at a position; of the last zone behind it. `None` without zones.
pub fn rate_at(zones: &[Zone], at: u64) -> Option<f64> {
    let zone = zones.iter().find(|zone| at < zone.end).or(zones.last());
    zone.map(|zone| zone.rate)
}

/// Fits a rate that never rises with the position to reads of (position, bytes, seconds) on a drive of `size` bytes: means
/// of 64 bins without what was held up, made falling by joining neighbours (pool adjacent violators). Zones begin where it
/// falls by more than 3 %. Empty without reads.
pub fn fit(reads: &[(u64, u64, f64)], size: u64) -> Vec<Zone> {
    let width = size.div_ceil(BINS).max(1);
    let mut bins: Vec<Vec<(f64, f64)>> = vec![Vec::new(); BINS as usize];
    // Commands take longer than what short reads bring.
    let unit = usual_unit(reads);
    for (at, bytes, secs) in reads.iter().filter(|(_, bytes, secs)| *secs > 0.0 && *bytes >= unit / 2) {
        let bin = (at / width).min(BINS - 1) as usize;
        bins[bin].push((secs / *bytes as f64, *bytes as f64));
    }
    // Position of the first and behind the last bin, rate, weight.
    let mut levels: Vec<(u64, u64, f64, f64)> = Vec::new();
    for (index, mut rates) in bins.into_iter().enumerate() {
        if rates.is_empty() {
            continue;
        }
        let index = index as u64;
        levels.push((index, index + 1, mean_rate(&mut rates), rates.len() as f64));
        while let [.., before, last] = &levels[..]
            && last.2 > before.2
        {
            let weight = before.3 + last.3;
            let rate = (before.2 * before.3 + last.2 * last.3) / weight;
            let joined = (before.0, last.1, rate, weight);
            levels.truncate(levels.len() - 2);
            levels.push(joined);
        }
    }
    let mut zones: Vec<(Zone, f64)> = Vec::new();
    for (from, to, rate, weight) in levels {
        let end = (to * width).min(size);
        match zones.last_mut() {
            // Compared with where the zone began, so that many small steps make an edge too.
            Some((zone, sum)) if rate > zone.rate * (1.0 - EDGE) => {
                zone.rate = (zone.rate * *sum + rate * weight) / (*sum + weight);
                zone.end = end;
                *sum += weight;
            }
            _ => zones.push((Zone { start: from * width, end, rate }, weight)),
        }
    }
    absorb(zones.into_iter().map(|(zone, _)| zone).collect(), width)
}

/// The length of reads that brings most of the bytes; 0 without reads.
pub fn usual_unit(reads: &[(u64, u64, f64)]) -> u64 {
    let mut brought: BTreeMap<u64, u64> = BTreeMap::new();
    for (_, bytes, _) in reads {
        let sum = brought.entry(*bytes).or_default();
        *sum = sum.saturating_add(*bytes);
    }
    brought.into_iter().max_by_key(|(_, sum)| *sum).map_or(0, |(unit, _)| unit)
}

/// Bytes a second of reads of (seconds a byte, bytes). Reads that cross more tracks than others take longer, so that the
/// middle one would not do.
fn mean_rate(reads: &mut [(f64, f64)]) -> f64 {
    reads.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let middle = reads[reads.len() / 2].0;
    let is_usual =
        |(pace, bytes): &&(f64, f64)| *pace <= HELD_UP * middle || (*pace - middle) * *bytes <= TRACK_PAUSE;
    let usual = reads.iter().filter(is_usual);
    let (bytes, secs) = usual.fold((0.0, 0.0), |sum, (pace, bytes)| (sum.0 + bytes, sum.1 + pace * bytes));
    bytes / secs
}

/// Gives a zone of one bin to the neighbour that is more like it: the edge of two zones lies in it.
fn absorb(zones: Vec<Zone>, width: u64) -> Vec<Zone> {
    let mut wide: Vec<Zone> = Vec::new();
    let mut held: Option<Zone> = None;
    for (index, zone) in zones.iter().enumerate() {
        let between = index > 0 && index + 1 < zones.len();
        if between && zone.end - zone.start <= width && held.is_none() {
            held = Some(*zone);
            continue;
        }
        let mut zone = *zone;
        if let (Some(edge), Some(before)) = (held.take(), wide.last_mut()) {
            if before.rate - edge.rate < edge.rate - zone.rate {
                before.end = edge.end;
            } else {
                zone.start = edge.start;
            }
        }
        wide.push(zone);
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::MediaModel;
    use crate::media::rotating::{Profile, Rotating};
    use block::Nanos;

    #[test]
    fn zones_of_a_simulated_drive_are_found_again() {
        let class = Profile::named("d35_1t").unwrap();
        let profile =
            Profile { bytes: 512 << 20, heads: 1, zones: 5, sectors_outer: 400, sectors_inner: 200, ..class };
        let mut disk = Rotating::new(profile.clone(), &[1.0]);
        let (mut now, mut reads) = (Nanos::ZERO, Vec::new());
        for index in 0..(512 << 20) / (64 << 10) {
            let done = disk.read(index * 128, 128, now, u64::MAX);
            // Every so often something holds the drive up.
            let pause = Nanos::from_millis(if index % 50 == 0 { 60 } else { 0 });
            reads.push((index << 16, 64 << 10, (done + pause).since(now).nanoseconds() as f64 / 1e9));
            now = done;
        }
        let zones = fit(&reads, 512 << 20);
        let mut truth: Vec<(u64, u64)> = Vec::new();
        for extent in disk.extents() {
            if truth.last().is_none_or(|(_, sectors)| *sectors != extent.sectors_per_track) {
                truth.push((extent.first * 512, extent.sectors_per_track));
            }
        }
        assert_eq!((zones.len(), truth.len()), (4, 4), "{zones:?}, {truth:?}");
        let (turn, bin) = (profile.turn().nanoseconds() as f64 / 1e9, (512 << 20) / BINS);
        for (zone, (start, sectors)) in zones.iter().zip(truth) {
            // A track takes a turn and the skew behind it.
            let rate = (sectors * 512) as f64 / (turn * (1.0 + profile.track_skew));
            assert!((zone.rate / rate - 1.0).abs() < 0.03, "{zone:?}: {rate} expected");
            assert!(zone.start.abs_diff(start) <= bin, "{zone:?}: {start} expected");
        }
        assert_eq!((zones[0].start, zones[3].end), (0, 512 << 20));
    }

    #[test]
    fn short_reads_between_long_ones_tell_nothing_of_the_rate() {
        // A failed read is read again sector by sector, each as long as a command.
        let long = (0..640).map(|i| (i * 65536, 65536, 0.001));
        let short = (0..640 * 64).map(|i| (i * 1024, 1024, 0.0002));
        let reads: Vec<(u64, u64, f64)> = long.chain(short).collect();
        let zones = fit(&reads, 640 * 65536);
        assert_eq!(zones.len(), 1, "{zones:?}");
        assert!((zones[0].rate / 65_536_000.0 - 1.0).abs() < 0.01, "{zones:?}");
    }

    #[test]
    fn a_rate_that_seems_to_rise_is_levelled() {
        let reads: Vec<(u64, u64, f64)> =
            (0..640).map(|i| (i * 1000, 1000, if i % 20 < 10 { 1.0 } else { 1.02 })).collect();
        let zones = fit(&reads, 640_000);
        assert_eq!(zones.len(), 1, "{zones:?}");
        assert!((zones[0].rate - 990.0).abs() < 15.0, "{zones:?}");
        assert!(fit(&[], 1000).is_empty());
    }
}
