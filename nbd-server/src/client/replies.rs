//! What a server sends, from bytes to answers.
//!
//! Owns the requests that are open, and the state of the stream. Must not know sockets or threads: whoever reads one puts
//! the bytes where [`Replies::place`] says, and tells how many. Data goes to its place in the buffer of its request,
//! without a stop on the way; nothing is stored that has not come.

use std::collections::BTreeMap;
use std::ops::Range;

use block::{Buffer, Ticket};
use thiserror::Error;

use super::evidence::{Evidence, Verdict};
use crate::wire::{
    CHUNK_HEADER, CHUNK_MAGIC, ChunkHeader, Reader, SIMPLE_HEADER, SIMPLE_MAGIC, SimpleHeader, WireError,
    chunk, error,
};

/// Longest text of an error, in bytes.
const TEXT_MAX: u32 = 4096;
/// Most descriptors of a chunk of metadata.
const DESCRIPTORS_MAX: u32 = 1 << 20;
/// Bytes that nobody wants are taken in pieces of this many.
const SCRATCH_BYTES: usize = 16 << 10;

/// What a server may not do; the connection is closed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// Something else than a reply.
    #[error("the server's answers are out of step ({0:#x} where a reply should begin)")]
    Magic(u32),
    /// Nobody asked.
    #[error("the server answers what nobody asked")]
    Cookie,
    /// A simple reply to a read after structured ones were agreed on.
    #[error("the server answers a read with a simple reply, after it agreed to say more")]
    Simple,
    /// A structured reply without having agreed on that.
    #[error("the server sends a structured reply that was not agreed on")]
    Structured,
    /// A chunk that does not answer this kind of request.
    #[error("the server sends a chunk of kind {0} that makes no sense there")]
    Kind(u16),
    /// A chunk of an impossible length.
    #[error("the server sends a chunk of {length} bytes of kind {kind}")]
    Length {
        /// Its kind.
        kind: u16,
        /// Its length.
        length: u32,
    },
    /// Content or an error outside the request.
    #[error("the server answers outside of what it was asked for")]
    Outside,
    /// Content twice.
    #[error("the server sends the same bytes twice")]
    Overlap,
    /// Content or metadata of no length.
    #[error("the server sends an empty piece")]
    Empty,
    /// More pieces than anybody could use.
    #[error("the server answers in too many pieces")]
    TooMany,
    /// A reply that ends before it is whole, without an error.
    #[error("the server ends an answer that is not whole, and tells no error")]
    Uncovered,
    /// An error that is none.
    #[error("the server tells of an error, and then of none")]
    NoError,
    /// Metadata that was not asked for.
    #[error("the server tells of metadata that were not asked for")]
    Context,
}

/// A read of any length: one or several requests into one buffer.
#[derive(Debug)]
pub struct Job {
    /// Its name.
    pub ticket: Ticket,
    /// Where the buffer's first byte lies.
    pub at: u64,
    /// Bytes wanted, at most the buffer's.
    pub length: usize,
    /// Where the bytes go.
    pub buffer: Buffer,
    /// The requests it is made of: cookies and ranges, which may reach out of the buffer at both ends.
    pub parts: Vec<(u64, Range<u64>)>,
}

/// What is open.
#[derive(Debug)]
pub enum Open {
    /// A read.
    Read(Job),
    /// A question about metadata of this range.
    Status {
        /// Name of the request.
        cookie: u64,
        /// What it is about.
        range: Range<u64>,
    },
}

/// What came of something that was open.
#[derive(Debug)]
pub enum Answer {
    /// Of a read.
    Read(ReadAnswer),
    /// Of a question about metadata.
    Status {
        /// Name of the request.
        cookie: u64,
        /// The descriptors, or the error's number.
        result: Result<Vec<Descriptor>, u32>,
    },
}

/// What a read has brought.
#[derive(Debug)]
pub struct ReadAnswer {
    /// The job's name.
    pub ticket: Ticket,
    /// Where the buffer's first byte lies.
    pub at: u64,
    /// Bytes wanted.
    pub length: usize,
    /// What it holds outside of the good ranges means nothing.
    pub buffer: Buffer,
    /// Good ranges of the buffer: in order, not empty, apart or touching.
    pub good: Vec<Range<usize>>,
    /// The first error, and the first place that failed if one was told.
    pub error: Option<(u32, Option<u64>)>,
    /// Whether some request was turned away because the server ends.
    pub is_shutdown: bool,
}

/// A stretch of equal metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Bytes; not 0.
    pub length: u32,
    /// What they are; see the context's constants in [`wire`](crate::wire).
    pub flags: u32,
}

/// What was agreed on for replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreed {
    /// All or nothing.
    Simple,
    /// Chunks with places.
    Structured {
        /// The server's number for metadata of holes, if there are any.
        allocation: Option<u32>,
    },
}

/// Takes bytes and makes answers of them.
#[derive(Debug)]
pub struct Replies {
    agreed: Agreed,
    reads: BTreeMap<Ticket, Reading>,
    parts: BTreeMap<u64, Part>,
    statuses: BTreeMap<u64, Status>,
    state: State,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Reading {
    job: Job,
    left: usize,
    good: Vec<Range<u64>>,
    error: Option<(u32, Option<u64>)>,
    is_shutdown: bool,
}

#[derive(Debug)]
struct Part {
    ticket: Ticket,
    evidence: Evidence,
}

#[derive(Debug)]
struct Status {
    range: Range<u64>,
    descriptors: Option<Vec<Descriptor>>,
    error: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// So many bytes of a header have come, of so many.
    Header { filled: usize, whole: usize },
    /// So many bytes of what follows a header have come, of so many; it is understood as a whole.
    Body { header: ChunkHeader, filled: usize, whole: usize },
    /// Data of a read goes to `at`; so many bytes are left.
    Data { cookie: u64, at: u64, left: u64, ends: bool },
}

const HEADER: State = State::Header { filled: 0, whole: SIMPLE_HEADER };

impl Replies {
    /// At the beginning of a stream.
    pub fn new(agreed: Agreed) -> Replies {
        let (reads, parts, statuses) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Replies { agreed, reads, parts, statuses, state: HEADER, scratch: vec![0; SCRATCH_BYTES] }
    }

    /// Takes note of something that is about to be asked.
    pub fn expect(&mut self, open: Open) {
        match open {
            Open::Status { cookie, range } => {
                self.statuses.insert(cookie, Status { range, descriptors: None, error: None });
            }
            Open::Read(job) => {
                let ticket = job.ticket;
                for (cookie, range) in &job.parts {
                    let evidence = Evidence::new(range.clone());
                    self.parts.insert(*cookie, Part { ticket, evidence });
                }
                let left = job.parts.len();
                let reading = Reading { job, left, good: Vec::new(), error: None, is_shutdown: false };
                self.reads.insert(ticket, reading);
            }
        }
    }

    /// What is still open.
    pub fn into_open(self) -> impl Iterator<Item = Open> {
        let reads = self.reads.into_values().map(|reading| Open::Read(reading.job));
        let range = |status: Status| status.range;
        let statuses = self.statuses.into_iter();
        reads.chain(statuses.map(move |(cookie, status)| Open::Status { cookie, range: range(status) }))
    }

    /// Where the next bytes belong; never empty.
    pub fn place(&mut self) -> &mut [u8] {
        match self.state {
            State::Header { filled, whole } => &mut self.scratch[filled..whole],
            State::Body { filled, whole, .. } => {
                // Only as much memory as has come, and a little ahead.
                let end = whole.min(filled + SCRATCH_BYTES);
                if self.scratch.len() < end {
                    self.scratch.resize(end, 0);
                }
                &mut self.scratch[filled..end]
            }
            State::Data { cookie, at, left, .. } => {
                let Replies { parts, reads, scratch, .. } = self;
                let in_scratch = |bytes: u64| bytes.min(SCRATCH_BYTES as u64) as usize;
                let reading = parts.get(&cookie).and_then(|part| reads.get_mut(&part.ticket));
                let Some(Reading { job, .. }) = reading else { return &mut scratch[..in_scratch(left)] };
                // Requests are widened to what the server can read: what lies before and behind is nobody's.
                let before = job.at.saturating_sub(at).min(left);
                if before > 0 {
                    return &mut scratch[..in_scratch(before)];
                }
                match window(job, at, left) {
                    Some(window) => window,
                    None => &mut scratch[..in_scratch(left)],
                }
            }
        }
    }

    /// So many bytes have come to their place. Returns what was answered thereby.
    ///
    /// Errors: the server does not keep to the protocol. Nothing it says later means anything.
    pub fn filled(&mut self, count: usize) -> Result<Option<Answer>, Violation> {
        match self.state {
            State::Header { filled, whole } => {
                let filled = filled + count;
                self.state = State::Header { filled, whole };
                if filled < whole { Ok(None) } else { self.header(whole) }
            }
            State::Body { header, filled, whole } => {
                let filled = filled + count;
                self.state = State::Body { header, filled, whole };
                if filled < whole { Ok(None) } else { self.body(header, whole) }
            }
            State::Data { cookie, at, left, ends } => {
                let left = left - count as u64;
                self.state = State::Data { cookie, at: at + count as u64, left, ends };
                if left > 0 {
                    return Ok(None);
                }
                self.state = HEADER;
                if ends { self.part_ends(cookie) } else { Ok(None) }
            }
        }
    }

    fn header(&mut self, whole: usize) -> Result<Option<Answer>, Violation> {
        let mut bytes = [0; CHUNK_HEADER];
        bytes[..whole].copy_from_slice(&self.scratch[..whole]);
        let mut reader = Reader::new(&bytes[..whole]);
        let magic = reader.u32().map_err(short)?;
        match (magic, self.agreed) {
            (SIMPLE_MAGIC, _) => {
                let header = SimpleHeader::parse_rest(&mut reader).map_err(short)?;
                self.simple(header)
            }
            (CHUNK_MAGIC, Agreed::Simple) => Err(Violation::Structured),
            (CHUNK_MAGIC, Agreed::Structured { .. }) if whole < CHUNK_HEADER => {
                self.state = State::Header { filled: whole, whole: CHUNK_HEADER };
                Ok(None)
            }
            (CHUNK_MAGIC, Agreed::Structured { .. }) => {
                let header = ChunkHeader::parse_rest(&mut reader).map_err(short)?;
                self.chunk(header)
            }
            (magic, _) => Err(Violation::Magic(magic)),
        }
    }

    fn simple(&mut self, SimpleHeader { error, cookie }: SimpleHeader) -> Result<Option<Answer>, Violation> {
        self.state = HEADER;
        if let Some(status) = self.statuses.remove(&cookie) {
            // Errors may be told in few words, answers not.
            let result = if error == 0 { return Err(Violation::Uncovered) } else { Err(error) };
            drop(status);
            return Ok(Some(Answer::Status { cookie, result }));
        }
        let part = self.parts.get_mut(&cookie).ok_or(Violation::Cookie)?;
        if self.agreed != Agreed::Simple {
            return Err(Violation::Simple);
        }
        if error != 0 {
            part.evidence.error(error, None)?;
            return self.part_ends(cookie);
        }
        let range = part.evidence.range();
        let (at, left) = (range.start, range.end - range.start);
        part.evidence.content(at, left)?;
        self.state = State::Data { cookie, at, left, ends: true };
        Ok(None)
    }

    fn chunk(&mut self, header: ChunkHeader) -> Result<Option<Answer>, Violation> {
        let ChunkHeader { flags, kind, cookie, length } = header;
        let ends = flags & chunk::FLAG_DONE != 0;
        let wrong_length = Err(Violation::Length { kind, length });
        let is_status = self.statuses.contains_key(&cookie);
        let part = self.parts.get(&cookie);
        if part.is_none() && !is_status {
            return Err(Violation::Cookie);
        }
        let whole = match (kind, part) {
            (chunk::NONE, _) if !ends => return Err(Violation::Kind(kind)),
            (chunk::NONE, _) if length != 0 => return wrong_length,
            (chunk::NONE, _) => 0,
            (chunk::OFFSET_DATA, Some(part)) => {
                let range = part.evidence.range();
                let data = u64::from(length).checked_sub(8).filter(|data| *data <= range.end - range.start);
                if data.is_none_or(|data| data == 0) {
                    return wrong_length;
                }
                8
            }
            (chunk::OFFSET_HOLE, Some(_)) if length != 12 => return wrong_length,
            (chunk::OFFSET_HOLE, Some(_)) => 12,
            (chunk::BLOCK_STATUS, None) => {
                let is_whole = length >= 12 && (length - 4).is_multiple_of(8);
                if !is_whole || (length - 4) / 8 > DESCRIPTORS_MAX {
                    return wrong_length;
                }
                length as usize
            }
            (kind, _) if kind & chunk::ERROR_BIT != 0 => {
                if !(6..=6 + TEXT_MAX + 8).contains(&length) {
                    return wrong_length;
                }
                length as usize
            }
            (kind, _) => return Err(Violation::Kind(kind)),
        };
        if whole == 0 {
            self.state = HEADER;
            return self.ends(cookie);
        }
        self.state = State::Body { header, filled: 0, whole };
        Ok(None)
    }

    fn body(&mut self, header: ChunkHeader, whole: usize) -> Result<Option<Answer>, Violation> {
        let ChunkHeader { flags, kind, cookie, length } = header;
        let ends = flags & chunk::FLAG_DONE != 0;
        let body = &self.scratch[..whole];
        let mut reader = Reader::new(body);
        let short = |_: WireError| Violation::Length { kind, length };
        self.state = HEADER;
        match kind {
            chunk::OFFSET_DATA => {
                let (at, left) = (reader.u64().map_err(short)?, u64::from(length) - 8);
                let part = self.parts.get_mut(&cookie).ok_or(Violation::Cookie)?;
                part.evidence.content(at, left)?;
                self.state = State::Data { cookie, at, left, ends };
                return Ok(None);
            }
            chunk::OFFSET_HOLE => {
                let (at, count) = (reader.u64().map_err(short)?, reader.u32().map_err(short)?);
                let part = self.parts.get_mut(&cookie).ok_or(Violation::Cookie)?;
                part.evidence.content(at, count.into())?;
                if let Some(reading) = self.reads.get_mut(&part.ticket) {
                    let (mut at, mut left) = (at, u64::from(count));
                    let before = reading.job.at.saturating_sub(at).min(left);
                    (at, left) = (at + before, left - before);
                    if let Some(window) = window(&mut reading.job, at, left) {
                        window.fill(0);
                    }
                }
            }
            chunk::BLOCK_STATUS => {
                let context = reader.u32().map_err(short)?;
                let Agreed::Structured { allocation } = self.agreed else {
                    return Err(Violation::Structured);
                };
                if allocation != Some(context) {
                    return Err(Violation::Context);
                }
                let mut descriptors = Vec::with_capacity(reader.rest().len() / 8);
                while !reader.rest().is_empty() {
                    let length = reader.u32().map_err(short)?;
                    if length == 0 {
                        return Err(Violation::Empty);
                    }
                    descriptors.push(Descriptor { length, flags: reader.u32().map_err(short)? });
                }
                let status = self.statuses.get_mut(&cookie).ok_or(Violation::Cookie)?;
                if status.descriptors.replace(descriptors).is_some() {
                    return Err(Violation::Context);
                }
            }
            _ => {
                let errno = reader.u32().map_err(short)?;
                let text = reader.u16().map_err(short)?;
                reader.bytes(text.into()).map_err(short)?;
                let at = if kind == chunk::ERROR_OFFSET { Some(reader.u64().map_err(short)?) } else { None };
                // Errors that nobody knows yet may say more.
                if matches!(kind, chunk::ERROR | chunk::ERROR_OFFSET) {
                    reader.end().map_err(short)?;
                }
                if errno == 0 {
                    return Err(Violation::NoError);
                }
                match (self.parts.get_mut(&cookie), self.statuses.get_mut(&cookie)) {
                    (Some(part), _) => {
                        part.evidence.error(errno, at)?;
                        if errno == error::ESHUTDOWN
                            && let Some(reading) = self.reads.get_mut(&part.ticket)
                        {
                            reading.is_shutdown = true;
                        }
                    }
                    (None, Some(status)) => status.error = status.error.or(Some(errno)),
                    (None, None) => return Err(Violation::Cookie),
                }
            }
        }
        // A long list is not kept for a short one.
        self.scratch.truncate(SCRATCH_BYTES);
        self.scratch.shrink_to(SCRATCH_BYTES);
        if ends { self.ends(cookie) } else { Ok(None) }
    }

    fn ends(&mut self, cookie: u64) -> Result<Option<Answer>, Violation> {
        let Some(Status { descriptors, error, .. }) = self.statuses.remove(&cookie) else {
            return self.part_ends(cookie);
        };
        let result = match (error, descriptors) {
            (Some(errno), _) => Err(errno),
            (None, Some(descriptors)) => Ok(descriptors),
            (None, None) => return Err(Violation::Uncovered),
        };
        Ok(Some(Answer::Status { cookie, result }))
    }

    fn part_ends(&mut self, cookie: u64) -> Result<Option<Answer>, Violation> {
        let Part { ticket, evidence } = self.parts.remove(&cookie).ok_or(Violation::Cookie)?;
        let Verdict { good, error } = evidence.conclude()?;
        let reading = self.reads.get_mut(&ticket).ok_or(Violation::Cookie)?;
        reading.left -= 1;
        reading.good.extend(good);
        reading.is_shutdown |= error.is_some_and(|(errno, _)| errno == error::ESHUTDOWN);
        reading.error = match (reading.error, error) {
            (Some((errno, first)), Some((_, at))) => Some((errno, first.min(at).or(first).or(at))),
            (first, error) => first.or(error),
        };
        if reading.left > 0 {
            return Ok(None);
        }
        let Some(Reading { job, mut good, error, is_shutdown, .. }) = self.reads.remove(&ticket) else {
            return Ok(None);
        };
        good.sort_unstable_by_key(|piece| piece.start);
        let Job { at, length, buffer, .. } = job;
        let end = at + length as u64;
        let within = |piece: Range<u64>| {
            let (from, to) = (piece.start.clamp(at, end), piece.end.clamp(at, end));
            (from - at) as usize..(to - at) as usize
        };
        let good = good.into_iter().map(within).filter(|piece| !piece.is_empty()).collect();
        Ok(Some(Answer::Read(ReadAnswer { ticket, at, length, buffer, good, error, is_shutdown })))
    }
}

/// The part of a job's buffer that begins with the byte `at` of the export; `None` if that lies outside.
fn window(job: &mut Job, at: u64, left: u64) -> Option<&mut [u8]> {
    let from = at.checked_sub(job.at).and_then(|from| usize::try_from(from).ok())?;
    let most = job.length.checked_sub(from).filter(|most| *most > 0)?;
    let count = usize::try_from(left).unwrap_or(usize::MAX).min(most);
    (count > 0).then(|| &mut job.buffer[from..from + count])
}

fn short(_: WireError) -> Violation {
    Violation::Magic(0)
}

#[cfg(test)]
mod tests;
