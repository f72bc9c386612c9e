#!/bin/bash
# Builds every suite once, runs each, then runs those that behave differently without root again as an ordinary user.
# Prints the seconds of each. With CI=true a test that cannot run here fails instead of being left out.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
# Belongs to nobody in /etc/passwd, and lies in the range that systemd gives to dynamic users, so no person has it.
ordinary_uid=61184

took=()
failed=()
suite() {
    local name=$1 began=$SECONDS
    shift
    echo "== $name"
    "$@" || failed+=("$name")
    took+=("$(printf '%5d s  %s' $((SECONDS - began)) "$name")")
}

# The path of the test binary of a target (`lib`, `it`, ...) as cargo just built it.
binary() {
    sed -n "s/^  Executable .*[(]\(.*\)[)]$/\1/p" "$built" | grep -E "/$1-[0-9a-f]+$" | head -n 1
}

built=$(mktemp)
scratch=$(mktemp -d)
trap 'rm -rf "$built" "$scratch"' EXIT

began=$SECONDS
cargo test --locked --no-run 2>&1 | tee "$built"
took+=("$(printf '%5d s  build' $((SECONDS - began)))")

suite "unit tests" cargo test --locked --quiet --lib --bins
suite "documentation examples" cargo test --locked --quiet --doc
for test in tests/*.rs tests/*/main.rs; do
    [ -e "$test" ] || continue
    name=${test#tests/}
    name=${name%/main.rs}
    name=${name%.rs}
    suite "tests/$name" cargo test --locked --quiet --test "$name"
done

if [ "$(id -u)" = 0 ]; then
    # The checkout may lie where nobody else may look, so the user gets copies.
    install -d -o $ordinary_uid "$scratch/home" "$scratch/tmp"
    install -m 755 "$target/debug/homied" "$target/debug/homie-ctl" "$(binary homie)" "$(binary it)" "$(binary escape)" "$scratch"
    cp -r examples "$scratch/examples"
    install -d "$scratch/tests"
    cp -r tests/fixtures "$scratch/tests/fixtures"
    chmod 755 "$scratch"
    as_user() {
        local suite=$1
        shift
        # Not this shell's PATH: it may lead into directories that the user cannot enter.
        (cd "$scratch/home" && setpriv --reuid $ordinary_uid --regid $ordinary_uid --clear-groups \
            env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin CI="${CI:-}" HOME="$scratch/home" TMPDIR="$scratch/tmp" \
            HOMIE_TEST_BIN="$scratch" HOMIE_TEST_EXAMPLES="$scratch/examples" HOMIE_TEST_PASS=user CARGO_MANIFEST_DIR="$scratch" \
            "$scratch/$suite" --quiet "$@")
    }
    suite "unit tests, as an ordinary user" as_user "$(basename "$(binary homie)")"
    suite "tests/it, as an ordinary user" as_user "$(basename "$(binary it)")"
    # The engine's socket is root's; the native jail of an ordinary user is another one than root's.
    suite "tests/escape, as an ordinary user" as_user "$(basename "$(binary escape)")" native
fi

echo "== seconds"
printf '%s\n' "${took[@]}"
if [ ${#failed[@]} -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}" >&2
    exit 1
fi
