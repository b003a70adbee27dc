//! Bytes that everybody can work out: the truth that tests compare with.
//!
//! Owns one function from seed and position to a byte. Must not know which of the bytes can be read.

use std::io::Write;
use std::path::Path;

/// Content of a medium, decided by a seed alone. No two sectors of it are equal, and none is all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    seed: u64,
}

impl Content {
    /// Makes the content that belongs to `seed`.
    pub const fn new(seed: u64) -> Content {
        Content { seed }
    }

    /// Writes the bytes from position `at` on into `buffer`.
    pub fn fill(self, at: u64, buffer: &mut [u8]) {
        let lead = ((8 - at % 8) % 8).min(buffer.len() as u64) as usize;
        let (head, rest) = buffer.split_at_mut(lead);
        head.copy_from_slice(&self.word(at / 8)[(at % 8) as usize..][..lead]);
        for (i, chunk) in rest.chunks_mut(8).enumerate() {
            chunk.copy_from_slice(&self.word((at + lead as u64) / 8 + i as u64)[..chunk.len()]);
        }
    }

    fn word(self, number: u64) -> [u8; 8] {
        mix(self.seed.wrapping_mul(0x9E6C_63D0_876A_3F6B).wrapping_add(number)).to_le_bytes()
    }

    /// Returns `length` bytes from position `at` on.
    pub fn bytes(self, at: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.fill(at, &mut bytes);
        bytes
    }

    /// Makes a file of `size` bytes with this content.
    pub fn write_image(self, path: &Path, size: u64) {
        let create = || -> std::io::Result<()> {
            let mut file = std::fs::File::create(path)?;
            for at in (0..size).step_by(1 << 20) {
                file.write_all(&self.bytes(at, (size - at).min(1 << 20) as usize))?;
            }
            Ok(())
        };
        create().unwrap_or_else(|e| panic!("cannot make the image {}: {e}", path.display()));
    }
}

/// Spreads the bits of a counter (the finalizer of SplitMix64).
pub(crate) const fn mix(counter: u64) -> u64 {
    let z = counter.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_depends_on_its_place_and_not_on_how_it_is_asked_for() {
        let content = Content::new(7);
        let whole = content.bytes(0, 4096);
        for (at, length) in [(0, 1), (1, 3), (1, 7), (3, 0), (9, 100), (511, 513), (4095, 1)] {
            assert_eq!(content.bytes(at as u64, length), whole[at..at + length]);
        }
        assert_ne!(Content::new(8).bytes(0, 512), whole[..512]);
    }
}
