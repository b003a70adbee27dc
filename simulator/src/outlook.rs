//! What a read of each sector of a running disk would meet now, told without reading.
//!
//! Owns the look ahead. Must not know protocols, nor who looks. Chance is a place, so the next draw of a sector can be
//! looked at and will still be the next one.

use std::ops::Range;

use block::Nanos;

use crate::disk::{Drive, Power, SimDisk};
use crate::law::{Certainty, Health, Law, Trial};
use crate::media::Lba;
use crate::truth::ATTEMPTS;

/// What would be met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// A read would fail.
    pub is_bad: bool,
    /// It would take at least four times as long as a healthy one.
    pub is_slow: bool,
    /// It would fail, but some later attempt will not.
    pub is_recoverable: bool,
    /// It would not be answered.
    pub hangs: bool,
    /// It could not be read once, and was written since.
    pub is_renewed: bool,
    /// It would succeed, but the sector may fail another time.
    pub is_fragile: bool,
    /// It lies under a head that is failing.
    pub is_hot: bool,
}

/// Looks at `sectors`; tells stretches in rising order, touching, neighbours different, from the start of `sectors` on.
/// Ends early rather than tell more than about `stretches_max`.
pub fn look(disk: &mut SimDisk, sectors: Range<Lba>, stretches_max: usize) -> Vec<(Range<Lba>, Outlook)> {
    let group = disk.shape().lbas_per_sector();
    let drive = disk.drive_mut();
    let all = match drive.power {
        Power::Ready | Power::SpinningUp(_) => Outlook::default(),
        Power::Hung | Power::Stuck => Outlook { hangs: true, ..Outlook::default() },
        Power::Gone(_) => Outlook { is_bad: true, is_recoverable: true, ..Outlook::default() },
        Power::Dead => Outlook { is_bad: true, ..Outlook::default() },
    };
    let mut told = Told { stretches: Vec::new(), at: sectors.start };
    if all != Outlook::default() {
        told.push(sectors.end, all);
        return told.stretches;
    }
    for stretch in drive.surface.overlapping(sectors.clone()).to_vec() {
        let here = stretch.sectors.start.max(sectors.start)..stretch.sectors.end.min(sectors.end);
        if told.stretches.len() >= stretches_max {
            return told.stretches;
        }
        told.healthy_until(here.start, drive, group);
        let law = drive.surface.law(stretch.law).clone();
        if let Some(outlook) = of_all(&law, drive) {
            told.push(here.end, outlook);
            continue;
        }
        let mut at = here.start;
        while at < here.end {
            if told.stretches.len() >= stretches_max {
                return told.stretches;
            }
            let sector = at / group;
            at = ((sector + 1) * group).min(here.end);
            told.push(at, of_one(&law, sector, drive));
        }
    }
    told.healthy_until(sectors.end, drive, group);
    told.stretches
}

/// Stretches as they are told.
struct Told {
    stretches: Vec<(Range<Lba>, Outlook)>,
    /// Up to where.
    at: Lba,
}

impl Told {
    fn push(&mut self, end: Lba, outlook: Outlook) {
        if end <= self.at {
            return;
        }
        match self.stretches.last_mut().filter(|(_, last)| *last == outlook) {
            Some((last, _)) => last.end = end,
            None => self.stretches.push((self.at..end, outlook)),
        }
        self.at = end;
    }

    /// Sectors without damage, some of which may have been renewed.
    fn healthy_until(&mut self, end: Lba, drive: &Drive, group: u64) {
        if end <= self.at {
            return;
        }
        let renewed = drive.health.renewed.range(self.at / group..end.div_ceil(group));
        for sector in renewed.copied().collect::<Vec<u64>>() {
            self.push((sector * group).max(self.at).min(end), Outlook::default());
            let renewed = Outlook { is_renewed: true, ..Outlook::default() };
            self.push(((sector + 1) * group).min(end), renewed);
        }
        self.push(end, Outlook::default());
    }
}

/// What all sectors under a law meet; `None` if each one meets its own.
fn of_all(law: &Law, drive: &Drive) -> Option<Outlook> {
    let hot = Outlook { is_hot: law.origin.contains("head"), ..Outlook::default() };
    match law.health {
        Health::Zeros { .. } => Some(Outlook::default()),
        Health::Slow { from, .. } if is_slow(from, drive) => Some(Outlook { is_slow: true, ..hot }),
        Health::Bad | Health::Recorded { answers: false } => Some(Outlook { is_bad: true, ..hot }),
        Health::Head(_) | Health::Unsteady { .. } => {
            // A head that never fails at present is no trouble.
            let is_sound = law.certainty(1, &drive.conditions) == Certainty::Answers;
            is_sound.then_some(Outlook::default())
        }
        _ => None,
    }
}

/// What a physical sector meets at its next attempt.
fn of_one(law: &Law, sector: u64, drive: &mut Drive) -> Outlook {
    let attempt = drive.attempts.of(sector);
    let hot = Outlook { is_hot: law.origin.contains("head"), ..Outlook::default() };
    match law.attempt(sector, attempt, &mut drive.dice, &drive.conditions) {
        Trial::Good(more) => {
            let odds = law.odds(sector, &mut drive.dice, &drive.conditions);
            Outlook { is_slow: is_slow(more, drive), is_fragile: odds < 1.0, ..hot }
        }
        Trial::Failed(_) => {
            let later = law.certainty(ATTEMPTS, &drive.conditions);
            let is_recoverable = match later {
                Certainty::Answers => true,
                Certainty::Never => false,
                Certainty::BySector => {
                    law.answers_within(sector, ATTEMPTS, &mut drive.dice, &drive.conditions)
                }
            };
            Outlook { is_bad: true, is_recoverable, ..hot }
        }
    }
}

/// Whether so much more time makes a read four times as long as a healthy one: that takes a turn, and half of one to come
/// by.
fn is_slow(more: Nanos, drive: &Drive) -> bool {
    more.nanoseconds() >= drive.medium.turn().nanoseconds().saturating_mul(9) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scenario;
    use crate::disk::{Answer, Command};

    const TEXT: &str = r#"
description = "Weak, bad and slow ones."
seed = 9
writable = true
[disk]
medium = "hard-disk"
profile = "d35_1t"
size = "64 MiB"
heads = 4
sectors-per-track = [256, 128]
band = "1 MiB"
[[fault]]
kind = "clusters"
count = 30
exact = true
singles = 9
retry = [0.30, 1.9]
[[fault]]
kind = "dead-head"
head = 1
"#;

    #[test]
    fn what_is_foretold_happens_and_foretelling_changes_nothing() {
        for seed in 0..5 {
            let open = || Scenario::parse("mixed", "mixed.toml", TEXT).unwrap().disk(seed).unwrap();
            let (mut watched, mut blind) = (open(), open());
            let sectors = watched.shape().sectors;
            let mut now = Nanos::ZERO;
            for pass in 0..3 {
                let foretold = look(&mut watched, 0..sectors, usize::MAX);
                assert_eq!(foretold.first().unwrap().0.start, 0);
                assert_eq!(foretold.last().unwrap().0.end, sectors);
                assert!(
                    foretold.windows(2).all(|two| two[0].0.end == two[1].0.start && two[0].1 != two[1].1)
                );
                for (stretch, outlook) in foretold {
                    if stretch.end - stretch.start > 100_000 {
                        continue;
                    }
                    for at in (stretch.start / 8..stretch.end.div_ceil(8)).map(|sector| sector * 8) {
                        let command = Command { at, count: 8 };
                        let reply = watched.serve(&command, now);
                        assert_eq!(
                            reply,
                            blind.serve(&command, now),
                            "seed {seed}: watching changed the disk"
                        );
                        now = reply.done;
                        let failed = matches!(reply.answer, Answer::Error { .. });
                        assert_eq!(failed, outlook.is_bad, "seed {seed}, pass {pass}, sector {at}");
                    }
                }
            }
        }
    }

    #[test]
    fn heads_are_hot_and_what_was_renewed_is_told() {
        let mut disk = Scenario::parse("mixed", "mixed.toml", TEXT).unwrap().disk(9).unwrap();
        disk.allow_writing();
        let under = disk.drive().medium.sectors_of(1)[0].clone();
        let there = look(&mut disk, under, 10);
        assert!(there.iter().any(|(_, outlook)| outlook.is_hot && outlook.is_bad && !outlook.is_recoverable));
        let sectors = disk.shape().sectors;
        let bad = look(&mut disk, 0..sectors, usize::MAX);
        let bad =
            bad.into_iter().find(|(_, outlook)| outlook.is_bad && !outlook.is_hot).expect("a cluster").0;
        let at = bad.start.next_multiple_of(8);
        let command = Command { at, count: 8 };
        let now = disk.serve(&command, Nanos::ZERO).done;
        assert_eq!(disk.write(&command, now).answer, Answer::Done);
        let after = look(&mut disk, at..at + 8, 10);
        assert_eq!(after, [(at..at + 8, Outlook { is_renewed: true, ..Outlook::default() })]);
    }
}
