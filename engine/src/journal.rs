//! The journal of a map: what has changed since the map was written, for those who do not want to write all of it again.
//!
//! Owns the format, and what of a journal can be believed. Must not know where it is kept, nor when it is written.
//!
//! A journal is lines of text. The first one names the text of the map that it extends, by its SHA-256. Each other one is a
//! block with its new status, or the status line, and ends in a check of itself and of all lines before it, the map included.
//! So a line that was torn, lost, moved or written for another map ends what is believed, and each line that is believed was
//! true of the image when it was written.

use block::{ByteRange, Offset};
use map::mapfile::{parse_number, push_block};
use map::{Mapfile, Phase, Position, RescueMap, Status};
use sha2::{Digest, Sha256};

/// What a journal begins with, its version included.
const BEGINNING: &str = "diskwright-journal-1 ";
/// Bytes of a check; each is two digits.
const CHECK_BYTES: usize = 8;

/// Stands for the text of a map and all lines that a journal has added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal([u8; 32]);

impl Seal {
    /// Stands for the text of a map alone.
    pub fn of(map_text: &[u8]) -> Seal {
        Seal(Sha256::digest(map_text).into())
    }

    fn after(self, line: &[u8]) -> Seal {
        Seal(Sha256::new().chain_update(self.0).chain_update(line).finalize().into())
    }

    fn check(self) -> String {
        hex(&self.0[..CHECK_BYTES])
    }
}

/// Makes the seal of a text that comes in pieces.
#[derive(Clone, Debug, Default)]
pub struct Sealer(Sha256);

impl Sealer {
    /// Takes note of the next piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// Stands for all pieces together.
    pub fn seal(self) -> Seal {
        Seal(self.0.finalize().into())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The end of a journal that is being written.
#[derive(Clone, Debug)]
pub struct Journal {
    seal: Seal,
    /// What map and journal say together.
    map: RescueMap,
    /// Bytes of the map's text.
    map_bytes: u64,
    /// Bytes of the journal.
    bytes: u64,
}

impl Journal {
    /// Begins the journal of `map`, which was written as a text of `map_bytes` bytes with this seal.
    pub fn new(seal: Seal, map: RescueMap, map_bytes: u64) -> Journal {
        Journal { seal, map, map_bytes, bytes: 0 }
    }

    /// Whether nothing was added yet.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Returns the journal as it is when `map` and `position` are added, and the text that has to be appended for that.
    /// `None` if the map should be written anew: it reaches elsewhere, or the journal would outgrow it. Linear in the map.
    pub fn extended(&self, map: &RescueMap, position: &Position) -> Option<(Journal, Vec<u8>)> {
        if map.extent() != self.map.extent() {
            return None;
        }
        let mut text = Vec::new();
        if self.is_empty() {
            text.extend_from_slice(format!("{BEGINNING}{}\n", hex(&self.seal.0)).as_bytes());
        }
        let mut seal = self.seal;
        let mut line = Vec::new();
        let mut add = |line: &[u8]| {
            seal = seal.after(line);
            text.extend_from_slice(line);
            text.extend_from_slice(format!(" {}\n", seal.check()).as_bytes());
        };
        for (range, status) in changes(&self.map, map) {
            line.clear();
            push_block(&mut line, range, status);
            add(&line);
        }
        let Position { at, phase, pass } = position;
        add(format!("at {at} {} {pass}", phase.character()).as_bytes());
        let bytes = self.bytes + text.len() as u64;
        let journal = Journal { seal, map: map.clone(), map_bytes: self.map_bytes, bytes };
        (bytes <= self.map_bytes.max(LIMIT_MIN_BYTES)).then_some((journal, text))
    }
}

/// However small the map, a journal may have so many bytes.
const LIMIT_MIN_BYTES: u64 = 64 << 10;

/// What has another status in `new` than in `old`; both have the same extent.
fn changes(old: &RescueMap, new: &RescueMap) -> Vec<(ByteRange, Status)> {
    let mut changes: Vec<(ByteRange, Status)> = Vec::new();
    let mut before = old.blocks().peekable();
    for block in new.blocks() {
        while let Some(was) = before.peek().filter(|was| was.range.start() < block.range.end()) {
            let common = was.range.overlap(block.range);
            if was.status != block.status && !common.is_empty() {
                match changes
                    .last_mut()
                    .filter(|(last, status)| *status == block.status && last.end() == common.start())
                {
                    Some((last, _)) => *last = ByteRange::between(last.start(), common.end()),
                    None => changes.push((common, block.status)),
                }
            }
            if was.range.end() > block.range.end() {
                break;
            }
            before.next();
        }
    }
    changes
}

/// What came of reading a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// It holds nothing that can be believed, nor any hint at another map: whoever began it was stopped at once.
    Nothing,
    /// It belongs to another map, or to another state of this one.
    Foreign,
    /// So many lines of it were believed.
    Lines(u64),
}

/// Adds what a journal says to the map of which it is one, read from `map_text`. Stops at the first line that is not whole.
pub fn replay(mapfile: &mut Mapfile, map_text: &[u8], journal: &[u8]) -> Replayed {
    let mut lines = journal.split_inclusive(|byte| *byte == b'\n').map_while(|line| line.strip_suffix(b"\n"));
    let Some(first) = lines.next() else { return Replayed::Nothing };
    let mut seal = Seal::of(map_text);
    if first != format!("{BEGINNING}{}", hex(&seal.0)).as_bytes() {
        return Replayed::Foreign;
    }
    let mut count = 0;
    for line in lines {
        let Some(cut) = line.len().checked_sub(2 * CHECK_BYTES + 1) else { break };
        let (body, check) = line.split_at(cut);
        let next = seal.after(body);
        if check != format!(" {}", next.check()).as_bytes() || !apply(mapfile, body) {
            break;
        }
        seal = next;
        count += 1;
    }
    Replayed::Lines(count)
}

/// Applies a line; `false` if it makes no sense.
fn apply(mapfile: &mut Mapfile, line: &[u8]) -> bool {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').filter(|field| !field.is_empty()).collect();
    let number = |field: &[u8]| parse_number(field).and_then(|number| u64::try_from(number).ok());
    let character = |field: &[u8]| <[u8; 1]>::try_from(field).ok().map(|[byte]| byte as char);
    let position = |at, phase, pass| {
        let pass = u32::try_from(number(pass)?).ok()?;
        Some(Position {
            at: Offset::new(number(at)?),
            phase: Phase::from_character(character(phase)?)?,
            pass,
        })
    };
    let block = |start, length, status| {
        let range = ByteRange::new(Offset::new(number(start)?), number(length)?);
        Some((range, Status::from_character(character(status)?)?))
    };
    match fields[..] {
        [b"at", at, phase, pass] => position(at, phase, pass).map(|position| mapfile.position = position),
        [start, length, status] => block(start, length, status)
            .map(|(range, status)| mapfile.map.change(range, status, &range.into())),
        _ => None,
    }
    .is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(start: u64, end: u64) -> ByteRange {
        ByteRange::between(Offset::new(start), Offset::new(end))
    }

    fn position(at: u64) -> Position {
        Position { at: Offset::new(at), phase: Phase::Trimming, pass: 1 }
    }

    /// A map of 1000 bytes and its text.
    fn map_of(changes: &[(u64, u64, usize)]) -> (RescueMap, Vec<u8>) {
        let mut map = RescueMap::single(range(0, 1000), Status::NonTried);
        for (start, length, status) in changes {
            map.change(range(*start, start + length), Status::ALL[*status], &range(0, 1000).into());
        }
        let mut text = Vec::new();
        map::mapfile::write(&mut text, &map::mapfile::Heading::default(), &position(0), &map).unwrap();
        (map, text)
    }

    fn change() -> impl Strategy<Value = (u64, u64, usize)> {
        (0..1000u64, 1..300u64, 0..5usize)
    }

    fn merged(map: &RescueMap) -> RescueMap {
        let mut map = map.clone();
        map.merge();
        map
    }

    proptest! {
        #[test]
        fn a_journal_cut_anywhere_gives_a_state_between_two_saves(
            first in prop::collection::vec(change(), 0..8),
            saves in prop::collection::vec(prop::collection::vec(change(), 0..6), 1..5),
            cut in 0.0..1.0f64,
            damage in prop::option::of((0.0..1.0f64, 1..=255u8)),
        ) {
            let (mut map, text) = map_of(&first);
            let mut journal = Journal::new(Seal::of(&text), map.clone(), text.len() as u64);
            let mut written = Vec::new();
            // Text written and map at each save.
            let mut states = vec![(0, map.clone(), Position::default())];
            for (number, save) in saves.iter().enumerate() {
                for (start, length, status) in save {
                    map.change(range(*start, start + length), Status::ALL[*status], &range(0, 1000).into());
                }
                let (extended, more) = journal.extended(&map, &position(number as u64)).unwrap();
                journal = extended;
                written.extend(more);
                states.push((written.len(), map.clone(), position(number as u64)));
            }
            let mut text_read = Mapfile::parse(&text).unwrap();
            let end = (written.len() as f64 * cut) as usize;
            let mut torn = written[..end].to_vec();
            let mut believed = end;
            if let Some((place, bits)) = damage.filter(|_| !torn.is_empty()) {
                let place = ((torn.len() as f64 * place) as usize).min(torn.len() - 1);
                torn[place] ^= bits;
                believed = place;
            }
            replay(&mut text_read, &text, &torn);
            // Everything that was whole is there, and of each byte what one of two neighbouring saves said.
            let last = states.iter().rposition(|(bytes, ..)| *bytes <= believed).unwrap();
            let (known, after) = (&states[last].1, &states.get(last + 1).unwrap_or(&states[last]).1);
            for at in 0..1000 {
                let now = text_read.map.block_at(Offset::new(at)).unwrap().status;
                let of = |map: &RescueMap| map.block_at(Offset::new(at)).unwrap().status;
                prop_assert!(now == of(known) || now == of(after), "at {at}");
            }
            if believed == written.len() {
                prop_assert_eq!(merged(&text_read.map), merged(&map));
                prop_assert_eq!(text_read.position, states.last().unwrap().2);
            }
        }
    }

    #[test]
    fn a_journal_is_believed_only_with_the_map_that_it_extends() {
        let (map, text) = map_of(&[(0, 10, 4)]);
        let (more, _) = map_of(&[(0, 20, 4)]);
        let journal = Journal::new(Seal::of(&text), map, text.len() as u64);
        let (_, written) = journal.extended(&more, &position(7)).unwrap();
        let mut mapfile = Mapfile::parse(&text).unwrap();
        assert_eq!(replay(&mut mapfile, &text, &written), Replayed::Lines(2));
        assert_eq!((merged(&mapfile.map), mapfile.position), (merged(&more), position(7)));
        let (_, other) = map_of(&[(0, 10, 4), (500, 1, 2)]);
        let mut mapfile = Mapfile::parse(&other).unwrap();
        let before = mapfile.clone();
        assert_eq!(replay(&mut mapfile, &other, &written), Replayed::Foreign);
        assert_eq!(replay(&mut mapfile, &other, b"diskwright-jour"), Replayed::Nothing);
        assert_eq!(replay(&mut mapfile, &other, b"something else\n"), Replayed::Foreign);
        assert_eq!(mapfile, before);
    }

    #[test]
    fn a_journal_that_outgrows_its_map_or_the_maps_extent_is_not_gone_on_with() {
        let (map, text) = map_of(&[]);
        let mut journal = Journal::new(Seal::of(&text), map.clone(), text.len() as u64);
        assert!(
            journal.extended(&RescueMap::single(range(0, 999), Status::NonTried), &position(0)).is_none()
        );
        let mut written = 0;
        while let Some((extended, more)) = journal.extended(&map, &position(0)) {
            journal = extended;
            written += more.len() as u64;
        }
        assert!(written <= LIMIT_MIN_BYTES && written > LIMIT_MIN_BYTES / 2, "{written}");
    }

    #[test]
    fn a_journal_is_text_as_people_read_maps() {
        let (map, _) = map_of(&[]);
        let (more, _) = map_of(&[(512, 100, 4)]);
        let journal = Journal::new(Seal::of(b"a map"), map, 100);
        let (_, written) = journal.extended(&more, &position(7)).unwrap();
        let written = String::from_utf8(written).unwrap();
        let seal = 64;
        let lines: Vec<&str> = written.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0].len(), BEGINNING.len() + seal);
        assert!(lines[1].starts_with("0x00000200  0x00000064  + "), "{written}");
        assert!(lines[2].starts_with("at 0x00000007 * 1 "), "{written}");
    }
}
