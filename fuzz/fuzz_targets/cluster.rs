//! `cargo +nightly fuzz run cluster`: what a node may get of another one.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rhumb_fuzz::cluster(data));
