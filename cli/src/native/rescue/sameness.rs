//! Runs of equal sectors: what some drives give for good after they have failed.
//!
//! Owns the looking for them. Must not know what a rescue does with the data.

use block::{ByteRange, Offset, zero};

/// Unit of comparison in bytes.
const SECTOR: usize = 512;
/// Shortest run worth telling, in bytes.
const RUN_MIN: u64 = 64 << 10;

/// Runs of equal sectors that are not zeros.
#[derive(Clone, Debug, Default)]
pub struct Sameness {
    last: Vec<u8>,
    /// The run that is being followed.
    run: ByteRange,
    longest: ByteRange,
    bytes: u64,
}

impl Sameness {
    /// Looks at data read from `at` on.
    pub fn look_at(&mut self, at: Offset, data: &[u8]) {
        for (index, sector) in data.chunks_exact(SECTOR).enumerate() {
            let here = at + (index * SECTOR) as u64;
            if self.run.end() == here && self.last == sector {
                self.run = ByteRange::between(self.run.start(), here + SECTOR as u64);
                continue;
            }
            self.end_run();
            self.run = ByteRange::new(here, SECTOR as u64);
            self.last.clear();
            self.last.extend_from_slice(sector);
        }
    }

    /// The longest run so far, if any is worth telling.
    pub fn longest(&self) -> Option<ByteRange> {
        let run =
            if self.counts() && self.run.length() > self.longest.length() { self.run } else { self.longest };
        (!run.is_empty()).then_some(run)
    }

    /// Bytes in all runs worth telling.
    pub fn bytes(&self) -> u64 {
        self.bytes + if self.counts() { self.run.length() } else { 0 }
    }

    fn counts(&self) -> bool {
        // Zeros are what healthy disks are full of.
        self.run.length() >= RUN_MIN && !zero::is_zero(&self.last)
    }

    fn end_run(&mut self) {
        if self.counts() {
            self.bytes += self.run.length();
            if self.run.length() > self.longest.length() {
                self.longest = self.run;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_followed_across_reads_and_zeros_and_short_ones_do_not_count() {
        let mut sameness = Sameness::default();
        sameness.look_at(Offset::ZERO, &vec![0; 1 << 20]);
        sameness.look_at(Offset::new(1 << 20), &vec![7; 32 << 10]);
        assert_eq!(sameness.longest(), None);
        sameness.look_at(Offset::new((1 << 20) + (32 << 10)), &vec![7; 32 << 10]);
        assert_eq!(sameness.longest(), Some(ByteRange::new(Offset::new(1 << 20), 64 << 10)));
        assert_eq!(sameness.bytes(), 64 << 10);
        sameness.look_at(Offset::new(4 << 20), &vec![9; 128 << 10]);
        sameness.look_at(Offset::new(8 << 20), &[1; 512]);
        assert_eq!(sameness.bytes(), 192 << 10);
        assert_eq!(sameness.longest(), Some(ByteRange::new(Offset::new(4 << 20), 128 << 10)));
    }
}
