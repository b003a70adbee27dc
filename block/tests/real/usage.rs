//! Who uses a device, and what a file lies on.

use std::path::PathBuf;

use block::device::{Usage, disks_under, usage_of};
use rig::{LoopDevice, LoopOptions, Mount};

use crate::source::LoopImage;

#[test]
fn a_mounted_device_is_in_use_and_says_where_and_how() {
    let image = LoopImage::new(4 << 20);
    let device = image.device();
    assert_eq!(usage_of(device.path()), []);
    let usage = |at: PathBuf, writable| vec![Usage::Mounted { device: device.kernel_name(), at, writable }];
    let mount = Mount::ext4(device.path());
    // The name of the folder has a space in it.
    assert_eq!(usage_of(device.path()), usage(mount.path().to_owned(), true));
    drop(mount);
    let mount = Mount::device(device.path(), "ro");
    assert_eq!(usage_of(device.path()), usage(mount.path().to_owned(), false));
    drop(mount);
    assert_eq!(usage_of(device.path()), []);
}

#[test]
fn a_file_lies_on_the_disk_of_its_file_system_and_on_what_is_under_that() {
    let image = LoopImage::new(8 << 20);
    let outer = image.device();
    let mount = Mount::ext4(outer.path());
    let inner_image = mount.file("inner");
    std::fs::File::create(&inner_image).unwrap().set_len(1 << 20).unwrap();
    assert!(disks_under(&inner_image).contains(&outer.kernel_name()));
    let inner = LoopDevice::with(&inner_image, LoopOptions::default());
    let under = disks_under(inner.path());
    assert!(under.contains(&inner.kernel_name()), "{under:?}");
    assert!(under.contains(&outer.kernel_name()), "{under:?}");
    assert!(!disks_under(outer.path()).contains(&inner.kernel_name()));
}

#[test]
fn a_device_under_a_loop_device_is_held_by_it() {
    let image = LoopImage::new(1 << 20);
    let outer = image.device();
    let inner = LoopDevice::over(outer.path());
    let held = Usage::Held { device: outer.kernel_name(), by: inner.kernel_name() };
    assert_eq!(usage_of(outer.path()), [held]);
    assert!(disks_under(inner.path()).contains(&outer.kernel_name()));
}

#[test]
fn what_is_no_block_device_is_used_by_nobody() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(usage_of(folder.path()), []);
    assert_eq!(usage_of(&folder.path().join("missing")), []);
    assert!(disks_under(&folder.path().join("missing")).is_empty());
    let tmpfs = Mount::tmpfs(1 << 20);
    std::fs::write(tmpfs.file("file"), "").unwrap();
    assert!(disks_under(&tmpfs.file("file")).is_empty());
}

#[test]
fn a_file_system_with_a_number_of_its_own_is_traced_to_its_disk() {
    let image = LoopImage::new(128 << 20);
    let device = image.device();
    let mount = Mount::made(device.path(), "mkfs.btrfs", "btrfs-progs");
    std::fs::write(mount.file("file"), "").unwrap();
    assert!(disks_under(&mount.file("file")).contains(&device.kernel_name()));
    let at = mount.path().to_owned();
    let mounted = Usage::Mounted { device: device.kernel_name(), at, writable: true };
    assert_eq!(usage_of(device.path()), [mounted]);
}
