//! What is known about each byte of a medium.
//!
//! Owns statuses, the rescue map and its algebra, the mapfile's text, and a source seen through its map.
//! Must not know who reads the disk, nor when.

pub mod algebra;
pub mod list;
pub mod mapfile;
pub mod masked;
pub mod picture;
pub mod rescue_map;
pub mod status;
pub mod summary;
#[cfg(test)]
mod testing;

pub use mapfile::{Loose, Mapfile, MapfileError};
pub use masked::Masked;
pub use rescue_map::{Block, Builder, RescueMap};
pub use status::{Phase, Position, Status};
pub use summary::Summary;
