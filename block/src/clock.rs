//! Where time comes from.
//!
//! Owns the only look at real time in the project. Must not know what is being timed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::Nanos;

/// Tells the time and lets it pass.
pub trait Clock {
    /// Time since the Unix epoch, or since the start of a simulation.
    fn now(&self) -> Nanos;
    /// Lets `pause` pass. May return early when the process gets a signal.
    fn sleep(&self, pause: Nanos);
}

/// Real time. Runs on the monotonic clock from the date at which it was made, so that setting the system's date
/// neither ends a rescue nor makes rates negative.
#[derive(Debug)]
pub struct WallClock {
    date: Nanos,
    made: Instant,
}

impl WallClock {
    /// Makes a clock that starts at the system's date.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads real time")]
    pub fn new() -> WallClock {
        let date = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        WallClock { date: Nanos::new(date.as_nanos() as u64), made: Instant::now() }
    }
}

impl Default for WallClock {
    fn default() -> WallClock {
        WallClock::new()
    }
}

impl Clock for WallClock {
    fn now(&self) -> Nanos {
        self.date + Nanos::new(self.made.elapsed().as_nanos() as u64)
    }

    fn sleep(&self, pause: Nanos) {
        // Not thread::sleep, which goes back to sleep after a signal: Ctrl-C must end a pause.
        let timeout = nix::sys::time::TimeSpec::from_duration(Duration::from_nanos(pause.nanoseconds()));
        let _ = nix::poll::ppoll(&mut [], Some(timeout), None);
    }
}

/// Time that passes only when somebody sleeps.
#[derive(Debug, Default)]
pub struct VirtualClock {
    now: AtomicU64,
}

impl VirtualClock {
    /// Makes a clock that stands at `start`.
    pub fn new(start: Nanos) -> VirtualClock {
        VirtualClock { now: AtomicU64::new(start.nanoseconds()) }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Nanos {
        Nanos::new(self.now.load(Ordering::Relaxed))
    }

    fn sleep(&self, pause: Nanos) {
        self.now.store((self.now() + pause).nanoseconds(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_time_passes_only_in_sleep() {
        let clock = VirtualClock::new(Nanos::from_secs(5));
        assert_eq!(clock.now(), Nanos::from_secs(5));
        clock.sleep(Nanos::from_millis(1500));
        assert_eq!(clock.now(), Nanos::from_millis(6500));
        clock.sleep(Nanos::NEVER);
        assert_eq!(clock.now(), Nanos::NEVER);
    }

    #[test]
    fn real_time_goes_forwards_and_a_pause_lasts() {
        let clock = WallClock::new();
        let before = clock.now();
        clock.sleep(Nanos::from_millis(2));
        assert!(clock.now().since(before) >= Nanos::from_millis(2));
    }
}
