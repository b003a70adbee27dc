//! Whole-map operations: what ddrescuelog does to maps.
