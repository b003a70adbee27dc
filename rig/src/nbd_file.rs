//! A failing file made of other people's tools: nbdkit's `ddrescue` filter seen through nbdfuse.
//!
//! Owns two helper programs and the log of what was asked of them. Must not know who reads. The page cache
//! lies over it: open it with O_DIRECT, or set a [`crate::LoopDevice`] over it, to have each request fail whole and alone,
//! always with EIO. For other errors use [`crate::FaultyFile`].

use std::fmt::Write;
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use tempfile::TempDir;

use crate::{end, is_mounted, tool, wait_until};

/// An image served as a file of which some ranges cannot be read.
#[derive(Debug)]
pub struct NbdFile {
    folder: TempDir,
    server: Child,
    mount: Child,
}

impl NbdFile {
    /// Serves `image` without the bytes in `bad`, which must be in order and apart.
    pub fn over(image: &Path, bad: &[Range<u64>]) -> NbdFile {
        let folder = tempfile::Builder::new()
            .prefix("diskwright-rig.")
            .tempdir()
            .unwrap_or_else(|e| panic!("cannot make a temporary folder: {e}"));
        let size = std::fs::metadata(image)
            .unwrap_or_else(|e| panic!("cannot see the image {}: {e}", image.display()))
            .len();
        let at = |name: &str| folder.path().join(name);
        let make = |name: &str, text: &str| {
            std::fs::write(at(name), text).unwrap_or_else(|e| panic!("cannot write {name}: {e}"));
        };
        make("bad.map", &mapfile(size, bad));
        make("disk", "");
        let option = |name: &str, value: PathBuf| format!("{name}={}", value.display());
        let server = tool("nbdkit", "nbdkit")
            .args(["--foreground", "--exit-with-parent", "--read-only", "--unix"])
            .arg(at("socket"))
            .args(["--filter=log", "--filter=ddrescue", "file"])
            .arg(image)
            .arg(option("ddrescue-mapfile", at("bad.map")))
            .arg(option("logfile", at("log")))
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot run nbdkit: {e}"));
        // The name is there a moment before anybody listens.
        wait_until("nbdkit does not open its socket", || UnixStream::connect(at("socket")).is_ok());
        tool("nbdfuse", "libnbd-bin");
        // Unlike nbdkit it has no option to end with the test that started it.
        let mount = tool("setpriv", "util-linux")
            .args(["--pdeathsig", "TERM", "nbdfuse", "--readonly"])
            .arg(at("disk"))
            .arg(format!("nbd+unix:///?socket={}", at("socket").display()))
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot run nbdfuse: {e}"));
        wait_until("nbdfuse does not mount its file", || is_mounted(&at("disk")));
        NbdFile { folder, server, mount }
    }

    /// The file that fails.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// Every read that has reached the server so far, in the order in which they came.
    pub fn requests(&self) -> Vec<Range<u64>> {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        log.lines().filter_map(request).collect()
    }
}

impl Drop for NbdFile {
    fn drop(&mut self) {
        // The mount first: without a server it would answer EIO to everybody who still reads.
        end(&mut self.mount);
        end(&mut self.server);
    }
}

/// A mapfile in which `bad` is bad and the rest is finished.
fn mapfile(size: u64, bad: &[Range<u64>]) -> String {
    let mut text = String::from("0x0 + 1\n");
    let mut block = |range: Range<u64>, status: char| {
        if range.start < range.end {
            let _ = writeln!(text, "{:#x} {:#x} {status}", range.start, range.end - range.start);
        }
    };
    let mut at = 0;
    for range in bad {
        assert!(at <= range.start, "the bad ranges must be in order and apart");
        block(at..range.start, '+');
        block(range.clone(), '-');
        at = range.end;
    }
    block(at..size.max(at), '+');
    text
}

/// Reads one line of the log, such as `... connection=1 Read id=3 offset=0x200 count=0x400 ...`.
fn request(line: &str) -> Option<Range<u64>> {
    let (_, line) = line.split_once(" Read ")?;
    let number = |name: &str| {
        let text = line.split(' ').find_map(|field| field.strip_prefix(name))?;
        u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
    };
    let at = number("offset=")?;
    Some(at..at + number("count=")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Content, LoopDevice};
    use std::os::unix::fs::{FileExt, OpenOptionsExt};

    #[test]
    fn a_bad_range_fails_and_its_neighbours_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        Content::new(1).write_image(&image, 64 << 10);
        let served = NbdFile::over(&image, &[1024..1536, 8192..9216]);
        let device = LoopDevice::over(&served.path());
        let direct = nix::libc::O_DIRECT;
        let file = std::fs::File::options().read(true).custom_flags(direct).open(device.path()).unwrap();
        let mut memory = vec![0; 1024];
        let start = memory.as_ptr().align_offset(512);
        let sector = &mut memory[start..start + 512];
        for (at, good) in [(0, true), (512, true), (1024, false), (1536, true), (8704, false), (9216, true)] {
            assert_eq!(file.read_at(sector, at).is_ok(), good, "sector at {at}");
            if good {
                assert_eq!(sector[..], Content::new(1).bytes(at, 512));
            }
            assert!(served.requests().contains(&(at..at + 512)), "{:?}", served.requests());
        }
    }

    #[test]
    fn a_line_of_the_log_is_understood() {
        let line = "2024-01-01 00:00:00.000000 connection=1 Read id=2 offset=0x200 count=0x400 ...";
        assert_eq!(request(line), Some(0x200..0x600));
        assert_eq!(request("connection=1 ...Read id=2 return=0"), None);
    }
}
