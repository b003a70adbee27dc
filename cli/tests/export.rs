//! `diskwright export` as a person or script meets it, and what the tools make of it that it is for.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use map::{Mapfile, Status};

/// A disk of 16 MiB with clusters of errors that fail quickly, sectors that come late, and some that hold nothing.
const MINE: &str = r#"description = "A test."
seed = 0

[disk]
medium = "hard-disk"
profile = "d35_1t"
size = "16 MiB"
heads = 4
sectors-per-track = [256, 128]
band = "1 MiB"

[[fault]]
kind = "clusters"
count = 3
exact = true
failure-time = ["2 ms", "9 ms"]

[[fault]]
kind = "reallocated"
count = 20
lost = 0.5

[[fault]]
kind = "region"
health = "zeros"
ranges = [["8 MiB", "9 MiB"]]
"#;

const BYTES: u64 = 16 << 20;
/// What fails on it at once.
const PHYSICAL: u64 = 4096;

/// A folder with `mine.toml` in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        fs::write(folder.path("mine.toml"), MINE).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a program in the folder; `PATH` as root has it.
    fn run(&self, program: &str, words: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(words).current_dir(self.0.path());
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env("PATH", [path, "/usr/sbin:/sbin".into()].join(std::ffi::OsStr::new(":")));
        command.output().unwrap_or_else(|error| panic!("{program}: {error}; ci/check installs it"))
    }

    /// The same of one that must succeed.
    fn good(&self, program: &str, words: &[&str]) -> String {
        let output = self.run(program, words);
        assert!(
            output.status.success(),
            "{program} {words:?}: {}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    fn diskwright(&self, line: &str) -> Output {
        self.run(env!("CARGO_BIN_EXE_diskwright"), &line.split(' ').collect::<Vec<_>>())
    }

    /// Exports the disk into a file; returns what was said beside it.
    fn export(&self, options: &str, file: &str) -> String {
        let output = self.diskwright(&format!("export mine.toml --to {options} -o {file}"));
        assert!(output.status.success() && output.stdout.is_empty(), "{options}: {}", text(&output.stderr));
        text(&output.stderr)
    }

    /// Numbers of the bad physical sectors, by the map.
    fn bad(&self) -> BTreeSet<u64> {
        let output = self.diskwright("export mine.toml --to mapfile");
        let map = Mapfile::parse(&output.stdout).unwrap().map;
        let bad = map.blocks().filter(|block| block.status == Status::BadSector);
        let sectors =
            |block: map::Block| block.range.start().bytes() / PHYSICAL..block.range.end().bytes() / PHYSICAL;
        let bad: BTreeSet<u64> = bad.flat_map(sectors).collect();
        assert!(bad.len() > 20, "{bad:?}");
        bad
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn ddrescuelog_and_our_own_command_read_the_map() {
    let folder = Folder::new();
    let said = folder.export("mapfile", "disk.map");
    assert!(said.contains("come late; a map has no word for that, dm-delay has\n"), "{said}");
    let bad = folder.bad();
    let listed = folder.good("ddrescuelog", &["-b4096", "-l-", "disk.map"]);
    assert_eq!(listed.lines().map(|line| line.parse().unwrap()).collect::<BTreeSet<u64>>(), bad);
    let status = folder.run("ddrescuelog", &["-d", "disk.map"]).status;
    assert_eq!(status.code(), Some(1), "bad sectors are left");
    let shown = folder.diskwright("map show --json disk.map");
    let json: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    let bytes = |status: &str| {
        let all = json[0]["statuses"].as_array().unwrap();
        all.iter().find(|entry| entry["status"] == status).unwrap()["bytes"].as_u64().unwrap()
    };
    assert_eq!(bytes("bad-sector"), bad.len() as u64 * PHYSICAL, "{json}");
    assert_eq!(bytes("finished") + bytes("bad-sector"), BYTES);
    let same = folder.diskwright("export sim:./mine.toml?seed=0 --to mapfile");
    assert_eq!(
        fs::read(folder.path("disk.map")).unwrap().len(),
        same.stdout.len() + "disk.map".len() - "FILE".len()
    );
}

#[test]
fn a_rescue_of_the_disk_finds_what_the_map_says() {
    let folder = Folder::new();
    let rescued = folder.diskwright("rescue -q sim:./mine.toml image rescued.map");
    assert_eq!(rescued.status.code(), Some(1), "{}", text(&rescued.stderr));
    let map = Mapfile::parse(&fs::read(folder.path("rescued.map")).unwrap()).unwrap().map;
    let bad = map.blocks().filter(|block| block.status == Status::BadSector);
    let found: BTreeSet<u64> =
        bad.flat_map(|b| b.range.start().bytes() / PHYSICAL..b.range.end().bytes() / PHYSICAL).collect();
    assert_eq!(found, folder.bad());
    // And the image holds what the disk would hold if it were well, wherever it could be read.
    folder.export("raw", "disk.img");
    let (truth, image) =
        (fs::read(folder.path("disk.img")).unwrap(), fs::read(folder.path("image")).unwrap());
    assert_eq!((truth.len(), image.len()), (BYTES as usize, BYTES as usize));
    for (number, (held, got)) in truth.chunks(4096).zip(image.chunks(4096)).enumerate() {
        let is_bad = found.contains(&(number as u64));
        assert!(is_bad != (held == got), "sector {number}");
    }
}

#[test]
fn the_image_of_a_healthy_disk_is_what_a_rescue_brings_and_has_its_holes() {
    let folder = Folder::new();
    let healthy = MINE.split("[[fault]]").next().unwrap().to_owned();
    let zeros = "[[fault]]\nkind = \"region\"\nhealth = \"zeros\"\nranges = [[\"4 MiB\", \"12 MiB\"]]\n";
    fs::write(folder.path("well.toml"), healthy + zeros).unwrap();
    let exported = folder.diskwright("export well.toml --to raw -o disk.img");
    assert!(exported.status.success(), "{}", text(&exported.stderr));
    let rescued = folder.diskwright("rescue -q sim:./well.toml image image.map");
    assert!(rescued.status.success(), "{}", text(&rescued.stderr));
    let digest = |name: &str| folder.good("sha256sum", &[name])[..64].to_owned();
    assert_eq!(digest("disk.img"), digest("image"));
    let held = fs::metadata(folder.path("disk.img")).unwrap();
    assert!(held.blocks() * 512 <= (8 << 20) + 65536, "{} bytes are stored", held.blocks() * 512);
    let again = folder.diskwright("export well.toml --to raw -o disk.img");
    assert_eq!(again.status.code(), Some(4), "an image is never written over");
}

#[test]
fn an_image_that_does_not_fit_is_not_begun() {
    let mount = rig::Mount::tmpfs(24 << 20);
    let folder = Folder::new();
    for (scenario, expected) in [("mine.toml", "the image would take"), ("big", "the image would take 2000")]
    {
        let image = mount.path().join("disk.img");
        let words = ["export", scenario, "--to", "raw", "-o", image.to_str().unwrap()];
        let output = folder.run(env!("CARGO_BIN_EXE_diskwright"), &words);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{said}");
        assert!(said.contains(expected) && said.contains("are free here"), "{said}");
        assert!(!image.exists());
    }
    let output = folder.diskwright("export mine.toml --to raw");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("needs a file"), "{}", text(&output.stderr));
}

#[test]
fn e2fsprogs_keep_the_bad_blocks_out_of_use() {
    let folder = Folder::new();
    folder.export("raw", "disk.img");
    for block in [1024, 4096] {
        let list = format!("bad.{block}");
        let said = folder.export(&format!("badblocks --block-size {block}"), &list);
        assert!(said.contains(&format!("as in mke2fs -b {block} -l {list} DEVICE")), "{said}");
        let expected: BTreeSet<u64> =
            folder.bad().iter().flat_map(|s| s * PHYSICAL / block..(s + 1) * PHYSICAL / block).collect();
        let size = block.to_string();
        folder.good("mke2fs", &["-q", "-F", "-b", &size, "-l", &list, "disk.img"]);
        let kept = |folder: &Folder| {
            let listed = folder.good("dumpe2fs", &["-b", "disk.img"]);
            listed.lines().map(|line| line.parse::<u64>().unwrap()).collect::<BTreeSet<u64>>()
        };
        assert_eq!(kept(&folder), expected, "mke2fs -b {block}");
        // A file system that was made without it learns of it.
        folder.good("mke2fs", &["-q", "-F", "-b", &size, "disk.img"]);
        assert!(kept(&folder).is_empty());
        let checked = folder.run("e2fsck", &["-f", "-y", "-l", &list, "disk.img"]);
        assert!(checked.status.code().is_some_and(|code| code < 4), "{}", text(&checked.stdout));
        assert_eq!(kept(&folder), expected, "e2fsck -b {block}");
    }
}

#[test]
fn badblocks_itself_reads_the_list() {
    let folder = Folder::new();
    folder.export("raw", "disk.img");
    folder.export("badblocks", "bad");
    // Known ones are passed over: of a healthy file, none are left to be found.
    let found = folder.good("badblocks", &["-b", "4096", "-i", "bad", "disk.img"]);
    assert_eq!(found, "");
    fs::write(folder.path("wrong"), "# no comments\n1\n").unwrap();
    let refused = folder.run("badblocks", &["-b", "4096", "-i", "wrong", "disk.img"]);
    assert!(text(&refused.stderr).contains("bad format"), "{}", text(&refused.stderr));
}

#[test]
fn qemu_fails_at_bad_sectors_and_at_no_others() {
    let folder = Folder::new();
    folder.export("raw", "disk.img");
    folder.export("blkdebug --device disk.img", "rules");
    let (bad, units) = (folder.bad(), PHYSICAL / 512);
    let disk = "blkdebug:rules:disk.img";
    // Each unit of each bad sector, and those before and behind it.
    let mut asked = BTreeSet::new();
    for sector in &bad {
        asked.extend((sector * units).saturating_sub(1)..=(sector + 1) * units);
    }
    let commands: Vec<String> = asked.iter().map(|unit| format!("read {} 512", unit * 512)).collect();
    let mut words = vec!["-r", "-f", "raw"];
    words.extend(commands.iter().flat_map(|command| ["-c", command]));
    words.push(disk);
    let output = folder.run("qemu-io", &words);
    let said = text(&output.stdout) + &text(&output.stderr);
    let read = |unit: &u64| said.contains(&format!("read 512/512 bytes at offset {}\n", unit * 512));
    let (good, failed): (Vec<u64>, Vec<u64>) = asked.iter().partition(|unit| read(unit));
    assert_eq!(failed, bad.iter().flat_map(|s| s * units..(s + 1) * units).collect::<Vec<_>>());
    assert!(good.len() > 2 && said.matches("Input/output error").count() == failed.len(), "{said}");
    let copied = folder.run("qemu-img", &["convert", "-O", "raw", disk, "copy"]);
    assert!(text(&copied.stderr).contains("Input/output error"), "{}", text(&copied.stderr));
    folder.good("qemu-img", &["convert", "--salvage", "-O", "raw", disk, "copy"]);
    let (truth, copy) = (fs::read(folder.path("disk.img")).unwrap(), fs::read(folder.path("copy")).unwrap());
    for (number, (held, got)) in truth.chunks(4096).zip(copy.chunks(4096)).enumerate() {
        let is_bad = bad.contains(&(number as u64));
        assert!(if is_bad { got.iter().all(|byte| *byte == 0) } else { held == got }, "sector {number}");
    }
}

/// safecopy's simulator library, built from its source package, once for all tests.
fn simulator_library() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ci/safecopy-simulator");
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("safecopy-simulator");
    let output = Command::new(script).arg(&cache).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).trim().into()
}

#[test]
fn safecopys_simulator_fails_at_the_same_sectors_and_gives_the_same_bytes() {
    let library = simulator_library();
    let folder = Folder::new();
    folder.export("raw", "disk.img");
    folder.export("simulator-cfg --device disk.img", "simulator.cfg");
    // The library listens to open, lseek and read of one descriptor, which dd and others duplicate.
    let reader = "sysopen(my $disk, 'debug', 0) or die $!; \
                  for my $n (0 .. $ARGV[0] - 1) { \
                    sysseek($disk, $n * 4096, 0); \
                    my $got = sysread($disk, my $bytes, 4096); \
                    print defined $got ? $bytes : \"\\xee\" x 4096; \
                    print STDERR \"bad $n\\n\" unless defined $got; }";
    let output = Command::new("perl")
        .args(["-e", reader, &(BYTES / PHYSICAL).to_string()])
        .env("LD_PRELOAD", &library)
        .current_dir(folder.0.path())
        .output()
        .unwrap();
    let said = text(&output.stderr);
    let failed = said.lines().filter_map(|line| line.strip_prefix("bad ")?.parse::<u64>().ok());
    let bad = folder.bad();
    assert_eq!(failed.collect::<BTreeSet<_>>(), bad, "{said}");
    let truth = fs::read(folder.path("disk.img")).unwrap();
    assert_eq!(truth.len(), output.stdout.len());
    for (number, (held, got)) in truth.chunks(4096).zip(output.stdout.chunks(4096)).enumerate() {
        assert!(bad.contains(&(number as u64)) != (held == got), "sector {number}");
    }
}

#[test]
fn a_replay_of_the_simulator_cfg_is_damaged_alike() {
    let folder = Folder::new();
    folder.export("simulator-cfg", "simulator.cfg");
    let replay = "description = \"t\"\n[replay]\nlog = \"simulator.cfg\"\nformat = \"safecopy-simulator\"\n";
    fs::write(folder.path("again.toml"), replay).unwrap();
    let output = folder.diskwright("export again.toml --to mapfile");
    let map = |bytes: &[u8]| Mapfile::parse(bytes).unwrap_or_else(|e| panic!("{e}: {}", text(bytes))).map;
    let first = folder.diskwright("export mine.toml --to mapfile");
    assert_eq!(map(&output.stdout), map(&first.stdout), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("come late"), "{}", text(&output.stderr));
}

#[test]
fn words_that_make_no_sense_are_refused() {
    let folder = Folder::new();
    fs::write(folder.path("disk.img"), "bytes").unwrap();
    fs::write(folder.path("mine.map"), "mine").unwrap();
    for (line, status, expected) in [
        ("disk.img --to mapfile", 2, "only a simulated disk knows its damage"),
        ("/dev/sda --to mapfile", 2, "only a simulated disk knows its damage"),
        ("deadhead --to mapfile", 2, "did you mean \"dead-head\"?"),
        ("no-such.toml --to mapfile", 4, "cannot read it"),
        ("mine.toml", 2, "--to <FORMAT>"),
        ("mine.toml --to vmdk", 2, "possible values: mapfile"),
        ("mine.toml --to mapfile --at 72h", 2, "the simulation ends after 259200 s"),
        ("mine.toml --to mapfile --at soon", 2, "such as 90m"),
        ("mine.toml --to mapfile --device /dev/sda", 2, "--device means nothing to mapfile"),
        ("mine.toml --to dm-error --block-size 512", 2, "--block-size means nothing to dm-error"),
        ("mine.toml --to dm-error --device a;b", 2, "only letters, digits"),
        ("mine.toml --to raw --device /dev/sda -o x", 2, "mean nothing to raw"),
        ("mine.toml --to mapfile -o mine.map", 4, "create it"),
    ] {
        let output = folder.diskwright(&format!("export {line}"));
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(status), 0), "{line}: {said}");
        assert!(said.contains(expected), "{line}: {said}");
    }
    assert_eq!(fs::read(folder.path("mine.map")).unwrap(), b"mine");
}

#[test]
fn what_only_reads_bring_about_is_told_once() {
    let folder = Folder::new();
    let output = folder.diskwright("export hanging-small@3 --to dm-error --at 90m");
    assert!(output.status.success());
    let said = text(&output.stderr);
    assert_eq!(
        said.matches("what reads of this disk would bring about is not exported: ").count(),
        1,
        "{said}"
    );
    assert!(
        text(&output.stdout).starts_with("# The damage of hanging-small, seed 3, after 5400 s"),
        "{output:?}"
    );
    let output = folder.diskwright("export mine.toml --to dm-delay");
    assert!(!text(&output.stderr).contains("not exported"), "{}", text(&output.stderr));
}
