#!/usr/bin/env python3
"""What a container costs a job: docker_start.py [--rounds N] [--bin DIR]

In turns, on this machine: the bare API sequence create-attach-start-wait with Homie's own limits, a supervisor that starts
the same job cold, and one that is handed a container of the warm pool; then `homie run --local` both ways; then how fast
100-byte lines get from a job into its file. Nothing is asserted. Needs root, an engine with the image homie-base, and a
release build. `make bench` runs it.
"""

import argparse
import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60
LINES = 2_000_000


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


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"still not: {what}")
        time.sleep(0.0005)
    return found


def bare(engine, body):
    """create, attach, start, wait: milliseconds to the first byte and to the exit code."""
    began = time.perf_counter()
    made = engine.call("POST", "/v1.41/containers/create", body)["Id"]
    stream = socket.socket(socket.AF_UNIX)
    stream.connect("/var/run/docker.sock")
    stream.sendall(
        f"POST /v1.41/containers/{made}/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\n"
        "Connection: Upgrade\r\nContent-Length: 0\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += stream.recv(1)
    engine.call("POST", f"/v1.41/containers/{made}/start")
    assert stream.recv(64)
    first = time.perf_counter()
    engine.call("POST", f"/v1.41/containers/{made}/wait")
    whole = time.perf_counter()
    stream.close()
    engine.call("DELETE", f"/v1.41/containers/{made}?force=1")
    return (first - began) * 1000, (whole - began) * 1000


class Homied:
    """One machine alone, with the Docker engine."""

    def __init__(self, base, binaries, warm):
        self.home, self.bin = base / f"warm{warm}", binaries
        self.home.mkdir()
        (self.home / "config.yaml").write_text(
            f"name: bench\ngroup_secret: bench-secret-{os.getpid()}-of-this-sitting\nengine: docker\nbroadcast: false\n"
            f"discovery_port: {25000 + warm}\nworker_port: {25100 + warm}\nwarm_containers: {warm}\n"
            "container_output_limit: 4g\n"
        )
        os.chmod(self.home / "config.yaml", 0o600)
        self.env = {**os.environ, "HOMIE_HOME": str(self.home)}
        log = open(self.home / "log", "wb")
        self.process = subprocess.Popen([self.bin / "homied"], env=self.env, stdout=log, stderr=log)
        wait_until(lambda: self.homie("status").returncode == 0, "homied")

    def homie(self, *argv, **kw):
        argv = [self.bin / "homie-ctl", *argv]
        return subprocess.run(argv, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, timeout=600, **kw)

    def run(self, code, *flags):
        """Milliseconds to the first line and to the end of `homie run`."""
        began = time.perf_counter()
        argv = [self.bin / "homie-ctl", "run", "--local", "--raw", *flags, "-c", code]
        with subprocess.Popen(argv, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as job:
            line = job.stdout.readline()
            first = time.perf_counter()
            job.stdout.read()
        assert line and job.returncode == 0, (line, job.returncode)
        return (first - began) * 1000, (time.perf_counter() - began) * 1000

    def waiting(self):
        names = subprocess.run(["docker", "ps", "--format", "{{.Names}}"], capture_output=True, text=True).stdout
        return sum(name.startswith("homie-warm-") for name in names.split())

    def launch(self):
        """The launch.json of a job that runs, with the container it was given, if it was."""
        with subprocess.Popen(
            [self.bin / "homie-ctl", "run", "--local", "-c", "import time; time.sleep(2)"], env=self.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ):
            path = wait_until(lambda: next(iter(self.home.glob("**/launch.json")), None), "launch.json")
            return json.loads(path.read_text())

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)


def supervised(binaries, launch, base, number):
    """Milliseconds from the start of a supervisor to its job's first output, and to exit.json; cold."""
    job = f"{os.getpid():016x}{number:016x}"
    dir = base / f"{job}-1"
    (dir / "work").mkdir(parents=True)
    os.chown(dir / "work", launch["uid"], launch["gid"])
    launch = {**launch, "job": job, "epoch": 1, "job_dir": str(dir), "command": ["python3", "-c", "print(1)"], "warm": None}
    (dir / "launch.json").write_text(json.dumps(launch))
    began = time.perf_counter()
    with subprocess.Popen([binaries / "homied", "__supervise", dir], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        wait_until(lambda: (dir / "output").exists() and (dir / "output").stat().st_size, "output")
        first = time.perf_counter()
        wait_until((dir / "exit.json").exists, "exit.json")
        whole = time.perf_counter()
    shutil.rmtree(dir)
    return (first - began) * 1000, (whole - began) * 1000


def show(title, rows):
    print(f"\n{title}")
    width = max(len(name) for name in rows)
    print(f"  {'':{width}}  {'first line, median':>20}  {'whole, median':>14}  {'least':>8}  {'most':>8}")
    for name, taken in rows.items():
        firsts, wholes = zip(*taken)
        print(
            f"  {name:{width}}  {statistics.median(firsts):20.1f}  {statistics.median(wholes):14.1f}"
            f"  {min(wholes):8.1f}  {max(wholes):8.1f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--bin", type=Path, default=ROOT / "target" / "release")
    args = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="hd"))
    machines = []
    try:
        machines += [Homied(base, args.bin, 0), Homied(base, args.bin, 2)]
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
            "bare API: create, attach, start, wait": lambda n: bare(engine, body),
            "a supervisor, cold": lambda n: supervised(args.bin, launch, base, n),
            "homie run --local, cold": lambda n: cold.run("print(1)"),
            "homie run --local, warm": lambda n: warm.run("print(1)"),
        }
        warm.run("print(1)")
        taken = {name: [] for name in rows}
        for number in range(args.rounds + 2):
            for name, action in rows.items():
                wait_until(lambda: warm.waiting() == 2, "two containers wait")
                figures = action(number)
                if number >= 2:
                    taken[name].append(figures)
        show("A TRIVIAL JOB IN A CONTAINER (python3 -c 'print(1)'), milliseconds", taken)

        line = "x" * 99
        for machine, name in ((cold, "Docker engine"),):
            code = f"import os\nb = (b'{line}\\n') * 1000\nfor _ in range({LINES // 1000}): os.write(1, b)"
            began = time.perf_counter()
            job = machine.homie("run", "--local", "--detach", "-c", code)
            assert job.returncode == 0, job
            total = LINES * 100

            def written():
                return sum(path.stat().st_size for path in machine.home.glob("jobs/*/output"))

            wait_until(lambda: written() > total // 10, "the first tenth")
            from_, at = written(), time.perf_counter()
            wait_until(lambda: written() >= total, "all lines")
            rate = (written() - from_) / (time.perf_counter() - at) / 1e6
            print(f"\n100-byte lines from a job to its file, {name}: {rate:.0f} MB/s ({total / 1e6:.0f} MB, in {time.perf_counter() - began:.1f} s)")
    finally:
        for machine in machines:
            machine.end()
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
