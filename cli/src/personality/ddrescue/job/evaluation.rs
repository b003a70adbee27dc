//! What the arguments of a command line mean.
//!
//! Owns the meaning of each one and the complaints about wrong ones. Must not know what a rescue is, nor open any file.

use std::ffi::OsString;
use std::path::PathBuf;

use block::{Errno, Nanos};
use map::Status;

use super::{BadAreas, Job, Operation, SYNC_INTERVAL};
use crate::personality::Complaint;
use crate::personality::arguments::Given;
use crate::personality::ddrescue::dialect::Id;
use crate::personality::number::{
    IntegerRule, NumberError, Prefixes, integer_prefix, interval_prefix, parse_integer, parse_interval,
};

/// What becomes of a command line.
pub enum Wish {
    /// Print the help and exit.
    Help,
    /// Print the version and exit.
    Version,
    /// Work.
    Work(Box<Job>),
}

/// A complaint, and whether anybody wants to hear it.
pub struct Refusal {
    /// What is wrong.
    pub complaint: Complaint,
    /// Verbosity when it was found.
    pub verbosity: i32,
}

const SKIP_MIN: i64 = 65536;
const SKIP_MAX: i64 = 1 << 60;
const SECTOR_MAX: i64 = 1 << 28;
const SYNC_MIN: u64 = 5;

/// Acts on options from left to right.
pub fn evaluate(words: &[OsString], options: &[Given<Id>], names: &[OsString]) -> Result<Wish, Refusal> {
    let mut job = Job::new(words);
    let mut clusters = None;
    for option in options {
        match option.id {
            Id::Help => return Ok(Wish::Help),
            Id::Version => return Ok(Wish::Version),
            Id::ClusterSize => clusters = Some(refuse(&job, count(option, 1, i32::MAX.into()))?),
            _ => {
                let result = take(&mut job, option);
                refuse(&job, result)?;
            }
        }
    }
    let sector = u64::from(job.sector);
    let sectors = clusters.unwrap_or((65536 / sector).max(1)).min((i32::MAX as u64 / sector).max(1));
    job.cluster = sectors * sector;
    // The preview shows one cluster at most, whole lines of it.
    job.preview_lines = job.preview_lines.min((job.cluster / 16).max(1) as usize);
    if names.len() > 3 {
        return refuse(&job, Err(Complaint::usage("Too many files.")));
    }
    for (place, name) in job.names.iter_mut().zip(names) {
        *place = Some(name.into());
    }
    Ok(Wish::Work(Box::new(job)))
}

fn refuse<T>(job: &Job, result: Result<T, Complaint>) -> Result<T, Refusal> {
    result.map_err(|complaint| Refusal { complaint, verbosity: job.verbosity })
}

fn take(job: &mut Job, option: &Given<Id>) -> Result<(), Complaint> {
    job.has_rescue_options |= is_for_rescue(option.id);
    job.has_writing_options |= matches!(option.id, Id::DirectOut | Id::IgnoreWriteErrors | Id::Synchronous);
    match option.id {
        Id::Help | Id::Version | Id::ClusterSize => {}
        Id::MinReadRate => job.min_read_rate = Some(position(job, option)?),
        Id::TryAgain => job.try_again = true,
        Id::SectorSize => job.sector = count(option, 1, SECTOR_MAX)? as u32,
        Id::BinaryPrefixes => job.prefixes = Prefixes::Binary,
        Id::CompleteOnly => job.complete_only = true,
        Id::DirectIn => job.direct_in = true,
        Id::DirectOut => job.direct_out = true,
        Id::MaxBadAreas => job.bad_areas = Some(bad_areas(option)?),
        Id::MaxErrorRate => job.error_rate = Some(position(job, option)?),
        Id::Force => job.force = true,
        Id::FillMode => set_operation(job, fill(option)?)?,
        Id::GenerateMode => set_operation(job, Operation::Generate)?,
        Id::CommandMode => set_operation(job, Operation::Command)?,
        Id::TestMode => set_once(&mut job.test_map, option, "-H")?,
        Id::DomainMapfile => set_once(&mut job.domain_map, option, "-m")?,
        Id::InputPosition => job.input_position = position(job, option)?,
        Id::CheckInputSize => job.check_input_size = true,
        Id::CheckOnError => job.check_on_error = true,
        Id::SkipSize => job.skip = skip(job, option)?,
        Id::LooseDomain => job.loose_domain = true,
        Id::Retrim => job.retrim = true,
        Id::NoScrape => job.no_scrape = true,
        Id::NoTrim => job.no_trim = true,
        Id::OutputPosition => job.output_position = Some(position(job, option)?),
        Id::ReopenOnError => job.reopen_on_error = true,
        Id::Preallocate => job.preallocate = true,
        Id::DataPreview => {
            job.preview_lines = match option.value {
                None => 3,
                Some(_) => count(option, 1, 32)? as usize,
            }
        }
        Id::Quiet => job.verbosity = -1,
        Id::Verbose => job.verbosity = (job.verbosity + 1).min(4),
        Id::RetryPasses => job.retries = u32::try_from(signed(option, None, -1, (1 << 30) - 1)?).ok(),
        Id::Reverse => job.reverse = true,
        Id::Size => job.size = u64::try_from(signed(option, Some(job.sector), -1, i64::MAX)?).ok(),
        Id::Sparse => job.sparse = true,
        Id::Truncate => job.truncate = true,
        Id::Timeout => job.timeout = Some(seconds(option)?),
        Id::Unidirectional => job.unidirectional = true,
        Id::IgnoreWriteErrors => job.ignore_write_errors = true,
        Id::CompareBeforeWrite => job.compare_before_write = true,
        Id::ExtendOutfile => {
            job.extend_outfile = Some(signed(option, Some(job.sector), 1, i64::MAX)? as u64);
        }
        Id::MaxReadErrors => job.read_errors = Some(count(option, 0, i64::MAX)?),
        Id::Synchronous => job.synchronous = true,
        Id::MaxReadRate => job.max_read_rate = Some(signed(option, Some(job.sector), 1, i64::MAX)? as u64),
        Id::Ask => job.ask = true,
        Id::ContinueOnErrno => job.continue_on.extend(errnos(option)?),
        Id::Cpass => (job.passes, job.passes_chosen) = (passes(option)?, true),
        Id::DelaySlow => job.delay_slow = seconds(option)?,
        Id::LogEvents => job.log_events = Some(log_name(option)?),
        Id::LogRates => job.log_rates = Some(log_name(option)?),
        Id::LogReads => job.log_reads = Some(log_name(option)?),
        Id::MapfileInterval => (job.save_interval, job.sync_interval) = save_interval(option)?,
        Id::MaxSlowReads => job.slow_reads = Some(count(option, 0, i64::MAX)?),
        Id::PauseOnError => {
            job.pause_on_error = pause(option)?;
            job.pause_on_error_text = Some(option.shown());
        }
        Id::PauseOnPass => job.pause_on_pass = seconds(option)?,
        Id::ResetSlow => job.reset_slow = true,
        Id::SameFile => job.same_file = true,
    }
    Ok(())
}

/// Whether an option means nothing when filling or generating.
fn is_for_rescue(id: Id) -> bool {
    matches!(
        id,
        Id::MinReadRate
            | Id::TryAgain
            | Id::CompleteOnly
            | Id::DirectIn
            | Id::MaxBadAreas
            | Id::MaxErrorRate
            | Id::TestMode
            | Id::CheckInputSize
            | Id::CheckOnError
            | Id::SkipSize
            | Id::Retrim
            | Id::NoScrape
            | Id::NoTrim
            | Id::ReopenOnError
            | Id::Preallocate
            | Id::DataPreview
            | Id::RetryPasses
            | Id::Reverse
            | Id::Sparse
            | Id::Truncate
            | Id::Timeout
            | Id::Unidirectional
            | Id::CompareBeforeWrite
            | Id::ExtendOutfile
            | Id::MaxReadErrors
            | Id::MaxReadRate
            | Id::Cpass
    )
}

fn set_operation(job: &mut Job, operation: Operation) -> Result<(), Complaint> {
    let is_same = std::mem::discriminant(&job.operation) == std::mem::discriminant(&operation);
    if job.operation != Operation::Rescue && !is_same {
        return Err(Complaint::usage("Only one operation can be specified."));
    }
    job.operation = operation;
    Ok(())
}

fn set_once(place: &mut Option<PathBuf>, option: &Given<Id>, name: &str) -> Result<(), Complaint> {
    if place.is_some() {
        return Err(Complaint::new(format!("Option '{name}' can be specified only once.")));
    }
    *place = option.value.clone().map(PathBuf::from);
    Ok(())
}

fn complain(option: &Given<Id>) -> impl Fn(NumberError) -> Complaint {
    let (bytes, name) = (option.bytes().to_vec(), option.name.clone());
    move |error| Complaint::new(error.message(&bytes, &name))
}

fn wrong(option: &Given<Id>, text: &str) -> Complaint {
    Complaint::new(format!("'{}': {text} '{}'.", option.shown(), option.name))
}

fn signed(option: &Given<Id>, sector: Option<u32>, low: i64, high: i64) -> Result<i64, Complaint> {
    let rule = IntegerRule { sector_bytes: sector, low, high };
    parse_integer(option.bytes(), rule).map_err(complain(option))
}

fn position(job: &Job, option: &Given<Id>) -> Result<u64, Complaint> {
    Ok(signed(option, Some(job.sector), 0, i64::MAX)? as u64)
}

fn count(option: &Given<Id>, low: i64, high: i64) -> Result<u64, Complaint> {
    Ok(signed(option, None, low, high)? as u64)
}

fn seconds(option: &Given<Id>) -> Result<u64, Complaint> {
    parse_interval(option.bytes()).map_err(complain(option))
}

fn bad_areas(option: &Given<Id>) -> Result<BadAreas, Complaint> {
    let rule = IntegerRule::count(0, i64::MAX);
    let bytes = option.bytes();
    let value = parse_integer(bytes, rule).map_err(complain(option))? as u64;
    Ok(if bytes.first() == Some(&b'+') { BadAreas::New(value) } else { BadAreas::InAll(value) })
}

fn fill(option: &Given<Id>) -> Result<Operation, Complaint> {
    let mut statuses = Vec::new();
    let mut located = false;
    for byte in option.bytes() {
        match Status::from_character(*byte as char) {
            Some(status) => statuses.push(status),
            None if *byte == b'l' => located = true,
            None => return Err(wrong(option, "Invalid type in argument of option")),
        }
    }
    if statuses.is_empty() {
        return Err(wrong(option, "Missing type in argument of option"));
    }
    Ok(Operation::Fill { statuses, located, typed: option.shown() })
}

fn skip(job: &Job, option: &Given<Id>) -> Result<(Option<u64>, Option<u64>), Complaint> {
    let bytes = option.bytes();
    let number = |text: &[u8], low: i64| {
        let rule = IntegerRule { sector_bytes: Some(job.sector), low, high: SKIP_MAX };
        let part = text.to_vec();
        integer_prefix(text, rule)
            .map(|(value, rest)| (value as u64, text.len() - rest.len()))
            .map_err(|error| Complaint::new(error.message(&part, &option.name)))
    };
    let end_of_first = |text: &[u8]| -> Result<(u64, usize), Complaint> {
        number(text, 0).map_err(|complaint| {
            // What follows the number and is no unit is a wrong separator here.
            if complaint.text.contains("Bad multiplier") && !starts_like_a_multiplier(text) {
                wrong(option, "Bad separator in argument of option")
            } else {
                complaint
            }
        })
    };
    let (first, rest) = match bytes.strip_prefix(b",") {
        Some(rest) => (None, Some(rest)),
        None => {
            let (value, used) = end_of_first(bytes)?;
            if value != 0 && value < SKIP_MIN as u64 {
                return Err(wrong(option, "Initial skip size must be 0 or >= 64KiB in option"));
            }
            (Some(value), bytes[used..].strip_prefix(b","))
        }
    };
    let Some(rest) = rest else { return Ok((first, None)) };
    let (max, used) = number(rest, SKIP_MIN).map_err(|complaint| {
        if complaint.text.contains("Bad multiplier") && !starts_like_a_multiplier(rest) {
            wrong(option, "Extra characters in argument of option")
        } else {
            complaint
        }
    })?;
    if used < rest.len() {
        return Err(wrong(option, "Extra characters in argument of option"));
    }
    if first.is_some_and(|first| first > max) {
        return Err(wrong(option, "Initial skip size must be <= max skip size in option"));
    }
    Ok((first, Some(max)))
}

/// Whether what follows the digits of `text` begins as a multiplier or unit does.
fn starts_like_a_multiplier(text: &[u8]) -> bool {
    let letters = b"kKMGTPEZYRQBs";
    let is_number = |byte: &&u8| byte.is_ascii_hexdigit() || b"+-xX \t".contains(byte);
    let rest = &text[text.iter().take_while(is_number).count()..];
    rest.first().is_some_and(|byte| letters.contains(byte))
}

fn errnos(option: &Given<Id>) -> Result<Vec<Errno>, Complaint> {
    let invalid = || wrong(option, "Invalid errno value in option");
    let rule = IntegerRule::count(1, i32::MAX.into());
    let mut rest = option.bytes();
    let mut found = Vec::new();
    loop {
        let (value, after) = integer_prefix(rest, rule).map_err(|_| invalid())?;
        found.push(Errno(value as i32));
        match after.strip_prefix(b",") {
            Some(next) => rest = next,
            None => return Ok(found),
        }
    }
}

fn passes(option: &Given<Id>) -> Result<[bool; 5], Complaint> {
    let mut chosen = [false; 5];
    let invalid = || wrong(option, "Invalid pass or range of passes in option");
    if option.bytes() == b"0" {
        return Ok(chosen);
    }
    let pass = |text: &[u8]| match text {
        [digit @ b'1'..=b'5'] => Ok(usize::from(digit - b'1')),
        _ => Err(invalid()),
    };
    for part in option.bytes().split(|byte| *byte == b',') {
        let mut ends = part.splitn(2, |byte| *byte == b'-');
        let first = pass(ends.next().unwrap_or_default())?;
        let last = ends.next().map_or(Ok(first), pass)?;
        if last < first {
            return Err(invalid());
        }
        chosen[first..=last].fill(true);
    }
    Ok(chosen)
}

fn log_name(option: &Given<Id>) -> Result<PathBuf, Complaint> {
    if option.bytes() == b"-" {
        return Err(Complaint::new("I won't write log data to standard output."));
    }
    let name = PathBuf::from(option.value.clone().unwrap_or_default());
    match std::fs::metadata(&name) {
        Ok(metadata) if !metadata.is_file() => {
            Err(Complaint::about(&name, "Logfile exists and is not a regular file."))
        }
        _ => Ok(name),
    }
}

fn save_interval(option: &Given<Id>) -> Result<(Option<u64>, u64), Complaint> {
    let bytes = option.bytes();
    let part = |text: &[u8]| {
        let shown = text.to_vec();
        let complain = move |error: NumberError| Complaint::new(error.message(&shown, &option.name));
        let (interval, rest) = interval_prefix(text).map_err(&complain)?;
        let whole = interval.whole_secs().ok_or_else(|| complain(NumberError::IntervalValue))?;
        Ok::<_, Complaint>((whole, text.len() - rest.len()))
    };
    let (save, rest) = match bytes {
        [b'-', b'1'] => (None, None),
        [b'-', b'1', b',', rest @ ..] => (None, Some(rest)),
        [b',', rest @ ..] => (None, Some(rest)),
        _ => {
            let (save, used) = part(bytes)?;
            (Some(save), bytes[used..].strip_prefix(b","))
        }
    };
    let sync = match rest {
        None => SYNC_INTERVAL,
        Some(rest) => {
            let (sync, used) = part(rest)?;
            if used < rest.len() {
                return Err(Complaint::new(NumberError::IntervalUnit.message(rest, &option.name)));
            }
            sync
        }
    };
    if sync < SYNC_MIN {
        return Err(wrong(option, "Sync interval must be >= 5 seconds in option"));
    }
    if save.is_some_and(|save| save > sync) {
        return Err(wrong(option, "Save interval must be <= sync interval in option"));
    }
    Ok((save, sync))
}

fn pause(option: &Given<Id>) -> Result<engine::Pause, Complaint> {
    const DENOMINATOR_MAX: u64 = 100;
    let bytes = option.bytes();
    let Some(shown) = bytes.strip_prefix(b"s") else {
        return Ok(match seconds(option)? {
            0 => engine::Pause::None,
            secs => engine::Pause::Sleep(Nanos::from_secs(secs)),
        });
    };
    let complain = |error: NumberError| Complaint::new(error.message(shown, &option.name));
    let (interval, rest) = interval_prefix(shown).map_err(complain)?;
    if !rest.is_empty() {
        return Err(complain(NumberError::Extra));
    }
    if interval.denominator() > DENOMINATOR_MAX {
        return Err(complain(NumberError::IntervalValue));
    }
    Ok(match interval.nanos().nanoseconds() {
        0 => engine::Pause::None,
        nanoseconds => engine::Pause::Shown(nanoseconds as f64 / 1e9),
    })
}
