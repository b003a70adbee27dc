//! Disks that fail on purpose: seeded, reproducible, with geometry, timing and damage that behaves.
//!
//! Owns simulated drives, what is wrong with them, and the scenarios that describe them. Must not know strategies,
//! terminals or sockets.

pub mod attempts;
pub mod content;
pub mod dice;
pub mod disk;
pub mod export;
pub mod fault;
pub mod fit;
pub mod law;
pub mod lever;
pub mod media;
pub mod moment;
pub mod outlook;
pub mod recording;
pub mod replay;
pub mod scenario;
pub mod source;
pub mod surface;
pub mod survey;
pub mod system;
pub mod truth;
pub mod unit;

pub use content::Content;
pub use disk::{Answer, Command, Reply, SimDisk};
pub use media::Lba;
pub use scenario::Scenario;
pub use source::{Pace, SimSource};
pub use system::{Access, System, SystemOptions};
pub use unit::LogicalUnit;
