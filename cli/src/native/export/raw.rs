//! What a disk holds, as an image.
//!
//! Owns the writing of a sparse file, and the look whether it fits. Must not know damage: what a disk would hold if it
//! were well does not depend on it.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use block::{ByteRange, Nanos, Offset, RangeSet, VirtualClock};
use nix::sys::statvfs::statvfs;
use simulator::scenario::address::Address;
use simulator::{Pace, SimSource};

use super::ExportOptions;
use crate::native::output::failed;
use crate::native::{Failure, disk_argument};

/// Bytes that are made at once.
const PIECE: usize = 4 << 20;
/// Bytes that become a hole if all of them are zero: what file systems allocate at once.
const HOLE: usize = 4096;
/// Bytes that are left to others on a file system.
const SPARED: u64 = 16 << 20;

pub(super) fn run(address: &Address, options: ExportOptions) -> Result<u8, Failure> {
    let wrong = |text: &str| Err(Failure::Usage(text.to_owned()));
    let Some(path) = options.output.filter(|path| path != Path::new("-")) else {
        return wrong("--to raw writes an image, which needs a file: name it with --output");
    };
    if options.device.is_some() || options.block_size.is_some() {
        return wrong("--device and --block-size mean nothing to raw; leave them out");
    }
    let (scenario, seed) = disk_argument::open(address)?;
    let clock = Arc::new(VirtualClock::new(Nanos::ZERO));
    let source = scenario.source(seed, None, clock, Pace::Instant)?;
    let file = File::create_new(&path).map_err(|error| failed("create it", &path, &error))?;
    let written = fits(&path, stored(&source).bytes()).and_then(|()| copy(&source, &path, &file));
    if written.is_err() {
        // It was made here, and is of no use.
        let _ = fs::remove_file(&path);
    }
    written.map(|()| 0)
}

/// What may be other than zero.
fn stored(source: &SimSource) -> RangeSet {
    let disk = source.system().disk();
    let (shape, logical) = (disk.shape(), u64::from(disk.shape().logical));
    let bytes = |sectors: Range<u64>| {
        ByteRange::between(Offset::new(sectors.start * logical), Offset::new(sectors.end * logical))
    };
    let held = source.content().stored(ByteRange::new(Offset::ZERO, shape.bytes()));
    let zeros = disk.drive().surface.zeros(0..shape.sectors).map(bytes).collect();
    held.into_iter().collect::<RangeSet>().minus(&zeros)
}

/// Whether so many bytes leave some room for others.
fn fits(path: &Path, bytes: u64) -> Result<(), Failure> {
    let room = statvfs(path).map_err(|errno| failed("look how much fits", path, &io::Error::from(errno)))?;
    let free = room.blocks_available() as u64 * room.fragment_size() as u64;
    if bytes.saturating_add(SPARED) > free {
        return Err(Failure::Refused(format!(
            "{}: the image would take {bytes} bytes, and {free} are free here; write it elsewhere, or take the small twin, \
             NAME-small",
            path.display()
        )));
    }
    Ok(())
}

fn copy(source: &SimSource, path: &Path, file: &File) -> Result<(), Failure> {
    let size = source.system().disk().shape().bytes();
    let write_failed = |error: io::Error| failed("write it", path, &error);
    file.set_len(size).map_err(write_failed)?;
    let mut bytes = vec![0; PIECE];
    for range in stored(source).ranges() {
        let mut at = range.start().bytes();
        while at < range.end().bytes() {
            let length = PIECE.min((range.end().bytes() - at) as usize);
            let piece = &mut bytes[..length];
            source.truth(Offset::new(at), piece).map_err(|e| failed("read it", &e.path, &e.error))?;
            write_stored(file, at, piece).map_err(write_failed)?;
            at += length as u64;
        }
    }
    file.sync_all().map_err(write_failed)
}

/// Writes what is not zero.
fn write_stored(file: &File, at: u64, piece: &[u8]) -> io::Result<()> {
    let is_hole = |block: &[u8]| block.iter().fold(0, |all, byte| all | byte) == 0;
    let mut from = 0;
    while from < piece.len() {
        let rest = &piece[from..];
        let stored = rest.chunks(HOLE).take_while(|block| !is_hole(block)).map(<[u8]>::len).sum::<usize>();
        file.write_all_at(&rest[..stored], at + from as u64)?;
        from += stored;
        let holes = piece[from..].chunks(HOLE).take_while(|block| is_hole(block)).map(<[u8]>::len);
        from += holes.sum::<usize>();
    }
    Ok(())
}
