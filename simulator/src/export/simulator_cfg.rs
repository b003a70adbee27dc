//! `simulator.cfg`, for safecopy's simulator library.
//!
//! Owns this format: `key=value` lines, of which those without `=` are passed over; times are a base time in
//! microseconds, doubled so many times. Must not know how it is read again.

use std::io::{self, Write};

use block::Nanos;

use super::Job;
use crate::moment::{Detail, State};

/// Bytes that the library's numbers reach.
const SIZE_MAX: u64 = i32::MAX as u64;
/// Entries of one of its lists.
const LIST_MAX: u64 = 1_000_000;
/// Doublings that its numbers bear.
const EXPONENT_MAX: u32 = 30;

pub(super) fn write(job: &mut Job<'_>, out: &mut dyn Write) -> io::Result<Vec<String>> {
    let shape = job.shape();
    let (block, bytes) = (u64::from(shape.physical), shape.bytes());
    let size = if bytes <= SIZE_MAX { bytes } else { SIZE_MAX / block * block };
    let base = (job.moment.sector_time().nanoseconds() / 1000).max(1);
    writeln!(out, "{}", job.title().replace('=', " "))?;
    writeln!(
        out,
        "Use: LD_PRELOAD with libsimulatorlb.so in a folder where this is simulator.cfg; the disk is"
    )?;
    writeln!(out, "the file debug, its bytes those of the source below")?;
    writeln!(out, "verbose=0\nblocksize={block}\nfilesize={size}\nsource={}", job.device())?;
    writeln!(out, "softfailcount=0\ndelay={base}\nseekdelay=0")?;
    let group = shape.lbas_per_sector();
    let (mut slow, mut bad, mut behind) = (0, 0, 0);
    for found in job.moment.damage(Detail::Sectors) {
        let sector = found.sectors.start / group;
        if sector >= size / block {
            behind += 1;
            continue;
        }
        let (key, time, listed) = match found.state {
            State::Bad { after } => ("hardfail", after, &mut bad),
            State::Slow { by } => ("slow", by + Nanos::new(base * 1000), &mut slow),
        };
        *listed += 1;
        if *listed <= LIST_MAX {
            writeln!(out, "{key}={sector} {}", exponent(time, base))?;
        }
    }
    let mut notes = Vec::new();
    if size < bytes {
        notes.push(format!(
            "safecopy's library knows no disks above {SIZE_MAX} bytes: this one ends at {size} there, and {behind} \
             damaged sectors behind it are left out"
        ));
    }
    for (listed, which) in [(slow, "slow"), (bad, "bad")] {
        if listed > LIST_MAX {
            notes.push(format!(
                "safecopy's library has lists of {LIST_MAX} sectors: {} of the {which} ones are left out",
                listed - LIST_MAX
            ));
        }
    }
    if slow + bad > 0 {
        notes.push("times are what safecopy's library can say: a base time doubled so many times".to_owned());
    }
    Ok(notes)
}

/// Doublings of the base time, in microseconds, that come nearest to a time.
fn exponent(time: Nanos, base: u64) -> u32 {
    let ratio = time.nanoseconds() as f64 / (base as f64 * 1000.0);
    let doublings = libm::round(libm::log2(ratio.max(1.0)));
    (doublings as u32).min(EXPONENT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_the_nearest_power_of_two() {
        for (time, expected) in
            [(0, 0), (10, 0), (14, 0), (15, 1), (20, 1), (3_000_000, 18), (u64::MAX / 1000, 30)]
        {
            assert_eq!(exponent(Nanos::new(time * 1000), 10), expected, "{time} us");
        }
    }
}
