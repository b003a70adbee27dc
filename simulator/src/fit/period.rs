//! Damage that comes back: the period of a head in the order of sectors.
//!
//! Owns the search for a period and the part of it that is damaged. Must not know disks.
//!
//! Where one head of H fails, damage covers one band of each H. The strength of a period P is the length of the mean
//! vector of all damage wound around a circle of circumference P (Rayleigh): 1 if all falls into one point, about
//! 1/sqrt(n) by chance.

use std::ops::Range;

/// Damage that comes back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Period {
    /// From one time to the next, in bytes.
    pub period: f64,
    /// How much of that is damaged, in bytes.
    pub arc: f64,
    /// Where the damaged part begins, in bytes from the start of a period; periods are counted from byte 0.
    pub begins: f64,
    /// Strength from 0 to 1.
    pub strength: f64,
    /// Share of the damaged part that is damaged.
    pub filled: f64,
    /// Whether heads take turns in rising and falling order, so that gaps are long and short by turns.
    pub alternates: bool,
}

impl Period {
    /// Heads that take turns.
    pub fn heads(&self) -> u64 {
        (self.period / self.arc + 0.5) as u64
    }

    /// Bytes of some ranges that lie in damaged parts, as far as they lie in a window.
    pub fn inside<'a>(&self, ranges: impl Iterator<Item = &'a Range<u64>>, window: &Range<u64>) -> f64 {
        let before = |at: u64| {
            let (place, turns) = (at as f64 - self.begins, (at as f64 - self.begins) / self.period);
            let whole = libm::floor(turns);
            whole * self.arc + (place - whole * self.period).min(self.arc)
        };
        let cut = |range: &Range<u64>| range.start.max(window.start)..range.end.min(window.end);
        ranges
            .map(cut)
            .filter(|range| range.start < range.end)
            .map(|r| before(r.end) - before(r.start))
            .fold(0.0, |a, b| a + b)
    }

    /// The inner part of the damaged one: where it ends is not known to the byte.
    pub fn core(&self) -> Period {
        Period { begins: self.begins + 0.1 * self.arc, arc: 0.8 * self.arc, ..*self }
    }
}

/// Shortest period that is looked for, in bytes.
const SHORTEST: f64 = 4e6;
/// Longest one.
const LONGEST: f64 = 20e9;
/// Step from one period to the next, as a share of it.
const STEP: f64 = 0.0005;
/// Errors nearer than this belong together.
const JOIN: u64 = 1 << 20;
/// Clusters that are wound around the circle at most.
const CLUSTERS: usize = 1024;
/// Bins of one period when damage is laid over each other: as many as there is damage for, from and to.
const BINS: std::ops::RangeInclusive<usize> = 64..=4096;

/// A stretch with damage: where, and how many bytes of it are damaged.
struct Cluster {
    centre: f64,
    length: f64,
    weight: f64,
}

/// Looks for the period of the damage in a window of bytes. `bad` is disjoint and rising. The window lies inside one
/// zone (there sectors per track, and so the period, stay the same), and is at most about 100 GB. `None`: none is
/// stronger than chance can make it.
pub fn find(bad: &[Range<u64>], window: Range<u64>) -> Option<Period> {
    let cut = |range: &Range<u64>| range.start.max(window.start)..range.end.min(window.end);
    let bad: Vec<Range<u64>> = bad.iter().map(cut).filter(|range| !range.is_empty()).collect();
    let clusters = join(&bad);
    let width = (window.end - window.start) as f64;
    // Three times make a period; and a short one is lost in a long window, whose edges turn too fast.
    let (shortest, longest) = (SHORTEST.max(width / 2000.0), LONGEST.min(width / 3.0));
    if clusters.len() < 3 || shortest >= longest {
        return None;
    }
    let (mut best, mut tried) = ((0.0, 0.0), 0u32);
    let mut period = shortest;
    while period <= longest {
        let found = strength(&clusters, period);
        if found > best.1 {
            best = (period, found);
        }
        tried += 1;
        // A quarter of a turn over the whole window at most.
        period *= 1.0 + STEP.min(0.25 * period / width);
    }
    // So strong is the strongest of so many by chance alone.
    let weight: f64 = clusters.iter().map(|cluster| cluster.weight).sum();
    let squares: f64 = clusters.iter().map(|cluster| cluster.weight * cluster.weight).sum();
    let independent = weight * weight / squares;
    let chance = libm::sqrt(libm::log(f64::from(tried)) / independent);
    if best.1 <= 1.5 * chance {
        return None;
    }
    let period = refine(&clusters, best.0);
    let bad = solid(bad, period);
    let (once, arc) = arc(&bad, &window, period, 1)?;
    if arc.filled < FULL
        && let Some((twice, arcs)) = self::arc(&bad, &window, 2.0 * period, 2)
        && arcs.filled >= FULL
    {
        // Two bands in turn had looked like one of both, half full.
        return Some(arcs.period(twice / 2.0, best.1, true));
    }
    Some(arc.period(once, best.1, false))
}

/// The period near `period` that lays the damage over itself best, and the damaged part of it, or the mean of its
/// `parts` parts. `None` if that is more than half of the time between them: whatever comes back then, it is not one
/// head of several.
fn arc(bad: &[Range<u64>], window: &Range<u64>, period: f64, parts: usize) -> Option<(f64, Arc)> {
    let mut bins = *BINS.end();
    loop {
        let period = sharpen(bad, window, period, bins);
        let (arc, held) = fold(bad, window, period, bins).arc(parts)?;
        // Thin damage has holes in fine bins.
        if held >= 0.9 || bins <= *BINS.start() {
            return (arc.length <= period / parts as f64 / 2.0).then_some((period, arc));
        }
        bins /= 2;
    }
}

/// From this share of damage on an arc is all damaged, but for what its drive read all the same.
const FULL: f64 = 0.75;

/// Joins what belongs together.
fn join(bad: &[Range<u64>]) -> Vec<Cluster> {
    let mut distance = JOIN;
    loop {
        let mut joined: Vec<(Range<u64>, u64)> = Vec::new();
        for range in bad {
            let bytes = range.end - range.start;
            match joined.last_mut() {
                Some((last, weight)) if range.start - last.end < distance => {
                    last.end = range.end;
                    *weight += bytes;
                }
                _ => joined.push((range.clone(), bytes)),
            }
        }
        if joined.len() <= CLUSTERS {
            let cluster = |(range, weight): (Range<u64>, u64)| Cluster {
                centre: (range.start as f64 + range.end as f64) / 2.0,
                length: (range.end - range.start) as f64,
                weight: weight as f64,
            };
            return joined.into_iter().map(cluster).collect();
        }
        distance *= 2;
    }
}

/// Joins what lies as near to each other as most of it does: how much of a part is damaged differs from place to place,
/// and says nothing of where it ends.
fn solid(bad: Vec<Range<u64>>, period: f64) -> Vec<Range<u64>> {
    let mut gaps: Vec<u64> = bad.windows(2).map(|two| two[1].start - two[0].end).collect();
    gaps.sort_unstable();
    let middle = gaps.get(gaps.len() / 2).copied().unwrap_or(0);
    let near = (4 * middle).min((period / 16.0) as u64);
    // With how many gaps were closed, and their bytes.
    let mut joined: Vec<(Range<u64>, u64, u64)> = Vec::new();
    for range in bad {
        match joined.last_mut() {
            Some((last, count, bytes)) if range.start - last.end <= near => {
                (*count, *bytes) = (*count + 1, *bytes + range.start - last.end);
                last.end = range.end;
            }
            _ => joined.push((range, 0, 0)),
        }
    }
    // Before the first of it and behind the last one there is as much room as between them.
    let mut wide: Vec<Range<u64>> = Vec::new();
    for (range, count, bytes) in joined {
        let room = bytes.checked_div(count).unwrap_or(0);
        let start = range.start.saturating_sub(room).max(wide.last().map_or(0, |last| last.end));
        wide.push(start..range.end + room);
    }
    for index in 1..wide.len() {
        let next = wide[index].start;
        wide[index - 1].end = wide[index - 1].end.min(next.max(wide[index - 1].start));
    }
    wide
}

/// Length of the mean vector of damage wound around a circle.
fn strength(clusters: &[Cluster], period: f64) -> f64 {
    use std::f64::consts::PI;
    let (mut x, mut y, mut total) = (0.0, 0.0, 0.0);
    for cluster in clusters {
        // The mean vector of a stretch is that of its centre, shortened.
        let half = PI * cluster.length / period;
        let share = if half < 1e-6 { 1.0 } else { libm::sin(half) / half };
        let turns = cluster.centre / period;
        let angle = 2.0 * PI * (turns - libm::floor(turns));
        x += cluster.weight * share * libm::cos(angle);
        y += cluster.weight * share * libm::sin(angle);
        total += cluster.weight;
    }
    libm::sqrt(x * x + y * y) / total
}

/// The strongest period near one.
fn refine(clusters: &[Cluster], near: f64) -> f64 {
    highest(near * (1.0 - STEP), near * (1.0 + STEP), |period| strength(clusters, period))
}

/// The period near one at which damage falls onto damage most often: the strongest one is a little wrong where two
/// bands in turn come back.
fn sharpen(bad: &[Range<u64>], window: &Range<u64>, near: f64, bins: usize) -> f64 {
    // A twentieth of a turn over the whole window.
    let reach = 0.05 * near / (window.end - window.start) as f64;
    highest(near * (1.0 - reach), near * (1.0 + reach), |period| fold(bad, window, period, bins).contrast())
}

/// Where a function of one hill is highest (golden section).
fn highest(mut low: f64, mut high: f64, value: impl Fn(f64) -> f64) -> f64 {
    let ratio = (libm::sqrt(5.0) - 1.0) / 2.0;
    for _ in 0..30 {
        let (left, right) = (high - ratio * (high - low), low + ratio * (high - low));
        if value(left) < value(right) {
            low = left;
        } else {
            high = right;
        }
    }
    (low + high) / 2.0
}

/// Which share of each place in a period is damaged, all periods of a window laid over each other.
struct Folded {
    shares: Vec<f64>,
    period: f64,
}

fn fold(bad: &[Range<u64>], window: &Range<u64>, period: f64, bins: usize) -> Folded {
    let damaged = wind(bad.iter(), period, bins);
    let looked_at = wind(std::iter::once(window), period, bins);
    let share = |(bad, all): (f64, f64)| if all > 0.0 { bad / all } else { 0.0 };
    Folded { shares: damaged.into_iter().zip(looked_at).map(share).collect(), period }
}

/// Bytes of some ranges in each bin of a period.
fn wind<'a>(ranges: impl Iterator<Item = &'a Range<u64>>, period: f64, bins: usize) -> Vec<f64> {
    let bin = period / bins as f64;
    let mut bytes = vec![0.0; bins];
    for range in ranges {
        let (mut at, mut left) = (range.start as f64, (range.end - range.start) as f64);
        let turns = libm::floor(left / period);
        if turns > 0.0 {
            bytes.iter_mut().for_each(|bytes| *bytes += turns * bin);
            left -= turns * period;
        }
        while left > 0.0 {
            let inside = at - libm::floor(at / period) * period;
            let index = ((inside / bin) as usize).min(bins - 1);
            let step = ((index + 1) as f64 * bin - inside).max(bin * 1e-6).min(left);
            bytes[index] += step;
            at += step;
            left -= step;
        }
    }
    bytes
}

/// The damaged part of a period.
struct Arc {
    begins: f64,
    length: f64,
    /// Which share of it is damaged.
    filled: f64,
}

impl Arc {
    fn period(&self, period: f64, strength: f64, alternates: bool) -> Period {
        Period { period, arc: self.length, begins: self.begins, strength, filled: self.filled, alternates }
    }
}

impl Folded {
    /// How much damage falls onto damage.
    fn contrast(&self) -> f64 {
        self.shares.iter().map(|share| share * share).sum()
    }

    /// The mean of the largest `parts` damaged parts, and which share of all damage they hold. `None` if there is no
    /// end to the damage.
    fn arc(&self, parts: usize) -> Option<(Arc, f64)> {
        let bins = self.shares.len();
        let total: f64 = self.shares.iter().sum();
        // As a damaged place sees it, half of the others are worse: no single peak decides.
        let level = self.contrast() / total;
        let is_bad = |index: usize| self.shares[index % bins] > level / 2.0;
        let good = (0..bins).find(|index| !is_bad(*index))?;
        // Runs of bad bins, begun behind a good one so that none is cut.
        let mut runs: Vec<Range<usize>> = Vec::new();
        for index in good..good + bins {
            match runs.last_mut() {
                _ if !is_bad(index) => {}
                Some(run) if run.end == index => run.end += 1,
                _ => runs.push(index..index + 1),
            }
        }
        let mut arcs: Vec<Arc> = runs.into_iter().map(|run| self.measure(run)).collect();
        arcs.sort_by(|a, b| (b.length * b.filled).total_cmp(&(a.length * a.filled)));
        arcs.truncate(parts);
        let count = arcs.len() as f64;
        let bin = self.period / bins as f64;
        let held = arcs.iter().map(|arc| arc.length * arc.filled).sum::<f64>() / (total * bin);
        let length = arcs.iter().map(|arc| arc.length).sum::<f64>() / count;
        let filled = arcs.iter().map(|arc| arc.filled).sum::<f64>() / count;
        Some((Arc { begins: arcs.first()?.begins, length, filled }, held))
    }

    /// A run of bad bins, its ends found within a bin by how full they are.
    fn measure(&self, run: Range<usize>) -> Arc {
        let bins = self.shares.len();
        let bin = self.period / bins as f64;
        let share = |index: usize| self.shares[index % bins];
        let inner = (run.end - run.start) / 10;
        let core = run.start + inner..run.end - inner;
        let filled = core.clone().map(share).sum::<f64>() / core.len() as f64;
        // Bins at the ends that are damaged in part count in part, on either side of the limit.
        let all: f64 = (run.start + bins - 2..run.end + bins + 2).map(share).sum();
        let length = all / filled;
        let missing = (run.end - run.start) as f64 - length;
        let begins = (run.start as f64 + missing / 2.0) * bin;
        let turns = libm::floor(begins / self.period);
        Arc { begins: begins - turns * self.period, length: length * bin, filled }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Sequence;
    use crate::scenario::Scenario;

    /// Bytes of the bands of head 3 of a disk, all of whose damage is that of this head.
    fn dead_head(disk: &str) -> Vec<Range<u64>> {
        let text = format!(
            "description = \"t\"\n[disk]\nmedium = \"hard-disk\"\nprofile = \"d35_4t\"\n{disk}\n[[fault]]\nkind = \"dead-head\"\nhead = 3\n"
        );
        let disk = Scenario::parse("test", "test.toml", &text).unwrap().disk(1).unwrap();
        let bytes = |range: &Range<u64>| range.start * 512..range.end * 512;
        disk.drive().surface.stretches().iter().map(|stretch| bytes(&stretch.sectors)).collect()
    }

    fn close(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 0.005, "{found} for {expected}");
    }

    #[test]
    fn a_dead_head_has_the_period_of_all_heads_and_the_arc_of_its_own() {
        let bad = dead_head("");
        // Zones are 200 GB.
        for window in [10_000_000_000..90_000_000_000, 1_850_000_000_000..1_930_000_000_000] {
            let found = find(&bad, window.clone()).expect("a period");
            let inside: Vec<&Range<u64>> = bad
                .iter()
                .filter(|range| window.contains(&range.start) && window.contains(&range.end))
                .collect();
            let periods = inside.windows(2).map(|pair| (pair[1].start - pair[0].start) as f64);
            close(found.period, periods.sum::<f64>() / (inside.len() - 1) as f64);
            close(
                found.arc,
                inside.iter().map(|range| (range.end - range.start) as f64).sum::<f64>()
                    / inside.len() as f64,
            );
            assert_eq!(found.heads(), 8);
            assert!(found.strength > 0.95 && !found.alternates, "{found:?}");
            let into = (inside[5].start as f64 - found.begins) / found.period;
            assert!((into - libm::round(into)).abs() < 0.005, "{found:?}");
        }
    }

    #[test]
    fn heads_that_go_up_and_down_in_turn_are_told_apart_all_the_same() {
        let bad = dead_head("layout = \"band-alternate\"\nhead-density = 0.0");
        let found = find(&bad, 10_000_000_000..90_000_000_000).expect("a period");
        let arc = (bad[100].end - bad[100].start) as f64;
        close(found.arc, arc);
        close(found.period, 8.0 * arc);
        assert!(found.alternates, "{found:?}");
        assert_eq!(found.heads(), 8);
    }

    #[test]
    fn a_weak_head_that_was_read_in_part_is_found_too() {
        // Of each band one piece of 64 KiB in 50 failed.
        let mut dice = Sequence::new(1, "weak");
        let mut bad = Vec::new();
        for band in dead_head("") {
            for at in (band.start..band.end.min(50_000_000_000)).step_by(65536) {
                if dice.chance(0.02) {
                    bad.push(at..at + 65536);
                }
            }
        }
        let found = find(&bad, 10_000_000_000..45_000_000_000).expect("a period");
        assert_eq!(found.heads(), 8, "{found:?}");
        assert!((found.period / found.arc - 8.0).abs() < 0.3, "{found:?}");
    }

    #[test]
    fn damaged_parts_are_counted_to_the_byte() {
        let period =
            Period { period: 100.0, arc: 30.0, begins: 50.0, strength: 1.0, filled: 1.0, alternates: false };
        let window = 0..1000;
        let naive = |range: &Range<u64>| range.clone().filter(|at| (50..80).contains(&(at % 100))).count();
        for range in [0..1000, 55..60, 70..270, 0..10, 990..1000, 49..51] {
            assert_eq!(period.inside([&range].into_iter(), &window), naive(&range) as f64, "{range:?}");
        }
        assert_eq!(period.inside([&(0..1000)].into_iter(), &(60..160)), 30.0);
    }

    #[test]
    fn chance_has_no_period() {
        for seed in 0..8 {
            let mut dice = Sequence::new(seed, "chance");
            let mut starts: Vec<u64> = (0..100).map(|_| dice.below(80_000) * 1_000_000).collect();
            starts.sort_unstable();
            starts.dedup();
            let bad: Vec<Range<u64>> = starts.iter().map(|start| *start..start + 100_000).collect();
            assert_eq!(find(&bad, 0..80_000_000_000), None, "seed {seed}");
        }
        assert_eq!(find(&[], 0..80_000_000_000), None);
    }
}
