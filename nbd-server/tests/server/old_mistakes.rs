//! What other servers have fallen over.

use nbd_server::wire::{OptionHeader, RequestHeader, command, error, option, option_reply};

use crate::fixture::{Bench, Raw, ToyOptions, bytes_at, go_data, meta_data, option_bytes, range};

const MIB: u64 = 1 << 20;

/// A whole conversation, from the flags to the goodbye.
fn conversation() -> Vec<u8> {
    [
        3u32.to_be_bytes().to_vec(),
        option_bytes(option::STRUCTURED_REPLY, &[]),
        option_bytes(option::LIST, &[]),
        option_bytes(option::SET_META_CONTEXT, &meta_data("disk", &["base:allocation"])),
        option_bytes(option::INFO, &go_data("disk", &[3])),
        option_bytes(99, b"unknown"),
        option_bytes(option::GO, &go_data("disk", &[3])),
        RequestHeader { flags: 0, kind: command::READ, cookie: 1, offset: 0, length: 4096 }.bytes().to_vec(),
        RequestHeader { flags: 0, kind: command::WRITE, cookie: 2, offset: 0, length: 64 }.bytes().to_vec(),
        vec![7; 64],
        RequestHeader { flags: 0, kind: command::DISC, cookie: 3, offset: 0, length: 0 }.bytes().to_vec(),
    ]
    .concat()
}

#[test]
fn a_client_may_go_after_any_byte() {
    // CVE-2017-7539, CVE-2011-1925, CVE-2013-7441.
    let bench = Bench::new(ToyOptions::default());
    let whole = conversation();
    for count in 0..=whole.len() {
        let mut raw = bench.connect();
        raw.send(&whole[..count]);
        drop(raw);
        bench.until("there is room", || bench.server.client_count() < 32);
    }
    bench.serves();
    bench.until("all of them are off the books", || bench.server.client_count() == 0);
    assert_eq!(bench.toy.clients(), 0);
}

#[test]
fn a_hundred_clients_that_are_silent_or_leave_do_not_disturb_a_good_one() {
    // CVE-2017-9524.
    let bench = Bench::new(ToyOptions::default());
    let mut good = bench.opened();
    let mut silent = Vec::new();
    for round in 0..100 {
        let raw = bench.connect();
        if round % 2 == 0 {
            silent.push(raw);
        }
        assert_eq!(good.read_whole(512, 512), bytes_at(range(512, 512)));
    }
    bench.serves();
}

#[test]
fn a_client_may_go_while_it_is_sent_32_mib() {
    // CVE-2017-10664.
    let bench = Bench::new(ToyOptions { size: 64 * MIB, ..ToyOptions::default() });
    for taken in [0, 1, 28, 4096, 1 << 20] {
        let mut raw = bench.opened();
        raw.request(command::READ, 0, 1, 0, 32 << 20);
        raw.take(taken);
        drop(raw);
    }
    bench.until("all of them are off the books", || bench.toy.clients() == 0);
    bench.serves();
}

#[test]
fn long_names_are_refused() {
    // CVE-2017-15118.
    let bench = Bench::new(ToyOptions::default());
    for length in [256, 257, 3000, 4096, 4097, 65535] {
        let name = "x".repeat(length);
        let expected = if length <= 4096 { option_reply::ERR_UNKNOWN } else { option_reply::ERR_INVALID };
        for number in [option::INFO, option::GO, option::LIST_META_CONTEXT, option::SET_META_CONTEXT] {
            let mut raw = bench.greeted();
            raw.ask(option::STRUCTURED_REPLY, &[]);
            let data = match number {
                option::INFO | option::GO => go_data(&name, &[]),
                _ => meta_data(&name, &["base:allocation"]),
            };
            // With its lengths the longest is no option of this size any more.
            let expected = if data.len() > 65536 { option_reply::ERR_TOO_BIG } else { expected };
            assert_eq!(raw.ask(number, &data), (Vec::new(), expected), "{number} {length}");
            let data = meta_data("disk", &[&name]);
            let known = if length <= 4096 { option_reply::ACK } else { option_reply::ERR_INVALID };
            let known = if data.len() > 65536 { option_reply::ERR_TOO_BIG } else { known };
            assert_eq!(raw.ask(option::LIST_META_CONTEXT, &data), (Vec::new(), known));
            raw.go("disk");
        }
        let mut raw = bench.greeted();
        raw.option(option::EXPORT_NAME, name.as_bytes());
        assert!(raw.is_closed());
    }
}

#[test]
fn what_is_announced_takes_no_memory_and_there_is_an_end_to_options() {
    // CVE-2017-15119.
    let bench = Bench::new(ToyOptions::default());
    let before = resident();
    for _ in 0..20 {
        let mut raw = bench.greeted();
        raw.send(&OptionHeader { option: option::GO, length: u32::MAX }.bytes());
        assert!(raw.is_closed());
    }
    for _ in 0..5 {
        let mut raw = bench.greeted();
        let all: Vec<u8> = (0..10_000).flat_map(|_| option_bytes(option::LIST, &[])).collect();
        // It may be closed long before all is sent.
        let _ = std::io::Write::write_all(&mut raw.socket, &all);
        let mut answers = 0;
        while let Ok(()) = std::io::Read::read_exact(&mut raw.socket, &mut [0; 1]) {
            answers += 1;
        }
        assert!(answers < 64 * 200, "{answers} bytes of answers");
    }
    bench.serves();
    // Other tests run beside this one, and none of them holds a gigabyte.
    assert!(resident() < before + (1 << 30));
}

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[test]
fn the_longest_unknown_name_makes_a_short_error() {
    // CVE-2020-10761.
    let bench = Bench::new(ToyOptions::default());
    for name in ["x".repeat(4096), "\u{10348}".repeat(1024), "\u{301}".repeat(2048), "\u{7f}\t".repeat(2048)]
    {
        for number in [option::INFO, option::GO] {
            let mut raw = bench.greeted();
            raw.option(number, &go_data(&name, &[0, 1, 2, 3]));
            let (_, kind, text) = raw.reply();
            assert_eq!(kind, option_reply::ERR_UNKNOWN);
            assert!(text.len() < 1024, "{}", text.len());
            raw.go("disk");
        }
    }
}

#[test]
fn whoever_never_opens_anything_never_meets_the_device() {
    // CVE-2019-14850.
    let bench = Bench::new(ToyOptions::default());
    for round in 0..1000 {
        let mut raw = bench.greeted();
        if round % 4 == 0 {
            assert_eq!(raw.ask(option::INFO, &go_data("disk", &[])).1, option_reply::ACK);
        }
        drop(raw);
        bench.until("there is room", || bench.server.client_count() < 32);
    }
    bench.until("all of them have left", || bench.server.client_count() == 0);
    let attached = bench.toy.attached.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!((attached, bench.toy.asked.lock().unwrap().len()), (0, 0));
    bench.serves();
}

#[test]
fn every_option_may_follow_every_other() {
    // CVE-2019-14851.
    use option::{
        EXTENDED_HEADERS, GO, INFO, LIST, LIST_META_CONTEXT, SET_META_CONTEXT, STARTTLS, STRUCTURED_REPLY,
    };
    use option_reply::{ACK, ERR_INVALID, ERR_TOO_BIG, ERR_UNKNOWN, ERR_UNSUP};
    let bench = Bench::new(ToyOptions::default());
    let all = [
        (LIST, Vec::new(), ACK),
        (LIST, b"x".to_vec(), ERR_INVALID),
        (STARTTLS, Vec::new(), ERR_UNSUP),
        (INFO, go_data("disk", &[3]), ACK),
        (INFO, go_data("other", &[3]), ACK),
        (INFO, go_data("none", &[]), ERR_UNKNOWN),
        (GO, go_data("none", &[]), ERR_UNKNOWN),
        (GO, b"x".to_vec(), ERR_INVALID),
        (STRUCTURED_REPLY, Vec::new(), ACK),
        (LIST_META_CONTEXT, meta_data("disk", &[]), ACK),
        (LIST_META_CONTEXT, meta_data("none", &[]), ERR_UNKNOWN),
        (SET_META_CONTEXT, meta_data("disk", &["base:allocation"]), ACK),
        (SET_META_CONTEXT, meta_data("other", &["base:"]), ACK),
        (SET_META_CONTEXT, meta_data("none", &[]), ERR_UNKNOWN),
        (EXTENDED_HEADERS, Vec::new(), ERR_UNSUP),
        (99, vec![0; 100], ERR_UNSUP),
        (99, vec![0; 70_000], ERR_TOO_BIG),
    ];
    for first in &all {
        for second in &all {
            let mut raw = bench.greeted();
            raw.ask(STRUCTURED_REPLY, &[]);
            for (number, data, expected) in [first, second] {
                assert_eq!(raw.ask(*number, data).1, *expected, "{number} after {}", first.0);
            }
            assert_eq!(raw.go("disk").0, MIB);
            assert_eq!(raw.read_whole(0, 512), bytes_at(range(0, 512)));
        }
    }
}

#[test]
fn lengths_inside_of_options_are_not_believed() {
    // CVE-2022-26495 and CVE-2022-26496.
    let bench = Bench::new(ToyOptions::default());
    let refuse = |number: u32, data: &[u8]| {
        let mut raw = bench.greeted();
        raw.ask(option::STRUCTURED_REPLY, &[]);
        let (told, last) = raw.ask(number, data);
        assert!(told.is_empty());
        assert!([option_reply::ERR_INVALID, option_reply::ERR_TOO_BIG].contains(&last), "{number} {data:?}");
        raw.go("disk");
    };
    let all = [option::INFO, option::GO, option::LIST_META_CONTEXT, option::SET_META_CONTEXT];
    for number in all {
        for length in [u32::MAX, u32::MAX - 1, u32::MAX - 3, 1 << 31, 5, 100] {
            refuse(number, &[&length.to_be_bytes()[..], b"disk"].concat());
            refuse(number, &length.to_be_bytes());
        }
        // It ends at the name, and there is no room for the count; or for half of it.
        refuse(number, &[&4u32.to_be_bytes()[..], b"disk"].concat());
        refuse(number, &[&4u32.to_be_bytes()[..], b"disk\0"].concat());
    }
    for number in [option::INFO, option::GO] {
        refuse(number, &[&4u32.to_be_bytes()[..], b"disk", &u16::MAX.to_be_bytes(), &[0; 10]].concat());
    }
    for length in [u32::MAX, u32::MAX - 1, 1 << 31, 3] {
        let data =
            [&4u32.to_be_bytes()[..], b"disk", &1u32.to_be_bytes(), &length.to_be_bytes(), b"ab"].concat();
        refuse(option::SET_META_CONTEXT, &data);
        refuse(option::LIST_META_CONTEXT, &data);
    }
}

#[test]
fn lengths_of_requests_are_not_believed_either() {
    // CVE-2005-3534 and CVE-2011-0530.
    let bench = Bench::new(ToyOptions { size: 8 << 30, is_writable: true, ..ToyOptions::default() });
    let before = resident();
    for length in [1u32 << 31, u32::MAX, u32::MAX - 511] {
        for offset in [0, 8 << 30, u64::MAX, u64::MAX - u64::from(length) + 1, u64::MAX - 511] {
            let mut raw = bench.opened();
            raw.request(command::READ, 0, 1, offset, length);
            let (number, _, _) = raw.error();
            assert!([error::EINVAL, error::EOVERFLOW].contains(&number), "{number}");
            raw.read_whole(0, 512);
            let mut raw = bench.opened_simple();
            raw.request(command::READ, 0, 1, offset, length);
            assert_eq!(raw.simple(), (error::EINVAL, 1));
            let mut raw = bench.opened();
            raw.request(command::WRITE, 0, 1, offset, length);
            assert!(raw.is_closed(), "nobody reads so much only to refuse it");
        }
    }
    assert!(resident() < before + (1 << 30));
    assert!(bench.toy.asked.lock().unwrap().iter().all(|(_, asked)| asked.length() == 512));
}

#[test]
fn a_request_that_is_none_ends_it_and_is_told_once() {
    let bench = Bench::new(ToyOptions::default());
    let mut raw: Raw = bench.opened();
    raw.send(&[0x25; 28 * 10]);
    assert!(raw.is_closed());
    bench.until("it is off the books", || bench.server.client_count() == 0);
    let said = bench.said.lock().unwrap();
    assert_eq!(said.iter().filter(|line| line.contains("out of step")).count(), 1, "{said:?}");
}

#[test]
fn clients_that_go_with_failing_reads_under_way_are_nobodys_business() {
    // Seen in a peer: several workers, failing reads, and a socket that is gone.
    let late = [(16384, block::Nanos::from_millis(5)), (8192, block::Nanos::from_millis(3))].into();
    let bad = vec![range(16384, 512), range(8192, 512)];
    let bench = Bench::new(ToyOptions { bad, late, ..ToyOptions::default() });
    for round in 0..50 {
        let mut connections: Vec<Raw> = (0..4).map(|_| bench.opened()).collect();
        for (index, raw) in connections.iter_mut().enumerate() {
            for cookie in 0..16 {
                let offset = if cookie % 2 == 0 { 16384 } else { 8192 };
                raw.request(command::READ, 0, cookie, offset, 4096);
            }
            if index % 2 == round % 2 {
                raw.chunks();
            }
        }
    }
    bench.until("all of them are off the books", || bench.server.client_count() == 0);
    bench.serves();
}
