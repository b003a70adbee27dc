//! Fill mode.
