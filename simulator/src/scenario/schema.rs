//! The JSON schema of scenarios, for editors and other programs.
//!
//! Owns how sections and registers are put together. Must not know what any key means: that is said where it is read.

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::kind::KINDS;
use super::medium::MEDIA;
use super::{Connection, ContentSpec, Expectation, Head, RescueAdvice, Small};
use crate::replay::Replay;

/// The schema, draft 2020-12: TOML is read by it as the JSON of the same structure.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut root = inlined::<Head>(&mut generator);
    root.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    root.insert("title".into(), json!("Diskwright scenario"));
    root.insert("description".into(), json!("A disk and what happened to it."));
    let media = MEDIA.iter().map(|medium| {
        let schema = medium.schema(&mut generator);
        tagged(&mut generator, schema, "medium", medium.name)
    });
    let media: Vec<Value> = media.collect();
    let kinds = KINDS.iter().map(|kind| {
        let schema = kind.schema(&mut generator);
        tagged(&mut generator, schema, "kind", kind.name)
    });
    let kinds: Vec<Value> = kinds.collect();
    let sections = [
        ("disk", json!({ "description": "The healthy drive.", "oneOf": media })),
        ("replay", generator.subschema_for::<Replay>().into()),
        ("connection", generator.subschema_for::<Connection>().into()),
        ("content", generator.subschema_for::<ContentSpec>().into()),
        (
            "fault",
            json!({ "description": "What is wrong with it.", "type": "array", "items": { "oneOf": kinds } }),
        ),
        ("rescue", generator.subschema_for::<RescueAdvice>().into()),
        ("expect", generator.subschema_for::<Expectation>().into()),
        ("small", generator.subschema_for::<Small>().into()),
    ];
    if let Some(Value::Object(properties)) = root.get_mut("properties") {
        properties.extend(sections.map(|(name, schema)| (name.to_owned(), schema)));
    }
    root.insert("anyOf".into(), json!([{ "required": ["disk"] }, { "required": ["replay"] }]));
    root.insert("$defs".into(), generator.take_definitions(true).into());
    Value::Object(root)
}

/// The text of the schema, as it is kept in `scenarios/schema.json`.
pub fn text() -> String {
    format!("{:#}\n", schema())
}

/// A structure's schema without a name of its own.
fn inlined<T: schemars::JsonSchema>(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let schema = T::json_schema(generator);
    schema.as_object().cloned().unwrap_or_default()
}

/// Lets the structure that a schema refers to carry a key that says what it is; returns the reference.
fn tagged(generator: &mut SchemaGenerator, schema: Schema, key: &str, name: &str) -> Value {
    let reference = schema.get("$ref").and_then(Value::as_str).unwrap_or_default();
    let definition = reference.rsplit('/').next().unwrap_or_default();
    if let Some(Value::Object(definition)) = generator.definitions_mut().get_mut(definition) {
        let properties = definition.entry("properties").or_insert_with(|| json!({}));
        if let Value::Object(properties) = properties {
            properties.shift_insert(0, key.into(), json!({ "const": name }));
        }
        let required = definition.entry("required").or_insert_with(|| json!([]));
        if let Value::Array(required) = required {
            required.insert(0, json!(key));
        }
    }
    schema.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = include_str!("../../../scenarios/schema.json");

    #[test]
    fn the_schema_that_is_kept_is_the_one_that_is_generated() {
        assert!(
            KEPT == text(),
            "scenarios/schema.json is stale: run 'target/release/diskwright gen-docs docs scenarios'"
        );
    }

    #[test]
    fn every_key_is_explained() {
        fn look(at: &str, schema: &Value) {
            let Value::Object(schema) = schema else { return };
            if let Some(Value::Object(properties)) = schema.get("properties") {
                for (key, value) in properties {
                    let refers = value.get("$ref").is_some() || value.get("const").is_some();
                    assert!(refers || value.get("description").is_some(), "{at}.{key} has no description");
                }
            }
            for (key, value) in schema {
                look(&format!("{at}.{key}"), value);
            }
        }
        look("", &schema());
    }
}
