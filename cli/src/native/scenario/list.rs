//! The scenarios that come with the program, listed.
//!
//! Owns both layouts. Must not know where the text goes.

use serde::Serialize;
use simulator::Scenario;

use super::describe::{description, filled, first_sentence, size};

/// A scenario in a list. Field names are those of the JSON.
#[derive(Clone, Debug, Serialize)]
struct Entry<'a> {
    name: &'a str,
    aliases: &'a [String],
    medium: &'a str,
    size_bytes: u64,
    description: String,
    faults: Vec<&'a str>,
    /// Whether the log of a real drive answers.
    recorded: bool,
    /// Whether it is the small twin of the scenario before it.
    small_twin: bool,
}

impl Entry<'_> {
    fn of(scenario: &Scenario) -> Entry<'_> {
        let mut faults: Vec<&str> = scenario.faults.iter().map(|fault| fault.kind).collect();
        faults.dedup();
        Entry {
            name: &scenario.name,
            aliases: &scenario.head.aliases,
            medium: scenario.medium_name,
            size_bytes: scenario.medium.bytes(),
            description: description(scenario),
            faults,
            recorded: scenario.replay.is_some(),
            small_twin: scenario.is_small,
        }
    }
}

/// An array with one object per scenario.
pub(super) fn json(all: &[Scenario]) -> String {
    let entries: Vec<Entry<'_>> = all.iter().map(Entry::of).collect();
    serde_json::to_string_pretty(&entries).map(|text| text + "\n").unwrap_or_default()
}

/// Two or three lines per scenario; small twins are told of once.
pub(super) fn text(all: &[Scenario]) -> String {
    let mut text = String::new();
    for scenario in all.iter().filter(|scenario| !scenario.is_small) {
        let entry = Entry::of(scenario);
        let also = match entry.aliases {
            [] => String::new(),
            aliases => format!(" ({})", aliases.join(", ")),
        };
        let name = format!("{}{also}", entry.name);
        let mut faults = entry.faults.clone();
        faults.extend(entry.recorded.then_some("recorded"));
        let faults = if faults.is_empty() { "nothing wrong".to_owned() } else { faults.join(", ") };
        text.push_str(&format!("{name:<30} {:>8}  {:<9}  {faults}\n", size(entry.size_bytes), entry.medium));
        text.push_str(&filled(first_sentence(&entry.description), 80, "    "));
    }
    text.push_str(
        "\nEach of more than 256 MiB has a twin of at most that, with the same faults: NAME-small.\n",
    );
    text
}
