#!/bin/bash
# usage: tests/fuzz.sh CARGO-FUZZ SECONDS [TARGET...]
# Runs each fuzz target for so long, from the kept corpus on. What it finds new lies in fuzz/target/found, outside the
# kept corpus; a crash is kept in fuzz/artifacts, printed, and fails the run. FUZZ_SEED=N makes the mutations the same in
# each run, for CI: there a change is tried, not luck.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo_fuzz=$1
seconds=$2
shift 2
[ $# -gt 0 ] || mapfile -t targets < <(sed -n 's/^name = "\(.*\)"$/\1/p' fuzz/Cargo.toml | tail -n +2)
[ $# -eq 0 ] || targets=("$@")

# No input takes a second to read; the memory is that of the largest message, many times over.
limits=(-timeout=10 -rss_limit_mb=1024 -max_len=65536 -seed="${FUZZ_SEED:-0}")
"$cargo_fuzz" fuzz build --sanitizer none
failed=()
for target in "${targets[@]}"; do
    echo "== fuzz $target, $seconds s"
    mkdir -p "fuzz/target/found/$target"
    "$cargo_fuzz" fuzz run --sanitizer none "$target" "fuzz/target/found/$target" "fuzz/corpus/$target" -- \
        "${limits[@]}" -max_total_time="$seconds" -print_final_stats=1 -verbosity=0 || failed+=("$target")
done
if [ ${#failed[@]} -gt 0 ]; then
    printf 'FAILED: fuzz %s\n' "${failed[@]}" >&2
    exit 1
fi
