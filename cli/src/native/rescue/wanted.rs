//! What a command line of `diskwright rescue` asks for.
//!
//! Owns its meaning, and the names that are made up when none are given. Must not touch any file.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::num::NonZeroU64;
use std::path::PathBuf;

use block::device::DeviceInfo;
use block::source::Access;
use block::{Nanos, Patience};

use super::checks::Overwrite;
use super::dialect::{DIALECT, Own, Word};
use super::failure::Failure;
use super::method::Method;
use super::network;
use super::report::print;
use super::simulated::Simulation;
use crate::personality::arguments::{self, Given};
use crate::personality::ddrescue::dialect::Id;
use crate::personality::ddrescue::job::{self, Job, Wish};
use crate::personality::number::{self, IntegerRule};
use nbd_server::client::Uri;
use simulator::Pace;

/// How long a lost device is looked for, unless said otherwise.
const PATIENCE: Nanos = Nanos::from_secs(60);

/// What the command line asks for.
pub(super) struct Wanted {
    pub(super) job: Job,
    pub(super) source: PathBuf,
    /// The disk that `source` means, if it is a simulated one.
    pub(super) simulation: Option<Simulation>,
    /// The export that `source` means, if it is one.
    pub(super) network: Option<Uri>,
    pub(super) destination: Destination,
    pub(super) map: Option<PathBuf>,
    /// Whether the map's name was given or made up.
    pub(super) map_is_named: bool,
    pub(super) access: Option<Access>,
    pub(super) allow_mounted: bool,
    /// Whether blocks of a regular source may be shared.
    pub(super) share: bool,
    /// Whether changes of the map are saved in a journal.
    pub(super) journal: bool,
    pub(super) patience: Nanos,
    /// How long one read may take.
    pub(super) read_patience: Patience,
    /// In which order to read.
    pub(super) method: Method,
    /// Whether somebody said how large a read is.
    pub(super) has_block: bool,
    /// After how many errors the last good sector is read again, if not as `--check-on-error` has it.
    pub(super) check_every: Option<NonZeroU64>,
    /// Where the time of each read is written.
    pub(super) log_timings: Option<PathBuf>,
    pub(super) display: Display,
    pub(super) words: Vec<OsString>,
}

pub(super) enum Destination {
    File(PathBuf),
    Discard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Display {
    Json,
    Plain,
    Live,
    Quiet,
}

/// Reads the command line; `None` if it only asked for a text, which is printed.
pub(super) fn parse(words: Vec<OsString>) -> Result<Option<Wanted>, Failure> {
    let wanted = parse_line(&words, words.clone(), Advice::None)?;
    let Some(Wanted { simulation: Some(Simulation { scenario, .. }), .. }) = &wanted else {
        return Ok(wanted);
    };
    let advice = &scenario.rescue.options;
    if advice.is_empty() {
        return Ok(wanted);
    }
    // What the scenario advises comes first, so that what was said here overrules it.
    let advised = words[..2].iter().cloned().chain(advice.iter().map(OsString::from));
    let advised: Vec<OsString> = advised.chain(words[2..].iter().cloned()).collect();
    parse_line(&advised, words, Advice::Added)
}

/// Whether a line begins with what a scenario advises.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Advice {
    None,
    Added,
}

/// Reads `words`; what the map's comments and later advice show is `typed`.
fn parse_line(words: &[OsString], typed: Vec<OsString>, advice: Advice) -> Result<Option<Wanted>, Failure> {
    let usage = |text: String| Failure::usage(format!("{text}\nTry 'diskwright rescue --help'."));
    let line =
        arguments::parse(DIALECT.options, words.iter().skip(2).cloned()).map_err(|e| usage(e.to_string()))?;
    let mut gnu: Vec<Given<Id>> = Vec::new();
    let (mut access, mut allow_mounted, mut patience, mut display) = (None, false, PATIENCE, None);
    let (mut read_patience, mut share, mut journal) = (Patience::Endless, false, false);
    let (mut pace, mut log_timings, mut check_every) = (None, None, None);
    let mut method = Method::usual();
    for Given { id, name, value } in line.options {
        match id {
            Word::Gnu(id) => {
                if id == Id::DirectIn {
                    access = Some(Access::Direct);
                }
                gnu.push(Given { id, name, value });
            }
            Word::Own(Own::Json) => display = Some(Display::Json),
            Word::Own(Own::Plain) => display = Some(Display::Plain),
            Word::Own(Own::Buffered) => access = Some(Access::Buffered),
            Word::Own(Own::AllowMounted) => allow_mounted = true,
            Word::Own(Own::Pace) => {
                let given = Given { id, name, value };
                pace = Some(pace_of(given.bytes()).ok_or_else(|| {
                    usage(format!(
                        "{}: give real, instant, or how many times as fast as real time, as in 100.",
                        given.name
                    ))
                })?);
            }
            Word::Own(Own::CheckEvery) => {
                let given = Given { id, name, value };
                let count = number::parse_integer(given.bytes(), IntegerRule::count(1, i64::MAX))
                    .map_err(|e| usage(e.message(given.bytes(), &given.name)))?;
                check_every = NonZeroU64::new(count as u64);
            }
            Word::Own(Own::Strategy) => {
                method = Method::parse(&value.unwrap_or_default()).map_err(usage)?;
            }
            Word::Own(Own::Reflink) => share = true,
            Word::Own(Own::Journal) => journal = true,
            Word::Own(Own::LogTimings) => log_timings = value.map(PathBuf::from),
            Word::Own(own @ (Own::WaitForDevice | Own::ReadTimeout)) => {
                let given = Given { id, name, value };
                let secs = number::parse_interval(given.bytes())
                    .map_err(|e| usage(e.message(given.bytes(), &given.name)))?;
                match (own, secs) {
                    (Own::WaitForDevice, _) => patience = Nanos::from_secs(secs),
                    (_, 0) => {
                        return Err(usage(format!("{}: give a read at least one second.", given.name)));
                    }
                    _ => read_patience = Patience::UpTo(Nanos::from_secs(secs)),
                }
            }
        }
    }
    let wish =
        job::evaluate(&typed, &gnu, &line.names).map_err(|refusal| usage(refusal.complaint.message()))?;
    let mut job = match wish {
        Wish::Help => {
            print(&DIALECT.help("diskwright rescue"))?;
            return Ok(None);
        }
        Wish::Version => {
            print(&format!("diskwright {}\n", env!("CARGO_PKG_VERSION")))?;
            return Ok(None);
        }
        Wish::Work(job) => *job,
    };
    // What a scenario advises is for the usual strategy; others pass it over.
    if advice == Advice::None {
        method.check(&gnu).map_err(usage)?;
    }
    let [Some(source), Some(destination), map] = job.names.clone() else {
        return Err(usage("SOURCE and DESTINATION must be given.".into()));
    };
    for (what, name) in
        [("SOURCE", Some(&source)), ("DESTINATION", Some(&destination)), ("MAP", map.as_ref())]
    {
        if name.is_some_and(|name| name.as_os_str().is_empty()) {
            return Err(usage(format!("{what} is an empty name; is a variable of the shell not set?")));
        }
    }
    let network = network::named(&source)?;
    if network.is_some() && access.is_some() {
        return Err(usage(
            "--idirect and --buffered are for files and devices; how an export is read is its server's affair.".into(),
        ));
    }
    let mut simulation = Simulation::named(&source)?;
    match (&mut simulation, pace) {
        (Some(simulation), pace) => {
            simulation.pace = pace.unwrap_or(Pace::Instant);
            access.into_iter().for_each(|access| simulation.prefer(access));
            let is_direct = simulation.access() != simulator::Access::Buffered;
            access = Some(if is_direct { Access::Direct } else { Access::Buffered });
        }
        (None, Some(_)) => {
            return Err(usage("--pace is for simulated disks, as in sim:dead-head-small.".into()));
        }
        (None, None) => {}
    }
    // Zero stands for "the device's own": the GNU default of 512 was never asked for.
    if !gnu.iter().any(|given| given.id == Id::SectorSize) {
        let clusters = gnu.iter().any(|given| given.id == Id::ClusterSize).then_some(job.cluster / 512);
        job.cluster = clusters.unwrap_or(0);
        job.sector = 0;
    }
    let destination = match destination.as_os_str().to_str() {
        Some("discard:") => Destination::Discard,
        _ => Destination::File(destination),
    };
    let map_is_named = map.is_some();
    let map = map.or_else(|| match &destination {
        Destination::Discard => None,
        Destination::File(path) => {
            let mut name = path.clone().into_os_string();
            name.push(".map");
            Some(PathBuf::from(name))
        }
    });
    let display = match display {
        Some(display) => display,
        None if job.verbosity < 0 => Display::Quiet,
        None if std::io::stderr().is_terminal() && !is_dumb() => Display::Live,
        None => Display::Plain,
    };
    Ok(Some(Wanted {
        job,
        source,
        simulation,
        network,
        destination,
        map,
        map_is_named,
        access,
        allow_mounted,
        share,
        journal,
        patience,
        read_patience,
        method,
        has_block: gnu.iter().any(|given| given.id == Id::ClusterSize),
        check_every,
        log_timings,
        display,
        words: typed,
    }))
}

/// Reads a pace.
fn pace_of(text: &[u8]) -> Option<Pace> {
    match std::str::from_utf8(text).ok()? {
        "real" => Some(Pace::Times(1.0)),
        "instant" => Some(Pace::Instant),
        factor => factor.parse().ok().filter(|factor| (1e-3..=1e9).contains(factor)).map(Pace::Times),
    }
}

/// Whether the terminal can only print line after line.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|name| name.is_empty() || name == "dumb")
}

impl Wanted {
    /// Whether the source is a file or a device.
    pub(super) fn reads_a_path(&self) -> bool {
        self.simulation.is_none() && self.network.is_none()
    }

    /// Whether something may be written over.
    pub(super) fn overwrite(&self) -> Overwrite {
        if self.job.force { Overwrite::Forced } else { Overwrite::Never }
    }

    /// What the destination is called.
    pub(super) fn destination_name(&self) -> PathBuf {
        match &self.destination {
            Destination::File(path) => path.clone(),
            Destination::Discard => "discard:".into(),
        }
    }

    /// Whether the source is read past the page cache.
    pub(super) fn is_direct(&self, info: &DeviceInfo) -> bool {
        self.access.map_or(info.is_block_device, |access| access == Access::Direct)
    }
}
