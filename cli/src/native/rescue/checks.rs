//! What must not happen: writing to the wrong place, reading what somebody changes.
//!
//! Owns the refusals before a rescue begins. Must not know what a rescue does afterwards.

use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};

use block::device::{self, DeviceInfo, Usage};
use block::{Clock, Nanos};
use thiserror::Error;

use crate::personality::ddrescue::job::Job;

/// How often a claimed destination is tried before it is given up.
const CLAIM_TRIES: u32 = 30;
/// Time between two tries.
const CLAIM_PAUSE: Nanos = Nanos::from_millis(100);

/// Why a rescue is refused, and what to do.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// Both names lead to the same thing.
    #[error("{}: this is the source itself; name another destination", .0.display())]
    SameAsSource(PathBuf),
    /// A file that is written is one that is needed otherwise.
    #[error("{}: this is {one} and {other} at once; name another one", path.display())]
    SameFile {
        /// Its name.
        path: PathBuf,
        /// What it is.
        one: &'static str,
        /// What else it is.
        other: &'static str,
    },
    /// The map is no regular file.
    #[error("{}: a map is kept in a regular file, and this is none; name another one", .0.display())]
    MapIsNoFile(PathBuf),
    /// The destination's name looks like a device's, and there is none.
    #[error("{}: there is no such device; check its name, or name a file in another folder", .0.display())]
    NoSuchDevice(PathBuf),
    /// The destination is a folder.
    #[error("{}: this is a folder; name a file in it", .0.display())]
    Folder(PathBuf),
    /// The destination is a pipe, a socket or a character device.
    #[error(
        "{}: this is neither a file nor a block device, so nothing could be kept in it; name a file, or discard: to \
         keep nothing",
        .0.display()
    )]
    NothingToKeepIn(PathBuf),
    /// Something was asked for that only a file can do.
    #[error("{}: only a regular file can be {how}; leave out {option}", path.display())]
    OnlyFiles {
        /// The destination.
        path: PathBuf,
        /// What cannot be done with it.
        how: &'static str,
        /// By which option it was asked for.
        option: &'static str,
    },
    /// The destination is a device in use.
    #[error("{}: this destination is in use ({usage}); unmount or release it first, or name another one", path.display())]
    InUse {
        /// The destination.
        path: PathBuf,
        /// By whom.
        usage: String,
    },
    /// Destination and source share a disk.
    #[error(
        "{}: this lies on {disk}, the disk that is to be rescued; writing there destroys what is left: name a \
         destination on another disk",
        path.display()
    )]
    OnSourceDisk {
        /// The destination.
        path: PathBuf,
        /// The shared disk.
        disk: String,
    },
    /// Another rescue writes to the destination.
    #[error("{}: another rescue is writing to this destination; wait for its end, or stop it first", .0.display())]
    Claimed(PathBuf),
    /// Another rescue keeps this map.
    #[error("{}: another rescue is using this map; wait for its end, stop it first, or name another map", .0.display())]
    MapClaimed(PathBuf),
    /// The destination is a device, and nobody said that it may be overwritten.
    #[error("{}: this destination is a device; all on it will be lost: give --force if that is meant", .0.display())]
    Device(PathBuf),
    /// The destination exists and no map says what of it is good.
    #[error(
        "{}: it exists, and there is no map {} to say what of it is already rescued; name the right map, \
         remove the file, or give --force to write over it",
        path.display(), map.display()
    )]
    NoMap {
        /// The destination.
        path: PathBuf,
        /// The map that would be used.
        map: PathBuf,
    },
    /// The source is being written to.
    #[error(
        "{}: this source is in use ({usage}) and changes while it is read; unmount it, mount it read-only, or give \
         --allow-mounted",
        path.display()
    )]
    SourceInUse {
        /// The source.
        path: PathBuf,
        /// By whom.
        usage: String,
    },
    /// The map is that of another disk.
    #[error(
        "{}: this map was made from another source ({then}), and this one is {now}; name the right map or the right \
         source, or give --force if you are sure",
        map.display()
    )]
    OtherSource {
        /// The map.
        map: PathBuf,
        /// What it was made from.
        then: String,
        /// What the source is.
        now: String,
    },
    /// The image is shorter than the map says.
    #[error(
        "{}: it is {size} bytes long, but the map {} says that data up to {needed} is rescued in it; the image was \
         cut or replaced: name the right one, or start again without the map",
        path.display(), map.display()
    )]
    ImageTooShort {
        /// The destination.
        path: PathBuf,
        /// The map.
        map: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// Size that it must have, in bytes.
        needed: u64,
    },
}

/// Claims a destination that is there, so that no second rescue writes to it meanwhile. The claim lasts as long as the
/// file that is returned; `None` where there is nothing to claim yet.
pub fn claim(destination: &Path, clock: &dyn Clock) -> Result<Option<File>, Refusal> {
    let Ok(metadata) = fs::metadata(destination) else { return Ok(None) };
    if !metadata.is_file() && !metadata.file_type().is_block_device() {
        return Ok(None);
    }
    let Ok(file) = File::open(destination) else { return Ok(None) };
    // One that was killed a moment ago may still be leaving.
    for _ in 0..CLAIM_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => clock.sleep(CLAIM_PAUSE),
            // A file system without locks cannot tell.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(Some(file)),
        }
    }
    Err(Refusal::Claimed(destination.to_owned()))
}

/// Claims a map, be it there or not, so that no second rescue saves another one under its name. The claim lasts as long
/// as what is returned; `None` where nobody could keep a map.
///
/// The map itself cannot be locked: each save puts another file in its place. A file beside it would be left behind by
/// whoever is killed. So the claim is a socket without a file, called by the map's folder and name: the system gives the
/// name to one process at a time, and takes it back at its end, however that comes. It holds within this machine.
pub fn claim_map(map: &Path, clock: &dyn Clock) -> Result<Option<UnixDatagram>, Refusal> {
    let resolved = map.canonicalize().unwrap_or_else(|_| map.to_owned());
    let folder = resolved.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (Ok(folder), Some(name)) = (fs::metadata(folder), resolved.file_name()) else { return Ok(None) };
    // Names of sockets are short; those of files need not be.
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let claim = format!("diskwright map {:x}:{:x}:{:x}", folder.dev(), folder.ino(), hasher.finish());
    let Ok(address) = SocketAddr::from_abstract_name(claim) else { return Ok(None) };
    for _ in 0..CLAIM_TRIES {
        match UnixDatagram::bind_addr(&address) {
            Ok(socket) => return Ok(Some(socket)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => clock.sleep(CLAIM_PAUSE),
            // A sandbox without sockets cannot tell.
            Err(_) => return Ok(None),
        }
    }
    Err(Refusal::MapClaimed(map.to_owned()))
}

/// A file of a run: what it is, and its name.
pub type Part = (&'static str, PathBuf);

/// Refuses a run that would write over one of its own files: each of `written` must be a file of its own.
pub fn check_names(read: &[Part], written: &[Part]) -> Result<(), Refusal> {
    for (index, (other, path)) in written.iter().enumerate() {
        let mut others = read.iter().chain(&written[..index]);
        if let Some((one, _)) = others.find(|(_, name)| is_same(name, path)) {
            return Err(Refusal::SameFile { path: path.clone(), one, other });
        }
    }
    Ok(())
}

/// Refuses a map that is a device, a folder or a pipe.
pub fn check_map(map: &Path) -> Result<(), Refusal> {
    let is_special = fs::metadata(map).is_ok_and(|metadata| !metadata.is_file());
    if is_special { Err(Refusal::MapIsNoFile(map.to_owned())) } else { Ok(()) }
}

/// Whether two names lead, or would lead, to one file.
fn is_same(left: &Path, right: &Path) -> bool {
    let number = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    let place = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(folder.canonicalize().ok()?.join(path.file_name()?))
    };
    match (number(left), number(right)) {
        (Some(left), Some(right)) => left == right,
        (None, None) => left == right || place(left).is_some_and(|left| Some(left) == place(right)),
        _ => false,
    }
}

/// Refuses a source that somebody writes to.
pub fn check_source(source: &Path) -> Result<(), Refusal> {
    match writer_of(source, 0) {
        Some(usage) => Err(Refusal::SourceInUse { path: source.to_owned(), usage: words(&usage) }),
        None => Ok(()),
    }
}

/// How deep devices that are built on one another are followed.
const STACK_DEPTH_MAX: u32 = 8;

/// Who may write to a device, through whatever is built on it.
fn writer_of(device: &Path, depth: u32) -> Option<Usage> {
    device::usage_of(device).into_iter().find_map(|usage| match &usage {
        Usage::Mounted { writable: true, .. } | Usage::Swap { .. } => Some(usage),
        Usage::Mounted { .. } => None,
        Usage::Held { by, .. } if depth < STACK_DEPTH_MAX => {
            writer_of(&Path::new("/dev").join(by), depth + 1)
        }
        Usage::Held { .. } => None,
    })
}

/// Refuses a destination that would destroy something. `forced`: the user said that it may be overwritten.
pub fn check_destination(
    source: &DeviceInfo,
    destination: &Path,
    overwrite: Overwrite,
) -> Result<(), Refusal> {
    let path = || destination.to_owned();
    let here = fs::metadata(destination).ok();
    let there = fs::metadata(&source.path).ok();
    if let (Some(here), Some(there)) = (&here, &there) {
        let both_devices = here.file_type().is_block_device() && there.file_type().is_block_device();
        let is_same = (here.dev(), here.ino()) == (there.dev(), there.ino())
            || (both_devices && here.rdev() == there.rdev());
        // What a loop device shows is the source under another name.
        let backing = source.backing_file.as_ref().and_then(|file| fs::metadata(file).ok());
        let is_shown = backing.is_some_and(|file| (file.dev(), file.ino()) == (here.dev(), here.ino()));
        let is_same = is_same || is_shown;
        if is_same {
            return Err(Refusal::SameAsSource(path()));
        }
    }
    check_place(source, destination)?;
    let Some(here) = here else {
        // A mistyped device must not become a file among the devices.
        let is_device_name = destination.starts_with("/dev") && !destination.starts_with("/dev/shm");
        return if is_device_name { Err(Refusal::NoSuchDevice(path())) } else { Ok(()) };
    };
    if here.is_dir() {
        return Err(Refusal::Folder(path()));
    }
    if !here.file_type().is_file() && !here.file_type().is_block_device() {
        return Err(Refusal::NothingToKeepIn(path()));
    }
    if here.file_type().is_block_device()
        && let Some(usage) = device::usage_of(destination).first()
    {
        return Err(Refusal::InUse { path: path(), usage: words(usage) });
    }
    if !here.file_type().is_file() && overwrite == Overwrite::Never {
        return Err(Refusal::Device(path()));
    }
    Ok(())
}

/// Refuses what only a regular file can do, if the destination is none.
pub fn check_abilities(destination: &Path, job: &Job) -> Result<(), Refusal> {
    if !fs::metadata(destination).is_ok_and(|metadata| !metadata.is_file()) {
        return Ok(());
    }
    let (how, option) = match job {
        Job { preallocate: true, .. } => ("preallocated", "--preallocate"),
        Job { extend_outfile: Some(_), .. } => ("extended", "--extend-outfile"),
        _ => return Ok(()),
    };
    Err(Refusal::OnlyFiles { path: destination.to_owned(), how, option })
}

/// Refuses to write to the disk that is to be rescued, be it the image, the map or a log.
pub fn check_place(source: &DeviceInfo, written: &Path) -> Result<(), Refusal> {
    if !source.is_block_device {
        return Ok(());
    }
    // A loop device is the business of its file; anything else may be stacked on the disk itself.
    let disks = match source.backing_file {
        Some(_) => [source.disk_name.clone()].into(),
        None => device::disks_under(&source.path),
    };
    // For a file that is not there yet, its folder tells the disk.
    let folder = written.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let place = if written.exists() { written } else { folder };
    match device::disks_under(place).intersection(&disks).next() {
        Some(disk) => Err(Refusal::OnSourceDisk { path: written.to_owned(), disk: disk.clone() }),
        None => Ok(()),
    }
}

/// Whether the user said that something may be overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// No.
    Never,
    /// Yes (`--force`).
    Forced,
}

fn words(usage: &Usage) -> String {
    match usage {
        Usage::Mounted { device, at, writable } => {
            let how = if *writable { "mounted for writing" } else { "mounted" };
            format!("{device} is {how} at {}", at.display())
        }
        Usage::Swap { device } => format!("{device} is swap space"),
        Usage::Held { device, by } => format!("{device} is part of {by}"),
    }
}
