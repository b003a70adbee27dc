use block::buffer;
use proptest::prelude::*;

use super::*;

const STRUCTURED: Agreed = Agreed::Structured { allocation: Some(7) };

/// A chunk, as bytes.
fn chunk_of(kind: u16, ends: bool, cookie: u64, body: &[u8]) -> Vec<u8> {
    let flags = if ends { chunk::FLAG_DONE } else { 0 };
    let header = ChunkHeader { flags, kind, cookie, length: body.len() as u32 };
    [&header.bytes()[..], body].concat()
}

fn data(ends: bool, cookie: u64, at: u64, bytes: &[u8]) -> Vec<u8> {
    chunk_of(chunk::OFFSET_DATA, ends, cookie, &[&at.to_be_bytes()[..], bytes].concat())
}

fn hole(ends: bool, cookie: u64, at: u64, length: u32) -> Vec<u8> {
    chunk_of(chunk::OFFSET_HOLE, ends, cookie, &[&at.to_be_bytes()[..], &length.to_be_bytes()].concat())
}

fn failed(ends: bool, cookie: u64, errno: u32, at: Option<u64>) -> Vec<u8> {
    let head = [&errno.to_be_bytes()[..], &4u16.to_be_bytes(), b"text"].concat();
    match at {
        None => chunk_of(chunk::ERROR, ends, cookie, &head),
        Some(at) => chunk_of(chunk::ERROR_OFFSET, ends, cookie, &[&head[..], &at.to_be_bytes()].concat()),
    }
}

fn simple(errno: u32, cookie: u64) -> Vec<u8> {
    SimpleHeader { error: errno, cookie }.bytes().to_vec()
}

/// A read of `length` bytes at `at` by requests of at most `most` bytes in blocks of `block`; cookies are 1, 2 ...
fn job(at: u64, length: usize, block: u64, most: u64) -> Job {
    let mut start = at / block * block;
    let end = (at + length as u64).next_multiple_of(block);
    let mut parts = Vec::new();
    while start < end {
        let to = (start + most).min(end);
        parts.push((parts.len() as u64 + 1, start..to));
        start = to;
    }
    let mut buffer = buffer::zeroed(length);
    buffer.fill(0xEE);
    Job { ticket: Ticket(1), at, length, buffer, parts }
}

/// Feeds bytes in pieces of at most `step`.
fn feed(replies: &mut Replies, mut bytes: &[u8], step: usize) -> Result<Vec<Answer>, Violation> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let place = replies.place();
        assert!(!place.is_empty());
        let count = place.len().min(bytes.len()).min(step);
        place[..count].copy_from_slice(&bytes[..count]);
        bytes = &bytes[count..];
        answers.extend(replies.filled(count)?);
    }
    Ok(answers)
}

fn answer_to(agreed: Agreed, job: Job, bytes: &[u8]) -> Result<Option<ReadAnswer>, Violation> {
    let mut replies = Replies::new(agreed);
    replies.expect(Open::Read(job));
    let mut answers = feed(&mut replies, bytes, usize::MAX)?;
    assert!(answers.len() <= 1);
    Ok(answers.pop().map(|answer| match answer {
        Answer::Read(answer) => answer,
        Answer::Status { .. } => panic!("nobody asked for metadata"),
    }))
}

fn bytes(at: u64, length: u64) -> Vec<u8> {
    (at..at + length).map(|at| (at % 251) as u8).collect()
}

#[test]
fn data_on_both_sides_of_an_error_and_holes_come_to_their_places() {
    let stream = [
        data(false, 1, 600, &bytes(600, 400)),
        failed(false, 1, 5, Some(300)),
        hole(false, 1, 100, 200),
        data(true, 1, 1000, &bytes(1000, 100)),
    ]
    .concat();
    let answer = answer_to(STRUCTURED, job(100, 1000, 1, 4096), &stream).unwrap().expect("an answer");
    assert_eq!(answer.good, [0..200, 500..900, 900..1000]);
    assert_eq!(answer.error, Some((5, Some(300))));
    assert!(answer.buffer[..200].iter().all(|byte| *byte == 0));
    assert_eq!(answer.buffer[500..], bytes(600, 500)[..]);
}

#[test]
fn nothing_is_good_before_a_simple_reply_is_whole() {
    let whole = [simple(0, 1), bytes(512, 512)].concat();
    assert!(
        answer_to(Agreed::Simple, job(512, 512, 512, 4096), &whole[..whole.len() - 1]).unwrap().is_none()
    );
    let answer = answer_to(Agreed::Simple, job(512, 512, 512, 4096), &whole).unwrap().expect("an answer");
    let good: Vec<_> = answer.good.iter().map(|good| (good.start, good.end)).collect();
    assert_eq!((&good[..], answer.error), (&[(0, 512)][..], None));
    let answer =
        answer_to(Agreed::Simple, job(512, 512, 512, 4096), &simple(5, 1)).unwrap().expect("an answer");
    assert_eq!((&answer.good[..], answer.error), (&[][..], Some((5, None))));
}

#[test]
fn the_end_of_a_server_is_heard_in_either_kind_of_reply() {
    for (agreed, stream) in [
        (Agreed::Simple, simple(error::ESHUTDOWN, 1)),
        (STRUCTURED, failed(true, 1, error::ESHUTDOWN, None)),
        (STRUCTURED, [failed(false, 1, 5, Some(10)), failed(true, 1, error::ESHUTDOWN, None)].concat()),
    ] {
        let answer = answer_to(agreed, job(0, 100, 1, 4096), &stream).unwrap().expect("an answer");
        assert!(answer.is_shutdown && answer.good.is_empty());
    }
}

#[test]
fn what_a_server_must_not_do_is_a_violation() {
    let body = |kind, ends, length| chunk_of(kind, ends, 1, &vec![0; length]);
    let twice = [data(false, 1, 0, &[1; 60]), data(true, 1, 50, &[1; 50])].concat();
    let again = [data(true, 1, 0, &[1; 100]), data(true, 1, 0, &[1; 100])].concat();
    for (stream, violation) in [
        (vec![0; 20], Violation::Magic(0)),
        (data(true, 2, 0, &[1; 100]), Violation::Cookie),
        (again, Violation::Cookie),
        (simple(0, 2), Violation::Cookie),
        (simple(0, 1), Violation::Simple),
        (simple(5, 1), Violation::Simple),
        (data(true, 1, 1, &[1; 100]), Violation::Outside),
        (data(true, 1, u64::MAX, &[1; 100]), Violation::Outside),
        (hole(true, 1, 0, 101), Violation::Outside),
        (hole(true, 1, 0, 0), Violation::Empty),
        (failed(true, 1, 5, Some(100)), Violation::Outside),
        (failed(true, 1, 0, None), Violation::NoError),
        (twice, Violation::Overlap),
        (data(true, 1, 0, &[1; 99]), Violation::Uncovered),
        (body(chunk::NONE, true, 0), Violation::Uncovered),
        (body(chunk::NONE, false, 0), Violation::Kind(chunk::NONE)),
        (body(chunk::NONE, true, 1), Violation::Length { kind: chunk::NONE, length: 1 }),
        (body(chunk::OFFSET_DATA, true, 8), Violation::Length { kind: chunk::OFFSET_DATA, length: 8 }),
        (body(chunk::OFFSET_DATA, true, 109), Violation::Length { kind: chunk::OFFSET_DATA, length: 109 }),
        (body(chunk::OFFSET_HOLE, true, 11), Violation::Length { kind: chunk::OFFSET_HOLE, length: 11 }),
        (body(chunk::ERROR, true, 5), Violation::Length { kind: chunk::ERROR, length: 5 }),
        (body(chunk::ERROR, true, 7), Violation::Length { kind: chunk::ERROR, length: 7 }),
        (body(chunk::ERROR, true, 6000), Violation::Length { kind: chunk::ERROR, length: 6000 }),
        (body(chunk::ERROR_OFFSET, true, 6), Violation::Length { kind: chunk::ERROR_OFFSET, length: 6 }),
        (body(chunk::BLOCK_STATUS, true, 12), Violation::Kind(chunk::BLOCK_STATUS)),
        (body(77, true, 12), Violation::Kind(77)),
    ] {
        let found = answer_to(STRUCTURED, job(0, 100, 1, 4096), &stream).expect_err("a violation");
        assert_eq!(found, violation);
    }
    let structured = data(true, 1, 0, &[1; 100]);
    let found = answer_to(Agreed::Simple, job(0, 100, 1, 4096), &structured).expect_err("a violation");
    assert_eq!(found, Violation::Structured);
}

#[test]
fn an_error_of_a_kind_that_nobody_knows_is_an_error() {
    let stream = chunk_of(chunk::ERROR_BIT | 99, true, 1, &[0, 0, 0, 5, 0, 0, 1, 2, 3]);
    let answer = answer_to(STRUCTURED, job(0, 100, 1, 4096), &stream).unwrap().expect("an answer");
    assert_eq!((&answer.good[..], answer.error), (&[][..], Some((5, None))));
}

fn status(bytes: &[u8]) -> Result<Vec<Answer>, Violation> {
    let mut replies = Replies::new(STRUCTURED);
    replies.expect(Open::Status { cookie: 1, range: 0..1000 });
    feed(&mut replies, bytes, 3)
}

fn descriptors(context: u32, pairs: &[(u32, u32)]) -> Vec<u8> {
    let pairs = pairs.iter().flat_map(|(length, flags)| [length.to_be_bytes(), flags.to_be_bytes()].concat());
    context.to_be_bytes().into_iter().chain(pairs).collect()
}

#[test]
fn metadata_is_believed_only_from_the_context_that_was_chosen() {
    let told = |context, pairs: &[_], ends| {
        status(&chunk_of(chunk::BLOCK_STATUS, ends, 1, &descriptors(context, pairs)))
    };
    let answers = told(7, &[(10, 3), (2000, 0)], true).unwrap();
    let [Answer::Status { cookie: 1, result: Ok(found) }] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(found, &[Descriptor { length: 10, flags: 3 }, Descriptor { length: 2000, flags: 0 }]);
    assert_eq!(told(8, &[(10, 3)], true).unwrap_err(), Violation::Context);
    assert_eq!(told(7, &[(0, 3)], true).unwrap_err(), Violation::Empty);
    assert!(matches!(told(7, &[], true).unwrap_err(), Violation::Length { .. }));
    let twice = chunk_of(chunk::BLOCK_STATUS, false, 1, &descriptors(7, &[(10, 3)])).repeat(2);
    assert_eq!(status(&twice).unwrap_err(), Violation::Context);
    assert_eq!(status(&chunk_of(chunk::NONE, true, 1, &[])).unwrap_err(), Violation::Uncovered);
    assert_eq!(status(&simple(0, 1)).unwrap_err(), Violation::Uncovered);
    for refused in [simple(22, 1), failed(true, 1, 22, None)] {
        let answers = status(&refused).unwrap();
        assert!(matches!(&answers[..], [Answer::Status { cookie: 1, result: Err(22) }]), "{answers:?}");
    }
    let vast = ChunkHeader { flags: 1, kind: chunk::BLOCK_STATUS, cookie: 1, length: u32::MAX - 3 };
    assert!(matches!(status(&vast.bytes()).unwrap_err(), Violation::Length { .. }));
}

#[test]
fn only_so_much_memory_is_taken_as_has_come() {
    let mut replies = Replies::new(STRUCTURED);
    replies.expect(Open::Status { cookie: 1, range: 0..1 << 30 });
    let length = 4 + 8 * DESCRIPTORS_MAX;
    let header = ChunkHeader { flags: 1, kind: chunk::BLOCK_STATUS, cookie: 1, length };
    feed(&mut replies, &header.bytes(), usize::MAX).unwrap();
    feed(&mut replies, &[1; 1000], usize::MAX).unwrap();
    replies.place();
    assert!(replies.scratch.capacity() <= 4 * SCRATCH_BYTES, "{}", replies.scratch.capacity());
}

/// One way of answering a request for a range of a device with damage.
#[derive(Clone, Copy, Debug)]
enum Style {
    /// Chunks around damage, in any order.
    Chunks,
    /// One chunk, filled up behind the first error.
    Filled,
    /// No data.
    Bare,
}

proptest! {
    #[test]
    fn what_is_good_on_a_device_comes_and_nothing_else(
        at in 0u64..5000, length in 1usize..5000, block in prop::sample::select(vec![1u64, 512, 1024]),
        most in 1u64..4, bad in prop::collection::vec((0u64..12_000, 1u64..700), 0..5), grain in 1u64..600,
        styles in prop::collection::vec(prop::sample::select(vec![Style::Chunks, Style::Filled, Style::Bare]), 10),
        step in 1usize..3000, reverse: bool, seed: u64,
    ) {
        let job = job(at, length, block, block * most * 2);
        let is_bad = |at: u64| bad.iter().any(|(start, length)| (*start..start + length).contains(&at));
        let mut replies_of_parts: Vec<Vec<u8>> = Vec::new();
        let mut expected = vec![false; length];
        let mut all_good = true;
        for (index, (cookie, range)) in job.parts.iter().enumerate() {
            let first = range.clone().find(|at| is_bad(*at));
            let mut credit = |range: Range<u64>| {
                for at in range.filter(|place| (at..at + length as u64).contains(place)) {
                    expected[(at - job.at) as usize] = true;
                }
            };
            all_good &= first.is_none();
            let mut chunks: Vec<Vec<u8>> = Vec::new();
            match (styles[index % styles.len()], first) {
                (Style::Filled, first) => {
                    chunks.push(data(false, *cookie, range.start, &bytes(range.start, range.end - range.start)));
                    credit(range.start..first.unwrap_or(range.end));
                    chunks.extend(first.map(|at| failed(false, *cookie, 5, Some(at))));
                }
                (Style::Bare, Some(_)) => chunks.push(failed(false, *cookie, 5, None)),
                (Style::Bare | Style::Chunks, _) => {
                    let mut place = range.start;
                    while place < range.end {
                        let run = |bad: bool| (place..range.end.min(place + grain)).find(|at| is_bad(*at) != bad);
                        let bad = is_bad(place);
                        let end = run(bad).unwrap_or(range.end.min(place + grain));
                        match bad {
                            true => chunks.push(failed(false, *cookie, 5, Some(place))),
                            false => {
                                chunks.push(data(false, *cookie, place, &bytes(place, end - place)));
                                credit(place..end);
                            }
                        }
                        place = end;
                    }
                }
            }
            // More chunks than anybody could use are refused elsewhere.
            prop_assume!((chunks.len() as u64) < (range.end - range.start) / 512 + 16);
            if reverse {
                chunks.reverse();
            }
            if let Some(last) = chunks.last_mut() {
                last[5] |= chunk::FLAG_DONE as u8;
            }
            replies_of_parts.push(chunks.concat());
        }
        // Whole replies in any order; chunks of different ones are mixed elsewhere.
        let count = replies_of_parts.len();
        replies_of_parts.rotate_left(seed as usize % count);
        let mut replies = Replies::new(STRUCTURED);
        replies.expect(Open::Read(job));
        let answers = feed(&mut replies, &replies_of_parts.concat(), step).unwrap();
        let [Answer::Read(answer)] = &answers[..] else { panic!("{answers:?}") };
        let mut found = vec![false; length];
        answer.good.iter().for_each(|good| found[good.clone()].fill(true));
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(answer.error.is_none(), all_good);
        let truth = bytes(at, length as u64);
        for place in (0..length).filter(|place| found[*place]) {
            prop_assert_eq!(answer.buffer[place], truth[place]);
        }
        prop_assert_eq!(replies.into_open().count(), 0);
    }

    #[test]
    fn no_bytes_are_too_strange(stream in prop::collection::vec(any::<u8>(), 0..300), step in 1usize..50) {
        let mut replies = Replies::new(STRUCTURED);
        replies.expect(Open::Read(job(0, 100, 1, 50)));
        let _ = feed(&mut replies, &stream, step);
    }
}
