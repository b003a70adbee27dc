//! Whole simulated discs, one of them after two drives that read the same scratched disc.

use block::Nanos;
use simulator::{Answer, Command, Scenario, SimDisk};

/// A scratched CD-R: a hole in the reflecting layer at sector 96000, a wide scratch at 126600 to 150000, and fine ones
/// that only the first drive stumbles over.
const SCRATCHED: &str = r#"
description = "A scratched CD-R, read by one of two drives."
seed = 14

[disk]
medium = "optical"
profile = "cd"
drive = "a"
size = 730040320

[[fault]]
kind = "disc-hole"
radius = 37.98
length = 4.2
depth = 1.02

[[fault]]
kind = "disc-scratch"
radius = [41.2, 43.7]
width = 4.1

[[fault]]
kind = "disc-scratch"
radius = [41.2, 43.7]
width = 2.6
tapers = false
hit = 0.5

[[fault]]
kind = "disc-scratch"
radius = [38.5, 39.4]
width = 2.6
tapers = false
hit = 0.9

[[fault]]
kind = "disc-scratch"
radius = [32.0, 35.1]
width = 2.6
tapers = false
hit = 0.5

[[fault]]
kind = "disc-scratch"
radius = [51.2, 52.8]
width = 2.6
tapers = false
hit = 0.5
"#;

/// The same disc with other scratches of the same kinds, for each seed.
const SEEDS: [u64; 3] = [14, 1, 2];

fn disk(text: &str) -> SimDisk {
    let scenario = Scenario::parse("optical", "optical.toml", text).unwrap_or_else(|error| panic!("{error}"));
    scenario.disk(scenario.seed()).unwrap_or_else(|error| panic!("{error}"))
}

/// Tries each sector once; returns what failed, and the time.
fn one_try_each(disk: &mut SimDisk) -> (Vec<u64>, f64) {
    let (mut failed, mut now) = (Vec::new(), Nanos::ZERO);
    for at in 0..disk.shape().sectors {
        let reply = disk.serve(&Command { at, count: 1 }, now);
        now = reply.done;
        if reply.answer != Answer::Done {
            failed.push(at);
        }
    }
    (failed, now.nanoseconds() as f64 / 1e9)
}

/// Lengths of runs of numbers.
fn runs(numbers: &[u64]) -> Vec<u64> {
    let mut runs = Vec::new();
    let mut last = None;
    for number in numbers {
        match runs.last_mut() {
            Some(run) if last == Some(number - 1) => *run += 1,
            _ => runs.push(1),
        }
        last = Some(*number);
    }
    runs
}

fn between(failed: &[u64], from: u64, to: u64) -> Vec<u64> {
    failed.iter().copied().filter(|at| (from..to).contains(at)).collect()
}

/// Measured: bad sectors, recovered ones, and seconds of one try at each sector.
fn near(found: f64, measured: f64, tolerance: f64, what: &str) {
    assert!((found / measured - 1.0).abs() <= tolerance, "{what}: {found}, measured {measured}");
}

#[test]
fn the_first_drive_takes_its_time_and_loses_its_sectors() {
    for seed in SEEDS {
        let (_, seconds) =
            one_try_each(&mut disk(&SCRATCHED.replace("seed = 14", &format!("seed = {seed}"))));
        near(seconds, 25_100.0, 0.2, "seconds");
    }
    let (failed, seconds) = one_try_each(&mut disk(SCRATCHED));
    println!("drive a: {} failed in {} runs, {seconds} s", failed.len(), runs(&failed).len());
    near(seconds, 25_100.0, 0.2, "seconds");
    near(failed.len() as f64, 12_327.0, 0.2, "failed sectors");
    near(runs(&failed).len() as f64, 4724.0, 0.25, "runs");
    let scratch = between(&failed, 126_600, 150_000);
    near(scratch.len() as f64 / 23_400.0, 0.20, 0.25, "share of the scratch's zone");
    let lengths = runs(&scratch);
    near(scratch.len() as f64 / lengths.len() as f64, 2.7, 0.2, "mean run in the scratch's zone");
}

#[test]
fn the_second_drive_loses_half_as_many_and_takes_longer() {
    let text = SCRATCHED.replace("drive = \"a\"", "drive = \"b\"");
    for seed in SEEDS {
        let (_, seconds) = one_try_each(&mut disk(&text.replace("seed = 14", &format!("seed = {seed}"))));
        near(seconds, 30_245.0, 0.2, "seconds");
    }
    let (failed, seconds) = one_try_each(&mut disk(&text));
    println!("drive b: {} failed in {} runs, {seconds} s", failed.len(), runs(&failed).len());
    near(seconds, 30_245.0, 0.2, "seconds");
    near(failed.len() as f64, 5842.0, 0.2, "failed sectors");
    near(runs(&failed).len() as f64, 1231.0, 0.25, "runs");
    let hole = between(&failed, 91_800, 101_000);
    near(hole.len() as f64 / 9200.0, 0.54, 0.2, "share of the hole's zone");
    near(hole.len() as f64 / runs(&hole).len() as f64, 7.9, 0.2, "mean run behind the hole");
    let scratch = between(&failed, 133_000, 144_300);
    near(scratch.len() as f64 / 11_300.0, 0.08, 0.3, "share of the scratch's zone");
    near(scratch.len() as f64 / runs(&scratch).len() as f64, 1.5, 0.15, "mean run in the scratch's zone");
    // Once a turn.
    let starts: Vec<u64> = scratch.iter().copied().filter(|at| !scratch.contains(&(at - 1))).collect();
    let on_turn = starts.windows(2).filter(|pair| (14..=18).contains(&(pair[1] - pair[0]))).count();
    assert!(on_turn * 10 > starts.len() * 7, "{on_turn} of {} distances are a turn", starts.len());
}

#[test]
fn single_bad_sectors_of_a_dvd_alternate_with_good_ones() {
    let text = r#"
description = "A scratched DVD whose drive decodes blocks a moment too late."
seed = 15

[disk]
medium = "optical"
profile = "dvd"
size = 67108864

[[fault]]
kind = "disc-scratch"
radius = [24.2, 24.6]
width = 30.0
retry = [0.5, 15.0]

[[fault]]
kind = "cache-warming"
"#;
    let mut disc = disk(text);
    let (failed, _) = one_try_each(&mut disc);
    let lengths = runs(&failed);
    let single = lengths.iter().filter(|length| **length == 1).count() as f64 / lengths.len() as f64;
    assert!((0.88..0.97).contains(&single), "{single} of the errors are one sector long; measured 0.92");
    let starts: Vec<u64> = failed.iter().copied().filter(|at| !failed.contains(&(at - 1))).collect();
    let next =
        starts.windows(2).zip(&lengths).filter(|(pair, length)| pair[1] - pair[0] - *length == 1).count();
    let next = next as f64 / starts.len() as f64;
    assert!(next > 0.85, "{next} of the gaps are one sector long; measured 0.93");
    // Read as they are corrected, whole blocks share their fate.
    let mut disc = disk(text);
    let mut now = Nanos::ZERO;
    for block in 0..disc.shape().sectors / 16 {
        let reply = disc.serve(&Command { at: block * 16, count: 16 }, now);
        now = reply.done;
        if let Answer::Error { bad, .. } = reply.answer {
            assert_eq!(bad, block * 16);
        }
    }
}

#[test]
fn protected_sessions_are_refused_at_once() {
    let text = r#"
description = "An audio session and a data session."

[disk]
medium = "optical"
profile = "cd"
size = 501350400

[[fault]]
kind = "protected"
to = 462028800
"#;
    let mut disc = disk(text);
    let spun_up = disc.serve(&Command { at: 240_000, count: 1 }, Nanos::ZERO).done;
    let reply = disc.serve(&Command { at: 225_599, count: 1 }, spun_up);
    let Answer::Error { class, .. } = reply.answer else { panic!("an audio sector was read") };
    assert_eq!(class, simulator::law::ErrorClass::IllegalMode);
    assert!(reply.done.since(spun_up) < Nanos::from_millis(300), "{:?}", reply.done.since(spun_up));
    assert_eq!(disc.serve(&Command { at: 225_600, count: 1 }, reply.done).answer, Answer::Done);
}

#[test]
fn rot_thickens_towards_the_edge() {
    let mut disc = disk(
        r#"
description = "A disc that rots from its edge."
seed = 3

[disk]
medium = "optical"
profile = "cd"

[[fault]]
kind = "disc-rot"
depth = 8.0
"#,
    );
    let end = disc.shape().sectors;
    let bad = |from: u64, to: u64| -> u64 {
        let stretches = disc.drive().surface.overlapping(from..to);
        let failing = stretches.iter().filter(|s| {
            !matches!(disc.drive().surface.law(s.law).health, simulator::law::Health::Slow { .. })
        });
        failing.map(|s| s.sectors.end.min(to) - s.sectors.start.max(from)).sum()
    };
    let (inner, middle, edge) = (bad(0, end / 2), bad(end * 3 / 4, end * 7 / 8), bad(end * 7 / 8, end));
    assert!(inner == 0 && middle > 100 && edge > 3 * middle, "{inner}, {middle}, {edge}");
    assert_eq!(disc.serve(&Command { at: 0, count: 32 }, Nanos::ZERO).answer, Answer::Done);
}

#[test]
fn a_small_twin_has_the_same_scratches_on_fewer_turns() {
    let small = Scenario::parse("optical", "optical.toml", SCRATCHED).unwrap().small().unwrap().unwrap();
    let mut disc = small.disk(14).unwrap();
    assert_eq!(disc.shape().bytes(), 256 << 20);
    let share = one_try_each(&mut disc).0.len() as f64 / disc.shape().sectors as f64;
    let (failed, _) = one_try_each(&mut disk(SCRATCHED));
    near(share, failed.len() as f64 / 356_465.0, 0.15, "share of the sectors that fail");
}

#[test]
fn mistakes_are_told() {
    for (from, to, expected) in [
        ("profile = \"cd\"", "profile = \"ld\"", "profile \"ld\" is not known; it is one of cd, dvd, bd"),
        ("drive = \"a\"", "drive = \"c\"", "drive \"c\" is not known; it is one of usual, a, b"),
        ("size = 730040320", "size = 730040321", "size is not a whole number of blocks of 2048 bytes"),
        ("size = 730040320", "size = \"2 GiB\"", "a disc ends at 62 mm"),
        ("radius = 37.98", "radius = 80.0", "nothing lies at a radius of 80 mm: the data are from 25 to"),
        ("radius = [41.2, 43.7]", "radius = [43.7, 41.2]", "radius runs from 43.7 to 41.2 mm; it must rise"),
        ("drive = \"a\"", "layers = 3", "3 layers; a disc has 1 or 2"),
        (
            "medium = \"optical\"\nprofile = \"cd\"\ndrive = \"a\"\nsize = 730040320",
            "medium = \"flash\"\nprofile = \"sd_32\"",
            "disc-hole is a fault of discs",
        ),
    ] {
        let text = SCRATCHED.replacen(from, to, 1);
        let found = Scenario::parse("optical", "optical.toml", &text).expect_err(to).to_string();
        assert!(found.contains(expected), "{to}: {found}");
    }
}
