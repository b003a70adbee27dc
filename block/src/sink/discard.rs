//! A sink that keeps nothing.
//!
//! Owns a count of bytes. Must not know what they were.

use crate::{BlockSink, ByteRange, Offset, SinkError};

/// Counts bytes and forgets them.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiscardSink {
    /// Bytes written so far.
    pub written: u64,
    end: u64,
}

impl BlockSink for DiscardSink {
    fn wants_bytes(&self) -> bool {
        false
    }

    fn write_at(&mut self, at: Offset, bytes: &[u8]) -> Result<(), SinkError> {
        self.write_zeros(ByteRange::new(at, bytes.len() as u64))
    }

    fn write_zeros(&mut self, range: ByteRange) -> Result<(), SinkError> {
        self.written += range.length();
        self.end = self.end.max(range.end().bytes());
        Ok(())
    }

    fn read_back(&mut self, _: Offset, _: &mut [u8]) -> Result<usize, SinkError> {
        Ok(0)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn size(&mut self) -> Result<u64, SinkError> {
        Ok(self.end)
    }

    fn extend(&mut self, size: u64) -> Result<(), SinkError> {
        self.end = self.end.max(size);
        Ok(())
    }

    fn allocate(&mut self, _: ByteRange) -> Result<(), SinkError> {
        Ok(())
    }
}
