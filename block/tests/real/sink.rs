//! Writing files and block devices.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use block::sink::{FileSink, FileSinkOptions, SinkAction};
use block::{BlockSink, ByteRange, Errno, Offset, buffer};
use rig::{BadRange, Content, Deed, FaultyDestination, LoopDevice, LoopOptions, Mount};

use crate::source::LoopImage;

fn at(bytes: u64) -> Offset {
    Offset::new(bytes)
}

fn open(path: &Path, options: FileSinkOptions) -> FileSink {
    FileSink::open(path, options).unwrap()
}

#[test]
fn pieces_of_any_size_and_place_end_up_where_they_belong() {
    let image = LoopImage::new(8 << 20);
    let device = image.device();
    let ext4 = Mount::ext4(device.path());
    let content = Content::new(9);
    for direct in [false, true] {
        let path = ext4.file("image");
        let mut sink = open(&path, FileSinkOptions { direct, truncate: true, ..Default::default() });
        // Backwards, with a piece that is aligned to nothing, and an odd end.
        for (start, end) in [(65536, 70_001), (4096, 65536), (513, 4096), (0, 513)] {
            let length = (end - start) as usize;
            let mut aligned = buffer::zeroed(length);
            content.fill(start, &mut aligned);
            sink.write_at(at(start), &aligned).unwrap();
        }
        // From memory that is not aligned either.
        let bytes = content.bytes(70_000, 1 + 8192);
        sink.write_at(at(70_001), &bytes[1..]).unwrap();
        sink.flush().unwrap();
        assert_eq!(sink.size().unwrap(), 78_193);
        assert!(std::fs::read(&path).unwrap() == content.bytes(0, 78_193), "direct: {direct}");
    }
}

#[test]
fn what_was_written_can_be_read_back() {
    let folder = tempfile::tempdir().unwrap();
    for direct in [false, true] {
        let options = FileSinkOptions { direct, read_back: true, truncate: true, ..Default::default() };
        let mut sink = open(&folder.path().join("image"), options);
        sink.write_at(at(4096), &buffer::zeroed(4096)).unwrap();
        sink.write_at(at(100), b"rescued").unwrap();
        let mut back = [1; 20];
        assert_eq!(sink.read_back(at(98), &mut back).unwrap(), 20);
        assert_eq!(&back, b"\0\0rescued\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(sink.read_back(at(8190), &mut back).unwrap(), 2);
        sink.write_at(at(8192), &buffer::zeroed(4096)).unwrap();
        assert_eq!(sink.size().unwrap(), 12288);
    }
}

#[test]
fn zeros_become_holes_and_replace_what_was_there() {
    let tmpfs = Mount::tmpfs(4 << 20);
    for holes in [true, false] {
        let path = tmpfs.file("image");
        let mut sink = open(&path, FileSinkOptions { holes, truncate: true, ..Default::default() });
        sink.write_at(at(0), &[7; 65536]).unwrap();
        sink.write_zeros(ByteRange::new(at(4096), 8192)).unwrap();
        sink.write_zeros(ByteRange::new(at(20_000), 10)).unwrap();
        sink.write_zeros(ByteRange::new(at(65536), 1 << 20)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 65536 + (1 << 20));
        for (i, byte) in bytes.iter().enumerate() {
            let is_zero = (4096..12288).contains(&i) || (20_000..20_010).contains(&i) || i >= 65536;
            assert_eq!(*byte, if is_zero { 0 } else { 7 }, "byte {i}");
        }
        let stored = std::fs::metadata(&path).unwrap().blocks() * 512;
        assert_eq!(stored, if holes { 65536 - 8192 } else { 65536 + (1 << 20) });
    }
}

#[test]
fn a_sink_grows_and_never_shrinks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let mut sink = open(&path, FileSinkOptions::default());
    sink.write_at(at(0), b"abc").unwrap();
    sink.extend(10).unwrap();
    sink.extend(5).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"abc\0\0\0\0\0\0\0");
    sink.allocate(ByteRange::new(at(4), 100)).unwrap();
    assert_eq!(sink.size().unwrap(), 104);
}

#[test]
fn a_full_file_system_is_told_with_place_and_name() {
    let tmpfs = Mount::tmpfs(256 << 10);
    let path = tmpfs.file("image");
    let mut sink = open(&path, FileSinkOptions::default());
    sink.write_at(at(0), &[1; 128 << 10]).unwrap();
    let error = sink.write_at(at(1 << 20), &[1; 512 << 10]).unwrap_err();
    assert_eq!((error.action, error.at, error.errno), (SinkAction::Write, at(1 << 20), Errno::ENOSPC));
    assert_eq!(error.path, path);
    let error = sink.allocate(ByteRange::new(at(0), 1 << 20)).unwrap_err();
    assert_eq!((error.action, error.errno), (SinkAction::Allocate, Errno::ENOSPC));
    // What was there before is not harmed.
    assert_eq!(std::fs::read(&path).unwrap()[..128 << 10], [1; 128 << 10]);
}

#[test]
fn a_device_that_is_too_small_is_full() {
    let image = LoopImage::new(64 << 10);
    let device = image.device();
    for direct in [false, true] {
        let mut sink = open(device.path(), FileSinkOptions { direct, ..Default::default() });
        sink.write_at(at(61440), &buffer::zeroed(4096)).unwrap();
        let error = sink.write_at(at(65536), &buffer::zeroed(4096)).unwrap_err();
        assert_eq!(error.errno, Errno::ENOSPC);
        let error = sink.extend(1 << 20).unwrap_err();
        assert_eq!((error.action, error.errno), (SinkAction::Extend, Errno::ENOSPC));
        sink.extend(65536).unwrap();
        sink.flush().unwrap();
    }
}

#[test]
fn a_device_with_large_sectors_takes_small_pieces_too() {
    let tmpfs = Mount::tmpfs(2 << 20);
    let image = tmpfs.file("image");
    std::fs::write(&image, vec![0xEE; 1 << 20]).unwrap();
    let options = LoopOptions { sector: 4096, writable: true, ..LoopOptions::default() };
    let device = LoopDevice::with(&image, options);
    let mut sink = open(device.path(), FileSinkOptions { direct: true, ..Default::default() });
    sink.write_at(at(8192), &[1; 8192]).unwrap();
    sink.write_at(at(12288 + 512), &[2; 512]).unwrap();
    sink.write_at(at(100), &[3; 1]).unwrap();
    sink.write_zeros(ByteRange::new(at(65536), 100)).unwrap();
    sink.flush().unwrap();
    drop(sink);
    drop(device);
    let mut expected = vec![0xEE; 1 << 20];
    expected[8192..16384].fill(1);
    expected[12800..13312].fill(2);
    expected[100] = 3;
    expected[65536..65636].fill(0);
    assert!(std::fs::read(&image).unwrap() == expected);
}

#[test]
fn a_sink_that_cannot_be_written_says_so_when_it_is_opened() {
    let tmpfs = Mount::tmpfs(1 << 20);
    std::fs::write(tmpfs.file("image"), [1; 4096]).unwrap();
    let device = LoopDevice::with(&tmpfs.file("image"), LoopOptions::default());
    let error = FileSink::open(device.path(), FileSinkOptions::default()).unwrap_err();
    assert_eq!((error.action, error.errno), (SinkAction::Open, Errno::EROFS));
    let mut only_read = open(device.path(), FileSinkOptions { read_only: true, ..Default::default() });
    let mut bytes = [0; 16];
    assert_eq!(only_read.read_back(at(0), &mut bytes).unwrap(), 16);
    assert_eq!(bytes, [1; 16]);
    assert_eq!(only_read.write_at(at(0), &[1]).unwrap_err().action, SinkAction::Write);
    let missing = tmpfs.file("missing");
    assert!(FileSink::open(&missing, FileSinkOptions { read_only: true, ..Default::default() }).is_err());
    assert!(!missing.exists());
}

#[test]
fn a_flush_that_failed_is_never_followed_by_one_that_worked() {
    // A device that takes more than what it lies on can hold: writes go to the page cache, the sync finds out.
    let tmpfs = Mount::tmpfs(256 << 10);
    std::fs::File::create(tmpfs.file("thin")).unwrap().set_len(8 << 20).unwrap();
    let device =
        LoopDevice::with(&tmpfs.file("thin"), LoopOptions { writable: true, ..LoopOptions::default() });
    let mut sink = open(device.path(), FileSinkOptions::default());
    sink.write_at(at(0), &vec![1; 4 << 20]).unwrap();
    let error = sink.flush().unwrap_err();
    assert_eq!(error.action, SinkAction::Flush);
    // The kernel has dropped the pages by now, and would report success.
    assert_eq!(sink.flush().unwrap_err(), error);
}

#[test]
fn a_write_that_fails_says_where_and_leaves_the_rest_alone() {
    let destination = FaultyDestination::serve();
    let mut sink = open(&destination.path(), FileSinkOptions::default());
    sink.write_at(at(0), &[1; 4096]).unwrap();
    destination.set_bad(vec![BadRange::new(5000..5001, Errno::EIO.0)]);
    let error = sink.write_at(at(4096), &[2; 4096]).unwrap_err();
    let expected = (SinkAction::Write, at(4096), Errno::EIO);
    assert_eq!((error.action, error.at, error.errno), expected);
    destination.set_bad(Vec::new());
    sink.write_at(at(4096), &[2; 4096]).unwrap();
    sink.flush().unwrap();
    assert_eq!(destination.bytes(), [[1; 4096], [2; 4096]].concat());
    assert_eq!(destination.deeds(), [Deed::Write(0..4096), Deed::Write(4096..8192), Deed::Sync]);
}

#[test]
fn a_write_that_comes_short_goes_on_until_it_is_told_why() {
    let destination = FaultyDestination::serve();
    let mut sink = open(&destination.path(), FileSinkOptions::default());
    destination.set_size_max(Some(1000));
    let error = sink.write_at(at(0), &[1; 4096]).unwrap_err();
    assert_eq!((error.action, error.at, error.errno), (SinkAction::Write, at(0), Errno::ENOSPC));
    let error = sink.extend(1 << 20).unwrap_err();
    assert_eq!((error.action, error.errno), (SinkAction::Extend, Errno::ENOSPC));
    destination.set_size_max(None);
    sink.write_at(at(0), &[1; 4096]).unwrap();
    assert_eq!(destination.bytes(), [1; 4096]);
}

#[test]
fn a_destination_that_vanished_fails_at_everything() {
    let destination = FaultyDestination::serve();
    let mut sink = open(&destination.path(), FileSinkOptions::default());
    sink.write_at(at(0), &[1; 512]).unwrap();
    destination.set_dead(Some(Errno::ENODEV.0));
    assert_eq!(sink.write_at(at(512), &[1; 512]).unwrap_err().errno, Errno::ENODEV);
    let error = sink.flush().unwrap_err();
    assert_eq!((error.action, error.errno), (SinkAction::Flush, Errno::ENODEV));
    // Back again; but what this sink was given before may be lost.
    destination.set_dead(None);
    assert_eq!(sink.flush().unwrap_err(), error);
    let mut fresh = open(&destination.path(), FileSinkOptions::default());
    fresh.flush().unwrap();
}

#[test]
fn what_holds_nothing_is_synced_at_once() {
    let mut sink = open(Path::new("/dev/null"), FileSinkOptions::default());
    sink.write_at(at(1 << 40), &[1; 512]).unwrap();
    sink.flush().unwrap();
}
