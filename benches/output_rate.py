#!/usr/bin/env python3
"""How fast 100-byte lines get from a job into its file: output_rate.py [--rounds N] [--bin DIR]

In turns, on this machine: a bare pipe copied to a file, then jobs of each engine that answers, measured by the growth of
their output on the worker. Then how long a line of another job is on its way to the terminal of `homie run`: with nothing
beside it, beside a job that writes 300 MB/s, and beside one that writes as fast as it can, which fills every processor; the
bare figure is a line through a pipe beside the same writer. Last the same from one machine to another, two network namespaces,
beside ssh, which people use instead; there what the other job writes crosses the network too. Nothing is asserted. Needs root, a
release build, ssh and sshd. `make bench` runs it.
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import side_by_side
from machine import ROOT, Homied, in_turns, show, wait_until
from transfer import CIPHER, wire

LINES = 2_000_000
TOTAL = LINES * 100
WRITER = f"import os\nb = (b'{'x' * 99}\\n') * 1000\nfor _ in range({LINES // 1000}): os.write(1, b)"
# Without end: 300 MB/s, and as fast as it goes.
PACED = f"""import os, time
b, due = (b'{'x' * 99}\\n') * 3000, time.monotonic()
while True:
    os.write(1, b)
    due += 0.001
    time.sleep(max(0, due - time.monotonic()))"""
TORRENT = f"import os\nb = (b'{'x' * 99}\\n') * 1000\nwhile True: os.write(1, b)"
BESIDE = {"alone": None, "beside 300 MB/s": PACED, "beside a torrent": TORRENT}
PIECE = 64 << 10
# Says each 20 ms when it speaks, by the clock that all processes share.
SPEAKER = "import time\nfor _ in range(150): time.sleep(0.02); print(time.monotonic_ns(), flush=True)"


def bare(base, _number):
    """MB/s of the same writer over a pipe into a file, copied by a loop of this program's own."""
    path = base / "bare"
    with subprocess.Popen([sys.executable, "-c", WRITER], stdout=subprocess.PIPE, bufsize=0) as writer, open(path, "wb", 0) as file:
        source, target, done, from_, at = writer.stdout.fileno(), file.fileno(), 0, 0, 0.0
        while piece := os.read(source, PIECE):
            done += os.write(target, piece)
            if not from_ and done > TOTAL // 10:
                from_, at = done, time.perf_counter()
        rate = (done - from_) / (time.perf_counter() - at) / 1e6
    path.unlink()
    return (rate,)


def of_job(machine, _number):
    """MB/s at which a job's output grows on the worker, from its first tenth on."""
    outputs = machine.home / "jobs"
    before = set(outputs.glob("*/output"))
    done = machine.homie("run", "--local", "--detach", "-c", WRITER)
    assert done.returncode == 0, done
    path = wait_until(lambda: next(iter(set(outputs.glob("*/output")) - before), None), "output")
    size = lambda: path.stat().st_size
    wait_until(lambda: size() > TOTAL // 10, "the first tenth")
    from_, at = size(), time.perf_counter()
    wait_until(lambda: size() >= TOTAL, "all lines")
    rate = (size() - from_) / (time.perf_counter() - at) / 1e6
    # The submitter's copy is written meanwhile; the next round begins when this one is over.
    argv = [machine.bin / "homie-ctl", "attach", "last"]
    subprocess.run(argv, env=machine.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return (rate,)


def ways(argv, env=None):
    """Milliseconds that each line of a speaker was on its way: the median, 99 of 100, and the longest."""
    with subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as speaker:
        taken = sorted((time.monotonic_ns() - int(line)) / 1e6 for line in speaker.stdout)
    assert speaker.returncode == 0 and len(taken) == 150, (speaker.returncode, len(taken))
    return taken[75], taken[148], taken[149]


def bare_way(beside):
    """The same through a pipe alone; `beside` a writer whose pipe is emptied as fast as it is filled."""
    drain = f"import os\nwhile os.read(0, {PIECE}): pass"
    writer = subprocess.Popen([sys.executable, "-c", beside], stdout=subprocess.PIPE) if beside else None
    reader = subprocess.Popen([sys.executable, "-c", drain], stdin=writer.stdout) if beside else None
    try:
        return ways([sys.executable, "-c", SPEAKER])
    finally:
        for process in filter(None, (writer, reader)):
            process.kill()
            process.wait()


def way(machine, beside):
    """The same for a job's line, from the job to what `homie run` prints."""
    torrent = None
    if beside:
        argv = [machine.bin / "homie-ctl", "run", "--local", "--raw", "-c", beside]
        torrent = subprocess.Popen(argv, env=machine.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        outputs = machine.home / "jobs"
        wait_until(lambda: any(path.stat().st_size > TOTAL // 10 for path in outputs.glob("*/output")), "a torrent")
    try:
        return ways([machine.bin / "homie-ctl", "run", "--local", "--raw", "-c", SPEAKER], machine.env)
    finally:
        if torrent:
            # Once to end the job, which is followed to its end.
            torrent.send_signal(signal.SIGINT)
            torrent.wait()


def far_way(alice, argv, beside):
    """The same from bob to alice, of whatever `argv` makes of a program there."""
    far = lambda program: alice.argv(*argv(program))
    torrent = None
    if beside:
        before = wire(alice)
        quiet = {name: subprocess.DEVNULL for name in ("stdin", "stdout", "stderr")}
        torrent = subprocess.Popen(far(beside), env=alice.env(), **quiet)
        wait_until(lambda: wire(alice) - before > TOTAL // 10, "a torrent")
    try:
        return ways(far(SPEAKER), alice.env())
    finally:
        if torrent:
            torrent.send_signal(signal.SIGINT)
            torrent.wait()


def over_a_network(base, binaries, rounds):
    side_by_side.BIN = binaries
    with side_by_side.alice_and_bob(base) as (alice, bob):
        for machine in (alice, bob):
            machine.start_homied("native", "container_output_limit: 4g\n")
        ssh = side_by_side.Ssh(bob)
        ssh.wait(alice)
        side_by_side.meet(alice, bob)
        wait_until(lambda: b'"native"' in alice.homie("--json", "peers").stdout, "bob's engine is known")
        tools = {
            "ssh": lambda program: ["ssh", *ssh.options, *CIPHER, f"root@{bob.ip}", f"/usr/bin/python3 -c {shlex.quote(program)}"],
            "homie run": lambda program: [binaries / "homie-ctl", "run", "--peer", "bob", "--raw", "-c", program],
        }
        rows = {
            f"{name}, {what}": lambda n, argv=argv, beside=beside: far_way(alice, argv, beside)
            for what, beside in BESIDE.items() for name, argv in tools.items()
        }
        show("A LINE'S WAY FROM ONE MACHINE TO ANOTHER, milliseconds", in_turns(rows, rounds), "median", "99 of 100", "longest")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bin", type=Path, default=ROOT / "target" / "release")
    args = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="ho"))
    machines = {}
    try:
        able, rows = [], {"a pipe, copied to a file": lambda n: bare(base, n)}
        for number, engine in enumerate(("native", "docker")):
            machine = machines[engine] = Homied(base, args.bin, engine, number)
            if machine.homie("run", "--local", "-c", "print(1)").returncode != 0:
                print(f"left out: the {engine} engine runs no job here")
                continue
            able.append(engine)
            rows[f"a job of the {engine} engine"] = lambda n, machine=machine: of_job(machine, n)
        show(f"100-BYTE LINES FROM A JOB TO ITS FILE ({TOTAL / 1e6:.0f} MB), MB/s", in_turns(rows, args.rounds), "rate")
        rows = {}
        for what, beside in BESIDE.items():
            rows[f"a pipe, {what}"] = lambda n, beside=beside: bare_way(beside)
            for engine in able:
                rows[f"a job of the {engine} engine, {what}"] = lambda n, e=engine, beside=beside: way(machines[e], beside)
        show("A LINE'S WAY FROM THE JOB TO THE TERMINAL, milliseconds", in_turns(rows, args.rounds), "median", "99 of 100", "longest")
        over_a_network(base, args.bin, args.rounds)
    finally:
        for machine in machines.values():
            machine.end()
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
