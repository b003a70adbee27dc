//! Reading files and block devices.

use std::os::unix::fs::FileExt;
use std::path::Path;

use block::device::DeviceInfo;
use block::source::{Access, FileOptions, FileSource};
use block::{
    BlockSource, ByteRange, Damage, Errno, ExtentKind, Good, Offset, ReadReply, Recovery, SourceError,
};
use nix::libc;
use rig::{
    Across, BadRange, Content, FaultyFile, FaultyFileOptions, LoopDevice, LoopOptions, Mount, NbdFile,
};

use crate::{SIZE, direct, expect_damage, expect_good, failing_at, open, read};

#[test]
fn a_bad_sector_of_512_bytes_fails_alone() {
    let disk = failing_at(&[4096..4608, 65536..66560]);
    let device = LoopDevice::over(&disk.path());
    let mut source = open(&device);
    for sector in (0..SIZE).step_by(512) {
        if matches!(sector, 4096 | 65536 | 66048) {
            expect_damage(&mut source, sector, 512, Errno::ENODATA);
        } else {
            expect_good(&mut source, disk.content(), sector, 512);
        }
    }
    // Each read was asked for once and as it was: nobody read ahead, nobody tried again.
    let asked: Vec<_> = disk.requests().into_iter().map(|r| r.bytes).collect();
    assert_eq!(asked, (0..SIZE).step_by(512).map(|at| at..at + 512).collect::<Vec<_>>());
}

#[test]
fn a_request_across_a_bad_sector_fails_whole_past_the_page_cache() {
    let disk = failing_at(&[8192..8704]);
    let device = LoopDevice::over(&disk.path());
    let mut source = open(&device);
    expect_damage(&mut source, 0, 65536, Errno::ENODATA);
    expect_good(&mut source, disk.content(), 0, 8192);
    expect_good(&mut source, disk.content(), 8704, 65536);
}

#[test]
fn a_failing_file_of_other_peoples_tools_is_exact_too() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    Content::new(5).write_image(&image, SIZE);
    let disk = NbdFile::over(&image, &[512..1024, 10240..11264]);
    let device = LoopDevice::over(&disk.path());
    let mut source = open(&device);
    for sector in (0..32768).step_by(512) {
        if matches!(sector, 512 | 10240 | 10752) {
            expect_damage(&mut source, sector, 512, Errno::EIO);
        } else {
            expect_good(&mut source, Content::new(5), sector, 512);
        }
    }
    assert_eq!(disk.requests(), (0..32768).step_by(512).map(|at| at..at + 512).collect::<Vec<_>>());
}

#[test]
fn a_device_with_sectors_of_4096_bytes_is_read_in_those() {
    let disk = failing_at(&[16384..16896]);
    let device = LoopDevice::with(&disk.path(), LoopOptions { sector: 4096, ..LoopOptions::default() });
    let mut source = open(&device);
    assert_eq!(source.geometry().logical_sector, 4096);
    assert_eq!(source.geometry().physical_sector, 4096);
    assert_eq!(source.geometry().size, Some(SIZE));
    // Smaller requests are widened to whole sectors, so the damage of one byte is that of its sector.
    expect_good(&mut source, disk.content(), 1000, 24);
    expect_good(&mut source, disk.content(), 16384 - 512, 512);
    expect_damage(&mut source, 16384 + 2048, 512, Errno::ENODATA);
    expect_good(&mut source, disk.content(), 20480, 512);
    assert!(disk.requests().iter().all(|r| r.bytes.start % 4096 == 0 && r.bytes.end % 4096 == 0));
}

#[test]
fn requests_that_are_not_aligned_are_widened_and_give_what_was_wanted() {
    let disk = failing_at(&[2048..2560]);
    let device = LoopDevice::over(&disk.path());
    let mut source = open(&device);
    expect_good(&mut source, disk.content(), 1, 1);
    expect_good(&mut source, disk.content(), 700, 1000);
    expect_good(&mut source, disk.content(), 2047, 1);
    expect_good(&mut source, disk.content(), 2560, 7777);
    expect_damage(&mut source, 2100, 10, Errno::ENODATA);
    expect_damage(&mut source, 2000, 100, Errno::ENODATA);
    let asked: Vec<_> = disk.requests().into_iter().map(|r| r.bytes).collect();
    assert_eq!(asked, [0..512, 512..2048, 1536..2048, 2560..10752, 2048..2560, 1536..2560]);
}

#[test]
fn a_larger_unit_can_be_asked_for() {
    let disk = failing_at(&[]);
    let device = LoopDevice::over(&disk.path());
    let options = FileOptions { sector: Some(2048), ..direct() };
    let mut source = FileSource::open(device.path(), options).unwrap();
    expect_good(&mut source, disk.content(), 512, 512);
    assert_eq!(disk.requests()[0].bytes, 0..2048);
}

#[test]
fn a_buffered_read_of_a_file_gives_the_bytes_before_the_bad_one() {
    let bad = vec![BadRange::new(1500..1501, Errno::EIO.0)];
    let disk = FaultyFile::serve(FaultyFileOptions { bad, across: Across::ComesShort, ..Default::default() });
    let mut source = FileSource::open(&disk.path(), FileOptions::default()).unwrap();
    let (reply, bytes) = read(&mut source, 1000, 4096).unwrap();
    assert_eq!(reply, ReadReply { good: Good::Prefix(500), damage: Some(Damage::new(Errno::EIO)) });
    assert_eq!(bytes, disk.content().bytes(1000, 500));
    assert!(disk.requests().iter().all(|r| !r.direct));
}

#[test]
fn a_read_past_the_end_comes_short_without_damage() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("odd");
    Content::new(3).write_image(&file, 10_000);
    let mounted_on = LoopImage::new(4 << 20);
    let device = mounted_on.device();
    let ext4 = Mount::ext4(device.path());
    std::fs::copy(&file, ext4.file("odd")).unwrap();
    for path in [file, ext4.file("odd")] {
        for access in [Access::Buffered, Access::Direct] {
            let mut source =
                FileSource::open(&path, FileOptions { access, ..FileOptions::default() }).unwrap();
            assert_eq!(source.geometry().size, Some(10_000));
            for (at, length, good) in [(8192, 4096, 1808), (9999, 512, 1), (10_000, 512, 0), (20_480, 512, 0)]
            {
                let (reply, bytes) = read(&mut source, at, length).unwrap();
                assert_eq!(reply, ReadReply { good: Good::Prefix(good), damage: None }, "{access:?} at {at}");
                assert_eq!(bytes, Content::new(3).bytes(at, good));
            }
        }
    }
}

#[test]
fn what_the_system_calls_a_medium_error_is_damage() {
    let disk = failing_at(&[]);
    let device = LoopDevice::over(&disk.path());
    let mut source = open(&device);
    let medium = [libc::EIO, libc::ENODATA, libc::ETIMEDOUT, libc::EREMOTEIO, libc::ENOLINK, libc::EILSEQ];
    for errno in medium {
        disk.set_bad(vec![BadRange::new(0..512, errno)]);
        expect_damage(&mut source, 0, 512, Errno(errno));
    }
}

#[test]
fn what_says_that_the_device_is_gone_is_an_error_unless_told_otherwise() {
    let disk = failing_at(&[]);
    // Not through a loop device: it turns most of these into EIO.
    let mut source = FileSource::open(&disk.path(), direct()).unwrap();
    let lost = [libc::ENODEV, libc::ENXIO, libc::ENOMEDIUM, libc::ESHUTDOWN, libc::ENOTCONN, libc::ESTALE];
    for errno in lost {
        disk.set_bad(vec![BadRange::new(1024..2048, errno)]);
        let error = read(&mut source, 1536, 512).unwrap_err();
        let expected = SourceError::Gone { device: disk.path(), at: Offset::new(1536), errno: Errno(errno) };
        assert_eq!(error, expected);
    }
    disk.set_bad(vec![BadRange::new(0..512, libc::ENODEV), BadRange::new(512..1024, libc::ENXIO)]);
    let options = FileOptions { damage_errnos: vec![Errno::ENODEV], ..direct() };
    let mut tolerant = FileSource::open(&disk.path(), options).unwrap();
    expect_damage(&mut tolerant, 0, 512, Errno::ENODEV);
    assert!(matches!(read(&mut tolerant, 512, 512), Err(SourceError::Gone { .. })));
}

#[test]
fn what_says_nothing_about_the_medium_is_a_refusal() {
    let disk = failing_at(&[]);
    let mut source = FileSource::open(&disk.path(), direct()).unwrap();
    for errno in [libc::EACCES, libc::EPERM, libc::EINVAL, libc::ENOMEM, libc::EBUSY] {
        disk.set_bad(vec![BadRange::new(0..512, errno)]);
        let error = read(&mut source, 0, 512).unwrap_err();
        assert!(matches!(&error, SourceError::Refused { .. }), "{error:?}");
        assert_eq!(error.errno(), Some(Errno(errno)));
    }
}

#[test]
fn enodev_from_a_device_under_a_loop_device_is_a_lost_device() {
    let disk = failing_at(&[]);
    let device = LoopDevice::over(&disk.path());
    let mut source = open(&device);
    disk.die_after(3, libc::ENODEV);
    for sector in 0..3 {
        expect_good(&mut source, disk.content(), sector * 512, 512);
    }
    let error = read(&mut source, 2048, 512).unwrap_err();
    assert!(matches!(error, SourceError::Gone { at, .. } if at == Offset::new(2048)), "{error:?}");
    disk.revive();
    source.recover(Recovery::Reopen).unwrap();
    expect_good(&mut source, disk.content(), 2048, 512);
}

#[test]
fn a_device_that_comes_back_under_another_name_is_found_by_identity() {
    let disk = failing_at(&[]);
    let content = Content::new(2);
    let stranger = FaultyFile::serve(FaultyFileOptions { size: SIZE, content, ..Default::default() });
    let mut first = LoopDevice::over(&disk.path());
    let mut source = open(&first);
    expect_good(&mut source, disk.content(), 0, 512);
    // The disk goes, and another one of the same size takes its name.
    first.replace(&stranger.path());
    let mut second = LoopDevice::over(&disk.path());
    let size = source.geometry().size;
    let by_name = source.recover(Recovery::Reopen).unwrap_err();
    assert!(matches!(by_name, SourceError::NotFound { .. }), "{by_name:?}");
    source.recover(Recovery::Rediscover).unwrap();
    assert_eq!(source.info().path, second.path());
    assert_eq!(source.geometry().size, size);
    expect_good(&mut source, disk.content(), 512, 512);
    assert_eq!(stranger.requests(), []);
    // Once more, and this time it does not come back.
    second.replace(&stranger.path());
    let error = source.recover(Recovery::Rediscover).unwrap_err();
    assert!(matches!(error, SourceError::NotFound { .. }), "{error:?}");
    assert_eq!(stranger.requests(), []);
    // It holds the second device, which was made after it.
    drop(source);
}

#[test]
fn a_stranger_under_the_same_name_is_not_taken_for_the_lost_device() {
    let disk = failing_at(&[]);
    let mut first = LoopDevice::over(&disk.path());
    let source = open(&first);
    let identity = source.info().identity().unwrap();
    let name = first.path().to_owned();
    drop(source);
    first.detach();
    rig::wait_until("the loop device is not released", || !first.is_attached());
    let other = FaultyFile::serve(FaultyFileOptions { size: SIZE, ..Default::default() });
    let stranger = LoopDevice::at(&name, &other.path(), LoopOptions::default());
    assert_eq!(stranger.path(), name);
    assert_eq!(block::device::find(&identity, &name), None);
    // Nor is it the same device when it shows another part of the same file.
    let part = LoopOptions { start: 512 * 100, size: Some(4096), ..LoopOptions::default() };
    let one = LoopDevice::with(&disk.path(), part);
    let two = LoopDevice::with(&disk.path(), LoopOptions { start: 512 * 200, ..part });
    let one = DeviceInfo::at(one.path()).unwrap().identity().unwrap();
    assert_eq!(block::device::find(&one, two.path()).as_deref(), Some(one_path(&disk, 512 * 100).as_path()));
}

/// The loop device that shows `disk` from `start` on.
fn one_path(disk: &FaultyFile, start: u64) -> std::path::PathBuf {
    let shown = |name: &str, file: &str| {
        let path = format!("/sys/block/{name}/loop/{file}");
        std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
    };
    (0..256)
        .map(|number| format!("loop{number}"))
        .find(|name| {
            Path::new(&shown(name, "backing_file")) == disk.path()
                && shown(name, "offset") == start.to_string()
        })
        .map(|name| Path::new("/dev").join(name))
        .unwrap()
}

#[test]
fn a_regular_file_has_no_identity_and_is_not_searched_for() {
    let disk = failing_at(&[]);
    let mut source = FileSource::open(&disk.path(), FileOptions::default()).unwrap();
    let error = source.recover(Recovery::Rediscover).unwrap_err();
    assert!(matches!(error, SourceError::Anonymous { .. }), "{error:?}");
    source.recover(Recovery::Reopen).unwrap();
    expect_good(&mut source, disk.content(), 0, 512);
}

#[test]
fn a_device_that_is_still_there_is_told_from_one_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    Content::new(1).write_image(&file, 4096);
    let mut source = FileSource::open(&file, FileOptions::default()).unwrap();
    source.presence().unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(source.presence(), Err(SourceError::Disappeared { .. })));
}

#[test]
fn what_has_no_order_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let opened = |path: &Path| FileSource::open(path, FileOptions::default()).err();
    assert_eq!(opened(&pipe), Some(SourceError::NotSeekable { device: pipe.clone() }));
    let missing = folder.path().join("missing");
    assert!(matches!(opened(&missing), Some(SourceError::Open { .. })));
}

#[test]
fn a_device_tells_what_it_is() {
    let disk = failing_at(&[]);
    let part = LoopOptions { start: 4096, size: Some(8192), ..LoopOptions::default() };
    let device = LoopDevice::with(&disk.path(), part);
    let mut source = open(&device);
    let info = source.info();
    assert!(info.is_block_device && !info.is_regular);
    assert_eq!(info.kernel_name, device.kernel_name());
    assert_eq!(info.backing_file, Some(disk.path()));
    assert_eq!(info.size, Some(8192));
    assert!(!info.rotates());
    let (_, bytes) = read(&mut source, 0, 512).unwrap();
    assert_eq!(bytes, disk.content().bytes(4096, 512));
}

#[test]
fn holes_of_a_sparse_file_are_told_from_its_data() {
    let tmpfs = Mount::tmpfs(1 << 20);
    let path = tmpfs.file("sparse");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(64 << 10).unwrap();
    file.write_all_at(&[1; 4096], 8192).unwrap();
    file.write_all_at(&[1; 8192], 32768).unwrap();
    let mut source = FileSource::open(&path, FileOptions::default()).unwrap();
    let mut told = |start: u64, end: u64| -> Vec<(ExtentKind, u64, u64)> {
        let range = ByteRange::between(Offset::new(start), Offset::new(end));
        let extents = source.extents(range);
        extents.iter().map(|e| (e.kind, e.range.start().bytes(), e.range.end().bytes())).collect()
    };
    use ExtentKind::{Data, Hole};
    let all = [
        (Hole, 0, 8192),
        (Data, 8192, 12288),
        (Hole, 12288, 32768),
        (Data, 32768, 40960),
        (Hole, 40960, 65536),
    ];
    assert_eq!(told(0, 65536), all);
    assert_eq!(told(9000, 10000), [(Data, 9000, 10000)]);
    assert_eq!(told(100, 200), [(Hole, 100, 200)]);
    assert_eq!(told(12000, 33000), [(Data, 12000, 12288), (Hole, 12288, 32768), (Data, 32768, 33000)]);
    assert_eq!(told(500, 500), []);
    // What lies past the end is for a read to find out.
    assert_eq!(told(65000, 70000), [(Hole, 65000, 65536), (Data, 65536, 70000)]);
    assert_eq!(told(70000, 71000), [(Data, 70000, 71000)]);
}

/// A file of zeros to make a file system in.
pub(crate) struct LoopImage {
    folder: tempfile::TempDir,
}

impl LoopImage {
    pub(crate) fn new(size: u64) -> LoopImage {
        let folder = tempfile::tempdir().unwrap();
        std::fs::File::create(folder.path().join("image")).unwrap().set_len(size).unwrap();
        LoopImage { folder }
    }

    pub(crate) fn device(&self) -> LoopDevice {
        let options = LoopOptions { writable: true, ..LoopOptions::default() };
        LoopDevice::with(&self.folder.path().join("image"), options)
    }
}
