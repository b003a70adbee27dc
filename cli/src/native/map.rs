//! `diskwright map`: what can be done with maps alone.
//!
//! Owns the commands and their options. Must not know how maps are kept, nor how ddrescuelog calls the same things.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use block::{ByteRange, Offset, RangeSet};
use clap::{Args, Subcommand, ValueEnum};
use map::algebra::{self, Change, Compared, Logic};
use map::list::{self, BitOrder, BitmapError, Listing};
use map::masked::finished_of;
use map::{Mapfile, Position, RescueMap, Status};

use super::Failure;
use super::output::Output;
use crate::personality::number::{IntegerRule, parse_integer};

mod annotate;
pub(in crate::native) mod files;
mod picture;
mod show;
mod svg;

use files::Blocks;

/// Bytes of a list of sectors, or of a bitmap, that make sense: a bitmap of 64 TiB in sectors of 512 bytes.
const LIST_BYTES_MAX: u64 = 16 << 30;

/// What to do with maps. `-` as a file name is standard input.
#[derive(Debug, Subcommand)]
pub enum MapCommand {
    /// Tell how much has which status
    Show {
        /// The maps
        #[arg(required = true)]
        maps: Vec<PathBuf>,
        /// Which part of it is meant
        #[command(flatten)]
        part: Part,
        /// Write JSON: an array with one object per map
        #[arg(long)]
        json: bool,
    },
    /// List the sectors that have certain statuses
    List {
        /// The map
        map: PathBuf,
        /// Statuses to list: some of ? * / - +
        #[arg(long, value_name = "STATUSES", default_value = "?*/-", allow_hyphen_values = true)]
        types: Types,
        /// Which part of it is meant
        #[command(flatten)]
        part: Part,
        /// How sectors are counted
        #[command(flatten)]
        sectors: Sectors,
        /// Where the result goes
        #[command(flatten)]
        out: Out,
    },
    /// Make a map from a list or bitmap of sectors
    Create {
        /// The list
        #[arg(default_value = "-")]
        input: PathBuf,
        /// Status of listed sectors, then of all others
        #[arg(long, value_name = "STATUSES", default_value = "+-", allow_hyphen_values = true)]
        types: Types,
        /// Size of the disk; without it the map has no end
        #[arg(long, value_name = "BYTES", value_parser = bytes)]
        size: Option<u64>,
        /// How sectors are counted
        #[command(flatten)]
        sectors: Sectors,
        /// Where the result goes
        #[command(flatten)]
        out: Out,
    },
    /// Make what is finished bad, and everything else finished
    Invert {
        /// The map
        map: PathBuf,
        /// Which part of it is meant
        #[command(flatten)]
        part: Part,
        /// Where the result goes
        #[command(flatten)]
        out: Out,
    },
    /// Keep finished only what is finished in both maps
    And(Two),
    /// Finish what is finished in either map
    Or(Two),
    /// Finish what is finished in exactly one of the maps
    Xor(Two),
    /// Move all blocks up or down
    Shift {
        /// The map
        map: PathBuf,
        /// How far; a negative distance moves down, and drops what falls below 0
        #[arg(long, value_name = "BYTES", value_parser = distance, allow_hyphen_values = true)]
        by: i64,
        /// Where the result goes
        #[command(flatten)]
        out: Out,
    },
    /// Give blocks of some statuses other ones
    Change {
        /// The map
        map: PathBuf,
        /// Statuses to change: some of ? * / - +
        #[arg(long, value_name = "STATUSES", allow_hyphen_values = true)]
        old: Types,
        /// What each of them becomes; the last one counts for all that are left
        #[arg(long, value_name = "STATUSES", allow_hyphen_values = true)]
        new: Types,
        /// Which part of it is meant
        #[command(flatten)]
        part: Part,
        /// Where the result goes
        #[command(flatten)]
        out: Out,
    },
    /// Put unordered blocks in order and fill the gaps between them
    Complete {
        /// The map
        map: PathBuf,
        /// Status of what fills the gaps
        #[arg(long, value_name = "STATUS", default_value = "?", allow_hyphen_values = true)]
        gaps: Types,
        /// Where the result goes
        #[command(flatten)]
        out: Out,
    },
    /// Tell whether two maps say the same: exit status 0 if so, else 1
    Compare {
        /// A map
        first: PathBuf,
        /// Another one
        second: PathBuf,
        /// Look only at what is finished
        #[arg(long)]
        finished: bool,
        /// Which part of it is meant
        #[command(flatten)]
        part: Part,
    },
    /// Write the map with positions and sizes that a person can read beside each block
    Annotate {
        /// The map
        map: PathBuf,
        /// Which part of it is meant
        #[command(flatten)]
        part: Part,
        /// Where the result goes
        #[command(flatten)]
        out: Out,
    },
    /// Tell whether everything is rescued: exit status 0 if so, else 1
    Done {
        /// The map
        map: PathBuf,
        /// Which part of it is meant
        #[command(flatten)]
        part: Part,
    },
    /// Draw the map
    Picture {
        /// The map
        map: PathBuf,
        /// Which part of it is meant
        #[command(flatten)]
        part: Part,
        /// Columns; those of the terminal if not given
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
        width: Option<u16>,
        /// Lines; those of the terminal if not given
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
        height: Option<u16>,
        /// Write an SVG image to this file instead
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
}

/// Two maps and where the result goes.
#[derive(Debug, Args)]
pub struct Two {
    /// The map that is changed
    map: PathBuf,
    /// The map whose finished blocks act on it
    other: PathBuf,
    /// Which part of it is meant
    #[command(flatten)]
    part: Part,
    /// Where the result goes
    #[command(flatten)]
    out: Out,
}

/// Which part of a map is meant.
#[derive(Debug, Args)]
pub struct Part {
    /// Where the part that is meant begins
    #[arg(long, value_name = "POSITION", value_parser = bytes, default_value = "0")]
    from: u64,
    /// How long it is; to the end if not given
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    size: Option<u64>,
    /// Only what is finished in this map is meant
    #[arg(long, value_name = "MAP")]
    domain: Option<PathBuf>,
}

/// How sectors are counted and listed.
#[derive(Debug, Args)]
pub struct Sectors {
    /// Bytes in a sector
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..1 << 31), default_value = "512")]
    sector: u32,
    /// One bit per sector instead of numbers; says which bit of a byte is the first sector
    #[arg(long, value_name = "FIRST BIT")]
    bitmap: Option<FirstBit>,
}

/// Which bit of a byte is the first sector.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum FirstBit {
    /// The least significant
    Low,
    /// The most significant
    High,
}

/// Where the result goes.
#[derive(Debug, Args)]
pub struct Out {
    /// Write to this file, replacing it, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Statuses as written in maps; at least one.
#[derive(Clone, Debug)]
pub struct Types(Vec<Status>);

impl std::str::FromStr for Types {
    type Err = String;
    fn from_str(text: &str) -> Result<Types, String> {
        let statuses: Option<Vec<Status>> = text.chars().map(Status::from_character).collect();
        match statuses.filter(|statuses| !statuses.is_empty()) {
            Some(statuses) => Ok(Types(statuses)),
            None => Err("statuses are written ? * / - + without anything between them".to_owned()),
        }
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    let value = parse_integer(text.as_bytes(), IntegerRule::count(0, i64::MAX));
    value.map(|value| value as u64).map_err(|_| HOW_TO_WRITE_BYTES.to_owned())
}

fn distance(text: &str) -> Result<i64, String> {
    parse_integer(text.as_bytes(), IntegerRule::count(-i64::MAX, i64::MAX))
        .map_err(|_| HOW_TO_WRITE_BYTES.to_owned())
}

const HOW_TO_WRITE_BYTES: &str = "write a number of bytes, such as 512, 0x200, 64Ki or 10G, at most 2^63 - 1";

/// Runs a map command; returns its exit status.
pub fn run(command: MapCommand, arguments: &[OsString]) -> Result<u8, Failure> {
    match command {
        MapCommand::Show { maps, part, json } => {
            let reports = maps.iter().map(|path| {
                let (file, domain) = part.read(path)?;
                Ok(show::Report::new(path, &file, &domain))
            });
            let reports: Vec<_> = reports.collect::<Result<_, Failure>>()?;
            let text = if json { show::json(&reports) } else { show::text(&reports) };
            Output::Stdout.write(text.as_bytes())
        }
        MapCommand::List { map, types, part, sectors, out } => {
            let (file, domain) = part.read(&map)?;
            list_sectors(&map, &file.map, &domain, &types.0, &sectors, out)
        }
        MapCommand::Create { input, types, size, sectors, out } => {
            create(&input, &types.0, size, &sectors, Writing { out, arguments })
        }
        MapCommand::Invert { map, part, out } => {
            let (mut file, domain) = part.read(&map)?;
            file.map = algebra::change(&file.map, &domain, &Change::invert());
            Writing { out, arguments }.map(&file)
        }
        MapCommand::And(two) => combine(two, Logic::And, arguments),
        MapCommand::Or(two) => combine(two, Logic::Or, arguments),
        MapCommand::Xor(two) => combine(two, Logic::Xor, arguments),
        MapCommand::Shift { map, by, out } => {
            let mut file = files::read(&map, Blocks::Touching)?;
            file.map = algebra::shift(&file.map, Offset::MAX, by, Status::NonTried);
            Writing { out, arguments }.map(&file)
        }
        MapCommand::Change { map, old, new, part, out } => {
            let (mut file, domain) = part.read(&map)?;
            if let Some(change) = Change::new(&old.0, &new.0) {
                file.map = algebra::change(&file.map, &domain, &change);
            }
            Writing { out, arguments }.map(&file)
        }
        MapCommand::Complete { map, gaps, out } => {
            let file = files::read(&map, Blocks::Anyhow { gaps: gaps.0[0] })?;
            Writing { out, arguments }.map(&file)
        }
        MapCommand::Compare { first, second, finished, part } => {
            let compared = if finished { Compared::Finished } else { Compared::Statuses };
            compare(&first, &second, &part, compared)
        }
        MapCommand::Annotate { map, part, out } => {
            let (file, domain) = part.read(&map)?;
            let text = annotate::annotated(&files::heading(&file, arguments), &file, &domain);
            Output::from(out.output).write(&text)
        }
        MapCommand::Done { map, part } => {
            let (file, domain) = part.read(&map)?;
            // A map without blocks knows of nothing rescued.
            Ok(u8::from(file.map.is_empty() || !algebra::is_done(&file.map, &domain)))
        }
        MapCommand::Picture { map, part, width, height, svg } => {
            let (file, domain) = part.read(&map)?;
            match svg {
                Some(path) => {
                    let title = map.display().to_string();
                    Output::File(path).write(svg::drawing(&title, &file.map, &domain).as_bytes())
                }
                None => picture::print(&file.map, &domain, width, height),
            }
        }
    }
}

impl Part {
    /// Reads a map, and the domain in it that is meant.
    fn read(&self, path: &Path) -> Result<(Mapfile, RangeSet), Failure> {
        let file = files::read(path, Blocks::Touching)?;
        let domain = algebra::cropped(&self.domain()?, &file.map);
        Ok((file, domain))
    }

    fn domain(&self) -> Result<RangeSet, Failure> {
        let range = ByteRange::new(Offset::new(self.from), self.size.unwrap_or(u64::MAX));
        let Some(path) = &self.domain else { return Ok(range.into()) };
        // What a domain map does not mention is not meant, so its blocks need not touch.
        let map = files::read(path, Blocks::Anyhow { gaps: Status::NonTried })?.map;
        let mut domain = finished_of(&map);
        domain.crop(range);
        Ok(domain)
    }
}

impl FirstBit {
    fn order(self) -> BitOrder {
        match self {
            FirstBit::Low => BitOrder::LittleEndian,
            FirstBit::High => BitOrder::BigEndian,
        }
    }
}

/// Where a map goes, and the command line to note in it.
struct Writing<'a> {
    out: Out,
    arguments: &'a [OsString],
}

impl Writing<'_> {
    fn map(self, file: &Mapfile) -> Result<u8, Failure> {
        let heading = files::heading(file, self.arguments);
        files::write_map(Output::from(self.out.output), &heading, file)
    }
}

fn list_sectors(
    path: &Path,
    map: &RescueMap,
    domain: &RangeSet,
    statuses: &[Status],
    sectors: &Sectors,
    out: Out,
) -> Result<u8, Failure> {
    let listing = Listing { map, domain, statuses, sector_bytes: sectors.sector, distance: 0 };
    let output = Output::from(out.output);
    let Some(bit) = sectors.bitmap else {
        return output.stream(|out| listing.write_list(out));
    };
    let mut endless = false;
    let written = output.stream(|out| match listing.write_bitmap(out, bit.order()) {
        Ok(()) => Ok(()),
        Err(BitmapError::Write(error)) => Err(error),
        Err(BitmapError::Endless) => {
            endless = true;
            // As an error, so that nothing takes the place of what was there under the output's name.
            Err(std::io::ErrorKind::InvalidInput.into())
        }
    });
    if endless {
        let text = BitmapError::Endless.to_string();
        return Err(Failure::BadInput { path: path.to_owned(), text });
    }
    written
}

fn create(
    input: &Path,
    types: &[Status],
    size: Option<u64>,
    sectors: &Sectors,
    writing: Writing<'_>,
) -> Result<u8, Failure> {
    let [found, other] = *types else {
        let text = "--types takes two statuses for create: the one of listed sectors and that of all others";
        return Err(Failure::Usage(text.to_owned()));
    };
    let text = super::input::bytes_of(input, LIST_BYTES_MAX)?;
    let found_bytes = match sectors.bitmap {
        Some(bit) => list::parse_bitmap(&text, bit.order(), sectors.sector),
        None => list::parse_list(&text, sectors.sector)
            .map_err(|error| Failure::BadInput { path: input.to_owned(), text: error.to_string() })?,
    };
    let domain = ByteRange::new(Offset::ZERO, size.unwrap_or(u64::MAX)).into();
    let map = list::map_of_sectors(&found_bytes, sectors.sector, &domain, found, other);
    writing.map(&Mapfile { position: Position::default(), map, comments: Vec::new() })
}

fn combine(two: Two, logic: Logic, arguments: &[OsString]) -> Result<u8, Failure> {
    let (mut file, domain) = two.part.read(&two.map)?;
    let other = files::read(&two.other, Blocks::Touching)?.map;
    file.map = algebra::combine(&file.map, &other, &domain, logic);
    Writing { out: two.out, arguments }.map(&file)
}

fn compare(first: &Path, second: &Path, part: &Part, compared: Compared) -> Result<u8, Failure> {
    let domain = part.domain()?;
    let [left, right] = [files::read(first, Blocks::Touching)?, files::read(second, Blocks::Touching)?];
    let Some(at) = algebra::first_difference(&left.map, &right.map, &domain, compared) else { return Ok(0) };
    let said = |map: &RescueMap| map.block_at(at).map_or("nothing", |block| block.status.name());
    let [first, second] = [first.display(), second.display()];
    let [one, other] = [said(&left.map), said(&right.map)];
    let text = format!("first difference at {at}: {first} says {one}, {second} says {other}\n");
    Output::Stdout.write(text.as_bytes())?;
    Ok(1)
}
