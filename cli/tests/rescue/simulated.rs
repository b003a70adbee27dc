//! Rescues of simulated disks: the same one each time, judged against the truth.

use std::fs;

use serde_json::Value;

use super::Bench;

impl Bench {
    /// Runs a rescue of a simulated disk and returns its exit status and its last line of JSON.
    fn simulate(&self, source: &str, destination: &str, options: &[&str]) -> (i32, Value) {
        let output = self
            .command()
            .args(["rescue", "--json"])
            .args(options)
            .args([source, destination])
            .output()
            .expect("diskwright runs");
        let stdout = String::from_utf8(output.stdout).expect("JSON is text");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = stdout.lines().last().unwrap_or_else(|| panic!("no JSON from {source}: {stderr}"));
        let last: Value = serde_json::from_str(last).expect("a line of JSON");
        assert_eq!(last["event"], "end", "{source}: {stderr}");
        (output.status.code().expect("an exit status"), last)
    }
}

/// A disk with an hour of everything that is laid on a surface.
const DISK: &str = r#"
description = "A small disk with clusters of errors, some of which answer after some tries, and a dead head."
seed = 11

[disk]
medium = "hard-disk"
profile = "d35_1t"
size = "24 MiB"
heads = 4
sectors-per-track = [256, 128]
band = "1 MiB"

[[fault]]
kind = "clusters"
count = 12
exact = true
retry = [0.30, 1.9]
rim = 8

[[fault]]
kind = "dead-head"
head = 3

[rescue]
options = ["--retry-passes=1"]
"#;

#[test]
fn the_same_disk_and_seed_give_the_same_events_whatever_becomes_of_the_bytes() {
    let bench = Bench::new();
    fs::write(bench.path("disk.toml"), DISK).unwrap();
    for access in ["raw", "direct", "buffered"] {
        let source = format!("sim:./disk.toml?access={access}");
        let (status, counted) = bench.simulate(&source, "discard:", &[]);
        let (_, stored) = bench.simulate(&source, &format!("{access}.img"), &[]);
        assert_eq!(status, 1, "{access}: some of it cannot be read");
        for key in ["fingerprint", "rescued_bytes", "virtual_seconds", "recoverable_bytes", "failed_reads"] {
            assert_eq!(counted[key], stored[key], "{access}: {key}");
        }
        assert_eq!((&counted["wrong_bytes"], &stored["wrong_bytes"]), (&0.into(), &0.into()), "{access}");
        let (rescued, recoverable) = (&stored["rescued_bytes"], &stored["recoverable_bytes"]);
        assert!(rescued.as_u64() <= recoverable.as_u64(), "{access}: {rescued} of {recoverable}");
        assert!(recoverable.as_u64() < Some(20 << 20), "{access}: a quarter lies under a dead head");
        assert_eq!(stored["seed"], 11);
    }
}

#[test]
fn another_seed_or_way_of_reading_is_another_rescue() {
    let bench = Bench::new();
    fs::write(bench.path("disk.toml"), DISK).unwrap();
    let print = |query: &str| {
        let (_, end) = bench.simulate(&format!("sim:./disk.toml{query}"), "discard:", &[]);
        end["fingerprint"].as_str().unwrap().to_owned()
    };
    let all = [print(""), print("?seed=12"), print("?access=raw"), print("?access=buffered")];
    for (index, one) in all.iter().enumerate() {
        assert_eq!(one.len(), 64);
        assert!(!all[..index].contains(one), "two of {all:?} are the same");
    }
    assert_eq!(all[0], print("?seed=11&access=direct"), "the disk's own seed and access, said aloud");
}

#[test]
fn a_scenario_advises_and_the_command_line_overrules_it() {
    let bench = Bench::new();
    fs::write(bench.path("disk.toml"), DISK).unwrap();
    let failures = |options: &[&str]| {
        let (_, end) = bench.simulate("sim:./disk.toml", "discard:", options);
        end["failed_reads"].as_u64().unwrap()
    };
    assert!(failures(&[]) > failures(&["--retry-passes=0"]), "without retries fewer reads fail");
}

#[test]
fn wrong_bytes_in_the_image_are_found() {
    let bench = Bench::new();
    fs::write(bench.path("disk.toml"), DISK).unwrap();
    bench.simulate("sim:./disk.toml", "image", &["--no-trim", "--no-scrape"]);
    let mut image = fs::read(bench.image()).unwrap();
    let map = bench.map();
    let finished = map.map.blocks().find(|block| block.status == map::Status::Finished).unwrap();
    let at = finished.range.start().bytes() as usize;
    image[at] ^= 1;
    image[at + 1] ^= 1;
    fs::write(bench.image(), image).unwrap();
    let (_, end) = bench.simulate("sim:./disk.toml", "image", &[]);
    // A sector is right or wrong as a whole.
    assert_eq!(end["wrong_bytes"], 512);
}

#[test]
fn when_its_time_is_up_a_simulated_disk_answers_no_more() {
    let bench = Bench::new();
    fs::write(bench.path("disk.toml"), DISK.replacen("seed = 11", "seed = 11\nhorizon = \"90 s\"", 1))
        .unwrap();
    let (status, end) = bench.simulate("sim:./disk.toml", "image", &[]);
    assert_eq!(status, 3);
    assert!(end["error"].as_str().unwrap().contains("simulated time is over"), "{}", end["error"]);
    let seconds = end["virtual_seconds"].as_f64().unwrap();
    assert!((90.0..100.0).contains(&seconds), "the last read began before: {seconds}");
    assert_eq!(end["wrong_bytes"], 0);
}

#[test]
fn names_that_mean_no_disk_are_refused() {
    let bench = Bench::new();
    fs::write(bench.path("wrong.toml"), DISK.replacen("heads = 4", "heads = 0", 1)).unwrap();
    fs::write(bench.path("sim:x"), [7; 4096]).unwrap();
    fs::write(bench.path("greedy.toml"), DISK.replacen("--retry-passes=1", "--force", 1)).unwrap();
    for (source, status, expected) in [
        ("sim:no-such-disk", 2, "scenario list"),
        ("sim:medium?seed=-1", 2, "whole numbers from 0 to 2^63 - 1"),
        ("sim:./missing.toml", 4, "No such file"),
        ("sim:./wrong.toml", 5, "wrong.toml:5:1: 0 heads"),
        ("sim:./greedy.toml", 5, "option \"--force\" is none that a scenario may give"),
        ("sim:floppy-small", 2, "it is not over 256 MiB and has no small twin"),
    ] {
        let output = bench.command().args(["rescue", source, "image"]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{source}: {stderr}");
        assert!(stderr.contains(expected), "{source}: {stderr}");
        assert!(!bench.image().exists(), "{source} left an image");
    }
    // A file may have such a name.
    let ended = bench.rescue("./sim:x".as_ref(), &[]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

#[test]
fn a_pace_is_felt_and_belongs_to_simulations() {
    let bench = Bench::new();
    fs::write(bench.path("disk.toml"), DISK).unwrap();
    let options = ["--pace=1000", "--max-read-errors=0", "--no-trim", "--no-scrape"];
    let (_, end) = bench.simulate("sim:./disk.toml", "discard:", &options);
    assert!(end["virtual_seconds"].as_f64().unwrap() > 0.0);
    for (pace, source) in [("real", "/dev/null"), ("0", "sim:./disk.toml"), ("fast", "sim:./disk.toml")] {
        let output =
            bench.command().args(["rescue", &format!("--pace={pace}"), source, "image"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{pace} of {source}");
    }
}

#[test]
fn a_drive_that_was_logged_comes_home_as_a_scenario() {
    let bench = Bench::new();
    fs::write(bench.path("disk.toml"), DISK).unwrap();
    let (status, real) = bench.simulate("sim:./disk.toml", "real", &["--log-timings=real.log"]);
    fs::write(
        bench.path("home.toml"),
        "description = \"The same drive, from its log.\"\nseed = 11\n\
         [replay]\nlog = \"real.log\"\nunknown = \"error\"\n[rescue]\noptions = [\"--retry-passes=1\"]\n",
    )
    .unwrap();
    let (again, home) = bench.simulate("sim:./home.toml", "home", &["--log-timings=home.log"]);
    assert_eq!((status, again), (1, 1));
    assert_eq!(home["rescued_bytes"], real["rescued_bytes"]);
    assert_eq!(home["failed_reads"], real["failed_reads"]);
    let blocks = |name: &str| {
        let text = fs::read_to_string(bench.path(name)).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(blocks("real.map"), blocks("home.map"));
    // Times are kept in whole microseconds.
    let seconds = |end: &Value| end["virtual_seconds"].as_f64().unwrap();
    assert!((seconds(&home) - seconds(&real)).abs() < 0.1, "{} and {}", seconds(&home), seconds(&real));

    // A log tells of one run; none is written over.
    let before = blocks("real.log");
    let output = bench
        .command()
        .args(["rescue", "sim:./disk.toml", "real", "--log-timings=real.log"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("real.log: already exists"));
    assert_eq!(blocks("real.log"), before);
}

#[test]
fn the_readme_shows_what_its_first_command_prints() {
    let bench = Bench::new();
    let command = ["rescue", "--plain", "sim:dead-head-small", "out.img", "out.map"];
    let output = bench.command().args(command).output().unwrap();
    let picture = bench.command().args(["map", "picture", "out.map"]).output().unwrap();
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let (printed, drawn) =
        (String::from_utf8(output.stderr).unwrap(), String::from_utf8(picture.stdout).unwrap());
    for line in printed.lines() {
        let line = line.replace(env!("CARGO_BIN_EXE_diskwright"), "target/release/diskwright");
        assert!(readme.contains(&format!("    {line}\n")), "the README does not show: {line}");
    }
    let rows = drawn.lines().filter(|line| readme.contains(&format!("    {line}\n"))).count();
    assert!(rows >= 10, "the README draws another map: {drawn}");
    assert_eq!(output.status.code(), Some(1));
}
