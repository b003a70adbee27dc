//! The word to a service manager that clients can connect.
//!
//! Owns this one datagram. Must not know sockets of clients.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Tells the manager that started this process, if one did. That it does not listen is its own affair.
pub(super) fn tell_manager() {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let _ = tell(name.as_bytes());
}

fn tell(name: &[u8]) -> io::Result<()> {
    let address = match name.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(OsStr::from_bytes(name))?,
    };
    UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address).map(drop)
}
