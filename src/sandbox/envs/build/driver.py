"""Makes a Python environment inside the jail of a build. Written by homied into the build's directory; standard library only.

    driver.py resolve          choose versions: files of everything in requirements.txt, dependencies too, land in files/
    driver.py build            env/ from lock.txt, whose hashes every file must match
    driver.py about            say which Python and which distribution this is
    driver.py road PORT        carry connections to the proxy until killed, for the steps of an image
Options: --wheels (no source packages), --offline (everything is in files/ already).

The jail has no network. What leaves it goes through the proxy of homied that listens on egress.sock; this script carries
connections from 127.0.0.1 to it. Where the environment is at last is /env, so what it says of itself is said with that name.
"""

import glob
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import urllib.parse
import urllib.request

WORK = "/work"
FILES = WORK + "/files"
ENV = WORK + "/env"
HOME = "/env"
# Older ones cannot install into another environment (--python came with 22.3).
OLDEST_PIP = (22, 3)


def say(text):
    print("==> " + text, flush=True)


def carry(source, sink):
    """Bytes from one socket to the other until the first one ends."""
    try:
        while True:
            piece = source.recv(65536)
            if not piece:
                break
            sink.sendall(piece)
    except OSError:
        pass
    try:
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def forward(client):
    """One connection to the proxy."""
    with client:
        try:
            with socket.socket(socket.AF_UNIX) as proxy:
                proxy.connect(WORK + "/egress.sock")
                back = threading.Thread(target=carry, args=(proxy, client), daemon=True)
                back.start()
                carry(client, proxy)
                back.join()
        except OSError:
            pass


def accept(listener):
    while True:
        client, _ = listener.accept()
        threading.Thread(target=forward, args=(client,), daemon=True).start()


def open_road():
    """Listens on 127.0.0.1 and tells every program where the proxy is."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    threading.Thread(target=accept, args=(listener,), daemon=True).start()
    url = "http://127.0.0.1:%d" % listener.getsockname()[1]
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        os.environ[name] = url
    for name in ("no_proxy", "NO_PROXY"):
        os.environ.pop(name, None)


def run(command):
    """Runs a tool and ends with its code if it fails."""
    code = subprocess.call(command, stdin=subprocess.DEVNULL)
    if code != 0:
        sys.exit(code if code > 0 else 128 - code)


def numbers(version):
    return tuple(int(n) for n in re.findall(r"\d+", version)[:2])


def pip_wheel():
    """A pip that comes with this machine's Python as a wheel, which any interpreter can run."""
    places = ["/usr/share/python-wheels"]
    try:
        import ensurepip

        places.append(os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"))
    except ImportError:
        pass
    found = [w for place in places for w in glob.glob(place + "/pip-*.whl")]
    found = [w for w in found if numbers(os.path.basename(w)) >= OLDEST_PIP]
    return max(found, key=lambda w: numbers(os.path.basename(w)), default=None)


def fetch_pip():
    """pip itself from the index (PEP 691), its hash checked; for a Python that came without it."""
    say("downloading pip")
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/pip/"
    request = urllib.request.Request(index, headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        files = json.load(answer)["files"]
    good = []
    for file in files:
        match = re.fullmatch(r"pip-(\d+(?:\.\d+)*)-py3-none-any\.whl", file["filename"])
        wanted = file.get("requires-python") or ">=3"
        least = re.fullmatch(r">=\s*(\d+(?:\.\d+)*)", wanted)
        if match and least and numbers(least[1]) <= sys.version_info[:2] and not file.get("yanked"):
            good.append((tuple(int(n) for n in match[1].split(".")), file))
    if not good:
        sys.exit("the index has no pip for Python %d.%d" % sys.version_info[:2])
    file = max(good, key=lambda g: g[0])[1]
    with urllib.request.urlopen(urllib.parse.urljoin(index, file["url"]), timeout=300) as answer:
        content = answer.read(64 << 20)
    if hashlib.sha256(content).hexdigest() != file["hashes"]["sha256"]:
        sys.exit("pip is not what the index says: its hash differs")
    path = WORK + "/" + file["filename"]
    with open(path, "wb") as out:
        out.write(content)
    return path


def pip_here():
    """The command of a pip that is on this machine, or None."""
    wheel = pip_wheel()
    if wheel:
        return [wheel + "/pip"]
    asked = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, text=True)
    if asked.returncode == 0 and numbers(asked.stdout) >= OLDEST_PIP:
        return ["-m", "pip"]
    return None


def pip(*arguments):
    run([sys.executable] + PIP + list(arguments))


def shape():
    """Takes out what names this place or depends on the moment, so that the same lock makes the same files."""
    for name in glob.glob(ENV + "/bin/*"):
        if re.match(r"(activate|Activate)", os.path.basename(name)):
            os.remove(name)
            continue
        if os.path.islink(name) or not os.path.isfile(name):
            continue
        with open(name, "rb") as script:
            content = script.read()
        if content.startswith(b"#!" + ENV.encode()):
            with open(name, "wb") as script:
                script.write(b"#!" + HOME.encode() + content[2 + len(ENV):])
    with open(ENV + "/pyvenv.cfg") as config:
        lines = [line for line in config if not line.startswith("command")]
    with open(ENV + "/pyvenv.cfg", "w") as config:
        config.writelines(lines)
    # Compiled here, once: nobody may write there later. Checked by nothing, because nothing there changes and a copy on
    # another machine has other times.
    library = glob.glob(ENV + "/lib/python3*/site-packages")[0]
    subprocess.call(
        [sys.executable, "-I", "-m", "compileall", "-q", "-s", ENV, "-p", HOME]
        + ["--invalidation-mode", "unchecked-hash", "-j", "0", library],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def about():
    """One line for homied."""
    system = {}
    try:
        with open("/etc/os-release") as file:
            system = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
    except OSError:
        pass
    facts = [system.get(key, "").strip("\"'") for key in ("ID", "VERSION_CODENAME")]
    say("python %d.%d.%d system %s" % (*sys.version_info[:3], "-".join(facts)))


def only(wheels):
    return ["--only-binary", ":all:"] if wheels else []


def resolve(wheels):
    say("choosing versions")
    pip("download", "--dest", FILES, "-r", WORK + "/requirements.txt", *only(wheels))


def build(wheels, offline):
    locked = ["--no-deps", "--require-hashes", "--find-links", FILES, "-r", WORK + "/lock.txt"]
    if not offline:
        say("downloading")
        pip("download", "--dest", FILES, *locked, *only(wheels))
    say("installing")
    run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", ENV])
    if os.path.getsize(WORK + "/lock.txt") > 0:
        inside = ["--python", ENV + "/bin/python", "install", "--no-compile", "--no-warn-script-location"]
        # Source packages need their build tools, which no lock names.
        pip(*inside, *locked, *(["--no-index"] + only(True) if wheels or offline else []))
    say("finishing")
    shape()


if __name__ == "__main__":
    flags = sys.argv[2:]
    if sys.argv[1] == "about":
        sys.exit(about())
    if sys.argv[1] == "road":
        road = socket.create_server(("127.0.0.1", int(sys.argv[2])), backlog=64)
        say("ready")
        sys.exit(accept(road))
    os.makedirs(FILES, exist_ok=True)
    open_road()
    PIP = pip_here() or [fetch_pip() + "/pip"]
    # It would ask nobody, keep nothing, and compile with a file's time.
    PIP += ["--no-input", "--no-cache-dir", "--disable-pip-version-check", "--no-color"]
    if sys.argv[1] == "resolve":
        resolve("--wheels" in flags)
    else:
        build("--wheels" in flags, "--offline" in flags)
