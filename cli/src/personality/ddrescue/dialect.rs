//! The options of ddrescue: names, arguments, and what each is for.
//!
//! Owns the table from which the parser, the help and the manual are made. Must not know what an option leads to.

use crate::personality::arguments::{Dialect, OptionSpec, Value};

/// What an option is called inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each one is explained in the table below")]
pub enum Id {
    Help,
    Version,
    MinReadRate,
    TryAgain,
    SectorSize,
    BinaryPrefixes,
    ClusterSize,
    CompleteOnly,
    DirectIn,
    DirectOut,
    MaxBadAreas,
    MaxErrorRate,
    Force,
    FillMode,
    GenerateMode,
    TestMode,
    InputPosition,
    CheckInputSize,
    CheckOnError,
    SkipSize,
    LooseDomain,
    DomainMapfile,
    Retrim,
    NoScrape,
    NoTrim,
    OutputPosition,
    ReopenOnError,
    Preallocate,
    DataPreview,
    Quiet,
    RetryPasses,
    Reverse,
    Size,
    Sparse,
    Truncate,
    Timeout,
    Unidirectional,
    Verbose,
    IgnoreWriteErrors,
    CompareBeforeWrite,
    ExtendOutfile,
    MaxReadErrors,
    Synchronous,
    MaxReadRate,
    Ask,
    CommandMode,
    ContinueOnErrno,
    Cpass,
    DelaySlow,
    LogEvents,
    LogRates,
    LogReads,
    MapfileInterval,
    MaxSlowReads,
    PauseOnError,
    PauseOnPass,
    ResetSlow,
    SameFile,
}

const fn option(
    id: Id,
    short: char,
    longs: &'static [&'static str],
    value: Value,
    help: &'static str,
) -> OptionSpec<Id> {
    OptionSpec { id, short: Some(short), longs, value, help }
}

const fn long(id: Id, longs: &'static [&'static str], value: Value, help: &'static str) -> OptionSpec<Id> {
    OptionSpec { id, short: None, longs, value, help }
}

const BYTES: Value = Value::Required("bytes");
const COUNT: Value = Value::Required("n");
const FILE: Value = Value::Required("file");
const INTERVAL: Value = Value::Required("interval");

/// Everything that ddrescue understands.
pub const DIALECT: Dialect<Id> = Dialect {
    purpose: "Copies what can be read from a failing disk, good parts first. What is known about each\n\
              block is kept in a mapfile: with it a rescue can be stopped at any moment, resumed,\n\
              repeated with other options or shared between drives. Always give one, and never that\n\
              of another disk. Device names may change when the machine starts: check them first.",
    usage: "[options] infile outfile [mapfile]",
    options: OPTIONS,
    notes: "Numbers are decimal, hexadecimal (0x) or octal (0), with a multiplier behind them: s for\n\
            sectors, k = 1000, Ki = 1024, M = 10^6, Mi = 2^20 and so on up to Q and Qi. Intervals are\n\
            written 90, 1.5m or 1/2h, with s, m, h or d as unit.\n\
            \n\
            Exit status: 0 when the run came to its end, even if bad sectors remain; 1 for wrong use,\n\
            files that cannot be used, failed input or output, and limits; 2 for a mapfile that cannot\n\
            be understood; 3 for a mistake in this program.",
};

const OPTIONS: &[OptionSpec<Id>] = &[
    option(Id::Help, 'h', &["help"], Value::None, "print this text and exit"),
    option(Id::Version, 'V', &["version"], Value::None, "print the version and exit"),
    option(
        Id::MinReadRate,
        'a',
        &["min-read-rate"],
        BYTES,
        "read rate per second below which good areas count as slow; 0: a tenth of the average",
    ),
    option(
        Id::TryAgain,
        'A',
        &["try-again"],
        Value::None,
        "take non-trimmed and non-scraped blocks for non-tried",
    ),
    option(Id::SectorSize, 'b', &["sector-size"], BYTES, "size of a sector of the input device [512]"),
    option(
        Id::BinaryPrefixes,
        'B',
        &["binary-prefixes"],
        Value::None,
        "show numbers in units of 1024, not 1000",
    ),
    option(
        Id::ClusterSize,
        'c',
        &["cluster-size"],
        Value::Required("sectors"),
        "sectors to copy at a time [64 KiB worth]",
    ),
    option(Id::CompleteOnly, 'C', &["complete-only"], Value::None, "stay within the limits of the mapfile"),
    option(Id::DirectIn, 'd', &["idirect"], Value::None, "read past the page cache"),
    option(Id::DirectOut, 'D', &["odirect"], Value::None, "write past the page cache"),
    option(
        Id::MaxBadAreas,
        'e',
        &["max-bad-areas", "max-errors"],
        Value::Required("[+]n"),
        "stop at more bad areas than this; with + more new ones",
    ),
    option(
        Id::MaxErrorRate,
        'E',
        &["max-error-rate"],
        BYTES,
        "stop when more bytes than this fail in a second",
    ),
    option(Id::Force, 'f', &["force"], Value::None, "write to an outfile that is not a regular file"),
    option(
        Id::FillMode,
        'F',
        &["fill-mode"],
        Value::Required("types"),
        "write over blocks of these types (?*/-+); l marks each sector with its place",
    ),
    option(Id::GenerateMode, 'G', &["generate-mode"], Value::None, "guess a mapfile from a partial copy"),
    option(
        Id::TestMode,
        'H',
        &["test-mode"],
        FILE,
        "let everything fail that this mapfile does not call finished",
    ),
    option(Id::InputPosition, 'i', &["input-position"], BYTES, "where to begin in infile [0]"),
    option(
        Id::CheckInputSize,
        'I',
        &["check-input-size", "verify-input-size"],
        Value::None,
        "refuse an infile that is not as long as the mapfile says",
    ),
    option(
        Id::CheckOnError,
        'J',
        &["check-on-error", "verify-on-error"],
        Value::None,
        "after each error read the last good sector again and compare",
    ),
    option(
        Id::SkipSize,
        'K',
        &["skip-size"],
        Value::Required("[first][,max]"),
        "bytes to skip after the first error, and at most; 0: skip nothing",
    ),
    option(
        Id::LooseDomain,
        'L',
        &["loose-domain"],
        Value::None,
        "let the files of -m and -H be out of order and have gaps",
    ),
    option(Id::DomainMapfile, 'm', &["domain-mapfile"], FILE, "rescue only what this mapfile calls finished"),
    option(Id::Retrim, 'M', &["retrim"], Value::None, "take all failed blocks for non-trimmed"),
    option(Id::NoScrape, 'n', &["no-scrape"], Value::None, "leave the scraping phase out"),
    option(Id::NoTrim, 'N', &["no-trim"], Value::None, "leave the trimming phase out"),
    option(Id::OutputPosition, 'o', &["output-position"], BYTES, "where to begin in outfile [as -i]"),
    option(
        Id::ReopenOnError,
        'O',
        &["reopen-on-error"],
        Value::None,
        "close and open infile after each failed or slow read",
    ),
    option(Id::Preallocate, 'p', &["preallocate"], Value::None, "reserve room for outfile before starting"),
    option(
        Id::DataPreview,
        'P',
        &["data-preview"],
        Value::Optional("lines"),
        "show lines of the data read last [3]",
    ),
    option(Id::Quiet, 'q', &["quiet"], Value::None, "print nothing"),
    option(
        Id::RetryPasses,
        'r',
        &["retry-passes"],
        COUNT,
        "times to read all bad sectors again; -1: without end [0]",
    ),
    option(Id::Reverse, 'R', &["reverse"], Value::None, "turn the direction of all passes round"),
    option(Id::Size, 's', &["size"], BYTES, "bytes of infile to rescue at most; -1: all"),
    option(Id::Sparse, 'S', &["sparse"], Value::None, "do not write blocks of zeros"),
    option(Id::Truncate, 't', &["truncate"], Value::None, "empty outfile first"),
    option(Id::Timeout, 'T', &["timeout"], INTERVAL, "stop after so long without new data"),
    option(Id::Unidirectional, 'u', &["unidirectional"], Value::None, "run all passes in the same direction"),
    option(Id::Verbose, 'v', &["verbose"], Value::None, "say more; up to four times"),
    option(
        Id::IgnoreWriteErrors,
        'w',
        &["ignore-write-errors"],
        Value::None,
        "go on filling after write errors",
    ),
    option(
        Id::CompareBeforeWrite,
        'W',
        &["compare-before-write"],
        Value::None,
        "do not write what outfile holds already",
    ),
    option(Id::ExtendOutfile, 'x', &["extend-outfile"], BYTES, "make outfile at least this long at the end"),
    option(Id::MaxReadErrors, 'X', &["max-read-errors"], COUNT, "stop at more failed reads than this"),
    option(
        Id::Synchronous,
        'y',
        &["synchronous"],
        Value::None,
        "make each write durable before the next read",
    ),
    option(Id::MaxReadRate, 'Z', &["max-read-rate"], BYTES, "read no more than this in a second"),
    long(Id::Ask, &["ask"], Value::None, "show what will be copied and ask before starting"),
    long(Id::CommandMode, &["command-mode"], Value::None, "do what standard input says"),
    long(
        Id::ContinueOnErrno,
        &["continue-on-errno"],
        Value::Required("n[,n]..."),
        "take these error numbers for damage instead of giving up",
    ),
    long(Id::Cpass, &["cpass"], Value::Required("range"), "copying passes to run, such as 1,3-5; 0: none"),
    long(Id::DelaySlow, &["delay-slow"], INTERVAL, "time before anything counts as slow [30]"),
    long(Id::LogEvents, &["log-events"], FILE, "append a record of what happens to this file"),
    long(Id::LogRates, &["log-rates"], FILE, "write rates and damage, second by second, to this file"),
    long(Id::LogReads, &["log-reads"], FILE, "write every read to this file"),
    long(
        Id::MapfileInterval,
        &["mapfile-interval"],
        Value::Required("[save][,sync]"),
        "how often to save and to sync the mapfile [auto,5m]",
    ),
    long(Id::MaxSlowReads, &["max-slow-reads"], COUNT, "stop at more slow reads than this"),
    long(Id::PauseOnError, &["pause-on-error"], INTERVAL, "wait so long after each failed or slow read [0]"),
    long(Id::PauseOnPass, &["pause-on-pass"], INTERVAL, "wait so long between passes [0]"),
    long(Id::ResetSlow, &["reset-slow"], Value::None, "forget slow reads as soon as the rate rises"),
    long(Id::SameFile, &["same-file"], Value::None, "let infile and outfile be one file"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_letter_and_no_name_is_given_twice() {
        let mut letters: Vec<char> = OPTIONS.iter().filter_map(|spec| spec.short).collect();
        let mut names: Vec<&str> = OPTIONS.iter().flat_map(|spec| spec.longs.iter().copied()).collect();
        let (letter_count, name_count) = (letters.len(), names.len());
        letters.sort_unstable();
        letters.dedup();
        names.sort_unstable();
        names.dedup();
        assert_eq!((letters.len(), names.len()), (letter_count, name_count));
    }

    #[test]
    fn the_table_makes_a_sound_clap_command() {
        DIALECT.command("ddrescue").debug_assert();
    }
}
