//! Our ddrescue and the original, side by side: same reads in the same order, same map, same image, same screen, same
//! messages, same exit status.
//!
//! `DISKWRIGHT_SEEDS` says how many random cases to try; `DISKWRIGHT_SEED` replays one. The original must be installed.

mod modes;
mod random;
mod same_file;
mod screens;
mod side;
mod slow;
mod usage;
