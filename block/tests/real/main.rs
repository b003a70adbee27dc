//! The block crate on real files and devices that fail as told. Needs root.

#![allow(clippy::single_range_in_vec_init, reason = "one bad range is a list of one range")]

mod cache;
mod queue;
mod sink;
mod source;
mod usage;

use block::source::{Access, FileOptions, FileSource};
use block::{BlockSource, Damage, Errno, Offset, Patience, ReadReply, SourceError, buffer};
use rig::{BadRange, Content, FaultyFile, FaultyFileOptions, LoopDevice};

const SIZE: u64 = 1 << 20;

/// A file of one MiB that fails at `bad` with ENODATA.
fn failing_at(bad: &[std::ops::Range<u64>]) -> FaultyFile {
    let bad = bad.iter().map(|range| BadRange::new(range.clone(), Errno::ENODATA.0)).collect();
    FaultyFile::serve(FaultyFileOptions { size: SIZE, bad, ..FaultyFileOptions::default() })
}

fn direct() -> FileOptions {
    FileOptions { access: Access::Direct, ..FileOptions::default() }
}

fn open(device: &LoopDevice) -> FileSource {
    FileSource::open(device.path(), direct()).unwrap()
}

/// Reads; returns the reply and the good bytes.
fn read(source: &mut FileSource, at: u64, length: usize) -> Result<(ReadReply, Vec<u8>), SourceError> {
    let mut memory = buffer::zeroed(length);
    let reply = source.read_at(Offset::new(at), &mut memory, Patience::Endless)?;
    let good = memory[..reply.good_bytes(length)].to_vec();
    Ok((reply, good))
}

/// Reads and expects the content of the medium.
fn expect_good(source: &mut FileSource, content: Content, at: u64, length: usize) {
    let (reply, bytes) = read(source, at, length).unwrap();
    assert_eq!(reply, ReadReply::all(), "at {at}");
    assert_eq!(bytes, content.bytes(at, length), "at {at}");
}

/// Reads and expects damage and no byte.
fn expect_damage(source: &mut FileSource, at: u64, length: usize, errno: Errno) {
    let (reply, _) = read(source, at, length).unwrap();
    assert_eq!(reply, ReadReply::failed(Damage::new(errno)), "at {at}");
}
