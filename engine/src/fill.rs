//! Fill mode: writing something over chosen blocks of a destination.
//!
//! Owns the order of writes and what is written where. Must not know where the data came from, nor what is shown.

use block::{BlockSink, ByteRange, Clock, Offset, SinkError, buffer};
use map::mapfile::Heading;
use map::{Block, Phase, Position, Status};

use crate::keeper::{Keeper, Occasion};
use crate::rescue::Interrupt;
use crate::saver::Saver;
use crate::{Book, Ending, Operator, Trouble};

/// Most bytes of the mark that a sector gets.
const MARK_BYTES_MAX: usize = 80;

/// How a destination is filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FillOptions {
    /// Blocks of these statuses are filled.
    pub statuses: Vec<Status>,
    /// Bytes of a sector.
    pub sector: u64,
    /// Added to a position in the map to get that in the destination, in bytes.
    pub shift: i64,
    /// What every sector is marked with.
    pub marks: Marks,
    /// What a failed write leads to.
    pub on_error: OnWriteError,
    /// Whether each write is made durable before the next one.
    pub synchronous: bool,
}

/// What every sector is marked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marks {
    /// Nothing.
    None,
    /// Its position, number and status.
    Place,
}

/// What a failed write leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnWriteError {
    /// The end of the run.
    Stop,
    /// Writing the rest of the block by sectors, and passing over those that fail.
    PassOver,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FillProgress {
    /// Bytes filled.
    pub filled_bytes: u64,
    /// Blocks filled.
    pub filled_areas: u64,
    /// Bytes to be filled yet.
    pub left_bytes: u64,
    /// Blocks to be filled yet.
    pub left_areas: u64,
    /// Position in the map.
    pub at: Offset,
}

/// What a run works with.
pub struct FillSurroundings<'a> {
    /// Where it writes.
    pub sink: &'a mut dyn BlockSink,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// Is told before each write.
    pub watch: &'a mut dyn FnMut(&FillProgress),
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
pub struct Fill<'a> {
    sink: &'a mut dyn BlockSink,
    watch: &'a mut dyn FnMut(&FillProgress),
    interrupt: &'a Interrupt<'a>,
    saver: Saver<'a>,
    options: FillOptions,
    book: Book,
    position: Position,
    progress: FillProgress,
    /// One cluster of what is to be written.
    data: Vec<u8>,
    piece: block::Buffer,
}

enum Stop {
    Interrupted,
    Failed(Trouble),
}

impl<'a> Fill<'a> {
    /// Makes a run that writes `data`, one cluster of it, again and again.
    pub fn new(
        with: FillSurroundings<'a>,
        options: FillOptions,
        data: Vec<u8>,
        book: Book,
        position: Position,
    ) -> Fill<'a> {
        let position = Position { at: resumed_at(&book, &position), ..position };
        let progress = progress(&book, &options, &position);
        let FillSurroundings { sink, clock, watch, operator, interrupt, keeper, heading } = with;
        let saver = Saver { clock, operator, keeper, heading };
        let piece = buffer::zeroed(data.len());
        Fill { sink, watch, interrupt, saver, options, book, position, progress, data, piece }
    }

    /// How far the run has come.
    pub fn progress(&self) -> FillProgress {
        self.progress
    }

    /// Runs to the end, and makes everything durable.
    pub fn run(&mut self) -> Ending {
        let ending = match self.fill() {
            Ok(()) => Ending::Finished,
            Err(Stop::Interrupted) => Ending::Interrupted,
            Err(Stop::Failed(trouble)) => Ending::Failed(trouble),
        };
        if matches!(ending, Ending::Finished) {
            self.position.phase = Phase::Finished;
        }
        self.book.merge();
        let flushed = self.sink.flush().map_err(Trouble::Sink);
        let map = self.book.map();
        let saved = self.saver.save(self.sink, &self.position, map, Occasion::Last);
        match (ending, flushed.and(saved)) {
            (Ending::Finished | Ending::Interrupted, Err(trouble)) => Ending::Failed(trouble),
            (ending, _) => ending,
        }
    }

    fn fill(&mut self) -> Result<(), Stop> {
        let start = resumed_at(&self.book, &self.position);
        let mut at = start;
        while let Some(block) = next_block(&self.book, &self.options, at) {
            let range = ByteRange::between(block.range.start().max(start), block.range.end());
            self.fill_block(range, block.status)?;
            self.progress.filled_areas += 1;
            self.progress.left_areas -= 1;
            at = block.range.end();
        }
        Ok(())
    }

    fn fill_block(&mut self, range: ByteRange, status: Status) -> Result<(), Stop> {
        let mut at = range.start();
        let mut unit = self.data.len() as u64;
        while at < range.end() {
            let piece = ByteRange::new(at, unit.min(range.end() - at));
            self.position = Position { at, phase: Phase::Filling, pass: 1 };
            self.progress.at = at;
            (self.watch)(&self.progress);
            if (self.interrupt)() {
                return Err(Stop::Interrupted);
            }
            match self.write(piece, status) {
                Err(error) if self.options.on_error == OnWriteError::Stop => {
                    return Err(Stop::Failed(Trouble::Sink(error)));
                }
                Err(_) if piece.length() > self.options.sector => {
                    unit = self.options.sector;
                    continue;
                }
                _ => {}
            }
            self.progress.filled_bytes += piece.length();
            self.progress.left_bytes -= piece.length();
            at = piece.end();
            self.saver.save_if_due(self.sink, &self.position, self.book.map()).map_err(Stop::Failed)?;
        }
        Ok(())
    }

    fn write(&mut self, range: ByteRange, status: Status) -> Result<(), SinkError> {
        let length = range.length() as usize;
        self.piece[..length].copy_from_slice(&self.data[..length]);
        if self.options.marks == Marks::Place {
            let sector = self.options.sector;
            for (index, bytes) in self.piece[..length].chunks_mut(sector as usize).enumerate() {
                let at = range.start() + index as u64 * sector;
                let number = at.bytes() / sector;
                let mark = format!("\n# position {at} sector 0x{number:08X} status {} ", status.character());
                let room = bytes.len().min(MARK_BYTES_MAX);
                let length = mark.len().min(room);
                bytes[..length].copy_from_slice(&mark.as_bytes()[..length]);
                // A mark that has no room ends in a zero, by which it can be told from a whole one.
                if mark.len() > room {
                    bytes[room - 1] = 0;
                }
            }
        }
        let place = range.start().shifted(self.options.shift).unwrap_or(Offset::MAX);
        self.sink.write_at(place, &self.piece[..length])?;
        if self.options.synchronous { self.sink.flush() } else { Ok(()) }
    }
}

/// Where an earlier run stopped, or the start.
fn resumed_at(book: &Book, position: &Position) -> Offset {
    let is_resume = position.phase == Phase::Filling && book.domain().contains(position.at);
    if is_resume { position.at } else { Offset::ZERO }
}

fn next_block(book: &Book, options: &FillOptions, at: Offset) -> Option<Block> {
    options
        .statuses
        .iter()
        .filter_map(|status| book.next_with(*status, at))
        .min_by_key(|block| block.range.start())
}

fn progress(book: &Book, options: &FillOptions, position: &Position) -> FillProgress {
    let start = resumed_at(book, position);
    let mut progress = FillProgress::default();
    let mut at = Offset::ZERO;
    while let Some(block) = next_block(book, options, at) {
        let (before, after) = block.range.split_at(start);
        progress.filled_bytes += before.length();
        progress.left_bytes += after.length();
        if after.is_empty() {
            progress.filled_areas += 1;
        } else {
            progress.left_areas += 1;
        }
        at = block.range.end();
    }
    progress
}
