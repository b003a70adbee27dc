//! `nbd://…`: where a server is, and which of its exports is meant.
//!
//! Owns the grammar. Must not touch any socket. Source: the NBD project's document on URIs.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use thiserror::Error;

use crate::wire;

/// The port that is meant where none is named.
pub const PORT: u16 = 10809;

/// An address that begins with `nbd://`, `nbd+unix://` or `nbd+vsock://`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    text: String,
    /// Where the server is.
    pub address: Address,
    /// The name of the export; empty: the server's first one.
    pub export: String,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// In a network.
    Tcp {
        /// Name or number of the machine.
        host: String,
        /// Its port.
        port: u16,
    },
    /// On this machine.
    Unix(PathBuf),
    /// In a virtual machine, or around one.
    Vsock {
        /// Number of the machine.
        cid: u32,
        /// Its port.
        port: u32,
    },
}

/// Why an address is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{uri}: {fault}")]
pub struct UriError {
    uri: String,
    fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
enum Fault {
    #[error(
        "there is no {0}://; write nbd://host/export, nbd+unix:///export?socket=/path or nbd+vsock://cid/export"
    )]
    Scheme(String),
    #[error(
        "this program is built without encryption; use nbd:// through a tunnel, such as ssh -L 10809:localhost:10809"
    )]
    Encrypted,
    #[error("no user belongs before the host")]
    User,
    #[error(
        "a socket on this machine has no host; write nbd+unix:///export?socket=/path, with three slashes"
    )]
    HostOfSocket,
    #[error("the ] behind the number of an IPv6 host is missing")]
    Bracket,
    #[error("\"{0}\" is no host; an IPv6 number belongs in brackets, as in nbd://[::1]/")]
    Host(String),
    #[error("\"{0}\" is no port; it is a number from 1 to {1}")]
    Port(String, u32),
    #[error("\"{0}\" is not the number of a machine; write nbd+vsock://2/export for the host of this one")]
    Cid(String),
    #[error("{0:?} ends in the middle of a % and two hexadecimal digits")]
    Percent(String),
    #[error("an export's name is UTF-8 of at most 4096 bytes without NUL")]
    Export,
    #[error("a # does not belong here; in a name write %23")]
    Fragment,
    #[error("there is no key \"{0}\" here; {1}")]
    Key(String, &'static str),
    #[error("the socket is missing: end with ?socket=/path")]
    NoSocket,
    #[error("the socket is named twice")]
    Twice,
}

impl Uri {
    /// Reads `text`. `None` if it does not begin as an address of this kind: then it is the name of a file.
    pub fn parse(text: &str) -> Option<Result<Uri, UriError>> {
        let (scheme, rest) = text.split_once("://")?;
        let is_ours = scheme.split('+').next().is_some_and(|first| first == "nbd" || first == "nbds");
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '+';
        if !is_ours || !scheme.chars().all(is_word) {
            return None;
        }
        let parsed =
            parse(scheme, rest).map(|(address, export)| Uri { text: text.to_owned(), address, export });
        Some(parsed.map_err(|fault| UriError { uri: text.to_owned(), fault }))
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse(scheme: &str, rest: &str) -> Result<(Address, String), Fault> {
    if rest.contains('#') {
        return Err(Fault::Fragment);
    }
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let (authority, path) = place.split_once('/').unwrap_or((place, ""));
    if authority.contains('@') {
        return Err(Fault::User);
    }
    let export = decoded(path)?;
    let export = wire::name(&export).map_err(|_| Fault::Export)?.to_owned();
    let keys = keys(query)?;
    let address = match scheme {
        "nbd" => {
            no_keys(&keys)?;
            let (host, port) = host_and_port(authority)?;
            Address::Tcp { host, port }
        }
        "nbd+vsock" => {
            no_keys(&keys)?;
            let (cid, port) = split_port(authority);
            let cid = cid.parse().map_err(|_| Fault::Cid(cid.to_owned()))?;
            let port = port.map_or(Ok(u32::from(PORT)), |port| number(port, u32::MAX - 1))?;
            Address::Vsock { cid, port }
        }
        "nbd+unix" => {
            if !authority.is_empty() {
                return Err(Fault::HostOfSocket);
            }
            Address::Unix(socket(keys)?)
        }
        "nbds" | "nbds+unix" | "nbds+vsock" => return Err(Fault::Encrypted),
        other => return Err(Fault::Scheme(other.to_owned())),
    };
    Ok((address, export))
}

/// Keys and values, decoded.
fn keys(query: Option<&str>) -> Result<Vec<(String, Vec<u8>)>, Fault> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((key.to_owned(), decoded(value)?))
        })
        .collect()
}

fn no_keys(keys: &[(String, Vec<u8>)]) -> Result<(), Fault> {
    match keys.first() {
        Some((key, _)) => Err(Fault::Key(key.clone(), "an address in a network has none")),
        None => Ok(()),
    }
}

fn socket(keys: Vec<(String, Vec<u8>)>) -> Result<PathBuf, Fault> {
    let mut socket = None;
    for (key, value) in keys {
        if key != "socket" {
            return Err(Fault::Key(key, "the only one is socket"));
        }
        if socket.replace(value).is_some() {
            return Err(Fault::Twice);
        }
    }
    let socket = socket.filter(|socket| !socket.is_empty()).ok_or(Fault::NoSocket)?;
    Ok(OsString::from_vec(socket).into())
}

fn host_and_port(authority: &str) -> Result<(String, u16), Fault> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or(Fault::Bracket)?;
            let port = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(':').ok_or_else(|| Fault::Host(authority.to_owned()))?),
            };
            (host, port)
        }
        None => split_port(authority),
    };
    if !authority.starts_with('[') && host.contains(':') {
        return Err(Fault::Host(authority.to_owned()));
    }
    let port = port.map_or(Ok(u32::from(PORT)), |port| number(port, u32::from(u16::MAX)))?;
    let host = String::from_utf8(decoded(host)?).map_err(|_| Fault::Host(host.to_owned()))?;
    let host = if host.is_empty() { "localhost".to_owned() } else { host };
    Ok((host, port as u16))
}

/// Cuts at the last colon.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port)))
}

fn number(text: &str, max: u32) -> Result<u32, Fault> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_decimal && (1..=max).contains(number));
    number.ok_or_else(|| Fault::Port(text.to_owned(), max))
}

fn decoded(text: &str) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let pair = more.split_at_checked(2).and_then(|(digits, more)| {
            let [high, low] = digits else { return None };
            Some((digit(*high)? << 4 | digit(*low)?, more))
        });
        let (byte, more) = pair.ok_or_else(|| Fault::Percent(text.to_owned()))?;
        bytes.push(byte);
        rest = more;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.into(), port }
    }

    #[test]
    fn addresses_say_where_and_which() {
        for (text, address, export) in [
            ("nbd://host/disk", tcp("host", 10809), "disk"),
            ("nbd://host", tcp("host", 10809), ""),
            ("nbd:///", tcp("localhost", 10809), ""),
            ("nbd://10.0.0.1:99//a/b", tcp("10.0.0.1", 99), "/a/b"),
            ("nbd://[::1]:5/%C3%A4%20b", tcp("::1", 5), "\u{e4} b"),
            ("nbd://[fe80::1%25eth0]/", tcp("fe80::1%eth0", 10809), ""),
            ("nbd+unix:///?socket=/run/s", Address::Unix("/run/s".into()), ""),
            ("nbd+unix:///x?socket=a%20b", Address::Unix("a b".into()), "x"),
            ("nbd+vsock://2/x", Address::Vsock { cid: 2, port: 10809 }, "x"),
            ("nbd+vsock://3:70000/", Address::Vsock { cid: 3, port: 70000 }, ""),
        ] {
            let uri = Uri::parse(text).unwrap_or_else(|| panic!("{text} is no address"));
            let uri = uri.unwrap_or_else(|e| panic!("{e}"));
            assert_eq!((&uri.address, &*uri.export, uri.to_string()), (&address, export, text.to_owned()));
        }
    }

    #[test]
    fn other_words_are_names_of_files() {
        for text in
            ["./nbd:x", "nbd:x", "nbd:unix:/run/s", "disk", "/dev/nbd0", "sim:x", "nb://x", "a/nbd://x"]
        {
            assert_eq!(Uri::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, words) in [
            ("nbd+ssh://host/", "there is no nbd+ssh://"),
            ("nbds://host/", "without encryption"),
            ("nbds+unix:///?socket=/s", "without encryption"),
            ("nbd://me@host/", "no user"),
            ("nbd+unix://host/?socket=/s", "three slashes"),
            ("nbd+unix:///x", "?socket=/path"),
            ("nbd+unix:///x?socket=", "?socket=/path"),
            ("nbd+unix:///x?socket=/a&socket=/b", "twice"),
            ("nbd+unix:///x?sock=/a", "no key \"sock\""),
            ("nbd://host/?socket=/s", "no key \"socket\""),
            ("nbd://[::1/", "]"),
            ("nbd://::1/", "brackets"),
            ("nbd://[::1]x/", "no host"),
            ("nbd://host:0/", "no port"),
            ("nbd://host:65536/", "from 1 to 65535"),
            ("nbd://host:+1/", "no port"),
            ("nbd://host:/", "no port"),
            ("nbd+vsock:///x", "number of a machine"),
            ("nbd://host/%4", "hexadecimal"),
            ("nbd://host/%gg", "hexadecimal"),
            ("nbd://host/%ff", "UTF-8"),
            ("nbd://host/%00", "NUL"),
            ("nbd://host/a#b", "%23"),
        ] {
            let error = Uri::parse(text).unwrap_or_else(|| panic!("{text} is no address")).expect_err(text);
            assert!(error.to_string().contains(words), "{error}");
            assert!(error.to_string().starts_with(text), "{error}");
        }
        let long = format!("nbd://host/{}", "x".repeat(4097));
        assert!(Uri::parse(&long).is_some_and(|uri| uri.is_err()));
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(nbds?(\\+unix|\\+vsock)?://)?[a-z0-9:/?=&%@#\\[\\]]{0,40}|\\PC*") {
            let _ = Uri::parse(&text);
        }

        #[test]
        fn any_name_comes_out_as_it_went_in(name in "[^\0]{0,40}") {
            let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let uri = Uri::parse(&format!("nbd://h/{encoded}")).and_then(Result::ok);
            prop_assert_eq!(uri.map(|uri| uri.export), Some(name));
        }
    }
}
