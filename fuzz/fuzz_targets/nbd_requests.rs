//! Entry point for cargo-fuzz.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| diskwright_fuzz::nbd_requests(bytes));
