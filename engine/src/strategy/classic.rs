//! The strategy of GNU ddrescue 1.29: five copying passes, trimming, scraping, retrying; also as 1.30 means to change it.
//!
//! Owns the order of reads. Must not know how a read is done, nor how long it took in real time.
//! Source: GNU ddrescue manual, chapter "Algorithm", and what the program does where it says more or less.

use block::{ByteRange, Offset, Patience};
use map::{Block, Phase, Position, Status};

use super::course::{far_end, natural_start, near_end, next_block, part_from, resumed_at};
use super::register::{Ground, Made, Settings};
use crate::attempt::Slow;
use crate::{Direction, EndsAt, IfUnread, Outcome, Stage, Step, Strategy, Sweep, View};

/// Number of copying passes.
pub const PASSES: u32 = 5;

/// Which ddrescue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// 1.29.
    Gnu1_29,
    /// 1.30 as its release candidate tells of it: pass 5 comes after trimming, pass 2 and trimming read only from edges that
    /// touch good data, and skips begin larger. Never held against the program.
    Gnu1_30,
}

/// Settings of [`Classic`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicOptions {
    /// Which ddrescue.
    pub edition: Edition,
    /// Unit of trimming, scraping and retrying, in bytes.
    pub sector: u64,
    /// Unit of copying, in bytes.
    pub cluster: u64,
    /// What is skipped after the first error, in bytes; 0: nothing is ever skipped.
    pub skip_initial: u64,
    /// What is skipped at most, in bytes.
    pub skip_max: u64,
    /// Which copying passes are run; all of them if a resume is to continue one.
    pub passes: [bool; PASSES as usize],
    /// Direction of passes 1, 3, 5, of trimming and scraping, and of the first retry.
    pub direction: Direction,
    /// Whether every pass has that direction.
    pub turning: Turning,
    /// Whether edges of failed blocks are looked for.
    pub trimming: bool,
    /// Whether the inside of failed blocks is read.
    pub scraping: bool,
    /// Times that every bad sector is read again; `None`: for ever.
    pub retries: Option<u32>,
    /// Whether scraping is left out when all there is to scrape was found without reading.
    pub unread_insides: UnreadInsides,
    /// Where an earlier run stopped.
    pub resume: Option<Position>,
}

/// What becomes of failed blocks that trimming finds between two bad sectors, so that it need not read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreadInsides {
    /// They are scraped like any others.
    Count,
    /// They are scraped if there is something else to scrape; alone they are left to the next run. GNU ddrescue does
    /// not count them in its sums, and goes by these.
    Overlooked,
}

/// Whether passes change direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turning {
    /// Every other pass runs the other way.
    Alternating,
    /// All passes run the same way.
    Never,
}

impl Default for ClassicOptions {
    fn default() -> ClassicOptions {
        ClassicOptions {
            edition: Edition::Gnu1_29,
            sector: 512,
            cluster: 65536,
            skip_initial: 65536,
            skip_max: 1 << 60,
            passes: [true; PASSES as usize],
            direction: Direction::Forwards,
            turning: Turning::Alternating,
            trimming: true,
            scraping: true,
            retries: Some(0),
            unread_insides: UnreadInsides::Count,
            resume: None,
        }
    }
}

impl ClassicOptions {
    /// Returns the initial skip that ddrescue 1.30 takes when none is given, for a source of `size` bytes.
    pub fn skip_initial_of_1_30(size: Option<u64>) -> u64 {
        (size.unwrap_or(0) / 32_768).max(65_536).next_multiple_of(65_536)
    }

    /// Returns the skip sizes that GNU ddrescue takes when none is given: initial, maximum.
    ///
    /// `size` is that of the source in bytes, `given` what the user asked for.
    pub fn skip_sizes(size: Option<u64>, given: (Option<u64>, Option<u64>), sector: u64) -> (u64, u64) {
        const STEP: u64 = 65536;
        let initial =
            given.0.unwrap_or_else(|| (size.unwrap_or(0) / 100_000).max(STEP).next_multiple_of(STEP));
        if initial == 0 {
            return (0, 0);
        }
        let max = given.1.unwrap_or_else(|| size.map_or(1 << 60, |size| size / 100)).max(initial);
        (initial.next_multiple_of(sector), max.next_multiple_of(sector))
    }
}

/// GNU ddrescue's strategy.
#[derive(Clone, Debug)]
pub struct Classic {
    options: ClassicOptions,
    state: State,
    /// Size of the next skip after an error, in bytes.
    skip: u64,
    /// Size of the last skip after a slow read, in bytes.
    slow_skip: u64,
    /// Bytes that trimming gave over to scraping without reading.
    unread: u64,
    /// Whether an earlier phase of this run had something to do, so that a retry cannot be resumed any more.
    is_past_resume: bool,
    /// Whether pass 5 has been run, where it comes after trimming.
    is_swept: bool,
}

#[derive(Clone, Debug)]
enum State {
    Begin,
    Copying(CopyingPass),
    Trimming { at: Offset, edge: Option<Edge> },
    Scraping { at: Offset },
    Retrying(RetryingPass),
    End,
}

#[derive(Clone, Debug)]
struct CopyingPass {
    pass: u32,
    at: Offset,
    found: Found,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Blocks,
}

/// A block that is being trimmed.
#[derive(Clone, Copy, Debug)]
struct Edge {
    block: ByteRange,
    side: Side,
    /// Whether the block behind it is bad, so that its trailing edge is known.
    is_closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Leading,
    Trailing,
}

#[derive(Clone, Debug)]
struct RetryingPass {
    round: u32,
    /// Added to the round in the saved pass: 1 if this run began in the second direction.
    lead: u32,
    at: Offset,
}

impl Strategy for Classic {
    fn name(&self) -> &'static str {
        match self.options.edition {
            Edition::Gnu1_29 => "classic",
            Edition::Gnu1_30 => "classic-1.30",
        }
    }

    fn step(&mut self, view: View<'_>, last: Option<&Outcome>) -> Option<Step> {
        let mut last = last;
        loop {
            let step = match self.state.clone() {
                State::Begin => self.begin_copying(view),
                State::Copying(pass) => self.copy(view, pass, last),
                State::Trimming { at, edge } => self.trim(view, at, edge, last),
                State::Scraping { at } => self.scrape(view, at, last),
                State::Retrying(pass) => self.retry(view, pass, last),
                State::End => return None,
            };
            if step.is_some() {
                return step;
            }
            last = None;
        }
    }
}

impl Classic {
    /// Makes the strategy.
    pub fn new(options: ClassicOptions) -> Classic {
        let skip = options.skip_initial;
        let (is_past_resume, is_swept) = (false, false);
        Classic { options, state: State::Begin, skip, slow_skip: 0, unread: 0, is_past_resume, is_swept }
    }

    /// Makes it as the register does: with GNU's defaults.
    pub(super) fn make(ground: &Ground, settings: &Settings) -> Made {
        settings.none_but(&[])?;
        Ok(Box::new(Classic::new(Classic::options_for(ground, Edition::Gnu1_29))))
    }

    /// Makes the edition 1.30 as the register does.
    pub(super) fn make_1_30(ground: &Ground, settings: &Settings) -> Made {
        settings.none_but(&[])?;
        Ok(Box::new(Classic::new(Classic::options_for(ground, Edition::Gnu1_30))))
    }

    fn options_for(ground: &Ground, edition: Edition) -> ClassicOptions {
        let initial = match edition {
            Edition::Gnu1_29 => None,
            Edition::Gnu1_30 => Some(ClassicOptions::skip_initial_of_1_30(ground.size)),
        };
        let (skip_initial, skip_max) =
            ClassicOptions::skip_sizes(ground.size, (initial, None), ground.sector);
        ClassicOptions {
            edition,
            sector: ground.sector,
            cluster: ground.block_or(64 << 10),
            skip_initial,
            skip_max,
            direction: ground.direction,
            retries: ground.retries,
            resume: ground.resume,
            ..ClassicOptions::default()
        }
    }

    // Copying.

    fn begin_copying(&mut self, view: View<'_>) -> Option<Step> {
        let resume = self.options.resume.filter(|p| p.phase == Phase::Copying);
        // A pass that does not exist is taken for the first one, its position for true.
        let resume = resume.map(|p| Position { pass: if p.pass <= PASSES { p.pass } else { 1 }, ..p });
        // A choice of passes says where to start, so that a resume must not.
        let resume = resume.filter(|_| self.options.passes == [true; PASSES as usize]);
        self.is_past_resume = view.book.bytes(Status::NonTried) > 0;
        let pass = match resume {
            Some(position) => Some(position.pass),
            None => self.next_pass(0),
        };
        match pass {
            Some(pass) if view.book.bytes(Status::NonTried) > 0 => {
                let direction = self.direction_of(pass);
                let at = resume
                    .and_then(|p| resumed_at(view, p.at, direction, Status::NonTried))
                    .unwrap_or_else(|| natural_start(direction));
                self.state = State::Copying(CopyingPass { pass, at, found: Found::Nothing });
            }
            _ => self.begin_trimming(),
        }
        None
    }

    fn next_pass(&self, after: u32) -> Option<u32> {
        let last = match self.options.edition {
            Edition::Gnu1_29 => PASSES,
            Edition::Gnu1_30 => PASSES - 1,
        };
        (after + 1..=last).find(|pass| self.options.passes[*pass as usize - 1])
    }

    fn direction_of(&self, pass: u32) -> Direction {
        if self.options.turning == Turning::Alternating && pass.is_multiple_of(2) {
            self.options.direction.opposite()
        } else {
            self.options.direction
        }
    }

    fn copy(&mut self, view: View<'_>, mut pass: CopyingPass, last: Option<&Outcome>) -> Option<Step> {
        let direction = self.direction_of(pass.pass);
        if let Some(outcome) = last {
            pass.at = self.after_copying(view, &pass, outcome);
        }
        while let Some(block) = next_block(view, Status::NonTried, pass.at, direction) {
            pass.found = Found::Blocks;
            let range = part_from(block.range, pass.at, direction);
            if !self.qualifies(view, pass.pass, direction, &block) {
                pass.at = far_end(block.range, direction);
                continue;
            }
            if near_end(range, direction) != pass.at {
                // Elsewhere: what was learned about the last damage does not count here.
                self.skip = self.options.skip_initial;
            }
            let stage = Stage { phase: Phase::Copying, pass: pass.pass, round: pass.pass, direction };
            let ends_at = match pass.pass {
                1 | 2 => EndsAt::DamageOrSlowness,
                3 | 4 => EndsAt::Damage,
                _ => EndsAt::RangeEnd,
            };
            pass.at = near_end(range, direction);
            self.state = State::Copying(pass);
            let (unit, if_unread) = (self.options.cluster, IfUnread::NonTrimmed);
            let patience = Patience::Endless;
            return Some(Step::Sweep(Sweep { range, unit, direction, stage, if_unread, ends_at, patience }));
        }
        match self.next_pass(pass.pass).filter(|_| pass.found == Found::Blocks) {
            Some(pass) => {
                let at = natural_start(self.direction_of(pass));
                self.state = State::Copying(CopyingPass { pass, at, found: Found::Nothing });
            }
            None => self.begin_trimming(),
        }
        None
    }

    /// Passes 3 and 4, and in 1.30 also pass 2, read only from an edge that touches good data: elsewhere the damage is likely
    /// to go on.
    fn qualifies(&self, view: View<'_>, pass: u32, direction: Direction, block: &Block) -> bool {
        let first = match self.options.edition {
            Edition::Gnu1_29 => 3,
            Edition::Gnu1_30 => 2,
        };
        if !(first..=4).contains(&pass) {
            return true;
        }
        let neighbour = match direction {
            Direction::Forwards => view.book.map().before(block.range),
            Direction::Backwards => view.book.map().after(block.range),
        };
        neighbour.is_none_or(|neighbour| neighbour.status == Status::Finished)
    }

    /// Returns where the pass goes on after a sweep.
    fn after_copying(&mut self, view: View<'_>, pass: &CopyingPass, outcome: &Outcome) -> Offset {
        let at = outcome.sweep.after(outcome.last);
        let is_clean = !outcome.failed && outcome.slow.is_none();
        if outcome.earlier_reads > 0 || (is_clean && outcome.last_copied > 0) {
            self.skip = self.options.skip_initial;
        }
        if is_clean || self.options.skip_initial == 0 || pass.pass == 5 {
            return at;
        }
        let direction = outcome.sweep.direction;
        let Some(rest) = next_block(view, Status::NonTried, at, direction)
            .map(|block| part_from(block.range, at, direction))
            .filter(|rest| near_end(*rest, direction) == at)
        else {
            return at;
        };
        if pass.pass != 1 {
            return far_end(rest, direction);
        }
        let skip = if outcome.failed { self.take_skip() } else { self.take_slow_skip(outcome.slow) };
        match direction {
            Direction::Forwards if at + skip < rest.end() => {
                (at + skip).align_down(self.options.sector).max(at)
            }
            Direction::Backwards if at.saturating_back(skip) > rest.start() => {
                at.saturating_back(skip).align_up(self.options.sector).min(at)
            }
            _ => far_end(rest, direction),
        }
    }

    /// Skips double because damage clusters: a hole costs log n failed reads instead of n.
    fn take_skip(&mut self) -> u64 {
        let skip = self.skip;
        self.skip = if skip <= self.options.skip_max / 2 { skip * 2 } else { self.options.skip_max };
        skip
    }

    fn take_slow_skip(&mut self, slow: Option<Slow>) -> u64 {
        let Some(slow) = slow else { return 0 };
        let ClassicOptions { skip_initial, skip_max, sector, .. } = self.options;
        self.slow_skip = if slow.continued {
            self.slow_skip.saturating_mul(2).min(skip_max)
        } else {
            slow.rate.min(skip_max).max(skip_initial)
        };
        self.slow_skip = self.slow_skip.next_multiple_of(sector);
        self.slow_skip
    }

    // Trimming.

    fn begin_trimming(&mut self) {
        let at = natural_start(self.options.direction);
        self.state = State::Trimming { at, edge: None };
    }

    fn trim(
        &mut self,
        view: View<'_>,
        at: Offset,
        edge: Option<Edge>,
        last: Option<&Outcome>,
    ) -> Option<Step> {
        let direction = self.options.direction;
        if let (Some(edge), Some(outcome)) = (edge, last) {
            let rest = match (edge.side, outcome.failed) {
                (_, false) => ByteRange::default(),
                (Side::Leading, true) => ByteRange::between(outcome.last.end(), edge.block.end()),
                (Side::Trailing, true) => ByteRange::between(edge.block.start(), outcome.last.start()),
            };
            if rest.is_empty() {
                self.state = State::Trimming { at, edge: None };
                return None;
            }
            let rest = Edge { block: rest, ..edge };
            return Some(match edge.side {
                Side::Leading if !edge.is_closed => self.trim_side(at, Edge { side: Side::Trailing, ..rest }),
                _ => self.leave_inside(at, rest.block),
            });
        }
        let block =
            self.options.trimming.then(|| next_block(view, Status::NonTrimmed, at, direction)).flatten();
        let Some(block) = block.map(|block| block.range) else {
            self.begin_scraping(view);
            return None;
        };
        self.is_past_resume = true;
        let is_bad = |neighbour: Option<Block>| match self.options.edition {
            Edition::Gnu1_29 => neighbour.is_some_and(|b| b.status == Status::BadSector),
            Edition::Gnu1_30 => neighbour.is_some_and(|b| b.status != Status::Finished),
        };
        let (is_open, is_closed) =
            (!is_bad(view.book.map().before(block)), is_bad(view.book.map().after(block)));
        let at = far_end(block, direction);
        Some(match (is_open, is_closed) {
            (false, true) => {
                // The sums that overlook it are those of 1.29.
                let counts = self.options.edition == Edition::Gnu1_29;
                self.unread += if counts { block.length() } else { 0 };
                self.leave_inside(at, block)
            }
            (true, _) => self.trim_side(at, Edge { block, side: Side::Leading, is_closed }),
            (false, false) => self.trim_side(at, Edge { block, side: Side::Trailing, is_closed }),
        })
    }

    fn trim_side(&mut self, at: Offset, edge: Edge) -> Step {
        self.state = State::Trimming { at, edge: Some(edge) };
        let direction = match edge.side {
            Side::Leading => Direction::Forwards,
            Side::Trailing => Direction::Backwards,
        };
        self.sectors(edge.block, Phase::Trimming, direction, EndsAt::Damage)
    }

    fn leave_inside(&mut self, at: Offset, range: ByteRange) -> Step {
        self.state = State::Trimming { at, edge: None };
        Step::Mark { range, status: Status::NonScraped }
    }

    // Scraping.

    fn begin_scraping(&mut self, view: View<'_>) {
        let sweeps = self.options.edition == Edition::Gnu1_30 && self.options.passes[PASSES as usize - 1];
        if sweeps && !self.is_swept && view.book.bytes(Status::NonTried) > 0 {
            self.is_swept = true;
            let at = natural_start(self.direction_of(PASSES));
            self.state = State::Copying(CopyingPass { pass: PASSES, at, found: Found::Nothing });
            return;
        }
        let is_overlooked = self.unread > 0 && view.book.bytes(Status::NonScraped) <= self.unread;
        if is_overlooked && self.options.unread_insides == UnreadInsides::Overlooked {
            self.begin_retrying(view);
            return;
        }
        self.state = State::Scraping { at: natural_start(self.options.direction) };
    }

    fn scrape(&mut self, view: View<'_>, at: Offset, last: Option<&Outcome>) -> Option<Step> {
        let direction = self.options.direction;
        let at = last.map_or(at, |outcome| far_end(outcome.sweep.range, direction));
        let block =
            self.options.scraping.then(|| next_block(view, Status::NonScraped, at, direction)).flatten();
        let Some(block) = block else {
            self.begin_retrying(view);
            return None;
        };
        self.is_past_resume = true;
        self.state = State::Scraping { at };
        let range = part_from(block.range, at, direction);
        Some(self.sectors(range, Phase::Scraping, Direction::Forwards, EndsAt::RangeEnd))
    }

    // Retrying.

    fn begin_retrying(&mut self, view: View<'_>) {
        let resume = self.options.resume.filter(|p| p.phase == Phase::Retrying && !self.is_past_resume);
        let is_second =
            resume.is_some_and(|p| p.pass.is_multiple_of(2)) && self.options.turning == Turning::Alternating;
        let lead = u32::from(is_second);
        let direction = self.direction_of(1 + lead);
        let at = resume
            .and_then(|p| resumed_at(view, p.at, direction, Status::BadSector))
            .unwrap_or_else(|| natural_start(direction));
        self.state = match self.options.retries {
            Some(0) => State::End,
            _ => State::Retrying(RetryingPass { round: 1, lead, at }),
        };
    }

    fn retry(&mut self, view: View<'_>, mut pass: RetryingPass, last: Option<&Outcome>) -> Option<Step> {
        let direction = self.direction_of(pass.round + pass.lead);
        if let Some(outcome) = last {
            pass.at = outcome.sweep.after(outcome.last);
        }
        if let Some(block) = next_block(view, Status::BadSector, pass.at, direction) {
            let range = part_from(block.range, pass.at, direction);
            let stage =
                Stage { phase: Phase::Retrying, pass: pass.round + pass.lead, round: pass.round, direction };
            self.state = State::Retrying(pass);
            let mut step = self.sectors(range, Phase::Retrying, direction, EndsAt::RangeEnd);
            if let Step::Sweep(sweep) = &mut step {
                sweep.stage = stage;
            }
            return Some(step);
        }
        let is_last = self.options.retries.is_some_and(|retries| pass.round >= retries);
        self.state = if is_last || view.book.bytes(Status::BadSector) == 0 {
            State::End
        } else {
            pass.round += 1;
            pass.at = natural_start(self.direction_of(pass.round + pass.lead));
            State::Retrying(pass)
        };
        None
    }

    fn sectors(&self, range: ByteRange, phase: Phase, direction: Direction, ends_at: EndsAt) -> Step {
        let stage = Stage { phase, pass: 1, round: 1, direction: self.options.direction };
        let (unit, if_unread) = (self.options.sector, IfUnread::BadSector);
        let patience = Patience::Endless;
        Step::Sweep(Sweep { range, unit, direction, stage, if_unread, ends_at, patience })
    }
}
