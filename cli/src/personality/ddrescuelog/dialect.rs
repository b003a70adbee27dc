//! The options of ddrescuelog, and what they ask for.
//!
//! Owns the table, the order of evaluation and its messages. Must not know how the work is done.

use std::ffi::{OsStr, OsString};

use block::Offset;
use map::Status;
use map::algebra::{Change, Logic};
use map::list::BitOrder;

use super::PROGRAM;
use crate::personality::arguments::{CommandLine, Dialect, Given, OptionSpec, Value};
use crate::personality::mapfiles::{DomainOptions, Reading};
use crate::personality::number::{IntegerRule, Prefixes, parse_integer};
use crate::personality::{Complaint, Hint};

/// Names an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    /// `-h`
    Help,
    /// `-V`
    Version,
    /// `-a`
    ChangeTypes,
    /// `-A`
    Annotate,
    /// `-b`
    BlockSize,
    /// `-B`
    BinaryPrefixes,
    /// `-c`
    Create,
    /// `-C`
    Complete,
    /// `-d`
    DeleteIfDone,
    /// `-D`
    DoneStatus,
    /// `-f`
    Force,
    /// `-F`
    Format,
    /// `-i`
    InputPosition,
    /// `-l`
    ListBlocks,
    /// `-L`
    LooseDomain,
    /// `-m`
    DomainMapfile,
    /// `-n`
    Invert,
    /// `-o`
    OutputPosition,
    /// `-p`
    Compare,
    /// `-P`
    CompareAsDomain,
    /// `-q`
    Quiet,
    /// `-s`
    Size,
    /// `-t`
    ShowStatus,
    /// `-v`
    Verbose,
    /// `-x`
    Xor,
    /// `-y`
    And,
    /// `-z`
    Or,
    /// `--shift`
    Shift,
}

impl Id {
    /// Whether the option says what to do, rather than how.
    fn is_operation(self) -> bool {
        !matches!(
            self,
            Id::Help
                | Id::Version
                | Id::BlockSize
                | Id::BinaryPrefixes
                | Id::Force
                | Id::Format
                | Id::InputPosition
                | Id::LooseDomain
                | Id::DomainMapfile
                | Id::OutputPosition
                | Id::Quiet
                | Id::Size
                | Id::Verbose
        )
    }
}

const fn option(
    id: Id,
    short: char,
    longs: &'static [&'static str],
    value: Value,
    help: &'static str,
) -> OptionSpec<Id> {
    OptionSpec { id, short: Some(short), longs, value, help }
}

/// All that ddrescuelog understands.
#[rustfmt::skip]
pub const DIALECT: Dialect<Id> = Dialect {
    purpose: "Works on the mapfiles of a rescue: shows what they say, compares and combines them,\n\
              turns them into lists or bitmaps of sectors and back, and tells whether a rescue\n\
              is done. What is not in the domain (-i, -s, -m) is left as it is.",
    usage: "[options] mapfile",
    options: &[
        option(Id::Help, 'h', &["help"], Value::None, "show this text"),
        option(Id::Version, 'V', &["version"], Value::None, "show the version"),
        option(Id::ChangeTypes, 'a', &["change-types"], Value::Required("old,new"),
            "give blocks of the old types the new ones"),
        option(Id::Annotate, 'A', &["annotate-mapfile"], Value::None,
            "write the map with readable positions and sizes"),
        option(Id::BlockSize, 'b', &["block-size", "sector-size"], Value::Required("bytes"),
            "bytes in a sector [512]"),
        option(Id::BinaryPrefixes, 'B', &["binary-prefixes"], Value::None,
            "show numbers in steps of 1024, not 1000"),
        option(Id::Create, 'c', &["create-mapfile"], Value::Optional("types"),
            "make a map from the sectors named on standard input; the first type is for those, the second for \
             the others [+-]"),
        option(Id::Complete, 'C', &["complete-mapfile"], Value::Optional("type"),
            "order the blocks and fill the gaps with this type [?]"),
        option(Id::DeleteIfDone, 'd', &["delete-if-done"], Value::None,
            "remove the mapfile if everything is rescued"),
        option(Id::DoneStatus, 'D', &["done-status"], Value::None,
            "exit with 0 if everything is rescued, else with 1"),
        option(Id::Force, 'f', &["force"], Value::None, "let -c replace an existing mapfile"),
        option(Id::Format, 'F', &["format"], Value::Required("name"),
            "what -c reads and -l writes: list, bitmap-le, bitmap-be [list]"),
        option(Id::InputPosition, 'i', &["input-position"], Value::Required("bytes"),
            "where the domain begins [0]"),
        option(Id::ListBlocks, 'l', &["list-blocks"], Value::Required("types"),
            "list the sectors that have one of these types (?*/-+)"),
        option(Id::LooseDomain, 'L', &["loose-domain"], Value::None,
            "let the blocks of a domain map be unordered and have gaps"),
        option(Id::DomainMapfile, 'm', &["domain-mapfile"], Value::Required("file"),
            "take the finished blocks of this map as domain"),
        option(Id::Invert, 'n', &["invert-mapfile"], Value::None,
            "make finished blocks bad, and all others finished"),
        option(Id::OutputPosition, 'o', &["output-position"], Value::Required("bytes"),
            "where the domain begins in the result [as -i]"),
        option(Id::Compare, 'p', &["compare-mapfile"], Value::Required("file"),
            "exit with 0 if both maps say the same about the domain"),
        option(Id::CompareAsDomain, 'P', &["compare-as-domain"], Value::Required("file"),
            "the same, looking at finished blocks only"),
        option(Id::Quiet, 'q', &["quiet"], Value::None, "print no messages"),
        option(Id::Size, 's', &["size", "max-size"], Value::Required("bytes"),
            "how long the domain is at most"),
        option(Id::ShowStatus, 't', &["show-status"], Value::None,
            "tell how much of each map has which type"),
        option(Id::Verbose, 'v', &["verbose"], Value::None, "print more messages"),
        option(Id::Xor, 'x', &["xor-mapfile"], Value::Required("file"),
            "finish what is finished in exactly one of the maps"),
        option(Id::And, 'y', &["and-mapfile"], Value::Required("file"),
            "leave finished only what is finished in both maps"),
        option(Id::Or, 'z', &["or-mapfile"], Value::Required("file"),
            "finish what is finished in either map"),
        OptionSpec { id: Id::Shift, short: None, longs: &["shift"], value: Value::None,
            help: "move all blocks by the difference of -o and -i" },
    ],
    notes: "A mapfile called '-' is standard input, or for -c standard output.\n\
            Numbers are decimal, 0x hexadecimal or 0 octal, and take a multiplier (k = 1000, Ki = 1024,\n\
            M, Mi and so on) or s for sectors.\n\
            Exit status: 0 all went well, or yes; 1 something outside is wrong, or no; 2 a mapfile or\n\
            list is wrong; 3 an error in this program.",
};

/// What to do, with what only that needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// `-a` and `-n`.
    ChangeTypes(Change),
    /// `-A`
    Annotate,
    /// `-c`
    Create {
        /// Status of the sectors that are named.
        found: Status,
        /// Status of the others.
        other: Status,
    },
    /// `-C`
    Complete(Status),
    /// `-d`
    DeleteIfDone,
    /// `-D`
    DoneStatus,
    /// `-l`
    ListBlocks(Vec<Status>),
    /// `-p`
    Compare(OsString),
    /// `-P`
    CompareAsDomain(OsString),
    /// `-t`
    ShowStatus,
    /// `-x -y -z`
    Combine(Logic, OsString),
    /// `--shift`
    Shift,
}

/// How `-c` reads and `-l` writes sectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// Numbers.
    #[default]
    List,
    /// One bit each.
    Bitmap(BitOrder),
}

/// Everything but the operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// The mapfiles, at least one.
    pub mapfiles: Vec<OsString>,
    /// Which part of them is meant.
    pub domain: DomainOptions,
    /// `-o`; `None` if it is not given.
    pub output_position: Option<Offset>,
    /// Bytes in a sector.
    pub sector_bytes: u32,
    /// How numbers are shown.
    pub prefixes: Prefixes,
    /// How sectors are listed.
    pub format: Format,
    /// Whether `-c` may replace a file.
    pub force: bool,
    /// -1 after `-q`; each `-v` adds 1, up to 4.
    pub verbosity: i32,
}

impl Default for Job {
    fn default() -> Job {
        Job {
            mapfiles: Vec::new(),
            domain: DomainOptions::default(),
            output_position: None,
            sector_bytes: 512,
            prefixes: Prefixes::Decimal,
            format: Format::List,
            force: false,
            verbosity: 0,
        }
    }
}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Evaluated {
    /// To show the help.
    Help,
    /// To show the version.
    Version,
    /// To work.
    Operation(Operation),
}

impl Job {
    /// Takes in the options from left to right. What was taken in before an error, such as `-q`, counts for it.
    pub(super) fn evaluate(&mut self, line: CommandLine<Id>) -> Result<Evaluated, Complaint> {
        let mut chosen: Option<(Id, Operation)> = None;
        for given in &line.options {
            match given.id {
                Id::Help => return Ok(Evaluated::Help),
                Id::Version => return Ok(Evaluated::Version),
                _ => {}
            }
            let is_another = chosen.as_ref().is_some_and(|(id, _)| *id != given.id);
            if is_another && given.id.is_operation() {
                return Err(Complaint::usage("Only one operation can be specified."));
            }
            if let Some(operation) = self.take(given)? {
                chosen = Some((given.id, operation));
            }
        }
        self.mapfiles = line.names;
        let Some((_, operation)) = chosen else {
            return Err(Complaint::usage("You must specify the operation to be performed."));
        };
        match (&operation, self.mapfiles.len()) {
            (Operation::ShowStatus, 0) => Err(Complaint::usage("At least one mapfile must be specified.")),
            (_, 0) => Err(Complaint::usage("A mapfile must be specified.")),
            (Operation::ShowStatus, _) | (_, 1) => Ok(Evaluated::Operation(operation)),
            _ => Err(Complaint::usage("Too many files.")),
        }
    }

    /// Takes in one option; returns the operation if it is one.
    fn take(&mut self, given: &Given<Id>) -> Result<Option<Operation>, Complaint> {
        let file = || given.value.clone().unwrap_or_default();
        match given.id {
            Id::Help | Id::Version => {}
            Id::BlockSize => {
                let bytes = integer(given, IntegerRule::count(1, i32::MAX.into()))?;
                self.sector_bytes = bytes as u32;
            }
            Id::BinaryPrefixes => self.prefixes = Prefixes::Binary,
            Id::Force => self.force = true,
            Id::Format => self.format = format(given)?,
            Id::InputPosition => self.domain.start = self.position(given)?,
            Id::LooseDomain => self.domain.reading = Reading::Loose(Status::NonTried),
            Id::DomainMapfile => {
                if self.domain.mapfile.replace(file()).is_some() {
                    return Err(Complaint::new(format!(
                        "Option '{}' can be specified only once.",
                        given.name
                    )));
                }
            }
            Id::OutputPosition => self.output_position = Some(self.position(given)?),
            Id::Quiet => self.verbosity = -1,
            Id::Size => {
                let rule = IntegerRule { low: -1, ..IntegerRule::position(self.sector_bytes) };
                self.domain.size = u64::try_from(integer(given, rule)?).ok();
            }
            Id::Verbose => self.verbosity = (self.verbosity + 1).min(4),
            Id::ChangeTypes => return change_types(given).map(Some),
            Id::Annotate => return Ok(Some(Operation::Annotate)),
            Id::Create => return created_types(given).map(Some),
            Id::Complete => return completing_type(given).map(Some),
            Id::DeleteIfDone => return Ok(Some(Operation::DeleteIfDone)),
            Id::DoneStatus => return Ok(Some(Operation::DoneStatus)),
            Id::ListBlocks => {
                let statuses = statuses(given.bytes()).ok_or_else(|| invalid_type(given))?;
                return Ok(Some(Operation::ListBlocks(statuses)));
            }
            Id::Invert => return Ok(Some(Operation::ChangeTypes(Change::invert()))),
            Id::Compare => return Ok(Some(Operation::Compare(file()))),
            Id::CompareAsDomain => return Ok(Some(Operation::CompareAsDomain(file()))),
            Id::ShowStatus => return Ok(Some(Operation::ShowStatus)),
            Id::Xor => return Ok(Some(Operation::Combine(Logic::Xor, file()))),
            Id::And => return Ok(Some(Operation::Combine(Logic::And, file()))),
            Id::Or => return Ok(Some(Operation::Combine(Logic::Or, file()))),
            Id::Shift => return Ok(Some(Operation::Shift)),
        }
        Ok(None)
    }

    fn position(&self, given: &Given<Id>) -> Result<Offset, Complaint> {
        integer(given, IntegerRule::position(self.sector_bytes)).map(|bytes| Offset::new(bytes as u64))
    }

    /// By how much positions in the result differ from those in the map.
    pub(super) fn distance(&self) -> i64 {
        let output = self.output_position.unwrap_or(self.domain.start);
        output.bytes() as i64 - self.domain.start.bytes() as i64
    }

    /// Prints a complaint, unless it is to be quiet.
    pub(super) fn complain(&self, complaint: &Complaint, argv0: &OsStr) {
        if self.verbosity >= 0 {
            complaint.print(PROGRAM, argv0);
        }
    }
}

fn integer(given: &Given<Id>, rule: IntegerRule) -> Result<i64, Complaint> {
    parse_integer(given.bytes(), rule)
        .map_err(|error| Complaint::new(error.message(given.bytes(), &given.name)))
}

fn format(given: &Given<Id>) -> Result<Format, Complaint> {
    match given.bytes() {
        b"list" => Ok(Format::List),
        b"bitmap" | b"bitmap-le" => Ok(Format::Bitmap(BitOrder::LittleEndian)),
        b"bitmap-be" => Ok(Format::Bitmap(BitOrder::BigEndian)),
        _ => Err(about_argument(given, "Invalid format name in option")),
    }
}

fn change_types(given: &Given<Id>) -> Result<Operation, Complaint> {
    let mut parts = given.bytes().split(|byte| *byte == b',');
    let (old, new) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let change = statuses(old).zip(statuses(new)).and_then(|(old, new)| Change::new(&old, &new));
    match (change, parts.next()) {
        (Some(_), Some(_)) => Err(about_argument(given, "Too many commas in argument of option")),
        (Some(change), None) => Ok(Operation::ChangeTypes(change)),
        (None, _) => Err(invalid_type(given)),
    }
}

fn created_types(given: &Given<Id>) -> Result<Operation, Complaint> {
    match given.value.as_ref().map(|_| statuses(given.bytes())) {
        None => Ok(Operation::Create { found: Status::Finished, other: Status::BadSector }),
        Some(Some(types)) if types.len() == 2 && types[0] != types[1] => {
            Ok(Operation::Create { found: types[0], other: types[1] })
        }
        _ => Err(invalid_type(given)),
    }
}

fn completing_type(given: &Given<Id>) -> Result<Operation, Complaint> {
    match given.value.as_ref().map(|_| statuses(given.bytes())) {
        None => Ok(Operation::Complete(Status::NonTried)),
        Some(Some(types)) if types.len() == 1 => Ok(Operation::Complete(types[0])),
        _ => Err(invalid_type(given)),
    }
}

/// At least one status character and nothing else.
fn statuses(text: &[u8]) -> Option<Vec<Status>> {
    let statuses: Option<Vec<Status>> =
        text.iter().map(|byte| Status::from_character(*byte as char)).collect();
    statuses.filter(|statuses| !statuses.is_empty())
}

fn invalid_type(given: &Given<Id>) -> Complaint {
    about_argument(given, "Invalid type in argument of option")
}

fn about_argument(given: &Given<Id>, text: &str) -> Complaint {
    Complaint { hint: Hint::None, ..Complaint::new(format!("'{}': {text} '{}'.", given.shown(), given.name)) }
}
