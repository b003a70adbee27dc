//! What is believed of answers.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use block::{ByteRange, ExtentKind, ReadQueue};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

#[test]
fn good_bytes_on_both_sides_of_damage_are_kept() {
    let server = NbdScript::serve(ScriptOptions::default(), healthy(vec![1024..1536, 4096..4608]));
    let mut source = open(&server);
    assert_eq!(read(&mut source, 0, 1024).unwrap(), ReadReply::all());
    assert_eq!(read(&mut source, 0, 2048).unwrap(), damaged(Good::Pieces(vec![0..1024, 1536..2048]), 1024));
    assert_eq!(read(&mut source, 3584, 1024).unwrap(), damaged(Good::Prefix(512), 4096));
    assert_eq!(server.asked().len(), 3);
    assert_eq!(source.extents(ByteRange::new(Offset::ZERO, 100)).len(), 1);
}

#[test]
fn one_that_speaks_in_the_simplest_way_is_understood() {
    for (fixed, go_error) in [(false, None), (true, Some(1 << 31 | 1)), (true, Some(1 << 31 | 2))] {
        let options = ScriptOptions { fixed, go_error, structured: false, ..ScriptOptions::default() };
        let server = NbdScript::serve(options, healthy(std::iter::once(1024..1536).collect()));
        let mut source = open(&server);
        let export = source.export().clone();
        assert_eq!((export.size, export.is_structured, export.blocks_are_told), (1 << 20, false, false));
        assert_eq!((export.blocks.min, export.blocks.max), (512, 32 << 20));
        assert_eq!(read(&mut source, 0, 1024).unwrap(), ReadReply::all());
        // Without places nothing of a read that failed is known to be good, and only whole sectors are asked for.
        let failed = ReadReply::failed(Damage::new(Errno::EIO));
        assert_eq!(read(&mut source, 0, 2048).unwrap(), failed);
        assert_eq!(read(&mut source, 1000, 10).unwrap(), ReadReply::all());
        assert_eq!(server.asked().last().map(Asked::range), Some(512..1024));
    }
}

#[test]
fn one_that_has_no_such_export_or_makes_no_sense_is_not_opened() {
    let vast = |size| ScriptOptions { size, ..ScriptOptions::default() };
    let blocks = |min, max| ScriptOptions { blocks: Some((min, 4096, max)), ..ScriptOptions::default() };
    let refusal = |error: u32| ScriptOptions { go_error: Some(1 << 31 | error), ..ScriptOptions::default() };
    for (options, words) in [
        (refusal(6), "no export of this name (\"not here\")"),
        (refusal(5), "wants encryption"),
        (refusal(7), "refuses (\"not here\")"),
        (vast(1 << 63), "which nothing is"),
        (vast((1 << 20) + 1), "make no sense"),
        (blocks(0, 1 << 20), "make no sense"),
        (blocks(1000, 1 << 20), "make no sense"),
        (blocks(1 << 17, 1 << 20), "make no sense"),
        (blocks(4096, 512), "make no sense"),
        (ScriptOptions { welcome: false, ..ScriptOptions::default() }, "hangs up before it says anything"),
    ] {
        let server = NbdScript::serve(options, |_| vec![Act::Close]);
        let error = try_open(&server, NbdOptions::default()).err().expect(words);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn requests_are_no_larger_and_no_smaller_than_the_server_takes_them() {
    let options = ScriptOptions { blocks: Some((4096, 4096, 16384)), ..ScriptOptions::default() };
    let bad = std::iter::once(20_480..24_576).collect();
    let server = NbdScript::serve(options, healthy(bad));
    let mut source = open(&server);
    assert_eq!(source.geometry().logical_sector, 4096);
    assert_eq!(source.abilities().piece_bytes, 16384);
    assert_eq!(read(&mut source, 5000, 100).unwrap(), ReadReply::all());
    assert_eq!(
        read(&mut source, 0, 40_000).unwrap(),
        damaged(Good::Pieces(vec![0..20_480, 24_576..40_000]), 20_480)
    );
    // What fails outside of what was wanted is nobody's.
    assert_eq!(read(&mut source, 24_576 - 4096 - 100, 100).unwrap(), ReadReply::all());
    assert_eq!(
        read(&mut source, (1 << 20) - 10, 100).unwrap(),
        ReadReply { good: Good::Prefix(10), damage: None }
    );
    assert_eq!(read(&mut source, 1 << 20, 100).unwrap(), ReadReply { good: Good::Prefix(0), damage: None });
    let ranges: Vec<Range<u64>> = server.asked().iter().map(Asked::range).collect();
    assert_eq!(ranges[..4], [4096..8192, 0..16384, 16384..32768, 32768..40960]);
    assert!(ranges.iter().all(|range| range.start % 4096 == 0 && range.end % 4096 == 0));
}

#[test]
fn an_export_that_ends_anywhere_is_read_to_its_end_where_no_block_size_is_told() {
    let options = ScriptOptions { size: 5000, blocks: None, ..ScriptOptions::default() };
    let server = NbdScript::serve(options, healthy(Vec::new()));
    let mut source = open(&server);
    assert_eq!(read(&mut source, 0, 5000).unwrap(), ReadReply::all());
    assert_eq!(read(&mut source, 4900, 1000).unwrap(), ReadReply { good: Good::Prefix(100), damage: None });
    assert_eq!(server.asked()[1].range(), 4608..5000);
}

#[test]
fn answers_come_in_any_order_and_their_chunks_mixed() {
    // Eight at a time, last first, with the chunks of all of them in turn.
    let waiting: Mutex<Vec<Asked>> = Mutex::default();
    let server = NbdScript::serve(ScriptOptions::default(), move |asked| {
        let mut waiting = waiting.lock().expect("no thread has panicked");
        waiting.push(asked);
        if waiting.len() < 8 {
            return Vec::new();
        }
        let all = std::mem::take(&mut *waiting);
        let half = |asked: &Asked, second: u64| {
            let (at, length) = (asked.at + second * 2048, 2048);
            send::data(second == 1, asked.cookie, at, &content().bytes(at, length))
        };
        (0..2).flat_map(|second| all.iter().rev().map(move |asked| Act::Send(half(asked, second)))).collect()
    });
    let mut source = open(&server);
    let tickets: Vec<_> = (0..8u64).map(|index| source.submit(request(index * 4096, 4096))).collect();
    let mut done = Vec::new();
    while let Some(completion) = source.complete(None) {
        assert_eq!(completion.result, Ok(ReadReply::all()));
        let index = tickets.iter().position(|ticket| *ticket == completion.ticket).expect("one of ours");
        assert!(completion.buffer[..] == content().bytes(index as u64 * 4096, 4096));
        done.push(index);
    }
    assert_eq!(done, [7, 6, 5, 4, 3, 2, 1, 0]);
}

#[test]
fn what_a_server_must_not_do_ends_the_connection_and_is_never_taken_for_data() {
    type Wrong = fn(Asked) -> Vec<u8>;
    let whole = |asked: Asked| send::data(true, asked.cookie, asked.at, &vec![0; asked.length as usize]);
    let wrongs: [(&str, Wrong, &str); 10] = [
        ("a wrong magic", |asked| vec![0; asked.length as usize], "out of step"),
        ("a wrong cookie", |asked| send::data(true, asked.cookie + 99, 0, &[0; 512]), "nobody asked"),
        ("content outside", |asked| send::data(true, asked.cookie, asked.at + 1, &[0; 512]), "outside"),
        ("an end without the rest", |asked| send::data(true, asked.cookie, asked.at, &[0; 100]), "not whole"),
        ("an empty answer", |asked| send::chunk(0, true, asked.cookie, &[]), "not whole"),
        (
            "a simple reply",
            |asked| send::simple(0, asked.cookie, &vec![0; asked.length as usize]),
            "simple reply",
        ),
        (
            "a chunk that is too long",
            |asked| send::data(true, asked.cookie, asked.at, &vec![0; asked.length as usize + 1]),
            "a chunk of 521 bytes",
        ),
        (
            "the same twice",
            |asked| {
                let first = send::data(false, asked.cookie, asked.at, &[0; 300]);
                [first, send::data(true, asked.cookie, asked.at + 299, &[0; 213])].concat()
            },
            "same bytes twice",
        ),
        ("metadata", |asked| send::status(asked.cookie, 1, &[(512, 0)]), "no sense"),
        ("an error that is none", |asked| send::error(true, asked.cookie, 0, None), "none"),
    ];
    for (what, wrong, words) in wrongs {
        let server = NbdScript::serve(ScriptOptions::default(), healthy(Vec::new()));
        let mut source = open(&server);
        assert_eq!(read(&mut source, 0, 512).unwrap(), ReadReply::all());
        server.answer(move |asked| vec![Act::Send(wrong(asked))]);
        let error = read(&mut source, 512, 512).expect_err(what);
        assert!(matches!(error, SourceError::Disconnected { .. }) && error.is_loss(), "{what}: {error}");
        assert!(error.to_string().contains(words), "{what}: {error}");
        server.answer(healthy(Vec::new()));
        assert!(read(&mut source, 512, 512).is_err() && source.presence().is_err(), "{what}: it goes on");
        source.recover(block::Recovery::Rediscover).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(read(&mut source, 512, 512).unwrap(), ReadReply::all());
    }
    // What was answered once is not asked any more.
    let server =
        NbdScript::serve(ScriptOptions::default(), move |asked| vec![Act::Send(whole(asked).repeat(2))]);
    let mut source = open(&server);
    let mut bytes = [0; 512];
    source.read_at(Offset::ZERO, &mut bytes, Patience::Endless).expect("the first one is right");
    rig::wait_until("the second answer is taken", || source.presence().is_err());
}

#[test]
fn refusals_are_told_from_damage_unless_somebody_says_otherwise() {
    let refuse = |asked: Asked| vec![Act::Send(send::error(true, asked.cookie, 22, None))];
    let server = NbdScript::serve(ScriptOptions::default(), refuse);
    let error = read(&mut open(&server), 0, 512).expect_err("a refusal");
    assert!(matches!(error, SourceError::Refused { errno: Errno::EINVAL, .. }), "{error}");
    let options = NbdOptions { damage_errnos: vec![Errno::EINVAL], ..NbdOptions::default() };
    let mut tolerant = try_open(&server, options).unwrap();
    assert_eq!(read(&mut tolerant, 0, 512).unwrap(), ReadReply::failed(Damage::new(Errno::EINVAL)));
    // A number that the protocol does not have is an error like any other.
    server.answer(|asked| vec![Act::Send(send::error(true, asked.cookie, 61, None))]);
    assert_eq!(read(&mut tolerant, 0, 512).unwrap(), ReadReply::failed(Damage::new(Errno::EIO)));
}

#[test]
fn only_what_reads_as_zeros_is_a_hole() {
    let options = ScriptOptions { allocation: Some(9), ..ScriptOptions::default() };
    let server = NbdScript::serve(options, |asked| {
        assert_eq!(asked.command, 7);
        // In two answers; the last stretch goes on behind what was asked.
        let stretches: &[_] = match asked.at {
            0 => &[(4096, 0), (8192, 3)],
            12_288 => &[(4096, 1), (1 << 30, 2)],
            at => panic!("asked about {at}"),
        };
        vec![Act::Send(send::status(asked.cookie, 9, stretches))]
    });
    let mut source = open(&server);
    let range = ByteRange::new(Offset::ZERO, 1 << 20);
    let extents = |source: &mut NbdSource| -> Vec<(u64, u64, bool)> {
        let extents = source.extents(range).into_iter();
        extents
            .map(|e| (e.range.start().bytes(), e.range.end().bytes(), e.kind == ExtentKind::Hole))
            .collect()
    };
    let expected = [(0, 4096, false), (4096, 12_288, true), (12_288, 16_384, false), (16_384, 1 << 20, true)];
    assert_eq!(extents(&mut source), expected);
    // What it does not know is data.
    server.answer(|asked| vec![Act::Send(send::error(true, asked.cookie, 22, None))]);
    assert_eq!(extents(&mut source), [(0, 1 << 20, false)]);
    server.answer(|asked| vec![Act::Send(send::status(asked.cookie, 8, &[(512, 3)]))]);
    assert_eq!(extents(&mut source), [(0, 1 << 20, false)]);
    assert!(source.presence().is_err(), "a context that was not chosen is believed");
}

/// How a random server answers a read.
fn random_answer(dice: &mut ChaCha8Rng, asked: Asked, bad: &[Range<u64>]) -> Vec<Vec<u8>> {
    let range = asked.range();
    let inside: Vec<Range<u64>> = bad
        .iter()
        .map(|bad| bad.start.max(range.start)..bad.end.min(range.end))
        .filter(|bad| bad.start < bad.end)
        .collect();
    if !asked.structured || (dice.random_ratio(1, 3) && !inside.is_empty()) {
        return vec![match (asked.structured, inside.is_empty()) {
            (true, _) => send::error(true, asked.cookie, 5, None),
            (false, false) => send::simple(5, asked.cookie, &[]),
            (false, true) => {
                send::simple(0, asked.cookie, &content().bytes(range.start, asked.length as usize))
            }
        }];
    }
    let mut chunks = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let next = inside.iter().find(|bad| bad.end > at);
        let here = next.filter(|bad| bad.start <= at);
        if let Some(bad) = here {
            chunks.push(send::error(false, asked.cookie, 5, Some(at)));
            at = bad.end;
            continue;
        }
        let most = next.map_or(range.end, |bad| bad.start);
        let end = if dice.random() { most } else { (at + 512 * dice.random_range(1..9)).min(most) };
        chunks.push(send::data(false, asked.cookie, at, &content().bytes(at, (end - at) as usize)));
        at = end;
    }
    chunks.shuffle(dice);
    if let Some(last) = chunks.last_mut() {
        last[5] |= 1;
    }
    chunks
}

#[test]
fn random_devices_are_read_as_they_are() {
    let seeds = std::env::var("DISKWRIGHT_SEEDS").map_or(200, |n| n.parse().expect("a number"));
    for seed in 0..seeds {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let size = 512 * dice.random_range(64..4000u64);
        let mut bad: Vec<Range<u64>> = Vec::new();
        let mut at = 0;
        for _ in 0..dice.random_range(0..20) {
            at += 512 * dice.random_range(1..200);
            let end = at + 512 * dice.random_range(1..20);
            bad.push(at..end);
            at = end;
        }
        let max = 512 << dice.random_range(3..10);
        let options = ScriptOptions {
            size,
            blocks: Some((512, 4096, max)),
            structured: dice.random_ratio(3, 4),
            ..ScriptOptions::default()
        };
        let (damage, count) = (bad.clone(), AtomicU64::new(0));
        // Some answers wait for the next request.
        let kept: Mutex<Vec<Vec<u8>>> = Mutex::default();
        let server = NbdScript::serve(options, move |asked| {
            let mut dice = ChaCha8Rng::seed_from_u64(seed << 20 | count.fetch_add(1, Ordering::Relaxed));
            let mut kept = kept.lock().expect("no thread has panicked");
            kept.extend(random_answer(&mut dice, asked, &damage));
            let is_odd = asked.at / 512 % 3 == 0;
            if is_odd { Vec::new() } else { kept.drain(..).map(Act::Send).collect() }
        });
        let mut source = open(&server);
        let mut open_reads = std::collections::BTreeMap::new();
        for _ in 0..12 {
            let at = dice.random_range(0..size);
            let length = dice.random_range(1..40_000.min(size - at + 1)) as usize;
            open_reads.insert(source.submit(request(at, length)), (at, length));
        }
        // A place that is no multiple of three sectors: everything that waits is answered.
        open_reads.insert(source.submit(request(512, 512)), (512, 512));
        let is_bad = |at: u64| bad.iter().any(|bad| bad.contains(&at));
        while let Some(completion) = source.complete(None) {
            let (at, length) = open_reads.remove(&completion.ticket).expect("one of ours");
            let reply = completion.result.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            for piece in reply.pieces(length) {
                let range = at + piece.start as u64..at + piece.end as u64;
                assert!(!range.clone().any(is_bad), "seed {seed}: {range:?}");
                let truth = content().bytes(range.start, piece.len());
                assert!(completion.buffer[piece] == truth, "seed {seed}: {range:?}");
            }
            let has_bad = (at..at + length as u64).any(is_bad);
            assert!(
                reply.damage.is_none() || has_bad || {
                    // A simple reply fails whole sectors.
                    (at / 512 * 512..(at + length as u64).next_multiple_of(512)).any(is_bad)
                }
            );
            assert!(has_bad || reply.damage.is_some() || reply.good == Good::All, "seed {seed}");
        }
        assert!(open_reads.is_empty(), "seed {seed}: {open_reads:?}");
    }
}
