//! How fast a rescue goes, second by second.
//!
//! Owns rates, averages, slowness and the guess at the remaining time. Must not look at any clock: it is told the time.
//!
//! All is counted in whole seconds, as GNU ddrescue does: a decision that rests on these numbers must fall the same way.

use std::collections::VecDeque;

use crate::attempt::Slow;

/// Samples of the current rate that the remaining time is guessed from.
const SAMPLES_MAX: usize = 30;

/// When a source counts as slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatesOptions {
    /// Rate below which a second is slow, in bytes per second; 0: a tenth of the average rate. `None`: never.
    pub read_rate_min: Option<u64>,
    /// Seconds from the start during which nothing is slow.
    pub slow_delay_secs: u64,
    /// Forget slow reads as soon as a second is not slow.
    pub slow_reset: bool,
}

impl Default for RatesOptions {
    fn default() -> RatesOptions {
        RatesOptions { read_rate_min: None, slow_delay_secs: 30, slow_reset: false }
    }
}

/// Rates of a running rescue.
#[derive(Clone, Debug)]
pub struct Rates {
    options: RatesOptions,
    started: u64,
    /// The clock's second.
    second: u64,
    /// The same with simulated pauses added, like all instants here.
    now: u64,
    pause_shown: f64,
    rescued_first: u64,
    rescued_last: u64,
    sampled: u64,
    current: u64,
    average: u64,
    error_rate: u64,
    failed_bytes: u64,
    samples: VecDeque<u64>,
    read_errors: u64,
    slow_reads: u64,
    slow_checked: u64,
    was_slow: bool,
    last_success: Option<u64>,
    /// When the last sample with data was taken.
    grown: u64,
}

impl Rates {
    /// Starts counting at `now` seconds, with `rescued` bytes rescued by earlier runs.
    pub fn new(options: RatesOptions, now: u64, rescued: u64) -> Rates {
        Rates {
            options,
            started: now,
            second: now,
            now,
            pause_shown: 0.0,
            rescued_first: rescued,
            rescued_last: rescued,
            sampled: now,
            current: 0,
            average: 0,
            error_rate: 0,
            failed_bytes: 0,
            samples: VecDeque::new(),
            read_errors: 0,
            slow_reads: 0,
            slow_checked: now,
            was_slow: false,
            last_success: None,
            grown: now,
        }
    }

    /// Takes note of the time and of the bytes rescued in all; returns whether a new second began.
    pub fn tick(&mut self, now: u64, rescued: u64) -> bool {
        self.advance(now);
        if self.now == self.sampled {
            return false;
        }
        self.sample(self.now, rescued);
        true
    }

    /// Takes a last sample, also if no second has passed since the one before: then as if one had, and all
    /// simulated pauses with it.
    pub fn conclude(&mut self, now: u64, rescued: u64) {
        if self.tick(now, rescued) {
            return;
        }
        self.sample(self.second + self.pause_shown.round() as u64 + 1, rescued);
    }

    fn sample(&mut self, now: u64, rescued: u64) {
        let elapsed = (now - self.sampled).max(1);
        (self.current, self.average) = self.rates_at(now, rescued);
        self.error_rate = self.failed_bytes / elapsed;
        if rescued > self.rescued_last {
            self.grown = self.now;
        }
        self.failed_bytes = 0;
        self.rescued_last = rescued;
        self.sampled = now;
        self.samples.push_back(self.current);
        if self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
    }

    /// Whether the clock's second is another one than at the last look at it.
    pub fn is_due(&self, second: u64) -> bool {
        second != self.second
    }

    /// Bytes rescued since the last sample, of `rescued` in all.
    pub fn rescued_since_sample(&self, rescued: u64) -> u64 {
        rescued.saturating_sub(self.rescued_last)
    }

    /// The current and the average rate that a sample would have now.
    fn rates_at(&self, now: u64, rescued: u64) -> (u64, u64) {
        let current = self.rescued_since_sample(rescued) / (now - self.sampled).max(1);
        let average = rescued.saturating_sub(self.rescued_first) / (now - self.started).max(1);
        (current, average)
    }

    /// Takes note of a read's result, in bytes.
    pub fn read(&mut self, copied: u64, failed: u64) {
        if copied > 0 {
            self.last_success = Some(self.now);
        }
        if failed > 0 {
            self.read_errors += 1;
            self.failed_bytes += failed;
        }
    }

    /// Tells, after a read completed at `now`, whether the source is slow. Judged once a second; see [`RatesOptions`].
    pub fn judge_slowness(&mut self, now: u64, rescued: u64) -> Option<Slow> {
        let least = self.options.read_rate_min?;
        self.advance(now);
        let now = self.now;
        if now <= self.slow_checked || now - self.started <= self.options.slow_delay_secs {
            return None;
        }
        self.slow_checked = now;
        let (current, average) = self.rates_at(now, rescued);
        let least = if least == 0 { average / 10 } else { least };
        if current >= least {
            self.was_slow = false;
            if self.options.slow_reset {
                self.slow_reads = 0;
            }
            return None;
        }
        self.slow_reads += 1;
        let continued = std::mem::replace(&mut self.was_slow, true);
        Some(Slow { rate: current, continued })
    }

    /// A new pass begins: what the last one's rate was tells nothing about it.
    pub fn new_pass(&mut self) {
        self.samples.clear();
    }

    /// A pause that is only simulated, in seconds: from the clock's next second on it is as if it had been.
    pub fn add_shown_pause(&mut self, secs: f64) {
        self.pause_shown += secs;
    }

    /// A pause of so many seconds has ended at `now`: it does not count for [`Rates::idle_secs`]. The current rate and
    /// slowness begin anew.
    pub fn forgive_pause(&mut self, secs: u64, now: u64) {
        let idle_since = self.grown + secs;
        self.begin_again(now);
        self.grown = idle_since.min(self.now);
    }

    /// The source could not be read until `now`: this counts as if it had just begun.
    pub fn begin_again(&mut self, now: u64) {
        self.advance(now);
        self.sampled = self.now;
        self.slow_checked = self.now;
        self.grown = self.now;
    }

    /// Bytes per second in the last second.
    pub fn current(&self) -> u64 {
        self.current
    }

    /// Bytes per second over this run.
    pub fn average(&self) -> u64 {
        self.average
    }

    /// Bytes of failed reads per second in the last second.
    pub fn error_rate(&self) -> u64 {
        self.error_rate
    }

    /// Failed reads in this run.
    pub fn read_errors(&self) -> u64 {
        self.read_errors
    }

    /// Slow reads in this run.
    pub fn slow_reads(&self) -> u64 {
        self.slow_reads
    }

    /// Seconds that this run has taken, simulated pauses included.
    pub fn run_secs(&self) -> u64 {
        self.now - self.started
    }

    /// The second that it is, in the clock's count with simulated pauses added.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Seconds since data was last rescued, or since the start.
    pub fn idle_secs(&self) -> u64 {
        self.now - self.grown
    }

    /// Seconds since the last read that brought data; `None` if none did.
    pub fn since_success(&self) -> Option<u64> {
        self.last_success.map(|last| self.now - last)
    }

    /// Seconds that `bytes` will take at the mean of the last samples, rounded up; `None` without a rate.
    pub fn remaining_secs(&self, bytes: u64) -> Option<u64> {
        let mean = self.samples.iter().sum::<u64>() / (self.samples.len() as u64).max(1);
        (mean > 0).then(|| bytes.div_ceil(mean))
    }

    /// The slowest and the fastest second among the last samples, in bytes per second.
    pub fn sample_bounds(&self) -> Option<(u64, u64)> {
        Some((*self.samples.iter().min()?, *self.samples.iter().max()?))
    }

    /// The clock shows `second`. Simulated pauses count from its next second on.
    fn advance(&mut self, second: u64) {
        self.step_back(second);
        if second != self.second {
            self.second = second;
            self.now = second + self.pause_shown.round() as u64;
        }
    }

    /// The clock may be set back: move all instants with it, so that no time is negative.
    fn step_back(&mut self, second: u64) {
        if second < self.second {
            let back = self.second - second;
            self.second = second;
            self.now -= back;
            for instant in [&mut self.started, &mut self.sampled, &mut self.slow_checked, &mut self.grown] {
                *instant = instant.saturating_sub(back);
            }
            self.last_success = self.last_success.map(|last| last.saturating_sub(back));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_judged_once_a_second_and_not_before_the_delay() {
        let options = RatesOptions { read_rate_min: Some(1000), slow_delay_secs: 2, slow_reset: true };
        let mut rates = Rates::new(options, 100, 0);
        // One look after each read, as the loop does.
        let mut look = |now, rescued| {
            let slow = rates.judge_slowness(now, rescued);
            rates.tick(now, rescued);
            (slow, rates.slow_reads())
        };
        assert_eq!(look(102, 10), (None, 0));
        assert_eq!(look(103, 10), (Some(Slow { rate: 0, continued: false }), 1));
        assert_eq!(look(103, 10), (None, 1));
        assert_eq!(look(104, 20), (Some(Slow { rate: 10, continued: true }), 2));
        assert_eq!(look(105, 5000), (None, 0));
    }

    #[test]
    fn simulated_pauses_count_from_the_next_second_on_and_a_real_one_is_no_time_without_data() {
        let mut rates = Rates::new(RatesOptions::default(), 100, 0);
        rates.add_shown_pause(2.5);
        rates.tick(100, 50);
        assert_eq!(rates.run_secs(), 0);
        rates.tick(101, 400);
        assert_eq!((rates.run_secs(), rates.current(), rates.idle_secs()), (4, 100, 0));
        rates.forgive_pause(5, 107);
        assert_eq!((rates.run_secs(), rates.idle_secs()), (10, 1));
    }

    #[test]
    fn a_clock_that_steps_back_makes_no_time_negative() {
        let mut rates = Rates::new(RatesOptions::default(), 1000, 0);
        rates.tick(1010, 500);
        rates.tick(900, 500);
        assert_eq!(rates.run_secs(), 10);
        rates.tick(901, 600);
        assert_eq!(rates.current(), 100);
    }
}
