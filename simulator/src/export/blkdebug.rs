//! Rules for QEMU's blkdebug: each fails the reads that touch one sector of 512 bytes.
//!
//! Owns the rules. Must not know what is slow.

use std::io::{self, Write};

use super::{Job, UNIT};

/// Rules that make each read felt: QEMU looks at all of them, each time.
const RULES_MANY: u64 = 100_000;

pub(super) fn write(job: &mut Job<'_>, out: &mut dyn Write) -> io::Result<Vec<String>> {
    let (file, image) = (job.file, job.device());
    writeln!(out, "# {}", job.title())?;
    writeln!(out, "# Use: qemu-img convert blkdebug:{file}:{image}, qemu-io -r blkdebug:{file}:{image},")?;
    writeln!(out, "# or qemu-system-x86_64 -drive file=blkdebug:{file}:{image}; needs QEMU 4.1 or later")?;
    let mut rules = 0;
    let tally = job.bad(|bad| {
        for sector in bad.start().bytes() / UNIT..bad.end().bytes() / UNIT {
            rules += 1;
            write!(
                out,
                "\n[inject-error]\nevent = \"none\"\niotype = \"read\"\nerrno = \"5\"\nsector = \"{sector}\"\n"
            )?;
        }
        Ok(())
    })?;
    let many = (rules > RULES_MANY)
        .then(|| format!("{rules} rules, one for each 512 bytes: QEMU looks at all of them for each read"));
    Ok(tally.note_slow("blkdebug").into_iter().chain(many).collect())
}
