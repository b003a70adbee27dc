//! Results going out: to standard output, or in the place of a file.
//!
//! Owns the name `-`, readers that left, and replacing a file in one step. Must not know what is written.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use block::Errno;
use engine::{FileStore, MapStore};

use super::Failure;

/// What a shell shows for a program that ended because nobody reads its output any more.
const BROKEN_PIPE_STATUS: u8 = 141;

/// Where a result goes.
#[derive(Clone, Debug)]
pub(super) enum Output {
    /// Standard output.
    Stdout,
    /// A file, which is either the old one or the new one, whole, at any time.
    File(PathBuf),
    /// A file that is not there yet.
    NewFile(PathBuf),
}

impl From<Option<PathBuf>> for Output {
    fn from(path: Option<PathBuf>) -> Output {
        path.filter(|path| path != Path::new("-")).map_or(Output::Stdout, Output::File)
    }
}

impl Output {
    /// A file that must not be there yet; `-` is standard output.
    pub(super) fn new_file(path: PathBuf) -> Output {
        if path == Path::new("-") { Output::Stdout } else { Output::NewFile(path) }
    }

    /// Writes text with colours to standard output, without them where they are not seen.
    pub(super) fn print(text: &str) -> Result<u8, Failure> {
        let choice = anstream::AutoStream::choice(&io::stdout());
        Output::Stdout.stream(|out| match choice {
            anstream::ColorChoice::Never => write!(out, "{}", anstream::adapter::strip_str(text)),
            _ => out.write_all(text.as_bytes()),
        })
    }

    /// Writes bytes.
    pub(super) fn write(self, bytes: &[u8]) -> Result<u8, Failure> {
        self.stream(|out| out.write_all(bytes))
    }

    /// Lets `write` write.
    pub(super) fn stream(self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<u8, Failure> {
        match self {
            Output::Stdout => {
                let mut out = io::stdout().lock();
                match write(&mut out).and_then(|()| out.flush()) {
                    Ok(()) => Ok(0),
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(BROKEN_PIPE_STATUS),
                    Err(error) => Err(failed("write to standard output", Path::new("-"), &error)),
                }
            }
            Output::NewFile(path) => {
                let created = File::create_new(&path).map_err(|error| failed("create it", &path, &error));
                let mut file = created?;
                let written = write(&mut file).and_then(|()| file.sync_all());
                written.map_err(|error| failed("write it", &path, &error)).map(|()| 0)
            }
            Output::File(path) => {
                let kind = fs::metadata(&path).map(|metadata| metadata.file_type());
                if kind.is_ok_and(|kind| kind.is_block_device()) {
                    let advice = "this is a device, and what it holds would be lost; name a file";
                    return Err(Failure::Usage(format!("{}: {advice}", path.display())));
                }
                replace(&path, write).map_err(|error| failed("write it", &path, &error))?;
                Ok(0)
            }
        }
    }
}

/// Writes beside the file, then moves into its place; follows links, and keeps mode and owner.
fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    // A terminal or pipe is written as it is: nothing can take its place.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return write(&mut File::options().write(true).open(path)?);
    }
    let mut write = Some(write);
    let mut store = FileStore::new(path);
    store.write_new(&mut |out| write.take().map_or(Ok(()), |write| write(out)))?;
    store.sync_new()?;
    store.rename_new()?;
    store.sync_folder()
}

/// What a failed call to the system means for a command.
pub(super) fn failed(action: &'static str, path: &Path, error: &io::Error) -> Failure {
    Failure::System { action, path: path.to_owned(), errno: Errno::of(error) }
}
