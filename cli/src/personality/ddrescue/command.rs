//! Command mode: a rescue in which standard input says what is read.
//!
//! Owns the commands and their answers. Must not know how bytes are copied.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::ExitCode;

use block::sink::FileSink;
use block::{ByteRange, Clock, Offset, WallClock};
use engine::{Ending, Limits, Rescue, RescueOptions, Surroundings, Trouble};

use crate::personality::ddrescue::job::Job;
use crate::personality::ddrescue::operator::Person;
use crate::personality::ddrescue::session;
use crate::personality::ddrescue::start::{Files, Start};
use crate::personality::ddrescue::words::{self, Headings};

/// Does what the lines of standard input say, until they end.
pub fn obey(
    job: &Job,
    files: &Files,
    begin: Start,
    sink: &mut FileSink,
    headings: &Headings,
    clock: &WallClock,
) -> ExitCode {
    let options = session::rescue_options(job, &begin);
    let pause_on_pass = block::Nanos::ZERO;
    let options = RescueOptions { limits: Limits::default(), pause_on_pass, ..options };
    let Start { source, test_map, book, position, .. } = begin;
    let mut source = session::source_of(source, test_map);
    let mut person = Person::new(files.mapfile.as_deref().unwrap_or(Path::new("")), job.verbosity);
    let surroundings = Surroundings {
        source: &mut *source,
        sink,
        clock,
        observer: &mut (),
        operator: &mut person,
        interrupt: &|| false,
        keeper: session::keeper(job, files, clock),
        heading: &|_| headings.mapfile(clock.now(), None),
    };
    let rescue = Rescue::new(surroundings, options, book, position);
    let mut session = Session { rescue, cluster: job.cluster, infile: &files.infile, has_failed: false };
    let mut lines = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        // A line that was cut off is no command.
        let is_whole = lines.read_until(b'\n', &mut line).is_ok() && line.last() == Some(&b'\n');
        let command = if is_whole { squeezed(&line) } else { "f".to_owned() };
        match session.obey(&command) {
            Next::Go => {}
            Next::Leave => break,
        }
    }
    if session.has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Blanks in a row as one, none at the ends.
fn squeezed(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

enum Next {
    Go,
    Leave,
}

struct Session<'a> {
    rescue: Rescue<'a>,
    cluster: u64,
    infile: &'a Path,
    has_failed: bool,
}

impl Session<'_> {
    fn obey(&mut self, command: &str) -> Next {
        match command {
            "" => {}
            "q" => return Next::Leave,
            "u" => {
                let saved = self.rescue.save_now();
                self.answer(saved);
            }
            "f" => {
                self.rescue.merge();
                let saved = self.rescue.save_now();
                self.answer(saved);
                return Next::Leave;
            }
            _ => match (command.split_at_checked(1), command.len()) {
                (Some(("c", operands)), 2..) => self.copy(operands),
                (Some(("s", operands)), 2..) => self.show(operands),
                _ => self.fail(&format!("error: unknown command '{command}'\n")),
            },
        }
        Next::Go
    }

    fn copy(&mut self, operands: &str) {
        match range_of(operands) {
            Some(range) => {
                let copied = self.rescue.copy_unfinished(range, self.cluster);
                self.answer(copied);
            }
            None => self.fail("error\n"),
        }
    }

    /// Shows the blocks of the map up to the end of the domain.
    fn show(&mut self, operands: &str) {
        let book = self.rescue.book();
        let map = book.map();
        let wanted = range_of(operands).filter(|range| map.blocks_in(*range).next().is_some());
        let Some(range) = wanted else { return self.fail("error\n") };
        let end = book.domain().span().unwrap_or_default().end();
        let range = range.overlap(ByteRange::between(Offset::ZERO, end));
        let mut text = String::new();
        for block in map.blocks_in(range) {
            let part = block.range.overlap(range);
            let (start, length) = (part.start(), Offset::new(part.length()));
            text.push_str(&format!("{start}  {length}  {}\n", block.status.character()));
        }
        put(&format!("{text}done\n"));
    }

    fn answer(&mut self, result: Result<(), Ending>) {
        let Err(ending) = result else { return put("done\n") };
        let text = match ending {
            Ending::Failed(Trouble::Map(_)) => "error: Mapfile error\n".to_owned(),
            Ending::Failed(trouble) => match words::trouble(self.infile, &trouble) {
                Some(complaint) => {
                    format!("error: {}: {}\n", complaint.file.unwrap_or_default(), complaint.text)
                }
                None => "error\n".to_owned(),
            },
            _ => "error\n".to_owned(),
        };
        self.fail(&text);
    }

    fn fail(&mut self, text: &str) {
        self.has_failed = true;
        put(text);
    }
}

/// Position and size; what follows them does not matter.
fn range_of(operands: &str) -> Option<ByteRange> {
    let (start, rest) = number_prefix(operands)?;
    let (size, _) = number_prefix(rest)?;
    (size > 0).then(|| ByteRange::new(Offset::new(start), size))
}

/// The number that a text begins with, and the rest.
fn number_prefix(text: &str) -> Option<(u64, &str)> {
    const DIGITS_MAX: usize = 32;
    let text = text.trim_start();
    let is_number = |c: char| c.is_ascii_hexdigit() || "+-xX".contains(c);
    let longest = text.find(|c| !is_number(c)).unwrap_or(text.len()).min(DIGITS_MAX);
    let value = |length| map::mapfile::parse_number(&text.as_bytes()[..length]);
    let (value, length) = (1..=longest).rev().find_map(|length| Some((value(length)?, length)))?;
    Some((u64::try_from(value).ok()?, &text[length..]))
}

fn put(text: &str) {
    let mut out = io::stdout().lock();
    // Whoever gave the commands and does not read the answers has only himself to blame.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
