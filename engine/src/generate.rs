//! Generate mode: guessing a map from a partial copy.
//!
//! Owns the guess: a sector with a byte that is not zero was copied. Must not know what is shown.

use block::{BlockSink, ByteRange, Clock, Offset, buffer, zero};
use map::mapfile::Heading;
use map::{Phase, Position, Status};

use crate::keeper::{Keeper, Occasion};
use crate::rescue::Interrupt;
use crate::saver::Saver;
use crate::{Book, Ending, Operator, Trouble};

/// How a map is guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenerateOptions {
    /// Bytes of a sector.
    pub sector: u64,
    /// Bytes read at a time.
    pub cluster: u64,
    /// Added to a position in the map to get that in the copy, in bytes.
    pub shift: i64,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GenerateProgress {
    /// Bytes taken for copied.
    pub rescued_bytes: u64,
    /// Bytes looked at.
    pub generated_bytes: u64,
    /// Position in the map.
    pub at: Offset,
}

/// What a run works with.
pub struct GenerateSurroundings<'a> {
    /// The partial copy, which is only read.
    pub copy: &'a mut dyn BlockSink,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// Is told before each read.
    pub watch: &'a mut dyn FnMut(&GenerateProgress),
    /// Who answers questions.
    pub operator: &'a mut dyn Operator,
    /// Whether to stop.
    pub interrupt: &'a Interrupt<'a>,
    /// Who keeps the map.
    pub keeper: Option<Keeper>,
    /// Makes the comments above the map.
    pub heading: &'a dyn Fn(&Position) -> Heading,
}

/// A run.
pub struct Generate<'a> {
    copy: &'a mut dyn BlockSink,
    watch: &'a mut dyn FnMut(&GenerateProgress),
    interrupt: &'a Interrupt<'a>,
    saver: Saver<'a>,
    options: GenerateOptions,
    book: Book,
    position: Position,
    progress: GenerateProgress,
}

enum Stop {
    Interrupted,
    Failed(Trouble),
}

impl<'a> Generate<'a> {
    /// Makes a run.
    pub fn new(
        with: GenerateSurroundings<'a>,
        options: GenerateOptions,
        book: Book,
        position: Position,
    ) -> Generate<'a> {
        let rescued_bytes = book.bytes(Status::Finished);
        let generated_bytes = book.domain_bytes() - book.bytes(Status::NonTried);
        let progress = GenerateProgress { rescued_bytes, generated_bytes, at: Offset::ZERO };
        let GenerateSurroundings { copy, clock, watch, operator, interrupt, keeper, heading } = with;
        let saver = Saver { clock, operator, keeper, heading };
        Generate { copy, watch, interrupt, saver, options, book, position, progress }
    }

    /// How far the run has come.
    pub fn progress(&self) -> GenerateProgress {
        self.progress
    }

    /// Runs to the end, and saves the map.
    pub fn run(&mut self) -> Ending {
        let ending = match self.generate() {
            Ok(()) => Ending::Finished,
            Err(Stop::Interrupted) => Ending::Interrupted,
            Err(Stop::Failed(trouble)) => Ending::Failed(trouble),
        };
        if matches!(ending, Ending::Finished) {
            self.position.phase = Phase::Finished;
        }
        self.book.merge();
        match (ending, self.saver.save(self.copy, &self.position, self.book.map(), Occasion::Last)) {
            (Ending::Finished | Ending::Interrupted, Err(trouble)) => Ending::Failed(trouble),
            (ending, _) => ending,
        }
    }

    fn generate(&mut self) -> Result<(), Stop> {
        let is_resume =
            self.position.phase == Phase::Generating && self.book.domain().contains(self.position.at);
        let mut at = if is_resume { self.position.at } else { Offset::ZERO };
        at = at.max(Offset::new(self.options.shift.min(0).unsigned_abs()));
        let mut data = buffer::zeroed(self.options.cluster as usize);
        while let Some(block) = self.book.next_with(Status::NonTried, at) {
            let request = self.request_in(ByteRange::between(block.range.start().max(at), block.range.end()));
            self.position = Position { at: request.start(), phase: Phase::Generating, pass: 1 };
            self.progress.at = request.start();
            (self.watch)(&self.progress);
            if (self.interrupt)() {
                return Err(Stop::Interrupted);
            }
            let wanted = &mut data[..request.length() as usize];
            let place = request.start().shifted(self.options.shift).unwrap_or(Offset::MAX);
            let copied = self.copy.read_back(place, wanted).map_err(|e| Stop::Failed(Trouble::Sink(e)))?;
            self.mark(request.start(), &data[..copied]);
            if (copied as u64) < request.length() {
                self.book.cut(request.start() + copied as u64);
                return Ok(());
            }
            at = request.end();
            self.saver.save_if_due(self.copy, &self.position, self.book.map()).map_err(Stop::Failed)?;
        }
        Ok(())
    }

    /// The first cluster of `range`, ending with a whole sector.
    fn request_in(&self, range: ByteRange) -> ByteRange {
        let GenerateOptions { sector, cluster, .. } = self.options;
        let end = (range.start() + cluster).min(range.end());
        let whole = end.align_down(sector);
        let end = if end < range.end() && whole > range.start() { whole } else { end };
        ByteRange::between(range.start(), end)
    }

    fn mark(&mut self, start: Offset, data: &[u8]) {
        let mut at = start;
        for sector in data.chunks(self.options.sector as usize) {
            let range = ByteRange::new(at, sector.len() as u64);
            if !zero::is_zero(sector) {
                self.book.change(range, Status::Finished);
                self.progress.rescued_bytes += range.length();
            }
            self.progress.generated_bytes += range.length();
            at = range.end();
        }
    }
}
