"""What the benches share: a machine with homied on it, patience, and tables."""

import json
import os
import signal
import statistics
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60
# Of the time of all processors: what a virtual machine's host may take during a figure that counts, and how often a figure
# is taken again for that. Neighbours make a figure larger, never smaller, and come by the minute.
MOST_STOLEN = 0.05
AGAIN = 10

# A script's shell has what it puts into the background ignore SIGINT, and children inherit that: an ssh would never end by
# it. With a handler here they begin with the default.
signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"still not: {what}")
        time.sleep(0.0005)
    return found


class Homied:
    """One machine alone, with one engine; `number` tells it from others of the sitting."""

    def __init__(self, base, binaries, engine, number, settings=""):
        self.home, self.bin = base / f"{engine}{number}", binaries
        self.home.mkdir()
        (self.home / "config.yaml").write_text(
            f"name: bench\ngroup_secret: bench-secret-{os.getpid()}-of-this-sitting\nengine: {engine}\nbroadcast: false\n"
            f"discovery_port: {25000 + number}\nworker_port: {25100 + number}\ncontainer_output_limit: 4g\n{settings}"
        )
        os.chmod(self.home / "config.yaml", 0o600)
        self.env = {**os.environ, "HOMIE_HOME": str(self.home)}
        log = open(self.home / "log", "wb")
        self.process = subprocess.Popen([self.bin / "homied"], env=self.env, stdout=log, stderr=log)
        try:
            wait_until(lambda: self.homie("status").returncode == 0, "homied")
        except BaseException:
            self.end()
            raise

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


def job_dir(launch, base, number, command):
    """The directory of a job that a supervisor can be started on, after the pattern of `launch`."""
    job = f"{os.getpid():016x}{number:016x}"
    dir = base / f"{job}-1"
    (dir / "work").mkdir(parents=True)
    os.chown(dir / "work", launch["uid"], launch["gid"])
    launch = {**launch, "job": job, "epoch": 1, "job_dir": str(dir), "command": command, "warm": None}
    (dir / "launch.json").write_text(json.dumps(launch))
    return dir


def stolen():
    """Seconds that the host of this virtual machine kept its processors from it ("steal", proc_stat(5)); 0 elsewhere."""
    return int(Path("/proc/stat").read_text().split(maxsplit=9)[8]) / os.sysconf("SC_CLK_TCK")


def undisturbed(action, before):
    """What an action returns, taken again when the host took processors meanwhile; and how often. After AGAIN times the one
    counts from which least was taken."""
    tries = []
    while len(tries) <= AGAIN:
        before()
        was, began = stolen(), time.perf_counter()
        figures = action()
        tries.append(((stolen() - was) / ((time.perf_counter() - began) * os.cpu_count()), figures))
        if tries[-1][0] <= MOST_STOLEN:
            break
    return min(tries, key=lambda one: one[0])[1], len(tries) - 1


def in_turns(rows, rounds, before=lambda: None):
    """What each action returns, `rounds` times after two that do not count; a busy minute hits all alike."""
    taken, again = {name: [] for name in rows}, 0
    for number in range(rounds + 2):
        for name, action in rows.items():
            figures, disturbed = undisturbed(lambda: action(number), before)
            if number >= 2:
                taken[name].append(figures)
                again += disturbed
    if again:
        print(f"  {again} figures do not count, since the host of this machine took processors from it; each was taken again, {AGAIN} times at most")
    return taken


def show(title, rows, *columns):
    """Each row of `rows` has tuples with a figure for each column; of the last one least and most are shown, too."""
    print(f"\n{title}")
    width = max(len(name) for name in rows)
    heads = [f"{column}, median" for column in columns] + ["least", "most"]
    print(f"  {'':{width}}" + "".join(f"  {head:>18}" for head in heads))
    for name, taken in rows.items():
        series = list(zip(*taken))
        figures = [statistics.median(one) for one in series] + [min(series[-1]), max(series[-1])]
        print(f"  {name:{width}}" + "".join(f"  {figure:18.1f}" for figure in figures))
