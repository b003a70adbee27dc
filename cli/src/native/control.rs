//! `diskwright control`: tells a disk that is being served what happens to it.
//!
//! Owns the asking. Must not know what an order does, nor how a disk is served.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use serving::{Order, order};

use super::Failure;
use super::output::Output;

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
