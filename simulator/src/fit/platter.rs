//! Sectors of a disk's tracks from the rates of its zones.
//!
//! Owns the estimate. Must not know logs, nor how a disk is simulated.
//!
//! Tracks hold fewer sectors inwards, in equal steps from zone to zone; zones are equally many tracks. So the bytes of a
//! zone fall as its rate does.

use super::zones::Zone;

/// How rates fall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Platter {
    /// Bytes a second in the outermost zone.
    pub outer: f64,
    /// Bytes a second in the innermost zone.
    pub inner: f64,
    /// Number of zones.
    pub zones: u32,
}

/// Zones that are told apart at most; of more, as many as drives of the class have are as good.
const ZONES_MAX: u32 = 24;
/// Steps of the share by which the rate falls from the outside to the inside.
const STEPS: u32 = 150;
/// The largest such share.
const FALL_MAX: f64 = 0.75;
/// Places at which rates are compared.
const PLACES: u64 = 256;
/// Another number of zones than the class has must fit so many times better.
const BETTER: f64 = 0.5;

/// Fits a platter to two zones and more of a drive of `size` bytes; `usual` zones unless others fit far better. `None` for
/// fewer.
pub fn fit(found: &[Zone], size: u64, usual: u32) -> Option<Platter> {
    let (first, last) = (found.first()?, found.last()?);
    if found.len() < 2 {
        return None;
    }
    let places: Vec<(f64, f64)> = (0..PLACES)
        .filter_map(|n| {
            let at = (u128::from(size) * (2 * u128::from(n) + 1) / (2 * u128::from(PLACES))) as u64;
            let zone = found.iter().find(|zone| (zone.start..zone.end).contains(&at))?;
            (first.start <= at && at < last.end).then(|| (at as f64 / size as f64, zone.rate))
        })
        .collect();
    if places.is_empty() {
        return None;
    }
    let best = |zones: u32| {
        let tries =
            (0..=STEPS).map(|step| attempt(&places, zones, FALL_MAX * f64::from(step) / f64::from(STEPS)));
        tries.min_by(|a, b| a.0.total_cmp(&b.0))
    };
    let (usual_miss, usual) = best(usual.max(2))?;
    let others = (2..=ZONES_MAX).filter_map(best);
    let (miss, other) = others.min_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(if miss < BETTER * usual_miss { other } else { usual })
}

/// How far rates that fall by a share of `fall` in so many zones are from those at the places, and the platter.
fn attempt(places: &[(f64, f64)], zones: u32, fall: f64) -> (f64, Platter) {
    let relative = |zone: u32| 1.0 - fall * f64::from(zone) / f64::from(zones - 1);
    let whole: f64 = (0..zones).map(relative).sum();
    // Places rise, and so do zones.
    let (mut zone, mut end) = (0, relative(0) / whole);
    let predicted: Vec<f64> = places
        .iter()
        .map(|(at, _)| {
            while *at >= end && zone + 1 < zones {
                zone += 1;
                end += relative(zone) / whole;
            }
            relative(zone)
        })
        .collect();
    let both = || places.iter().zip(&predicted);
    let outer = both().map(|((_, rate), share)| rate * share).sum::<f64>()
        / both().map(|(_, share)| share * share).sum::<f64>().max(1e-300);
    let off = both().map(|((_, rate), share)| (rate / outer - share) * (rate / outer - share)).sum::<f64>();
    (off, Platter { outer, inner: outer * (1.0 - fall), zones })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Zones of a platter, up to a share of its bytes.
    fn zones_of(platter: Platter, size: u64, share: f64) -> Vec<Zone> {
        let Platter { outer, inner, zones } = platter;
        let rate = |zone: u32| outer + (inner - outer) * f64::from(zone) / f64::from(zones - 1);
        let whole: f64 = (0..zones).map(rate).sum();
        let mut start = 0.0;
        let mut found = Vec::new();
        for zone in 0..zones {
            let end = start + rate(zone) / whole;
            let at = |share: f64| (share * size as f64) as u64;
            if start < share {
                found.push(Zone { start: at(start), end: at(end.min(share)), rate: rate(zone) });
            }
            start = end;
        }
        found
    }

    #[test]
    fn a_platter_is_found_again_from_all_of_it_and_from_half() {
        let size = 100_000_000_000;
        for (outer, inner, zones) in [(2e8, 1e8, 20), (1.9e8, 0.9e8, 6), (6e7, 3.4e7, 16), (1e8, 6e7, 3)] {
            let truth = Platter { outer, inner, zones };
            for share in [1.0, 0.7] {
                let found = fit(&zones_of(truth, size, share), size, 20).unwrap();
                assert_eq!(found.zones, zones, "{share} of {truth:?}: {found:?}");
                assert!((found.outer / outer - 1.0).abs() < 0.01, "{share} of {truth:?}: {found:?}");
                assert!((found.inner / inner - 1.0).abs() < 0.03, "{share} of {truth:?}: {found:?}");
            }
        }
        assert_eq!(fit(&zones_of(Platter { outer: 1e8, inner: 5e7, zones: 2 }, size, 0.4), size, 20), None);
        assert_eq!(fit(&[], size, 20), None);
    }
}
