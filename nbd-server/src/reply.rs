//! What is answered, from the server's side: answers of a device as bytes.
//!
//! Owns the shape of replies: chunks, errors, holes, which error numbers travel. Must not know sockets, nor when a reply
//! leaves. The bytes of a read are never copied: a packet refers to where they lie.

use std::io::IoSlice;
use std::ops::Range;

use block::{ByteRange, Errno, Offset};
use serving::{Answer, Trouble};

use crate::transmission::Pieces;
use crate::wire::{CHUNK_HEADER, ChunkHeader, SimpleHeader, chunk, command, error};

/// Smallest read that may be answered with a hole, in bytes.
const HOLE_MIN: u64 = 4096;

/// Longest text of an error, in bytes.
const TEXT_MAX: usize = 1024;

/// Bytes on their way to a client.
#[derive(Debug, Default)]
pub struct Packet {
    /// All that is not in the body, one after the other.
    heads: Vec<u8>,
    /// In which order; empty: the heads, then the body.
    parts: Vec<Part>,
    body: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Head(Range<usize>),
    Body(Range<usize>),
}

impl Packet {
    /// Bytes in all.
    pub fn length(&self) -> usize {
        match self.parts.is_empty() {
            true => self.heads.len() + self.body.len(),
            false => self.parts.iter().map(|part| self.part(part).len()).sum(),
        }
    }

    fn part(&self, part: &Part) -> &[u8] {
        match part {
            Part::Head(range) => self.heads.get(range.clone()),
            Part::Body(range) => self.body.get(range.clone()),
        }
        .unwrap_or_default()
    }

    /// Hands what comes behind the first `skip` bytes to `take`, in order, until it wants no more.
    pub fn slices<'a>(&'a self, mut skip: usize, mut take: impl FnMut(IoSlice<'a>) -> bool) -> bool {
        let mut give = |bytes: &'a [u8]| {
            let rest = bytes.get(skip..).unwrap_or_default();
            skip -= skip.min(bytes.len());
            rest.is_empty() || take(IoSlice::new(rest))
        };
        match self.parts.is_empty() {
            true => give(&self.heads) && give(&self.body),
            false => self.parts.iter().all(|part| give(self.part(part))),
        }
    }

    /// Takes the buffer of the body, to use it again.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// The whole packet in one piece.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.length());
        self.slices(0, |slice| {
            bytes.extend_from_slice(&slice);
            true
        });
        bytes
    }

    fn head(&mut self, bytes: &[u8]) {
        let start = self.heads.len();
        self.heads.extend_from_slice(bytes);
        match self.parts.last_mut() {
            Some(Part::Head(last)) if last.end == start => last.end = self.heads.len(),
            _ => self.parts.push(Part::Head(start..self.heads.len())),
        }
    }
}

/// Makes the packets of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Replies {
    /// Whether they come in chunks.
    pub is_structured: bool,
}

/// Whether more replies to the same request follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// None.
    Yes,
    /// This is a part of a long read, and went well.
    No,
}

impl Replies {
    /// All went well, and there is nothing to bring.
    pub fn done(self, cookie: u64) -> Packet {
        let heads = match self.is_structured {
            true => {
                ChunkHeader { flags: chunk::FLAG_DONE, kind: chunk::NONE, cookie, length: 0 }.bytes().into()
            }
            false => SimpleHeader { error: 0, cookie }.bytes().into(),
        };
        Packet { heads, ..Packet::default() }
    }

    /// Nothing went well.
    pub fn error(self, cookie: u64, error: u32, text: &str) -> Packet {
        match self.is_structured {
            true => {
                let mut packet = Packet::default();
                error_chunk(&mut packet, cookie, error, None, text, chunk::FLAG_DONE);
                packet
            }
            false => Packet { heads: SimpleHeader { error, cookie }.bytes().into(), ..Packet::default() },
        }
    }

    /// What came of a command that brings no bytes.
    pub fn outcome(self, cookie: u64, kind: u16, range: ByteRange, answer: &Answer) -> Packet {
        let Some(trouble) = answer.troubles.first() else { return self.done(cookie) };
        let error = number(trouble.errno, kind);
        if !self.is_structured {
            return self.error(cookie, error, "");
        }
        let mut packet = Packet::default();
        let at = trouble.at.filter(|at| range.contains(*at));
        error_chunk(&mut packet, cookie, error, at, &trouble.text, chunk::FLAG_DONE);
        packet
    }

    /// What came of a read.
    pub fn read(
        self,
        cookie: u64,
        range: ByteRange,
        pieces: Pieces,
        mut answer: Answer,
        last: Last,
    ) -> Packet {
        let wanted = range.length() as usize;
        if answer.troubles.is_empty() && answer.bytes.len() != wanted {
            answer.troubles.push(Trouble {
                range,
                at: None,
                errno: Errno::EIO,
                text: format!("server: {} bytes of {wanted}", answer.bytes.len()),
            });
        }
        let done = if last == Last::Yes { chunk::FLAG_DONE } else { 0 };
        match (self.is_structured, answer.troubles.first()) {
            (false, None) => {
                let heads = SimpleHeader { error: 0, cookie }.bytes().into();
                Packet { heads, parts: Vec::new(), body: answer.bytes }
            }
            (false, Some(trouble)) => {
                let error = number(trouble.errno, command::READ);
                let mut packet = self.error(cookie, error, "");
                packet.parts = vec![Part::Head(0..packet.heads.len())];
                packet.body = answer.bytes;
                packet
            }
            (true, None) => whole(cookie, range, pieces, answer.bytes, done),
            (true, Some(_)) => damaged(cookie, range, pieces, answer),
        }
    }

    /// What is known about a range: one chunk for each context, with its number and its descriptors, lengths and flags.
    pub fn status(self, cookie: u64, contexts: &[(u32, Vec<(u32, u32)>)]) -> Packet {
        let mut packet = Packet::default();
        for (index, (id, descriptors)) in contexts.iter().enumerate() {
            let flags = if index + 1 == contexts.len() { chunk::FLAG_DONE } else { 0 };
            let length = 4 + 8 * descriptors.len() as u32;
            packet.head(&ChunkHeader { flags, kind: chunk::BLOCK_STATUS, cookie, length }.bytes());
            packet.head(&id.to_be_bytes());
            for (length, flags) in descriptors {
                packet.head(&length.to_be_bytes());
                packet.head(&flags.to_be_bytes());
            }
        }
        packet
    }
}

/// Everything was read: one chunk, and one write.
fn whole(cookie: u64, range: ByteRange, pieces: Pieces, bytes: Vec<u8>, flags: u16) -> Packet {
    let at = range.start().bytes().to_be_bytes();
    let may_be_hole = pieces == Pieces::Many && range.length() >= HOLE_MIN;
    if may_be_hole && block::zero::is_zero(&bytes) {
        let header = ChunkHeader { flags, kind: chunk::OFFSET_HOLE, cookie, length: 12 };
        let heads = [&header.bytes()[..], &at, &(range.length() as u32).to_be_bytes()].concat();
        return Packet { parts: vec![Part::Head(0..heads.len())], heads, body: bytes };
    }
    let length = 8 + bytes.len() as u32;
    let mut heads = Vec::with_capacity(CHUNK_HEADER + 8);
    heads.extend(ChunkHeader { flags, kind: chunk::OFFSET_DATA, cookie, length }.bytes());
    heads.extend(at);
    Packet { heads, parts: Vec::new(), body: bytes }
}

/// Something was not read: what was, and where it was not, in order. Ends the reply, of a long read too.
fn damaged(cookie: u64, range: ByteRange, pieces: Pieces, answer: Answer) -> Packet {
    let Answer { bytes, troubles } = answer;
    let mut packet = Packet { body: bytes, ..Packet::default() };
    let has_bytes = packet.body.len() as u64 == range.length();
    let inside = |of: ByteRange| {
        let of = range.overlap(of);
        (of.start() - range.start()) as usize..(of.end() - range.start()) as usize
    };
    let is_nothing_read = troubles.iter().any(|trouble| trouble.range.covers(range));
    if pieces == Pieces::One && has_bytes && !is_nothing_read {
        for trouble in &troubles {
            if let Some(bad) = packet.body.get_mut(inside(trouble.range)) {
                bad.fill(0);
            }
        }
        data_chunk(&mut packet, cookie, range, inside(range));
    }
    let mut at = range.start();
    for (index, trouble) in troubles.iter().enumerate() {
        let good = ByteRange::between(at, trouble.range.start().min(range.end()));
        if pieces == Pieces::Many && has_bytes && !good.is_empty() {
            data_chunk(&mut packet, cookie, good, inside(good));
        }
        at = at.max(trouble.range.end());
        let rest = ByteRange::between(at.min(range.end()), range.end());
        let is_last = index + 1 == troubles.len();
        let is_end = is_last && (rest.is_empty() || pieces == Pieces::One || !has_bytes);
        let flags = if is_end { chunk::FLAG_DONE } else { 0 };
        let place = trouble.at.filter(|at| range.contains(*at));
        let error = number(trouble.errno, command::READ);
        error_chunk(&mut packet, cookie, error, place, &trouble.text, flags);
        if is_last && !is_end {
            let start = packet.heads.len();
            data_chunk(&mut packet, cookie, rest, inside(rest));
            // The flags follow the magic number.
            if let Some(flags) = packet.heads.get_mut(start + 4..start + 6) {
                flags.copy_from_slice(&chunk::FLAG_DONE.to_be_bytes());
            }
        }
    }
    packet
}

fn data_chunk(packet: &mut Packet, cookie: u64, range: ByteRange, inside: Range<usize>) {
    let length = 8 + inside.len() as u32;
    packet.head(&ChunkHeader { flags: 0, kind: chunk::OFFSET_DATA, cookie, length }.bytes());
    packet.head(&range.start().bytes().to_be_bytes());
    packet.parts.push(Part::Body(inside));
}

fn error_chunk(packet: &mut Packet, cookie: u64, error: u32, at: Option<Offset>, text: &str, flags: u16) {
    let text = &text[..text.floor_char_boundary(TEXT_MAX)];
    let kind = if at.is_some() { chunk::ERROR_OFFSET } else { chunk::ERROR };
    let length = 6 + text.len() as u32 + if at.is_some() { 8 } else { 0 };
    packet.head(&ChunkHeader { flags, kind, cookie, length }.bytes());
    packet.head(&error.to_be_bytes());
    packet.head(&(text.len() as u16).to_be_bytes());
    packet.head(text.as_bytes());
    if let Some(at) = at {
        packet.head(&at.bytes().to_be_bytes());
    }
}

/// The error number that travels for one of a system. The text tells what it really was.
pub fn number(errno: Errno, kind: u16) -> u32 {
    use nix::errno::Errno as E;
    match E::from_raw(errno.0) {
        E::EPERM | E::EROFS | E::EACCES => error::EPERM,
        E::EINVAL => error::EINVAL,
        // Not for what brings bytes: there is nothing that could be full.
        E::ENOSPC | E::EDQUOT | E::EFBIG if kind != command::READ => error::ENOSPC,
        _ => error::EIO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRUCTURED: Replies = Replies { is_structured: true };
    const SIMPLE: Replies = Replies { is_structured: false };

    fn range(start: u64, end: u64) -> ByteRange {
        ByteRange::between(Offset::new(start), Offset::new(end))
    }

    fn trouble(start: u64, end: u64) -> Trouble {
        let at = Some(Offset::new(start));
        Trouble { range: range(start, end), at, errno: Errno::EIO, text: "bad".into() }
    }

    fn bytes(length: usize) -> Vec<u8> {
        (1..=255).cycle().take(length).collect()
    }

    /// Kind, flags and payload of each chunk.
    fn chunks(packet: &Packet) -> Vec<(u16, u16, Vec<u8>)> {
        let all = packet.bytes();
        assert_eq!(all.len(), packet.length());
        let mut reader = crate::wire::Reader::new(&all);
        let mut chunks = Vec::new();
        while !reader.rest().is_empty() {
            assert_eq!(reader.u32(), Ok(crate::wire::CHUNK_MAGIC));
            let header = ChunkHeader::parse_rest(&mut reader).unwrap();
            assert_eq!(header.cookie, 7);
            chunks.push((header.kind, header.flags, reader.bytes(header.length as usize).unwrap().to_vec()));
        }
        let done: Vec<bool> = chunks.iter().map(|chunk| chunk.1 == chunk::FLAG_DONE).collect();
        assert_eq!(
            done.iter().position(|done| *done),
            Some(chunks.len() - 1),
            "DONE is on the last one only"
        );
        chunks
    }

    fn data(at: u64, bytes: &[u8]) -> Vec<u8> {
        [&at.to_be_bytes(), bytes].concat()
    }

    fn told(error: u32, text: &str, at: Option<u64>) -> Vec<u8> {
        let mut told = error.to_be_bytes().to_vec();
        told.extend((text.len() as u16).to_be_bytes());
        told.extend(text.as_bytes());
        told.extend(at.into_iter().flat_map(u64::to_be_bytes));
        told
    }

    #[test]
    fn a_healthy_read_is_one_chunk_and_its_bytes_are_not_copied() {
        let answer = Answer { bytes: bytes(4096), troubles: Vec::new() };
        let place = answer.bytes.as_ptr();
        let packet = STRUCTURED.read(7, range(512, 4608), Pieces::Many, answer, Last::Yes);
        let mut slices = Vec::new();
        packet.slices(0, |slice| {
            slices.push((slice.as_ptr(), slice.len()));
            true
        });
        assert_eq!((slices.len(), slices[1]), (2, (place, 4096)));
        assert_eq!(chunks(&packet), [(chunk::OFFSET_DATA, 1, data(512, &bytes(4096)))]);
    }

    #[test]
    fn what_was_good_before_the_bad_sector_comes_along_and_what_follows_does_not() {
        let answer = || Answer { bytes: bytes(4096), troubles: vec![trouble(1024, 4608)] };
        let packet = STRUCTURED.read(7, range(512, 4608), Pieces::Many, answer(), Last::Yes);
        let error = (chunk::ERROR_OFFSET, 1, told(error::EIO, "bad", Some(1024)));
        assert_eq!(chunks(&packet), [(chunk::OFFSET_DATA, 0, data(512, &bytes(512))), error.clone()]);
        // In one piece: zeros where nothing was read.
        let packet = STRUCTURED.read(7, range(512, 4608), Pieces::One, answer(), Last::Yes);
        let zeroed = [bytes(512), vec![0; 3584]].concat();
        assert_eq!(chunks(&packet), [(chunk::OFFSET_DATA, 0, data(512, &zeroed)), error]);
        // The first sector: nothing was good.
        let answer = Answer { bytes: bytes(4096), troubles: vec![trouble(512, 4608)] };
        let packet = STRUCTURED.read(7, range(512, 4608), Pieces::Many, answer, Last::Yes);
        assert_eq!(chunks(&packet), [(chunk::ERROR_OFFSET, 1, told(error::EIO, "bad", Some(512)))]);
    }

    #[test]
    fn a_drive_that_reads_on_tells_each_bad_run() {
        let all = bytes(4096);
        let answer =
            || Answer { bytes: bytes(4096), troubles: vec![trouble(512, 1024), trouble(2048, 2560)] };
        let errors = [512, 2048].map(|at| (chunk::ERROR_OFFSET, 0, told(error::EIO, "bad", Some(at))));
        let packet = STRUCTURED.read(7, range(0, 4096), Pieces::Many, answer(), Last::Yes);
        let expected = [
            (chunk::OFFSET_DATA, 0, data(0, &all[..512])),
            errors[0].clone(),
            (chunk::OFFSET_DATA, 0, data(1024, &all[1024..2048])),
            errors[1].clone(),
            (chunk::OFFSET_DATA, 1, data(2560, &all[2560..])),
        ];
        assert_eq!(chunks(&packet), expected);
        let packet = STRUCTURED.read(7, range(0, 4096), Pieces::One, answer(), Last::Yes);
        let found = chunks(&packet);
        assert_eq!(found.len(), 3);
        assert_eq!(found[1], errors[0]);
        assert!(found[0].2[8 + 512..8 + 1024].iter().all(|byte| *byte == 0));
        assert_eq!(found[0].2[8 + 1024..8 + 2048], all[1024..2048]);
    }

    #[test]
    fn a_command_that_failed_as_a_whole_brings_the_error_alone() {
        let failed = || Answer {
            bytes: Vec::new(),
            troubles: vec![Trouble { at: None, errno: Errno::ENODEV, ..trouble(0, 4096) }],
        };
        for pieces in [Pieces::Many, Pieces::One] {
            let packet = STRUCTURED.read(7, range(0, 4096), pieces, failed(), Last::Yes);
            assert_eq!(chunks(&packet), [(chunk::ERROR, 1, told(error::EIO, "bad", None))]);
        }
        let packet = SIMPLE.read(7, range(0, 4096), Pieces::Many, failed(), Last::Yes);
        assert_eq!(packet.bytes(), SimpleHeader { error: error::EIO, cookie: 7 }.bytes());
    }

    #[test]
    fn without_structure_a_damaged_read_brings_no_bytes() {
        let answer = Answer { bytes: bytes(4096), troubles: vec![trouble(512, 4096)] };
        let packet = SIMPLE.read(7, range(0, 4096), Pieces::Many, answer, Last::Yes);
        assert_eq!(packet.bytes(), SimpleHeader { error: error::EIO, cookie: 7 }.bytes());
        assert_eq!(packet.into_body().len(), 4096, "and the buffer can be used again");
        let answer = Answer { bytes: bytes(512), troubles: Vec::new() };
        let packet = SIMPLE.read(7, range(0, 512), Pieces::Many, answer, Last::Yes);
        let expected = [&SimpleHeader { error: 0, cookie: 7 }.bytes()[..], &bytes(512)].concat();
        assert_eq!(packet.bytes(), expected);
    }

    #[test]
    fn zeros_travel_as_a_hole_unless_they_are_few_or_must_be_one_piece() {
        let zeros = |length| Answer { bytes: vec![0; length], troubles: Vec::new() };
        let packet = STRUCTURED.read(7, range(4096, 12288), Pieces::Many, zeros(8192), Last::Yes);
        let hole = [&4096u64.to_be_bytes()[..], &8192u32.to_be_bytes()].concat();
        assert_eq!(chunks(&packet), [(chunk::OFFSET_HOLE, 1, hole)]);
        for (length, pieces) in [(512, Pieces::Many), (8192, Pieces::One)] {
            let packet = STRUCTURED.read(7, range(0, length), pieces, zeros(length as usize), Last::Yes);
            assert_eq!(chunks(&packet)[0].0, chunk::OFFSET_DATA);
        }
    }

    #[test]
    fn a_device_that_brings_too_little_is_not_believed() {
        for length in [0, 100, 511, 513] {
            let answer = Answer { bytes: bytes(length), troubles: Vec::new() };
            let packet = STRUCTURED.read(7, range(0, 512), Pieces::Many, answer, Last::Yes);
            assert_eq!(chunks(&packet)[0].0, chunk::ERROR);
        }
    }

    #[test]
    fn a_part_of_a_long_read_leaves_the_reply_open() {
        let answer = Answer { bytes: bytes(4096), troubles: Vec::new() };
        let packet = STRUCTURED.read(7, range(0, 4096), Pieces::Many, answer, Last::No);
        assert_eq!(packet.bytes()[4..6], [0, 0]);
    }

    #[test]
    fn errors_of_writes_name_the_first_bad_byte_and_errors_of_systems_become_the_few_that_travel() {
        let answer = Answer { bytes: Vec::new(), troubles: vec![trouble(512, 1024)] };
        let packet = STRUCTURED.outcome(7, command::WRITE, range(0, 1024), &answer);
        assert_eq!(chunks(&packet), [(chunk::ERROR_OFFSET, 1, told(error::EIO, "bad", Some(512)))]);
        let packet = SIMPLE.outcome(7, command::WRITE, range(0, 1024), &answer);
        assert_eq!(packet.bytes(), SimpleHeader { error: error::EIO, cookie: 7 }.bytes());
        for (errno, expected) in [
            (Errno::EROFS, error::EPERM),
            (Errno::ENOSPC, error::ENOSPC),
            (Errno(nix::libc::EDQUOT), error::ENOSPC),
            (Errno(nix::libc::EFBIG), error::ENOSPC),
            (Errno::ENODEV, error::EIO),
            (Errno(nix::libc::ENXIO), error::EIO),
            (Errno::ETIMEDOUT, error::EIO),
            (Errno::EILSEQ, error::EIO),
            (Errno::ENODATA, error::EIO),
            (Errno(nix::libc::EREMOTEIO), error::EIO),
            (Errno(nix::libc::ENOMEM), error::EIO),
            (Errno(nix::libc::EOVERFLOW), error::EIO),
            (Errno(nix::libc::EOPNOTSUPP), error::EIO),
            (Errno(nix::libc::ESHUTDOWN), error::EIO),
            (Errno(12345), error::EIO),
        ] {
            assert_eq!(number(errno, command::WRITE), expected, "{errno}");
        }
    }

    #[test]
    fn contexts_are_told_one_chunk_each() {
        let packet = STRUCTURED.status(7, &[(1, vec![(512, 0), (1024, 3)]), (2, vec![(1536, 1)])]);
        let numbers =
            |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<_>>();
        let expected = [
            (chunk::BLOCK_STATUS, 0, numbers(&[1, 512, 0, 1024, 3])),
            (chunk::BLOCK_STATUS, 1, numbers(&[2, 1536, 1])),
        ];
        assert_eq!(chunks(&packet), expected);
    }

    #[test]
    fn a_packet_goes_on_where_it_was_left() {
        let answer = Answer { bytes: bytes(4096), troubles: vec![trouble(1024, 2048)] };
        let packet = STRUCTURED.read(7, range(0, 4096), Pieces::Many, answer, Last::Yes);
        let all = packet.bytes();
        for skip in [0, 1, 27, 28, 29, 1051, 1052, 1060, all.len() - 1, all.len()] {
            let mut rest = Vec::new();
            packet.slices(skip, |slice| {
                rest.extend_from_slice(&slice);
                true
            });
            assert_eq!(rest, all[skip..], "{skip}");
        }
    }
}
