//! Positions on a medium and stretches of time.
//!
//! Owns the two numbers that must never be mixed up with others, and their arithmetic.
//! Must not know where they come from.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A position in bytes from the start of a medium, 0 to 2^63 - 1.
///
/// [`Offset::MAX`] stands for "no end": additions stop there instead of overflowing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(u64);

impl Offset {
    /// The start of the medium.
    pub const ZERO: Offset = Offset(0);
    /// The largest position there is, standing for "no end".
    pub const MAX: Offset = Offset(i64::MAX as u64);

    /// Makes a position from a count of bytes; counts beyond 2^63 - 1 become [`Offset::MAX`].
    pub const fn new(bytes: u64) -> Offset {
        if bytes > i64::MAX as u64 { Offset::MAX } else { Offset(bytes) }
    }

    /// Returns the position as a count of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Returns the nearest multiple of `unit` bytes at or below this position.
    pub const fn align_down(self, unit: u64) -> Offset {
        Offset(self.0 - self.0 % unit)
    }

    /// Returns the nearest multiple of `unit` bytes at or above this position, at most [`Offset::MAX`].
    pub const fn align_up(self, unit: u64) -> Offset {
        let over = self.0 % unit;
        if over == 0 { self } else { Offset::new(self.0 + (unit - over)) }
    }

    /// Whether this position is a multiple of `unit` bytes.
    pub const fn is_multiple_of(self, unit: u64) -> bool {
        self.0.is_multiple_of(unit)
    }

    /// Returns the position `bytes` before this one, at least 0.
    pub const fn saturating_back(self, bytes: u64) -> Offset {
        Offset(self.0.saturating_sub(bytes))
    }

    /// Returns the position moved by a signed distance; `None` below 0 or beyond [`Offset::MAX`].
    pub const fn shifted(self, distance: i64) -> Option<Offset> {
        match (self.0 as i64).checked_add(distance) {
            Some(moved) if moved >= 0 => Some(Offset(moved as u64)),
            _ => None,
        }
    }
}

impl Add<u64> for Offset {
    type Output = Offset;
    fn add(self, bytes: u64) -> Offset {
        Offset::new(self.0.saturating_add(bytes))
    }
}

impl AddAssign<u64> for Offset {
    fn add_assign(&mut self, bytes: u64) {
        *self = *self + bytes;
    }
}

impl Sub for Offset {
    type Output = u64;
    /// Distance in bytes. The right-hand side must not be larger.
    fn sub(self, earlier: Offset) -> u64 {
        debug_assert!(earlier.0 <= self.0);
        self.0 - earlier.0
    }
}

/// Prints `0x` and at least eight hexadecimal digits, as mapfiles do.
impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:08X}", self.0)
    }
}

/// A stretch of time, or an instant as time since some origin, in nanoseconds. Saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(u64);

impl Nanos {
    /// No time at all.
    pub const ZERO: Nanos = Nanos(0);
    /// Longer than anything that happens: "never".
    pub const NEVER: Nanos = Nanos(u64::MAX);

    /// Makes a time from nanoseconds.
    pub const fn new(nanoseconds: u64) -> Nanos {
        Nanos(nanoseconds)
    }

    /// Makes a time from milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Nanos {
        Nanos(milliseconds.saturating_mul(1_000_000))
    }

    /// Makes a time from seconds.
    pub const fn from_secs(seconds: u64) -> Nanos {
        Nanos(seconds.saturating_mul(1_000_000_000))
    }

    /// Returns the time in nanoseconds.
    pub const fn nanoseconds(self) -> u64 {
        self.0
    }

    /// Returns the whole seconds in this time, rounded down.
    pub const fn whole_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// Returns the time since `earlier`, or zero if that is later (a clock may step back).
    pub const fn since(self, earlier: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Nanos {
    type Output = Nanos;
    fn add(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Nanos {
    fn add_assign(&mut self, other: Nanos) {
        *self = *self + other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn additions_stop_at_the_largest_position() {
        assert_eq!(Offset::MAX + 1, Offset::MAX);
        assert_eq!(Offset::new(u64::MAX), Offset::MAX);
        assert_eq!(Offset::MAX.align_up(512), Offset::MAX);
        assert_eq!(Offset::new(5).shifted(-6), None);
        assert_eq!(Offset::MAX.shifted(1), None);
    }

    #[test]
    fn aligning_keeps_multiples_and_moves_the_rest() {
        assert_eq!(Offset::new(1024).align_up(512), Offset::new(1024));
        assert_eq!(Offset::new(1025).align_up(512), Offset::new(1536));
        assert_eq!(Offset::new(1535).align_down(512), Offset::new(1024));
    }

    #[test]
    fn positions_print_as_mapfiles_write_them() {
        assert_eq!(Offset::new(0x93E0).to_string(), "0x000093E0");
        assert_eq!(Offset::MAX.to_string(), "0x7FFFFFFFFFFFFFFF");
    }

    #[test]
    fn time_saturates_and_never_runs_backwards() {
        assert_eq!(Nanos::NEVER + Nanos::from_secs(1), Nanos::NEVER);
        assert_eq!(Nanos::from_secs(u64::MAX), Nanos::NEVER);
        assert_eq!(Nanos::from_millis(1).since(Nanos::from_secs(1)), Nanos::ZERO);
        assert_eq!(Nanos::from_millis(2999).whole_secs(), 2);
    }

    proptest! {
        #[test]
        fn an_aligned_position_is_the_nearest_multiple(at in 0..=i64::MAX as u64, unit in 1u64..1 << 20) {
            let position = Offset::new(at);
            let (down, up) = (position.align_down(unit), position.align_up(unit));
            prop_assert!(down <= position && position <= up);
            prop_assert!(down.is_multiple_of(unit) && position - down < unit);
            prop_assert!(up == Offset::MAX || (up.is_multiple_of(unit) && up - position < unit));
        }

        #[test]
        fn shifting_there_and_back_changes_nothing(at in 0..=i64::MAX as u64, by in any::<i64>()) {
            let position = Offset::new(at);
            match position.shifted(by) {
                Some(moved) => prop_assert_eq!(i128::from(moved.bytes()), i128::from(at) + i128::from(by)),
                None => prop_assert!(!(0..=i128::from(i64::MAX)).contains(&(i128::from(at) + i128::from(by)))),
            }
        }
    }
}
