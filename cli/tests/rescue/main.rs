//! `diskwright rescue` on files and devices that fail: run as a user would run it.

mod crashes;
mod devices;
mod journal;
mod network;
mod refusals;
mod sharing;
mod simulated;
mod strategies;
mod trouble;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use map::{Mapfile, Status};
use tempfile::TempDir;

/// A folder for one rescue and what it leaves there.
struct Bench {
    folder: TempDir,
}

/// How a rescue ended.
struct Ended {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Bench {
    fn new() -> Bench {
        Bench { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn image(&self) -> PathBuf {
        self.path("image")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_diskwright"));
        command.current_dir(self.folder.path()).env("HOME", self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs `diskwright rescue` with `options` from `source` into the image.
    fn rescue(&self, source: &Path, options: &[&str]) -> Ended {
        let mut command = self.command();
        command.arg("rescue").args(options).arg(source).arg("image");
        Ended::of(command.output().expect("diskwright runs"))
    }

    /// The map it left.
    fn map(&self) -> Mapfile {
        let text = std::fs::read(self.path("image.map")).expect("a map");
        Mapfile::parse(&text).expect("a map that can be read")
    }

    /// Whether a map was saved that promises something.
    fn has_saved(&self) -> bool {
        self.path("image.map").exists() && self.map().map.blocks().any(|b| b.status == Status::Finished)
    }

    /// Ranges in the map that are not finished.
    fn missing(&self) -> Vec<(u64, u64, Status)> {
        let blocks = self.map().map;
        blocks
            .blocks()
            .filter(|b| b.status != Status::Finished)
            .map(|b| (b.range.start().bytes(), b.range.length(), b.status))
            .collect()
    }

    /// Waits until nobody writes to the image any more: who is killed may still be leaving.
    fn wait_for_the_last_writer(&self) {
        if let Ok(image) = std::fs::File::open(self.image()) {
            image.lock().expect("a lock");
        }
    }

    /// Every byte that the map calls finished is the source's in the image. Returns how many they are.
    fn check_promises(&self, content: rig::Content) -> u64 {
        let image = std::fs::read(self.image()).unwrap_or_default();
        let mut bytes = 0;
        for block in self.map().map.blocks().filter(|b| b.status == Status::Finished) {
            let (from, length) = (block.range.start().bytes(), block.range.length() as usize);
            let there = image.get(from as usize..from as usize + length);
            assert!(there == Some(&content.bytes(from, length)[..]), "a false + at {}", block.range);
            bytes += length as u64;
        }
        bytes
    }
}

impl Ended {
    fn of(output: Output) -> Ended {
        Ended {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails with everything that was said unless the exit status is `status`.
    #[track_caller]
    fn expect(self, status: i32) -> Ended {
        assert_eq!(self.status, Some(status), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    fn says(&self, text: &str) {
        assert!(self.stderr.contains(text), "nothing says {text:?}:\n{}", self.stderr);
    }
}
