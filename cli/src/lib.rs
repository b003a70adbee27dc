//! The command line of Diskwright: its own commands, and the names of other tools it answers to.
//!
//! Owns all that reads arguments, prints, and exits. Must not know how bytes are read or maps are kept.

pub mod native;
pub mod personality;
