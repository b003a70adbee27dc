use std::sync::mpsc::{Receiver, Sender, channel};

use block::Offset;

use super::*;
use crate::device::Answer;
use crate::replay::replay;

struct Wire(Mutex<Sender<(u64, Reply)>>);

impl Outlet for Wire {
    fn deliver(&self, ticket: u64, reply: Reply) {
        let _ = self.0.lock().unwrap().send((ticket, reply));
    }
}

fn outlet() -> (Arc<dyn Outlet>, Receiver<(u64, Reply)>) {
    let (sender, receiver) = channel();
    (Arc::new(Wire(Mutex::new(sender))), receiver)
}

const MIXED: &str = r#"
description = "Weak and bad sectors, and a dead head."
seed = 9
writable = true
[disk]
medium = "hard-disk"
profile = "d35_1t"
size = "64 MiB"
heads = 4
sectors-per-track = [256, 128]
band = "1 MiB"
[[fault]]
kind = "clusters"
count = 30
exact = true
singles = 9
retry = [0.30, 1.9]
[[fault]]
kind = "dead-head"
head = 1
"#;

const HANGING: &str = r#"
description = "Every error hangs."
seed = 4
[disk]
medium = "uniform"
size = "1 MiB"
sector-time = "1 ms"
[[fault]]
kind = "region"
ranges = [[51200, 51712]]
health = "bad"
[[fault]]
kind = "hang"
per-error = 1.0
"#;

fn scenario(text: &str) -> Scenario {
    Scenario::parse("test", "test.toml", text).unwrap()
}

fn open(text: &str, options: SimOptions) -> SimDevice {
    SimDevice::open(scenario(text), 9, options, Arc::new(WallClock::new()), None).unwrap()
}

const INSTANT: SimOptions = SimOptions {
    pace: Pace::Instant,
    idle: Idle::Counts,
    access: None,
    reads_on: false,
    when_gone: WhenGone::Eio,
    tells_health: true,
};

fn request(work: Work, from: u64, length: u64) -> Request {
    let range = ByteRange::new(Offset::new(from), length);
    Request { work, range, is_durable: false, access: None, client: 1, buffer: Vec::new() }
}

fn answer(reply: Option<Reply>) -> Answer {
    match reply {
        Some(Reply::Answer(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

/// A bad cluster's first sector, not under the dead head.
fn bad_place(device: &SimDevice) -> u64 {
    let told = device.lock().core.health(ByteRange::new(Offset::ZERO, 64 << 20));
    let wanted = |health: &Health| health.0 & Health::BAD != 0 && health.0 & Health::HOT == 0;
    let place = told.iter().find(|(range, health)| wanted(health) && range.start().bytes() >= 8192);
    place.expect("a cluster").0.start().bytes()
}

#[test]
fn a_bare_drive_brings_what_lies_before_a_bad_sector_and_names_that() {
    let device = open(MIXED, INSTANT);
    let (outlet, _) = outlet();
    let bad = bad_place(&device);
    let reply = answer(device.submit(request(Work::Read, bad - 4096, 65536), 1, &outlet));
    let trouble = &reply.troubles[0];
    assert_eq!((trouble.at, trouble.range.end().bytes()), (Some(Offset::new(bad)), bad - 4096 + 65536));
    let expected = format!("media: unrecovered read error, sector {}, asc 11/00, attempt 1", bad / 512);
    assert_eq!(trouble.text, expected);
    let mut truth = vec![0; 4096];
    device.lock().core.unit.truth(Offset::new(bad - 4096), &mut truth).unwrap();
    assert_eq!(reply.bytes[..4096], truth);
    // Who reads on gets what lies behind it, too.
    let device = open(MIXED, SimOptions { reads_on: true, ..INSTANT });
    let reply = answer(device.submit(request(Work::Read, bad - 4096, 1 << 20), 1, &outlet));
    assert!(reply.troubles.iter().all(|trouble| trouble.at == Some(trouble.range.start())));
    let lost: u64 = reply.troubles.iter().map(|trouble| trouble.range.length()).sum();
    assert!(lost < 1 << 20, "something lies behind");
}

#[test]
fn the_kernel_of_this_machine_fails_a_direct_read_whole_and_a_buffered_one_page_by_page() {
    let device = open(MIXED, INSTANT);
    let bad = bad_place(&device);
    let (outlet, _) = outlet();
    let at = bad / 4096 * 4096;
    let direct = Request { access: Some(Access::Direct), ..request(Work::Read, at - 8192, 65536) };
    assert_eq!(answer(device.submit(direct, 1, &outlet)).troubles[0].range.start().bytes(), at - 8192);
    let device = open(MIXED, INSTANT);
    let buffered = Request { access: Some(Access::Buffered), ..request(Work::Read, at - 8192, 65536) };
    assert_eq!(answer(device.submit(buffered, 1, &outlet)).troubles[0].range.start().bytes(), at);
}

#[test]
fn a_request_that_hangs_is_held_until_it_is_released_and_forgotten_with_its_client() {
    let device = open(HANGING, INSTANT);
    let ((outlet, replies), (other, others)) = (outlet(), outlet());
    device.attach().unwrap();
    assert!(device.submit(request(Work::Read, 100 * 512, 512), 7, &outlet).is_none());
    assert!(device.submit(request(Work::Read, 0, 512), 8, &other).is_none(), "the whole drive hangs");
    assert_eq!(device.obey(Order::State).unwrap()["hanging"], 2);
    assert_eq!(device.obey(Order::State).unwrap()["power"], "hung");
    device.detach(&other);
    drop(other);
    assert!(others.recv().is_err(), "nobody holds a client that has gone");
    assert_eq!(device.obey(Order::Release).unwrap()["released"], 1);
    let (ticket, reply) = replies.recv().unwrap();
    assert_eq!((ticket, answer(Some(reply)).troubles[0].errno), (7, Errno::EIO));
    let hangs = device.health(ByteRange::new(Offset::ZERO, 1 << 20), Moment::Now).unwrap();
    assert_eq!(hangs, [(ByteRange::new(Offset::ZERO, 1 << 20), Health(Health::HANG))]);
    // Power helps against everything.
    assert!(device.submit(request(Work::Read, 0, 512), 9, &outlet).is_none());
    assert_eq!(device.obey(Order::Pull(Lever::PowerCycle)).unwrap()["aborted"], 1);
    assert_eq!(replies.recv().unwrap().0, 9);
    assert!(answer(device.submit(request(Work::Read, 0, 512), 10, &outlet)).troubles.is_empty());
}

#[test]
fn a_paused_disk_lets_requests_wait_in_their_order() {
    let device = open(MIXED, INSTANT);
    let (outlet, replies) = outlet();
    device.obey(Order::Pause).unwrap();
    for ticket in 0..5 {
        assert!(device.submit(request(Work::Read, ticket * 4096, 4096), ticket, &outlet).is_none());
    }
    assert_eq!(device.obey(Order::State).unwrap()["waiting"], 5);
    assert_eq!(device.obey(Order::Resume).unwrap()["resumed"], 5);
    let order: Vec<u64> = (0..5).map(|_| replies.recv().unwrap().0).collect();
    assert_eq!(order, [0, 1, 2, 3, 4]);
    assert!(device.submit(request(Work::Read, 0, 512), 9, &outlet).is_some());
}

#[test]
fn a_drive_that_has_gone_is_shown_as_was_said() {
    let (outlet, _) = outlet();
    let gone = |when_gone| {
        let device = open(MIXED, SimOptions { when_gone, ..INSTANT });
        device.obey(Order::Pull(Lever::Vanish)).unwrap();
        let let_in = device.attach().is_ok();
        (device.submit(request(Work::Read, 0, 4096), 1, &outlet), let_in)
    };
    let (reply, let_in) = gone(WhenGone::Eio);
    assert_eq!((answer(reply).troubles[0].errno, let_in), (Errno::ENODEV, true));
    assert!(matches!(gone(WhenGone::Shutdown), (Some(Reply::Shutdown(_)), true)));
    assert!(matches!(gone(WhenGone::Drop), (Some(Reply::Drop), true)));
    assert!(matches!(gone(WhenGone::Refuse), (Some(Reply::Drop), false)));
    assert!(matches!(gone(WhenGone::Mute), (None, true)));
    let device = open(MIXED, INSTANT);
    device.obey(Order::Pull(Lever::Vanish)).unwrap();
    device.obey(Order::Pull(Lever::Return)).unwrap();
    assert!(answer(device.submit(request(Work::Read, 0, 4096), 1, &outlet)).troubles.is_empty());
}

#[test]
fn what_was_written_is_read_and_a_bad_sector_is_good_again() {
    let device = open(MIXED, INSTANT);
    let (outlet, _) = outlet();
    let bad = bad_place(&device) / 4096 * 4096;
    assert!(!answer(device.submit(request(Work::Read, bad, 4096), 1, &outlet)).troubles.is_empty());
    assert!(
        answer(device.submit(request(Work::Write(vec![7; 4096]), bad, 4096), 1, &outlet)).troubles.is_empty()
    );
    assert_eq!(answer(device.submit(request(Work::Read, bad, 4096), 1, &outlet)).bytes, [7; 4096]);
    let there = device.health(ByteRange::new(Offset::new(bad), 4096), Moment::Now).unwrap();
    assert_eq!(there, [(ByteRange::new(Offset::new(bad), 4096), Health(Health::REMAPPED))]);
    let then = device.health(ByteRange::new(Offset::new(bad), 4096), Moment::Start).unwrap();
    assert!(then.iter().any(|(_, health)| health.0 & Health::BAD != 0), "{then:?}");
    assert!(
        answer(device.submit(request(Work::Zero { may_trim: true }, bad, 4096), 1, &outlet))
            .troubles
            .is_empty()
    );
    assert_eq!(answer(device.submit(request(Work::Read, bad, 4096), 1, &outlet)).bytes, [0; 4096]);
}

#[test]
fn truth_tells_what_can_be_rescued() {
    let device = open(MIXED, INSTANT);
    let truth = device.obey(Order::Truth).unwrap();
    let lost = scenario(MIXED).lost(9).unwrap().bytes();
    assert_eq!(truth["recoverable_bytes"], (64 << 20) - lost);
    let listed: u64 = truth["lost"].as_array().unwrap().iter().map(|range| range[1].as_u64().unwrap()).sum();
    assert_eq!(listed, lost);
}

/// A run with `seed` in which several clients ask all kinds of things, and somebody pulls levers; in its log.
fn run_logged(seed: u64, options: SimOptions) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let log = Arc::new(AccessLog::create(&path, |error| panic!("{error}")).unwrap());
    let logging = Logging { log, disk: "disk".into(), scenario: "test".into() };
    let clock = Arc::new(WallClock::new());
    let device = SimDevice::open(scenario(MIXED), seed, options, clock, Some(logging)).unwrap();
    let (outlet, _replies) = outlet();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for ticket in 0..300 {
        let length = (1 + draw(64)) * 512;
        let from = draw(((64 << 20) - length) / 512) * 512;
        let work = match draw(10) {
            0 => Work::Write(vec![1; length as usize]),
            1 => Work::Cache,
            2 => Work::Trim,
            _ => Work::Read,
        };
        let access = [None, Some(Access::Direct), Some(Access::Buffered)][draw(3) as usize];
        device.submit(Request { access, client: draw(4), ..request(work, from, length) }, ticket, &outlet);
        if draw(40) == 0 {
            let lever =
                [Lever::Reset, Lever::KillHead(2), Lever::PowerCycle, Lever::Vanish][draw(4) as usize];
            let _ = device.obey(Order::Pull(lever));
            let _ = device.obey(Order::Pull(Lever::Return));
        }
    }
    drop(device);
    std::fs::read(path).unwrap()
}

#[test]
fn a_logged_run_repeats_exactly_at_every_pace_and_a_changed_line_is_found() {
    for seed in 0..10 {
        let options = match seed % 3 {
            0 => INSTANT,
            1 => SimOptions { pace: Pace::Times(10_000.0), reads_on: true, ..INSTANT },
            _ => SimOptions { pace: Pace::Times(10_000.0), idle: Idle::Stops, ..INSTANT },
        };
        let log = run_logged(seed, options);
        let report = replay(&log[..], |_| Ok(scenario(MIXED))).unwrap();
        assert_eq!((report.disks, report.requests), (1, 300));
        assert_eq!(report.different, 0, "seed {seed}: {:?}", report.first);
        // The same requests one nanosecond later are answered later.
        let text = String::from_utf8(log).unwrap();
        let line = text.lines().position(|line| line.contains("\"work\":\"read\"")).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut entry: Value = serde_json::from_str(&lines[line]).unwrap();
        entry["done_ns"] = json!(1);
        lines[line] = entry.to_string();
        let report = replay(lines.join("\n").as_bytes(), |_| Ok(scenario(MIXED))).unwrap();
        assert_eq!((report.different, report.first[0].0), (1, line as u64 + 1));
    }
}

#[test]
fn in_instant_pace_and_without_idle_time_the_order_alone_decides() {
    let times = |options| {
        let log = String::from_utf8(run_logged(3, options)).unwrap();
        log.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let instant = times(INSTANT);
    assert_eq!(instant, times(SimOptions { pace: Pace::Times(10_000.0), idle: Idle::Stops, ..INSTANT }));
    assert_eq!(instant, times(INSTANT));
}

#[test]
fn a_log_that_is_none_is_told_by_its_line() {
    let told = |text: &str| replay(text.as_bytes(), |_| Ok(scenario(MIXED))).unwrap_err().to_string();
    assert_eq!(told(""), "the log is empty");
    assert!(told("{}\n").starts_with("line 1: no entry of a log"));
    let start = String::from_utf8(run_logged(0, INSTANT)).unwrap().lines().next().unwrap().to_owned();
    let request = r#"{"event":"request","disk":"disk","client":1,"work":"read","offset":0,"length":99999999999,"at_ns":0,"done_ns":5}"#;
    assert!(told(&format!("{start}\n{request}\n")).contains("ends behind the disk"));
    assert!(told(&format!("{request}\n")).contains("never opened"));
    let lever = r#"{"event":"lever","disk":"disk","lever":"pause","at_ns":0,"ready_ns":5}"#;
    assert!(told(&format!("{start}\n{lever}\n")).contains("does nothing to a drive"));
    let other = start.replace("\"digest\":\"", "\"digest\":\"0");
    let report = replay(other.as_bytes(), |_| Ok(scenario(MIXED))).unwrap();
    assert_eq!(report.different, 1, "another scenario of the same name");
}

#[test]
fn a_disk_that_is_served_does_not_end_with_its_scenario() {
    let text = MIXED.replace("seed = 9", "seed = 9\nhorizon = \"1 s\"");
    let device = open(&text, SimOptions { pace: Pace::Times(1e6), ..INSTANT });
    let (outlet, replies) = outlet();
    block::Clock::sleep(&*device.clock, Nanos::from_millis(5));
    // More than an hour of its time has passed.
    let reply = device.submit(request(Work::Read, 0, 4096), 1, &outlet);
    assert!(answer(reply.or_else(|| replies.recv().ok().map(|(_, reply)| reply))).troubles.is_empty());
}
