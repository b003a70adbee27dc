//! Maps going in and out.
//!
//! Owns the heading of written maps, and what they may take the place of. Must not know what they are for.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use block::{Clock, WallClock};
use map::mapfile::{self, Heading};
use map::{Loose, Mapfile, Status};

use crate::native::output::{Output, failed};
use crate::native::{Failure, input};
use crate::personality::number::timestamp;

/// Bytes that no map reaches: thirty million blocks.
const MAP_BYTES_MAX: u64 = 1 << 30;

/// How the blocks of a map must lie.
#[derive(Clone, Copy, Debug)]
pub(in crate::native) enum Blocks {
    /// In order, each where the one before ends.
    Touching,
    /// In any order, with gaps of this status.
    Anyhow {
        /// Status of the gaps.
        gaps: Status,
    },
}

/// Reads the map called `path`.
pub(in crate::native) fn read(path: &Path, blocks: Blocks) -> Result<Mapfile, Failure> {
    let text = input::bytes_of(path, MAP_BYTES_MAX)?;
    let parsed = match blocks {
        Blocks::Touching => Mapfile::parse(&text),
        Blocks::Anyhow { gaps } => Mapfile::parse_loose(&text, Loose { gaps }),
    };
    parsed.map_err(|error| Failure::BadMap { path: path.to_owned(), error })
}

/// What stands above a map that comes from another one: who made it, and what its own makers noted.
pub(super) fn heading(file: &Mapfile, arguments: &[OsString]) -> Heading {
    const REPLACED: [&str; 4] = ["Mapfile.", "Command line:", "Start time:", "Current time:"];
    let command: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    let mut comments = vec![
        format!("Mapfile. Created by Diskwright {}", env!("CARGO_PKG_VERSION")),
        format!("Command line: {}", command.join(" ").replace(['\n', '\r'], " ")),
        format!("Start time:   {}", timestamp(WallClock::new().now())),
    ];
    let is_note = |comment: &&String| {
        !comment.starts_with("current_pos") && !REPLACED.iter().any(|start| comment.starts_with(start))
    };
    comments.extend(file.comments.iter().filter(is_note).cloned());
    Heading { comments }
}

/// Bytes that tell a map from an image.
const HEAD_BYTES: u64 = 4096;

/// Writes a map, in the place of a map at most: an image of the same name but for an ending is soon typed.
pub(super) fn write_map(output: Output, heading: &Heading, file: &Mapfile) -> Result<u8, Failure> {
    if let Output::File(path) = &output
        && fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
    {
        let mut head = Vec::new();
        let read = File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
        read.map_err(|error| failed("look at what is there", path, &error))?;
        if !is_like_a_map(&head) {
            let advice = "it exists and is no map; name another file, or remove this one first";
            return Err(Failure::Usage(format!("{}: {advice}", path.display())));
        }
    }
    file.map.check();
    let mut map = file.map.clone();
    map.merge();
    output.stream(|out| mapfile::write(out, heading, &file.position, &map))
}

/// Whether a file that begins like this may be a map: text that begins with a comment or a number.
fn is_like_a_map(head: &[u8]) -> bool {
    let first = head.iter().find(|byte| !byte.is_ascii_whitespace());
    !head.contains(&0) && first.is_none_or(|byte| *byte == b'#' || byte.is_ascii_digit())
}
