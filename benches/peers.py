#!/usr/bin/env python3
"""What many peers cost, and how long a connection and a question take: peers.py [--quick]

alice runs homied; in another network namespace a crowd of machines has the real link and the real heartbeats
(benches/peers.rs). alice makes sure of each of them once and then hears 500 heartbeats a second. Beside the connection
stands the bare TCP one on the same path. Nothing is asserted. Needs root, a release build and the example `peers`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from side_by_side import BIN, MARK, Machine, run, table, timed, usage

PEERS = BIN / "examples" / "peers"
CROWD = 1000
# alice makes sure of everybody once, a few at a time; this process has all of the others on the same processors.
ACQUAINTED = 300
# A link that nobody uses is closed after a minute.
IDLE = 75


def join(alice, crowd):
    """One cable; behind it the crowd's addresses, as behind a router, so that no table of neighbours fills up."""
    a, c = (["ip", "-n", machine.namespace] for machine in (alice, crowd))
    run(*a, "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", crowd.namespace)
    for n, machine in ((a, alice), (c, crowd)):
        run(*n, "addr", "add", f"{machine.ip}/24", "broadcast", "+", "dev", "eth0")
        for device in ("lo", "eth0"):
            run(*n, "link", "set", device, "up")
    run(*a, "route", "add", "10.80.0.0/16", "via", crowd.ip)
    run(*c, "addr", "add", "10.80.0.0/16", "dev", "lo")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="10 s of heartbeats instead of 60")
    seconds = 10 if parser.parse_args().quick else 60
    if os.geteuid() != 0:
        sys.exit("the figures need network namespaces, so run this as root")
    base = Path(tempfile.mkdtemp(prefix="hb"))
    os.chmod(base, 0o755)
    machines = []
    try:
        for number, name in enumerate(("alice", "crowd"), 1):
            machines.append(Machine(name, number, base))
        join(*machines)
        measure(*machines, seconds)
    finally:
        for machine in machines:
            machine.end()
        shutil.rmtree(base, ignore_errors=True)


def peers_of(alice):
    return len(json.loads(alice.homie("peers", "--json").stdout)["peers"])


def at_rest(alice, seconds):
    before = usage(alice.homied)
    time.sleep(seconds)
    after = usage(alice.homied)
    return f"{(after[1] - before[1]) / seconds * 100:.2f} %", f"{after[0] / 2**20:.1f} MiB", f"{timed(lambda: peers_of(alice)):.1f} ms"


def spread(taken):
    return [f"{figure:.3f}" for figure in (min(taken), statistics.median(taken), max(taken))]


def measure(alice, crowd, seconds):
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; {seconds} s each")
    alice.start_homied("native")
    secret = f"{MARK}-bench-secret-of-this-sitting\n".encode()

    dialled = subprocess.run(
        crowd.argv(PEERS, "dial", f"{alice.ip}:5556", 100), input=secret, stdout=subprocess.PIPE, check=True, timeout=120
    )
    taken = json.loads(dialled.stdout)
    listening = "import socket,sys\ns = socket.create_server(('0.0.0.0', 7000))\nwhile True: s.accept()[0].close()"
    alice.spawn(sys.executable, "-c", listening)
    bare = "import socket,time,json\nout = []\nwhile len(out) < 100:\n" \
        " began = time.perf_counter()\n try: socket.create_connection(('%s', 7000)).close()\n except OSError: time.sleep(0.05); continue\n" \
        " out.append((time.perf_counter() - began) * 1000)\nprint(json.dumps(out))" % alice.ip
    bare = json.loads(crowd.run(sys.executable, "-c", bare).stdout)
    rows = [
        ["TCP, nothing else", *spread(bare)],
        ["a member's link: gate, TLS 1.3, HELLO, registry (goal 5)", *spread(taken["set_up_ms"])],
        ["a question and its answer on it (goal 0.2)", *spread(taken["round_trip_ms"])],
    ]
    table("CONNECTION, ms", ["", "least", "median", "most"], rows)

    rows = [["alone", *at_rest(alice, seconds)]]
    before = peers_of(alice)
    began = time.monotonic()
    process = subprocess.Popen(
        crowd.argv(PEERS, "crowd", CROWD, "10.80.1.1", "10.79.0.255"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    crowd.processes.append(process)
    process.stdin.write(secret)
    process.stdin.flush()
    while (known := peers_of(alice) - before) < CROWD:
        if time.monotonic() - began > ACQUAINTED:
            print(f"only {known} of {CROWD} are listed after {ACQUAINTED} s")
            break
        time.sleep(0.5)
    print(f"\n{known} machines are listed {time.monotonic() - began:.0f} s after the first of them started")
    rows.append([f"{known} peers, just listed", *at_rest(alice, seconds)])
    time.sleep(IDLE)
    rows.append([f"{known} peers, their links at rest (goal 5 %, 64 MiB)", *at_rest(alice, seconds)])
    table("MANY PEERS", ["alice's homied", "of one core", "memory", "`homie peers`"], rows)


if __name__ == "__main__":
    main()
