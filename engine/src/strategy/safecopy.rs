//! The strategy of safecopy 1.7: jumps over damage, and halving steps back to its far edge; also its three stages in turn.
//!
//! Owns the search for the edges of bad areas. Must not know how a read is done.
//! Source: the published specification of safecopy, and what the program was seen to read.
//!
//! What a run reads again of earlier ones, which safecopy keeps in lists of bad blocks, is what the map does not call
//! finished, in whole blocks. Data that safecopy only tests and reads again is kept at once; it is read again all the same.

use std::collections::VecDeque;

use block::{ByteRange, Offset, Patience, RangeSet, Recovery};
use map::{Phase, Position, Status};

use super::course::Manner;
use super::register::{Ground, Made, Settings};
use crate::{Direction, EndsAt, IfUnread, Outcome, Stage, Step, Strategy, View};

/// Most bytes of a block or a jump.
const BYTES_MAX: u64 = 100 << 20;

/// Settings of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SafecopyRun {
    /// Bytes of a read (`-b`); a multiple of the sector.
    pub block: u64,
    /// Bytes to go on by inside a bad area (`-f`); a multiple of the sector.
    pub skip: u64,
    /// Bytes to which its edges are looked for (`-r`), from a sector to `skip`.
    pub resolution: u64,
    /// Reads of its first block (`-R`); at least 1.
    pub attempts: u32,
    /// How often the head is moved over the whole disk after each failed read (`-Z`).
    pub sweeps: u32,
}

impl SafecopyRun {
    /// What safecopy does when told nothing.
    pub fn usual(block: u64) -> SafecopyRun {
        SafecopyRun { block, skip: 16 * block, resolution: block, attempts: 3, sweeps: 1 }
    }

    /// Its stages 1, 2 and 3 for a source of `size` bytes.
    pub fn stages(block: u64, size: Option<u64>) -> [SafecopyRun; 3] {
        let tenth = size.map_or(10 * block, |size| (size / 10 / block * block).max(block));
        let tenth = tenth.min((BYTES_MAX / block * block).max(block));
        let usual = SafecopyRun::usual(block);
        [
            SafecopyRun { skip: tenth, resolution: tenth, attempts: 1, sweeps: 0, ..usual },
            SafecopyRun { skip: 128 * block, attempts: 1, sweeps: 0, ..usual },
            SafecopyRun { skip: block, attempts: 4, sweeps: 1, ..usual },
        ]
    }
}

/// One run of safecopy, or several in turn, each over what the one before left.
#[derive(Clone, Debug)]
pub struct Safecopy {
    name: &'static str,
    sector: u64,
    runs: Vec<SafecopyRun>,
    resume: Option<Position>,
    /// Index of the run.
    index: usize,
    /// What this run reads, once it has begun.
    listed: Option<RangeSet>,
    at: Offset,
    /// What is left of the read that was planned, in bytes; 0: plan another one.
    window: u64,
    /// Reads of the first block of an area that are left; 0 inside one.
    attempts: u32,
    /// Whether the far edge of an area is being looked for backwards.
    is_backtracking: bool,
    /// Where the last bad area begins.
    area: Offset,
    /// What is to be done to the drive before the next read.
    remedies: VecDeque<Step>,
    /// Whether the last step was a read whose outcome decides.
    is_read: bool,
}

impl Safecopy {
    /// Makes the strategy for sectors of so many bytes.
    pub fn new(
        name: &'static str,
        sector: u64,
        runs: Vec<SafecopyRun>,
        resume: Option<Position>,
    ) -> Safecopy {
        let stopped = resume.filter(|position| position.phase == Phase::Copying);
        let index = stopped.map_or(0, |position| (position.pass.max(1) - 1) as usize);
        Safecopy {
            name,
            sector,
            index: if index < runs.len() { index } else { 0 },
            runs,
            resume: stopped,
            listed: None,
            at: Offset::ZERO,
            window: 0,
            attempts: 0,
            is_backtracking: false,
            area: Offset::ZERO,
            remedies: VecDeque::new(),
            is_read: false,
        }
    }

    /// Makes one run as the register does.
    pub(super) fn make(ground: &Ground, settings: &Settings) -> Made {
        settings.none_but(&["skip", "resolution", "attempts", "sweeps"])?;
        let (sector, block) = (ground.sector, ground.block_or(4096).min(BYTES_MAX));
        let usual = SafecopyRun::usual(block);
        let skip = settings.number("skip", 1..=BYTES_MAX, usual.skip.min(BYTES_MAX))?;
        let skip = skip.next_multiple_of(sector).max(block);
        let resolution = settings.number("resolution", 1..=BYTES_MAX, usual.resolution)?;
        let run = SafecopyRun {
            block,
            skip,
            resolution: resolution.next_multiple_of(sector).min(skip),
            attempts: settings.number("attempts", 1..=u32::MAX.into(), usual.attempts.into())? as u32,
            sweeps: settings.number("sweeps", 0..=1000, usual.sweeps.into())? as u32,
        };
        Ok(Box::new(Safecopy::new("safecopy", sector, vec![run], ground.resume)))
    }

    /// Makes the stages as the register does.
    pub(super) fn make_stages(ground: &Ground, settings: &Settings) -> Made {
        settings.none_but(&[])?;
        let block = ground.block_or(4096).min(BYTES_MAX);
        let runs = SafecopyRun::stages(block, ground.size).to_vec();
        Ok(Box::new(Safecopy::new("safecopy-stages", ground.sector, runs, ground.resume)))
    }

    fn run(&self) -> SafecopyRun {
        self.runs[self.index]
    }

    /// Lists what is to be read, and goes to where an earlier run stopped.
    fn begin(&mut self, view: View<'_>) {
        let block = self.run().block;
        let mut listed = RangeSet::new();
        for status in [Status::NonTried, Status::NonTrimmed, Status::NonScraped, Status::BadSector] {
            let mut from = Offset::ZERO;
            while let Some(found) = view.book.next_with(status, from) {
                let (start, end) = (found.range.start().align_down(block), found.range.end().align_up(block));
                listed.insert(ByteRange::between(start, end));
                from = found.range.end();
            }
        }
        self.listed = Some(listed.intersection(view.book.domain()));
        self.attempts = self.run().attempts;
        (self.at, self.window, self.is_backtracking) = (Offset::ZERO, 0, false);
        if let Some(position) = self.resume.take() {
            // Inside a bad area nothing tells how far the search for its edge was: it begins anew.
            let last_good = view.book.previous_with(Status::Finished, position.at);
            self.at = last_good.map_or(Offset::ZERO, |block| block.range.end().min(position.at));
        }
    }

    fn block_start(&self) -> Offset {
        self.at.align_down(self.run().block)
    }

    fn stage(&self) -> Stage {
        let pass = self.index as u32 + 1;
        Stage { phase: Phase::Copying, pass, round: pass, direction: Direction::Forwards }
    }

    fn manner(&self) -> Manner {
        let (unit, if_unread, ends_at) = (self.run().block, IfUnread::NonTrimmed, EndsAt::Damage);
        Manner { unit, stage: self.stage(), if_unread, ends_at, patience: Patience::Endless }
    }

    /// Half of a window, in whole sectors.
    fn halved(&self) -> u64 {
        (self.window / 2).next_multiple_of(self.sector)
    }

    // What a read led to.

    fn take(&mut self, view: View<'_>, outcome: &Outcome) {
        let (start, length) = (outcome.last.start(), outcome.last.length());
        if outcome.earlier_reads > 0 {
            self.attempts = self.run().attempts;
        }
        if !outcome.failed {
            return self.take_good(outcome);
        }
        if self.attempts > 0 {
            self.at = start + outcome.last_leading;
            if self.window == 0 {
                self.window = length;
            }
            self.window = self.window.saturating_sub(outcome.last_leading);
        }
        self.take_failed();
        self.remedies = self.remedies_after_failure(view);
    }

    fn take_good(&mut self, outcome: &Outcome) {
        let run = self.run();
        if self.attempts > 0 {
            self.attempts = run.attempts;
            self.at = outcome.last.end();
            self.window = self.window.saturating_sub(outcome.last.length());
        } else if self.window > run.resolution {
            self.window = self.halved();
            self.at = self.at.saturating_back(self.window).max(self.area);
            self.is_backtracking = true;
        } else {
            self.attempts = run.attempts;
            (self.window, self.is_backtracking) = (0, false);
        }
    }

    fn take_failed(&mut self) {
        let run = self.run();
        if self.attempts > 0 && self.window > run.resolution {
            self.window = self.halved();
            return;
        }
        if self.attempts > 1 {
            self.attempts -= 1;
            return;
        }
        if self.attempts == 1 {
            self.attempts = 0;
            self.area = self.at;
            self.window = self.block_start() + run.skip - self.at;
        }
        self.at += self.window;
        if !self.is_backtracking {
            self.window = 0;
        }
    }

    /// The source is closed and opened, and the head moved over it: both may wake up a drive or its driver.
    fn remedies_after_failure(&self, view: View<'_>) -> VecDeque<Step> {
        let mut remedies = VecDeque::from([Step::Recover(Recovery::Reopen)]);
        let (run, domain) = (self.run(), view.book.domain());
        let Some(span) = domain.span().filter(|_| run.sweeps > 0) else { return remedies };
        let aside = Manner { if_unread: IfUnread::Unchanged, ..self.manner() };
        let first = ByteRange::new(span.start(), run.block);
        let last = ByteRange::between(span.end().saturating_back(run.block), span.end());
        let ends = [domain.pieces_in(first).next(), domain.pieces_in(last).last()];
        for _ in 0..run.sweeps {
            remedies.extend(ends.iter().flatten().map(|range| aside.read(*range)));
        }
        remedies.push_back(Step::Recover(Recovery::Reopen));
        remedies
    }

    // What to read next.

    fn next_read(&mut self, view: View<'_>) -> Option<Step> {
        let run = self.run();
        if self.window == 0 && self.attempts > 0 {
            let piece = self.listed.as_ref().and_then(|listed| listed.at_or_after(self.at))?;
            self.at = self.at.max(piece.start());
            return Some(self.manner().sweep(ByteRange::between(self.at, piece.end())));
        }
        if self.window == 0 {
            self.window = self.block_start() + run.skip - self.at;
        }
        // What lies outside of the domain is passed over, and never read.
        let piece = view.book.domain().at_or_after(self.at)?;
        if self.at < piece.start() {
            self.at = piece.start();
        }
        let range = ByteRange::new(self.at, self.window.min(run.block)).overlap(piece);
        Some(self.manner().read(range))
    }
}

impl Strategy for Safecopy {
    fn name(&self) -> &'static str {
        self.name
    }

    fn step(&mut self, view: View<'_>, last: Option<&Outcome>) -> Option<Step> {
        if let Some(outcome) = last.filter(|_| self.is_read) {
            self.take(view, outcome);
        }
        if let Some(remedy) = self.remedies.pop_front() {
            self.is_read = false;
            return Some(remedy);
        }
        loop {
            if self.listed.is_none() {
                self.begin(view);
            }
            if let Some(step) = self.next_read(view) {
                self.is_read = true;
                return Some(step);
            }
            if self.index + 1 == self.runs.len() {
                return None;
            }
            self.index += 1;
            self.listed = None;
        }
    }
}
