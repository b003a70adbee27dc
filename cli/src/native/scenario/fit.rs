//! A scenario from a log of a real drive.
//!
//! Owns where the results go, and comparing the fitted disk with the log. Must not know how anything is estimated.

use std::io::Write;
use std::path::{Path, PathBuf};

use simulator::fit::Fit;
use simulator::fit::text::Schedule;
use simulator::recording::{Format, Reading, Recording, Softfail};
use simulator::scenario::library;

use crate::native::output::Output;
use crate::native::{Failure, input};

/// Bytes that no log reaches: more than ten million reads.
const LOG_BYTES_MAX: u64 = 1 << 30;

/// What the command line says of the log.
#[derive(Clone, Debug, clap::Args)]
pub struct LogOptions {
    /// The log: of 'diskwright rescue --log-timings', of safecopy -T, a simulator.cfg of safecopy, or of ddrescue
    /// --log-reads; - for standard input
    log: PathBuf,
    /// Its kind, if its first lines do not tell
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(Format::NAMES.map(|(name, _)| name)))]
    format: Option<String>,
    /// Size of a block in a log of safecopy -T, if no read in it was whole
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(512..=1 << 30))]
    block: Option<u64>,
    /// Take the first number behind softfail in a simulator.cfg as the exponent of failing reads
    #[arg(long)]
    fail_first: bool,
}

/// Fits a log; writes a scenario and its map if `output` names one, and tells what was found.
pub(super) fn run(options: &LogOptions, output: Option<&Path>) -> Result<u8, Failure> {
    let recording = read(options)?;
    if let Some(line) = recording.cut_line {
        let name = options.log.display();
        let note = format!("{name}: line {line} has no end, and is passed over: the log was cut there");
        // Nobody is left to be told when standard error is gone.
        let _ = writeln!(anstream::stderr(), "diskwright: {note}");
    }
    let fit = Fit::of(&recording);
    let mut text = fit.report();
    if let Some(path) = output {
        let [map_path, recovered_path] = ["map", "recovered.map"].map(|ending| path.with_extension(ending));
        let named = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path == map_path || path == recovered_path {
            return Err(Failure::Usage(format!(
                "{}: a map of the drive gets this name; let the scenario's end in .toml",
                path.display()
            )));
        }
        let scenario = fit.scenario(&named(&options.log), &named(&map_path), &named(&recovered_path));
        let heading = map::mapfile::Heading { comments: vec![format!("Of {}", named(&options.log))] };
        for (path, map) in [(&map_path, &fit.map), (&recovered_path, &fit.recovered)] {
            if !map.is_empty() {
                Output::NewFile(path.clone())
                    .stream(|out| map::mapfile::write(out, &heading, &Default::default(), map))?;
                text += &format!("Written   {}\n", path.display());
            }
        }
        Output::NewFile(path.to_owned()).write(scenario.as_bytes())?;
        text += &format!("Written   {}\n", path.display());
        let scenario = library::read(&path.to_string_lossy()).map_err(super::failure)?;
        if let Some(schedule) = Schedule::of(&recording, &scenario) {
            text += &format!(
                "Replayed  the same reads take {:.1} s on the fitted disk and {:.1} s in the log; {} fail, and {} in the log\n",
                schedule.simulated_secs,
                schedule.recorded_secs,
                schedule.simulated_failures,
                schedule.recorded_failures
            );
        }
    }
    Output::Stdout.write(text.as_bytes())
}

fn read(options: &LogOptions) -> Result<Recording, Failure> {
    let path = &options.log;
    let text = input::bytes_of(path, LOG_BYTES_MAX)?;
    let format = Format::NAMES.into_iter().find(|(name, _)| options.format.as_deref() == Some(name));
    let softfail = if options.fail_first { Softfail::FailGood } else { Softfail::GoodFail };
    let reading = Reading { format: format.map(|(_, format)| format), block: options.block, softfail };
    Recording::parse(&String::from_utf8_lossy(&text), reading)
        .map_err(|error| Failure::BadInput { path: path.clone(), text: error.to_string() })
}
