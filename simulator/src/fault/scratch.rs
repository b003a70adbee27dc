//! Scratches: damage that lies on a surface where something touched it.
//!
//! Owns the shapes of physical damage in radius and angle. Must not know in which order sectors lie on the tracks.
//!
//! Values: a line from rim to hub hits nearly every track of one surface (maps of a scratched drive show 81 % of the
//! distances at one turn less its skew, and most others at one turn more); other drives show every fifth track hit.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Opening, checks};
use crate::dice::{self, Chance, Sequence};
use crate::law::{Health, Law};
use crate::media::{MediaModel, Track};
use crate::scenario::kind::{FaultSpec, NamedFault};
use crate::scenario::{Bytes, Time};

/// A scratch on one surface, or on both of a platter.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scratch {
    /// Its shape.
    pub shape: ScratchShape,
    /// The head that flies over it, from 0.
    pub head: u16,
    /// Whether the other side of the platter has one too, at the same place.
    #[serde(default)]
    pub both_sides: bool,
    /// From which track to which, as shares of the way of the arm; 0 is the outer edge.
    #[serde(default = "everywhere")]
    pub cylinders: [f64; 2],
    /// Arcs and radial lines: where on its first track it begins, in turns from 0 to 1. Drawn if not given.
    pub angle: Option<f64>,
    /// Arcs: which part of each turn is covered (0.05 if not given).
    pub arc: Option<f64>,
    /// Radial lines: turns between the first track and the last (0.1 if not given); negative ones lean the other way.
    pub drift: Option<f64>,
    /// Radial lines: deviation in turns from one track to the next (0.0001 if not given).
    pub wobble: Option<f64>,
    /// Radial lines: probability that a track is hit (0.95 if not given).
    pub hit: Option<f64>,
    /// Particles: how many on the average, drawn from a Poisson law (100 if not given).
    pub count: Option<f64>,
    /// Particles: how many neighbouring tracks one covers, at least and at most ([1, 200] if not given). Radial lines: how
    /// many tracks one crosses before it breaks off (all if not given).
    pub tracks: Option<[u32; 2]>,
    /// Radial lines that break off: how many tracks they leave out then, at least and at most.
    pub breaks: Option<[u32; 2]>,
    /// Radial lines and particles: median of the bytes hit on one track (16 KiB if not given).
    pub width: Option<Bytes>,
    /// Radial lines and particles: deviation of the logarithm of the width (0.7 if not given).
    pub width_sigma: Option<f64>,
    /// Whether sectors may answer after many tries: parameters of the density of their chances.
    pub retry: Option<[f64; 2]>,
    /// How long a read of a hit sector takes, from and to; the drive's own time if not given.
    pub failure_time: Option<[Time; 2]>,
}

fn everywhere() -> [f64; 2] {
    [0.0, 1.0]
}

/// Shapes of scratches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScratchShape {
    /// Along the tracks: the same part of each turn on all of them.
    Arc,
    /// Across the tracks: one spot on nearly each of them.
    Radial,
    /// All around, as a head leaves that crashed.
    Ring,
    /// Dust: spots on the surface that cover some tracks each.
    Particles,
}

impl NamedFault for Scratch {
    const KIND: &'static str = "scratch";
}

impl Scratch {
    /// A key that says nothing about this shape.
    fn misplaced(&self) -> Option<(&'static str, &'static str)> {
        use ScratchShape::{Arc, Particles, Radial};
        let keys: [(&str, bool, &[ScratchShape], &str); 10] = [
            ("angle", self.angle.is_some(), &[Arc, Radial], "arc and radial"),
            ("arc", self.arc.is_some(), &[Arc], "arc"),
            ("drift", self.drift.is_some(), &[Radial], "radial"),
            ("wobble", self.wobble.is_some(), &[Radial], "radial"),
            ("hit", self.hit.is_some(), &[Radial], "radial"),
            ("count", self.count.is_some(), &[Particles], "particles"),
            ("tracks", self.tracks.is_some(), &[Radial, Particles], "radial and particles"),
            ("breaks", self.breaks.is_some(), &[Radial], "radial"),
            ("width", self.width.is_some(), &[Radial, Particles], "radial and particles"),
            ("width-sigma", self.width_sigma.is_some(), &[Radial, Particles], "radial and particles"),
        ];
        let wrong =
            keys.into_iter().find(|(_, is_given, shapes, _)| *is_given && !shapes.contains(&self.shape));
        wrong.map(|(name, _, _, owners)| (name, owners))
    }
}

impl FaultSpec for Scratch {
    fn build(&self, medium: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        if let Some((name, owners)) = self.misplaced() {
            return Err(format!("{name} says nothing about this shape; it is for shape {owners}"));
        }
        checks::head(self.head, medium)?;
        if self.both_sides && checks::head(self.head ^ 1, medium).is_err() {
            return Err(format!(
                "head {} has no head on the other side of its platter: {} would be that, and this disk has heads 0 to {}",
                self.head,
                self.head ^ 1,
                medium.shape().heads - 1
            ));
        }
        checks::shares("cylinders", "the way of the arm", self.cylinders)?;
        for (name, share) in [("angle", self.angle), ("arc", self.arc), ("hit", self.hit)] {
            share.map_or(Ok(()), |share| checks::share(name, share))?;
        }
        self.count.map_or(Ok(()), |count| checks::count("count", count))?;
        for (name, number) in
            [("drift", self.drift), ("wobble", self.wobble), ("width-sigma", self.width_sigma)]
        {
            if number.is_some_and(|number| !(-10.0..=10.0).contains(&number)) {
                return Err(format!("{name} is beyond 10"));
            }
        }
        for (name, tracks) in [("tracks", self.tracks), ("breaks", self.breaks)] {
            if tracks.is_some_and(|[from, to]| from == 0 || from > to || to > 100_000) {
                return Err(format!("{name} holds the fewest and the most, up to 100000, as in [1, 200]"));
            }
        }
        if self.shape == ScratchShape::Radial && self.tracks.is_some() != self.breaks.is_some() {
            return Err("a line that breaks off has both tracks and breaks".into());
        }
        if self.width.is_some_and(|width| width.0 == 0 || width.0 > 1 << 30) {
            return Err("width is a size from 1 B to 1 GiB".into());
        }
        self.retry.map_or(Ok(()), |retry| checks::odds("retry", retry))?;
        self.failure_time.map_or(Ok(()), |times| checks::times("failure-time", times))?;
        Ok(Box::new(Laying { spec: self.clone() }))
    }

    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec> {
        // Radius and angle are shares and stay. Tracks of a small disk are shorter and fewer.
        let scale = libm::sqrt(ratio).max(1.0 / 24.0);
        let is_spotted = matches!(self.shape, ScratchShape::Radial | ScratchShape::Particles);
        let width = is_spotted.then(|| Bytes(((self.width().0 as f64 * scale) as u64).max(512)));
        let is_dust = self.shape == ScratchShape::Particles;
        let fewer = |tracks: [u32; 2]| tracks.map(|tracks| ((f64::from(tracks) * scale) as u32).max(1));
        let count = self.count();
        Box::new(Scratch {
            width,
            count: is_dust.then(|| (count * scale).max(count.min(5.0))),
            tracks: self.tracks.or(is_dust.then_some(PARTICLE)).map(fewer),
            breaks: self.breaks.map(fewer),
            ..self.clone()
        })
    }
}

impl Scratch {
    fn width(&self) -> Bytes {
        self.width.unwrap_or(Bytes(16 << 10))
    }

    fn count(&self) -> f64 {
        self.count.unwrap_or(100.0)
    }
}

struct Laying {
    spec: Scratch,
}

impl Fault for Laying {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let spec = &self.spec;
        let health = spec.retry.map_or(Health::Bad, |[a, b]| Health::Weak { a, b });
        let law = opening.law(Law {
            failure: checks::failure(spec.failure_time),
            // Loose material and a torn surface are hard on heads.
            gravity: 5.0,
            ..Law::new(health, "scratch")
        });
        let angle = spec.angle.unwrap_or_else(|| opening.dice("scratch angle").unit());
        for side in 0..=u16::from(spec.both_sides) {
            let head = spec.head ^ side;
            let dice = opening.dice(&format!("scratch side {side}"));
            match spec.shape {
                ScratchShape::Arc => spec.lay_arc(opening, law, head, angle),
                ScratchShape::Radial => spec.lay_line(opening, law, head, angle, dice),
                ScratchShape::Ring => spec.lay_ring(opening, law, head),
                ScratchShape::Particles => spec.lay_particles(opening, law, head, dice),
            }
        }
    }
}

impl Scratch {
    fn lay_arc(&self, opening: &mut Opening<'_>, law: usize, head: u16, angle: f64) {
        let arc = self.arc.unwrap_or(0.05);
        for track in opening.medium.tracks(head, checks::cylinders(self.cylinders, opening.medium)) {
            let sectors = (arc * track.sectors as f64) as u64;
            lay_spot(opening, law, &track, angle, sectors.max(1));
        }
    }

    fn lay_ring(&self, opening: &mut Opening<'_>, law: usize, head: u16) {
        for track in opening.medium.tracks(head, checks::cylinders(self.cylinders, opening.medium)) {
            opening.lay(law, track.first..track.first + track.sectors);
        }
    }

    fn lay_line(&self, opening: &mut Opening<'_>, law: usize, head: u16, mut angle: f64, mut dice: Sequence) {
        let mut pieces =
            Pieces::new(self.tracks.zip(self.breaks), opening.dice(&format!("scratch pieces {head}")));
        let tracks = opening.medium.tracks(head, checks::cylinders(self.cylinders, opening.medium));
        let slope = self.drift.unwrap_or(0.1) / tracks.len().max(1) as f64;
        let wobble = self.wobble.unwrap_or(0.0001);
        let hit = Chance::of(self.hit.unwrap_or(0.95));
        let logical = opening.shape().logical;
        let mut spots: Vec<(&Track, f64, u64)> = Vec::with_capacity(tracks.len());
        // The line runs inwards all the way; sectors run outwards in some bands.
        for band in tracks.chunk_by(|track, next| next.cylinder < track.cylinder) {
            let first = spots.len();
            for track in band.iter().rev() {
                let roll = dice.draw();
                // A walk of equal steps is over some tracks a walk of normal ones.
                let step = if roll & 1 == 0 { wobble } else { -wobble };
                angle += slope + step;
                if pieces.touches() && hit.hits(dice::mix(roll)) {
                    spots.push((track, angle, self.spot_width(roll, logical)));
                }
            }
            // Damage is laid faster in the order of sectors.
            spots[first..].reverse();
        }
        for (track, angle, sectors) in spots {
            lay_spot(opening, law, track, angle, sectors);
        }
    }

    fn lay_particles(&self, opening: &mut Opening<'_>, law: usize, head: u16, mut dice: Sequence) {
        let cylinders = checks::cylinders(self.cylinders, opening.medium);
        let (first, count) = (cylinders.start, u64::from(cylinders.end - cylinders.start));
        let covered = self.tracks.unwrap_or(PARTICLE);
        let logical = opening.shape().logical;
        let length = |cylinder: u32| {
            opening.medium.tracks(head, cylinder..cylinder + 1).first().map_or(0, |track| track.sectors)
        };
        let longest = length(first).max(1);
        let particles = dice.poisson(self.count());
        for _ in 0..particles {
            let (mut cylinder, angle) = (first + dice.below(count) as u32, dice.unit());
            // Outer tracks are longer: more dust falls on them.
            for _ in 0..100 {
                if dice.below(longest) < length(cylinder) {
                    break;
                }
                cylinder = first + dice.below(count) as u32;
            }
            let tracks = tracks_between(covered, &mut dice);
            let width = self.spot_width(dice.draw(), logical);
            let end = cylinder.saturating_add(tracks).min(cylinders.end);
            for track in opening.medium.tracks(head, cylinder..end) {
                lay_spot(opening, law, &track, angle, width);
            }
        }
    }

    /// Sectors hit on one track.
    fn spot_width(&self, roll: u64, logical: u32) -> u64 {
        let sigma = self.width_sigma.unwrap_or(0.7);
        let bytes = self.width().0 as f64 * libm::exp(sigma * dice::normal(roll));
        (bytes as u64).div_ceil(u64::from(logical)).max(1)
    }
}

/// Tracks of a particle, at least and at most.
const PARTICLE: [u32; 2] = [1, 200];

/// A number of tracks; small ones are as many as large ones in each octave.
fn tracks_between([fewest, most]: [u32; 2], dice: &mut Sequence) -> u32 {
    let (fewest, most) = (f64::from(fewest), f64::from(most));
    (fewest * libm::pow((most + 1.0) / fewest, dice.unit())) as u32
}

/// Where a line touches the surface on its way over the tracks.
struct Pieces {
    /// How long the pieces are and how long the breaks between them; `None` for a line in one piece.
    lengths: Option<([u32; 2], [u32; 2])>,
    dice: Sequence,
    /// Tracks that are left of the piece and of the break behind it.
    left: (u32, u32),
}

impl Pieces {
    fn new(lengths: Option<([u32; 2], [u32; 2])>, mut dice: Sequence) -> Pieces {
        // It begins somewhere in a break.
        let first = lengths.map_or(0, |(_, breaks)| tracks_between(breaks, &mut dice));
        let left = (0, dice.below(u64::from(first) + 1) as u32);
        Pieces { lengths, dice, left }
    }

    /// Goes on to the next track.
    fn touches(&mut self) -> bool {
        let Some((tracks, breaks)) = self.lengths else { return true };
        if self.left == (0, 0) {
            self.left = (tracks_between(tracks, &mut self.dice), tracks_between(breaks, &mut self.dice));
        }
        let (piece, gap) = &mut self.left;
        match piece.checked_sub(1) {
            Some(less) => *piece = less,
            None => {
                *gap -= 1;
                return false;
            }
        }
        true
    }
}

/// Lays damage on one track: so many sectors from an angle on, across the place where the track begins if need be.
fn lay_spot(opening: &mut Opening<'_>, law: usize, track: &Track, angle: f64, sectors: u64) {
    let turned = angle - track.angle;
    let start = ((turned - libm::floor(turned)) * track.sectors as f64) as u64;
    let (start, sectors) = (start.min(track.sectors - 1), sectors.min(track.sectors));
    let end = (start + sectors).min(track.sectors);
    let wrapped = (start + sectors).saturating_sub(track.sectors);
    if wrapped > 0 {
        opening.lay(law, track.first..track.first + wrapped);
    }
    opening.lay(law, track.first + start..track.first + end);
}

#[cfg(test)]
mod tests {
    use crate::scenario::Scenario;

    fn scenario(disk: &str, scratch: &str) -> Scenario {
        let text = format!(
            "description = \"t\"\n[disk]\nmedium = \"hard-disk\"\nhead-density = 0.0\n{disk}\n[[fault]]\nkind = \"scratch\"\n{scratch}\n"
        );
        Scenario::parse("test", "test.toml", &text).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Shares of the distances from one start of damage to the next, in turns, that are near each of `modes`.
    fn shares(scenario: &Scenario, modes: [f64; 2]) -> [f64; 2] {
        let disk = scenario.disk(1).unwrap();
        let (medium, stretches) = (&disk.drive().medium, disk.drive().surface.stretches());
        let (mut counts, mut all) = ([0, 0], 0);
        for pair in stretches.windows(2) {
            let [from, to] = [pair[0].sectors.start, pair[1].sectors.start];
            let place = medium.place(from);
            let turn = medium.tracks(place.head, place.cylinder..place.cylinder + 1)[0].sectors as f64;
            let distance = (to - from) as f64 / turn;
            // From one band of this head to the next it is far.
            if distance > 50.0 {
                continue;
            }
            all += 1;
            for (count, mode) in counts.iter_mut().zip(modes) {
                *count += u32::from((distance / mode - 1.0).abs() < 0.012);
            }
        }
        assert!(all > 10_000, "{all} distances");
        counts.map(|count| f64::from(count) / f64::from(all))
    }

    fn close(found: [f64; 2], expected: [f64; 2]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 0.03, "{found} for {expected}");
        }
    }

    const LINE: &str = "shape = \"radial\"\nhead = 1\ncylinders = [0.2, 0.6]\nhit = 0.9\nwidth = \"4 KiB\"\nwidth-sigma = 0.0";

    #[test]
    fn a_radial_line_comes_back_after_a_turn_less_the_skew_and_sometimes_a_turn_later() {
        let (skew, hit) = (0.17, 0.9);
        let found = shares(&scenario("profile = \"d25_500\"", LINE), [1.0 - skew, 2.0 - skew]);
        close(found, [hit * (1.0 - skew), hit * skew]);
    }

    #[test]
    fn where_all_heads_take_turns_on_each_cylinder_it_comes_back_after_all_of_them() {
        let (heads, hit) = (2.0, 0.9);
        // Both tracks of a cylinder begin one skew later than the one before.
        let skew = 2.0 * 0.22;
        let found = shares(&scenario("profile = \"pata40\"", LINE), [heads - skew, heads + 1.0 - skew]);
        close(found, [hit * (1.0 - skew), hit * skew]);
    }

    /// Bytes damaged under each head, as shares of all that the head serves.
    fn damaged(scenario: &Scenario) -> Vec<f64> {
        let disk = scenario.disk(1).unwrap();
        let (medium, surface) = (&disk.drive().medium, &disk.drive().surface);
        let share = |head| {
            let all = medium.sectors_of(head);
            let total: u64 = all.iter().map(|range| range.end - range.start).sum();
            let length = |range: &std::ops::Range<u64>| {
                let cut = |s: &crate::surface::Stretch| {
                    s.sectors.end.min(range.end) - s.sectors.start.max(range.start)
                };
                surface.overlapping(range.clone()).iter().map(cut).sum::<u64>()
            };
            all.iter().map(length).sum::<u64>() as f64 / total as f64
        };
        (0..medium.shape().heads).map(share).collect()
    }

    const SMALL: &str = "profile = \"d35_1t\"\nsize = \"256 MiB\"\nheads = 4\nzones = 1\nsectors-per-track = [512, 512]\nband = \"4 MiB\"";

    #[test]
    fn a_ring_takes_whole_tracks_and_an_arc_its_part_of_them() {
        let ring = damaged(&scenario(SMALL, "shape = \"ring\"\nhead = 2\ncylinders = [0.25, 0.5]"));
        assert!((ring[2] - 0.25).abs() < 0.01, "{ring:?}");
        assert_eq!([ring[0], ring[1], ring[3]], [0.0; 3]);
        let arc =
            "shape = \"arc\"\nhead = 2\ncylinders = [0.25, 0.5]\narc = 0.25\nangle = 0.9\nboth-sides = true";
        let arc = damaged(&scenario(SMALL, arc));
        // Whole physical sectors, so a little more than the arc.
        assert!((arc[2] - 0.25 * 0.25).abs() < 0.006, "{arc:?}");
        assert!((arc[3] - arc[2]).abs() < 0.002, "{arc:?}");
        assert_eq!([arc[0], arc[1]], [0.0; 2]);
    }

    #[test]
    fn a_particle_lies_at_one_angle_on_tracks_side_by_side() {
        let spec = "shape = \"particles\"\nhead = 0\ncount = 40.0\ntracks = [3, 30]\nwidth = \"8 KiB\"\nwidth-sigma = 0.0";
        let scenario = scenario(SMALL, spec);
        let disk = scenario.disk(1).unwrap();
        let medium = &disk.drive().medium;
        let mut spots: Vec<(u32, f64)> = Vec::new();
        for stretch in disk.drive().surface.stretches() {
            let place = medium.place(stretch.sectors.start);
            assert_eq!(place.head, 0);
            spots.push((place.cylinder, place.angle));
        }
        // Every spot has a neighbour on the next track or the one before, less than a physical sector away in angle.
        let near = |a: f64, b: f64| (a - b).abs().min(1.0 - (a - b).abs()) < 9.0 / 512.0;
        let lonely = spots.iter().filter(|(cylinder, angle)| {
            !spots.iter().any(|(other, there)| other.abs_diff(*cylinder) == 1 && near(*angle, *there))
        });
        // Spots across the start of a track are cut in two there.
        assert!(lonely.count() * 20 < spots.len(), "{} spots", spots.len());
        assert!(spots.len() > 200, "{} spots", spots.len());
    }

    #[test]
    fn the_small_twin_has_its_scratch_in_the_same_place() {
        let large = scenario("profile = \"d25_500\"", "shape = \"radial\"\nhead = 1\ncylinders = [0.2, 0.6]");
        let small = large.small().unwrap().unwrap();
        let damaged = damaged(&small);
        assert_eq!([damaged[0], damaged[2], damaged[3]], [0.0; 3]);
        assert!((0.001..0.1).contains(&damaged[1]), "{damaged:?}");
        let disk = small.disk(1).unwrap();
        let all = f64::from(disk.shape().cylinders);
        for stretch in disk.drive().surface.stretches() {
            let share = f64::from(disk.drive().medium.place(stretch.sectors.start).cylinder) / all;
            assert!((0.19..0.61).contains(&share), "{share}");
        }
    }

    #[test]
    fn what_cannot_be_is_told() {
        let wrong = |scratch: &str| {
            let text = format!(
                "description = \"t\"\n[disk]\nmedium = \"hard-disk\"\n{SMALL}\n[[fault]]\nkind = \"scratch\"\n{scratch}\n"
            );
            Scenario::parse("test", "test.toml", &text).expect_err(scratch).to_string()
        };
        let cases = [
            ("shape = \"ring\"\nhead = 4", "there is no head 4: this disk has heads 0 to 3"),
            (
                "shape = \"ring\"\nhead = 0\nhit = 0.5",
                "hit says nothing about this shape; it is for shape radial",
            ),
            (
                "shape = \"ring\"\nhead = 0\ncylinders = [0.5, 0.4]",
                "is not two rising shares of the way of the arm",
            ),
            ("shape = \"arc\"\nhead = 0\narc = 2.0", "arc 2 is not a number from 0 to 1"),
            ("shape = \"particles\"\nhead = 0\ntracks = [0, 1]", "as in [1, 200]"),
            ("shape = \"radial\"\nhead = 0\ntracks = [1, 2]", "has both tracks and breaks"),
            ("shape = \"arc\"\nhead = 0\nbreaks = [1, 2]", "breaks says nothing about this shape"),
            ("shape = \"round\"\nhead = 0", "unknown variant `round`"),
        ];
        for (scratch, expected) in cases {
            let found = wrong(scratch);
            assert!(found.contains(expected), "{scratch}: {found}");
        }
    }
}
