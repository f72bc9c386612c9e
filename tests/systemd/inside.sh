#!/bin/bash
# What vm.sh runs as root in the virtual machine: Homie's service as somebody meets it who has just installed it.
set -u
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root NO_COLOR=1
failed=0

# holds WHAT COMMAND...: says whether it did, and what it printed if not
holds() {
    local what=$1 said
    shift
    if said=$("$@" 2>&1); then
        echo "ok      $what"
    else
        echo "FAILED  $what"
        sed 's/^/        /' <<<"$said"
        failed=1
    fi
}

# until SECONDS COMMAND...
until_it() {
    local left=$1
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ $left -gt 0 ] || { "$@"; return 1; }
        sleep 1
    done
}

alice() { setpriv --reuid alice --regid alice --init-groups env HOME=/home/alice "$@"; }

ip link add lan0 type dummy
ip addr add 192.168.77.2/24 brd + dev lan0
ip link set lan0 up
useradd -m -s /bin/bash alice
systemd-sysusers
systemd-tmpfiles --create
usermod -aG homie alice
cd /home/alice || exit 1
cat >hello.py <<'PY'
open("out.txt", "w").write("made")
print(open("/proc/self/cgroup").read())
PY
printf 'x = []\nwhile True: x.append(bytearray(1 << 20))\n' >memory.py
printf 'import os, time\nfor i in range(400):\n  if not os.fork(): time.sleep(60); os._exit(0)\n' >processes.py
printf 'import time\nfor i in range(20): print("tick", i, flush=True); time.sleep(1)\n' >ticks.py
chown -R alice .

uname -r
systemctl --version | head -n 1
holds "setup makes a group and the service" homie setup --name vm --yes --service
holds "up starts it" homie up
holds "a member of the group homie may use it" until_it 60 alice homie status
limited() { homie doctor --json | grep -q '"native engine"' && ! homie doctor | grep -q "not ours to use"; }
holds "control groups are the service's own" until_it 90 limited
holds "a job runs" alice homie run --local hello.py
holds "its result is home" grep -qx made out.txt
died_of() { ! alice homie run --local "${@:2}" >said 2>&1 && grep -q "$1" said || { cat said; return 1; }; }
holds "memory is limited" died_of "more than its" --memory 64m memory.py
holds "processes are limited" died_of "Resource temporarily unavailable" processes.py
holds "a job is submitted" alice homie run --local --detach ticks.py
ticking() { alice homie logs last | grep -q 'tick 1'; }
until_it 60 ticking
holds "the service starts again while a job runs" systemctl restart homied
whole() { alice homie attach last | grep -o 'tick [0-9]*' | uniq | wc -l | grep -qx 20; }
holds "the job lost no line" whole
gone() { ! find /sys/fs/cgroup -type d -name '*-1' | grep -q homie; }
holds "no control group of a job is left" until_it 60 gone
# Emulated, a minute's worth of probes takes several.
holds "no escape probe reaches the outside" homie doctor --sandbox
[ $failed = 0 ] && echo "every check held" || journalctl -u homied --no-pager -n 40
