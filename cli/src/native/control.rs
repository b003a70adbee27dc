//! Watching disks that are served, and meddling with them: `diskwright control`, logs, and their repetition.
//!
//! Owns the words on both sides of the socket. Must not know what an order does, nor how a disk is served.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use nbd_server::listen::{SocketFile, unix_socket};
use serde_json::Value;
use serving::simulated::Logging;
use serving::{AccessLog, Exports, Order, order};
use simulator::scenario::address::{Address, Named, PREFIX};

use super::Failure;
use super::output::{Output, failed};

pub mod socket;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `control` takes.
#[derive(Debug, Args)]
#[command(after_help = help())]
pub struct ControlCommand {
    /// The socket that the server was given with --control
    socket: PathBuf,
    /// The disk, by its export name; the first one if not given
    #[arg(long, default_value = "")]
    export: String,
    /// What to do
    #[arg(required = true)]
    order: Vec<String>,
}

fn help() -> String {
    let width = order::WORDS.iter().map(|(word, _)| word.len()).max().unwrap_or(0);
    let lines = order::WORDS.iter().map(|(word, about)| format!("  {word:width$}  {about}\n"));
    let lines: String = lines.collect();
    format!(
        "Orders:\n{lines}\nThe answer is one line of JSON. Exit status: 0 done, 2 no such order, 4 refused or nobody there."
    )
}

/// How somebody may watch what is served, and meddle with it.
#[derive(Clone, Debug, Default, Args)]
pub struct WatchOptions {
    /// Take orders on this socket, from 'diskwright control'
    #[arg(long, value_name = "SOCKET")]
    pub control: Option<PathBuf>,
    /// Write down what simulated disks are asked and what they say, as JSON Lines in the disks' own times; 'diskwright serve
    /// --replay' repeats it. Replaces FILE
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

impl WatchOptions {
    /// Begins the log, if there is to be one.
    pub fn log(&self) -> Result<Option<Arc<AccessLog>>, Failure> {
        let Some(path) = &self.log else { return Ok(None) };
        let name = path.display().to_string();
        let tell = move |error| {
            // Nobody is left to be told when standard error is gone.
            let _ = writeln!(anstream::stderr(), "diskwright: {name}: the log ends here: {error}");
        };
        let log = AccessLog::create(path, tell).map_err(|error| failed("write a log there", path, &error))?;
        Ok(Some(Arc::new(log)))
    }

    /// Takes orders from now on, until what is returned goes.
    pub fn take_orders(&self, exports: Arc<dyn Exports>) -> Result<Option<SocketFile>, Failure> {
        let Some(path) = &self.control else { return Ok(None) };
        let (listener, file) = unix_socket(path).map_err(|error| Failure::Refused(chain(&error)))?;
        socket::answer(listener, exports);
        Ok(Some(file))
    }
}

/// How a log calls a simulated disk, whose name among those that are served is `disk`.
pub fn logging(log: Option<Arc<AccessLog>>, disk: &str, address: &Address) -> Option<Logging> {
    let scenario = match &address.scenario {
        Named::Library(name) => format!("{PREFIX}{name}"),
        Named::File(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            format!("{PREFIX}{}", path.display())
        }
    };
    log.map(|log| Logging { log, disk: disk.to_owned(), scenario })
}

/// Repeats a log; returns the exit status: 0 if everything came out as it did, 1 if not.
pub fn replay(path: &Path) -> Result<u8, Failure> {
    let file = File::open(path).map_err(|error| failed("read it", path, &error))?;
    let find = |word: &str| {
        let address = Address::parse(word).ok_or_else(|| format!("'{word}' is no scenario"))?;
        let scenario = address.and_then(|address| address.scenario());
        scenario.map_err(|error| chain(&error))
    };
    let report = serving::replay::replay(BufReader::new(file), find)
        .map_err(|error| Failure::BadInput { path: path.to_owned(), text: error.to_string() })?;
    let mut text = String::new();
    for (line, difference) in &report.first {
        text.push_str(&format!("line {line}: {difference}\n"));
    }
    let told = report.first.len() as u64;
    if report.different > told {
        text.push_str(&format!("and {} more lines\n", report.different - told));
    }
    let (requests, disks) = (report.requests, report.disks);
    text.push_str(&match report.different {
        0 => format!("{requests} requests to {disks} disks: all answered as they were\n"),
        different => {
            format!("{requests} requests to {disks} disks: {different} lines came out differently\n")
        }
    });
    Output::print(&text)?;
    Ok(u8::from(report.different > 0))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}

/// Runs it.
pub fn run(command: &ControlCommand) -> Result<u8, Failure> {
    let words = command.order.iter().flat_map(|word| word.split_whitespace());
    let order = Order::parse(words).map_err(|e| Failure::Usage(e.to_string()))?;
    let socket = &command.socket;
    let answer = ask(socket, &command.export, order).map_err(|e| {
        Failure::Refused(format!(
            "{}: {e}; is it what 'diskwright serve --control' was given?",
            socket.display()
        ))
    })?;
    if let Some(error) = answer.get("error").and_then(Value::as_str) {
        return Err(Failure::Refused(format!("{order}: {error}")));
    }
    Output::print(&format!("{answer}\n"))
}

fn ask(socket: &Path, export: &str, order: Order) -> std::io::Result<Value> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = serde_json::json!({ "export": export, "order": order.to_string() });
    (&stream).write_all(format!("{request}\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    if line.is_empty() {
        return Err(std::io::Error::other("the server left without an answer"));
    }
    serde_json::from_str(&line).map_err(std::io::Error::other)
}
