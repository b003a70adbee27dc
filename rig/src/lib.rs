//! Real devices that fail on purpose, for tests.
//!
//! Owns the setting up and, on drop, the taking down of files, mounts and block devices that misbehave as told. Must not
//! know anything of the crates under test: damage is a list of ranges here, an error is a number.
//!
//! Everything here needs root, and tools that `ci/check` installs. A missing tool is a panic that names it, never a
//! skipped test.
//!
//! **Order.** What lies on top must go first: file descriptors, then the [`LoopDevice`], then the [`FaultyFile`] or
//! [`NbdFile`] under it. Local variables are dropped in the reverse of the order they were made in, so a test that makes
//! them from the bottom up is right by itself. Struct fields go the other way round: declare the top first.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::Duration;

pub mod content;
pub mod faulty_destination;
pub mod faulty_file;
mod fuse;
pub mod guest;
pub mod kill;
pub mod loop_device;
pub mod mount;
pub mod nbd_file;
pub mod nbd_program;
pub mod nbd_script;

pub use content::Content;
pub use faulty_destination::{Deed, FaultyDestination};
pub use faulty_file::{Across, BadRange, FaultyFile, FaultyFileOptions, Request};
pub use guest::Guest;
pub use kill::{Ended, moment, run_and_kill};
pub use loop_device::{LoopDevice, LoopOptions};
pub use mount::Mount;
pub use nbd_file::NbdFile;
pub use nbd_program::NbdProgram;
pub use nbd_script::{Act, Asked, NbdScript, ScriptOptions};

/// Longest time that setting something up may take.
const SET_UP_MAX: Duration = Duration::from_secs(30);

/// Lets `pause` of real time pass.
pub fn pause(pause: Duration) {
    let timeout = nix::sys::time::TimeSpec::from_duration(pause);
    let _ = nix::poll::ppoll(&mut [], Some(timeout), None);
}

/// Waits until `condition` holds; panics with `what` after half a minute.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let step = Duration::from_millis(2);
    for _ in 0..SET_UP_MAX.as_millis() / step.as_millis() {
        if condition() {
            return;
        }
        pause(step);
    }
    panic!("waited {} s in vain: {what}", SET_UP_MAX.as_secs());
}

/// Makes a command, after making sure that it exists.
fn tool(name: &str, package: &str) -> Command {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&folders).collect();
    places.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let found = places.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    let Some(path) = found else {
        panic!("this test needs the program '{name}' (Debian package {package}); ci/check installs it")
    };
    Command::new(path)
}

/// Runs a command to its end; panics with its words if it fails.
fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    let errors = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?} failed with {status}: {errors}");
    String::from_utf8_lossy(&stdout).trim().to_owned()
}

/// Ends a helper program in the friendly way, and waits for it.
fn end(child: &mut Child) {
    let id = nix::unistd::Pid::from_raw(child.id() as i32);
    // A child that has ended already is not an error; wait() collects it.
    let _ = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM);
    let _ = child.wait();
}

/// Whether something is mounted at `path`.
fn is_mounted(path: &Path) -> bool {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let name = path.to_string_lossy();
    table.lines().any(|line| line.split(' ').nth(4) == Some(&*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "needs the program 'no-such-tool' (Debian package nothing)")]
    fn a_missing_tool_is_named() {
        tool("no-such-tool", "nothing");
    }

    #[test]
    #[should_panic(expected = "failed with exit status: 1")]
    fn a_failing_tool_is_a_panic() {
        run(&mut tool("false", "coreutils"));
    }
}
