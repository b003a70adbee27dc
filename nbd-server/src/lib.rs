//! Disks over the network block device protocol: a server for any device, and a client that rescues from one.
//!
//! Owns the protocol, on both sides. Must not know what a device is, nor what a rescue does with its bytes.

pub mod client;
pub mod connection;
pub mod handshake;
pub mod link;
pub mod listen;
pub mod pool;
pub mod reply;
pub mod server;
pub mod status;
pub mod stream;
pub mod terms;
pub mod transmission;
pub mod wire;

pub use listen::{Address, ListenError, Listener};
pub use server::{Server, ServerOptions};
