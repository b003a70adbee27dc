//! What a rescue reads, whatever it is.
//!
//! Owns the choice between kinds of sources. Must not know how one is opened.

use std::os::fd::BorrowedFd;

use block::source::{Examined, FileSource, Row};
use block::{
    Abilities, BlockSource, ByteRange, Extent, Geometry, Offset, Patience, ReadQueue, ReadReply, Recovery,
    SourceError,
};
use nbd_server::client::NbdSource;
use simulator::SimSource;

/// What a rescue reads.
pub(super) enum Origin {
    /// A file or a device.
    Real(FileSource),
    /// A simulated disk.
    Simulated(SimSource),
    /// An export of a server.
    Network(NbdSource),
}

impl Origin {
    /// The simulated disk, if it is one.
    pub(super) fn simulated(&self) -> Option<&SimSource> {
        match self {
            Origin::Simulated(source) => Some(source),
            Origin::Real(_) | Origin::Network(_) => None,
        }
    }

    /// The export, if it is one.
    pub(super) fn network(&self) -> Option<&NbdSource> {
        match self {
            Origin::Network(source) => Some(source),
            Origin::Real(_) | Origin::Simulated(_) => None,
        }
    }

    fn get(&self) -> &dyn BlockSource {
        match self {
            Origin::Real(source) => source,
            Origin::Simulated(source) => source,
            Origin::Network(source) => source,
        }
    }

    fn get_mut(&mut self) -> &mut dyn BlockSource {
        match self {
            Origin::Real(source) => source,
            Origin::Simulated(source) => source,
            Origin::Network(source) => source,
        }
    }
}

impl BlockSource for Origin {
    fn geometry(&self) -> Geometry {
        self.get().geometry()
    }
    fn abilities(&self) -> Abilities {
        self.get().abilities()
    }
    fn read_at(
        &mut self,
        at: Offset,
        buffer: &mut [u8],
        patience: Patience,
    ) -> Result<ReadReply, SourceError> {
        self.get_mut().read_at(at, buffer, patience)
    }
    fn examine(&mut self, row: &Row, patience: Patience) -> Option<Result<Examined, SourceError>> {
        self.get_mut().examine(row, patience)
    }
    fn recover(&mut self, measure: Recovery) -> Result<(), SourceError> {
        self.get_mut().recover(measure)
    }
    fn presence(&mut self) -> Result<(), SourceError> {
        self.get_mut().presence()
    }
    fn extents(&mut self, range: ByteRange) -> Vec<Extent> {
        self.get_mut().extents(range)
    }
    fn shareable(&self) -> Option<BorrowedFd<'_>> {
        self.get().shareable()
    }
    fn queue(&mut self) -> Option<&mut dyn ReadQueue> {
        self.get_mut().queue()
    }
}
