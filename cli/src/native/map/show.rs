//! What a map says, summed up: for persons and for programs.
//!
//! Owns both layouts. Must not know where the map comes from or the text goes.

use std::fmt::Write;
use std::path::Path;

use block::RangeSet;
use map::{Mapfile, Status, Summary};
use serde::Serialize;

use super::annotate::readable;
use crate::personality::number::{Decimals, percentage};

/// A map summed up. Field names are those of the JSON.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    map: String,
    position: u64,
    phase: &'static str,
    pass: u32,
    /// Bytes that have a block, and blocks.
    bytes: u64,
    blocks: usize,
    domain: Domain,
    statuses: Vec<Part>,
    done: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Domain {
    begin: u64,
    end: u64,
    bytes: u64,
    pieces: usize,
}

#[derive(Clone, Debug, Serialize)]
struct Part {
    status: &'static str,
    character: char,
    bytes: u64,
    areas: u64,
}

impl Report {
    /// Sums up what a map says about a domain that lies in it.
    pub(super) fn new(path: &Path, file: &Mapfile, domain: &RangeSet) -> Report {
        let summary = Summary::of(&file.map, domain);
        let span = domain.span().unwrap_or_default();
        let part = |status: &Status| Part {
            status: status.name(),
            character: status.character(),
            bytes: summary.bytes(*status),
            areas: summary.areas(*status),
        };
        Report {
            map: path.display().to_string(),
            position: file.position.at.bytes(),
            phase: file.position.phase.name(),
            pass: file.position.pass,
            bytes: file.map.extent().unwrap_or_default().length(),
            blocks: file.map.len(),
            domain: Domain {
                begin: span.start().bytes(),
                end: span.end().bytes(),
                bytes: domain.bytes(),
                pieces: domain.ranges().len(),
            },
            statuses: Status::ALL.iter().rev().map(part).collect(),
            done: summary.is_complete(),
        }
    }
}

/// An array with one object per map.
pub(super) fn json(reports: &[Report]) -> String {
    let text = serde_json::to_string_pretty(reports);
    text.map(|text| text + "\n").unwrap_or_default()
}

/// A paragraph per map.
pub(super) fn text(reports: &[Report]) -> String {
    reports.iter().map(paragraph).collect::<Vec<_>>().join("\n")
}

fn paragraph(report: &Report) -> String {
    let Report { map, position, phase, pass, bytes, blocks, domain, .. } = report;
    let mut text = format!(
        "{map}: {} in {blocks} blocks; {phase}, pass {pass}, at {position:#010x}\n",
        readable(*bytes)
    );
    if domain.bytes < *bytes {
        let pieces = if domain.pieces == 1 { "piece" } else { "pieces" };
        let Domain { begin, end, bytes, pieces: count } = domain;
        let _ =
            writeln!(text, "only {} in {count} {pieces} from {begin:#010x} to {end:#010x}", readable(*bytes));
    }
    for part in &report.statuses {
        let share = percentage(part.bytes, domain.bytes, Decimals::TwoCut);
        let share = if domain.bytes == 0 { "      -".to_owned() } else { share };
        let areas = if part.areas == 1 { "area" } else { "areas" };
        let _ = writeln!(
            text,
            "  {} {:<11} {:>10} {share:>8} {:>8} {areas}",
            part.character,
            part.status,
            readable(part.bytes),
            part.areas,
        );
    }
    text
}
