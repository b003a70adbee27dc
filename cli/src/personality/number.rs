//! Numbers and times as GNU ddrescue and ddrescuelog read and show them.
//!
//! Owns integers with multipliers, units and limits; `number/` has the rest. Must not know options, nor what is counted.

use thiserror::Error;

mod shown;
mod time;

pub use shown::{
    Decimals, Prefixes, RATE_LIMIT, SIZE_LIMIT, grouped, grouped_spaced, percentage, rate, scaled, size,
};
pub use time::{Interval, Precision, duration, interval_prefix, log_duration, parse_interval, timestamp};

/// What an integer argument may be.
#[derive(Clone, Copy, Debug)]
pub struct IntegerRule {
    /// Bytes in a sector for the unit `s`; `None` where sectors make no sense.
    pub sector_bytes: Option<u32>,
    /// Smallest value.
    pub low: i64,
    /// Largest value.
    pub high: i64,
}

impl IntegerRule {
    /// A position or size in bytes, at least 0, that may be given in sectors.
    pub fn position(sector_bytes: u32) -> IntegerRule {
        IntegerRule { sector_bytes: Some(sector_bytes), low: 0, high: i64::MAX }
    }

    /// A number from `low` to `high` that cannot be given in sectors.
    pub fn count(low: i64, high: i64) -> IntegerRule {
        IntegerRule { sector_bytes: None, low, high }
    }
}

/// Why an argument is not the number wanted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NumberError {
    /// There is no number at its start.
    #[error("Bad or missing numerical argument in option '{{}}'.")]
    Missing,
    /// What follows the number is not a multiplier or unit.
    #[error("Bad multiplier in numerical argument of option '{{}}'.")]
    Multiplier,
    /// Too small or too large.
    #[error("Value out of limits [{},{}] in option '{{}}'.", grouped(*low), grouped(*high))]
    Limits {
        /// Smallest value.
        low: i64,
        /// Largest value.
        high: i64,
    },
    /// No time interval at its start, or not whole seconds.
    #[error("Bad value in time interval argument of option '{{}}'.")]
    IntervalValue,
    /// What follows the interval is not one of `s m h d`.
    #[error("Bad unit in time interval argument of option '{{}}'.")]
    IntervalUnit,
    /// More after the end.
    #[error("Extra characters in argument of option '{{}}'.")]
    Extra,
}

impl NumberError {
    /// The text of a message about `argument` of the option called `option`, without the program's name.
    pub fn message(self, argument: &[u8], option: &str) -> String {
        let text = self.to_string().replace("{}", option);
        format!("'{}': {text}", String::from_utf8_lossy(argument))
    }
}

/// Reads a whole argument as an integer with multiplier and unit.
pub fn parse_integer(argument: &[u8], rule: IntegerRule) -> Result<i64, NumberError> {
    match integer_prefix(argument, rule)? {
        (value, b"") => Ok(value),
        _ => Err(NumberError::Multiplier),
    }
}

/// Reads an integer up to the end or to a comma; returns it and the rest, which is empty or begins with the comma.
pub fn integer_prefix(argument: &[u8], rule: IntegerRule) -> Result<(i64, &[u8]), NumberError> {
    let limits = NumberError::Limits { low: rule.low, high: rule.high };
    let (value, rest) = digits_prefix(argument).ok_or(NumberError::Missing)?;
    // A number too large by itself is reported as such whatever follows it.
    let value = i64::try_from(value).map_err(|_| limits)?;
    let suffix_length = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
    let (suffix, rest) = rest.split_at(suffix_length);
    let (base, exponent, unit) = split_suffix(suffix)?;
    let unit_bytes = match unit {
        b"" | b"B" => 1,
        b"s" => i128::from(rule.sector_bytes.ok_or(NumberError::Multiplier)?),
        _ => return Err(NumberError::Multiplier),
    };
    // Only 0 survives multipliers above 10^18, so saturating loses nothing.
    let value = (0..exponent).fold(i128::from(value), |value, _| value.saturating_mul(base));
    let value = i64::try_from(value.saturating_mul(unit_bytes)).map_err(|_| limits)?;
    if (rule.low..=rule.high).contains(&value) { Ok((value, rest)) } else { Err(limits) }
}

/// Blanks, sign, digits. Saturates.
fn digits_prefix(text: &[u8]) -> Option<(i128, &[u8])> {
    let is_blank = |byte: &&u8| byte.is_ascii_whitespace() || **byte == 0x0B;
    let text = &text[text.iter().take_while(is_blank).count()..];
    let (sign, text) = match text.first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let (radix, digits) = match text {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => (16, &text[2..]),
        [b'0', ..] => (8, text),
        _ => (10, text),
    };
    let length = digits.iter().take_while(|byte| (**byte as char).is_digit(radix)).count();
    let value = digits[..length].iter().fold(0i128, |value, byte| {
        let digit = (*byte as char).to_digit(radix).unwrap_or(0);
        value.saturating_mul(i128::from(radix)).saturating_add(i128::from(digit))
    });
    (length > 0).then_some((value * sign, &digits[length..]))
}

/// The letters of multipliers, from 10^3 up.
const PREFIXES: &[u8] = b"kMGTPEZYRQ";

/// Splits `MiB` into base 1024, exponent 2 and unit `B`.
fn split_suffix(suffix: &[u8]) -> Result<(i128, usize, &[u8]), NumberError> {
    let Some(first) = suffix.first() else { return Ok((1000, 0, b"")) };
    let letter = if *first == b'K' { b'k' } else { *first };
    let Some(at) = PREFIXES.iter().position(|prefix| *prefix == letter) else {
        return Ok((1000, 0, suffix));
    };
    let is_binary = suffix.get(1) == Some(&b'i');
    // Kilo is k and kibi is Ki; the other way round is an error.
    if (*first == b'K' && !is_binary) || (*first == b'k' && is_binary) {
        return Err(NumberError::Multiplier);
    }
    Ok(if is_binary { (1024, at + 1, &suffix[2..]) } else { (1000, at + 1, &suffix[1..]) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn integer(text: &str) -> Result<i64, NumberError> {
        parse_integer(text.as_bytes(), IntegerRule { sector_bytes: Some(512), low: -1, high: i64::MAX })
    }

    const OUT: Result<i64, NumberError> = Err(NumberError::Limits { low: -1, high: i64::MAX });

    #[test]
    fn integers_take_multipliers_and_units() {
        let cases = [
            ("0x10", 16),
            ("010", 8),
            (" +5k", 5000),
            ("5Ki", 5120),
            ("5s", 2560),
            ("5kB", 5000),
            ("2Kis", 1 << 20),
            ("7Ei", 7 << 60),
            ("0Q", 0),
            ("0Ri", 0),
            ("-1", -1),
            ("9223372036854775807", i64::MAX),
        ];
        for (text, value) in cases {
            assert_eq!(integer(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn wrong_multipliers_are_refused() {
        let wrong = "1ki 1K 1BB 1Bi 1Bk 1Bs 1iB 1ii 1ik 1is 1kk 1sB 1si 1sk 1ss 0x 08 1e 1_0 5sx 1KB 1,";
        for text in wrong.split(' ') {
            assert_eq!(integer(text), Err(NumberError::Multiplier), "{text}");
        }
        let no_sectors = parse_integer(b"1s", IntegerRule::count(0, 9));
        assert_eq!(no_sectors, Err(NumberError::Multiplier));
    }

    #[test]
    fn missing_and_far_too_large_numbers_are_told_apart() {
        for text in ["", " ", "k", "- 5", "x"] {
            assert_eq!(integer(text), Err(NumberError::Missing), "{text}");
        }
        for text in ["99999999999999999999x", "8Ei", "1R", "-2", "-1k", "18014398509481984s"] {
            assert_eq!(integer(text), OUT, "{text}");
        }
    }

    #[test]
    fn messages_quote_argument_option_and_limits() {
        let error = parse_integer(b"0", IntegerRule::count(1, i32::MAX.into())).unwrap_err();
        assert_eq!(error.message(b"0", "-b"), "'0': Value out of limits [1,2_147_483_647] in option '-b'.");
        assert_eq!(
            NumberError::Multiplier.message(b"1K", "--size"),
            "'1K': Bad multiplier in numerical argument of option '--size'."
        );
    }

    #[test]
    fn a_list_is_read_part_by_part() {
        assert_eq!(integer_prefix(b"64Ki,5", IntegerRule::position(512)), Ok((65536, b",5".as_slice())));
    }

    proptest! {
        #[test]
        fn any_argument_is_a_number_or_an_error(text in "[ +-]?(0x|0)?[0-9a-f]{0,25}[kKMEQi]{0,2}[Bs,./dhm]{0,3}") {
            let rule = IntegerRule { sector_bytes: Some(2048), low: -1, high: i64::MAX };
            if let Ok(value) = parse_integer(text.as_bytes(), rule) {
                prop_assert!(value >= -1);
            }
        }
    }
}
