//! A FUSE mount with one file in it.
//!
//! Owns the mount, from making its folder to unmounting it when the last reader has let go. Must not know what the file
//! does when it is read or written.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use fuser::{BackgroundSession, FileAttr, FileType, Filesystem, INodeNo, MountOption, SessionACL};
use tempfile::TempDir;

use crate::{is_mounted, wait_until};

/// The file's name.
pub(crate) const NAME: &str = "disk";
/// The file's number.
pub(crate) const FILE: INodeNo = INodeNo(2);

/// A mounted file system of ours.
pub(crate) struct FuseMount {
    folder: TempDir,
    session: Option<BackgroundSession>,
}

impl FuseMount {
    pub(crate) fn new(server: impl Filesystem + 'static, access: MountOption) -> FuseMount {
        let folder = tempfile::Builder::new()
            .prefix("diskwright-rig.")
            .tempdir()
            .unwrap_or_else(|e| panic!("cannot make a temporary folder: {e}"));
        let mut config = fuser::Config::default();
        // Not AutoUnmount: its helper takes the mount down when a socket closes, and every program that another test
        // starts at the wrong moment holds that socket open too.
        config.mount_options = vec![access, MountOption::FSName("rig".to_owned())];
        config.acl = SessionACL::All;
        let session = fuser::spawn_mount(server, folder.path(), &config)
            .unwrap_or_else(|e| panic!("cannot mount a FUSE file system (as root, with /dev/fuse?): {e}"));
        wait_until("the FUSE file system is not mounted", || is_mounted(folder.path()));
        FuseMount { folder, session: Some(session) }
    }

    /// The file.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join(NAME)
    }
}

impl Drop for FuseMount {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        let place = self.folder.path();
        if std::thread::panicking() {
            let _ = nix::mount::umount2(place, nix::mount::MntFlags::MNT_DETACH);
        } else {
            // A thread that has just been answered may hold the file for a moment more.
            let unmounted = || nix::mount::umount(place).is_ok() || !is_mounted(place);
            wait_until(&format!("{} is still held open by somebody", place.display()), unmounted);
        }
        // It may take a moment to see that the mount is gone, and then complains that it is.
        let _ = session.umount_and_join();
    }
}

/// What the kernel is told of the folder and of the file, which has `size` bytes now.
pub(crate) fn attributes(inode: INodeNo, size: u64) -> Option<FileAttr> {
    let (kind, size, perm) = match inode {
        INodeNo::ROOT => (FileType::Directory, 0, 0o755),
        FILE => (FileType::RegularFile, size, 0o644),
        _ => return None,
    };
    Some(FileAttr {
        ino: inode,
        size,
        blocks: size.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 512,
        flags: 0,
    })
}

/// How long the kernel may believe what it was told: not at all, so that sizes are never stale.
pub(crate) const VALID: Duration = Duration::ZERO;
