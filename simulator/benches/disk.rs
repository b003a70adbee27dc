//! How fast a simulated disk is served: commands a second, bytes a second with content, time to open a scenario.

use std::hint::black_box;
use std::sync::Arc;

use block::{BlockSource, Nanos, Offset, Patience, VirtualClock};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use simulator::dice::Sequence;
use simulator::scenario::library;
use simulator::{Command, Pace};

const SECTORS: u64 = 128;

/// Half sequential, half random commands of 64 KiB without content on the largest disk.
fn commands(criterion: &mut Criterion) {
    let scenario = library::find("S20").expect("S20 is there").expect("and opens");
    let mut disk = scenario.disk(1).expect("a disk");
    let blocks = disk.shape().sectors / SECTORS;
    let mut dice = Sequence::new(1, "bench");
    let mut group = criterion.benchmark_group("commands");
    group.throughput(Throughput::Elements(1000));
    let (mut now, mut next) = (Nanos::ZERO, 0);
    group.bench_function("64 KiB on 20 TB, half random", |bench| {
        bench.iter(|| {
            for index in 0..1000 {
                let at = if index % 2 == 0 { dice.below(blocks) * SECTORS } else { next };
                next = (at + SECTORS) % (blocks * SECTORS);
                now = black_box(disk.serve(&Command { at, count: SECTORS }, now)).done;
                if now == Nanos::NEVER {
                    // The drive hangs, or its time is up: a new one.
                    disk = scenario.disk(1).expect("a disk");
                    now = Nanos::ZERO;
                }
            }
        });
    });
    group.finish();
}

fn content(criterion: &mut Criterion) {
    let scenario = library::find("S01").expect("S01 is there").expect("and opens");
    let clock = Arc::new(VirtualClock::new(Nanos::ZERO));
    let mut source = scenario.source(1, None, clock, Pace::Instant).expect("a disk");
    let mut buffer = vec![0; 65536];
    let mut at = 0;
    let mut group = criterion.benchmark_group("content");
    group.throughput(Throughput::Bytes(65536));
    group.bench_function("64 KiB", |bench| {
        bench.iter(|| {
            at = (at + 65536) % (1 << 36);
            let reply = source.read_at(Offset::new(at), &mut buffer, Patience::Endless);
            if black_box(reply).is_err() {
                let clock = Arc::new(VirtualClock::new(Nanos::ZERO));
                source = scenario.source(1, None, clock, Pace::Instant).expect("a disk");
            }
        });
    });
    group.finish();
}

fn opening(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("opening");
    group.sample_size(10);
    // Each scenario, and each twin.
    for scenario in &library::all().expect("scenarios") {
        group.bench_function(&scenario.name, |bench| {
            bench.iter(|| {
                black_box(library::find(&scenario.name).expect("it is there").expect("it opens").disk(1))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, commands, content, opening);
criterion_main!(benches);
