//! The mapfile's text: what is written is read again, and no bytes make the reader fall over.

use block::{ByteRange, Offset};
use map::mapfile::{self, Heading, MapfileFault};
use map::{Loose, Mapfile, Phase, Position, RescueMap, Status};
use proptest::prelude::*;

fn status() -> impl Strategy<Value = Status> {
    prop::sample::select(Status::ALL.to_vec())
}

fn position() -> impl Strategy<Value = Position> {
    let phase = prop::sample::select("?*/-FG+".chars().collect::<Vec<_>>());
    (0..i64::MAX as u64, phase, 1..i32::MAX as u32).prop_map(|(at, phase, pass)| Position {
        at: Offset::new(at),
        phase: Phase::from_character(phase).unwrap(),
        pass,
    })
}

fn rescue_map() -> impl Strategy<Value = RescueMap> {
    let length = prop_oneof![1u64..5, 1u64..1 << 40, Just(1 << 62)];
    (0u64..1 << 50, prop::collection::vec((length, status()), 0..40)).prop_map(|(start, runs)| {
        let mut at = Offset::new(start);
        let mut blocks = Vec::new();
        for (length, status) in runs {
            blocks.push((ByteRange::new(at, length), status));
            at += length;
        }
        blocks.into_iter().collect()
    })
}

fn text_of(file: &Mapfile) -> Vec<u8> {
    let mut text = Vec::new();
    let heading = Heading { comments: vec!["Mapfile. Created by a test".to_owned()] };
    mapfile::write(&mut text, &heading, &file.position, &file.map).unwrap();
    text
}

fn parsed(text: &str) -> Result<Mapfile, (u64, MapfileFault)> {
    Mapfile::parse(text.as_bytes()).map_err(|error| (error.line, error.fault))
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(map in rescue_map(), position in position()) {
        let file = Mapfile { position, map, comments: Vec::new() };
        let again = Mapfile::parse(&text_of(&file)).unwrap();
        prop_assert_eq!(again.position, file.position);
        prop_assert_eq!(&again.map, &file.map);
        prop_assert_eq!(&again.comments[0], "Mapfile. Created by a test");
        again.map.check();
    }

    #[test]
    fn a_loose_reader_does_not_mind_the_order(map in rescue_map(), seed in any::<u64>()) {
        let text = String::from_utf8(text_of(&Mapfile { map: map.clone(), ..Mapfile::default() })).unwrap();
        let (mut heads, mut blocks): (Vec<_>, Vec<_>) = text.lines().partition(|line| !line.starts_with("0x") ||
            line.split_whitespace().nth(1).is_some_and(|field| !field.starts_with("0x")));
        // Any order will do, as long as it is another one.
        blocks.sort_by_key(|line| line.bytes().fold(seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3).rotate_left(23)
        }));
        heads.extend(blocks);
        let loose = Loose { gaps: Status::NonTried };
        let read = Mapfile::parse_loose(heads.join("\n").as_bytes(), loose).unwrap();
        read.map.check();
        let mut expected = map.clone();
        if let Some(extent) = map.extent() {
            expected.extend_to(ByteRange::between(Offset::ZERO, extent.end()), Status::NonTried);
            let last = expected.blocks().next_back().unwrap();
            if last.status == Status::NonTried {
                expected.extend_to(ByteRange::ALL, Status::NonTried);
            }
        }
        expected.merge();
        prop_assert_eq!(read.map, expected);
    }

    #[test]
    fn any_bytes_are_a_mapfile_or_an_error(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Mapfile::parse(&text);
        let _ = Mapfile::parse_loose(&text, Loose { gaps: Status::BadSector });
    }

    #[test]
    fn nearly_right_text_is_a_sound_map_or_an_error(
        lines in prop::collection::vec("(0x|0|-|)[0-9A-F]{1,17} {1,2}(0x|0|)[0-9A-F]{1,17} {0,2}[?*/+-]?[ #x]?", 0..6)
    ) {
        let text = format!("0 ? 1\n{}", lines.join("\n"));
        for file in [
            Mapfile::parse(text.as_bytes()),
            Mapfile::parse_loose(text.as_bytes(), Loose { gaps: Status::NonTried }),
        ].into_iter().flatten() {
            file.map.check();
        }
    }

    #[test]
    fn a_changed_byte_never_breaks_the_reader(map in rescue_map(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut text = text_of(&Mapfile { map, ..Mapfile::default() });
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(file) = Mapfile::parse(&text) {
            file.map.check();
        }
    }

    #[test]
    fn spelling_of_numbers_does_not_matter(start in 0u64..1 << 40, size in 1u64..1 << 40, status in status()) {
        let character = status.character();
        let expected = RescueMap::single(ByteRange::new(Offset::new(start), size), status);
        for line in [
            format!("{start} {size} {character}"),
            format!("\t0x{start:x}\t0{size:o}{character} some words"),
            format!("0x{start:X}  0x{size:X}  {character}"),
            format!("+{start} +{size} {character} # comment\r"),
        ] {
            prop_assert_eq!(parsed(&format!("# x\n\n0 ?\n{line}\n# end")).unwrap().map, expected.clone());
        }
    }
}

#[test]
fn empty_text_and_a_status_line_alone_are_maps_without_blocks() {
    for text in ["", "\n\n# comment", "0x10 F 7", "0 ? # no pass"] {
        assert!(parsed(text).unwrap().map.is_empty(), "{text}");
    }
    let position = parsed("0x10 F 7").unwrap().position;
    assert_eq!(position, Position { at: Offset::new(16), phase: Phase::Filling, pass: 7 });
}

#[test]
fn faults_are_told_with_their_line() {
    let gap = MapfileFault::Gap { expected: Offset::new(10), found: Offset::new(12) };
    let cases = [
        ("\nx", 2, MapfileFault::StatusLine),
        ("0 ! 1", 1, MapfileFault::StatusLine),
        ("-1 ? 1", 1, MapfileFault::StatusLine),
        ("0 ? 0", 1, MapfileFault::StatusLine),
        ("# c\n0 ? 1\n\n0 10 x", 4, MapfileFault::BlockLine),
        ("0 ? 1\n0 10 F", 2, MapfileFault::BlockLine),
        ("0 ? 1\n0 -10 +", 2, MapfileFault::BlockLine),
        ("0 ? 1\n5 0 +", 2, MapfileFault::BlockLine),
        ("0 ? 1\n0 10 +\n12 1 +", 3, gap),
    ];
    for (text, line, fault) in cases {
        assert_eq!(parsed(text), Err((line, fault)), "{text}");
    }
}

#[test]
fn only_the_first_127_characters_of_a_line_count() {
    let spaces = " ".repeat(120);
    assert!(parsed(&format!("0 ? 1\n0{spaces}5 +")).is_ok());
    assert!(parsed(&format!("0 ? 1\n0{spaces}      5 +")).is_err());
}

#[test]
fn loose_gaps_are_filled_and_a_last_block_of_their_status_has_no_end() {
    let text = b"0 ? 1\n200 100 +\n0 100 ?\n";
    let read = |gaps| Mapfile::parse_loose(text, Loose { gaps }).unwrap().map;
    let ends = |map: RescueMap| map.blocks().map(|b| (b.range.end().bytes(), b.status)).collect::<Vec<_>>();
    let max = Offset::MAX.bytes();
    assert_eq!(ends(read(Status::NonTried)), [(200, Status::NonTried), (300, Status::Finished)]);
    assert_eq!(ends(read(Status::Finished)), [(100, Status::NonTried), (max, Status::Finished)]);
}

#[test]
fn written_text_is_exactly_that_of_the_original() {
    let map: RescueMap = [
        (ByteRange::new(Offset::ZERO, 0x4_0000), Status::Finished),
        (ByteRange::new(Offset::new(0x4_0000), 0x1_2345_6789), Status::NonTried),
    ]
    .into_iter()
    .collect();
    let file = Mapfile { map, ..Mapfile::default() };
    let expected = "# Mapfile. Created by a test\n\
                    # current_pos  current_status  current_pass\n\
                    0x00000000     ?               1\n\
                    #      pos        size  status\n\
                    0x00000000  0x00040000  +\n\
                    0x00040000  0x123456789  ?\n";
    assert_eq!(String::from_utf8(text_of(&file)).unwrap(), expected);
}
