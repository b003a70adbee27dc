//! Disks behind a door: requests come in, stamped with their arrival, and answers leave when they are due.
//!
//! Owns what every way of serving has in common: devices, the timer of late answers, paces, held requests, levers, the
//! access log. Must not know sockets, protocols or mounts.

pub mod access_log;
pub mod device;
pub mod drive;
pub mod image;
pub mod order;
pub mod pace;
mod pool;
pub mod replay;
pub mod simulated;
pub mod timer;

pub use access_log::AccessLog;
pub use device::{
    Answer, AttachError, Device, Exports, Facts, Health, Moment, OpenError, Outlet, Reply, Request, Trouble,
    Work,
};
pub use drive::{DriveDevice, DriveOptions};
pub use image::{ImageDevice, ImageOptions};
pub use order::Order;
pub use pace::{Idle, Pace};
pub use simulated::{SimDevice, SimOptions, WhenGone};
