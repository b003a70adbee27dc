//! The scenarios that come with the program.
//!
//! Owns their names and aliases, and the finding of one by name. Must not know what they say.

use include_dir::{Dir, include_dir};

use super::{Scenario, ScenarioError};

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../scenarios");

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

/// Every scenario, each followed by its small twin if it has one.
pub fn all() -> Result<Vec<Scenario>, ScenarioError> {
    let mut all = Vec::new();
    for (name, text) in texts() {
        let parse = || Scenario::parse(name, &file_of(name), text);
        all.push(parse()?);
        if let Some(small) = parse()?.small() {
            all.push(small?);
        }
    }
    Ok(all)
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
    format!("scenarios/{name}.toml")
}

/// Whether a scenario's text lists this alias: without building its disk.
fn has_alias(text: &str, name: &str) -> bool {
    let aliases = text.lines().find(|line| line.starts_with("aliases"));
    aliases.is_some_and(|line| line.contains(&format!("\"{name}\"")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_scenario_opens_and_no_two_have_the_same_name() {
        let all = all().unwrap_or_else(|error| panic!("{error}"));
        let mut names = BTreeSet::new();
        for scenario in &all {
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
}
