//! A disk as it stands at a moment, when nobody has read it yet.
//!
//! Owns which of its sectors a read would fail at then, and how late the others would come. Must not know what is made of
//! that.
//!
//! What counts: the drive was switched on, left alone for so long, and gets its first command, which is for one physical
//! sector; for each sector anew. What that command is told decides. So temperature counts, as does what the drive lost in
//! the meantime; what only reads bring about ([`crate::fault::Fault::is_hazard`]) does not, nor where the arm stands. A
//! sector that would answer another time is bad if it fails this time. How patient a system is does not count either:
//! only the drive's own answer does.
//!
//! Cost: damage that is certain is a row, however long; where each sector has draws of its own, each is drawn. Healthy
//! sectors cost nothing.

use std::iter::Peekable;
use std::ops::Range;

use block::Nanos;

use crate::disk::{Answer, Command, Failure, Reply, Served, SimDisk};
use crate::fault::Before;
use crate::law::{Certainty, Health, Law, Trial};
use crate::media::{Lba, Shape};
use crate::surface::{Stretch, Surface};
use crate::survey;

/// What is less late than this counts as healthy.
pub const LATE_MIN: Nanos = Nanos::new(500_000);

/// A disk at a moment.
pub struct Moment {
    disk: SimDisk,
    at: Nanos,
    told: Option<Told>,
    /// What every command is told, whatever it asks for.
    all: Option<Reply>,
}

/// Something answers in place of the drive.
struct Told {
    /// The drive's surface with what is so answered laid over it.
    surface: Surface,
    /// Number of the law that stands for such sectors.
    law: usize,
    /// Number of the fault that answers.
    fault: usize,
}

/// Sectors in a row that fare alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which; whole physical sectors.
    pub sectors: Range<Lba>,
    /// How they fare.
    pub state: State,
}

/// How a damaged sector fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A read of it fails.
    Bad {
        /// After so long; of several sectors, that of the first.
        after: Nanos,
    },
    /// It comes, but late.
    Slow {
        /// By so much, at least [`LATE_MIN`].
        by: Nanos,
    },
}

/// How finely damage is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// In rows as long as they come: of all that fails, or is late by the same number of milliseconds.
    Rows,
    /// Each physical sector alone, with its own time.
    Sectors,
}

/// The simulation is over by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the simulation ends after {} s; from then on nothing answers", horizon.whole_secs())]
pub struct TooLate {
    /// When it ends.
    pub horizon: Nanos,
}

impl Moment {
    /// Leaves a fresh disk alone until `at`. Errors: the simulation ends before.
    pub fn of(mut disk: SimDisk, at: Nanos) -> Result<Moment, TooLate> {
        let horizon = disk.horizon();
        if at >= horizon {
            return Err(TooLate { horizon });
        }
        let shape = disk.shape();
        let (drive, faults) = disk.parts();
        let rows = faults
            .iter()
            .map(|fault| fault.answers_for(shape))
            .enumerate()
            .find(|(_, rows)| !rows.is_empty());
        let mut all = None;
        for (number, fault) in faults.iter_mut().enumerate() {
            // What answers in place of the drive is asked for each sector.
            if rows.as_ref().is_some_and(|(player, _)| *player == number) {
                continue;
            }
            if let Before::Answer(reply) = fault.before(&Command { at: 0, count: 1 }, at, drive) {
                all = (reply.answer != Answer::Done).then_some(reply);
                break;
            }
        }
        let told = rows.map(|(fault, rows)| {
            let mut surface = drive.surface.clone();
            let law = surface.add_law(Law::new(Health::Recorded { answers: true }, "recording"));
            surface.add_all(rows.into_iter().map(|sectors| Stretch { sectors, law }));
            Told { surface, law, fault }
        });
        Ok(Moment { disk, at, told, all })
    }

    /// Sizes and counts of the disk.
    pub fn shape(&self) -> Shape {
        self.disk.shape()
    }

    /// When it is.
    pub fn at(&self) -> Nanos {
        self.at
    }

    /// How long a healthy twin takes for one physical sector, read in a row with all others: the mean over the disk.
    pub fn sector_time(&mut self) -> Nanos {
        let shape = self.shape();
        let medium = &mut *self.disk.parts().0.medium;
        let pass = survey::healthy_pass(&survey::speeds(medium, 16), shape.logical);
        Nanos::new(pass.nanoseconds() * shape.lbas_per_sector() / shape.sectors.max(1))
    }

    /// The damage, in rising order.
    pub fn damage(&mut self, detail: Detail) -> Damage<'_> {
        Damage { rows: Rows { moment: self, detail, stretch: 0, at: 0 }.peekable(), detail }
    }
}

/// The damage of a disk, piece by piece.
pub struct Damage<'a> {
    rows: Peekable<Rows<'a>>,
    detail: Detail,
}

impl Iterator for Damage<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let mut found = self.rows.next()?;
        if self.detail == Detail::Rows {
            let joins = |found: &Found, next: &Found| {
                let are_alike = match (found.state, next.state) {
                    (State::Bad { .. }, State::Bad { .. }) => true,
                    (one, other) => one == other,
                };
                are_alike && next.sectors.start == found.sectors.end
            };
            while let Some(next) = self.rows.next_if(|next| joins(&found, next)) {
                found.sectors.end = next.sectors.end;
            }
        }
        Some(found)
    }
}

/// The same, in pieces as they are found.
struct Rows<'a> {
    moment: &'a mut Moment,
    detail: Detail,
    /// Number of the stretch that is being looked at.
    stretch: usize,
    /// Where in it.
    at: Lba,
}

/// What is to be done about a stretch.
enum Look {
    Pass,
    Whole,
    EachSector,
}

impl Iterator for Rows<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let shape = self.moment.shape();
        let group = shape.lbas_per_sector();
        if let Some(reply) = &self.moment.all {
            return everything(reply, self.moment.at, self.detail, shape, &mut self.at);
        }
        loop {
            let drive = self.moment.disk.drive();
            let told = self.moment.told.as_ref();
            let surface = told.map_or(&drive.surface, |told| &told.surface);
            let stretch = surface.stretches().get(self.stretch)?.clone();
            let is_told = told.is_some_and(|told| told.law == stretch.law);
            let look = match is_told {
                true => Look::EachSector,
                false => look(surface.law(stretch.law), &drive.conditions),
            };
            self.at = self.at.max(stretch.sectors.start);
            let is_over = self.at >= stretch.sectors.end;
            let is_whole = matches!(look, Look::Whole) && self.detail == Detail::Rows;
            if is_over || matches!(look, Look::Pass) {
                self.stretch += 1;
                continue;
            }
            let first = self.at;
            let sector = first / group;
            let trial = match is_told {
                true => self.told(first..((sector + 1) * group).min(shape.sectors)),
                false => self.tried(sector, stretch.law),
            };
            self.at = match is_whole {
                true => stretch.sectors.end,
                false => ((sector + 1) * group).min(stretch.sectors.end),
            };
            let state = match trial {
                Trial::Failed(after) => State::Bad { after },
                Trial::Good(by) if by < LATE_MIN => continue,
                Trial::Good(by) if self.detail == Detail::Rows => State::Slow { by: whole_millis(by) },
                Trial::Good(by) => State::Slow { by },
            };
            return Some(Found { sectors: first..self.at, state });
        }
    }
}

impl Rows<'_> {
    /// What a first read of a physical sector leads to, by its law.
    fn tried(&mut self, sector: u64, law: usize) -> Trial {
        let shape = self.moment.shape();
        let (drive, faults) = self.moment.disk.parts();
        let trial = drive.surface.law(law).attempt(sector, 0, &mut drive.dice, &drive.conditions);
        let Trial::Failed(time) = trial else { return trial };
        if self.detail == Detail::Rows {
            return trial;
        }
        // Some faults change how long that takes. Those that depend on what was read have no say.
        let at = sector * shape.lbas_per_sector();
        let began = self.moment.at;
        let class = drive.surface.law(law).class;
        let reply = Reply::new(Answer::Error { class, bad: at }, began + time);
        let failure = Some(Failure { sector, law, time });
        let mut served = Served { began, reply, law: Some(law), failure, contact: time };
        for fault in faults.iter_mut().filter(|fault| !fault.is_hazard()) {
            fault.after(&Command { at, count: shape.lbas_per_sector() }, &mut served, drive);
        }
        Trial::Failed(served.failure.map_or(time, |failure| failure.time))
    }

    /// The same where something answers in place of the drive.
    fn told(&mut self, sectors: Range<Lba>) -> Trial {
        let (player, at) = (self.moment.told.as_ref().map(|told| told.fault), self.moment.at);
        let (drive, faults) = self.moment.disk.parts();
        let command = Command { at: sectors.start, count: sectors.end - sectors.start };
        let player = player.and_then(|player| faults.get_mut(player));
        player.map_or(Trial::Good(Nanos::ZERO), |player| player.first_answer(&command, at, drive))
    }
}

/// The disk as one piece, or as many.
fn everything(reply: &Reply, now: Nanos, detail: Detail, shape: Shape, at: &mut Lba) -> Option<Found> {
    let start = *at;
    let length = match detail {
        Detail::Rows => shape.sectors,
        Detail::Sectors => shape.lbas_per_sector(),
    };
    *at = start.saturating_add(length).min(shape.sectors);
    let after = if reply.done == Nanos::NEVER { Nanos::NEVER } else { reply.done.since(now) };
    (start < *at).then_some(Found { sectors: start..*at, state: State::Bad { after } })
}

/// What a law says of all its sectors.
fn look(law: &Law, now: &crate::law::Conditions) -> Look {
    match (law.certainty(1, now), &law.health) {
        (Certainty::Never, _) => Look::Whole,
        (_, Health::Zeros { .. } | Health::Recorded { .. }) => Look::Pass,
        (_, Health::Slow { to, .. }) if *to < LATE_MIN => Look::Pass,
        (Certainty::Answers, Health::Unsteady { slow, .. }) if *slow <= 0.0 => Look::Pass,
        (Certainty::Answers, Health::Head(_)) => Look::Pass,
        _ => Look::EachSector,
    }
}

fn whole_millis(time: Nanos) -> Nanos {
    Nanos::from_millis(time.nanoseconds().saturating_add(500_000) / 1_000_000)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Scenario;
    use crate::dice::Sequence;
    use crate::fault::testing;
    use crate::scenario::{SMALL_MAX, library};

    fn moment(scenario: &Scenario, seed: u64, at: Nanos) -> Moment {
        let disk = scenario.disk(seed).unwrap_or_else(|error| panic!("{error}"));
        Moment::of(disk, at).unwrap()
    }

    /// Whether a fresh disk that was left alone until `at` fails at a physical sector.
    fn fails(scenario: &Scenario, sector: u64, at: Nanos) -> bool {
        let mut disk = scenario.disk(scenario.seed()).unwrap_or_else(|error| panic!("{error}"));
        let shape = disk.shape();
        let first = sector * shape.lbas_per_sector();
        let count = shape.lbas_per_sector().min(shape.sectors - first);
        disk.serve(&Command { at: first, count }, at).answer != Answer::Done
    }

    #[test]
    fn a_sector_is_bad_if_the_first_read_of_a_fresh_disk_fails_there() {
        let all = library::all().unwrap_or_else(|error| panic!("{error}"));
        let (mut checked, mut bad) = (0, 0);
        for scenario in all.iter().filter(|scenario| scenario.medium.bytes() <= SMALL_MAX) {
            // With some floppies it matters from where the arm comes, which a moment does not know.
            if scenario.faults.iter().any(|fault| fault.kind == "floppy-weak") {
                continue;
            }
            for at in [Nanos::ZERO, Nanos::from_secs(5400)] {
                let mut moment = moment(scenario, scenario.seed(), at);
                let shape = moment.shape();
                let group = shape.lbas_per_sector();
                let states: BTreeMap<u64, State> =
                    moment.damage(Detail::Sectors).map(|f| (f.sectors.start / group, f.state)).collect();
                let damaged: Vec<u64> = states.keys().copied().collect();
                let mut dice = Sequence::new(7, &scenario.name);
                let anywhere = (0..6).map(|_| dice.below(shape.sectors / group)).collect::<Vec<_>>();
                let step = (damaged.len() / 10).max(1);
                for sector in damaged.iter().step_by(step).copied().chain(anywhere) {
                    let is_bad = matches!(states.get(&sector), Some(State::Bad { .. }));
                    assert_eq!(
                        is_bad,
                        fails(scenario, sector, at),
                        "{}, sector {sector} at {at:?}",
                        scenario.name
                    );
                    (checked, bad) = (checked + 1, bad + u32::from(is_bad));
                }
            }
        }
        assert!(checked > 1000 && bad > 200 && bad < checked, "{bad} of {checked}");
    }

    #[test]
    fn rows_are_sectors_joined() {
        for name in
            ["weak-head-small", "medium-small", "dead-head-small", "recorded-floppy", "slow-areas-small"]
        {
            let scenario = library::open(name).unwrap_or_else(|error| panic!("{error}"));
            let bad_of = |detail| {
                let mut bad: Vec<Range<Lba>> = Vec::new();
                for found in moment(&scenario, 3, Nanos::ZERO).damage(detail) {
                    if matches!(found.state, State::Bad { .. }) {
                        match bad.last_mut().filter(|last| last.end == found.sectors.start) {
                            Some(last) if detail == Detail::Sectors => last.end = found.sectors.end,
                            Some(last) => panic!("{last:?} touches {:?}", found.sectors),
                            None => bad.push(found.sectors),
                        }
                    }
                }
                bad
            };
            let rows = bad_of(Detail::Rows);
            assert_eq!(rows, bad_of(Detail::Sectors), "{name}");
            let slow = |detail| {
                let found = moment(&scenario, 3, Nanos::ZERO);
                let mut found = found;
                let slow = found.damage(detail).filter(|found| matches!(found.state, State::Slow { .. }));
                slow.map(|found| found.sectors.end - found.sectors.start).sum::<u64>()
            };
            assert_eq!(slow(Detail::Rows), slow(Detail::Sectors), "{name}");
        }
    }

    #[test]
    fn heat_decides_which_weak_sectors_fail() {
        let weak = "kind = \"region\"\nhealth = \"weak\"\nshares = [[0.5, 0.6]]";
        let warm = "kind = \"thermal\"\nambient = 25.0\noptimum = 25.0\ntau = \"5 min\"\nresistance = 6.0";
        let scenario = testing::parse(&[weak, warm]).unwrap();
        let bad = |at| {
            let mut moment = moment(&scenario, 1, at);
            let bad = moment.damage(Detail::Rows).filter(|found| matches!(found.state, State::Bad { .. }));
            bad.map(|found| found.sectors.end - found.sectors.start).sum::<u64>()
        };
        let (cold, hot) = (bad(Nanos::ZERO), bad(Nanos::from_secs(3600)));
        // 55 degrees are 30 off the best.
        assert!(hot > cold + cold / 10, "{cold} sectors fail at once, {hot} after an hour");
        assert_eq!(bad(Nanos::from_secs(3600)), hot);
        let built = scenario.disk(1).unwrap();
        let error = Moment::of(built, Nanos::from_secs(73 * 3600)).err().unwrap();
        assert_eq!(error.to_string(), "the simulation ends after 259200 s; from then on nothing answers");
    }

    #[test]
    fn a_drive_that_has_lost_its_translator_fails_everywhere() {
        let scenario = testing::parse(&["kind = \"translator\"\nafter = \"0 s\""]).unwrap();
        let mut moment = moment(&scenario, 1, Nanos::ZERO);
        let all = 0..moment.shape().sectors;
        let rows: Vec<_> = moment.damage(Detail::Rows).map(|found| found.sectors).collect();
        assert_eq!(rows.as_slice(), std::slice::from_ref(&all));
        assert_eq!(moment.damage(Detail::Sectors).count() as u64, all.end / 8);
    }

    #[test]
    fn failing_takes_as_long_as_the_drive_says() {
        let bad =
            "kind = \"region\"\nhealth = \"bad\"\nshares = [[0.5, 0.6]]\nfailure-time = [\"3 s\", \"4 s\"]";
        let fast = "kind = \"fast-fail\"\nknown = 0.5\ntime = [\"20 ms\", \"60 ms\"]";
        let times = |faults: &[&str]| {
            let scenario = testing::parse(faults).unwrap();
            let after = |found: Found| match found.state {
                State::Bad { after } => after,
                State::Slow { .. } => panic!("{found:?}"),
            };
            moment(&scenario, 1, Nanos::ZERO).damage(Detail::Sectors).map(after).collect::<Vec<_>>()
        };
        let slow = times(&[bad]);
        assert!(slow.iter().all(|t| (Nanos::from_secs(3)..=Nanos::from_secs(4)).contains(t)));
        let quick = times(&[bad, fast]);
        let known = quick.iter().filter(|time| **time <= Nanos::from_millis(60)).count() as f64;
        assert!((known / quick.len() as f64 - 0.5).abs() < 0.05, "{known} of {}", quick.len());
    }
}
