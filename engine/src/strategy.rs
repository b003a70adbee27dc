//! What to do next: the part of a rescue that only decides.
//!
//! Owns the border between deciding and doing, and the register of strategies. Must not touch files, clocks or dice.
//! A strategy is one file in `strategy/`.

use crate::{Book, Outcome, Step};

pub mod classic;
mod course;
pub mod dd_rescue_like;
pub mod hw_a;
pub mod myrescue;
pub mod recoverdisk_like;
pub mod recoverdm;
pub mod register;
pub mod safecopy;
pub mod sequential;
pub mod superclone_like;

pub use classic::{Classic, ClassicOptions, Edition};
pub use dd_rescue_like::{DdRescueLike, DdRescueOptions};
pub use hw_a::HwA;
pub use myrescue::{Myrescue, MyrescueOptions};
pub use recoverdisk_like::{RecoverdiskLike, RecoverdiskOptions};
pub use recoverdm::{Recoverdm, RecoverdmOptions};
pub use register::{Choice, Entry, Ground, Made, Settings, Unfit};
pub use safecopy::{Safecopy, SafecopyRun};
pub use sequential::{Sequential, SequentialOptions};
pub use superclone_like::{SupercloneLike, SupercloneOptions};

use Choice::{Block, Direction, Gnu, Retries};

/// All strategies that look at nothing but answers and times.
#[rustfmt::skip] // A register reads best with a line for each.
pub const STRATEGIES: &[Entry] = &[
    Entry { name: "classic", about: "GNU ddrescue 1.29", knows: &[Block, Direction, Retries, Gnu], make: Classic::make },
    Entry { name: "classic-1.30", about: "GNU ddrescue 1.30, as announced", knows: &[Block, Direction, Retries, Gnu], make: Classic::make_1_30 },
    Entry { name: "sequential", about: "dd conv=noerror", knows: &[Block, Direction], make: Sequential::make },
    Entry { name: "dd-rescue-like", about: "like dd_rescue", knows: &[Block, Direction], make: DdRescueLike::make },
    Entry { name: "superclone-like", about: "like HDDSuperClone", knows: &[Block, Retries], make: SupercloneLike::make },
    Entry { name: "recoverdisk-like", about: "like FreeBSD's recoverdisk", knows: &[Block, Retries], make: RecoverdiskLike::make },
    Entry { name: "safecopy", about: "safecopy, one run", knows: &[Block], make: Safecopy::make },
    Entry { name: "safecopy-stages", about: "safecopy, its three stages", knows: &[Block], make: Safecopy::make_stages },
    Entry { name: "myrescue", about: "myrescue, its usual three runs", knows: &[Block], make: Myrescue::make },
    Entry { name: "recoverdm", about: "recoverdm", knows: &[], make: Recoverdm::make },
    Entry { name: "hwA", about: "an imitation of a hardware imager", knows: &[], make: HwA::make },
];

/// Finds a strategy by its name.
pub fn find(name: &str) -> Option<&'static Entry> {
    STRATEGIES.iter().find(|entry| entry.name == name)
}

/// What a strategy may look at.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Map, domain and sums.
    pub book: &'a Book,
}

/// Decides. Equal views and outcomes give equal steps.
pub trait Strategy {
    /// Its name, as given on the command line.
    fn name(&self) -> &'static str;

    /// Returns the next step, given how the last sweep ended; `None` when there is nothing left to do.
    fn step(&mut self, view: View<'_>, last: Option<&Outcome>) -> Option<Step>;
}
