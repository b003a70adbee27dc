//! A disk looked at whole, as nobody who reads it can.
//!
//! Owns where the damage of a new disk lies, of which sort it is, and how long a healthy twin would take. Must not know
//! how faults make damage, characters or colours.

use std::ops::Range;

use block::Nanos;

use crate::fault::killer::Killer;
use crate::law::{Conditions, Health, Law, LawDice, Trial};
use crate::media::{Lba, MediaModel, Row};
use crate::scenario::kind::NamedFault as _;
use crate::surface::Surface;

/// Sorts of damage, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// Answered with zeros, at once.
    Zeros,
    /// Answers, but late.
    Slow,
    /// Answers sometimes.
    Weak,
    /// Never answers.
    Bad,
}

impl Sort {
    /// All, the mildest first.
    pub const ALL: [Sort; 4] = [Sort::Zeros, Sort::Slow, Sort::Weak, Sort::Bad];

    /// The sort of what follows a law.
    pub fn of(law: &Law) -> Sort {
        match law.health {
            Health::Zeros { .. } => Sort::Zeros,
            Health::Slow { .. } | Health::Late(_) | Health::Recorded { answers: true } => Sort::Slow,
            Health::Bad | Health::Recorded { answers: false } => Sort::Bad,
            // All others depend on the attempt.
            _ => Sort::Weak,
        }
    }
}

/// Sectors of each sort, in the order of [`Sort::ALL`].
pub type Sectors = [u64; Sort::ALL.len()];

/// How much of a disk is damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Sectors of each sort.
    pub sectors: Sectors,
    /// Areas: sectors in a row of one sort.
    pub areas: [u64; Sort::ALL.len()],
    /// How long it takes to try each damaged sector once, alone: failing, lateness, and how long the system waits for a drive
    /// that hangs; without the way there. As long as the drive behaves as it does when it is new.
    pub once: Nanos,
}

/// Adds up all damage. `hang`: how long the system waits for a drive that hangs.
pub fn damage(surface: &Surface, lbas_per_sector: u64, seed: u64, now: &Conditions, hang: Nanos) -> Damage {
    let mut damage = Damage::default();
    let mut dice = LawDice::new(seed);
    let mut last: Option<(Lba, Sort)> = None;
    let mut once = 0.0;
    for stretch in surface.stretches() {
        let law = surface.law(stretch.law);
        let sort = Sort::of(law);
        let length = stretch.sectors.end - stretch.sectors.start;
        damage.sectors[sort as usize] += length;
        damage.areas[sort as usize] += u64::from(last != Some((stretch.sectors.start, sort)));
        last = Some((stretch.sectors.end, sort));
        let first = stretch.sectors.start / lbas_per_sector;
        let count = length.div_ceil(lbas_per_sector);
        // Some sectors stand for a long stretch.
        let asked = count.min(64);
        let times = (0..asked).map(|n| match law.attempt(first + n * (count / asked), 0, &mut dice, now) {
            Trial::Good(time) | Trial::Failed(time) => time.nanoseconds() as f64,
        });
        let waited = if law.origin == Killer::KIND { hang.nanoseconds() as f64 } else { 0.0 };
        once += times.sum::<f64>() * count as f64 / asked as f64 + waited * count as f64;
    }
    damage.once = Nanos::new(once as u64);
    damage
}

/// Divides the disk into `count` equal cells and counts the sectors of each sort in them. Linear in damage and cells.
pub fn cells(surface: &Surface, sectors: u64, count: usize) -> Vec<(Range<Lba>, Sectors)> {
    let border = |index: usize| (u128::from(sectors) * index as u128 / count.max(1) as u128) as Lba;
    let cell = |index: usize| {
        // A disk with fewer sectors than cells still shows each of them.
        let start = border(index).min(sectors.saturating_sub(1));
        let range = start..border(index + 1).max(start + 1);
        let mut found = Sectors::default();
        for stretch in surface.overlapping(range.clone()) {
            let part = stretch.sectors.end.min(range.end) - stretch.sectors.start.max(range.start);
            found[Sort::of(surface.law(stretch.law)) as usize] += part;
        }
        (range, found)
    };
    (0..count).map(cell).collect()
}

/// How fast a part of the disk is read in a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Speed {
    /// Which part.
    pub sectors: Range<Lba>,
    /// Bytes per second.
    pub rate: f64,
}

/// Sectors of a read of 1 MiB, and at most of a measurement: long enough to meet each head of a large disk.
const READ: u64 = 1 << 20;
const STRETCH: u64 = 2 << 30;

/// Divides the disk into `count` equal parts, and measures how fast a healthy drive reads in each of them.
pub fn speeds(medium: &mut dyn MediaModel, count: u64) -> Vec<Speed> {
    let shape = medium.shape();
    let unit = (READ / u64::from(shape.logical)).min(shape.sectors).max(1);
    let longest = STRETCH / u64::from(shape.logical);
    let mut now = Nanos::ZERO;
    let mut speeds = Vec::new();
    for index in 0..count {
        let border = |index: u64| (u128::from(shape.sectors) * u128::from(index) / u128::from(count)) as Lba;
        let part = border(index)..border(index + 1);
        if part.is_empty() {
            continue;
        }
        let unit = unit.min(part.end - part.start);
        let reads = ((part.end - part.start).min(longest) / unit).max(1);
        let middle = part.start + ((part.end - part.start) - reads * unit) / 2;
        // Going there is not reading.
        let began = medium.read(middle, 0, now, Lba::MAX);
        let row = Row { at: middle, unit, count: reads, until: Nanos::NEVER };
        let (made, done) = medium.read_row(row, began, Lba::MAX);
        let bytes = (made * unit * u64::from(shape.logical)) as f64;
        let seconds = done.since(began).nanoseconds().max(1) as f64 / 1e9;
        speeds.push(Speed { sectors: part, rate: bytes / seconds });
        now = done;
    }
    speeds
}

/// How long it takes a healthy drive to be read from one end to the other.
pub fn healthy_pass(speeds: &[Speed], logical: u32) -> Nanos {
    let seconds =
        |speed: &Speed| (speed.sectors.end - speed.sectors.start) as f64 * f64::from(logical) / speed.rate;
    Nanos::new((speeds.iter().map(seconds).sum::<f64>() * 1e9) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::rotating::{Profile, Rotating};
    use crate::surface::Stretch;

    #[test]
    fn each_cell_counts_its_own() {
        let laws = vec![
            Law::new(Health::Bad, "test"),
            Law::new(Health::Slow { from: Nanos::ZERO, to: Nanos::from_secs(2) }, "test"),
        ];
        let stretches = vec![
            Stretch { sectors: 8..24, law: 0 },
            Stretch { sectors: 24..32, law: 1 },
            Stretch { sectors: 72..80, law: 0 },
        ];
        let surface = Surface::new(laws, stretches);
        let found: Vec<_> = cells(&surface, 80, 5).into_iter().map(|(_, found)| found).collect();
        assert_eq!(found, [[0, 0, 0, 8], [0, 8, 0, 8], [0; 4], [0; 4], [0, 0, 0, 8]]);
        let now = Conditions {
            recovery: Nanos::from_secs(20),
            erc: Some(Nanos::from_secs(7)),
            ..Conditions::default()
        };
        let hang = Nanos::from_secs(180);
        let all = damage(&surface, 8, 1, &now, hang);
        assert_eq!((all.sectors, all.areas), ([0, 8, 0, 24], [0, 1, 0, 2]));
        // Three bad physical sectors at seven seconds, a slow one below two.
        assert!((21..23).contains(&(all.once.nanoseconds() / 1_000_000_000)), "{:?}", all.once);
        // Two physical sectors at which the drive hangs, too.
        let killers = vec![Law::new(Health::Bad, Killer::KIND)];
        let surface_of_killers = Surface::new(killers, vec![Stretch { sectors: 8..24, law: 0 }]);
        let once = damage(&surface_of_killers, 8, 1, &now, hang).once;
        assert!((2 * 187 - 1..=2 * 187).contains(&(once.nanoseconds() / 1_000_000_000)), "{once:?}");
        assert_eq!(cells(&surface, 80, 200).iter().filter(|(_, found)| found[3] > 0).count(), 60);
    }

    #[test]
    fn a_pass_takes_as_long_as_reading_everything() {
        let profile = Profile { bytes: 64 << 20, ..Profile::named("d35_1t").unwrap() };
        let mut disk = Rotating::new(profile, &[]);
        let speeds = speeds(&mut disk.clone(), 4);
        let estimate = healthy_pass(&speeds, 512).nanoseconds() as f64;
        let (reads, done) =
            disk.read_row(Row { at: 0, unit: 2048, count: 64, until: Nanos::NEVER }, Nanos::ZERO, Lba::MAX);
        assert_eq!(reads, 64);
        let taken = done.nanoseconds() as f64;
        assert!((estimate / taken - 1.0).abs() < 0.05, "{estimate} ns for {taken} ns");
    }
}
