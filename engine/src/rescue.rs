//! The loop: ask the strategy, read, write, record, tell.
//!
//! Owns the order of these, and what happens when one of them fails. Must not know how anything is worded, nor decide
//! what to read.

use block::{
    BlockSink, BlockSource, Buffer, ByteRange, Clock, Damage, Nanos, Offset, ReadReply, Recovery, SinkError,
    SourceError,
};
use map::{Phase, Position, Status};

use crate::ahead::{Fetched, Reader};
use crate::attempt::Slow;
use crate::keeper::{KeeperError, Occasion};
use crate::writer::Writer;
use crate::{
    Book, Direction, EndsAt, Event, IfUnread, Keeper, Limit, Limits, LostRemedy, Observer, Operator, Outcome,
    Rates, RatesOptions, Report, SaveRemedy, Stage, Step, Strategy, Sweep, Tried, View, WriteOptions,
};

/// How often a read that does not come back is looked after.
const WATCH_INTERVAL: Nanos = Nanos::from_millis(100);
/// After how long somebody is told that a read does not come back.
const WATCH_PATIENCE: Nanos = Nanos::from_secs(2);

/// How the loop behaves, apart from what the strategy decides.
#[derive(Clone, Debug, PartialEq)]
pub struct RescueOptions {
    /// Size of a sector in bytes; what is not larger and fails is a bad sector.
    pub sector: u64,
    /// How bytes are written.
    pub write: WriteOptions,
    /// When to give up.
    pub limits: Limits,
    /// What makes the source slow.
    pub rates: RatesOptions,
    /// Bytes to have been read without damage before reads are joined and made ahead; `None`: never.
    pub ahead_after: Option<u64>,
    /// Whether reads are watched, so that one that hangs keeps nobody from stopping.
    pub watch: bool,
    /// Whether a source that is gone is told from damage before or after the failed read is marked.
    pub marking: Marking,
    /// Close and open the source again after each failed or slow read.
    pub reopen_on_error: bool,
    /// After an error, read the last good sector again and stop if it is not the same.
    pub check_on_error: bool,
    /// Pause after each failed or slow read.
    pub pause_on_error: Pause,
    /// Pause before each pass but the first.
    pub pause_on_pass: Nanos,
    /// Bytes to read in one second at most.
    pub read_rate_max: Option<u64>,
    /// The end of the source, if earlier than the map's, cuts the domain only.
    pub keep_map_extent: bool,
}

impl Default for RescueOptions {
    fn default() -> RescueOptions {
        RescueOptions {
            sector: 512,
            write: WriteOptions::default(),
            limits: Limits::default(),
            rates: RatesOptions::default(),
            ahead_after: Some(64 << 20),
            watch: true,
            marking: Marking::AfterPresence,
            reopen_on_error: false,
            check_on_error: false,
            pause_on_error: Pause::None,
            pause_on_pass: Nanos::ZERO,
            read_rate_max: None,
            keep_map_extent: false,
        }
    }
}

/// Whether a failed read counts as damage before it is known that the device is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marking {
    /// First make sure that the device is there: a lost one damages nothing.
    AfterPresence,
    /// Mark at once, as GNU ddrescue does.
    AtOnce,
}

/// A pause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pause {
    /// None.
    None,
    /// Real.
    Sleep(Nanos),
    /// Only added to the time shown, in seconds.
    Shown(f64),
}

/// Whether somebody asked to stop.
pub type Interrupt<'a> = dyn Fn() -> bool + 'a;

/// How a rescue ended.
#[derive(Debug)]
pub enum Ending {
    /// The strategy had nothing left to do.
    Finished,
    /// Limits were passed.
    Limits(Vec<Limit>),
    /// Somebody asked to stop.
    Interrupted,
    /// Something failed.
    Failed(Trouble),
}

/// What failed.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The source refused, or has gone for good.
    #[error(transparent)]
    Source(SourceError),
    /// The destination failed.
    #[error(transparent)]
    Sink(SinkError),
    /// The map could not be saved, and the operator gave up.
    #[error(transparent)]
    Map(KeeperError),
    /// The source ends below data that the map calls rescued.
    #[error(
        "the source ends at {at}, below data that the map calls rescued; is this the map of another source?"
    )]
    EndBelowMap {
        /// Where it ends.
        at: Offset,
    },
    /// After an error, a sector that could be read cannot be read any more.
    #[error(
        "the sector at {at} could be read and cannot be read any more; reconnect the drive and run this again"
    )]
    NoMoreData {
        /// The sector.
        at: Offset,
    },
    /// After an error, a sector that could be read holds something else.
    #[error("the sector at {at} holds something else than before; reconnect the drive and run this again")]
    InconsistentData {
        /// The sector.
        at: Offset,
    },
    /// An error came before any sector was read well.
    #[error("the first read failed, so that nothing can be compared")]
    NoGoodSectorYet,
}

/// What a rescue works with.
pub struct Surroundings<'a> {
    /// Where bytes come from.
    pub source: &'a mut dyn BlockSource,
    /// Where they go.
    pub sink: &'a mut dyn BlockSink,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// Who listens.
    pub observer: &'a mut dyn Observer,
    /// Who answers questions.
    pub operator: &'a mut dyn Operator,
    /// Whether to stop.
    pub interrupt: &'a Interrupt<'a>,
    /// Who keeps the map; `None`: nobody.
    pub keeper: Option<Keeper>,
    /// Makes the comments above the map; is told the last pass, or one of phase `Finished` at the end.
    pub heading: &'a dyn Fn(Option<Stage>) -> map::mapfile::Heading,
}

/// A rescue.
pub struct Rescue<'a> {
    reader: Reader<'a>,
    writer: Writer<'a>,
    clock: &'a dyn Clock,
    observer: &'a mut dyn Observer,
    operator: &'a mut dyn Operator,
    interrupt: &'a Interrupt<'a>,
    keeper: Option<Keeper>,
    heading: &'a dyn Fn(Option<Stage>) -> map::mapfile::Heading,
    options: RescueOptions,
    book: Book,
    rates: Rates,
    position: Position,
    stage: Option<Stage>,
    /// Bytes read without damage since the last damage; enough of them at the start.
    clean: u64,
    second_copied: (u64, u64),
    last_good: Option<(Offset, Vec<u8>)>,
    /// What reading the last good sector again showed.
    suspicion: Option<Trouble>,
    image_untrusted: bool,
    /// When the device was found to be gone; until a read is answered again.
    lost_since: Option<Nanos>,
}

/// Why the loop stops before the strategy is done.
enum Stop {
    Limits(Vec<Limit>),
    Interrupted,
    Failed(Trouble),
}

impl From<SinkError> for Stop {
    fn from(error: SinkError) -> Stop {
        Stop::Failed(Trouble::Sink(error))
    }
}

impl<'a> Rescue<'a> {
    /// Makes a rescue of what of `map` lies in the domain of `book`.
    pub fn new(with: Surroundings<'a>, options: RescueOptions, book: Book, position: Position) -> Rescue<'a> {
        let now = with.clock.now().whole_secs();
        let rates = Rates::new(options.rates, now, book.bytes(Status::Finished));
        Rescue {
            reader: Reader::new(with.source),
            writer: Writer::new(with.sink, options.write),
            clock: with.clock,
            observer: with.observer,
            operator: with.operator,
            interrupt: with.interrupt,
            keeper: with.keeper,
            heading: with.heading,
            clean: options.ahead_after.unwrap_or(0),
            options,
            book,
            rates,
            position,
            stage: None,
            second_copied: (now, 0),
            last_good: None,
            suspicion: None,
            image_untrusted: false,
            lost_since: None,
        }
    }

    /// Map, domain and sums as they stand.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Rates as they stand.
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// Runs until the strategy has nothing left to do, or something ends it; then makes everything durable.
    pub fn run(&mut self, strategy: &mut dyn Strategy) -> Ending {
        let ending = self.work(strategy).err().map_or(Ending::Finished, ending_of);
        self.finish(ending)
    }

    /// Copies what is not finished in `range`, in rising order, whatever its status; failures become bad sectors.
    /// Leaves the position alone: this is for somebody who names ranges, not for a strategy.
    pub fn copy_unfinished(&mut self, range: ByteRange, cluster: u64) -> Result<(), Ending> {
        let position = self.position;
        let result = self.copy_parts(range, cluster);
        self.position = position;
        result.map_err(ending_of)
    }

    fn copy_parts(&mut self, range: ByteRange, cluster: u64) -> Result<(), Stop> {
        let stage = Stage { phase: Phase::Copying, pass: 1, round: 1, direction: Direction::Forwards };
        let mut at = range.start();
        while let Some(part) = self.unfinished_part(ByteRange::between(at, range.end()), cluster) {
            let (unit, direction) = (cluster, Direction::Forwards);
            let (if_unread, ends_at) = (IfUnread::BadSector, EndsAt::RangeEnd);
            self.sweep(&Sweep { range: part, unit, direction, stage, if_unread, ends_at })?;
            at = part.end();
        }
        Ok(())
    }

    /// The first part of `range` that is not finished, up to the last cluster's border in it if the block goes on.
    fn unfinished_part(&self, range: ByteRange, cluster: u64) -> Option<ByteRange> {
        let book = &self.book;
        book.domain().pieces_in(range).find_map(|piece| {
            let block = book.map().blocks_in(piece).find(|block| block.status != Status::Finished)?;
            let part = block.range.overlap(piece);
            let border = part.end().align_down(cluster);
            let ends_inside = part.end() < block.range.end() && border > part.start();
            Some(if ends_inside { ByteRange::between(part.start(), border) } else { part })
        })
    }

    /// Saves image and map now.
    pub fn save_now(&mut self) -> Result<(), Ending> {
        self.save(Occasion::Interval).map_err(ending_of)
    }

    /// Joins equal neighbours of the map, as before the last save.
    pub fn merge(&mut self) {
        self.book.merge();
    }

    fn work(&mut self, strategy: &mut dyn Strategy) -> Result<(), Stop> {
        let mut last = None;
        while let Some(step) = strategy.step(View { book: &self.book }, last.as_ref()) {
            last = None;
            match step {
                Step::Sweep(sweep) => last = Some(self.sweep(&sweep)?),
                Step::Mark { range, status } => {
                    self.book.change(range, status);
                    self.tell(&Event::Marked { range, status });
                }
                Step::Rest(pause) => self.clock.sleep(pause),
            }
        }
        self.stop_before_phase()
    }

    // One sweep.

    /// Makes the reads of one sweep.
    fn sweep(&mut self, sweep: &Sweep) -> Result<Outcome, Stop> {
        let mut at = sweep.origin();
        let mut outcome = Outcome {
            sweep: sweep.clone(),
            last: ByteRange::new(at, 0),
            earlier_reads: 0,
            last_copied: 0,
            failed: false,
            slow: None,
        };
        let mut reads = 0u64;
        while let Some(request) = sweep.request_at(at) {
            self.before_read(sweep, request)?;
            let done = match self.joined(sweep, at)? {
                Some(done) => done,
                None => self.lone(sweep, request)?,
            };
            at = sweep.after(done.range);
            if let Err(stop) = self.stop_at(self.options.limits.passed_by_reads(&self.rates)) {
                if done.failed && self.options.check_on_error {
                    // Worse than a limit: what can be read may be wrong.
                    self.check_last_good()?;
                    self.stop_if_suspicious()?;
                }
                return Err(stop);
            }
            self.after_read(sweep, &done)?;
            outcome.earlier_reads = reads + done.reads - 1;
            reads += done.reads;
            outcome.last = done.last;
            outcome.last_copied = done.copied;
            outcome.failed = done.failed;
            outcome.slow = self.judge(sweep);
            self.recover_from(sweep, &outcome)?;
            let ends = match sweep.ends_at {
                EndsAt::RangeEnd => false,
                EndsAt::Damage => outcome.failed,
                EndsAt::DamageOrSlowness => outcome.failed || outcome.slow.is_some(),
            };
            if ends || done.end_found {
                break;
            }
        }
        Ok(outcome)
    }

    fn before_read(&mut self, sweep: &Sweep, request: ByteRange) -> Result<(), Stop> {
        let at = match sweep.direction {
            Direction::Forwards => request.start(),
            Direction::Backwards => request.end(),
        };
        let is_new_pass = self.stage != Some(sweep.stage);
        if is_new_pass {
            self.end_pass();
        }
        if self.stage.is_none_or(|stage| stage.phase != sweep.stage.phase) {
            self.stop_before_phase()?;
        }
        self.position = Position { at, phase: sweep.stage.phase, pass: sweep.stage.pass };
        if is_new_pass {
            self.begin_pass(sweep.stage);
        }
        self.rates.tick(self.clock.now().whole_secs(), self.book.bytes(Status::Finished));
        self.tell(&Event::Reading { range: request });
        self.stop_if_suspicious()?;
        self.stop_at(self.options.limits.passed(&self.book, &self.rates))?;
        self.check_interrupt()
    }

    /// A phase does not begin, nor a run end well, when a limit is passed already: the position stays where it was.
    fn stop_before_phase(&mut self) -> Result<(), Stop> {
        self.stop_if_suspicious()?;
        self.stop_at(self.options.limits.passed(&self.book, &self.rates))
    }

    /// What the last good sector showed stops the run at the next read, so that a resume does not try the bad place
    /// again.
    fn stop_if_suspicious(&mut self) -> Result<(), Stop> {
        self.suspicion.take().map_or(Ok(()), |trouble| Err(Stop::Failed(trouble)))
    }

    fn stop_at(&mut self, limits: Vec<Limit>) -> Result<(), Stop> {
        if limits.is_empty() {
            return Ok(());
        }
        limits.iter().for_each(|limit| self.tell(&Event::LimitPassed(*limit)));
        Err(Stop::Limits(limits))
    }

    fn end_pass(&mut self) {
        if self.stage.is_some() {
            self.rates.tick(self.clock.now().whole_secs(), self.book.bytes(Status::Finished));
            self.tell(&Event::PassEnds);
        }
    }

    fn begin_pass(&mut self, stage: Stage) {
        let is_first = self.stage.is_none();
        if !is_first && self.options.pause_on_pass > Nanos::ZERO {
            self.tell(&Event::PauseBegins);
            self.clock.sleep(self.options.pause_on_pass);
            self.rates.forgive_pause(self.clock.now().whole_secs());
        }
        self.stage = Some(stage);
        self.rates.new_pass();
        self.tell(&Event::PassBegins(stage));
    }

    fn check_interrupt(&mut self) -> Result<(), Stop> {
        if (self.interrupt)() {
            self.tell(&Event::Interrupted);
            return Err(Stop::Interrupted);
        }
        Ok(())
    }

    /// Reads a row of requests as one, if nothing speaks against it and all of it is good.
    fn joined(&mut self, sweep: &Sweep, at: Offset) -> Result<Option<Done>, Stop> {
        let is_far = self.options.ahead_after.is_some_and(|bytes| self.clean >= bytes);
        let is_free = self.options.read_rate_max.is_none() && !self.options.check_on_error;
        if !is_far || !is_free || sweep.stage.phase != Phase::Copying || !self.reader.reads_ahead(sweep.unit)
        {
            return Ok(None);
        }
        let started = self.clock.now();
        let fetched = self.watched(sweep.range, |reader, wait| reader.piece(sweep, at, wait))?;
        let took = self.clock.now().since(started);
        let (range, buffer) = match fetched {
            Fetched::Broken => {
                self.clean = 0;
                return Ok(None);
            }
            Fetched::Hole { range } => (range, None),
            Fetched::Data { range, buffer } => (range, Some(buffer)),
        };
        let data = buffer.as_ref().map_or(&[][..], |buffer| &buffer[..range.length() as usize]);
        if buffer.is_some() {
            self.writer.write(range, data, sweep.unit)?;
        } else {
            self.writer.write_hole(range)?;
        }
        self.book.change(range, Status::Finished);
        self.rates.read(range.length(), 0);
        let (unit, direction) = (sweep.unit, sweep.direction);
        let tried =
            Tried { range, unit, direction, copied: range.length(), failed: 0, errno: None, data, took };
        let last = match direction {
            // One read reaches the end of a short range even across a multiple of the unit.
            _ if range.length() <= unit => range,
            Direction::Forwards => {
                ByteRange::between(range.end().saturating_back(1).align_down(unit), range.end())
            }
            Direction::Backwards => ByteRange::between(range.start(), (range.start() + 1).align_up(unit)),
        };
        // Saved maps and the last screen tell of the last read, whatever it was joined with.
        self.position.at = match direction {
            Direction::Forwards => last.start(),
            Direction::Backwards => last.end(),
        };
        tell(self.observer, &Event::Tried(tried), &self.book, &self.rates, self.position, self.stage);
        if let Some(buffer) = buffer {
            self.reader.recycle(buffer);
        }
        let reads = match range.length() <= unit {
            true => 1,
            false => (range.end().align_up(unit) - range.start().align_down(unit)) / unit,
        };
        let copied = last.length();
        Ok(Some(Done { range, last, reads, copied, failed: false, end_found: false }))
    }

    /// Makes one request for itself.
    fn lone(&mut self, sweep: &Sweep, request: ByteRange) -> Result<Done, Stop> {
        let started = self.clock.now();
        let (buffer, reply) = self.read(request)?;
        let took = self.clock.now().since(started);
        let done = self.record(sweep, request, &buffer, &reply, took);
        self.reader.recycle(buffer);
        done
    }

    /// Reads one request, through the loss and return of the device.
    fn read(&mut self, request: ByteRange) -> Result<(Buffer, ReadReply), Stop> {
        loop {
            let (buffer, result) = self.watched(request, |reader, wait| reader.single(request, wait))?;
            let checks = self.options.marking == Marking::AfterPresence;
            let answer = match result {
                Ok(reply) if reply.damage.is_some() && checks => {
                    self.reader.source.presence().map(|()| reply)
                }
                result => result,
            };
            let error = match answer {
                Ok(reply) => {
                    if self.lost_since.take().is_some() {
                        self.tell(&Event::DeviceFound);
                    }
                    return Ok((buffer, reply));
                }
                Err(error) => error,
            };
            self.reader.recycle(buffer);
            self.await_device(error, request)?;
        }
    }

    /// Waits for a lost device to be there again, or gives up. It has come back only when it answers a read.
    fn await_device(&mut self, error: SourceError, request: ByteRange) -> Result<(), Stop> {
        let is_lost = matches!(error, SourceError::Gone { .. } | SourceError::Disappeared { .. });
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
        loop {
            let gone = self.clock.now().since(lost_since);
            let measure = match self.operator.device_lost(&error, gone) {
                LostRemedy::Stop => return Err(Stop::Failed(Trouble::Source(error))),
                LostRemedy::Trust => Recovery::Reopen,
                LostRemedy::LookAgain(pause) => {
                    self.clock.sleep(pause);
                    Recovery::Rediscover
                }
            };
            self.check_interrupt()?;
            self.rates.forgive_pause(self.clock.now().whole_secs());
            match self.reader.source.recover(measure) {
                Ok(()) => break,
                Err(next @ SourceError::Anonymous { .. }) => error = next,
                Err(_) => {}
            }
        }
        self.clean = 0;
        self.reader.forget_extents();
        Ok(())
    }

    /// Waits for a read, looking around meanwhile: a read that hangs must keep nobody from stopping.
    fn watched<T>(
        &mut self,
        range: ByteRange,
        mut poll: impl FnMut(&mut Reader<'a>, Option<Nanos>) -> Option<T>,
    ) -> Result<T, Stop> {
        if !self.options.watch {
            loop {
                if let Some(done) = poll(&mut self.reader, None) {
                    return Ok(done);
                }
            }
        }
        let started = self.clock.now();
        let mut is_saved = false;
        let mut was_interrupted = false;
        loop {
            if let Some(done) = poll(&mut self.reader, Some(WATCH_INTERVAL)) {
                return Ok(done);
            }
            let since = self.clock.now().since(started);
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
    fn record(
        &mut self,
        sweep: &Sweep,
        request: ByteRange,
        buffer: &Buffer,
        reply: &ReadReply,
        took: Nanos,
    ) -> Result<Done, Stop> {
        let copied = reply.good_bytes(request.length() as usize);
        let data = &buffer[..copied];
        let (good, rest) = request.split_at(request.start() + copied as u64);
        if !good.is_empty() {
            self.writer.write(good, data, sweep.unit)?;
            self.book.change(good, Status::Finished);
        }
        let errno = reply.damage.map(|Damage { errno, .. }| errno);
        let failed = if errno.is_some() { rest.length() } else { 0 };
        if failed > 0 {
            let is_sector = rest.length() <= self.options.sector;
            let status = match sweep.if_unread {
                IfUnread::NonTrimmed if !is_sector => Status::NonTrimmed,
                IfUnread::NonTrimmed | IfUnread::BadSector => Status::BadSector,
            };
            self.book.change(rest, status);
        }
        self.rates.read(good.length(), failed);
        self.clean = if failed > 0 { 0 } else { self.clean.saturating_add(good.length()) };
        let (unit, direction) = (sweep.unit, sweep.direction);
        let tried =
            Tried { range: request, unit, direction, copied: good.length(), failed, errno, data, took };
        tell(self.observer, &Event::Tried(tried), &self.book, &self.rates, self.position, self.stage);
        if self.options.check_on_error && good.length() >= self.options.sector {
            let first = good.start().align_up(self.options.sector);
            if first == good.start() {
                self.last_good = Some((first, data[..self.options.sector as usize].to_vec()));
            }
        }
        let end_found = errno.is_none() && !rest.is_empty();
        if end_found {
            self.end_found(rest.start())?;
        }
        let range = if end_found { ByteRange::between(request.start(), rest.start()) } else { request };
        Ok(Done { range, last: range, reads: 1, copied: good.length(), failed: failed > 0, end_found })
    }

    fn end_found(&mut self, at: Offset) -> Result<(), Stop> {
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

    fn after_read(&mut self, _sweep: &Sweep, done: &Done) -> Result<(), Stop> {
        let now = self.clock.now().whole_secs();
        if self.keeper.as_ref().is_some_and(|keeper| keeper.is_due(now, self.book.map().len())) {
            self.save(Occasion::Interval)?;
        }
        if let Some(rate) = self.options.read_rate_max {
            self.throttle(rate, done.copied);
        }
        Ok(())
    }

    fn throttle(&mut self, rate: u64, copied: u64) {
        let now = self.clock.now();
        let second = now.whole_secs();
        if self.second_copied.0 != second {
            self.second_copied = (second, 0);
        }
        self.second_copied.1 += copied;
        if self.second_copied.1 > rate {
            self.clock.sleep(Nanos::from_secs(second + 1).since(now));
        }
    }

    fn judge(&mut self, sweep: &Sweep) -> Option<Slow> {
        if sweep.ends_at != EndsAt::DamageOrSlowness {
            return None;
        }
        let now = self.clock.now().whole_secs();
        self.rates.judge_slowness(now, self.book.bytes(Status::Finished))
    }

    /// Does what the options ask for after a failed or slow read.
    fn recover_from(&mut self, _sweep: &Sweep, outcome: &Outcome) -> Result<(), Stop> {
        if !outcome.failed && outcome.slow.is_none() {
            return Ok(());
        }
        if outcome.failed && self.options.marking == Marking::AtOnce {
            self.reader.source.presence().map_err(|error| Stop::Failed(Trouble::Source(error)))?;
        }
        if outcome.failed && self.options.check_on_error {
            self.check_last_good()?;
        }
        if self.options.reopen_on_error {
            self.reader.forget_extents();
            let reopened = self.reader.source.recover(Recovery::Reopen);
            reopened.map_err(|error| Stop::Failed(Trouble::Source(error)))?;
        }
        match self.options.pause_on_error {
            Pause::None => {}
            Pause::Sleep(pause) => self.clock.sleep(pause),
            Pause::Shown(secs) => self.rates.add_shown_pause(secs),
        }
        Ok(())
    }

    fn check_last_good(&mut self) -> Result<(), Stop> {
        let Some((at, expected)) = self.last_good.clone() else {
            self.suspicion = Some(Trouble::NoGoodSectorYet);
            return Ok(());
        };
        let range = ByteRange::new(at, expected.len() as u64);
        let (buffer, result) = self.watched(range, |reader, wait| reader.single(range, wait))?;
        let trouble = match result {
            Ok(reply) if reply.good_bytes(expected.len()) < expected.len() => {
                Some(Trouble::NoMoreData { at })
            }
            Ok(_) if buffer[..expected.len()] != expected[..] => Some(Trouble::InconsistentData { at }),
            Ok(_) => None,
            Err(_) => Some(Trouble::NoMoreData { at }),
        };
        self.reader.recycle(buffer);
        self.suspicion = trouble;
        Ok(())
    }

    // Saving and ending.

    fn save(&mut self, occasion: Occasion) -> Result<(), Stop> {
        if self.keeper.is_some() {
            self.writer.cover_zeros()?;
        }
        loop {
            let heading = (self.heading)(self.stage_for_heading());
            let Some(keeper) = self.keeper.as_mut() else { return Ok(()) };
            let saved = keeper.save(
                self.writer.sink,
                &heading,
                &self.position,
                self.book.map(),
                self.clock,
                occasion,
            );
            let error = match saved {
                Ok(()) => {
                    self.tell(&Event::Saved);
                    return Ok(());
                }
                Err(KeeperError::Image(error)) => {
                    // After a failed sync nobody knows which of the writes arrived: no later map may vouch for them.
                    self.image_untrusted = true;
                    return Err(Stop::Failed(Trouble::Sink(error)));
                }
                Err(error) => error,
            };
            let (position, map) = (self.position, self.book.map());
            let mut write = |store: &mut dyn crate::MapStore| {
                crate::keeper::write_map(store, &heading, &position, map, false)
            };
            match self.operator.map_not_saved(&error, &mut write) {
                SaveRemedy::Retry => {}
                SaveRemedy::Stop => {
                    self.keeper = None;
                    return Err(Stop::Failed(Trouble::Map(error)));
                }
            }
        }
    }

    fn stage_for_heading(&self) -> Option<Stage> {
        match (self.position.phase, self.stage) {
            (Phase::Finished, _) => {
                Some(Stage { phase: Phase::Finished, pass: 1, round: 1, direction: Direction::Forwards })
            }
            (_, stage) => stage,
        }
    }

    fn finish(&mut self, ending: Ending) -> Ending {
        let mut ending = ending;
        if !self.image_untrusted
            && let Err(error) = self.writer.sink.flush()
        {
            self.image_untrusted = true;
            if !matches!(ending, Ending::Failed(_)) {
                ending = Ending::Failed(Trouble::Sink(error));
            }
        }
        if matches!(ending, Ending::Finished) {
            self.end_pass();
        }
        self.rates.conclude(self.clock.now().whole_secs(), self.book.bytes(Status::Finished));
        // The last second had not ended before: only now is its error rate known.
        if matches!(ending, Ending::Finished)
            && let Err(stop) = self.stop_at(self.options.limits.passed(&self.book, &self.rates))
        {
            ending = ending_of(stop);
        }
        if matches!(ending, Ending::Finished) {
            self.position.phase = Phase::Finished;
        }
        self.tell(&Event::Ended);
        if let Err(error) = self.writer.extend()
            && !matches!(ending, Ending::Failed(_))
        {
            ending = Ending::Failed(Trouble::Sink(error));
        }
        self.book.merge();
        if !self.image_untrusted
            && let Err(stop) = self.save(Occasion::Last)
            && !matches!(ending, Ending::Failed(_))
            && let Stop::Failed(trouble) = stop
        {
            ending = Ending::Failed(trouble);
        }
        ending
    }

    fn tell(&mut self, event: &Event<'_>) {
        tell(self.observer, event, &self.book, &self.rates, self.position, self.stage);
    }
}

fn ending_of(stop: Stop) -> Ending {
    match stop {
        Stop::Limits(limits) => Ending::Limits(limits),
        Stop::Interrupted => Ending::Interrupted,
        Stop::Failed(trouble) => Ending::Failed(trouble),
    }
}

/// Requests that were made together.
struct Done {
    range: ByteRange,
    last: ByteRange,
    reads: u64,
    copied: u64,
    failed: bool,
    end_found: bool,
}

fn tell(
    observer: &mut dyn Observer,
    event: &Event<'_>,
    book: &Book,
    rates: &Rates,
    position: Position,
    stage: Option<Stage>,
) {
    observer.on(event, &Report { book, rates, position, stage });
}
