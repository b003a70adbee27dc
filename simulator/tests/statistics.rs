//! Generated damage, held against numbers taken from rescues of real drives.

use simulator::Scenario;
use simulator::fit::chain::{self, Errors};

/// Good sectors between two clusters: 1 MiB of sectors of 512 bytes.
const APART: u64 = 2048;

/// The shares of lengths that are at most so many sectors, in the map of an 80 GB drive that was read sector by sector
/// (m02: 1472 runs of errors in 110 clusters).
const UP_TO: [f64; 13] = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
const RUNS: [f64; 13] =
    [0.399, 0.595, 0.677, 0.724, 0.769, 0.832, 0.908, 0.933, 0.966, 0.980, 0.995, 0.998, 0.999];
const GAPS: [f64; 13] =
    [0.305, 0.411, 0.472, 0.515, 0.670, 0.711, 0.737, 0.772, 0.820, 0.867, 0.904, 0.932, 0.954];

/// The largest difference of the shares of `lengths` from those of the real drive.
fn apart(lengths: &[f64], real: &[f64]) -> f64 {
    let share = |limit: f64| lengths.iter().filter(|x| **x <= limit).count() as f64 / lengths.len() as f64;
    UP_TO.iter().zip(real).map(|(limit, real)| (share(*limit) - real).abs()).fold(0.0, f64::max)
}

fn generated(seed: u64) -> Errors {
    let text = "description = \"the drive of the map\"\n[disk]\nmedium = \"hard-disk\"\nprofile = \"pata40\"\n\
                size = 80060424192\n[[fault]]\nkind = \"clusters\"\ncount = 110\nexact = true\nhole = 0.0\n";
    let disk = Scenario::parse("m02", "m02.toml", text).unwrap().disk(seed).unwrap();
    let stretches = disk.drive().surface.stretches();
    let rows: Vec<(u64, u64, bool)> =
        stretches.iter().map(|s| (s.sectors.start, s.sectors.end - s.sectors.start, true)).collect();
    chain::measure(&rows, APART).unwrap()
}

#[test]
fn runs_gaps_and_clusters_are_like_those_of_the_real_drive() {
    let all: Vec<Errors> = (0..10).map(generated).collect();
    let mean = |value: &dyn Fn(&Errors) -> f64| all.iter().map(value).sum::<f64>() / all.len() as f64;
    let near = |what: &str, found: f64, real: f64, by: f64| {
        assert!((found - real).abs() <= by, "{what}: {found}, on the real drive {real}");
    };
    near("exponent of runs", mean(&|e| e.run_exponent), 1.596, 0.06);
    near("exponent of gaps", mean(&|e| e.gap_exponent), 1.402, 0.06);
    near("bad share of a cluster", mean(&|e| e.bad_inside), 0.097, 0.02);
    near("runs", mean(&|e| e.runs.len() as f64), 1472.0, 300.0);
    // A power law has the scale of the real lengths, and not each of them: the real drive has fewer runs of one sector.
    near("distance of runs", mean(&|e| apart(&e.runs, &RUNS)), 0.0, 0.13);
    near("distance of gaps", mean(&|e| apart(&e.gaps, &GAPS)), 0.0, 0.13);
}

/// The numbers above are those of the map.
#[test]
fn the_numbers_are_those_of_the_real_map() {
    let Some(data) = std::env::var_os("DISKWRIGHT_DATA") else { return };
    let path = std::path::Path::new(&data).join("mapfiles/m02-hdd-80gb-scraped.map");
    let map = map::Mapfile::parse(&std::fs::read(path).unwrap()).unwrap().map;
    let rows: Vec<(u64, u64, bool)> = map
        .blocks()
        .map(|b| (b.range.start().bytes() / 512, b.range.length() / 512, b.status == map::Status::BadSector))
        .collect();
    let errors = chain::measure(&rows, APART).unwrap();
    assert_eq!((errors.clusters, errors.runs.len(), errors.gaps.len()), (110, 1472, 1362));
    assert!(apart(&errors.runs, &RUNS) < 0.001 && apart(&errors.gaps, &GAPS) < 0.001);
}
