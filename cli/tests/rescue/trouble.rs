//! Full disks, failing destinations, reads that hang.

use std::time::Duration;

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rig::{BadRange, Content, FaultyFile, FaultyFileOptions, LoopDevice, LoopOptions, Mount};

use super::*;

#[test]
fn a_full_destination_stops_the_run_and_nothing_that_was_promised_is_lost() {
    let bench = Bench::new();
    let content = Content::new(9);
    content.write_image(&bench.path("source"), 8 << 20);
    let small = Mount::tmpfs(3 << 20);
    let image = small.file("image");
    let run = || {
        let mut command = bench.command();
        command.args(["rescue", "source"]).arg(&image).arg("map");
        Ended::of(command.output().expect("diskwright runs"))
    };
    let ended = run().expect(4);
    ended.says("No space left on device");
    ended.says("Make room");
    // What it says works as it is said: the rest goes elsewhere, and both are joined.
    let commands: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("  diskwright ")).collect();
    assert_eq!(commands.len(), 3, "{}", ended.stderr);
    let joined = bench.path("joined");
    let saved = std::fs::read(bench.path("map")).expect("a map");
    for (index, command) in commands.iter().enumerate() {
        if index == 2 {
            std::fs::copy(&image, &joined).expect("a copy");
        }
        let command = command.replace(&*image.to_string_lossy(), &joined.to_string_lossy());
        let program = Path::new(env!("CARGO_BIN_EXE_diskwright")).parent().expect("a folder");
        let mut shell = Command::new("sh");
        shell.env("PATH", format!("{}:/usr/bin:/bin", program.display()));
        shell.current_dir(bench.folder.path()).stdin(Stdio::null()).arg("-c").arg(command);
        Ended::of(shell.output().expect("sh runs")).expect(0);
    }
    assert_eq!(promises(&bench.path("map"), &joined, content), 8 << 20);
    // The other way: as if nothing had been done.
    std::fs::write(bench.path("map"), saved).expect("a map");
    let promised = promises(&bench.path("map"), &image, content);
    assert!(promised > 1 << 20, "only {promised} bytes were kept");
    // Room is made: the same command goes on.
    let big = bench.path("bigger");
    std::fs::copy(&image, &big).expect("a copy");
    let mut command = bench.command();
    command.args(["rescue", "source", "bigger", "map"]);
    Ended::of(command.output().expect("diskwright runs")).expect(0);
    assert_eq!(promises(&bench.path("map"), &big, content), 8 << 20);
}

#[test]
fn a_map_that_cannot_be_saved_is_saved_elsewhere_and_says_where() {
    let bench = Bench::new();
    let content = Content::new(10);
    content.write_image(&bench.path("source"), 2 << 20);
    let small = Mount::tmpfs(64 << 10);
    std::fs::write(small.file("map"), "0 ? 1\n0 0x200000 ?\n").expect("a map");
    std::fs::write(small.file("filler"), vec![1; 1 << 20]).expect_err("the file system should be full");
    let map = small.file("map");
    let mut command = bench.command();
    command.args(["rescue", "source", "image"]).arg(&map).env("HOME", bench.folder.path());
    let ended = Ended::of(command.output().expect("diskwright runs")).expect(4);
    ended.says("was saved in ./map.emergency");
    let promised = promises(&bench.path("map.emergency"), &bench.image(), content);
    assert_eq!(promised, 2 << 20);
}

#[test]
fn a_map_in_a_folder_that_takes_no_new_names_is_written_over_after_a_copy_of_it() {
    let bench = Bench::new();
    let content = Content::new(13);
    content.write_image(&bench.path("source"), 1 << 20);
    std::fs::File::create(bench.path("disk")).and_then(|disk| disk.set_len(8 << 20)).expect("a disk");
    let options = LoopOptions { writable: true, ..LoopOptions::default() };
    let device = LoopDevice::with(&bench.path("disk"), options);
    let mount = Mount::ext4(device.path());
    let old = "0 ? 1\n0 0x100000 ?\n";
    std::fs::write(mount.file("map"), old).expect("a map");
    std::fs::write(mount.file("map.bak"), "").expect("a backup");
    let freeze = |flag| {
        let done = Command::new("chattr").arg(flag).arg(mount.path()).status().expect("chattr runs");
        assert!(done.success());
    };
    freeze("+i");
    let mut command = bench.command();
    command.args(["rescue", "source", "image"]).arg(mount.file("map"));
    let output = command.output().expect("diskwright runs");
    freeze("-i");
    Ended::of(output).expect(0);
    assert_eq!(promises(&mount.file("map"), &bench.image(), content), 1 << 20);
    assert_eq!(std::fs::read_to_string(mount.file("map.bak")).expect("a backup"), old);
}

#[test]
fn a_map_and_an_image_on_one_full_disk_keep_their_promises() {
    let bench = Bench::new();
    let content = Content::new(11);
    content.write_image(&bench.path("source"), 8 << 20);
    let small = Mount::tmpfs(3 << 20);
    let mut command = bench.command();
    command.args(["rescue", "--mapfile-interval=0,5", "source"]).arg(small.file("image"));
    command.env("HOME", bench.folder.path());
    Ended::of(command.output().expect("diskwright runs")).expect(4);
    let emergency = bench.path("image.map.emergency");
    let map = if emergency.exists() { emergency } else { small.file("image.map") };
    assert!(promises(&map, &small.file("image"), content) > 1 << 20);
}

#[test]
fn a_read_that_hangs_keeps_nobody_from_stopping_and_the_map_is_saved_first() {
    let size = 64 << 20;
    let file = FaultyFile::serve(FaultyFileOptions { size, ..FaultyFileOptions::default() });
    file.hold(40 << 20..41 << 20);
    let bench = Bench::new();
    let mut command = bench.command();
    command.args(["rescue", "--plain"]).arg(file.path()).arg("image").stderr(Stdio::piped());
    let mut child = command.spawn().expect("diskwright runs");
    rig::wait_until("no read hangs", || file.held() > 0);
    let id = Pid::from_raw(child.id() as i32);
    kill(id, Signal::SIGINT).expect("a signal can be sent");
    // The first one saves what is known although the read does not come back.
    rig::wait_until("no map is saved", || bench.has_saved());
    assert!(bench.check_promises(file.content()) > 16 << 20);
    assert!(child.try_wait().expect("a child").is_none(), "it should still wait for the read");
    // The thread that waits for the disk belongs to the kernel until the disk answers; nobody has to wait for that. One
    // that comes too soon after the first counts as the same.
    rig::wait_until("the second signal does not end it", || {
        kill(id, Signal::SIGINT).expect("a signal can be sent");
        child.try_wait().is_ok_and(|status| status.is_some())
    });
    let status = child.wait().expect("a child");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(Signal::SIGINT as i32));
    file.release();
    bench.wait_for_the_last_writer();
    bench.check_promises(file.content());
    bench.rescue(&file.path(), &[]).expect(0);
    assert_eq!(bench.check_promises(file.content()), size);
}

#[test]
fn a_read_over_the_limit_is_marked_while_it_hangs_and_kept_when_it_comes_back() {
    let size = 64 << 20;
    // Far enough behind damage reads are made one by one.
    let bad = vec![BadRange::new(39 << 20..(39 << 20) + 512, libc::EIO)];
    let file = FaultyFile::serve(FaultyFileOptions { size, bad, ..FaultyFileOptions::default() });
    file.hold(50 << 20..(50 << 20) + 512);
    let bench = Bench::new();
    let mut command = bench.command();
    command.args(["rescue", "--plain", "--read-timeout=1"]).arg(file.path()).arg("image");
    let child = command.stderr(Stdio::piped()).spawn().expect("diskwright runs");
    // The place is marked before its read comes back, and nothing else is asked of the drive meanwhile.
    let marked = || bench.has_saved() && bench.missing().contains(&(50 << 20, 65536, Status::NonTrimmed));
    rig::wait_until("no map tells of the slow read", marked);
    assert_eq!(file.held(), 1);
    assert!(bench.check_promises(file.content()) > 16 << 20);
    file.release();
    let ended = Ended::of(child.wait_with_output().expect("a child")).expect(1);
    ended.says("took too long: 1.");
    assert_eq!(bench.missing(), [(39 << 20, 512, Status::BadSector)]);
    assert_eq!(bench.check_promises(file.content()), size - 512);
    bench.rescue(&file.path(), &["--read-timeout=0"]).expect(2).says("at least one second");
}

#[test]
fn a_signal_while_reads_come_back_saves_and_ends_by_that_signal() {
    let size = 32 << 20;
    let file = FaultyFile::serve(FaultyFileOptions { size, ..FaultyFileOptions::default() });
    let bench = Bench::new();
    let mut command = bench.command();
    command
        .args(["rescue", "--plain", "--max-read-rate=2M"])
        .arg(file.path())
        .arg("image")
        .stderr(Stdio::piped());
    let child = command.spawn().expect("diskwright runs");
    rig::wait_until("nothing is rescued", || bench.image().exists());
    rig::pause(Duration::from_millis(1200));
    let id = Pid::from_raw(child.id() as i32);
    kill(id, Signal::SIGUSR1).expect("a signal can be sent");
    kill(id, Signal::SIGTERM).expect("a signal can be sent");
    let output = child.wait_with_output().expect("a child");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(Signal::SIGTERM as i32));
    let ended = Ended::of(output);
    ended.says("Go on with");
    assert!(bench.check_promises(file.content()) > 0);
}

#[test]
fn what_could_be_read_is_read_again_after_so_many_errors_if_that_is_asked_for() {
    let bad = vec![
        BadRange::new(1 << 20..(1 << 20) + 512, libc::EIO),
        BadRange::new(3 << 20..(3 << 20) + 512, libc::EIO),
    ];
    let file = FaultyFile::serve(FaultyFileOptions { size: 4 << 20, bad, ..FaultyFileOptions::default() });
    let looks = |option: &str| {
        let bench = Bench::new();
        let before = file.requests().len();
        bench.rescue(&file.path(), &[option, "--no-trim", "--no-scrape"]).expect(1);
        let requests = file.requests().split_off(before);
        let one_sector = |at: u64| requests.iter().filter(|request| request.bytes == (at..at + 512)).count();
        // The first sectors of the reads before each error.
        [one_sector((1 << 20) - 65536), one_sector((3 << 20) - 65536)]
    };
    assert_eq!(looks("--check-every=1"), [1, 1]);
    assert_eq!(looks("--check-every=2"), [1, 0]);
    assert_eq!(looks("--check-every=3"), [0, 0]);
    let bench = Bench::new();
    bench.rescue(&file.path(), &["--check-every=0"]).expect(2).says("--check-every");
}

#[test]
fn a_terminal_that_is_closed_ends_no_rescue_before_its_map_is_saved() {
    let size = 32 << 20;
    let file = FaultyFile::serve(FaultyFileOptions { size, ..FaultyFileOptions::default() });
    let bench = Bench::new();
    // So small that it takes some pictures although nobody reads them.
    let shape = nix::pty::Winsize { ws_row: 12, ws_col: 20, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = nix::pty::openpty(Some(&shape), None).expect("a terminal");
    let mut command = bench.command();
    command.args(["rescue", "--max-read-rate=2M"]).arg(file.path()).arg("image").env("TERM", "xterm");
    let mut child = command.stderr(terminal.slave).spawn().expect("diskwright runs");
    // The command holds a copy of the terminal.
    drop(command);
    rig::wait_until("nothing is rescued", || {
        std::fs::metadata(bench.image()).is_ok_and(|image| image.len() > 0)
    });
    drop(terminal.master);
    // It draws in vain.
    rig::pause(Duration::from_millis(600));
    let id = Pid::from_raw(child.id() as i32);
    let rescuer = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).expect("its children");
    let rescuer = rescuer.split_whitespace().next().and_then(|id| id.parse().ok()).expect("a rescuer");
    // Who closes a window also wakes what was stopped in it; then everything is drawn anew.
    kill(Pid::from_raw(rescuer), Signal::SIGCONT).expect("a signal can be sent");
    rig::pause(Duration::from_millis(600));
    kill(id, Signal::SIGHUP).expect("a signal can be sent");
    let status = child.wait().expect("a child");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(Signal::SIGHUP as i32));
    assert!(bench.check_promises(file.content()) > 0);
}

#[test]
fn two_signals_at_once_are_one_and_the_map_is_saved() {
    let size = 32 << 20;
    let file = FaultyFile::serve(FaultyFileOptions { size, ..FaultyFileOptions::default() });
    let bench = Bench::new();
    let mut command = bench.command();
    command.args(["rescue", "--plain", "--max-read-rate=2M"]).arg(file.path()).arg("image");
    let child = command.stderr(Stdio::piped()).spawn().expect("diskwright runs");
    rig::wait_until("nothing is rescued", || {
        std::fs::metadata(bench.image()).is_ok_and(|image| image.len() > 0)
    });
    let id = Pid::from_raw(child.id() as i32);
    // Two numbers: of one alone the system would not keep a second.
    kill(id, Signal::SIGINT).expect("a signal can be sent");
    kill(id, Signal::SIGTERM).expect("a signal can be sent");
    let output = child.wait_with_output().expect("a child");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(Signal::SIGINT as i32));
    Ended::of(output).says("Go on with");
    assert!(bench.check_promises(file.content()) > 0);
}

/// Checks a map against an image; returns the bytes promised.
fn promises(map: &Path, image: &Path, content: Content) -> u64 {
    let text = std::fs::read(map).unwrap_or_else(|e| panic!("{}: {e}", map.display()));
    let mapfile = Mapfile::parse(&text).expect("a map that can be read");
    let image = std::fs::read(image).expect("an image");
    let mut bytes = 0;
    for block in mapfile.map.blocks().filter(|b| b.status == Status::Finished) {
        let (from, length) = (block.range.start().bytes(), block.range.length() as usize);
        let there = image.get(from as usize..from as usize + length);
        assert!(there == Some(&content.bytes(from, length)[..]), "a false + at {}", block.range);
        bytes += length as u64;
    }
    bytes
}

#[test]
fn a_destination_that_fails_stops_the_run_and_the_map_promises_only_what_is_there() {
    let bench = Bench::new();
    let content = Content::new(12);
    content.write_image(&bench.path("source"), 8 << 20);
    // A file size limit fails writes as a broken disk would.
    let mut command = Command::new("bash");
    command.current_dir(bench.folder.path()).stdin(Stdio::null());
    let program = env!("CARGO_BIN_EXE_diskwright");
    command.arg("-c").arg(format!("ulimit -f 2048 ; trap '' XFSZ ; exec {program} rescue source image"));
    let ended = Ended::of(command.output().expect("bash runs")).expect(4);
    ended.says("cannot write to the destination");
    let promised = promises(&bench.path("image.map"), &bench.image(), content);
    assert!(promised > 0 && promised <= 2048 << 10, "{promised}");
    bench.rescue(&bench.path("source"), &[]).expect(0);
    assert_eq!(promises(&bench.path("image.map"), &bench.image(), content), 8 << 20);
}

#[test]
fn ctrl_c_answers_a_question_and_nobody_has_to_press_enter() {
    use std::io::{Read, Write};
    let bench = Bench::new();
    Content::new(13).write_image(&bench.path("source"), 8 << 20);
    let small = Mount::tmpfs(3 << 20);
    // A terminal of its own, in which Ctrl-C is a signal.
    let mut command = Command::new("script");
    let program = env!("CARGO_BIN_EXE_diskwright");
    // The shell that `script` takes may wait beside the program and die of the same Ctrl-C: its end would be seen instead.
    let line = format!("exec {program} rescue --plain source '{}' map", small.file("image").display());
    command.current_dir(bench.folder.path()).args(["-qec", &line, "/dev/null"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script runs");
    let (mut keys, mut screen) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    let mut shown = Vec::new();
    while !String::from_utf8_lossy(&shown).contains("or Q to stop: ") {
        let mut piece = [0; 1024];
        let length = screen.read(&mut piece).expect("a pipe");
        assert!(length > 0, "it ended without a question: {}", String::from_utf8_lossy(&shown));
        shown.extend_from_slice(&piece[..length]);
    }
    keys.write_all(b"\x03").expect("a pipe");
    rig::wait_until("Ctrl-C does not end the question", || child.try_wait().is_ok_and(|end| end.is_some()));
    assert_eq!(child.wait().expect("a child").code(), Some(4));
    assert!(promises(&bench.path("map"), &small.file("image"), Content::new(13)) > 0);
}

#[test]
fn ctrl_z_gives_the_terminal_back_and_the_rescue_goes_on_when_it_may() {
    use std::io::{Read, Write};
    let bench = Bench::new();
    Content::new(14).write_image(&bench.path("source"), 8 << 20);
    // A shell with jobs, in a terminal of its own.
    let mut command = Command::new("script");
    let program = env!("CARGO_BIN_EXE_diskwright");
    command.args(["-qec", "bash --norc --noprofile -i", "/dev/null"]).env("TERM", "xterm").env("PS1", "");
    command.current_dir(bench.folder.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script runs");
    let (mut keys, mut screen) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    let (mut shown, mut seen) = (String::new(), 0);
    let mut await_text = |text: &str| {
        while !shown[seen..].contains(text) {
            let mut piece = [0; 4096];
            let length = screen.read(&mut piece).expect("a pipe");
            assert!(length > 0, "it ended without {text:?}: {shown}");
            shown.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
        seen += shown[seen..].find(text).map_or(0, |at| at + text.len());
    };
    let (taken, given_back) = ("\u{1b}[?1049h", "\u{1b}[?1049l");
    keys.write_all(format!("{program} rescue --max-read-rate=1M source image\n").as_bytes()).expect("a pipe");
    await_text(taken);
    keys.write_all(b"\x1a").expect("a pipe");
    await_text(given_back);
    await_text("Stopped");
    // Nothing goes on meanwhile.
    let length = || std::fs::metadata(bench.image()).expect("an image").len();
    let before = length();
    rig::pause(Duration::from_millis(1500));
    assert_eq!(length(), before);
    keys.write_all(b"fg\n").expect("a pipe");
    await_text(taken);
    await_text("Rescued 8388 kB of 8388 kB");
    keys.write_all(b"exit\n").expect("a pipe");
    drop(keys);
    child.wait().expect("a child");
    assert_eq!(promises(&bench.path("image.map"), &bench.image(), Content::new(14)), 8 << 20);
}
