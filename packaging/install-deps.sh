#!/bin/bash
# Installs what a make target needs and this machine lacks, by Debian's packages: install-deps.sh demo|test|bench...
# Says what it installs; asks before it does, unless CI=true or there is no terminal to ask on. Starts the Docker
# engine when `test` or `bench` needs one and none answers. Elsewhere than on Debian it says what to install.
set -euo pipefail

# package=the command (or file) that shows it is there
declare -A groups=(
    [demo]="iproute2=ip python3=python3"
    [test]="iproute2=ip nftables=nft python3=python3 nodejs=node golang-go=go util-linux=setpriv debootstrap=debootstrap docker.io=dockerd tmux=tmux systemd=systemd-analyze strace=strace iputils-ping=ping microsocks=microsocks tinyproxy-bin=tinyproxy faketime=faketime"
    [systemd]="qemu-system-x86=qemu-system-x86_64 debootstrap=debootstrap e2fsprogs=mke2fs"
    [fuzz]="g++=g++"
    [bench]="iproute2=ip nftables=nft python3=python3 debootstrap=debootstrap docker.io=dockerd bubblewrap=bwrap openssh-server=sshd openssh-client=ssh rsync=rsync iperf3=iperf3"
)
# Where Debian keeps commands that an ordinary user's PATH leaves out.
PATH=$PATH:/usr/sbin:/sbin

say() { echo "install-deps: $*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        say "'$*' needs root, and there is no sudo; run it as root and try again"
        return 1
    fi
}

lacking() {
    local group pair
    for group in "$@"; do
        if [ -z "${groups[$group]+set}" ]; then
            say "no such group: $group (there are: ${!groups[*]})"
            exit 2
        fi
        for pair in ${groups[$group]}; do
            command -v "${pair#*=}" >/dev/null || echo "${pair%=*}"
        done
    done | sort -u
}

install() {
    local packages=("$@")
    if ! command -v apt-get >/dev/null; then
        say "not a Debian system; install these with your package manager and try again: ${packages[*]}"
        exit 1
    fi
    say "installing ${packages[*]}"
    if [ "${CI:-}" != true ] && [ -t 0 ]; then
        read -r -p "Install these packages? [Y/n] " answer
        case $answer in [nN]*) exit 1 ;; esac
    fi
    as_root apt-get update -qq
    # A bench needs the program sshd, not a server on this machine's port 22: nothing is started that was installed.
    local policy=/usr/sbin/policy-rc.d held=
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
        held=yes
    fi
    # No recommended packages: docker.io alone would otherwise bring git, apparmor and more.
    local done=0
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2 || done=$?
    [ -z "$held" ] || as_root rm -f $policy
    case " ${packages[*]} " in
    *" openssh-server "*) [ ! -d /run/systemd/system ] || as_root systemctl disable --quiet ssh ;;
    esac
    return $done
}

engine_answers() {
    local socket
    for socket in "${DOCKER_HOST:-}" unix:///var/run/docker.sock unix:///run/podman/podman.sock; do
        case $socket in
        unix://*) [ -S "${socket#unix://}" ] && curl_ping "${socket#unix://}" && return 0 ;;
        esac
    done
    return 1
}

# One HTTP request in plain Python, because a bare machine has neither curl nor the docker client.
curl_ping() {
    python3 - "$1" <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
try:
    s.connect(sys.argv[1])
    s.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
    sys.exit(b"200" not in s.recv(64))
except OSError:
    sys.exit(1)
PY
}

start_engine() {
    engine_answers && return 0
    say "no container engine answers; starting Docker"
    if [ -d /run/systemd/system ]; then
        as_root systemctl start docker
    else
        local log=/var/log/homie-dockerd.log
        as_root bash -c "setsid nohup dockerd >$log 2>&1 </dev/null &"
    fi
    # An engine that has old containers to look through takes tens of seconds to answer.
    local deadline=$((SECONDS + 90))
    until engine_answers; do
        if [ $SECONDS -ge $deadline ]; then
            say "the Docker engine does not answer; its last words:"
            as_root tail -n 20 /var/log/homie-dockerd.log >&2 || true
            return 1
        fi
        sleep 0.5
    done
}

[ $# -gt 0 ] || { say "usage: install-deps.sh ${!groups[*]}"; exit 2; }
mapfile -t packages < <(lacking "$@")
[ ${#packages[@]} = 0 ] || install "${packages[@]}"
case " $* " in
*" test "* | *" bench "*) start_engine ;;
esac
