//! A scenario from a log of a real drive.
//!
//! Owns where the results go, and comparing the fitted disk with the log. Must not know how anything is estimated.

use std::io::Write;
use std::path::{Path, PathBuf};

use simulator::Scenario;
use simulator::fit::schedule::Schedule;
use simulator::fit::{Fit, ks};
use simulator::recording::{Format, Reading, Recording, Softfail};

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
        warn(&format!("{name}: line {line} has no end, and is passed over: the log was cut there"));
    }
    let fit = Fit::of(&recording);
    let mut text = fit.report();
    let log = named(&options.log);
    let scenario = match fit.in_memory(&log) {
        Ok(scenario) => Some(scenario),
        Err(error) if output.is_some() => return Err(error.into()),
        Err(error) => {
            warn(&format!("no disk can be made of this log: {}", error.reason));
            None
        }
    };
    if let Some(path) = output {
        write(&fit, &log, path, &mut text)?;
    }
    if let Some(scenario) = scenario {
        compare(&recording, &scenario, &log, &mut text);
    }
    Output::Stdout.write(text.as_bytes())
}

/// Writes the scenario and the maps beside it.
fn write(fit: &Fit, log: &str, path: &Path, text: &mut String) -> Result<(), Failure> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = named(path);
    if name.ends_with(".map") {
        return Err(Failure::Usage(format!(
            "{}: a map of the drive gets this name; let the scenario's end in .toml",
            path.display()
        )));
    }
    let scenario = fit.scenario(log, &stem);
    let heading = map::mapfile::Heading { comments: vec![format!("Of {log}")] };
    for (name, map) in fit.files(&stem) {
        let path = path.with_file_name(name);
        Output::NewFile(path.clone())
            .stream(|out| map::mapfile::write(out, &heading, &Default::default(), map))?;
        *text += &format!("Written   {}\n", path.display());
    }
    Output::NewFile(path.to_owned()).write(scenario.as_bytes())?;
    *text += &format!("Written   {}\n", path.display());
    Ok(())
}

/// Makes the reads of the log again on the fitted disk, and tells what it is worth.
fn compare(recording: &Recording, scenario: &Scenario, log: &str, text: &mut String) {
    let Some(schedule) = Schedule::of(recording, scenario, 0) else {
        let reason = match recording.records.iter().all(|record| record.took.is_some()) {
            true => "the log is too long, or the fitted disk does not answer it",
            false => "the log has no times",
        };
        *text += &format!("Replayed  not: {reason}\n");
        return;
    };
    told(&schedule, "Replayed  the same reads", "the fitted disk", text);
    if let Some(held_out) = Schedule::held_out(recording) {
        told(&held_out, "Held out  the last fifth of the reads", "a disk fitted to the others", text);
    }
    let unexplained = schedule.unexplained();
    if !unexplained.is_empty() {
        let replay = format!("[replay] log = {}", toml_string(log));
        warn(&format!(
            "the fitted disk is not like the drive: {}. Take its times for what they are, or let the log itself answer: \
             a scenario with {replay} does what the drive did, read by read",
            unexplained.join("; ")
        ));
    }
}

fn told(schedule: &Schedule, which: &str, disk: &str, text: &mut String) {
    let all = schedule.secs();
    *text += &format!(
        "{which} take {:.1} s on {disk} and {:.1} s in the log; {} fail, and {} in the log\n",
        all.simulated, all.recorded, schedule.failures.1, schedule.failures.0
    );
    for (name, (distance, count)) in [("good", schedule.good), ("failed", schedule.failed)] {
        if count > 0 {
            let word = if ks::is_close(distance, count) { "fits" } else { "does not fit" };
            *text += &format!(
                "          times of {name} reads: Kolmogorov-Smirnov distance {distance:.3} of {count} values: {word}\n"
            );
        }
    }
}

fn named(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn toml_string(text: &str) -> String {
    format!("\"{}\"", text.escape_default())
}

fn warn(text: &str) {
    // Nobody is left to be told when standard error is gone.
    let _ = writeln!(anstream::stderr(), "diskwright: {text}");
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
