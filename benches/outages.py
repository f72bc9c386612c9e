#!/usr/bin/env python3
"""A large file over a network that fails, beside rsync over ssh: outages.py [--quick]

Two machines are made of network namespaces, alice and bob. Homie and rsync send at the same time, at the same bounded rate, so
that one outage hits both. First the network is gone for 300 s (nft drops everything at bob): how long after it is back does
each go on, and do the bytes arrive? Then it loses 30 % of all packets for a minute, each way. rsync is told to go on where it was
(--append-verify) and not to wait for ever, and is started again when it gives up, as a patient user would do. Nothing is
asserted but that every byte arrived. Needs root, a release build, nft, ssh, sshd and rsync. `make bench` runs it.
"""

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

from side_by_side import BIN, Ssh, alice_and_bob, meet, table, wait_until
from transfer import random_file

MIB = 1 << 20
# 16 s at the rate below: the outage comes when a quarter has arrived.
SIZE, RATE = 128 * MIB, 8 * MIB
# Seconds. A user has not that of TCP, which is a quarter of an hour.
PATIENCE = 15


def held(path):
    """Bytes in the files below a directory; some come and go meanwhile."""
    total = 0
    for root, _, names in os.walk(path):
        for name in names:
            try:
                total += os.stat(os.path.join(root, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


def firewall(machines, rule):
    for machine in machines:
        table = "add table inet cut; add chain inet cut in { type filter hook input priority 0; }; flush chain inet cut in"
        machine.run("nft", f"{table}; add rule inet cut in {rule}" if rule else table)


class Homie:
    name = "homie run"

    def __init__(self, alice, bob, big, _ssh):
        self.where = bob.state / "store"
        self.base = held(self.where)
        self.job = alice.spawn(
            BIN / "homie-ctl", "run", "--quiet", "--peer", "bob", "-f", big.name, "-c",
            f"import hashlib; print(hashlib.file_digest(open('{big.name}', 'rb'), 'sha256').hexdigest())", cwd=alice.home,
        )

    def wait(self):
        assert self.job.wait(3600) == 0, "homie run failed"


class Rsync:
    name = "rsync --append-verify, started again"
    base = 0

    def __init__(self, alice, bob, big, ssh):
        self.where = bob.dir / "in"
        self.where.mkdir()
        shell = " ".join(["ssh", f"-o ConnectTimeout={PATIENCE}", *ssh.options])
        argv = ["rsync", "--append-verify", f"--timeout={PATIENCE}", f"--bwlimit={RATE // 1024}", "-e", shell, big, f"root@{bob.ip}:{self.where}/"]
        self.thread = threading.Thread(target=self.until_it_is_there, args=(alice, argv))
        self.thread.start()

    def until_it_is_there(self, alice, argv):
        while alice.spawn(*argv).wait() != 0:
            time.sleep(1)

    def wait(self):
        self.thread.join()


def outage(alice, bob, ssh, machines, rule, seconds):
    """Rows of (who, seconds until it goes on, seconds until all is there) counted from the end of the outage."""
    big = alice.home / "big.bin"
    random_file(big, SIZE)
    has = lambda sender: held(sender.where) - sender.base
    senders = [kind(alice, bob, big, ssh) for kind in (Homie, Rsync)]
    for sender in senders:
        wait_until(lambda: has(sender) > SIZE // 4, f"a quarter by {sender.name}")
    firewall(machines, rule)
    time.sleep(seconds)
    had = {sender: has(sender) for sender in senders}
    firewall(machines, None)
    healed, rows = time.perf_counter(), []

    def look(sender):
        # Its next bytes, or its end if it got through meanwhile.
        while has(sender) <= had[sender] < SIZE:
            time.sleep(0.01)
        on = time.perf_counter() - healed
        sender.wait()
        rows.append([sender.name, f"{had[sender] / MIB:.0f} MiB", f"{on:.1f} s", f"{time.perf_counter() - healed:.1f} s"])

    looks = [threading.Thread(target=look, args=(sender,)) for sender in senders]
    for thread in looks:
        thread.start()
    for thread in looks:
        thread.join()
    sent = hashlib.file_digest(open(big, "rb"), "sha256").hexdigest()
    got = hashlib.file_digest(open(senders[1].where / big.name, "rb"), "sha256").hexdigest()
    said = (alice.dir / "log").read_text(errors="replace")
    assert sent == got and sent in said, "other bytes arrived"
    shutil.rmtree(senders[1].where)
    return sorted(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a network that is gone for 20 s, and loses packets for 10")
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("the figures need network namespaces, so run this as root")
    gone, lossy = (20, 10) if args.quick else (300, 60)
    base = Path(tempfile.mkdtemp(prefix="hg"))
    os.chmod(base, 0o755)
    try:
        with alice_and_bob(base) as (alice, bob):
            alice.start_homied("native", f"bandwidth_limit: {RATE}\n")
            bob.start_homied("native")
            ssh = Ssh(bob)
            ssh.wait(alice)
            meet(alice, bob)
            wait_until(lambda: b'"native"' in alice.homie("--json", "peers").stdout, "bob's engine is known")
            head = ["", "had", "goes on after", "all there after"]
            rows = outage(alice, bob, ssh, [bob], "drop", gone)
            table(f"A NETWORK THAT IS GONE FOR {gone} S, {SIZE // MIB} MiB AT {RATE // MIB} MiB/s", head, rows)
            rows = outage(alice, bob, ssh, [alice, bob], "numgen random mod 100 < 30 drop", lossy)
            table(f"A NETWORK THAT LOSES 30 % FOR {lossy} S, THE SAME", head, rows)
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
