//! The mapfile: a rescue map as text.
//!
//! Owns the grammar, strict and loose, and the exact text written. Must not know file names, nor who asks.
//! Grammar: GNU ddrescue manual, chapter "Mapfile structure", and what the program accepts beyond it.

use std::io::{self, Write};

use block::{ByteRange, Offset};
use thiserror::Error;

use crate::rescue_map::{Builder, CollectMap};
use crate::{Phase, Position, RescueMap, Status};

/// Characters of a line that count; the rest is ignored, but for comments, which are kept whole.
const LINE_LENGTH_MAX: usize = 127;
/// Leading comment lines that are kept.
const COMMENTS_MAX: usize = 100;

/// A mapfile's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapfile {
    /// The status line.
    pub position: Position,
    /// The blocks, as split in the file.
    pub map: RescueMap,
    /// The comment lines before the status line, without `#`.
    pub comments: Vec<String>,
}

/// How a loose list of blocks becomes a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loose {
    /// Status of the gaps, also of the one before the first block. If the last block has this status, it is enlarged
    /// to [`Offset::MAX`].
    pub gaps: Status,
}

/// What is wrong with a mapfile, and where.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: {fault}")]
pub struct MapfileError {
    /// Line, counted from 1, comments and blank lines included.
    pub line: u64,
    /// What is wrong there.
    pub fault: MapfileFault,
}

/// What may be wrong with a line of a mapfile.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MapfileFault {
    /// The first line with content is not a status line.
    #[error(
        "expected the status line, such as \"0x00000000 ? 1\": a position, one of ? * / - F G +, and perhaps a pass; \
         restore the map from its .bak, or add such a line in front"
    )]
    StatusLine,
    /// A later line is not a block.
    #[error(
        "expected a block, such as \"0x00000000 0x00010000 +\": position, size above 0, one of ? * / - +; \
         correct the line, or restore the map from its .bak"
    )]
    BlockLine,
    /// A block does not start where the one before ended.
    #[error(
        "block at {found} should start at {expected}, where the previous one ends; blocks must touch: fill the gap \
         with a '?' line, read the map loosely, or restore it from its .bak"
    )]
    Gap {
        /// Where the block before ended.
        expected: Offset,
        /// Where this one starts.
        found: Offset,
    },
    /// In loose reading, two blocks of different status have bytes in common.
    #[error("block at {at} overlaps another one of a different status; correct one of the two")]
    Overlap {
        /// Start of the later one.
        at: Offset,
    },
}

impl Mapfile {
    /// Reads a mapfile whose blocks are in order and touch. Empty text is a map without blocks. Linear.
    pub fn parse(text: &[u8]) -> Result<Mapfile, MapfileError> {
        let mut builder = Builder::new();
        let mut end = None;
        let (position, comments) = each_block(text, |line, range, status| {
            if let Some(expected) = end.filter(|end| *end != range.start()) {
                let fault = MapfileFault::Gap { expected, found: range.start() };
                return Err(MapfileError { line, fault });
            }
            end = Some(range.end());
            builder.push(range, status);
            Ok(())
        })?;
        Ok(Mapfile { position, map: builder.finish(), comments })
    }

    /// Reads a mapfile whose blocks may be in any order, may have gaps, and may overlap others of the same status.
    /// n log n.
    pub fn parse_loose(text: &[u8], loose: Loose) -> Result<Mapfile, MapfileError> {
        let mut blocks: Vec<(ByteRange, Status, u64)> = Vec::new();
        let (position, comments) = each_block(text, |line, range, status| {
            blocks.push((range, status, line));
            Ok(())
        })?;
        blocks.sort_by_key(|(range, ..)| *range);
        let mut builder = Builder::new();
        let mut end = Offset::ZERO;
        let mut last = None;
        for (range, status, line) in blocks {
            if range.start() < end && last != Some(status) {
                return Err(MapfileError { line, fault: MapfileFault::Overlap { at: range.start() } });
            }
            if range.start() > end {
                builder.push_merged(ByteRange::between(end, range.start()), loose.gaps);
            }
            builder.push_merged(ByteRange::between(range.start().max(end), range.end()), status);
            end = end.max(range.end());
            last = Some(status);
        }
        if last == Some(loose.gaps) {
            builder.push_merged(ByteRange::between(end, Offset::MAX), loose.gaps);
        }
        Ok(Mapfile { position, map: builder.finish(), comments })
    }
}

/// What stands above the status line of a written mapfile.
#[derive(Clone, Debug, Default)]
pub struct Heading {
    /// Comment lines, each without `# ` in front.
    pub comments: Vec<String>,
}

/// Writes a mapfile: heading, status line, blocks as they are split. Linear.
pub fn write(out: &mut dyn Write, heading: &Heading, position: &Position, map: &RescueMap) -> io::Result<()> {
    let mut text = Vec::with_capacity(64 * 1024);
    write_heading(&mut text, heading, position, "");
    for block in map.blocks() {
        push_block(&mut text, block.range, block.status);
        text.push(b'\n');
        if text.len() >= 60 * 1024 {
            out.write_all(&text)?;
            text.clear();
        }
    }
    out.write_all(&text)
}

/// Appends comments, status line (with `note` at its end) and the heading of the list.
pub fn write_heading(text: &mut Vec<u8>, heading: &Heading, position: &Position, note: &str) {
    for comment in &heading.comments {
        text.extend_from_slice(format!("# {comment}\n").as_bytes());
    }
    let Position { at, phase, pass } = position;
    text.extend_from_slice(b"# current_pos  current_status  current_pass\n");
    text.extend_from_slice(format!("{at}     {}               {pass}{note}\n", phase.character()).as_bytes());
    text.extend_from_slice(b"#      pos        size  status\n");
}

/// Appends a block's line without its end.
pub fn push_block(text: &mut Vec<u8>, range: ByteRange, status: Status) {
    push_hex(text, range.start().bytes());
    text.extend_from_slice(b"  ");
    push_hex(text, range.length());
    text.extend_from_slice(b"  ");
    text.push(status.character() as u8);
}

/// Appends `0x` and at least eight upper-case digits. By hand, since `format!` takes half of the time that writing a
/// map of a million blocks may take.
fn push_hex(text: &mut Vec<u8>, value: u64) {
    let digits = (16 - value.leading_zeros() as usize / 4).max(8);
    let mut line = *b"0x0000000000000000";
    for i in 0..digits {
        line[2 + i] = b"0123456789ABCDEF"[(value >> (4 * (digits - 1 - i)) & 0xF) as usize];
    }
    text.extend_from_slice(&line[..2 + digits]);
}

/// Reads status line and blocks; calls `block` for each of them with its line number.
fn each_block(
    text: &[u8],
    mut block: impl FnMut(u64, ByteRange, Status) -> Result<(), MapfileError>,
) -> Result<(Position, Vec<String>), MapfileError> {
    let mut position = None;
    let mut comments = Vec::new();
    let mut rest = text;
    for number in 1u64.. {
        // Nearly every line of a large map is a block as written here; those are read without looking twice.
        if position.is_some()
            && let Some((range, status, after)) = parse_plain_block(rest)
        {
            block(number, range, status)?;
            rest = after;
            continue;
        }
        if rest.is_empty() {
            break;
        }
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let (whole, line) = (&rest[..end], &rest[..end.min(LINE_LENGTH_MAX)]);
        rest = &rest[(end + 1).min(rest.len())..];
        let content = content_of(line);
        if content.is_empty() {
            if let Some(comment) = whole.trim_ascii().strip_prefix(b"#").filter(|_| position.is_none())
                && comments.len() < COMMENTS_MAX
            {
                comments.push(String::from_utf8_lossy(comment.trim_ascii()).into_owned());
            }
            continue;
        }
        if position.is_none() {
            position = Some(
                parse_position(content)
                    .ok_or(MapfileError { line: number, fault: MapfileFault::StatusLine })?,
            );
            continue;
        }
        let bad = MapfileError { line: number, fault: MapfileFault::BlockLine };
        let (start, size, status) = parse_block(content).ok_or(bad.clone())?;
        // A block "0 0" is what a rescue of nothing leaves.
        if size == 0 && start != 0 {
            return Err(bad);
        }
        block(number, ByteRange::new(Offset::new(start), size), status)?;
    }
    Ok((position.unwrap_or_default(), comments))
}

/// Reads a line of the form that [`push_block`] writes, and returns what follows it. `None` means only that the line
/// has another form.
fn parse_plain_block(text: &[u8]) -> Option<(ByteRange, Status, &[u8])> {
    let (start, text) = parse_plain_hex(text)?;
    let (size, text) = parse_plain_hex(text.strip_prefix(b"  ")?)?;
    let [b' ', b' ', status, b'\n', after @ ..] = text else { return None };
    let status = Status::from_character(*status as char)?;
    (size > 0).then(|| (ByteRange::new(Offset::new(start), size), status, after))
}

/// Reads `0x` and 1 to 15 digits: fewer than could overflow.
fn parse_plain_hex(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.strip_prefix(b"0x")?;
    let mut value = 0;
    for (length, byte) in digits.iter().enumerate().take(16) {
        let digit = HEX_VALUES[*byte as usize];
        if digit > 15 {
            return (length > 0).then_some((value, &digits[length..]));
        }
        value = value << 4 | u64::from(digit);
    }
    None
}

/// Value of each hexadecimal digit; 255 for what is none.
const HEX_VALUES: [u8; 256] = {
    let mut values = [255; 256];
    let mut digit = 0;
    while digit < 16 {
        values[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        values[b"0123456789abcdef"[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};

/// The line without leading blanks and comment. `#` starts a comment at the start or after a blank.
fn content_of(line: &[u8]) -> &[u8] {
    let line = line.trim_ascii_start();
    let comment = line.iter().enumerate().find(|(i, b)| **b == b'#' && (*i == 0 || is_blank(line[i - 1])));
    &line[..comment.map_or(line.len(), |(i, _)| i)]
}

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0B
}

fn parse_position(content: &[u8]) -> Option<Position> {
    let (at, rest) = parse_integer(content)?;
    let at = u64::try_from(at).ok()?;
    let rest = skip_blanks(rest);
    let phase = Phase::from_character(*rest.first()? as char)?;
    let rest = skip_blanks(&rest[1..]);
    let digits = rest.strip_prefix(b"+").unwrap_or(rest);
    let digits = &digits[..digits.iter().take_while(|b| b.is_ascii_digit()).count()];
    let pass = match std::str::from_utf8(digits).ok().filter(|d| !d.is_empty()) {
        Some(digits) => digits.parse::<u32>().ok().filter(|pass| (1..=i32::MAX as u32).contains(pass))?,
        // "-3" is a number as well, and not a pass; anything else is text to ignore.
        None if rest.len() > 1 && rest[0] == b'-' && rest[1].is_ascii_digit() => return None,
        None => 1,
    };
    Some(Position { at: Offset::new(at), phase, pass })
}

fn parse_block(content: &[u8]) -> Option<(u64, u64, Status)> {
    let (start, rest) = parse_integer(content)?;
    let (size, rest) = parse_integer(rest)?;
    let status = Status::from_character(*skip_blanks(rest).first()? as char)?;
    Some((u64::try_from(start).ok()?, u64::try_from(size).ok()?, status))
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|b| is_blank(**b)).count()..]
}

/// Reads blanks, a sign, and a decimal, `0x` hexadecimal or `0` octal number that saturates at 63 bits.
pub(crate) fn parse_integer(text: &[u8]) -> Option<(i64, &[u8])> {
    let text = skip_blanks(text);
    let (negative, text) = match text.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let hex = text.len() > 2 && text[0] == b'0' && text[1] | 0x20 == b'x' && text[2].is_ascii_hexdigit();
    let (radix, digits) = match text.first()? {
        b'0' if hex => (16, &text[2..]),
        b'0' => (8, text),
        _ => (10, text),
    };
    let mut value = 0i64;
    let mut length = 0;
    for byte in digits {
        let Some(digit) = (*byte as char).to_digit(radix) else { break };
        value = value.saturating_mul(i64::from(radix)).saturating_add(i64::from(digit));
        length += 1;
    }
    (length > 0).then_some((if negative { -value } else { value }, &digits[length..]))
}

/// Reads a whole field as a number, with nothing but blanks around it. See the grammar above.
pub fn parse_number(text: &[u8]) -> Option<i64> {
    parse_integer(text).filter(|(_, rest)| skip_blanks(rest).is_empty()).map(|(value, _)| value)
}

impl FromIterator<(ByteRange, Status)> for RescueMap {
    /// Collects touching ranges, keeping each for itself. Panics if they do not touch.
    fn from_iter<I: IntoIterator<Item = (ByteRange, Status)>>(blocks: I) -> RescueMap {
        blocks.into_iter().collect_split()
    }
}
