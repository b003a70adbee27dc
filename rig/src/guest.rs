//! A machine of its own: Linux in QEMU, without hardware help, for kernel parts that this machine lacks.
//!
//! Owns the making of its root file system, the booting, and what its script says. Must not know what is tested.
//!
//! ```no_run
//! let cache = "target/tmp";                          // in a test: env!("CARGO_TARGET_TMPDIR")
//! let said = rig::Guest::new(cache.as_ref())
//!     .modules(&["dm_mod", "nbd"])                // loaded at the start, with what they need
//!     .tool("dmsetup", "dmsetup")                 // programs of this machine, with their libraries
//!     .file("/table", "0 8 error\n")
//!     .disk("/tmp/disk.img".as_ref())             // /dev/vda, /dev/vdb ...
//!     .arguments(&["-smp", "2"])                  // anything else for QEMU
//!     .run("modprobe dm_delay && dmsetup create it /table && ls /dev/mapper");
//! assert!(said.contains("it"));
//! ```
//!
//! Programs that are named come before busybox's of the same name. The script's standard output comes back; a script that
//! fails is a panic with all that was said, and so is a guest that takes four minutes.
//!
//! To reach this machine as 10.0.2.2: `.modules(&["virtio_pci", "virtio_net"])`,
//! `.arguments(&["-nic", "user,model=virtio-net-pci"])`, and in the script `ip addr add 10.0.2.15/24 dev eth0 ; ip link set
//! eth0 up`. For SCSI disks: `.modules(&["virtio_pci", "virtio_scsi", "sd_mod"])`, `-device virtio-scsi-pci`, and
//! `-device scsi-hd,drive=...`; they are there some moments after the modules.
//!
//! It runs without hardware help wherever it is, since not every machine that has /dev/kvm lets guests run on it:
//! some seconds to boot, and everything in it some twenty times as slow. Disks of some MiB keep it quick.
//!
//! Needs QEMU (qemu-system-x86), busybox (busybox-static), and `ci/guest-kernel`, which fetches the kernel once.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{pause, run, tool};

/// Longest time that a guest may take.
const RUN_MAX: std::time::Duration = std::time::Duration::from_secs(240);

/// A machine that is yet to boot.
pub struct Guest {
    kernel: PathBuf,
    modules: Vec<String>,
    /// Mode and bytes.
    files: BTreeMap<String, (u32, Vec<u8>)>,
    arguments: Vec<OsString>,
    disks: usize,
}

impl Guest {
    /// Makes a machine with busybox and nothing else. The kernel is kept in `cache`, where all guests may share it.
    pub fn new(cache: &Path) -> Guest {
        let kernel = cache.join("guest-kernel");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ci/guest-kernel");
        run(Command::new(script).arg(&kernel));
        let guest =
            Guest { kernel, modules: Vec::new(), files: BTreeMap::new(), arguments: Vec::new(), disks: 0 };
        let busybox = find("busybox", "busybox-static");
        // Busybox's own shell prefers busybox's own programs to all others.
        let guest = guest.program("/bin/busybox", &busybox).program("/bin/sh", &find("dash", "dash"));
        guest.script("/init", INIT).script("/sbin/modprobe", MODPROBE)
    }

    /// Has modules loaded at the start, in this order. Others can be loaded by `modprobe NAME PARAMETER=VALUE...` in the
    /// script, if they are named in it.
    pub fn modules(mut self, names: &[&str]) -> Guest {
        self.modules.extend(names.iter().map(|name| plain(name)));
        self
    }

    /// Takes a program of this machine along, with the libraries that it needs. `package` is where it comes from.
    pub fn tool(self, name: &str, package: &str) -> Guest {
        let path = find(name, package);
        self.program(&format!("/usr/bin/{name}"), &path)
    }

    /// Takes a program along under another name.
    pub fn program(mut self, place: &str, path: &Path) -> Guest {
        self.add(place, 0o755, read(path));
        // Programs without libraries have nothing to tell.
        let output = Command::new("ldd").arg(path).output();
        let libraries = output.unwrap_or_else(|e| panic!("ldd cannot be run (Debian package libc-bin): {e}"));
        for word in String::from_utf8_lossy(&libraries.stdout).split_whitespace() {
            if word.starts_with('/') && !self.files.contains_key(word) {
                self.add(word, 0o755, read(Path::new(word)));
            }
        }
        self
    }

    /// Puts a file there.
    pub fn file(mut self, place: &str, bytes: impl AsRef<[u8]>) -> Guest {
        self.add(place, 0o644, bytes.as_ref().to_vec());
        self
    }

    /// Connects a raw image as a disk, /dev/vda and so on, which the guest may write to.
    pub fn disk(self, image: &Path) -> Guest {
        let number = self.disks;
        let name = image.to_str().expect("a name that QEMU can read").replace(',', ",,");
        let drive = format!("file={name},format=raw,if=none,id=disk{number},cache=unsafe");
        let device = format!("virtio-blk-pci,drive=disk{number}");
        let mut guest = self.arguments(&["-drive", &drive, "-device", &device]);
        guest.disks += 1;
        match number {
            0 => guest.modules(&["virtio_pci", "virtio_blk"]),
            _ => guest,
        }
    }

    /// Gives QEMU more arguments.
    pub fn arguments(mut self, arguments: &[&str]) -> Guest {
        self.arguments.extend(arguments.iter().map(OsString::from));
        self
    }

    /// Boots, lets a shell run `script`, and returns what that said. Panics if the script fails, or nothing comes of it.
    pub fn run(mut self, script: &str) -> String {
        self.add("/script", 0o755, script.as_bytes().to_vec());
        let start: String = self.modules.iter().map(|name| format!("modprobe {name} || exit\n")).collect();
        self.add("/start", 0o755, start.into_bytes());
        self.add_modules(script);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [root, console, said] = ["root", "console", "said"].map(|name| folder.path().join(name));
        fs::write(&root, self.archive()).expect("room for the guest's files");
        let mut command = tool("qemu-system-x86_64", "qemu-system-x86");
        command
            .args(["-accel", "tcg,thread=multi", "-machine", "pc", "-cpu", "max", "-m", "384", "-nodefaults"])
            .args(["-display", "none", "-no-reboot", "-kernel"])
            .arg(self.kernel.join("vmlinux"))
            .arg("-initrd")
            .arg(&root)
            .args(["-append", "console=ttyS0 loglevel=1 panic=-1 random.trust_cpu=on mitigations=off"])
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .arg("-serial")
            .arg(format!("file:{}", said.display()))
            .args(&self.arguments)
            .stdin(Stdio::null());
        let errors = fs::File::create(folder.path().join("errors")).expect("a file");
        let mut child =
            command.stderr(errors).spawn().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
        let step = std::time::Duration::from_millis(20);
        let mut ended = None;
        for _ in 0..RUN_MAX.as_millis() / step.as_millis() {
            ended = child.try_wait().expect("the child is ours");
            if ended.is_some() {
                break;
            }
            pause(step);
        }
        if ended.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let text = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        let (said, console) = (text(&said), text(&console));
        match said.strip_suffix(DONE) {
            Some(said) => said.to_owned(),
            None => panic!(
                "the guest's script failed ({ended:?}).\nIt said: {said}\nIts console: {console}\nQEMU said: {}",
                text(&folder.path().join("errors"))
            ),
        }
    }

    fn script(mut self, place: &str, text: &str) -> Guest {
        self.add(place, 0o755, text.as_bytes().to_vec());
        self
    }

    fn add(&mut self, place: &str, mode: u32, bytes: Vec<u8>) {
        self.files.insert(place.to_owned(), (mode, bytes));
    }

    /// Takes along all modules that are loaded at the start or named in a script, with those that they need.
    fn add_modules(&mut self, script: &str) {
        let known: BTreeSet<String> = fs::read_dir(self.kernel.join("modules"))
            .expect("the kernel's modules")
            .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".ko")?.to_owned()))
            .collect();
        let texts = self.files.values().filter(|(_, bytes)| bytes.starts_with(b"#!"));
        let texts: Vec<String> =
            texts.map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect();
        let words = texts.iter().map(String::as_str).chain([script]).flat_map(|text| {
            // What follows `modprobe`.
            text.split("modprobe ").skip(1).filter_map(|rest| rest.split_whitespace().next())
        });
        let named = words.map(plain).filter(|name| known.contains(name));
        let wanted: Vec<String> = self.modules.iter().cloned().chain(named).collect();
        for name in wanted {
            assert!(known.contains(&name), "the kernel has no module {name}");
            let mut order = Vec::new();
            self.order(&name, &mut order);
            for module in &order {
                let bytes = read(&self.module_file(module));
                self.add(&format!("/modules/{module}.ko"), 0o644, bytes);
            }
            order.pop();
            self.add(&format!("/modules/{name}.needs"), 0o644, order.join(" ").into_bytes());
        }
    }

    fn module_file(&self, name: &str) -> PathBuf {
        self.kernel.join("modules").join(format!("{name}.ko"))
    }

    /// What must be loaded, the last one being `name`.
    fn order(&self, name: &str, order: &mut Vec<String>) {
        if order.iter().any(|known| known == name) {
            return;
        }
        for needed in needs(&read(&self.module_file(name))) {
            // What is built into the kernel has no file.
            if self.module_file(&needed).exists() {
                self.order(&needed, order);
            }
        }
        order.push(name.to_owned());
    }

    /// All files as a cpio archive of the format "newc" (Documentation/driver-api/early-userspace/buffer-format.rst).
    fn archive(&self) -> Vec<u8> {
        let mut archive = Vec::new();
        let mut folders = BTreeSet::from(
            ["bin", "busybox", "dev", "proc", "sys", "tmp", "modules", "mnt", "root"].map(str::to_owned),
        );
        for place in self.files.keys() {
            let place = Path::new(place.trim_start_matches('/'));
            let above = place.ancestors().skip(1).map(|folder| folder.to_string_lossy().into_owned());
            folders.extend(above.filter(|folder| !folder.is_empty()));
        }
        // Shorter names come first, so that each folder is there before what is in it.
        let entries = folders.iter().map(|folder| (folder.as_str(), 0o040_755, &[][..]));
        let files = self.files.iter().map(|(place, (mode, bytes))| {
            (place.trim_start_matches('/'), 0o100_000 | *mode, bytes.as_slice())
        });
        for (number, (name, mode, bytes)) in entries.chain(files).enumerate() {
            push_entry(&mut archive, number + 1, name, mode, bytes);
        }
        push_entry(&mut archive, 0, "TRAILER!!!", 0, &[]);
        archive
    }
}

fn push_entry(archive: &mut Vec<u8>, number: usize, name: &str, mode: u32, bytes: &[u8]) {
    let header = format!(
        "070701{number:08x}{mode:08x}{:016x}{:08x}{:08x}{:08x}{:032x}{:08x}{:08x}",
        0,
        1,
        0,
        bytes.len(),
        0,
        name.len() + 1,
        0
    );
    let align = |archive: &mut Vec<u8>| archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend_from_slice(header.as_bytes());
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    align(archive);
    archive.extend_from_slice(bytes);
    align(archive);
}

/// Modules that a module needs, as it says in its section `.modinfo`.
fn needs(module: &[u8]) -> Vec<String> {
    let mark = b"\0depends=";
    let Some(at) = module.windows(mark.len()).position(|window| window == mark) else { return Vec::new() };
    let rest = &module[at + mark.len()..];
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    let names = String::from_utf8_lossy(&rest[..end]).into_owned();
    names.split(',').filter(|name| !name.is_empty()).map(plain).collect()
}

fn plain(name: &str) -> String {
    name.replace('-', "_")
}

fn find(name: &str, package: &str) -> PathBuf {
    let path = PathBuf::from(tool(name, package).get_program());
    let mode = fs::metadata(&path).map(|metadata| metadata.permissions().mode()).unwrap_or(0);
    assert!(mode & 0o111 != 0, "{} is no program", path.display());
    path
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
}

/// What is said behind a script that went well.
const DONE: &str = "\nguest: done\n";

const INIT: &str = r#"#!/bin/sh
/bin/busybox --install -s /busybox
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/busybox HOME=/tmp
# Nobody here makes nodes but the kernel and those who know that they must.
export DM_DISABLE_UDEV=1
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
# What is said goes out as it is.
stty -F /dev/ttyS1 raw
. /start
cd /tmp
if sh /script >/dev/ttyS1 ; then
  printf '\nguest: done\n' >/dev/ttyS1
fi
reboot -f
"#;

/// Loads a module and what it needs; the parameters are the module's.
const MODPROBE: &str = r#"#!/bin/sh
name=$(echo "$1" | tr - _)
shift
[ -e "/modules/$name.ko" ] || { echo "modprobe: $name was not taken along" >&2 ; exit 1 ; }
for needed in $(cat "/modules/$name.needs") ; do
  [ -d "/sys/module/$needed" ] || insmod "/modules/$needed.ko" || exit
done
[ -d "/sys/module/$name" ] || insmod "/modules/$name.ko" "$@" || exit
# Its settings lie in a file system of their own.
if [ -d /sys/kernel/config ] && ! grep -q /sys/kernel/config /proc/mounts ; then
  mount -t configfs config /sys/kernel/config
fi
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_tell_what_they_need() {
        assert_eq!(needs(b"x\0license=GPL\0depends=dm-mod,crc-t10dif\0name=y\0"), ["dm_mod", "crc_t10dif"]);
        assert!(needs(b"x\0depends=\0name=y\0").is_empty());
        assert!(needs(b"x").is_empty());
    }

    #[test]
    fn archives_are_what_a_kernel_unpacks() {
        let mut archive = Vec::new();
        push_entry(&mut archive, 7, "a/b", 0o100_644, b"hello");
        assert_eq!(archive.len() % 4, 0);
        assert_eq!(&archive[..14], b"07070100000007");
        assert_eq!(&archive[14..22], b"000081a4");
        assert_eq!(&archive[54..62], b"00000005", "its size");
        assert_eq!(&archive[94..102], b"00000004", "the length of its name and a zero");
        assert_eq!(&archive[110..116], b"a/b\0\0\0");
        assert_eq!(&archive[116..], b"hello\0\0\0");
    }
}
