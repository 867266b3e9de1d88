//! `cargo +nightly fuzz run rtt`: tables of round-trip times, imports and posts.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rhumb_fuzz::rtt(data));
