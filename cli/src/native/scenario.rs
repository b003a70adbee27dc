//! `diskwright scenario`: what can be done with scenarios without rescuing anything.
//!
//! Owns the commands and their options, and which scenario a word means. Must not know what scenarios say, nor how disks
//! are simulated.

use std::path::PathBuf;

use block::Errno;
use clap::Subcommand;
use simulator::Scenario;
use simulator::scenario::address::{Address, AddressError, PREFIX};
use simulator::scenario::library::{self, OpenError};
use simulator::scenario::schema;

use super::Failure;
use super::output::Output;

mod check;
mod describe;
mod fit;
mod list;
mod new;
mod show;
mod survey;
mod svg;

/// What to do with scenarios.
///
/// A scenario is named as in the list, by one of its other names, or by a file with a / in its name or .toml at its end.
/// With -small behind it, its twin of at most 256 MiB is meant. It may have sim: before it, as where disks are named.
#[derive(Debug, Subcommand)]
pub enum ScenarioCommand {
    /// List the scenarios that come with the program
    List {
        /// Write JSON: an array with one object per scenario and per small twin
        #[arg(long)]
        json: bool,
    },
    /// Tell what happened to a disk, draw its damage, and say how long it takes to read
    Show {
        /// The scenario
        scenario: String,
        /// Seed of the disk; the scenario's own if not given
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(0..=i64::MAX as u64))]
        seed: Option<u64>,
        /// Columns; those of the terminal if not given
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
        width: Option<u16>,
        /// Lines of the drawing
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000), default_value = "12")]
        height: u16,
        /// Write an SVG image instead, to this file, which must not exist, or to - for standard output
        #[arg(long, value_name = "FILE", conflicts_with = "json")]
        svg: Option<PathBuf>,
        /// Write JSON instead: one object
        #[arg(long)]
        json: bool,
    },
    /// Tell whether scenarios can be used: exit status 0 if so, 5 if one cannot, 4 if one cannot be read, 2 if there is none
    /// of that name
    Check {
        /// Their files, or sim: and a name of the list
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Write the JSON schema of scenarios
    Schema,
    /// Write a scenario to start from, with everything that it may say
    New {
        /// Start from this scenario of the list
        #[arg(long, value_name = "SCENARIO")]
        from: Option<String>,
        /// Start from a disk of this kind
        #[arg(long, value_name = "KIND", conflicts_with = "from",
            value_parser = clap::builder::PossibleValuesParser::new(new::MEDIA.map(|(name, _)| name)))]
        medium: Option<String>,
        /// Write to this file, which must not exist, instead of standard output (-)
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Estimate how a real drive works from a log of its reads, and write it down as a scenario
    Fit {
        /// Which log, and what it does not say of itself
        #[command(flatten)]
        log: fit::LogOptions,
        /// Write the scenario to this file, and its map beside it with the ending .map; neither may exist
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// Runs a scenario command; returns its exit status.
pub fn run(command: ScenarioCommand) -> Result<u8, Failure> {
    match command {
        ScenarioCommand::List { json } => {
            let all = library::all()?;
            let text = if json { list::json(&all) } else { list::text(&all) };
            Output::Stdout.write(text.as_bytes())
        }
        ScenarioCommand::Show { scenario, seed, width, height, svg, json } => {
            let (scenario, own_seed) = open_with_seed(&scenario)?;
            if let (Some(here), Some(there)) = (seed, own_seed) {
                return Err(Failure::Usage(format!(
                    "seed is given twice: --seed {here}, and {there} with the scenario"
                )));
            }
            let survey = survey::Survey::of(&scenario, seed.or(own_seed))?;
            match svg {
                Some(path) => Output::new_file(path).write(svg::drawing(&survey).as_bytes()),
                None if json => Output::Stdout.write(survey.json().as_bytes()),
                None => show::print(&survey, width, height),
            }
        }
        ScenarioCommand::Check { files } => Ok(check::run(&files)),
        ScenarioCommand::Schema => Output::Stdout.write(schema::text().as_bytes()),
        ScenarioCommand::New { from, medium, output } => {
            let text = new::text(from.as_deref(), medium.as_deref())?;
            output.map_or(Output::Stdout, Output::new_file).write(text.as_bytes())
        }
        ScenarioCommand::Fit { log, output } => fit::run(&log, output.as_deref()),
    }
}

/// The scenario that a word means.
pub fn open(word: &str) -> Result<Scenario, Failure> {
    match open_with_seed(word)? {
        (scenario, None) => Ok(scenario),
        (_, Some(_)) => Err(Failure::Usage(format!("{word}: a seed says nothing here; leave it out"))),
    }
}

/// The scenario that a word means, which may be an address as rescues take it; and the seed that it names.
fn open_with_seed(word: &str) -> Result<(Scenario, Option<u64>), Failure> {
    let is_file = |word: &str| word.contains('/') || word.ends_with(".toml") || word.ends_with(".toml-small");
    let text = match word.starts_with(PREFIX) || is_file(word) {
        true => word.to_owned(),
        false => format!("{PREFIX}{word}"),
    };
    let Some(address) = Address::parse(&text) else {
        return Ok((library::open(word).map_err(failure)?, None));
    };
    let wrong = |error| match error {
        AddressError::Grammar(text) => Failure::Usage(text),
        AddressError::Open(error) => failure(error),
    };
    let address = address.map_err(wrong)?;
    if address.access.is_some() {
        let reason = "access says how the disk is read, and nothing of the disk; leave it out";
        return Err(Failure::Usage(format!("{word}: {reason}")));
    }
    Ok((address.scenario().map_err(wrong)?, address.seed))
}

/// Why there is none.
pub(super) fn failure(error: OpenError) -> Failure {
    match error {
        OpenError::Unknown { .. } | OpenError::NoTwin { .. } => Failure::Usage(error.to_string()),
        OpenError::Unreadable { file, error } => {
            Failure::System { action: "read it", path: file.into(), errno: Errno::of(&error) }
        }
        OpenError::Wrong(error) => Failure::BadScenario(error),
    }
}
