//! Disks that are served, watched and meddled with: `--control`, `--log`, `serve --replay`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A server in a folder of its own.
struct Served {
    folder: tempfile::TempDir,
    child: Child,
}

impl Served {
    fn start(words: &[&str]) -> Served {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_diskwright"));
        command.current_dir(folder.path()).args([
            "serve",
            "-U",
            "nbd",
            "--control",
            "orders",
            "--log",
            "log",
        ]);
        let mut child = command.args(words).stdout(Stdio::piped()).spawn().expect("a server");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        assert!(line.starts_with("listening nbd+unix:"), "{line}");
        Served { folder, child }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn uri(&self) -> String {
        format!("nbd+unix:///?socket={}", self.path("nbd").display())
    }

    fn order(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_diskwright"));
        command.arg("control").arg(self.path("orders")).args(words).output().expect("an order")
    }

    fn told(&self, words: &[&str]) -> Value {
        let output = self.order(words);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Copies the whole disk; whether all of it came.
    fn copy(&self) -> bool {
        let target = self.path("copy");
        let status = Command::new("nbdcopy").arg(self.uri()).arg(target).stderr(Stdio::null()).status();
        status.expect("nbdcopy (package libnbd-bin)").success()
    }

    /// Ends it, and repeats its log.
    fn end_and_replay(mut self) -> Output {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).expect("a server");
        assert_eq!(self.child.wait().expect("a server").code(), Some(0));
        assert!(!self.path("orders").exists() && !self.path("nbd").exists(), "sockets go with their server");
        replay(&self.path("log"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn replay(log: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_diskwright"));
    command.args(["serve", "--replay"]).arg(log).output().expect("a repetition")
}

#[test]
fn what_clients_met_is_repeated_from_the_log_levers_and_all() {
    let served = Served::start(&["--pace=instant", "dead-head-small"]);
    assert!(!served.copy(), "a dead head");
    assert_eq!(served.told(&["state"])["power"], "ready");
    assert!(served.told(&["state"])["errors"].as_u64().is_some_and(|errors| errors > 0));
    let truth = served.told(&["truth"]);
    assert!(truth["recoverable_bytes"].as_u64() < truth["size_bytes"].as_u64());
    served.told(&["kill-head", "1"]);
    assert!(!served.copy());
    served.told(&["vanish"]);
    assert_eq!(served.told(&["state"])["power"], "gone");
    assert!(!served.copy());
    served.told(&["return"]);
    served.told(&["reset"]);
    assert!(!served.copy());
    let log = std::fs::read_to_string(served.path("log")).expect("a log");
    assert!(log.lines().count() > 20);
    let repeated = served.end_and_replay();
    let text = String::from_utf8_lossy(&repeated.stdout).into_owned();
    assert!(text.ends_with("all answered as they were\n"), "{text}");
    assert_eq!(repeated.status.code(), Some(0));
    // Another time, and the repetition says where.
    let folder = tempfile::tempdir().expect("a folder");
    let changed = folder.path().join("log");
    let at = log.find("\"done_ns\":").expect("an answer") + "\"done_ns\":".len();
    std::fs::write(&changed, format!("{}1{}", &log[..at], &log[at..])).expect("a file");
    let repeated = replay(&changed);
    assert_eq!(repeated.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&repeated.stdout).starts_with("line "), "{repeated:?}");
    std::fs::write(&changed, "not a log\n").expect("a file");
    assert_eq!(replay(&changed).status.code(), Some(5));
    assert_eq!(replay(&folder.path().join("missing")).status.code(), Some(4));
}

#[test]
fn real_paces_and_several_disks_repeat_too() {
    let served = Served::start(&["--pace=1000", "one-sector-small", "dead-head-small"]);
    served.copy();
    let uri = format!("nbd+unix:///dead-head-small@5?socket={}", served.path("nbd").display());
    let copied = Command::new("nbdcopy").arg(uri).arg(served.path("other")).stderr(Stdio::null()).status();
    copied.expect("nbdcopy (package libnbd-bin)");
    let order = served.order(&["--export", "dead-head-small@5", "state"]);
    let state: Value = serde_json::from_slice(&order.stdout).expect("JSON");
    assert_eq!(state["seed"], 5);
    let repeated = served.end_and_replay();
    let text = String::from_utf8_lossy(&repeated.stdout).into_owned();
    assert!(text.contains("to 3 disks: all answered as they were"), "{text}");
}

#[test]
fn orders_that_cannot_be_obeyed_say_why() {
    let served = Served::start(&["--pace=instant", "dead-head-small"]);
    let status = |words: &[&str], text: &str| {
        let output = served.order(words);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(text), "{words:?}: {told}");
        output.status.code()
    };
    assert_eq!(status(&["explode"], "power-cycle"), Some(2));
    assert_eq!(status(&["kill-head"], "number of a head"), Some(2));
    assert_eq!(status(&["kill-head", "99"], "there is no head 99"), Some(4));
    assert_eq!(status(&["return"], "the drive is there"), Some(4));
    assert_eq!(status(&["--export", "other", "state"], "nothing of this name"), Some(4));
    let output = Command::new(env!("CARGO_BIN_EXE_diskwright"))
        .args(["control", "/nonexistent/orders", "state"])
        .output()
        .expect("an order");
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--control"));
}

#[test]
fn a_mounted_disk_takes_orders_and_keeps_a_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let inside = |name: &str| folder.path().join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_diskwright"));
    command.current_dir(folder.path()).args(["mount", "dead-head-small", "disk", "--pace=instant"]);
    command.args(["--control", "orders", "--log", "log", "--run"]);
    let program = env!("CARGO_BIN_EXE_diskwright");
    command.arg(format!(
        "dd if=\"$file\" of=copy bs=64k count=40 conv=noerror 2>/dev/null; {program} control orders state > state"
    ));
    assert!(command.status().expect("a mount").success());
    let state: Value =
        serde_json::from_slice(&std::fs::read(inside("state")).expect("a file")).expect("JSON");
    assert!(state["commands"].as_u64().is_some_and(|commands| commands > 0), "{state}");
    assert!(!inside("orders").exists());
    assert_eq!(replay(&inside("log")).status.code(), Some(0));
}
