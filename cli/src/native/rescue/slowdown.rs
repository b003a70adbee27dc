//! A drive that stays slow after an error, where it was fast before.
//!
//! Owns the judgement, second by second. Must not know what is done about it.

use map::Phase;

/// Seconds of slowness in a row that are called lasting.
const LASTING_SECS: u64 = 30;
/// The share of the healthy rate below which a second is slow: errors and weak places alone make reads slower, too.
const SLOW_SHARE: u64 = 8;

/// Whether a drive that was fast before its first error has stayed slow since the last one. Many do, until they are
/// closed and opened again.
#[derive(Clone, Debug, Default)]
pub struct Slowdown {
    /// Highest rate over a second before the first failed read, in bytes per second.
    healthy_rate: u64,
    /// Seconds in a row that were slow although nothing failed.
    slow_secs: u64,
    /// Whether they were ever as many as are called lasting.
    has_lasted: bool,
    /// Failed reads up to the last second.
    failed_reads: u64,
    /// The last second.
    second: Option<u64>,
}

impl Slowdown {
    /// Takes note that in `phase`, up to the clock's `second`, the rate was `rate` bytes per second and so many reads of
    /// this run have failed. Of a second that was noted before, nothing is taken.
    pub fn note(&mut self, second: u64, phase: Phase, rate: u64, failed_reads: u64) {
        let Some(passed) = self.second.map_or(Some(0), |last| second.checked_sub(last).filter(|s| *s > 0))
        else {
            return;
        };
        self.second = Some(second);
        let has_failed = std::mem::replace(&mut self.failed_reads, failed_reads) != failed_reads;
        // Only copying reads places that are not known to be bad, in reads of full size.
        if phase != Phase::Copying {
            self.slow_secs = 0;
        } else if failed_reads == 0 {
            self.healthy_rate = self.healthy_rate.max(rate);
        } else if has_failed || rate >= self.healthy_rate / SLOW_SHARE {
            self.slow_secs = 0;
        } else {
            self.slow_secs += passed;
        }
        self.has_lasted |= self.is_lasting();
    }

    /// Whether it has been slow for long enough to do something about it.
    pub fn is_lasting(&self) -> bool {
        self.slow_secs >= LASTING_SECS
    }

    /// Whether it was ever so in this run.
    pub fn has_lasted(&self) -> bool {
        self.has_lasted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: u64 = 100_000_000;
    const SLOW: u64 = 5_000_000;

    /// Seconds one after the other: how many of them, the phase, the rate, and the reads that have failed by then.
    fn after(seconds: &[(u64, Phase, u64, u64)]) -> bool {
        let mut slowdown = Slowdown::default();
        let mut now = 1000;
        for (count, phase, rate, failed_reads) in seconds {
            for _ in 0..*count {
                now += 1;
                slowdown.note(now, *phase, *rate, *failed_reads);
                // Whoever notes a second twice changes nothing.
                slowdown.note(now, *phase, 0, *failed_reads);
            }
        }
        slowdown.is_lasting()
    }

    #[test]
    fn slowness_lasts_when_half_a_minute_after_an_error_was_slow_and_nothing_failed() {
        use Phase::Copying;
        assert!(!after(&[(10, Copying, FAST, 0), (1, Copying, SLOW, 1), (29, Copying, SLOW, 1)]));
        assert!(after(&[(10, Copying, FAST, 0), (1, Copying, SLOW, 1), (30, Copying, SLOW, 1)]));
    }

    #[test]
    fn errors_recovery_and_slowness_from_the_start_are_no_lasting_slowness() {
        use Phase::{Copying, Trimming};
        let errors: Vec<_> = (1..60).map(|failed| (1, Copying, SLOW, failed)).collect();
        assert!(!after(&[&[(10, Copying, FAST, 0)], &errors[..]].concat()), "new errors explain it");
        let recovered =
            [(10, Copying, FAST, 0), (25, Copying, SLOW, 1), (1, Copying, FAST, 1), (25, Copying, SLOW, 1)];
        assert!(!after(&recovered), "it was fast in between");
        assert!(!after(&[(10, Copying, SLOW, 0), (60, Copying, SLOW, 1)]), "it was never fast");
        assert!(!after(&[(10, Copying, FAST, 0), (60, Trimming, SLOW, 1)]), "single sectors are slow");
        assert!(!after(&[(60, Copying, SLOW, 1)]), "nobody knows how fast it was");
    }

    #[test]
    fn a_second_that_was_waited_through_counts_as_all_of_them() {
        let mut slowdown = Slowdown::default();
        slowdown.note(10, Phase::Copying, FAST, 0);
        slowdown.note(11, Phase::Copying, SLOW, 1);
        slowdown.note(26, Phase::Copying, SLOW, 1);
        assert!(!slowdown.is_lasting());
        slowdown.note(41, Phase::Copying, SLOW, 1);
        assert!(slowdown.is_lasting());
        // A clock that was set back notes nothing.
        slowdown.note(5, Phase::Copying, FAST, 1);
        assert!(slowdown.is_lasting());
        slowdown.note(42, Phase::Trimming, SLOW, 1);
        assert!(!slowdown.is_lasting());
        assert!(slowdown.has_lasted());
    }
}
