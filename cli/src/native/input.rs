//! Files going in.
//!
//! Owns the name `-` for standard input, and the refusal of what would wait, never end, or fill the memory. Must not know
//! what is read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::Failure;
use super::output::failed;

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
