//! A few blocks that were read well, to know an export again by.
//!
//! Owns which blocks these are. Must not know how they are read again.

use block::zero;

/// So many blocks are kept.
const COUNT: usize = 8;
/// So many bytes of each.
const BYTES: usize = 4096;

/// Blocks that were read well.
#[derive(Clone, Debug, Default)]
pub(super) struct Witness {
    blocks: Vec<(u64, Vec<u8>)>,
    /// Reads that went well so far, and how many there must be before the next block is taken.
    seen: u64,
    next: u64,
    taken: usize,
}

impl Witness {
    /// Takes note of what was read at `at`, in an export of blocks of `block` bytes. The more was seen, the rarer a block is
    /// taken, so that they come from all over the export.
    pub(super) fn note(&mut self, at: u64, data: &[u8], block: u64) {
        self.seen += 1;
        if self.seen < self.next {
            return;
        }
        let start = at.next_multiple_of(block);
        let bytes = usize::try_from(start - at).ok().and_then(|from| data.get(from..)).unwrap_or(&[]);
        let Some(bytes) = bytes.get(..(block as usize).min(BYTES)) else { return };
        // Zeros are everywhere.
        if zero::is_zero(bytes) {
            return;
        }
        let sample = (start, bytes.to_vec());
        if let Some(old) = self.blocks.get_mut(self.taken % COUNT) {
            *old = sample;
        } else {
            self.blocks.push(sample);
        }
        self.taken += 1;
        self.next = self.seen * 2;
    }

    /// Positions and beginnings of blocks.
    pub(super) fn blocks(&self) -> &[(u64, Vec<u8>)] {
        &self.blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_blocks_that_are_not_zero_are_kept_and_rarer_and_rarer() {
        let mut witness = Witness::default();
        witness.note(100, &[7; 500], 512);
        assert_eq!(witness.blocks(), []);
        witness.note(0, &[0; 512], 512);
        assert_eq!(witness.blocks(), []);
        witness.note(100, &[7; 1000], 512);
        assert_eq!(witness.blocks(), [(512, vec![7; 512])]);
        for read in 1..100_000u64 {
            witness.note(read * 512, &[1; 512], 512);
        }
        let places: Vec<u64> = witness.blocks().iter().map(|(at, _)| at / 512).collect();
        assert_eq!(places.len(), COUNT);
        assert!(
            *places.iter().max().unwrap() > 49_000 && *places.iter().min().unwrap() < 1_000,
            "{places:?}"
        );
        let mut large = Witness::default();
        large.note(0, &[1; 65536], 65536);
        assert_eq!(large.blocks()[0].1.len(), BYTES);
    }
}
