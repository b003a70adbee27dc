//! What there is to say and draw of a scenario's disk when it is new.
//!
//! Owns which facts are told, and their names in JSON. Must not know layouts.

use block::Nanos;
use serde::Serialize;
use simulator::survey::{self, Sort, Speed};
use simulator::truth::ATTEMPTS;
use simulator::{Scenario, SimDisk};

use super::describe::{description, rate, share, size, time};
use crate::native::Failure;
use crate::native::picture::Ink;

/// A disk and what is told of it.
pub(super) struct Survey {
    /// The facts.
    pub facts: Facts,
    disk: SimDisk,
    speeds: Vec<Speed>,
}

/// Facts about a scenario's disk. Field names are those of the JSON.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Facts {
    pub name: String,
    pub aliases: Vec<String>,
    pub medium: &'static str,
    pub description: String,
    pub seed: u64,
    pub size_bytes: u64,
    pub sector_bytes: u32,
    pub physical_sector_bytes: u32,
    /// Heads, sides or dies.
    pub heads: u16,
    pub cylinders: u32,
    pub faults: Vec<&'static str>,
    /// Whether a recording answers in place of the disk.
    pub recorded: bool,
    pub rescue_options: Vec<String>,
    pub damage: Vec<Part>,
    /// What a thousand tries a sector bring, without hazards.
    pub recoverable_bytes: u64,
    /// What a thousand tries a sector do not bring of the weak sectors.
    pub weak_lost_bytes: u64,
    /// Reading a healthy twin from end to end.
    pub healthy_pass_seconds: f64,
    /// Trying each damaged sector once, alone.
    pub damage_once_seconds: f64,
    pub zones: Vec<Zone>,
    pub speeds: Vec<Rate>,
}

/// Damage of one sort.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Part {
    pub sort: &'static str,
    pub bytes: u64,
    pub areas: u64,
}

/// A zone of a hard disk.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Zone {
    pub begin: u64,
    pub end: u64,
    /// The fewest and the most of all heads.
    pub sectors_per_track: [u64; 2],
}

/// The healthy speed of a part of the disk.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Rate {
    pub begin: u64,
    pub end: u64,
    pub bytes_per_second: u64,
}

/// Parts whose speed is measured.
const SPEEDS: u64 = 60;

impl Survey {
    /// Looks at the disk of a scenario; with its own seed if none is given.
    pub fn of(scenario: &Scenario, seed: Option<u64>) -> Result<Survey, Failure> {
        let seed = seed.unwrap_or(scenario.seed());
        let disk = scenario.disk(seed)?;
        let shape = disk.shape();
        let logical = u64::from(shape.logical);
        let drive = disk.drive();
        let system = scenario.system_options(None);
        let hang = system.timeout.nanoseconds().saturating_mul(u64::from(system.retries) + 1);
        let (group, hang) = (shape.lbas_per_sector(), Nanos::new(hang));
        let damage = survey::damage(&drive.surface, group, seed, &drive.conditions, hang);
        let speeds = survey::speeds(&mut *scenario.medium.build(seed).medium, SPEEDS);
        let pass = survey::healthy_pass(&speeds, shape.logical);
        let part = |sort: Sort| Part {
            sort: name(sort),
            bytes: damage.sectors[sort as usize] * logical,
            areas: damage.areas[sort as usize],
        };
        let zones = drive.medium.zones().into_iter().map(|zone| Zone {
            begin: zone.sectors.start * logical,
            end: zone.sectors.end * logical,
            sectors_per_track: [zone.sectors_per_track.0, zone.sectors_per_track.1],
        });
        let measured = speeds.iter().map(|speed| Rate {
            begin: speed.sectors.start * logical,
            end: speed.sectors.end * logical,
            bytes_per_second: speed.rate as u64,
        });
        let seconds = |time: Nanos| time.nanoseconds() as f64 / 1e9;
        let lost = scenario.lost(seed)?.bytes();
        let facts = Facts {
            name: scenario.name.clone(),
            aliases: scenario.head.aliases.clone(),
            medium: scenario.medium_name,
            description: description(scenario),
            seed,
            size_bytes: shape.bytes(),
            sector_bytes: shape.logical,
            physical_sector_bytes: shape.physical,
            heads: shape.heads,
            cylinders: shape.cylinders,
            faults: scenario.faults.iter().map(|fault| fault.kind).collect(),
            recorded: scenario.replay.is_some(),
            rescue_options: scenario.rescue.options.clone(),
            damage: Sort::ALL.iter().rev().map(|sort| part(*sort)).collect(),
            recoverable_bytes: shape.bytes() - lost,
            // Of the bad ones all.
            weak_lost_bytes: lost.saturating_sub(part(Sort::Bad).bytes),
            healthy_pass_seconds: seconds(pass),
            damage_once_seconds: seconds(damage.once),
            zones: zones.collect(),
            speeds: measured.collect(),
        };
        Ok(Survey { facts, disk, speeds })
    }

    /// The facts as one object.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(&self.facts).map(|text| text + "\n").unwrap_or_default()
    }

    /// The disk's title.
    pub fn title(&self) -> String {
        let Facts { name, aliases, medium, size_bytes, seed, .. } = &self.facts;
        let also = if aliases.is_empty() { String::new() } else { format!(" ({})", aliases.join(", ")) };
        format!("{name}{also}: {medium} of {}, seed {seed}", size(*size_bytes))
    }

    /// Facts as pairs of a word and what is said.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let facts = &self.facts;
        let mut shape = format!("{} bytes", facts.sector_bytes);
        if facts.physical_sector_bytes > facts.sector_bytes {
            shape += &format!(", {} physically", facts.physical_sector_bytes);
        }
        let mut lines = vec![("sectors", shape)];
        if let [first, .., last] = facts.zones.as_slice() {
            let (heads, zones) = (facts.heads, facts.zones.len());
            let (outer, inner) = (first.sectors_per_track[1], last.sectors_per_track[0]);
            let heads = if heads == 1 { "one head".to_owned() } else { format!("{heads} heads") };
            let cylinders = facts.cylinders;
            lines.push((
                "geometry",
                format!(
                    "{heads}, {cylinders} cylinders, {zones} zones of {outer} to {inner} sectors a track"
                ),
            ));
        }
        if let [first, .., last] = self.speeds.as_slice() {
            let [from, to] = [first, last].map(|speed| rate(speed.rate));
            let pass = time(seconds(facts.healthy_pass_seconds));
            lines.push((
                "healthy",
                format!("{from} at the start, {to} at the end; {pass} from one end to the other"),
            ));
        }
        let faults = if facts.faults.is_empty() { "none".to_owned() } else { facts.faults.join(", ") };
        lines.push(("faults", faults));
        if facts.recorded {
            lines.push(("recorded", "a log answers wherever it can".to_owned()));
        }
        if facts.damage_once_seconds > 0.0 {
            let once = time(seconds(facts.damage_once_seconds));
            lines.push(("damage", format!("{once} to try each damaged sector once, alone")));
        }
        let (bytes, whole) = (facts.recoverable_bytes, facts.size_bytes);
        let lost = if bytes == whole { String::new() } else { format!("; {} are lost", size(whole - bytes)) };
        lines.push(("rescuable", format!("{} ({}){lost}", size(bytes), share(bytes, whole))));
        if !facts.rescue_options.is_empty() {
            lines.push(("rescue", facts.rescue_options.join(" ")));
        }
        lines
    }

    /// Sorts of damage that the disk has, the worst first, with what is said of each.
    pub fn legend(&self) -> Vec<(Ink, String)> {
        let found = Sort::ALL.into_iter().rev().zip(&self.facts.damage).filter(|(_, part)| part.bytes > 0);
        let entry = |(sort, part): (Sort, &Part)| {
            let areas = if part.areas == 1 { "area" } else { "areas" };
            let never = match self.facts.weak_lost_bytes {
                lost if sort == Sort::Weak && lost > 0 => {
                    format!("; {} of it never in {ATTEMPTS} tries", size(lost))
                }
                _ => String::new(),
            };
            (ink(sort, true), format!("{} {} in {} {areas}{never}", said(sort), size(part.bytes), part.areas))
        };
        found.map(entry).collect()
    }

    /// So many cells of the disk in order, drawn.
    pub fn cells(&self, count: usize) -> Vec<Option<Ink>> {
        let cells = survey::cells(&self.disk.drive().surface, self.disk.shape().sectors, count);
        let drawn = cells.into_iter().map(|(range, found)| {
            let worst = Sort::ALL.into_iter().rev().find(|sort| found[*sort as usize] > 0);
            let damaged = found.iter().sum::<u64>();
            Some(worst.map_or(HEALTHY, |sort| ink(sort, damaged * 2 >= range.end - range.start)))
        });
        drawn.collect()
    }

    /// Position of the start of line `line` of `lines`.
    pub fn position(&self, line: usize, lines: usize) -> String {
        size((u128::from(self.facts.size_bytes) * line as u128 / lines.max(1) as u128) as u64)
    }

    /// Healthy speed in the middle of line `line` of `lines`.
    pub fn speed(&self, line: usize, lines: usize) -> String {
        let index =
            (self.speeds.len() * (2 * line + 1) / (2 * lines).max(1)).min(self.speeds.len().max(1) - 1);
        self.speeds.get(index).map_or(String::new(), |speed| rate(speed.rate))
    }

    /// Healthy speeds of equal parts, in bytes per second.
    pub fn rates(&self) -> Vec<f64> {
        self.speeds.iter().map(|speed| speed.rate).collect()
    }
}

fn seconds(seconds: f64) -> Nanos {
    Nanos::new((seconds * 1e9) as u64)
}

fn name(sort: Sort) -> &'static str {
    match sort {
        Sort::Zeros => "zeros",
        Sort::Slow => "slow",
        Sort::Weak => "weak",
        Sort::Bad => "bad",
    }
}

fn said(sort: Sort) -> &'static str {
    match sort {
        Sort::Zeros => "answers with zeros",
        Sort::Slow => "answers late",
        Sort::Weak => "answers sometimes",
        Sort::Bad => "never answers",
    }
}

/// A cell without damage.
pub(super) const HEALTHY: Ink = Ink { character: '.', colour: "\x1b[32m", fill: "#cfe8d5" };

/// A cell with damage of this sort at worst, in capitals if half of it or more is damaged.
fn ink(sort: Sort, is_much: bool) -> Ink {
    let (letters, colour, fills) = match sort {
        Sort::Zeros => (['z', 'Z'], "\x1b[90m", ["#d9dce2", "#aeb4bf"]),
        Sort::Slow => (['s', 'S'], "\x1b[34m", ["#9db7ee", "#3b6fd4"]),
        Sort::Weak => (['w', 'W'], "\x1b[33m", ["#f3d78a", "#e8b321"]),
        Sort::Bad => (['b', 'B'], "\x1b[1;31m", ["#ec8a8f", "#d1242f"]),
    };
    let at = usize::from(is_much);
    Ink { character: letters[at], colour, fill: fills[at] }
}
