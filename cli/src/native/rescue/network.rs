//! An export of a server as the source of a rescue.
//!
//! Owns the way from `nbd://...` to a source, and what is told of it. Must not know the protocol.

use std::path::{Path, PathBuf};

use block::device::DeviceInfo;
use block::{BlockSource, SourceError};
use nbd_server::client::{NbdOptions, NbdSource, Uri};
use serde_json::{Value, json};

use super::failure::{Failure, chain};
use crate::personality::ddrescue::job::Job;

/// Finds the export that a source's name means; `None` if it names a file, a device or a simulated disk.
pub(super) fn named(source: &Path) -> Result<Option<Uri>, Failure> {
    let uri = source.to_str().and_then(Uri::parse).transpose();
    uri.map_err(|error| Failure::usage(error.to_string()))
}

/// Connects to it.
pub(super) fn open(uri: &Uri, job: &Job) -> Result<NbdSource, Failure> {
    let options = NbdOptions { damage_errnos: job.continue_on.clone(), ..NbdOptions::default() };
    let source = NbdSource::open(uri.clone(), options).map_err(|error| match &error {
        SourceError::Unreachable { .. } => Failure::system(format!(
            "{}; check the address, and that the server runs and serves this export",
            chain(&error)
        )),
        error => Failure::system(chain(error)),
    })?;
    if source.export().size == 0 {
        // Nothing could be read, and nothing be missing: that must not look like a rescue that went well.
        return Err(Failure::lost(format!(
            "{uri}: this export has no bytes: the server has lost what it serves, or serves another thing; look there, \
             then run this again"
        )));
    }
    Ok(source)
}

/// What a kernel would say about it.
pub(super) fn info(source: &NbdSource) -> DeviceInfo {
    let (geometry, export) = (source.geometry(), source.export());
    DeviceInfo {
        size: geometry.size,
        logical_sector: geometry.logical_sector,
        physical_sector: geometry.physical_sector,
        rotational: Some(export.rotates()),
        model: export.description.clone(),
        ..DeviceInfo::unknown(&PathBuf::from(source.uri().to_string()))
    }
}

/// How it is read, in a few words.
pub(super) fn how(source: &NbdSource) -> &'static str {
    match source.export().is_structured {
        true => "over NBD with structured replies",
        false => "over NBD with simple replies, which tell no places of errors",
    }
}

/// What was agreed on, as a sentence.
pub(super) fn sentence(source: &NbdSource) -> String {
    let export = source.export();
    let blocks = export.blocks;
    let sizes = format!("{} to {} bytes", blocks.min, blocks.max);
    let told = match export.blocks_are_told {
        true => format!("takes requests of {sizes}"),
        false => format!("does not say which requests it takes, and gets them of {sizes}"),
    };
    let kind = if export.rotates() { "of a disk that rotates, " } else { "" };
    let count = source.abilities().in_flight_max;
    let mut text = format!("The server {told}, {kind}at most {count} at a time.");
    if let Some(description) = &export.description {
        text.push_str(&format!(" It calls the export \"{description}\"."));
    }
    text
}

/// The same for programs.
pub(super) fn facts(source: &NbdSource) -> Value {
    let export = source.export();
    json!({
        "structured_replies": export.is_structured,
        "block_sizes_told": export.blocks_are_told,
        "min_block_bytes": export.blocks.min,
        "preferred_block_bytes": export.blocks.preferred,
        "max_request_bytes": export.blocks.max,
        "holes_told": export.allocation.is_some(),
        "rotational": export.rotates(),
        "in_flight_max": source.abilities().in_flight_max,
        "description": export.description,
    })
}
