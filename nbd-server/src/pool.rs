//! Buffers that are used again.
//!
//! Owns those that nobody uses now, up to a limit. Must not know what they are for. A buffer of 128 KiB or more would be
//! mapped anew, and zeroed by the system, each time.

use std::sync::{Mutex, PoisonError};

/// Bytes that are kept for later, of each class.
const KEPT_MAX: usize = 64 << 20;

/// Where small buffers end: a small read must not cut a large buffer short, nor a large one zero a small one's tail.
const SMALL_MAX: usize = 32 << 10;

/// Buffers for anybody.
#[derive(Debug, Default)]
pub struct Pool {
    small: Mutex<Class>,
    large: Mutex<Class>,
}

#[derive(Debug, Default)]
struct Class {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl Pool {
    /// A buffer for so many bytes. What it holds, and how long it is, is anybody's guess.
    pub fn take(&self, length: usize) -> Vec<u8> {
        let mut class = self.class(length).lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = class.buffers.pop().unwrap_or_default();
        class.bytes -= buffer.capacity();
        buffer
    }

    /// Gives a buffer back.
    pub fn give(&self, buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if capacity == 0 {
            return;
        }
        let mut class = self.class(capacity).lock().unwrap_or_else(PoisonError::into_inner);
        if class.bytes + capacity <= KEPT_MAX {
            class.bytes += capacity;
            class.buffers.push(buffer);
        }
    }

    fn class(&self, length: usize) -> &Mutex<Class> {
        if length <= SMALL_MAX { &self.small } else { &self.large }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_and_not_without_end() {
        let pool = Pool::default();
        let buffer = vec![1; 1 << 20];
        let place = buffer.as_ptr();
        pool.give(buffer);
        assert_eq!(pool.take(512).capacity(), 0, "a small read does not take a large buffer");
        let again = pool.take(1 << 20);
        assert_eq!(again.as_ptr(), place);
        for _ in 0..100 {
            pool.give(Vec::with_capacity(1 << 20));
        }
        assert_eq!(pool.large.lock().unwrap().buffers.len(), KEPT_MAX >> 20);
    }
}
