//! A disk as a file, and as a block device over that file.
//!
//! Owns the mount, what readers of the file see, and its end. Must not know what disk it shows: any [`serving::Device`]
//! will do.
//!
//! The file is the root of a FUSE file system of its own, mounted over a file that is there already. Reads reach the disk
//! as they were issued, past the page cache. They wait without a thread: an answer that is due later comes from the
//! device's timer, and one that never comes is an entry in a table.

mod caller;
mod desk;
mod disk_file;
mod dying;
pub mod loop_device;
pub mod mount;
pub mod place;
mod scribe;

pub use desk::{Reading, Showing};
pub use loop_device::{LoopDevice, LoopError};
pub use mount::{MountError, Mounted, Unmounted};
pub use place::{Place, PlaceError};
