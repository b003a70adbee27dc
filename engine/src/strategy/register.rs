//! What it takes to make a strategy by its name.
//!
//! Owns the ground that a strategy is made for, and its settings as text. Must not know any strategy.

use std::collections::BTreeMap;

use map::Position;
use thiserror::Error;

use crate::{Direction, Strategy};

/// What a strategy is made for.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Bytes of a sector of the source.
    pub sector: u64,
    /// Bytes of a read, if somebody chose that: a multiple of the sector.
    pub block: Option<u64>,
    /// Bytes of the source, if known.
    pub size: Option<u64>,
    /// From which end, for strategies that can go either way.
    pub direction: Direction,
    /// How often bad sectors are read again at the end; `None`: for ever.
    pub retries: Option<u32>,
    /// Whether the source is read past the page cache.
    pub is_direct: bool,
    /// Where an earlier run stopped.
    pub resume: Option<Position>,
}

impl Ground {
    /// Forwards over a source of `size` bytes with sectors of `sector`, past the page cache, from its beginning.
    pub fn new(sector: u64, size: Option<u64>) -> Ground {
        let direction = Direction::Forwards;
        Ground { sector, block: None, size, direction, retries: Some(0), is_direct: true, resume: None }
    }

    /// The block that somebody chose, or `usual`, in whole sectors.
    pub(super) fn block_or(&self, usual: u64) -> u64 {
        self.block.unwrap_or(usual).next_multiple_of(self.sector)
    }
}

/// Settings of a strategy: words with numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, u64>);

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unfit {
    /// Not `WORD=NUMBER`.
    #[error("'{text}' is no setting; write WORD=NUMBER, separated by commas, as in {name}:{example}=1")]
    Grammar {
        /// What was written.
        text: String,
        /// The strategy.
        name: String,
        /// A word that it knows.
        example: String,
    },
    /// The strategy has no such setting.
    #[error("there is no setting '{word}' here; {}", known_words(.known))]
    Word {
        /// The word.
        word: String,
        /// Those that it has.
        known: Vec<&'static str>,
    },
    /// The number is too small or too large.
    #[error("{word}={number}: give a number from {least} to {most}")]
    Number {
        /// The setting.
        word: &'static str,
        /// What was written.
        number: u64,
        /// The smallest that is possible.
        least: u64,
        /// The largest that is possible.
        most: u64,
    },
}

fn known_words(known: &[&'static str]) -> String {
    match known {
        [] => "this strategy has none".into(),
        known => format!("known are {}", known.join(", ")),
    }
}

impl Settings {
    /// Reads `WORD=NUMBER,...` for the strategy `name`.
    ///
    /// Errors: [`Unfit::Grammar`].
    pub fn parse(name: &str, text: &str) -> Result<Settings, Unfit> {
        let unfit =
            |text: &str| Unfit::Grammar { text: text.into(), name: name.into(), example: "skip".into() };
        let each = |text: &str| {
            let (word, number) = text.split_once('=').ok_or_else(|| unfit(text))?;
            Ok((word.to_owned(), number.parse().map_err(|_| unfit(text))?))
        };
        text.split(',').map(each).collect::<Result<_, _>>().map(Settings)
    }

    /// Makes sure that no word but these was said.
    pub(super) fn none_but(&self, known: &[&'static str]) -> Result<(), Unfit> {
        match self.0.keys().find(|word| !known.contains(&word.as_str())) {
            Some(word) => Err(Unfit::Word { word: word.clone(), known: known.to_vec() }),
            None => Ok(()),
        }
    }

    /// The number behind `word`, which must lie in `bounds`; `usual` if nobody said one.
    pub(super) fn number(
        &self,
        word: &'static str,
        bounds: std::ops::RangeInclusive<u64>,
        usual: u64,
    ) -> Result<u64, Unfit> {
        let number = self.0.get(word).copied().unwrap_or(usual);
        match bounds.contains(&number) {
            true => Ok(number),
            false => Err(Unfit::Number { word, number, least: *bounds.start(), most: *bounds.end() }),
        }
    }
}

/// A strategy that was made, or why it cannot be.
pub type Made = Result<Box<dyn Strategy>, Unfit>;

/// A strategy in the register.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// Which of the choices about passes it knows.
    pub knows: &'static [Choice],
    /// Makes it.
    pub make: fn(&Ground, &Settings) -> Made,
}

/// A choice that not every strategy leaves to its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Bytes of a read.
    Block,
    /// From which end.
    Direction,
    /// How often bad sectors are read again.
    Retries,
    /// All that GNU ddrescue leaves to its user.
    Gnu,
}
