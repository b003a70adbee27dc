//! How simulated time meets real time.
//!
//! Owns the arithmetic between the two. Must not know disks. Reads no clock: it is told the time.

use block::Nanos;

/// How fast simulated time passes for those who are served.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Pace {
    /// Every answer leaves as soon as it is computed.
    Instant,
    /// As in reality.
    #[default]
    Real,
    /// So many times as fast as in reality; more than 0.
    Times(f64),
}

impl Pace {
    /// So many times as fast as reality; `None`: at once.
    pub fn factor(self) -> Option<f64> {
        match self {
            Pace::Instant => None,
            Pace::Real => Some(1.0),
            Pace::Times(factor) => Some(factor),
        }
    }
}

/// Whether time passes for a disk while nobody asks anything of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idle {
    /// It does: it cools down, it spins down. Arrival times decide.
    #[default]
    Counts,
    /// It does not: the order of requests alone decides.
    Stops,
}

/// Where a disk's time lies in real time.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    factor: Option<f64>,
    idle: Idle,
    /// The real time at which the disk's time was 0.
    base: Nanos,
}

impl Course {
    /// A disk whose time begins now.
    pub fn new(pace: Pace, idle: Idle, now: Nanos) -> Course {
        Course { factor: pace.factor(), idle, base: now }
    }

    /// The disk's time at which a request arrives that comes at the real time `now`, when the disk is `ready` for it at
    /// its own time.
    pub fn arrival(&mut self, now: Nanos, ready: Nanos) -> Nanos {
        let Some(factor) = self.factor else { return ready };
        match self.idle {
            Idle::Counts => scaled(now.since(self.base), factor),
            Idle::Stops => {
                // The clock stood still while nobody came.
                let passed = scaled(ready, 1.0 / factor);
                self.base = self.base.max(Nanos::new(now.nanoseconds().saturating_sub(passed.nanoseconds())));
                ready
            }
        }
    }

    /// The real time of a time of the disk; [`Nanos::NEVER`] if it is never, and 0, which is past, if nobody waits.
    pub fn due(&self, done: Nanos) -> Nanos {
        match self.factor {
            _ if done == Nanos::NEVER => Nanos::NEVER,
            None => Nanos::ZERO,
            Some(factor) => self.base + scaled(done, 1.0 / factor),
        }
    }
}

fn scaled(time: Nanos, factor: f64) -> Nanos {
    // Exact where it can be: in real time arrivals are kept to the nanosecond.
    if factor == 1.0 {
        return time;
    }
    Nanos::new((time.nanoseconds() as f64 * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Nanos {
        Nanos::from_millis(count)
    }

    #[test]
    fn at_once_the_disk_knows_no_time_but_its_own() {
        let mut course = Course::new(Pace::Instant, Idle::Counts, ms(1000));
        assert_eq!(course.arrival(ms(5000), ms(7)), ms(7));
        assert_eq!(course.due(ms(70)), Nanos::ZERO);
        assert_eq!(course.due(Nanos::NEVER), Nanos::NEVER);
    }

    #[test]
    fn in_real_time_a_request_arrives_when_it_comes() {
        let mut course = Course::new(Pace::Real, Idle::Counts, ms(1000));
        assert_eq!(course.arrival(ms(5000), ms(7)), ms(4000));
        assert_eq!(course.due(ms(4010)), ms(5010));
    }

    #[test]
    fn a_disk_ten_times_as_fast_answers_in_a_tenth_of_the_time() {
        let mut course = Course::new(Pace::Times(10.0), Idle::Counts, ms(1000));
        assert_eq!(course.arrival(ms(1100), ms(7)), ms(1000));
        assert_eq!(course.due(ms(2000)), ms(1200));
    }

    #[test]
    fn when_idle_time_does_not_count_the_disk_goes_on_where_it_stood() {
        let mut course = Course::new(Pace::Real, Idle::Stops, ms(1000));
        assert_eq!(course.arrival(ms(5000), ms(0)), ms(0), "nothing has passed for the disk");
        assert_eq!(course.due(ms(8)), ms(5008), "and the answer takes its eight milliseconds from now on");
        assert_eq!(course.arrival(ms(5002), ms(8)), ms(8), "the next one waits for the first");
        assert_eq!(course.due(ms(20)), ms(5020));
        assert_eq!(course.arrival(ms(9000), ms(20)), ms(20));
        assert_eq!(course.due(ms(21)), ms(9001));
    }
}
