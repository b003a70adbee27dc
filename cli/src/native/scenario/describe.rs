//! Words about a scenario that several commands use.
//!
//! Owns how sizes, rates, times and descriptions are shortened. Must not know where they go.

use block::Nanos;
use simulator::Scenario;

/// A number of bytes as makers of disks count, with three digits: `512 B`, `64.0 MB`, `4.00 TB`.
pub(super) fn size(bytes: u64) -> String {
    three_digits(bytes as f64, &["B", "kB", "MB", "GB", "TB", "PB"])
}

/// Bytes per second: `98.5 MB/s`.
pub(super) fn rate(bytes_per_second: f64) -> String {
    three_digits(bytes_per_second, &["B/s", "kB/s", "MB/s", "GB/s"])
}

fn three_digits(value: f64, units: &[&str]) -> String {
    let mut step = 0;
    let mut value = value;
    // What would be rounded to 1000 belongs to the next unit.
    while value >= 999.5 && step + 1 < units.len() {
        (value, step) = (value / 1000.0, step + 1);
    }
    let decimals = match value {
        _ if step == 0 => 0,
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {}", units[step])
}

/// About how long: `12 ms`, `3.0 s`, `25 min`, `8.3 h`, `13 days`, `2.4 years`.
pub(super) fn time(time: Nanos) -> String {
    let seconds = time.nanoseconds() as f64 / 1e9;
    let (value, unit) = match seconds {
        ..0.9995 => (seconds * 1e3, "ms"),
        ..100.0 => (seconds, "s"),
        ..5400.0 => (seconds / 60.0, "min"),
        ..172_800.0 => (seconds / 3600.0, "h"),
        ..31_557_600.0 => (seconds / 86_400.0, "days"),
        _ => (seconds / 31_557_600.0, "years"),
    };
    if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// A share in per cent, never rounded to all or nothing.
pub(super) fn share(part: u64, whole: u64) -> String {
    let percent = part as f64 * 100.0 / whole.max(1) as f64;
    match part {
        0 => "0 %".to_owned(),
        _ if part < whole && percent > 99.99 => "above 99.99 %".to_owned(),
        _ if percent < 0.01 => "below 0.01 %".to_owned(),
        _ => format!("{percent:.2} %"),
    }
}

/// The description in one line.
pub(super) fn description(scenario: &Scenario) -> String {
    scenario.head.description.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Its first sentence.
pub(super) fn first_sentence(description: &str) -> &str {
    description.find(". ").map_or(description, |end| &description[..=end])
}

/// Breaks text into lines of at most `width` characters, each behind `indent`.
pub(super) fn filled(text: &str, width: usize, indent: &str) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && indent.len() + line.chars().count() + 1 + word.chars().count() > width {
            lines.push_str(&format!("{indent}{line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines + &format!("{indent}{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits_and_times_two() {
        let sizes = [
            (0, "0 B"),
            (999, "999 B"),
            (1_474_560, "1.47 MB"),
            (268_435_456, "268 MB"),
            (999_600_000, "1.00 GB"),
            (4_000_787_030_016, "4.00 TB"),
        ];
        for (bytes, text) in sizes {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(rate(98_040_000.0), "98.0 MB/s");
        let times = [(5, "5.0 ms"), (900, "900 ms"), (3150, "3.1 s"), (7_200_000, "2.0 h")];
        for (milliseconds, text) in times {
            assert_eq!(time(Nanos::from_millis(milliseconds)), text);
        }
        assert_eq!(time(Nanos::from_secs(40 * 86_400)), "40 days");
        assert_eq!(time(Nanos::from_secs(3 * 31_557_600)), "3.0 years");
        assert_eq!(
            [share(0, 9), share(1, 8), share(1, 1 << 40), share(8, 8)],
            ["0 %", "12.50 %", "below 0.01 %", "100.00 %"]
        );
        assert_eq!(share((1 << 40) - 1, 1 << 40), "above 99.99 %");
    }

    #[test]
    fn text_is_filled() {
        assert_eq!(filled("a bb  ccc\ndddd", 8, "  "), "  a bb\n  ccc\n  dddd\n");
        assert_eq!(first_sentence("One. Two."), "One.");
        assert_eq!(first_sentence("One 1.5"), "One 1.5");
    }
}
