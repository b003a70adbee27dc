//! Discs against what their formats and drives promise.

use proptest::prelude::*;

use super::*;
use crate::dice::Sequence;
use crate::media::Row;

fn disc(format: &str, drive: &str, sectors: u64, layers: u16) -> Optical {
    let class = Format::named(format).unwrap();
    let spiral = Spiral {
        inner: class.inner,
        pitch: class.pitch,
        sector: class.sector,
        per_layer: sectors / u64::from(layers),
        layers,
    };
    Optical::new(class, Drive::named(drive, format).unwrap(), spiral)
}

#[test]
fn sectors_take_the_times_of_the_two_drives() {
    for (drive, base) in [("a", 1149.0), ("b", 719.0)] {
        let mut disc = disc("cd", drive, 356_465, 1);
        let mut now = disc.read(0, 16, Nanos::ZERO, Lba::MAX);
        let began = now;
        for index in 1..101 {
            now = disc.read(index * 16, 16, now, Lba::MAX);
        }
        let each = now.since(began).nanoseconds() as f64 / 1600.0 / 1000.0;
        assert!((each / base - 1.0).abs() < 0.03, "{drive}: {each} us a sector, measured {base}");
    }
}

#[test]
fn the_edge_passes_faster_than_the_middle() {
    let mut disc = disc("dvd", "usual", 2_295_104, 1);
    let mut rate = |at: u64| {
        let began = disc.read(at, 16, Nanos::ZERO, Lba::MAX);
        let end = disc.read(at + 16, 1600, began, Lba::MAX);
        1600.0 * 2048.0 / (end.since(began).nanoseconds() as f64 / 1e9)
    };
    let (middle, edge) = (rate(0), rate(2_290_000));
    assert!((edge / middle - 58.0 / 24.0).abs() < 0.05, "{middle} and {edge} bytes a second");
    // Sixteen times 1.385 MB/s.
    assert!((edge / 22.15e6 - 1.0).abs() < 0.02, "{edge} bytes a second at the edge");
}

#[test]
fn a_drive_goes_slower_at_errors_and_recovers_after_half_a_minute() {
    let mut disc = disc("cd", "b", 356_465, 1);
    let mut now = disc.read(0, 16, Nanos::ZERO, Lba::MAX);
    let speeds: Vec<f64> = (0..6)
        .map(|index| {
            disc.stopped_at(100 + index);
            disc.speed()
        })
        .collect();
    assert_eq!(speeds, [43.0, 21.5, 21.5, 10.75, 10.75, 10.75]);
    let (mut at, mut changes, mut last) = (200, Vec::new(), disc.speed());
    let began = now;
    while now < began + Nanos::from_secs(70) {
        now = disc.read(at, 16, now, Lba::MAX);
        at += 16;
        if disc.speed() != last {
            changes.push((disc.speed(), now.since(began).nanoseconds() / 1_000_000_000));
            last = disc.speed();
        }
    }
    assert_eq!(changes, [(21.5, 30), (43.0, 60)]);
}

#[test]
fn going_elsewhere_takes_a_seek_and_standing_discs_spin_up() {
    let mut disc = disc("cd", "usual", 333_000, 1);
    let first = disc.read(0, 1, Nanos::ZERO, Lba::MAX);
    assert!(first >= Nanos::from_secs(5), "{first:?}");
    let far = disc.read(330_000, 1, first, Lba::MAX).since(first);
    assert!((Nanos::from_millis(180)..Nanos::from_millis(220)).contains(&far), "{far:?}");
    let begun = first + far;
    let near = disc.read(330_001, 1, begun, Lba::MAX).since(begun);
    assert!(near < Nanos::from_millis(3), "{near:?}");
    let rested = begun + Nanos::from_secs(100);
    assert!(disc.read(330_002, 1, rested, Lba::MAX).since(rested) >= Nanos::from_secs(5));
}

#[test]
fn every_sector_lies_on_one_turn_of_one_layer() {
    for (format, layers) in [("cd", 1), ("dvd", 2)] {
        let disc = disc(format, "usual", 64_000, layers);
        let mut owners = vec![false; 64_000];
        for head in 0..layers {
            for track in disc.tracks(head, 0..disc.shape.cylinders) {
                for at in track.first..track.first + track.sectors {
                    assert!(
                        !std::mem::replace(&mut owners[at as usize], true),
                        "sector {at} lies there twice"
                    );
                    let place = disc.place(at);
                    assert_eq!(place.head, head);
                    assert!(place.cylinder.abs_diff(track.cylinder) <= 1, "sector {at}");
                }
            }
        }
        assert!(owners.iter().all(|owned| *owned));
    }
}

proptest! {
    #[test]
    fn a_row_is_its_reads(at in 0u64..100_000, unit in 1u64..300, count in 1u64..60, limit in 0u64..3000, failures in 0u64..4) {
        let (mut row, mut single) = (disc("cd", "b", 200_000, 1), disc("cd", "b", 200_000, 1));
        for failed in 0..failures {
            row.stopped_at(failed);
            single.stopped_at(failed);
        }
        let until = Nanos::from_millis(limit);
        let (made, done) = row.read_row(Row { at, unit, count, until }, Nanos::ZERO, Lba::MAX);
        let (mut reads, mut now) = (0, Nanos::ZERO);
        while reads < count && (reads == 0 || now < until) {
            now = single.read(at + reads * unit, unit, now, Lba::MAX);
            reads += 1;
        }
        prop_assert_eq!((made, done), (reads, now));
        prop_assert_eq!(row.stream, single.stream);
    }

    #[test]
    fn no_read_ends_before_it_was_asked_for(seed: u64) {
        let mut dice = Sequence::new(seed >> 1, "reads");
        let mut disc = disc("cd", "usual", 100_000, 1);
        let mut now = Nanos::ZERO;
        for _ in 0..50 {
            let (at, count) = (dice.below(99_000), 1 + dice.below(100));
            let asked = now + Nanos::from_millis(dice.below(100));
            now = disc.read(at, count, asked, Lba::MAX);
            prop_assert!(now >= asked + Nanos::from_millis(1));
            if dice.chance(0.2) {
                disc.stopped_at(at);
            }
        }
    }
}
