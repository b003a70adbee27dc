//! A list of bad blocks: one number a line, rising, and nothing else, as `badblocks` writes and reads it.
//!
//! Owns what counts as a bad block: one with a bad sector in it. Must not know what is slow.

use std::io::{self, Write};

use super::Job;

pub(super) fn write(job: &mut Job<'_>, out: &mut dyn Write) -> io::Result<Vec<String>> {
    let block = job.block.unwrap_or(4096).max(1);
    // Two bad rows may meet in a block.
    let (mut next, mut number) = (0, Vec::new());
    let tally = job.bad(|bad| {
        let (first, behind) = (bad.start().bytes() / block, bad.end().bytes().div_ceil(block));
        for at in first.max(next)..behind {
            number.clear();
            writeln!(number, "{at}")?;
            out.write_all(&number)?;
        }
        next = behind;
        Ok(())
    })?;
    let mut notes = vec![format!(
        "blocks have {block} bytes: give mke2fs the same, as in mke2fs -b {block} -l {} DEVICE",
        job.file
    )];
    notes.extend(tally.note_slow("a list of bad blocks"));
    if next > 1 << 32 {
        notes.push("e2fsprogs take blocks below 4294967296 only; choose a larger --block-size".to_owned());
    }
    Ok(notes)
}
