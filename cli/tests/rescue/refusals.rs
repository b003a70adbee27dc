//! What must not happen is refused, with a word on what to do.

use rig::{Content, LoopDevice, LoopOptions, Mount};

use super::*;

fn image_file(bench: &Bench, name: &str, size: u64) -> PathBuf {
    let path = bench.path(name);
    Content::new(4).write_image(&path, size);
    path
}

#[test]
fn the_source_is_never_the_destination_under_any_name() {
    let bench = Bench::new();
    image_file(&bench, "source", 1 << 20);
    std::os::unix::fs::symlink("source", bench.path("link")).expect("a link");
    let before = std::fs::read(bench.path("source")).expect("a file");
    for name in ["source", "link", "./source"] {
        let mut command = bench.command();
        command.args(["rescue", "--force", "source", name]);
        Ended::of(command.output().expect("diskwright runs")).expect(2).says("the source itself");
    }
    assert!(before == std::fs::read(bench.path("source")).expect("a file"));
}

#[test]
fn a_mounted_destination_is_refused_even_by_force_and_a_mounted_source_unless_told() {
    let bench = Bench::new();
    let disk = image_file(&bench, "disk", 16 << 20);
    let device = LoopDevice::with(&disk, LoopOptions { writable: true, ..LoopOptions::default() });
    let mount = Mount::ext4(device.path());
    image_file(&bench, "source", 1 << 20);
    let mut command = bench.command();
    command.args(["rescue", "--force", "source"]).arg(device.path());
    Ended::of(command.output().expect("diskwright runs")).expect(2).says("is mounted for writing at");
    bench.rescue(device.path(), &[]).expect(2).says("--allow-mounted");
    assert!(!bench.image().exists());
    bench.rescue(device.path(), &["--allow-mounted"]).expect(0);
    drop(mount);
}

#[test]
fn a_destination_on_the_disk_that_is_to_be_rescued_is_refused() {
    let bench = Bench::new();
    let disk = image_file(&bench, "disk", 16 << 20);
    let device = LoopDevice::with(&disk, LoopOptions { writable: true, ..LoopOptions::default() });
    let mount = Mount::ext4(device.path());
    let mut command = bench.command();
    command.args(["rescue", "--allow-mounted"]).arg(device.path()).arg(mount.file("image"));
    Ended::of(command.output().expect("diskwright runs"))
        .expect(2)
        .says("name a destination on another disk");
}

#[test]
fn a_device_is_overwritten_only_by_force() {
    let bench = Bench::new();
    let target = image_file(&bench, "target", 1 << 20);
    let device = LoopDevice::with(&target, LoopOptions { writable: true, ..LoopOptions::default() });
    image_file(&bench, "source", 1 << 20);
    let run = |options: &[&str]| {
        let mut command = bench.command();
        command.arg("rescue").args(options).arg("source").arg(device.path()).arg("map");
        Ended::of(command.output().expect("diskwright runs"))
    };
    run(&[]).expect(2).says("--force");
    run(&["--force"]).expect(0);
}

#[test]
fn an_image_without_its_map_a_map_without_its_image_and_the_map_of_another_source_are_refused() {
    let bench = Bench::new();
    image_file(&bench, "source", 1 << 20);
    let source = bench.path("source");
    bench.rescue(&source, &[]).expect(0);
    std::fs::rename(bench.path("image.map"), bench.path("kept")).expect("a rename");
    bench.rescue(&source, &[]).expect(2).says("there is no map");
    std::fs::rename(bench.path("kept"), bench.path("image.map")).expect("a rename");
    std::fs::File::create(bench.image()).and_then(|f| f.set_len(4096)).expect("a short image");
    bench.rescue(&source, &[]).expect(2).says("4096 bytes long");
    bench.rescue(&source, &["--force"]).expect(2).says("4096 bytes long");
    std::fs::remove_file(bench.image()).expect("a file");
    bench.rescue(&source, &[]).expect(2).says("0 bytes long");
    image_file(&bench, "other", 2 << 20);
    std::fs::write(bench.image(), vec![0; 1 << 20]).expect("an image");
    bench.rescue(&bench.path("other"), &[]).expect(2).says("made from another source");
}

#[test]
fn bad_input_gets_a_message_that_says_what_and_where() {
    let bench = Bench::new();
    image_file(&bench, "source", 1 << 20);
    let source = bench.path("source");
    std::fs::write(bench.path("image.map"), "0 ? 1\n0 512 +\n1024 512 +\n").expect("a map");
    bench.rescue(&source, &[]).expect(5).says("image.map:3: block at 0x00000400 should start at 0x00000200");
    std::fs::write(bench.path("image.map"), [0xFF; 300]).expect("a map");
    bench.rescue(&source, &[]).expect(5).says("image.map:1:");
    std::fs::remove_file(bench.path("image.map")).expect("a file");
    bench.rescue(&bench.path("nothing"), &[]).expect(4).says("No such file or directory");
    bench.rescue(&source, &["--retry-passes=x"]).expect(2).says("--retry-passes");
    bench.rescue(&source, &["--no-such-thing"]).expect(2).says("--help");
    let fifo = bench.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    bench.rescue(&fifo, &[]).expect(4).says("cannot be read at a chosen position");
    bench.rescue(bench.folder.path(), &[]).expect(2).says("this is a folder");
    std::fs::write(bench.path("empty"), "").expect("a file");
    let ended = bench.rescue(&bench.path("empty"), &[]).expect(0);
    ended.says("(0 B, sectors");
    ended.says("The source has no bytes");
}

#[test]
fn a_device_without_bytes_is_no_rescue_that_went_well() {
    let bench = Bench::new();
    std::fs::write(bench.path("nothing"), "").expect("a file");
    let device = rig::LoopDevice::over(&bench.path("nothing"));
    bench.rescue(device.path(), &[]).expect(3).says("this device has no bytes");
    assert!(!bench.image().exists());
}

#[test]
fn names_that_lead_nowhere_are_told_with_what_to_do() {
    let bench = Bench::new();
    image_file(&bench, "source", 1 << 20);
    let rescue = |names: &[&str]| {
        let mut command = bench.command();
        command.arg("rescue").args(names);
        Ended::of(command.output().expect("diskwright runs"))
    };
    rescue(&["", "image"]).expect(2).says("SOURCE is an empty name");
    rescue(&["source", ""]).expect(2).says("DESTINATION is an empty name");
    rescue(&["source", "image", ""]).expect(2).says("MAP is an empty name");
    rescue(&["nowhere", "image"]).expect(4).says("check the name");
    let ended = rescue(&["source", "nowhere/image"]).expect(4);
    ended.says("nowhere/image: cannot open the destination: No such file or directory");
    ended.says("check the name and its folder");
    rescue(&["--log-reads=/dev/null", "source", "image"]).expect(2).says("/dev/null: Logfile exists");
    // No line of a first kind without one of a last kind.
    let ended = rescue(&["--json", "source", "image", "nowhere/map"]).expect(4);
    ended.says("nowhere/map: cannot create the map");
    let (first, last) = ended.stdout.split_once('\n').expect("two lines");
    assert!(first.contains("\"event\":\"start\"") && last.contains("\"event\":\"end\""), "{}", ended.stdout);
}

#[test]
fn a_map_that_is_longer_than_the_source_is_another_ones() {
    let bench = Bench::new();
    image_file(&bench, "source", 1 << 20);
    let source = bench.path("source");
    let map = "0 ? 1\n0 0x200000 ?\n";
    std::fs::write(bench.path("image.map"), map).expect("a map");
    let ended = bench.rescue(&source, &[]).expect(2);
    ended.says("image.map: this map was made from another source (at least 2097152 bytes)");
    assert_eq!(std::fs::read_to_string(bench.path("image.map")).expect("a map"), map);
    bench.rescue(&source, &["--force"]).expect(0);
    // The size of a character device is never known.
    std::fs::write(bench.path("image.map"), "0 ? 1\n0 0x7FFFFFFFFFFFFFFF ?\n").expect("a map");
    bench.rescue(&source, &[]).expect(0);
}

#[test]
fn two_rescues_never_write_to_one_destination() {
    let bench = Bench::new();
    image_file(&bench, "source", 8 << 20);
    let mut first = bench.command();
    first.args(["rescue", "--quiet", "--max-read-rate=100k", "source", "image"]);
    let mut first = first.spawn().expect("diskwright runs");
    rig::wait_until("nothing is rescued", || std::fs::metadata(bench.image()).is_ok_and(|m| m.len() > 0));
    bench.rescue(&bench.path("source"), &["--force"]).expect(2).says("another rescue is writing");
    let id = nix::unistd::Pid::from_raw(first.id() as i32);
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).expect("a signal can be sent");
    first.wait().expect("a child");
    bench.rescue(&bench.path("source"), &[]).expect(0);
}

#[test]
fn no_file_of_a_rescue_is_written_over_by_another_one_of_its_files() {
    let bench = Bench::new();
    image_file(&bench, "source", 1 << 20);
    let before = std::fs::read(bench.path("source")).expect("a file");
    for names in [["image", "image"], ["map.bak", "map"], ["image", "source"], ["image", "./image"]] {
        let mut command = bench.command();
        command.args(["rescue", "source"]).args(names);
        Ended::of(command.output().expect("diskwright runs")).expect(2).says("at once");
    }
    let log = bench.rescue(&bench.path("source"), &["--log-reads=source"]).expect(2);
    log.says("the source itself and the log of reads");
    assert!(before == std::fs::read(bench.path("source")).expect("a file"));
    let mut command = bench.command();
    command.args(["rescue", "source", "image", "/dev/null"]);
    Ended::of(command.output().expect("diskwright runs")).expect(2).says("a regular file");
}

#[test]
fn holes_are_made_where_something_else_was_before() {
    let bench = Bench::new();
    std::fs::write(bench.path("source"), vec![0; 1 << 20]).expect("a file");
    image_file(&bench, "image", 1 << 20);
    bench.rescue(&bench.path("source"), &["--force", "--sparse"]).expect(0);
    assert!(std::fs::read(bench.image()).expect("an image") == vec![0; 1 << 20]);
}

#[test]
fn the_file_behind_a_loop_device_a_mistyped_device_and_a_folder_are_no_destinations() {
    let bench = Bench::new();
    let disk = image_file(&bench, "disk", 4 << 20);
    let device = LoopDevice::over(&disk);
    let run = |destination: &Path| {
        let mut command = bench.command();
        command.args(["rescue", "--force"]).arg(device.path()).arg(destination).arg("map");
        Ended::of(command.output().expect("diskwright runs"))
    };
    run(&disk).expect(2).says("the source itself");
    run(Path::new("/dev/sdzz9")).expect(2).says("there is no such device");
    run(bench.folder.path()).expect(2).says("this is a folder");
    assert!(!Path::new("/dev/sdzz9").exists());
}

#[test]
fn a_pipe_and_a_character_device_are_no_destinations_and_nobody_waits_for_a_reader() {
    let bench = Bench::new();
    image_file(&bench, "source", 1 << 20);
    nix::unistd::mkfifo(&bench.path("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    for name in ["pipe", "/dev/null"] {
        let mut command = bench.command();
        command.args(["rescue", "--force", "source", name, "map"]);
        Ended::of(command.output().expect("diskwright runs"))
            .expect(2)
            .says("neither a file nor a block device");
    }
    assert!(!bench.path("map").exists());
}

#[test]
fn positions_that_make_no_sense_are_wrong_use_and_nothing_is_written() {
    let bench = Bench::new();
    image_file(&bench, "source", 1 << 20);
    let source = bench.path("source");
    bench.rescue(&source, &["--input-position=1Mi"]).expect(2).says("is only 1048576 bytes long");
    bench.rescue(&source, &["--output-position=0x7FFFFFFFFFF00000"]).expect(2).says("reaches that far");
    assert!(!bench.image().exists() && !bench.path("image.map").exists());
    bench.rescue(&source, &["--input-position=1048575", "--output-position=0"]).expect(0);
}

#[test]
fn only_files_are_preallocated_and_extended() {
    let bench = Bench::new();
    let target = image_file(&bench, "target", 1 << 20);
    let device = LoopDevice::with(&target, LoopOptions { writable: true, ..LoopOptions::default() });
    image_file(&bench, "source", 1 << 20);
    for option in ["--preallocate", "--extend-outfile=2Mi"] {
        let mut command = bench.command();
        command.args(["rescue", "--force", option, "source"]).arg(device.path()).arg("map");
        Ended::of(command.output().expect("diskwright runs")).expect(2).says("only a regular file");
    }
    bench.rescue(&bench.path("source"), &["--preallocate", "--extend-outfile=2Mi"]).expect(0);
    assert_eq!(std::fs::metadata(bench.image()).expect("an image").len(), 2 << 20);
}

#[test]
fn help_that_cannot_be_written_is_a_failure_and_a_closed_pipe_is_none() {
    let bench = Bench::new();
    for words in [&["rescue", "--help"][..], &["rescue", "--version"], &["--help"], &["map", "--help"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
        let mut command = bench.command();
        let ended =
            Ended::of(command.args(words).stdout(full).stderr(Stdio::piped()).output().expect("it runs"));
        ended.expect(4).says("cannot write to standard output");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = bench.command();
        Ended::of(command.args(words).stdout(writer).stderr(Stdio::piped()).output().expect("it runs"))
            .expect(0);
    }
}

#[test]
fn two_rescues_never_keep_one_map() {
    let bench = Bench::new();
    image_file(&bench, "source", 8 << 20);
    std::os::unix::fs::symlink("map", bench.path("link")).expect("a link");
    let mut first = bench.command();
    first.args([
        "rescue",
        "--quiet",
        "--max-read-rate=100k",
        "--mapfile-interval=0,5",
        "source",
        "image",
        "map",
    ]);
    let mut first = first.spawn().expect("diskwright runs");
    // Saved more than once: another file lies there now than at the start.
    rig::wait_until("nothing is saved", || {
        std::fs::read_to_string(bench.path("map")).is_ok_and(|text| text.contains("  +\n"))
    });
    let second = |map: &str| {
        let mut command = bench.command();
        command.args(["rescue", "source", "other", map]);
        Ended::of(command.output().expect("diskwright runs"))
    };
    for name in ["map", "./map", "link"] {
        second(name).expect(2).says("another rescue is using this map");
    }
    second("other.map").expect(0);
    let id = nix::unistd::Pid::from_raw(first.id() as i32);
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL).expect("a signal can be sent");
    first.wait().expect("a child");
    std::fs::remove_file(bench.path("other")).expect("a file");
    // Nothing stale keeps the next one away.
    let mut command = bench.command();
    command.args(["rescue", "source", "image", "map"]);
    Ended::of(command.output().expect("diskwright runs")).expect(0);
    let names: Vec<_> = std::fs::read_dir(bench.folder.path()).expect("a folder").flatten().collect();
    assert!(names.iter().all(|entry| !entry.file_name().to_string_lossy().contains("lock")), "{names:?}");
}

#[test]
fn a_program_that_reads_json_gets_a_first_and_a_last_line_even_when_nothing_begins() {
    let bench = Bench::new();
    std::fs::write(bench.path("source"), [7; 4096]).unwrap();
    for (words, exit) in [
        (&["missing", "image"][..], 4),
        (&["source"], 2),
        (&["--no-such-option", "source", "image"], 2),
        (&["-s0", "source", "image"], 0),
    ] {
        let output = bench.command().args(["rescue", "--json"]).args(words).output().unwrap();
        assert_eq!(output.status.code(), Some(exit), "{words:?}");
        let lines: Vec<serde_json::Value> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{words:?}: {line}: {e}")))
            .collect();
        let [first, last] = &lines[..] else { panic!("{words:?}: {lines:?}") };
        assert!(first["event"] == "start" && first["version"].is_string(), "{words:?}: {first}");
        assert_eq!((&last["event"], &last["exit"]), (&"end".into(), &exit.into()), "{words:?}: {last}");
        assert_eq!((&last["rescued_bytes"], &last["failed_reads"]), (&0.into(), &0.into()), "{words:?}");
        assert!(last["error"].is_string(), "{words:?}: {last}");
    }
}
