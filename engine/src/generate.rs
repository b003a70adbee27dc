//! Generate mode.
