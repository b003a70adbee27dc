//! Sources that lie on the file system of their destination.

use rig::{BadRange, Content, FaultyFile, FaultyFileOptions, LoopDevice, LoopOptions, Mount};

use super::*;

const SIZE: u64 = 64 << 20;

/// A disk of 256 MiB, its device and the folder that holds it.
fn disk(bench: &Bench) -> LoopDevice {
    let path = bench.path("disk");
    std::fs::File::create(&path).and_then(|disk| disk.set_len(256 << 20)).expect("a disk");
    LoopDevice::with(&path, LoopOptions { writable: true, ..LoopOptions::default() })
}

/// Bytes in use on a file system.
fn used(mount: &Mount) -> u64 {
    std::fs::File::open(mount.path()).and_then(|folder| folder.sync_all()).expect("a sync");
    nix::unistd::sync();
    let stat = nix::sys::statvfs::statvfs(mount.path()).expect("a file system");
    (stat.blocks() - stat.blocks_free()) * stat.fragment_size()
}

/// A rescue with `--reflink` from one file of the mount to another; returns the bytes that it took there.
fn share(bench: &Bench, mount: &Mount, content: Content) -> u64 {
    content.write_image(&mount.file("source"), SIZE + 1000);
    let before = used(mount);
    let mut command = bench.command();
    command.args(["rescue", "--reflink"]).args([mount.file("source"), mount.file("image")]);
    command.arg(bench.path("image.map"));
    Ended::of(command.output().expect("diskwright runs")).expect(0);
    let image = std::fs::read(mount.file("image")).expect("an image");
    assert!(image == content.bytes(0, (SIZE + 1000) as usize), "the image is not the source");
    assert!(bench.missing().is_empty());
    used(mount) - before
}

#[test]
fn a_file_system_that_can_shares_the_blocks_of_a_healthy_source_if_asked_to() {
    let bench = Bench::new();
    let device = disk(&bench);
    let mount = Mount::made(device.path(), "mkfs.btrfs", "btrfs-progs");
    let taken = share(&bench, &mount, Content::new(20));
    assert!(taken < SIZE / 4, "{taken} bytes were copied");
}

#[test]
fn a_file_system_that_cannot_share_gets_a_copy() {
    let bench = Bench::new();
    let device = disk(&bench);
    let mount = Mount::ext4(device.path());
    let taken = share(&bench, &mount, Content::new(21));
    assert!(taken >= SIZE, "only {taken} bytes were taken");
}

#[test]
fn damage_is_found_all_the_same_where_nothing_can_be_shared() {
    let bench = Bench::new();
    let bad = vec![BadRange::new(1 << 20..(1 << 20) + 512, nix::libc::EIO)];
    let file = FaultyFile::serve(FaultyFileOptions { size: 4 << 20, bad, ..FaultyFileOptions::default() });
    bench.rescue(&file.path(), &["--reflink"]).expect(1);
    assert_eq!(bench.missing(), [(1 << 20, 512, Status::BadSector)]);
    assert_eq!(bench.check_promises(file.content()), (4 << 20) - 512);
}
