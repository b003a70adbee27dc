//! Maps going in and out.
//!
//! Owns the name `-` for standard input, and the heading of written maps. Must not know what they are for.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use block::{Clock, WallClock};
use map::mapfile::{self, Heading};
use map::{Loose, Mapfile, Status};

use crate::native::Failure;
use crate::native::output::{Output, failed};
use crate::personality::number::timestamp;

/// Bytes that no map reaches: thirty million blocks.
const MAP_BYTES_MAX: u64 = 1 << 30;

/// How the blocks of a map must lie.
#[derive(Clone, Copy, Debug)]
pub(super) enum Blocks {
    /// In order, each where the one before ends.
    Touching,
    /// In any order, with gaps of this status.
    Anyhow {
        /// Status of the gaps.
        gaps: Status,
    },
}

/// Reads the map called `path`.
pub(super) fn read(path: &Path, blocks: Blocks) -> Result<Mapfile, Failure> {
    let text = bytes_of(path, MAP_BYTES_MAX)?;
    let parsed = match blocks {
        Blocks::Touching => Mapfile::parse(&text),
        Blocks::Anyhow { gaps } => Mapfile::parse_loose(&text, Loose { gaps }),
    };
    parsed.map_err(|error| Failure::BadMap { path: path.to_owned(), error })
}

/// Reads all of a file, or of standard input, if it is not more than `most` bytes.
pub(super) fn bytes_of(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let (action, read) = if path == Path::new("-") {
        ("read standard input", io::stdin().lock().take(most + 1).read_to_end(&mut text))
    } else {
        check_kind(path)?;
        ("read it", File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut text)))
    };
    match read {
        Ok(_) if text.len() as u64 > most => {
            let text =
                format!("it is longer than {most} bytes, which is more than makes sense; name another one");
            Err(Failure::BadInput { path: path.to_owned(), text })
        }
        Ok(_) => Ok(text),
        Err(error) => Err(failed(action, path, &error)),
    }
}

/// Refuses what would wait for a writer, or never end. What a shell has opened already (`<(...)`) does neither.
fn check_kind(path: &Path) -> Result<(), Failure> {
    let is_open = path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd");
    let kind = fs::metadata(path).map_err(|error| failed("read it", path, &error))?.file_type();
    if kind.is_file() || kind.is_dir() || (kind.is_fifo() && is_open) {
        return Ok(());
    }
    let text = "this is no regular file; name one, or - for standard input".to_owned();
    Err(Failure::BadInput { path: path.to_owned(), text })
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
