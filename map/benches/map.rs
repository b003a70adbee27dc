//! What large maps cost: reading, changing and writing a million blocks.

use std::hint::black_box;

use block::{ByteRange, Offset, RangeSet};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use map::algebra::{self, Change};
use map::mapfile::{self, Heading};
use map::{Builder, Mapfile, Position, RescueMap, Status};

const BLOCKS: u64 = 1_000_000;
const SECTOR: u64 = 512;

/// Good and failed blocks in turn, 1 to 64 sectors each, from a fixed row of numbers.
fn damaged() -> RescueMap {
    let mut builder = Builder::new();
    let mut at = Offset::ZERO;
    let mut row = 1u64;
    for i in 0..BLOCKS {
        row = row.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let length = (row >> 58) * SECTOR + 3 * SECTOR;
        let status = if i % 2 == 0 { Status::Finished } else { Status::NonTrimmed };
        builder.push(ByteRange::new(at, length), status);
        at += length;
    }
    builder.finish()
}

/// What trimming does to a map: of each failed block the first and last sector become bad, the inside non-scraped.
fn trim(map: &mut RescueMap) -> usize {
    let all = RangeSet::from(ByteRange::ALL);
    let mut at = Offset::ZERO;
    let mut trimmed = 0;
    while let Some(block) = map.next_with(Status::NonTrimmed, at) {
        let first = ByteRange::new(block.range.start(), SECTOR);
        let last = ByteRange::between(block.range.end().saturating_back(SECTOR), block.range.end());
        map.change(first, Status::BadSector, &all);
        map.change(last, Status::BadSector, &all);
        map.change(ByteRange::between(first.end(), last.start()), Status::NonScraped, &all);
        at = block.range.end();
        trimmed += 1;
    }
    trimmed
}

fn benches(criterion: &mut Criterion) {
    let map = damaged();
    let mut text = Vec::new();
    mapfile::write(&mut text, &Heading::default(), &Position::default(), &map).unwrap();
    let all = RangeSet::from(ByteRange::ALL);

    let mut group = criterion.benchmark_group("a million blocks");
    group.sample_size(10);
    group.bench_function("read", |bencher| {
        bencher.iter(|| Mapfile::parse(black_box(&text)).unwrap().map.len());
    });
    group.bench_function("invert", |bencher| {
        bencher.iter(|| algebra::change(black_box(&map), &all, &Change::invert()).len());
    });
    group.bench_function("write", |bencher| {
        bencher.iter(|| {
            let mut out = Vec::with_capacity(text.len());
            mapfile::write(&mut out, &Heading::default(), &Position::default(), black_box(&map)).unwrap();
            out.len()
        });
    });
    group.bench_function("trim 500000", |bencher| {
        bencher.iter_batched_ref(|| map.clone(), trim, BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(map_benches, benches);
criterion_main!(map_benches);
