//! What a record of damage or of reads says about a drive.
//!
//! Owns estimators. Must not know how what they estimate was made.

pub mod period;
