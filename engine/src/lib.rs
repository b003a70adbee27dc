//! The rescue engine: from a source in trouble and a map to an image and a better map.
//!
//! Owns the loop that reads, writes and records, the strategies that decide, and the keeping of the map.
//! Must not know file systems, sockets, terminals, or how anything is worded.

mod ahead;
pub mod attempt;
pub mod book;
pub mod event;
pub mod fill;
pub mod fingerprint;
pub mod generate;
pub mod journal;
pub mod keeper;
pub mod limits;
pub mod operator;
pub mod rates;
pub mod rescue;
mod saver;
pub mod store;
pub mod strategy;
pub mod writer;

pub use attempt::{Direction, EndsAt, IfUnread, Outcome, Stage, Step, Sweep};
pub use book::Book;
pub use event::{Event, Observer, Report, Tried};
pub use fingerprint::Fingerprint;
pub use keeper::{Keeper, KeeperError, KeeperOptions};
pub use limits::{Limit, Limits};
pub use operator::{LostRemedy, Operator, SaveRemedy, Unattended};
pub use rates::{Rates, RatesOptions};
pub use rescue::{Ending, Interrupt, Marking, Pause, Recheck, Rescue, RescueOptions, Surroundings, Trouble};
pub use store::{FileStore, MapStore, MemoryStore};
pub use strategy::{Strategy, View};
pub use writer::{Holes, WriteOptions};
