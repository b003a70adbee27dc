//! Flash drives against what their parts add up to.

use proptest::prelude::*;

use super::*;
use crate::media::Row;

fn drive(name: &str) -> Flash {
    Flash::new(Profile::named(name).unwrap(), 7)
}

fn small() -> Flash {
    let profile = Profile { bytes: 64 << 20, block_pages: 16, ..Profile::named("ssd_128").unwrap() };
    Flash::new(profile, 7)
}

#[test]
fn a_page_takes_the_controller_the_sensing_and_the_link() {
    for name in Profile::NAMES {
        let mut drive = drive(name);
        let (count, profile) = (20_000u64, drive.profile().clone());
        let mut dice = Sequence::new(1, "random reads");
        let mut now = Nanos::ZERO;
        for _ in 0..count {
            now = drive.read(dice.below(drive.shape.sectors / 8 - 1) * 8, 8, now, Lba::MAX);
        }
        let mean = now.nanoseconds() as f64 / count as f64;
        // The mean of a log-normal of deviation 0.15 lies 1.1 % above its median.
        let sense = profile.sense.nanoseconds() as f64 * 1.0113;
        let carried = 4096e9 / profile.bus.min(profile.channel_rate * u64::from(profile.channels)) as f64;
        let sum = profile.controller.nanoseconds() as f64 + sense + carried;
        assert!((mean / sum - 1.0).abs() < 0.01, "{name}: {mean} ns, parts {sum} ns");
    }
}

#[test]
fn large_reads_run_at_the_speed_of_the_narrowest_part() {
    for (name, least, most) in [
        ("ssd_128", 450e6, 550e6),
        ("nvme_1t", 2_500e6, 3_500e6),
        ("usb_stick_8", 30e6, 35e6),
        ("sd_32", 75e6, 90e6),
        ("emmc_64", 150e6, 300e6),
    ] {
        let mut drive = drive(name);
        let bytes = 16u64 << 20;
        let time = drive.read(0, bytes / 512, Nanos::ZERO, Lba::MAX).nanoseconds() as f64 / 1e9;
        let rate = bytes as f64 / time;
        assert!((least..=most).contains(&rate), "{name}: {rate} bytes a second");
    }
}

#[test]
fn every_sector_lies_on_one_die_and_dies_are_about_equal() {
    let drive = small();
    let mut owners = vec![None; drive.shape.sectors as usize];
    for die in 0..drive.shape.heads {
        let mut count = 0;
        for range in drive.sectors_of(die) {
            for at in range {
                assert_eq!(owners[at as usize].replace(die), None, "sector {at}");
                assert_eq!(drive.place(at).head, die);
                count += 1;
            }
        }
        let fair = drive.shape.sectors / u64::from(drive.shape.heads);
        assert!((fair * 9 / 10..fair * 11 / 10).contains(&count), "die {die} has {count} of {fair}");
        let blocks = drive.tracks(die, 0..drive.shape.cylinders);
        assert_eq!(blocks.iter().map(|page| page.sectors).sum::<u64>(), count);
    }
    assert!(owners.iter().all(Option::is_some));
}

#[test]
fn what_was_written_in_a_row_is_striped_page_by_page() {
    let profile = Profile { scattered: 0.0, bytes: 64 << 20, ..Profile::named("ssd_128").unwrap() };
    let drive = Flash::new(profile, 7);
    let dies = u64::from(drive.shape.heads);
    for page in 0..4096 {
        assert_eq!(u64::from(drive.place(page * 32).head), page % dies);
    }
    let scattered = small();
    let moved = (0..4096u64).filter(|page| u64::from(scattered.place(page * 32).head) != page % dies).count();
    // 0.3 of the regions, of which one page in sixteen is where it would have been.
    assert!((700..1700).contains(&moved), "{moved} of 4096 pages are elsewhere");
}

#[test]
fn a_hot_drive_slows_down_and_recovers() {
    let throttle = Some(Throttle { after: Nanos::from_secs(10), percent: 20 });
    let mut drive = Flash::new(Profile { throttle, ..Profile::named("nvme_1t").unwrap() }, 7);
    let mut now = Nanos::ZERO;
    let mut times = Vec::new();
    while now < Nanos::from_secs(60) {
        let done = drive.read(0, 8192, now, Lba::MAX);
        times.push((now, done.since(now)));
        now = done;
    }
    let (cool, hot) = (times[0].1, times.iter().map(|(_, time)| *time).max().unwrap());
    assert!(hot > Nanos::new(cool.nanoseconds() * 4), "{hot:?} when hot, {cool:?} when cool");
    let first_hot = times.iter().find(|(_, time)| *time == hot).unwrap().0;
    assert!((9..=12).contains(&(first_hot.nanoseconds() / 1_000_000_000)), "hot after {first_hot:?}");
    // A pause makes it quick again.
    let later = now + Nanos::from_secs(60);
    assert_eq!(drive.read(0, 8192, later, Lba::MAX).since(later), cool);
}

proptest! {
    #[test]
    fn a_row_is_its_reads(at in 0u64..100_000, unit in 1u64..300, count in 1u64..60, limit in 0u64..30) {
        let throttle = Some(Throttle { after: Nanos::from_millis(4), percent: 20 });
        let make = || Flash::new(Profile { throttle, ..small().profile().clone() }, 7);
        let (mut row, mut single) = (make(), make());
        let count = count.min((131_072 - at) / unit);
        let until = Nanos::from_millis(limit);
        let (made, done) = row.read_row(Row { at, unit, count, until }, Nanos::ZERO, Lba::MAX);
        let (mut reads, mut now) = (0, Nanos::ZERO);
        while reads < count && (reads == 0 || now < until) {
            now = single.read(at + reads * unit, unit, now, Lba::MAX);
            reads += 1;
        }
        prop_assert_eq!((made, done), (reads, now));
        prop_assert_eq!(row.heat, single.heat);
    }
}
