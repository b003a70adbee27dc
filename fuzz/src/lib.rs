//! What is fed to the readers of foreign bytes, and what must hold of their answers.
//!
//! Owns the targets: plain functions of bytes that panic when something is wrong. Must not know who makes the bytes: the
//! `smoke` program does on any compiler, cargo-fuzz does better on a nightly one.
//!
//! A new target is one function and one line in [`TARGETS`], one file in `fuzz_targets/`, and seeds in `corpus/`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use block::timing_log::{self, TimingLog};
use block::{ByteRange, Nanos, Offset, RangeSet};
use diskwright::personality::arguments::{self, OptionSpec, Value};
use diskwright::personality::number::{self, IntegerRule};
use diskwright::personality::{ddrescue, ddrescuelog};
use map::algebra::{self, Change, Compared, Logic};
use map::list::{self, BitOrder};
use map::mapfile::{self, Heading};
use map::{Loose, Mapfile, RescueMap, Status};
use nbd_server::client::negotiate::negotiate;
use nbd_server::client::replies::{Agreed, Answer, Job, Open, Replies};
use simulator::fit::Fit;
use simulator::recording::{Format, Reading, Recording};
use simulator::{Command, Scenario};

mod nbd;
pub use nbd::{options as nbd_options, requests as nbd_requests};

/// A reader under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also that of its folder in `corpus/`.
    pub name: &'static str,
    /// Panics if something is wrong.
    pub run: fn(&[u8]),
    /// Pieces of text that mean something to it.
    pub words: &'static [&'static str],
}

/// All targets.
pub const TARGETS: [Target; 13] = [
    Target { name: "mapfile", run: mapfile, words: MAPFILE_WORDS },
    Target { name: "mapfile_loose", run: mapfile_loose, words: MAPFILE_WORDS },
    Target {
        name: "sector_list",
        run: sector_list,
        words: &["\n", " ", "0x", "0", "9223372036854775807", "-1"],
    },
    Target { name: "sector_bitmap", run: sector_bitmap, words: &["\0\0\0\0\0\0\0\0", "\x01", "\u{80}"] },
    Target { name: "map_operations", run: map_operations, words: &[] },
    Target { name: "arguments", run: arguments, words: ARGUMENT_WORDS },
    Target { name: "command_line", run: command_line, words: COMMAND_LINE_WORDS },
    Target { name: "numbers", run: numbers, words: NUMBER_WORDS },
    Target { name: "log", run: log, words: LOG_WORDS },
    Target { name: "scenario", run: scenario, words: SCENARIO_WORDS },
    Target { name: "nbd_reply", run: nbd_reply, words: NBD_WORDS },
    Target { name: "nbd_options", run: nbd::options, words: NBD_CLIENT_WORDS },
    Target { name: "nbd_requests", run: nbd::requests, words: NBD_CLIENT_WORDS },
];

const NBD_CLIENT_WORDS: &[&str] = &[
    "IHAVEOPT",
    "\0\0\0\x01",
    "\0\0\0\x03",
    "\0\0\0\x06\0\0\0\x0a\0\0\0\x04disk\0\0",
    "\0\0\0\x07",
    "\0\0\0\x08\0\0\0\0",
    "\0\0\0\x0a",
    "\x7f\x7f\x7f\x7f",
    "disk",
    "base:allocation",
    "x-diskwright:health",
    "%\0\0\0",
];

const MAPFILE_WORDS: &[&str] = &[
    "0x00000000  0x00010000  +\n",
    "0x00000000     ?               1\n",
    "# ",
    "\n",
    "0x",
    "0x7FFFFFFFFFFFFFFF",
    "0x8000000000000000",
    "9223372036854775807",
    "0",
    "-",
    " - ",
    "?",
    "*",
    "/",
    "F",
    "G",
    "+",
    "\t",
    "\r\n",
];

const ARGUMENT_WORDS: &[&str] = &[
    "--",
    "-",
    "=",
    "\0",
    "--block",
    "--blob",
    "-b",
    "-P",
    "-v",
    "--data-preview=",
    "--size",
    "é",
    "\u{fffd}",
];

const COMMAND_LINE_WORDS: &[&str] = &[
    "\0",
    "\0-b",
    "\0-c",
    "\0-K",
    "\0-e+",
    "\0-i",
    "\0-o",
    "\0-s",
    "\0-r-1",
    "\0-q",
    "\0-P",
    "\0-F",
    "\0-x",
    "\0--cpass=",
    "\0--pause-on-error=s",
    "\0--mapfile-interval=",
    "\0--continue-on-errno=",
    "\0--change-types=",
    "\0--create-mapfile=",
    "\0--list-blocks=",
    "\0--shift",
    ",",
    "-",
    "+",
    "?*/-+l",
    "0",
    "1/100",
    "1.5d",
    "s",
    "Ki",
    "9223372036854775807",
    "268435456",
    "2147483647",
];

const NBD_WORDS: &[&str] = &[
    "NBDMAGIC",
    "IHAVEOPT",
    "base:allocation",
    "\x01",
    "\0\x01",
    "\0\0\0\0\0\0\0\x01",
    "\0\0\0\0\0\0\x02\0",
    "\0\0\0\x0c",
    "\0\0\x02\x08",
    "\u{7f}\u{7f}\u{7f}\u{7f}",
];

const NUMBER_WORDS: &[&str] = &[
    "0x",
    "0",
    "-",
    "+",
    "k",
    "Ki",
    "Mi",
    "Qi",
    "R",
    "B",
    "s",
    "9223372036854775807",
    "9223372036854775808",
    "/",
    ".",
    "1/3",
    "m",
    "h",
    "d",
    " ",
    "18446744073709551616",
];

const LOG_WORDS: &[&str] = &[
    "# Diskwright timing log 1\n",
    "# size ",
    " logical 512 physical 4096\n",
    " ok ",
    " error:5:512 ",
    " end:0 ",
    " gone ",
    "512x3",
    "512<3",
    "slow=",
    "softfail=",
    "hardfail=",
    "filesize=",
    "delay=",
    ",U,",
    ",R,",
    ",S,",
    "0x",
    "\t",
    " ",
    "\n",
    "-1",
    "18446744073709551615",
    "1152921504606846976",
];

const SCENARIO_WORDS: &[&str] = &[
    "[disk]\n",
    "[[fault]]\n",
    "medium = \"hard-disk\"\n",
    "medium = \"flash\"\n",
    "medium = \"optical\"\n",
    "medium = \"floppy\"\n",
    "profile = \"pata40\"\n",
    "kind = \"clusters\"\n",
    "kind = \"scratch\"\n",
    "kind = \"wear\"\n",
    "count = ",
    "size = \"1 MiB\"\n",
    "heads = ",
    "seed = ",
    "0",
    "1",
    "-1",
    "0.5",
    "nan",
    "inf",
    "1e300",
    "9223372036854775807",
    "\"4 KiB\"",
    "\"1 s\"",
    "[0.0, 1.0]",
    "[",
    "]",
    "\n",
];

/// Scenarios: what is read can be opened, made smaller and read from.
pub fn scenario(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(scenario) = Scenario::parse("fuzzed", "fuzzed.toml", &text) else { return };
    let small = scenario.small().and_then(Result::ok);
    let again = Scenario::parse("fuzzed", "fuzzed.toml", &text).expect("what was read once");
    for scenario in small.into_iter().chain([again]) {
        let mut disk = scenario.disk(7).expect("what was opened once");
        let sectors = disk.shape().sectors;
        let mut now = Nanos::ZERO;
        for step in 0..40 {
            let at = sectors / 40 * step;
            let reply = disk.serve(&Command { at, count: (sectors - at).min(128) }, now);
            assert!(reply.done >= now, "time runs backwards");
            now = if reply.done == Nanos::NEVER { disk.power_cycle(now) } else { reply.done };
            if now == Nanos::NEVER {
                break;
            }
        }
    }
}

/// Logs of reads: what is read can be fitted, and our own can be written again and reads the same.
pub fn log(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(log) = TimingLog::parse(&text) {
        let mut again = Vec::new();
        let mut writer = timing_log::Writer::new(&mut again, &log.header).expect("a vector takes everything");
        log.entries.iter().for_each(|entry| writer.put(entry).expect("a vector takes everything"));
        let read =
            TimingLog::parse(&String::from_utf8(again).expect("logs are text")).expect("what was written");
        assert_eq!(read.entries, log.entries);
    }
    for (_, format) in Format::NAMES {
        let reading = Reading { format: Some(format), ..Reading::default() };
        // Periods are looked for in large drives, which takes long.
        match Recording::parse(&text, reading) {
            Ok(recording) if recording.extent() < 1 << 22 => {
                assert!(!Fit::of(&recording).report().is_empty())
            }
            _ => {}
        }
    }
}

/// Strict mapfiles: what is read can be written, and reads the same.
pub fn mapfile(bytes: &[u8]) {
    let Ok(read) = Mapfile::parse(bytes) else { return };
    read.map.check();
    let heading = Heading { comments: vec!["Mapfile. Written by a fuzzer".to_owned()] };
    let mut text = Vec::new();
    mapfile::write(&mut text, &heading, &read.position, &read.map).expect("memory takes any text");
    let again = Mapfile::parse(&text).expect("what we wrote can be read");
    assert_eq!(again.map, read.map);
    assert_eq!(again.position, read.position);
    // What is strict is loose too.
    for gaps in Status::ALL {
        Mapfile::parse_loose(bytes, Loose { gaps }).expect("a strict map can be read loosely");
    }
}

/// Loose mapfiles: the result begins at 0 and has no gaps.
pub fn mapfile_loose(bytes: &[u8]) {
    for gaps in Status::ALL {
        let Ok(read) = Mapfile::parse_loose(bytes, Loose { gaps }) else { continue };
        read.map.check();
        let start = read.map.extent().map_or(Offset::ZERO, ByteRange::start);
        assert_eq!(start, Offset::ZERO);
    }
}

/// Lists of sector numbers.
pub fn sector_list(bytes: &[u8]) {
    for sector_bytes in [1, 512, 4096, u32::MAX] {
        let Ok(sectors) = list::parse_list(bytes, sector_bytes) else { continue };
        check_set(&sectors);
    }
}

/// Bitmaps of sectors.
pub fn sector_bitmap(bytes: &[u8]) {
    for order in [BitOrder::BigEndian, BitOrder::LittleEndian] {
        let sectors = list::parse_bitmap(bytes, order, 512);
        check_set(&sectors);
        let ones: u64 = bytes.iter().map(|byte| u64::from(byte.count_ones())).sum();
        assert_eq!(sectors.bytes(), ones * 512);
    }
}

fn check_set(set: &RangeSet) {
    assert!(set.ranges().iter().all(|range| !range.is_empty()));
    assert!(set.ranges().windows(2).all(|pair| pair[0].end() < pair[1].start()));
}

/// Changes to a small map, each compared with one status a byte.
pub fn map_operations(bytes: &[u8]) {
    const SIZE: usize = 64;
    let all = ByteRange::new(Offset::ZERO, SIZE as u64);
    let mut map = RescueMap::single(all, Status::NonTried);
    let mut model = [Status::NonTried; SIZE];
    for operation in bytes.chunks_exact(4).take(200) {
        let status = Status::ALL[usize::from(operation[0] >> 4) % 5];
        let range = ByteRange::new(Offset::new(u64::from(operation[1]) % 80), u64::from(operation[2]) % 40);
        let domain = RangeSet::from(ByteRange::new(Offset::new(u64::from(operation[3]) % 80), 32));
        let inside = |at: usize| range.contains(Offset::new(at as u64));
        let in_domain = |at: usize| domain.contains(Offset::new(at as u64));
        match operation[0] % 6 {
            0 | 1 => {
                map.change(range, status, &domain);
                (0..SIZE).filter(|at| inside(*at)).for_each(|at| model[at] = status);
            }
            2 => map.split_at(range.start()),
            3 => map.merge(),
            4 => {
                map = algebra::change(&map, &domain, &Change::invert());
                (0..SIZE)
                    .filter(|at| in_domain(*at))
                    .for_each(|at| model[at] = Change::invert().of(model[at]));
            }
            _ => {
                let finished = |at: usize| inside(at) && at < SIZE;
                let mut other = RescueMap::single(all, Status::NonTried);
                other.change(range, Status::Finished, &RangeSet::from(all));
                map = algebra::combine(&map, &other, &domain, Logic::And);
                for at in (0..SIZE).filter(|at| in_domain(*at) && !finished(*at)) {
                    if model[at] == Status::Finished {
                        model[at] = status_at(&map, at);
                        assert_ne!(model[at], Status::Finished);
                    }
                }
            }
        }
        map.check();
        (0..SIZE).for_each(|at| assert_eq!(status_at(&map, at), model[at], "byte {at}"));
    }
    let text = {
        let mut text = Vec::new();
        mapfile::write(&mut text, &Heading::default(), &Default::default(), &map)
            .expect("memory takes any text");
        text
    };
    let again = Mapfile::parse(&text).expect("what we wrote can be read");
    assert!(algebra::agree(&map, &again.map, &RangeSet::from(all), Compared::Statuses));
}

fn status_at(map: &RescueMap, at: usize) -> Status {
    map.block_at(Offset::new(at as u64)).expect("the map covers all").status
}

const OPTIONS: &[OptionSpec<u8>] = &[
    OptionSpec {
        id: 0,
        short: Some('b'),
        longs: &["block-size", "sector-size"],
        value: Value::Required("n"),
        help: "",
    },
    OptionSpec { id: 1, short: Some('P'), longs: &["data-preview"], value: Value::Optional("n"), help: "" },
    OptionSpec { id: 2, short: Some('v'), longs: &["verbose"], value: Value::None, help: "" },
    OptionSpec { id: 3, short: None, longs: &["blob"], value: Value::None, help: "" },
];

/// Command lines: words divided by zero bytes.
pub fn arguments(bytes: &[u8]) {
    let words: Vec<OsString> =
        bytes.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect();
    match arguments::parse(OPTIONS, words.iter().cloned()) {
        Ok(line) => {
            // Everything found was on the line.
            let total: usize = words.iter().map(|word| word.len()).sum();
            assert!(line.options.len() <= total && line.names.len() <= words.len());
            for option in &line.options {
                let takes = OPTIONS[usize::from(option.id)].value;
                assert!(takes != Value::None || option.value.is_none());
                assert!(!matches!(takes, Value::Required(_)) || !option.bytes().is_empty());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    // And with the tables that people meet.
    let _ = arguments::parse(ddrescue::DIALECT.options, words.iter().cloned());
    let _ = arguments::parse(ddrescuelog::DIALECT.options, words.iter().cloned());
}

/// Command lines, and what they ask for: words divided by zero bytes.
pub fn command_line(bytes: &[u8]) {
    let words: Vec<OsString> =
        bytes.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect();
    for result in [ddrescue::check(&words), ddrescuelog::check(&words)] {
        if let Err(complaint) = result {
            assert!(!complaint.text.is_empty());
            assert_eq!(complaint.status, 1);
        }
    }
}

/// Numbers with multipliers, and intervals of time.
pub fn numbers(bytes: &[u8]) {
    for rule in [IntegerRule::position(512), IntegerRule::count(0, 100), IntegerRule::count(-5, i64::MAX)] {
        if let Err(error) = number::parse_integer(bytes, rule) {
            assert!(!error.message(bytes, "--option").is_empty());
        }
    }
    if let Ok((interval, rest)) = number::interval_prefix(bytes) {
        assert!(bytes.ends_with(rest) && interval.denominator() > 0);
        let _ = interval.nanos();
    }
    if let Ok(value) = number::parse_integer(bytes, IntegerRule::count(i64::MIN, i64::MAX)) {
        assert!(!number::grouped(value).is_empty() && !number::grouped_spaced(value).is_empty());
    }
}

/// A server that says anything. The first byte says whether to agree with it or to listen to its answers.
pub fn nbd_reply(bytes: &[u8]) {
    let Some((how, stream)) = bytes.split_first() else { return };
    match how & 3 {
        0 => nbd_negotiation(stream),
        1 => nbd_answers(Agreed::Simple, usize::from(how >> 2) + 1, stream),
        _ => nbd_answers(Agreed::Structured { allocation: Some(1) }, usize::from(how >> 2) + 1, stream),
    }
}

/// What a server says, whatever it is told.
struct Monologue<'a>(&'a [u8]);

impl std::io::Read for Monologue<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl std::io::Write for Monologue<'_> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        Ok(buffer.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn nbd_negotiation(stream: &[u8]) {
    let Ok(export) = negotiate(&mut Monologue(stream), "name") else { return };
    let blocks = export.blocks;
    assert!(export.size <= i64::MAX as u64);
    assert!(blocks.min.is_power_of_two() && blocks.max.is_multiple_of(blocks.min) && blocks.max > 0);
    assert!(export.description.is_none_or(|text| !text.contains(char::is_control)));
}

fn nbd_answers(agreed: Agreed, step: usize, mut stream: &[u8]) {
    const LENGTH: usize = 1000;
    let mut replies = Replies::new(agreed);
    for ticket in 1..3 {
        // Widened at both ends, in two requests.
        let (at, buffer) = (ticket * 4096 + 12, block::buffer::zeroed(LENGTH));
        let (start, name) = (ticket * 4096, ticket * 2);
        let parts = vec![(name, start..start + 512), (name + 1, start + 512..start + 1024)];
        let ticket = block::Ticket(ticket);
        replies.expect(Open::Read(Job { ticket, at, length: LENGTH, buffer, parts }));
    }
    replies.expect(Open::Status { cookie: 1, range: 0..1 << 20 });
    let mut fed = 0;
    while !stream.is_empty() {
        let place = replies.place();
        // Nothing is asked for far ahead of what has come.
        assert!(!place.is_empty() && place.len() <= 16 << 10);
        let count = place.len().min(stream.len()).min(step);
        place[..count].copy_from_slice(&stream[..count]);
        stream = &stream[count..];
        fed += count;
        match replies.filled(count) {
            Err(_) => return,
            Ok(None) => {}
            Ok(Some(Answer::Status { result, .. })) => {
                let descriptors = result.unwrap_or_default();
                assert!(descriptors.iter().all(|one| one.length > 0) && descriptors.len() <= fed / 8);
            }
            Ok(Some(Answer::Read(answer))) => {
                let mut end = 0;
                let mut good = 0;
                for piece in &answer.good {
                    assert!(piece.start >= end && piece.end > piece.start && piece.end <= LENGTH);
                    end = piece.end;
                    good += piece.len();
                }
                assert!(answer.error.is_some() || good == LENGTH);
            }
        }
    }
}
