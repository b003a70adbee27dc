//! What is shown before and while a rescue runs, and what its logs say.

use std::fs;
use std::path::Path;

use crate::side::{self, Side};

/// Options that change what is shown; each line is run over the same files.
const SHOWN: &[&str] = &[
    "",
    "-v",
    "-vv",
    "-vvv",
    "-vvvv",
    "-B -vv",
    "-q",
    "-qvv",
    "-P",
    "-P1",
    "-P5 -v",
    "-P32 -c2",
    "-vv -K0",
    "-v -c300 -K1Mi",
    "-vv -E5 -e3",
    "-vv -e+3",
    "-vv -E9 -e+1 -Z600k -a5",
    "-vv -a0",
    "-vv -a 3",
    "-vv -Z900k -T3",
    "-vv -T3 --pause-on-error=s4",
    "-vv --pause-on-error=s1/2",
    "-vv -T70m --pause-on-error=s0",
    "-vv -d -S",
    "-vv -C -R",
    "-vv -R",
    "-vv -n -N -r3",
    "-vv -r-1 -X0",
    "-vvv -i512 -s100000",
    "-vvv -i 30000 -o 5",
    "-vv -b1 -c40000 -n -N",
    "-X0",
    "-X3 -v",
    "-e0",
    "-r2",
    "-r2 -R -u",
    "-N -r1",
    "-M -r1",
    "-A",
    "-n",
    "--cpass=5",
    "--cpass=0",
    "-J",
    "--ask",
    "--ask -q",
    "--ask -v",
    "--ask -vv",
    "--ask -q -v",
];

#[test]
fn screens_are_the_same() {
    for map in ["none", "empty", "half", "failed", "done"] {
        for shown in SHOWN {
            compare(&format!("-Hdamage {shown}"), map, b"n\n");
        }
    }
}

#[test]
fn whoever_says_yes_is_not_asked_again() {
    for answer in [&b"y\n"[..], b"Yes\n", b"n", b"", b" y\n"] {
        compare("--ask -Hdamage", "half", answer);
    }
}

#[test]
fn event_logs_are_the_same() {
    for options in ["-r2", "-X2", "-n", "-N -R", "-e0", "-J", "--cpass=1 -r1"] {
        let both = || [Side::Original, Side::Ours].map(|side| event_logs(side, options));
        let mut logs = both();
        for _ in 1..TRIES {
            if logs[0] == logs[1] {
                break;
            }
            logs = both();
        }
        assert_eq!(logs[0], logs[1], "{options}");
    }
}

/// The events and the first lines of the rates of two runs.
fn event_logs(side: Side, options: &str) -> [Vec<String>; 2] {
    let folder = tempfile::tempdir().unwrap();
    lay_out(folder.path(), "half");
    for _ in 0..2 {
        let logs = "--log-events=events --log-rates=rates";
        side::run(side, folder.path(), &words(&format!("-Hdamage {logs} {options}")), b"");
    }
    let lines = |name: &str, most: usize| -> Vec<String> {
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        let is_same =
            |line: &&str| !["Created", "Command line", "time:"].iter().any(|word| line.contains(word));
        text.lines().filter(is_same).take(most).map(|line| line.replace(" 1s ", " 0s ")).collect()
    };
    [lines("events", usize::MAX), lines("rates", 2)]
}

/// Tries of one comparison. Limits and rates count whole seconds: a run that falls into two of them on one side only
/// may end elsewhere, and is made again.
const TRIES: u32 = 5;

fn compare(options: &str, map: &str, input: &[u8]) {
    let mut text = String::new();
    for _ in 0..TRIES {
        let [original, ours] = [Side::Original, Side::Ours].map(|side| {
            let folder = tempfile::tempdir().unwrap();
            lay_out(folder.path(), map);
            side::run(side, folder.path(), &words(options), input)
        });
        text = side::difference(&original, &ours).unwrap_or_default();
        if text.is_empty() {
            return;
        }
    }
    panic!("map {map}: ddrescue {options} disk image map\n{text}");
}

fn words(options: &str) -> Vec<String> {
    options.split_whitespace().chain(["disk", "image", "map"]).map(str::to_owned).collect()
}

fn lay_out(folder: &Path, map: &str) {
    let content: Vec<u8> = (0..300_000u32).map(|i| (i * 7 + i / 251) as u8).collect();
    fs::write(folder.join("disk"), content).unwrap();
    fs::write(
        folder.join("damage"),
        "0 ?\n0 1024 +\n1024 20480 -\n21504 100000 +\n121504 50 -\n121554 178446 +\n",
    )
    .unwrap();
    let text = match map {
        "empty" => "",
        "half" => "65536 ?\n0 1024 +\n1024 64512 *\n65536 234464 ?\n",
        "failed" => "0 -\n0 1024 +\n1024 10000 -\n11024 11312 /\n22336 1000 -\n23336 276664 +\n",
        "done" => "0 +\n0 300000 +\n",
        _ => return,
    };
    fs::write(folder.join("map"), text).unwrap();
}
