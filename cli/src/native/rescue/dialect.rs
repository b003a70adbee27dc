//! The options of `diskwright rescue`: GNU's long names with GNU's meanings, and some of our own.
//!
//! Owns the joined table. Must not know what an option leads to.
//!
//! Not a clap table: GNU's numbers depend on options to their left (`s` counts sectors of the last `--sector-size`), and
//! names may be abbreviated. One table for both names of the rescue keeps one meaning for each option.

use std::sync::LazyLock;

use crate::personality::arguments::{Dialect, OptionSpec, Value};
use crate::personality::ddrescue::dialect::{DIALECT as GNU, Id};

/// What an option is called inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// One of ddrescue's.
    Gnu(Id),
    /// One of ours.
    Own(Own),
}

/// Our own options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each one is explained in the table below")]
pub enum Own {
    Json,
    Plain,
    Buffered,
    AllowMounted,
    WaitForDevice,
    ReadTimeout,
    Pace,
    Reflink,
    Journal,
    LogTimings,
    CheckEvery,
    Strategy,
}

const fn own(id: Own, longs: &'static [&'static str], value: Value, help: &'static str) -> OptionSpec<Word> {
    OptionSpec { id: Word::Own(id), short: None, longs, value, help }
}

const OWN: &[OptionSpec<Word>] = &[
    own(Own::Json, &["json"], Value::None, "write JSON Lines to standard output, and nothing else there"),
    own(Own::Plain, &["plain"], Value::None, "plain progress lines even on a terminal"),
    own(
        Own::Buffered,
        &["buffered"],
        Value::None,
        "read devices through the page cache, which widens damage",
    ),
    own(Own::AllowMounted, &["allow-mounted"], Value::None, "read a source that is mounted for writing"),
    own(
        Own::WaitForDevice,
        &["wait-for-device"],
        Value::Required("interval"),
        "how long to look for a device that is gone [1m]",
    ),
    own(
        Own::ReadTimeout,
        &["read-timeout"],
        Value::Required("interval"),
        "mark a read as failed that takes longer, and jump on [never]",
    ),
    own(
        Own::CheckEvery,
        &["check-every"],
        Value::Required("n"),
        "after every n errors read the last good sector again, and stop if it has changed [never]",
    ),
    own(
        Own::Strategy,
        &["strategy"],
        Value::Required("name"),
        "in which order to read: classic (GNU ddrescue's), or that of another tool [classic]",
    ),
    own(
        Own::Pace,
        &["pace"],
        Value::Required("pace"),
        "how fast a simulated disk's time passes: instant, real, or a factor [instant]",
    ),
    own(
        Own::LogTimings,
        &["log-timings"],
        Value::Required("file"),
        "write what each read brought and how long it took to this new file",
    ),
    own(
        Own::Reflink,
        &["reflink"],
        Value::None,
        "share the blocks of a healthy source file where possible, without reading them",
    ),
    own(
        Own::Journal,
        &["journal"],
        Value::None,
        "save changes in MAP.journal; the map itself is written when that outgrows it, and at the end",
    ),
];

/// Other trades of ddrescue, and what makes no sense here.
const LEFT_OUT: &[Id] = &[
    Id::FillMode,
    Id::GenerateMode,
    Id::CommandMode,
    Id::IgnoreWriteErrors,
    Id::SameFile,
    Id::Ask,
    Id::Verbose,
    Id::DataPreview,
];

/// Everything that `diskwright rescue` understands.
pub static DIALECT: LazyLock<Dialect<Word>> = LazyLock::new(|| {
    let taken = GNU.options.iter().filter(|spec| !LEFT_OUT.contains(&spec.id));
    let lifted = taken.map(|spec| OptionSpec {
        id: Word::Gnu(spec.id),
        short: spec.short,
        longs: spec.longs,
        value: spec.value,
        help: help_of(spec),
    });
    let options: Vec<OptionSpec<Word>> = lifted.chain(OWN.iter().copied()).collect();
    Dialect {
        purpose: "Reads everything that can be read from SOURCE, a failing disk or an image of one, into\n\
                  DESTINATION: good parts first, damage last, resumable at any moment. MAP keeps what is\n\
                  known about each byte; without it the map is DESTINATION.map. DESTINATION may be\n\
                  discard: to read without keeping anything. SOURCE may be sim:NAME, a simulated disk\n\
                  ('diskwright scenario list' shows them), also with its seed, as in sim:NAME@7, and\n\
                  more, as in 'sim:NAME?seed=7&access=raw' (or direct, or buffered): its own time\n\
                  passes, not yours, and its image is held against the truth at the end. Or it is an\n\
                  export of a server of network block devices: nbd://host/export, or on this machine\n\
                  nbd+unix:///export?socket=/path, or nbd+vsock://cid/export; what the server says of\n\
                  good bytes around bad ones is kept, and a lost connection is made again.",
        usage: "[options] SOURCE DESTINATION [MAP]",
        options: options.leak(),
        notes: "Devices are read past the page cache, in their own sectors. Numbers may be decimal,\n\
                hexadecimal (0x) or octal (0), with k, Ki, M, Mi ... behind them; s counts sectors of\n\
                --sector-size if that stands before it, else of 512 bytes.\n\
                \n\
                Strategies: classic, classic-1.30, sequential (dd), safecopy, safecopy-stages, myrescue,\n\
                recoverdm, dd-rescue-like, superclone-like, recoverdisk-like, and hwA (a hardware\n\
                imager). Some have settings, as in safecopy:skip=65536,attempts=1. All keep their map as ddrescue does,\n\
                so that one may go on where another stopped.\n\
                \n\
                Exit status: 0 everything is rescued; 1 finished, but data is missing; 2 wrong use;\n\
                3 stopped by a limit or a lost device, resumable; 4 the destination, the map or the\n\
                system failed; 5 a map or a scenario that cannot be understood; 70 an error of this\n\
                program. A signal ends it by that signal.",
    }
});

/// Where our default is another one than ddrescue's, the help must say ours.
fn help_of(spec: &OptionSpec<Id>) -> &'static str {
    match spec.id {
        Id::SectorSize => "size of a sector of the source [the device's physical sector]",
        Id::DirectIn => "read past the page cache [as devices are read anyway]",
        Id::Force => "write over a device, an image without map, or with the map of another source",
        Id::Quiet => "print nothing but errors",
        _ => spec.help,
    }
}
