//! A device-mapper table in which bad sectors fail: `linear` and `error`.
//!
//! Owns the table's lines, which count in 512 bytes: `START COUNT TARGET ...`. Must not know what is slow.

use std::io::{self, Write};

use super::{Job, UNIT};

/// Rows of a table that a kernel takes (DM_MAX_TARGETS since Linux 6.9, and in stable ones before it).
const ROWS_MAX: u64 = 1_048_576;

pub(super) fn write(job: &mut Job<'_>, out: &mut dyn Write) -> io::Result<Vec<String>> {
    let mut table = Table::new(job, out)?;
    let tally = job.bad(|bad| {
        table.healthy_up_to(bad.start().bytes() / UNIT)?;
        table.row(bad.length() / UNIT, "error")
    })?;
    table.healthy_up_to(job.shape().bytes() / UNIT)?;
    Ok(tally.note_slow("dm-error").into_iter().chain(table.note()).collect())
}

/// A table being written.
pub(super) struct Table<'a> {
    out: &'a mut dyn Write,
    device: String,
    /// How far it reaches.
    at: u64,
    rows: u64,
}

impl<'a> Table<'a> {
    /// Begins with comments, which dmsetup passes over.
    pub(super) fn new(job: &Job<'_>, out: &'a mut dyn Write) -> io::Result<Table<'a>> {
        let device = job.device().to_owned();
        writeln!(out, "# {}", job.title())?;
        writeln!(out, "# Use: dmsetup create NAME {}", job.file)?;
        writeln!(
            out,
            "# It lies over {device}, which needs {} sectors of 512 bytes.",
            job.shape().bytes() / UNIT
        )?;
        Ok(Table { out, device, at: 0, rows: 0 })
    }

    /// The device shines through up to a sector.
    pub(super) fn healthy_up_to(&mut self, end: u64) -> io::Result<()> {
        if end > self.at {
            let target = format!("linear {} {}", self.device, self.at);
            self.row(end - self.at, &target)?;
        }
        Ok(())
    }

    /// What so many sectors are.
    pub(super) fn row(&mut self, count: u64, target: &str) -> io::Result<()> {
        writeln!(self.out, "{} {count} {target}", self.at)?;
        self.at += count;
        self.rows += 1;
        Ok(())
    }

    /// What must be known of the table.
    pub(super) fn note(&self) -> Option<String> {
        (self.rows > ROWS_MAX)
            .then(|| format!("the table has {} rows; kernels take {ROWS_MAX} at most", self.rows))
    }

    /// How far it reaches, and over what.
    pub(super) fn place(&self) -> (&str, u64) {
        (&self.device, self.at)
    }
}
