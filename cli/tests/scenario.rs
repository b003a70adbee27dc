//! `diskwright scenario` as a person or script meets it: results, exit statuses, and what is said of bad scenarios.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A disk of 16 MiB with a dead head and one bad stretch's worth of clusters.
const MINE: &str = r#"description = """
Four heads, one of them dead. It comes back all the time."""
aliases = ["quarter"]
seed = 11

[disk]
medium = "hard-disk"
profile = "d35_1t"
size = "16 MiB"
heads = 4
sectors-per-track = [256, 128]
band = "1 MiB"
zones = 4

[[fault]]
kind = "dead-head"
head = 2

[[fault]]
kind = "clusters"
count = 3
exact = true
retry = [0.30, 1.9]

[rescue]
options = ["--retry-passes=1"]
"#;

/// A folder with `mine.toml` in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.write("mine.toml", MINE);
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn run(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_diskwright"))
            .arg("scenario")
            .args(line.split(' '))
            .current_dir(self.path())
            .output()
            .unwrap()
    }

    /// Standard output, after success.
    fn text(&self, line: &str) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Exit status and standard error.
    fn failure(&self, line: &str) -> (i32, String) {
        let output = self.run(line);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

#[test]
fn a_disk_is_shown() {
    let folder = Folder::new();
    insta::assert_snapshot!(folder.text("show mine.toml --width 80 --height 8"));
}

#[test]
fn a_disk_is_drawn_as_an_image() {
    let folder = Folder::new();
    assert_eq!(folder.text("show mine.toml --svg mine.svg"), "");
    let image = fs::read_to_string(folder.path().join("mine.svg")).unwrap();
    assert!(image.starts_with("<svg ") && image.ends_with("</svg>\n"));
    // Bands of the dead head, a curve of the speed, and words.
    assert!(image.matches("fill=\"#d1242f\"").count() > 4, "{image}");
    assert!(image.contains("<path ") && image.contains("Four heads, one of them dead."));
    assert!(image.len() < 100_000, "{}", image.len());
    assert_eq!(folder.text("show mine.toml --svg -"), image);
}

#[test]
fn an_image_takes_the_place_of_nothing() {
    let folder = Folder::new();
    let told = folder.failure("show mine.toml --svg mine.toml");
    assert_eq!(told, (4, "diskwright: mine.toml: cannot create it: File exists\n".into()));
    assert_eq!(fs::read_to_string(folder.path().join("mine.toml")).unwrap(), MINE);
    assert_eq!(folder.text("new -o -"), folder.text("new"));
}

/// Every file that a command or a scenario names: what never ends, waits for a writer or fills the memory is refused.
#[test]
fn only_regular_files_of_sane_size_are_read() {
    let folder = Folder::new();
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // With a hole in it: neither takes room.
    for (name, bytes) in [("long", 1 << 31), ("long.toml", 17 << 20)] {
        fs::File::create(folder.path().join(name)).unwrap().set_len(bytes).unwrap();
    }
    let too_long = "which is more than makes sense; name another one";
    for (named, reason) in [
        ("/dev/zero", "this is no regular file; name"),
        ("fifo", "this is no regular file; name"),
        ("long", too_long),
    ] {
        folder.write("map.toml", &format!("{MINE}\n[[fault]]\nkind = \"map\"\nfile = \"{named}\"\n"));
        folder.write("replay.toml", &format!("{MINE}\n[replay]\nlog = \"{named}\"\n"));
        for line in ["check map.toml", "check replay.toml", &format!("fit {named}")] {
            let (status, told) = folder.failure(line);
            assert_eq!(status, 5, "{line}, {named}: {told}");
            assert!(told.contains(named) && told.contains(reason), "{line}, {named}: {told}");
        }
    }
    for (line, reason) in [
        ("check long.toml", too_long),
        ("show ./fifo", "this is no regular file"),
        ("show ./long.toml --json", too_long),
    ] {
        let (status, told) = folder.failure(line);
        assert_eq!(status, 5, "{line}: {told}");
        assert!(told.contains(reason), "{line}: {told}");
    }
    assert_eq!(folder.failure("show ./").0, 4);
}

#[test]
fn facts_are_one_object() {
    let folder = Folder::new();
    let facts: serde_json::Value = serde_json::from_str(&folder.text("show mine.toml --json")).unwrap();
    assert_eq!(facts["size_bytes"], 16 << 20);
    assert_eq!(facts["faults"], serde_json::json!(["dead-head", "clusters"]));
    let bad = facts["damage"][0]["bytes"].as_u64().unwrap();
    assert!((3 << 20..5 << 20).contains(&bad), "a quarter lies under the dead head: {bad}");
    let lost = (16 << 20) - facts["recoverable_bytes"].as_u64().unwrap();
    assert_eq!(
        lost,
        bad + facts["weak_lost_bytes"].as_u64().unwrap(),
        "what is lost is bad, or weak and never answers"
    );
    assert!(facts["healthy_pass_seconds"].as_f64().unwrap() > 0.1);
    // Another seed, other clusters; the head is the same.
    let other: serde_json::Value =
        serde_json::from_str(&folder.text("show mine.toml --json --seed 12")).unwrap();
    assert_ne!(other["damage"], facts["damage"]);
}

#[test]
fn the_list_is_an_array_with_the_small_twins() {
    let folder = Folder::new();
    let list: serde_json::Value = serde_json::from_str(&folder.text("list --json")).unwrap();
    let list = list.as_array().unwrap();
    let names: Vec<&str> = list.iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    for entry in list {
        let (name, bytes) = (entry["name"].as_str().unwrap(), entry["size_bytes"].as_u64().unwrap());
        assert!(entry["medium"].is_string() && entry["description"].as_str().unwrap().len() > 60, "{name}");
        let twin = format!("{name}-small");
        assert_eq!(bytes > 256 << 20, names.contains(&twin.as_str()), "{name} of {bytes} bytes");
        assert_eq!(entry["small_twin"], name.ends_with("-small"), "{name}");
    }
    let recorded = list.iter().find(|entry| entry["name"] == "recorded-floppy").unwrap();
    assert_eq!(recorded["recorded"], true);
    let text = folder.text("list");
    let line = text.lines().find(|line| line.starts_with("recorded-floppy ")).unwrap();
    assert!(line.ends_with("  recorded"), "{line}");
    for name in names.iter().filter(|name| !name.ends_with("-small")) {
        assert!(text.lines().any(|line| line.split(' ').next() == Some(name)), "{name} is not in the list");
    }
}

#[test]
fn names_aliases_files_and_twins_are_found() {
    let folder = Folder::new();
    for (word, title) in [
        ("medium", "medium (S03): hard-disk of 1.00 TB, seed 3\n"),
        ("S03-small", "medium-small (S03-small): hard-disk of 268 MB, seed 3\n"),
        ("./mine.toml", "mine (quarter): hard-disk of 16.8 MB, seed 11\n"),
    ] {
        let text = folder.text(&format!("show {word}"));
        assert!(text.starts_with(title), "{text}");
    }
    // Addresses as rescues take them, with a seed.
    for (word, title) in [
        ("sim:medium", "medium (S03): hard-disk of 1.00 TB, seed 3\n"),
        ("sim:S03-small@7", "medium-small (S03-small): hard-disk of 268 MB, seed 7\n"),
        ("S03-small@7", "medium-small (S03-small): hard-disk of 268 MB, seed 7\n"),
        ("sim:./mine.toml?seed=12", "mine (quarter): hard-disk of 16.8 MB, seed 12\n"),
    ] {
        let text = folder.text(&format!("show {word}"));
        assert!(text.starts_with(title), "{word}: {text}");
    }
    for (line, expected) in [
        ("show sim:medium@1 --seed 2", "seed is given twice: --seed 2, and 1 with the scenario"),
        ("show sim:medium?access=raw", "access says how the disk is read"),
        ("show sim:medium@x", "\"x\" is not a seed"),
        ("show sim:medum", "did you mean \"medium\"?"),
        ("check sim:medium@1", "a seed says nothing here"),
        ("check sim:medum", "did you mean \"medium\"?"),
    ] {
        let (status, told) = folder.failure(line);
        assert_eq!(status, 2, "{line}: {told}");
        assert!(told.contains(expected), "{line}: {told}");
    }
    assert!(folder.text("check sim:medium").starts_with("sim:medium: good: hard-disk of 1.00 TB, one fault"));
    assert!(folder.text("new --from sim:S03").contains("kind = \"clusters\""));
    let (status, told) = folder.failure("show medum-small");
    assert_eq!(status, 2);
    assert!(told.contains("there is no scenario \"medum-small\"; did you mean \"medium-small\"?"), "{told}");
    assert_eq!(
        folder.failure("show ./nowhere.toml"),
        (4, "diskwright: ./nowhere.toml: cannot read it: No such file or directory\n".into())
    );
    assert_eq!(folder.failure("show medium --seed -1").0, 2);
    assert_eq!(folder.failure("show medium --seed 9223372036854775808").0, 2);
}

#[test]
fn good_scenarios_are_told_in_a_line() {
    let folder = Folder::new();
    folder.write("large", &MINE.replace("size = \"16 MiB\"\n", ""));
    assert_eq!(
        folder.text("check mine.toml large"),
        "mine.toml: good: hard-disk of 16.8 MB, 2 faults\n\
         large: good: hard-disk of 1.00 TB, 2 faults; its small twin has 268 MB\n"
    );
}

#[test]
fn a_bad_scenario_is_shown_with_its_place() {
    let folder = Folder::new();
    let mut told = String::new();
    for (number, (from, to)) in [
        // Not TOML; no scenario; keys and kinds that are not known.
        ("seed = 11", "seed = = 11"),
        ("[disk]", "[disc]"),
        ("heads = 4", "haeds = 4"),
        ("kind = \"dead-head\"", "kind = \"deadhead\""),
        ("kind = \"dead-head\"\n", ""),
        ("[[fault]]\nkind = \"clusters\"", "[fault]\nkind = \"clusters\""),
        // Values of the wrong sort or out of range.
        ("seed = 11", "seed = -1"),
        ("seed = 11", "seed = 9223372036854775808"),
        ("seed = 11", "seed = \"eleven\""),
        ("size = \"16 MiB\"", "size = \"16 MIB\""),
        ("count = 3", "count = -3"),
        ("retry = [0.30, 1.9]", "retry = [0.30]"),
        // Geometry that cannot be.
        ("size = \"16 MiB\"", "size = \"1000 B\""),
        ("sectors-per-track = [256, 128]", "sectors-per-track = [128, 256]"),
        ("size = \"16 MiB\"", "size = \"8000000 TB\""),
        ("head = 2", "head = 4"),
        ("exact = true", "region = [0.5, 0.2]"),
        // Options that no rescue has.
        ("--retry-passes=1", "--rety-passes=1"),
        ("--retry-passes=1", "/dev/sda"),
    ]
    .into_iter()
    .enumerate()
    {
        let text = MINE.replacen(from, to, 1);
        assert_ne!(text, MINE, "{from}");
        let name = format!("bad-{number}.toml");
        folder.write(&name, &text);
        let (status, error) = folder.failure(&format!("check {name}"));
        assert_eq!(status, 5, "{to}: {error}");
        // Kinds and keys come and go.
        let mut error = error;
        for list in ["it is one of ", "expected one of "] {
            let names = error.split_once(list).and_then(|(_, names)| names.split([';', '\n']).next());
            error = error.replace(names.unwrap_or("no names"), "...");
        }
        told.push_str(&format!("--- {}\n{error}", to.replace('\n', " ")));
    }
    insta::assert_snapshot!(told);
}

#[test]
fn the_first_failure_gives_the_status_and_all_are_told() {
    let folder = Folder::new();
    folder.write("bad.toml", "seed = 1\n");
    let output = folder.run("check nowhere.toml bad.toml mine.toml");
    assert_eq!(output.status.code(), Some(4));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("nowhere.toml: cannot read it") && told.contains("bad.toml:"), "{told}");
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("mine.toml: good"));
    assert_eq!(folder.failure("check bad.toml nowhere.toml").0, 5);
    assert_eq!(folder.failure("check").0, 2);
    assert_eq!(folder.failure("check .").0, 4);
    assert_eq!(
        folder.failure("check /dev/zero"),
        (5, "diskwright: /dev/zero: this is no regular file; name one\n".into())
    );
}

#[test]
fn the_schema_is_json() {
    let schema: serde_json::Value = serde_json::from_str(&Folder::new().text("schema")).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let kinds = schema["properties"]["fault"]["items"]["oneOf"].as_array().unwrap();
    assert!(kinds.iter().any(|kind| kind["$ref"] == "#/$defs/DeadHead"), "{kinds:?}");
}

#[test]
fn a_new_scenario_can_be_used_and_overwrites_nothing() {
    let folder = Folder::new();
    assert_eq!(folder.text("new -o fresh.toml"), "");
    assert!(folder.text("check fresh.toml").starts_with("fresh.toml: good: hard-disk of 1.00 TB, one fault"));
    assert_eq!(fs::read_to_string(folder.path().join("fresh.toml")).unwrap(), folder.text("new"));
    assert_eq!(
        folder.failure("new -o mine.toml"),
        (4, "diskwright: mine.toml: cannot create it: File exists\n".into())
    );
    assert_eq!(fs::read_to_string(folder.path().join("mine.toml")).unwrap(), MINE);
    folder.write("copy.toml", &folder.text("new --from S03"));
    assert!(folder.text("show copy.toml --json").contains("clusters of latent errors"));
    assert_eq!(
        folder.text("check copy.toml"),
        "copy.toml: good: hard-disk of 1.00 TB, one fault; its small twin has 268 MB; the name \"S03\" means another one of the \
         list\n"
    );
    for medium in ["rotating", "flash", "optical", "floppy", "uniform"] {
        assert_eq!(folder.text(&format!("new --medium {medium} -o {medium}.toml")), "");
        assert!(folder.text(&format!("check {medium}.toml")).contains(": good: "), "{medium}");
        let facts: serde_json::Value =
            serde_json::from_str(&folder.text(&format!("show {medium}.toml --json"))).unwrap();
        assert!(
            facts["damage"].as_array().unwrap().iter().any(|part| part["bytes"] != 0),
            "{medium}: {facts}"
        );
    }
    assert_eq!(folder.text("new --medium rotating"), folder.text("new"));
    assert_eq!(folder.failure("new --medium rotating --from S03").0, 2);
    assert_eq!(folder.failure("new --medium tape").0, 2);
    assert_eq!(folder.failure("new --from medium-small").0, 2);
    assert_eq!(folder.failure("new --from nothing-like-it").0, 2);
}

#[test]
fn a_log_becomes_a_scenario_that_can_be_used() {
    let folder = Folder::new();
    let logged = Command::new(env!("CARGO_BIN_EXE_diskwright"))
        .args([
            "rescue",
            "--json",
            "--retry-passes=3",
            "--log-timings=drive.log",
            "sim:./mine.toml",
            "discard:",
        ])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(logged.status.code(), Some(1), "{}", String::from_utf8_lossy(&logged.stderr));
    let report = folder.text("fit drive.log -o fitted.toml");
    for part in
        ["Coverage  100.0000 % of the drive", "Zone  ", "Failures  ", "Replayed  ", "Written   fitted.toml"]
    {
        assert!(report.contains(part), "{part} is not in:\n{report}");
    }
    assert!(folder.text("check fitted.toml").contains("fitted.toml: good: uniform of 16"));
    // Without a file for it nothing is written, and nothing is written over.
    assert_eq!(folder.text("fit drive.log").lines().next(), report.lines().next());
    let (status, error) = folder.failure("fit drive.log -o fitted.toml");
    assert_eq!(status, 4);
    assert!(error.contains("fitted.map: cannot create it"), "{error}");
    let (status, error) = folder.failure("fit drive.log -o fitted.map");
    assert_eq!(status, 2);
    assert!(error.contains("let the scenario's end in .toml"), "{error}");
    // What is no log is told with its line.
    folder.write("cut.log", "# Diskwright timing log 1\n0 0 0 512 ok\n");
    let (status, error) = folder.failure("fit cut.log");
    assert_eq!(status, 5);
    assert!(error.contains("cut.log: line 2: 5 fields; a line has six"), "{error}");
    // What a crash left is used, up to the line that it cut.
    let whole = fs::read_to_string(folder.path().join("drive.log")).unwrap();
    let cut = whole.trim_end();
    folder.write("crash.log", &cut[..cut.len() - 1]);
    let output = folder.run("fit crash.log");
    assert_eq!(output.status.code(), Some(0));
    let note = format!(
        "diskwright: crash.log: line {} has no end, and is passed over: the log was cut there\n",
        whole.lines().count()
    );
    assert!(String::from_utf8(output.stderr).unwrap().starts_with(&note));
    let told = String::from_utf8(folder.run("fit drive.log").stderr).unwrap();
    assert!(!told.contains("has no end"), "{told}");
    // A drive that is not like its model is told of, with what to do.
    let odd: Vec<String> =
        (0..3000).map(|n| format!("{n:010} {} 2048\n", if n < 1000 { 500 } else { 4000 })).collect();
    folder.write("odd.log", &odd.concat());
    let output = folder.run("fit odd.log");
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("the fitted disk is not like the drive: "), "{told}");
    assert!(told.contains("a scenario with [replay] log = \"odd.log\" does what the drive did"), "{told}");
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(report.contains("does not fit") && report.contains("Held out  the last fifth"), "{report}");
    let head = "# Diskwright timing log 1\n# size 8192 logical 512 physical 512\n";
    folder.write("both.log", &format!("{head}0 0 0 512 ok 5000\n1 3000 512 512 ok 9000\n"));
    folder
        .write("none.log", "# Diskwright timing log 1\n# size 8192 logical 0 physical 512\n0 0 0 512 ok 9\n");
    for (log, expected) in [
        ("both.log", "both.log: line 4: began at 3000 us, but the read above it took until 5000 us"),
        ("none.log", "none.log: line 2: logical 0 is no size of a sector"),
    ] {
        let (status, error) = folder.failure(&format!("fit {log}"));
        assert_eq!(status, 5);
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(folder.failure("fit missing.log").0, 4);
    assert_eq!(folder.failure("fit --format tape drive.log").0, 2);
}
