//! How somebody names a simulated disk where others name a device: `sim:dead-head`, `sim:S03?seed=7&access=raw`,
//! `sim:./mine.toml`, `sim:dead-head@7`.
//!
//! Owns this grammar. Must not know what is done with the disk.

use std::path::PathBuf;

use super::library::OpenError;
use super::{Scenario, ScenarioError, library};
use crate::dice::SEED_MAX;
use crate::system::Access;

/// What every address begins with.
pub const PREFIX: &str = "sim:";

/// A simulated disk, named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Which scenario.
    pub scenario: Named,
    /// Its seed, if not its own.
    pub seed: Option<u64>,
    /// Which way reads take, if not its own.
    pub access: Option<Access>,
}

/// A scenario, named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// One of the library, or its small twin.
    Library(String),
    /// A file.
    File(PathBuf),
}

/// Why an address names no disk.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It cannot be read as one.
    #[error("{0}")]
    Grammar(String),
    /// It names no scenario that can be used.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl From<ScenarioError> for AddressError {
    fn from(error: ScenarioError) -> AddressError {
        AddressError::Open(error.into())
    }
}

impl Address {
    /// Reads an address; `None` if the text is not one, but the name of a file or device.
    pub fn parse(text: &str) -> Option<Result<Address, AddressError>> {
        Some(parse(text.strip_prefix(PREFIX)?))
    }

    /// Finds the scenario.
    pub fn scenario(&self) -> Result<Scenario, AddressError> {
        Ok(match &self.scenario {
            Named::Library(name) => library::open(name)?,
            Named::File(path) => library::open(&path.to_string_lossy())?,
        })
    }
}

fn parse(text: &str) -> Result<Address, AddressError> {
    let wrong = |text: String| AddressError::Grammar(text);
    let (place, query) = match text.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (text, None),
    };
    // A file may have an @ in its folder's name, and cannot have a seed behind it.
    let (name, seed) = match place.rsplit_once('@') {
        Some((name, seed)) if !place.contains('/') => (name, Some(seed)),
        _ => (place, None),
    };
    if name.is_empty() {
        return Err(wrong(format!(
            "{PREFIX} is followed by a scenario's name, as in {PREFIX}dead-head-small"
        )));
    }
    let scenario = match name.contains('/') || name.ends_with(".toml") {
        true => Named::File(name.into()),
        false => Named::Library(name.into()),
    };
    let mut address = Address { scenario, seed: None, access: None };
    let mut given: Vec<(&str, &str)> = seed.map(|seed| ("seed", seed)).into_iter().collect();
    for part in query.into_iter().flat_map(|query| query.split('&')) {
        let pair = part.split_once('=').ok_or_else(|| {
            wrong(format!(
                "{part:?} is not KEY=VALUE; the keys are seed and access, as in ?seed=7&access=raw"
            ))
        })?;
        given.push(pair);
    }
    for (key, value) in given {
        match key {
            "seed" if address.seed.is_some() => return Err(wrong("seed is given twice".into())),
            "access" if address.access.is_some() => return Err(wrong("access is given twice".into())),
            "seed" => {
                let digits = value.bytes().all(|byte| byte.is_ascii_digit()).then_some(value);
                let seed = digits.and_then(|digits| digits.parse().ok()).filter(|seed| *seed <= SEED_MAX);
                address.seed = Some(seed.ok_or_else(|| {
                    wrong(format!("{value:?} is not a seed; seeds are whole numbers from 0 to 2^63 - 1"))
                })?);
            }
            "access" => {
                address.access = Some(match value {
                    "raw" => Access::Raw,
                    "direct" => Access::Direct,
                    "buffered" => Access::Buffered,
                    _ => {
                        return Err(wrong(format!(
                            "access {value:?} is not known; it is raw, direct or buffered"
                        )));
                    }
                });
            }
            _ => return Err(wrong(format!("{key:?} is not known; the keys are seed and access"))),
        }
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn library(name: &str, seed: Option<u64>, access: Option<Access>) -> Address {
        Address { scenario: Named::Library(name.into()), seed, access }
    }

    #[test]
    fn addresses_say_what_they_mean() {
        let parse = |text: &str| Address::parse(text).unwrap().unwrap();
        assert_eq!(parse("sim:S03"), library("S03", None, None));
        assert_eq!(parse("sim:S03@7"), library("S03", Some(7), None));
        assert_eq!(parse("sim:S03?access=raw&seed=7"), library("S03", Some(7), Some(Access::Raw)));
        let file = Address { scenario: Named::File("./a@b/x.toml".into()), seed: Some(1), access: None };
        assert_eq!(parse("sim:./a@b/x.toml?seed=1"), file);
        assert!(Address::parse("./sim:x").is_none(), "a file may have such a name");
        assert!(Address::parse("/dev/sda").is_none());
    }

    #[test]
    fn a_wrong_address_says_what_would_be_right() {
        for (text, expected) in [
            ("sim:", "followed by a scenario's name"),
            ("sim:a?", "KEY=VALUE"),
            ("sim:a?seed=+7", "whole numbers from 0 to 2^63 - 1"),
            ("sim:a?seed=x", "whole numbers from 0 to 2^63 - 1"),
            ("sim:a@9223372036854775808", "whole numbers from 0 to 2^63 - 1"),
            ("sim:a@1?seed=1", "seed is given twice"),
            ("sim:a?access=fast", "raw, direct or buffered"),
            ("sim:a?speed=1", "the keys are seed and access"),
        ] {
            let error = Address::parse(text).unwrap().expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let unknown = library("no-such", None, None).scenario().unwrap_err().to_string();
        assert!(unknown.contains("scenario list"), "{unknown}");
    }

    proptest! {
        #[test]
        fn no_address_panics(text in "sim:\\PC{0,30}") {
            let _ = Address::parse(&text);
        }
    }
}
