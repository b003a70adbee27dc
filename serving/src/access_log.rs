//! What was asked of simulated disks and when, and what they said: JSON Lines, in the disks' own times.
//!
//! Owns the entries and their file. Must not know disks. Requests of all clients are in one order here, that in which the
//! disk served them: whoever repeats it meets the same.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use simulator::Access;

use crate::simulated::WhenGone;

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Entry {
    /// A disk was opened.
    Start(Start),
    /// Something was asked of it.
    Request(Asked),
    /// Somebody did something to it.
    Lever(Pulled),
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Its name in this log.
    pub disk: String,
    /// Version of the program.
    pub version: String,
    /// Where its scenario is found: a name, or a file.
    pub scenario: String,
    /// SHA-256 of all in the scenario that makes a difference, in hexadecimal digits.
    pub digest: String,
    /// Its seed.
    pub seed: u64,
    /// How its clients' systems read, whatever they say themselves.
    pub access: Option<Access>,
    /// Whether a read goes on behind a place that failed.
    pub reads_on: bool,
    /// What clients see when it has gone.
    pub when_gone: WhenGone,
}

/// A request and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Which disk.
    pub disk: String,
    /// Number of the client.
    pub client: u64,
    /// What.
    pub work: Verb,
    /// Where, in bytes.
    pub offset: u64,
    /// How much, in bytes.
    pub length: u64,
    /// How the client's system reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// When it arrived, in nanoseconds of the disk's time.
    pub at_ns: u64,
    /// The answer.
    #[serde(flatten)]
    pub said: Said,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Bytes.
    Read,
    /// A read without bytes.
    Cache,
    /// To write; what, is not kept.
    Write,
    /// To write zeros.
    Zero,
    /// To give space back.
    Trim,
    /// To make durable.
    Flush,
}

/// What a disk said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// When, in nanoseconds of the disk's time; `None`: nothing, yet.
    pub done_ns: Option<u64>,
    /// What did not go well: from where, how many bytes, what a system would call it, what the disk called it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<(u64, u64, i32, String)>,
    /// Bytes that were wrong and called good: from where, how many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub garbled: Vec<(u64, u64)>,
    /// Whether the client was told to leave, or left without a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Left>,
}

/// How a client was got rid of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Left {
    /// Told to leave.
    Shutdown,
    /// Its connection broke off.
    Drop,
}

/// A lever and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pulled {
    /// Which disk.
    pub disk: String,
    /// Which lever, in the words of [`crate::order`].
    pub lever: String,
    /// When, in nanoseconds of the disk's time.
    pub at_ns: u64,
    /// When the drive is ready, in nanoseconds of its time; `None`: the lever did nothing.
    pub ready_ns: Option<u64>,
}

/// A log that is being written. A line is in the file when the request has been served.
pub struct AccessLog {
    file: Mutex<Option<File>>,
    /// Told the first time that a line could not be written; no other one is tried.
    on_error: Box<dyn Fn(std::io::Error) + Send + Sync>,
}

impl AccessLog {
    /// Begins a log. An existing file is replaced.
    ///
    /// Errors: it cannot be made.
    pub fn create(
        path: &Path,
        on_error: impl Fn(std::io::Error) + Send + Sync + 'static,
    ) -> std::io::Result<AccessLog> {
        Ok(AccessLog { file: Mutex::new(Some(File::create(path)?)), on_error: Box::new(on_error) })
    }

    /// Writes a line.
    pub fn write(&self, entry: &Entry) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = file.as_mut() else { return };
        let written = serde_json::to_vec(entry).map_err(std::io::Error::other).and_then(|mut line| {
            line.push(b'\n');
            open.write_all(&line)
        });
        if let Err(error) = written {
            *file = None;
            (self.on_error)(error);
        }
    }
}
