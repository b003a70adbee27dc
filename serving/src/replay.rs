//! A run of served disks, repeated from its access log.
//!
//! Owns the comparison. Must not know how scenarios are found: that is handed in. No real time passes, and nobody is
//! served: what was asked is asked again, at the disk's times at which it was asked then.

use std::collections::BTreeMap;
use std::io::BufRead;

use block::{ByteRange, Nanos, Offset};
use simulator::Scenario;
use thiserror::Error;

use crate::access_log::{Asked, Entry, Pulled, Start, Verb};
use crate::device::{Request, Work};
use crate::order::Order;
use crate::simulated::core::Core;
use crate::simulated::{SimOptions, digest_of};

/// Differences that are told one by one.
const TOLD_MAX: usize = 20;

/// How a repetition went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Disks.
    pub disks: usize,
    /// Requests that were repeated.
    pub requests: u64,
    /// Lines that came out differently.
    pub different: u64,
    /// The first of them: number of the line, and what was different.
    pub first: Vec<(u64, String)>,
}

/// A log that cannot be repeated.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// It cannot be read.
    #[error("line {line}: {error}")]
    Read {
        /// Where.
        line: u64,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A line is none.
    #[error("line {line}: {reason}")]
    Line {
        /// Which.
        line: u64,
        /// Why.
        reason: String,
    },
    /// It has no lines.
    #[error("the log is empty")]
    Empty,
}

/// Repeats a log. `find` opens scenarios; its error is told as it is.
pub fn replay(
    log: impl BufRead,
    mut find: impl FnMut(&str) -> Result<Scenario, String>,
) -> Result<Report, ReplayError> {
    let mut disks: BTreeMap<String, Core> = BTreeMap::new();
    let mut report = Report::default();
    let mut number = 0;
    for line in log.lines() {
        number += 1;
        let line = line.map_err(|error| ReplayError::Read { line: number, error })?;
        let wrong = |reason: String| ReplayError::Line { line: number, reason };
        let entry: Entry =
            serde_json::from_str(&line).map_err(|e| wrong(format!("no entry of a log: {e}")))?;
        let unknown = |disk: &str| wrong(format!("the disk '{disk}' was never opened"));
        let difference = match entry {
            Entry::Start(start) => {
                let (core, difference) = open(&start, &mut find).map_err(wrong)?;
                report.disks += 1;
                disks.insert(start.disk, core);
                difference
            }
            Entry::Request(asked) => {
                let core = disks.get_mut(&asked.disk).ok_or_else(|| unknown(&asked.disk))?;
                report.requests += 1;
                ask(core, &asked).map_err(wrong)?
            }
            Entry::Lever(pulled) => {
                let core = disks.get_mut(&pulled.disk).ok_or_else(|| unknown(&pulled.disk))?;
                pull(core, &pulled).map_err(wrong)?
            }
        };
        if let Some(difference) = difference {
            report.different += 1;
            if report.first.len() < TOLD_MAX {
                report.first.push((number, difference));
            }
        }
    }
    if number == 0 { Err(ReplayError::Empty) } else { Ok(report) }
}

fn open(
    start: &Start,
    find: &mut impl FnMut(&str) -> Result<Scenario, String>,
) -> Result<(Core, Option<String>), String> {
    let scenario = find(&start.scenario)?;
    let difference = (digest_of(&scenario) != start.digest)
        .then(|| format!("the scenario {} is another one than it was", start.scenario));
    let unit = scenario.unit(start.seed, start.access).map_err(|e| e.to_string())?;
    let options = SimOptions {
        access: start.access,
        reads_on: start.reads_on,
        when_gone: start.when_gone,
        ..SimOptions::default()
    };
    Ok((Core::new(unit, start.seed, options), difference))
}

fn ask(core: &mut Core, asked: &Asked) -> Result<Option<String>, String> {
    let size = core.unit.size();
    if asked.offset.checked_add(asked.length).is_none_or(|end| end > size) {
        return Err(format!("a request that ends behind the disk, which has {size} bytes"));
    }
    let work = match asked.work {
        Verb::Read => Work::Read,
        Verb::Cache => Work::Cache,
        // What was written is not kept: it changes no answer but those of reads, whose bytes are not compared.
        Verb::Write => Work::Write(vec![0; asked.length as usize]),
        Verb::Zero => Work::Zero { may_trim: false },
        Verb::Trim => Work::Trim,
        Verb::Flush => Work::Flush,
    };
    let request = Request {
        work,
        range: ByteRange::new(Offset::new(asked.offset), asked.length),
        is_durable: false,
        access: asked.access,
        client: asked.client,
        buffer: Vec::new(),
    };
    let (_, said) = core.serve_told(request, Nanos::new(asked.at_ns));
    Ok((said != asked.said).then(|| format!("was {:?}, is {said:?}", asked.said)))
}

fn pull(core: &mut Core, pulled: &Pulled) -> Result<Option<String>, String> {
    let order = Order::parse(pulled.lever.split(' ')).map_err(|e| e.to_string())?;
    let Order::Pull(lever) = order else { return Err(format!("'{order}' does nothing to a drive")) };
    let ready = core.apply(lever, Nanos::new(pulled.at_ns)).ok().map(Nanos::nanoseconds);
    Ok((ready != pulled.ready_ns)
        .then(|| format!("{order}: was ready at {:?} ns, is at {ready:?} ns", pulled.ready_ns)))
}
