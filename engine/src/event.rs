//! What the loop tells while it works.
//!
//! Owns the events. Must not know who listens, nor how anything is worded.

use block::{ByteRange, Errno, Nanos, Offset, Recovery};
use map::{Position, Status};

use crate::{Book, Direction, Limit, Rates, Stage};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// The first read of a pass is about to be made; the position is already there.
    PassBegins(Stage),
    /// The pass that ran until now has nothing left to do; the position is still in it.
    PassEnds,
    /// A read is about to be made.
    Reading {
        /// What of.
        range: ByteRange,
    },
    /// Reads were made.
    Tried(Tried<'a>),
    /// A block was given another status without reading.
    Marked {
        /// Which.
        range: ByteRange,
        /// To what.
        status: Status,
    },
    /// Something was done about a source in trouble because the strategy wanted it.
    Recovered(Recovery),
    /// The source ends here, earlier than its size says.
    EndFound(Offset),
    /// A pause begins.
    PauseBegins,
    /// A read has not been answered for so long.
    Waiting {
        /// What of.
        range: ByteRange,
        /// For how long.
        since: Nanos,
    },
    /// The map was saved.
    Saved,
    /// The device is gone.
    DeviceLost {
        /// Where it was being read.
        at: Offset,
    },
    /// The device is back.
    DeviceFound,
    /// A limit was passed; the run ends.
    LimitPassed(Limit),
    /// Somebody asked to stop.
    Interrupted,
    /// A last look before the run ends, after everything is saved.
    Ended,
}

/// Reads that were made: one that failed or fell short, or any number of equal ones that went well.
#[derive(Clone, Copy, Debug)]
pub struct Tried<'a> {
    /// What was asked for.
    pub range: ByteRange,
    /// Size of one read in bytes; the first or the last one may be shorter. See [`crate::Sweep::request_at`].
    pub unit: u64,
    /// Order of the reads.
    pub direction: Direction,
    /// Bytes copied.
    pub copied: u64,
    /// How many of these lie at the start of the range, before anything that could not be read.
    pub leading: u64,
    /// Bytes that could not be read.
    pub failed: u64,
    /// Why not.
    pub errno: Option<Errno>,
    /// What was read, as far as it leads; empty where nobody looked, as in holes.
    pub data: &'a [u8],
    /// How long it took.
    pub took: Nanos,
}

impl Tried<'_> {
    /// The single reads in their order.
    pub fn reads(&self) -> impl Iterator<Item = ByteRange> + use<> {
        let sweep = crate::Sweep {
            range: self.range,
            unit: self.unit,
            direction: self.direction,
            stage: Stage { phase: map::Phase::Copying, pass: 1, round: 1, direction: self.direction },
            if_unread: crate::IfUnread::BadSector,
            ends_at: crate::EndsAt::RangeEnd,
            patience: block::Patience::Endless,
        };
        let mut at = sweep.origin();
        std::iter::from_fn(move || {
            let read = sweep.request_at(at)?;
            at = sweep.after(read);
            Some(read)
        })
    }
}

/// How things stand at an event.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Map, domain and sums.
    pub book: &'a Book,
    /// Rates and times.
    pub rates: &'a Rates,
    /// The status line as it would be saved now.
    pub position: Position,
    /// The running pass; `None` before the first read.
    pub stage: Option<Stage>,
}

/// Listens.
pub trait Observer {
    /// Is told of each event as it happens. Must return soon: the disk waits.
    fn on(&mut self, event: &Event<'_>, report: &Report<'_>);
}

/// Tells several listeners.
impl Observer for Vec<Box<dyn Observer + '_>> {
    fn on(&mut self, event: &Event<'_>, report: &Report<'_>) {
        self.iter_mut().for_each(|observer| observer.on(event, report));
    }
}

/// Listens to nothing.
impl Observer for () {
    fn on(&mut self, _: &Event<'_>, _: &Report<'_>) {}
}
