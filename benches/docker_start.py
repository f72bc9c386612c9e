#!/usr/bin/env python3
"""What a container costs a job: docker_start.py [--rounds N] [--bin DIR]

In turns, on this machine: the program itself without any container, `docker run`, the bare API sequence
create-attach-start-wait with Homie's own limits, a container that was started ahead by hand and whose shell is told to
execute the program (the floor of what waits), what the engine takes to rename a container (which a waiting one needs to
become a job's), a supervisor that starts the same job cold, and `homie run --local` cold and with a container of the warm
pool. Nothing is asserted. Needs root, an engine with the image homie-base, and a release build. `make bench` runs it.
"""

import argparse
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from machine import PATIENCE, ROOT, Homied, in_turns, job_dir, show, wait_until


# After a start, and before each row: containers of the row before are still being taken apart, which is nobody's start.
REST = 0.5


class Engine(http.client.HTTPConnection):
    """Docker's API over its socket, kept open."""

    def __init__(self):
        super().__init__("localhost", timeout=PATIENCE)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect("/var/run/docker.sock")

    def call(self, method, path, body=None):
        self.request(method, path, json.dumps(body or {}), {"Content-Type": "application/json"})
        answer = self.getresponse()
        text = answer.read()
        assert answer.status < 400, (path, text)
        return json.loads(text) if text.startswith(b"{") else None


def attached(made, streams):
    """A connection to the standard streams of a container."""
    stream = socket.socket(socket.AF_UNIX)
    stream.connect("/var/run/docker.sock")
    stream.sendall(
        f"POST /v1.41/containers/{made}/attach?stream=1&{streams} HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\n"
        "Connection: Upgrade\r\nContent-Length: 0\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += stream.recv(1)
    return stream


def ended(engine, made, stream, began):
    """Milliseconds from `began` to the first byte of a container and to its exit code; nothing of it is left."""
    assert stream.recv(64)
    first = time.perf_counter()
    engine.call("POST", f"/v1.41/containers/{made}/wait")
    whole = time.perf_counter()
    stream.close()
    engine.call("DELETE", f"/v1.41/containers/{made}?force=1")
    return (first - began) * 1000, (whole - began) * 1000


def bare(engine, body):
    """create, attach, start, wait: milliseconds to the first byte and to the exit code."""
    began = time.perf_counter()
    made = engine.call("POST", "/v1.41/containers/create", body)["Id"]
    stream = attached(made, "stdout=1")
    engine.call("POST", f"/v1.41/containers/{made}/start")
    return ended(engine, made, stream, began)


def by_hand(engine, body):
    """A shell that waits in a started container: milliseconds from its order to the first byte and to the exit code."""
    body = {**body, "Cmd": ["sh"], "OpenStdin": True, "StdinOnce": True, "AttachStdin": True}
    made = engine.call("POST", "/v1.41/containers/create", body)["Id"]
    stream = attached(made, "stdin=1&stdout=1")
    engine.call("POST", f"/v1.41/containers/{made}/start")
    time.sleep(REST)
    began = time.perf_counter()
    stream.sendall(b"exec python3 -c 'print(1)'\n")
    return ended(engine, made, stream, began)


def alone(program):
    """Milliseconds to the first byte and to the end of a program that nothing holds."""
    began = time.perf_counter()
    with subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as job:
        assert job.stdout.readline()
        first = time.perf_counter()
    return (first - began) * 1000, (time.perf_counter() - began) * 1000


def renamed(engine, body):
    """Milliseconds that the renaming of a container takes."""
    made = engine.call("POST", "/v1.41/containers/create", body)["Id"]
    began = time.perf_counter()
    engine.call("POST", f"/v1.41/containers/{made}/rename?name=homie-bench-{os.getpid()}")
    took = (time.perf_counter() - began) * 1000
    engine.call("DELETE", f"/v1.41/containers/{made}?force=1")
    return took, took


def waiting(node):
    """How many containers of this homied wait for a job; other homied may use the same engine."""
    argv = ["docker", "ps", "--filter", f"label=homie.node={node}", "--format", "{{.Names}}"]
    names = subprocess.run(argv, capture_output=True, text=True).stdout
    return sum(name.startswith("homie-warm-") for name in names.split())


def supervised(binaries, launch, base, number):
    """Milliseconds from the start of a supervisor to its job's first output, and to exit.json; cold."""
    dir = job_dir(launch, base, number, ["python3", "-c", "print(1)"])
    began = time.perf_counter()
    with subprocess.Popen([binaries / "homied", "__supervise", dir], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        wait_until(lambda: (dir / "output").exists() and (dir / "output").stat().st_size, "output")
        first = time.perf_counter()
        wait_until((dir / "exit.json").exists, "exit.json")
        whole = time.perf_counter()
    shutil.rmtree(dir)
    return (first - began) * 1000, (whole - began) * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--bin", type=Path, default=ROOT / "target" / "release")
    args = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="hd"))
    machines = []
    try:
        for number, size in enumerate((0, 2)):
            machines.append(Homied(base, args.bin, "docker", number, f"warm_containers: {size}\n"))
        cold, warm = machines
        launch = cold.launch()
        limits = launch["limits"]
        engine = Engine()
        body = {
            "Image": launch["image"], "Cmd": ["python3", "-c", "print(1)"], "User": "65534:65534", "NetworkDisabled": True,
            "AttachStdout": True,
            "HostConfig": {
                "NetworkMode": "none", "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"], "ReadonlyRootfs": True,
                "Memory": limits["memory_bytes"], "MemorySwap": limits["memory_bytes"], "PidsLimit": limits["pids"],
                "NanoCpus": limits["cpu_millis"] * 1_000_000, "LogConfig": {"Type": "none"}, "IpcMode": "private",
            },
        }
        rows = {
            "python3 alone, no container": lambda n: alone(["/usr/bin/python3", "-c", "print(1)"]),
            "docker run": lambda n: alone(
                ["docker", "run", "--rm", "--network", "none", launch["image"], "python3", "-c", "print(1)"]
            ),
            "a container that waits, by hand": lambda n: by_hand(engine, body),
            "a container's renaming alone": lambda n: renamed(engine, body),
            "bare API: create, attach, start, wait": lambda n: bare(engine, body),
            "a supervisor, cold": lambda n: supervised(args.bin, launch, base, n),
            "homie run --local, cold": lambda n: cold.run("print(1)"),
            "homie run --local, warm": lambda n: warm.run("print(1)"),
        }
        node = warm.launch()["node"]

        def ready():
            # Looked at twice: that of a short job is removed under the name with which it waited.
            for _ in range(2):
                wait_until(lambda: waiting(node) == 2, "two containers wait")
                time.sleep(REST)

        taken = in_turns(rows, args.rounds, ready)
        show("A TRIVIAL JOB IN A CONTAINER (python3 -c 'print(1)'), milliseconds", taken, "first line", "whole")
        first = {name: statistics.median(line for line, _ in figures) for name, figures in taken.items()}
        ours = first.pop("homie run --local, warm")
        beside = ("python3 alone, no container", "a container that waits, by hand", "docker run")
        print("  first line, warm: " + ", ".join(f"{ours / first[name]:.2f} x {name}" for name in beside))
    finally:
        for machine in machines:
            machine.end()
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
