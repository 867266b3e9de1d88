//! `cargo +nightly fuzz run response`: responses of HTTP/1.1 to probes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rhumb_fuzz::response(data));
