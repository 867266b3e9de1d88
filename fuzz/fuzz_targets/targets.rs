//! `cargo +nightly fuzz run targets`: lists of targets of endpoints that are found.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rhumb_fuzz::targets(data));
