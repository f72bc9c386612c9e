#!/bin/bash
# Runs tests/docker against several engines: matrix.sh [installed] [podman] [26] [28]; all of them when none is named.
#
# installed  the engine that answers at /var/run/docker.sock (Debian 12: Docker 20.10)
# podman     Podman of this machine, as a service on a socket of its own
# 26, 28     Docker of Debian trixie and of sid, each from a tree of its own (debootstrap, kept in $CACHE), with its own
#            containerd, state and socket, in a mount namespace where it sees this machine's /tmp: jobs' files lie there
#
# Needs root, debootstrap and a Debian mirror. Nothing of the machine's own engine is touched.
set -euo pipefail
cd "$(dirname "$0")/../.."

CACHE=${HOMIE_TEST_CACHE:-/var/cache/homie}
MIRROR=${HOMIE_TEST_MIRROR:-http://deb.debian.org/debian}
scratch=$(mktemp -d /tmp/homie-matrix-XXXXXX)
results=()
engine=

stop() {
    [ -n "$engine" ] || return 0
    kill "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
    engine=
    # Shims outlive their daemon; their command lines name its directory.
    for process in /proc/[0-9]*; do
        if grep -qs "$scratch" "$process/cmdline" && [ "${process#/proc/}" != $$ ]; then
            kill -9 "${process#/proc/}" 2>/dev/null || true
        fi
    done
}
finish() {
    stop
    awk -v below="$scratch" 'index($2, below) == 1 { print $2 }' /proc/mounts | sort -r | while read -r place; do umount -l "$place" || true; done
    rm -rf "$scratch"
}
trap finish EXIT

answers() {
    for _ in $(seq 300); do
        curl -fs --unix-socket "$1" http://localhost/_ping >/dev/null && return
        sleep 0.2
    done
    echo "no engine answers at $1" >&2
    cat "$scratch"/*/log >&2 || true
    return 1
}

# Docker of a Debian suite, with the tree as its root.
from_tree() {
    local suite=$1 dir=$scratch/$1 tree=$CACHE/trees/$1
    if [ ! -e "$tree/complete" ]; then
        rm -rf "$tree"
        mkdir -p "$tree"
        debootstrap --variant=minbase --include=docker.io,docker-cli,iptables "$suite" "$tree" "$MIRROR" >"$tree.log"
        touch "$tree/complete"
    fi
    mkdir -p "$dir"
    # A plain chroot fails when layers are unpacked: runc and the graph driver want a real root.
    unshare -m --propagation private bash -c '
        set -e
        tree=$1 dir=$2
        mount --bind "$tree" "$tree"
        for place in /dev /proc /sys /tmp; do mkdir -p "$tree$place"; mount --rbind $place "$tree$place"; done
        mount -t tmpfs tmpfs "$tree/run"
        mkdir -p "$tree/old"
        cd "$tree"
        pivot_root . old
        umount -l /old
        exec dockerd --host "unix://$dir/sock" --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/pid" \
            --bridge=none --iptables=false --ip6tables=false' bash "$tree" "$dir" >"$dir/log" 2>&1 &
    engine=$!
    answers "$dir/sock"
}

run() {
    local name=$1 socket=$2 began=$SECONDS
    local version
    version=$(curl -fs --unix-socket "$socket" http://localhost/version | grep -o '"Version":"[^"]*"' | head -n 1)
    echo "== $name: $version"
    if CI=true DOCKER_HOST=unix://$socket ${TEST_DOCKER:-cargo test --locked --quiet --test docker --}; then
        results+=("passed  $((SECONDS - began)) s  $name  $version")
    else
        results+=("FAILED  $((SECONDS - began)) s  $name  $version")
    fi
    stop
}

[ $# -gt 0 ] || set -- installed podman 26 28
for which in "$@"; do
    case $which in
    installed) run installed /var/run/docker.sock ;;
    podman)
        mkdir -p "$scratch/podman"
        runtime=$(command -v runc || command -v crun)
        # Its monitor leaves a file named oom where it was started.
        cd "$scratch/podman"
        podman --root "$scratch/podman/root" --runroot "$scratch/podman/run" --runtime "$runtime" --cgroup-manager cgroupfs \
            system service --time 0 "unix://$scratch/podman/sock" >"$scratch/podman/log" 2>&1 &
        engine=$!
        cd "$OLDPWD"
        answers "$scratch/podman/sock"
        run podman "$scratch/podman/sock"
        ;;
    26) from_tree trixie && run "Docker 26" "$scratch/trixie/sock" ;;
    28) from_tree sid && run "Docker 28" "$scratch/sid/sock" ;;
    *) echo "matrix.sh [installed] [podman] [26] [28]" >&2 && exit 2 ;;
    esac
done

printf '%s\n' "${results[@]}"
! printf '%s\n' "${results[@]}" | grep -q ^FAILED
