//! The mount, from making it to taking it down.
//!
//! Owns the session with the kernel. Must not know what the file shows, nor signals.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use block::{Clock, Nanos, WallClock};
use fuser::{MountOption, Session, SessionACL, SessionUnmounter};
use nix::errno::Errno as Nix;
use nix::mount::{MntFlags, umount2};
use serving::Device;
use thiserror::Error;

use crate::desk::{Desk, Showing};
use crate::disk_file::DiskFile;
use crate::place::{Place, is_mounted};

/// How often it is tried to take down a mount that is busy, and how long between: whoever has just been answered may
/// hold the file for a moment more.
const TRIES: u32 = 50;
const BETWEEN: Nanos = Nanos::from_millis(20);
/// How often it is looked whether a mount that was taken down lazily is really gone.
const TRIES_LAZY: u32 = 10;

/// A disk that can be read as a file.
pub struct Mounted {
    desk: Arc<Desk>,
    place: Arc<Place>,
    unmounter: Arc<Mutex<SessionUnmounter>>,
    /// The descriptor of the session.
    descriptor: RawFd,
    /// The thread that hears the kernel; ends with the session.
    session: Option<JoinHandle<()>>,
}

/// How a mount was taken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmounted {
    /// Nobody used it.
    Clean,
    /// Somebody still has the file open, and gets errors from it; its name is free.
    Lazy,
    /// It cannot be taken down.
    Stuck,
}

/// Why there is no mount.
#[derive(Debug, Error)]
#[error("{}: cannot mount a disk there{}", path.display(), advice(error))]
pub struct MountError {
    path: PathBuf,
    #[source]
    error: io::Error,
}

impl Mounted {
    /// Shows `device` over the file of `place`. Calls `ended` when the mount is gone, whoever took it down.
    ///
    /// Errors: the system refuses.
    pub fn new(
        device: Arc<dyn Device>,
        place: Place,
        showing: Showing,
        ended: impl FnOnce() + Send + 'static,
    ) -> Result<Mounted, MountError> {
        let is_writable = device.facts().is_writable;
        let desk = Arc::new(Desk::new(device, showing));
        let mut config = fuser::Config::default();
        config.mount_options = vec![
            if is_writable { MountOption::RW } else { MountOption::RO },
            MountOption::FSName("diskwright".to_owned()),
            MountOption::DefaultPermissions,
            MountOption::NoAtime,
        ];
        // Others are let in as far as the file's mode goes. Who is not root must not offer that.
        config.acl = match nix::unistd::geteuid().is_root() {
            true => SessionACL::All,
            false => SessionACL::Owner,
        };
        let file = DiskFile::new(&desk, place.look);
        let failed = |error| MountError { path: place.path().to_owned(), error };
        let mut session = Session::new(file, place.path(), &config).map_err(failed)?;
        let descriptor = session.as_fd().as_raw_fd();
        let unmounter = Arc::new(Mutex::new(session.unmount_callable()));
        let place = Arc::new(place);
        let rounds = desk.clone();
        std::thread::spawn(move || rounds.waiting.make_rounds());
        let session = std::thread::spawn(move || {
            // It ends when the mount is gone, and with an error only if that comes as a surprise to it.
            let _ = session.run();
            ended();
        });
        Ok(Mounted { desk, place, unmounter, descriptor, session: Some(session) })
    }

    /// The whole name of the file.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// The number of the descriptor of the session: see [`crate::LoopDevice::over`].
    pub fn descriptor(&self) -> RawFd {
        self.descriptor
    }

    /// What is to be done when there is no time to do it well: takes the mount down lazily, and removes the file if it was
    /// made.
    pub fn last_deed(&self) -> impl FnOnce() + Send + 'static {
        let (place, unmounter) = (self.place.clone(), self.unmounter.clone());
        move || {
            if is_mounted(place.path()) {
                detach(place.path(), &unmounter);
            }
            place.remove();
        }
    }

    /// Answers every request that waits with EIO, and each that comes from now on; returns how many waited. Nobody hangs
    /// on the disk afterwards.
    pub fn give_up(&self) -> usize {
        self.desk.give_up()
    }

    /// Gives up, and takes the mount down: lazily, if somebody goes on using it.
    pub fn unmount(mut self) -> Unmounted {
        self.take_down()
    }

    fn take_down(&mut self) -> Unmounted {
        let Some(session) = self.session.take() else { return Unmounted::Clean };
        self.desk.give_up();
        let unmounted = self.end_session(session);
        if unmounted != Unmounted::Stuck {
            self.place.remove();
        }
        unmounted
    }

    fn end_session(&self, session: JoinHandle<()>) -> Unmounted {
        let clock = WallClock::new();
        for _ in 0..TRIES {
            // Somebody else may have taken it down, and something of theirs may be there now.
            if session.is_finished() {
                return Unmounted::Clean;
            }
            match umount2(self.place.path(), MntFlags::UMOUNT_NOFOLLOW) {
                Ok(()) => {
                    let _ = session.join();
                    return Unmounted::Clean;
                }
                Err(Nix::EBUSY | Nix::EINVAL) => clock.sleep(BETWEEN),
                Err(_) => break,
            }
        }
        if !detach(self.place.path(), &self.unmounter) {
            return Unmounted::Stuck;
        }
        // Who is not root can take mounts down lazily only; the session tells whether somebody uses it.
        for _ in 0..TRIES_LAZY {
            if session.is_finished() {
                return Unmounted::Clean;
            }
            clock.sleep(BETWEEN);
        }
        Unmounted::Lazy
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.take_down();
    }
}

/// Takes a mount down at once, whoever uses it. Returns whether it is gone.
fn detach(path: &Path, unmounter: &Mutex<SessionUnmounter>) -> bool {
    if umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW).is_err() {
        // Those who are not root have a helper that is.
        let _ = unmounter.lock().unwrap_or_else(PoisonError::into_inner).unmount();
    }
    !is_mounted(path)
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        _ if !Path::new("/dev/fuse").exists() => ", for /dev/fuse is missing (modprobe fuse)",
        io::ErrorKind::NotFound => "; who is not root needs the program fusermount3 (package fuse3)",
        io::ErrorKind::PermissionDenied => {
            "; who is not root needs a /dev/fuse for everybody, and a file of his own"
        }
        _ => "",
    }
}
