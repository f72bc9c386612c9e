#!/usr/bin/env python3
"""Files from one machine to another, beside iperf3, a bare TLS stream, scp, rsync and tar over ssh: transfer.py [--quick]

Two machines are made of network namespaces, alice and bob, with a homied each. Everything that is compared runs in
turns; medians are shown with the least and the most. Nothing is asserted: figures of a shared machine are for reading.

Three times are taken of Homie. "homied to homied" is what the ssh tools do: from a file that is there to one that is
stored at the far end, every byte checked there against its hash. "the whole road" begins before that, when `homie run`
is typed: files read, cut, hashed and put into alice's store. "the whole job" goes on after it: the job's directory is
made of those files, python starts, its directory is looked through for results, and `homie run` returns. Needs root, a
release build, `cargo build --release --example bare_tls`, iperf3, ssh, sshd and rsync.

Before each figure of the big file, memory for all its copies is written and freed. A virtual machine gives back to its host
what nobody has used for seconds, and takes it again at 4 s a gigabyte instead of 0.6 (both measured): who comes first
after a pause would pay for that, and who comes next would not.

The tools begin with an empty directory, so Homie does with empty stores, which have room for one such file and a half. Then
it sends one more, for which what is there must go: no other tool does that, so it is a row of its own.

"On disk" is a file system of its own in a file on the disk, ext4 with a journal as everybody has it. On one without, which
virtual machines may have, whoever creates 10,000 files after 10,000 were removed pays seconds of the kernel's time: it takes
no inode that was freed a minute ago or less, and looks at each of them (recently_deleted() in fs/ext4/ialloc.c).
"""

import argparse
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from machine import stolen
from side_by_side import BIN, Ssh, alice_and_bob, meet, run, table, wait_until

MIB = 1 << 20
CIPHER = ["-o", "Ciphers=aes128-gcm@openssh.com"]
FILES, FILE_BYTES = 10_000, 4096
# Between two looks whether a gigabyte has arrived: a hundredth of what that takes.
LOOK_BIG = 0.02
# Of the file system on disk: ten times what is in it at once.
DISK_BYTES = 8 << 30


def wire(machine):
    """Bytes that this machine has sent and received so far."""
    shown = json.loads(run("ip", "-n", machine.namespace, "-s", "-j", "link", "show", "eth0").stdout)
    stats = shown[0]["stats64"]
    return stats["tx"]["bytes"] + stats["rx"]["bytes"]


def sends(machine):
    """(milliseconds, bytes) of every transfer of inputs that its homied has completed."""
    log = (machine.dir / "log").read_text(errors="replace")
    found = re.findall(r"inputs sent.*?bytes=(\d+).*?ms=(\d+)", log)
    return [(int(ms), int(sent)) for sent, ms in found]


def failed(machine):
    """What to say when `homie run` did not do it: the log goes when the bench ends, so its last lines are in it."""
    last = (machine.dir / "log").read_text(errors="replace").splitlines()[-12:]
    return RuntimeError("\n".join(["homie run failed; the end of its machine's log:", *last]))


def homie_sends(alice, name, look=0.002):
    """Sends `name` to bob by a job; (ms homied to homied, of the whole road, of the whole job; bytes on the wire).

    Each look whether it is there, `look` seconds apart, takes a twentieth of a millisecond from the transfer, which needs
    both processors, and from none of the tools.
    """
    before, count, began = wire(alice), len(sends(alice)), time.perf_counter()
    job = alice.spawn(BIN / "homie-ctl", "run", "--quiet", "--peer", "bob", "-f", name, "-c", "pass", cwd=alice.home)
    log, length = alice.dir / "log", 0
    while True:
        # Read only when it has grown.
        grown, length = length, log.stat().st_size
        if length != grown and len(sends(alice)) > count:
            break
        if job.poll() not in (None, 0) or time.perf_counter() - began > 120:
            raise failed(alice)
        time.sleep(look)
    road = (time.perf_counter() - began) * 1000
    onwire = wire(alice) - before
    if job.wait(120) != 0:
        raise failed(alice)
    whole = (time.perf_counter() - began) * 1000
    alice.processes.remove(job)
    return sends(alice)[-1][0], road, whole, onwire


def with_empty_stores(alice, bob, size):
    """Starts both anew as on the first day, and has one job done, so that the way between them is open."""
    for machine in (alice, bob):
        if hasattr(machine, "homied"):
            machine.stop_homied()
        shutil.rmtree(machine.state / "store", ignore_errors=True)
    for machine in (alice, bob):
        machine.start_homied("native", f"store_limit: {size * 3 // 2}\n")
    meet(alice, bob)
    wait_until(lambda: b'"native"' in alice.homie("--json", "peers").stdout, "bob's engine is known")
    alice.homie("run", "--quiet", "--peer", "bob", "-c", "pass")


def touch_memory(base, size):
    """Writes as much as the three copies of a file that a sitting can have at once: in a home and in two stores."""
    block = bytes(MIB)
    with tempfile.TemporaryFile(dir=base) as file:
        for _ in range(3 * size // MIB):
            file.write(block)


class Tools:
    """What people use instead. Each brings `path` of alice's into a fresh directory of bob's."""

    def __init__(self, alice, bob, ssh, example):
        self.alice, self.bob, self.ssh, self.example = alice, bob, ssh, example
        self.to = bob.dir / "in"

    def fresh(self):
        shutil.rmtree(self.to, ignore_errors=True)
        self.to.mkdir()

    def timed(self, *argv, fresh=True):
        if fresh:
            self.fresh()
        before, began = wire(self.alice), time.perf_counter()
        self.alice.run(*argv)
        return (time.perf_counter() - began) * 1000, wire(self.alice) - before

    def shell(self):
        return "ssh " + " ".join([*self.ssh.options, *CIPHER])

    def scp(self, path):
        return self.timed("scp", "-q", "-r", *self.ssh.options, *CIPHER, path, f"root@{self.bob.ip}:{self.to}/")

    def rsync(self, path, fresh=True):
        return self.timed("rsync", "-a", "-W", "-e", self.shell(), path, f"root@{self.bob.ip}:{self.to}/", fresh=fresh)

    def tar(self, path):
        there = f"{self.shell()} root@{self.bob.ip} tar -x -C {self.to}"
        return self.timed("sh", "-c", f"tar -c -C {path.parent} {path.name} | {there}")

    def bare(self, path):
        self.fresh()
        port = 7000
        server = self.bob.spawn(self.example, "receive", f"{self.bob.ip}:{port}", self.to / path.name)
        wait_until(lambda: f":{port} ".encode() in self.bob.run("ss", "-ltn").stdout + b" ", "bare_tls listens")
        taken = self.timed(self.example, "send", f"{self.bob.ip}:{port}", path, fresh=False)
        server.wait(60)
        self.bob.processes.remove(server)
        return taken


def rows(taken, size, against):
    base = statistics.median(taken[against])
    out = []
    for name, ms in taken.items():
        median = statistics.median(ms)
        rate = f"{size / median * 1000 / 1e6:.0f}" if size else "-"
        out.append([name, f"{min(ms):.0f}", f"{median:.0f}", f"{max(ms):.0f}", rate, f"{base / median:.2f}x"])
    return out


def random_file(path, size):
    with open(path, "wb") as file:
        for _ in range(size // (64 * MIB)):
            file.write(os.urandom(64 * MIB))


def one_big_file(alice, bob, tools, rounds, size):
    big = alice.home / "big.bin"
    taken = {}
    note = lambda name, ms: taken.setdefault(name, []).append(ms)

    def tool(send):
        tools.fresh()
        touch_memory(alice.dir, size)
        return send(big)[0]

    for number in range(rounds + 1):
        # New bytes every time: what bob has is never sent again.
        random_file(big, size)
        figures = {
            "scp, aes128-gcm": tool(tools.scp),
            "rsync -a -W, aes128-gcm": tool(tools.rsync),
            "tar | ssh, aes128-gcm": tool(tools.tar),
            "bare TLS stream into a file": tool(tools.bare),
        }
        tools.fresh()
        with_empty_stores(alice, bob, size)
        touch_memory(alice.dir, size)
        link, road, whole, _ = homie_sends(alice, "big.bin", LOOK_BIG)
        figures["homied to homied, stored and verified"] = link
        figures["homie run, the whole road to there"] = road
        figures["homie run, the whole job"] = whole
        random_file(big, size)
        touch_memory(alice.dir, size)
        figures["homied to homied, into a full store"] = homie_sends(alice, "big.bin", LOOK_BIG)[0]
        if number > 0 or rounds == 1:
            for name, ms in figures.items():
                note(name, ms)
    medians = {name: statistics.median(ms) for name, ms in taken.items()}
    best = min((name for name in taken if "aes" in name), key=medians.get)
    head = [f"{size // MIB} MiB of random data", "least ms", "median", "most", "MB/s", f"beside {best.split(',')[0]}"]
    table("ONE BIG FILE", head, rows(taken, size, best))
    link, bare = (medians[name] for name in ("homied to homied, stored and verified", "bare TLS stream into a file"))
    print(f"  homied to homied has {bare / link * 100:.0f} % of the bare stream's speed")

    # One byte more, in the middle.
    with open(big, "rb") as file:
        content = bytearray(file.read())
    content.insert(size // 2, 0xA5)
    big.write_bytes(content)
    del content
    link, road, _, onwire = homie_sends(alice, "big.bin")
    table(
        "ONE BYTE INSERTED IN THE MIDDLE OF IT",
        ["homie", "figure"],
        [["bytes on the wire, both ways", f"{onwire / MIB:.2f} MiB"], ["homied to homied", f"{link} ms"], ["the whole road", f"{road:.0f} ms"]],
    )
    big.unlink()


def many_small_files(alice, tools, rounds, where):
    tree = alice.home / "tree"
    taken, again, onwire = {}, {}, {}
    for number in range(rounds + 1):
        shutil.rmtree(tree, ignore_errors=True)
        for index in range(FILES):
            path = tree / f"d{index % 100}" / f"f{index}"
            if index < 100:
                path.parent.mkdir(parents=True)
            path.write_bytes(os.urandom(FILE_BYTES))
        figures = {
            "tar | ssh, aes128-gcm": tools.tar(tree)[0],
            "rsync -a, aes128-gcm": tools.rsync(tree)[0],
        }
        link, road, whole, _ = homie_sends(alice, "tree")
        figures["homied to homied, stored and verified"] = link
        figures["homie run, the whole road to there"] = road
        figures["homie run, the whole job"] = whole
        # In turns here, too: what each clears away after the first time is not in the second time of the same.
        unchanged = {"rsync -a, nothing changed": tools.rsync(tree, fresh=False)}
        link, road, whole, bytes_ = homie_sends(alice, "tree")
        unchanged["homied to homied, nothing changed"] = (link, bytes_)
        unchanged["homie run, the whole road, nothing changed"] = (road, bytes_)
        unchanged["homie run, the whole job, nothing changed"] = (whole, bytes_)
        tools.fresh()
        if number > 0 or rounds == 1:
            for name, ms in figures.items():
                taken.setdefault(name, []).append(ms)
            for name, (ms, count) in unchanged.items():
                again.setdefault(name, []).append(ms)
                onwire[name] = count
    head = [f"{FILES} files of {FILE_BYTES} bytes, {where}", "least ms", "median", "most", "MB/s", "beside rsync"]
    table("MANY SMALL FILES", head, rows(taken, FILES * FILE_BYTES, "rsync -a, aes128-gcm"))
    more = [[*row, f"{onwire[row[0]] / 1024:.1f} KiB"] for row in rows(again, 0, "rsync -a, nothing changed")]
    table("THE SAME TREE AGAIN", ["", "least ms", "median", "most", "MB/s", "beside rsync", "on the wire"], more)
    shutil.rmtree(tree)


def sitting(base, where, rounds, size, example, big):
    was, began = stolen(), time.perf_counter()
    try:
        with alice_and_bob(base) as (alice, bob):
            ssh = Ssh(bob)
            ssh.wait(alice)
            with_empty_stores(alice, bob, size)
            tools = Tools(alice, bob, ssh, example)
            tools.fresh()
            if big:
                server = bob.spawn("iperf3", "-s", "-1")
                wait_until(lambda: b":5201 " in bob.run("ss", "-ltn").stdout, "iperf3 listens")
                told = json.loads(alice.run("iperf3", "-J", "-t", "3", "-c", bob.ip).stdout)
                server.wait(60)
                bob.processes.remove(server)
                print(f"iperf3: {told['end']['sum_received']['bits_per_second'] / 8e6:.0f} MB/s")
                one_big_file(alice, bob, tools, rounds, size)
            many_small_files(alice, tools, rounds, where)
            lost = (stolen() - was) / (time.perf_counter() - began) / os.cpu_count()
            print(f"  the host of this machine kept {lost * 100:.0f} % of its processors from it meanwhile")
    finally:
        shutil.rmtree(base, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two rounds, none of them to warm up, of a smaller file")
    parser.add_argument("--small", action="store_true", help="only the many small files")
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("the figures need network namespaces, so run this as root")
    rounds, size = (1, 256 * MIB) if args.quick else (5, 1024 * MIB)
    example = BIN / "examples" / "bare_tls"
    if not example.exists():
        sys.exit("no bare_tls; first: cargo build --release --example bare_tls")
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; {rounds} rounds in turns")
    for place, where, big in (("/dev/shm", "in memory (tmpfs)", not args.small), (None, "on disk", False)):
        if place and not os.access(place, os.W_OK):
            continue
        base = Path(tempfile.mkdtemp(prefix="hb", dir=place))
        os.chmod(base, 0o755)
        if place:
            sitting(base, where, rounds, size, example, big)
        else:
            on_disk(base, lambda inside: sitting(inside, where, rounds, size, example, big))


def on_disk(base, work):
    """Does the work in a file system of its own."""
    image, inside = base / "image", base / "disk"
    try:
        with open(image, "wb") as file:
            file.truncate(DISK_BYTES)
        run("mkfs.ext4", "-q", "-F", "-O", "has_journal", image)
        inside.mkdir()
        run("mount", "-o", "loop", image, inside)
        try:
            work(inside / "work")
        finally:
            run("umount", inside)
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
