//! The file that a disk is shown over.
//!
//! Owns whether there is one that will do, making one, and removing what was made. Must not know disks or mounts of ours.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use thiserror::Error;

/// A file that a disk can be shown over.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    /// The file that was made: device and number. `None` if it was there before.
    made: Option<(u64, u64)>,
    pub(crate) look: Look,
}

/// What the file looks like from the outside; the disk looks the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) mode: u16,
    pub(crate) owner: u32,
    pub(crate) group: u32,
    pub(crate) time: SystemTime,
}

/// Why a disk cannot be shown over a file.
#[derive(Debug, Error)]
pub enum PlaceError {
    /// It is a folder.
    #[error("{}: this is a folder; name a file in it, such as {}", .0.display(), .0.join("disk").display())]
    Folder(PathBuf),
    /// It is neither a file nor a folder.
    #[error("{}: this is no regular file; name one, or one that does not exist yet", .0.display())]
    NoFile(PathBuf),
    /// Something is mounted there.
    #[error("{}: something is mounted there already; name another file, or end it first: umount {}", .0.display(), quoted(.0))]
    Mounted(PathBuf),
    /// A mount is there whose server was killed.
    #[error(
        "{}: a mount is left there whose server has been killed; remove it with: umount {name}; or, if you are not root: \
         fusermount3 -u {name}",
        .0.display(),
        name = quoted(.0)
    )]
    Stale(PathBuf),
    /// The system refuses.
    #[error("{}: cannot {action}", path.display())]
    System {
        /// What was being done, as in "cannot create it".
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
}

impl Place {
    /// Finds the file, or makes it: empty, and for its owner only.
    ///
    /// Errors: a folder, a device, something that is mounted there; what the system refuses.
    pub fn prepare(path: &Path) -> Result<Place, PlaceError> {
        let failed = |action, error| PlaceError::System { action, path: path.to_owned(), error };
        let (metadata, is_made) = match fs::metadata(path) {
            Ok(metadata) => (metadata, false),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let file = File::options().write(true).create_new(true).mode(0o600).open(path);
                (file.and_then(|file| file.metadata()).map_err(|e| failed("create it", e))?, true)
            }
            // What is said of a mount that nobody answers for.
            Err(error) if error.raw_os_error() == Some(nix::libc::ENOTCONN) => {
                return Err(PlaceError::Stale(path.to_owned()));
            }
            Err(error) => return Err(failed("look at it", error)),
        };
        if metadata.is_dir() {
            return Err(PlaceError::Folder(path.to_owned()));
        }
        if !metadata.is_file() {
            return Err(PlaceError::NoFile(path.to_owned()));
        }
        let whole = fs::canonicalize(path).map_err(|e| failed("find its folder", e))?;
        if is_mounted(&whole) {
            return Err(PlaceError::Mounted(path.to_owned()));
        }
        let made = is_made.then(|| (metadata.dev(), metadata.ino()));
        Ok(Place { path: whole, made, look: Look::of(&metadata) })
    }

    /// Its whole name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file if it was made, and nothing is mounted there any more.
    pub(crate) fn remove(&self) {
        let Some(made) = self.made else { return };
        // Whatever somebody has put in its place, or into it, is theirs.
        let is_ours = |metadata: Metadata| (metadata.dev(), metadata.ino()) == made && metadata.len() == 0;
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.remove();
    }
}

impl Look {
    fn of(metadata: &Metadata) -> Look {
        Look {
            mode: (metadata.mode() & 0o777) as u16,
            owner: metadata.uid(),
            group: metadata.gid(),
            time: metadata.modified().unwrap_or(UNIX_EPOCH),
        }
    }
}

/// Whether something is mounted at a whole path.
pub(crate) fn is_mounted(path: &Path) -> bool {
    let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
    table
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .any(|place| unescaped(place) == path.as_os_str().as_bytes())
}

/// A name of the kernel's table, in which blanks and the like are written as a backslash and three octal digits.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..3).filter(|_| *first == b'\\');
        let code = digits.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &behind[3..] } else { behind };
    }
    bytes
}

/// A name as a shell wants it.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,@%".contains(c);
    if text.chars().all(is_plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_missing_is_made_and_removed_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        let place = Place::prepare(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(place.path(), path.canonicalize().unwrap());
        drop(place);
        assert!(!path.exists());
    }

    #[test]
    fn what_was_there_before_or_was_filled_since_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        fs::write(&old, "").unwrap();
        drop(Place::prepare(&old).unwrap());
        assert!(old.exists());
        let place = Place::prepare(&new).unwrap();
        fs::write(&new, "bytes").unwrap();
        drop(place);
        assert_eq!(fs::read(&new).unwrap(), b"bytes");
    }

    #[test]
    fn what_will_not_do_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let told = |path: &Path| Place::prepare(path).unwrap_err().to_string();
        assert!(told(folder.path()).contains("name a file in it, such as"));
        assert!(told(Path::new("/dev/null")).contains("no regular file"));
        assert!(told(&folder.path().join("no/such")).contains("cannot create it"));
        std::os::unix::fs::symlink("nothing", folder.path().join("link")).unwrap();
        assert!(told(&folder.path().join("link")).contains("cannot create it"));
    }

    #[test]
    fn names_of_the_kernels_table_are_read() {
        assert_eq!(unescaped(br"/a\040b\134c\"), br"/a b\c\");
        assert_eq!(unescaped(br"\999"), br"\999");
        assert_eq!(quoted(Path::new("/a b'c")), r"'/a b'\''c'");
        assert_eq!(quoted(Path::new("/tmp/disk-1.img")), "/tmp/disk-1.img");
    }
}
