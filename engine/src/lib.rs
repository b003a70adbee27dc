//! The rescue engine.
