//! A sink in memory.
//!
//! Owns its bytes. Must not know any operating system.

use crate::{BlockSink, ByteRange, Offset, SinkError};

/// Keeps what is written in memory; gaps read as zeros.
#[derive(Clone, Debug, Default)]
pub struct MemorySink {
    /// What has been written, from position 0 on.
    pub bytes: Vec<u8>,
}

impl BlockSink for MemorySink {
    fn write_at(&mut self, at: Offset, bytes: &[u8]) -> Result<(), SinkError> {
        let from = at.bytes() as usize;
        if self.bytes.len() < from + bytes.len() {
            self.bytes.resize(from + bytes.len(), 0);
        }
        self.bytes[from..from + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn read_back(&mut self, at: Offset, buffer: &mut [u8]) -> Result<usize, SinkError> {
        let there = self.bytes.get(at.bytes() as usize..).unwrap_or_default();
        let length = there.len().min(buffer.len());
        buffer[..length].copy_from_slice(&there[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn size(&mut self) -> Result<u64, SinkError> {
        Ok(self.bytes.len() as u64)
    }

    fn extend(&mut self, size: u64) -> Result<(), SinkError> {
        if size as usize > self.bytes.len() {
            self.bytes.resize(size as usize, 0);
        }
        Ok(())
    }

    fn allocate(&mut self, range: ByteRange) -> Result<(), SinkError> {
        self.extend(range.end().bytes())
    }
}
