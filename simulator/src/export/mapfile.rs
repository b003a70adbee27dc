//! A rescue map: `-` where reads fail, `+` elsewhere.
//!
//! Owns what stands in its lines. Must not know how lines are written.

use std::io::{self, Write};

use block::{ByteRange, Offset};
use map::mapfile::{Heading, push_block, write_heading};
use map::{Phase, Position, Status};

use super::Job;

pub(super) fn write(job: &mut Job<'_>, out: &mut dyn Write) -> io::Result<Vec<String>> {
    let comments = vec![
        format!("Mapfile. {}", job.title()),
        format!("Use: nbdkit --filter=ddrescue file disk.img ddrescue-mapfile={}", job.file),
    ];
    let position = Position { at: Offset::ZERO, phase: Phase::Finished, pass: 1 };
    let mut text = Vec::new();
    write_heading(&mut text, &Heading { comments }, &position, "");
    let end = Offset::new(job.shape().bytes());
    let mut at = Offset::ZERO;
    let mut line = |range: ByteRange, status: Status| {
        if !range.is_empty() {
            push_block(&mut text, range, status);
            text.push(b'\n');
            out.write_all(&text)?;
            text.clear();
        }
        Ok(())
    };
    let tally = job.bad(|bad| {
        line(ByteRange::between(at, bad.start()), Status::Finished)?;
        at = bad.end();
        line(bad, Status::BadSector)
    })?;
    line(ByteRange::between(at, end), Status::Finished)?;
    Ok(tally.note_slow("a map").into_iter().collect())
}
