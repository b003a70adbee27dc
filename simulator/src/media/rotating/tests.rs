//! Hard disks against what data sheets promise of their class.

use proptest::prelude::*;

use super::*;
use crate::dice::Sequence;
use crate::media::Row;

fn disk(name: &str) -> Rotating {
    Rotating::new(Profile::named(name).unwrap(), &[])
}

/// A disk small enough to look at every sector.
fn small(layout: Layout) -> Rotating {
    let profile = Profile {
        bytes: 16 << 20,
        heads: 3,
        sectors_outer: 128,
        sectors_inner: 64,
        zones: 4,
        band_bytes: 400_000,
        layout,
        cache_bytes: 256 << 10,
        segments: 4,
        ..Profile::named("d35_1t").unwrap()
    };
    Rotating::new(profile, &[1.0, 0.9, 1.0])
}

const LAYOUTS: [Layout; 5] =
    [Layout::Cylinder, Layout::CylinderSerpentine, Layout::Band, Layout::BandAlternate, Layout::ZoneByHead];

#[test]
fn sequential_reads_run_at_the_media_rate_less_the_skews() {
    for name in Profile::NAMES {
        let mut disk = disk(name);
        let (skew, sectors) = (disk.profile.track_skew, disk.shape.sectors);
        let window = (1 << 30) / 512;
        let (mut expected, mut found) = (0.0, 0.0);
        for index in 0..64 {
            let start = (sectors - window) / 63 * index / 8 * 8;
            let mut now = disk.read(start, 8, Nanos::ZERO, Lba::MAX);
            let began = now;
            // The time of each track's sectors at the media rate, skews added.
            for step in 0..window / 2048 {
                let at = start + 8 + step * 2048;
                if at + 2048 > sectors {
                    break;
                }
                let per_track = disk.extents[disk.index_of(at)].sectors_per_track as f64;
                expected += 2048.0 / per_track * disk.turn as f64 * (1.0 + skew);
                now = disk.read(at, 2048, now, Lba::MAX);
            }
            found += now.since(began).nanoseconds() as f64;
        }
        assert!((found / expected - 1.0).abs() < 0.03, "{name}: {found} ns for {expected} ns");
    }
}

#[test]
fn random_reads_take_a_seek_and_half_a_turn() {
    for name in Profile::NAMES {
        let mut disk = disk(name);
        let mut dice = Sequence::new(1, "random reads");
        let mut now = Nanos::ZERO;
        let count = 20_000;
        for _ in 0..count {
            now = disk.read(dice.below(disk.shape.sectors / 8 - 1) * 8, 8, now, Lba::MAX);
        }
        let mean = now.nanoseconds() as f64 / f64::from(count);
        let sheet = (disk.profile.seek_average + disk.profile.overhead).nanoseconds() + disk.turn / 2;
        assert!((mean / sheet as f64 - 1.0).abs() < 0.05, "{name}: {mean} ns, the sheet says {sheet} ns");
    }
}

#[test]
fn every_sector_lies_under_one_head_on_one_track() {
    for layout in LAYOUTS {
        let disk = small(layout);
        let sectors = disk.shape.sectors;
        let mut owners = vec![None; sectors as usize];
        for head in 0..disk.shape.heads {
            for range in disk.sectors_of(head) {
                for at in range {
                    assert_eq!(owners[at as usize].replace(head), None, "{layout:?} sector {at}");
                }
            }
            for track in disk.tracks(head, 0..disk.shape.cylinders) {
                for at in [track.first, track.first + track.sectors - 1] {
                    let place = disk.place(at);
                    assert_eq!(
                        (place.head, place.cylinder),
                        (head, track.cylinder),
                        "{layout:?} sector {at}"
                    );
                }
                assert!((disk.place(track.first).angle - track.angle).abs() < 1e-9);
            }
        }
        assert!(owners.iter().all(Option::is_some), "{layout:?}");
        let all = disk.tracks(1, 0..disk.shape.cylinders);
        for cylinders in [0..1, 7..20, 30..31, 25..90, 40..40] {
            let expected: Vec<Track> =
                all.iter().filter(|track| cylinders.contains(&track.cylinder)).copied().collect();
            assert_eq!(disk.tracks(1, cylinders), expected, "{layout:?}");
        }
        assert!(disk.tracks(3, 0..90).is_empty(), "there is no such head");
        let tracks: u64 = (0..disk.shape.heads)
            .flat_map(|head| disk.tracks(head, 0..disk.shape.cylinders))
            .map(|track| track.sectors)
            .sum();
        assert_eq!(tracks, sectors, "{layout:?}");
    }
}

#[test]
fn a_dead_head_comes_back_after_all_the_other_heads() {
    // The period is that of all heads' bands, the arc the one head's.
    let disk = disk("d35_4t");
    let ranges = disk.sectors_of(3);
    for pair in ranges.windows(2).take(200) {
        let (period, arc) = (pair[1].start - pair[0].start, pair[0].end - pair[0].start);
        let heads = period as f64 / arc as f64;
        assert!((heads - 8.0).abs() < 0.04 * 8.0 / 100.0 * 10.0, "{heads} heads");
    }
}

#[test]
fn going_on_after_a_pause_costs_no_more_than_a_turn_and_the_cache_is_at_once() {
    let mut disk = disk("d35_1t");
    let first = disk.read(1_000_000, 128, Nanos::ZERO, Lba::MAX);
    // Long enough for the cache to be full.
    let later = first + Nanos::from_secs(1);
    let cached = disk.read(1_000_128, 128, later, Lba::MAX);
    let bus = disk.profile.overhead + Nanos::new(disk.profile.bus_time(65536));
    assert_eq!(cached.since(later), bus);
    let mut now = cached;
    for step in 2..200 {
        let done = disk.read(1_000_000 + step * 128, 128, now, Lba::MAX);
        let most = disk.turn + disk.skew + 65536 * 1000 / 200 + bus.nanoseconds();
        assert!(done.since(now).nanoseconds() < 2 * most, "step {step}");
        now = done;
    }
}

#[test]
fn reading_ahead_stops_before_damage() {
    let mut disk = small(Layout::Band);
    let now = disk.read(0, 16, Nanos::ZERO, 24);
    assert_eq!(disk.stream.unwrap().until, 24);
    disk.read(16, 8, now, 24);
    assert_eq!(disk.stream.unwrap().until, 24);
}

proptest! {
    #[test]
    fn reading_in_pieces_ends_when_reading_at_once_does(layout in 0usize..5, at in 0u64..20_000,
                                                        pieces in prop::collection::vec(1u64..300, 1..20)) {
        // Where the medium is the bottleneck: without overhead and with an endless bus.
        let free = |layout| {
            let disk = small(layout);
            let profile = Profile { overhead: Nanos::ZERO, bus: u64::MAX, ..disk.profile.clone() };
            Rotating::new(profile, &[1.0, 0.9, 1.0])
        };
        let total: u64 = pieces.iter().sum();
        let (mut whole, mut cut) = (free(LAYOUTS[layout]), free(LAYOUTS[layout]));
        let at_once = whole.read(at, total, Nanos::ZERO, Lba::MAX);
        let (mut now, mut next) = (Nanos::ZERO, at);
        for piece in pieces {
            now = cut.read(next, piece, now, Lba::MAX);
            next += piece;
        }
        prop_assert_eq!(now, at_once);
    }

    #[test]
    fn a_row_is_its_reads(layout in 0usize..5, at in 0u64..20_000, unit in 1u64..200, count in 1u64..100,
                          limit in 0u64..400, pause in 0u64..60) {
        let count = count.min((32_768 - at) / unit).max(1);
        let (mut row, mut single) = (small(LAYOUTS[layout]), small(LAYOUTS[layout]));
        // Somewhere else first, then a pause that may fill the cache.
        let began = row.read(at.saturating_sub(50), 50, Nanos::ZERO, Lba::MAX) + Nanos::from_millis(pause);
        prop_assert_eq!(single.read(at.saturating_sub(50), 50, Nanos::ZERO, Lba::MAX) + Nanos::from_millis(pause), began);
        let until = began + Nanos::from_millis(limit);
        let (made, done) = row.read_row(Row { at, unit, count, until }, began, Lba::MAX);
        let (mut reads, mut now) = (0, began);
        while reads < count && (reads == 0 || now < until) {
            now = single.read(at + reads * unit, unit, now, Lba::MAX);
            reads += 1;
        }
        prop_assert_eq!((made, done), (reads, now));
        // And what comes after takes the same time too.
        let next = at + made * unit;
        if next + unit <= 32_768 {
            prop_assert_eq!(row.read(next, unit, done, Lba::MAX), single.read(next, unit, now, Lba::MAX));
        }
    }

    #[test]
    fn no_read_ends_before_it_was_asked_for(reads in prop::collection::vec((0u64..32_000, 1u64..700, 0u64..50), 1..60)) {
        let mut disk = small(Layout::Band);
        let mut now = Nanos::ZERO;
        for (at, count, pause) in reads {
            let asked = now + Nanos::from_millis(pause);
            now = disk.read(at, count.min(32_768 - at), asked, Lba::MAX);
            prop_assert!(now >= asked + disk.profile.overhead);
        }
    }
}
