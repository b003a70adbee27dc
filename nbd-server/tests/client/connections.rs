//! Connections that are lost and come back, and answers that are late or never come.

use block::{ReadQueue, Recovery};

use super::*;

const SOON: Nanos = Nanos::from_millis(20);
const LATE: Nanos = Nanos::from_secs(30);

/// Hangs over what touches `hung`, and answers the rest.
fn hanging(hung: Range<u64>) -> impl Fn(Asked) -> Vec<Act> + Send + Sync {
    move |asked| {
        let range = asked.range();
        let hangs = range.start < hung.end && hung.start < range.end;
        if hangs { Vec::new() } else { vec![Act::Send(send::read(asked, content(), &[]))] }
    }
}

#[test]
fn what_was_in_flight_when_the_server_went_is_an_error_and_never_damage() {
    // It goes in the middle of a reply.
    let server = NbdScript::serve(ScriptOptions::default(), |asked| {
        let reply = send::read(asked, content(), &[]);
        let half = reply[..reply.len() / 2].to_vec();
        if asked.at >= 8192 { vec![Act::Send(half), Act::Close] } else { vec![Act::Send(reply)] }
    });
    let mut source = open(&server);
    for index in 0..8 {
        source.submit(request(index * 4096, 4096));
    }
    let mut ends = [0, 0];
    while let Some(completion) = source.complete(None) {
        match completion.result {
            Ok(reply) => {
                assert_eq!(reply, ReadReply::all());
                ends[0] += 1;
            }
            Err(error) => {
                assert!(error.is_loss(), "{error}");
                ends[1] += 1;
            }
        }
    }
    assert_eq!(ends, [2, 6]);
    assert!(matches!(source.presence(), Err(SourceError::Disconnected { .. })));
    // Whoever reads before it is connected again is told at once.
    source.submit(request(0, 512));
    assert!(source.complete(None).is_some_and(|completion| completion.result.is_err()));
    assert!(read(&mut source, 0, 512).is_err());
    server.answer(healthy(Vec::new()));
    source.recover(Recovery::Reopen).unwrap();
    assert_eq!(read(&mut source, 8192, 4096).unwrap(), ReadReply::all());
    assert!(source.presence().is_ok());
}

#[test]
fn a_server_that_ends_is_lost_and_not_damaged() {
    let server = NbdScript::serve(ScriptOptions::default(), |asked| {
        vec![Act::Send(send::error(true, asked.cookie, 108, None))]
    });
    let mut source = open(&server);
    let error = read(&mut source, 0, 4096).expect_err("a server that ends");
    assert!(error.is_loss(), "{error}");
    source.submit(request(0, 4096));
    let error = source.complete(None).expect("an answer").result.expect_err("a server that ends");
    assert!(error.to_string().contains("shutting down") && error.is_loss(), "{error}");
}

#[test]
fn only_the_same_export_is_gone_on_with() {
    let server = NbdScript::serve(ScriptOptions::default(), healthy(Vec::new()));
    let mut source = open(&server);
    for index in 0..50 {
        read(&mut source, index * 4096, 4096).unwrap();
    }
    let mut after = |change: fn(&mut ScriptOptions), back: fn(&mut ScriptOptions)| {
        server.change(change);
        server.drop_all();
        let error = source.recover(Recovery::Rediscover).expect_err("another export");
        assert!(read(&mut source, 0, 512).is_err(), "it is read all the same");
        server.change(back);
        source.recover(Recovery::Rediscover).unwrap_or_else(|e| panic!("the same export: {e}"));
        assert_eq!(read(&mut source, 0, 512).unwrap(), ReadReply::all());
        error
    };
    let larger = after(|options| options.size *= 2, |options| options.size /= 2);
    assert!(larger.to_string().contains("2097152 bytes now, and had 1048576"), "{larger}");
    assert!(matches!(larger, SourceError::Another { .. }));
    let coarser = after(
        |options| options.blocks = Some((4096, 4096, 1 << 20)),
        |options| options.blocks = ScriptOptions::default().blocks,
    );
    assert!(matches!(coarser, SourceError::Another { .. }), "{coarser}");
    let away = after(|options| options.welcome = false, |options| options.welcome = true);
    assert!(matches!(away, SourceError::Unreachable { .. }), "{away}");
    // Other bytes under the same name and size.
    server.answer(|asked| vec![Act::Send(send::read(asked, Content::new(CONTENT + 1), &[]))]);
    let other = source.recover(Recovery::Rediscover).expect_err("another export");
    assert!(matches!(&other, SourceError::Another { .. }), "{other}");
    assert!(other.to_string().contains("something else at"), "{other}");
    // One that cannot be read any more proves nothing.
    server.answer(|asked| vec![Act::Send(send::error(true, asked.cookie, 5, None))]);
    let mute = source.recover(Recovery::Rediscover).expect_err("nothing to know it by");
    assert!(matches!(mute, SourceError::Unreachable { .. }), "{mute}");
    server.answer(healthy(std::iter::once(0..4096).collect()));
    source
        .recover(Recovery::Rediscover)
        .unwrap_or_else(|e| panic!("some of it cannot be read any more: {e}"));
}

#[test]
fn a_read_that_is_late_is_given_up_and_its_answer_is_no_other_ones() {
    let server = NbdScript::serve(ScriptOptions::default(), hanging(0..512));
    let mut source = open(&server);
    let mut bytes = [0; 512];
    let reply = source.read_at(Offset::ZERO, &mut bytes, Patience::UpTo(SOON)).unwrap();
    assert_eq!(reply, ReadReply::failed(Damage::new(Errno::ETIMEDOUT)));
    assert_eq!(read(&mut source, 512, 512).unwrap(), ReadReply::all());
    let late = server.asked()[0];
    server.send(1, &send::read(late, content(), &[]));
    for index in 1..20 {
        assert_eq!(read(&mut source, index * 512, 512).unwrap(), ReadReply::all());
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn what_is_left_behind_keeps_nobody_waiting_where_others_are_answered() {
    let server = NbdScript::serve(ScriptOptions::default(), hanging(4096..4608));
    let mut source = open(&server);
    assert!(source.can_leave_behind());
    let late = source.submit(request(4096, 4096));
    assert!(source.complete(Some(SOON)).is_none());
    assert_eq!(source.in_flight(), 1);
    source.leave_behind(late);
    // Nobody knows yet whether it answers others: it is asked something small, elsewhere.
    rig::wait_until("others are not answered", || {
        assert!(source.complete(Some(SOON)).is_none());
        source.in_flight() == 0
    });
    assert_eq!(server.asked().len(), 2);
    let next = source.submit(request(8192, 512));
    assert_eq!(source.in_flight(), 1);
    assert_eq!(source.complete(Some(LATE)).map(|done| done.ticket), Some(next));
    // It comes at last.
    server.send(1, &send::read(server.asked()[0], content(), &[]));
    let mut found = None;
    rig::wait_until("what is late does not come", || {
        found = source.complete(Some(SOON));
        found.is_some()
    });
    let found = found.expect("it was found");
    assert_eq!((found.ticket, found.result), (late, Ok(ReadReply::all())));
    assert!(found.buffer[..] == content().bytes(4096, 4096));
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_server_that_answers_nobody_any_more_is_connected_to_anew() {
    let server = NbdScript::serve(ScriptOptions::default(), healthy(Vec::new()));
    let options = NbdOptions { mute: Nanos::from_millis(300), ..NbdOptions::default() };
    let mut source = try_open(&server, options).unwrap();
    assert_eq!(read(&mut source, 0, 512).unwrap(), ReadReply::all());
    // The first connection is stuck for good.
    server.answer(|asked| match asked.connection {
        1 => Vec::new(),
        _ => vec![Act::Send(send::read(asked, content(), &[]))],
    });
    let late = source.submit(request(4096, 4096));
    source.leave_behind(late);
    assert!(source.complete(Some(SOON)).is_none());
    assert_eq!(source.in_flight(), 1, "nothing says that it answers others");
    let done = source.complete(Some(LATE)).expect("it is given up");
    assert!(done.ticket == late && done.result.is_err_and(|error| error.is_loss()));
    assert_eq!((source.in_flight(), server.connections()), (0, 2));
    assert_eq!(read(&mut source, 4096, 4096).unwrap(), ReadReply::all());
}

#[test]
fn more_reads_than_any_server_takes_are_not_left_behind_on_one_connection() {
    let server = NbdScript::serve(ScriptOptions::default(), hanging(0..512 << 10));
    let mut source = open(&server);
    assert_eq!(read(&mut source, 600 << 10, 512).unwrap(), ReadReply::all());
    for index in 0..200 {
        let ticket = source.submit(request(index * 512, 512));
        source.leave_behind(ticket);
    }
    let mut open = std::collections::BTreeMap::new();
    for asked in server.asked() {
        *open.entry(asked.connection).or_insert(0) += 1;
    }
    assert!(open.len() > 3 && open.values().all(|count| *count < 64), "{open:?}");
}

#[test]
fn nothing_is_ever_sent_that_could_write_and_whoever_leaves_says_so() {
    let options = ScriptOptions { allocation: Some(1), flags: 0x0fff & !2, ..ScriptOptions::default() };
    let server = NbdScript::serve(options, |asked| match asked.command {
        7 => vec![Act::Send(send::status(asked.cookie, 1, &[(1 << 20, 0)]))],
        _ => vec![Act::Send(send::read(asked, content(), &[]))],
    });
    let mut source = open(&server);
    let all = block::ByteRange::new(Offset::ZERO, 1 << 20);
    source.extents(all);
    for index in 0..10 {
        source.submit(request(index * 100_000, 100_000));
    }
    while source.complete(None).is_some() {}
    source.recover(Recovery::Reopen).unwrap();
    read(&mut source, 0, 512).unwrap();
    drop(source);
    rig::wait_until("it does not take its leave", || {
        server.asked().last().is_some_and(|last| last.command == 2)
    });
    assert!(server.asked().iter().all(|asked| [0, 2, 7].contains(&asked.command)));
}
