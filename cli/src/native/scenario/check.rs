//! Whether scenarios can be used.
//!
//! Owns what is said of good ones, and looking at the rescue options, which the simulator does not know. Must not know
//! what makes a scenario bad.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use simulator::scenario::address::PREFIX;
use simulator::scenario::{RescueAdvice, ScenarioError, library};

use super::describe::size;
use crate::native::Failure;
use crate::native::rescue::dialect::DIALECT;
use crate::personality::arguments;

/// Looks at each file and tells what is wrong with it; returns the exit status of the first failure, or 0.
pub(super) fn run(files: &[PathBuf]) -> u8 {
    let mut status = 0;
    for path in files {
        match check(path) {
            // Nobody is left to be told when standard output is gone.
            Ok(said) => drop(writeln!(anstream::stdout(), "{said}")),
            Err(failure) => {
                failure.tell();
                status = if status == 0 { failure.status() } else { status };
            }
        }
    }
    status
}

fn check(path: &Path) -> Result<String, Failure> {
    let file = path.display().to_string();
    let scenario = match file.starts_with(PREFIX) {
        true => super::open(&file)?,
        false => library::read(&file).map_err(super::failure)?,
    };
    advice(&file, &scenario.rescue)?;
    if let Some(small) = &scenario.small.rescue {
        advice(&file, small)?;
    }
    // Names mean scenarios of the list first, so that this one cannot be reached by them.
    let is_own = library::text_of(&scenario.name).is_some() && file.starts_with(PREFIX);
    let taken = |name: &&String| !is_own && library::text_of(name).is_some();
    let taken: Vec<String> =
        scenario.head.aliases.iter().filter(taken).map(|name| format!("{name:?}")).collect();
    let note = match taken.as_slice() {
        [] => String::new(),
        names => format!("; the name {} means another one of the list", names.join(" and ")),
    };
    let [medium, bytes, faults] = [
        scenario.medium_name.to_owned(),
        size(scenario.medium.bytes()),
        match scenario.faults.len() {
            0 if scenario.replay.is_some() => "a log answers".to_owned(),
            0 => "nothing wrong with it".to_owned(),
            1 => "one fault".to_owned(),
            count => format!("{count} faults"),
        },
    ];
    let twin = match scenario.small() {
        None => String::new(),
        Some(small) => format!("; its small twin has {}", size(small?.medium.bytes())),
    };
    Ok(format!("{file}: good: {medium} of {bytes}, {faults}{twin}{note}"))
}

/// Whether `diskwright rescue` understands these options.
pub(super) fn advice(file: &str, advice: &RescueAdvice) -> Result<(), ScenarioError> {
    let wrong = |reason: String| ScenarioError { file: file.to_owned(), place: None, reason };
    let line = arguments::parse(DIALECT.options, advice.options.iter().map(OsString::from))
        .map_err(|error| wrong(format!("rescue options: {error}; see 'diskwright rescue --help'")))?;
    match line.names.first() {
        None => Ok(()),
        Some(name) => Err(wrong(format!("rescue options: {name:?} is not an option"))),
    }
}

#[cfg(test)]
mod tests {
    use simulator::Scenario;

    use super::*;

    #[test]
    fn the_rescue_options_of_the_library_are_understood() {
        for Scenario { name, rescue, .. } in library::all().unwrap_or_else(|error| panic!("{error}")) {
            advice(&name, &rescue).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
