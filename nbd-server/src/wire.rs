//! The words of the network block device protocol, as bytes.
//!
//! Owns numbers and layouts, for both sides. Must not know sockets, devices, nor when something may be said. All integers
//! are big-endian. Source: the NBD protocol document, "fixed newstyle" negotiation and structured replies.

use thiserror::Error;

/// What a server says first.
pub const GREETING: u64 = u64::from_be_bytes(*b"NBDMAGIC");
/// Begins the second half of the greeting, and every option.
pub const OPTION_MAGIC: u64 = u64::from_be_bytes(*b"IHAVEOPT");
/// Begins every answer to an option.
pub const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
/// Begins every request.
pub const REQUEST_MAGIC: u32 = 0x2560_9513;
/// Begins a simple reply.
pub const SIMPLE_MAGIC: u32 = 0x6744_6698;
/// Begins a chunk of a structured reply.
pub const CHUNK_MAGIC: u32 = 0x668e_33ef;

/// Bytes of the header of an option.
pub const OPTION_HEADER: usize = 16;
/// Bytes of the header of an answer to an option.
pub const OPTION_REPLY_HEADER: usize = 20;
/// Bytes of the header of a request.
pub const REQUEST_HEADER: usize = 28;
/// Bytes of a simple reply without data.
pub const SIMPLE_HEADER: usize = 16;
/// Bytes of the header of a chunk.
pub const CHUNK_HEADER: usize = 20;

/// Flags of the greeting; a client answers with the same bits.
pub mod greeting {
    /// Fixed newstyle: errors to options are told.
    pub const FIXED_NEWSTYLE: u16 = 1;
    /// No padding behind the answer to EXPORT_NAME.
    pub const NO_ZEROES: u16 = 2;
}

/// Options.
pub mod option {
    /// Opens an export; cannot fail but by closing.
    pub const EXPORT_NAME: u32 = 1;
    /// Ends the negotiation.
    pub const ABORT: u32 = 2;
    /// Asks for the names of all exports.
    pub const LIST: u32 = 3;
    /// Asks for encryption.
    pub const STARTTLS: u32 = 5;
    /// Asks about an export.
    pub const INFO: u32 = 6;
    /// Opens an export.
    pub const GO: u32 = 7;
    /// Agrees on structured replies.
    pub const STRUCTURED_REPLY: u32 = 8;
    /// Asks which metadata contexts there are.
    pub const LIST_META_CONTEXT: u32 = 9;
    /// Chooses metadata contexts.
    pub const SET_META_CONTEXT: u32 = 10;
    /// Agrees on 64-bit lengths.
    pub const EXTENDED_HEADERS: u32 = 11;
}

/// Answers to options.
pub mod option_reply {
    /// Yes, or: that was all.
    pub const ACK: u32 = 1;
    /// An export.
    pub const SERVER: u32 = 2;
    /// A piece of information about an export.
    pub const INFO: u32 = 3;
    /// A metadata context.
    pub const META_CONTEXT: u32 = 4;
    /// The bit that all errors have.
    pub const ERROR: u32 = 1 << 31;
    /// The option is not known.
    pub const ERR_UNSUP: u32 = ERROR | 1;
    /// Forbidden here.
    pub const ERR_POLICY: u32 = ERROR | 2;
    /// It makes no sense.
    pub const ERR_INVALID: u32 = ERROR | 3;
    /// Not on this platform.
    pub const ERR_PLATFORM: u32 = ERROR | 4;
    /// Only with encryption.
    pub const ERR_TLS_REQD: u32 = ERROR | 5;
    /// There is no such export.
    pub const ERR_UNKNOWN: u32 = ERROR | 6;
    /// The server is about to end.
    pub const ERR_SHUTDOWN: u32 = ERROR | 7;
    /// The client must ask for block sizes first.
    pub const ERR_BLOCK_SIZE_REQD: u32 = ERROR | 8;
    /// Too long.
    pub const ERR_TOO_BIG: u32 = ERROR | 9;
    /// Only with extended headers.
    pub const ERR_EXT_HEADER_REQD: u32 = ERROR | 10;
}

/// Kinds of information about an export.
pub mod info {
    /// Size and flags.
    pub const EXPORT: u16 = 0;
    /// Its proper name.
    pub const NAME: u16 = 1;
    /// A line for people.
    pub const DESCRIPTION: u16 = 2;
    /// Smallest, preferred and largest request.
    pub const BLOCK_SIZE: u16 = 3;
}

/// Flags of an export.
pub mod export {
    /// These flags mean something.
    pub const HAS_FLAGS: u16 = 1;
    /// Nothing can be written.
    pub const READ_ONLY: u16 = 1 << 1;
    /// FLUSH works.
    pub const SEND_FLUSH: u16 = 1 << 2;
    /// FUA works.
    pub const SEND_FUA: u16 = 1 << 3;
    /// Order of requests matters.
    pub const ROTATIONAL: u16 = 1 << 4;
    /// TRIM works.
    pub const SEND_TRIM: u16 = 1 << 5;
    /// WRITE_ZEROES works.
    pub const SEND_WRITE_ZEROES: u16 = 1 << 6;
    /// DF works.
    pub const SEND_DF: u16 = 1 << 7;
    /// Several connections see one device.
    pub const CAN_MULTI_CONN: u16 = 1 << 8;
    /// CACHE works.
    pub const SEND_CACHE: u16 = 1 << 10;
    /// FAST_ZERO works.
    pub const SEND_FAST_ZERO: u16 = 1 << 11;
}

/// Requests.
pub mod command {
    /// Bytes, please.
    pub const READ: u16 = 0;
    /// Bytes to keep; they follow.
    pub const WRITE: u16 = 1;
    /// The client leaves.
    pub const DISC: u16 = 2;
    /// Make durable what was answered.
    pub const FLUSH: u16 = 3;
    /// Give space back.
    pub const TRIM: u16 = 4;
    /// Read, but keep the bytes.
    pub const CACHE: u16 = 5;
    /// Write zeros.
    pub const WRITE_ZEROES: u16 = 6;
    /// Ask about metadata.
    pub const BLOCK_STATUS: u16 = 7;

    /// Durable before the answer.
    pub const FLAG_FUA: u16 = 1;
    /// Do not make a hole.
    pub const FLAG_NO_HOLE: u16 = 2;
    /// One content chunk at most.
    pub const FLAG_DF: u16 = 4;
    /// One descriptor.
    pub const FLAG_REQ_ONE: u16 = 8;
    /// Only if it takes no writing.
    pub const FLAG_FAST_ZERO: u16 = 16;
}

/// Chunks of structured replies.
pub mod chunk {
    /// The last one of its reply.
    pub const FLAG_DONE: u16 = 1;

    /// Nothing.
    pub const NONE: u16 = 0;
    /// Bytes.
    pub const OFFSET_DATA: u16 = 1;
    /// Zeros.
    pub const OFFSET_HOLE: u16 = 2;
    /// Metadata.
    pub const BLOCK_STATUS: u16 = 5;
    /// The bit that all errors have.
    pub const ERROR_BIT: u16 = 1 << 15;
    /// The request failed.
    pub const ERROR: u16 = ERROR_BIT | 1;
    /// The request failed there.
    pub const ERROR_OFFSET: u16 = ERROR_BIT | 2;
}

/// Errors that go over the wire.
pub mod error {
    /// Not allowed.
    pub const EPERM: u32 = 1;
    /// Input/output error.
    pub const EIO: u32 = 5;
    /// No memory.
    pub const ENOMEM: u32 = 12;
    /// It makes no sense.
    pub const EINVAL: u32 = 22;
    /// Beyond the end, or no space.
    pub const ENOSPC: u32 = 28;
    /// Too much at once.
    pub const EOVERFLOW: u32 = 75;
    /// It cannot do that.
    pub const ENOTSUP: u32 = 95;
    /// The server is about to end.
    pub const ESHUTDOWN: u32 = 108;
}

/// The context that tells holes and zeros.
pub const BASE_ALLOCATION: &str = "base:allocation";
/// In [`BASE_ALLOCATION`]: no space is taken.
pub const STATE_HOLE: u32 = 1;
/// In [`BASE_ALLOCATION`]: reads as zeros.
pub const STATE_ZERO: u32 = 2;

/// Bytes that make no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// It does not begin as it must: the two sides are out of step.
    #[error("the stream is out of step: {found:#x} where {expected:#x} belongs")]
    Magic {
        /// What belongs there.
        expected: u64,
        /// What was there.
        found: u64,
    },
    /// It ends too early.
    #[error("it ends too early")]
    Short,
    /// Something is left over.
    #[error("{0} bytes too many")]
    Left(usize),
    /// A name that is none.
    #[error("a name that is not UTF-8, holds a NUL, or is longer than 4096 bytes")]
    Name,
}

/// Takes fields off bytes, one after the other. Every length is checked against what is left.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins at the start.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// The next `length` bytes.
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireError::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(WireError::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A length of four bytes, and a name so long: UTF-8 of at most 4096 bytes without NUL.
    pub fn name(&mut self) -> Result<&'a str, WireError> {
        let length = self.u32()? as usize;
        let bytes = self.bytes(length)?;
        name(bytes)
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Makes sure that nothing is left.
    pub fn end(self) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(WireError::Left(left)),
        }
    }
}

/// Longest name of an export, in bytes.
pub const NAME_MAX: usize = 4096;

/// A name of an export, or of a context: UTF-8 of at most [`NAME_MAX`] bytes without NUL.
pub fn name(bytes: &[u8]) -> Result<&str, WireError> {
    if bytes.len() > NAME_MAX || bytes.contains(&0) {
        return Err(WireError::Name);
    }
    std::str::from_utf8(bytes).map_err(|_| WireError::Name)
}

/// The header of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// Flags; see [`command`].
    pub flags: u16,
    /// What is wanted; see [`command`].
    pub kind: u16,
    /// The client's name for it.
    pub cookie: u64,
    /// Where, in bytes.
    pub offset: u64,
    /// How much, in bytes.
    pub length: u32,
}

impl RequestHeader {
    /// Reads it. Errors: the magic number is not there.
    pub fn parse(bytes: &[u8; REQUEST_HEADER]) -> Result<RequestHeader, WireError> {
        let mut reader = Reader::new(bytes);
        expect(u64::from(REQUEST_MAGIC), u64::from(reader.u32()?))?;
        Ok(RequestHeader {
            flags: reader.u16()?,
            kind: reader.u16()?,
            cookie: reader.u64()?,
            offset: reader.u64()?,
            length: reader.u32()?,
        })
    }

    /// Writes it.
    pub fn bytes(&self) -> [u8; REQUEST_HEADER] {
        let mut bytes = [0; REQUEST_HEADER];
        let mut put = Writer { bytes: &mut bytes };
        put.u32(REQUEST_MAGIC);
        put.u16(self.flags);
        put.u16(self.kind);
        put.u64(self.cookie);
        put.u64(self.offset);
        put.u32(self.length);
        bytes
    }
}

/// A simple reply without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimpleHeader {
    /// 0, or an error; see [`error`].
    pub error: u32,
    /// The request's.
    pub cookie: u64,
}

impl SimpleHeader {
    /// Reads what follows the magic number.
    pub fn parse_rest(reader: &mut Reader<'_>) -> Result<SimpleHeader, WireError> {
        Ok(SimpleHeader { error: reader.u32()?, cookie: reader.u64()? })
    }

    /// Writes it, magic number and all.
    pub fn bytes(&self) -> [u8; SIMPLE_HEADER] {
        let mut bytes = [0; SIMPLE_HEADER];
        let mut put = Writer { bytes: &mut bytes };
        put.u32(SIMPLE_MAGIC);
        put.u32(self.error);
        put.u64(self.cookie);
        bytes
    }
}

/// The header of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    /// Flags; see [`chunk`].
    pub flags: u16,
    /// What follows; see [`chunk`].
    pub kind: u16,
    /// The request's.
    pub cookie: u64,
    /// Bytes that follow.
    pub length: u32,
}

impl ChunkHeader {
    /// Reads what follows the magic number.
    pub fn parse_rest(reader: &mut Reader<'_>) -> Result<ChunkHeader, WireError> {
        Ok(ChunkHeader {
            flags: reader.u16()?,
            kind: reader.u16()?,
            cookie: reader.u64()?,
            length: reader.u32()?,
        })
    }

    /// Writes it, magic number and all.
    pub fn bytes(&self) -> [u8; CHUNK_HEADER] {
        let mut bytes = [0; CHUNK_HEADER];
        let mut put = Writer { bytes: &mut bytes };
        put.u32(CHUNK_MAGIC);
        put.u16(self.flags);
        put.u16(self.kind);
        put.u64(self.cookie);
        put.u32(self.length);
        bytes
    }
}

/// The header of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionHeader {
    /// Which; see [`option`].
    pub option: u32,
    /// Bytes that follow.
    pub length: u32,
}

impl OptionHeader {
    /// Reads it. Errors: the magic number is not there.
    pub fn parse(bytes: &[u8; OPTION_HEADER]) -> Result<OptionHeader, WireError> {
        let mut reader = Reader::new(bytes);
        expect(OPTION_MAGIC, reader.u64()?)?;
        Ok(OptionHeader { option: reader.u32()?, length: reader.u32()? })
    }

    /// Writes it.
    pub fn bytes(&self) -> [u8; OPTION_HEADER] {
        let mut bytes = [0; OPTION_HEADER];
        let mut put = Writer { bytes: &mut bytes };
        put.u64(OPTION_MAGIC);
        put.u32(self.option);
        put.u32(self.length);
        bytes
    }
}

/// The header of an answer to an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionReplyHeader {
    /// Which option is answered.
    pub option: u32,
    /// How; see [`option_reply`].
    pub kind: u32,
    /// Bytes that follow.
    pub length: u32,
}

impl OptionReplyHeader {
    /// Reads it. Errors: the magic number is not there.
    pub fn parse(bytes: &[u8; OPTION_REPLY_HEADER]) -> Result<OptionReplyHeader, WireError> {
        let mut reader = Reader::new(bytes);
        expect(OPTION_REPLY_MAGIC, reader.u64()?)?;
        Ok(OptionReplyHeader { option: reader.u32()?, kind: reader.u32()?, length: reader.u32()? })
    }

    /// Writes it.
    pub fn bytes(&self) -> [u8; OPTION_REPLY_HEADER] {
        let mut bytes = [0; OPTION_REPLY_HEADER];
        let mut put = Writer { bytes: &mut bytes };
        put.u64(OPTION_REPLY_MAGIC);
        put.u32(self.option);
        put.u32(self.kind);
        put.u32(self.length);
        bytes
    }
}

/// Fails unless the magic number is the right one.
pub fn expect(expected: u64, found: u64) -> Result<(), WireError> {
    if expected == found { Ok(()) } else { Err(WireError::Magic { expected, found }) }
}

/// Puts fields into an array of exactly their length.
struct Writer<'a> {
    bytes: &'a mut [u8],
}

impl Writer<'_> {
    fn put(&mut self, field: &[u8]) {
        let bytes = std::mem::take(&mut self.bytes);
        let (here, rest) = bytes.split_at_mut(field.len());
        here.copy_from_slice(field);
        self.bytes = rest;
    }

    fn u16(&mut self, number: u16) {
        self.put(&number.to_be_bytes());
    }

    fn u32(&mut self, number: u32) {
        self.put(&number.to_be_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.put(&number.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn headers_come_back_as_they_were_written(a: u16, b: u16, c: u64, d: u64, e: u32) {
            let request = RequestHeader { flags: a, kind: b, cookie: c, offset: d, length: e };
            prop_assert_eq!(RequestHeader::parse(&request.bytes()), Ok(request));
            let option = OptionHeader { option: e, length: u32::from(a) };
            prop_assert_eq!(OptionHeader::parse(&option.bytes()), Ok(option));
            let reply = OptionReplyHeader { option: e, kind: u32::from(b), length: u32::from(a) };
            prop_assert_eq!(OptionReplyHeader::parse(&reply.bytes()), Ok(reply));
            let chunk = ChunkHeader { flags: a, kind: b, cookie: c, length: e };
            let bytes = chunk.bytes();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.u32(), Ok(CHUNK_MAGIC));
            prop_assert_eq!(ChunkHeader::parse_rest(&mut reader), Ok(chunk));
            let simple = SimpleHeader { error: e, cookie: d };
            let bytes = simple.bytes();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.u32(), Ok(SIMPLE_MAGIC));
            prop_assert_eq!(SimpleHeader::parse_rest(&mut reader), Ok(simple));
        }

        #[test]
        fn a_reader_never_gives_more_than_there_is(bytes: Vec<u8>, length: u32) {
            let mut reader = Reader::new(&bytes);
            let taken = reader.bytes(length as usize);
            prop_assert_eq!(taken.is_ok(), length as usize <= bytes.len());
            let _ = Reader::new(&bytes).name();
        }
    }

    #[test]
    fn what_does_not_begin_right_is_refused() {
        assert!(matches!(RequestHeader::parse(&[0; REQUEST_HEADER]), Err(WireError::Magic { .. })));
        assert!(matches!(OptionHeader::parse(&[0; OPTION_HEADER]), Err(WireError::Magic { .. })));
        assert_eq!(name(&[b'a'; 4097]), Err(WireError::Name));
        assert_eq!(name(b"a\0"), Err(WireError::Name));
        assert_eq!(name(&[0xff]), Err(WireError::Name));
    }
}
