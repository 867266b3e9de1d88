//! `fuzz/run.sh 60 master`: master files to records.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rhumb_fuzz::master(data));
