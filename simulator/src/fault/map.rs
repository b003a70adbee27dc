//! The damage that a rescue of a real drive wrote down: a mapfile, laid on a disk.
//!
//! Owns what each status of a map becomes. Must not know how a mapfile is written, nor those who read.
//!
//! `+` is good and `-` is bad. Where a map only says that something failed (`*` and `/`), nine tenths are good: runs and
//! gaps follow the laws of clusters. Where nobody has tried (`?`, and behind the map's end), clusters are drawn as
//! densely as they lie where somebody has.

use std::path::Path;
use std::sync::Arc;

use block::Nanos;
use map::{Mapfile, RescueMap, Status};
use schemars::JsonSchema;
use serde::Deserialize;

use super::clusters::{Clusters, runs};
use super::{Fault, Opening, checks};
use crate::dice::Sequence;
use crate::law::{FailureTime, Health, Law};
use crate::media::MediaModel;
use crate::scenario::kind::{FaultSpec, NamedFault, ReadFile};
use crate::scenario::{Bytes, Time};

/// The damage of a mapfile.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Map {
    /// The mapfile; a relative name is looked up from the scenario's folder.
    pub file: String,
    /// Share of the bytes that are good where the map only says that a read failed.
    #[serde(default = "nine_tenths")]
    pub good_inside: f64,
    /// What lies where nobody has tried: drawn (the default) or good.
    #[serde(default)]
    pub unknown: Unknown,
    /// Whether errors may answer after many tries: parameters of the density of their chances.
    pub retry: Option<[f64; 2]>,
    /// How long a read of an error takes: from and to, or evenly spaced quantiles, such as the 21 times that 0, 5, 10 ...
    /// 100 % of the reads do not exceed; the drive's own time if not given.
    pub failure_time: Option<Vec<Time>>,
    /// What the map calls bad is slow instead, and always answers: how much later, as from and to or as quantiles.
    pub slow_time: Option<Vec<Time>>,
    /// Exponent of the lengths of runs of errors, where they are drawn; as on a real drive if not given.
    pub run_exponent: Option<f64>,
    /// Exponent of the lengths of gaps between them; as on a real drive if not given.
    pub gap_exponent: Option<f64>,
    /// Median extent of the clusters that are drawn.
    #[serde(default = "extent")]
    pub extent: Bytes,
    /// Deviation of the logarithm of that.
    #[serde(default = "extent_sigma")]
    pub extent_sigma: f64,
    #[serde(skip)]
    map: Arc<RescueMap>,
    /// How much shorter this disk is than the map's.
    #[serde(skip, default = "one")]
    ratio: f64,
}

/// What lies where a map says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// Clusters, as densely as elsewhere.
    #[default]
    Drawn,
    /// Nothing.
    Good,
}

fn nine_tenths() -> f64 {
    0.9
}

fn extent() -> Bytes {
    Clusters::default().extent
}

fn extent_sigma() -> f64 {
    Clusters::default().extent_sigma
}

fn one() -> f64 {
    1.0
}

/// Failed areas that are no further apart than this are one cluster.
const CLUSTER_GAP: u64 = 1 << 20;

impl NamedFault for Map {
    const KIND: &'static str = "map";
}

impl FaultSpec for Map {
    fn load(&mut self, folder: &Path, read: ReadFile<'_>) -> Result<Vec<u8>, String> {
        let (map, text) = loaded(&folder.join(&self.file), read)?;
        self.map = Arc::new(map);
        Ok(text)
    }

    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        if !(0.0..1.0).contains(&self.good_inside) {
            return Err("good-inside is a share of at least 0 and below 1".into());
        }
        if self.retry.is_some_and(|[a, b]| !(a > 0.0 && b > 0.0 && a < 100.0 && b < 100.0)) {
            return Err("retry holds two numbers above 0 and below 100, as in [0.30, 1.9]".into());
        }
        let is_exponent = |x: f64| x > 1.0 && x < 10.0 && x != 2.0;
        if ![self.run_exponent, self.gap_exponent].into_iter().flatten().all(is_exponent) {
            return Err("run-exponent and gap-exponent are numbers above 1 and below 10, and not 2".into());
        }
        quantiles("failure-time", self.failure_time.as_deref())?;
        quantiles("slow-time", self.slow_time.as_deref())?;
        let at_odds = [("retry", self.retry.is_some()), ("failure-time", self.failure_time.is_some())];
        if let Some((name, _)) = at_odds.iter().find(|(_, given)| *given && self.slow_time.is_some()) {
            return Err(format!("slow-time says that every read answers, and {name} that some do not"));
        }
        checks::size("extent", self.extent)?;
        checks::within("extent-sigma", self.extent_sigma, [0.0, 10.0])?;
        let end = self.map.extent().map_or(0, |extent| extent.end().bytes());
        let size = medium.shape().bytes();
        if self.ratio == 1.0 && end > size {
            return Err(format!(
                "the map {} reaches to byte {end}, but the disk has {size} bytes; give [disk] size = {end}",
                self.file
            ));
        }
        Ok(Box::new(Laying { spec: self.clone() }))
    }

    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec> {
        Box::new(Map { ratio: self.ratio * ratio, ..self.clone() })
    }
}

impl Map {
    /// The law by which errors lie, where they are drawn.
    fn clusters(&self) -> Clusters {
        Clusters {
            run_exponent: self.run_exponent,
            gap_exponent: self.gap_exponent,
            extent: self.extent,
            extent_sigma: self.extent_sigma,
            ..Clusters::default()
        }
    }
}

struct Laying {
    spec: Map,
}

impl Fault for Laying {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let spec = &self.spec;
        // Checked when the fault was built.
        let times = |times: &Option<Vec<Time>>| quantiles("", times.as_deref()).ok().flatten();
        let health = match (times(&spec.slow_time), spec.retry) {
            (Some(times), _) => Health::Late(times),
            (None, Some([a, b])) => Health::Weak { a, b },
            (None, None) => Health::Bad,
        };
        let failure = times(&spec.failure_time).map_or(FailureTime::Recovery, FailureTime::Quantiles);
        let law = opening.law(Law { failure, ..Law::new(health, "map") });
        let shape = opening.shape();
        let mut dice = opening.dice("map");
        for (from, to) in damage(spec, shape.physical, shape.bytes(), &mut dice) {
            let group = shape.lbas_per_sector();
            opening.lay(law, from * group..to * group);
        }
    }
}

/// Most quantiles of a time.
const QUANTILES_MAX: usize = 1001;

/// Evenly spaced quantiles of a time; two are the least and the most.
fn quantiles(name: &str, times: Option<&[Time]>) -> Result<Option<Arc<[Nanos]>>, String> {
    let Some(times) = times else { return Ok(None) };
    if !(2..=QUANTILES_MAX).contains(&times.len()) {
        return Err(format!(
            "{name} holds {} times; give two (from and to) or up to {QUANTILES_MAX} quantiles",
            times.len()
        ));
    }
    if !times.is_sorted() {
        return Err(format!("{name} holds times in rising order"));
    }
    Ok(Some(times.iter().map(|time| time.0).collect()))
}

/// Reads a mapfile; returns its text, too.
pub(super) fn loaded(path: &Path, read: ReadFile<'_>) -> Result<(RescueMap, Vec<u8>), String> {
    let text = read(path).map_err(|e| format!("cannot read the map {}: {e}", path.display()))?;
    let mapfile = Mapfile::parse(&text).map_err(|e| format!("{}:{}: {}", path.display(), e.line, e.fault))?;
    Ok((mapfile.map, text))
}

/// Bad physical sectors, from and to, in any order; may overlap. The disk has `size` bytes.
fn damage(spec: &Map, physical: u32, size: u64, dice: &mut Sequence) -> Vec<(u64, u64)> {
    let unit = u64::from(physical);
    let moved = |at: u64| (at as f64 * spec.ratio) as u64;
    let mut bad = Vec::new();
    let mut untried: Vec<(u64, u64)> = Vec::new();
    for block in spec.map.blocks() {
        let (start, end) = (moved(block.range.start().bytes()), moved(block.range.end().bytes()));
        let sectors = (start / unit, end.div_ceil(unit).max(start / unit + 1));
        match block.status {
            Status::Finished => {}
            Status::BadSector => bad.push(sectors),
            Status::NonTrimmed | Status::NonScraped => unresolved(sectors, unit, spec, dice, &mut bad),
            Status::NonTried => untried.push((start, end)),
        }
    }
    untried.push((moved(spec.map.extent().map_or(0, |extent| extent.end().bytes())), size));
    if spec.unknown == Unknown::Drawn {
        draw_unknown(spec, &untried, physical, dice, &mut bad);
    }
    bad
}

/// Damages what is known to hold some error: a window on endless runs and gaps, and at least one sector.
fn unresolved(sectors: (u64, u64), unit: u64, spec: &Map, dice: &mut Sequence, bad: &mut Vec<(u64, u64)>) {
    let (law, good) = (spec.clusters(), spec.good_inside);
    let (runs, gaps) = (law.run_lengths(unit), law.gap_lengths(unit));
    // Before the window, so that it may open anywhere in a run or gap.
    let mut at = sectors.0 as f64 - 2.0 * law.gap_max as f64 * (1.0 + dice.unit());
    let stretch = runs.mean() / gaps.mean() * good / (1.0 - good);
    let before = bad.len();
    while at < sectors.1 as f64 {
        let run = runs.draw(law.run_max, dice) as f64;
        let (from, to) = ((at.max(0.0) as u64).max(sectors.0), ((at + run).max(0.0) as u64).min(sectors.1));
        if from < to {
            bad.push((from, to));
        }
        at += run + stretch * gaps.draw(law.gap_max, dice) as f64;
    }
    if bad.len() == before {
        let sector = sectors.0 + dice.below(sectors.1 - sectors.0);
        bad.push((sector, sector + 1));
    }
}

/// Draws clusters where nobody has tried, as densely as they lie where somebody has.
fn draw_unknown(
    spec: &Map,
    untried: &[(u64, u64)],
    physical: u32,
    dice: &mut Sequence,
    bad: &mut Vec<(u64, u64)>,
) {
    let (mut clusters, mut known, mut last) = (0u64, 0u64, None);
    for block in spec.map.blocks().filter(|block| block.status != Status::NonTried) {
        known += block.range.length();
        if block.status != Status::Finished {
            let is_new = last.is_none_or(|end| block.range.start().bytes() - end > CLUSTER_GAP);
            clusters += u64::from(is_new);
            last = Some(block.range.end().bytes());
        }
    }
    if known == 0 || clusters == 0 {
        return;
    }
    let density = clusters as f64 / (known as f64 * spec.ratio);
    let unit = u64::from(physical);
    let law = spec.clusters();
    for (from, to) in untried.iter().copied().filter(|(from, to)| from < to) {
        for _ in 0..dice.poisson(density * (to - from) as f64) {
            let start = (from + dice.below(to - from)) / unit;
            for (run, length) in runs(&law, physical, dice) {
                // What is known is not overruled by what is drawn.
                let (first, end) = (start + run, (start + run + length).min(to / unit));
                if first < end {
                    bad.push((first, end));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Map {
        Map {
            file: "test.map".into(),
            good_inside: 0.9,
            unknown: Unknown::Drawn,
            retry: None,
            failure_time: None,
            slow_time: None,
            run_exponent: None,
            gap_exponent: None,
            extent: extent(),
            extent_sigma: extent_sigma(),
            map: Arc::new(Mapfile::parse(text.as_bytes()).unwrap().map),
            ratio: 1.0,
        }
    }

    /// Bad sectors, without overlaps.
    fn sectors(spec: &Map, physical: u32, size: u64, seed: u64) -> Vec<u64> {
        let bad = damage(spec, physical, size, &mut Sequence::new(seed, "test"));
        let mut all: Vec<u64> = bad.into_iter().flat_map(|(from, to)| from..to).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    #[test]
    fn good_is_good_and_bad_is_bad() {
        let map = spec("0x0 + 1\n0 0x1000 +\n0x1000 0x400 -\n0x1400 0xc00 +\n");
        assert_eq!(sectors(&map, 512, 0x2000, 1), [8, 9]);
        // A physical sector fails as a whole.
        assert_eq!(sectors(&map, 4096, 0x2000, 1), [1]);
    }

    #[test]
    fn of_what_only_failed_nine_tenths_are_good_and_something_is_bad() {
        for (status, physical, areas, length) in [
            ('*', 512, 200u64, 65536 * 16),
            ('/', 4096, 200, 65536 * 160),
            ('*', 512, 4000, 36864),
            ('/', 512, 9, 512),
        ] {
            let mut text = "0x0 + 1\n".to_owned();
            let mut at = 0;
            for _ in 0..areas {
                text += &format!("{at} {length} {status}\n{} {length} +\n", at + length);
                at += 2 * length;
            }
            let bad = sectors(&spec(&text), physical, at, 5);
            let unit = u64::from(physical);
            let area_of = |sector: u64| sector * unit / length;
            assert!(bad.iter().all(|sector| area_of(*sector) % 2 == 0), "nothing outside");
            let mut hit: Vec<u64> = bad.iter().map(|sector| area_of(*sector)).collect();
            hit.dedup();
            assert_eq!(hit.len() as u64, areas, "every area holds an error");
            let good = 1.0 - (bad.len() as u64 * unit) as f64 / (areas * length) as f64;
            if length > unit {
                assert!((0.87..0.93).contains(&good), "{status} areas of {length}: {good} good");
            }
        }
    }

    #[test]
    fn what_nobody_tried_has_as_many_clusters_as_the_rest() {
        let mut text = "0x0 ? 1\n".to_owned();
        let (count, step) = (100u64, 50_000_000u64 / 512 * 512);
        for index in 0..count {
            let at = index * step;
            text += &format!("{at} 512 -\n{} {} +\n", at + 512, step - 512);
        }
        let (known, size) = (count * step, 2 * count * step);
        let clusters = |map: &Map| {
            let bad = sectors(map, 512, size, 3);
            let starts = bad.iter().zip(bad.iter().skip(1)).filter(|(a, b)| (*b - *a) * 512 > CLUSTER_GAP);
            let behind = starts.filter(|(_, b)| **b * 512 >= known).count();
            assert_eq!(bad.iter().filter(|sector| **sector * 512 < known).count() as u64, count);
            behind
        };
        let map = spec(&text);
        let drawn = clusters(&map);
        assert!((70..130).contains(&drawn), "{drawn} clusters in as much room as holds {count}");
        assert_eq!(clusters(&Map { unknown: Unknown::Good, ..map }), 0);
    }
}
