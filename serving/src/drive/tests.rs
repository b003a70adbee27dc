use std::sync::mpsc::{Receiver, Sender, channel};

use rig::{BadRange, FaultyFile, FaultyFileOptions, LoopDevice};

use super::*;

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

fn request(from: u64, length: u64) -> Request {
    Request {
        work: Work::Read,
        range: ByteRange::new(Offset::new(from), length),
        is_durable: false,
        access: None,
        client: 1,
        buffer: Vec::new(),
    }
}

fn read(device: &DriveDevice, from: u64, length: u64) -> Answer {
    let (outlet, replies) = outlet();
    let reply = device.submit(request(from, length), 1, &outlet);
    match reply.unwrap_or_else(|| replies.recv().expect("an answer").1) {
        Reply::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

const EIO: i32 = 5;
const ENODEV: i32 = 19;

fn failing(bad: Vec<BadRange>) -> FaultyFile {
    FaultyFile::serve(FaultyFileOptions { size: 4 << 20, bad, ..FaultyFileOptions::default() })
}

fn open(path: &Path, options: DriveOptions) -> DriveDevice {
    DriveDevice::open(path, options, Arc::new(WallClock::new())).unwrap()
}

#[test]
fn a_drive_tells_the_sector_that_failed_and_brings_what_lies_before() {
    let file = failing(vec![BadRange::new((1 << 20) + 1536..(1 << 20) + 2048, EIO)]);
    let disk = LoopDevice::over(&file.path());
    let device = open(disk.path(), DriveOptions::default());
    assert_eq!(device.facts().size, 4 << 20);
    let answer = read(&device, 1 << 20, 65536);
    assert_eq!(answer.troubles.len(), 1);
    let bad = Offset::new((1 << 20) + 1536);
    assert_eq!(answer.troubles[0].at, Some(bad));
    assert_eq!(answer.troubles[0].range, ByteRange::between(bad, Offset::new((1 << 20) + 65536)));
    assert_eq!(answer.bytes[..1536], file.content().bytes(1 << 20, 1536));
    let on = open(disk.path(), DriveOptions { reads_on: true, ..DriveOptions::default() });
    let answer = read(&on, 1 << 20, 65536);
    assert_eq!(answer.troubles.iter().map(|t| t.range).collect::<Vec<_>>(), [ByteRange::new(bad, 512)]);
    assert_eq!(answer.bytes[2048..], file.content().bytes((1 << 20) + 2048, 65536 - 2048));
}

#[test]
fn a_drive_that_hangs_is_answered_for_and_others_go_on() {
    let file = failing(Vec::new());
    let disk = LoopDevice::over(&file.path());
    let device = open(disk.path(), DriveOptions { deadline: Nanos::from_millis(200), reads_on: false });
    file.hold(0..4096);
    let (outlet, replies) = outlet();
    assert!(device.submit(request(0, 4096), 7, &outlet).is_none());
    let (ticket, reply) = replies.recv().expect("an answer when the time is up");
    let Reply::Answer(answer) = reply else { panic!("{reply:?}") };
    assert_eq!((ticket, answer.troubles[0].errno), (7, Errno::ETIMEDOUT));
    let there = read(&device, 1 << 20, 4096);
    assert!(there.troubles.is_empty(), "{:?}", there.troubles);
    file.release();
    // The late answer goes nowhere.
    assert_eq!(read(&device, 0, 4096).bytes, file.content().bytes(0, 4096));
    assert!(replies.try_recv().is_err());
}

#[test]
fn a_drive_that_goes_says_so_and_one_that_comes_back_is_read_on() {
    let file = failing(Vec::new());
    let mut disk = LoopDevice::over(&file.path());
    let device = open(disk.path(), DriveOptions::default());
    assert!(read(&device, 0, 4096).troubles.is_empty());
    file.die(ENODEV);
    let gone = read(&device, 8192, 4096);
    assert_eq!(gone.troubles[0].range.length(), 4096, "nothing of it counts");
    file.revive();
    disk.replace(&file.path());
    assert_eq!(read(&device, 8192, 4096).bytes, file.content().bytes(8192, 4096));
}

#[test]
fn nobody_is_kept_by_a_client_that_has_gone() {
    let file = failing(Vec::new());
    let disk = LoopDevice::over(&file.path());
    let device = open(disk.path(), DriveOptions { deadline: Nanos::from_secs(600), reads_on: false });
    file.hold(0..4096);
    let (outlet, replies) = outlet();
    for ticket in 0..100 {
        assert!(device.submit(request(0, 4096), ticket, &outlet).is_none());
    }
    drop(outlet);
    assert!(replies.recv().is_err(), "no queue holds the client");
    file.release();
    assert!(read(&device, 1 << 20, 512).troubles.is_empty());
}
