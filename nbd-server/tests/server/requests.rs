//! Requests and what comes of them.

use nbd_server::handshake::Manners;
use nbd_server::server::ServerOptions;
use nbd_server::terms::SmallestBlock;
use nbd_server::wire::{self, chunk, command, error, option};
use serving::{Reply, Work};

use crate::fixture::{Bench, Raw, ToyOptions, bytes_at, error_of, meta_data, range};

const SIZE: u64 = 1 << 20;

fn writable() -> ToyOptions {
    ToyOptions { is_writable: true, ..ToyOptions::default() }
}

fn write(raw: &mut Raw, flags: u16, cookie: u64, offset: u64, bytes: &[u8]) {
    raw.request(command::WRITE, flags, cookie, offset, bytes.len() as u32);
    raw.send(bytes);
}

/// A reply without bytes or error.
fn done(raw: &mut Raw, cookie: u64) {
    assert_eq!(raw.chunks(), [(chunk::NONE, 1, cookie, Vec::new())]);
}

#[test]
fn a_read_brings_what_was_good_and_tells_where_it_ended() {
    let bench = Bench::new(ToyOptions { bad: vec![range(8192, 512)], ..ToyOptions::default() });
    let mut raw = bench.opened();
    assert_eq!(raw.read_whole(0, 8192), bytes_at(range(0, 8192)));
    raw.request(command::READ, 0, 5, 4096, 8192);
    let chunks = raw.chunks();
    assert_eq!(chunks.len(), 2);
    let data = [&4096u64.to_be_bytes()[..], &bytes_at(range(4096, 4096))].concat();
    assert_eq!(chunks[0], (chunk::OFFSET_DATA, 0, 5, data));
    assert_eq!(error_of(&chunks[1]), (error::EIO, Some(8192), "media: bad at 0x00002000".into()));
    raw.request(command::READ, 0, 6, 8192, 512);
    assert_eq!(raw.error().1, Some(8192));
    assert_eq!(raw.read_whole(8704, 512), bytes_at(range(8704, 512)));
    // In one piece, with zeros where nothing was read.
    raw.request(command::READ, command::FLAG_DF, 7, 4096, 8192);
    let chunks = raw.chunks();
    assert_eq!((chunks.len(), chunks[0].0, chunks[0].3.len()), (2, chunk::OFFSET_DATA, 8 + 8192));
    assert_eq!(chunks[0].3[8..8 + 4096], bytes_at(range(4096, 4096)));
    assert_eq!(chunks[0].3[8 + 4096..], [0; 4096]);
    assert_eq!(error_of(&chunks[1]).1, Some(8192));
}

#[test]
fn a_drive_that_reads_on_brings_what_lies_behind() {
    let bad = vec![range(512, 512), range(2048, 1024)];
    let bench = Bench::new(ToyOptions { bad, reads_on: true, ..ToyOptions::default() });
    let mut raw = bench.opened();
    raw.request(command::READ, 0, 5, 0, 4096);
    let chunks = raw.chunks();
    let kinds: Vec<u16> = chunks.iter().map(|chunk| chunk.0).collect();
    let (data, bad) = (chunk::OFFSET_DATA, chunk::ERROR_OFFSET);
    assert_eq!(kinds, [data, bad, data, bad, data]);
    assert_eq!(chunks[4].3[8..], bytes_at(range(3072, 1024)));
    assert_eq!(error_of(&chunks[3]).1, Some(2048));
}

#[test]
fn simple_replies_bring_all_or_an_error_and_stay_in_step() {
    let bench = Bench::new(ToyOptions { bad: vec![range(8192, 512)], ..ToyOptions::default() });
    let mut raw = bench.opened_simple();
    for cookie in 0..20u64 {
        raw.request(command::READ, 0, cookie, 4096, 8192);
        assert_eq!(raw.simple(), (error::EIO, cookie));
        raw.request(command::READ, 0, cookie, 0, 4096);
        assert_eq!(raw.simple(), (0, cookie));
        assert_eq!(raw.take(4096), bytes_at(range(0, 4096)));
    }
    raw.request(command::BLOCK_STATUS, 0, 1, 0, 4096);
    assert_eq!(raw.simple(), (error::EINVAL, 1));
    raw.request(command::READ, command::FLAG_DF, 2, 0, 4096);
    assert_eq!(raw.simple(), (error::EINVAL, 2));
    raw.request(command::READ, 0, 3, 0, 64 << 20);
    assert_eq!(raw.simple(), (error::EINVAL, 3));
}

#[test]
fn holes_travel_as_holes() {
    let bench = Bench::new(ToyOptions { holes: vec![range(65536, 65536)], ..ToyOptions::default() });
    let mut raw = bench.opened();
    raw.request(command::READ, 0, 1, 65536, 65536);
    let hole = [&65536u64.to_be_bytes()[..], &65536u32.to_be_bytes()].concat();
    assert_eq!(raw.chunks(), [(chunk::OFFSET_HOLE, 1, 1, hole)]);
    raw.request(command::READ, command::FLAG_DF, 1, 65536, 65536);
    let zeros = [&65536u64.to_be_bytes()[..], &[0; 65536]].concat();
    assert_eq!(raw.chunks(), [(chunk::OFFSET_DATA, 1, 1, zeros)]);
}

#[test]
fn a_read_beyond_32_mib_comes_in_pieces() {
    const MIB: u64 = 1 << 20;
    let bad = vec![range(70 * MIB, 512)];
    let bench = Bench::new(ToyOptions { size: 300 * MIB, bad, ..ToyOptions::default() });
    let mut raw = bench.opened();
    raw.request(command::READ, 0, 1, 0, 65 << 20);
    let mut at: u64 = 0;
    for (kind, _, cookie, payload) in raw.chunks() {
        assert_eq!((kind, cookie), (chunk::OFFSET_DATA, 1));
        assert_eq!(payload[..8], at.to_be_bytes());
        let length = payload.len() as u64 - 8;
        assert!(payload[8..] == bytes_at(range(at, length)), "the bytes at {at}");
        at += length;
    }
    assert_eq!(at, 65 * MIB);
    // Damage ends it, wherever it is.
    raw.request(command::READ, 0, 2, 0, 256 << 20);
    let chunks = raw.chunks();
    let good: usize = chunks[..chunks.len() - 1].iter().map(|chunk| chunk.3.len() - 8).sum();
    assert_eq!(good as u64, 70 * MIB);
    assert_eq!(error_of(chunks.last().unwrap()).1, Some(70 * MIB));
    raw.request(command::READ, 0, 3, 0, (256 << 20) + 512);
    assert_eq!(raw.error().0, error::EOVERFLOW);
    raw.request(command::READ, command::FLAG_DF, 3, 0, (32 << 20) + 512);
    assert_eq!(raw.error().0, error::EOVERFLOW);
    raw.request(command::READ, command::FLAG_DF, 4, 0, 64 << 10);
    assert_eq!(raw.chunks().len(), 1);
}

#[test]
fn a_long_read_whose_pieces_come_late_is_the_same() {
    const MIB: u64 = 1 << 20;
    let late = [(0, block::Nanos::from_millis(30)), (40 * MIB, block::Nanos::from_millis(1))].into();
    let bench = Bench::new(ToyOptions { size: 100 * MIB, late, ..ToyOptions::default() });
    let mut raw = bench.opened();
    raw.request(command::READ, 0, 1, 0, 100 << 20);
    // Somebody else's reply may come between the chunks.
    raw.request(command::READ, 0, 2, 99 << 20, 512);
    let (mut at, mut others) = (0, 0);
    loop {
        let (kind, flags, cookie, payload) = raw.chunk();
        assert_eq!(kind, chunk::OFFSET_DATA);
        if cookie == 2 {
            others += 1;
            continue;
        }
        assert_eq!(payload[..8], u64::to_be_bytes(at));
        at += payload.len() as u64 - 8;
        if flags & chunk::FLAG_DONE != 0 {
            break;
        }
    }
    if others == 0 {
        assert_eq!(raw.chunk().2, 2);
    }
    assert_eq!(at, 100 * MIB);
}

#[test]
fn what_is_written_is_read_and_commands_reach_the_device_as_they_were_meant() {
    let bench = Bench::new(writable());
    let mut raw = bench.opened();
    write(&mut raw, command::FLAG_FUA, 1, 512, &[7; 1024]);
    done(&mut raw, 1);
    let mut expected = bytes_at(range(0, 2048));
    expected[512..1536].fill(7);
    assert_eq!(raw.read_whole(0, 2048), expected);
    let kinds = [
        (command::FLUSH, 0, 0),
        (command::TRIM, 4096, 8192),
        (command::CACHE, 4096, 8192),
        (command::WRITE_ZEROES, 4096, 8192),
    ];
    for (kind, offset, length) in kinds {
        raw.request(kind, 0, u64::from(kind), offset, length);
        done(&mut raw, u64::from(kind));
    }
    raw.request(command::WRITE_ZEROES, command::FLAG_NO_HOLE, 9, 4096, 8192);
    done(&mut raw, 9);
    raw.request(command::WRITE_ZEROES, command::FLAG_FAST_ZERO, 10, 4096, 8192);
    assert_eq!(raw.error().0, error::ENOTSUP);
    let asked = bench.toy.asked.lock().unwrap();
    let expected = [
        (Work::Write(Vec::new()), range(512, 1024)),
        (Work::Read, range(0, 2048)),
        (Work::Flush, range(0, 0)),
        (Work::Trim, range(4096, 8192)),
        (Work::Cache, range(4096, 8192)),
        (Work::Zero { may_trim: true }, range(4096, 8192)),
        (Work::Zero { may_trim: false }, range(4096, 8192)),
    ];
    assert_eq!(*asked, expected);
}

#[test]
fn a_large_write_arrives_whole() {
    let bench = Bench::new(ToyOptions { size: 64 << 20, ..writable() });
    let mut raw = bench.opened();
    let bytes: Vec<u8> = (0..32 << 20).map(|at: u32| (at % 253) as u8).collect();
    write(&mut raw, 0, 1, 4096, &bytes);
    done(&mut raw, 1);
    raw.request(command::READ, 0, 2, 4096, 32 << 20);
    let chunks = raw.chunks();
    assert!(chunks[0].3[8..] == bytes);
}

#[test]
fn a_write_that_fails_names_the_first_sector_that_did() {
    let bench = Bench::new(ToyOptions { bad: vec![range(1024, 512)], ..writable() });
    let mut raw = bench.opened();
    write(&mut raw, 0, 1, 0, &[9; 4096]);
    let (number, at, text) = raw.error();
    assert_eq!((number, at), (error::EIO, Some(1024)));
    assert!(text.contains("media"), "{text}");
    raw.request(command::CACHE, 0, 2, 0, 4096);
    assert_eq!(raw.error().1, Some(1024));
}

#[test]
fn refused_requests_are_told_why_and_the_next_one_works() {
    let bench = Bench::new(writable());
    let mut raw = bench.opened();
    for (kind, flags, offset, length, expected) in [
        (99, 0, 0, 512, error::EINVAL),
        (command::READ, 1 << 10, 0, 512, error::EINVAL),
        (command::READ, 0, SIZE, 512, error::EINVAL),
        (command::READ, 0, 1, 512, error::EINVAL),
        (command::TRIM, 0, SIZE, 512, error::EINVAL),
        (command::CACHE, 0, SIZE, 512, error::EINVAL),
        (command::WRITE_ZEROES, 0, SIZE, 512, error::ENOSPC),
        (command::FLUSH, 0, 0, 512, error::EINVAL),
        (command::BLOCK_STATUS, 0, 0, 512, error::EINVAL),
    ] {
        raw.request(kind, flags, 1, offset, length);
        let (number, at, text) = raw.error();
        assert_eq!((number, at), (expected, None), "{kind}");
        assert!(!text.is_empty());
        raw.read_whole(0, 512);
    }
    // The payload of a refused write is no request.
    for (flags, offset, length, expected) in [
        (1 << 10, 0, 512, error::EINVAL),
        (0, SIZE, 512, error::ENOSPC),
        (0, 0, 100, error::EINVAL),
        (0, 0, 33 << 20, error::ENOSPC),
    ] {
        write(&mut raw, flags, 1, offset, &vec![0x25; length]);
        assert_eq!(raw.error().0, expected);
        raw.read_whole(0, 512);
    }
    assert!(bench.toy.asked.lock().unwrap().iter().all(|(work, _)| *work == Work::Read));
}

#[test]
fn what_is_read_only_is_not_written() {
    let bench = Bench::new(ToyOptions::default());
    let mut raw = bench.opened();
    write(&mut raw, 0, 1, 0, &[9; 4096]);
    assert_eq!(raw.error().0, error::EPERM);
    for kind in [command::TRIM, command::WRITE_ZEROES] {
        raw.request(kind, 0, 1, 0, 4096);
        assert_eq!(raw.error().0, error::EPERM);
    }
    raw.request(command::FLUSH, 0, 1, 0, 0);
    done(&mut raw, 1);
    assert_eq!(raw.read_whole(0, 4096), bytes_at(range(0, 4096)));
}

#[test]
fn no_bytes_are_answered_by_nothing() {
    let bench = Bench::new(writable());
    let mut raw = bench.opened();
    for kind in [command::READ, command::WRITE, command::TRIM, command::CACHE, command::WRITE_ZEROES] {
        raw.request(kind, 0, 3, SIZE, 0);
        done(&mut raw, 3);
    }
    let mut raw = bench.opened_simple();
    raw.request(command::READ, 0, 3, 0, 0);
    assert_eq!(raw.simple(), (0, 3));
    assert!(bench.toy.asked.lock().unwrap().is_empty());
}

/// Opens with these contexts.
fn opened_with(bench: &Bench, contexts: &[&str]) -> (Raw, Vec<u32>) {
    let mut raw = bench.greeted();
    raw.ask(option::STRUCTURED_REPLY, &[]);
    let (told, _) = raw.ask(option::SET_META_CONTEXT, &meta_data("disk", contexts));
    raw.go("disk");
    (raw, told.iter().map(|(_, data)| u32::from_be_bytes(*data.first_chunk().unwrap())).collect())
}

fn descriptors(payload: &[u8]) -> (u32, Vec<(u32, u32)>) {
    let mut reader = wire::Reader::new(payload);
    let id = reader.u32().unwrap();
    let mut found = Vec::new();
    while !reader.rest().is_empty() {
        found.push((reader.u32().unwrap(), reader.u32().unwrap()));
    }
    (id, found)
}

#[test]
fn the_status_of_blocks_is_told_for_each_context() {
    let options = ToyOptions {
        holes: vec![range(4096, 4096), range(SIZE - 4096, 4096)],
        bad: vec![range(0, SIZE)],
        has_health: true,
        ..ToyOptions::default()
    };
    let bench = Bench::new(options);
    let names = ["base:allocation", "x-diskwright:health", "x-diskwright:health@start"];
    let (mut raw, ids) = opened_with(&bench, &names);
    raw.request(command::BLOCK_STATUS, 0, 8, 1024, 16384);
    let chunks = raw.chunks();
    assert_eq!(chunks.len(), 3);
    assert!(chunks.iter().all(|chunk| chunk.0 == chunk::BLOCK_STATUS && chunk.2 == 8));
    let told: Vec<_> = chunks.iter().map(|chunk| descriptors(&chunk.3)).collect();
    let of = |index: usize| &told.iter().find(|(id, _)| *id == ids[index]).unwrap().1;
    assert_eq!(*of(0), [(3072, 0), (4096, 3), (9216, 0)], "bad places are data");
    let sectors: Vec<(u32, u32)> = (0..32).map(|index| (512, index % 2)).collect();
    assert_eq!(*of(1), sectors);
    assert_eq!(*of(2), [(16384, 0)]);
    raw.request(command::BLOCK_STATUS, command::FLAG_REQ_ONE, 9, 1024, 16384);
    for (_, found) in raw.chunks().iter().map(|chunk| descriptors(&chunk.3)) {
        assert_eq!(found.len(), 1);
        assert!(found[0].0 <= 16384);
    }
    assert!(bench.toy.asked.lock().unwrap().is_empty(), "no medium was touched");
    // To the last byte, and not beyond.
    let (mut raw, _) = opened_with(&bench, &["base:allocation"]);
    raw.request(command::BLOCK_STATUS, 0, 1, 0, SIZE as u32);
    let (_, found) = descriptors(&raw.chunks()[0].3);
    assert_eq!(found.iter().map(|(length, _)| u64::from(*length)).sum::<u64>(), SIZE);
    raw.request(command::BLOCK_STATUS, 0, 1, 0, 0);
    assert_eq!(raw.error().0, error::EINVAL);
    raw.request(command::BLOCK_STATUS, 0, 1, SIZE - 512, 1024);
    assert_eq!(raw.error().0, error::EINVAL);
}

#[test]
fn replies_leave_when_they_are_due_and_cookies_are_the_clients_own() {
    let ms = block::Nanos::from_millis;
    let late = [(0, ms(200)), (4096, ms(100))].into();
    let bench = Bench::new(ToyOptions { late, ..ToyOptions::default() });
    let mut raw = bench.opened();
    for (cookie, offset) in [(1, 0), (2, 4096), (3, 8192), (2, 4096), (3, 12288)] {
        raw.request(command::READ, 0, cookie, offset, 4096);
    }
    let order: Vec<u64> = (0..5).map(|_| raw.chunk().2).collect();
    assert_eq!(order, [3, 3, 2, 2, 1], "twice the same name is answered twice");
}

#[test]
fn a_device_that_has_gone_takes_its_clients_along_or_tells_them() {
    let leaves = [(4096, (|| Reply::Shutdown("it is gone".into())) as fn() -> Reply), (8192, || Reply::Drop)];
    for late in [false, true] {
        let late = if late {
            leaves.iter().map(|(at, _)| (*at, block::Nanos::from_millis(20))).collect()
        } else {
            Default::default()
        };
        let hangs = vec![range(65536, 512)];
        let bench = Bench::new(ToyOptions { leaves: leaves.into(), late, hangs, ..ToyOptions::default() });
        let mut raw = bench.opened();
        raw.read_whole(0, 512);
        raw.request(command::READ, 0, 1, 4096, 512);
        assert_eq!(raw.error(), (error::ESHUTDOWN, None, "it is gone".into()));
        assert!(raw.is_closed());
        // In the middle of everything.
        let mut raw = bench.opened();
        raw.request(command::READ, 0, 1, 65536, 512);
        raw.request(command::READ, 0, 2, 8192, 512);
        assert!(raw.is_closed());
        bench.until("the device knows that they have gone", || bench.toy.clients() == 0);
        assert_eq!(bench.toy.held(), 0);
        bench.serves();
    }
}

#[test]
fn whoever_says_goodbye_gets_what_is_owed() {
    let late = [(0, block::Nanos::from_millis(50))].into();
    let bench = Bench::new(ToyOptions { late, ..ToyOptions::default() });
    let mut raw = bench.opened();
    raw.request(command::READ, 0, 1, 0, 512);
    raw.request(command::READ, 0, 2, 512, 512);
    raw.request(command::DISC, 0, 3, 0, 0);
    raw.request(command::READ, 0, 4, 512, 512);
    let cookies = [raw.chunk().2, raw.chunk().2];
    assert_eq!(cookies, [2, 1]);
    assert!(raw.is_closed(), "there is no reply to a goodbye, nor to what follows it");
}

#[test]
fn parts_of_sectors_are_cut_out_of_whole_ones() {
    let manners = Manners { smallest: SmallestBlock::Byte, ..Manners::default() };
    let server = ServerOptions { manners, ..ServerOptions::default() };
    let odd = ToyOptions { sector: 65024, size: 65024 * 10, ..ToyOptions::default() };
    for (toy, options, unit) in [(ToyOptions::default(), server, 1), (odd, ServerOptions::default(), 512)] {
        let sector = u64::from(toy.sector);
        let toy = ToyOptions { bad: vec![range(2 * sector, sector)], ..toy };
        let bench = Bench::with(toy, options);
        let mut raw = bench.opened();
        let inside = (4 * sector + unit, 3 * sector);
        for (offset, length) in [(0, unit), (unit, unit), (sector - unit, 2 * unit), inside] {
            assert_eq!(raw.read_whole(offset, length as u32), bytes_at(range(offset, length)));
        }
        // Good bytes before the bad sector, and the first byte in it that was asked for.
        raw.request(command::READ, 0, 5, 2 * sector - unit, 3 * unit as u32);
        let chunks = raw.chunks();
        assert_eq!(chunks[0].3[8..], bytes_at(range(2 * sector - unit, unit)));
        assert_eq!(error_of(&chunks[1]).1, Some(2 * sector));
        raw.request(command::READ, 0, 6, 2 * sector + 2 * unit, unit as u32);
        assert_eq!(raw.error().1, Some(2 * sector + 2 * unit));
        raw.request(command::CACHE, 0, 7, unit, unit as u32);
        done(&mut raw, 7);
    }
}
