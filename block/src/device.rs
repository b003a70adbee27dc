//! What the system knows about a device: size, sectors, model, serial number, who uses it.
//!
//! Owns the reading of sysfs and of the mount table. Must not know what a rescue is, nor open a device for writing.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What the system knows about an opened file or device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The name it was opened by.
    pub path: PathBuf,
    /// Bytes; `None` if unknown, as for most character devices.
    pub size: Option<u64>,
    /// Smallest addressable unit in bytes; 512 for what is not a block device.
    pub logical_sector: u32,
    /// Unit in which the medium fails, in bytes.
    pub physical_sector: u32,
    /// Whether it is a regular file.
    pub is_regular: bool,
    /// Whether it is a block device.
    pub is_block_device: bool,
    /// The kernel's name of it, such as `sda1`; empty for files.
    pub kernel_name: String,
    /// The kernel's name of the whole disk that it is or that it is a partition of; empty for files.
    pub disk_name: String,
    /// Whether the kernel says that it rotates.
    pub rotational: Option<bool>,
    /// Model, as told by the device.
    pub model: Option<String>,
    /// Serial number, as told by the device.
    pub serial: Option<String>,
    /// World-wide name.
    pub wwid: Option<String>,
    /// What a loop device shows.
    pub backing_file: Option<PathBuf>,
    /// For a partition, where it begins on its disk, in bytes; for a loop device, in its file.
    pub partition_start: Option<u64>,
}

impl DeviceInfo {
    /// Asks the system about an open file whose end is at `end`.
    pub fn of(path: &Path, file: &File, end: u64) -> io::Result<DeviceInfo> {
        let metadata = file.metadata()?;
        let kind = metadata.file_type();
        let mut info = DeviceInfo {
            path: path.to_owned(),
            size: (kind.is_file() || end > 0).then_some(end),
            logical_sector: 512,
            physical_sector: 512,
            is_regular: kind.is_file(),
            is_block_device: kind.is_block_device(),
            kernel_name: String::new(),
            disk_name: String::new(),
            rotational: None,
            model: None,
            serial: None,
            wwid: None,
            backing_file: None,
            partition_start: None,
        };
        if info.is_block_device {
            info.ask_sysfs(&sysfs_folder(metadata.rdev()));
        }
        Ok(info)
    }

    /// The same for a name, without keeping it open. `None` if it is not there or cannot be opened.
    pub fn at(path: &Path) -> Option<DeviceInfo> {
        let file = File::open(path).ok()?;
        let end = nix::unistd::lseek(&file, 0, nix::unistd::Whence::SeekEnd).ok()?;
        DeviceInfo::of(path, &file, end as u64).ok()
    }

    fn ask_sysfs(&mut self, folder: &Path) {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        self.kernel_name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_partition = folder.join("partition").exists();
        let disk = if is_partition { folder.parent().unwrap_or(&folder) } else { &folder };
        self.disk_name = disk.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let number = |name: &str| text_in(&disk.join(name)).and_then(|t| t.parse::<u32>().ok());
        let first_of = |names: &[&str]| names.iter().find_map(|name| text_in(&disk.join(name)));
        self.logical_sector =
            number("queue/logical_block_size").filter(|n| n.is_power_of_two()).unwrap_or(512);
        let physical = number("queue/physical_block_size").filter(|n| n.is_power_of_two()).unwrap_or(512);
        self.physical_sector = physical.max(self.logical_sector);
        self.rotational = number("queue/rotational").map(|flag| flag != 0);
        self.model = first_of(&["device/model", "device/name"]);
        self.serial = first_of(&["device/serial", "serial", "device/vpd_pg80"]);
        self.wwid = first_of(&["wwid", "device/wwid"]);
        self.backing_file = first_of(&["loop/backing_file"]).map(PathBuf::from);
        // A loop device may show a part of its file, or of a disk.
        self.partition_start =
            first_of(&["loop/offset"]).and_then(|t| t.parse().ok()).filter(|start| *start > 0);
        if is_partition {
            // sysfs counts in units of 512 bytes whatever the device's sector is.
            self.partition_start =
                text_in(&folder.join("start")).and_then(|t| t.parse().ok()).map(|s: u64| s * 512);
        }
    }

    /// Whether one arm serves all reads. Virtual devices claim to rotate and do not.
    pub fn rotates(&self) -> bool {
        let is_virtual = ["vd", "xvd", "loop", "zram", "ram"].iter().any(|p| self.kernel_name.starts_with(p));
        self.rotational == Some(true) && !is_virtual
    }

    /// What tells this device from any other one; `None` if nothing does.
    pub fn identity(&self) -> Option<Identity> {
        if !self.is_block_device {
            return None;
        }
        let is_known = self.serial.is_some() || self.wwid.is_some() || self.backing_file.is_some();
        is_known.then(|| Identity {
            model: self.model.clone(),
            serial: self.serial.clone(),
            wwid: self.wwid.clone(),
            backing_file: self.backing_file.clone(),
            size: self.size,
            partition_start: self.partition_start,
        })
    }
}

/// What tells a device from any other one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Model.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// World-wide name.
    pub wwid: Option<String>,
    /// What a loop device shows.
    pub backing_file: Option<PathBuf>,
    /// Bytes.
    pub size: Option<u64>,
    /// For a partition, where it begins on its disk, in bytes; for a loop device, in its file.
    pub partition_start: Option<u64>,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let texts = [("model", &self.model), ("serial", &self.serial), ("wwid", &self.wwid)];
        parts.extend(
            texts.iter().filter_map(|(name, text)| text.as_ref().map(|text| format!("{name} {text}"))),
        );
        parts.extend(self.backing_file.iter().map(|file| format!("file {}", file.display())));
        parts.extend(self.partition_start.iter().map(|start| format!("partition at {start}")));
        parts.extend(self.size.iter().map(|size| format!("{size} bytes")));
        f.write_str(&parts.join(", "))
    }
}

/// Looks among all block devices for the one with this identity; tries `name` first.
pub fn find(identity: &Identity, name: &Path) -> Option<PathBuf> {
    let is_it = |path: &Path| DeviceInfo::at(path).and_then(|i| i.identity()).is_some_and(|i| i == *identity);
    if is_it(name) {
        return Some(name.to_owned());
    }
    let mut names: Vec<PathBuf> = fs::read_dir("/sys/class/block")
        .ok()?
        .filter_map(|entry| {
            Some(Path::new("/dev").join(entry.ok()?.file_name().to_string_lossy().replace('!', "/")))
        })
        .collect();
    names.sort();
    names.into_iter().find(|path| is_it(path))
}

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
            .and_then(|source| fs::metadata(source).ok())
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
            let backing = text_in(&entry.path().join("loop/backing_file"))?;
            Some((entry.file_name().to_string_lossy().into_owned(), backing.into()))
        })
        .collect();
    found.sort();
    found
}

/// Whether the system refuses to write to a block device.
pub(crate) fn is_read_only(device: &fs::Metadata) -> bool {
    text_in(&sysfs_folder(device.rdev()).join("ro")).is_some_and(|flag| flag != "0")
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
    fs::metadata(source).ok().filter(|m| m.file_type().is_block_device()).map(|m| m.rdev())
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
    if let Some(backing) = text_in(&folder.join("loop/backing_file"))
        && let Some(number) = device_under(Path::new(&backing))
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

fn number_text(number: u64) -> String {
    format!("{}:{}", nix::sys::stat::major(number), nix::sys::stat::minor(number))
}

fn sysfs_folder(number: u64) -> PathBuf {
    PathBuf::from(format!("/sys/dev/block/{}", number_text(number)))
}

fn text_in(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    let text: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).collect();
    let text = text.trim().to_owned();
    (!text.is_empty()).then_some(text)
}
