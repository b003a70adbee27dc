//! Chance in what happens to a drive: the n-th event of a fault is a place, like the n-th attempt at a sector.
//!
//! Owns the numbering. Must not know what happens.

use super::Opening;
use crate::dice::{self, Dice};

/// Draws for the events of one fault, in their order.
#[derive(Clone, Debug)]
pub(super) struct Events {
    dice: Dice,
    next: u64,
}

impl Events {
    /// Before the disk is opened: a fault is made before it knows its seed.
    pub fn unlaid() -> Events {
        Events { dice: Dice::new(0, "unlaid"), next: 0 }
    }

    /// The events of a fault of this disk; another label, other draws.
    pub fn of(opening: &Opening<'_>, label: &str) -> Events {
        Events { dice: Dice::new(opening.seed, &format!("{label} {}", opening.number)), next: 0 }
    }

    /// The draw of the next event.
    pub fn draw(&mut self) -> u64 {
        self.next += 1;
        self.dice.roll(0, self.next - 1)
    }

    /// Another draw that belongs to the last event.
    pub fn more(&self, roll: u64) -> u64 {
        dice::mix(roll ^ 0x9e37_79b9_7f4a_7c15)
    }
}
