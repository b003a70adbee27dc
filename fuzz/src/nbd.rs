//! What clients of the network block device server may send.
//!
//! Owns the targets for its negotiation and its requests. Must not know sockets.

use std::sync::Arc;

use nbd_server::handshake::{Encryption, Handshake, Manners, Progress};
use nbd_server::terms::{Context, Terms};
use nbd_server::transmission::{self, DRAIN_MAX, LONG_READ_MAX, Order, Payload};
use nbd_server::wire::{OptionReplyHeader, Reader, RequestHeader, export, option_reply};
use serving::{Device, Exports, Facts, OpenError, Outlet, Reply, Request};

struct Disk;

impl Device for Disk {
    fn facts(&self) -> Facts {
        Facts {
            size: 1 << 30,
            logical_sector: 512,
            physical_sector: 4096,
            rotates: true,
            is_writable: true,
            has_health: true,
            description: "a disk".into(),
        }
    }

    fn attach(&self) -> Result<(), serving::AttachError> {
        panic!("who negotiates does not meet the device");
    }

    fn detach(&self, _: &Arc<dyn Outlet>) {}

    fn submit(&self, _: Request, _: u64, _: &Arc<dyn Outlet>) -> Option<Reply> {
        panic!("who negotiates does not meet the device");
    }
}

struct Disks;

impl Exports for Disks {
    fn list(&self) -> Vec<(String, String)> {
        vec![("disk".into(), "first".into()), ("other".into(), "second".into())]
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Device>, OpenError> {
        match name {
            "" | "disk" | "other" => Ok(Arc::new(Disk)),
            "broken" => Err(OpenError::Failed("it is broken".into())),
            _ => Err(OpenError::Unknown),
        }
    }
}

/// Runs a negotiation over bytes that come in pieces; returns all that was said, how much was used, and how it ended.
fn negotiate(bytes: &[u8], piece: usize, encryption: Encryption) -> (Vec<u8>, usize, &'static str) {
    let mut handshake = Handshake::new(&Disks, Manners { encryption, ..Manners::default() });
    let (mut said, mut used, mut end) = (handshake.output(), 0, "more");
    assert_eq!(said.len(), 18);
    'pieces: for piece in bytes.chunks(piece) {
        let mut rest = piece;
        loop {
            let before = rest.len();
            let progress = handshake.advance(&mut rest);
            used += before - rest.len();
            let output = handshake.output();
            assert!(output.len() <= 2 * 4096 + 1024, "an answer of {} bytes", output.len());
            said.extend(output);
            match progress {
                Progress::More => break,
                Progress::Answered => {}
                Progress::StartTls => {
                    assert_eq!(encryption, Encryption::Offered);
                    handshake.secured();
                }
                Progress::Opened(opened) => {
                    assert_eq!(opened.terms.size, 1 << 30);
                    end = "opened";
                    break 'pieces;
                }
                Progress::Closed(reason) => {
                    assert!(!reason.is_empty());
                    end = "closed";
                    break 'pieces;
                }
            }
        }
    }
    (said, used, end)
}

/// Negotiations: however the bytes are cut, the same is said; every answer can be read; nothing is announced that does
/// not come.
pub fn options(bytes: &[u8]) {
    for encryption in [Encryption::None, Encryption::Offered, Encryption::Required] {
        let encryption = match encryption {
            // Whoever begins with it is as good as encrypted.
            Encryption::Required => Encryption::Active,
            other => other,
        };
        let whole = negotiate(bytes, bytes.len().max(1), encryption);
        for piece in [1, 7, 4096] {
            let cut = negotiate(bytes, piece, encryption);
            assert_eq!(cut, whole, "cut in pieces of {piece}");
        }
        let (said, used, end) = whole;
        assert!(used <= bytes.len());
        let mut reader = Reader::new(&said[18..]);
        while reader.rest().len() >= 20 {
            let head = reader.bytes(20).expect("20 bytes");
            let Ok(header) = OptionReplyHeader::parse(head.first_chunk().expect("20 bytes")) else {
                // The answer to EXPORT_NAME has no header, and is the last.
                assert_eq!(end, "opened");
                break;
            };
            let data = reader.bytes(header.length as usize).expect("what was announced");
            if header.kind & option_reply::ERROR != 0 {
                assert!(data.len() <= 1024);
                std::str::from_utf8(data).expect("errors can be read");
            }
        }
    }
}

/// Requests: what is allowed lies within the disk, what follows has an end, and refusals are of the few that travel.
pub fn requests(bytes: &[u8]) {
    let flags = [export::HAS_FLAGS, export::HAS_FLAGS | export::READ_ONLY];
    for (index, chunk) in bytes.chunks(28).enumerate() {
        let Some(head) = chunk.first_chunk() else { return };
        let Ok(header) = RequestHeader::parse(head) else { continue };
        assert_eq!(header.bytes(), *head);
        let terms = Terms {
            size: 1 << 30,
            block: [512, 1][index % 2],
            sector: 512,
            preferred: 4096,
            flags: flags[index / 2 % 2],
            is_structured: index / 4 % 2 == 0,
            contexts: vec![Context::Allocation],
        };
        match transmission::payload(&header) {
            Payload::Bytes(count) => assert!(count <= DRAIN_MAX),
            Payload::TooLong => assert!(header.length > DRAIN_MAX),
        }
        let range = match transmission::judge(&header, &terms) {
            Order::Read { range, .. } => {
                assert!(range.length() <= u64::from(LONG_READ_MAX));
                range
            }
            Order::Write { range, .. } | Order::Trim { range, .. } | Order::Zero { range, .. } => {
                assert!(terms.is_writable());
                range
            }
            Order::Cache(range) | Order::Status { range, .. } => range,
            Order::Refuse(refusal) => {
                assert!([1, 22, 28, 75, 95].contains(&refusal.error));
                assert!(!refusal.text.is_empty());
                continue;
            }
            Order::Flush | Order::Nothing | Order::Leave => continue,
        };
        assert_eq!((range.start().bytes(), range.length()), (header.offset, u64::from(header.length)));
        assert!(!range.is_empty() && range.end().bytes() <= terms.size);
        assert!(range.start().is_multiple_of(u64::from(terms.block)));
        assert!(range.length().is_multiple_of(u64::from(terms.block)));
    }
}
