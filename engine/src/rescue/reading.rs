//! Getting bytes: joined or one request at a time, through hangs and through the loss and return of the device.
//!
//! Owns what one read leads to in sink and map. Must not know which read comes next.

use block::source::{Examined, Row};
use block::{
    Buffer, ByteRange, Damage, Errno, Good, Nanos, Offset, Patience, RangeSet, ReadReply, Recovery,
    SinkError, SourceError,
};
use map::{Phase, Status};

use super::{Done, Marking, Recheck, Rescue, Stop, Trouble, tell};
use crate::ahead::{Fetched, Reader};
use crate::keeper::Occasion;
use crate::writer::Writer;
use crate::{Direction, Event, IfUnread, LostRemedy, SaveRemedy, Sweep, Tried};

/// How often a read that does not come back is looked after.
const WATCH_INTERVAL: Nanos = Nanos::from_millis(100);
/// After how long somebody is told that a read does not come back.
const WATCH_PATIENCE: Nanos = Nanos::from_secs(2);
/// Bytes per second below which reads are not joined: nobody sees, stops or judges anything while one is on its way.
const BRISK_RATE: u64 = 256 << 10;

/// A request that throws the device out so often, while it reads well elsewhere, is damage: firmware that falls over a
/// sector would otherwise end every rescue there.
const KILLS: u32 = 3;

/// How sure it is that a lost device has come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Return {
    /// It can be opened.
    Unproven,
    /// It has read again what it read before.
    Proven,
}

/// What a request led to.
struct Answered {
    /// The bytes; `None` where nobody wants them, or where nothing came.
    buffer: Option<Buffer>,
    reply: ReadReply,
    took: Nanos,
    /// How many equal requests in a row were made and got this reply; more than one only if it is all good.
    reads: u64,
}

/// How a joined piece gets into the destination.
enum Written {
    /// From here.
    From(Buffer),
    /// As zeros that nobody stored.
    AsHole,
    /// It is there.
    Already,
}

impl<'a> Rescue<'a> {
    /// Reads a row of requests as one, if nothing speaks against it and all of it is good.
    pub(super) fn joined(&mut self, sweep: &Sweep, at: Offset) -> Result<Option<Done>, Stop> {
        let is_far = self.options.ahead_after.is_some_and(|bytes| self.clean >= bytes);
        let is_free = self.options.read_rate_max.is_none() && self.options.recheck != Recheck::EachError;
        let is_free = is_free && !sweep.is_timed();
        if !is_far || !is_free || sweep.stage.phase != Phase::Copying || !self.reader.reads_ahead(sweep.unit)
        {
            return Ok(None);
        }
        let started = self.clock.now();
        // Elsewhere a joined read is waited for: one by one its requests would only wait behind it.
        let patience = if self.reader.can_leave_behind() { self.options.patience } else { Patience::Endless };
        let piece = |reader: &mut Reader<'a>, wait| reader.piece(sweep, at, wait);
        let Some(fetched) = self.watched_for(patience, sweep.range, piece)? else {
            self.reader.leave_ahead_behind(started);
            self.clean = 0;
            return Ok(None);
        };
        let took = self.clock.now().since(started);
        let (range, written) = match fetched {
            Fetched::Broken => {
                self.clean = 0;
                return Ok(None);
            }
            Fetched::Shareable { range } => {
                let from = self.reader.source.shareable();
                if !from.is_some_and(|from| self.writer.share(from, range)) {
                    self.reader.share_no_more();
                    return Ok(None);
                }
                (range, Written::Already)
            }
            Fetched::Hole { range } => (range, Written::AsHole),
            Fetched::Data { range, buffer } => (range, Written::From(buffer)),
        };
        let data = match &written {
            Written::From(buffer) => &buffer[..range.length() as usize],
            Written::AsHole | Written::Already => &[],
        };
        match written {
            Written::From(_) => self.write(|writer| writer.write(range, data, sweep.unit))?,
            Written::AsHole => self.write(|writer| writer.write_hole(range))?,
            Written::Already => {}
        }
        let done = self.record_row(sweep, range, data, took);
        if let Written::From(buffer) = written {
            self.burst.good(done.last);
            self.reader.recycle(buffer);
        }
        if matches!(self.options.patience, Patience::UpTo(limit) if took > limit) {
            // Which of its requests took so long, nobody knows; those that come tell it one by one.
            self.clean = 0;
        }
        Ok(Some(done))
    }

    /// Marks a row of requests that all went well, and tells of it.
    fn record_row(&mut self, sweep: &Sweep, range: ByteRange, data: &[u8], took: Nanos) -> Done {
        self.book.change(range, Status::Finished);
        self.rates.read(range.length(), 0);
        if !is_brisk(range.length(), took) {
            self.clean = 0;
        }
        let (unit, direction) = (sweep.unit, sweep.direction);
        let copied = range.length();
        let tried =
            Tried { range, unit, direction, copied, leading: copied, failed: 0, errno: None, data, took };
        let last = match direction {
            // One read reaches the end of a short range even across a multiple of the unit.
            _ if range.length() <= unit => range,
            Direction::Forwards => {
                ByteRange::between(range.end().saturating_back(1).align_down(unit), range.end())
            }
            Direction::Backwards => ByteRange::between(range.start(), (range.start() + 1).align_up(unit)),
        };
        if !data.is_empty() {
            self.remember(last, &data[(last.start() - range.start()) as usize..]);
        }
        // Saved maps and the last screen tell of the last read, whatever it was joined with.
        self.position.at = match direction {
            Direction::Forwards => last.start(),
            Direction::Backwards => last.end(),
        };
        tell(self.observer, &Event::Tried(tried), &self.book, &self.rates, self.position, self.stage);
        let reads = match range.length() <= unit {
            true => 1,
            false => (range.end().align_up(unit) - range.start().align_down(unit)) / unit,
        };
        let copied = last.length();
        let leading = copied;
        Done { range, last, reads, copied, leading, failed: false, errno: None, took, end_found: false }
    }

    /// Makes one request for itself.
    pub(super) fn lone(&mut self, sweep: &Sweep, request: ByteRange) -> Result<Done, Stop> {
        let Answered { buffer, reply, took, reads } = self.read(sweep, request)?;
        if reads > 1 {
            let range = self.row_at(sweep, request, reads);
            self.write(|writer| writer.count(range))?;
            let done = self.record_row(sweep, range, &[], took);
            self.burst.good(done.last);
            self.clean = self.clean.saturating_add(range.length());
            return Ok(done);
        }
        let done = self.record(sweep, request, buffer.as_ref(), &reply, took);
        if let Some(buffer) = buffer {
            self.reader.recycle(buffer);
        }
        let done = done?;
        self.check_burst()?;
        Ok(done)
    }

    /// Writes, asking the operator what to do about a destination that fails.
    fn write(&mut self, mut write: impl FnMut(&mut Writer<'a>) -> Result<(), SinkError>) -> Result<(), Stop> {
        while let Err(error) = write(&mut self.writer) {
            // Whoever is asked may take long, or pull a plug: what is known so far must be safe by then.
            if self.operator.is_attended() {
                self.save(Occasion::Interval)?;
            }
            if self.operator.destination_failed(&error) == SaveRemedy::Stop {
                return Err(Stop::Failed(Trouble::Sink(error)));
            }
        }
        Ok(())
    }

    /// When too many reads in a row failed at once, makes sure that the device still answers where it did. If not, what
    /// those reads marked is taken back: they say nothing about the medium.
    fn check_burst(&mut self) -> Result<(), Stop> {
        let Some(proof) = self.burst.suspicion().filter(|_| self.options.marking == Marking::AfterPresence)
        else {
            return Ok(());
        };
        let (buffer, result) =
            self.watched(proof, |reader, wait| reader.single(proof, Patience::Endless, wait))?;
        self.reader.recycle(buffer);
        let errno = match result {
            Ok(ReadReply { good: Good::All, damage: None }) => {
                self.burst.dispelled();
                return Ok(());
            }
            Ok(reply) => reply.damage.map_or(Errno::EIO, |damage| damage.errno),
            Err(error) => error.errno().unwrap_or(Errno::EIO),
        };
        for (range, status) in self.burst.take_back() {
            self.book.change(range, status);
        }
        Err(Stop::Failed(Trouble::Mute { at: proof.start(), errno }))
    }

    /// Reads one request, through the loss and return of the device; returns also how long it took.
    fn read(&mut self, sweep: &Sweep, request: ByteRange) -> Result<Answered, Stop> {
        let patience = self.patience_of(sweep);
        // How often this very request has thrown the device out.
        let mut kills = 0;
        loop {
            // What others ask of the source is not this read's time.
            self.watched(request, |reader, wait| reader.quiet(wait))?;
            let started = self.clock.now();
            let (buffer, result, reads) = match self.examine(sweep, request) {
                Some(Ok(Examined { reads, reply })) => (None, Ok(reply), reads),
                Some(Err(error)) => (None, Err(error), 1),
                None => {
                    let single = |reader: &mut Reader<'a>, wait| reader.single(request, patience, wait);
                    match self.watched_for(patience, request, single)? {
                        Some((buffer, result)) => (Some(buffer), result, 1),
                        None => {
                            // Nothing is asked of a device that is busy, not even whether it is there.
                            self.reader.leave_behind(request, started);
                            let reply = ReadReply::failed(Damage::new(Errno::ETIMEDOUT));
                            let took = self.clock.now().since(started);
                            return Ok(Answered { buffer: None, reply, took, reads: 1 });
                        }
                    }
                }
            };
            let took = self.clock.now().since(started);
            let checks = self.options.marking == Marking::AfterPresence;
            let answer = match result {
                // A device that was thrown out by the system has no bytes any more: its reads end well and bring nothing.
                Ok(reply)
                    if checks && (reply.damage.is_some() || self.ends_early(request, &reply).is_some()) =>
                {
                    self.reader.source.presence().map(|()| reply)
                }
                result => result,
            };
            let error = match answer {
                Ok(reply) => {
                    if self.lost_since.take().is_some() {
                        self.tell(&Event::DeviceFound);
                    }
                    return Ok(Answered { buffer, reply, took, reads });
                }
                Err(error) => error,
            };
            if let Some(buffer) = buffer {
                self.reader.recycle(buffer);
            }
            let errno = error.errno().unwrap_or(Errno::EIO);
            match self.await_device(error, request, kills > 0)? {
                Return::Unproven => kills = kills.max(1),
                Return::Proven => kills += 1,
            }
            if kills >= KILLS {
                let reply = ReadReply::failed(Damage::new(errno));
                return Ok(Answered { buffer: None, reply, took, reads: 1 });
            }
        }
    }

    /// Asks the source for answers only, where nobody wants the bytes: one read, or a row of them. `None`: bytes must be
    /// read.
    fn examine(&mut self, sweep: &Sweep, request: ByteRange) -> Option<Result<Examined, SourceError>> {
        let wants_bytes = self.writer.wants_bytes() || self.options.recheck != Recheck::Never;
        if wants_bytes {
            return None;
        }
        let backwards = sweep.direction == Direction::Backwards;
        let (at, left) = match backwards {
            false => (request.start(), sweep.range.end() - request.start()),
            true => (request.end(), request.end() - sweep.range.start()),
        };
        // Only the first and the last request of a sweep may be shorter; and who reads slowly on purpose, reads singly.
        let is_joined = self.options.read_rate_max.is_none() && !sweep.is_timed();
        let is_row = request.length() == sweep.unit && is_joined;
        let count = if is_row { left / sweep.unit } else { 1 };
        // What happens by time happens at whole seconds: a row ends with the read in which one begins.
        let until = Nanos::from_secs(self.clock.now().whole_secs() + 1);
        let row = Row { at, unit: request.length(), count, backwards, until };
        let patience = self.patience_of(sweep);
        self.reader.source.examine(&row, patience)
    }

    /// How long to wait for one read of a sweep.
    fn patience_of(&self, sweep: &Sweep) -> Patience {
        match (sweep.patience, self.options.patience) {
            (Patience::UpTo(one), Patience::UpTo(other)) => Patience::UpTo(one.min(other)),
            (Patience::Endless, patience) | (patience, Patience::Endless) => patience,
        }
    }

    /// What so many requests from this one on cover.
    fn row_at(&self, sweep: &Sweep, request: ByteRange, reads: u64) -> ByteRange {
        let length = request.length() * reads;
        match sweep.direction {
            Direction::Forwards => ByteRange::new(request.start(), length),
            Direction::Backwards => ByteRange::between(request.end().saturating_back(length), request.end()),
        }
    }

    /// Waits for a lost device to be there again, or gives up. It has come back only when it answers a read.
    ///
    /// With `prove`, a device that is there again must also read what it read last: one that does has come back, and was
    /// thrown out by the request.
    fn await_device(&mut self, error: SourceError, request: ByteRange, prove: bool) -> Result<Return, Stop> {
        let is_lost = error.is_loss();
        if !is_lost || self.options.marking == Marking::AtOnce {
            return Err(Stop::Failed(Trouble::Source(error)));
        }
        let lost_since = match self.lost_since {
            Some(since) => since,
            None => {
                self.tell(&Event::DeviceLost { at: request.start() });
                self.save(Occasion::Interval)?;
                *self.lost_since.insert(self.clock.now())
            }
        };
        let mut error = error;
        // One that came back and left at once gets its chance to prove itself, however long the leaving took.
        let mut chances = u32::from(prove);
        loop {
            let gone = if chances > 0 { Nanos::ZERO } else { self.clock.now().since(lost_since) };
            chances = 0;
            let measure = match self.operator.device_lost(&error, gone) {
                LostRemedy::Stop => return Err(Stop::Failed(Trouble::Source(error))),
                LostRemedy::Trust => Recovery::Reopen,
                LostRemedy::LookAgain(pause) => {
                    self.clock.sleep(pause);
                    Recovery::Rediscover
                }
            };
            self.check_interrupt()?;
            self.rates.begin_again(self.clock.now().whole_secs());
            match self.reader.source.recover(measure) {
                Ok(()) => {}
                Err(next @ SourceError::Anonymous { .. }) => {
                    error = next;
                    continue;
                }
                // Waiting would not make it the right one.
                Err(next @ SourceError::Another { .. }) => return Err(Stop::Failed(Trouble::Source(next))),
                Err(_) => continue,
            }
            self.clean = 0;
            self.reader.forget_extents();
            let Some(proof) = self.burst.proof().filter(|_| prove) else { return Ok(Return::Unproven) };
            let single = |reader: &mut Reader<'a>, wait| reader.single(proof, Patience::Endless, wait);
            let (buffer, result) = self.watched(proof, single)?;
            self.reader.recycle(buffer);
            if matches!(result, Ok(ReadReply { good: Good::All, damage: None })) {
                // Waiting begins anew: this was not one long absence.
                self.lost_since = Some(self.clock.now());
                return Ok(Return::Proven);
            }
        }
    }

    /// Waits until nothing that was left behind keeps the source busy: another read would only wait for it, too. What comes
    /// after all is kept.
    pub(super) fn await_left_behind(&mut self, sweep: &Sweep) -> Result<(), Stop> {
        if let Some(late) = self.reader.busy_with() {
            let interrupt = self.interrupt;
            self.watched(late.range, |reader, wait| {
                // It is marked already, so that nobody who wants to leave has to wait for it.
                reader.settle(wait).or_else(|| interrupt().then_some(()))
            })?;
            if self.reader.busy_with().is_some() {
                self.check_interrupt()?;
            }
        }
        while let Some((late, buffer, pieces)) = self.reader.late() {
            let took = self.clock.now().since(late.started);
            for piece in pieces {
                let from = late.range.start();
                let good = ByteRange::between(from + piece.start as u64, from + piece.end as u64);
                self.keep_late(sweep, good, &buffer[piece], took)?;
            }
            self.reader.recycle(buffer);
        }
        Ok(())
    }

    /// Keeps what came late, where nothing has come since.
    fn keep_late(&mut self, sweep: &Sweep, good: ByteRange, data: &[u8], took: Nanos) -> Result<(), Stop> {
        let blocks = self.book.map().blocks_in(good);
        let missing: RangeSet =
            blocks.filter(|b| b.status != Status::Finished).map(|b| b.range.overlap(good)).collect();
        for range in missing.ranges().iter().copied() {
            let from = (range.start() - good.start()) as usize;
            let data = &data[from..from + range.length() as usize];
            self.write(|writer| writer.write(range, data, sweep.unit))?;
            self.book.change(range, Status::Finished);
            self.burst.good(range);
            let copied = range.length();
            self.rates.read(copied, 0);
            let (unit, direction) = (sweep.unit, sweep.direction);
            let tried =
                Tried { range, unit, direction, copied, leading: copied, failed: 0, errno: None, data, took };
            self.tell(&Event::Tried(tried));
        }
        Ok(())
    }

    /// Waits for a read, looking around meanwhile: a read that hangs must keep nobody from stopping.
    pub(super) fn watched<T>(
        &mut self,
        range: ByteRange,
        mut poll: impl FnMut(&mut Reader<'a>, Option<Nanos>) -> Option<T>,
    ) -> Result<T, Stop> {
        loop {
            if let Some(done) = self.watched_for(Patience::Endless, range, &mut poll)? {
                return Ok(done);
            }
        }
    }

    /// As [`Rescue::watched`], but not longer than `patience`; then `None`.
    fn watched_for<T>(
        &mut self,
        patience: Patience,
        range: ByteRange,
        mut poll: impl FnMut(&mut Reader<'a>, Option<Nanos>) -> Option<T>,
    ) -> Result<Option<T>, Stop> {
        if !self.options.watch {
            // Without a queue that is asked now and then, waiting is the source's business.
            loop {
                if let Some(done) = poll(&mut self.reader, None) {
                    return Ok(Some(done));
                }
            }
        }
        let started = self.clock.now();
        let mut is_saved = false;
        let mut was_interrupted = false;
        loop {
            let left = match patience {
                Patience::Endless => Nanos::NEVER,
                Patience::UpTo(limit) => limit.since(self.clock.now().since(started)),
            };
            if let Some(done) = poll(&mut self.reader, Some(WATCH_INTERVAL.min(left))) {
                return Ok(Some(done));
            }
            let since = self.clock.now().since(started);
            if matches!(patience, Patience::UpTo(limit) if since >= limit) {
                return Ok(None);
            }
            if since < WATCH_PATIENCE && !(self.interrupt)() {
                continue;
            }
            self.rates.tick(self.clock.now().whole_secs(), self.book.bytes(Status::Finished));
            self.tell(&Event::Waiting { range, since });
            if (self.interrupt)() && !was_interrupted {
                was_interrupted = true;
                self.tell(&Event::Interrupted);
                is_saved = false;
            }
            // The read may never come back: what is known so far must be safe before anybody leaves.
            if !is_saved {
                self.save(Occasion::Interval)?;
                is_saved = true;
            }
        }
    }

    /// Writes and marks what one read brought.
    pub(super) fn record(
        &mut self,
        sweep: &Sweep,
        request: ByteRange,
        buffer: Option<&Buffer>,
        reply: &ReadReply,
        took: Nanos,
    ) -> Result<Done, Stop> {
        let length = request.length() as usize;
        let place = |at: usize| request.start() + at as u64;
        let (mut copied, mut gaps, mut at) = (0, Vec::new(), request.start());
        for piece in reply.pieces(length) {
            let good = ByteRange::between(place(piece.start), place(piece.end));
            match buffer {
                Some(buffer) => {
                    self.write(|writer| writer.write(good, &buffer[piece.clone()], sweep.unit))?
                }
                None => self.write(|writer| writer.count(good))?,
            }
            self.book.change(good, Status::Finished);
            copied += good.length();
            gaps.push(ByteRange::between(at, good.start()));
            at = good.end();
        }
        gaps.push(ByteRange::between(at, request.end()));
        gaps.retain(|gap| !gap.is_empty());
        let leading = reply.good_bytes(length);
        let data = buffer.map_or(&[][..], |buffer| &buffer[..leading]);
        let goes_on = matches!(reply.good, Good::Pieces(_));
        let errno = reply.damage.map(|damage| damage.errno).or(goes_on.then_some(Errno::EIO));
        let failed = if errno.is_some() { request.length() - copied } else { 0 };
        let leads = ByteRange::between(request.start(), place(leading));
        if failed > 0 {
            for gap in gaps.iter().copied() {
                let replaced = self.mark_unread(sweep, gap);
                if !goes_on {
                    replaced.into_iter().for_each(|(part, before)| self.burst.failed(part, before, took));
                }
            }
            if goes_on && !leads.is_empty() {
                // Who reads on behind damage has not hung up.
                self.burst.good(leads);
            }
        } else if !leads.is_empty() {
            self.burst.good(leads);
        }
        self.rates.read(copied, failed);
        let is_clean = failed == 0 && is_brisk(copied, took);
        self.clean = if is_clean { self.clean.saturating_add(copied) } else { 0 };
        let (unit, direction, leading) = (sweep.unit, sweep.direction, leading as u64);
        let tried = Tried { range: request, unit, direction, copied, leading, failed, errno, data, took };
        tell(self.observer, &Event::Tried(tried), &self.book, &self.rates, self.position, self.stage);
        self.remember(request, data);
        let rest = gaps.first().copied().unwrap_or(ByteRange::between(request.end(), request.end()));
        let end_found = errno.is_none() && !rest.is_empty();
        if end_found {
            if let Some(size) = self.ends_early(request, reply)
                && self.options.marking == Marking::AfterPresence
            {
                return Err(Stop::Failed(Trouble::EndsEarly { at: rest.start(), size }));
            }
            self.end_found(rest.start())?;
        }
        let range = if end_found { ByteRange::between(request.start(), rest.start()) } else { request };
        let failed = failed > 0;
        Ok(Done { range, last: range, reads: 1, copied, leading, failed, errno, took, end_found })
    }

    /// Marks what a read did not bring, where nothing better is known of it; returns what was known.
    fn mark_unread(&mut self, sweep: &Sweep, gap: ByteRange) -> Vec<(ByteRange, Status)> {
        let is_sector = gap.length() <= self.options.sector;
        let status = match sweep.if_unread {
            IfUnread::Unchanged => return Vec::new(),
            IfUnread::NonTrimmed if !is_sector => Status::NonTrimmed,
            IfUnread::NonScraped if !is_sector => Status::NonScraped,
            IfUnread::NonTrimmed | IfUnread::NonScraped | IfUnread::BadSector => Status::BadSector,
        };
        let blocks = self.book.map().blocks_in(gap).filter(|block| block.status <= status);
        let parts: Vec<_> = blocks.map(|block| (block.range.overlap(gap), block.status)).collect();
        parts.iter().for_each(|(part, _)| self.book.change(*part, status));
        parts
    }

    /// Does something about the source because the strategy wants it.
    pub(super) fn recover(&mut self, measure: Recovery) -> Result<(), Stop> {
        self.check_interrupt()?;
        let here = ByteRange::new(self.position.at, 0);
        self.watched(here, |reader, wait| reader.quiet(wait))?;
        self.reader.forget_extents();
        let done = self.reader.source.recover(measure);
        self.tell(&Event::Recovered(measure));
        match done {
            Ok(()) => Ok(()),
            Err(error) => self.await_device(error, here, false).map(|_| ()),
        }
    }

    /// The size that the source had when it was opened, if a reply says that it ends below that.
    fn ends_early(&self, request: ByteRange, reply: &ReadReply) -> Option<u64> {
        let end = request.start() + reply.good_bytes(request.length() as usize) as u64;
        let is_end = reply.damage.is_none() && end < request.end();
        self.reader.source.geometry().size.filter(|size| is_end && end.bytes() < *size)
    }

    pub(super) fn end_found(&mut self, at: Offset) -> Result<(), Stop> {
        if self.options.keep_map_extent {
            self.book.crop_domain(at);
        } else if self.book.map().next_with(Status::Finished, at).is_some() {
            return Err(Stop::Failed(Trouble::EndBelowMap { at }));
        } else {
            self.book.cut(at);
        }
        self.tell(&Event::EndFound(at));
        Ok(())
    }
}

fn is_brisk(bytes: u64, took: Nanos) -> bool {
    u128::from(bytes) * 1_000_000_000 >= u128::from(BRISK_RATE) * u128::from(took.nanoseconds())
}
