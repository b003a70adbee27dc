//! How far to skip over damage: a size that grows while skips follow one another, and learns from how far that was.
//!
//! Owns the size. Must not know positions.
//! Source: the public manual of HDDSuperClone 2.3. All sizes are in sectors.

/// The smallest skip that anything begins with.
const FIRST: u64 = 4096;
/// The largest one.
const MOST: u64 = 0x400_0000;
/// Skips in a row after which they are taken to run away.
const RUN_MAX: u64 = 63;
/// Every so many skips of a run the smallest skip shrinks a little.
const SHRINK_EVERY: u64 = 31;

/// How fast skips grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Slowly.
    Usual,
    /// Fast, and for fewer skips.
    Fast,
}

impl Pace {
    /// By how many thousandths the first skip of a run grows.
    fn growth(self) -> u64 {
        if self == Pace::Fast { 1250 } else { 750 }
    }

    /// What the growth is divided by from skip to skip, in thousandths.
    fn damping(self) -> u64 {
        if self == Pace::Fast { 1925 } else { 1750 }
    }

    /// Skips that make a run, rather than a place or two.
    fn run_least(self) -> u64 {
        if self == Pace::Fast { 3 } else { 5 }
    }

    /// Runs longer than the first two make the size larger that is learned, shorter than the last one smaller.
    fn limits(self) -> (u64, u64, u64) {
        if self == Pace::Fast { (10, 7, 5) } else { (12, 9, 8) }
    }

    /// What part of a skip the smallest one is at least.
    fn share(self) -> u64 {
        if self == Pace::Fast { 5 } else { 4 }
    }
}

/// The size of skips.
#[derive(Clone, Debug)]
pub struct Skip {
    pace: Pace,
    most: u64,
    least: u64,
    size: u64,
    growth: u64,
    /// Skips in this run.
    run: u64,
    /// The last skip of each of the two runs before this one, last first.
    history: [u64; 2],
    /// Sectors read since the last skip.
    progress: u64,
}

impl Skip {
    /// Begins for a source of so many sectors, if that is known.
    pub fn new(pace: Pace, sectors: Option<u64>) -> Skip {
        let most = sectors.map_or(MOST, |sectors| sectors / 100).clamp(1, MOST);
        let first = FIRST.min(most);
        let (growth, history) = (pace.growth(), [first; 2]);
        Skip { pace, most, least: first, size: first, growth, run: 0, history, progress: 0 }
    }

    /// The smallest skip, as learned so far.
    pub fn least(&self) -> u64 {
        self.least
    }

    /// So many sectors were read well since the last call.
    pub fn progress(&mut self, sectors: u64) {
        self.progress = self.progress.saturating_add(sectors);
        if self.progress > self.least && self.run > 0 {
            self.end_run();
        }
    }

    /// Returns how far to skip now, and prepares the next skip.
    pub fn take(&mut self) -> u64 {
        let skip = self.size;
        self.progress = 0;
        self.run += 1;
        let run = self.run;
        let mean = (self.history[0] + self.history[1]) / 2;
        let mut learned = if mean < skip { (skip + self.history[0] + self.history[1]) / 3 } else { skip };
        let (much, more, few) = self.pace.limits();
        learned = match run {
            run if run > much => learned * 12 / 10,
            run if run > more => learned * 11 / 10,
            run if run < few => learned * 99 / 100,
            _ => learned,
        };
        self.least = self.least.max(learned / self.pace.share()).min(self.most);
        let grown = skip + skip * self.growth / 1000 + skip / 100 * (run / 4) + run;
        self.size = grown.min(self.most);
        self.growth = self.growth * 1000 / self.pace.damping();
        if run.is_multiple_of(SHRINK_EVERY) {
            self.least = (self.least * 95 / 100).max(self.first());
        }
        if run > RUN_MAX {
            // It runs away: what was learned is wrong.
            self.least = self.first();
            self.begin_run();
        }
        skip
    }

    /// The damage is behind: the next skip begins a new run.
    pub fn end_run(&mut self) {
        if self.run == 0 {
            return;
        }
        self.history = [self.size, self.history[0]];
        let least = self.pace.run_least();
        if (least..=least + 1).contains(&self.run) {
            self.least = self.least * 99 / 100;
        }
        if self.least < self.first() / 2 {
            self.least = self.first();
        }
        self.begin_run();
    }

    fn begin_run(&mut self) {
        (self.size, self.growth, self.run) = (self.least, self.pace.growth(), 0);
    }

    fn first(&self) -> u64 {
        FIRST.min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_in_a_row_grow_ever_more_slowly() {
        let mut skip = Skip::new(Pace::Usual, None);
        let steps: Vec<u64> = (0..7).map(|_| skip.take()).collect();
        assert_eq!(steps, [4096, 7169, 10239, 12740, 14641, 15948, 16830]);
    }

    #[test]
    fn after_a_run_the_smallest_skip_has_learned_and_good_places_end_the_run() {
        let mut skip = Skip::new(Pace::Usual, None);
        for _ in 0..7 {
            skip.take();
        }
        let learned = skip.least();
        assert!(learned > 1024, "{learned}");
        skip.progress(learned);
        assert_eq!(skip.run, 7, "no more than the smallest skip was read");
        skip.progress(1);
        assert_eq!((skip.run, skip.take()), (0, learned));
    }

    #[test]
    fn skips_that_run_away_begin_anew() {
        let mut skip = Skip::new(Pace::Usual, None);
        let steps: Vec<u64> = (0..65).map(|_| skip.take()).collect();
        assert!(steps[63] > steps[62], "{steps:?}");
        assert_eq!(steps[64], FIRST);
    }

    #[test]
    fn no_skip_is_larger_than_a_hundredth_of_the_source() {
        let mut skip = Skip::new(Pace::Fast, Some(1_000_000));
        assert!((0..40).all(|_| skip.take() <= 10_000));
        let mut tiny = Skip::new(Pace::Usual, Some(7));
        assert_eq!(tiny.take(), 1);
    }
}
