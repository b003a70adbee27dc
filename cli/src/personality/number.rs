//! Numbers and times as GNU ddrescue and ddrescuelog read and show them.
//!
//! Owns multipliers, limits and every format of a size, a percentage or a duration. Must not know options, nor what
//! is counted.

use block::Nanos;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use thiserror::Error;

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

/// A time interval in seconds, as a fraction in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    numerator: u64,
    denominator: u64,
}

impl Interval {
    /// The whole seconds; `None` if there is a fraction.
    pub fn whole_secs(self) -> Option<u64> {
        (self.denominator == 1).then_some(self.numerator)
    }

    /// Denominator of the fraction in lowest terms; 1 for whole seconds.
    pub fn denominator(self) -> u64 {
        self.denominator
    }

    /// The interval, rounded down to nanoseconds.
    pub fn nanos(self) -> Nanos {
        let nanoseconds = u128::from(self.numerator) * 1_000_000_000 / u128::from(self.denominator);
        Nanos::new(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

/// Reads a whole argument as a time interval of whole seconds.
pub fn parse_interval(argument: &[u8]) -> Result<u64, NumberError> {
    match interval_prefix(argument)? {
        (interval, b"") => interval.whole_secs().ok_or(NumberError::IntervalValue),
        _ => Err(NumberError::Extra),
    }
}

/// Reads a time interval up to the end or to a comma; returns it and the rest, empty or beginning with the comma.
pub fn interval_prefix(argument: &[u8]) -> Result<(Interval, &[u8]), NumberError> {
    let bad = NumberError::IntervalValue;
    let (mut numerator, mut rest) = decimal_prefix(argument).ok_or(bad)?;
    let mut denominator = 1i128;
    match rest.first() {
        Some(b'.') => {
            let (_, after) = decimal_prefix(&rest[1..]).ok_or(bad)?;
            for digit in &rest[1..rest.len() - after.len()] {
                numerator = numerator.saturating_mul(10).saturating_add(i128::from(*digit - b'0'));
                denominator = denominator.saturating_mul(10);
            }
            rest = after;
        }
        Some(b'/') => (denominator, rest) = decimal_prefix(&rest[1..]).ok_or(bad)?,
        _ => {}
    }
    let (unit, rest) = match rest.first() {
        None | Some(b',') => (1, rest),
        Some(b's') => (1, &rest[1..]),
        Some(b'm') => (60, &rest[1..]),
        Some(b'h') => (3600, &rest[1..]),
        Some(b'd') => (86400, &rest[1..]),
        Some(_) => return Err(NumberError::IntervalUnit),
    };
    if !rest.is_empty() && rest[0] != b',' {
        return Err(NumberError::Extra);
    }
    let numerator = numerator.saturating_mul(unit);
    let (mut a, mut b) = (numerator, denominator);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    if denominator == 0 || numerator > i128::from(i64::MAX) || denominator > i128::from(i64::MAX) {
        return Err(bad);
    }
    Ok((Interval { numerator: (numerator / a) as u64, denominator: (denominator / a) as u64 }, rest))
}

fn decimal_prefix(text: &[u8]) -> Option<(i128, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = text[..length]
        .iter()
        .fold(0i128, |value, byte| value.saturating_mul(10).saturating_add(i128::from(byte - b'0')));
    (length > 0).then_some((value, &text[length..]))
}

/// Whether sizes are shown in steps of 1000 or of 1024.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefixes {
    /// `k M G …`
    #[default]
    Decimal,
    /// `Ki Mi Gi …`
    Binary,
}

/// Largest number that is shown undivided, for sizes.
pub const SIZE_LIMIT: i64 = 999_999;
/// Largest number that is shown undivided, for rates.
pub const RATE_LIMIT: i64 = 99_999;

/// N(x): a number divided until it is at most `limit`, a space, and its prefix: `1665 M`, `21479 k`, `300000 `.
pub fn scaled(value: i64, limit: i64, prefixes: Prefixes) -> String {
    let (base, sign) = match prefixes {
        Prefixes::Decimal => (1000, ""),
        Prefixes::Binary => (1024, "i"),
    };
    let mut value = value;
    let mut steps = 0;
    while value.unsigned_abs() > limit.unsigned_abs() && steps < PREFIXES.len() {
        value /= base;
        steps += 1;
    }
    match steps {
        0 => format!("{value} "),
        1 if prefixes == Prefixes::Binary => format!("{value} Ki"),
        _ => format!("{value} {}{sign}", PREFIXES[steps - 1] as char),
    }
}

/// N(x) of a size.
pub fn size(value: u64, prefixes: Prefixes) -> String {
    scaled(i64::try_from(value).unwrap_or(i64::MAX), SIZE_LIMIT, prefixes)
}

/// N(x) of a rate in bytes per second.
pub fn rate(value: u64, prefixes: Prefixes) -> String {
    scaled(i64::try_from(value).unwrap_or(i64::MAX), RATE_LIMIT, prefixes)
}

/// Grouped(x): exact, shortened by whole factors of 1024 or else 1000, digits in groups of three: `64Ki`, `1_234_567`.
/// Numbers up to 9999 stay as they are.
pub fn grouped(value: i64) -> String {
    grouped_parts(value).concat()
}

/// Grouped(x) with a space before the suffix; the space stands alone when there is no suffix.
pub fn grouped_spaced(value: i64) -> String {
    grouped_parts(value).join(" ")
}

fn grouped_parts(value: i64) -> [String; 2] {
    let divided = |base: i64| {
        let mut rest = value;
        let mut steps = 0;
        while value.unsigned_abs() > 9999 && rest % base == 0 {
            rest /= base;
            steps += 1;
        }
        (rest, steps)
    };
    let (rest, suffix) = match (divided(1024), divided(1000)) {
        ((rest, steps @ 1..), _) => (rest, ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][steps - 1]),
        (_, (rest, steps @ 1..)) => (rest, ["k", "M", "G", "T", "P", "E"][steps - 1]),
        _ => (value, ""),
    };
    let digits = rest.unsigned_abs().to_string();
    let mut text = if rest < 0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len() >= 5 && (digits.len() - at).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    [text, suffix.to_owned()]
}

/// How the last decimal of a percentage comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decimals {
    /// Two decimals always, cut off: `  0.00%`.
    TwoCut,
    /// As many as needed up to two, the last one rounded: `  0%`, ` 98.12%`.
    NeededRounded,
}

/// `part` of `whole` in per cent, width 3 before the point. `NAN` for 0 of 0.
pub fn percentage(part: u64, whole: u64, decimals: Decimals) -> String {
    if whole == 0 {
        return if part == 0 { "NAN".to_owned() } else { "INF".to_owned() };
    }
    let hundredths = u128::from(part) * 10_000;
    let whole = u128::from(whole);
    match decimals {
        Decimals::TwoCut => {
            let value = hundredths / whole;
            format!("{:3}.{:02}%", value / 100, value % 100)
        }
        Decimals::NeededRounded => {
            // Decimals go on while something is left over; only the last one can be a rounded one. Where 100 times
            // the part would not fit 63 bits, there is no telling, and both are shown.
            let units = hundredths / whole / 100;
            let fits = part <= i64::MAX as u64 / 100;
            if fits && hundredths % (whole * 100) == 0 {
                format!("{units:3}%")
            } else if fits && hundredths % (whole * 10) == 0 {
                format!("{units:3}.{}%", hundredths / whole / 10 % 10)
            } else {
                let value = hundredths / whole + u128::from(hundredths % whole * 2 >= whole);
                format!("{:3}.{:02}%", value / 100, value % 100)
            }
        }
    }
}

/// How exact a duration on the screen is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// To the second.
    High,
    /// Without seconds, unless there is nothing else.
    Low,
}

/// T(t): a duration in seconds for the screen, at most some ten characters: `1h  2m  3s`. `n/a` if negative.
pub fn duration(seconds: i64, precision: Precision) -> String {
    if seconds < 0 {
        return "n/a".to_owned();
    }
    let parts = [(seconds / 86400, 'd'), (seconds / 3600 % 24, 'h'), (seconds / 60 % 60, 'm')];
    let mut text = String::new();
    let mut push = |number: i64, unit: char| {
        if number > 0 && text.len() <= 7 {
            if !text.is_empty() {
                text.push_str(if number < 10 { "  " } else { " " });
            }
            text.push_str(&format!("{number}{unit}"));
        }
        text.is_empty()
    };
    let is_empty = parts.iter().fold(true, |_, (number, unit)| push(*number, *unit));
    if precision == Precision::High || is_empty {
        push(seconds % 60, 's');
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A duration in seconds for logs: `4s`, `3m:04s`, `2h:03m:04s`, `1d:02h:03m:04s`.
pub fn log_duration(seconds: u64) -> String {
    let (d, h, m, s) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{s}s"),
        (0, 0, _) => format!("{m}m:{s:02}s"),
        (0, _, _) => format!("{h}h:{m:02}m:{s:02}s"),
        _ => format!("{d}d:{h:02}h:{m:02}m:{s:02}s"),
    }
}

/// A date, given as time since the Unix epoch, in local time: `2025-01-05 10:00:00`.
pub fn timestamp(since_epoch: Nanos) -> String {
    timestamp_in(since_epoch, TimeZone::system())
}

fn timestamp_in(since_epoch: Nanos, zone: TimeZone) -> String {
    let seconds = i64::try_from(since_epoch.whole_secs()).unwrap_or(i64::MAX);
    let instant = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    instant.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn intervals_must_come_out_whole() {
        for (text, seconds) in [("1.5d", 129_600), ("1/2m", 30), ("010", 10), ("1.5h", 5400), ("0", 0)] {
            assert_eq!(parse_interval(text.as_bytes()), Ok(seconds), "{text}");
        }
        for text in ["1.5", "0.5s", ".5", "5.", "1/", "/2", "-1", "1/0", "", "99999999999999999999", "1/0d"] {
            assert_eq!(parse_interval(text.as_bytes()), Err(NumberError::IntervalValue), "{text}");
        }
        for text in ["5x", "1.5.5", "1/2/3", "0x10"] {
            assert_eq!(parse_interval(text.as_bytes()), Err(NumberError::IntervalUnit), "{text}");
        }
        assert_eq!(parse_interval(b"5sfoo"), Err(NumberError::Extra));
        let (half, _) = interval_prefix(b"2/4,60").unwrap();
        assert_eq!((half.denominator(), half.nanos()), (2, Nanos::from_millis(500)));
    }

    #[test]
    fn sizes_keep_six_digits_and_rates_five() {
        assert_eq!(size(300_000, Prefixes::Decimal), "300000 ");
        assert_eq!(size(1_665_999_999, Prefixes::Decimal), "1665 M");
        assert_eq!(rate(21_479_999, Prefixes::Decimal), "21479 k");
        assert_eq!(size(1 << 20, Prefixes::Binary), "1024 Ki");
        assert_eq!(size(i64::MAX as u64, Prefixes::Decimal), "9223 P");
        assert_eq!(scaled(-1_000_000, SIZE_LIMIT, Prefixes::Decimal), "-1000 k");
    }

    #[test]
    fn grouping_never_loses_a_digit() {
        let cases = [
            (9999, "9999"),
            (1024, "1024"),
            (10_000, "10k"),
            (65_536, "64Ki"),
            (1 << 20, "1Mi"),
            (12_345, "12_345"),
            (1_234_567, "1_234_567"),
            (1_536_000, "1500Ki"),
            (i64::MAX, "9_223_372_036_854_775_807"),
            (-65_536, "-64Ki"),
        ];
        for (value, text) in cases {
            assert_eq!(grouped(value), text);
        }
        assert_eq!(grouped_spaced(65_536), "64 Ki");
        assert_eq!(grouped_spaced(100), "100 ");
    }

    #[test]
    fn percentages_are_cut_or_rounded() {
        assert_eq!(percentage(0, 7, Decimals::TwoCut), "  0.00%");
        assert_eq!(percentage(7, 7, Decimals::TwoCut), "100.00%");
        assert_eq!(percentage(2, 3, Decimals::TwoCut), " 66.66%");
        assert_eq!(percentage(2, 3, Decimals::NeededRounded), " 66.67%");
        assert_eq!(percentage(1, 2, Decimals::NeededRounded), " 50%");
        assert_eq!(percentage(1, 8, Decimals::NeededRounded), " 12.5%");
        assert_eq!(percentage(99_999_999, 100_000_000, Decimals::NeededRounded), "100.00%");
        assert_eq!(percentage(1, 100_000_000, Decimals::NeededRounded), "  0.00%");
        assert_eq!(percentage(1 << 57, 1 << 57, Decimals::NeededRounded), "100.00%");
        assert_eq!(percentage(0, 0, Decimals::NeededRounded), "NAN");
    }

    #[test]
    fn durations_keep_to_the_room_on_the_screen() {
        let cases = [
            (-1, "n/a"),
            (0, "0s"),
            (59, "59s"),
            (3723, "1h  2m  3s"),
            (38640, "10h 44m"),
            (90061, "1d  1h  1m"),
            (864_000, "10d"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds, Precision::High), text);
        }
        assert_eq!(duration(3723, Precision::Low), "1h  2m");
        assert_eq!(duration(23, Precision::Low), "23s");
    }

    #[test]
    fn log_durations_begin_with_the_largest_unit() {
        let cases = [(4, "4s"), (184, "3m:04s"), (7384, "2h:03m:04s"), (93784, "1d:02h:03m:04s")];
        for (seconds, text) in cases {
            assert_eq!(log_duration(seconds), text);
        }
    }

    #[test]
    fn dates_are_shown_to_the_second() {
        let date = timestamp_in(Nanos::from_secs(1_736_071_200), TimeZone::UTC);
        assert_eq!(date, "2025-01-05 10:00:00");
    }
}
