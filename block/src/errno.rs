//! What the operating system calls a failure, and what that means for a disk.
//!
//! Owns the list of error numbers that mean damage and of those that mean loss. Must not know what to do about them.

use std::fmt;

/// An error number of the operating system.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(pub i32);

impl Errno {
    /// Input/output error: what a medium error looks like through most paths.
    pub const EIO: Errno = Errno(nix::errno::Errno::EIO as i32);
    /// Invalid argument: a direct read that is not aligned to the device's sectors.
    pub const EINVAL: Errno = Errno(nix::errno::Errno::EINVAL as i32);
    /// No data available: a medium error as SCSI and NVMe devices tell it to direct readers.
    pub const ENODATA: Errno = Errno(nix::errno::Errno::ENODATA as i32);
    /// No such device.
    pub const ENODEV: Errno = Errno(nix::errno::Errno::ENODEV as i32);
    /// No such file or directory.
    pub const ENOENT: Errno = Errno(nix::errno::Errno::ENOENT as i32);
    /// Illegal byte sequence: what a wrong checksum on the link looks like.
    pub const EILSEQ: Errno = Errno(nix::errno::Errno::EILSEQ as i32);
    /// Read-only file system, or device.
    pub const EROFS: Errno = Errno(nix::errno::Errno::EROFS as i32);
    /// Connection timed out: a read that took too long.
    pub const ETIMEDOUT: Errno = Errno(nix::errno::Errno::ETIMEDOUT as i32);
    /// No space left on device.
    pub const ENOSPC: Errno = Errno(nix::errno::Errno::ENOSPC as i32);

    /// Whether this error says that the device is gone, rather than that a place on it is bad.
    pub fn is_loss(self) -> bool {
        use nix::errno::Errno as E;
        matches!(
            E::from_raw(self.0),
            // The last two: a file served by a program or a machine that is gone.
            E::ENODEV | E::ENXIO | E::ENOMEDIUM | E::ESHUTDOWN | E::ENOTCONN | E::ESTALE
        )
    }

    /// Whether this error says nothing about the medium: the request, the descriptor or the system is at fault.
    pub fn is_refusal(self) -> bool {
        use nix::errno::Errno as E;
        matches!(
            E::from_raw(self.0),
            E::EACCES
                | E::EBADF
                | E::EBUSY
                | E::EISDIR
                | E::EINVAL
                | E::ENOBUFS
                | E::ENOENT
                | E::ENOMEM
                | E::ENOSYS
                | E::EPERM
                | E::ESPIPE
        )
    }

    /// The C library's text for it, such as `Input/output error`.
    pub fn text(self) -> String {
        let text = std::io::Error::from_raw_os_error(self.0).to_string();
        text.rfind(" (os error").map_or(text.clone(), |cut| text[..cut].to_owned())
    }

    /// The error number inside an I/O error; EIO if it has none.
    pub fn of(error: &std::io::Error) -> Errno {
        Errno(error.raw_os_error().unwrap_or(Errno::EIO.0))
    }
}

impl From<nix::errno::Errno> for Errno {
    fn from(errno: nix::errno::Errno) -> Errno {
        Errno(errno as i32)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (errno {})", self.text(), self.0)
    }
}

impl std::error::Error for Errno {}
