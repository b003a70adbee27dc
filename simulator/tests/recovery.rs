//! What can be done about a simulated drive in trouble: resets and power.

use std::sync::Arc;

use block::{BlockSource, Clock, Errno, Nanos, Offset, Patience, Recovery, SourceError, VirtualClock};
use simulator::{Access, Pace, Scenario, SimSource};

const DISK: &str = "description = \"A drive in trouble.\"\n[disk]\nmedium = \"hard-disk\"\nprofile = \"d35_1t\"\n\
                    size = \"64 MiB\"\n";

fn open(faults: &str, seed: u64) -> (SimSource, Arc<VirtualClock>) {
    let clock = Arc::new(VirtualClock::new(Nanos::ZERO));
    let scenario = Scenario::parse("trouble", "trouble.toml", &format!("{DISK}{faults}")).unwrap();
    let source = scenario.source(seed, Some(Access::Direct), clock.clone(), Pace::Instant).unwrap();
    (source, clock)
}

/// The error number of a read of 4096 bytes, if it failed; whether the device is lost.
fn read(source: &mut SimSource, at: u64) -> Result<Option<Errno>, SourceError> {
    let reply = source.read_at(Offset::new(at), &mut [0; 4096], Patience::UpTo(Nanos::from_secs(1)))?;
    Ok(reply.damage.map(|damage| damage.errno))
}

const KILLER: &str = "[[fault]]\nkind = \"killer\"\nat = [\"1 MiB\"]\n";
const MIB: u64 = 1 << 20;

/// A read that hangs ends by the system's reset, four times in five; a drive that does not hear it needs its power.
#[test]
fn what_does_not_hear_a_reset_comes_back_with_its_power() {
    let (mut woken, mut stuck) = (0, 0);
    for seed in 0..60 {
        let (mut source, clock) = open(KILLER, seed);
        assert_eq!(read(&mut source, 0), Ok(None));
        match read(&mut source, MIB) {
            // The reset was heard, and the drive goes on.
            Ok(Some(Errno::ETIMEDOUT)) => {
                woken += 1;
                assert_eq!(read(&mut source, 0), Ok(None), "seed {seed}");
                let before = clock.now();
                assert_eq!(source.recover(Recovery::SoftReset), Ok(()), "seed {seed}");
                // Idle: half a second.
                assert_eq!(clock.now().since(before), Nanos::from_millis(500), "seed {seed}");
                assert_eq!(read(&mut source, 0), Ok(None), "seed {seed}");
            }
            Ok(Some(Errno::EIO)) => {
                stuck += 1;
                assert!(matches!(read(&mut source, 0), Err(SourceError::Gone { .. })), "seed {seed}");
                for (measure, waited) in [(Recovery::SoftReset, 0), (Recovery::HardReset, 60)] {
                    let before = clock.now();
                    let error = source.recover(measure).unwrap_err();
                    assert!(matches!(error, SourceError::Unanswered { .. }), "seed {seed}: {error}");
                    assert_eq!(clock.now().since(before), Nanos::from_secs(waited), "seed {seed}");
                }
                let before = clock.now();
                assert_eq!(source.recover(Recovery::PowerCycle), Ok(()), "seed {seed}");
                // Off for five seconds, nine to turn, one to be known.
                assert_eq!(clock.now().since(before), Nanos::from_secs(15), "seed {seed}");
                assert_eq!(source.presence(), Ok(()), "seed {seed}");
                assert_eq!(read(&mut source, 0), Ok(None), "seed {seed}");
            }
            other => panic!("seed {seed}: {other:?}"),
        }
    }
    println!("{woken} woken, {stuck} stuck");
    assert!((38..=57).contains(&woken) && woken + stuck == 60, "{woken} woken, {stuck} stuck");
}

/// Firmware that lost itself does not find its way by resets, but with its power.
#[test]
fn slow_firmware_is_itself_again_after_a_power_cycle_and_not_after_a_reset() {
    let faults = "[[fault]]\nkind = \"slow-firmware\"\nafter-errors = 3\nrelapse = \"10 h\"\n[[fault]]\nkind = \"region\"\n\
                  health = \"bad\"\nranges = [[\"8 MiB\", \"9 MiB\"]]\nfailure-time = [\"10 ms\", \"20 ms\"]\n";
    let (mut source, clock) = open(faults, 1);
    let took = |source: &mut SimSource| {
        let before = clock.now();
        let mut bytes = [0; 4096];
        source.read_at(Offset::new(MIB), &mut bytes, Patience::Endless).unwrap();
        clock.now().since(before)
    };
    let healthy = took(&mut source);
    for sector in 0..4 {
        assert!(read(&mut source, 8 * MIB + sector * 4096).unwrap().is_some());
    }
    let slow = took(&mut source);
    assert!(slow > healthy + Nanos::from_millis(5), "{slow:?} after {healthy:?}");
    for measure in [Recovery::SoftReset, Recovery::HardReset] {
        assert_eq!(source.recover(measure), Ok(()));
        took(&mut source);
        assert!(took(&mut source) > Nanos::from_millis(5), "{measure:?} has helped");
    }
    assert_eq!(source.recover(Recovery::PowerCycle), Ok(()));
    took(&mut source);
    assert!(took(&mut source) < Nanos::from_millis(5));
}
