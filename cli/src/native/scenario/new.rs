//! A scenario to start from.
//!
//! Owns how the schema is turned into comments. Must not know what any key means.

use serde_json::Value;
use simulator::scenario::address::PREFIX;
use simulator::scenario::library;
use simulator::scenario::schema;

use super::describe::filled;
use crate::native::Failure;

/// What all begin with.
const START: &str = "\
# A scenario: a disk, and what happened to it. 'diskwright scenario check FILE' tells whether it can be used,
# 'diskwright scenario show FILE' draws it. Below all that is set, everything else that may be is listed.

description = \"\"\"
What happened to this disk, and why it is hard to rescue.\"\"\"
seed = 1

";

/// Disks with the most usual fault of their kind, by what the command line calls them; the first one is what everybody
/// starts from who names none.
pub(super) const MEDIA: [(&str, &str); 5] = [
    (
        "rotating",
        "\
# A hard disk: a class, and what is different on this one.
[disk]
medium = \"hard-disk\"
profile = \"d35_1t\"
size = \"1 TB\"

# Latent errors in clusters.
[[fault]]
kind = \"clusters\"
count = 20
",
    ),
    (
        "flash",
        "\
# A solid-state drive, a stick or a card: a class, and what is different on this one.
[disk]
medium = \"flash\"
profile = \"ssd_128\"

# Pages that do not come out at once, or not at all.
[[fault]]
kind = \"flash-errors\"
count = 200
",
    ),
    (
        "optical",
        "\
# A disc in a drive; another drive reads other sectors of it.
[disk]
medium = \"optical\"
profile = \"cd\"
drive = \"a\"

# A scratch from the inside to the outside, in millimetres.
[[fault]]
kind = \"disc-scratch\"
radius = [41.2, 43.7]
width = 4.1
",
    ),
    (
        "floppy",
        "\
# A floppy disk of this format.
[disk]
medium = \"floppy\"
profile = \"3.5-1440\"

# Sectors that come now and then, and sectors that do not.
[[fault]]
kind = \"floppy-weak\"
weak = 12
bad = 5

# The drive's own tries are few.
[rescue]
options = [\"--retry-passes=5\"]
",
    ),
    (
        "uniform",
        "\
# Anything of which only these times are known: a tape, an old cartridge.
[disk]
medium = \"uniform\"
size = \"1 GB\"
sector = 512
sector-time = \"50 us\"
seek = \"20 ns\"
recovery = \"2 s\"

# Two bad stretches, as shares of the disk.
[[fault]]
kind = \"region\"
health = \"bad\"
shares = [[0.2, 0.2001], [0.7, 0.7002]]
",
    ),
];

/// The text of a scenario of the list, or of a new one with all keys explained.
pub(super) fn text(from: Option<&str>, medium: Option<&str>) -> Result<String, Failure> {
    let Some(from) = from else {
        let chosen = MEDIA.iter().find(|(name, _)| medium == Some(name)).unwrap_or(&MEDIA[0]);
        return Ok(START.to_owned() + chosen.1 + &reference(&schema::schema()));
    };
    let from = from.strip_prefix(PREFIX).unwrap_or(from);
    match library::text_of(from) {
        Some(text) => Ok(text.to_owned()),
        None => Err(library::open(from).map_or_else(super::failure, |_| {
            Failure::Usage(format!("{from} has no text of its own: it is made from the large scenario's"))
        })),
    }
}

/// All that a scenario may say, as comments.
fn reference(schema: &Value) -> String {
    let mut text = String::from("\n# Keys at the top:\n#\n");
    keys(&mut text, schema, schema);
    let sections = schema["properties"].as_object().into_iter().flatten();
    for (name, section) in sections {
        if let Some(media) = section["oneOf"].as_array() {
            for medium in media {
                table(&mut text, schema, &format!("[{name}]"), medium);
            }
        } else if let Some(kinds) = section["items"]["oneOf"].as_array() {
            for kind in kinds {
                table(&mut text, schema, &format!("[[{name}]]"), kind);
            }
        } else if resolved(schema, section)["type"] == "object" {
            table(&mut text, schema, &format!("[{name}]"), section);
        }
    }
    text
}

/// A table with its keys.
fn table(text: &mut String, schema: &Value, heading: &str, table: &Value) {
    let table = resolved(schema, table);
    text.push('\n');
    if let Some(said) = table["description"].as_str() {
        text.push_str(&filled(said, 100, "# "));
    }
    text.push_str(&format!("#\n# {heading}\n"));
    keys(text, schema, table);
}

/// The keys of a table, each below its explanation.
fn keys(text: &mut String, schema: &Value, table: &Value) {
    let required = table["required"].as_array().map_or(&[][..], Vec::as_slice);
    for (key, value) in table["properties"].as_object().into_iter().flatten() {
        if let Some(name) = value["const"].as_str() {
            text.push_str(&format!("# {key} = {name:?}\n"));
            continue;
        }
        let Some(said) = value["description"].as_str() else { continue };
        if value.get("oneOf").is_some() || value["type"] == "array" && value["items"].get("oneOf").is_some() {
            continue;
        }
        text.push_str(&filled(said, 100, "#   # "));
        let needed = required.iter().any(|name| name == key);
        let value = match value.get("default") {
            Some(default) if !default.is_null() && !is_empty(default) => default.to_string(),
            _ => format!("<{}>{}", shape(schema, value), if needed { ", needed" } else { "" }),
        };
        text.push_str(&format!("#   {key} = {value}\n"));
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// What a value looks like.
fn shape(schema: &Value, value: &Value) -> String {
    let value = resolved(schema, value);
    for choice in ["anyOf", "oneOf", "allOf"] {
        if let Some(choices) = value[choice].as_array() {
            let shapes = choices.iter().map(|choice| shape(schema, choice));
            return shapes.filter(|shape| shape != "null").collect::<Vec<_>>().join(" or ");
        }
    }
    if let Some(name) = value["const"].as_str() {
        return format!("{name:?}");
    }
    if let Some(names) = value["enum"].as_array() {
        return names.iter().map(Value::to_string).collect::<Vec<_>>().join(" or ");
    }
    let kind = match &value["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null"),
        kind => Some(kind),
    };
    match kind.and_then(Value::as_str) {
        Some("array") => {
            let item = shape(schema, &value["items"]);
            let count = value["minItems"].as_u64().unwrap_or(0) as usize;
            let items = if count > 0 { vec![item; count].join(", ") } else { item + ", ..." };
            format!("[{items}]")
        }
        Some("integer") => "whole number".to_owned(),
        Some("object") => "table".to_owned(),
        Some("string") if value["pattern"].as_str().is_some_and(|p| p.contains("KiB")) => "size".to_owned(),
        Some("string") if value["pattern"].is_string() => "time".to_owned(),
        Some(other) => other.to_owned(),
        None => "value".to_owned(),
    }
}

/// What a schema refers to.
fn resolved<'s>(schema: &'s Value, value: &'s Value) -> &'s Value {
    let reference = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    reference.and_then(|pointer| schema.pointer(pointer)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use simulator::Scenario;

    #[test]
    fn a_new_scenario_can_be_used_and_mentions_every_key() {
        for (medium, _) in MEDIA {
            let text = text(None, Some(medium)).unwrap_or_else(|failure| panic!("{failure}"));
            Scenario::parse("new", "new.toml", &text).unwrap_or_else(|error| panic!("{medium}: {error}"));
        }
        let text = text(None, None).unwrap_or_else(|failure| panic!("{failure}"));
        fn look(value: &Value, text: &str) {
            for (key, value) in value["properties"].as_object().into_iter().flatten() {
                let is_section = value.get("$ref").is_some() && text.contains(&format!("# [{key}]"));
                let is_table = text.contains(&format!("# [{key}]")) || text.contains(&format!("# [[{key}]]"));
                assert!(is_section || is_table || text.contains(&format!("{key} = ")), "{key} is missing");
            }
        }
        let schema = schema::schema();
        look(&schema, &text);
        schema["$defs"].as_object().unwrap().values().for_each(|table| look(table, &text));
    }
}
