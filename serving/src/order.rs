//! What somebody may tell a disk while it is served.
//!
//! Owns the words. Must not know sockets, nor what an order does. A lever of the drive is one line in `LEVERS`.

use std::fmt;

use simulator::lever::Lever;
use thiserror::Error;

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Requests wait.
    Pause,
    /// Requests go on.
    Resume,
    /// Requests that hang are answered with an error.
    Release,
    /// Something is done to the drive.
    Pull(Lever),
    /// Tell how the drive is.
    State,
    /// Tell what can be rescued, and what cannot be read now.
    Truth,
}

/// Words of orders, and what is said of them. `N`: a number follows.
pub const WORDS: [(&str, &str); 10] = [
    ("pause", "let requests wait"),
    ("resume", "let them go on"),
    ("release", "answer the requests that hang, with an error"),
    ("reset", "reset the drive: ends some hangs"),
    ("power-cycle", "take its power for five seconds: ends every hang, and may be its end"),
    ("kill-head N", "break a head; the first one is 0"),
    ("vanish", "take the drive off the bus"),
    ("return", "put it back"),
    ("state", "how the drive is, as JSON"),
    ("truth", "what of it can be rescued, as JSON"),
];

/// Words of levers that take nothing.
const LEVERS: [(&str, Lever); 4] = [
    ("reset", Lever::Reset),
    ("power-cycle", Lever::PowerCycle),
    ("vanish", Lever::Vanish),
    ("return", Lever::Return),
];

/// Words that are no order.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OrderError {
    /// Nothing was said.
    #[error("no order; there are: {}", all())]
    None,
    /// It is not known.
    #[error("'{0}' is no order; there are: {all}", all = all())]
    Unknown(String),
    /// A number is missing, or is none.
    #[error("kill-head takes the number of a head, from 0{}", .0.as_deref().map(|w| format!(", not '{w}'")).unwrap_or_default())]
    Head(Option<String>),
    /// Too much was said.
    #[error("'{0}' takes nothing more, so what is '{1}'?")]
    Left(String, String),
}

fn all() -> String {
    WORDS.map(|(word, _)| word).join(", ")
}

impl Order {
    /// Reads an order.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Order, OrderError> {
        let mut words = words.into_iter();
        let word = words.next().ok_or(OrderError::None)?;
        let order = match word {
            "pause" => Order::Pause,
            "resume" => Order::Resume,
            "release" => Order::Release,
            "state" => Order::State,
            "truth" => Order::Truth,
            "kill-head" => {
                let head = words.next();
                let number = head.and_then(|head| head.parse().ok());
                Order::Pull(Lever::KillHead(number.ok_or(OrderError::Head(head.map(str::to_owned)))?))
            }
            _ => {
                let lever = LEVERS.iter().find(|(name, _)| *name == word);
                Order::Pull(lever.ok_or(OrderError::Unknown(word.to_owned()))?.1)
            }
        };
        match words.next() {
            None => Ok(order),
            Some(left) => Err(OrderError::Left(word.to_owned(), left.to_owned())),
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::Pause => f.write_str("pause"),
            Order::Resume => f.write_str("resume"),
            Order::Release => f.write_str("release"),
            Order::State => f.write_str("state"),
            Order::Truth => f.write_str("truth"),
            Order::Pull(Lever::KillHead(head)) => write!(f, "kill-head {head}"),
            Order::Pull(lever) => {
                let name = LEVERS.iter().find(|(_, known)| known == lever).map(|(name, _)| *name);
                f.write_str(name.unwrap_or("?"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_read_as_it_is_written() {
        for (words, _) in WORDS {
            let words = words.replace('N', "3");
            let order = Order::parse(words.split(' ')).unwrap_or_else(|e| panic!("{words}: {e}"));
            assert_eq!(order.to_string(), words);
        }
    }

    #[test]
    fn what_is_no_order_is_told_with_those_that_are() {
        let told = |words: &[&str]| Order::parse(words.iter().copied()).unwrap_err().to_string();
        assert!(told(&["explode"]).contains("power-cycle"));
        assert!(told(&[]).contains("kill-head N"));
        assert!(told(&["kill-head"]).contains("number of a head"));
        assert!(told(&["kill-head", "-1"]).contains("'-1'"));
        assert!(told(&["pause", "now"]).contains("'now'"));
    }
}
