//! Who decides when the engine cannot: a person at a terminal, or a policy.
//!
//! Owns the questions. Must not know how they are asked.

use std::io;

use block::{Nanos, SinkError, SourceError};

use crate::MapStore;
use crate::keeper::KeeperError;

/// Writes the map as it stands into a store.
pub type WriteMap<'a> = dyn FnMut(&mut dyn MapStore) -> io::Result<()> + 'a;

/// Answers questions.
pub trait Operator {
    /// The map could not be saved. May write it elsewhere with `write` before answering.
    fn map_not_saved(&mut self, error: &KeeperError, write: &mut WriteMap<'_>) -> SaveRemedy;

    /// Whether somebody is there who may be asked.
    fn is_attended(&self) -> bool {
        false
    }

    /// Something could not be written to the destination. The map is saved if
    /// [`Operator::is_attended`].
    fn destination_failed(&mut self, _error: &SinkError) -> SaveRemedy {
        SaveRemedy::Stop
    }

    /// The device is gone, and has been for `gone`. Asked again and again until it is back; the map is saved.
    fn device_lost(&mut self, error: &SourceError, gone: Nanos) -> LostRemedy;
}

/// What to do about a map that could not be saved, or data that could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveRemedy {
    /// Try again.
    Retry,
    /// Stop: the map is safe elsewhere, or is given up.
    Stop,
}

/// What to do about a lost device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostRemedy {
    /// Look for it again after so long.
    LookAgain(Nanos),
    /// It is back under its old name: somebody has looked.
    Trust,
    /// Stop.
    Stop,
}

/// Nobody is there: stop at the first trouble.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unattended;

impl Operator for Unattended {
    fn map_not_saved(&mut self, _: &KeeperError, _: &mut WriteMap<'_>) -> SaveRemedy {
        SaveRemedy::Stop
    }

    fn device_lost(&mut self, _: &SourceError, _: Nanos) -> LostRemedy {
        LostRemedy::Stop
    }
}
