//! Who uses a device, and which disks a file lies on.
//!
//! Owns the reading of the mount table, of swap and of holders. Must not know who asks, nor what a rescue refuses.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::{number_text, path_in, sysfs_folder, text_in};

/// Why nobody should write to, or read from, a device just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usage {
    /// It, or a partition of it, is mounted.
    Mounted {
        /// Which device.
        device: String,
        /// Where.
        at: PathBuf,
        /// Whether somebody may write to it there.
        writable: bool,
    },
    /// It, or a partition of it, is swap space.
    Swap {
        /// Which device.
        device: String,
    },
    /// Another device (RAID, LVM, encryption) is built on it.
    Held {
        /// Which device.
        device: String,
        /// By which.
        by: String,
    },
}

/// Finds who uses a block device or a partition of it.
pub fn usage_of(path: &Path) -> Vec<Usage> {
    let Ok(metadata) = fs::metadata(path) else { return Vec::new() };
    if !metadata.file_type().is_block_device() {
        return Vec::new();
    }
    let mut usages = Vec::new();
    let numbers = with_partitions(metadata.rdev());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (Some(number), Some(at), Some(options)) = (fields.get(2), fields.get(4), fields.get(5)) else {
            continue;
        };
        let by_number = numbers.iter().find(|(_, n)| n == number);
        // Some file systems (btrfs) show a number of their own: go by the device's name.
        let separator = fields.iter().position(|f| *f == "-").unwrap_or(fields.len());
        let by_name = fields
            .get(separator + 2)
            .filter(|source| source.starts_with('/'))
            .and_then(|source| fs::metadata(unescaped(source)).ok())
            .filter(|m| m.file_type().is_block_device())
            .and_then(|m| numbers.iter().find(|(_, n)| *n == number_text(m.rdev())));
        if let Some((device, _)) = by_number.or(by_name) {
            let read_only = |options: &str| options.split(',').any(|o| o == "ro");
            let writable = !read_only(options) && !fields.get(separator + 3).is_some_and(|o| read_only(o));
            usages.push(Usage::Mounted { device: device.clone(), at: unescaped(at), writable });
        }
    }
    for line in fs::read_to_string("/proc/swaps").unwrap_or_default().lines().skip(1) {
        let Some(metadata) = line.split_whitespace().next().and_then(|name| fs::metadata(name).ok()) else {
            continue;
        };
        if let Some((device, _)) = numbers.iter().find(|(_, n)| *n == number_text(metadata.rdev())) {
            usages.push(Usage::Swap { device: device.clone() });
        }
    }
    for (device, number) in &numbers {
        for holder in fs::read_dir(format!("/sys/dev/block/{number}/holders")).into_iter().flatten().flatten()
        {
            let by = holder.file_name().to_string_lossy().into_owned();
            usages.push(Usage::Held { device: device.clone(), by });
        }
    }
    // Loop devices are in nobody's list of holders.
    for (by, backing) in loop_devices() {
        let number = fs::metadata(backing).ok().filter(|m| m.file_type().is_block_device()).map(|m| m.rdev());
        let device = numbers.iter().find(|(_, n)| number.is_some_and(|number| *n == number_text(number)));
        usages.extend(device.map(|(device, _)| Usage::Held { device: device.clone(), by }));
    }
    usages
}

/// Names of the loop devices in use and what they show.
fn loop_devices() -> Vec<(String, PathBuf)> {
    let mut found: Vec<(String, PathBuf)> = fs::read_dir("/sys/block")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let backing = path_in(&entry.path().join("loop/backing_file"))?;
            Some((entry.file_name().to_string_lossy().into_owned(), backing))
        })
        .collect();
    found.sort();
    found
}

/// Kernel names of the disks that a file or a device lies on, partitions resolved to their disks, loop devices and
/// stacked devices to what is under them.
pub fn disks_under(path: &Path) -> BTreeSet<String> {
    let mut disks = BTreeSet::new();
    if let Some(number) = device_under(path) {
        collect_disks(&sysfs_folder(number), &mut disks, 0);
    }
    disks
}

/// Number of the block device that `path` is, or that its file system lies on.
fn device_under(path: &Path) -> Option<u64> {
    let metadata = fs::metadata(path).ok()?;
    if metadata.file_type().is_block_device() {
        return Some(metadata.rdev());
    }
    if nix::sys::stat::major(metadata.dev()) != 0 {
        return Some(metadata.dev());
    }
    // Some file systems (btrfs) have a number of their own: go by the source of the mount.
    let path = path.canonicalize().ok()?;
    let table = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mounts: Vec<(PathBuf, &str)> = table.lines().filter_map(mount_point_and_source).collect();
    // The longest mount point above the file, and of several on one another the last.
    let above = mounts.iter().filter(|(at, _)| path.starts_with(at));
    let (_, source) = above.max_by_key(|(at, _)| at.components().count())?;
    let source = Some(source).filter(|source| source.starts_with('/'))?;
    fs::metadata(unescaped(source)).ok().filter(|m| m.file_type().is_block_device()).map(|m| m.rdev())
}

/// Where a line of the mount table says that something is mounted, and what.
fn mount_point_and_source(line: &str) -> Option<(PathBuf, &str)> {
    let (place, system) = line.split_once(" - ")?;
    Some((unescaped(place.split(' ').nth(4)?), system.split(' ').nth(1)?))
}

/// A path as it was before the mount table hid its spaces.
fn unescaped(text: &str) -> PathBuf {
    let text =
        text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\");
    PathBuf::from(text)
}

/// How deep loop devices and stacked devices are followed.
const STACK_DEPTH_MAX: u32 = 8;

fn collect_disks(folder: &Path, disks: &mut BTreeSet<String>, depth: u32) {
    let Ok(folder) = folder.canonicalize() else { return };
    let folder = if folder.join("partition").exists() {
        folder.parent().unwrap_or(&folder).to_owned()
    } else {
        folder
    };
    let Some(name) = folder.file_name() else { return };
    if depth > STACK_DEPTH_MAX || !disks.insert(name.to_string_lossy().into_owned()) {
        return;
    }
    if let Some(backing) = path_in(&folder.join("loop/backing_file"))
        && let Some(number) = device_under(&backing)
    {
        collect_disks(&sysfs_folder(number), disks, depth + 1);
    }
    for slave in fs::read_dir(folder.join("slaves")).into_iter().flatten().flatten() {
        collect_disks(&slave.path(), disks, depth + 1);
    }
}

/// Name and number of a device and of its partitions.
fn with_partitions(number: u64) -> Vec<(String, String)> {
    let folder = sysfs_folder(number);
    let folder = folder.canonicalize().unwrap_or(folder);
    let mut found =
        vec![(folder.file_name().unwrap_or_default().to_string_lossy().into_owned(), number_text(number))];
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        if entry.path().join("partition").exists()
            && let Some(number) = text_in(&entry.path().join("dev"))
        {
            found.push((entry.file_name().to_string_lossy().into_owned(), number));
        }
    }
    found
}
