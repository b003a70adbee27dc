//! Many requests at once, and clients that do not do their part.

use std::io::Read;
use std::net::Shutdown;
use std::sync::atomic::Ordering;

use block::Nanos;
use nbd_server::link::FlowLimits;
use nbd_server::server::ServerOptions;
use nbd_server::wire::{RequestHeader, chunk, command};

use crate::fixture::{Bench, ToyOptions, bytes_at, range};

const MIB: u64 = 1 << 20;

fn request(kind: u16, cookie: u64, offset: u64, length: u32) -> Vec<u8> {
    RequestHeader { flags: 0, kind, cookie, offset, length }.bytes().to_vec()
}

#[test]
fn sixty_four_requests_are_under_way_and_no_more_are_read() {
    let bench = Bench::new(ToyOptions { hangs: vec![range(4096, 512)], ..ToyOptions::default() });
    let mut raw = bench.opened();
    let all: Vec<u8> = (0..100).flat_map(|cookie| request(command::READ, cookie, 4096, 512)).collect();
    raw.send(&all);
    bench.until("the device has 64 requests", || bench.toy.held() == 64);
    // Another client is not held up, and nor is this one for ever.
    bench.serves();
    assert_eq!(bench.toy.held(), 64);
    drop(raw);
    bench.until("nothing is left of a client that could not even be heard leaving", || {
        bench.toy.clients() == 0
    });
    assert_eq!(bench.toy.held(), 0);
}

#[test]
fn fifty_requests_that_hang_do_not_hold_up_the_next_ones() {
    let bench = Bench::new(ToyOptions { hangs: vec![range(4096, 512)], ..ToyOptions::default() });
    let mut raw = bench.opened();
    for cookie in 0..50 {
        raw.request(command::READ, 0, cookie, 4096, 512);
    }
    for _ in 0..200 {
        assert_eq!(raw.read_whole(0, 512), bytes_at(range(0, 512)));
    }
    assert_eq!(bench.toy.held(), 50);
}

#[test]
fn whoever_reads_no_replies_can_still_send_64_mib() {
    let bench = Bench::new(ToyOptions { size: 256 * MIB, is_writable: true, ..ToyOptions::default() });
    let mut raw = bench.opened();
    // A reply of 32 MiB fits nowhere. Whoever waited for it to be taken would not hear the rest.
    raw.send(&request(command::READ, 1, 0, 32 << 20));
    let payload = vec![9; 16 << 20];
    for cookie in 2..4 {
        raw.send(&request(command::WRITE, cookie, 128 * MIB, 16 << 20));
        raw.send(&payload);
    }
    bench.until("both writes have reached the device", || bench.toy.asked.lock().unwrap().len() == 3);
    let mut cookies: Vec<u64> = (0..3).map(|_| raw.chunk().2).collect();
    cookies.sort_unstable();
    assert_eq!(cookies, [1, 2, 3]);
}

#[test]
fn requests_in_pieces_of_any_size_are_the_same_requests() {
    let bench = Bench::new(ToyOptions { is_writable: true, ..ToyOptions::default() });
    let mut whole = Vec::new();
    for cookie in 0..20u64 {
        whole.extend(request(command::WRITE, cookie, cookie * 4096, 1024));
        whole.extend([cookie as u8; 1024]);
        whole.extend(request(command::READ, 100 + cookie, cookie * 4096, 1024));
    }
    for size in [1, 3, 27, 28, 29, 500, 1052, 5000, whole.len()] {
        let mut raw = bench.opened();
        let mut sender = raw.socket.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                whole.chunks(size).for_each(|piece| std::io::Write::write_all(&mut sender, piece).unwrap())
            });
            for cookie in 0..20u64 {
                assert_eq!(raw.chunk(), (chunk::NONE, 1, cookie, Vec::new()));
                let (_, _, read, payload) = raw.chunk();
                assert_eq!((read, &payload[8..]), (100 + cookie, &[cookie as u8; 1024][..]), "{size}");
            }
        });
    }
}

#[test]
fn whoever_sends_no_more_gets_every_reply_and_then_the_end() {
    let late = [(0, Nanos::from_millis(100)), (4096, Nanos::from_millis(50))].into();
    let bench = Bench::new(ToyOptions { late, ..ToyOptions::default() });
    let mut raw = bench.opened();
    for (cookie, offset) in [(1, 0), (2, 4096), (3, 8192)] {
        raw.request(command::READ, 0, cookie, offset, 4096);
    }
    raw.socket.shutdown(Shutdown::Write).unwrap();
    let order: Vec<u64> = (0..3).map(|_| raw.chunk().2).collect();
    assert_eq!(order, [3, 2, 1]);
    assert!(raw.is_closed());
    bench.until("the client is off the books", || bench.server.client_count() == 0);
}

#[test]
fn a_client_that_is_killed_while_its_read_hangs_leaves_nothing_behind() {
    let bench = Bench::new(ToyOptions { hangs: vec![range(4096, 512)], ..ToyOptions::default() });
    for half_closed in [false, true] {
        let mut raw = bench.opened();
        raw.request(command::READ, 0, 1, 4096, 512);
        bench.until("the read hangs", || bench.toy.held() == 1);
        if half_closed {
            // It says that it sends no more, and goes away later.
            raw.socket.shutdown(Shutdown::Write).unwrap();
            raw.socket.set_read_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
            assert!(raw.socket.read(&mut [0; 1]).is_err(), "the reply is still owed");
        }
        drop(raw);
        bench.until("nothing is left", || bench.toy.held() == 0 && bench.server.client_count() == 0);
        assert_eq!(bench.toy.clients(), 0);
    }
    bench.serves();
}

#[test]
fn a_client_that_takes_nothing_blocks_itself_and_is_left_after_a_while() {
    let flow = FlowLimits { write_time_max: Nanos::from_millis(300), ..FlowLimits::default() };
    let options = ServerOptions { flow, ..ServerOptions::default() };
    // Replies that come at once, and replies that come late: the reader writes these, and a writer those.
    for late in [false, true] {
        let late = late.then_some((0, Nanos::from_millis(1))).into_iter().collect();
        let bench = Bench::with(ToyOptions { size: 64 * MIB, late, ..ToyOptions::default() }, options);
        let mut raw = bench.opened();
        raw.request(command::READ, 0, 1, 0, 32 << 20);
        bench.until("the device was asked", || !bench.toy.asked.lock().unwrap().is_empty());
        let mut other = bench.opened();
        for _ in 0..100 {
            other.read_whole(4096, 512);
        }
        bench.until("it was left", || bench.toy.clients() == 1);
        other.read_whole(4096, 512);
        drop(raw);
    }
}

#[test]
fn connections_have_a_limit_and_so_have_those_that_only_negotiate() {
    let options =
        ServerOptions { connection_count_max: 8, handshake_count_max: 3, ..ServerOptions::default() };
    let bench = Bench::with(ToyOptions::default(), options);
    let mut silent: Vec<_> = (0..3).map(|_| bench.greeted()).collect();
    assert!(bench.connect().is_closed());
    silent.pop();
    bench.until("its place is free", || bench.server.client_count() == 2);
    drop(silent);
    bench.until("all places are free", || bench.server.client_count() == 0);
    let mut working: Vec<_> = (0..8).map(|_| bench.opened()).collect();
    assert!(bench.connect().is_closed());
    for raw in &mut working {
        raw.read_whole(0, 512);
    }
}

#[test]
fn whoever_takes_too_long_to_negotiate_is_left() {
    let options = ServerOptions { handshake_time_max: Nanos::from_millis(200), ..ServerOptions::default() };
    let bench = Bench::with(ToyOptions::default(), options);
    let mut opened = bench.opened();
    let mut silent = bench.connect();
    silent.greeting();
    let mut half = bench.greeted();
    half.send(b"IHAVE");
    assert!(silent.is_closed());
    assert!(half.is_closed());
    // Whoever has opened something may be idle for as long as it likes.
    opened.read_whole(0, 512);
    assert_eq!(bench.toy.detached.load(Ordering::SeqCst), 0);
}

#[test]
fn several_connections_see_one_disk() {
    let bench = Bench::new(ToyOptions { is_writable: true, ..ToyOptions::default() });
    let (mut one, mut two) = (bench.opened(), bench.opened());
    for round in 0..50u8 {
        one.request(command::WRITE, 0, 1, 0, 512);
        one.send(&[round; 512]);
        assert_eq!(one.chunk().0, chunk::NONE);
        assert_eq!(two.read_whole(0, 512), [round; 512]);
    }
}
