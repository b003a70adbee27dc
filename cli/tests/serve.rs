//! `diskwright serve` as a person, a script or a service manager meets it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use block::{Clock, Nanos, WallClock};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const DISKWRIGHT: &str = env!("CARGO_BIN_EXE_diskwright");

/// A folder to serve from.
struct Folder(tempfile::TempDir);

/// A server at work.
struct Server {
    child: Child,
    folder: PathBuf,
}

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(DISKWRIGHT);
        command.arg("serve").args(arguments).current_dir(self.0.path());
        for name in ["LISTEN_PID", "LISTEN_FDS", "NOTIFY_SOCKET"] {
            command.env_remove(name);
        }
        command
    }

    /// Starts a server, and waits until clients can connect.
    fn serve(&self, arguments: &[&str]) -> Server {
        let mut command = self.command(arguments);
        command.args(["-P", "pid"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let mut server = Server { child, folder: self.0.path().to_owned() };
        wait_until("clients can connect", || {
            assert!(server.child.try_wait().unwrap().is_none(), "{}", server.complaint());
            self.path("pid").exists()
        });
        assert_eq!(fs::read_to_string(self.path("pid")).unwrap(), format!("{}\n", server.child.id()));
        server
    }

    /// Runs to the end.
    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Exit status and what is said of it.
    fn failure(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    fn image(&self, name: &str) -> Vec<u8> {
        let bytes: Vec<u8> = (0..1u32 << 20).map(|at| (at % 251) as u8).collect();
        fs::write(self.path(name), &bytes).unwrap();
        bytes
    }
}

impl Server {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    fn complaint(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    /// Waits for the end; returns exit status, standard output and standard error.
    fn end(mut self) -> (Option<i32>, String, String) {
        let mut text = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        let complaint = self.complaint();
        (self.child.wait().unwrap().code(), text, complaint)
    }

    fn uri(&self, export: &str) -> String {
        format!("nbd+unix:///{export}?socket={}/socket", self.folder.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = WallClock::new();
    let start = clock.now();
    while !is_so() {
        assert!(clock.now().since(start) < Nanos::from_secs(100), "it never happens that {what}");
        clock.sleep(Nanos::from_millis(5));
    }
}

/// What a program prints that is satisfied.
fn text(program: &str, arguments: &[&dyn AsRef<OsStr>]) -> String {
    let mut command = Command::new("timeout");
    command.args(["100", program]).args(arguments.iter().map(|argument| argument.as_ref()));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a script of libnbd's shell.
fn script(uri: &str, lines: &str) -> String {
    let start = format!("import nbd\nuri = {uri:?}\nh = nbd.NBD()\n");
    text("/usr/bin/python3", &[&"-c", &format!("{start}{lines}")])
}

fn size(uri: &str) -> String {
    text("nbdinfo", &[&"--size", &uri]).trim().to_owned()
}

#[test]
fn a_server_serves_until_it_is_told_to_end() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let folder = Folder::new();
        let server = folder.serve(&["clean-small", "-U", "socket", "--pace=instant"]);
        assert_ne!(size(&server.uri("")), "0");
        server.signal(signal);
        let (status, said, complaint) = server.end();
        let expected = format!("listening nbd+unix:///?socket={}\n", folder.path("socket").display());
        assert_eq!((status, said, complaint), (Some(0), expected, String::new()));
        let left: Vec<_> = fs::read_dir(folder.0.path()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn a_server_under_load_ends_a_hundred_times() {
    // CVE-2015-0847.
    for round in 0..100 {
        let folder = Folder::new();
        let server = folder.serve(&["clean-small", "-U", "socket", "--pace=instant"]);
        let load = "h.connect_uri(uri)\nprint('x', flush=True)\nwhile True: h.pread(65536, 0)";
        let lines = format!("import nbd\nuri = {:?}\nh = nbd.NBD()\n{load}", server.uri(""));
        let mut client = Command::new("/usr/bin/python3");
        client.args(["-c", &lines]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut client = client.spawn().unwrap();
        client.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        server.signal(Signal::SIGTERM);
        let (status, _, complaint) = server.end();
        assert_eq!((status, complaint), (Some(0), String::new()), "round {round}");
        assert!(!client.wait().unwrap().success(), "it is left");
    }
}

#[test]
fn requests_that_would_take_days_are_given_up_at_the_end() {
    let folder = Folder::new();
    // A second of the disk takes eleven days.
    let server = folder.serve(&["clean-small", "-U", "socket", "--pace=0.000001"]);
    let lines = "
h.connect_uri(uri)
print('x', flush=True)
try: h.pread(512, 1 << 20)
except nbd.Error as e: print(e.errno)
";
    let lines = format!("import nbd\nuri = {:?}\nh = nbd.NBD()\n{lines}", server.uri(""));
    let mut client =
        Command::new("/usr/bin/python3").args(["-c", &lines]).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(client.stdout.take().unwrap());
    said.read_line(&mut String::new()).unwrap();
    // The request is on its way, or will be refused: it is told the same.
    server.signal(Signal::SIGTERM);
    let mut error = String::new();
    said.read_line(&mut error).unwrap();
    assert!(["ESHUTDOWN\n", "ENOTCONN\n"].contains(&error.as_str()), "{error:?}");
    assert_eq!(server.end().0, Some(0));
    client.wait().unwrap();
}

#[test]
fn a_port_that_is_free_is_found_and_told() {
    let folder = Folder::new();
    let mut server = folder.serve(&["clean-small", "-p", "0", "--pace=instant"]);
    let mut said = BufReader::new(server.child.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let uri = line.strip_prefix("listening ").unwrap().trim();
    assert!(uri.starts_with("nbd://127.0.0.1:"), "{uri}");
    assert_ne!(size(uri), "0");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_socket_that_nobody_answers_is_replaced_and_any_other_is_not() {
    let folder = Folder::new();
    let path = folder.path("socket");
    drop(UnixListener::bind(&path).unwrap());
    let server = folder.serve(&["clean-small", "-U", "socket", "--pace=instant"]);
    let (status, complaint) = folder.failure(&["clean-small", "-U", "socket"]);
    assert_eq!(status, 2);
    assert!(complaint.contains("another server listens there"), "{complaint}");
    assert_ne!(size(&server.uri("")), "0");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.end().0, Some(0));
    fs::write(&path, "precious").unwrap();
    let (status, complaint) = folder.failure(&["clean-small", "-U", "socket"]);
    assert_eq!((status, fs::read_to_string(&path).unwrap().as_str()), (2, "precious"), "{complaint}");
    let (status, _) = folder.failure(&["clean-small", "-U", "no/such/folder/socket"]);
    assert_eq!(status, 4);
}

#[test]
fn a_command_is_run_for_and_ended_with() {
    let folder = Folder::new();
    let line = "nbdinfo --size \"$uri\" && test -S \"$unixsocket\" && echo \"$unixsocket\" && exit 7";
    let output = folder.run(&["clean-small", "--pace=instant", "--run", line]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(7), "{said}");
    let socket = said.lines().nth(1).unwrap();
    assert!(!Path::new(socket).parent().unwrap().exists(), "{socket} is left");
    let output = folder.run(&["clean-small", "-p", "0", "--run", "nbdinfo --size nbd://localhost:$port/"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    // A command that is still there when the server is told to end is told, too.
    let server = folder.serve(&["clean-small", "--run", "exec sleep 1000"]);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.end().0, Some(128 + 15));
}

#[test]
fn one_client_is_served_on_standard_input_and_output() {
    let folder = Folder::new();
    let arguments = format!("[{DISKWRIGHT:?}, 'serve', 'clean-small', '--stdio', '--pace=instant']");
    let lines = format!("h.connect_command({arguments})\nprint(len(h.pread(4096, 0)))\nh.shutdown()");
    assert_eq!(script("", &lines), "4096\n");
    // Pipes, and their end.
    let output = folder.run(&["clean-small", "--stdio"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 18), "the greeting, and that was it");
    let mut child = folder.command(&["clean-small", "--stdio"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 18]).unwrap();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "though standard input is still open");
}

#[test]
fn a_service_manager_may_have_opened_the_sockets() {
    let arguments =
        format!("[{DISKWRIGHT:?}, 'serve', 'clean-small', '--pace=instant', '--run', 'exec sleep 1000']");
    let lines =
        format!("h.connect_systemd_socket_activation({arguments})\nprint(h.get_size())\nh.pread(512, 0)");
    let told = script("", &lines);
    assert_ne!(told.trim(), "0");
    // It is told when clients can connect.
    let folder = Folder::new();
    let manager = UnixDatagram::bind(folder.path("notify")).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(100))).unwrap();
    let mut command = folder.command(&["clean-small", "-U", "socket"]);
    command.env("NOTIFY_SOCKET", folder.path("notify")).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut said = [0; 64];
    let count = manager.recv(&mut said).unwrap();
    assert_eq!(&said[..count], b"READY=1");
    UnixStream::connect(folder.path("socket")).unwrap();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // And who names another place is told that there is one already.
    let arguments = format!("[{DISKWRIGHT:?}, 'serve', 'clean-small', '-U', 'x']");
    let lines =
        format!("try: h.connect_systemd_socket_activation({arguments})\nexcept nbd.Error: print('no')");
    assert_eq!(script("", &lines), "no\n");
}

#[test]
fn a_socket_may_be_inherited() {
    let lines = format!(
        "
import socket, subprocess
ours, theirs = socket.socketpair()
number = theirs.fileno()
p = subprocess.Popen([{DISKWRIGHT:?}, 'serve', 'clean-small', '--fd', str(number), '--pace=instant'], pass_fds=[number])
theirs.close()
h.connect_socket(ours.detach())
assert len(h.pread(4096, 0)) == 4096
h.shutdown()
print(p.wait())
"
    );
    assert_eq!(script("", &lines), "0\n");
    let folder = Folder::new();
    let (status, complaint) = folder.failure(&["clean-small", "--fd", "77"]);
    assert_eq!(status, 2, "{complaint}");
}

#[test]
fn virtual_machines_are_listened_for() {
    let folder = Folder::new();
    let server = folder.serve(&["clean-small", "--vsock", "0"]);
    server.signal(Signal::SIGTERM);
    let (status, said, _) = server.end();
    assert_eq!(status, Some(0));
    assert!(said.starts_with("listening nbd+vsock://1:"), "{said}");
}

#[test]
fn the_name_of_an_export_chooses_the_disk() {
    let folder = Folder::new();
    let server = folder.serve(&["medium-small", "clean-small@3", "-U", "socket", "--pace=instant"]);
    let listed = text("nbdinfo", &[&"--list", &server.uri("")]);
    assert!(
        listed.contains("export=\"medium-small\":") && listed.contains("export=\"clean-small@3\":"),
        "{listed}"
    );
    assert!(listed.contains("clean-small, seed 3"), "{listed}");
    // One seed is one disk, another one is another.
    let bad = "
import hashlib
def damage(name):
    h = nbd.NBD()
    h.connect_uri(uri.replace('NAME', name))
    bad = []
    for at in range(0, h.get_size(), 1 << 20):
        try: h.pread(1 << 20, at)
        except nbd.Error: bad.append(at)
    h.shutdown()
    return bad
assert damage('medium-small@7') != damage('medium-small@8')
assert damage('') == damage('medium-small')
for name in ['nothing', 'dead-head-small', 'clean-small@x', '../medium-small', 'medium-small@7@8']:
    h = nbd.NBD()
    try: h.connect_uri(uri.replace('NAME', name))
    except nbd.Error: continue
    assert False, name
";
    script(&server.uri("NAME"), bad);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.end().0, Some(0));
    let server = folder.serve(&["--all", "-U", "socket", "--pace=instant"]);
    let listed = text("nbdinfo", &[&"--list", &"--no-content", &server.uri("")]);
    let count = listed.matches("export=").count();
    assert!(listed.contains("export=\"tape\""), "with sectors of 65024 bytes");
    let scenarios = Command::new(DISKWRIGHT).args(["scenario", "list", "--json"]).output().unwrap();
    let scenarios: serde_json::Value = serde_json::from_slice(&scenarios.stdout).unwrap();
    assert_eq!(count, scenarios.as_array().unwrap().len());
    assert_eq!(size(&server.uri("clean-small@99")), size(&server.uri("clean-small")));
}

#[test]
fn an_image_is_served_as_far_as_its_map_goes() {
    let folder = Folder::new();
    let bytes = folder.image("disk.img");
    fs::write(folder.path("disk.map"), "0 ? 1\n0 65536 +\n65536 512 -\n66048 982528 +\n").unwrap();
    let server = folder.serve(&["disk.img", "--map", "disk.map", "-U", "socket"]);
    let lines = "
h.connect_uri(uri)
expected = open(uri.split('socket=')[1].replace('/socket', '/disk.img'), 'rb').read()
seen = []
def chunk(data, at, status, err):
    seen.append((status, at, bytes(data)))
    return 0
try: h.pread_structured(8192, 65536 - 4096, chunk)
except nbd.Error as e: assert e.errno == 'EIO'
assert seen == [(nbd.READ_DATA, 61440, expected[61440:65536]), (nbd.READ_ERROR, 65536, b'')], seen
assert h.pread(4096, 66048) == expected[66048:66048 + 4096]
assert h.is_read_only()
";
    script(&server.uri("disk.img"), lines);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.end().0, Some(0));
    assert_eq!(fs::read(folder.path("disk.img")).unwrap(), bytes);
    // With --on-error=continue what lies behind comes along.
    let arguments = ["disk.img", "--map", "disk.map", "-U", "socket", "--on-error=continue"];
    let server = folder.serve(&arguments);
    let lines = "
h.connect_uri(uri)
seen = []
def chunk(data, at, status, err):
    seen.append((status, at, len(data)))
    return 0
try: h.pread_structured(8192, 65536 - 4096, chunk)
except nbd.Error as e: assert e.errno == 'EIO'
assert seen == [(nbd.READ_DATA, 61440, 4096), (nbd.READ_ERROR, 65536, 0), (nbd.READ_DATA, 66048, 3584)], seen
";
    script(&server.uri(""), lines);
}

#[test]
fn the_health_of_a_disk_is_told_to_those_who_may_know() {
    let folder = Folder::new();
    for (arguments, expected) in [(&["--health"][..], true), (&[], false)] {
        let mut all = vec!["medium-small", "-U", "socket", "--pace=instant"];
        all.extend(arguments);
        let server = folder.serve(&all);
        let told = text("nbdinfo", &[&server.uri("")]);
        assert_eq!(told.contains("x-diskwright:health"), expected, "{told}");
        if expected {
            let map = text("nbdinfo", &[&"--map=x-diskwright:health", &server.uri("")]);
            assert!(map.lines().count() > 3, "{map}");
        }
        server.signal(Signal::SIGTERM);
        assert_eq!(server.end().0, Some(0));
    }
}

#[test]
fn scenarios_are_read_again_and_kept_if_they_cannot_be() {
    let folder = Folder::new();
    let written = Command::new(DISKWRIGHT).args(["scenario", "new", "--from", "clean"]).output().unwrap();
    let original = String::from_utf8(written.stdout).unwrap();
    fs::write(folder.path("mine.toml"), &original).unwrap();
    let server = folder.serve(&["./mine.toml-small", "-U", "socket", "--pace=instant"]);
    let told = |server: &Server| text("nbdinfo", &[&"--json", &server.uri("")]);
    let first = told(&server);
    fs::write(folder.path("mine.toml"), "nonsense = [").unwrap();
    server.signal(Signal::SIGHUP);
    assert_eq!(told(&server), first);
    let other = Command::new(DISKWRIGHT).args(["scenario", "new", "--from", "medium"]).output().unwrap();
    fs::write(folder.path("mine.toml"), other.stdout).unwrap();
    server.signal(Signal::SIGHUP);
    wait_until("the disk is another one", || told(&server) != first);
    server.signal(Signal::SIGTERM);
    let (status, _, complaint) = server.end();
    assert_eq!(status, Some(0));
    assert!(complaint.contains("mine.toml"), "{complaint}");
}

#[test]
fn there_is_a_limit_to_connections() {
    let folder = Folder::new();
    let server = folder.serve(&["clean-small", "-U", "socket", "--pace=instant", "--max-connections=2"]);
    let lines = "
handles = []
for n in range(2):
    h = nbd.NBD()
    h.connect_uri(uri)
    handles.append(h)
h = nbd.NBD()
try: h.connect_uri(uri)
except nbd.Error: print('turned away')
assert all(len(h.pread(512, 0)) == 512 for h in handles)
";
    assert_eq!(script(&server.uri(""), lines), "turned away\n");
}

#[test]
fn what_cannot_be_served_is_told_before_anybody_connects() {
    let folder = Folder::new();
    folder.image("disk.img");
    fs::write(folder.path("odd.img"), [7; 1000]).unwrap();
    fs::write(folder.path("bad.toml"), "description = \"what the rest would be\"\n").unwrap();
    fs::write(folder.path("bad.map"), "0 ? 1\n0 512 +\n1024 512 +\n").unwrap();
    for (arguments, status, expected) in [
        (&[][..], 2, "required"),
        (&["clea"], 2, "did you mean \"clean\"?"),
        (&["clean-small", "clean-small"], 2, "two disks"),
        (&["--all", "clean"], 2, "cannot be used with"),
        (&["clean", "--pace=fast"], 2, "real, instant"),
        (&["clean", "--map", "bad.map"], 2, "--map belongs to an image"),
        (&["./no-such.img"], 4, "no-such.img"),
        (&["no-such.toml"], 4, "no-such.toml"),
        (&["bad.toml"], 5, "bad.toml"),
        (&["disk.img", "--map", "bad.map"], 5, "bad.map"),
        (&["odd.img"], 5, "sector"),
    ] {
        let mut all = arguments.to_vec();
        all.extend(["-U", "socket"]);
        let (found, complaint) = folder.failure(&all);
        assert_eq!(found, status, "{arguments:?}: {complaint}");
        assert!(complaint.contains(expected), "{arguments:?}: {complaint}");
        assert!(!folder.path("socket").exists());
    }
}
