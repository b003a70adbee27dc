//! What the system knows about a device: size, sectors, model, serial number, who uses it.
//!
//! Owns the reading of sysfs. Must not know what a rescue is, nor open a device for writing.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

mod usage;

pub use usage::{Usage, disks_under, usage_of};

/// How far up a disk's folders the USB device is looked for.
const USB_DEPTH_MAX: usize = 16;
/// Bytes before the serial number in a SCSI page 0x80.
const VPD_HEADER_BYTES: usize = 4;

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
            size: (kind.is_file() || end > 0).then_some(end),
            is_regular: kind.is_file(),
            is_block_device: kind.is_block_device(),
            ..DeviceInfo::unknown(path)
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

    /// The same for a block device, from sysfs alone: opening a disk may spin it up, and a dying one may not answer.
    fn of_unopened(path: &Path) -> Option<DeviceInfo> {
        let metadata = fs::metadata(path).ok()?;
        if !metadata.file_type().is_block_device() {
            return None;
        }
        let folder = sysfs_folder(metadata.rdev());
        let sectors: u64 = text_in(&folder.join("size"))?.parse().ok()?;
        let size = sectors.checked_mul(512).filter(|size| *size > 0);
        let mut info = DeviceInfo { size, is_block_device: true, ..DeviceInfo::unknown(path) };
        info.ask_sysfs(&folder);
        Some(info)
    }

    /// What is known of something of which only the name is.
    pub fn unknown(path: &Path) -> DeviceInfo {
        DeviceInfo {
            path: path.to_owned(),
            size: None,
            logical_sector: 512,
            physical_sector: 512,
            is_regular: false,
            is_block_device: false,
            kernel_name: String::new(),
            disk_name: String::new(),
            rotational: None,
            model: None,
            serial: None,
            wwid: None,
            backing_file: None,
            partition_start: None,
        }
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
        self.serial = first_of(&["device/serial", "serial"])
            .or_else(|| serial_in_page(&disk.join("device/vpd_pg80")))
            .or_else(|| serial_of_usb(&disk.join("device")));
        self.wwid = first_of(&["wwid", "device/wwid"]);
        self.backing_file = path_in(&disk.join("loop/backing_file"));
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
    let is_it = |path: &Path| {
        DeviceInfo::of_unopened(path).and_then(|info| info.identity()).is_some_and(|found| found == *identity)
    };
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

/// Whether the system refuses to write to a block device.
pub(crate) fn is_read_only(device: &fs::Metadata) -> bool {
    text_in(&sysfs_folder(device.rdev()).join("ro")).is_some_and(|flag| flag != "0")
}

fn number_text(number: u64) -> String {
    format!("{}:{}", nix::sys::stat::major(number), nix::sys::stat::minor(number))
}

fn sysfs_folder(number: u64) -> PathBuf {
    PathBuf::from(format!("/sys/dev/block/{}", number_text(number)))
}

fn text_in(path: &Path) -> Option<String> {
    text_of(&fs::read(path).ok()?)
}

fn text_of(bytes: &[u8]) -> Option<String> {
    let text: String = String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).collect();
    let text = text.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// The path that a file holds, without the line's end.
fn path_in(path: &Path) -> Option<PathBuf> {
    let mut bytes = fs::read(path).ok()?;
    bytes.truncate(bytes.len() - usize::from(bytes.ends_with(b"\n")));
    (!bytes.is_empty()).then(|| OsString::from_vec(bytes).into())
}

/// The serial number in a SCSI page 0x80, which begins with a header.
fn serial_in_page(path: &Path) -> Option<String> {
    text_of(fs::read(path).ok()?.get(VPD_HEADER_BYTES..)?)
}

/// The serial number of the USB device that a disk is plugged in through. Many bridges pass on none of the disk's own.
fn serial_of_usb(device: &Path) -> Option<String> {
    let folder = device.canonicalize().ok()?;
    let usb = folder.ancestors().take(USB_DEPTH_MAX).find(|folder| folder.join("idVendor").exists())?;
    text_in(&usb.join("serial"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A piece of sysfs: names of files and what they hold.
    fn sysfs(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn info(sysfs: &tempfile::TempDir, name: &str) -> DeviceInfo {
        let mut info = DeviceInfo { is_block_device: true, ..DeviceInfo::unknown(Path::new("/dev/test")) };
        info.ask_sysfs(&sysfs.path().join(name));
        info
    }

    const DISK: &[(&str, &[u8])] = &[
        ("sda/queue/logical_block_size", b"512\n"),
        ("sda/queue/physical_block_size", b"4096\n"),
        ("sda/queue/rotational", b"1\n"),
        ("sda/device/model", b"WDC WD10EZEX-00B\n"),
        ("sda/device/vpd_pg80", b"\0\x80\0\x14     WD-WCC3F0000001"),
        ("sda/device/wwid", b"naa.50014ee2b0000001\n"),
        ("sda/sda1/partition", b"1\n"),
        ("sda/sda1/start", b"2048\n"),
    ];

    #[test]
    fn a_disk_is_known_by_what_the_kernel_tells_of_it() {
        let sysfs = sysfs(DISK);
        let disk = info(&sysfs, "sda");
        assert_eq!((disk.logical_sector, disk.physical_sector), (512, 4096));
        assert!(disk.rotates());
        assert_eq!(disk.kernel_name, "sda");
        assert_eq!(disk.model.as_deref(), Some("WDC WD10EZEX-00B"));
        assert_eq!(disk.serial.as_deref(), Some("WD-WCC3F0000001"));
        assert_eq!(disk.wwid.as_deref(), Some("naa.50014ee2b0000001"));
        assert_eq!(disk.partition_start, None);
    }

    #[test]
    fn a_partition_is_known_by_its_disk_and_where_it_begins() {
        let sysfs = sysfs(DISK);
        let partition = info(&sysfs, "sda/sda1");
        assert_eq!((&*partition.kernel_name, &*partition.disk_name), ("sda1", "sda"));
        assert_eq!(partition.physical_sector, 4096);
        assert_eq!(partition.serial.as_deref(), Some("WD-WCC3F0000001"));
        assert_eq!(partition.partition_start, Some(1 << 20));
        assert_ne!(partition.identity(), info(&sysfs, "sda").identity());
    }

    #[test]
    fn a_disk_behind_a_bridge_is_known_by_the_serial_number_of_the_bridge() {
        let sysfs = sysfs(&[
            ("usb1/1-1/idVendor", b"0bc2\n"),
            ("usb1/1-1/serial", b"NA8TPL0R\n"),
            ("usb1/1-1/1-1:1.0/host6/6:0:0:0/model", b"Expansion\n"),
        ]);
        let scsi = sysfs.path().join("usb1/1-1/1-1:1.0/host6/6:0:0:0");
        fs::create_dir_all(scsi.join("block/sdb")).unwrap();
        std::os::unix::fs::symlink(&scsi, scsi.join("block/sdb/device")).unwrap();
        let disk = info(&sysfs, "usb1/1-1/1-1:1.0/host6/6:0:0:0/block/sdb");
        assert_eq!(disk.serial.as_deref(), Some("NA8TPL0R"));
        let identity = disk.identity().unwrap();
        assert_eq!(identity.to_string(), "model Expansion, serial NA8TPL0R");
    }

    #[test]
    fn what_tells_nothing_has_no_identity() {
        let sysfs =
            sysfs(&[("zram0/queue/logical_block_size", b"4096\n"), ("zram0/queue/rotational", b"1\n")]);
        let disk = info(&sysfs, "zram0");
        assert_eq!(disk.identity(), None);
        assert!(!disk.rotates());
        assert_eq!(disk.physical_sector, 4096);
    }

    #[test]
    fn nonsense_from_the_kernel_is_not_taken_for_a_sector_size() {
        let sysfs = sysfs(&[
            ("sdc/queue/logical_block_size", b"0\n"),
            ("sdc/queue/physical_block_size", b"513\n"),
            ("sdc/device/vpd_pg80", b"\0\x80"),
        ]);
        let disk = info(&sysfs, "sdc");
        assert_eq!((disk.logical_sector, disk.physical_sector), (512, 512));
        assert_eq!(disk.serial, None);
    }
}
