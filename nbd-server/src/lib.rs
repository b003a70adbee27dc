//! Disks over the network block device protocol: a server for any device, and a client that rescues from one.
//!
//! Owns the protocol, on both sides. Must not know what a device is, nor what a rescue does with its bytes.

pub mod wire;
