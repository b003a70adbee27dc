//! Reads, one by one or ahead of those who want them.
//!
//! Owns buffers, reads in flight and the holes of the source. Must not know maps, sinks or strategies.
//!
//! Far from damage a sweep is read in pieces, several at a time where the source likes that. A piece is a row of whole
//! requests. Of one that does not come back whole only the requests before the first failure are shown: then the reader
//! says so, drops all that is ahead, waits until the source has nothing in flight, and goes on one request at a time.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use block::{
    BlockSource, Buffer, ByteRange, Completion, Extent, ExtentKind, Good, Nanos, Offset, Patience, ReadQueue,
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
    /// Reads that nobody waits for any more.
    left_behind: Vec<LeftBehind>,
    /// Where a piece broke of which the first requests were whole.
    broken_at: Option<Offset>,
    /// What is known about holes: touching stretches, in order.
    extents: Vec<Extent>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeftBehind {
    ticket: Ticket,
    /// What it was to read.
    pub(crate) range: ByteRange,
    /// When it began.
    pub(crate) started: Nanos,
}

/// A piece of a sweep.
pub(crate) enum Fetched {
    /// Read whole; `range` may be less than what was asked for.
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
            left_behind: Vec::new(),
            broken_at: None,
            extents: Vec::new(),
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
        if self.broken_at.take() == Some(at) {
            return Some(Fetched::Broken);
        }
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
            result => {
                self.drop_ahead();
                // What a drive here brought before it failed is asked for again: GNU ddrescue asks for it, and who compares
                // requests expects that.
                let keeps_good = self.source.abilities().keeps_good;
                let reply = result.ok().filter(|_| keeps_good);
                let whole = reply.and_then(|reply| whole_requests(sweep, range, &reply));
                let mut buffer = completion.buffer;
                let Some(whole) = whole else {
                    self.pool.push(buffer);
                    return Some(Fetched::Broken);
                };
                self.broken_at = Some(sweep.after(whole));
                let from = (whole.start() - range.start()) as usize;
                buffer.copy_within(from..from + whole.length() as usize, 0);
                Some(Fetched::Data { range: whole, buffer })
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
                let left_behind = &self.left_behind;
                self.arrived.retain(|ticket, _| left_behind.iter().any(|late| late.ticket == *ticket));
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

    /// Whether the source answers others while it does not answer one.
    pub(crate) fn can_leave_behind(&mut self) -> bool {
        self.source.queue().is_some_and(|queue| queue.can_leave_behind())
    }

    /// Leaves the single read of `range` behind that began at `started`.
    pub(crate) fn leave_behind(&mut self, range: ByteRange, started: Nanos) {
        if let Some(ticket) = self.single.take() {
            self.forsake(LeftBehind { ticket, range, started });
        }
    }

    /// Leaves all pieces behind; the first one has been waited for since `started`.
    pub(crate) fn leave_ahead_behind(&mut self, started: Nanos) {
        for Piece { range, how } in std::mem::take(&mut self.pieces) {
            if let Asked::Read(ticket) = how {
                self.forsake(LeftBehind { ticket, range, started });
            }
        }
        self.plan = None;
    }

    fn forsake(&mut self, late: LeftBehind) {
        self.left_behind.push(late);
        let has_arrived = self.arrived.contains_key(&late.ticket);
        if let Some(queue) = self.source.queue().filter(|_| !has_arrived) {
            queue.leave_behind(late.ticket);
        }
    }

    /// The first of the reads that were left behind, while they keep the source from answering others.
    pub(crate) fn busy_with(&mut self) -> Option<LeftBehind> {
        let is_busy = self.single.is_none() && self.pieces.is_empty() && self.queue_len() > 0;
        let arrived = &self.arrived;
        let mut open = self.left_behind.iter().filter(|late| !arrived.contains_key(&late.ticket));
        open.next().filter(|_| is_busy).copied()
    }

    /// Waits until nothing that was left behind keeps the source busy; `None` if something does after `wait`.
    pub(crate) fn settle(&mut self, wait: Option<Nanos>) -> Option<()> {
        while self.busy_with().is_some() {
            self.receive(wait)?;
        }
        Some(())
    }

    /// What a read brought that was left behind: a buffer, and the good ranges in it. `None` if none has arrived.
    pub(crate) fn late(&mut self) -> Option<(LeftBehind, Buffer, Vec<Range<usize>>)> {
        let index = self.left_behind.iter().position(|late| self.arrived.contains_key(&late.ticket))?;
        let late = self.left_behind.remove(index);
        let Completion { buffer, result, .. } = self.arrived.remove(&late.ticket)?;
        let pieces = result.map_or(Vec::new(), |reply| reply.pieces(late.range.length() as usize));
        Some((late, buffer, pieces))
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
        self.extents.clear();
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
        let mut extent = extent_at(&self.extents, byte);
        if extent.is_none() {
            let ahead = match sweep.direction {
                crate::Direction::Forwards => ByteRange::new(at, EXTENTS_BYTES),
                crate::Direction::Backwards => ByteRange::between(at.saturating_back(EXTENTS_BYTES), at),
            };
            self.extents = self.source.extents(ahead.overlap(sweep.range));
            extent = extent_at(&self.extents, byte);
        }
        let extent = extent.filter(|extent| extent.kind == ExtentKind::Hole || self.shares)?;
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
            || self.left_behind.iter().any(|late| late.ticket == completion.ticket)
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

/// The stretch that `byte` lies in.
fn extent_at(extents: &[Extent], byte: Offset) -> Option<Extent> {
    let index = extents.partition_point(|extent| extent.range.end() <= byte);
    extents.get(index).filter(|extent| extent.range.contains(byte)).copied()
}

/// The requests of a piece that come before the first failure, if there are any.
fn whole_requests(sweep: &Sweep, piece: ByteRange, reply: &ReadReply) -> Option<ByteRange> {
    reply.damage?;
    let place = |at: usize| piece.start() + at as u64;
    let pieces = reply.pieces(piece.length() as usize);
    let near = match sweep.direction {
        crate::Direction::Forwards => pieces.first(),
        crate::Direction::Backwards => pieces.last(),
    };
    let good = near.map(|near| ByteRange::between(place(near.start), place(near.end)))?;
    let origin = near_end(piece, sweep);
    let mut at = origin;
    // The first and the last request of a sweep may cross multiples of its unit.
    while let Some(request) = sweep.request_at(at).filter(|request| good.covers(*request)) {
        at = sweep.after(request);
    }
    let whole = ByteRange::between(origin.min(at), origin.max(at));
    (!whole.is_empty()).then_some(whole)
}

fn near_end(range: ByteRange, sweep: &Sweep) -> Offset {
    match sweep.direction {
        crate::Direction::Forwards => range.start(),
        crate::Direction::Backwards => range.end(),
    }
}

#[cfg(test)]
mod tests {
    use block::{Damage, Errno};
    use map::Phase;

    use super::*;
    use crate::{Direction, EndsAt, IfUnread, Stage};

    #[test]
    fn of_a_piece_that_breaks_only_whole_requests_are_kept() {
        let place = |start: u64, end: u64| ByteRange::between(Offset::new(start), Offset::new(end));
        let whole = |direction, domain: (u64, u64), piece: (u64, u64), good: std::ops::Range<usize>| {
            let stage = Stage { phase: Phase::Copying, pass: 1, round: 1, direction };
            let (if_unread, ends_at) = (IfUnread::NonTrimmed, EndsAt::Damage);
            let range = place(domain.0, domain.1);
            let sweep =
                Sweep { range, unit: 100, direction, stage, if_unread, ends_at, patience: Patience::Endless };
            let piece = place(piece.0, piece.1);
            let reply = ReadReply::of_pieces([good], piece.length() as usize, Damage::new(Errno::EIO));
            whole_requests(&sweep, piece, &reply).map(|r| (r.start().bytes(), r.end().bytes()))
        };
        let (up, down) = (Direction::Forwards, Direction::Backwards);
        assert_eq!(whole(up, (30, 900), (30, 500), 0..300), Some((30, 300)));
        assert_eq!(whole(up, (30, 900), (30, 500), 0..69), None);
        assert_eq!(whole(up, (30, 900), (30, 500), 1..300), None);
        // One request, although it crosses a multiple.
        assert_eq!(whole(up, (90, 120), (90, 120), 0..20), None);
        assert_eq!(whole(down, (30, 850), (400, 850), 210..450), Some((700, 850)));
        assert_eq!(whole(down, (30, 850), (400, 850), 401..450), None);
        assert_eq!(whole(down, (90, 120), (90, 120), 15..30), None);
    }
}
