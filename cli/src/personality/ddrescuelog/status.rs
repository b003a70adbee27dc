//! The summary that ddrescuelog shows of a map.
//!
//! Owns its layout. Must not know where the map comes from.

use std::ffi::OsStr;
use std::fmt::Write;

use block::{ByteRange, Offset, RangeSet};
use map::{Mapfile, Status, Summary};

use crate::personality::number::{self, Decimals, Prefixes};

/// The summary of what a map says about a domain that lies in it.
pub(super) fn report(
    file: &Mapfile,
    domain: &RangeSet,
    heading: Option<&OsStr>,
    prefixes: Prefixes,
) -> String {
    let size = |bytes: u64| number::size(bytes, prefixes);
    let extent = file.map.extent().unwrap_or_default();
    let span = domain.span().unwrap_or_default();
    let whole = Summary::of(&file.map, &ByteRange::ALL.into());
    let areas: u64 = Status::ALL.iter().map(|status| whole.areas(*status)).sum();
    let mut text = String::from("\n");
    if let Some(name) = heading {
        let _ = writeln!(text, "{}", name.to_string_lossy());
    }
    let _ = writeln!(
        text,
        "   current pos: {:>9}B,  current status: {}\nmapfile extent: {:>9}B,  in {areas:6} area(s)",
        size(file.position.at.bytes()),
        file.position.phase.name(),
        size(extent.length()),
    );
    if span.start() > Offset::ZERO || span.end() < extent.end() || domain.ranges().len() > 1 {
        let _ = writeln!(
            text,
            "  domain begin: {:>9}B,  domain end: {:>9}B\n   domain size: {:>9}B,  in {:6} area(s)",
            size(span.start().bytes()),
            size(span.end().bytes()),
            size(domain.bytes()),
            domain.ranges().len(),
        );
    }
    text.push('\n');
    let summary = Summary::of(&file.map, domain);
    for (label, status) in LINES {
        let _ = writeln!(
            text,
            "{label:>14}: {:>9}B,  in {:6} area(s)  ({})",
            size(summary.bytes(status)),
            summary.areas(status),
            number::percentage(summary.bytes(status), domain.bytes(), Decimals::NeededRounded),
        );
    }
    text
}

const LINES: [(&str, Status); 5] = [
    ("non-tried", Status::NonTried),
    ("rescued", Status::Finished),
    ("non-trimmed", Status::NonTrimmed),
    ("non-scraped", Status::NonScraped),
    ("bad-sector", Status::BadSector),
];
