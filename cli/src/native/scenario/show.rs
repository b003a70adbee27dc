//! A scenario's disk in a terminal.
//!
//! Owns the layout. Must not know how the facts are found.

use super::describe::filled;
use super::survey::{HEALTHY, Survey};
use crate::native::Failure;
use crate::native::output::Output;
use crate::native::picture::{room, rows, swatch};

/// Characters before and behind the cells.
const BESIDE: usize = 11 + 12;

/// Prints the disk as wide as the terminal, its drawing in so many lines.
pub(super) fn print(survey: &Survey, width: Option<u16>, height: u16) -> Result<u8, Failure> {
    let (width, _) = room(width, None, BESIDE, 0);
    Output::print(&text(survey, width, usize::from(height)))
}

fn text(survey: &Survey, width: usize, height: usize) -> String {
    let mut text = format!("{}\n", survey.title());
    text.push_str(&filled(&survey.facts.description, 80, "  "));
    text.push('\n');
    for (word, said) in survey.lines() {
        text.push_str(&format!("{word:<9} {said}\n"));
    }
    text.push('\n');
    let before = |line| format!("{:>10} ", survey.position(line, height));
    let behind = |line| format!(" {:>10}", survey.speed(line, height));
    text.push_str(&rows(&survey.cells(width * height), width, before, behind));
    for (ink, said) in survey.legend() {
        text.push_str(&format!("{} {said}\n", swatch(ink)));
    }
    text.push_str(&format!(
        "{} healthy; small letters: less than half of the cell is damaged; at the right: the healthy speed in the middle of \
         the line\n",
        swatch(HEALTHY)
    ));
    text
}
