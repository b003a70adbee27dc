//! The scenarios that come with the program.
//!
//! Owns their names and aliases, and the finding of one by name. Must not know what they say.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use include_dir::{Dir, include_dir};
use thiserror::Error;

use super::{Scenario, ScenarioError, error};

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../scenarios");

/// The folder that the library's scenarios are in, for messages and for files beside them.
const FOLDER: &str = "<library>";

/// Reads a file that a scenario names; of the library if the scenario is.
pub(crate) fn file(path: &Path) -> io::Result<Vec<u8>> {
    match path.strip_prefix(FOLDER) {
        Ok(name) => match FILES.get_file(name) {
            Some(file) => Ok(file.contents().to_vec()),
            None => Err(io::ErrorKind::NotFound.into()),
        },
        Err(_) => regular(path, FILE_BYTES_MAX)?
            .map_err(|reason| io::Error::new(io::ErrorKind::InvalidInput, reason)),
    }
}

/// Bytes that no map or log reaches.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// Bytes that no scenario reaches.
const SCENARIO_BYTES_MAX: u64 = 16 << 20;

/// Reads a file, unless it is one that would never end, wait for a writer, or fill the memory: then, why not.
fn regular(path: &Path, most: u64) -> io::Result<Result<Vec<u8>, String>> {
    // Before it is opened: that alone may wait, or change something.
    let kind = fs::metadata(path)?;
    if !kind.is_file() && !kind.is_dir() {
        return Ok(Err("this is no regular file; name one".into()));
    }
    let mut bytes = Vec::new();
    // What the length says may have changed, and is 0 for what the system makes up.
    if kind.len() <= most {
        fs::File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    }
    if kind.is_file() && (kind.len() > most || bytes.len() as u64 > most) {
        return Ok(Err(format!(
            "it is longer than {most} bytes, which is more than makes sense; name another one"
        )));
    }
    Ok(Ok(bytes))
}

/// What the name of a small twin ends with.
const SMALL: &str = "-small";

/// Names and texts of all scenarios, in the order of names; small twins are not among them.
pub fn texts() -> Vec<(&'static str, &'static str)> {
    let toml = FILES.files().filter(|file| file.path().extension().is_some_and(|e| e == "toml"));
    let mut texts: Vec<_> =
        toml.filter_map(|file| Some((file.path().file_stem()?.to_str()?, file.contents_utf8()?))).collect();
    texts.sort_unstable();
    texts
}

/// The text of the scenario of this name or alias; not of a small twin, which has none.
pub fn text_of(name: &str) -> Option<&'static str> {
    texts().into_iter().find(|(file, text)| *file == name || has_alias(text, name)).map(|(_, text)| text)
}

/// Every scenario, each followed by its small twin if it has one. Their disks are not built.
pub fn all() -> Result<Vec<Scenario>, ScenarioError> {
    let mut all = Vec::new();
    for (name, text) in texts() {
        let read = || Scenario::parse_unbuilt(name, &file_of(name), text);
        all.push(read()?);
        all.extend(read()?.small_unbuilt());
    }
    Ok(all)
}

/// Why there is no scenario of that name.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The library has none.
    #[error("there is no scenario {name:?}{}; 'diskwright scenario list' lists all, and a file is named with a / or .toml",
        nearest.as_ref().map_or(String::new(), |nearest| format!("; did you mean {nearest:?}?")))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// The disk is small itself.
    #[error("there is no {name:?}: it is not over 256 MiB and has no small twin; leave out -small")]
    NoTwin {
        /// What was asked for.
        name: String,
    },
    /// A file cannot be read.
    #[error("{file}: cannot read it: {error}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// It cannot be used.
    #[error(transparent)]
    Wrong(#[from] ScenarioError),
}

/// The scenario of a word as people write it: a name or alias of the library, or a file, which has a `/` in its name or
/// ends in `.toml`. With `-small` behind either, its small twin.
pub fn open(word: &str) -> Result<Scenario, OpenError> {
    let is_file = |word: &str| word.contains('/') || word.ends_with(".toml");
    let twin = word.strip_suffix(SMALL).filter(|file| file.ends_with(".toml"));
    if let Some(file) = twin {
        let small = read(file)?.small();
        let too_small =
            || ScenarioError::at(file, "", None, "is not over 256 MiB and has no small twin".into());
        return Ok(small.ok_or_else(too_small)??);
    }
    if is_file(word) {
        return read(word);
    }
    match find(word) {
        Some(found) => Ok(found?),
        None if word.strip_suffix(SMALL).is_some_and(|large| find(large).is_some()) => {
            Err(OpenError::NoTwin { name: word.to_owned() })
        }
        None => Err(OpenError::Unknown { name: word.to_owned(), nearest: nearest(word) }),
    }
}

/// Reads a scenario from a file, whatever it is called.
pub fn read(file: &str) -> Result<Scenario, OpenError> {
    let unreadable = |error| OpenError::Unreadable { file: file.to_owned(), error };
    let text = regular(Path::new(file), SCENARIO_BYTES_MAX).map_err(unreadable)?;
    let text = text.map_err(|reason| ScenarioError::at(file, "", None, reason))?;
    let not_text = |error: std::string::FromUtf8Error| {
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        ScenarioError::at(file, &text, Some(valid..valid), "not UTF-8 from here on".into())
    };
    let text = String::from_utf8(text).map_err(not_text)?;
    let name = Path::new(file).file_stem().map_or(file.into(), |stem| stem.to_string_lossy());
    Ok(Scenario::parse(&name, file, &text)?)
}

/// The name or alias that looks most like this one, if one does.
fn nearest(name: &str) -> Option<String> {
    let (stem, suffix) = name.strip_suffix(SMALL).map_or((name, ""), |stem| (stem, SMALL));
    let known = texts().into_iter().flat_map(|(file, text)| {
        let aliases = aliases(text).into_iter();
        aliases.chain([file.to_owned()])
    });
    error::nearest(stem, known).map(|known| known + suffix)
}

/// The scenario of this name or alias, small twins by `NAME-small`; `None` if there is none.
pub fn find(name: &str) -> Option<Result<Scenario, ScenarioError>> {
    let by_name = |name: &str| {
        let (file, text) = texts().into_iter().find(|(file, text)| *file == name || has_alias(text, name))?;
        Some(Scenario::parse(file, &file_of(file), text))
    };
    if let Some(found) = by_name(name) {
        return Some(found);
    }
    match by_name(name.strip_suffix(SMALL)?)? {
        Ok(scenario) => scenario.small(),
        Err(error) => Some(Err(error)),
    }
}

fn file_of(name: &str) -> String {
    format!("{FOLDER}/{name}.toml")
}

/// Whether a scenario's text lists this alias.
fn has_alias(text: &str, name: &str) -> bool {
    aliases(text).iter().any(|alias| alias == name)
}

/// The aliases that a scenario's text lists: without reading the rest.
fn aliases(text: &str) -> Vec<String> {
    let line = text.lines().find(|line| line.starts_with("aliases")).unwrap_or_default();
    line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::scenario::SMALL_MAX;
    use crate::scenario::kind::KINDS;
    use crate::scenario::medium::MEDIA;
    use crate::survey::Sort;

    #[test]
    fn every_scenario_opens_and_no_two_have_the_same_name() {
        let all = all().unwrap_or_else(|error| panic!("{error}"));
        let mut names = BTreeSet::new();
        for scenario in &all {
            scenario.disk(scenario.seed()).unwrap_or_else(|error| panic!("{error}"));
            for name in scenario.head.aliases.iter().chain([&scenario.name]) {
                assert!(names.insert(name.clone()), "{name} is there twice");
                let found = find(name).unwrap_or_else(|| panic!("{name} is not found")).unwrap();
                assert_eq!(found.name, scenario.name);
            }
            assert!(
                scenario.head.description.len() > 60,
                "{}: say what happened and why it is hard",
                scenario.name
            );
        }
        assert!(find("no-such-disk").is_none());
    }

    #[test]
    fn the_library_is_whole() {
        let all = all().unwrap_or_else(|error| panic!("{error}"));
        let large: Vec<&Scenario> = all.iter().filter(|scenario| !scenario.is_small).collect();
        assert!(large.len() >= 40, "{} scenarios", large.len());
        for number in 1..=20 {
            let id = format!("S{number:02}");
            assert!(large.iter().any(|s| s.head.aliases.contains(&id)), "{id} is missing");
        }
        for kind in KINDS {
            let meets = |s: &&Scenario| s.faults.iter().any(|fault| fault.kind == kind.name);
            assert!(large.iter().any(meets), "no scenario has the fault {}", kind.name);
        }
        for medium in MEDIA {
            assert!(large.iter().any(|s| s.medium_name == medium.name), "no scenario is on {}", medium.name);
        }
        assert!(large.iter().any(|s| s.replay.is_some()), "no scenario answers from a recording");
        assert!(large.iter().any(|s| s.medium.bytes() >= 20_000_000_000_000), "no scenario has 20 TB");
        for scenario in &all {
            let (name, bytes) = (&scenario.name, scenario.medium.bytes());
            assert!(!scenario.is_small || bytes <= SMALL_MAX, "{name} has {bytes} bytes");
            let is_alone = scenario.is_small || bytes <= SMALL_MAX;
            assert!(is_alone || find(&format!("{name}-small")).is_some(), "{name} has no small twin");
        }
    }

    /// A fault that cannot be met on the small twin tests nothing there.
    #[test]
    fn twins_are_damaged_like_their_large_ones() {
        for (name, _) in texts() {
            let sorts = |scenario: Scenario| {
                let disk = scenario.disk(scenario.seed()).unwrap_or_else(|error| panic!("{error}"));
                let surface = &disk.drive().surface;
                let sorts = surface.stretches().iter().map(|s| Sort::of(surface.law(s.law)));
                sorts.collect::<BTreeSet<_>>()
            };
            let open = |name: &str| find(name).map(|found| found.unwrap_or_else(|error| panic!("{error}")));
            let Some(small) = open(&format!("{name}-small")) else { continue };
            assert_eq!(sorts(open(name).unwrap()), sorts(small), "{name}");
        }
    }

    #[test]
    fn a_word_is_a_name_an_alias_a_file_or_one_of_their_twins() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.toml").display().to_string();
        let text = texts().into_iter().find(|(name, _)| *name == "medium").unwrap().1;
        fs::write(&file, text).unwrap();
        for (word, name) in [
            ("medium", "medium"),
            ("S03", "medium"),
            ("S03-small", "medium-small"),
            (file.as_str(), "mine"),
            (&format!("{file}-small"), "mine-small"),
        ] {
            assert_eq!(open(word).unwrap().name, name);
        }
        fs::write(&file, text.replace("[disk]", "[disk]\nsize = \"1 MiB\"")).unwrap();
        let told = |word: &str| open(word).unwrap_err().to_string();
        assert!(told(&format!("{file}-small")).ends_with("is not over 256 MiB and has no small twin"));
        fs::write(&file, b"seed = 3\n\xff").unwrap();
        assert!(told(&file).contains("mine.toml:2:1: not UTF-8 from here on"), "{}", told(&file));
        assert!(told("medum").contains("did you mean \"medium\"?"));
        assert!(told("medum-small").contains("did you mean \"medium-small\"?"));
        assert!(!told("qqqqq").contains("did you mean"));
        assert!(matches!(open("medum.toml"), Err(OpenError::Unreadable { .. })));
    }
}
