#!/bin/bash
# usage: tests/fuzz.sh CARGO-FUZZ SECONDS [TARGET...]
# Runs each fuzz target for so long, from the kept corpus on. What it finds new lies in fuzz/target/found, outside the
# kept corpus; a crash is kept in fuzz/artifacts, printed, and fails the run. FUZZ_RUNS=N tries N inputs instead, from the
# kept corpus alone and with the same seed, for CI: what is tried there shall depend neither on what was found before nor
# on how fast the machine is. (Hash tables have seeds of their own, so two runs still differ a little.)
set -euo pipefail
cd "$(dirname "$0")/.."

cargo_fuzz=$1
seconds=$2
shift 2
[ $# -gt 0 ] || mapfile -t targets < <(sed -n 's/^name = "\(.*\)"$/\1/p' fuzz/Cargo.toml | tail -n +2)
[ $# -eq 0 ] || targets=("$@")

# No input takes a second to read; the memory is that of the largest message, many times over.
limits=(-timeout=10 -rss_limit_mb=1024 -max_len=65536)
found=fuzz/target/found
if [ -n "${FUZZ_RUNS:-}" ]; then
    limits+=(-seed=1 -runs="$FUZZ_RUNS")
    found=$(mktemp -d)
    trap 'rm -rf "$found"' EXIT
else
    limits+=(-max_total_time="$seconds")
fi
"$cargo_fuzz" fuzz build --sanitizer none
failed=()
for target in "${targets[@]}"; do
    echo "== fuzz $target, $([ -n "${FUZZ_RUNS:-}" ] && echo "$FUZZ_RUNS runs" || echo "$seconds s")"
    mkdir -p "$found/$target"
    "$cargo_fuzz" fuzz run --sanitizer none "$target" "$found/$target" "fuzz/corpus/$target" -- \
        "${limits[@]}" -print_final_stats=1 -verbosity=0 || failed+=("$target")
done
if [ ${#failed[@]} -gt 0 ]; then
    printf 'FAILED: fuzz %s\n' "${failed[@]}" >&2
    exit 1
fi
