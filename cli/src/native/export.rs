//! `diskwright export`: the damage of a simulated disk as it stands at a moment, for other tools.
//!
//! Owns the command, its options, and what is said beside the result. Must not know formats.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use block::Nanos;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use simulator::Scenario;
use simulator::export::{self, Block, Format, Job};
use simulator::moment::Moment;

use super::Failure;
use super::disk_argument::{self, DiskArgument};
use super::output::Output;
use crate::personality::number::{IntegerRule, interval_prefix, parse_integer};

mod raw;

/// Write the damage of a simulated disk as it stands at a moment, for other tools
///
/// What counts as bad: a sector that the drive, switched on and left alone until the moment, would fail to read; each
/// sector by itself, and at the first attempt. What only reading would bring about is not exported; standard error says
/// so, as it does of everything that a format cannot express.
#[derive(Debug, Args)]
pub struct ExportOptions {
    /// The disk: a scenario's name, NAME@SEED for another seed, a sim: address, or a file that ends in .toml
    scenario: OsString,
    /// For which tool
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    to: String,
    /// The moment: so long after the drive was switched on, in seconds, or with s, m, h or d behind the number
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = moment)]
    at: Nanos,
    /// Write to this file, which must not exist, instead of standard output (-); needed for raw
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What the damage is to lie over: a device for dm-error, dm-dust and dm-delay, an image for blkdebug and
    /// simulator-cfg. The result's comments say what it must be like
    #[arg(long, value_name = "DEVICE", value_parser = device)]
    device: Option<String>,
    /// Size of a block of badblocks; 4096 if not given
    #[arg(long, value_name = "BYTES", value_parser = block)]
    block_size: Option<u64>,
}

/// The format that is no damage.
const RAW: &str = "raw";

fn formats() -> PossibleValuesParser {
    let raw = PossibleValue::new(RAW)
        .help("the bytes that the disk would give if it were well, into a file with holes");
    let named = |format: &Format| PossibleValue::new(format.name).help(format.about);
    PossibleValuesParser::new(export::FORMATS.iter().map(named).chain([raw]))
}

/// Runs the command; returns its exit status.
pub(super) fn run(options: ExportOptions) -> Result<u8, Failure> {
    let address = match DiskArgument::read(&options.scenario)? {
        DiskArgument::Simulated(address) => address,
        DiskArgument::Path(path) => {
            let advice =
                "only a simulated disk knows its damage; name a scenario, or a file that ends in .toml";
            return Err(Failure::Usage(format!("{}: {advice}", path.display())));
        }
    };
    let Some(format) = export::find(&options.to) else { return raw::run(&address, options) };
    check(&options, format)?;
    let (scenario, seed) = disk_argument::open(&address)?;
    let mut moment = Moment::of(scenario.disk(seed)?, options.at)
        .map_err(|error| Failure::Usage(format!("--at: {error}; name an earlier moment")))?;
    let subject = format!("{}, seed {seed},", scenario.name);
    let file = options.output.as_ref().filter(|path| path.as_os_str() != "-");
    let file = file.map_or("FILE".to_owned(), |path| one_line(&path.display().to_string()));
    let device = options.device.as_deref();
    let mut job =
        Job { moment: &mut moment, subject: &subject, file: &file, device, block: options.block_size };
    let mut notes = Vec::new();
    let output = options.output.map_or(Output::Stdout, Output::new_file);
    let status = output.stream(|out| {
        notes = format.write(&mut job, out)?;
        Ok(())
    })?;
    notes.extend(hazards(&scenario, seed)?);
    for note in notes {
        tell(&note);
    }
    Ok(status)
}

/// Refuses options that would be without effect.
fn check(options: &ExportOptions, format: &Format) -> Result<(), Failure> {
    let wrong = |option: &str| {
        let told = format!("{option} means nothing to {}; leave it out", options.to);
        Err(Failure::Usage(told))
    };
    match (format.device, format.block) {
        (None, _) if options.device.is_some() => wrong("--device"),
        (_, Block::Fixed) if options.block_size.is_some() => wrong("--block-size"),
        _ => Ok(()),
    }
}

/// What is said of a disk whose damage depends on what is read.
fn hazards(scenario: &Scenario, seed: u64) -> Result<Option<String>, Failure> {
    let kinds = scenario.hazards(seed)?;
    let told = format!(
        "what reads of this disk would bring about is not exported: {}; what each sector's first read meets is",
        kinds.join(", ")
    );
    Ok((!kinds.is_empty()).then_some(told))
}

/// Says something beside the result.
fn tell(note: &str) {
    // Nobody is left to be told when standard error is gone.
    let _ = writeln!(anstream::stderr(), "diskwright: {note}");
}

/// A name that can stand in a comment.
fn one_line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn moment(text: &str) -> Result<Nanos, String> {
    match interval_prefix(text.as_bytes()) {
        Ok((interval, b"")) => Ok(interval.nanos()),
        _ => Err("a time is a number of seconds, or one with s, m, h or d behind it, such as 90m".to_owned()),
    }
}

fn block(text: &str) -> Result<u64, String> {
    match parse_integer(text.as_bytes(), IntegerRule::count(512, 1 << 30)) {
        Ok(bytes) if bytes % 512 == 0 => Ok(bytes as u64),
        _ => Err("a block has a multiple of 512 bytes, at most 1 GiB, such as 1024 or 4Ki".to_owned()),
    }
}

/// Tables, rules and scripts are divided at blanks, and some at other characters.
fn device(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    match !text.is_empty() && text.len() <= 200 && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("only letters, digits and /._-+:@%, can stand in these formats, 200 of them at most; \
                      a link can have such a name"
            .to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_blocks_and_devices_are_read_as_everywhere() {
        let secs = Nanos::from_secs;
        for (text, time) in [("0", secs(0)), ("90m", secs(5400)), ("1.5h", secs(5400)), ("2d", secs(172_800))]
        {
            assert_eq!(moment(text), Ok(time), "{text}");
        }
        assert!(["", "x", "-1", "5 weeks"].iter().all(|text| moment(text).is_err()));
        assert_eq!((block("1024"), block("4Ki")), (Ok(1024), Ok(4096)));
        assert!(["0", "1000", "511", "x", "2Gi"].iter().all(|text| block(text).is_err()));
        assert!(device("/dev/mapper/a-b").is_ok());
        assert!(["", "a b", "a\nb", "$(x)", "é"].iter().all(|text| device(text).is_err()));
    }
}
