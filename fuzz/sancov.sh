#!/bin/sh
# A compiler wrapper: counts branches in our own crates and in the targets, as libFuzzer wants to see them; leaves the
# libraries alone, so that a fuzzing build shares them with the build of the tests. Works with stable Rust.
compiler=$1
shift
case " $* " in
  *" --crate-name rhumb "* | *" --crate-name rhumb_fuzz "*)
    exec "$compiler" "$@" --cfg fuzzing -Cpasses=sancov-module \
      -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
      -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
esac
exec "$compiler" "$@"
