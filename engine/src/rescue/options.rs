//! How the loop behaves, apart from what the strategy decides.
//!
//! Owns the settings and their defaults. Must not know what is done with them.

use block::{Nanos, Patience};

use super::Recheck;
use crate::{Limits, RatesOptions, WriteOptions};

/// How the loop behaves, apart from what the strategy decides.
#[derive(Clone, Debug, PartialEq)]
pub struct RescueOptions {
    /// Size of a sector in bytes; what is not larger and fails is a bad sector.
    pub sector: u64,
    /// How bytes are written.
    pub write: WriteOptions,
    /// When to give up.
    pub limits: Limits,
    /// What makes the source slow.
    pub rates: RatesOptions,
    /// Bytes to have been read without damage before reads are joined and made ahead; `None`: never.
    pub ahead_after: Option<u64>,
    /// Share the blocks of the source's file where the destination can, without reading them: for a healthy source.
    pub share: bool,
    /// Whether reads are watched, so that one that hangs keeps nobody from stopping.
    pub watch: bool,
    /// How long to wait for one read. One that takes longer is marked as failed; it is left behind, no other one is made
    /// before the source is done with it, and what it brings after all is kept. A joined read is waited for; after one that
    /// took longer, reads are made one by one.
    pub patience: Patience,
    /// Whether a source that is gone is told from damage before or after the failed read is marked.
    pub marking: Marking,
    /// Close and open the source again after each failed or slow read.
    pub reopen_on_error: bool,
    /// When to read the last good sector again, and to stop if it is not the same.
    pub recheck: Recheck,
    /// Pause after each failed or slow read.
    pub pause_on_error: Pause,
    /// Pause before each pass but the first.
    pub pause_on_pass: Nanos,
    /// Bytes to read in one second at most.
    pub read_rate_max: Option<u64>,
    /// The end of the source, if earlier than the map's, cuts the domain only.
    pub keep_map_extent: bool,
}

impl Default for RescueOptions {
    fn default() -> RescueOptions {
        RescueOptions {
            sector: 512,
            write: WriteOptions::default(),
            limits: Limits::default(),
            rates: RatesOptions::default(),
            ahead_after: Some(64 << 20),
            share: false,
            watch: true,
            patience: Patience::Endless,
            marking: Marking::AfterPresence,
            reopen_on_error: false,
            recheck: Recheck::Never,
            pause_on_error: Pause::None,
            pause_on_pass: Nanos::ZERO,
            read_rate_max: None,
            keep_map_extent: false,
        }
    }
}

/// Whether a failed read counts as damage before it is known that the device is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marking {
    /// First make sure that the device is there: a lost one damages nothing.
    AfterPresence,
    /// Mark at once, as GNU ddrescue does.
    AtOnce,
}

/// A pause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pause {
    /// None.
    None,
    /// Real.
    Sleep(Nanos),
    /// Only added to the time shown, in seconds.
    Shown(f64),
}
