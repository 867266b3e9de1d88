//! `fuzz/run.sh 60 load`: headers and bodies by which endpoints say their load.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rhumb_fuzz::load(data));
