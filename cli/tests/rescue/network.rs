//! Exports of servers: good ones, failing ones, and some that should not be believed.
//!
//! Number of seeds: `DISKWRIGHT_SEEDS`, 8 unless set.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rig::nbd_script::replies;
use rig::{Act, Asked, Content, NbdProgram, NbdScript, ScriptOptions};

use super::*;

impl Bench {
    /// Writes an image, and returns its name.
    fn source_image(&self, content: Content, size: u64) -> PathBuf {
        let path = self.path("source");
        content.write_image(&path, size);
        path
    }

    /// Runs `diskwright rescue` with `options` from an address into the image.
    fn rescue_from(&self, uri: &str, options: &[&str]) -> Ended {
        self.rescue(Path::new(uri), options)
    }

    /// Starts the same, and comes back at once.
    fn begin(&self, uri: &str, options: &[&str]) -> std::process::Child {
        let mut command = self.command();
        command.arg("rescue").args(options).args([uri, "image"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("diskwright runs")
    }

    #[track_caller]
    fn check_nothing_is_bad(&self) {
        let missing = self.missing();
        assert!(missing.iter().all(|(_, _, status)| *status == Status::NonTried), "{missing:?}");
    }
}

fn end_of(child: std::process::Child) -> Ended {
    Ended::of(child.wait_with_output().expect("diskwright ends"))
}

fn json_line(ended: &Ended, index: usize) -> serde_json::Value {
    let line = ended.stdout.lines().nth(index).expect("a line");
    serde_json::from_str(line).expect("JSON")
}

fn bad_sectors(bad: &[Range<u64>]) -> Vec<(u64, u64, Status)> {
    bad.iter().map(|bad| (bad.start, bad.end - bad.start, Status::BadSector)).collect()
}

/// A server that has everything but `bad`.
fn script(size: u64, content: Content, bad: Vec<Range<u64>>) -> NbdScript {
    let options = ScriptOptions { size, ..ScriptOptions::default() };
    NbdScript::serve(options, move |asked| vec![Act::Send(replies::read(asked, content, &bad))])
}

/// A mapfile in which `bad` is bad, for nbdkit's `ddrescue` filter.
fn damage_map(bench: &Bench, size: u64, bad: &[Range<u64>]) -> String {
    let (mut text, mut at) = (String::from("0x0 + 1\n"), 0);
    let mut block = |from: u64, to: u64, status: char| {
        if from < to {
            text.push_str(&format!("{from:#x} {:#x} {status}\n", to - from));
        }
    };
    for bad in bad {
        block(at, bad.start, '+');
        block(bad.start, bad.end, '-');
        at = bad.end;
    }
    block(at, size, '+');
    std::fs::write(bench.path("damage"), text).expect("a file");
    format!("ddrescue-mapfile={}", bench.path("damage").display())
}

#[test]
fn from_nbdkit_exactly_what_can_be_read_is_rescued_in_either_kind_of_reply() {
    let (content, size) = (Content::new(31), 8 << 20);
    let bad = [0..512, 77 * 512..78 * 512, 79 * 512..80 * 512, 1 << 20..(1 << 20) + 6144, size - 512..size];
    for (how, words) in [("--threads=16", "structured replies"), ("--no-sr", "simple replies")] {
        let bench = Bench::new();
        let source = bench.source_image(content, size);
        let damage = damage_map(&bench, size, &bad);
        let server = NbdProgram::nbdkit(
            &bench.path("socket"),
            [how, "--read-only", "--filter=ddrescue", "file", &source.to_string_lossy(), &damage],
        );
        let ended = bench.rescue_from(&server.uri(), &[]).expect(1);
        ended.says(words);
        ended.says("at most 32 at a time");
        assert_eq!(bench.missing(), bad_sectors(&bad));
        assert_eq!(bench.check_promises(content), size - (5 * 512 + 6144 - 512));
        // It is gone on with like any other rescue.
        bench.rescue_from(&server.uri(), &["--retry-passes=1"]).expect(1).says("goes on from");
    }
}

#[test]
fn from_qemu_too_and_holes_are_not_read() {
    let (content, size) = (Content::new(32), 4 << 20);
    let bench = Bench::new();
    let source = bench.source_image(content, size);
    std::fs::File::options()
        .write(true)
        .open(&source)
        .and_then(|file| file.set_len(256 << 20))
        .expect("a hole");
    let server = NbdProgram::qemu(&bench.path("socket"), [Path::new("--format=raw"), &source]);
    let ended = bench.rescue_from(&server.uri(), &["--json", "--log-reads=reads"]).expect(0);
    let start = json_line(&ended, 0);
    assert_eq!(start["nbd"]["structured_replies"], true);
    assert_eq!(start["nbd"]["holes_told"], true);
    assert_eq!(start["size_bytes"], 256 << 20);
    let (image, truth) = (std::fs::File::open(bench.image()), std::fs::File::open(&source));
    let blocks = |file: std::io::Result<std::fs::File>| {
        let metadata = file.and_then(|file| file.metadata()).expect("a file");
        std::os::unix::fs::MetadataExt::blocks(&metadata)
    };
    assert!(blocks(image) <= blocks(truth) + 256, "the hole was filled");
    assert!(std::fs::read(bench.image()).expect("an image") == std::fs::read(&source).expect("a source"));
}

#[test]
fn over_tcp_by_name_and_by_number() {
    let content = Content::new(33);
    let bench = Bench::new();
    let source = bench.source_image(content, 1 << 20);
    // Somebody else may take the port in the meantime; then nbdkit ends at once, and the next one is tried.
    let (mut server, port) = (0..10)
        .find_map(|_| {
            let port = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
            let mut command = Command::new("nbdkit");
            command.args(["--foreground", "--exit-with-parent", "--ipaddr=127.0.0.1", "--port"]);
            let server = command.arg(port.to_string()).args(["--exportname=x", "file"]).arg(&source);
            let mut server = server.stderr(Stdio::null()).spawn().expect("nbdkit runs");
            let is_up = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
            rig::wait_until("nbdkit does not open its port", || {
                is_up() || server.try_wait().is_ok_and(|end| end.is_some())
            });
            server.try_wait().is_ok_and(|end| end.is_none()).then_some((server, port))
        })
        .expect("a free port");
    for (index, host) in ["localhost", "127.0.0.1"].iter().enumerate() {
        let mut command = bench.command();
        let image = format!("image{index}");
        command.args(["rescue", &format!("nbd://{host}:{port}/any%20name"), &image]);
        Ended::of(command.output().expect("diskwright runs")).expect(0);
        assert!(std::fs::read(bench.path(&image)).expect("an image") == content.bytes(0, 1 << 20));
    }
    server.kill().and_then(|()| server.wait()).expect("it can be killed");
    bench.rescue_from(&format!("nbd://localhost:{port}/"), &[]).expect(4).says("Connection refused");
}

#[test]
fn every_good_byte_of_a_reply_with_errors_is_kept_and_not_asked_for_again() {
    let (content, size) = (Content::new(34), 8 << 20);
    // Single sectors, far apart: each fails in the middle of a large reply that goes on behind it.
    let place = |n: u64| (n << 20) + (200 << 10);
    let bad: Vec<Range<u64>> = (1..8).map(|n| place(n)..place(n) + 512).collect();
    let server = script(size, content, bad.clone());
    let bench = Bench::new();
    bench.rescue_from(&server.uri(), &[]).expect(1).says("structured replies");
    assert_eq!(bench.missing(), bad_sectors(&bad));
    assert_eq!(bench.check_promises(content), size - 7 * 512);
    // The first one breaks a read of 256 KiB: its clusters before the bad sector are kept. What was under way behind it is
    // dropped; after that reads are made one by one, and of each nothing is asked for again but the bad sector.
    let count = |sector: u64| {
        let asked = server.asked();
        asked.iter().filter(|asked| asked.command == 0 && asked.range().contains(&sector)).count()
    };
    assert_eq!(count(bad[0].start - (100 << 10)), 1, "what came before the bad sector was thrown away");
    for bad in &bad {
        assert!(count(bad.start) <= 2 && count(bad.end) <= 2, "{bad:?}: {} times", count(bad.start));
    }
}

#[test]
fn thirty_two_reads_are_in_flight_and_two_of_a_disk_that_rotates() {
    for (flags, most) in [(1, 32), (1 | 1 << 4, 2)] {
        let (content, size) = (Content::new(35), 64u64 << 20);
        let waiting: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let inbox = waiting.clone();
        let options = ScriptOptions { size, flags, ..ScriptOptions::default() };
        let server = NbdScript::serve(options, move |asked| {
            inbox.lock().expect("no thread has panicked").push(asked);
            Vec::new()
        });
        let bench = Bench::new();
        let mut child = bench.begin(&server.uri(), &[]);
        let mut at_once = 0;
        // Answers come now and then, the last question first.
        rig::wait_until("the rescue does not end", || {
            rig::pause(Duration::from_millis(20));
            let all = std::mem::take(&mut *waiting.lock().expect("no thread has panicked"));
            at_once = at_once.max(all.len());
            for asked in all.into_iter().rev() {
                server.send(asked.connection, &replies::read(asked, content, &[]));
            }
            child.try_wait().is_ok_and(|end| end.is_some())
        });
        end_of(child).expect(0);
        assert_eq!(at_once, most);
        assert_eq!(bench.check_promises(content), size);
    }
}

#[test]
fn a_server_that_is_killed_and_comes_back_is_gone_on_with_and_nothing_is_called_bad() {
    let (content, size) = (Content::new(36), 24 << 20);
    let bench = Bench::new();
    let source = bench.source_image(content, size);
    let serve = || {
        let words = ["--read-only", "--filter=rate", "file", &source.to_string_lossy(), "rate=64M"];
        NbdProgram::nbdkit(&bench.path("socket"), words)
    };
    let server = serve();
    let child = bench.begin(&server.uri(), &["--json"]);
    rig::wait_until("nothing is rescued", || {
        std::fs::metadata(bench.image()).is_ok_and(|image| image.len() > 4 << 20)
    });
    server.kill();
    // While it is gone, the map on the disk calls nothing bad.
    rig::wait_until("the loss is not noticed", || bench.has_saved());
    bench.check_nothing_is_bad();
    let _server = serve();
    let ended = end_of(child).expect(0);
    for event in ["device-lost", "device-found"] {
        assert!(ended.stdout.contains(&format!("\"event\":\"{event}\"")), "{}", ended.stdout);
    }
    assert_eq!(bench.missing(), []);
    assert_eq!(bench.check_promises(content), size);
}

#[test]
fn a_server_that_stays_away_stops_the_run_resumably() {
    let (content, size) = (Content::new(37), 8 << 20);
    let bench = Bench::new();
    let server = script(size, content, Vec::new());
    server.answer(move |asked| match asked.at {
        0..0x40_0000 => vec![Act::Send(replies::read(asked, content, &[]))],
        _ => vec![Act::Close],
    });
    server.change(|options| options.welcome = true);
    let child = bench.begin(&server.uri(), &["--wait-for-device=1"]);
    rig::wait_until("nothing is asked", || server.asked().iter().any(|asked| asked.at >= 0x40_0000));
    server.change(|options| options.welcome = false);
    let ended = end_of(child).expect(3);
    ended.says("the connection was lost");
    ended.says("go on with");
    bench.check_nothing_is_bad();
    server.change(|options| options.welcome = true);
    server.answer(move |asked| vec![Act::Send(replies::read(asked, content, &[]))]);
    bench.rescue_from(&server.uri(), &[]).expect(0).says("goes on from the map");
    assert_eq!(bench.check_promises(content), size);
}

#[test]
fn another_export_under_the_same_address_is_refused() {
    type Change = fn(&NbdScript);
    let other_size: Change = |server| server.change(|options| options.size *= 2);
    let other_bytes: Change = |server| {
        server.answer(|asked| vec![Act::Send(replies::read(asked, Content::new(99), &[]))]);
    };
    for (change, words) in
        [(other_size, "16777216 bytes now, and had 8388608"), (other_bytes, "something else at")]
    {
        let (content, size) = (Content::new(38), 8 << 20);
        let server = script(size, content, Vec::new());
        server.answer(move |asked| match asked.at {
            0..0x40_0000 => vec![Act::Send(replies::read(asked, content, &[]))],
            _ => vec![Act::Close],
        });
        let bench = Bench::new();
        let child = bench.begin(&server.uri(), &[]);
        rig::wait_until("nothing is asked", || server.asked().iter().any(|asked| asked.at >= 0x40_0000));
        change(&server);
        let ended = end_of(child).expect(3);
        ended.says("this is not what it was");
        ended.says(words);
        bench.check_nothing_is_bad();
        assert!(bench.check_promises(content) > 0);
    }
}

#[test]
fn a_server_that_shuts_down_is_lost_and_marks_nothing() {
    let bench = Bench::new();
    let words = ["--filter=error", "memory", "4M", "error=ESHUTDOWN", "error-pread-rate=100%"];
    let server = NbdProgram::nbdkit(&bench.path("socket"), words);
    let ended = bench.rescue_from(&server.uri(), &["--wait-for-device=1"]).expect(3);
    ended.says("the server is shutting down");
    bench.check_nothing_is_bad();
}

#[test]
fn a_read_that_hangs_is_passed_over_and_others_are_made_meanwhile() {
    let (content, size) = (Content::new(39), 4 << 20);
    let hung = (1 << 20) + 512..(1 << 20) + 1024;
    let forever = hung.clone();
    let options = ScriptOptions { size, ..ScriptOptions::default() };
    let server = NbdScript::serve(options, move |asked| {
        let range = asked.range();
        let hangs = range.start < forever.end && forever.start < range.end;
        if hangs { Vec::new() } else { vec![Act::Send(replies::read(asked, content, &[]))] }
    });
    let bench = Bench::new();
    bench.rescue_from(&server.uri(), &["--read-timeout=1"]).expect(1).says("took too long");
    assert_eq!(bench.missing(), [(hung.start, 512, Status::BadSector)]);
    assert_eq!(bench.check_promises(content), size - 512);
}

#[test]
fn random_devices_leave_exactly_their_damage_whatever_becomes_of_the_connection() {
    let seeds = std::env::var("DISKWRIGHT_SEEDS").map_or(8, |n| n.parse().expect("a number"));
    for seed in 0..seeds {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let content = Content::new(seed);
        let size = 512 * dice.random_range(1000..20_000u64);
        let (mut bad, mut at) = (Vec::new(), 0);
        for _ in 0..dice.random_range(0..12) {
            at += 512 * dice.random_range(1..3000);
            let end = at + 512 * dice.random_range(1..40);
            if end <= size {
                bad.push(at..end);
            }
            at = end;
        }
        // Every other one hangs up once, which costs two seconds.
        let closes = if seed % 2 == 0 { dice.random_range(10..100u64) } else { 0 };
        let structured = dice.random_ratio(2, 3);
        let (damage, count) = (bad.clone(), Mutex::new(0u64));
        let options = ScriptOptions { size, structured, ..ScriptOptions::default() };
        let server = NbdScript::serve(options, move |asked| {
            let mut count = count.lock().expect("no thread has panicked");
            *count += 1;
            if *count == closes {
                vec![Act::Close]
            } else {
                vec![Act::Send(replies::read(asked, content, &damage))]
            }
        });
        let bench = Bench::new();
        let code = if bad.is_empty() { 0 } else { 1 };
        println!("seed {seed}");
        bench.rescue_from(&server.uri(), &["--cluster-size=32"]).expect(code);
        assert_eq!(bench.missing(), bad_sectors(&bad), "seed {seed}");
        bench.check_promises(content);
    }
}

#[test]
fn addresses_that_make_no_sense_and_options_that_do_not_belong_are_wrong_use() {
    let bench = Bench::new();
    for (uri, words) in [
        ("nbd://host:99999/", "is no port"),
        ("nbd+unix:///x", "?socket=/path"),
        ("nbds://host/", "without encryption"),
        ("nbd+ssh://host/", "there is no nbd+ssh://"),
    ] {
        bench.rescue_from(uri, &[]).expect(2).says(words);
    }
    let uri = "nbd+unix:///?socket=/nowhere/at/all";
    bench.rescue_from(uri, &["--idirect"]).expect(2).says("its server's affair");
    bench.rescue_from(uri, &["--buffered"]).expect(2).says("its server's affair");
    bench.rescue_from(uri, &["--pace=1"]).expect(2).says("--pace is for simulated disks");
    let ended = bench.rescue_from(uri, &["--json"]).expect(4);
    assert!(ended.stdout.contains("No such file or directory"), "{}", ended.stdout);
    // With a path before it, it is a file.
    Content::new(1).write_image(&bench.path("nbd:x"), 4096);
    bench.rescue_from("./nbd:x", &[]).expect(0);
}

#[test]
fn timings_and_the_rest_are_logged_as_of_any_source() {
    let (content, size) = (Content::new(40), 2 << 20);
    let server = script(size, content, std::iter::once(65_536..66_048).collect());
    server.change(|options| options.description = "an old\ndisk");
    let bench = Bench::new();
    let ended = bench.rescue_from(&server.uri(), &["--log-timings=timings", "--json"]).expect(1);
    let start = json_line(&ended, 0);
    assert_eq!(start["nbd"]["description"], "an old disk");
    assert_eq!((&start["direct"], &start["sector_bytes"]), (&false.into(), &512.into()));
    let timings = std::fs::read_to_string(bench.path("timings")).expect("a log");
    assert!(timings.contains("an old disk"), "{timings}");
    assert!(block::timing_log::TimingLog::parse(&timings).is_ok(), "{timings}");
}

#[test]
fn a_simulated_disk_that_is_served_is_rescued_as_far_as_it_can_be() {
    for (disk, words) in
        [("floppy", &["--on-error=stop"][..]), ("floppy-home", &["--on-error=continue", "--health"])]
    {
        let bench = Bench::new();
        let direct = bench.rescue(Path::new(&format!("sim:{disk}")), &["--json", "--sector-size=512"]);
        let truth = json_line(&direct, direct.stdout.lines().count() - 1);
        std::fs::remove_file(bench.path("image.map")).expect("a map");
        std::fs::remove_file(bench.image()).expect("an image");
        let mut command = bench.command();
        let line = format!("'{}' rescue --json \"$uri\" image >told", env!("CARGO_BIN_EXE_diskwright"));
        command.args(["serve", disk, "-U-", "--pace=instant"]).args(words).args(["--run", &line]);
        let ended = Ended::of(command.output().expect("diskwright runs"));
        assert!(matches!(ended.status, Some(0 | 1)), "{}", ended.stderr);
        let told = std::fs::read_to_string(bench.path("told")).expect("what it told");
        let told: serde_json::Value =
            told.lines().last().and_then(|line| serde_json::from_str(line).ok()).expect("JSON");
        let count = |line: &serde_json::Value, name: &str| line[name].as_u64().expect("a number");
        assert!(count(&told, "rescued_bytes") <= count(&truth, "recoverable_bytes"), "{disk}: {told}");
        assert!(count(&told, "rescued_bytes") * 100 >= count(&truth, "rescued_bytes") * 95, "{disk}: {told}");
        // What the map calls rescued is the disk's.
        let scenario = simulator::scenario::library::open(disk).expect("a scenario");
        let source = scenario
            .source(scenario.seed(), None, std::sync::Arc::default(), simulator::Pace::Instant)
            .expect("a disk");
        let image = std::fs::read(bench.image()).expect("an image");
        for block in bench.map().map.blocks().filter(|block| block.status == Status::Finished) {
            let mut bytes = vec![0; block.range.length() as usize];
            source.truth(block.range.start(), &mut bytes).expect("the truth");
            let from = block.range.start().bytes() as usize;
            assert!(image[from..from + bytes.len()] == bytes, "{disk}: a false + at {}", block.range);
        }
    }
}
