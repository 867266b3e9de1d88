//! `fuzz/run.sh 60 config`: the operator's files to a model.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rhumb_fuzz::config(data));
