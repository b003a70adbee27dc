//! The client, and servers that do right and wrong.
//!
//! Number of seeds: `DISKWRIGHT_SEEDS`; 200, and 20 with our own server, unless set.

mod both;
mod connections;
mod replies;

use std::ops::Range;

use block::{
    BlockSource, Damage, Errno, Good, Nanos, Offset, Patience, ReadReply, ReadRequest, SourceError, buffer,
};
use nbd_server::client::{NbdOptions, NbdSource, Uri};
use rig::nbd_script::replies as send;
use rig::{Act, Asked, Content, NbdScript, ScriptOptions};

const CONTENT: u64 = 5;

fn content() -> Content {
    Content::new(CONTENT)
}

/// Answers as a server should, without the bytes in `bad`.
fn healthy(bad: Vec<Range<u64>>) -> impl Fn(Asked) -> Vec<Act> + Send + Sync {
    move |asked| vec![Act::Send(send::read(asked, content(), &bad))]
}

fn try_open(server: &NbdScript, options: NbdOptions) -> Result<NbdSource, SourceError> {
    let uri = Uri::parse(&server.uri()).expect("an address").unwrap_or_else(|e| panic!("{e}"));
    NbdSource::open(uri, options)
}

#[track_caller]
fn open(server: &NbdScript) -> NbdSource {
    try_open(server, NbdOptions::default()).unwrap_or_else(|e| panic!("{e}"))
}

/// Reads, and makes sure that every good byte is the export's.
#[track_caller]
fn read(source: &mut NbdSource, at: u64, length: usize) -> Result<ReadReply, SourceError> {
    let mut bytes = vec![0xEE; length];
    let reply = source.read_at(Offset::new(at), &mut bytes, Patience::Endless)?;
    for piece in reply.pieces(length) {
        let truth = content().bytes(at + piece.start as u64, piece.len());
        assert!(bytes[piece.clone()] == truth, "{piece:?} at {at} holds something else");
    }
    Ok(reply)
}

fn damaged(good: Good, at: u64) -> ReadReply {
    ReadReply { good, damage: Some(Damage { errno: Errno::EIO, at: Some(Offset::new(at)) }) }
}

/// A read on its way.
fn request(at: u64, length: usize) -> ReadRequest {
    ReadRequest { at: Offset::new(at), length, buffer: buffer::zeroed(length) }
}
