//! Heads that wear at damage, and damage that grows where it is touched.
//!
//! Owns what contact does to heads and surfaces. Must not know who reads, nor in which order.
//!
//! Here the order of reads decides what can be rescued at all: who reads good parts first has them when a head dies.
//!
//! Values: a second of contact with damage counts as the damage's gravity says (1 in clusters, 5 in scratches), a
//! hundredth elsewhere; a calibration as 10 s, a power cycle as 2 s. Lives of heads follow a Weibull law of shape 1.5
//! with a scale of 10^6 s for robust, 2 * 10^4 s for weak and 3 * 10^3 s for dying ones (assumptions; no public
//! measurement).

use std::collections::BTreeMap;

use block::Nanos;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Before, Fault, Opening, checks};
use crate::disk::{Answer, Command, Drive, Power, Reply, Served};
use crate::law::{ErrorClass, FailureTime, Health, Law};
use crate::media::{Lba, MediaModel};
use crate::scenario::Time;
use crate::scenario::kind::{FaultSpec, NamedFault};
use crate::surface::Stretch;

/// Wear: contact with damage kills heads and makes the damage grow. The drive dies with its second head.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Wear {
    /// Contact that heads bear, about: the scale of their Weibull law.
    #[serde(default = "weak")]
    pub life: Time,
    /// Tracks onto which damage spreads in each second of contact: 0.2 on a soft surface, 5 on a hard one.
    #[serde(default = "soft")]
    pub spreads: f64,
    /// Tracks onto which it spreads at most.
    #[serde(default = "many")]
    pub spreads_max: u32,
}

fn weak() -> Time {
    Time(Nanos::from_secs(20_000))
}

fn soft() -> f64 {
    0.2
}

fn many() -> u32 {
    20_000
}

impl NamedFault for Wear {
    const KIND: &'static str = "wear";
}

impl FaultSpec for Wear {
    fn build(&self, _: &dyn MediaModel) -> Result<Box<dyn Fault>, String> {
        checks::some_time("life", self.life)?;
        if !(0.0..=1000.0).contains(&self.spreads) {
            return Err(format!("spreads {} is not a number from 0 to 1000", self.spreads));
        }
        Ok(Box::new(Wearing {
            spec: self.clone(),
            healthy: 0,
            heads: Vec::new(),
            dead_law: 0,
            touched: BTreeMap::new(),
            spread: 0,
        }))
    }

    fn scaled(&self, ratio: f64) -> Box<dyn FaultSpec> {
        // There is as much less to touch; but errors take as long as they do.
        let life = (self.life.0.nanoseconds() as f64 * libm::sqrt(ratio)) as u64;
        let life = Time(Nanos::new(life.max(1_000_000_000)));
        Box::new(Wear { life, spreads_max: (self.spreads_max / 16).max(1), ..self.clone() })
    }
}

struct Wearing {
    spec: Wear,
    /// Nanoseconds of work away from damage, the same for all heads: they fly together.
    healthy: u64,
    heads: Vec<Head>,
    dead_law: usize,
    /// Nanoseconds of contact and tracks spread onto, for each law.
    touched: BTreeMap<usize, (u64, u64)>,
    /// Tracks spread onto, in all.
    spread: u32,
}

/// Nanoseconds of contact that a head bears, and has borne.
struct Head {
    life: u64,
    borne: u64,
    is_dead: bool,
}

/// How much more harmful contact with damage is than work elsewhere.
const ELSEWHERE: u64 = 100;

impl Wearing {
    /// Work away from damage that a head still bears, in nanoseconds; none if it is worn out.
    fn left(&self, head: &Head, drive: &Drive) -> u64 {
        let shocks = 10 * drive.health.calibrations + 2 * drive.health.power_cycles;
        let borne = head.borne.saturating_add(shocks.saturating_mul(1_000_000_000));
        head.life.saturating_sub(borne).saturating_mul(ELSEWHERE).saturating_sub(self.healthy)
    }

    fn bury(&mut self, head: usize, drive: &mut Drive) {
        self.heads[head].is_dead = true;
        let sectors = drive.medium.sectors_of(head as u16);
        drive.surface.add_all(sectors.into_iter().map(|sectors| Stretch { sectors, law: self.dead_law }));
    }

    /// Spreads the damage at a sector onto tracks beside it, at the same angle.
    fn spread(&mut self, at: Lba, law: usize, contact: u64, mut tracks: u64, drive: &mut Drive) {
        let place = drive.medium.place(at);
        let here = |cylinder: u32, drive: &Drive| {
            drive.medium.tracks(place.head, cylinder..cylinder.saturating_add(1)).first().copied()
        };
        let (Some(track), Some(stretch)) =
            (here(place.cylinder, drive), drive.surface.overlapping(at..at + 1).first().cloned())
        else {
            return;
        };
        let from = stretch.sectors.start.max(track.first);
        let to = stretch.sectors.end.min(track.first + track.sectors);
        // Damage gets wider as it is touched: a fifth of a per cent each second.
        let widening = 1.0 + 0.002 * (contact as f64 / 1e9);
        let width = (to - from) as f64 / track.sectors as f64 * widening;
        let angle = drive.medium.place(from).angle;
        let group = drive.medium.shape().lbas_per_sector();
        for step in 1..=2000u32 {
            for cylinder in [place.cylinder.checked_add(step), place.cylinder.checked_sub(step)] {
                if tracks == 0 || self.spread >= self.spec.spreads_max {
                    return;
                }
                let Some(track) = cylinder.and_then(|cylinder| here(cylinder, drive)) else { continue };
                let turned = angle - track.angle;
                let start = ((turned - libm::floor(turned)) * track.sectors as f64) as u64;
                let start = (track.first + start.min(track.sectors - 1)) / group * group;
                if drive.surface.next_damage(start) == start {
                    continue;
                }
                let sectors = ((width * track.sectors as f64) as u64).max(1);
                let end = (start + sectors).min(track.first + track.sectors).div_ceil(group) * group;
                let end = end.min(drive.medium.shape().sectors);
                drive.surface.add(Stretch { sectors: start..end, law });
                tracks -= 1;
                self.spread += 1;
            }
        }
    }
}

impl Fault for Wearing {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let mut dice = opening.dice("wear");
        let scale = self.spec.life.0.nanoseconds() as f64;
        let head = |_| Head { life: dice.weibull(1.5, scale) as u64, borne: 0, is_dead: false };
        self.heads = (0..opening.shape().heads).map(head).collect();
        self.dead_law = opening.law(Law {
            failure: FailureTime::Between(Nanos::from_millis(400), Nanos::from_secs(2)),
            class: ErrorClass::NotFound,
            gravity: 0.0,
            ..Law::new(Health::Bad, "wear")
        });
    }

    fn before(&mut self, _: &Command, now: Nanos, drive: &mut Drive) -> Before {
        for index in 0..self.heads.len() {
            if !self.heads[index].is_dead && self.left(&self.heads[index], drive) == 0 {
                self.bury(index, drive);
            }
        }
        let dead = self.heads.iter().filter(|head| head.is_dead).count();
        if dead >= 2 || dead == self.heads.len() {
            drive.power = Power::Dead;
            return Before::Answer(Reply::new(Answer::Gone, now));
        }
        Before::Go
    }

    fn after(&mut self, command: &Command, served: &mut Served, drive: &mut Drive) {
        if served.reply.done == Nanos::NEVER {
            return;
        }
        let time = served.reply.done.since(served.began).nanoseconds();
        let Some(first) = served.law.filter(|_| served.contact > Nanos::ZERO) else {
            self.healthy = self.healthy.saturating_add(time);
            return;
        };
        let law = served.failure.map_or(first, |failure| failure.law);
        let group = drive.medium.shape().lbas_per_sector();
        let at = match served.failure {
            Some(failure) => failure.sector * group,
            None => drive.surface.next_damage(command.at).min(command.end() - 1),
        };
        let gravity = drive.surface.law(law).gravity;
        if let Some(head) = self.heads.get_mut(usize::from(drive.medium.place(at).head)) {
            head.borne = head.borne.saturating_add((time as f64 * gravity) as u64);
        }
        let is_torn = matches!(drive.surface.law(law).health, Health::Bad | Health::Weak { .. });
        if is_torn && gravity >= 1.0 {
            let (contact, spread) = self.touched.entry(law).or_default();
            *contact = contact.saturating_add(time);
            let due = (self.spec.spreads * (*contact as f64 / 1e9)) as u64;
            let (contact, tracks) = (*contact, due.saturating_sub(*spread));
            *spread = due;
            self.spread(at, law, contact, tracks, drive);
        }
    }

    fn quiet_until(&self, now: Nanos, drive: &Drive) -> Nanos {
        let living = self.heads.iter().filter(|head| !head.is_dead);
        let left = living.map(|head| self.left(head, drive)).min();
        left.map_or(now, |left| now + Nanos::new(left))
    }

    fn streamed(&mut self, _: &Command, from: Nanos, to: Nanos, _: &mut Drive) {
        self.healthy = self.healthy.saturating_add(to.since(from).nanoseconds());
    }

    fn is_hazard(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{disk, good, read_on, refusal};
    use super::*;
    use crate::SimDisk;

    const BAD: &str = "kind = \"region\"\nhealth = \"bad\"\nranges = [[\"8 MiB\", \"8200 KiB\"]]";
    const WEAR: &str = "kind = \"wear\"\nlife = \"1000 s\"\nspreads = 0.0";

    /// Reads one bad sector until something dies; returns how often.
    fn hammer(disk: &mut SimDisk, mut now: Nanos) -> (u32, Nanos) {
        for count in 0..2000 {
            let reply = disk.serve(&Command { at: 16384, count: 8 }, now);
            now = reply.done;
            let is_buried = |law: usize| disk.drive().surface.law(law).origin == "wear";
            if disk.drive().surface.stretches().iter().any(|stretch| is_buried(stretch.law)) {
                return (count, now);
            }
        }
        panic!("6000 s of contact killed nothing");
    }

    #[test]
    fn the_head_that_touches_damage_dies_of_it_and_the_others_do_not() {
        let lives: Vec<f64> = (0..60)
            .map(|seed| {
                let mut disk = disk(&[BAD, WEAR], seed);
                let hit = disk.drive().medium.place(16384).head;
                let (attempts, now) = hammer(&mut disk, Nanos::ZERO);
                for head in 0..4 {
                    let first = disk.drive().medium.sectors_of(head)[0].start;
                    let (replies, _) = read_on(&mut disk, first, 8, 5, now);
                    assert_eq!(good(&replies), if head == hit { 0 } else { 5 }, "seed {seed} head {head}");
                }
                f64::from(attempts)
            })
            .collect();
        // Weibull of shape 1.5: the mean is 0.903 scales, 3.15 s an attempt.
        let mean = lives.iter().sum::<f64>() / 60.0 * 3.15;
        assert!((650.0..1150.0).contains(&mean), "{mean} s of contact on the average");
    }

    #[test]
    fn healthy_work_wears_a_hundredth_and_the_second_death_is_the_last() {
        let mut disk = disk(&["kind = \"wear\"\nlife = \"1 s\"\nspreads = 0.0"], 1);
        let mut now = Nanos::ZERO;
        let (mut first_loss, mut end) = (None, None);
        while end.is_none() {
            for at in (0..131_072).step_by(1024) {
                let reply = disk.serve(&Command { at, count: 1024 }, now);
                now = reply.done;
                match reply.answer {
                    Answer::Error { .. } => first_loss = first_loss.or(Some(now)),
                    Answer::Gone => end = end.or(Some(now)),
                    _ => {}
                }
            }
            assert!(now < Nanos::from_secs(3600), "nothing dies");
        }
        let (first, end) = (first_loss.unwrap().whole_secs(), end.unwrap());
        assert!((5..200).contains(&first), "the first head died after {first} s");
        assert!(end > first_loss.unwrap());
        assert_eq!(disk.power_cycle(end), Nanos::NEVER);
    }

    #[test]
    fn damage_spreads_to_the_tracks_beside_it_at_the_same_angle() {
        let spreading = "kind = \"wear\"\nlife = \"1000 h\"\nspreads = 2.0";
        let mut disk = disk(&[BAD, spreading], 1);
        let torn = disk.drive().medium.place(16384);
        let before = disk.drive().surface.stretches().len();
        let mut now = Nanos::ZERO;
        for _ in 0..4 {
            now = disk.serve(&Command { at: 16384, count: 8 }, now).done;
        }
        let contact = now.nanoseconds() as f64 / 1e9;
        let grown: Vec<_> =
            disk.drive().surface.stretches().iter().filter(|s| s.sectors.start / 16 != 1024).collect();
        let tracks = disk.drive().surface.stretches().len() - before;
        assert!((tracks as f64 - 2.0 * contact).abs() <= 2.0, "{tracks} tracks in {contact} s");
        for stretch in grown {
            let place = disk.drive().medium.place(stretch.sectors.start);
            assert_eq!(place.head, torn.head);
            let apart = (place.angle - torn.angle).abs();
            // Whole physical sectors on tracks of 128 to 256.
            assert!(apart.min(1.0 - apart) < 9.0 / 128.0, "{place:?} beside {torn:?}");
            assert!(place.cylinder.abs_diff(torn.cylinder) < 30);
        }
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert!(refusal("kind = \"wear\"\nlife = \"0 s\"").contains("life 0 ns is no time at all"));
        assert!(refusal("kind = \"wear\"\nspreads = -1.0").contains("spreads -1 is not"));
    }
}
