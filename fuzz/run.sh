#!/usr/bin/env bash
# Fuzzes each target for so many seconds, two targets at a time, with stable Rust and without cargo-fuzz:
#
#     fuzz/run.sh 60                 # all targets a minute each: what CI does, four minutes in all
#     fuzz/run.sh 3600 master query  # an hour each
#
# What is found is printed in base64, to be replayed elsewhere. New inputs are kept in fuzz/artifacts/TARGET/corpus.
# RHUMB_FUZZ_SECONDS counts where no argument does, RHUMB_FUZZ_JOBS says how many run at a time.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-${RHUMB_FUZZ_SECONDS:-60}}
[ $# -gt 0 ] && shift
targets=("$@")
[ $# -gt 0 ] || targets=(query master config geo overlay rtt targets load response)

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/../target}
# The versions that the tests run with; cargo adds the fuzzing engine.
cp ../Cargo.lock Cargo.lock
RUSTC_WRAPPER="$PWD/sancov.sh" cargo build --quiet --bins

fuzz_one() {
  local target=$1 seconds=$2 folder=artifacts/$1
  mkdir -p "$folder/corpus"
  rm -f "$folder"/{crash,timeout,oom,leak}-*
  if "$CARGO_TARGET_DIR/debug/$target" "$folder/corpus" "corpus/$target" -artifact_prefix="$folder/" \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 >"$folder/log" 2>&1; then
    local runs coverage
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$folder/log")
    coverage=$(grep -o 'cov: [0-9]*' "$folder/log" | tail -1)
    echo "$target: $runs runs in $seconds s, $coverage, nothing found"
    return
  fi
  echo "$target: FOUND SOMETHING"
  grep -v '^#[0-9]' "$folder/log" | tail -60
  for found in "$folder"/{crash,timeout,oom,leak}-*; do
    [ -e "$found" ] || continue
    echo "replay: base64 -d >fuzz/corpus/$target/$(basename "$found") && cargo test --test corpus; paste:"
    base64 "$found"
  done
  return 1
}
export -f fuzz_one

printf '%s\n' "${targets[@]}" | xargs -P "${RHUMB_FUZZ_JOBS:-2}" -I{} bash -c 'fuzz_one "$1" "$2"' _ {} "$seconds"
