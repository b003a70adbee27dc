//! The loop: ask the strategy, read, write, record, tell.
//!
//! Owns the order of these, and what happens when one of them fails. Must not know how anything is worded, nor decide
//! what to read.

use block::{BlockSink, BlockSource, ByteRange, Clock, Errno, Nanos, Offset, Patience, Recovery};
use map::{Phase, Position, Status};

use crate::ahead::Reader;
use crate::attempt::Slow;
use crate::keeper::Occasion;
use crate::writer::Writer;
use crate::{
    Book, Direction, EndsAt, Event, IfUnread, Keeper, Limit, Observer, Operator, Outcome, Rates, Report,
    Stage, Step, Strategy, Sweep, View,
};

mod burst;
mod ending;
mod options;
mod reading;
mod recheck;
mod saving;

pub use ending::{Ending, Trouble};
use ending::{Stop, ending_of};
pub use options::{Marking, Pause, RescueOptions};
pub use recheck::Recheck;

/// Whether somebody asked to stop.
pub type Interrupt<'a> = dyn Fn() -> bool + 'a;

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
    /// Bytes read briskly and without damage since the last damage or slow read; nearly enough of them at the start.
    clean: u64,
    witness: recheck::Witness,
    image_untrusted: bool,
    /// When the device was found to be gone; until a read is answered again.
    lost_since: Option<Nanos>,
    burst: burst::Burst,
}

impl<'a> Rescue<'a> {
    /// Makes a rescue of what of `map` lies in the domain of `book`.
    pub fn new(with: Surroundings<'a>, options: RescueOptions, book: Book, position: Position) -> Rescue<'a> {
        let now = with.clock.now().whole_secs();
        let rates = Rates::new(options.rates, now, book.bytes(Status::Finished));
        Rescue {
            reader: Reader::new(with.source, options.share),
            writer: Writer::new(with.sink, options.write),
            clock: with.clock,
            observer: with.observer,
            operator: with.operator,
            interrupt: with.interrupt,
            keeper: with.keeper,
            heading: with.heading,
            // The first read shows whether the source is fast enough for more.
            clean: options.ahead_after.unwrap_or(0).saturating_sub(1),
            options,
            book,
            rates,
            position,
            stage: None,
            witness: recheck::Witness::default(),
            image_untrusted: false,
            lost_since: None,
            burst: burst::Burst::new(),
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
            let (if_unread, ends_at, patience) = (IfUnread::BadSector, EndsAt::RangeEnd, Patience::Endless);
            self.sweep(&Sweep { range: part, unit, direction, stage, if_unread, ends_at, patience })?;
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
                Step::Recover(measure) => self.recover(measure)?,
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
            last_leading: 0,
            failed: false,
            errno: None,
            last_took: Nanos::ZERO,
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
                if done.failed {
                    // Worse than a limit: what can be read may be wrong.
                    self.recheck()?;
                    self.stop_if_suspicious()?;
                }
                return Err(stop);
            }
            self.save_if_due()?;
            if done.failed {
                self.look_after_failure()?;
            }
            outcome.earlier_reads = reads + done.reads - 1;
            reads += done.reads;
            outcome.last = done.last;
            (outcome.last_copied, outcome.last_leading) = (done.copied, done.leading);
            outcome.failed = done.failed;
            (outcome.errno, outcome.last_took) = (done.errno, done.took);
            self.throttle();
            outcome.slow = self.judge(sweep);
            self.stop_at(self.options.limits.passed_by_slowness(&self.rates))?;
            self.await_left_behind(sweep)?;
            // Now, and not before the next read: a pause in between counts for what is read after it.
            self.rates.tick(self.clock.now().whole_secs(), self.book.bytes(Status::Finished));
            self.recover_from(&outcome)?;
            let ends = match sweep.ends_at {
                EndsAt::RangeEnd => false,
                EndsAt::Damage => outcome.failed,
                EndsAt::DamageOrSlowness => outcome.failed || outcome.slow.is_some(),
                EndsAt::DamageOrLongRead(limit) => outcome.failed || outcome.last_took > limit,
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
        if sweep.if_unread != IfUnread::Unchanged {
            self.position = Position { at, phase: sweep.stage.phase, pass: sweep.stage.pass };
        }
        if is_new_pass {
            self.begin_pass(sweep.stage);
        }
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

    fn stop_at(&mut self, limits: Vec<Limit>) -> Result<(), Stop> {
        if limits.is_empty() {
            return Ok(());
        }
        limits.iter().for_each(|limit| self.tell(&Event::LimitPassed(*limit)));
        Err(Stop::Limits(limits))
    }

    fn end_pass(&mut self) {
        if self.stage.is_some() {
            self.tell(&Event::PassEnds);
        }
    }

    fn begin_pass(&mut self, stage: Stage) {
        let is_first = self.stage.is_none();
        if !is_first && self.options.pause_on_pass > Nanos::ZERO {
            self.tell(&Event::PauseBegins);
            self.clock.sleep(self.options.pause_on_pass);
            let secs = self.options.pause_on_pass.whole_secs();
            self.rates.forgive_pause(secs, self.clock.now().whole_secs());
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

    fn save_if_due(&mut self) -> Result<(), Stop> {
        let clock = self.clock;
        if self.keeper.as_ref().is_some_and(|keeper| keeper.is_due(clock, self.book.map().len())) {
            self.save(Occasion::Interval)?;
        }
        Ok(())
    }

    /// When too much came in the second that is counted, waits for the next one.
    fn throttle(&mut self) {
        let Some(most) = self.options.read_rate_max else { return };
        let (now, rescued) = (self.clock.now(), self.book.bytes(Status::Finished));
        let second = now.whole_secs();
        if !self.rates.is_due(second) && self.rates.rescued_since_sample(rescued) > most {
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

    /// Looks whether the source is still there, and still gives what it gave before.
    fn look_after_failure(&mut self) -> Result<(), Stop> {
        if self.options.marking == Marking::AtOnce {
            self.reader.source.presence().map_err(|error| Stop::Failed(Trouble::Source(error)))?;
        }
        self.recheck()
    }

    /// Does what the options ask for after a failed or slow read.
    fn recover_from(&mut self, outcome: &Outcome) -> Result<(), Stop> {
        if !outcome.failed && outcome.slow.is_none() {
            return Ok(());
        }
        // GNU ddrescue leaves a pass that has copied down to the source's beginning before it thinks of this.
        let Sweep { direction, stage, .. } = &outcome.sweep;
        let is_copied_down = *direction == Direction::Backwards && outcome.last.start() == Offset::ZERO;
        if is_copied_down && stage.phase == Phase::Copying {
            return Ok(());
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

    fn tell(&mut self, event: &Event<'_>) {
        tell(self.observer, event, &self.book, &self.rates, self.position, self.stage);
    }
}

/// Requests that were made together.
struct Done {
    range: ByteRange,
    last: ByteRange,
    reads: u64,
    copied: u64,
    /// How many of these lie before anything that the last of them did not bring.
    leading: u64,
    failed: bool,
    errno: Option<Errno>,
    /// How long the last of them took, or all of them where they were joined.
    took: Nanos,
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
