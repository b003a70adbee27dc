//! What readers and writers of the file meet.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::sync::{Arc, mpsc};

use block::{ByteRange, Offset, WallClock};
use nix::libc;
use serving::{Device, Outlet, Pace, Reply, Request, SimDevice, SimOptions, Work};
use simulator::Access;
use simulator::scenario::library;

use super::{Bench, SPOTS, unit};

/// Memory as reads past the page cache want it.
#[repr(align(4096))]
struct Aligned([u8; 65536]);

fn direct(path: &std::path::Path) -> File {
    File::options().read(true).custom_flags(libc::O_DIRECT).open(path).expect("it opens")
}

fn errno(read: std::io::Result<usize>) -> i32 {
    read.expect_err("it is bad").raw_os_error().expect("a number")
}

#[test]
fn a_direct_read_fails_whole_and_a_buffered_one_brings_the_pages_before() {
    let bench = Bench::with(SPOTS);
    let mounted = bench.mount("./disk.toml", &["--pace=instant"]);
    let (direct, buffered) = (direct(&mounted.file), File::open(&mounted.file).unwrap());
    let mut memory = Aligned([0; 65536]);
    let bytes = &mut memory.0[..];
    // The first bad sector behind the first page is number 196.
    assert_eq!(errno(direct.read_at(bytes, 65536)), libc::EIO);
    assert_eq!(buffered.read_at(bytes, 65536).unwrap(), 98304 - 65536);
    assert_eq!(errno(buffered.read_at(bytes, 98304)), libc::EIO);
    assert_eq!(errno(buffered.read_at(&mut bytes[..1], 98304)), libc::EIO, "a page with a bad sector is bad");
    assert_eq!(direct.read_at(&mut bytes[..512], 98304).unwrap(), 512, "the sectors beside it are not");
    assert_eq!(errno(direct.read_at(&mut bytes[..512], 100_352)), libc::EIO);
    assert_eq!(direct.read_at(&mut bytes[..512], 101_376).unwrap(), 512);
    // Parts of sectors are parts of the disk.
    let mut expected = [0; 700];
    unit(bench.path("disk.toml").to_str().unwrap()).truth(Offset::new(8191), &mut expected).unwrap();
    assert_eq!(buffered.read_at(&mut bytes[..700], 8191).unwrap(), 700);
    assert_eq!(bytes[..700], expected);
    // There is nothing behind the end.
    assert_eq!(buffered.read_at(bytes, 8_388_608).unwrap(), 0);
    assert_eq!(direct.read_at(&mut bytes[..4096], 8_388_608 + 4096).unwrap(), 0);
}

#[test]
fn one_way_of_failing_can_be_had_for_everybody() {
    let bench = Bench::with(SPOTS);
    for (access, expected) in [("raw", Ok(512)), ("direct", Err(libc::EIO)), ("buffered", Err(libc::EIO))] {
        let mounted = bench.mount("./disk.toml", &["--pace=instant", "--access", access]);
        for file in [direct(&mounted.file), File::open(&mounted.file).unwrap()] {
            let mut memory = Aligned([0; 65536]);
            let read = file.read_at(&mut memory.0[..4096], 0).map_err(|e| e.raw_os_error().unwrap());
            assert_eq!(read, expected, "{access}");
        }
    }
}

#[test]
fn sizes_and_modes_are_true() {
    let bench = Bench::with(SPOTS);
    let mounted = bench.mount("./disk.toml", &["--pace=instant"]);
    let metadata = fs::metadata(&mounted.file).unwrap();
    assert_eq!((metadata.len(), metadata.blocks(), metadata.blksize()), (8_388_608, 16384, 512));
    assert_eq!(metadata.mode() & 0o7777, 0o400);
    assert!(mounted.end() == Some(0) && !bench.path("file").exists());
    fs::write(bench.path("file"), "whatever").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(bench.path("file"), mode).unwrap();
    let mounted = bench.mount("native-4k-small", &["--pace=instant"]);
    let metadata = fs::metadata(&mounted.file).unwrap();
    assert_eq!((metadata.blksize(), metadata.mode() & 0o7777), (4096, 0o444));
    assert_eq!(mounted.end(), Some(0));
    assert_eq!(fs::read(bench.path("file")).unwrap(), b"whatever", "it comes back as it was");
}

#[test]
fn a_disk_is_read_only_unless_its_scenario_says_otherwise() {
    let bench = Bench::with(SPOTS);
    let mounted = bench.mount("./disk.toml", &["--pace=instant"]);
    let refused = File::options().write(true).open(&mounted.file).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnlyFilesystem);
    assert_eq!(mounted.end(), Some(0));

    fs::write(bench.path("disk.toml"), SPOTS.replace("[disk]", "writable = true\n\n[disk]")).unwrap();
    let mounted = bench.mount("./disk.toml", &["--pace=instant"]);
    // Opening a disk to write does not empty it.
    let file = File::options().read(true).write(true).truncate(true).open(&mounted.file).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 8_388_608);
    let mut before = [0; 4096];
    file.read_exact_at(&mut before, 8192).unwrap();
    // Half of one sector, one whole, a part of the next.
    file.write_all_at(&[7; 1000], 8192 + 300).unwrap();
    file.sync_all().unwrap();
    let mut expected = before;
    expected[300..1300].fill(7);
    let mut after = [0; 4096];
    file.read_exact_at(&mut after, 8192).unwrap();
    assert!(after == expected);
    // A part of a bad sector cannot be changed, for the rest of it is not known; a whole one is written anew.
    assert_eq!(errno(file.write_at(&[7; 10], 600)), libc::EIO);
    file.write_all_at(&[9; 512], 512).unwrap();
    file.read_exact_at(&mut after, 0).unwrap();
    assert!(after[512..1024].iter().all(|byte| *byte == 9));
    // Its size is its size.
    assert_eq!(file.write_at(&[1; 10], 8_388_608).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.write_at(&[1; 1024], 8_388_096).unwrap(), 512);
    assert_eq!(file.set_len(0).unwrap_err().kind(), ErrorKind::InvalidInput);
    drop(file);
    assert_eq!(mounted.end(), Some(0));
}

#[test]
fn writes_of_parts_of_one_sector_do_not_undo_each_other() {
    let bench = Bench::with(&SPOTS.replace("[disk]", "writable = true\n\n[disk]"));
    let mounted = bench.mount("./disk.toml", &["--pace=instant"]);
    let path = &mounted.file;
    std::thread::scope(|scope| {
        for writer in 0..8_u8 {
            scope.spawn(move || {
                let file = File::options().write(true).open(path).unwrap();
                for at in 0..256_u64 {
                    file.write_all_at(&[writer + 1], 8192 + at * 8 + u64::from(writer)).unwrap();
                }
            });
        }
    });
    let mut bytes = [0; 2048];
    File::open(path).unwrap().read_exact_at(&mut bytes, 8192).unwrap();
    let expected: Vec<u8> = (0..256).flat_map(|_| 1..=8).collect();
    assert!(bytes[..] == expected);
}

#[test]
fn several_readers_at_once_each_get_their_bytes() {
    let bench = Bench::new();
    let mounted = bench.mount("clean-small", &["--pace=instant"]);
    let path = &mounted.file;
    std::thread::scope(|scope| {
        for reader in 0..6_u64 {
            scope.spawn(move || {
                let (file, unit) = (File::open(path).unwrap(), unit("clean-small"));
                let (mut bytes, mut expected) = (vec![0; 300_000], vec![0; 300_000]);
                for turn in 0..20 {
                    let at = (turn * 6 + reader) * 1_000_003;
                    file.read_exact_at(&mut bytes, at).unwrap();
                    unit.truth(Offset::new(at), &mut expected).unwrap();
                    assert!(bytes == expected, "reader {reader} at {at}");
                }
            });
        }
    });
}

/// Nobody: at this pace every answer is due at once.
struct Nobody(mpsc::Sender<u64>);

impl Outlet for Nobody {
    fn deliver(&self, ticket: u64, _: Reply) {
        let _ = self.0.send(ticket);
    }
}

#[test]
fn weak_sectors_answer_through_the_mount_as_often_as_the_disk_does() {
    let bench = Bench::new();
    let mounted = bench.mount("weak-head-small", &["--pace=instant"]);
    let file = direct(&mounted.file);
    let scenario = library::open("weak-head-small").unwrap();
    let seed = scenario.seed();
    let options = SimOptions { pace: Pace::Instant, ..SimOptions::default() };
    let twin = SimDevice::open(scenario, seed, options, Arc::new(WallClock::new()), None).unwrap();
    let (sender, late) = mpsc::channel();
    let outlet: Arc<dyn Outlet> = Arc::new(Nobody(sender));
    let (mut failed, mut memory) = (0, Aligned([0; 65536]));
    // Each sector four times: what fails once may answer the next time, here and there alike.
    for at in (0..2000_u64).flat_map(|index| [index * 131_072; 4]) {
        let request = Request {
            work: Work::Read,
            range: ByteRange::new(Offset::new(at), 4096),
            is_durable: false,
            access: Some(Access::Direct),
            client: 0,
            buffer: Vec::new(),
        };
        let Some(Reply::Answer(expected)) = twin.submit(request, 0, &outlet) else {
            panic!("an answer at once")
        };
        let is_good = file.read_at(&mut memory.0[..4096], at).is_ok();
        assert_eq!(is_good, expected.troubles.is_empty(), "seed {seed}, at {at}");
        failed += u32::from(!is_good);
    }
    assert!(failed > 0, "the head is not weak there");
    assert!(late.try_recv().is_err());
}

#[test]
fn an_image_is_as_good_as_its_map_and_its_holes_are_zeros() {
    let bench = Bench::new();
    let image = File::create(bench.path("image")).unwrap();
    image.set_len(1 << 20).unwrap();
    image.write_all_at(&[5; 8192], 65536).unwrap();
    fs::write(bench.path("map"), "0 + 1\n0 0x8000 +\n0x8000 0x200 -\n0x8200 0xF7E00 +\n").unwrap();
    let mounted = bench.mount("./image", &["--map=map"]);
    let (direct, buffered) = (direct(&mounted.file), File::open(&mounted.file).unwrap());
    assert_eq!(direct.metadata().unwrap().len(), 1 << 20);
    let mut memory = Aligned([1; 65536]);
    assert_eq!(direct.read_at(&mut memory.0[..32768], 0).unwrap(), 32768);
    assert!(memory.0[..32768].iter().all(|byte| *byte == 0));
    assert_eq!(errno(direct.read_at(&mut memory.0[..512], 0x8000)), libc::EIO);
    assert_eq!(direct.read_at(&mut memory.0[..512], 0x8200).unwrap(), 512);
    assert_eq!(errno(buffered.read_at(&mut memory.0[..512], 0x8200)), libc::EIO, "in pages");
    assert_eq!(buffered.read_at(&mut memory.0[..], 0x7000).unwrap(), 0x1000);
    assert_eq!(direct.read_at(&mut memory.0[..16384], 65536).unwrap(), 16384);
    assert!(
        memory.0[..8192].iter().all(|byte| *byte == 5) && memory.0[8192..16384].iter().all(|byte| *byte == 0)
    );
    drop((direct, buffered));
    assert_eq!(mounted.end(), Some(0));
    // Without a map all of it is good.
    let mounted = bench.mount("./image", &[]);
    assert_eq!(fs::read(&mounted.file).unwrap(), fs::read(bench.path("image")).unwrap());
}
