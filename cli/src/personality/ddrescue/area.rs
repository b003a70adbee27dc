//! The part of the screen that is drawn again and again.
//!
//! Owns cursor movements and the message line. Must not know what is shown.

use std::io::{self, Write};

/// Some lines and a message below them.
#[derive(Debug)]
pub struct Area {
    height: usize,
    message: String,
    is_loud: bool,
}

/// Where the lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Over those that are there.
    Same,
    /// Below them, so that they stay to be read.
    Below,
}

/// What comes between the lines and the last message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// Nothing.
    None,
    /// An empty line.
    Line,
}

impl Area {
    /// Makes an area of `height` lines; shows nothing at all if `verbosity` is below 0.
    pub fn new(height: usize, verbosity: i32) -> Area {
        Area { height, message: String::new(), is_loud: verbosity >= 0 }
    }

    /// Whether anything is shown.
    pub fn is_loud(&self) -> bool {
        self.is_loud
    }

    /// Makes room.
    pub fn open(&mut self) {
        self.put(&"\n".repeat(self.height));
    }

    /// Shows lines, and a message if there is one; `lines` ends with a line end.
    pub fn show(&mut self, place: Place, lines: &str, message: Option<&str>) {
        let mut text = match place {
            Place::Same => format!("\r{}", "\u{1b}[A".repeat(self.height)),
            Place::Below => "\n".to_owned(),
        };
        text.push_str(lines);
        if let Some(message) = message {
            text.push('\r');
            text.push_str(&self.padded(message));
        }
        self.put(&text);
    }

    /// Ends the area with a last message.
    pub fn close(&mut self, message: &str, gap: Gap) {
        let width = self.message.chars().count();
        let text = match gap {
            Gap::None => format!("\r{message:width$}\n"),
            // The line end counts as part of the message, so that one blank less follows.
            Gap::Line => format!("\r\n{message:w$}\n", w = width.saturating_sub(1)),
        };
        self.put(&text);
    }

    /// Ends the area with reasons why it ends early, each on a line of its own.
    pub fn break_off(&mut self, reasons: &[String]) {
        let mut text = String::new();
        reasons.iter().for_each(|reason| text.push_str(&format!("\n  {reason}")));
        text.push('\n');
        self.put(&text);
    }

    /// Covers what is left of a longer message.
    fn padded(&mut self, message: &str) -> String {
        let width = self.message.chars().count();
        self.message = message.to_owned();
        format!("{message:width$}")
    }

    fn put(&self, text: &str) {
        if self.is_loud {
            // A closed pipe must not end a rescue.
            let mut out = io::stdout().lock();
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
    }
}
