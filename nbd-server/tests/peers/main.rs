//! The server as other people's clients meet it: libnbd and its tools, QEMU's tools, fio, nbd-client, and the crate `nbd`.

#[path = "../server/fixture.rs"]
#[allow(dead_code, reason = "shared with the tests beside this one")]
mod fixture;

use std::ffi::OsStr;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};

use block::Nanos;
use fixture::{Bench, ToyOptions, bytes_at, range};
use nbd_server::{Address, Listener};

const MIB: u64 = 1 << 20;

/// A server that programs can connect to, and a folder for what they write.
struct Place {
    bench: Bench,
    folder: tempfile::TempDir,
    tcp: SocketAddr,
}

impl Place {
    fn new(toy: ToyOptions) -> Place {
        let (bench, folder) = (Bench::new(toy), tempfile::tempdir().unwrap());
        let unix = Listener::unix(&folder.path().join("socket")).unwrap();
        let tcp = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let Address::Tcp(address) = *tcp.address() else { panic!("{:?}", tcp.address()) };
        bench.server.listen(vec![unix, tcp]).unwrap();
        Place { bench, folder, tcp: address }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn uri(&self) -> String {
        Address::Unix(self.path("socket")).uri("disk").unwrap()
    }

    fn run(&self, program: &str, arguments: &[&dyn AsRef<OsStr>]) -> Output {
        let mut command = Command::new("timeout");
        command.args(["120", program]).args(arguments.iter().map(|argument| argument.as_ref()));
        let output = command.current_dir(self.folder.path()).output().unwrap();
        assert!(![Some(124), Some(126), Some(127)].contains(&output.status.code()), "{program}: {output:?}");
        output
    }

    /// What a program prints that is satisfied.
    fn text(&self, program: &str, arguments: &[&dyn AsRef<OsStr>]) -> String {
        let output = self.run(program, arguments);
        assert!(output.status.success(), "{program}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a program prints, both ways, that is not satisfied.
    fn complaint(&self, program: &str, arguments: &[&dyn AsRef<OsStr>]) -> String {
        let output = self.run(program, arguments);
        assert!(!output.status.success(), "{program}: {output:?}");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// Runs a script of libnbd's shell, in which `uri` and `connect()` are known.
    fn script(&self, text: &str) {
        let start = "
import nbd, errno
def connect(setup=None):
    h = nbd.NBD()
    h.add_meta_context('base:allocation')
    h.add_meta_context('x-diskwright:health')
    if setup: setup(h)
    h.connect_uri(uri)
    return h
def fails(what, number):
    try: what()
    except nbd.Error as e:
        assert e.errnum == number, (e.errnum, e.string)
        return
    assert False, 'it does not fail'
def at(offset, length):
    return bytes((i // 512 * 7 + i % 251 + 1) & 255 for i in range(offset, offset + length))
";
        let path = self.path("script.py");
        std::fs::write(&path, format!("uri = {:?}\n{start}\n{text}", self.uri())).unwrap();
        // Debian's Python has Debian's libnbd.
        self.text("/usr/bin/python3", &[&path]);
    }
}

fn damaged() -> ToyOptions {
    ToyOptions {
        size: 8 * MIB,
        bad: vec![range(MIB, 512), range(3 * MIB + 512, 1024)],
        holes: vec![range(4 * MIB, MIB)],
        ..ToyOptions::default()
    }
}

fn healthy() -> ToyOptions {
    ToyOptions { size: 32 * MIB, holes: vec![range(4 * MIB, MIB)], ..ToyOptions::default() }
}

#[test]
fn nbdinfo_sees_what_is_offered() {
    let place = Place::new(ToyOptions { has_health: true, ..damaged() });
    let uri = place.uri();
    let told = place.text("nbdinfo", &[&"--json", &uri]);
    for expected in [
        "\"structured\": true",
        "\"export-name\": \"disk\"",
        "\"export-size\": 8388608",
        "\"base:allocation\"",
        "\"x-diskwright:health\"",
        "\"is_rotational\": false",
        "\"is_read_only\": true",
        "\"can_cache\": true",
        "\"can_df\": true",
        "\"can_multi_conn\": true",
        "\"can_trim\": false",
        "\"block_size_minimum\": 512",
        "\"block_size_preferred\": 4096",
        "\"block_size_maximum\": 33554432",
    ] {
        assert!(told.contains(expected), "{expected} in {told}");
    }
    let map = place.text("nbdinfo", &[&"--map", &uri]);
    let lines: Vec<Vec<&str>> = map.lines().map(|line| line.split_whitespace().collect()).collect();
    let expected = [
        ["0", "4194304", "0", "data"],
        ["4194304", "1048576", "3", "hole,zero"],
        ["5242880", "3145728", "0", "data"],
    ];
    assert_eq!(lines, expected);
    let health = place.text("nbdinfo", &[&"--map=x-diskwright:health", &"--totals", &uri]);
    assert!(health.contains("4194304"), "every other sector: {health}");
    let tcp = format!("nbd://{}/", place.tcp);
    let listed = place.text("nbdinfo", &[&"--list", &tcp]);
    assert!(listed.contains("export=\"disk\"") && listed.contains("export=\"other\""), "{listed}");
    assert!(listed.contains("description: about disk"), "{listed}");
    let unknown = format!("nbd://{}/nothing", place.tcp);
    assert!(place.complaint("nbdinfo", &[&unknown]).contains("nothing"));
}

#[test]
fn nbdcopy_copies_a_healthy_disk_over_several_connections() {
    let place = Place::new(healthy());
    let copy = place.path("copy");
    for connections in ["--connections=1", "--connections=4"] {
        place.text("nbdcopy", &[&connections, &"--requests=32", &place.uri(), &copy]);
        assert!(std::fs::read(&copy).unwrap() == place.bench.toy.original(range(0, 32 * MIB)));
        std::fs::remove_file(&copy).unwrap();
    }
    // And a damaged one not: it says so.
    let place = Place::new(damaged());
    let complaint = place.complaint("nbdcopy", &[&place.uri(), &place.path("copy")]);
    assert!(complaint.contains("Input/output error"), "{complaint}");
    place.bench.until("all connections are over", || place.bench.toy.clients() == 0);
}

#[test]
fn libnbd_learns_where_a_read_failed_and_keeps_what_came_before() {
    let place = Place::new(ToyOptions { has_health: true, ..damaged() });
    place.script(
        "
MIB = 1 << 20
h = connect()
assert h.get_size() == 8 * MIB and h.get_structured_replies_negotiated()
assert h.get_block_size(nbd.SIZE_MINIMUM) == 512
def read(offset, length, flags=0):
    seen = []
    def chunk(data, at, status, err):
        seen.append((status, at, bytes(data), err.value))
        return 0
    try: h.pread_structured(length, offset, chunk, flags)
    except nbd.Error as e: assert e.errnum == errno.EIO
    return seen
got = read(MIB - 4096, 8192)
assert got == [(nbd.READ_DATA, MIB - 4096, at(MIB - 4096, 4096), 0), (nbd.READ_ERROR, MIB, b'', errno.EIO)], got
got = read(MIB - 4096, 8192, nbd.CMD_FLAG_DF)
assert got[0] == (nbd.READ_DATA, MIB - 4096, at(MIB - 4096, 4096) + bytes(4096), 0)
assert got[1] == (nbd.READ_ERROR, MIB, b'', errno.EIO)
assert read(MIB, 512) == [(nbd.READ_ERROR, MIB, b'', errno.EIO)]
assert read(3 * MIB + 1536, 512) == [(nbd.READ_DATA, 3 * MIB + 1536, at(3 * MIB + 1536, 512), 0)]
assert read(4 * MIB, MIB) == [(nbd.READ_HOLE, 4 * MIB, bytes(MIB), 0)]

# Statuses.
told = {}
def extents(name, offset, entries, err):
    told[name] = entries
    return 0
h.block_status(8 * MIB, 0, extents)
assert told['base:allocation'] == [4 * MIB, 0, MIB, 3, 3 * MIB, 0], told
assert sum(told['x-diskwright:health'][0::2]) <= 8 * MIB
h.block_status(8 * MIB, 0, extents, nbd.CMD_FLAG_REQ_ONE)
assert told['base:allocation'] == [4 * MIB, 0], told
assert told['x-diskwright:health'] == [512, 0], told

# What makes no sense is refused, and the connection goes on.
h.set_strict_mode(0)
fails(lambda: h.pread(512, 8 * MIB), errno.EINVAL)
fails(lambda: h.pread(100, 0), errno.EINVAL)
fails(lambda: h.pwrite(bytes(512), 0), errno.EPERM)
fails(lambda: h.trim(512, 0), errno.EPERM)
fails(lambda: h.zero(512, 0), errno.EPERM)
fails(lambda: h.block_status(0, 0, extents), errno.EINVAL)
fails(lambda: h.cache(8192, MIB), errno.EIO)
h.flush()
assert h.pread(512, 0) == at(0, 512)
h.shutdown()
",
    );
}

#[test]
fn libnbd_has_many_requests_under_way_which_are_answered_as_they_are_done() {
    let ms = Nanos::from_millis;
    let late = [(0, ms(150)), (4096, ms(100)), (8192, ms(50))].into();
    let place = Place::new(ToyOptions { late, ..healthy() });
    place.script(
        "
h = connect()
order = []
def ready(name):
    def call(err):
        assert err.value == 0
        order.append(name)
        return 1
    return call
buffers = []
for name in range(60):
    b = nbd.Buffer(4096)
    buffers.append(b)
    h.aio_pread(b, 4096 * name, completion=ready(name))
while h.aio_in_flight() > 0:
    h.poll(-1)
assert order[-3:] == [2, 1, 0], order
assert sorted(order) == list(range(60))
for name, b in enumerate(buffers):
    assert b.to_bytearray() == at(4096 * name, 4096)
assert len(h.pread(32 << 20, 0)) == 32 << 20
h.shutdown()
",
    );
}

#[test]
fn libnbd_writes_on_one_connection_and_reads_on_another() {
    let place = Place::new(ToyOptions { is_writable: true, ..healthy() });
    place.script(
        "
a, b = connect(), connect()
assert a.can_multi_conn() and a.can_fua() and a.can_trim() and a.can_zero() and not a.is_read_only()
for n in range(1, 40):
    a.pwrite(bytes([n]) * 4096, 4096 * n, nbd.CMD_FLAG_FUA if n % 2 else 0)
    b.flush()
    assert b.pread(4096, 4096 * n) == bytes([n]) * 4096
a.zero(4096 * 3, 4096)
assert b.pread(4096 * 4, 4096) == bytes(4096 * 3) + bytes([4]) * 4096
a.trim(4096, 0)
a.cache(65536, 0)
fails(lambda: a.zero(4096, 0, nbd.CMD_FLAG_FAST_ZERO), errno.ENOTSUP)
a.shutdown()
b.shutdown()
# Without structured replies all is well too.
def plain(h): h.set_request_structured_replies(False)
c = connect(plain)
assert not c.get_structured_replies_negotiated()
assert c.pread(4096, 4096 * 5) == bytes([5]) * 4096
c.set_strict_mode(0)
fails(lambda: c.pread(512, c.get_size()), errno.EINVAL)
c.pwrite(bytes(512), 0)
c.shutdown()
# The old way in.
d = nbd.NBD()
d.set_handshake_flags(0)
d.connect_uri(uri)
assert len(d.pread(512, 512)) == 512
d.shutdown()
",
    );
}

#[test]
fn qemu_reads_at_and_beside_every_bad_place() {
    let place = Place::new(damaged());
    let uri = place.uri();
    let told = place.text("qemu-img", &[&"info", &"--output=json", &uri]);
    assert!(told.contains("\"virtual-size\": 8388608"), "{told}");
    for (bad, length) in [(MIB, 512), (3 * MIB + 512, 1024)] {
        for (offset, size, is_good) in [
            (bad - 512, 512, true),
            (bad, 512, false),
            (bad - 4096, 8192, false),
            (bad + length - 512, 512, false),
            (bad + length, 512, true),
        ] {
            let command = format!("read {offset} {size}");
            let read = place.run("qemu-io", &[&"-r", &"-f", &"raw", &"-c", &command, &uri]);
            let said = String::from_utf8_lossy(&read.stdout).into_owned();
            match is_good {
                true => assert!(said.contains(&format!("read {size}/{size} bytes")), "{command}: {said}"),
                false => assert!(said.contains("read failed: Input/output error"), "{command}: {said}"),
            }
        }
    }
    let map = place.text("qemu-img", &[&"map", &"--output=json", &"-f", &"raw", &uri]);
    assert!(map.contains("\"start\": 4194304, \"length\": 1048576, \"depth\": 0, \"present\": true, \"zero\": true, \"data\": false"), "{map}");
    // All but the bad sectors, with zeros in their place.
    place.text(
        "qemu-img",
        &[&"convert", &"--salvage", &"-f", &"raw", &"-O", &"raw", &uri, &place.path("copy")],
    );
    let copy = std::fs::read(place.path("copy")).unwrap();
    let mut expected = place.bench.toy.original(range(0, 8 * MIB));
    let wrong: Vec<usize> = (0..copy.len()).filter(|at| copy[*at] != expected[*at]).collect();
    let is_near = |at: &usize| {
        let at = *at as u64;
        (MIB..MIB + 65536).contains(&at) || (3 * MIB..3 * MIB + 65536).contains(&at)
    };
    assert!(wrong.iter().all(is_near), "{} bytes are wrong, from {:?}", wrong.len(), wrong.first());
    expected.truncate(MIB as usize);
    assert!(copy.starts_with(&expected));
}

#[test]
fn qemu_converts_and_compares_a_healthy_disk() {
    let place = Place::new(healthy());
    let uri = place.uri();
    place.text(
        "qemu-img",
        &[&"convert", &"-m", &"8", &"-W", &"-f", &"raw", &"-O", &"qcow2", &uri, &"copy.qcow2"],
    );
    let told = place.text("qemu-img", &[&"compare", &"-f", &"raw", &"-F", &"qcow2", &uri, &"copy.qcow2"]);
    assert!(told.contains("Images are identical"), "{told}");
    let place = Place::new(ToyOptions { is_writable: true, ..healthy() });
    let commands =
        ["write -P 7 4096 65536", "write -z 8192 4096", "discard 0 65536", "write -f -P 9 512 512", "flush"];
    let commands: Vec<String> =
        commands.iter().flat_map(|line| ["-c".to_owned(), line.to_string()]).collect();
    let uri = place.uri();
    let mut arguments: Vec<&dyn AsRef<OsStr>> = vec![&"-f", &"raw"];
    arguments.extend(commands.iter().map(|word| word as &dyn AsRef<OsStr>));
    arguments.push(&uri);
    let said = place.text("qemu-io", &arguments);
    assert!(!said.contains("failed"), "{said}");
    let said = place.text(
        "qemu-io",
        &[
            &"-r",
            &"-f",
            &"raw",
            &"-c",
            &"read -P 7 12288 57344",
            &"-c",
            &"read -P 0 8192 4096",
            &"-c",
            &"read -P 9 512 512",
            &uri,
        ],
    );
    assert!(!said.contains("failed"), "{said}");
}

#[test]
fn fio_reads_back_what_it_wrote_in_any_order() {
    let place = Place::new(ToyOptions { size: 16 * MIB, is_writable: true, ..ToyOptions::default() });
    let uri = format!("--uri={}", place.uri());
    place.text(
        "fio",
        &[
            &"--name=x",
            &"--ioengine=nbd",
            &uri,
            &"--rw=randrw",
            &"--bsrange=512-64k",
            &"--bs_unaligned=0",
            &"--blockalign=512",
            &"--iodepth=32",
            &"--size=16m",
            &"--io_size=24m",
            &"--verify=crc32c",
            &"--verify_fatal=1",
            &"--randseed=7",
        ],
    );
}

#[test]
fn nbd_client_lists_what_is_served() {
    let place = Place::new(healthy());
    let port = place.tcp.port().to_string();
    let told = place.text("/usr/sbin/nbd-client", &[&"-l", &"127.0.0.1", &port]);
    let lines: Vec<&str> = told.lines().map(str::trim).collect();
    assert!(lines.contains(&"disk: about disk") && lines.contains(&"other: about other"), "{told}");
}

#[test]
fn the_client_of_the_crate_nbd_reads_and_learns_of_damage() {
    use std::io::{Read, Seek, SeekFrom};
    let place = Place::new(damaged());
    let mut stream = TcpStream::connect(place.tcp).unwrap();
    let export = nbd::client::handshake(&mut stream, b"disk").unwrap();
    assert_eq!(export.size, 8 * MIB);
    let mut client = nbd::client::NbdClient::new(&mut stream, &export);
    let mut bytes = vec![0; 4096];
    client.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, bytes_at(range(0, 4096)));
    client.seek(SeekFrom::Start(MIB)).unwrap();
    let error = client.read_exact(&mut bytes).unwrap_err();
    assert_eq!(error.to_string(), "EIO");
    // It stays in step.
    client.seek(SeekFrom::Start(MIB + 4096)).unwrap();
    client.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, bytes_at(range(MIB + 4096, 4096)));
}
