//! Time intervals as read, durations and dates as shown.
//!
//! Owns their formats. Must not know what is timed.

use block::Nanos;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::NumberError;

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
    use proptest::prelude::*;

    use super::*;

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

    proptest! {
        #[test]
        fn any_argument_is_an_interval_or_an_error(text in "[0-9]{0,25}[./]{0,2}[0-9]{0,25}[smhd,]{0,2}") {
            let _ = interval_prefix(text.as_bytes()).map(|(interval, _)| interval.nanos());
        }
    }
}
