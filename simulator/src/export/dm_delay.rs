//! A device-mapper table in which slow sectors come late: `linear`, `delay`, and `error` for the bad ones.
//!
//! Owns the delay's parameters: device, place and milliseconds of reads, then of writes. Must not know laws.

use std::io::{self, Write};

use super::dm_error::Table;
use super::{Job, UNIT};
use crate::moment::State;

pub(super) fn write(job: &mut Job<'_>, out: &mut dyn Write) -> io::Result<Vec<String>> {
    let mut table = Table::new(job, out)?;
    let tally = job.damage(|range, state| {
        table.healthy_up_to(range.start().bytes() / UNIT)?;
        let count = range.length() / UNIT;
        match state {
            State::Bad { .. } => table.row(count, "error"),
            State::Slow { by } => {
                let (device, at) = table.place();
                let delay = (by.nanoseconds() / 1_000_000).min(u64::from(u32::MAX));
                let target = format!("delay {device} {at} {delay} {device} {at} 0");
                table.row(count, &target)
            }
        }
    })?;
    table.healthy_up_to(job.shape().bytes() / UNIT)?;
    let (bytes, rows) = tally.bad;
    let what = format!("{bytes} bytes in {} fail at once", super::areas(rows));
    let at_once = (rows > 0).then(|| format!("{what}; how long a drive takes to fail, dm-delay cannot say"));
    Ok(at_once.into_iter().chain(table.note()).collect())
}
