//! What is said before the first request.

use nbd_server::handshake::{Listing, Manners};
use nbd_server::server::ServerOptions;
use nbd_server::wire::{export, info, option, option_reply};

use crate::fixture::{Bench, ToyOptions, go_data, meta_data};

fn bench() -> Bench {
    Bench::new(ToyOptions::default())
}

#[test]
fn flags_that_nobody_knows_end_the_conversation() {
    let bench = bench();
    for flags in [4u32, 1 << 16, u32::MAX, 5] {
        let mut raw = bench.connect();
        raw.greeting();
        raw.send(&flags.to_be_bytes());
        assert!(raw.is_closed(), "{flags}");
    }
    for flags in [0u32, 1, 2, 3] {
        let mut raw = bench.connect();
        raw.greeting();
        raw.send(&flags.to_be_bytes());
        raw.option(option::EXPORT_NAME, b"other");
        let told = raw.take(10);
        assert_eq!(told[..8], 8192u64.to_be_bytes());
        if flags & 2 == 0 {
            assert_eq!(raw.take(124), [0; 124], "the padding that was not forgone");
        }
        raw.request(0, 0, 9, 0, 512);
        assert_eq!(raw.simple(), (0, 9));
        raw.take(512);
    }
}

#[test]
fn whoever_does_not_know_the_fixed_newstyle_may_open_something_and_nothing_else() {
    let bench = bench();
    for number in [option::LIST, option::GO, option::ABORT, 99] {
        let mut raw = bench.connect();
        raw.greeting();
        raw.send(&2u32.to_be_bytes());
        raw.option(number, &[]);
        assert!(raw.is_closed(), "{number}");
    }
}

#[test]
fn an_export_is_opened_by_name_or_not_at_all() {
    let bench = bench();
    for name in [&b""[..], b"disk"] {
        let mut raw = bench.greeted();
        raw.option(option::EXPORT_NAME, name);
        assert_eq!(raw.take(10)[..8], (1u64 << 20).to_be_bytes());
    }
    let long = vec![b'x'; 4097];
    for name in [&b"no such"[..], b"disk\0", b"\xff\xfe", &long] {
        let mut raw = bench.greeted();
        raw.option(option::EXPORT_NAME, name);
        assert!(raw.is_closed(), "{name:?}");
    }
}

#[test]
fn an_abort_is_acknowledged_whatever_comes_with_it() {
    let bench = bench();
    for data in [&b""[..], b"because"] {
        let mut raw = bench.greeted();
        assert_eq!(raw.ask(option::ABORT, data), (Vec::new(), option_reply::ACK));
        assert!(raw.is_closed());
    }
}

#[test]
fn exports_are_listed_unless_that_is_switched_off() {
    let bench = bench();
    let mut raw = bench.greeted();
    let (told, last) = raw.ask(option::LIST, &[]);
    let entry = |name: &str| {
        let mut data = (name.len() as u32).to_be_bytes().to_vec();
        data.extend(name.as_bytes());
        data.extend(format!("about {name}").as_bytes());
        (option_reply::SERVER, data)
    };
    assert_eq!((told, last), (vec![entry("disk"), entry("other")], option_reply::ACK));
    assert_eq!(raw.ask(option::LIST, b"x").1, option_reply::ERR_INVALID);
    let manners = Manners { listing: Listing::Refused, ..Manners::default() };
    let bench = Bench::with(ToyOptions::default(), ServerOptions { manners, ..ServerOptions::default() });
    let mut raw = bench.greeted();
    assert_eq!(raw.ask(option::LIST, &[]), (Vec::new(), option_reply::ERR_POLICY));
    raw.go("disk");
}

#[test]
fn an_option_that_is_not_known_is_refused_and_the_next_one_is_not() {
    let bench = bench();
    let mut raw = bench.greeted();
    for number in [0, 4, option::STARTTLS, option::EXTENDED_HEADERS, 12, 99, u32::MAX] {
        assert_eq!(raw.ask(number, &[]), (Vec::new(), option_reply::ERR_UNSUP), "{number}");
        if number != option::STARTTLS {
            assert_eq!(raw.ask(number, &[7; 1000]).1, option_reply::ERR_UNSUP, "{number}");
        }
    }
    assert_eq!(raw.ask(option::STARTTLS, b"x").1, option_reply::ERR_INVALID);
    raw.go("disk");
}

#[test]
fn info_and_go_tell_the_same() {
    let bench = bench();
    for wanted in
        [&[][..], &[info::BLOCK_SIZE], &[info::NAME, info::DESCRIPTION], &[99, info::NAME, info::NAME, 0, 7]]
    {
        let mut raw = bench.greeted();
        let data = go_data("disk", wanted);
        let asked = raw.ask(option::INFO, &data);
        let (told, last) = asked.clone();
        assert_eq!(last, option_reply::ACK);
        let kinds: Vec<u16> = told.iter().map(|(_, data)| u16::from_be_bytes([data[0], data[1]])).collect();
        let mut expected = vec![info::EXPORT];
        expected.extend([info::NAME, info::DESCRIPTION].iter().filter(|kind| wanted.contains(kind)));
        expected.push(info::BLOCK_SIZE);
        assert_eq!(kinds, expected);
        let sizes: Vec<u8> = [512u32, 4096, 32 << 20].iter().flat_map(|size| size.to_be_bytes()).collect();
        assert_eq!(told.last().unwrap().1[2..], sizes);
        assert_eq!(raw.ask(option::GO, &data), asked);
        // No padding: requests follow at once.
        raw.request(0, 0, 1, 0, 512);
        assert_eq!(raw.simple(), (0, 1));
    }
    // The empty name is the first one's.
    let mut raw = bench.greeted();
    let (told, _) = raw.ask(option::INFO, &go_data("", &[info::NAME]));
    assert!(told.contains(&(option_reply::INFO, [&info::NAME.to_be_bytes()[..], b"disk"].concat())));
}

#[test]
fn what_is_not_there_is_unknown_and_something_else_can_be_asked_for() {
    let bench = bench();
    let mut raw = bench.greeted();
    for number in [option::INFO, option::GO] {
        assert_eq!(raw.ask(number, &go_data("no such", &[0])), (Vec::new(), option_reply::ERR_UNKNOWN));
    }
    raw.go("other");
}

#[test]
fn chunks_are_offered_only_to_those_who_agreed_on_them() {
    let bench = bench();
    let mut raw = bench.greeted();
    let flags = |raw: &mut crate::fixture::Raw| {
        let (told, _) = raw.ask(option::INFO, &go_data("disk", &[]));
        u16::from_be_bytes([told[0].1[10], told[0].1[11]])
    };
    assert_eq!(flags(&mut raw) & export::SEND_DF, 0);
    assert_eq!(raw.ask(option::STRUCTURED_REPLY, b"x").1, option_reply::ERR_INVALID);
    assert_eq!(flags(&mut raw) & export::SEND_DF, 0);
    for _ in 0..2 {
        assert_eq!(raw.ask(option::STRUCTURED_REPLY, &[]).1, option_reply::ACK);
        assert_eq!(flags(&mut raw) & export::SEND_DF, export::SEND_DF);
    }
}

fn contexts(told: &[(u32, Vec<u8>)]) -> Vec<(u32, String)> {
    let context = |(kind, data): &(u32, Vec<u8>)| {
        assert_eq!(*kind, option_reply::META_CONTEXT);
        (
            u32::from_be_bytes([data[0], data[1], data[2], data[3]]),
            String::from_utf8(data[4..].to_vec()).unwrap(),
        )
    };
    told.iter().map(context).collect()
}

#[test]
fn contexts_are_listed_by_name_and_by_namespace() {
    let bench = Bench::new(ToyOptions { has_health: true, ..ToyOptions::default() });
    let mut raw = bench.greeted();
    let health = ["x-diskwright:health", "x-diskwright:health@start"];
    for (queries, expected) in [
        (&[][..], vec!["base:allocation", health[0], health[1]]),
        (&["base:"], vec!["base:allocation"]),
        (&["base:allocation", "base:allocation"], vec!["base:allocation"]),
        (&["x-diskwright:"], health.to_vec()),
        (&["x-diskwright:health@start"], vec![health[1]]),
        (&["base:no-such", "qemu:dirty", "", "base"], vec![]),
    ] {
        let (told, last) = raw.ask(option::LIST_META_CONTEXT, &meta_data("disk", queries));
        assert_eq!(last, option_reply::ACK);
        let expected: Vec<(u32, String)> = expected.iter().map(|name| (0, name.to_string())).collect();
        assert_eq!(contexts(&told), expected, "{queries:?}");
    }
    let unknown = raw.ask(option::LIST_META_CONTEXT, &meta_data("no such", &[]));
    assert_eq!(unknown, (Vec::new(), option_reply::ERR_UNKNOWN));
    // Who may not peek is not even told.
    let mut raw = bench_blind().greeted();
    let (told, _) = raw.ask(option::LIST_META_CONTEXT, &meta_data("disk", &[]));
    assert_eq!(contexts(&told), [(0, "base:allocation".into())]);
}

fn bench_blind() -> Bench {
    bench()
}

#[test]
fn contexts_are_chosen_by_name_only_and_have_numbers_of_their_own() {
    let bench = Bench::new(ToyOptions { has_health: true, ..ToyOptions::default() });
    let mut raw = bench.greeted();
    let early = raw.ask(option::SET_META_CONTEXT, &meta_data("disk", &["base:allocation"]));
    assert_eq!(early, (Vec::new(), option_reply::ERR_INVALID), "without structured replies");
    raw.ask(option::STRUCTURED_REPLY, &[]);
    for queries in [&[][..], &["base:"], &["x-diskwright:"], &["base:x", "y:z"]] {
        let told = raw.ask(option::SET_META_CONTEXT, &meta_data("disk", queries));
        assert_eq!(told, (Vec::new(), option_reply::ACK), "{queries:?}");
    }
    let all = ["base:allocation", "x-diskwright:health@start", "x-diskwright:health", "base:allocation"];
    let (told, _) = raw.ask(option::SET_META_CONTEXT, &meta_data("disk", &all));
    let told = contexts(&told);
    let mut numbers: Vec<u32> = told.iter().map(|(number, _)| *number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!((numbers.len(), told.len()), (3, 3));
    assert!(!numbers.contains(&0));
}

/// Whether the status of blocks can be asked for after these options and GO.
fn has_status(options: &[(u32, Vec<u8>)], name: &str) -> bool {
    let bench = bench();
    let mut raw = bench.greeted();
    raw.ask(option::STRUCTURED_REPLY, &[]);
    for (number, data) in options {
        raw.ask(*number, data);
    }
    raw.go(name);
    raw.request(7, 0, 1, 0, 4096);
    raw.chunks()[0].0 == nbd_server::wire::chunk::BLOCK_STATUS
}

#[test]
fn a_choice_of_contexts_holds_for_its_export_and_until_the_next_one_even_if_that_fails() {
    let set = |name: &str, queries: &[&str]| (option::SET_META_CONTEXT, meta_data(name, queries));
    let good = set("disk", &["base:allocation"]);
    let info = (option::INFO, go_data("other", &[]));
    assert!(has_status(std::slice::from_ref(&good), "disk"));
    assert!(has_status(&[good.clone(), info], "disk"), "asking about another export changes nothing");
    assert!(has_status(&[set("", &["base:allocation"])], ""));
    assert!(!has_status(&[], "disk"));
    assert!(!has_status(std::slice::from_ref(&good), "other"));
    assert!(!has_status(&[set("", &["base:allocation"])], "disk"), "a name is what was said");
    for bad in [
        set("disk", &[]),
        set("disk", &["base:"]),
        set("no such", &["base:allocation"]),
        (option::SET_META_CONTEXT, b"nonsense".to_vec()),
        set("disk", &["base:allocation"; 65]),
    ] {
        assert!(!has_status(&[good.clone(), bad.clone()], "disk"), "{bad:?}");
        assert!(has_status(&[bad, good.clone()], "disk"));
    }
}

#[test]
fn too_many_queries_are_too_big() {
    let bench = bench();
    let mut raw = bench.greeted();
    raw.ask(option::STRUCTURED_REPLY, &[]);
    for number in [option::LIST_META_CONTEXT, option::SET_META_CONTEXT] {
        assert_eq!(raw.ask(number, &meta_data("disk", &["base:"; 64])).1, option_reply::ACK);
        assert_eq!(raw.ask(number, &meta_data("disk", &["base:"; 65])).1, option_reply::ERR_TOO_BIG);
        // Announced, and not there.
        let data = [&meta_data("disk", &[])[..8], &u32::MAX.to_be_bytes()].concat();
        assert_eq!(raw.ask(number, &data).1, option_reply::ERR_TOO_BIG);
    }
}

#[test]
fn what_is_left_over_makes_an_option_invalid() {
    let bench = bench();
    let mut raw = bench.greeted();
    raw.ask(option::STRUCTURED_REPLY, &[]);
    for (number, data) in [
        (option::INFO, go_data("disk", &[3])),
        (option::GO, go_data("disk", &[])),
        (option::LIST_META_CONTEXT, meta_data("disk", &["base:"])),
        (option::SET_META_CONTEXT, meta_data("disk", &[])),
    ] {
        assert_eq!(raw.ask(number, &[&data[..], b"x"].concat()).1, option_reply::ERR_INVALID);
        for cut in 0..data.len() {
            assert_eq!(raw.ask(number, &data[..cut]).1, option_reply::ERR_INVALID, "{number} {cut}");
            // There is a limit to the options of one client.
            raw = bench.greeted();
            raw.ask(option::STRUCTURED_REPLY, &[]);
        }
    }
    raw.go("disk");
}

#[test]
fn an_option_that_is_too_long_is_passed_over_and_one_that_is_absurd_ends_it() {
    let bench = bench();
    let mut raw = bench.greeted();
    assert_eq!(raw.ask(option::GO, &vec![0; (64 << 10) + 1]).1, option_reply::ERR_TOO_BIG);
    assert_eq!(raw.ask(99, &vec![0; 1 << 20]).1, option_reply::ERR_TOO_BIG);
    assert_eq!(raw.ask(99, &vec![0; 64 << 10]).1, option_reply::ERR_UNSUP);
    raw.option(99, &[]);
    raw.reply();
    raw.send(&nbd_server::wire::OptionHeader { option: 99, length: (1 << 20) + 1 }.bytes());
    assert!(raw.is_closed());
}

#[test]
fn a_device_that_lets_nobody_in_closes_the_door() {
    let bench = Bench::new(ToyOptions { is_absent: true, ..ToyOptions::default() });
    let mut raw = bench.greeted();
    // Asking about it is no way in.
    assert_eq!(raw.ask(option::INFO, &go_data("disk", &[])).1, option_reply::ACK);
    raw.option(option::GO, &go_data("disk", &[]));
    assert!(raw.is_closed());
    bench.greeted().go("other");
}
