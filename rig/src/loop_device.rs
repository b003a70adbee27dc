//! A file as a block device.
//!
//! Owns one loop device. Must not know what its file does when it is read.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{run, tool, wait_until};

/// Number of the request that exchanges the file of a loop device, from the kernel's `linux/loop.h`.
const LOOP_CHANGE_FD: u64 = 0x4C06;

nix::ioctl_write_int_bad!(
    /// Makes a loop device show another open file.
    loop_change_fd,
    LOOP_CHANGE_FD
);

/// How a loop device is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopOptions {
    /// Logical sector in bytes.
    pub sector: u32,
    /// Whether the device can be written to.
    pub writable: bool,
    /// Where in the file the device begins, in bytes.
    pub start: u64,
    /// Bytes of the file to show; all of them if `None`.
    pub size: Option<u64>,
}

impl Default for LoopOptions {
    fn default() -> LoopOptions {
        LoopOptions { sector: 512, writable: false, start: 0, size: None }
    }
}

/// A loop device with direct I/O over a file, so that errors pass through it as they are.
#[derive(Debug)]
pub struct LoopDevice {
    path: PathBuf,
    /// The file it shows.
    file: PathBuf,
    detached: bool,
}

impl LoopDevice {
    /// Sets up a device with sectors of 512 bytes over `file`, read-only.
    pub fn over(file: &Path) -> LoopDevice {
        LoopDevice::with(file, LoopOptions::default())
    }

    /// Sets up a device over `file`.
    pub fn with(file: &Path, options: LoopOptions) -> LoopDevice {
        let path = run(set_up(options).args(["--find", "--show"]).arg(file));
        LoopDevice { path: path.into(), file: file.to_owned(), detached: false }
    }

    /// Sets up a device over `file` under the name `device`. Waits while somebody else uses that name.
    pub fn at(device: &Path, file: &Path, options: LoopOptions) -> LoopDevice {
        let mut command = set_up(options);
        command.arg(device).arg(file);
        let what = format!("{command:?} does not succeed");
        wait_until(&what, || command.output().is_ok_and(|output| output.status.success()));
        LoopDevice { path: device.to_owned(), file: file.to_owned(), detached: false }
    }

    /// Its name, such as `/dev/loop0`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name without the folder, as the kernel says it.
    pub fn kernel_name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Pulls the plug. The kernel keeps the device while somebody holds it open, so this returns at once and the device
    /// goes when the last descriptor is closed.
    pub fn detach(&mut self) {
        if !self.detached {
            self.detached = true;
            run(losetup().arg("-d").arg(&self.path));
        }
    }

    /// Makes the device show another file of the same size, under everybody who holds it open: what happens to a name
    /// when a disk is pulled and another one plugged in. The device must not be writable.
    pub fn replace(&mut self, file: &Path) {
        let open =
            |path: &Path| File::open(path).unwrap_or_else(|e| panic!("cannot open {}: {e}", path.display()));
        let (device, new) = (open(&self.path), open(file));
        // SAFETY: LOOP_CHANGE_FD takes two open descriptors, which `device` and `new` own for the length of the call,
        // and touches no memory of ours. The kernel takes a reference of its own to the file.
        let changed = unsafe { loop_change_fd(device.as_raw_fd(), new.as_raw_fd()) };
        changed.unwrap_or_else(|e| panic!("{} cannot show {}: {e}", self.path.display(), file.display()));
        self.file = file.to_owned();
    }

    /// Whether the device still shows its file.
    pub fn is_attached(&self) -> bool {
        let name = format!("/sys/block/{}/loop/backing_file", self.kernel_name());
        let shown = std::fs::read_to_string(name).unwrap_or_default();
        Path::new(shown.trim_end()) == self.file
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The test has failed already; do what can be done.
            if !self.detached {
                let _ = losetup().arg("-d").arg(&self.path).output();
            }
            return;
        }
        self.detach();
        // What lies under it must not go first. A descriptor that is still open would let this wait for ever.
        wait_until(&format!("{} is still held open by somebody", self.path.display()), || {
            !self.is_attached()
        });
    }
}

/// The command that sets up a device, but for where and over what.
fn set_up(options: LoopOptions) -> Command {
    let mut command = losetup();
    command.args(["--direct-io=on", "--sector-size", &options.sector.to_string()]);
    command.args(["--offset", &options.start.to_string()]);
    if let Some(size) = options.size {
        command.args(["--sizelimit", &size.to_string()]);
    }
    if !options.writable {
        command.arg("--read-only");
    }
    command
}

fn losetup() -> Command {
    tool("losetup", "mount")
}
