//! A shell script that loads scsi_debug: a SCSI disk in memory with one stretch of medium errors.
//!
//! Owns the module's parameters. Must not know what is slow.
//!
//! The module has one range only: the longest bad row that it can name, the first of equal ones.

use std::io::{self, Write};

use super::{Job, areas};

/// Larger disks keep no more than [`SHOWN`] in memory, over and over.
const WHOLE_MAX: u64 = 1 << 30;
/// MiB that are kept of them.
const SHOWN: u64 = 8;

pub(super) fn write(job: &mut Job<'_>, out: &mut dyn Write) -> io::Result<Vec<String>> {
    let shape = job.shape();
    let logical = u64::from(shape.logical);
    // The parameters are C's int.
    let most = i32::MAX as u64;
    let mut longest = (0, 0);
    let tally = job.bad(|bad| {
        let (first, count) = (bad.start().bytes() / logical, (bad.length() / logical).min(most));
        if first <= most && first + count - 1 <= most && count > longest.1 {
            longest = (first, count);
        }
        Ok(())
    })?;
    let (first, count) = longest;
    let bytes = shape.bytes();
    let size = match bytes <= WHOLE_MAX {
        true => format!("dev_size_mb={}", bytes.div_ceil(1 << 20).max(1)),
        false => format!("dev_size_mb={SHOWN} virtual_gb={}", bytes.div_ceil(1 << 30)),
    };
    let rounded = if bytes <= WHOLE_MAX { 1 << 20 } else { 1 << 30 };
    let power = shape.lbas_per_sector().checked_ilog2().unwrap_or(0);
    let errors = match count {
        0 => "opts=0".to_owned(),
        _ => format!("opts=2 medium_error_start={first} medium_error_count={count}"),
    };
    write!(
        out,
        "#!/bin/sh\n\
         # {}\n\
         # Use: sh {}   as root; lsscsi tells the name of the disk, rmmod scsi_debug takes it away\n\
         # It holds zeros. Reads of the bad sectors fail with sense 3/11/00.\n\
         exec modprobe scsi_debug {size} sector_size={logical} physblk_exp={power} {errors}\n",
        job.title(),
        job.file
    )?;
    let mut notes: Vec<String> = tally.note_slow("scsi-debug").into_iter().collect();
    let (all, rows) = tally.bad;
    if count * logical < all {
        notes.push(format!(
            "scsi_debug has one bad range: it is the longest, {} bytes at sector {first}, of {all} bytes in {}",
            count * logical,
            areas(rows)
        ));
    }
    if !bytes.is_multiple_of(rounded) {
        notes.push(format!("scsi_debug counts in {rounded} bytes: its disk is larger than {bytes} bytes"));
    }
    if bytes > WHOLE_MAX {
        notes.push(format!("scsi_debug keeps {SHOWN} MiB in memory, which come again all over the disk"));
    }
    Ok(notes)
}
