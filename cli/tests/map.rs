//! `diskwright map` as a person or script meets it: results, exit statuses, and what happens to files.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const MAP: &str = "# disk: model X, serial 1\n0x200 - 2\n0 4096 +\n4096 4096 -\n8192 1000 ?\n";

/// A folder with some maps in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        for (name, text) in [
            ("a.map", MAP),
            ("b.map", "0 ? 1\n0 8192 +\n8192 1000 ?\n"),
            ("done.map", "0 + 1\n0 8192 +\n"),
            ("gap.map", "0 ? 1\n4096 512 +\n0 512 -\n"),
            ("bad.map", "0 ? 1\n0 512 +\n1024 512 +\n"),
            ("endless.map", "0 ? 1\n0 0x7FFFFFFFFFFFFFFF ?\n"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run_with(&self, line: &str, input: &[u8]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_diskwright"))
            .arg("map")
            .args(line.split(' '))
            .current_dir(self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    fn run(&self, line: &str) -> Output {
        self.run_with(line, b"")
    }

    /// Standard output without comments, after success.
    fn text(&self, line: &str) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        lines(&output.stdout)
    }

    /// Exit status and standard error.
    fn failure(&self, line: &str) -> (i32, String) {
        let output = self.run(line);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

/// Blocks as `start size status`, in bytes.
fn lines(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let content = text.lines().filter(|line| !line.starts_with("# "));
    content.map(|line| line.to_owned() + "\n").collect()
}

#[test]
fn operations_write_maps_to_standard_output() {
    let folder = Folder::new();
    let head = "0x00000200     -               2\n";
    let cases = [
        ("invert a.map", "0x00000000  0x00001000  -\n0x00001000  0x000013E8  +\n"),
        (
            "and a.map b.map",
            "0x00000000  0x00001000  +\n0x00001000  0x00001000  -\n0x00002000  0x000003E8  ?\n",
        ),
        ("or a.map b.map", "0x00000000  0x00002000  +\n0x00002000  0x000003E8  ?\n"),
        (
            "xor a.map b.map",
            "0x00000000  0x00001000  -\n0x00001000  0x00001000  +\n0x00002000  0x000003E8  ?\n",
        ),
        ("shift a.map --by -4Ki", "0x00000000  0x00001000  -\n0x00001000  0x000003E8  ?\n"),
        (
            "change a.map --old -? --new */",
            "0x00000000  0x00001000  +\n0x00001000  0x00001000  *\n0x00002000  0x000003E8  /\n",
        ),
        (
            "invert a.map --from 1Ki --size 1Ki --domain b.map",
            "0x00000000  0x00000400  +\n0x00000400  0x00000400  -\n0x00000800  0x00000800  +\n0x00001000  0x00001000  -\n0x00002000  0x000003E8  ?\n",
        ),
    ];
    for (line, blocks) in cases {
        assert_eq!(folder.text(line), head.to_owned() + blocks, "{line}");
    }
}

#[test]
fn a_result_replaces_a_file_whole_even_its_own_source() {
    let folder = Folder::new();
    assert_eq!(folder.run("invert a.map -o a.map").status.code(), Some(0));
    let text = fs::read_to_string(folder.path().join("a.map")).unwrap();
    assert!(text.contains("0x00000000  0x00001000  -"), "{text}");
    assert!(text.contains("# disk: model X, serial 1\n"), "notes of the map are kept: {text}");
    assert!(!folder.path().join("a.map.diskwright-new").exists());
}

#[test]
fn a_map_takes_the_place_of_a_map_only_and_nothing_is_written_to_a_disk() {
    let folder = Folder::new();
    let image = folder.path().join("image");
    for content in [&b"\x00\x01"[..], b"GIF89a", b"#!\0"] {
        fs::write(&image, content).unwrap();
        let ended = folder.run("invert a.map -o image");
        assert_eq!(ended.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&ended.stderr).contains("image: it exists and is no map"));
        assert_eq!(fs::read(&image).unwrap(), content);
    }
    fs::write(&image, "").unwrap();
    assert_eq!(folder.run("invert a.map -o image").status.code(), Some(0));
    let disk = folder.path().join("disk");
    fs::write(&disk, [7; 4096]).unwrap();
    let options = rig::LoopOptions { writable: true, ..rig::LoopOptions::default() };
    let device = rig::LoopDevice::with(&disk, options);
    for command in ["invert a.map -o", "list a.map -o", "picture a.map --svg"] {
        let ended = folder.run(&format!("{command} {}", device.path().display()));
        assert_eq!(ended.status.code(), Some(2), "{command}");
        assert!(String::from_utf8_lossy(&ended.stderr).contains("this is a device"), "{command}");
    }
    drop(device);
    assert_eq!(fs::read(&disk).unwrap(), [7; 4096]);
}

#[test]
fn unordered_blocks_become_a_map() {
    let folder = Folder::new();
    let expected = "0x00000000     ?               1\n0x00000000  0x00000200  -\n0x00000200  0x00000E00  *\n\
                    0x00001000  0x00000200  +\n";
    assert_eq!(folder.text("complete gap.map --gaps *"), expected);
}

#[test]
fn a_list_or_bitmap_of_sectors_makes_the_map_it_came_from() {
    let folder = Folder::new();
    for how in ["", " --bitmap low", " --bitmap high", " --sector 4096", " --sector 4096 --bitmap low"] {
        let list = folder.run(&format!("list b.map --types +{how}"));
        let made = folder.run_with(&format!("create --types +? --size 9192{how}"), &list.stdout);
        let expected =
            "0x00000000     ?               1\n0x00000000  0x00002000  +\n0x00002000  0x000003E8  ?\n";
        assert_eq!(lines(&made.stdout), expected, "{how}");
    }
}

#[test]
fn questions_are_answered_by_the_exit_status() {
    let folder = Folder::new();
    let cases = [
        ("done done.map", 0),
        ("done a.map", 1),
        ("done a.map --size 4096", 0),
        ("compare a.map a.map", 0),
        ("compare a.map b.map", 1),
        ("compare a.map b.map --size 4096", 0),
        ("compare b.map done.map --finished", 0),
        ("compare b.map done.map", 1),
    ];
    for (line, status) in cases {
        assert_eq!(folder.run(line).status.code(), Some(status), "{line}");
    }
    let said = folder.run("compare a.map b.map").stdout;
    let expected = "first difference at 0x00001000: a.map says bad-sector, b.map says finished\n";
    assert_eq!(String::from_utf8(said).unwrap(), expected);
}

#[test]
fn each_kind_of_failure_has_its_exit_status_and_says_what_to_do() {
    let folder = Folder::new();
    let cases = [
        ("show nothere.map", 4, "diskwright: nothere.map: cannot read it: No such file or directory\n"),
        ("invert a.map -o no/where", 4, "diskwright: no/where: cannot write it: No such file or directory\n"),
        (
            "show bad.map",
            5,
            "diskwright: bad.map: not a map that can be used: line 3: block at 0x00000400 should",
        ),
        ("list endless.map --bitmap low", 5, "diskwright: endless.map: the map has no end"),
        ("create a.map", 5, "diskwright: a.map: item 1 is not a sector number"),
        ("create --types +", 2, "diskwright: --types takes two statuses for create"),
        (
            "list a.map --types x",
            2,
            "error: invalid value 'x' for '--types <STATUSES>': statuses are written",
        ),
        (
            "invert a.map --size 5x",
            2,
            "error: invalid value '5x' for '--size <BYTES>': write a number of bytes",
        ),
        ("nonsense", 2, "error: unrecognized subcommand 'nonsense'"),
    ];
    for (line, status, start) in cases {
        let (code, text) = folder.failure(line);
        assert_eq!(code, status, "{line}: {text}");
        assert!(text.starts_with(start), "{line}: {text}");
    }
}

#[test]
fn showing_tells_the_same_to_persons_and_programs() {
    let folder = Folder::new();
    let shown = folder.text("show a.map --size 8Ki");
    let expected = "a.map: 8.97 KiB in 3 blocks; retrying, pass 2, at 0x00000200\n\
                    only 8.00 KiB in 1 piece from 0x00000000 to 0x00002000\n\
                    \u{20} + finished      4.00 KiB   50.00%        1 area\n\
                    \u{20} - bad-sector    4.00 KiB   50.00%        1 area\n\
                    \u{20} / non-scraped        0 B    0.00%        0 areas\n\
                    \u{20} * non-trimmed        0 B    0.00%        0 areas\n\
                    \u{20} ? non-tried          0 B    0.00%        0 areas\n";
    assert_eq!(shown, expected);
    let json: serde_json::Value = serde_json::from_str(&folder.text("show --json a.map done.map")).unwrap();
    assert_eq!(json[0]["phase"], "retrying");
    assert_eq!(json[0]["statuses"][1]["bytes"], 4096);
    assert_eq!(json[0]["done"], false);
    assert_eq!(json[1]["done"], true);
}

#[test]
fn a_picture_needs_no_colours_and_an_image_no_terminal() {
    let folder = Folder::new();
    let picture = folder.text("picture a.map --width 20 --height 8");
    let expected = "       0 B ++++++++-\n  4.48 KiB --------?\n";
    assert!(picture.starts_with(expected), "{picture}");
    assert_eq!(folder.text("picture a.map --svg a.svg"), "");
    let image = fs::read_to_string(folder.path().join("a.svg")).unwrap();
    assert!(image.starts_with("<svg ") && image.ends_with("</svg>\n"));
}

#[test]
fn annotated_maps_are_maps() {
    let folder = Folder::new();
    let annotated = folder.text("annotate a.map");
    assert!(
        annotated.contains("0x00001000  0x00001000  -\t#   4.00 KiB at   4.00 KiB  bad-sector\n"),
        "{annotated}"
    );
    fs::write(folder.path().join("annotated.map"), &annotated).unwrap();
    assert_eq!(folder.run("compare a.map annotated.map").status.code(), Some(0));
}

#[test]
fn what_would_wait_or_never_end_is_no_map() {
    let folder = Folder::new();
    nix::unistd::mkfifo(&folder.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for line in
        ["show pipe", "show /dev/zero", "done pipe", "or a.map pipe", "create /dev/zero", "picture pipe"]
    {
        let (status, text) = folder.failure(line);
        assert_eq!(status, 5, "{line}: {text}");
        assert!(text.contains("no regular file"), "{line}: {text}");
    }
    // What a shell has opened for us is as good as standard input.
    let program = env!("CARGO_BIN_EXE_diskwright");
    let mut shell = Command::new("bash");
    shell.current_dir(folder.path()).arg("-c").arg(format!("{program} map done <(cat done.map)"));
    assert_eq!(shell.status().unwrap().code(), Some(0));
}

#[test]
fn a_picture_that_cannot_be_written_is_a_failure() {
    let folder = Folder::new();
    for words in ["picture a.map", "show a.map", "invert a.map"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_diskwright"));
        command.arg("map").args(words.split(' ')).current_dir(folder.path());
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{words}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("standard output"), "{words}");
    }
}
