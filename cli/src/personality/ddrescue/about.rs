//! What is printed before a run begins.
//!
//! Owns the banner, the description of the job and the status read from the mapfile. Must not know how a run goes on.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use block::device::DeviceInfo;
use block::{Offset, RangeSet};
use engine::{Book, Pause};
use map::{Position, Status};

use crate::personality::ddrescue::job::{BadAreas, Job};
use crate::personality::ddrescue::words;
use crate::personality::number::{self, Precision};

/// What is known when a run is about to begin.
#[derive(Clone, Copy, Debug)]
pub struct Outlook<'a> {
    /// What was asked for.
    pub job: &'a Job,
    /// Infile and outfile.
    pub names: (&'a Path, &'a Path),
    /// Bytes of infile, if known.
    pub size: Option<u64>,
    /// Map and domain.
    pub book: &'a Book,
    /// Where the map's last run stopped.
    pub position: Position,
    /// Where the map ended as it was read, or 0; `None` if there was no mapfile.
    pub map_end: Option<Offset>,
    /// Initial skip in bytes; 0: none.
    pub skip_initial: u64,
}

/// Whether names come with what is known about the things behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    Plain,
    WithSizes,
}

/// Prints at once.
pub fn put(text: &str) {
    let mut out = io::stdout().lock();
    // A closed pipe must not end a rescue.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints the banner.
pub fn banner() {
    put(&format!("{}\n", words::program()));
}

impl Outlook<'_> {
    /// Prints what will be done, as far as somebody wants to read it, and asks if that was wished.
    /// Returns whether to go on.
    pub fn announce(&self) -> bool {
        let Job { verbosity, ask, .. } = *self.job;
        if verbosity >= 0 || ask {
            banner();
        }
        if ask {
            put(&format!("{}{}", self.what_in_three_lines(), self.how()));
            put("Proceed (y/N)? ");
            if !is_agreed() {
                return false;
            }
            put("\n");
        } else if verbosity >= 1 {
            put(&format!("{}{}\n", self.what(), self.how()));
        }
        true
    }

    /// Prints the status read from the mapfile, if there was one, and how to stop.
    pub fn status(&self) {
        if self.job.verbosity < 0 {
            return;
        }
        let mut text = "Press Ctrl-C to interrupt\n".to_owned();
        if let Some(end) = self.map_end {
            text.push_str("Initial status (read from mapfile)\n");
            text.push_str(&self.initial_status(end));
            text.push_str("\nCurrent status\n");
        }
        put(&text);
    }

    fn bytes(&self, bytes: u64) -> String {
        number::size(bytes, self.job.prefixes)
    }

    fn amount(&self) -> String {
        match self.book.domain().span() {
            Some(span) if span.end() == Offset::MAX => "an unknown number of Bytes".to_owned(),
            _ => format!("{}Bytes", self.bytes(self.book.domain().bytes())),
        }
    }

    fn what(&self) -> String {
        let names = if self.job.verbosity >= 2 { Names::WithSizes } else { Names::Plain };
        let (from, to) = self.shown_names(names);
        format!("About to copy {} from '{from} to '{to}\n", self.amount())
    }

    fn what_in_three_lines(&self) -> String {
        let (from, to) = self.shown_names(Names::WithSizes);
        format!("About to copy {}\nfrom '{from}\n  to '{to}\n", self.amount())
    }

    /// Names without the opening quote.
    fn shown_names(&self, names: Names) -> (String, String) {
        let (infile, outfile) = self.names;
        let mut from = format!("{}'", infile.display());
        let mut to = format!("{}'", outfile.display());
        if names == Names::WithSizes {
            from.push_str(&identity(infile));
            if let Some(size) = self.size {
                let _ = write!(from, " ({})", number::grouped(size as i64));
            }
            to.push_str(&identity(outfile));
            if let Some(info) = DeviceInfo::at(outfile) {
                let _ = write!(to, " ({})", number::grouped(info.size.unwrap_or(0) as i64));
            }
        }
        (from, to)
    }

    fn how(&self) -> String {
        let job = self.job;
        let mut text = String::new();
        if job.verbosity >= 1 {
            let skip = match self.skip_initial {
                0 => "       Skipping disabled".to_owned(),
                bytes => format!("       Initial skip size: {} sectors", bytes / u64::from(job.sector)),
            };
            text.push_str(&places_with(job, self.book.domain(), &skip));
        }
        if job.verbosity >= 2 {
            self.push_limits(&mut text);
            self.push_switches(&mut text);
        }
        text
    }

    /// The lines that tell where a run begins and in what units it works.
    pub fn places(job: &Job, domain: &RangeSet) -> String {
        places_with(job, domain, "")
    }

    fn push_limits(&self, text: &mut String) {
        let job = self.job;
        let rate = |rate: u64, width: usize| format!("{:>width$}B/s", number::rate(rate, job.prefixes));
        let duration = |secs: u64| number::duration(secs as i64, Precision::High);
        let mut line = String::new();
        if let Some(limit) = job.error_rate {
            let _ = write!(line, "Max error rate: {}    ", rate(limit, 6));
        }
        match job.bad_areas {
            Some(BadAreas::InAll(limit)) => line.push_str(&format!("Max bad areas: {limit}    ")),
            Some(BadAreas::New(limit)) => {
                let limit = limit.saturating_add(self.book.bad_areas());
                line.push_str(&format!("Max new bad areas: {limit}    "));
            }
            None => {}
        }
        push_line(text, &mut line);
        if let Some(limit) = job.max_read_rate {
            let _ = write!(line, "Max read rate: {}    ", rate(limit, 7));
        }
        match job.min_read_rate {
            Some(0) => line.push_str("Min read rate: auto    "),
            Some(limit) => line.push_str(&format!("Min read rate: {}    ", rate(limit, 7))),
            None => {}
        }
        push_line(text, &mut line);
        if let Some(limit) = job.timeout {
            let _ = write!(line, "Timeout: {:<7}  ", duration(limit));
        }
        match job.pause_on_error {
            Pause::None => {}
            Pause::Sleep(pause) => {
                let _ = write!(line, "Pause on error: {}  ", duration(pause.whole_secs()));
            }
            Pause::Shown(secs) if secs.fract() == 0.0 => {
                let _ = write!(line, "Pause on error: {}  ", duration(secs as u64));
            }
            Pause::Shown(secs) => {
                let _ = write!(line, "Pause on error: {secs}s  ");
            }
        }
        if job.pause_on_pass > 0 {
            let _ = write!(line, "Pause on pass: {}", duration(job.pause_on_pass));
        }
        push_line(text, &mut line);
    }

    fn push_switches(&self, text: &mut String) {
        let job = self.job;
        let word = |is_set: bool| if is_set { "yes" } else { "no" };
        let _ = writeln!(
            text,
            "Direct in: {:3}    Direct out: {:3}    Sparse: {:3}    Truncate: {:3}    ",
            word(job.direct_in),
            word(job.direct_out),
            word(job.sparse),
            word(job.truncate)
        );
        let _ =
            write!(text, "Trim: {:3}         Scrape: {:3}        ", word(!job.no_trim), word(!job.no_scrape));
        match job.retries {
            Some(retries) => text.push_str(&format!("Max retry passes: {retries}\n")),
            None => text.push('\n'),
        }
        let mut line = String::new();
        if job.complete_only {
            line.push_str("Complete only    ");
        }
        if job.reverse {
            line.push_str("Reverse mode");
        }
        push_line(text, &mut line);
    }

    fn initial_status(&self, end: Offset) -> String {
        let mut text = String::new();
        let map = self.book.map();
        if self.job.verbosity >= 3 {
            let at = self.position.at.bytes();
            let last = map.blocks().next_back().map_or(0, |block| block.range.length());
            let _ = writeln!(
                text,
                "current position: {:>9}B,     current sector: {:7}\n last block size: {:>9}B",
                self.bytes(at),
                at / u64::from(self.job.sector),
                self.bytes(last)
            );
        }
        text.push_str(&domain_line(self.book.domain(), end));
        let size = |status| self.bytes(self.book.bytes(status));
        let _ = writeln!(
            text,
            "rescued: {}B, tried: {}B, bad-sector: {}B, bad areas: {}",
            size(Status::Finished),
            self.bytes(self.book.failed_bytes()),
            size(Status::BadSector),
            self.book.bad_areas()
        );
        text
    }
}

/// Says that sizes are those of a part, if they are; else nothing.
pub fn domain_line(domain: &RangeSet, end: Offset) -> String {
    let span = domain.span().unwrap_or_default();
    if span.start() == Offset::ZERO && span.end() >= end {
        return String::new();
    }
    let shown = |at: Offset| format!("{}B", number::grouped_spaced(at.bytes() as i64));
    format!(
        "(sizes limited to domain from {} to {} of {})\n",
        shown(span.start()),
        shown(span.end()),
        shown(end)
    )
}

fn places_with(job: &Job, domain: &RangeSet, skip: &str) -> String {
    let start = domain.span().unwrap_or_default().start();
    let out_start = start.shifted(job.shift()).unwrap_or_default();
    let sector = u64::from(job.sector);
    let size = |bytes| number::size(bytes, job.prefixes);
    format!(
        "    Starting positions: infile = {}B,  outfile = {}B\n    \
         Copy block size: {:3} sectors{skip}\nSector size: {}Bytes\n",
        size(start.bytes()),
        size(out_start.bytes()),
        job.cluster / sector,
        size(sector)
    )
}

fn push_line(text: &mut String, line: &mut String) {
    if !line.is_empty() {
        text.push_str(line);
        text.push('\n');
        line.clear();
    }
}

/// ` [model::serial]` of a block device; nothing for anything else.
fn identity(path: &Path) -> String {
    let is_device = fs::metadata(path)
        .is_ok_and(|metadata| std::os::unix::fs::FileTypeExt::is_block_device(&metadata.file_type()));
    if !is_device {
        return String::new();
    }
    let info = DeviceInfo::at(path);
    match info.map(|info| (info.model, info.serial)) {
        Some((Some(model), Some(serial))) => format!(" [{model}::{serial}]"),
        Some((Some(model), None)) => format!(" [{model}]"),
        _ => " [UNKNOWN]".to_owned(),
    }
}

fn is_agreed() -> bool {
    let mut line = String::new();
    // Nobody there means no.
    let _ = io::stdin().read_line(&mut line);
    matches!(line.chars().next(), Some('y' | 'Y'))
}
