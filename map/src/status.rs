//! The statuses of blocks and the phases of a rescue, with their characters.
//!
//! Owns these two alphabets. Must not know what leads from one to the next.

use block::Offset;

/// What is known about a block. The order is that of processing: less processed is smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Status {
    /// Nobody has tried to read it (`?`).
    NonTried = 0,
    /// A read of more than a sector failed; its edges are not known (`*`).
    NonTrimmed = 1,
    /// Its edges are known, its inside is not (`/`).
    NonScraped = 2,
    /// Read sector by sector, and failed (`-`).
    BadSector = 3,
    /// Read and safely written (`+`).
    Finished = 4,
}

impl Status {
    /// All statuses, in the order of the enumeration.
    pub const ALL: [Status; 5] =
        [Status::NonTried, Status::NonTrimmed, Status::NonScraped, Status::BadSector, Status::Finished];

    /// The character that stands for it in mapfiles.
    pub const fn character(self) -> char {
        match self {
            Status::NonTried => '?',
            Status::NonTrimmed => '*',
            Status::NonScraped => '/',
            Status::BadSector => '-',
            Status::Finished => '+',
        }
    }

    /// The status that a character of a mapfile stands for.
    pub const fn from_character(character: char) -> Option<Status> {
        Some(match character {
            '?' => Status::NonTried,
            '*' => Status::NonTrimmed,
            '/' => Status::NonScraped,
            '-' => Status::BadSector,
            '+' => Status::Finished,
            _ => return None,
        })
    }

    /// The field's word for it, as in reports: `non-tried`, `finished` …
    pub const fn name(self) -> &'static str {
        match self {
            Status::NonTried => "non-tried",
            Status::NonTrimmed => "non-trimmed",
            Status::NonScraped => "non-scraped",
            Status::BadSector => "bad-sector",
            Status::Finished => "finished",
        }
    }
}

/// What a rescue was doing when its map was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Reading what nobody has tried (`?`).
    #[default]
    Copying,
    /// Finding the edges of failed blocks (`*`).
    Trimming,
    /// Reading the inside of failed blocks sector by sector (`/`).
    Scraping,
    /// Reading bad sectors again (`-`).
    Retrying,
    /// Writing marks over chosen blocks of the destination (`F`).
    Filling,
    /// Guessing a map from a partial copy (`G`).
    Generating,
    /// Done (`+`).
    Finished,
}

impl Phase {
    /// The character that stands for it in the status line of a mapfile.
    pub const fn character(self) -> char {
        match self {
            Phase::Copying => '?',
            Phase::Trimming => '*',
            Phase::Scraping => '/',
            Phase::Retrying => '-',
            Phase::Filling => 'F',
            Phase::Generating => 'G',
            Phase::Finished => '+',
        }
    }

    /// The phase that a character of a status line stands for.
    pub const fn from_character(character: char) -> Option<Phase> {
        Some(match character {
            '?' => Phase::Copying,
            '*' => Phase::Trimming,
            '/' => Phase::Scraping,
            '-' => Phase::Retrying,
            'F' => Phase::Filling,
            'G' => Phase::Generating,
            '+' => Phase::Finished,
            _ => return None,
        })
    }

    /// The field's word for it, as in reports: `copying`, `finished` …
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Copying => "copying",
            Phase::Trimming => "trimming",
            Phase::Scraping => "scraping",
            Phase::Retrying => "retrying",
            Phase::Filling => "filling",
            Phase::Generating => "generating",
            Phase::Finished => "finished",
        }
    }
}

/// The status line of a mapfile: where a rescue was, and what it did there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Start of the block about to be read in a forward pass, its end in a backward pass.
    pub at: Offset,
    /// Phase of that read.
    pub phase: Phase,
    /// Pass of that read: 1 to 5 in copying, the retry's number in retrying, else 1.
    pub pass: u32,
}

impl Default for Position {
    fn default() -> Position {
        Position { at: Offset::ZERO, phase: Phase::Copying, pass: 1 }
    }
}
