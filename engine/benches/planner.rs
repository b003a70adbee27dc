//! What one decision costs, on a map with many areas.

use std::hint::black_box;

use block::{ByteRange, Nanos, Offset};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use engine::strategy::register::Ground;
use engine::strategy::{STRATEGIES, Settings};
use engine::{Book, Outcome, Step, View};
use map::{RescueMap, Status};

const SIZE: u64 = 1 << 40;
const STEPS: u64 = 20_000;

/// Plays a disk of which the last sector of every 16 MiB is bad, and counts decisions.
fn decide(strategy: &mut dyn engine::Strategy, book: &mut Book, steps: u64) -> u64 {
    let mut last: Option<Outcome> = None;
    for step in 0..steps {
        let Some(next) = strategy.step(View { book }, last.as_ref()) else { return step };
        last = None;
        match next {
            Step::Mark { range, status } => book.change(range, status),
            Step::Sweep(sweep) => {
                let good_to = (sweep.range.start() + 1).align_up(16 << 20).saturating_back(512);
                let from = sweep.origin();
                let is_forwards = sweep.direction == engine::Direction::Forwards;
                let at = if is_forwards { from.max(good_to.align_down(sweep.unit)) } else { from };
                let Some(read) = sweep.request_at(at).or_else(|| sweep.request_at(from)) else { continue };
                if is_forwards && from < read.start() {
                    book.change(ByteRange::between(from, read.start()), Status::Finished);
                }
                let failed = read.end().align_down(16 << 20) > read.start();
                let status = match (failed, read.length() > 512) {
                    (false, _) => Status::Finished,
                    (true, true) => Status::NonTrimmed,
                    (true, false) => Status::BadSector,
                };
                book.change(read, status);
                last = Some(Outcome {
                    earlier_reads: u64::from(from != read.start()),
                    last_copied: if failed { 0 } else { read.length() },
                    last_leading: if failed { 0 } else { read.length() },
                    last: read,
                    sweep,
                    failed,
                    errno: None,
                    last_took: Nanos::from_millis(1),
                    slow: None,
                });
            }
            Step::Rest(_) | Step::Recover(_) => {}
        }
    }
    steps
}

fn planner(criterion: &mut Criterion) {
    let whole = ByteRange::new(Offset::ZERO, SIZE);
    for entry in STRATEGIES {
        let begin = || {
            let strategy =
                (entry.make)(&Ground::new(512, Some(SIZE)), &Settings::default()).expect("a strategy");
            (strategy, Book::new(RescueMap::single(whole, Status::NonTried), whole.into()))
        };
        let mut group = criterion.benchmark_group("planner step");
        group.throughput(criterion::Throughput::Elements(STEPS));
        group.sample_size(20);
        group.bench_function(entry.name, |bencher| {
            bencher.iter_batched(
                begin,
                |(mut strategy, mut book)| black_box(decide(&mut *strategy, &mut book, STEPS)),
                BatchSize::LargeInput,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, planner);
criterion_main!(benches);
