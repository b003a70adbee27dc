//! The server as a client meets it that speaks in bytes: what it says, what it refuses, and what it survives.

mod ending;
mod fixture;
mod flow;
mod negotiation;
mod old_mistakes;
mod requests;
