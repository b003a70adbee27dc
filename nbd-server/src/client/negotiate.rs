//! The first words with a server: what can be agreed on, and which export is opened.
//!
//! Owns their order, and what is done without when a server does not know something. Must not know sockets: any stream of
//! bytes will do.

use std::io::{self, Read, Write};

use thiserror::Error;

use super::replies::Agreed;
use crate::wire::{
    self, BASE_ALLOCATION, GREETING, OPTION_MAGIC, OPTION_REPLY_HEADER, OptionHeader, OptionReplyHeader,
    Reader, WireError, export, greeting, info, option, option_reply,
};

/// Longest answer to an option, in bytes; names and texts are far shorter.
const REPLY_MAX: u32 = 64 << 10;
/// Most answers to one option.
const REPLIES_MAX: usize = 256;
/// What the greeting of servers holds that nobody should run any more.
const OLDSTYLE: u64 = 0x0000_4202_8186_1253;
/// Bytes of padding behind an answer to EXPORT_NAME.
const PADDING: usize = 124;
/// Bytes of a request that every server takes, where it does not say.
const PAYLOAD_MAX: u32 = 32 << 20;
/// Bytes that every server can address, where it does not say.
const BLOCK: u32 = 512;
/// Largest smallest request, in bytes.
const BLOCK_MAX: u32 = 64 << 10;

/// An export that was opened, and what was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Bytes in all.
    pub size: u64,
    /// What the server says of it; see [`export`].
    pub flags: u16,
    /// Smallest, preferred and largest request.
    pub blocks: Blocks,
    /// Whether the server said so, or it is the custom.
    pub blocks_are_told: bool,
    /// Whether answers tell places.
    pub is_structured: bool,
    /// The server's number for metadata of holes.
    pub allocation: Option<u32>,
    /// What the server says of it for people.
    pub description: Option<String>,
}

/// What requests the server takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Requests begin and end on multiples of this; a power of two.
    pub min: u32,
    /// Below this it has more work than it seems.
    pub preferred: u32,
    /// Requests are not longer than this; a multiple of the smallest one.
    pub max: u32,
}

impl Export {
    /// Whether the order of requests matters.
    pub fn rotates(&self) -> bool {
        self.flags & export::ROTATIONAL != 0
    }

    pub(super) fn agreed(&self) -> Agreed {
        match self.is_structured {
            true => Agreed::Structured { allocation: self.allocation },
            false => Agreed::Simple,
        }
    }
}

/// Why an export cannot be opened.
#[derive(Debug, Error)]
pub enum NegotiateError {
    /// The stream failed.
    #[error("the connection fails while the two sides agree: {0}")]
    Io(io::Error),
    /// The server hung up.
    #[error("the server hangs up {0}")]
    Closed(&'static str),
    /// It says something that makes no sense.
    #[error("this is no server of network block devices, or one that makes no sense: {0}")]
    Wire(#[from] WireError),
    /// A server of times long gone.
    #[error("the server speaks the oldstyle protocol only, which nobody should any more")]
    Oldstyle,
    /// It answers another question.
    #[error("the server answers another option than the one asked")]
    OtherOption,
    /// It says too much.
    #[error("the server's answer to an option is too long")]
    TooLong,
    /// There is no such export.
    #[error("the server has no export of this name{}", said(.0))]
    NoExport(String),
    /// It wants encryption.
    #[error("the server wants encryption, and this program is built without it")]
    Encrypted,
    /// It does not want.
    #[error("the server refuses{}", said(.0))]
    Refused(String),
    /// It did not say what the export is.
    #[error("the server opens the export without telling its size")]
    NoSize,
    /// The export is larger than any disk can be.
    #[error("the server calls the export {0} bytes long, which nothing is")]
    Size(u64),
    /// The sizes of requests make no sense.
    #[error(
        "the server's sizes of requests make no sense (from {min} to {max} bytes, in an export of {size})"
    )]
    Blocks {
        /// The smallest one.
        min: u32,
        /// The largest one.
        max: u32,
        /// Bytes of the export.
        size: u64,
    },
}

fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" (\"{text}\")") }
}

/// Opens the export `name` on a fresh stream.
///
/// Errors: the stream fails, or the server does not want, or makes no sense.
pub fn negotiate(stream: &mut (impl Read + Write), name: &str) -> Result<Export, NegotiateError> {
    let mut talk = Talk { stream };
    let mut greeting = [0; 18];
    talk.read(&mut greeting, "before it says anything")?;
    let mut reader = Reader::new(&greeting);
    wire::expect(GREETING, reader.u64()?)?;
    match reader.u64()? {
        OLDSTYLE => return Err(NegotiateError::Oldstyle),
        magic => wire::expect(OPTION_MAGIC, magic)?,
    }
    let flags = reader.u16()?;
    let is_fixed = flags & greeting::FIXED_NEWSTYLE != 0;
    let is_short = flags & greeting::NO_ZEROES != 0;
    let answer = flags & (greeting::FIXED_NEWSTYLE | greeting::NO_ZEROES);
    talk.write(&u32::from(answer).to_be_bytes())?;
    let mut opened = Opened::default();
    if is_fixed {
        opened.is_structured = talk.ask(option::STRUCTURED_REPLY, &[], |_| Ok(()))?.is_ok();
        if opened.is_structured {
            opened.allocation = talk.allocation(name)?;
        }
        if talk.go(name, &mut opened)? {
            return opened.export();
        }
    }
    // It knows only the option that cannot be refused but by hanging up.
    talk.option(option::EXPORT_NAME, name.as_bytes())?;
    let mut head = [0; 10];
    talk.read(&mut head, "when the export is named; perhaps it has none of this name")?;
    let mut reader = Reader::new(&head);
    opened.size = Some((reader.u64()?, reader.u16()?));
    if !is_short {
        talk.read(&mut [0; PADDING], "in the middle of its answer")?;
    }
    opened.export()
}

/// What the server has said so far.
#[derive(Default)]
struct Opened {
    size: Option<(u64, u16)>,
    blocks: Option<Blocks>,
    is_structured: bool,
    allocation: Option<u32>,
    description: Option<String>,
}

impl Opened {
    /// Takes an answer of kind INFO.
    fn info(&mut self, data: &[u8]) -> Result<(), WireError> {
        let mut reader = Reader::new(data);
        match reader.u16()? {
            info::EXPORT => {
                self.size = Some((reader.u64()?, reader.u16()?));
                reader.end()
            }
            info::BLOCK_SIZE => {
                self.blocks =
                    Some(Blocks { min: reader.u32()?, preferred: reader.u32()?, max: reader.u32()? });
                reader.end()
            }
            info::DESCRIPTION => {
                self.description = Some(line(reader.rest()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn export(self) -> Result<Export, NegotiateError> {
        let Opened { size, blocks, is_structured, allocation, description } = self;
        let (size, flags) = size.ok_or(NegotiateError::NoSize)?;
        if size > i64::MAX as u64 {
            return Err(NegotiateError::Size(size));
        }
        let custom = Blocks { min: BLOCK, preferred: 4096, max: PAYLOAD_MAX };
        let blocks_are_told = blocks.is_some();
        let Blocks { min, preferred, max } = blocks.unwrap_or(custom);
        // Of a file, say, that ends anywhere the last bytes can be asked for, where nobody says otherwise.
        let is_whole = size.is_multiple_of(min.into()) || !blocks_are_told;
        if !min.is_power_of_two() || min > BLOCK_MAX || max < min || !is_whole {
            return Err(NegotiateError::Blocks { min, max, size });
        }
        let max = max.min(PAYLOAD_MAX);
        let blocks = Blocks { min, preferred, max: max - max % min };
        let flags = if flags & export::HAS_FLAGS == 0 { 0 } else { flags };
        let description = description.filter(|text| !text.is_empty());
        Ok(Export { size, flags, blocks, blocks_are_told, is_structured, allocation, description })
    }
}

/// How an option was refused.
struct No {
    kind: u32,
    text: String,
}

struct Talk<'a, S> {
    stream: &'a mut S,
}

impl<S: Read + Write> Talk<'_, S> {
    /// The number of the metadata of holes, if there are any.
    fn allocation(&mut self, name: &str) -> Result<Option<u32>, NegotiateError> {
        let data = [
            &(name.len() as u32).to_be_bytes(),
            name.as_bytes(),
            &1u32.to_be_bytes(),
            &(BASE_ALLOCATION.len() as u32).to_be_bytes(),
            BASE_ALLOCATION.as_bytes(),
        ]
        .concat();
        let mut number = None;
        let answer = self.ask(option::SET_META_CONTEXT, &data, |reply| {
            if let Some((option_reply::META_CONTEXT, data)) = reply {
                let mut reader = Reader::new(data);
                let id = reader.u32()?;
                if reader.rest() == BASE_ALLOCATION.as_bytes() {
                    number = Some(id);
                }
            }
            Ok(())
        })?;
        Ok(number.filter(|_| answer.is_ok()))
    }

    /// Opens the export; `false` if the server does not know how, or may not.
    fn go(&mut self, name: &str, opened: &mut Opened) -> Result<bool, NegotiateError> {
        let wanted = [info::BLOCK_SIZE, info::DESCRIPTION];
        let data = [
            &(name.len() as u32).to_be_bytes(),
            name.as_bytes(),
            &(wanted.len() as u16).to_be_bytes(),
            &wanted.map(u16::to_be_bytes).concat(),
        ]
        .concat();
        let answer = self.ask(option::GO, &data, |reply| match reply {
            Some((option_reply::INFO, data)) => opened.info(data),
            _ => Ok(()),
        })?;
        match answer {
            Ok(()) => Ok(true),
            Err(No { kind: option_reply::ERR_UNSUP | option_reply::ERR_POLICY, .. }) => {
                (opened.size, opened.blocks, opened.description) = (None, None, None);
                Ok(false)
            }
            Err(No { kind: option_reply::ERR_UNKNOWN, text }) => Err(NegotiateError::NoExport(text)),
            Err(No { kind: option_reply::ERR_TLS_REQD, .. }) => Err(NegotiateError::Encrypted),
            Err(No { text, .. }) => Err(NegotiateError::Refused(text)),
        }
    }

    /// Asks for an option; `each` sees kind and data of all that is answered before the end.
    fn ask(
        &mut self,
        option: u32,
        data: &[u8],
        mut each: impl FnMut(Option<(u32, &[u8])>) -> Result<(), WireError>,
    ) -> Result<Result<(), No>, NegotiateError> {
        self.option(option, data)?;
        for _ in 0..REPLIES_MAX {
            let mut header = [0; OPTION_REPLY_HEADER];
            self.read(&mut header, "in the middle of an answer")?;
            let header = OptionReplyHeader::parse(&header)?;
            if header.option != option {
                return Err(NegotiateError::OtherOption);
            }
            if header.length > REPLY_MAX {
                return Err(NegotiateError::TooLong);
            }
            let mut data = vec![0; header.length as usize];
            self.read(&mut data, "in the middle of an answer")?;
            match header.kind {
                option_reply::ACK => return Ok(Ok(())),
                kind if kind & option_reply::ERROR != 0 => return Ok(Err(No { kind, text: line(&data) })),
                kind => each(Some((kind, &data)))?,
            }
        }
        Err(NegotiateError::TooLong)
    }

    fn option(&mut self, option: u32, data: &[u8]) -> Result<(), NegotiateError> {
        let header = OptionHeader { option, length: data.len() as u32 };
        self.write(&[&header.bytes()[..], data].concat())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), NegotiateError> {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).map_err(NegotiateError::Io)
    }

    fn read(&mut self, bytes: &mut [u8], when: &'static str) -> Result<(), NegotiateError> {
        self.stream.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => NegotiateError::Closed(when),
            _ => NegotiateError::Io(error),
        })
    }
}

/// What somebody else wrote, as one line that no terminal stumbles over.
fn line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(wire::NAME_MAX)]);
    text.trim().replace(char::is_control, " ")
}
