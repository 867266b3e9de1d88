//! `fuzz/run.sh 60 geo`: MaxMind DB files to a layer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rhumb_fuzz::geo(data));
