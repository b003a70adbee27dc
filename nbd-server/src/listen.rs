//! Where clients come in.
//!
//! Owns sockets that are listened on, and their addresses. Must not know what is said to those who come.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, VsockAddr};
use thiserror::Error;

use crate::stream::{Stream, adopt};

/// The port that is asked where no other is named.
pub const PORT: u16 = 10809;

/// The first descriptor that a service manager hands over.
const FIRST_ACTIVATED: RawFd = 3;

/// A socket that is listened on. A socket file is removed with it.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    address: Address,
    file: Option<SocketFile>,
}

/// How to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Over the Internet Protocol.
    Tcp(SocketAddr),
    /// On this machine.
    Unix(PathBuf),
    /// From the host of a virtual machine, or from its guests.
    Vsock {
        /// Whose; every machine's own if it is the largest number.
        cid: u32,
        /// Which port.
        port: u32,
    },
    /// Somewhere that only whoever opened it knows.
    Unknown,
}

/// Why nobody can be let in there.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Somebody else is there.
    #[error("{place}: another server listens there; stop it, or name another place")]
    Taken {
        /// Where.
        place: String,
    },
    /// Something else is there.
    #[error("{}: there is a file of this name that is no socket; name another place", path.display())]
    NoSocket {
        /// Where.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("{place}: cannot listen there")]
    System {
        /// Where.
        place: String,
        /// What it says.
        #[source]
        error: io::Error,
    },
}

fn failed(place: impl ToString, error: impl Into<io::Error>) -> ListenError {
    let (place, error) = (place.to_string(), error.into());
    match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::Taken { place },
        _ => ListenError::System { place, error },
    }
}

impl Address {
    /// The address of an export there, as clients take it. `None` if there is no way to write it.
    pub fn uri(&self, export: &str) -> Option<String> {
        let export = escaped(export.as_bytes());
        Some(match self {
            Address::Tcp(address) => {
                // A server on every address is reached by the machine's own.
                let ip = match address.ip() {
                    IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
                    IpAddr::V6(ip) if ip.is_unspecified() => "[::1]".to_owned(),
                    IpAddr::V4(ip) => ip.to_string(),
                    IpAddr::V6(ip) => format!("[{ip}]"),
                };
                match address.port() {
                    PORT => format!("nbd://{ip}/{export}"),
                    port => format!("nbd://{ip}:{port}/{export}"),
                }
            }
            Address::Unix(path) => {
                let path = escaped(path.as_os_str().as_encoded_bytes());
                format!("nbd+unix:///{export}?socket={path}")
            }
            Address::Vsock { cid, port } => {
                // The machine itself, where every machine would do.
                let cid = if *cid == u32::MAX { 1 } else { *cid };
                match *port == u32::from(PORT) {
                    true => format!("nbd+vsock://{cid}/{export}"),
                    false => format!("nbd+vsock://{cid}:{port}/{export}"),
                }
            }
            Address::Unknown => return None,
        })
    }
}

/// Percent-encodes what is not plain in an address.
fn escaped(bytes: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/@".contains(&byte);
    let mut text = String::new();
    for byte in bytes {
        match plain(*byte) {
            true => text.push(char::from(*byte)),
            false => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

impl Listener {
    /// Listens on an address of this machine. Port 0 is any that is free.
    pub fn tcp(address: SocketAddr) -> Result<Listener, ListenError> {
        let listener = TcpListener::bind(address).map_err(|error| failed(address, error))?;
        let address = listener.local_addr().map_err(|error| failed(address, error))?;
        Listener::new(listener.into(), Address::Tcp(address), None)
    }

    /// Listens on a socket of this machine; see [`unix_socket`].
    pub fn unix(path: &Path) -> Result<Listener, ListenError> {
        let (listener, file) = unix_socket(path)?;
        let address = Address::Unix(file.path.clone());
        Listener::new(listener.into(), address, Some(file))
    }

    /// Listens for guests of this machine, or for its host. Port [`u32::MAX`] is any that is free.
    pub fn vsock(cid: u32, port: u32) -> Result<Listener, ListenError> {
        let place = format!("vsock {cid}:{port}");
        let error = |errno: Errno| failed(&place, errno);
        let socket = socket::socket(AddressFamily::Vsock, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
            .map_err(error)?;
        socket::bind(socket.as_raw_fd(), &VsockAddr::new(cid, port)).map_err(error)?;
        socket::listen(&socket, Backlog::MAXCONN).map_err(error)?;
        let address = address_of(&socket);
        Listener::new(socket, address, None)
    }

    /// Takes over the sockets that a service manager hands to this process, if it does: those that the variables
    /// LISTEN_PID and LISTEN_FDS tell of. To be called once, before anything else is opened. The variables are the
    /// caller's to hide from its children.
    pub fn activated() -> Result<Vec<Listener>, ListenError> {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
        let count = match (number("LISTEN_PID"), number("LISTEN_FDS")) {
            (Some(process), Some(count)) if process == std::process::id() => count.min(1024),
            _ => 0,
        };
        (0..count as RawFd).map(|index| Listener::inherited(FIRST_ACTIVATED + index)).collect()
    }

    /// Takes over a listening socket that this process was started with.
    fn inherited(number: RawFd) -> Result<Listener, ListenError> {
        let place = format!("descriptor {number}");
        let path = format!("/proc/self/fd/{number}");
        std::fs::symlink_metadata(path).map_err(|error| failed(&place, error))?;
        let socket = adopt(number);
        let is_listening = socket::getsockopt(&socket, socket::sockopt::AcceptConn);
        if !is_listening.map_err(|errno| failed(&place, errno))? {
            let error = io::Error::other("it is a socket, but nobody listens on it");
            return Err(ListenError::System { place, error });
        }
        let flags = fcntl(&socket, FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC));
        flags.map_err(|errno| failed(&place, errno))?;
        let address = address_of(&socket);
        Listener::new(socket, address, None)
    }

    fn new(socket: OwnedFd, address: Address, file: Option<SocketFile>) -> Result<Listener, ListenError> {
        let listener = Listener { socket, address, file };
        // A client may be gone again before it is let in, and nobody waits for the next one in its place.
        let flags = fcntl(&listener.socket, FcntlArg::F_GETFL).map(OFlag::from_bits_truncate);
        let set =
            flags.and_then(|flags| fcntl(&listener.socket, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)));
        set.map_err(|errno| failed(format!("{:?}", listener.address), errno))?;
        Ok(listener)
    }

    /// How to reach it.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Lets somebody in who waits; `None` if nobody does.
    pub(crate) fn accept(&self) -> io::Result<Option<Stream>> {
        match socket::accept4(self.socket.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
            Ok(number) => Ok(Some(Stream::socket(adopt(number)))),
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNABORTED) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The file of a unix socket, which is removed when this is dropped.
    pub fn socket_file(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }
}

/// Makes a socket of this machine, which only its owner may use, and listens there. One that nobody answers at is replaced.
pub fn unix_socket(path: &Path) -> Result<(UnixListener, SocketFile), ListenError> {
    let place = path.display();
    let error = |error: io::Error| failed(place.to_string(), error);
    match path.symlink_metadata() {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ListenError::NoSocket { path: path.to_owned() });
        }
        Ok(_) => match UnixStream::connect(path) {
            Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => {}
            Err(other) => return Err(error(other)),
            Ok(_) => return Err(ListenError::Taken { place: place.to_string() }),
        },
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {}
        Err(other) => return Err(error(other)),
    }
    let path = std::path::absolute(path).map_err(error)?;
    // Nobody can connect before it has its rights and its name.
    let folder = path.parent().unwrap_or(Path::new("/"));
    let draft = folder.join(format!(".nbd{}", std::process::id()));
    let _ = std::fs::remove_file(&draft);
    let listener = UnixListener::bind(&draft).map_err(error)?;
    let named = std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600))
        .and_then(|()| std::fs::rename(&draft, &path));
    if let Err(refused) = named {
        let _ = std::fs::remove_file(&draft);
        return Err(error(refused));
    }
    let file = SocketFile::at(&path).map_err(error)?;
    Ok((listener, file))
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn address_of(socket: &OwnedFd) -> Address {
    let Ok(address) = socket::getsockname::<SockaddrStorage>(socket.as_raw_fd()) else {
        return Address::Unknown;
    };
    if let Some(address) = address.as_vsock_addr() {
        return Address::Vsock { cid: address.cid(), port: address.port() };
    }
    if let Some(address) = address.as_sockaddr_in() {
        return Address::Tcp(SocketAddr::from((address.ip(), address.port())));
    }
    if let Some(address) = address.as_sockaddr_in6() {
        return Address::Tcp(SocketAddr::from((address.ip(), address.port())));
    }
    let path = address.as_unix_addr().and_then(|address| address.path());
    path.map_or(Address::Unknown, |path| Address::Unix(path.to_owned()))
}

/// A socket file; removed at the end, unless another one has taken its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn at(path: &Path) -> io::Result<SocketFile> {
        Ok(SocketFile { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|there| there == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    path.symlink_metadata().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_clients_take_them() {
        let tcp = |text: &str| Address::Tcp(text.parse().unwrap());
        let unix = Address::Unix("/tmp/a b?/s".into());
        for (address, export, expected) in [
            (tcp("127.0.0.1:10809"), "", "nbd://127.0.0.1/"),
            (tcp("127.0.0.1:10810"), "dead-head@7", "nbd://127.0.0.1:10810/dead-head@7"),
            (tcp("[::1]:10810"), "a b", "nbd://[::1]:10810/a%20b"),
            (tcp("0.0.0.0:1"), "", "nbd://127.0.0.1:1/"),
            (unix, "x", "nbd+unix:///x?socket=/tmp/a%20b%3F/s"),
            (Address::Vsock { cid: 3, port: 10809 }, "", "nbd+vsock://3/"),
            (Address::Vsock { cid: u32::MAX, port: 7 }, "", "nbd+vsock://1:7/"),
        ] {
            assert_eq!(address.uri(export).as_deref(), Some(expected));
        }
        assert_eq!(Address::Unknown.uri(""), None);
    }

    #[test]
    fn a_socket_is_its_owners_and_goes_with_its_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = Listener::unix(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(Listener::unix(&path), Err(ListenError::Taken { .. })));
        drop(listener);
        assert!(!path.exists());
        // One that nobody answers at is no hindrance.
        drop(UnixListener::bind(&path).unwrap());
        let listener = Listener::unix(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        // Another one in its place is not ours to remove.
        std::fs::remove_file(&path).unwrap();
        let other = UnixListener::bind(&path).unwrap();
        drop(listener);
        assert!(path.exists());
        drop(other);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "a file").unwrap();
        assert!(matches!(Listener::unix(&path), Err(ListenError::NoSocket { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"a file");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_free_port_is_told() {
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let Address::Tcp(address) = listener.address() else { panic!("{:?}", listener.address()) };
        assert_ne!(address.port(), 0);
        assert!(matches!(Listener::tcp(*address), Err(ListenError::Taken { .. })));
        let Address::Vsock { port, .. } = *Listener::vsock(u32::MAX, u32::MAX).unwrap().address() else {
            panic!("not a vsock address")
        };
        assert_ne!(port, u32::MAX);
    }
}
