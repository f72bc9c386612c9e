#!/usr/bin/env python3
"""What a stranger on the LAN costs: attacks.py [--quick]

Three network namespaces on one bridge: alice and bob run homied, the stranger knows no secret (tests/fixtures/stranger.py).
Beside each attack the same time without one is measured, and how long a member's job takes meanwhile. Nothing is asserted.
Needs root and a release build.
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

from side_by_side import MARK, ROOT, Machine, meet, run, table, timed, usage

STRANGER = ROOT / "tests" / "fixtures" / "stranger.py"


def jobs(bob, seconds):
    """Milliseconds of each trivial job that bob sends to alice, one after the other for so long."""
    until, taken = time.monotonic() + seconds, []
    while time.monotonic() < until:
        taken.append(timed(lambda: bob.homie("run", "--peer", "alice", "-c", "pass")))
        time.sleep(0.5)
    return taken


def under(alice, bob, seconds, attack):
    """alice's figures during `attack` (which may be None)."""
    before = usage(alice.homied)
    began = time.monotonic()
    process = attack and subprocess.Popen(attack, stdout=subprocess.PIPE)
    taken = jobs(bob, seconds) if attack is None or "hold" in attack else []
    told = json.loads(process.communicate()[0].splitlines()[-1]) if process else {}
    if not process and time.monotonic() - began < seconds:
        time.sleep(seconds - (time.monotonic() - began))
    after = usage(alice.homied)
    percent = (after[1] - before[1]) / (time.monotonic() - began) * 100
    return percent, (after[0] - before[0]) / 2**20, taken, told


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="10 s for each attack instead of 60")
    seconds = 10 if parser.parse_args().quick else 60
    if os.geteuid() != 0:
        sys.exit("the figures need network namespaces, so run this as root")
    base = Path(tempfile.mkdtemp(prefix="hb"))
    os.chmod(base, 0o755)
    machines, hub = [], f"{MARK}hub"
    run("ip", "netns", "add", hub)
    try:
        run("ip", "-n", hub, "link", "add", "lan", "type", "bridge")
        run("ip", "-n", hub, "link", "set", "lan", "up")
        for number, name in enumerate(("alice", "bob", "stranger"), 1):
            machine = Machine(name, number, base)
            machines.append(machine)
            n = ["ip", "-n", machine.namespace]
            run(*n, "link", "add", "eth0", "type", "veth", "peer", f"p{number}", "netns", hub)
            run("ip", "-n", hub, "link", "set", f"p{number}", "master", "lan", "up")
            run(*n, "addr", "add", f"{machine.ip}/24", "broadcast", "+", "dev", "eth0")
            run(*n, "link", "set", "eth0", "up")
            run(*n, "link", "set", "lo", "up")
        measure(*machines, seconds)
    finally:
        for machine in machines:
            machine.end()
        run("ip", "netns", "del", hub)
        shutil.rmtree(base, ignore_errors=True)


def measure(alice, bob, stranger, seconds):
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; {seconds} s each")
    for machine in (alice, bob):
        machine.start_homied("native")
    meet(alice, bob)
    beats = stranger.home / "beats.json"
    act = lambda *words: stranger.argv(sys.executable, STRANGER, *words)
    subprocess.run(act("capture", beats, f"{alice.ip},{bob.ip}", 1), check=True, stdout=subprocess.DEVNULL)
    jobs(bob, 3)
    attacks = {
        "nothing": None,
        "10,000 forged heartbeats a second": act("forge", beats, stranger.ip, alice.ip, seconds, 10000),
        "2,000 connections, half of them 1 byte a second": act("hold", alice.ip, 2000, seconds),
    }
    rows = []
    for name, attack in attacks.items():
        percent, grown, taken, told = under(alice, bob, seconds, attack)
        came_back = told.get("answers", told.get("bytes", 0))
        rows.append(
            [name, f"{percent:.2f} %", f"{grown:+.1f} MiB", f"{came_back}", f"{told['sent'] / seconds:.0f}/s" if "sent" in told else
             f"{told['closed']} closed, longest {told['longest_s']} s" if told else "",
             f"{statistics.median(taken):.0f} / {max(taken):.0f}" if taken else ""]
        )
    head = ["alice's homied under", "of one core", "memory", "answered", "what was sent", "bob's jobs, median / most ms"]
    table("UNDER ATTACK", head, rows)


if __name__ == "__main__":
    main()
