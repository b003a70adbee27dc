//! The real maps, where `DISKWRIGHT_DATA` names the folder that holds them: they have the stored numbers, and generated
//! damage is held against them directly.
//!
//! Owns what is counted as an error in which map.

use std::path::Path;

use map::{Mapfile, Status};
use simulator::fit::ks;

use super::reference::{Shares, m02, m04, m07, m10};
use super::sample::{Sample, again_bad, chains, exponent};
use super::{close, near};

/// Sectors of a map that have one of these states, `None` without the folder.
fn errors(name: &str, sector: u64, bad: &[Status]) -> Option<Vec<(u64, u64)>> {
    let data = std::env::var_os("DISKWRIGHT_DATA")?;
    let path = Path::new(&data).join("mapfiles").join(name).with_extension("map");
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let map = Mapfile::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())).map;
    let blocks = map.blocks().filter(|block| bad.contains(&block.status));
    Some(blocks.map(|block| (block.range.start().bytes() / sector, block.range.length() / sector)).collect())
}

const BAD: [Status; 1] = [Status::BadSector];
const FAILED: [Status; 3] = [Status::BadSector, Status::NonTrimmed, Status::NonScraped];

fn m02_errors() -> Option<Vec<(u64, u64)>> {
    errors("m02-hdd-80gb-scraped", 512, &BAD)
}

fn m07_sample() -> Option<Sample> {
    Some(Sample::of(errors("m07-ssd-128gb-pages", 512, &BAD)?, 2048).in_units(8.0))
}

fn m10_sample() -> Option<Sample> {
    Some(Sample::of(errors("m10-dvd-b-scraped", 2048, &FAILED)?, 512))
}

fn m04_starts() -> Option<Vec<u64>> {
    let errors = errors("m04-hdd-radial-scratch-zbr", 512, &FAILED)?;
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for (start, count) in errors {
        match runs.last_mut() {
            Some((_, end)) if *end == start => *end += count,
            _ => runs.push((start, start + count)),
        }
    }
    Some(runs.into_iter().map(|(start, _)| start).collect())
}

fn has_shares(what: &str, values: &[f64], reference: Shares) {
    for (value, share) in reference {
        let found = values.iter().filter(|x| **x <= *value + 0.005).count() as f64 / values.len() as f64;
        assert!((found - share).abs() < 0.0002, "{what}: {found} up to {value}, stored {share}");
    }
}

#[test]
fn the_stored_numbers_are_those_of_the_maps() {
    let Some(errors) = m02_errors() else { return };
    let real = Sample::of(errors.iter().copied(), 2048);
    assert_eq!((real.extents.len(), real.runs.len(), real.gaps.len()), (110, 1472, 1362));
    has_shares("m02 runs", &real.runs, m02::RUNS);
    has_shares("m02 gaps", &real.gaps, m02::GAPS);
    has_shares("m02 extents", &real.extents, m02::EXTENTS);
    has_shares("m02 errors", &real.errors, m02::ERRORS);
    near("m02 exponent of runs", exponent(&real.runs), 1.596, 0.001);
    near("m02 exponent of gaps", exponent(&real.gaps), 1.402, 0.001);
    near("m02 bad share", real.bad_share(), 0.097, 0.0005);
    for (lag, share) in super::AGAIN_BAD {
        near("m02 again bad", again_bad(&errors, lag), share, 0.0006);
    }

    let real = m07_sample().unwrap();
    assert_eq!((real.extents.len(), real.runs.len(), real.gaps.len()), (243, 1130, 887));
    has_shares("m07 runs", &real.runs, m07::RUNS);
    has_shares("m07 gaps", &real.gaps, m07::GAPS);
    has_shares("m07 extents", &real.extents, m07::EXTENTS);
    has_shares("m07 errors", &real.errors, m07::ERRORS);

    let real = m10_sample().unwrap();
    assert_eq!((real.runs.len(), real.gaps.len()), (28_931, 28_888));
    has_shares("m10 runs", &real.runs, m10::RUNS);
    has_shares("m10 gaps", &real.gaps, m10::GAPS);

    let real = chains(&m04_starts().unwrap(), 6000);
    assert_eq!(real.lengths.len(), 121);
    has_shares("m04 chains", &megabytes(&real.lengths), m04::CHAINS);
    has_shares("m04 hits", &real.hits, m04::HITS);
    near("m04 share in chains", real.share, 0.973, 0.0005);
}

#[test]
fn the_numbers_of_short_maps_are_those_of_the_maps() {
    let Some(m19) = errors("m19-hdd-salt-and-pepper", 512, &BAD) else { return };
    let share = |lengths: &[f64], limit| super::share_up_to(lengths, limit);
    let real = Sample::of(m19, u64::MAX);
    assert_eq!(real.runs.len(), 17);
    near("m19 runs of one sector", share(&real.runs, 1.0), 0.53, 0.005);
    near("m19 gaps of one sector", share(&real.gaps, 1.0), 0.25, 0.005);
    near("m19 exponent of runs", exponent(&real.runs), 1.76, 0.005);
    near("m19 exponent of gaps", exponent(&real.gaps), 1.68, 0.005);

    let real = Sample::of(errors("m20-hdd-dense-cluster-retry13", 512, &BAD).unwrap(), u64::MAX);
    assert_eq!(real.runs.len(), 18);
    near("m20 runs of one sector", share(&real.runs, 1.0), 0.44, 0.005);
    near("m20 exponent of runs", exponent(&real.runs), 1.56, 0.005);
    near("m20 exponent of gaps", exponent(&real.gaps), 1.29, 0.005);
    for (limit, measured) in [(1.0, 0.41), (8.0, 0.59), (64.0, 0.76)] {
        near("m20 gaps", share(&real.gaps, limit), measured, 0.005);
    }

    let unread = [Status::BadSector, Status::NonTrimmed, Status::NonScraped, Status::NonTried];
    let bands = Sample::of(errors("m13-hdd-bad-head-1of10", 512, &unread).unwrap(), u64::MAX);
    // The list ends in the fifth.
    assert_eq!(bands.runs.len(), 5);
    for band in &bands.runs[..4] {
        near("m13 band in MB", band * 512.0 / 1e6, 171.2, 1.5);
    }
    for (band, gap) in bands.runs[..4].iter().zip(&bands.gaps) {
        let period = (band + gap) * 512.0 / 1e9;
        assert!((1.697..=1.706).contains(&period), "m13: a period of {period} GB");
    }
}

fn megabytes(sectors: &[f64]) -> Vec<f64> {
    sectors.iter().map(|sectors| sectors * 512.0 / 1e6).collect()
}

#[test]
fn generated_damage_is_like_that_of_the_maps_themselves() {
    let Some(errors) = m02_errors() else { return };
    let compare = |what: &str, generated: &[f64], real: &[f64]| {
        close(what, ks::between(generated, real), real.len());
    };
    let (real, all) = (Sample::of(errors, 2048), Sample::together(&super::like_m02()));
    compare("m02 runs", &all.runs, &real.runs);
    compare("m02 gaps", &all.gaps, &real.gaps);
    compare("m02 extents", &all.extents, &real.extents);
    compare("m02 errors", &all.errors, &real.errors);
    let (real, all) = (m07_sample().unwrap(), Sample::together(&super::like_m07()));
    compare("m07 runs", &all.runs, &real.runs);
    compare("m07 gaps", &all.gaps, &real.gaps);
    let (real, all) = (m10_sample().unwrap(), super::like_m10());
    compare("m10 runs", &all.runs, &real.runs);
    compare("m10 gaps", &all.gaps, &real.gaps);
    let (real, all) = (chains(&m04_starts().unwrap(), 6000), super::like_m04());
    compare("m04 chains", &all.lengths, &megabytes(&real.lengths));
    compare("m04 errors of a chain", &all.hits, &real.hits);
}
