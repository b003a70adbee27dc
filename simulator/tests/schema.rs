//! The JSON schema of scenarios, held against the scenarios that there are, by a validator that somebody else wrote.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// The schema as it is kept, for editors.
fn validator() -> jsonschema::Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/schema.json");
    let schema: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("the schema is none: {error}"))
}

/// A scenario, read as the JSON of the same structure.
fn scenario(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name);
    toml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_scenario_of_the_library_is_valid() {
    let validator = validator();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".toml") {
            count += 1;
            let errors: Vec<String> = validator
                .iter_errors(&scenario(&name))
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{name}: {errors:#?}");
        }
    }
    assert!(count >= 40, "{count} scenarios");
}

#[test]
fn what_no_scenario_may_say_is_not_valid() {
    let validator = validator();
    let good = scenario("medium.toml");
    assert!(validator.is_valid(&good));
    let changed = |pointer: &str, value: Value| {
        let mut scenario = good.clone();
        let (table, key) = pointer.rsplit_once('/').unwrap();
        let table = scenario.pointer_mut(table).unwrap_or_else(|| panic!("{pointer}"));
        table[key] = value;
        scenario
    };
    for (pointer, value) in [
        // Keys that are not known, at each level.
        ("/colour", json!("blue")),
        ("/disk/haeds", json!(4)),
        ("/fault/0/cuont", json!(4)),
        // Values of the wrong sort, or out of range.
        ("/seed", json!("eleven")),
        ("/seed", json!(-1)),
        ("/disk/medium", json!("wax")),
        ("/disk/size", json!("16 MIB")),
        ("/disk/heads", json!(-1)),
        ("/fault/0/kind", json!("clustres")),
        ("/fault/0/count", json!("many")),
        ("/fault/0/region", json!([0.1])),
        ("/aliases", json!("S03")),
        ("/horizon", json!("3 fortnights")),
    ] {
        assert!(!validator.is_valid(&changed(pointer, value.clone())), "{pointer} = {value} is valid");
    }
    let mut diskless = good.clone();
    diskless.as_object_mut().unwrap().remove("disk");
    assert!(!validator.is_valid(&diskless), "without a disk or a replay");
}
