//! A sink that may lose, at a crash, whatever was not flushed. For crash tests.
//!
//! Owns what a machine without power forgets. Must not know maps.

use std::sync::{Arc, Mutex};

use crate::sink::MemorySink;
use crate::{BlockSink, ByteRange, Offset, SinkError};

/// Shared by the sink and by the test that crashes it.
#[derive(Clone, Debug, Default)]
pub struct ForgetfulSink {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    durable: MemorySink,
    seen: MemorySink,
    pending: Vec<(Offset, Vec<u8>)>,
}

impl ForgetfulSink {
    /// Makes an empty sink.
    pub fn new() -> ForgetfulSink {
        ForgetfulSink::default()
    }

    /// Loses power: each write since the last flush survives only if `survives` says so, asked in order.
    pub fn crash(&self, mut survives: impl FnMut() -> bool) {
        self.with(|state| {
            for (at, bytes) in std::mem::take(&mut state.pending) {
                if survives() {
                    let _ = state.durable.write_at(at, &bytes);
                }
            }
            state.seen = state.durable.clone();
        });
    }

    /// What a reader would see now.
    pub fn bytes(&self) -> Vec<u8> {
        self.with(|state| state.seen.bytes.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl BlockSink for ForgetfulSink {
    fn write_at(&mut self, at: Offset, bytes: &[u8]) -> Result<(), SinkError> {
        self.with(|state| {
            state.pending.push((at, bytes.to_vec()));
            state.seen.write_at(at, bytes)
        })
    }

    fn read_back(&mut self, at: Offset, buffer: &mut [u8]) -> Result<usize, SinkError> {
        self.with(|state| state.seen.read_back(at, buffer))
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.with(|state| {
            for (at, bytes) in std::mem::take(&mut state.pending) {
                state.durable.write_at(at, &bytes)?;
            }
            Ok(())
        })
    }

    fn size(&mut self) -> Result<u64, SinkError> {
        self.with(|state| state.seen.size())
    }

    fn extend(&mut self, size: u64) -> Result<(), SinkError> {
        self.with(|state| {
            state.durable.extend(size)?;
            state.seen.extend(size)
        })
    }

    fn allocate(&mut self, range: ByteRange) -> Result<(), SinkError> {
        self.extend(range.end().bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_flushed_survives_and_the_rest_only_by_luck() {
        let mut sink = ForgetfulSink::new();
        sink.write_at(Offset::new(0), b"aaaa").unwrap();
        sink.flush().unwrap();
        sink.write_at(Offset::new(1), b"b").unwrap();
        sink.write_at(Offset::new(2), b"c").unwrap();
        assert_eq!(sink.bytes(), b"abca");
        let mut luck = [false, true].into_iter();
        sink.crash(|| luck.next().unwrap());
        assert_eq!(sink.bytes(), b"aaca");
        // Nothing is pending any more.
        sink.crash(|| unreachable!());
        assert_eq!(sink.bytes(), b"aaca");
    }
}
