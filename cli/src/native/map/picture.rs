//! A map drawn with characters.
//!
//! Owns what is beside the cells, and how each status is drawn. Must not know files.

use block::RangeSet;
use map::picture::cells_in;
use map::{RescueMap, Status, Summary};

use super::annotate::readable;
use crate::native::Failure;
use crate::native::output::Output;
use crate::native::picture::{Ink, room, rows, swatch};

/// Draws the map in the terminal, or in 80 by 24 characters.
pub(super) fn print(
    map: &RescueMap,
    domain: &RangeSet,
    width: Option<u16>,
    height: Option<u16>,
) -> Result<u8, Failure> {
    let (width, height) = room(width, height, AXIS_WIDTH, LEGEND_LINES);
    let text = drawing(map, domain, width, height);
    Output::print(&text)
}

const AXIS_WIDTH: usize = 11;
const LEGEND_LINES: usize = 5;

fn drawing(map: &RescueMap, domain: &RangeSet, width: usize, height: usize) -> String {
    let Some(span) = domain.span() else { return "the map is empty there\n".to_owned() };
    let cells = inks(cells_in(map, domain, span, width * height));
    let position = |line: usize| {
        let at = u128::from(span.length()) * line as u128 / height as u128;
        let at = span.start() + u64::try_from(at).unwrap_or(0);
        format!("{:>10} ", readable(at.bytes()))
    };
    let mut text = rows(&cells, width, position, |_| String::new());
    let summary = Summary::of(map, domain);
    for status in Status::ALL.iter().rev() {
        let (swatch, name) = (swatch(ink(*status)), status.name());
        let bytes = readable(summary.bytes(*status));
        text.push_str(&format!("{swatch} {name:<11} {bytes:>10}\n"));
    }
    text
}

/// How cells of these statuses are drawn.
pub(super) fn inks(cells: Vec<Option<Status>>) -> Vec<Option<Ink>> {
    cells.into_iter().map(|cell| cell.map(ink)).collect()
}

/// How a cell of this status is drawn.
pub(super) fn ink(status: Status) -> Ink {
    let (colour, fill) = match status {
        Status::Finished => ("\x1b[32m", "#2e9e4f"),
        Status::NonTried => ("\x1b[90m", "#c9ced6"),
        Status::NonTrimmed => ("\x1b[33m", "#e8b321"),
        Status::NonScraped => ("\x1b[35m", "#8e5bc4"),
        Status::BadSector => ("\x1b[1;31m", "#d1242f"),
    };
    Ink { character: status.character(), colour, fill }
}

#[cfg(test)]
mod tests {
    use block::{ByteRange, Offset};

    use super::*;

    #[test]
    fn a_drawing_can_be_read_without_colours() {
        let block = |(at, length, status)| (ByteRange::new(Offset::new(at), length), status);
        let blocks = [(0, 600, Status::Finished), (600, 1, Status::BadSector), (601, 423, Status::NonTried)];
        let map: RescueMap = blocks.map(block).into_iter().collect();
        let text = drawing(&map, &map.extent().unwrap().into(), 8, 2);
        let plain = anstream::adapter::strip_str(&text).to_string();
        let lines: Vec<&str> = plain.lines().collect();
        assert_eq!(lines[..2], ["       0 B ++++++++", "     512 B +-??????"]);
        assert_eq!(lines[2], "+ finished         600 B");
        assert_eq!(lines.len(), 2 + LEGEND_LINES);
    }
}
