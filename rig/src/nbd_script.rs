//! A server of network block devices that does what it is told, right or wrong.
//!
//! Owns a unix socket, a thread for each client, and the log of what was asked. Must not know who asks. All numbers are the
//! protocol's, written down here once more: a mistake in the crates under test must not be made here, too.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use crate::Content;

/// What the server says of its export.
#[derive(Clone, Debug)]
pub struct ScriptOptions {
    /// Bytes.
    pub size: u64,
    /// Flags of the export.
    pub flags: u16,
    /// Smallest, preferred and largest request, if it tells.
    pub blocks: Option<(u32, u32, u32)>,
    /// Whether errors to options are told; if not, only EXPORT_NAME works.
    pub fixed: bool,
    /// What GO is answered with, if not with the export: the number of an error.
    pub go_error: Option<u32>,
    /// Whether it agrees on structured replies.
    pub structured: bool,
    /// The number of `base:allocation`, if it knows that.
    pub allocation: Option<u32>,
    /// What it says of the export for people.
    pub description: &'static str,
    /// Whether clients are let in; if not, each is hung up on at once.
    pub welcome: bool,
}

impl Default for ScriptOptions {
    fn default() -> ScriptOptions {
        ScriptOptions {
            size: 1 << 20,
            flags: 1,
            blocks: Some((512, 4096, 32 << 20)),
            fixed: true,
            go_error: None,
            structured: true,
            allocation: None,
            description: "",
            welcome: true,
        }
    }
}

/// A request, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Number of the connection, from 1 on.
    pub connection: u64,
    /// 0 to read, 7 for metadata, 2 to leave.
    pub command: u16,
    /// The client's name for it.
    pub cookie: u64,
    /// Where.
    pub at: u64,
    /// How much.
    pub length: u32,
    /// Whether structured replies were agreed on.
    pub structured: bool,
}

impl Asked {
    /// What it is about.
    pub fn range(&self) -> Range<u64> {
        self.at..self.at + u64::from(self.length)
    }
}

/// What to do about a request.
pub enum Act {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Hang up.
    Close,
}

type Answer = dyn Fn(Asked) -> Vec<Act> + Send + Sync;

/// The server.
pub struct NbdScript {
    folder: TempDir,
    state: Arc<State>,
}

struct State {
    options: Mutex<ScriptOptions>,
    answer: Mutex<Arc<Answer>>,
    asked: Mutex<Vec<Asked>>,
    clients: Mutex<BTreeMap<u64, UnixStream>>,
    is_over: Mutex<bool>,
}

impl NbdScript {
    /// Serves as `options` say; `answer` tells what to do about each request but the one to leave.
    pub fn serve(
        options: ScriptOptions,
        answer: impl Fn(Asked) -> Vec<Act> + Send + Sync + 'static,
    ) -> NbdScript {
        let folder = tempfile::Builder::new().prefix("diskwright-rig.").tempdir();
        let folder = folder.unwrap_or_else(|e| panic!("cannot make a temporary folder: {e}"));
        let listener = UnixListener::bind(folder.path().join("socket"));
        let listener = listener.unwrap_or_else(|e| panic!("cannot listen: {e}"));
        let state = Arc::new(State {
            options: Mutex::new(options),
            answer: Mutex::new(Arc::new(answer)),
            asked: Mutex::default(),
            clients: Mutex::default(),
            is_over: Mutex::new(false),
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            for (number, stream) in (1..).zip(listener.incoming()) {
                let Ok(stream) = stream else { return };
                if *lock(&shared.is_over) {
                    return;
                }
                let shared = shared.clone();
                std::thread::spawn(move || {
                    lock(&shared.clients).extend(stream.try_clone().ok().map(|stream| (number, stream)));
                    // A client that leaves in the middle of a word is none of our business.
                    let _ = shared.attend(stream, number);
                    lock(&shared.clients).remove(&number);
                });
            }
        });
        NbdScript { folder, state }
    }

    /// Its address.
    pub fn uri(&self) -> String {
        format!("nbd+unix:///?socket={}", self.socket().display())
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// From now on it says something else to whoever comes.
    pub fn change(&self, change: impl FnOnce(&mut ScriptOptions)) {
        change(&mut lock(&self.state.options));
    }

    /// From now on it answers otherwise.
    pub fn answer(&self, answer: impl Fn(Asked) -> Vec<Act> + Send + Sync + 'static) {
        *lock(&self.state.answer) = Arc::new(answer);
    }

    /// Sends bytes to the client with this number, now.
    pub fn send(&self, connection: u64, bytes: &[u8]) {
        if let Some(stream) = lock(&self.state.clients).get_mut(&connection) {
            let _ = stream.write_all(bytes);
        }
    }

    /// Hangs up on everybody.
    pub fn drop_all(&self) {
        for stream in lock(&self.state.clients).values() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state.asked).clone()
    }

    /// Number of connections so far that got as far as a request.
    pub fn connections(&self) -> u64 {
        lock(&self.state.asked).iter().map(|asked| asked.connection).max().unwrap_or(0)
    }
}

impl Drop for NbdScript {
    fn drop(&mut self) {
        *lock(&self.state.is_over) = true;
        // The one who waits for clients gets a last one.
        let _ = UnixStream::connect(self.socket());
        self.drop_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const OPTION: u64 = 0x4948_4156_454F_5054;
const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;

impl State {
    fn attend(&self, mut stream: UnixStream, connection: u64) -> io::Result<()> {
        let options = lock(&self.options).clone();
        if !options.welcome {
            return Ok(());
        }
        let Some(structured) = greet(&mut stream, &options)? else { return Ok(()) };
        loop {
            let mut header = [0; 28];
            stream.read_exact(&mut header)?;
            let number = |range: Range<usize>| {
                header[range].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
            };
            assert_eq!(number(0..4), 0x2560_9513, "a request begins with something else");
            let asked = Asked {
                connection,
                command: number(6..8) as u16,
                cookie: number(8..16),
                at: number(16..24),
                length: number(24..28) as u32,
                structured,
            };
            lock(&self.asked).push(asked);
            if asked.command == 2 {
                return Ok(());
            }
            let answer = lock(&self.answer).clone();
            for act in answer(asked) {
                match act {
                    Act::Send(bytes) => stream.write_all(&bytes)?,
                    Act::Close => return stream.shutdown(std::net::Shutdown::Both),
                }
            }
        }
    }
}

/// Agrees with a client. Returns whether replies are structured; `None` if the client left.
fn greet(stream: &mut UnixStream, options: &ScriptOptions) -> io::Result<Option<bool>> {
    let flags = if options.fixed { 3u16 } else { 0 };
    stream.write_all(&[&b"NBDMAGICIHAVEOPT"[..], &flags.to_be_bytes()].concat())?;
    let mut agreed = [0; 4];
    stream.read_exact(&mut agreed)?;
    let mut structured = false;
    loop {
        let mut head = [0; 16];
        stream.read_exact(&mut head)?;
        assert_eq!(head[..8], OPTION.to_be_bytes(), "an option begins with something else");
        let option = u32::from_be_bytes(head[8..12].try_into().expect("four bytes"));
        let length = u32::from_be_bytes(head[12..].try_into().expect("four bytes"));
        let mut data = vec![0; length as usize];
        stream.read_exact(&mut data)?;
        let mut reply = |kind: u32, data: &[u8]| {
            let length = data.len() as u32;
            let head = [&OPTION_REPLY.to_be_bytes()[..], &option.to_be_bytes(), &kind.to_be_bytes()].concat();
            stream.write_all(&[&head[..], &length.to_be_bytes(), data].concat())
        };
        let (ack, unsup) = (1, 1 << 31 | 1);
        let flags = if structured { options.flags | 1 << 7 } else { options.flags };
        match option {
            1 => {
                let padding = if agreed[3] & 2 == 0 { 124 } else { 0 };
                let answer = [&options.size.to_be_bytes()[..], &flags.to_be_bytes(), &vec![0; padding]];
                stream.write_all(&answer.concat())?;
                return Ok(Some(structured));
            }
            2 => {
                reply(ack, &[])?;
                return Ok(None);
            }
            7 if options.go_error.is_some() => reply(options.go_error.unwrap_or(unsup), b"not here")?,
            7 => {
                let info = |kind: u16, data: &[u8]| [&kind.to_be_bytes()[..], data].concat();
                reply(3, &info(0, &[&options.size.to_be_bytes()[..], &flags.to_be_bytes()].concat()))?;
                if let Some((min, preferred, max)) = options.blocks {
                    reply(3, &info(3, &[min, preferred, max].map(u32::to_be_bytes).concat()))?;
                }
                if !options.description.is_empty() {
                    reply(3, &info(2, options.description.as_bytes()))?;
                }
                reply(ack, &[])?;
                return Ok(Some(structured));
            }
            8 if options.structured => {
                structured = true;
                reply(ack, &[])?;
            }
            10 if structured => {
                if let Some(number) = options.allocation {
                    reply(4, &[&number.to_be_bytes()[..], b"base:allocation"].concat())?;
                }
                reply(ack, &[])?;
            }
            _ => reply(unsup, b"")?,
        }
    }
}

/// Replies as they must be, and their parts.
pub mod replies {
    use super::*;

    /// A simple reply, with data if it is one to a read that went well.
    pub fn simple(errno: u32, cookie: u64, data: &[u8]) -> Vec<u8> {
        [&0x6744_6698u32.to_be_bytes()[..], &errno.to_be_bytes(), &cookie.to_be_bytes(), data].concat()
    }

    /// A chunk of any kind.
    pub fn chunk(kind: u16, is_last: bool, cookie: u64, body: &[u8]) -> Vec<u8> {
        let head =
            [&0x668e_33efu32.to_be_bytes()[..], &u16::from(is_last).to_be_bytes(), &kind.to_be_bytes()];
        let length = body.len() as u32;
        [&head.concat()[..], &cookie.to_be_bytes(), &length.to_be_bytes(), body].concat()
    }

    /// A chunk of data.
    pub fn data(is_last: bool, cookie: u64, at: u64, bytes: &[u8]) -> Vec<u8> {
        chunk(1, is_last, cookie, &[&at.to_be_bytes()[..], bytes].concat())
    }

    /// A chunk of zeros.
    pub fn hole(is_last: bool, cookie: u64, at: u64, length: u32) -> Vec<u8> {
        chunk(2, is_last, cookie, &[&at.to_be_bytes()[..], &length.to_be_bytes()].concat())
    }

    /// An error, with or without a place.
    pub fn error(is_last: bool, cookie: u64, errno: u32, at: Option<u64>) -> Vec<u8> {
        let head = [&errno.to_be_bytes()[..], &5u16.to_be_bytes(), b"words"].concat();
        match at {
            None => chunk(0x8001, is_last, cookie, &head),
            Some(at) => chunk(0x8002, is_last, cookie, &[&head[..], &at.to_be_bytes()].concat()),
        }
    }

    /// Metadata.
    pub fn status(cookie: u64, context: u32, stretches: &[(u32, u32)]) -> Vec<u8> {
        let pairs = stretches.iter().flat_map(|(length, flags)| [length.to_be_bytes(), flags.to_be_bytes()]);
        let body: Vec<u8> = context.to_be_bytes().into_iter().chain(pairs.flatten()).collect();
        chunk(5, true, cookie, &body)
    }

    /// The whole answer to a read of `content` without the bytes in `bad`, which must be in order and apart: all good pieces
    /// where that can be said.
    pub fn read(asked: Asked, content: Content, bad: &[Range<u64>]) -> Vec<u8> {
        let range = asked.range();
        let damage: Vec<Range<u64>> = bad
            .iter()
            .map(|bad| bad.start.max(range.start)..bad.end.min(range.end))
            .filter(|bad| bad.start < bad.end)
            .collect();
        let bytes = |range: Range<u64>| content.bytes(range.start, (range.end - range.start) as usize);
        match (asked.structured, damage.first()) {
            (false, Some(_)) => simple(5, asked.cookie, &[]),
            (false, None) => simple(0, asked.cookie, &bytes(range)),
            (true, None) => data(true, asked.cookie, range.start, &bytes(range)),
            (true, Some(_)) => {
                let (mut reply, mut at) = (Vec::new(), range.start);
                for bad in &damage {
                    if at < bad.start {
                        reply.extend(data(false, asked.cookie, at, &bytes(at..bad.start)));
                    }
                    reply.extend(error(bad.end == range.end, asked.cookie, 5, Some(bad.start)));
                    at = bad.end;
                }
                if at < range.end {
                    reply.extend(data(true, asked.cookie, at, &bytes(at..range.end)));
                }
                reply
            }
        }
    }
}
