//! Reads, one by one or ahead of those who want them.
//!
//! Owns buffers, reads in flight and the holes of the source. Must not know maps, sinks or strategies.
//!
//! Far from damage a sweep is read in pieces, several at a time where the source likes that. A piece is a row of whole
//! requests. One that does not come back whole is never shown: the reader says so, drops all that is ahead, waits
//! until the source has nothing in flight, and goes on one request at a time.

use std::collections::{BTreeMap, VecDeque};

use block::{
    BlockSource, Buffer, ByteRange, Completion, ExtentKind, Good, Nanos, Offset, Patience, ReadQueue,
    ReadReply, ReadRequest, SourceError, Ticket, buffer,
};

use crate::Sweep;

/// What is not read is passed over in pieces of this many bytes, so that a signal is heard soon.
const HOLE_PIECE_BYTES: u64 = 64 << 20;
/// How far ahead the source is asked about holes, in bytes.
const EXTENTS_BYTES: u64 = 1 << 30;

/// Reads for the loop.
pub(crate) struct Reader<'a> {
    pub(crate) source: &'a mut dyn BlockSource,
    pool: Vec<Buffer>,
    pieces: VecDeque<Piece>,
    arrived: BTreeMap<Ticket, Completion>,
    /// The sweep that the pieces belong to and where the next piece begins.
    plan: Option<(Sweep, Offset)>,
    /// A single read on its way.
    single: Option<Ticket>,
    /// A single read that nobody waits for any more.
    left_behind: Option<LeftBehind>,
    /// What is known about holes: a stretch of one kind.
    extent: Option<block::Extent>,
    /// Whether data is not read, because the destination can share it.
    shares: bool,
}

struct Piece {
    range: ByteRange,
    how: Asked,
}

/// How a piece comes to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// By a read.
    Read(Ticket),
    /// A hole, which nobody reads.
    Hole,
    /// Data that can be shared, which nobody reads.
    Shareable,
}

/// A read that took too long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeftBehind {
    ticket: Ticket,
    /// What it was to read.
    pub(crate) range: ByteRange,
    /// When it began.
    pub(crate) started: Nanos,
}

/// A piece of a sweep.
pub(crate) enum Fetched {
    /// Read whole.
    Data { range: ByteRange, buffer: Buffer },
    /// Zeros that nobody stored.
    Hole { range: ByteRange },
    /// Data that nobody has read, for the destination to share.
    Shareable { range: ByteRange },
    /// Did not come back whole; read it request by request.
    Broken,
}

impl<'a> Reader<'a> {
    /// Reads from `source`; if `shares`, only what its file cannot share.
    pub(crate) fn new(source: &'a mut dyn BlockSource, shares: bool) -> Reader<'a> {
        let shares = shares && source.shareable().is_some();
        Reader {
            source,
            shares,
            pool: Vec::new(),
            pieces: VecDeque::new(),
            arrived: BTreeMap::new(),
            plan: None,
            single: None,
            left_behind: None,
            extent: None,
        }
    }

    /// Whether reading ahead can help at requests of `unit` bytes.
    pub(crate) fn reads_ahead(&mut self, unit: u64) -> bool {
        let abilities = self.source.abilities();
        abilities.in_flight_max > 1 && unit <= abilities.piece_bytes as u64 && self.source.queue().is_some()
    }

    /// Returns the next piece of a sweep that stands at `at`; `None` if it has not arrived after `wait`.
    pub(crate) fn piece(&mut self, sweep: &Sweep, at: Offset, wait: Option<Nanos>) -> Option<Fetched> {
        let continues = self.plan.as_ref().is_some_and(|(planned, _)| planned == sweep)
            && self.pieces.front().is_none_or(|piece| near_end(piece.range, sweep) == at);
        if !continues {
            self.drop_ahead();
            self.plan = Some((sweep.clone(), at));
        }
        self.fill(sweep);
        // What an earlier sweep asked for may keep the source busy.
        while self.pieces.is_empty() && self.queue_len() > 0 {
            self.receive(wait)?;
            self.fill(sweep);
        }
        let Some(first) = self.pieces.front() else { return Some(Fetched::Broken) };
        let range = first.range;
        let ticket = match first.how {
            Asked::Read(ticket) => ticket,
            how => {
                self.pieces.pop_front();
                let is_hole = how == Asked::Hole;
                return Some(if is_hole { Fetched::Hole { range } } else { Fetched::Shareable { range } });
            }
        };
        let completion = self.await_ticket(ticket, wait)?;
        self.pieces.pop_front();
        match completion.result {
            Ok(ReadReply { good: Good::All, damage: None }) => {
                // The next pieces are asked for before this one is written, so that both happen at once.
                self.fill(sweep);
                Some(Fetched::Data { range, buffer: completion.buffer })
            }
            _ => {
                self.pool.push(completion.buffer);
                self.drop_ahead();
                Some(Fetched::Broken)
            }
        }
    }

    /// Drops what is read ahead, and waits until the source has nothing in flight; `None` if it has after `wait`.
    pub(crate) fn quiet(&mut self, wait: Option<Nanos>) -> Option<()> {
        self.drop_ahead();
        while self.single.is_none() && self.queue_len() > 0 {
            self.receive(wait)?;
        }
        Some(())
    }

    /// Reads `range` alone; `None` if it has not arrived after `wait`: then ask again for the same range.
    pub(crate) fn single(
        &mut self,
        range: ByteRange,
        patience: Patience,
        wait: Option<Nanos>,
    ) -> Option<(Buffer, Result<ReadReply, SourceError>)> {
        self.quiet(wait)?;
        let length = range.length() as usize;
        let ticket = match self.single {
            Some(ticket) => ticket,
            None => {
                let late = self.left_behind.map(|late| late.ticket);
                self.arrived.retain(|ticket, _| Some(*ticket) == late);
                let mut buffer = self.buffer(length);
                match (wait, self.source.queue()) {
                    (Some(_), Some(queue)) => {
                        let ticket = queue.submit(ReadRequest { at: range.start(), length, buffer });
                        self.single = Some(ticket);
                        ticket
                    }
                    _ => {
                        let reply = self.source.read_at(range.start(), &mut buffer[..length], patience);
                        return Some((buffer, reply));
                    }
                }
            }
        };
        let completion = self.await_ticket(ticket, wait)?;
        self.single = None;
        Some((completion.buffer, completion.result))
    }

    /// Leaves the single read of `range` behind that began at `started`.
    pub(crate) fn leave_behind(&mut self, range: ByteRange, started: Nanos) {
        self.left_behind = self.single.take().map(|ticket| LeftBehind { ticket, range, started });
    }

    /// The read that was left behind, until [`Reader::late`] has returned it.
    pub(crate) fn left_behind(&self) -> Option<LeftBehind> {
        self.left_behind
    }

    /// What a read brought that was left behind: a buffer and the number of good bytes in it. `None` if it has not
    /// arrived after `wait`.
    pub(crate) fn late(&mut self, late: LeftBehind, wait: Option<Nanos>) -> Option<(Buffer, usize)> {
        let Completion { buffer, result, .. } = self.await_ticket(late.ticket, wait)?;
        self.left_behind = None;
        let good = result.map_or(0, |reply| reply.good_bytes(late.range.length() as usize));
        Some((buffer, good))
    }

    /// Takes a buffer back.
    pub(crate) fn recycle(&mut self, buffer: Buffer) {
        self.pool.push(buffer);
    }

    /// The destination cannot share what the source holds.
    pub(crate) fn share_no_more(&mut self) {
        self.shares = false;
        self.drop_ahead();
    }

    /// The source may be another one now.
    pub(crate) fn forget_extents(&mut self) {
        self.extent = None;
    }

    fn fill(&mut self, sweep: &Sweep) {
        let abilities = self.source.abilities();
        let piece_bytes = (abilities.piece_bytes as u64 / sweep.unit * sweep.unit).max(sweep.unit);
        while self.pieces.len() < abilities.in_flight_max && self.queue_len() < abilities.in_flight_max {
            let Some((_, next)) = self.plan else { return };
            let Some(range) = sweep.piece_at(next, piece_bytes) else { return };
            let (range, how) = match self.unread_at(sweep, next) {
                Some((range, ExtentKind::Hole)) => (range, Asked::Hole),
                Some((range, ExtentKind::Data)) => (range, Asked::Shareable),
                None => {
                    let length = range.length() as usize;
                    let buffer = self.buffer(length);
                    let Some(queue) = self.source.queue() else { return };
                    (range, Asked::Read(queue.submit(ReadRequest { at: range.start(), length, buffer })))
                }
            };
            self.plan = Some((sweep.clone(), sweep.after(range)));
            self.pieces.push_back(Piece { range, how });
        }
    }

    /// Returns a row of whole requests at `at` that need not be read, as it lies in a hole, or in data that can be shared.
    fn unread_at(&mut self, sweep: &Sweep, at: Offset) -> Option<(ByteRange, ExtentKind)> {
        let byte = match sweep.direction {
            crate::Direction::Forwards => at,
            crate::Direction::Backwards => at.saturating_back(1),
        };
        if !self.extent.is_some_and(|extent| extent.range.contains(byte)) {
            let ahead = match sweep.direction {
                crate::Direction::Forwards => ByteRange::new(at, EXTENTS_BYTES),
                crate::Direction::Backwards => ByteRange::between(at.saturating_back(EXTENTS_BYTES), at),
            };
            let extents = self.source.extents(ahead.overlap(sweep.range));
            self.extent = extents.into_iter().find(|extent| extent.range.contains(byte));
        }
        let extent = self.extent.filter(|extent| extent.kind == ExtentKind::Hole || self.shares)?;
        let largest = (HOLE_PIECE_BYTES / sweep.unit * sweep.unit).max(sweep.unit);
        let piece = sweep.piece_at(at, largest)?;
        let common = piece.overlap(extent.range);
        // Cut to whole requests that lie in it.
        let common = match sweep.direction {
            _ if common == piece => piece,
            crate::Direction::Forwards => {
                ByteRange::between(common.start(), common.end().align_down(sweep.unit))
            }
            crate::Direction::Backwards => {
                let start = common.start().align_up(sweep.unit);
                if start >= common.end() { return None } else { ByteRange::between(start, common.end()) }
            }
        };
        // A request that only begins in it is not cut.
        let first = sweep.request_at(at)?;
        (first.overlap(common) == first).then_some((common, extent.kind))
    }

    fn drop_ahead(&mut self) {
        // Their buffers come back when the source is done with them.
        self.pieces.clear();
        self.plan = None;
    }

    fn queue_len(&mut self) -> usize {
        self.source.queue().map_or(0, |queue: &mut dyn ReadQueue| queue.in_flight())
    }

    fn await_ticket(&mut self, ticket: Ticket, wait: Option<Nanos>) -> Option<Completion> {
        loop {
            if let Some(completion) = self.arrived.remove(&ticket) {
                return Some(completion);
            }
            self.receive(wait)?;
        }
    }

    fn receive(&mut self, wait: Option<Nanos>) -> Option<()> {
        let completion = self.source.queue()?.complete(wait)?;
        let is_wanted = self.single == Some(completion.ticket)
            || self.left_behind.is_some_and(|late| late.ticket == completion.ticket)
            || self.pieces.iter().any(|p| p.how == Asked::Read(completion.ticket));
        if is_wanted {
            self.arrived.insert(completion.ticket, completion);
        } else {
            self.pool.push(completion.buffer);
        }
        Some(())
    }

    fn buffer(&mut self, length: usize) -> Buffer {
        match self.pool.pop() {
            Some(buffer) if buffer.len() >= length => buffer,
            _ => buffer::zeroed(length),
        }
    }
}

fn near_end(range: ByteRange, sweep: &Sweep) -> Offset {
    match sweep.direction {
        crate::Direction::Forwards => range.start(),
        crate::Direction::Backwards => range.end(),
    }
}
