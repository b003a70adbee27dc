//! Generated damage, held against numbers that were measured on real drives.
//!
//! Where a reference has 200 values or more, distances (Kolmogorov and Smirnov, over ten seeds together) are below 0.05;
//! where it has fewer, below what chance makes in one case of twenty. Exponents are within 0.03. With `DISKWRIGHT_DATA` set,
//! the same is held against the real maps themselves, and the stored numbers are too.

mod real;
#[rustfmt::skip]
mod reference;
mod sample;

use reference::{Shares, m02, m04, m07, m10};
use sample::{Chains, Sample, chains, distance, errors_of, exponent, quantile};
use simulator::scenario::library;
use simulator::{Answer, Command, Scenario, SimDisk};

/// Seeds of the disks that are measured together.
const SEEDS: std::ops::Range<u64> = 0..10;

fn standard(name: &str) -> Scenario {
    library::find(name).expect("it is there").unwrap_or_else(|error| panic!("{error}"))
}

fn disk(scenario: &Scenario, seed: u64) -> SimDisk {
    scenario.disk(seed).unwrap_or_else(|error| panic!("{error}"))
}

/// Clusters of the disks of a scenario; `apart` as for [`Sample::of`].
fn generated(scenario: &Scenario, apart: u64) -> Vec<Sample> {
    SEEDS.map(|seed| Sample::of(errors_of(&disk(scenario, seed)), apart)).collect()
}

/// Holds a distance against the limit for so many measured values.
fn close(what: &str, distance: f64, measured: usize) {
    let limit = if measured >= 200 { 0.05 } else { 1.36 / (measured as f64).sqrt() };
    println!("{what}: distance {distance:.4}, at most {limit:.4}");
    assert!(distance < limit, "{what}: {distance} apart, at most {limit}");
}

fn near(what: &str, found: f64, measured: f64, by: f64) {
    println!("{what}: {found:.4}, measured {measured}");
    assert!((found - measured).abs() <= by, "{what}: {found}, measured {measured} (within {by})");
}

/// Means over disks.
fn mean(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> f64 {
    samples.iter().map(value).sum::<f64>() / samples.len() as f64
}

/// The medium disk of the library, as the drive of m02.
fn like_m02() -> Vec<Sample> {
    generated(&standard("S03"), 2048)
}

#[test]
fn clusters_are_those_of_the_disk_that_was_read_sector_by_sector() {
    let disks = like_m02();
    let all = Sample::together(&disks);
    close("runs", distance(&all.runs, m02::RUNS), 1472);
    close("gaps", distance(&all.gaps, m02::GAPS), 1362);
    close("extents", distance(&all.extents, m02::EXTENTS), 110);
    close("errors of a cluster", distance(&all.errors, m02::ERRORS), 110);
    near("exponent of runs", mean(&disks, |d| exponent(&d.runs)), 1.596, 0.03);
    near("exponent of gaps in clusters", mean(&disks, |d| exponent(&d.gaps)), 1.402, 0.03);
    near("runs of one sector", mean(&disks, |d| share_up_to(&d.runs, 1.0)), 0.40, 0.03);
    near("mean run", mean(&disks, |d| d.runs.iter().sum::<f64>() / d.runs.len() as f64), 7.2, 0.7);
    // Some clusters meet.
    near("clusters", mean(&disks, |d| d.extents.len() as f64), 110.0, 1.5);
    let bad = mean(&disks, Sample::bad_share);
    assert!((0.07..=0.10).contains(&bad), "bad share {bad}");
}

#[test]
fn all_gaps_of_a_disk_of_its_size_are_those_of_the_real_one() {
    // Those between clusters are among them.
    let text = "description = \"the disk of m02\"\n[disk]\nmedium = \"hard-disk\"\nprofile = \"pata40\"\n\
                size = 80060424192\n[[fault]]\nkind = \"clusters\"\ncount = 110\nexact = true\nhole = 0.0\n";
    let scenario = Scenario::parse("m02", "m02.toml", text).unwrap_or_else(|error| panic!("{error}"));
    let all = Sample::together(&generated(&scenario, u64::MAX));
    near("exponent of gaps", exponent(&all.gaps), 1.32, 0.03);
    for (limit, measured) in [(1.0, 0.28), (8.0, 0.66), (64.0, 0.80), (1024.0, 0.91)] {
        near(&format!("gaps up to {limit}"), share_up_to(&all.gaps, limit), measured, 0.05);
    }
}

#[test]
fn every_disk_has_about_as_many_errors_as_the_real_one() {
    let scenario = standard("S03");
    let counts: Vec<usize> =
        (0..100).map(|seed| Sample::of(errors_of(&disk(&scenario, seed)), 2048).runs.len()).collect();
    let usual = counts.iter().filter(|count| (1100..=2000).contains(*count)).count();
    assert!(usual >= 90, "{usual} of 100 seeds have 1100 to 2000 errors: {counts:?}");
}

/// On the disk of m02: of the sectors so far behind a bad one, this share is bad too.
const AGAIN_BAD: [(u64, f64); 8] =
    [(1, 0.861), (2, 0.817), (4, 0.755), (8, 0.671), (16, 0.568), (32, 0.493), (64, 0.395), (128, 0.260)];

#[test]
fn bad_sectors_are_found_again_at_the_distances_of_the_real_disk() {
    let disks: Vec<Vec<(u64, u64)>> = SEEDS.map(|seed| errors_of(&disk(&standard("S03"), seed))).collect();
    for (lag, measured) in AGAIN_BAD {
        let found =
            disks.iter().map(|errors| sample::again_bad(errors, lag)).sum::<f64>() / disks.len() as f64;
        println!("{lag} sectors on: {found:.3}, measured {measured}");
        assert!(
            (measured / 1.5..measured * 1.5).contains(&found),
            "{lag} sectors on: {found}, measured {measured}"
        );
    }
}

fn share_up_to(lengths: &[f64], limit: f64) -> f64 {
    lengths.iter().filter(|length| **length <= limit).count() as f64 / lengths.len() as f64
}

/// Numbers of a disk that fails in sectors of 4 KiB, of which no more is known: m05.
#[test]
fn the_local_damage_is_that_of_the_disk_of_4_kib_sectors() {
    let disks = generated(&standard("S04"), 256);
    let all = Sample::together(&disks);
    let kib = |sectors: f64| sectors * 4.0;
    near("errors", mean(&disks, |d| d.runs.len() as f64), 104.0, 50.0);
    near("exponent of runs", exponent(&all.runs), 1.73, 0.03);
    near("runs of one sector", share_up_to(&all.runs, 1.0), 0.55, 0.05);
    near("mean run", all.runs.iter().sum::<f64>() / all.runs.len() as f64, 3.6, 0.6);
    near("bad share", all.bad_share(), 0.15, 0.04);
    let p90 = kib(quantile(&all.extents, 0.9));
    assert!(
        (1400.0..3200.0).contains(&p90),
        "nine tenths of the clusters end within {p90} KiB, of the real ones 2100"
    );
    // All gaps of one disk, with those between clusters.
    let whole = Sample::together(&generated(&standard("S04"), u64::MAX));
    near("exponent of gaps", exponent(&whole.gaps), 1.34, 0.05);
    for (limit, measured) in [(1.0, 0.27), (8.0, 0.59), (64.0, 0.77), (1024.0, 0.97)] {
        close(&format!("gaps up to {limit}"), (share_up_to(&whole.gaps, limit) - measured).abs(), 104);
    }
}

/// The flash drive of the library, in units of 4 KiB.
fn like_m07() -> Vec<Sample> {
    generated(&standard("S12"), 256)
}

#[test]
fn flash_fails_like_the_real_drive() {
    let disks = like_m07();
    let all = Sample::together(&disks);
    close("runs", distance(&all.runs, m07::RUNS), 1130);
    close("gaps", distance(&all.gaps, m07::GAPS), 887);
    let chance = |count: f64| 1.36 / count.sqrt();
    for (what, found) in [
        ("extents", distance(&all.extents, m07::EXTENTS)),
        ("errors of a cluster", distance(&all.errors, m07::ERRORS)),
    ] {
        println!("{what}: distance {found:.4}");
        assert!(found < chance(243.0), "{what}: {found} apart");
    }
    near("exponent of runs", mean(&disks, |d| exponent(&d.runs)), 2.12, 0.03);
    near("exponent of gaps in clusters", mean(&disks, |d| exponent(&d.gaps)), 1.353, 0.03);
    near("runs of one codeword", share_up_to(&all.runs, 1.0), 0.78, 0.03);
    near("mean run", all.runs.iter().sum::<f64>() / all.runs.len() as f64, 1.4, 0.1);
    near("errors", mean(&disks, |d| d.runs.len() as f64), 1130.0, 120.0);
    near("bad share", all.bad_share(), 0.04, 0.012);
    assert!(share_up_to(&all.runs, 4.0) > 0.999, "an error is longer than a page");
}

/// What fails at one try of each sector, in the order of the disc.
fn one_try_each(disk: &mut SimDisk) -> Vec<(u64, u64)> {
    let mut failed = Vec::new();
    let mut now = block::Nanos::ZERO;
    for at in 0..disk.shape().sectors {
        let reply = disk.serve(&Command { at, count: 1 }, now);
        now = reply.done;
        if reply.answer != Answer::Done {
            failed.push((at, 1));
        }
    }
    failed
}

fn like_m10() -> Sample {
    let scenario = standard("S15");
    Sample::of(one_try_each(&mut disk(&scenario, scenario.seed())), 512)
}

#[test]
fn good_and_bad_sectors_of_a_dvd_alternate_as_on_the_real_one() {
    let disc = like_m10();
    close("runs", distance(&disc.runs, m10::RUNS), 28_931);
    close("gaps", distance(&disc.gaps, m10::GAPS), 28_888);
    near("runs of one sector", share_up_to(&disc.runs, 1.0), 0.92, 0.03);
    near("gaps of one sector", share_up_to(&disc.gaps, 1.0), 0.93, 0.03);
}

fn starts(disk: &SimDisk) -> Vec<u64> {
    let group = disk.shape().lbas_per_sector();
    errors_of(disk).into_iter().map(|(start, _)| start * group).collect()
}

/// Chains of the scratched disk of the library; lengths in megabytes.
fn like_m04() -> Chains {
    let scenario = standard("skipping-scratch");
    let mut all = Chains { lengths: Vec::new(), hits: Vec::new(), share: 0.0 };
    for seed in SEEDS {
        let found = chains(&starts(&disk(&scenario, seed)), 6000);
        all.lengths.extend(found.lengths.iter().map(|sectors| sectors * 512.0 / 1e6));
        all.hits.extend(found.hits);
        all.share += found.share / 10.0;
    }
    all
}

#[test]
fn scratches_come_in_chains_as_on_the_real_disk() {
    let found = like_m04();
    close("chains", distance(&found.lengths, m04::CHAINS), 121);
    close("errors of a chain", distance(&found.hits, m04::HITS), 121);
    near("chains of a disk", found.lengths.len() as f64 / 10.0, 121.0, 30.0);
    near("errors of a disk", found.hits.iter().sum::<f64>() / 10.0 / found.share, 3797.0, 800.0);
    near("share of the errors in chains", found.share, 0.973, 0.02);
    let longest = quantile(&found.lengths, 1.0);
    assert!((45.0..65.0).contains(&longest), "the longest chain has {longest} MB, the real one 52");
}

#[test]
fn in_a_chain_errors_come_once_a_turn_as_on_the_real_disk() {
    // The outermost zone has its errors 1109 sectors apart and the innermost 736: a turn less its skew. Of the distances
    // 81 % are that long, and 11.5 % one turn longer.
    let (skew, scenario) = (0.115, standard("skipping-scratch"));
    let (mut modes, mut all) = ([0.0; 2], 0.0);
    let (mut outer, mut inner) = (Vec::new(), Vec::new());
    for seed in SEEDS {
        let disk = disk(&scenario, seed);
        let medium = &disk.drive().medium;
        for pair in starts(&disk).windows(2).filter(|pair| pair[1] - pair[0] <= 6000) {
            let place = medium.place(pair[0]);
            let turn = medium.tracks(place.head, place.cylinder..place.cylinder + 1)[0].sectors as f64;
            let distance = (pair[1] - pair[0]) as f64;
            let turns = distance / turn / (1.0 - skew);
            all += 1.0;
            for (count, mode) in modes.iter_mut().zip([1.0, 2.13]) {
                *count += f64::from(u8::from((turns / mode - 1.0).abs() < 0.012));
            }
            for (list, lengths) in [(&mut outer, 1253.0), (&mut inner, 832.0)] {
                if turn == lengths && turns < 1.5 {
                    list.push(distance);
                }
            }
        }
    }
    near("share one turn less its skew apart", modes[0] / all, 0.81, 0.03);
    near("share one turn more apart", modes[1] / all, 0.115, 0.03);
    near("sectors from error to error in the outermost zone", quantile(&outer, 0.5), 1109.0, 8.0);
    near("sectors from error to error in the innermost zone", quantile(&inner, 0.5), 736.0, 8.0);
}

#[test]
fn a_dead_head_leaves_the_bands_of_the_real_disk() {
    // m13: bands of 171.2 MB, 1.697 to 1.706 GB from one to the next, 10.0 to 10.1 % bad.
    let text = "description = \"the disk of m13\"\n[disk]\nmedium = \"hard-disk\"\nprofile = \"d35_4t\"\nheads = 10\n\
                band = \"171.2 MB\"\n[[fault]]\nkind = \"dead-head\"\nhead = 7\n";
    let scenario = Scenario::parse("m13", "m13.toml", text).unwrap_or_else(|error| panic!("{error}"));
    let (mut lengths, mut periods) = (Vec::new(), Vec::new());
    for seed in SEEDS {
        let bands = Sample::of(errors_of(&disk(&scenario, seed)), 1);
        let starts: Vec<u64> = errors_of(&disk(&scenario, seed)).iter().map(|(start, _)| *start).collect();
        // What the public part of the map shows: the first 8.3 GB.
        lengths.extend(bands.runs.iter().take(5).map(|sectors| sectors * 4096.0 / 1e6));
        periods.extend(starts.windows(2).take(4).map(|pair| (pair[1] - pair[0]) as f64 * 4096.0 / 1e9));
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    near("bands in MB", mean(&lengths), 171.2, 0.03 * 171.2);
    near("periods in GB", mean(&periods), 1.7015, 0.03 * 1.7015);
    near("share of a period", mean(&lengths) / mean(&periods) / 1000.0, 0.1005, 0.001);
}

/// m19: about half of the single sectors fail, whatever the sector.
#[test]
fn a_worn_head_fails_like_salt_and_pepper() {
    let scenario = standard("salt-and-pepper");
    let mut disk = disk(&scenario, scenario.seed());
    let first = disk.drive().medium.sectors_of(2)[0].start;
    let (mut failed, mut now) = (Vec::new(), block::Nanos::ZERO);
    for at in first..first + 20_000 {
        let reply = disk.serve(&Command { at, count: 1 }, now);
        now = reply.done;
        if reply.answer != Answer::Done {
            failed.push((at, 1));
        }
    }
    let found = Sample::of(failed, 2048);
    // Seventeen runs were measured.
    close("runs of one sector", (share_up_to(&found.runs, 1.0) - 0.53).abs(), 17);
    close("gaps of one sector", (share_up_to(&found.gaps, 1.0) - 0.25).abs(), 17);
    near("gaps of up to eight sectors", share_up_to(&found.gaps, 8.0), 1.0, 0.01);
    near("exponent of runs", exponent(&found.runs), 1.76, 0.18);
    near("exponent of gaps", exponent(&found.gaps), 1.68, 0.18);
}

/// m20: one dense region of short runs with single good sectors between them.
#[test]
fn the_dense_cluster_is_that_of_the_real_disk() {
    let disks = generated(&standard("dense-cluster"), u64::MAX);
    let all = Sample::together(&disks);
    close("runs of one sector", (share_up_to(&all.runs, 1.0) - 0.44).abs(), 18);
    for (limit, measured) in [(1.0, 0.41), (8.0, 0.59), (64.0, 0.76)] {
        close(&format!("gaps up to {limit}"), (share_up_to(&all.gaps, limit) - measured).abs(), 18);
    }
    near("exponent of runs", exponent(&all.runs), 1.56, 0.03);
    near("exponent of gaps", exponent(&all.gaps), 1.29, 0.12);
}

/// The reference itself: quantiles rise and end at 1.
#[test]
fn reference_quantiles_are_distributions() {
    let all: [Shares; 12] = [
        m02::RUNS,
        m02::GAPS,
        m02::EXTENTS,
        m02::ERRORS,
        m04::CHAINS,
        m04::HITS,
        m07::RUNS,
        m07::GAPS,
        m07::EXTENTS,
        m07::ERRORS,
        m10::RUNS,
        m10::GAPS,
    ];
    for shares in all {
        assert!(shares.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1), "{shares:?}");
        assert_eq!(shares[shares.len() - 1].1, 1.0);
    }
}
