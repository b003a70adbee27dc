//! What kernel parts that this machine may lack make of `diskwright export`, in a guest.
//!
//! `ci/check guest` runs this; see rig::Guest. All devices are set up by one guest, since booting is most of the time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use map::{Mapfile, Status};
use rig::Guest;

/// A disk of 8 MiB with clusters of errors and sectors that come late. Each device that lies over it fails at the same
/// sectors, but scsi_debug, which has one range.
const DISK: &str = r#"description = "A test."

[disk]
medium = "hard-disk"
profile = "d35_1t"
size = "8 MiB"
heads = 2
sectors-per-track = [256, 128]
band = "1 MiB"

[[fault]]
kind = "region"
health = "bad"
ranges = [["1 MiB", "1044 KiB"], ["3 MiB", "3076 KiB"], ["5 MiB", "5124 KiB"], ["8188 KiB", "8 MiB"]]

[[fault]]
kind = "clusters"
count = 1
exact = true

[[fault]]
kind = "region"
health = "slow"
ranges = [["2 MiB", "2056 KiB"]]
slow-time = ["700 ms", "900 ms"]
"#;

/// What fails on it at once.
const PHYSICAL: u64 = 4096;

/// Reads each device by O_DIRECT as a rescue does, and prints its map between two lines.
const SCRIPT: &str = r#"
set -e
# Two devices of the same healthy disk: a table may be over one that is in use, but messages are to one of its own.
dmsetup create error /error.table
dmsetup create delay /delay.table
sh /dust.sh dust /dev/vda >&2
null=$(sh /null.sh)
sh /scsi.sh
for _ in 1 2 3 4 5 6 7 8 9 10 ; do
  [ -b /dev/sda ] && break
  sleep 1
done
rescue() {
  echo "map of $1"
  # Exit status 1: something is missing.
  status=0
  diskwright rescue -q --sector-size=512 "$2" /tmp/image /tmp/map || status=$?
  [ $status -le 1 ] || { echo "status $status" >&2 ; exit 1 ; }
  cat /tmp/map
  echo "end of map"
  echo "sum of $1 $(sha256sum </tmp/image | cut -d ' ' -f 1)"
  rm -f /tmp/image /tmp/map
}
rescue error /dev/mapper/error
rescue delay /dev/mapper/delay
rescue dust /dev/mapper/dust
rescue null "$null"
rescue scsi /dev/sda
# A block of dust that is written is good again.
dd if=/dev/zero of=/dev/mapper/dust bs=4096 seek=256 count=1 conv=notrunc,fsync 2>/dev/null
dd if=/dev/mapper/dust of=/dev/null bs=4096 skip=256 count=1 2>/dev/null && echo "dust 256 is good again"
# Hundredths of a second that a slow sector takes.
now() { cut -d ' ' -f 1 /proc/uptime | tr -d . ; }
echo 3 >/proc/sys/vm/drop_caches
from=$(now)
dd if=/dev/mapper/delay of=/dev/null bs=4096 skip=512 count=1 iflag=direct 2>/dev/null
echo "late by $(( $(now) - from ))"
dmesg | grep -c 'Unrecovered read error' | sed 's/^/sense 3\/11\/00: /'
# All goes away as the comments say.
dmsetup remove error
dmsetup remove delay
dmsetup remove dust
rmdir /sys/kernel/config/nullb/diskwright
"#;

struct Folder(tempfile::TempDir);

impl Folder {
    fn diskwright(&self, line: &str) -> Vec<u8> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_diskwright"));
        let output = command.args(line.split(' ')).current_dir(self.0.path()).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn export(&self, options: &str) -> String {
        String::from_utf8(self.diskwright(&format!("export disk.toml --to {options}"))).unwrap()
    }
}

/// Bad units of 512 bytes.
fn bad(map: &str) -> BTreeSet<u64> {
    let map = Mapfile::parse(map.as_bytes()).unwrap_or_else(|e| panic!("{e}: {map}")).map;
    let bad = map.blocks().filter(|block| block.status == Status::BadSector);
    let units = bad.flat_map(|b| b.range.start().bytes() / 512..b.range.end().bytes() / 512);
    let all: u64 = map.blocks().map(|block| block.range.length()).sum();
    assert_eq!(all, 8 << 20);
    units.collect()
}

/// The longest row of units, the first of equal ones.
fn longest(units: &BTreeSet<u64>) -> BTreeSet<u64> {
    let starts = units.iter().filter(|unit| **unit == 0 || !units.contains(&(*unit - 1)));
    let rows = starts.map(|start| (*start..).take_while(|unit| units.contains(unit)).collect::<Vec<u64>>());
    rows.fold(
        BTreeSet::new(),
        |best, row| if row.len() > best.len() { row.into_iter().collect() } else { best },
    )
}

#[test]
fn kernels_fail_where_the_disk_does() {
    let folder = Folder(tempfile::tempdir().unwrap());
    fs::write(folder.0.path().join("disk.toml"), DISK).unwrap();
    folder.diskwright("export disk.toml --to raw -o disk.img");
    let image = folder.0.path().join("disk.img");
    let said = Guest::new(Path::new(env!("CARGO_TARGET_TMPDIR")))
        .modules(&["dm_mod", "dm_delay", "dm_dust", "sd_mod"])
        .tool("dmsetup", "dmsetup")
        .program("/usr/bin/diskwright", Path::new(env!("CARGO_BIN_EXE_diskwright")))
        .disk(&image)
        .file("/error.table", folder.export("dm-error --device /dev/vda"))
        .file("/delay.table", folder.export("dm-delay --device /dev/vda"))
        .file("/dust.sh", folder.export("dm-dust"))
        .file("/null.sh", folder.export("null-blk"))
        .file("/scsi.sh", folder.export("scsi-debug"))
        .run(SCRIPT);
    let mut maps = BTreeMap::new();
    for part in said.split("map of ").skip(1) {
        let (name, rest) = part.split_once('\n').unwrap();
        maps.insert(name, bad(rest.split("end of map").next().unwrap()));
    }
    let expected = bad(&folder.export("mapfile"));
    assert!(expected.len() as u64 > 10 * PHYSICAL / 512, "{expected:?}");
    for name in ["error", "delay", "dust", "null"] {
        assert_eq!(maps.get(name), Some(&expected), "{name}: {said}");
    }
    assert_eq!(maps["scsi"], longest(&expected), "{said}");
    let sense = said.split("sense 3/11/00: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    assert!(sense.parse::<u32>().unwrap() > 0, "{said}");
    // What is good is the disk's, through each device that lies over it.
    let mut rescued = fs::read(&image).unwrap();
    for unit in &expected {
        rescued[*unit as usize * 512..][..512].fill(0);
    }
    // An image ends where what was rescued ends.
    let end = (0..rescued.len() as u64 / 512).rev().find(|unit| !expected.contains(unit)).unwrap() + 1;
    rescued.truncate(end as usize * 512);
    fs::write(folder.0.path().join("rescued"), &rescued).unwrap();
    let sum = Command::new("sha256sum").arg(folder.0.path().join("rescued")).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap()[..64].to_owned();
    for name in ["error", "delay", "dust"] {
        assert!(said.contains(&format!("sum of {name} {sum}\n")), "{name}: {said}");
    }
    assert!(said.contains("dust 256 is good again\n"), "{said}");
    let late = said.split("late by ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    assert!(late.parse::<u32>().unwrap() >= 70, "a slow sector came after {late} hundredths of a second");
}
