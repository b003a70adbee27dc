//! A shell script that makes a dm-dust device and tells it its bad blocks.
//!
//! Owns the script. Must not know what is slow.
//!
//! dm-dust learns of each block in a message of its own, and forgets a block that is written.

use std::io::{self, Write};

use super::{Job, UNIT, quoted};

pub(super) fn write(job: &mut Job<'_>, out: &mut dyn Write) -> io::Result<Vec<String>> {
    let shape = job.shape();
    // Counted in blocks of a power of two; physical sectors are, as far as kernels can have them.
    let block = match shape.physical.is_power_of_two() {
        true => u64::from(shape.physical),
        false => UNIT,
    };
    let (title, file, device) = (job.title(), job.file, quoted(job.device()));
    let size = shape.bytes() / UNIT;
    write!(
        out,
        "#!/bin/sh\n\
         # {title}\n\
         # Use: sh {file} [NAME [DEVICE]]   as root; dmsetup remove NAME takes it away\n\
         # The device needs {size} sectors of 512 bytes. Blocks have {block} bytes; one that is written is good again.\n\
         set -e\n\
         name=${{1:-diskwright}}\n\
         device=${{2:-{device}}}\n\
         dmsetup create \"$name\" --table \"0 {size} dust $device 0 {block}\"\n\
         # One line in the kernel's log for each block is too much.\n\
         dmsetup message \"$name\" 0 quiet\n\
         while read -r block count ; do\n\
         \x20 while [ \"$count\" -gt 0 ] ; do\n\
         \x20   dmsetup message \"$name\" 0 addbadblock \"$block\"\n\
         \x20   block=$((block + 1)) count=$((count - 1))\n\
         \x20 done\n\
         done <<'BLOCKS'\n"
    )?;
    let mut blocks = 0;
    let tally = job.bad(|bad| {
        let (first, behind) = (bad.start().bytes() / block, bad.end().bytes().div_ceil(block));
        blocks += behind - first;
        writeln!(out, "{first} {}", behind - first)
    })?;
    write!(out, "BLOCKS\ndmsetup message \"$name\" 0 enable\n")?;
    let many = (blocks > 10_000)
        .then(|| format!("dm-dust takes its {blocks} bad blocks one by one; dm-error is set up at once"));
    Ok(tally.note_slow("dm-dust").into_iter().chain(many).collect())
}
