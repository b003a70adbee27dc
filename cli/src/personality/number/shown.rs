//! Sizes, rates and percentages as shown on screens and in messages.
//!
//! Owns how each is shortened. Must not know where it is shown.

use super::PREFIXES;

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::personality::number::{IntegerRule, parse_integer};

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

    proptest! {
        #[test]
        fn a_grouped_number_is_read_back_as_it_was(value: i64) {
            let text = grouped(value).replace('_', "");
            prop_assert_eq!(parse_integer(text.as_bytes(), IntegerRule::count(i64::MIN, i64::MAX)), Ok(value));
        }

        #[test]
        fn a_scaled_number_is_never_more_than_it_was(value in 0u64..=i64::MAX as u64, binary: bool) {
            let prefixes = if binary { Prefixes::Binary } else { Prefixes::Decimal };
            let text = size(value, prefixes).replace(' ', "");
            let rule = IntegerRule::count(0, i64::MAX);
            let shown = parse_integer(text.as_bytes(), rule).unwrap() as u64;
            prop_assert!(shown <= value);
            prop_assert!(value - shown <= value / 900, "{} shown as {}", value, text);
        }
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
}
