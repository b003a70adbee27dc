//! What to do next: the part of a rescue that only decides.
//!
//! Owns the border between deciding and doing, and the register of strategies. Must not touch files, clocks or dice.
//! A strategy is one file in `strategy/`.

use crate::{Book, Outcome, Step};

pub mod classic;

pub use classic::{Classic, ClassicOptions};

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
