//! Asks a person what to do about a mapfile that cannot be written.
//!
//! Owns the question and the emergency save. Must not know what is in the map.

use std::fs;
use std::io::{self, BufRead, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use block::{Errno, Nanos, SourceError};
use engine::operator::WriteMap;
use engine::{FileStore, KeeperError, LostRemedy, Operator, SaveRemedy};
use nix::sys::termios::{FlushArg, tcflush};

use crate::personality::Complaint;
use crate::personality::ddrescue::PROGRAM;

/// Name of the emergency map.
const EMERGENCY_NAME: &str = "ddrescue.map";

/// A person at a terminal, perhaps.
#[derive(Debug)]
pub struct Person {
    mapfile: PathBuf,
    verbosity: i32,
}

impl Person {
    /// Asks about `mapfile`; nobody if `verbosity` is below 0.
    pub fn new(mapfile: &Path, verbosity: i32) -> Person {
        Person { mapfile: mapfile.to_owned(), verbosity }
    }

    /// Saves in another place; returns whether that went well.
    pub fn save_elsewhere(&self, write: &mut WriteMap<'_>) -> bool {
        let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(EMERGENCY_NAME));
        let places = [Some(PathBuf::from(EMERGENCY_NAME)), home];
        for place in places.into_iter().flatten() {
            if !same_file(&place, &self.mapfile) && write(&mut FileStore::new(&place)).is_ok() {
                self.say(&format!("Mapfile saved in '{}'\n", place.display()));
                return true;
            }
        }
        if self.verbosity >= 0 {
            Complaint::about(EMERGENCY_NAME, "Emergency save failed.").print(PROGRAM, PROGRAM.as_ref());
        }
        false
    }

    fn say(&self, text: &str) {
        if self.verbosity >= 0 {
            // Nobody is left to be told when standard error is gone.
            let _ = io::stderr().write_all(text.as_bytes());
        }
    }

    fn ask(&self) -> Answer {
        const QUESTION: &str = "Fix the problem and press ENTER to retry,\n\
            \x20                    or E+ENTER for an emergency save and exit,\n\
            \x20                    or Q+ENTER to abort.\n";
        let stdin = io::stdin();
        // What was typed before the question is no answer to it.
        let _ = tcflush(&stdin, FlushArg::TCIFLUSH);
        loop {
            self.say(QUESTION);
            let mut line = Vec::new();
            match stdin.lock().read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return Answer::Nobody,
                Ok(_) => {}
            }
            match line.first() {
                Some(b'\n') => return Answer::Retry,
                Some(b'e' | b'E') => return Answer::Emergency,
                Some(b'q' | b'Q') => return Answer::Quit,
                _ => {}
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Retry,
    Emergency,
    Quit,
    /// Nobody can answer: standard input has ended.
    Nobody,
}

impl Operator for Person {
    fn map_not_saved(&mut self, error: &KeeperError, write: &mut WriteMap<'_>) -> SaveRemedy {
        if self.verbosity < 0 {
            return SaveRemedy::Stop;
        }
        let cause = match error {
            KeeperError::Map(cause) => Errno::of(cause),
            KeeperError::Image(cause) => cause.errno,
        };
        let complaint = Complaint::about(&self.mapfile, format!("Error writing mapfile: {cause}"));
        self.say("\n");
        complaint.print(PROGRAM, PROGRAM.as_ref());
        loop {
            match self.ask() {
                Answer::Retry => return SaveRemedy::Retry,
                Answer::Quit => return SaveRemedy::Stop,
                Answer::Emergency if self.save_elsewhere(write) => return SaveRemedy::Stop,
                Answer::Emergency => {}
                Answer::Nobody => {
                    self.save_elsewhere(write);
                    return SaveRemedy::Stop;
                }
            }
        }
    }

    fn device_lost(&mut self, _: &SourceError, _: Nanos) -> LostRemedy {
        LostRemedy::Stop
    }
}

fn same_file(left: &Path, right: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    left == right || identity(left).is_some_and(|left| Some(left) == identity(right))
}
