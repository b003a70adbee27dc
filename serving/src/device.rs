//! A disk as its clients meet it.
//!
//! Owns the words of the door: requests, answers, what a device tells of itself. Must not know who asks, nor what answers.
//!
//! An answer is due at once, and then [`Device::submit`] returns it, or later, and then it comes to the client's
//! [`Outlet`]; or never. Nobody sleeps, and nobody holds a lock, while an answer is waited for.

use std::sync::Arc;

use block::{ByteRange, Errno, Extent, Nanos, Offset};
use serde_json::Value;
use simulator::Access;
use thiserror::Error;

use crate::order::Order;

/// A disk that is served.
pub trait Device: Send + Sync {
    /// What it is now. A simulated disk that went away may come back as another one.
    fn facts(&self) -> Facts;

    /// Notes that a client has come. Errors: why it is turned away.
    fn attach(&self) -> Result<(), AttachError> {
        Ok(())
    }

    /// Notes that the client of this outlet has gone: nothing that it waits for is delivered any more.
    fn detach(&self, outlet: &Arc<dyn Outlet>);

    /// Takes a request. The reply is returned if it is due; else it comes to `outlet` under the name `ticket`, once, when
    /// it is due, or never.
    ///
    /// The request has been checked: it lies within the disk and in whole logical sectors, and it writes only what can
    /// be written.
    fn submit(&self, request: Request, ticket: u64, outlet: &Arc<dyn Outlet>) -> Option<Reply>;

    /// Gives up the requests of this outlet that will not be answered within `patience`, and names their tickets:
    /// whoever handed them in answers them now. What a device cannot foresee it does not name.
    fn give_up(&self, _outlet: &Arc<dyn Outlet>, _patience: Nanos) -> Vec<u64> {
        Vec::new()
    }

    /// Tells which parts of `range` hold data, in order, touching, covering it. Touches no medium.
    fn extents(&self, range: ByteRange) -> Vec<Extent> {
        vec![Extent { range, kind: block::ExtentKind::Data }]
    }

    /// What is known of the medium in `range`: in order, touching, from its start on, neighbours different; it may end
    /// early where much is to be told. No read: nothing is drawn, aged or warmed. `None` if nothing is known.
    fn health(&self, _range: ByteRange, _moment: Moment) -> Option<Vec<(ByteRange, Health)>> {
        None
    }

    /// Obeys an order; returns what there is to tell. Errors: why not, in one line.
    fn obey(&self, _order: Order) -> Result<Value, String> {
        Err("only simulated disks take orders".into())
    }
}

/// What a device tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Bytes in all.
    pub size: u64,
    /// Smallest unit that can be addressed, in bytes.
    pub logical_sector: u32,
    /// Unit in which the medium fails, in bytes.
    pub physical_sector: u32,
    /// Whether an arm moves, so that order matters.
    pub rotates: bool,
    /// Whether it can be written to.
    pub is_writable: bool,
    /// Whether [`Device::health`] tells something.
    pub has_health: bool,
    /// For people: one line.
    pub description: String,
}

/// What is asked of a device.
#[derive(Debug)]
pub struct Request {
    /// What to do.
    pub work: Work,
    /// Where.
    pub range: ByteRange,
    /// Whether what is written must be durable before the answer.
    pub is_durable: bool,
    /// How the client's system reads; `None`: it hands commands to the drive as they are.
    pub access: Option<Access>,
    /// Number of the client, for logs.
    pub client: u64,
    /// Where the bytes of a read go; what it holds, and how long it is, does not matter. Comes back in the answer.
    pub buffer: Vec<u8>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Bring the bytes.
    Read,
    /// Read, but keep the bytes.
    Cache,
    /// Write these bytes, as many as the range is long.
    Write(Vec<u8>),
    /// Write zeros; space may be given back if `may_trim`.
    Zero {
        /// Whether the space may be given back.
        may_trim: bool,
    },
    /// Give the space back; what is read there afterwards is anybody's guess.
    Trim,
    /// Make everything durable that was answered before.
    Flush,
}

/// What a device says.
#[derive(Debug)]
pub enum Reply {
    /// How it went.
    Answer(Answer),
    /// The device has gone, and says so: the client is told, and left once it has its other answers.
    Shutdown(String),
    /// The device has gone without a word: the connection breaks off.
    Drop,
}

/// How a request went.
#[derive(Debug, Default)]
pub struct Answer {
    /// The bytes of a read, as many as were asked for; those in the range of a trouble mean nothing.
    pub bytes: Vec<u8>,
    /// What did not go well, in order, not overlapping. Empty: everything did.
    pub troubles: Vec<Trouble>,
}

/// Why a part of a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The part.
    pub range: ByteRange,
    /// The first byte that failed, if the device knows; the start of a sector.
    pub at: Option<Offset>,
    /// What a system would call it.
    pub errno: Errno,
    /// For people: one line.
    pub text: String,
}

impl Reply {
    /// Everything went well.
    pub fn done(bytes: Vec<u8>) -> Reply {
        Reply::Answer(Answer { bytes, troubles: Vec::new() })
    }

    /// Nothing did.
    pub fn failed(range: ByteRange, errno: Errno, text: impl Into<String>) -> Reply {
        let trouble = Trouble { range, at: None, errno, text: text.into() };
        Reply::Answer(Answer { bytes: Vec::new(), troubles: vec![trouble] })
    }
}

/// Where answers go that were not due at once.
pub trait Outlet: Send + Sync {
    /// Takes an answer. Returns quickly: it must not wait for a socket, nor call the device.
    fn deliver(&self, ticket: u64, reply: Reply);

    /// Whether somebody still waits for answers. What nobody waits for is not asked of a slow device.
    fn is_open(&self) -> bool {
        true
    }
}

/// When the health of a medium is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the first request.
    Start,
    /// Now.
    Now,
}

/// What is known of a stretch of the medium, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health(pub u32);

impl Health {
    /// A read of it would fail.
    pub const BAD: u32 = 1;
    /// A read would take at least four times as long as a healthy one.
    pub const SLOW: u32 = 1 << 1;
    /// Bad now, but some later attempt will succeed.
    pub const RECOVERABLE: u32 = 1 << 2;
    /// A read would not be answered.
    pub const HANG: u32 = 1 << 3;
    /// Written after being bad; served from spare sectors.
    pub const REMAPPED: u32 = 1 << 4;
    /// Reads succeed with bytes that differ from the original.
    pub const LIES: u32 = 1 << 5;
    /// Good now; becomes bad if read often enough, or with heat or time.
    pub const FRAGILE: u32 = 1 << 6;
    /// Under the head, or in the zone, that is failing at present.
    pub const HOT: u32 = 1 << 7;
}

/// Why a client is turned away.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AttachError {
    /// The device has gone, and nobody may come until it is back.
    #[error("the device has gone")]
    Gone,
}

/// All that is served, by name.
pub trait Exports: Send + Sync {
    /// Names and descriptions. The first one is what a client gets that names none.
    fn list(&self) -> Vec<(String, String)>;

    /// Finds a device; the same one each time. The empty name is the first of the list. Opens nothing that is open
    /// already, so that asking twice is cheap.
    fn open(&self, name: &str) -> Result<Arc<dyn Device>, OpenError>;
}

/// Why there is no device of a name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// There is none.
    #[error("nothing of this name is served")]
    Unknown,
    /// There is one, but it cannot be opened. Says why in one line.
    #[error("{0}")]
    Failed(String),
}
