//! The two directions of a connection.
//!
//! Owns descriptors, and what the system is asked of them. Must not know what travels. Reading waits for as long as it
//! takes; writing takes what fits and never waits, but for pipes, which have only one peer to hold up.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use block::Nanos;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, Shutdown, SockType, SockaddrLike, SockaddrStorage, sockopt,
};

/// The two directions of a connection.
#[derive(Debug)]
pub enum Stream {
    /// A socket.
    Socket(OwnedFd),
    /// Two pipes, or whatever else standard input and output may be.
    Pipes {
        /// Where requests come from.
        input: OwnedFd,
        /// Where replies go.
        output: OwnedFd,
    },
}

/// What became of bytes that were to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// So many are on their way.
    Bytes(usize),
    /// There is no room for one more.
    Full,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Bytes to read, or an end.
    Input,
    /// Room to write, or an end.
    Room,
    /// Whatever comes first.
    Both,
}

/// What has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// Something to read, be it the end.
    Input,
    /// Room to write.
    Room,
    /// The other side is gone for good.
    Gone,
    /// Nothing, for as long as was waited.
    Nothing,
}

/// Bytes that a local socket holds on their way; the system may allow less.
const SEND_BUFFER: usize = 1 << 20;

impl Stream {
    /// A connected socket, made ready for requests.
    pub fn socket(socket: OwnedFd) -> Stream {
        let family = socket::getsockname::<SockaddrStorage>(socket.as_raw_fd()).ok().and_then(|a| a.family());
        // None of these changes what is sent: a system that has not got them is no worse for it.
        match family {
            Some(AddressFamily::Inet | AddressFamily::Inet6) => {
                let _ = socket::setsockopt(&socket, sockopt::TcpNoDelay, &true);
                let _ = socket::setsockopt(&socket, sockopt::KeepAlive, &true);
                // A client that was switched off is missed after two minutes.
                let _ = socket::setsockopt(&socket, sockopt::TcpKeepIdle, &60);
                let _ = socket::setsockopt(&socket, sockopt::TcpKeepInterval, &10);
                let _ = socket::setsockopt(&socket, sockopt::TcpKeepCount, &6);
            }
            Some(AddressFamily::Unix) => {
                let forced = socket::setsockopt(&socket, sockopt::SndBufForce, &SEND_BUFFER);
                let _ = forced.or_else(|_| socket::setsockopt(&socket, sockopt::SndBuf, &SEND_BUFFER));
            }
            _ => {}
        }
        Stream::Socket(socket)
    }

    /// Takes over descriptors that were handed to this process: a socket if the first one is one.
    pub fn inherited(input: OwnedFd, output: OwnedFd) -> Stream {
        match socket::getsockopt(&input, sockopt::SockType) {
            Ok(SockType::Stream) => Stream::socket(input),
            _ => Stream::Pipes { input, output },
        }
    }

    fn input(&self) -> &OwnedFd {
        match self {
            Stream::Socket(socket) => socket,
            Stream::Pipes { input, .. } => input,
        }
    }

    fn output(&self) -> &OwnedFd {
        match self {
            Stream::Socket(socket) => socket,
            Stream::Pipes { output, .. } => output,
        }
    }

    /// Waits for bytes and takes them; 0 at the end.
    pub fn receive(&self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            let received = match self {
                Stream::Socket(socket) => socket::recv(socket.as_raw_fd(), bytes, MsgFlags::empty()),
                Stream::Pipes { input, .. } => nix::unistd::read(input, bytes),
            };
            match received {
                Err(Errno::EINTR) => {}
                // Somebody else may have made it one that does not wait.
                Err(Errno::EAGAIN) => {
                    self.wait(Wanted::Input, None)?;
                }
                other => return Ok(other?),
            }
        }
    }

    /// Sends what fits.
    pub fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<Sent> {
        loop {
            let sent = match self {
                Stream::Socket(socket) => {
                    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                    socket::sendmsg::<()>(socket.as_raw_fd(), slices, &[], flags, None)
                }
                Stream::Pipes { output, .. } => nix::sys::uio::writev(output, slices),
            };
            match sent {
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(Sent::Full),
                other => return Ok(Sent::Bytes(other?)),
            }
        }
    }

    /// Waits for what is wanted; for ever if there is no limit.
    pub fn wait(&self, wanted: Wanted, limit: Option<Nanos>) -> io::Result<Came> {
        let input = if wanted == Wanted::Room { PollFlags::empty() } else { PollFlags::POLLIN };
        let output = if wanted == Wanted::Input { PollFlags::empty() } else { PollFlags::POLLOUT };
        let timeout = limit.map_or(PollTimeout::NONE, |limit| {
            // Not shorter than asked for.
            let ms = limit.nanoseconds().div_ceil(1_000_000).min(i32::MAX as u64);
            PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = match self {
            Stream::Socket(socket) => [Some(PollFd::new(socket.as_fd(), input | output)), None],
            Stream::Pipes { input: from, output: to } => [
                (wanted != Wanted::Room).then(|| PollFd::new(from.as_fd(), input)),
                Some(PollFd::new(to.as_fd(), output)),
            ],
        };
        let mut polled: Vec<PollFd<'_>> = fds.iter_mut().filter_map(Option::take).collect();
        match poll(&mut polled, timeout) {
            Ok(0) => return Ok(Came::Nothing),
            Ok(_) => {}
            // The caller looks at the time.
            Err(Errno::EINTR) => return Ok(Came::Nothing),
            Err(error) => return Err(error.into()),
        }
        let events = polled.iter().filter_map(PollFd::revents).fold(PollFlags::empty(), |all, one| all | one);
        let is_pipe = matches!(self, Stream::Pipes { .. });
        Ok(if events.contains(PollFlags::POLLIN) && wanted != Wanted::Room {
            Came::Input
        } else if events.contains(PollFlags::POLLHUP) && is_pipe && wanted != Wanted::Room {
            // The end of a pipe, which is read like anything else.
            Came::Input
        } else if events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL) {
            Came::Gone
        } else {
            Came::Room
        })
    }

    /// Whether nobody is there any more who could take a reply.
    pub fn is_peer_gone(&self) -> bool {
        let mut polled = [PollFd::new(self.output().as_fd(), PollFlags::empty())];
        let gone = PollFlags::POLLHUP | PollFlags::POLLERR;
        matches!(poll(&mut polled, PollTimeout::ZERO), Ok(1))
            && polled[0].revents().is_some_and(|events| events.intersects(gone))
    }

    /// Ends what is still to come from the other side; whoever waits for it wakes up. A pipe cannot do that.
    pub fn stop_receiving(&self) {
        if let Stream::Socket(socket) = self {
            let _ = socket::shutdown(socket.as_raw_fd(), Shutdown::Read);
        }
    }

    /// Ends both directions; whoever waits for one of them wakes up.
    pub fn stop(&self) {
        if let Stream::Socket(socket) = self {
            let _ = socket::shutdown(socket.as_raw_fd(), Shutdown::Both);
        }
    }

    /// Makes the other side see a broken connection, not an end, once this is closed. Whoever waits here wakes up.
    pub fn break_off(&self) {
        if let Stream::Socket(socket) = self {
            let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
            let _ = socket::setsockopt(socket, sockopt::Linger, &linger);
            let _ = socket::shutdown(socket.as_raw_fd(), Shutdown::Read);
        }
    }

    /// Number of the descriptor that requests come from, for messages.
    pub fn number(&self) -> RawFd {
        self.input().as_raw_fd()
    }
}

/// Makes a descriptor that the system has just made for this process, or handed to it, this process's own.
///
/// The caller vouches that nobody else in this process has it.
pub fn adopt(number: RawFd) -> OwnedFd {
    // SAFETY: `OwnedFd` demands an open descriptor that nothing else closes. Callers pass what accept4 has returned, or
    // what the process was started with and what they take once, at the start.
    unsafe { OwnedFd::from_raw_fd(number) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn pair() -> (Stream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Stream::socket(ours.into()), theirs)
    }

    #[test]
    fn what_does_not_fit_is_told_and_waits_for_room() {
        let (ours, theirs) = pair();
        let block = vec![7; 1 << 20];
        let mut count = 0;
        while let Sent::Bytes(sent) = ours.send(&[IoSlice::new(&block)]).unwrap() {
            count += sent;
        }
        assert!(count > 0);
        let soon = Some(Nanos::from_millis(1));
        assert_eq!(ours.wait(Wanted::Room, soon).unwrap(), Came::Nothing);
        assert_eq!(ours.wait(Wanted::Both, soon).unwrap(), Came::Nothing);
        std::io::copy(&mut std::io::Read::take(&theirs, count as u64), &mut std::io::sink()).unwrap();
        assert_eq!(ours.wait(Wanted::Room, None).unwrap(), Came::Room);
    }

    #[test]
    fn whoever_sends_no_more_is_still_there_and_whoever_closed_is_not() {
        let (ours, theirs) = pair();
        assert!(!ours.is_peer_gone());
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(ours.receive(&mut [0; 8]).unwrap(), 0);
        assert!(!ours.is_peer_gone());
        assert_eq!(ours.wait(Wanted::Room, None).unwrap(), Came::Room);
        drop(theirs);
        assert!(ours.is_peer_gone());
        assert_eq!(ours.wait(Wanted::Room, None).unwrap(), Came::Gone);
        assert!(ours.send(&[IoSlice::new(b"x")]).is_err());
    }

    #[test]
    fn whoever_waits_is_woken() {
        let (ours, _theirs) = pair();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| ours.receive(&mut [0; 8]));
            ours.stop_receiving();
            assert_eq!(reader.join().unwrap().unwrap(), 0);
        });
    }
}
