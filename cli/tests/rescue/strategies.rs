//! Strategies by their names: each rescues a real file that fails, and says what it will not do.

use rig::{BadRange, FaultyFile, FaultyFileOptions};

use super::*;

const NAMES: [&str; 11] = [
    "classic",
    "classic-1.30",
    "sequential",
    "dd-rescue-like",
    "superclone-like",
    "recoverdisk-like",
    "safecopy",
    "safecopy-stages",
    "myrescue",
    "recoverdm",
    "hwA",
];

fn disk() -> FaultyFile {
    let bad = [20_480..24_576, 300_000..300_001, 500_736..600_064];
    let bad = bad.map(|bytes| BadRange::new(bytes, nix::libc::EIO)).to_vec();
    FaultyFile::serve(FaultyFileOptions { bad, ..FaultyFileOptions::default() })
}

#[test]
fn each_strategy_rescues_what_it_promises_and_its_map_is_one_to_go_on_with() {
    let disk = disk();
    for name in NAMES {
        let bench = Bench::new();
        let ended = bench.rescue(&disk.path(), &["--strategy", name]).expect(1);
        let rescued = bench.check_promises(disk.content());
        assert!(rescued > 500_000, "{name} rescued {rescued} bytes");
        if !name.starts_with("classic") {
            ended.says("--strategy=classic");
        }
        if name != "classic" {
            let comments = bench.map().comments;
            assert!(comments.contains(&format!("Strategy: {name}")), "{name}: {comments:?}");
        }
        // What it left, the usual strategy reads.
        bench.rescue(&disk.path(), &[]).expect(1);
        let sectors = bench.check_promises(disk.content());
        assert_eq!(sectors, (1 << 20) - 4096 - 512 - (600_064 - 500_736), "{name}, then classic");
        assert!(bench.missing().iter().all(|(.., status)| *status == Status::BadSector), "{name}");
        assert!(!bench.map().comments.iter().any(|comment| comment.starts_with("Strategy: ")));
    }
}

#[test]
fn an_unknown_strategy_is_refused_with_the_names_of_those_like_it() {
    let bench = Bench::new();
    let disk = disk();
    let refused = |name: &str| bench.rescue(&disk.path(), &["--strategy", name]).expect(2);
    refused("safecpy").says("there is no such strategy; did you mean safecopy or safecopy-stages?");
    refused("HWA").says("did you mean hwA");
    refused("?!").says("known are classic, classic-1.30, sequential, ");
    refused(":skip=1").says("there is no such strategy");
    refused("").says("requires an argument");
    assert!(!bench.image().exists());
}

#[test]
fn options_that_mean_nothing_to_a_strategy_are_refused_in_words() {
    let bench = Bench::new();
    let disk = disk();
    for (name, option) in [
        ("sequential", "--no-scrape"),
        ("sequential", "--retry-passes=3"),
        ("safecopy", "--reverse"),
        ("recoverdm", "--cluster-size=8"),
        ("hwA", "--cpass=1"),
        ("myrescue", "--skip-size=1Mi"),
        ("superclone-like", "--min-read-rate=1000"),
    ] {
        let refused = bench.rescue(&disk.path(), &["--strategy", name, option]).expect(2);
        refused.says(&format!("the strategy {name} leaves no such choice"));
    }
    let refused = |setting: &str| bench.rescue(&disk.path(), &["--strategy", setting]).expect(2);
    refused("safecopy:jump=3").says("there is no setting 'jump' here; known are skip, resolution");
    refused("safecopy:attempts=0").says("attempts=0: give a number from 1 to 4294967295");
    refused("recoverdm:tries").says("'tries' is no setting; write WORD=NUMBER");
    refused("hwA:tries=1").says("this strategy has none");
    assert!(!bench.image().exists());
}

#[test]
fn settings_and_the_options_that_a_strategy_knows_change_its_reads() {
    let disk = disk();
    let failures = |options: &[&str]| {
        disk.forget_requests();
        Bench::new().rescue(&disk.path(), options).expect(1);
        disk.requests().iter().filter(|request| request.errno.is_some()).count()
    };
    // Where reads were joined, one of them failed besides.
    let (once, bad_sectors) =
        (failures(&["--strategy=recoverdm:tries=1"]), 8 + 1 + (600_064 - 500_736) / 512);
    assert_eq!(failures(&["--strategy=recoverdm:tries=4"]), once + 3 * bad_sectors);
    let large = failures(&["--strategy=sequential"]);
    let small = failures(&["--strategy=sequential", "--cluster-size=8"]);
    assert!(small > large, "{small} small blocks and {large} large ones failed");
}

#[test]
fn where_another_strategy_stopped_means_nothing() {
    let bench = Bench::new();
    let disk = disk();
    bench.rescue(&disk.path(), &["--strategy=hwA", "--max-read-errors=1"]).expect(3);
    let before = bench.check_promises(disk.content());
    bench.rescue(&disk.path(), &["--strategy=recoverdisk-like"]).expect(1);
    assert!(bench.check_promises(disk.content()) > before);
    assert!(bench.missing().iter().all(|(.., status)| *status == Status::BadSector));
}
