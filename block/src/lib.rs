//! The narrow waist of Diskwright: quantities, ranges, sources, sinks and clocks.
//!
//! Owns the words in which every other crate speaks of bytes and time. Must not know maps,
//! strategies, file systems or terminals.

pub mod buffer;
pub mod clock;
pub mod device;
pub mod errno;
pub mod quantity;
pub mod range;
pub mod range_set;
pub mod sink;
pub mod source;
pub mod timing_log;
pub mod zero;

pub use buffer::Buffer;
pub use clock::{Clock, VirtualClock, WallClock};
pub use errno::Errno;
pub use quantity::{Nanos, Offset};
pub use range::ByteRange;
pub use range_set::RangeSet;
pub use sink::{BlockSink, SinkError};
pub use source::{
    Abilities, BlockSource, Completion, Damage, Extent, ExtentKind, Geometry, Good, Patience, ReadQueue,
    ReadReply, ReadRequest, Recovery, SourceError, Ticket,
};
