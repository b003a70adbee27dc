//! A block device over the file, for those who want to be given one.
//!
//! Owns one loop device. Must not know what its file does when it is read.
//!
//! It is set up to go by itself when the last one closes it, and we hold it open for as long as it is wanted: so it goes
//! when we are killed, too.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use block::{Clock, Nanos, WallClock};
use nix::errno::Errno as Nix;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use thiserror::Error;

/// How often a free device is looked for when others are faster.
const TRIES: u32 = 64;
/// How long it is waited for a device to go that nobody seems to hold, in steps.
const STEPS: u32 = 100;
const STEP: Nanos = Nanos::from_millis(10);

/// Numbers and shapes of the kernel's `linux/loop.h`.
const LOOP_GET_STATUS64: u64 = 0x4C05;
const LOOP_CONFIGURE: u64 = 0x4C0A;
const LOOP_CTL_GET_FREE: u64 = 0x4C82;
const READ_ONLY: u32 = 1;
const AUTOCLEAR: u32 = 4;
const DIRECT_IO: u32 = 16;

#[repr(C)]
struct LoopInfo64 {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo64,
    reserved: [u64; 8],
}

nix::ioctl_none_bad!(
    /// Finds, or makes, a loop device that is not in use.
    loop_ctl_get_free,
    LOOP_CTL_GET_FREE
);
nix::ioctl_write_ptr_bad!(
    /// Sets up a loop device in one step.
    loop_configure,
    LOOP_CONFIGURE,
    LoopConfig
);
nix::ioctl_read_bad!(
    /// Tells how a loop device is set up.
    loop_get_status,
    LOOP_GET_STATUS64,
    LoopInfo64
);

/// A read-only loop device with direct I/O over a file, so that errors pass through it as they are.
#[derive(Debug)]
pub struct LoopDevice {
    path: PathBuf,
    device: Option<File>,
}

/// Why there is no loop device.
#[derive(Debug, Error)]
pub enum LoopError {
    /// The kernel has none, or does not let us.
    #[error(
        "/dev/loop-control: cannot get a loop device; only root can, where the kernel has them (modprobe loop)"
    )]
    None(#[source] io::Error),
    /// It has one, but there is no name for it.
    #[error("{}: cannot open the loop device; if it is missing: mknod {} b 7 {}", path.display(), path.display(), number)]
    Unnamed {
        /// Its name.
        path: PathBuf,
        /// Its number.
        number: i32,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The file cannot be opened.
    #[error("{}: cannot open it for a loop device", path.display())]
    File {
        /// Its name.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The kernel does not want to.
    #[error("{}: cannot set up a loop device with sectors of {sector} bytes over {}", path.display(), file.display())]
    Refused {
        /// The device.
        path: PathBuf,
        /// The file.
        file: PathBuf,
        /// Logical sector in bytes.
        sector: u32,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// It would read through the page cache.
    #[error("{}: this kernel gives its loop devices no direct I/O, without which errors grow to 4096 bytes", .0.display())]
    Cached(PathBuf),
    /// Others took every device that was free.
    #[error("no loop device: others were faster each time; try again")]
    Busy,
}

impl LoopDevice {
    /// Sets up a device with sectors of `sector` bytes over `file`. Our descriptor of it gets a number above `server`,
    /// that of the session of the mount: descriptors of a process that is killed are closed in their order, and closing
    /// the device may wait for reads that only the end of the session answers.
    ///
    /// Errors: none is to be had, or not for us.
    pub fn over(file: &Path, sector: u32, server: RawFd) -> Result<LoopDevice, LoopError> {
        let control = File::open("/dev/loop-control").map_err(LoopError::None)?;
        let backing = File::options()
            .read(true)
            .custom_flags(libc::O_DIRECT)
            .open(file)
            .map_err(|error| LoopError::File { path: file.to_owned(), error })?;
        for _ in 0..TRIES {
            // SAFETY: LOOP_CTL_GET_FREE takes a descriptor of loop-control, which `control` owns for the length of the
            // call, and no memory.
            let number = unsafe { loop_ctl_get_free(control.as_raw_fd()) }
                .map_err(|errno| LoopError::None(errno.into()))?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let device = open(&path, server).map_err(|error| {
                let path = path.clone();
                LoopError::Unnamed { path, number, error }
            })?;
            match configure(&device, &backing, file, sector) {
                Ok(()) => {
                    let device = LoopDevice { path, device: Some(device) };
                    return if device.is_direct() {
                        Ok(device)
                    } else {
                        Err(LoopError::Cached(device.path.clone()))
                    };
                }
                Err(Nix::EBUSY) => {}
                Err(errno) => {
                    let (file, error) = (file.to_owned(), errno.into());
                    return Err(LoopError::Refused { path, file, sector, error });
                }
            }
        }
        Err(LoopError::Busy)
    }

    /// Its name, such as `/dev/loop0`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets it go. Returns whether it is gone; if not, somebody holds it open, and it goes with them.
    pub fn detach(mut self) -> bool {
        self.device = None;
        let clock = WallClock::new();
        for _ in 0..STEPS {
            if !self.is_attached() {
                return true;
            }
            clock.sleep(STEP);
        }
        false
    }

    fn is_attached(&self) -> bool {
        let name = self.path.file_name().unwrap_or_default();
        fs::metadata(Path::new("/sys/block").join(name).join("loop")).is_ok()
    }

    fn is_direct(&self) -> bool {
        let Some(device) = &self.device else { return false };
        let mut info = LoopInfo64::empty();
        // SAFETY: LOOP_GET_STATUS64 takes a descriptor of a loop device, which `device` owns for the length of the call,
        // and writes one `loop_info64`, whose shape `LoopInfo64` has, into memory that we own.
        let told = unsafe { loop_get_status(device.as_raw_fd(), &mut info) };
        told.is_ok() && info.flags & DIRECT_IO != 0
    }
}

impl LoopInfo64 {
    fn empty() -> LoopInfo64 {
        LoopInfo64 {
            device: 0,
            inode: 0,
            rdevice: 0,
            offset: 0,
            size_limit: 0,
            number: 0,
            encrypt_type: 0,
            encrypt_key_size: 0,
            flags: 0,
            file_name: [0; 64],
            crypt_name: [0; 64],
            encrypt_key: [0; 32],
            init: [0; 2],
        }
    }
}

/// Opens a device with a descriptor above another.
fn open(path: &Path, above: RawFd) -> io::Result<File> {
    let device = File::open(path)?;
    if device.as_raw_fd() > above {
        return Ok(device);
    }
    let higher = fcntl(&device, FcntlArg::F_DUPFD_CLOEXEC(above + 1))?;
    // SAFETY: `higher` is a descriptor that the call has just made, and that nobody else knows.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(higher) }))
}

fn configure(device: &File, backing: &File, file: &Path, sector: u32) -> nix::Result<()> {
    let mut info = LoopInfo64::empty();
    info.flags = READ_ONLY | AUTOCLEAR | DIRECT_IO;
    // For those who list devices; the last byte stays 0.
    for (to, from) in info.file_name[..63].iter_mut().zip(file.as_os_str().as_bytes()) {
        *to = *from;
    }
    let config = LoopConfig { fd: backing.as_raw_fd() as u32, block_size: sector, info, reserved: [0; 8] };
    // SAFETY: LOOP_CONFIGURE takes a descriptor of a loop device, which `device` owns, and reads one `loop_config`, whose
    // shape `LoopConfig` has and which lives for the length of the call. The kernel takes a reference of its own to the
    // file of the descriptor in it, which `backing` owns.
    unsafe { loop_configure(device.as_raw_fd(), &config) }.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_the_kernels() {
        assert_eq!(size_of::<LoopInfo64>(), 232);
        assert_eq!(size_of::<LoopConfig>(), 304);
    }
}
