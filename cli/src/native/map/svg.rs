//! A map drawn as an SVG image.
//!
//! Owns the geometry and the colours. Must not know files.

use std::fmt::Write;

use block::RangeSet;
use map::picture::cells_in;
use map::{RescueMap, Status, Summary};

use super::annotate::readable;

/// Pixels of a line of the map.
const LINE_WIDTH: usize = 1000;
/// Lines that the map is broken into.
const LINES: usize = 40;
/// Pixels from one line to the next, and of the bar in it.
const LINE_STEP: usize = 14;
const BAR_HEIGHT: usize = 12;
/// Pixels to the left of the lines, for positions.
const AXIS_WIDTH: usize = 90;
/// Nothing is drawn finer than this part of a pixel; of what falls together, the most urgent status is shown.
const CELLS_PER_PIXEL: usize = 4;

/// The image's text.
pub(super) fn drawing(title: &str, map: &RescueMap, domain: &RangeSet) -> String {
    let (width, legend) = (AXIS_WIDTH + LINE_WIDTH + 10, 30 + LINES * LINE_STEP);
    let height = legend + 30;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <title>{title}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{AXIS_WIDTH}\" y=\"18\" font-size=\"13\">{title}</text>\n",
        title = escaped(title),
    );
    if let Some(span) = domain.span() {
        let row = LINE_WIDTH * CELLS_PER_PIXEL;
        for (line, cells) in cells_in(map, domain, span, row * LINES).chunks(row).enumerate() {
            let y = 28 + line * LINE_STEP;
            let at = u128::from(span.length()) * line as u128 / LINES as u128;
            let at = readable((span.start() + u64::try_from(at).unwrap_or(0)).bytes());
            let (x, base) = (AXIS_WIDTH - 6, y + BAR_HEIGHT - 2);
            let _ = writeln!(text, "<text x=\"{x}\" y=\"{base}\" text-anchor=\"end\">{at}</text>");
            bars(&mut text, cells, y);
        }
    }
    let summary = Summary::of(map, domain);
    for (place, status) in Status::ALL.iter().rev().enumerate() {
        let (x, y) = (AXIS_WIDTH + place * 200, legend + 4);
        let name = format!("{} {}", status.name(), readable(summary.bytes(*status)));
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"{y}\" width=\"12\" height=\"12\" fill=\"{}\"/>\
             <text x=\"{}\" y=\"{}\">{name}</text>",
            colour(*status),
            x + 18,
            y + 10,
        );
    }
    text.push_str("</svg>\n");
    text
}

/// One rectangle per run of equal cells.
fn bars(text: &mut String, cells: &[Option<Status>], y: usize) {
    let mut first = 0;
    for run in cells.chunk_by(|a, b| a == b) {
        if let Some(status) = run[0] {
            let _ = writeln!(
                text,
                "<rect x=\"{}\" y=\"{y}\" width=\"{}\" height=\"{BAR_HEIGHT}\" fill=\"{}\"/>",
                pixels(AXIS_WIDTH * CELLS_PER_PIXEL + first),
                pixels(run.len()),
                colour(status),
            );
        }
        first += run.len();
    }
}

fn pixels(cells: usize) -> String {
    let fraction = ["", ".25", ".5", ".75"][cells % CELLS_PER_PIXEL];
    format!("{}{fraction}", cells / CELLS_PER_PIXEL)
}

fn colour(status: Status) -> &'static str {
    match status {
        Status::Finished => "#2e9e4f",
        Status::NonTried => "#c9ced6",
        Status::NonTrimmed => "#e8b321",
        Status::NonScraped => "#8e5bc4",
        Status::BadSector => "#d1242f",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use block::{ByteRange, Offset};

    use super::*;

    #[test]
    fn equal_cells_are_one_rectangle_a_line() {
        let range = ByteRange::new(Offset::ZERO, 1 << 30);
        let image = drawing("a < b", &RescueMap::single(range, Status::NonTried), &range.into());
        assert_eq!(image.matches("<rect").count(), 1 + LINES + Status::ALL.len());
        assert!(image.contains("<title>a &lt; b</title>"));
        assert!(image.contains("<rect x=\"90\" y=\"28\" width=\"1000\" height=\"12\" fill=\"#c9ced6\"/>"));
    }

    #[test]
    fn the_image_of_a_map_of_many_blocks_stays_small() {
        let block = |i: u64| {
            let status = if i.is_multiple_of(2) { Status::Finished } else { Status::BadSector };
            (ByteRange::new(Offset::new(i * 512), 512), status)
        };
        let map: RescueMap = (0..500_000).map(block).collect();
        let image = drawing("many", &map, &map.extent().unwrap().into());
        assert!(image.len() < 20_000, "{}", image.len());
    }
}
