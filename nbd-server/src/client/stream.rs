//! A stream of bytes to a server, wherever that is.
//!
//! Owns how each kind of address is connected to, and deadlines. Must not know what is said.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use block::{Clock, Nanos};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, VsockAddr, setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

use super::uri::Address;

/// Whether the other machine is still there is asked after so many seconds of silence, and again, so many times.
const KEEP_ALIVE: (u32, u32, u32) = (20, 10, 6);

/// A connected socket. std has a type for each family of sockets and none for all; of this one only what every stream can
/// do is used.
pub(super) type Stream = UnixStream;

/// Connects. Each address of a host is tried for at most `patience`.
pub(super) fn connect(address: &Address, patience: Nanos) -> io::Result<Stream> {
    match address {
        Address::Tcp { host, port } => {
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
            for address in (host.as_str(), *port).to_socket_addrs()? {
                match TcpStream::connect_timeout(&address, duration(patience)) {
                    Ok(stream) => return tuned(stream),
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
        Address::Unix(path) => UnixStream::connect(path),
        Address::Vsock { cid, port } => {
            let flags = SockFlag::SOCK_CLOEXEC;
            let socket = socket::socket(AddressFamily::Vsock, SockType::Stream, flags, None)?;
            let patience = TimeVal::milliseconds((patience.nanoseconds() / 1_000_000) as i64);
            setsockopt(&socket, sockopt::SendTimeout, &patience)?;
            socket::connect(socket.as_raw_fd(), &VsockAddr::new(*cid, *port))?;
            Ok(socket.into())
        }
    }
}

fn tuned(stream: TcpStream) -> io::Result<Stream> {
    // A request is a few bytes, and waits for nothing.
    stream.set_nodelay(true)?;
    let stream = OwnedFd::from(stream);
    let (idle, interval, count) = KEEP_ALIVE;
    setsockopt(&stream, sockopt::KeepAlive, &true)?;
    setsockopt(&stream, sockopt::TcpKeepIdle, &idle)?;
    setsockopt(&stream, sockopt::TcpKeepInterval, &interval)?;
    setsockopt(&stream, sockopt::TcpKeepCount, &count)?;
    Ok(stream.into())
}

/// A stream until a moment.
pub(super) struct Timed<'a> {
    pub(super) stream: &'a Stream,
    pub(super) clock: &'a dyn Clock,
    pub(super) until: Nanos,
}

impl Timed<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        match self.until.since(self.clock.now()) {
            Nanos::ZERO => Err(late()),
            left => Ok(Some(duration(left))),
        }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer).map_err(told)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(buffer).map_err(told)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the server does not answer")
}

/// A timeout of a socket looks like a socket that must not wait.
fn told(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { late() } else { error }
}

fn duration(time: Nanos) -> Duration {
    // No time at all would be no limit.
    Duration::from_nanos(time.nanoseconds().max(1000))
}
