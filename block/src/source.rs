//! Where bytes come from: disks, files, memory, and whatever else may answer with damage.
//!
//! Owns the border between a medium and those who read it. Must not know what becomes of the bytes.
//!
//! Damage is data: a bad sector is a reply. Only what says nothing about the medium, such as a lost device, is an
//! error. A kind of source is one file in `source/`.

use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use thiserror::Error;

use crate::{Buffer, ByteRange, Errno, Nanos, Offset, RangeSet};

mod cache;
pub mod file;
pub mod memory;
mod workers;

pub use file::{Access, Advice, FileOptions, FileSource};
pub use memory::MemorySource;

/// Something that can be read in any order, and may be damaged.
pub trait BlockSource: Send {
    /// Size and sectors. May change after [`Recovery::Reopen`].
    fn geometry(&self) -> Geometry;

    /// What the source can do, and how it likes to be read.
    fn abilities(&self) -> Abilities;

    /// Reads as much of `buffer` as there is at `at`. A reply without damage that is not all is the end of the source.
    ///
    /// Errors: only what says nothing about the medium. See [`SourceError`].
    fn read_at(
        &mut self,
        at: Offset,
        buffer: &mut [u8],
        patience: Patience,
    ) -> Result<ReadReply, SourceError>;

    /// Makes reads of which only the answers are wanted: one, or several equal ones in a row that all went the same way,
    /// each begun when the one before had ended. `None` if the source can only bring bytes; then nothing was read.
    ///
    /// Errors: as [`BlockSource::read_at`].
    fn examine(&mut self, _row: &Row, _patience: Patience) -> Option<Result<Examined, SourceError>> {
        None
    }

    /// Does something about a source in trouble. What it has no means for is [`SourceError::Unsupported`].
    fn recover(&mut self, measure: Recovery) -> Result<(), SourceError>;

    /// Tells whether the device is still there, after a read that failed: many systems call a lost device an
    /// input/output error.
    fn presence(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    /// Tells which parts of `range` hold data, in order, touching, covering it. Never reads. All data if it cannot tell.
    fn extents(&mut self, range: ByteRange) -> Vec<Extent> {
        vec![Extent { range, kind: ExtentKind::Data }]
    }

    /// The regular file whose bytes these are, for sinks that can share its blocks.
    fn shareable(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Reads in flight, for sources that can do several, or leave one behind that hangs.
    fn queue(&mut self) -> Option<&mut dyn ReadQueue> {
        None
    }
}

/// Reads in flight. Owns their buffers, so that a hung read never holds the caller's memory.
pub trait ReadQueue {
    /// Starts a read.
    fn submit(&mut self, request: ReadRequest) -> Ticket;

    /// Returns a finished read, waiting for one at most `wait`. `None` when none finished by then, or none is open.
    /// Replies come in any order.
    fn complete(&mut self, wait: Option<Nanos>) -> Option<Completion>;

    /// Number of reads whose completion has not been returned, without those that keep nobody waiting any more: see
    /// [`ReadQueue::leave_behind`].
    fn in_flight(&self) -> usize;

    /// Whether a read that is not answered may keep others from nothing. If not, who leaves one behind has to wait for it
    /// all the same.
    fn can_leave_behind(&self) -> bool {
        false
    }

    /// Says that nobody waits for a read any more. From when it is sure that the source answers others meanwhile, it is
    /// not in flight. Its completion comes all the same, however late.
    fn leave_behind(&mut self, _ticket: Ticket) {}
}

/// A read to start.
#[derive(Debug)]
pub struct ReadRequest {
    /// Where it begins.
    pub at: Offset,
    /// Bytes to read, at most the buffer's length.
    pub length: usize,
    /// Where the bytes go.
    pub buffer: Buffer,
}

/// Names a read in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// A read that has finished.
#[derive(Debug)]
pub struct Completion {
    /// Which one.
    pub ticket: Ticket,
    /// The buffer lent to it.
    pub buffer: Buffer,
    /// How it went.
    pub result: Result<ReadReply, SourceError>,
}

/// Equal reads in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where the first read begins; backwards: where it ends.
    pub at: Offset,
    /// Bytes of one read.
    pub unit: u64,
    /// Number of reads; at least 1.
    pub count: u64,
    /// Whether each read lies before the one made before it.
    pub backwards: bool,
    /// No read but the first is begun at this time or later.
    pub until: Nanos,
}

/// How reads in a row went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// How many were made; at least 1.
    pub reads: u64,
    /// The answer that each of them got.
    pub reply: ReadReply,
}

/// Size and sectors of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes in all; `None` if unknown.
    pub size: Option<u64>,
    /// Smallest unit that can be addressed, in bytes.
    pub logical_sector: u32,
    /// Unit in which the medium fails, in bytes; a multiple of the logical one.
    pub physical_sector: u32,
}

/// How a source likes to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Whether one arm serves all reads, so that order matters and more than one read ahead is harmful.
    pub rotates: bool,
    /// Whether what a large read brought before it failed is kept. If not, it is asked for again request by request.
    pub keeps_good: bool,
    /// Reads that may be in flight at once; 1 means one after the other.
    pub in_flight_max: usize,
    /// Size of a read that moves data at full speed, in bytes; a power of two.
    pub piece_bytes: usize,
}

/// How long a reader is willing to wait for one read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patience {
    /// Until the answer comes.
    #[default]
    Endless,
    /// For so long from when the source begins with it. A source that can abort a read does so then, and replies with
    /// damage of [`Errno::ETIMEDOUT`]. One that cannot waits all the same; whoever does not want to wait leaves the read
    /// behind in its [`ReadQueue`], which answers it at last.
    UpTo(Nanos),
}

/// What can be done about a source in trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Close it and open it again, by the same name. If its identity is known, another device there is refused.
    Reopen,
    /// Look for the same device, by identity, under any name, and open that.
    Rediscover,
    /// Tell the drive to drop what it is doing.
    SoftReset,
    /// Reset drive and link, as long as that may take.
    HardReset,
    /// Take its power, and give it back.
    PowerCycle,
}

impl Recovery {
    /// What it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Recovery::Reopen => "opening it again",
            Recovery::Rediscover => "looking for it",
            Recovery::SoftReset => "a soft reset",
            Recovery::HardReset => "a hard reset",
            Recovery::PowerCycle => "a power cycle",
        }
    }
}

/// What a read brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadReply {
    /// Which bytes of the buffer are the medium's.
    pub good: Good,
    /// Why not all of them, if it is the medium's fault.
    pub damage: Option<Damage>,
}

/// Which bytes of a read are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Good {
    /// All.
    All,
    /// The first so many bytes.
    Prefix(usize),
    /// These, always with damage: what a source brings that reads on behind a place that failed. In order, not empty, not
    /// touching. See [`ReadReply::of_pieces`].
    Pieces(Vec<Range<usize>>),
}

/// Why a medium did not give a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What the system called it.
    pub errno: Errno,
    /// The place that failed, if the device said so.
    pub at: Option<Offset>,
}

impl Damage {
    /// Damage of which nothing but the error number is known.
    pub fn new(errno: Errno) -> Damage {
        Damage { errno, at: None }
    }
}

impl ReadReply {
    /// Everything was read.
    pub fn all() -> ReadReply {
        ReadReply { good: Good::All, damage: None }
    }

    /// Nothing was read.
    pub fn failed(damage: Damage) -> ReadReply {
        ReadReply { good: Good::Prefix(0), damage: Some(damage) }
    }

    /// These ranges of a request of `length` bytes were read, and `damage` tells why not the others. They must be in
    /// order and within the request; they may be empty or touch.
    pub fn of_pieces(
        pieces: impl IntoIterator<Item = Range<usize>>,
        length: usize,
        damage: Damage,
    ) -> ReadReply {
        let mut joined: Vec<Range<usize>> = Vec::new();
        for piece in pieces {
            debug_assert!(piece.end <= length);
            match joined.last_mut() {
                _ if piece.is_empty() => {}
                Some(last) if last.end == piece.start => last.end = piece.end,
                _ => joined.push(piece),
            }
        }
        let good = match joined.as_slice() {
            [] => Good::Prefix(0),
            [only] if only.start == 0 => Good::Prefix(only.end),
            _ => Good::Pieces(joined),
        };
        ReadReply { good, damage: Some(damage) }
    }

    /// Number of good bytes at the start of a request of `length` bytes.
    pub fn good_bytes(&self, length: usize) -> usize {
        match &self.good {
            Good::All => length,
            Good::Prefix(bytes) => *bytes.min(&length),
            Good::Pieces(pieces) => {
                pieces.first().filter(|piece| piece.start == 0).map_or(0, |piece| piece.end)
            }
        }
    }

    /// The good ranges of a request of `length` bytes: in order, not empty, not touching.
    pub fn pieces(&self, length: usize) -> Vec<Range<usize>> {
        match &self.good {
            Good::Pieces(pieces) => pieces.clone(),
            Good::All | Good::Prefix(_) => match self.good_bytes(length) {
                0 => Vec::new(),
                good => std::iter::once(0..good).collect(),
            },
        }
    }
}

/// A part of a source, and whether it was ever written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where.
    pub range: ByteRange,
    /// What.
    pub kind: ExtentKind,
}

impl Extent {
    /// Covers `range` with extents: data where `data` says so, holes elsewhere.
    pub fn cover(range: ByteRange, data: &RangeSet) -> Vec<Extent> {
        let (mut extents, mut at) = (Vec::new(), range.start());
        let mut push = |range: ByteRange, kind| {
            if !range.is_empty() {
                extents.push(Extent { range, kind });
            }
        };
        for piece in data.pieces_in(range) {
            push(ByteRange::between(at, piece.start()), ExtentKind::Hole);
            push(piece, ExtentKind::Data);
            at = piece.end();
        }
        push(ByteRange::between(at, range.end()), ExtentKind::Hole);
        extents
    }
}

/// What an extent holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtentKind {
    /// Bytes that must be read.
    Data,
    /// Zeros that nobody stored.
    Hole,
}

/// Why a source cannot go on.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SourceError {
    /// The device is gone: unplugged, powered off, or thrown out by the system.
    #[error("{}: the device is gone at {at}", device.display())]
    Gone {
        /// Its name.
        device: PathBuf,
        /// Where it was being read.
        at: Offset,
        /// What the system said.
        #[source]
        errno: Errno,
    },
    /// The system refused the request; the medium was not asked.
    #[error("{}: the system refuses to read at {at}", device.display())]
    Refused {
        /// Its name.
        device: PathBuf,
        /// Where it was being read.
        at: Offset,
        /// What the system said.
        #[source]
        errno: Errno,
    },
    /// It cannot be opened.
    #[error("{}: cannot open it for reading", device.display())]
    Open {
        /// Its name.
        device: PathBuf,
        /// What the system said.
        #[source]
        errno: Errno,
    },
    /// Its name is not there any more.
    #[error("{}: it has disappeared", device.display())]
    Disappeared {
        /// Its name.
        device: PathBuf,
        /// What the system said.
        #[source]
        errno: Errno,
    },
    /// It has no order: a pipe, a terminal.
    #[error("{}: cannot be read at a chosen position; a rescue needs a device or a regular file", device.display())]
    NotSeekable {
        /// Its name.
        device: PathBuf,
    },
    /// Nothing tells this device from another one, so it cannot be found again.
    #[error(
        "{}: it has neither model, serial number nor backing file, so it cannot be told from another device; \
         check the name and run the same command again",
        device.display()
    )]
    Anonymous {
        /// Its name.
        device: PathBuf,
    },
    /// A simulation has reached the end of its time.
    #[error("{}: the simulated time is over at {at}; nothing is answered any more", device.display())]
    TimeIsUp {
        /// Its name.
        device: PathBuf,
        /// Where it was being read.
        at: Offset,
    },
    /// The source has no means to do this about the device.
    #[error("{}: {what} is nothing that this program can do; do it by hand", device.display())]
    Unsupported {
        /// Its name.
        device: PathBuf,
        /// What was to be done.
        what: &'static str,
    },
    /// It was tried, and the device still does not answer.
    #[error("{}: it does not answer after {what}", device.display())]
    Unanswered {
        /// Its name.
        device: PathBuf,
        /// What was done.
        what: &'static str,
    },
    /// The way to a source elsewhere is cut: the medium was not asked.
    #[error("{}: the connection was lost at {at}: {cause}", device.display())]
    Disconnected {
        /// Its name.
        device: PathBuf,
        /// Where it was being read.
        at: Offset,
        /// What is known of why.
        cause: String,
    },
    /// A source elsewhere cannot be reached.
    #[error("{}: {cause}", device.display())]
    Unreachable {
        /// Its name.
        device: PathBuf,
        /// Why not.
        cause: String,
    },
    /// Something else is there now under the same name.
    #[error(
        "{}: this is not what it was: {difference}; nothing more is read from it. Bring back what was there, and run the \
         same command again",
        device.display()
    )]
    Another {
        /// Its name.
        device: PathBuf,
        /// What tells it from the lost one.
        difference: String,
    },
    /// No device with the identity of the lost one is there.
    #[error("{}: no device with the same identity ({identity}) is connected", device.display())]
    NotFound {
        /// Its name when it was opened.
        device: PathBuf,
        /// What it is known by.
        identity: String,
    },
}

impl SourceError {
    /// Whether the source may come back.
    pub fn is_loss(&self) -> bool {
        use SourceError::{Disappeared, Disconnected, Gone, Unreachable};
        matches!(self, Gone { .. } | Disappeared { .. } | Disconnected { .. } | Unreachable { .. })
    }

    /// The system's error number, if it is about one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            SourceError::Gone { errno, .. }
            | SourceError::Refused { errno, .. }
            | SourceError::Open { errno, .. }
            | SourceError::Disappeared { errno, .. } => Some(*errno),
            SourceError::NotSeekable { .. }
            | SourceError::Anonymous { .. }
            | SourceError::TimeIsUp { .. }
            | SourceError::Unsupported { .. }
            | SourceError::Unanswered { .. }
            | SourceError::Disconnected { .. }
            | SourceError::Unreachable { .. }
            | SourceError::Another { .. }
            | SourceError::NotFound { .. } => None,
        }
    }
}

/// Whoever holds a source can be read as one.
macro_rules! pass_on {
    ($holder:ty) => {
        impl<S: BlockSource + ?Sized> BlockSource for $holder {
            fn geometry(&self) -> Geometry {
                (**self).geometry()
            }
            fn abilities(&self) -> Abilities {
                (**self).abilities()
            }
            fn read_at(
                &mut self,
                at: Offset,
                buffer: &mut [u8],
                patience: Patience,
            ) -> Result<ReadReply, SourceError> {
                (**self).read_at(at, buffer, patience)
            }
            fn examine(&mut self, row: &Row, patience: Patience) -> Option<Result<Examined, SourceError>> {
                (**self).examine(row, patience)
            }
            fn recover(&mut self, measure: Recovery) -> Result<(), SourceError> {
                (**self).recover(measure)
            }
            fn presence(&mut self) -> Result<(), SourceError> {
                (**self).presence()
            }
            fn extents(&mut self, range: ByteRange) -> Vec<Extent> {
                (**self).extents(range)
            }
            fn shareable(&self) -> Option<BorrowedFd<'_>> {
                (**self).shareable()
            }
            fn queue(&mut self) -> Option<&mut dyn ReadQueue> {
                (**self).queue()
            }
        }
    };
}

pass_on!(Box<S>);
pass_on!(&mut S);

#[cfg(test)]
mod tests {
    use super::*;

    /// Ranges, from their starts and ends.
    fn ranges(ends: &[(usize, usize)]) -> Vec<Range<usize>> {
        ends.iter().map(|(start, end)| *start..*end).collect()
    }

    #[test]
    fn pieces_that_begin_at_the_start_and_end_at_one_place_are_a_prefix() {
        let damage = Damage::new(Errno::EIO);
        let good = |ends: &[_]| ReadReply::of_pieces(ranges(ends), 100, damage).good;
        assert_eq!(good(&[]), Good::Prefix(0));
        assert_eq!(good(&[(0, 10), (10, 30), (30, 30)]), Good::Prefix(30));
        assert_eq!(good(&[(0, 10), (20, 30), (30, 40)]), Good::Pieces(ranges(&[(0, 10), (20, 40)])));
        assert_eq!(good(&[(5, 100)]), Good::Pieces(ranges(&[(5, 100)])));
    }

    #[test]
    fn good_bytes_are_those_at_the_start_and_pieces_are_all() {
        let reply = |good| ReadReply { good, damage: Some(Damage::new(Errno::EIO)) };
        for (good, leading, pieces) in [
            (Good::Pieces(ranges(&[(0, 10), (20, 40)])), 10, ranges(&[(0, 10), (20, 40)])),
            (Good::Pieces(ranges(&[(5, 100)])), 0, ranges(&[(5, 100)])),
            (Good::Prefix(0), 0, Vec::new()),
            (Good::Prefix(7), 7, ranges(&[(0, 7)])),
            (Good::All, 100, ranges(&[(0, 100)])),
        ] {
            let reply = reply(good);
            assert_eq!((reply.good_bytes(100), reply.pieces(100)), (leading, pieces));
        }
    }
}
