//! A map drawn with characters.
//!
//! Owns the layout, and the colour and character of each status. Must not know files.

use std::io::IsTerminal;

use block::RangeSet;
use map::picture::cells_in;
use map::{RescueMap, Status, Summary};
use ratatui::crossterm::terminal;

use super::annotate::readable;
use super::files::Output;
use crate::native::Failure;

/// What a cell without a byte of the domain shows.
const OUTSIDE: char = ' ';

/// Draws the map in the terminal, or in 80 by 24 characters.
pub(super) fn print(
    map: &RescueMap,
    domain: &RangeSet,
    width: Option<u16>,
    height: Option<u16>,
) -> Result<u8, Failure> {
    let window = std::io::stdout().is_terminal().then(terminal::size).and_then(Result::ok);
    let (window_width, window_height) = window.unwrap_or((80, 24));
    // Room for the axis to the left, for the legend below, and for the prompt.
    let width = usize::from(width.unwrap_or(window_width)).saturating_sub(AXIS_WIDTH).max(1);
    let height = usize::from(height.unwrap_or(window_height)).saturating_sub(LEGEND_LINES + 1).max(1);
    let text = drawing(map, domain, width, height);
    // Colours only where they are seen.
    let choice = anstream::AutoStream::choice(&std::io::stdout());
    Output::Stdout.stream(|out| match choice {
        anstream::ColorChoice::Never => write!(out, "{}", anstream::adapter::strip_str(&text)),
        _ => out.write_all(text.as_bytes()),
    })
}

const AXIS_WIDTH: usize = 11;
const LEGEND_LINES: usize = 5;

fn drawing(map: &RescueMap, domain: &RangeSet, width: usize, height: usize) -> String {
    let Some(span) = domain.span() else { return "the map is empty there\n".to_owned() };
    let cells = cells_in(map, domain, span, width * height);
    let mut text = String::new();
    for (line, row) in cells.chunks(width).enumerate() {
        let at = u128::from(span.length()) * line as u128 / height as u128;
        let at = span.start() + u64::try_from(at).unwrap_or(0);
        text.push_str(&format!("{:>10} ", readable(at.bytes())));
        let mut last = None;
        for cell in row {
            if *cell != last {
                text.push_str(cell.map_or(PLAIN, colour));
                last = *cell;
            }
            text.push(cell.map_or(OUTSIDE, Status::character));
        }
        text.push_str(PLAIN);
        text.push('\n');
    }
    let summary = Summary::of(map, domain);
    for status in Status::ALL.iter().rev() {
        let (colour, character, name) = (colour(*status), status.character(), status.name());
        let bytes = readable(summary.bytes(*status));
        text.push_str(&format!("{colour}{character}{PLAIN} {name:<11} {bytes:>10}\n"));
    }
    text
}

const PLAIN: &str = "\x1b[0m";

fn colour(status: Status) -> &'static str {
    match status {
        Status::Finished => "\x1b[32m",
        Status::NonTried => "\x1b[90m",
        Status::NonTrimmed => "\x1b[33m",
        Status::NonScraped => "\x1b[35m",
        Status::BadSector => "\x1b[1;31m",
    }
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
