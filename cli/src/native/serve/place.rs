//! Where `diskwright serve` listens.
//!
//! Owns which sockets the options mean, and what is printed about them. Must not know what is served there.

use std::ffi::{OsStr, OsString};
use std::fs::DirBuilder;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use block::Errno;
use nbd_server::listen::PORT;
use nbd_server::stream::{self, Stream};
use nbd_server::{Address, ListenError, Listener};

use super::{ServeOptions, system};
use crate::native::Failure;
use crate::native::output::Output;

/// Any address of a machine, for virtual machines.
const VSOCK_ANY: u32 = u32::MAX;

/// Where clients come from.
pub(super) struct Place {
    /// Sockets.
    pub(super) listeners: Vec<Listener>,
    /// A client that is there already.
    pub(super) only_client: Option<Stream>,
    /// What there is to tell of the sockets.
    pub(super) announcement: Announcement,
    /// A folder for one of them.
    pub(super) folder: Option<PrivateFolder>,
}

/// Addresses, for people and programs.
pub(super) struct Announcement {
    uris: Vec<String>,
    uri: OsString,
    socket: OsString,
    port: OsString,
}

/// A folder that only this process's user can look into; removed at the end.
pub(super) struct PrivateFolder(PathBuf);

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Place {
    /// Listens where the options say, or where a service manager has begun to.
    pub(super) fn open(options: &ServeOptions, activated: Vec<Listener>) -> Result<Place, Failure> {
        let names_place = options.unix.is_some() || options.is_tcp() || options.vsock.is_some();
        let has_client = options.stdio || options.fd.is_some();
        let mut folder = None;
        let listeners = if !activated.is_empty() {
            if names_place || has_client {
                let text = "a service manager has opened the sockets already: leave out where to listen";
                return Err(Failure::Usage(text.into()));
            }
            activated
        } else if has_client {
            Vec::new()
        } else {
            listeners(options, names_place, &mut folder)?
        };
        let only_client = only_client(options)?;
        Ok(Place { announcement: Announcement::of(&listeners), listeners, only_client, folder })
    }
}

impl ServeOptions {
    fn is_tcp(&self) -> bool {
        self.port.is_some() || !self.ip.is_empty()
    }
}

fn listeners(
    options: &ServeOptions,
    names_place: bool,
    folder: &mut Option<PrivateFolder>,
) -> Result<Vec<Listener>, Failure> {
    let mut listeners = Vec::new();
    let is_private = options.unix.as_deref() == Some(Path::new("-"));
    // A command that is run here needs no address that others could find.
    if is_private || (options.attendance.run.is_some() && !names_place) {
        let made = PrivateFolder::new().map_err(|error| system("make a folder for its socket", &error))?;
        listeners.push(Listener::unix(&made.0.join("socket")).map_err(failure)?);
        *folder = Some(made);
    } else if let Some(path) = &options.unix {
        listeners.push(Listener::unix(path).map_err(failure)?);
    }
    if let Some(port) = options.vsock {
        // As with TCP, 0 is any.
        let port = if port == 0 { u32::MAX } else { port };
        listeners.push(Listener::vsock(VSOCK_ANY, port).map_err(failure)?);
    }
    if options.is_tcp() || listeners.is_empty() {
        listeners.extend(tcp(&options.ip, options.port.unwrap_or(PORT))?);
    }
    Ok(listeners)
}

/// Every address, or both of this machine's own; with one port.
fn tcp(ips: &[IpAddr], mut port: u16) -> Result<Vec<Listener>, Failure> {
    let own = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let mut listeners = Vec::new();
    for ip in if ips.is_empty() { &own } else { ips } {
        match Listener::tcp(SocketAddr::new(*ip, port)) {
            Ok(listener) => {
                if let Address::Tcp(address) = listener.address() {
                    port = address.port();
                }
                listeners.push(listener);
            }
            // There are machines without one of the two.
            Err(ListenError::System { error, .. })
                if ips.is_empty() && error.kind() == io::ErrorKind::AddrNotAvailable => {}
            Err(error) => return Err(failure(error)),
        }
    }
    match listeners.is_empty() {
        true => Err(Failure::Usage("this machine has no address of its own: name one with --ip".into())),
        false => Ok(listeners),
    }
}

fn only_client(options: &ServeOptions) -> Result<Option<Stream>, Failure> {
    if options.stdio {
        let input = io::stdin().as_fd().try_clone_to_owned();
        let output = io::stdout().as_fd().try_clone_to_owned();
        let both = input.and_then(|input| Ok(Stream::inherited(input, output?)));
        return both.map(Some).map_err(|error| system("use standard input and output", &error));
    }
    let Some(number) = options.fd else { return Ok(None) };
    let open = Path::new("/proc/self/fd").join(number.to_string()).symlink_metadata();
    open.map_err(|_| Failure::Usage(format!("--fd {number}: no such descriptor is open")))?;
    let socket = stream::adopt(number);
    let copy = socket.try_clone().map_err(|error| system("use the descriptor", &error))?;
    match Stream::inherited(socket, copy) {
        Stream::Pipes { .. } => Err(Failure::Usage(format!("--fd {number} is no connected socket"))),
        stream => Ok(Some(stream)),
    }
}

impl PrivateFolder {
    fn new() -> io::Result<PrivateFolder> {
        let mut last = io::Error::other("every name is taken");
        for number in 0..100 {
            let path = std::env::temp_dir().join(format!("diskwright-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(PrivateFolder(path)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Announcement {
    fn of(listeners: &[Listener]) -> Announcement {
        let address = |listener: &Listener| listener.address().uri("");
        let (mut uris, mut socket, mut port) = (Vec::new(), OsString::new(), OsString::new());
        for listener in listeners {
            uris.extend(address(listener));
            match listener.address() {
                Address::Unix(path) => socket = path.into(),
                Address::Tcp(address) => port = address.port().to_string().into(),
                Address::Vsock { .. } | Address::Unknown => {}
            }
        }
        Announcement { uri: uris.first().cloned().unwrap_or_default().into(), uris, socket, port }
    }

    /// Prints one line for each address.
    pub(super) fn print(&self) -> Result<(), Failure> {
        let lines: String = self.uris.iter().map(|uri| format!("listening {uri}\n")).collect();
        Output::Stdout.write(lines.as_bytes()).map(drop)
    }

    /// What a command needs to know.
    pub(super) fn variables(&self) -> [(&'static str, &OsStr); 3] {
        [("uri", &self.uri), ("unixsocket", &self.socket), ("port", &self.port)]
    }
}

/// What it means that nobody can be let in.
pub(super) fn failure(error: ListenError) -> Failure {
    match error {
        ListenError::System { place, error } => {
            Failure::System { action: "listen there", path: place.into(), errno: Errno::of(&error) }
        }
        taken => Failure::Usage(taken.to_string()),
    }
}
