//! Answers to the engine's questions: from the person at the terminal, or by a policy when nobody is there.
//!
//! Owns the questions' words. Must not know how a map is written.

use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use block::{Nanos, SinkError, SourceError};
use engine::keeper::KeeperError;
use engine::operator::WriteMap;
use engine::{FileStore, LostRemedy, Operator, SaveRemedy};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::failure::chain;
use super::live;

/// How often a lost device is looked for.
const LOOK_INTERVAL: Nanos = Nanos::from_secs(2);
/// How often, in milliseconds, whoever waits for an answer looks whether a signal came instead.
const ASK_INTERVAL_MILLIS: u8 = 100;
/// Bytes of an answer that are looked at.
const ANSWER_BYTES: usize = 256;

/// The person at the terminal, if there is one.
pub struct Person {
    map: PathBuf,
    /// How long a lost device is waited for.
    patience: Nanos,
    /// Whether standard error is free for questions.
    can_ask: bool,
    /// Set when somebody asks to stop, which answers every question.
    stop: Arc<AtomicBool>,
    /// Where the map was saved in an emergency.
    pub emergency: Option<PathBuf>,
}

impl Person {
    /// Makes an operator for a rescue whose map is `map`.
    pub fn new(map: &Path, patience: Nanos, stop: Arc<AtomicBool>) -> Person {
        let can_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        Person { map: map.to_owned(), patience, can_ask, stop, emergency: None }
    }

    /// Asks, and returns the first letter of the answer in lower case; `None` at the end of input, or when somebody asks
    /// to stop instead of answering.
    fn ask(&self, question: &str) -> Option<char> {
        live::leave();
        let _ = write!(std::io::stderr(), "\r\n{question}");
        let _ = std::io::stderr().flush();
        let stdin = std::io::stdin();
        while !self.stop.load(Ordering::Relaxed) {
            let mut waiting = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
            if poll(&mut waiting, PollTimeout::from(ASK_INTERVAL_MILLIS)) != Ok(1) {
                continue;
            }
            // A terminal gives one line at a time.
            let mut answer = [0; ANSWER_BYTES];
            let length = nix::unistd::read(stdin.as_fd(), &mut answer).ok().filter(|length| *length > 0)?;
            let letter = answer[..length].iter().find(|byte| !byte.is_ascii_whitespace());
            return Some(letter.map_or('\n', |byte| char::from(*byte).to_ascii_lowercase()));
        }
        None
    }

    /// Tries places where a map may be kept when its own one fails.
    fn save_elsewhere(&mut self, write: &mut WriteMap<'_>) -> bool {
        let name = self.map.file_name().unwrap_or(std::ffi::OsStr::new("diskwright.map"));
        let mut rescued = name.to_owned();
        rescued.push(".emergency");
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let folders = [
            self.map.parent().map(Path::to_owned),
            Some(PathBuf::from(".")),
            home,
            Some(std::env::temp_dir()),
        ];
        for folder in folders.into_iter().flatten() {
            let path = folder.join(&rescued);
            if write(&mut FileStore::new(&path)).is_ok() {
                self.emergency = Some(path);
                return true;
            }
        }
        false
    }
}

impl Operator for Person {
    fn map_not_saved(&mut self, error: &KeeperError, write: &mut WriteMap<'_>) -> SaveRemedy {
        let what = format!("{}: {}", self.map.display(), chain(error));
        loop {
            if !self.can_ask {
                self.save_elsewhere(write);
                return SaveRemedy::Stop;
            }
            let question = format!(
                "{what}\r\nMake room or mend it and press Enter to try again, E to save the map elsewhere and stop, \
                 Q to stop without saving: "
            );
            match self.ask(&question) {
                Some('\n') => return SaveRemedy::Retry,
                Some('q') => return SaveRemedy::Stop,
                Some('e') | None => {
                    if self.save_elsewhere(write) || !self.can_ask {
                        return SaveRemedy::Stop;
                    }
                    self.can_ask = std::io::stdin().is_terminal();
                }
                Some(_) => {}
            }
        }
    }

    fn is_attended(&self) -> bool {
        self.can_ask
    }

    fn destination_failed(&mut self, error: &SinkError) -> SaveRemedy {
        let question = format!(
            "{}\r\nThe map is saved. Make room or mend it and press Enter to go on, or Q to stop: ",
            chain(error)
        );
        match self.can_ask.then(|| self.ask(&question)).flatten() {
            Some('\n') => SaveRemedy::Retry,
            _ => SaveRemedy::Stop,
        }
    }

    fn device_lost(&mut self, error: &SourceError, gone: Nanos) -> LostRemedy {
        if let SourceError::Anonymous { device } = error {
            // Nothing tells this device from another one: only a person can say that it is back.
            let question = format!(
                "{} is gone, and nothing tells it from another device.\r\nReconnect it under the same name and press \
                 Enter to go on, or Q to stop: ",
                device.display()
            );
            return match self.can_ask.then(|| self.ask(&question)).flatten() {
                Some('\n') => LostRemedy::Trust,
                _ => LostRemedy::Stop,
            };
        }
        if gone < self.patience { LostRemedy::LookAgain(LOOK_INTERVAL) } else { LostRemedy::Stop }
    }
}
