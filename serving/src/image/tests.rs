use std::io::Write;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, mpsc::Sender};

use map::Mapfile;

use super::*;

struct Wire(Mutex<Sender<Reply>>);

impl Outlet for Wire {
    fn deliver(&self, _: u64, reply: Reply) {
        let _ = self.0.lock().unwrap().send(reply);
    }
}

/// An image of 64 KiB whose every byte is its place in units of 512, and a map of what of it is rescued.
fn half_rescued(folder: &Path, reads_on: bool) -> ImageDevice {
    let path = folder.join("image");
    let bytes: Vec<u8> = (0..65536u32).map(|at| (at / 512) as u8).collect();
    File::create(&path).unwrap().write_all(&bytes).unwrap();
    // The third block ends inside a sector: half a sector is none.
    let text = "0x0 - 1\n0x0 0x1000 +\n0x1000 0x600 -\n0x1600 0x2100 +\n0x3700 0xC900 ?\n";
    let map = Mapfile::parse(text.as_bytes()).unwrap().map;
    ImageDevice::open(&path, Some(&map), ImageOptions { reads_on, ..ImageOptions::default() }).unwrap()
}

fn outlet() -> (Arc<dyn Outlet>, Receiver<Reply>) {
    let (sender, receiver) = channel();
    (Arc::new(Wire(Mutex::new(sender))), receiver)
}

fn read(device: &ImageDevice, from: u64, length: u64) -> Answer {
    let (outlet, replies) = outlet();
    let request = Request {
        work: Work::Read,
        range: ByteRange::new(Offset::new(from), length),
        is_durable: false,
        access: None,
        client: 1,
        buffer: vec![0xee; 3],
    };
    let reply = device.submit(request, 1, &outlet).unwrap_or_else(|| replies.recv().unwrap());
    match reply {
        Reply::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn ranges(answer: &Answer) -> Vec<(u64, u64)> {
    answer.troubles.iter().map(|t| (t.range.start().bytes(), t.range.end().bytes())).collect()
}

#[test]
fn what_is_not_rescued_fails_where_it_begins_and_what_lies_before_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let device = half_rescued(folder.path(), false);
    let answer = read(&device, 0, 4096);
    assert!(answer.troubles.is_empty());
    assert!(answer.bytes.iter().enumerate().all(|(at, byte)| *byte == (at / 512) as u8));
    let answer = read(&device, 0x800, 0x4000);
    assert_eq!(ranges(&answer), [(0x1000, 0x4800)], "everything from the first place on");
    assert_eq!(answer.troubles[0].at, Some(Offset::new(0x1000)));
    assert!(answer.bytes[..0x800].iter().enumerate().all(|(at, byte)| *byte == (4 + at / 512) as u8));
    assert_eq!(ranges(&read(&device, 0x3600, 512)), [(0x3600, 0x3800)], "a sector of which half is rescued");
    assert_eq!(ranges(&read(&device, 0xfe00, 512)), [(0xfe00, 0x10000)]);
}

#[test]
fn who_reads_on_gets_every_good_piece() {
    let folder = tempfile::tempdir().unwrap();
    let device = half_rescued(folder.path(), true);
    let answer = read(&device, 0x800, 0x4000);
    assert_eq!(ranges(&answer), [(0x1000, 0x1600), (0x3600, 0x4800)]);
    let good = 0x1600 - 0x800..0x3600 - 0x800;
    assert!(
        answer.bytes[good.clone()].iter().zip(good).all(|(byte, at)| *byte == ((at + 0x800) / 512) as u8)
    );
}

#[test]
fn health_and_extents_say_what_is_missing_and_call_none_of_it_zero() {
    let folder = tempfile::tempdir().unwrap();
    let device = half_rescued(folder.path(), false);
    let all = ByteRange::new(Offset::ZERO, 65536);
    let bad: Vec<_> =
        device.health(all, Moment::Now).unwrap().into_iter().map(|(r, h)| (r.length(), h.0)).collect();
    assert_eq!(bad, [(0x1000, 0), (0x600, 1), (0x2100, 0), (0xC900, 1)]);
    assert!(device.extents(all).iter().all(|extent| extent.kind == ExtentKind::Data));
    let holes = folder.path().join("holes");
    File::create(&holes).unwrap().set_len(1 << 20).unwrap();
    let device = ImageDevice::open(&holes, None, ImageOptions::default()).unwrap();
    assert!(device.extents(all).iter().all(|extent| extent.kind == ExtentKind::Hole));
}

#[test]
fn an_image_that_shrinks_fails_where_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    File::create(&path).unwrap().write_all(&[7; 8192]).unwrap();
    let device = ImageDevice::open(&path, None, ImageOptions::default()).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(4096).unwrap();
    assert_eq!(ranges(&read(&device, 0, 8192)), [(0, 8192)]);
    assert!(read(&device, 0, 4096).troubles.is_empty());
}
