//! How a rescue ends, and what may have failed.
//!
//! Owns these words. Must not know what anybody says about them.

use block::{Errno, Offset, SinkError, SourceError};

use crate::Limit;
use crate::keeper::KeeperError;

/// How a rescue ended.
#[derive(Debug)]
pub enum Ending {
    /// The strategy had nothing left to do.
    Finished,
    /// Limits were passed.
    Limits(Vec<Limit>),
    /// Somebody asked to stop.
    Interrupted,
    /// Something failed.
    Failed(Trouble),
}

/// What failed.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The source refused, or has gone for good.
    #[error(transparent)]
    Source(SourceError),
    /// The source fails everywhere, even where it could be read a moment ago.
    #[error(
        "the drive fails every read at once, even at {at} where it answered before: it has hung up; nothing that failed \
         in this way is marked. Switch it off and on again, then go on"
    )]
    Mute {
        /// A place that could be read.
        at: Offset,
        /// What the system says about it now.
        #[source]
        errno: Errno,
    },
    /// The destination failed.
    #[error(transparent)]
    Sink(SinkError),
    /// The map could not be saved, and the operator gave up.
    #[error(transparent)]
    Map(KeeperError),
    /// The source ends below data that the map calls rescued.
    #[error(
        "the source ends at {at}, below data that the map calls rescued; is this the map of another source?"
    )]
    EndBelowMap {
        /// Where it ends.
        at: Offset,
    },
    /// The source has become shorter since it was opened.
    #[error(
        "the source ends at {at} now, but had {size} bytes when it was opened; nothing behind that is marked: make sure \
         that it is whole and connected, then go on"
    )]
    EndsEarly {
        /// Where it ends.
        at: Offset,
        /// Its size when it was opened, in bytes.
        size: u64,
    },
    /// After an error, a sector that could be read cannot be read any more.
    #[error(
        "the sector at {at} could be read and cannot be read any more; reconnect the drive and run this again"
    )]
    NoMoreData {
        /// The sector.
        at: Offset,
    },
    /// After an error, a sector that could be read holds something else.
    #[error("the sector at {at} holds something else than before; reconnect the drive and run this again")]
    InconsistentData {
        /// The sector.
        at: Offset,
    },
    /// An error came before any sector was read well.
    #[error("the first read failed, so that nothing can be compared")]
    NoGoodSectorYet,
}

/// Why the loop stops before the strategy is done.
pub(super) enum Stop {
    Limits(Vec<Limit>),
    Interrupted,
    Failed(Trouble),
}

impl From<SinkError> for Stop {
    fn from(error: SinkError) -> Stop {
        Stop::Failed(Trouble::Sink(error))
    }
}

pub(super) fn ending_of(stop: Stop) -> Ending {
    match stop {
        Stop::Limits(limits) => Ending::Limits(limits),
        Stop::Interrupted => Ending::Interrupted,
        Stop::Failed(trouble) => Ending::Failed(trouble),
    }
}
