//! How a mount begins, and how it ends: for those who wait, for those who have the file open, and for its place.

use std::fs::{self, File};
use std::io::Read;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rig::wait_until;

use super::{Bench, HANGING, SPOTS, ended, is_mounted, killed_by};

const HANGS: [&str; 2] = ["--pace=instant", "--access=raw"];

#[test]
fn a_signal_frees_those_who_wait_and_leaves_nothing_behind() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let bench = Bench::with(HANGING);
        let mut mounted = bench.mount("./disk.toml", &HANGS);
        let readers = [(); 3].map(|()| bench.hanging_reader(&mounted.file));
        mounted.signal(signal);
        for reader in readers {
            let (status, told) = ended(reader);
            assert_eq!(status.code(), Some(1));
            assert!(told.contains("Input/output error"), "{told}");
        }
        assert_eq!(mounted.child.wait().unwrap().code(), Some(0));
        assert!(!is_mounted(&mounted.file) && !mounted.file.exists());
    }
}

#[test]
fn readers_of_the_loop_device_are_freed_too_and_it_goes() {
    let bench = Bench::with(HANGING);
    let mut options = HANGS.to_vec();
    options.push("--loop");
    let mut mounted = bench.mount("./disk.toml", &options);
    let device = mounted.name.clone();
    let reader = bench.hanging_reader(&device);
    mounted.signal(Signal::SIGTERM);
    let (status, told) = ended(reader);
    assert!(status.code() == Some(1) && told.contains("Input/output error"), "{told}");
    assert_eq!(mounted.child.wait().unwrap().code(), Some(0));
    wait_until("the loop device does not go", || !is_attached(&device, &mounted.file));
    assert!(!is_mounted(&mounted.file) && !mounted.file.exists());
}

#[test]
fn a_reader_that_is_killed_dies_and_nothing_of_it_stays() {
    let bench = Bench::with(HANGING);
    let mounted = bench.mount("./disk.toml", &HANGS);
    let kill_one = || {
        let reader = bench.hanging_reader(&mounted.file);
        kill(Pid::from_raw(reader.id() as i32), Signal::SIGKILL).unwrap();
        assert_eq!(killed_by(ended(reader).0), Some(Signal::SIGKILL as i32));
    };
    kill_one();
    let before = mounted.threads_and_files();
    (0..5).for_each(|_| kill_one());
    assert_eq!(mounted.threads_and_files(), before);
    assert_eq!(mounted.end(), Some(0));
}

#[test]
fn a_reader_that_only_handles_a_signal_goes_on_waiting() {
    let bench = Bench::with(HANGING);
    let mut mounted = bench.mount("./disk.toml", &HANGS);
    let reader = bench.hanging_reader(&mounted.file);
    // dd tells how far it is, and reads on.
    let id = Pid::from_raw(reader.id() as i32);
    kill(id, Signal::SIGUSR1).unwrap();
    kill(id, Signal::SIGCONT).unwrap();
    // Whoever is killed later is found all the same, although the kernel says nothing of a second signal.
    let other = bench.hanging_reader(&mounted.file);
    kill(Pid::from_raw(other.id() as i32), Signal::SIGUSR1).unwrap();
    kill(Pid::from_raw(other.id() as i32), Signal::SIGKILL).unwrap();
    assert_eq!(killed_by(ended(other).0), Some(Signal::SIGKILL as i32));
    mounted.signal(Signal::SIGTERM);
    let (_, told) = ended(reader);
    assert!(told.contains("Input/output error") && !told.contains("Interrupted"), "{told}");
    assert_eq!(mounted.child.wait().unwrap().code(), Some(0));
}

#[test]
fn whoever_keeps_the_file_open_gets_errors_and_the_name_is_free() {
    let bench = Bench::with(SPOTS);
    let mounted = bench.mount("./disk.toml", &["--pace=instant"]);
    let path = mounted.file.clone();
    let mut file = File::open(&path).unwrap();
    assert_eq!(mounted.end(), Some(0));
    assert!(!is_mounted(&path) && !path.exists());
    assert!(file.read(&mut [0; 512]).is_err());
}

#[test]
fn a_mount_whose_server_was_killed_is_told_and_can_be_removed() {
    let bench = Bench::with(SPOTS);
    let mut mounted = bench.mount("./disk.toml", &["--pace=instant", "--loop"]);
    let device = mounted.name.clone();
    mounted.signal(Signal::SIGKILL);
    mounted.child.wait().unwrap();
    // Nobody holds the loop device any more.
    wait_until("the loop device does not go", || !is_attached(&device, &mounted.file));
    let (status, _, told) = bench.run(&["./disk.toml", "file"]);
    assert_eq!(status, 4);
    assert!(told.contains("umount file") && told.contains("has been killed"), "{told}");
    assert!(bench.tool("umount", &["file"]).status.success());
    assert_eq!(bench.mount("./disk.toml", &["--pace=instant"]).end(), Some(0));
}

#[test]
fn somebody_else_may_take_the_mount_down() {
    let bench = Bench::with(SPOTS);
    let mut mounted = bench.mount("./disk.toml", &["--pace=instant"]);
    assert!(bench.tool("umount", &["file"]).status.success());
    assert_eq!(mounted.child.wait().unwrap().code(), Some(0));
    assert!(!mounted.file.exists());
}

#[test]
fn places_that_will_not_do_are_refused() {
    let bench = Bench::with(SPOTS);
    let mounted = bench.mount("./disk.toml", &["--pace=instant"]);
    fs::write(bench.path("image"), [0; 4096]).unwrap();
    fs::create_dir(bench.path("folder")).unwrap();
    for (words, status, expected) in [
        (&["./disk.toml", "folder"][..], 4, "folder/disk"),
        (&["./disk.toml", "/dev/null"], 4, "no regular file"),
        (&["./disk.toml", "no/such/file"], 4, "cannot create it"),
        (&["./disk.toml", "file"], 4, "mounted there already"),
        (&["./image", "image"], 2, "the image itself"),
        (&["./disk.toml", "other", "--map=map"], 2, "--map belongs to an image"),
        (&["./image", "other", "--map=map"], 4, "map"),
        (&["./none.img", "other"], 4, "none.img"),
        (&["no-such-disk", "other"], 2, "no-such-disk"),
        (&["./disk.toml", "other", "--pace=fast"], 2, "real, instant, or a number"),
        (&["./disk.toml", "other", "--errno=ENOENT"], 2, "EIO or ENODATA"),
        (&["./image", "other", "--sector-size=1000"], 2, "a power of two"),
    ] {
        let (ended, _, told) = bench.run(words);
        assert_eq!(ended, status, "{words:?}: {told}");
        assert!(told.contains(expected), "{words:?}: {told}");
        assert!(!bench.path("other").exists(), "{words:?}");
    }
    assert_eq!(mounted.end(), Some(0));
}

#[test]
fn a_command_finds_the_names_and_its_status_is_the_exit_status() {
    let bench = Bench::with(SPOTS);
    let run = |script: &str, options: &[&str]| {
        let mut words = vec!["./disk.toml", "file", "--pace=instant", "--pidfile=pid", "--run", script];
        words.extend(options);
        bench.run(&words)
    };
    let (status, told, _) =
        run("stat -c %s \"$file\"; test -s pid && test -z \"$loop\"; echo $?; exit 7", &[]);
    assert_eq!((status, told.as_str()), (7, "8388608\n0\n"));
    let (status, told, _) = run("blockdev --getsize64 \"$loop\"; kill -9 $$", &["--loop"]);
    assert_eq!((status, told.as_str()), (137, "8388608\n"));
    assert!(!bench.path("pid").exists() && !bench.path("file").exists());
}

#[test]
fn a_signal_ends_the_command_and_a_second_one_does_not_wait_for_it() {
    let bench = Bench::with(SPOTS);
    let begin = |script: &str| {
        let mut command = bench.command(&["./disk.toml", "file", "--pidfile=pid", "--run", script]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        // The command says when it is ready.
        let mut byte = [0];
        child.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
        child
    };
    let signal =
        |child: &std::process::Child| kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    let mut obedient = begin("echo; exec sleep 1000");
    signal(&obedient);
    assert_eq!(obedient.wait().unwrap().code(), Some(128 + 15));
    assert!(!bench.path("file").exists());

    let mut stubborn = begin("trap : TERM; echo; while [ -e disk.toml ]; do sleep 0.1; done");
    signal(&stubborn);
    // Everything of ours is in order by then, but the command stays.
    wait_until("reads are not given up", || {
        File::open(bench.path("file")).and_then(|mut file| file.read(&mut [0])).is_err()
    });
    assert!(stubborn.try_wait().unwrap().is_none());
    signal(&stubborn);
    assert_eq!(stubborn.wait().unwrap().code(), Some(128 + 15));
    assert!(!is_mounted(&bench.path("file")) && !bench.path("file").exists() && !bench.path("pid").exists());
    // What was left running ends with its folder.
}

/// Whether a loop device still shows a file, which may be hidden by now.
fn is_attached(device: &std::path::Path, file: &std::path::Path) -> bool {
    let name = device.file_name().unwrap().to_str().unwrap();
    let shown = fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")).unwrap_or_default();
    shown.trim_end().starts_with(file.to_str().unwrap())
}
