//! What is asked, from the server's side.
//!
//! Owns which requests are allowed, and with which error the others are refused. Must not know sockets, devices, nor what
//! comes of a request.

use block::{ByteRange, Offset};

use crate::terms::{PAYLOAD_MAX, Terms};
use crate::wire::{RequestHeader, command, error};

/// Longest payload that is passed over when its request is refused, in bytes; whoever announces more is left.
pub const DRAIN_MAX: u32 = 64 << 20;

/// Longest read that is answered in pieces, in bytes.
pub const LONG_READ_MAX: u32 = 256 << 20;

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Bring the bytes of the range.
    Read {
        /// Where.
        range: ByteRange,
        /// In how many pieces.
        pieces: Pieces,
    },
    /// Keep the payload.
    Write {
        /// Where.
        range: ByteRange,
        /// When the reply may leave.
        durable: Durable,
    },
    /// Make everything durable.
    Flush,
    /// Give space back.
    Trim {
        /// Where.
        range: ByteRange,
        /// When the reply may leave.
        durable: Durable,
    },
    /// Read, but keep the bytes.
    Cache(ByteRange),
    /// Write zeros.
    Zero {
        /// Where.
        range: ByteRange,
        /// Whether space may be given back.
        may_trim: bool,
        /// When the reply may leave.
        durable: Durable,
    },
    /// Tell of contexts.
    Status {
        /// Where.
        range: ByteRange,
        /// How much.
        detail: Detail,
    },
    /// Say that all is well: no byte is asked for.
    Nothing,
    /// The client leaves.
    Leave,
    /// Say no.
    Refuse(Refusal),
}

/// In how many pieces the bytes of a read may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pieces {
    /// Any number.
    Many,
    /// One.
    One,
}

/// When a reply to something that writes may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    /// When it is durable.
    First,
    /// When it is done.
    Later,
}

/// How much BLOCK_STATUS tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// All of the range, if that is not too much.
    All,
    /// One descriptor.
    One,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// See [`error`].
    pub error: u32,
    /// For people.
    pub text: &'static str,
}

/// What follows the header of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Nothing, or so many bytes.
    Bytes(u32),
    /// More than anybody reads.
    TooLong,
}

/// What follows a header, whatever becomes of its request.
pub fn payload(header: &RequestHeader) -> Payload {
    match header.kind {
        command::WRITE if header.length > DRAIN_MAX => Payload::TooLong,
        command::WRITE => Payload::Bytes(header.length),
        _ => Payload::Bytes(0),
    }
}

/// Decides what to do with a request. Nothing of what it says has been looked at before.
pub fn judge(header: &RequestHeader, terms: &Terms) -> Order {
    match decide(header, terms) {
        Ok(order) => order,
        Err((error, text)) => Order::Refuse(Refusal { error, text }),
    }
}

fn decide(header: &RequestHeader, terms: &Terms) -> Result<Order, (u32, &'static str)> {
    let RequestHeader { flags, kind, offset, length, .. } = *header;
    let allowed = match kind {
        // There is no reply that could tell an error.
        command::DISC => return Ok(Order::Leave),
        command::READ => command::FLAG_DF | command::FLAG_FUA,
        command::WRITE | command::TRIM | command::FLUSH => command::FLAG_FUA,
        command::CACHE => 0,
        command::WRITE_ZEROES => command::FLAG_FUA | command::FLAG_NO_HOLE | command::FLAG_FAST_ZERO,
        command::BLOCK_STATUS => command::FLAG_REQ_ONE,
        _ => return Err((error::EINVAL, "a command that is not known here")),
    };
    if flags & !allowed != 0 {
        return Err((error::EINVAL, "a flag that this command does not have"));
    }
    // Who did not agree on structure cannot ask for less of it.
    if flags & command::FLAG_DF != 0 && !terms.is_structured {
        return Err((error::EINVAL, "DF without structured replies"));
    }
    let writes = matches!(kind, command::WRITE | command::TRIM | command::WRITE_ZEROES);
    if writes && !terms.is_writable() {
        return Err((error::EPERM, "this export is read-only"));
    }
    if kind == command::FLUSH {
        return match (offset, length) {
            (0, 0) => Ok(Order::Flush),
            _ => Err((error::EINVAL, "FLUSH takes neither offset nor length")),
        };
    }
    if offset.checked_add(u64::from(length)).is_none_or(|end| end > terms.size) {
        return Err(match kind {
            command::WRITE | command::WRITE_ZEROES => (error::ENOSPC, "beyond the end of the export"),
            _ => (error::EINVAL, "beyond the end of the export"),
        });
    }
    if !offset.is_multiple_of(u64::from(terms.block)) || !length.is_multiple_of(terms.block) {
        return Err((error::EINVAL, "not in whole blocks of the smallest size that was told"));
    }
    let sector = u64::from(terms.sector);
    if writes && !(offset.is_multiple_of(sector) && u64::from(length).is_multiple_of(sector)) {
        return Err((error::EINVAL, "not in whole sectors: parts of one can only be read"));
    }
    let is_one = flags & command::FLAG_DF != 0;
    match kind {
        command::READ if length > PAYLOAD_MAX => {
            if !terms.is_structured {
                return Err((error::EINVAL, "more than 32 MiB at a time"));
            }
            if is_one || length > LONG_READ_MAX {
                return Err((error::EOVERFLOW, "more than one reply may hold"));
            }
        }
        command::WRITE if length > PAYLOAD_MAX => {
            return Err((error::EINVAL, "more than 32 MiB at a time"));
        }
        command::BLOCK_STATUS if terms.contexts.is_empty() => {
            return Err((error::EINVAL, "no context was chosen for this export"));
        }
        command::BLOCK_STATUS if length == 0 => {
            return Err((error::EINVAL, "the status of no bytes"));
        }
        command::WRITE_ZEROES if flags & command::FLAG_FAST_ZERO != 0 => {
            return Err((error::ENOTSUP, "zeros take as long as any other bytes"));
        }
        _ => {}
    }
    if length == 0 {
        return Ok(Order::Nothing);
    }
    let range = ByteRange::new(Offset::new(offset), u64::from(length));
    let durable = match flags & command::FLAG_FUA != 0 {
        true => Durable::First,
        false => Durable::Later,
    };
    Ok(match kind {
        command::READ => Order::Read { range, pieces: if is_one { Pieces::One } else { Pieces::Many } },
        command::WRITE => Order::Write { range, durable },
        command::TRIM => Order::Trim { range, durable },
        command::CACHE => Order::Cache(range),
        command::WRITE_ZEROES => Order::Zero { range, may_trim: flags & command::FLAG_NO_HOLE == 0, durable },
        _ => {
            let is_one = flags & command::FLAG_REQ_ONE != 0;
            Order::Status { range, detail: if is_one { Detail::One } else { Detail::All } }
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::terms::Context;
    use crate::wire::export;

    fn terms() -> Terms {
        Terms {
            size: 1 << 30,
            block: 512,
            sector: 512,
            preferred: 4096,
            flags: export::HAS_FLAGS,
            is_structured: true,
            contexts: vec![Context::Allocation],
        }
    }

    fn header(kind: u16, flags: u16, offset: u64, length: u32) -> RequestHeader {
        RequestHeader { flags, kind, cookie: 0, offset, length }
    }

    fn refused(terms: &Terms, kind: u16, flags: u16, offset: u64, length: u32) -> Option<u32> {
        match judge(&header(kind, flags, offset, length), terms) {
            Order::Refuse(refusal) => Some(refusal.error),
            _ => None,
        }
    }

    #[test]
    fn commands_and_flags_come_before_everything_else() {
        use command::*;
        let read_only = Terms { flags: export::HAS_FLAGS | export::READ_ONLY, ..terms() };
        for kind in [8, 9, 99, u16::MAX] {
            assert_eq!(refused(&read_only, kind, 0, u64::MAX, u32::MAX), Some(error::EINVAL), "{kind}");
        }
        let flags = [FLAG_FUA, FLAG_NO_HOLE, FLAG_DF, FLAG_REQ_ONE, FLAG_FAST_ZERO, 1 << 5, 1 << 15];
        for (kind, allowed) in [
            (READ, FLAG_DF | FLAG_FUA),
            (WRITE, FLAG_FUA),
            (FLUSH, FLAG_FUA),
            (TRIM, FLAG_FUA),
            (CACHE, 0),
            (WRITE_ZEROES, FLAG_FUA | FLAG_NO_HOLE | FLAG_FAST_ZERO),
            (BLOCK_STATUS, FLAG_REQ_ONE),
        ] {
            for flag in flags {
                let length = if kind == FLUSH { 0 } else { 512 };
                // Even on what cannot be written: a flag that nobody knows is found first.
                let expected = match flag & allowed != 0 {
                    true if kind == WRITE_ZEROES && flag == FLAG_FAST_ZERO => Some(error::ENOTSUP),
                    true => None,
                    false => Some(error::EINVAL),
                };
                assert_eq!(refused(&terms(), kind, flag, 0, length), expected, "{kind} {flag}");
                if flag & allowed == 0 {
                    assert_eq!(refused(&read_only, kind, flag, 0, length), Some(error::EINVAL));
                }
            }
        }
        for kind in [WRITE, TRIM, WRITE_ZEROES] {
            // Read-only comes before the end and before sectors.
            assert_eq!(refused(&read_only, kind, 0, u64::MAX, 513), Some(error::EPERM));
        }
        assert_eq!(refused(&read_only, FLUSH, 0, 0, 0), None);
    }

    #[test]
    fn the_end_comes_before_sectors_and_sectors_before_sizes() {
        use command::*;
        let size = terms().size;
        for kind in [READ, WRITE, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS] {
            let beyond = if matches!(kind, WRITE | WRITE_ZEROES) { error::ENOSPC } else { error::EINVAL };
            for (offset, length) in [
                (size, 512),
                (size - 512, 1024),
                (size - 1, 513),
                (u64::MAX, 1),
                (u64::MAX - 511, 512),
                (u64::MAX - 512, u32::MAX),
                (1 << 63, 512),
            ] {
                assert_eq!(refused(&terms(), kind, 0, offset, length), Some(beyond), "{kind} {offset}");
            }
            for (offset, length) in [(1, 512), (0, 1), (511, 513), (0, (33 << 20) + 1)] {
                assert_eq!(
                    refused(&terms(), kind, 0, offset, length),
                    Some(error::EINVAL),
                    "{kind} {offset}"
                );
            }
            assert_eq!(refused(&terms(), kind, 0, size - 512, 512), None);
        }
        assert_eq!(refused(&terms(), FLUSH, 0, 512, 0), Some(error::EINVAL));
        assert_eq!(refused(&terms(), FLUSH, 0, 0, 512), Some(error::EINVAL));
    }

    #[test]
    fn sizes_have_limits_where_bytes_travel() {
        use command::*;
        let simple = Terms { is_structured: false, contexts: Vec::new(), ..terms() };
        let (most, more) = (PAYLOAD_MAX, PAYLOAD_MAX + 512);
        assert_eq!(refused(&simple, READ, 0, 0, most), None);
        assert_eq!(refused(&simple, READ, 0, 0, more), Some(error::EINVAL));
        assert_eq!(refused(&simple, READ, FLAG_DF, 0, 512), Some(error::EINVAL));
        assert_eq!(refused(&terms(), READ, 0, 0, more), None);
        assert_eq!(refused(&terms(), READ, 0, 0, LONG_READ_MAX), None);
        assert_eq!(refused(&terms(), READ, 0, 0, LONG_READ_MAX + 512), Some(error::EOVERFLOW));
        assert_eq!(refused(&terms(), READ, FLAG_DF, 0, most), None);
        assert_eq!(refused(&terms(), READ, FLAG_DF, 0, more), Some(error::EOVERFLOW));
        assert_eq!(refused(&terms(), WRITE, 0, 0, most), None);
        assert_eq!(refused(&terms(), WRITE, 0, 0, more), Some(error::EINVAL));
        for kind in [TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS] {
            assert_eq!(refused(&terms(), kind, 0, 0, 1 << 30), None, "{kind}");
        }
        assert_eq!(payload(&header(WRITE, 0, 0, DRAIN_MAX)), Payload::Bytes(DRAIN_MAX));
        assert_eq!(payload(&header(WRITE, 0xffff, 0, DRAIN_MAX + 1)), Payload::TooLong);
        assert_eq!(payload(&header(99, 0, 0, 1 << 20)), Payload::Bytes(0));
    }

    #[test]
    fn no_bytes_are_no_trouble_but_have_no_status() {
        use command::*;
        for kind in [READ, WRITE, TRIM, CACHE, WRITE_ZEROES] {
            assert_eq!(judge(&header(kind, 0, 1 << 30, 0), &terms()), Order::Nothing, "{kind}");
            assert_ne!(judge(&header(kind, 0, (1 << 30) + 512, 0), &terms()), Order::Nothing, "{kind}");
        }
        assert_eq!(refused(&terms(), BLOCK_STATUS, 0, 0, 0), Some(error::EINVAL));
        let blind = Terms { contexts: Vec::new(), ..terms() };
        assert_eq!(refused(&blind, BLOCK_STATUS, 0, 0, 512), Some(error::EINVAL));
    }

    #[test]
    fn parts_of_sectors_are_read_and_not_written() {
        use command::*;
        let terms = Terms { block: 1, ..terms() };
        for kind in [READ, CACHE, BLOCK_STATUS] {
            assert_eq!(refused(&terms, kind, 0, 7, 1000), None, "{kind}");
        }
        for kind in [WRITE, TRIM, WRITE_ZEROES] {
            assert_eq!(refused(&terms, kind, 0, 7, 1000), Some(error::EINVAL), "{kind}");
            assert_eq!(refused(&terms, kind, 0, 512, 1000), Some(error::EINVAL), "{kind}");
            assert_eq!(refused(&terms, kind, 0, 512, 1024), None, "{kind}");
        }
    }

    proptest! {
        #[test]
        fn what_is_allowed_lies_within_the_export(kind in 0u16..9, flags in 0u16..32, offset: u64, length: u32,
                                                  structured: bool) {
            let terms = Terms { is_structured: structured, ..terms() };
            // Half of them near the export.
            for offset in [offset, offset % (1 << 31) / 512 * 512] {
                for length in [length, length % (1 << 21) / 512 * 512] {
                    let range = match judge(&header(kind, flags, offset, length), &terms) {
                        Order::Read { range, .. } | Order::Write { range, .. } | Order::Trim { range, .. } => range,
                        Order::Cache(range) | Order::Zero { range, .. } | Order::Status { range, .. } => range,
                        _ => continue,
                    };
                    prop_assert_eq!((range.start().bytes(), range.length()), (offset, u64::from(length)));
                    prop_assert!(range.end().bytes() <= terms.size && !range.is_empty());
                    prop_assert!(offset % 512 == 0 && length % 512 == 0);
                }
            }
        }
    }
}
