//! Maps as lists and bitmaps of sectors.
