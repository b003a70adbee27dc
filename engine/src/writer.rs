//! Writing rescued bytes where they belong.
//!
//! Owns the shift between source and destination, and what of the data is not written at all. Must not know the map.

use std::os::fd::BorrowedFd;

use block::{BlockSink, ByteRange, Offset, SinkError, buffer, zero};

/// How rescued bytes are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Added to a position in the source to get that in the destination, in bytes.
    pub shift: i64,
    /// Store no requests that are all zeros.
    pub sparse: bool,
    /// How such requests come to read as zeros all the same.
    pub holes: Holes,
    /// Read the destination first, and leave out what is there already.
    pub compare: bool,
    /// Make each write durable before the next read.
    pub synchronous: bool,
    /// Size that the destination must have at the end, in bytes.
    pub size_min: Option<u64>,
}

/// How zeros that are not stored come to read as zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holes {
    /// They are left out: the destination must read as zeros there already.
    #[default]
    LeftOut,
    /// The sink is told: whatever was there before is gone.
    Made,
}

/// Writes to a sink.
pub(crate) struct Writer<'a> {
    pub(crate) sink: &'a mut dyn BlockSink,
    options: WriteOptions,
    /// End of the zeros left out so far, in the destination.
    zeros_end: Offset,
    present: block::Buffer,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(sink: &'a mut dyn BlockSink, options: WriteOptions) -> Writer<'a> {
        Writer { sink, options, zeros_end: Offset::ZERO, present: buffer::zeroed(0) }
    }

    /// Writes what was read from `range` of the source in requests of `unit` bytes.
    pub(crate) fn write(&mut self, range: ByteRange, data: &[u8], unit: u64) -> Result<(), SinkError> {
        debug_assert_eq!(range.length(), data.len() as u64);
        if !self.options.sparse && !self.options.compare {
            self.sink.write_at(self.place_of(range.start()), data)?;
        } else {
            let mut at = range.start();
            while at < range.end() {
                let end = (at + 1).align_up(unit).min(range.end());
                let from = (at - range.start()) as usize;
                self.write_request(at, &data[from..from + (end - at) as usize])?;
                at = end;
            }
        }
        if self.options.synchronous {
            self.sink.flush()?;
        }
        Ok(())
    }

    /// Whether anybody looks at what is written.
    pub(crate) fn wants_bytes(&self) -> bool {
        self.sink.wants_bytes() || self.options.compare
    }

    /// Counts bytes that nobody wants as written.
    pub(crate) fn count(&mut self, range: ByteRange) -> Result<(), SinkError> {
        debug_assert!(!self.wants_bytes());
        self.sink.write_zeros(ByteRange::new(self.place_of(range.start()), range.length()))
    }

    /// Makes the destination share what the file `from` holds in `range`; `false` if it cannot.
    pub(crate) fn share(&mut self, from: BorrowedFd<'_>, range: ByteRange) -> bool {
        !self.options.compare && self.sink.share(from, range, self.place_of(range.start()))
    }

    /// Writes zeros that nobody read.
    pub(crate) fn write_hole(&mut self, range: ByteRange) -> Result<(), SinkError> {
        let start = self.place_of(range.start());
        if self.options.sparse && self.options.holes == Holes::LeftOut {
            self.zeros_end = self.zeros_end.max(start + range.length());
            return Ok(());
        }
        self.sink.write_zeros(ByteRange::new(start, range.length()))
    }

    /// Makes the destination as long as what was left out, and as the options ask.
    pub(crate) fn extend(&mut self) -> Result<(), SinkError> {
        let size = self.zeros_end.bytes().max(self.options.size_min.unwrap_or(0));
        if size == 0 {
            return Ok(());
        }
        self.sink.extend(size)?;
        self.sink.flush()
    }

    /// Makes zeros that were left out readable, before a map calls them rescued.
    pub(crate) fn cover_zeros(&mut self) -> Result<(), SinkError> {
        let end = std::mem::take(&mut self.zeros_end);
        if end == Offset::ZERO { Ok(()) } else { self.sink.extend(end.bytes()) }
    }

    fn write_request(&mut self, at: Offset, data: &[u8]) -> Result<(), SinkError> {
        let place = self.place_of(at);
        if self.options.sparse && zero::is_zero(data) {
            if self.options.holes == Holes::Made {
                return self.sink.write_zeros(ByteRange::new(place, data.len() as u64));
            }
            self.zeros_end = self.zeros_end.max(place + data.len() as u64);
            return Ok(());
        }
        if self.options.compare {
            if self.present.len() < data.len() {
                self.present = buffer::zeroed(data.len());
            }
            let present = &mut self.present[..data.len()];
            if self.sink.read_back(place, present)? == data.len() && present == data {
                return Ok(());
            }
        }
        self.sink.write_at(place, data)
    }

    /// Positions that the shift would move out of range were refused before the run began.
    fn place_of(&self, at: Offset) -> Offset {
        at.shifted(self.options.shift).unwrap_or(Offset::MAX)
    }
}
