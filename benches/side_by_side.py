#!/usr/bin/env python3
"""Figures of Homie beside what people use instead, taken in one sitting on this machine: side_by_side.py [--quick]

Two machines are made of network namespaces, alice and bob. Everything that is compared runs in turns (one round of each,
then the next round), so that a busy minute hits all alike; medians are shown with the least and the most. Nothing is
asserted: figures of a shared machine are for reading. Needs root, a release build, ssh, sshd, rsync, and for the Docker
rows an engine; without an engine those rows are left out, and the output says so.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / "target" / "release"
MARK = f"hbench{os.getpid()}"
PATIENCE = 60

JOB = """#!/usr/bin/env python3
import json
table = [float(line) for line in open("data.txt")]
json.dump({"sum": sum(table), "padding": "x" * 1000}, open("result.json", "w"))
print("done")
"""
DATA = "".join(f"{n / 7:.6f}\n" for n in range(1000))


def run(*argv, **kw):
    return subprocess.run([str(a) for a in argv], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)


class Machine:
    """A network namespace with a directory, a homied and, for bob, an sshd."""

    def __init__(self, name, number, base):
        self.name, self.ip = name, f"10.79.0.{number}"
        self.namespace = f"{MARK}{name}"
        self.dir = base / name
        self.state, self.home = self.dir / "state", self.dir / "home"
        self.state.mkdir(parents=True)
        self.home.mkdir()
        self.processes = []
        run("ip", "netns", "add", self.namespace)

    def argv(self, *argv):
        return ["nsenter", f"--net=/run/netns/{self.namespace}", "--", *map(str, argv)]

    def env(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "HOMIE_HOME": str(self.state), "LANG": "C.UTF-8"}

    def spawn(self, *argv, cwd=None):
        log = open(self.dir / "log", "ab")
        process = subprocess.Popen(self.argv(*argv), env=self.env(), cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def run(self, *argv, cwd=None, check=True):
        done = subprocess.run(
            self.argv(*argv), env=self.env(), cwd=cwd or self.home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=PATIENCE,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{argv}: exit {done.returncode}\n{done.stdout.decode()}\n{done.stderr.decode()}")
        return done

    def homie(self, *argv, **kw):
        return self.run(BIN / "homie-ctl", *argv, **kw)

    def start_homied(self, engine, more=""):
        (self.state / "config.yaml").write_text(
            f"name: {self.name}\ngroup_secret: {MARK}-bench-secret-of-this-sitting\nengine: {engine}\njob_slots: 8\n{more}"
        )
        self.homied = self.spawn(BIN / "homied")
        wait_until(lambda: self.homie("status", check=False).returncode == 0, f"homied of {self.name}")

    def stop_homied(self):
        self.homied.send_signal(signal.SIGTERM)
        self.homied.wait(PATIENCE)
        self.processes.remove(self.homied)

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()
        pids = subprocess.run(["ip", "netns", "pids", self.namespace], stdout=subprocess.PIPE).stdout.split()
        for pid in pids:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        subprocess.run(["ip", "netns", "del", self.namespace])


@contextmanager
def alice_and_bob(base):
    """Two machines with a cable between them, until the end of the block."""
    machines = []
    try:
        for number, name in enumerate(("alice", "bob"), 1):
            machines.append(Machine(name, number, base))
        alice, bob = machines
        run("ip", "link", "add", "eth0", "netns", alice.namespace, "type", "veth", "peer", "eth0", "netns", bob.namespace)
        for machine in machines:
            n = ["ip", "-n", machine.namespace]
            run(*n, "addr", "add", f"{machine.ip}/24", "broadcast", "+", "dev", "eth0")
            run(*n, "link", "set", "eth0", "up")
            run(*n, "link", "set", "lo", "up")
        yield machines
    finally:
        for machine in machines:
            machine.end()


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"still not: {what}")
        time.sleep(0.02)


def timed(action):
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000


def in_turns(actions, rounds, warm=2):
    """{name: [ms, ...]}: one of each, round after round."""
    taken = {name: [] for name in actions}
    for number in range(rounds + warm):
        for name, action in actions.items():
            ms = timed(action)
            if number >= warm:
                taken[name].append(ms)
    return taken


def table(title, head, rows):
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    print(f"\n{title}")
    for row in [head, ["-" * w for w in widths], *rows]:
        print("  " + "  ".join(str(c).ljust(w) if i == 0 else str(c).rjust(w) for i, (c, w) in enumerate(zip(row, widths))))
    sys.stdout.flush()


def figures(taken, against):
    """Rows of least, median, most, and how many times faster than `against`."""
    base = statistics.median(taken[against])
    rows = []
    for name, ms in taken.items():
        median = statistics.median(ms)
        rows.append([name, f"{min(ms):.2f}", f"{median:.2f}", f"{max(ms):.2f}", f"{base / median:.2f}x"])
    return rows


class Ssh:
    """An sshd in bob's namespace with keys and a home of its own, so that nobody's shell start-up files count."""

    def __init__(self, bob):
        self.bob = bob
        self.dir = bob.dir / "ssh"
        self.home = self.dir / "root"
        (self.home / ".ssh").mkdir(parents=True)
        os.chmod(self.dir, 0o755)
        os.chmod(self.home, 0o700)
        for key in ("host", "user"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.dir / key)
        shutil.copy(self.dir / "user.pub", self.home / ".ssh" / "authorized_keys")
        config = self.dir / "sshd_config"
        config.write_text(
            f"ListenAddress {bob.ip}\nHostKey {self.dir}/host\nPidFile none\nPermitRootLogin yes\nUsePAM no\n"
            f"StrictModes no\nAuthorizedKeysFile {self.home}/.ssh/authorized_keys\nPrintMotd no\nPrintLastLog no\n"
            "Subsystem sftp internal-sftp\n"
        )
        os.makedirs("/run/sshd", exist_ok=True)
        home = os.path.expanduser("~root")
        bob.spawn(
            "unshare", "-m", "sh", "-c", f"mount --bind {self.home} {home} && exec /usr/sbin/sshd -D -e -f {config}"
        )
        self.options = ["-i", f"{self.dir}/user", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]
        self.options += ["-o", f"UserKnownHostsFile={self.dir}/known", "-o", "LogLevel=ERROR", "-F", "none"]
        self.shared = [*self.options, "-o", f"ControlPath={self.dir}/mux"]

    def wait(self, alice):
        wait_until(lambda: alice.run("ssh", *self.options, f"root@{self.bob.ip}", "true", check=False).returncode == 0, "sshd")
        alice.spawn("ssh", *self.shared, "-M", "-N", f"root@{self.bob.ip}")
        wait_until(lambda: (self.dir / "mux").exists(), "the shared ssh connection")

    def flow(self, alice, options, work, image):
        """rsync there, docker run by ssh, rsync the result back."""
        at, shell = f"root@{self.bob.ip}", "ssh " + " ".join(options)
        alice.run("rsync", "-a", "-e", shell, f"{work}/job.py", f"{work}/data.txt", f"{at}:job/")
        there = f"{os.path.expanduser('~root')}/job"
        # The container sees the real path: sshd's home is a bind mount in a namespace of its own.
        real = self.home / "job"
        command = f"docker run --rm --network none -v {real}:/job -w /job {image} python3 job.py"
        assert b"done" in alice.run("ssh", *options, at, command).stdout
        alice.run("rsync", "-a", "-e", shell, f"{at}:{there}/result.json", f"{work}/")
        assert (work / "result.json").stat().st_size > 1000
        (work / "result.json").unlink()


def homie_flow(alice, work):
    done = alice.homie("run", "--peer", "bob", "-f", "data.txt", "job.py", cwd=work)
    assert b"done" in done.stdout, done
    assert (work / "result.json").stat().st_size > 1000
    (work / "result.json").unlink()


def usage(process):
    """(resident bytes, CPU seconds, {thread: context switches}) of a process. CPU counts ended threads, too."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    switches = {}
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        lines = [line for line in (task / "status").read_text().splitlines() if "ctxt_switches" in line]
        switches[task.name] = sum(int(line.split()[1]) for line in lines)
    return int(status["VmRSS"].split()[0]) * 1024, cpu, switches


def docker_image():
    """An image with python3 that homied made for itself, or None."""
    try:
        names = run("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}").stdout.decode().split()
    except (OSError, subprocess.CalledProcessError):
        return None
    return next((name for name in names if name.startswith("homie-base:")), None)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds and a shorter idle time")
    args = parser.parse_args()
    rounds, idle = (5, 10) if args.quick else (20, 60)
    if os.geteuid() != 0:
        sys.exit("the figures need network namespaces, so run this as root")
    base = Path(tempfile.mkdtemp(prefix="hb"))
    os.chmod(base, 0o755)
    try:
        with alice_and_bob(base) as (alice, bob):
            measure(alice, bob, base, rounds, idle)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def meet(alice, bob):
    names = lambda: [p["name"] for p in json.loads(alice.homie("--json", "peers").stdout)["peers"]]
    wait_until(lambda: "bob" in names(), "alice sees bob")


def measure(alice, bob, base, rounds, idle):
    works = {}
    for name in ("ssh", "homie"):
        works[name] = alice.home / name
        works[name].mkdir()
        (works[name] / "job.py").write_text(JOB)
        (works[name] / "data.txt").write_text(DATA)
    cores, load = os.cpu_count(), os.getloadavg()[0]
    print(f"{cores} processors, load {load:.1f}; {rounds} rounds in turns, after 2 to warm up; milliseconds")

    began = time.perf_counter()
    alice.start_homied("native")
    bob.start_homied("native")
    meet(alice, bob)
    print(f"two homied started and acquainted in {(time.perf_counter() - began) * 1000:.0f} ms")

    # The whole flow, native engine beside ssh.
    ssh = Ssh(bob)
    ssh.wait(alice)
    image = docker_image()
    flows = {}
    if image:
        flows["rsync + ssh docker run + rsync, new connections"] = lambda: ssh.flow(alice, ssh.options, works["ssh"], image)
        flows["rsync + ssh docker run + rsync, one connection"] = lambda: ssh.flow(alice, ssh.shared, works["ssh"], image)
    else:
        print("no engine with the image homie-base: the Docker rows are left out")
    flows["homie run, native engine"] = lambda: homie_flow(alice, works["homie"])
    taken = in_turns(flows, rounds)
    if image:
        bob.stop_homied()
        bob.start_homied("docker")
        meet(alice, bob)
        wait_until(lambda: b'"docker"' in alice.homie("--json", "peers").stdout, "bob's Docker engine is known")
        anchor = "rsync + ssh docker run + rsync, new connections"
        more = in_turns({anchor: flows[anchor], "homie run, Docker engine": flows["homie run, native engine"]}, rounds)
        taken[anchor] += more[anchor]
        taken["homie run, Docker engine"] = more["homie run, Docker engine"]
        bob.stop_homied()
        bob.start_homied("native")
        meet(alice, bob)
    against = next(iter(taken))
    head = ["whole flow: script and file there, python3 in the sandbox, file back", "least", "median", "most", "faster"]
    table("WHOLE FLOW", head, figures(taken, against))

    # Jobs per second: trivial jobs, as many clients at once as two per processor.
    count = 5 * rounds
    rows = []
    for clients in (1, 2 * cores):
        with ThreadPoolExecutor(clients) as pool:
            ms = timed(lambda: list(pool.map(lambda _: alice.homie("run", "--peer", "bob", "-c", "pass"), range(count))))
        rows.append([f"homie run -c pass, {clients} at a time, native", f"{count / ms * 1000:.1f}"])
    table("JOBS", ["trivial jobs, start to finish", "per second"], rows)

    # The client's round trip beside a bare static client of the same socket.
    bare = base / "bare_client"
    run("cc", "-O2", "-static", "-o", bare, ROOT / "benches" / "bare_client.c")
    env = alice.env()
    call = lambda *argv: subprocess.run(argv, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    trips = {
        "bare static client (C)": lambda: call(str(bare), str(alice.state / "homied.sock")),
        "homie-ctl status": lambda: call(str(BIN / "homie-ctl"), "status"),
        "homie-ctl --version": lambda: call(str(BIN / "homie-ctl"), "--version"),
    }
    head = ["process start, one request, process end", "least", "median", "most", "faster"]
    table("CLIENT", head, figures(in_turns(trips, 10 * rounds), "bare static client (C)"))

    # At rest, with one peer.
    before = usage(alice.homied)
    time.sleep(idle)
    after = usage(alice.homied)
    percent = (after[1] - before[1]) / idle * 100
    switches = sum(count - before[2].get(thread, 0) for thread, count in after[2].items())
    table(
        f"AT REST ({idle} s, one peer, after {count * 2} jobs)",
        ["homied", "figure"],
        [
            ["resident memory", f"{after[0] / 2**20:.1f} MiB"],
            ["processor (in steps of 10 ms)", f"{percent:.3f} % of one"],
            ["context switches", f"{switches / idle:.1f} per second"],
        ],
    )
    sizes = [[name, f"{(BIN / name).stat().st_size / 2**20:.2f} MiB"] for name in ("homie-ctl", "homied")]
    table("SIZE", ["stripped binary", "size"], sizes)


if __name__ == "__main__":
    main()
