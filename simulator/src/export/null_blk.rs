//! A shell script that sets up a null_blk device with bad blocks, through configfs.
//!
//! Owns the script, and how much fits into the kernel's list. Must not know what is slow.

use std::io::{self, Write};

use super::{Job, UNIT, areas};

/// Entries of a kernel's list of bad blocks: a page of 4096 bytes.
const ENTRIES: u64 = 512;
/// Sectors of 512 bytes that an entry covers at most.
const ENTRY_MAX: u64 = 512;

pub(super) fn write(job: &mut Job<'_>, out: &mut dyn Write) -> io::Result<Vec<String>> {
    let shape = job.shape();
    let bytes = shape.bytes();
    // Blocks of null_blk have 512 to 4096 bytes.
    let block = u64::from(shape.logical).clamp(UNIT, 4096);
    write!(
        out,
        "#!/bin/sh\n\
         # {}\n\
         # Use: sh {} [NAME]   as root; prints the device. To take it away: rmdir /sys/kernel/config/nullb/NAME\n\
         # It holds zeros until it is written, and what is written is kept in memory.\n\
         set -e\n\
         name=${{1:-diskwright}}\n\
         folder=/sys/kernel/config/nullb/$name\n\
         modprobe null_blk nr_devices=0\n\
         mkdir \"$folder\"\n\
         echo {} >\"$folder/size\"\n\
         echo {block} >\"$folder/blocksize\"\n\
         echo 1 >\"$folder/memory_backed\"\n\
         while read -r range ; do\n\
         \x20 echo \"+$range\" >\"$folder/badblocks\"\n\
         done <<'RANGES'\n",
        job.title(),
        job.file,
        bytes.div_ceil(1 << 20)
    )?;
    let (mut entries, mut left_out) = (0, (0, 0));
    let tally = job.bad(|bad| {
        let (first, count) = (bad.start().bytes() / UNIT, bad.length() / UNIT);
        let fits = count.min((ENTRIES - entries) * ENTRY_MAX);
        entries += fits.div_ceil(ENTRY_MAX);
        if fits < count {
            left_out = (left_out.0 + (count - fits) * UNIT, left_out.1 + 1);
        }
        match fits {
            0 => Ok(()),
            _ => writeln!(out, "{first}-{}", first + fits - 1),
        }
    })?;
    write!(
        out,
        "RANGES\n\
         echo 1 >\"$folder/power\"\n\
         if [ -b \"/dev/$name\" ] ; then\n\
         \x20 echo \"/dev/$name\"\n\
         else\n\
         \x20 echo \"/dev/nullb$(cat \"$folder/index\")\"\n\
         fi\n"
    )?;
    let mut notes: Vec<String> = tally.note_slow("null_blk").into_iter().collect();
    let (bytes_out, rows_out) = left_out;
    if rows_out > 0 {
        notes.push(format!(
            "null_blk has {ENTRIES} bad ranges of at most 256 KiB: {bytes_out} bytes in {} at the end are left out, \
             which are good there",
            areas(rows_out)
        ));
    }
    if !bytes.is_multiple_of(1 << 20) {
        notes.push(format!("null_blk counts in MiB: its disk is larger than {bytes} bytes"));
    }
    Ok(notes)
}
