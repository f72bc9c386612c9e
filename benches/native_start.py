#!/usr/bin/env python3
"""What a jail costs a job: native_start.py [--rounds N] [--bin DIR]

In turns, on this machine: the least a jail can be (bare_jail.c: namespaces, a root, control groups) with an overlay and
without, homied's program doing nothing (what loading it costs before the first line of a supervisor), bubblewrap with the
same namespaces, a supervisor with the native engine, and `homie run --local`; each with `true` and with `python3 -c pass`. A job's
supervisor is loaded when the job is accepted and waits for its inputs: from the word to begin it has its own row, beside
that of one that is loaded only then. A supervisor's job is over for others when exit.json is there: that is shown beside its own end. Before each there is a rest, so that none profits
from what the kernel still holds for the one before (a change of control groups, above all). Nothing is asserted. Needs root, cc, bwrap and a release build. `make bench` runs it.
"""

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from machine import PATIENCE, ROOT, Homied, in_turns, job_dir, show

PROGRAMS = (["true"], ["/usr/bin/python3", "-c", "pass"])
# What the native engine shows a job of the host, in bubblewrap's words.
BWRAP = (
    "bwrap --unshare-all --die-with-parent --new-session --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib"
    " --symlink usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp"
).split()


# Longer than the kernel takes to come to rest (a few RCU grace periods).
REST = 0.1


def timed(*argv):
    """Milliseconds from the start of a program to its end, twice: nobody is told earlier."""
    began = time.perf_counter()
    subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return ((time.perf_counter() - began) * 1000,) * 2


def groups():
    """Where a job's control groups are made: a directory a hierarchy in version 1, one in version 2."""
    top = Path("/sys/fs/cgroup")
    old = [top / name for name in ("memory", "cpu", "pids") if (top / name / "cgroup.procs").exists()]
    return ",".join(str(dir / "homie-bench") for dir in old or [top])


def supervised(binaries, launch, base, number, command, stands_by):
    """From the start of a supervisor, or from the word to one that stands by, to exit.json, and to its own end; the job's
    directory is there already."""
    dir = job_dir(launch, base, number, command)
    report = dir / "exit.json"
    watched = os.open(dir, os.O_RDONLY)
    # Wakes as homied does: when a file of the directory gets its name.
    fcntl.fcntl(watched, fcntl.F_NOTIFY, fcntl.DN_RENAME | fcntl.DN_MULTISHOT)
    argv, waiting, word = [binaries / "homied", "__supervise", dir], subprocess.DEVNULL, None
    if stands_by:
        argv.append("when-told")
        waiting, word = os.pipe()
    began = time.perf_counter()
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=waiting):
        if stands_by:
            os.close(waiting)
            rest()
            began = time.perf_counter()
            os.write(word, bytes(dir))
            os.close(word)
        while not report.exists():
            if not signal.sigtimedwait({signal.SIGIO}, PATIENCE):
                raise RuntimeError("no report")
        told = time.perf_counter()
    ended = time.perf_counter()
    os.close(watched)
    assert '"code":0' in report.read_text(), report.read_text()
    shutil.rmtree(dir)
    return (told - began) * 1000, (ended - began) * 1000


def rest():
    time.sleep(REST)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--bin", type=Path, default=ROOT / "target" / "release")
    args = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="hn"))
    # What an overlay writes is a matter of the file system below it; memory is the fastest there is.
    layers = Path(tempfile.mkdtemp(prefix="hn", dir="/dev/shm"))
    machine = None
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})
    try:
        bare = base / "bare_jail"
        subprocess.run(["cc", "-O2", "-static", "-o", bare, ROOT / "benches" / "bare_jail.c"], check=True)
        for name in ("up", "scratch", "root"):
            (layers / name).mkdir()
        machine = Homied(base, args.bin, "native", 0)
        launch = machine.launch()
        for program in PROGRAMS:
            code = "pass" if program != ["true"] else None
            rows = {
                "no jail": lambda n: timed(*program),
                "bare jail: namespaces, overlay, groups": lambda n: timed(bare, "overlay", layers, groups(), *program),
                "bare jail without the overlay": lambda n: timed(bare, "bind", layers, groups(), *program),
                "homied loaded, doing nothing": lambda n: timed(args.bin / "homied", "--version"),
                "bwrap --unshare-all (no groups)": lambda n: timed(*BWRAP, *program),
                "Homie's supervisor, loaded for it": lambda n: supervised(args.bin, launch, base, n, program, False),
                "Homie's supervisor, standing by": lambda n: supervised(args.bin, launch, base, n, program, True),
            }
            if code:
                rows["homie run --local, whole"] = lambda n: (machine.run("print(1)")[1],) * 2
            show(f"{' '.join(program)}, FROM START TO END, milliseconds", in_turns(rows, args.rounds, rest), "told", "whole")
    finally:
        if machine:
            machine.end()
        shutil.rmtree(layers, ignore_errors=True)
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
