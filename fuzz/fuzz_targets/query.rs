//! `fuzz/run.sh 60 query`: packets to replies.
#![no_main]

use std::sync::LazyLock;

use rhumb::snapshot::Snapshot;

static WORLD: LazyLock<Snapshot> = LazyLock::new(rhumb_fuzz::world);

libfuzzer_sys::fuzz_target!(|data: &[u8]| rhumb_fuzz::query(&WORLD, data));
