//! Where rescued bytes go.
//!
//! Owns the promise of [`BlockSink::flush`]: what was written before it survives a crash. Must not know maps.
//! A kind of sink is one file in `sink/`.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use thiserror::Error;

use crate::{ByteRange, Errno, Offset};

pub mod discard;
pub mod file;
pub mod forgetful;
pub mod memory;

pub use discard::DiscardSink;
pub use file::{FileSink, FileSinkOptions};
pub use forgetful::ForgetfulSink;
pub use memory::MemorySink;

/// Something that keeps bytes at positions.
pub trait BlockSink: Send {
    /// Whether it keeps bytes, so that there must be some. One that only counts takes [`BlockSink::write_zeros`] as well.
    fn wants_bytes(&self) -> bool {
        true
    }

    /// Writes all of `bytes` at `at`.
    fn write_at(&mut self, at: Offset, bytes: &[u8]) -> Result<(), SinkError>;

    /// Makes `at` hold what the file `from` holds in `range`, by sharing its blocks: nothing is read or written. `false` if
    /// that cannot be had here, for whatever reason; then nothing has changed that a write would not change.
    fn share(&mut self, _from: BorrowedFd<'_>, _range: ByteRange, _at: Offset) -> bool {
        false
    }

    /// Makes `range` read as zeros.
    fn write_zeros(&mut self, range: ByteRange) -> Result<(), SinkError> {
        write_out_zeros(self, range)
    }

    /// Reads what is there now; returns how many bytes, fewer than asked at the end.
    fn read_back(&mut self, at: Offset, buffer: &mut [u8]) -> Result<usize, SinkError>;

    /// Returns when everything written survives a crash of the machine.
    fn flush(&mut self) -> Result<(), SinkError>;

    /// Size in bytes as it is now.
    fn size(&mut self) -> Result<u64, SinkError>;

    /// Makes the sink at least `size` bytes long; what was not written reads as zeros.
    fn extend(&mut self, size: u64) -> Result<(), SinkError>;

    /// Reserves room for `range`.
    fn allocate(&mut self, range: ByteRange) -> Result<(), SinkError>;
}

/// What a sink was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkAction {
    /// Opening or creating it.
    Open,
    /// Writing.
    Write,
    /// Reading back.
    Read,
    /// Making writes durable.
    Flush,
    /// Making it longer.
    Extend,
    /// Reserving room.
    Allocate,
    /// Asking for its size.
    Measure,
}

impl SinkAction {
    /// Words for the place, where the action has one.
    fn place(self, at: Offset) -> String {
        match self {
            SinkAction::Open | SinkAction::Flush | SinkAction::Measure => String::new(),
            SinkAction::Write | SinkAction::Read | SinkAction::Extend | SinkAction::Allocate => {
                format!(" at {at}")
            }
        }
    }
}

/// Makes `range` read as zeros where there is no shorter way than writing them.
fn write_out_zeros<S: BlockSink + ?Sized>(sink: &mut S, range: ByteRange) -> Result<(), SinkError> {
    let zeros = crate::buffer::zeroed(range.length().min(1 << 20) as usize);
    let mut at = range.start();
    while at < range.end() {
        let length = (range.end() - at).min(zeros.len() as u64);
        sink.write_at(at, &zeros[..length as usize])?;
        at += length;
    }
    Ok(())
}

impl std::fmt::Display for SinkAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SinkAction::Open => "open",
            SinkAction::Write => "write to",
            SinkAction::Read => "read back",
            SinkAction::Flush => "sync",
            SinkAction::Extend => "extend",
            SinkAction::Allocate => "reserve room in",
            SinkAction::Measure => "find the size of",
        })
    }
}

/// A sink failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{}: cannot {action} the destination{}", path.display(), action.place(*at))]
pub struct SinkError {
    /// Its name.
    pub path: PathBuf,
    /// What it was doing.
    pub action: SinkAction,
    /// Where.
    pub at: Offset,
    /// What the system said.
    #[source]
    pub errno: Errno,
}

impl<S: BlockSink + ?Sized> BlockSink for Box<S> {
    fn wants_bytes(&self) -> bool {
        (**self).wants_bytes()
    }
    fn write_at(&mut self, at: Offset, bytes: &[u8]) -> Result<(), SinkError> {
        (**self).write_at(at, bytes)
    }
    fn share(&mut self, from: BorrowedFd<'_>, range: ByteRange, at: Offset) -> bool {
        (**self).share(from, range, at)
    }
    fn write_zeros(&mut self, range: ByteRange) -> Result<(), SinkError> {
        (**self).write_zeros(range)
    }
    fn read_back(&mut self, at: Offset, buffer: &mut [u8]) -> Result<usize, SinkError> {
        (**self).read_back(at, buffer)
    }
    fn flush(&mut self) -> Result<(), SinkError> {
        (**self).flush()
    }
    fn size(&mut self) -> Result<u64, SinkError> {
        (**self).size()
    }
    fn extend(&mut self, size: u64) -> Result<(), SinkError> {
        (**self).extend(size)
    }
    fn allocate(&mut self, range: ByteRange) -> Result<(), SinkError> {
        (**self).allocate(range)
    }
}
