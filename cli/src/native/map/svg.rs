//! A map drawn as an SVG image.
//!
//! Owns which cells are drawn and what is said of them. Must not know files, nor the image's geometry.

use block::RangeSet;
use map::picture::cells_in;
use map::{RescueMap, Status, Summary};

use super::annotate::readable;
use super::picture::{ink, inks};
use crate::native::picture::Image;

/// The image's text.
pub(super) fn drawing(title: &str, map: &RescueMap, domain: &RangeSet) -> String {
    let mut image = Image::new(title);
    if let Some(span) = domain.span() {
        // Of what falls into one cell, the most urgent status is shown.
        let cells = cells_in(map, domain, span, Image::CELLS * Image::LINES);
        image.lines(&inks(cells), |line| {
            let at = u128::from(span.length()) * line as u128 / Image::LINES as u128;
            readable((span.start() + u64::try_from(at).unwrap_or(0)).bytes())
        });
    }
    let summary = Summary::of(map, domain);
    let entry =
        |status: &Status| (ink(*status), format!("{} {}", status.name(), readable(summary.bytes(*status))));
    image.legend(&Status::ALL.iter().rev().map(entry).collect::<Vec<_>>());
    image.finish()
}

#[cfg(test)]
mod tests {
    use block::{ByteRange, Offset};

    use super::*;

    #[test]
    fn equal_cells_are_one_rectangle_a_line() {
        let range = ByteRange::new(Offset::ZERO, 1 << 30);
        let image = drawing("a < b", &RescueMap::single(range, Status::NonTried), &range.into());
        assert_eq!(image.matches("<rect").count(), 1 + Image::LINES + Status::ALL.len());
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
