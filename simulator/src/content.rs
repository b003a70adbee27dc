//! What a healthy disk would hold.
//!
//! Owns the truth about bytes: computed from seed and sector, or taken from an image. Must not know damage.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use block::source::{Access, FileOptions, FileSource};
use block::{BlockSource, ByteRange, ExtentKind, Offset, RangeSet};

use crate::dice::mix;

/// Unit in which bytes are computed. Every sector size is a multiple of it, so that sector sizes do not change bytes.
const UNIT: u64 = 512;

/// The bytes of a disk.
#[derive(Debug)]
pub enum Content {
    /// Computed: every 512 bytes from the seed and their number.
    Computed {
        /// The seed.
        seed: u64,
    },
    /// An image; where it holds nothing, and behind its end, computed bytes or zeros.
    Image {
        /// Its name, for messages.
        path: PathBuf,
        /// The image, opened for reading.
        file: File,
        /// What of it holds bytes.
        stored: RangeSet,
        /// Seed of what it does not hold; `None`: zeros.
        elsewhere: Option<u64>,
    },
}

impl Content {
    /// Opens an image. Its holes, and what lies behind its end, are zeros or, with a seed, computed.
    ///
    /// Errors: it cannot be opened, or it is no regular file.
    pub fn image(path: &Path, elsewhere: Option<u64>) -> std::io::Result<Content> {
        // Looked at first: opening a pipe would wait for a writer.
        if !std::fs::metadata(path)?.is_file() {
            let kind = std::io::ErrorKind::InvalidInput;
            return Err(std::io::Error::new(kind, "it is not a regular file"));
        }
        let options = FileOptions { access: Access::Buffered, ..FileOptions::default() };
        let mut source = FileSource::open(path, options).map_err(std::io::Error::other)?;
        let size = source.geometry().size.unwrap_or(0);
        let extents = source.extents(ByteRange::new(Offset::ZERO, size));
        let stored = extents.iter().filter(|extent| extent.kind == ExtentKind::Data);
        Ok(Content::Image {
            path: path.to_owned(),
            file: File::open(path)?,
            stored: stored.map(|extent| extent.range).collect(),
            elsewhere,
        })
    }

    /// The parts of `range` that are not known to be zeros.
    pub fn stored(&self, range: ByteRange) -> Vec<ByteRange> {
        match self {
            Content::Image { stored, elsewhere: None, .. } => stored.pieces_in(range).collect(),
            Content::Computed { .. } | Content::Image { .. } => vec![range],
        }
    }

    /// Fills `buffer` with the bytes at `at`.
    ///
    /// Errors: the image could not be read. That is a fault of this machine, never of the simulated disk.
    pub fn read(&self, at: Offset, buffer: &mut [u8]) -> Result<(), ContentError> {
        match self {
            Content::Computed { seed } => {
                compute(*seed, at, buffer);
                Ok(())
            }
            Content::Image { path, file, stored, elsewhere } => {
                match elsewhere {
                    Some(seed) => compute(*seed, at, buffer),
                    None => buffer.fill(0),
                }
                for piece in stored.pieces_in(ByteRange::new(at, buffer.len() as u64)) {
                    let from = (piece.start() - at) as usize;
                    let part = &mut buffer[from..from + piece.length() as usize];
                    file.read_exact_at(part, piece.start().bytes()).map_err(|error| ContentError {
                        path: path.clone(),
                        at: piece.start(),
                        error,
                    })?;
                }
                Ok(())
            }
        }
    }
}

/// The image behind a simulated disk cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot read the content of the simulated disk at {at}", path.display())]
pub struct ContentError {
    /// The image.
    pub path: PathBuf,
    /// Where.
    pub at: Offset,
    /// Why.
    #[source]
    pub error: std::io::Error,
}

/// Fills `buffer` with the computed bytes at `at`: a counter hash, 64 words for each unit, whose first word tells
/// disks and places apart.
fn compute(seed: u64, at: Offset, buffer: &mut [u8]) {
    let mut at = at.bytes();
    let mut rest = buffer;
    while !rest.is_empty() {
        let (unit, inside) = (at / UNIT, (at % UNIT) as usize);
        let length = rest.len().min(UNIT as usize - inside);
        let (part, behind) = rest.split_at_mut(length);
        if length == UNIT as usize {
            compute_unit(seed, unit, part);
        } else {
            let mut whole = [0; UNIT as usize];
            compute_unit(seed, unit, &mut whole);
            part.copy_from_slice(&whole[inside..inside + length]);
        }
        rest = behind;
        at += length as u64;
    }
}

fn compute_unit(seed: u64, unit: u64, bytes: &mut [u8]) {
    let key = mix(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ mix(unit));
    for (index, word) in bytes.chunks_exact_mut(8).enumerate() {
        let x = key ^ (index as u64 + 1).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let product = u128::from(x) * u128::from(key | 1);
        word.copy_from_slice(&((product >> 64) as u64 ^ product as u64).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(seed: u64, at: u64, length: usize) -> Vec<u8> {
        let mut buffer = vec![0; length];
        Content::Computed { seed }.read(Offset::new(at), &mut buffer).unwrap();
        buffer
    }

    proptest! {
        #[test]
        fn bytes_do_not_depend_on_how_they_are_asked_for(seed: u64, at in 0u64..1 << 40, length in 0usize..3000,
                                                         cut in 0usize..3000) {
            let whole = bytes(seed, at, length);
            let cut = cut.min(length);
            prop_assert_eq!(&whole[..cut], &bytes(seed, at, cut)[..]);
            prop_assert_eq!(&whole[cut..], &bytes(seed, at + cut as u64, length - cut)[..]);
        }
    }

    #[test]
    fn no_two_sectors_are_alike_and_none_is_zero() {
        let disk = bytes(1, 0, 512 * 4096);
        let mut sectors: Vec<&[u8]> = disk.chunks(512).collect();
        sectors.sort_unstable();
        assert!(sectors.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(sectors.iter().all(|sector| sector.iter().any(|byte| *byte != 0)));
        assert_ne!(bytes(1, 0, 512), bytes(2, 0, 512));
    }

    #[test]
    fn the_holes_of_an_image_are_zeros_or_computed() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, &[7; 65536]).unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        let read = |elsewhere| {
            let mut found = vec![0xee; 2 << 20];
            Content::image(file.path(), elsewhere).unwrap().read(Offset::ZERO, &mut found).unwrap();
            found
        };
        let zeros = read(None);
        assert!(zeros[..65536].iter().all(|byte| *byte == 7) && zeros[65536..].iter().all(|byte| *byte == 0));
        let computed = read(Some(3));
        assert_eq!(computed[..65536], zeros[..65536]);
        assert_eq!(computed[1 << 20..], bytes(3, 1 << 20, 1 << 20));
        assert!(Content::image(Path::new("/dev/null"), None).is_err());
    }

    #[test]
    fn an_image_lies_over_computed_bytes() {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &[7; 2048]).unwrap();
        let stored = [ByteRange::new(Offset::new(512), 512), ByteRange::new(Offset::new(1536), 512)];
        let content = Content::Image {
            path: "image".into(),
            file,
            stored: stored.into_iter().collect(),
            elsewhere: Some(1),
        };
        let mut found = vec![0; 2560];
        content.read(Offset::ZERO, &mut found).unwrap();
        let mut expected = bytes(1, 0, 2560);
        expected[512..1024].fill(7);
        expected[1536..2048].fill(7);
        assert_eq!(found, expected);
    }
}
