//! Everything that a command line can ask for.
//!
//! Owns these settings and their defaults. Must not know how any of them is written, nor what a rescue is.

use std::ffi::OsString;
use std::path::PathBuf;

use block::Errno;
use map::Status;

use crate::personality::number::Prefixes;

mod evaluation;

pub use evaluation::{Refusal, Wish, evaluate};

/// Seconds between two syncs of the map, unless said otherwise.
const SYNC_INTERVAL: u64 = 300;

/// Which of its trades ddrescue is to ply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Rescue.
    Rescue,
    /// Write over blocks of some statuses.
    Fill {
        /// Of these.
        statuses: Vec<Status>,
        /// Whether each sector gets its place written into it.
        located: bool,
        /// The argument as typed.
        typed: String,
    },
    /// Guess a map from a partial copy.
    Generate,
    /// Obey standard input.
    Command,
}

/// Everything that the options say.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "a field is called as its option, where all that can be said stands")]
pub struct Job {
    /// How the program was called.
    pub argv0: OsString,
    /// The command line, words joined by spaces.
    pub command_line: String,
    /// -1: quiet; each `-v` one more.
    pub verbosity: i32,
    pub operation: Operation,
    pub prefixes: Prefixes,
    /// Bytes.
    pub sector: u32,
    /// Bytes; a multiple of the sector.
    pub cluster: u64,
    /// Infile, outfile, mapfile.
    pub names: [Option<PathBuf>; 3],
    pub min_read_rate: Option<u64>,
    pub try_again: bool,
    pub complete_only: bool,
    pub direct_in: bool,
    pub direct_out: bool,
    pub bad_areas: Option<BadAreas>,
    pub error_rate: Option<u64>,
    pub force: bool,
    pub test_map: Option<PathBuf>,
    pub input_position: u64,
    pub check_input_size: bool,
    pub check_on_error: bool,
    /// Initial and maximum.
    pub skip: (Option<u64>, Option<u64>),
    pub loose_domain: bool,
    pub domain_map: Option<PathBuf>,
    pub retrim: bool,
    pub no_scrape: bool,
    pub no_trim: bool,
    pub output_position: Option<u64>,
    pub reopen_on_error: bool,
    pub preallocate: bool,
    pub preview_lines: usize,
    /// `None`: for ever.
    pub retries: Option<u32>,
    pub reverse: bool,
    pub size: Option<u64>,
    pub sparse: bool,
    pub truncate: bool,
    /// Seconds.
    pub timeout: Option<u64>,
    pub unidirectional: bool,
    pub ignore_write_errors: bool,
    pub compare_before_write: bool,
    pub extend_outfile: Option<u64>,
    pub read_errors: Option<u64>,
    pub synchronous: bool,
    pub max_read_rate: Option<u64>,
    pub ask: bool,
    pub continue_on: Vec<Errno>,
    pub passes: [bool; 5],
    pub passes_chosen: bool,
    /// Seconds.
    pub delay_slow: u64,
    pub log_events: Option<PathBuf>,
    pub log_rates: Option<PathBuf>,
    pub log_reads: Option<PathBuf>,
    /// Seconds; `None`: by the size of the map.
    pub save_interval: Option<u64>,
    /// Seconds.
    pub sync_interval: u64,
    pub slow_reads: Option<u64>,
    pub pause_on_error: engine::Pause,
    pub pause_on_error_text: Option<String>,
    /// Seconds.
    pub pause_on_pass: u64,
    pub reset_slow: bool,
    pub same_file: bool,
    /// Whether options were given that mean nothing when filling or generating.
    pub has_rescue_options: bool,
    /// Whether options were given that mean nothing when generating.
    pub has_writing_options: bool,
}

/// How many bad areas are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadAreas {
    /// More than these.
    InAll(u64),
    /// More than these besides those that are there at the start.
    New(u64),
}

impl Job {
    /// The job of a command line without options.
    pub fn new(words: &[OsString]) -> Job {
        let shown: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        // It stands in a comment of the mapfile, which ends with the line.
        let command_line = shown.join(" ").replace(char::is_control, " ");
        Job {
            argv0: words.first().cloned().unwrap_or_default(),
            command_line,
            verbosity: 0,
            operation: Operation::Rescue,
            prefixes: Prefixes::Decimal,
            sector: 512,
            cluster: 0,
            names: [None, None, None],
            min_read_rate: None,
            try_again: false,
            complete_only: false,
            direct_in: false,
            direct_out: false,
            bad_areas: None,
            error_rate: None,
            force: false,
            test_map: None,
            input_position: 0,
            check_input_size: false,
            check_on_error: false,
            skip: (None, None),
            loose_domain: false,
            domain_map: None,
            retrim: false,
            no_scrape: false,
            no_trim: false,
            output_position: None,
            reopen_on_error: false,
            preallocate: false,
            preview_lines: 0,
            retries: Some(0),
            reverse: false,
            size: None,
            sparse: false,
            truncate: false,
            timeout: None,
            unidirectional: false,
            ignore_write_errors: false,
            compare_before_write: false,
            extend_outfile: None,
            read_errors: None,
            synchronous: false,
            max_read_rate: None,
            ask: false,
            continue_on: Vec::new(),
            passes: [true; 5],
            passes_chosen: false,
            delay_slow: 30,
            log_events: None,
            log_rates: None,
            log_reads: None,
            save_interval: None,
            sync_interval: SYNC_INTERVAL,
            slow_reads: None,
            pause_on_error: engine::Pause::None,
            pause_on_error_text: None,
            pause_on_pass: 0,
            reset_slow: false,
            same_file: false,
            has_rescue_options: false,
            has_writing_options: false,
        }
    }

    /// Distance from a position in infile to that in outfile, in bytes.
    pub fn shift(&self) -> i64 {
        self.output_position.map_or(0, |at| at as i64 - self.input_position as i64)
    }
}
