//! Memory that a device may read into directly.
//!
//! Owns the alignment that O_DIRECT asks for. Must not know what is read into it.

use aligned_vec::{AVec, ConstAlign};

/// Largest alignment that any device here asks of memory, offset and length, in bytes.
pub const ALIGNMENT: usize = 4096;

/// A buffer whose start is a multiple of [`ALIGNMENT`].
pub type Buffer = AVec<u8, ConstAlign<ALIGNMENT>>;

/// Makes a buffer of `length` zero bytes.
pub fn zeroed(length: usize) -> Buffer {
    let mut buffer = Buffer::with_capacity(ALIGNMENT, length);
    buffer.resize(length, 0);
    buffer
}
