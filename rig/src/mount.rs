//! File systems for a test: small ones in memory, others on a device.
//!
//! Owns one mount. Must not know what is kept there.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{run, tool, wait_until};

/// A mounted file system, unmounted on drop.
#[derive(Debug)]
pub struct Mount {
    folder: TempDir,
}

impl Mount {
    /// Mounts a file system in memory that is full after `size` bytes (rounded up to pages).
    pub fn tmpfs(size: u64) -> Mount {
        let folder = folder();
        let options = format!("size={size}");
        run(tool("mount", "mount").args(["-t", "tmpfs", "-o", &options, "rig"]).arg(folder.path()));
        Mount { folder }
    }

    /// Makes an ext4 file system on `device` and mounts it.
    pub fn ext4(device: &Path) -> Mount {
        Mount::made(device, "mkfs.ext4", "e2fsprogs")
    }

    /// Makes a file system on `device` with the program `maker` of a Debian package, and mounts it.
    pub fn made(device: &Path, maker: &str, package: &str) -> Mount {
        run(tool(maker, package).arg("-q").arg(device));
        Mount::device(device, "rw")
    }

    /// Mounts the file system that is on `device` already, with these mount options.
    pub fn device(device: &Path, options: &str) -> Mount {
        let folder = folder();
        run(tool("mount", "mount").args(["-o", options]).arg(device).arg(folder.path()));
        Mount { folder }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The name of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let place = self.folder.path();
        if std::thread::panicking() {
            let _ = nix::mount::umount2(place, nix::mount::MntFlags::MNT_DETACH);
        } else {
            // A program that another test starts holds our files for the moment between fork and exec.
            let what = format!("{} is still in use", place.display());
            wait_until(&what, || nix::mount::umount(place).is_ok());
        }
    }
}

fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("diskwright rig.")
        .tempdir()
        .unwrap_or_else(|e| panic!("cannot make a temporary folder: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_system_is_full_when_it_says_so() {
        let mount = Mount::tmpfs(64 << 10);
        let full = std::fs::write(mount.file("large"), vec![1; 128 << 10]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        let path = mount.path().to_owned();
        assert!(crate::is_mounted(&PathBuf::from(path.to_string_lossy().replace(' ', "\\040"))));
        drop(mount);
        assert!(!path.exists());
    }
}
