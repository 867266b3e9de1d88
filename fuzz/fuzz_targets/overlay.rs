//! `cargo +nightly fuzz run overlay`: overlays and geofeeds to networks.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rhumb_fuzz::overlay(data));
