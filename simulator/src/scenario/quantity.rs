//! Sizes and times as people write them: `"500 GB"`, `"128 KiB"`, `"7 s"`, `"90 min"`.
//!
//! Owns their grammar in scenarios. Must not know what they measure.

use std::borrow::Cow;
use std::fmt;

use block::Nanos;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::dice::SEED_MAX;

/// A number of bytes: a string with a unit, or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A stretch of time: a string with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Nanos);

/// A seed: 0 to 2^63 - 1, what both TOML and JSON can say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seed(pub u64);

const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

const TIMES: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Reads `NUMBER UNIT`; the number may have a fraction.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let (number, unit) = (text[..end].replace('_', ""), text[end..].trim());
    let factor = units.iter().find(|(name, _)| *name == unit)?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    let mut total = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    if number.contains('.') {
        if fraction.is_empty() || fraction.len() > 9 {
            return None;
        }
        let scale = 10u64.pow(fraction.len() as u32);
        let part = u128::from(fraction.parse::<u64>().ok()?) * u128::from(factor);
        // 1.5 B is not a number of bytes.
        if part % u128::from(scale) != 0 {
            return None;
        }
        total = total.checked_add((part / u128::from(scale)) as u64)?;
    }
    Some(total)
}

fn write(count: u64, units: &[(&str, u64)]) -> String {
    let best = units.iter().filter(|(_, factor)| count != 0 && count.is_multiple_of(*factor));
    let (name, factor) = best.max_by_key(|(_, factor)| *factor).unwrap_or(&units[0]);
    format!("{} {name}", count / factor)
}

impl Bytes {
    /// Reads a size with its unit.
    pub fn parse(text: &str) -> Option<Bytes> {
        parse(text, &SIZES).map(Bytes)
    }
}

impl Time {
    /// Reads a time with its unit.
    pub fn parse(text: &str) -> Option<Time> {
        parse(text, &TIMES).map(|count| Time(Nanos::new(count)))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&write(self.0, &SIZES))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&write(self.0.nanoseconds(), &TIMES))
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"500 GB\" or \"64 KiB\", or a number of bytes")
            }
            fn visit_i64<E: de::Error>(self, count: i64) -> Result<Bytes, E> {
                u64::try_from(count)
                    .map(Bytes)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(count), &self))
            }
            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Bytes, E> {
                Ok(Bytes(count))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                Bytes::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Time;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as \"7 s\", \"200 ms\" or \"90 min\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
                Time::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> Deserialize<'de> for Seed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Seed, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Seed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a seed, a whole number from 0 to 2^63 - 1")
            }
            fn visit_i64<E: de::Error>(self, seed: i64) -> Result<Seed, E> {
                u64::try_from(seed)
                    .map(Seed)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(seed), &self))
            }
            fn visit_u64<E: de::Error>(self, seed: u64) -> Result<Seed, E> {
                match seed {
                    ..=SEED_MAX => Ok(Seed(seed)),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(seed), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl schemars::JsonSchema for Seed {
    fn schema_name() -> Cow<'static, str> {
        "Seed".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": 0, "maximum": SEED_MAX })
    }
}

impl schemars::JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number of bytes: a number with a unit (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB), or alone.",
            "type": ["string", "integer"],
            "pattern": "^[0-9_]+(\\.[0-9]+)? *(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$",
            "minimum": 0,
        })
    }
}

impl schemars::JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A time: a number with a unit (ns, us, ms, s, min, h, d).",
            "type": "string",
            "pattern": "^[0-9_]+(\\.[0-9]+)? *(ns|us|ms|s|min|h|d)$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn people_may_write_sizes_and_times_in_many_ways() {
        let sizes = [("500 GB", 500_000_000_000), ("64KiB", 65536), ("1.5 MB", 1_500_000), ("1_000 B", 1000)];
        for (text, count) in sizes {
            assert_eq!(Bytes::parse(text), Some(Bytes(count)), "{text}");
        }
        for wrong in ["", "GB", "5", "5 gb", "1.5 B", "1. kB", "-1 B", "99999999999 TB", "1.2.3 kB"] {
            assert_eq!(Bytes::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Time::parse("0.5 s"), Some(Time(Nanos::from_millis(500))));
        assert_eq!(Time::parse("2 weeks"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(count: u64) {
            prop_assert_eq!(Bytes::parse(&Bytes(count).to_string()), Some(Bytes(count)));
            let time = Time(Nanos::new(count));
            prop_assert_eq!(Time::parse(&time.to_string()), Some(time));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            let _ = (Bytes::parse(&text), Time::parse(&text));
        }
    }
}
