//! Mapfiles as GNU ddrescue and ddrescuelog name, read and complain about them.
//!
//! Owns the name `-` for standard input, and the texts of mapfile errors. Must not know what maps are read for.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};

use block::{ByteRange, Offset, RangeSet};
use map::mapfile::MapfileFault;
use map::masked::finished_of;
use map::{Loose, Mapfile, MapfileError, Status};

use super::Complaint;

/// Whether the blocks of a mapfile must touch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// They must, in order.
    #[default]
    Strict,
    /// They may be in any order; gaps get this status.
    Loose(Status),
}

/// Reads mapfiles by name; `-` is standard input, which can be read once.
#[derive(Debug, Default)]
pub struct Reader {
    stdin_read: bool,
}

/// What messages call a mapfile.
pub fn shown(name: &OsStr) -> OsString {
    if name == "-" || name.is_empty() { "(stdin)".into() } else { name.to_owned() }
}

impl Reader {
    /// Reads and parses the mapfile called `name`.
    pub fn read(&mut self, name: &OsStr, reading: Reading) -> Result<Mapfile, Complaint> {
        let text = self.text(name)?;
        let parsed = match reading {
            Reading::Strict => Mapfile::parse(&text),
            Reading::Loose(gaps) => Mapfile::parse_loose(&text, Loose { gaps }),
        };
        parsed.map_err(|error| complaint(name, error))
    }

    fn text(&mut self, name: &OsStr) -> Result<Vec<u8>, Complaint> {
        let unreadable = || Complaint::about(shown(name), "Error in mapfile, line 0: Read error.");
        let mut text = Vec::new();
        if name == "-" {
            if std::mem::replace(&mut self.stdin_read, true) {
                return Err(unreadable());
            }
            io::stdin().lock().read_to_end(&mut text).map_err(|_| unreadable())?;
            return Ok(text);
        }
        let mut file = File::open(name).map_err(|_| missing(name))?;
        file.read_to_end(&mut text).map_err(|_| unreadable())?;
        Ok(text)
    }
}

/// The complaint about a mapfile that is not there.
pub fn missing(name: &OsStr) -> Complaint {
    Complaint::about(shown(name), "Mapfile does not exist or is not readable.")
}

/// The complaint about a mapfile whose content is wrong.
pub fn complaint(name: &OsStr, error: MapfileError) -> Complaint {
    let text = match error.fault {
        MapfileFault::StatusLine => "Bad or missing status line.",
        MapfileFault::BlockLine => "Bad block line in list.",
        MapfileFault::Gap { .. } => "Blocks are not contiguous.",
        MapfileFault::Overlap { .. } => "Blocks of different status overlap.",
    };
    let text = format!("Error in mapfile, line {}: {text}", error.line);
    Complaint::about(shown(name), text).with_status(2)
}

/// The options that say which part of a medium is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainOptions {
    /// Where it begins (`-i`).
    pub start: Offset,
    /// How long it is (`-s`); `None` without limit.
    pub size: Option<u64>,
    /// A map whose finished blocks it is (`-m`).
    pub mapfile: Option<OsString>,
    /// How that map is read (`-L`).
    pub reading: Reading,
}

impl DomainOptions {
    /// The range that `-i` and `-s` give.
    pub fn range(&self) -> ByteRange {
        match self.size {
            Some(size) => ByteRange::new(self.start, size),
            None => ByteRange::between(self.start, Offset::MAX),
        }
    }

    /// Reads the map, if one is given, and returns the domain.
    pub fn domain(&self, reader: &mut Reader) -> Result<RangeSet, Complaint> {
        let Some(name) = &self.mapfile else { return Ok(self.range().into()) };
        let mut domain = finished_of(&reader.read(name, self.reading)?.map);
        domain.crop(self.range());
        Ok(domain)
    }
}
