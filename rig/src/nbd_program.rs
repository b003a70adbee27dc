//! Other people's servers of network block devices.
//!
//! Owns one helper program and its socket. Must not know who connects.

use std::ffi::OsStr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::{end, tool, wait_until};

/// A running server.
#[derive(Debug)]
pub struct NbdProgram {
    child: Child,
    socket: PathBuf,
}

impl NbdProgram {
    /// Runs nbdkit on `socket` with more words, such as `["memory", "1M"]`.
    pub fn nbdkit<W: AsRef<OsStr>>(socket: &Path, words: impl IntoIterator<Item = W>) -> NbdProgram {
        let mut command = tool("nbdkit", "nbdkit");
        command.args(["--foreground", "--exit-with-parent", "--unix"]).arg(socket).args(words);
        NbdProgram::run(command, socket)
    }

    /// Runs qemu-nbd on `socket` with more words, such as the name of an image.
    pub fn qemu<W: AsRef<OsStr>>(socket: &Path, words: impl IntoIterator<Item = W>) -> NbdProgram {
        tool("qemu-nbd", "qemu-utils");
        // It has no option to end with the test that started it.
        let mut command = tool("setpriv", "util-linux");
        command.args(["--pdeathsig", "TERM", "qemu-nbd", "--persistent", "--shared=0", "--read-only"]);
        command.arg("--socket").arg(socket).args(words);
        NbdProgram::run(command, socket)
    }

    fn run(mut command: Command, socket: &Path) -> NbdProgram {
        // What a killed one left there is nobody's.
        let _ = std::fs::remove_file(socket);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
        wait_until("the server does not open its socket", || {
            let ended = child.try_wait().ok().flatten();
            assert!(ended.is_none(), "{command:?} ends at once");
            UnixStream::connect(socket).is_ok()
        });
        NbdProgram { child, socket: socket.to_owned() }
    }

    /// Its address.
    pub fn uri(&self) -> String {
        format!("nbd+unix:///?socket={}", self.socket.display())
    }

    /// Ends it at once, as a crash does.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for NbdProgram {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}
