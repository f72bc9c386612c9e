#!/bin/bash
# Homie as a service of a real systemd: boots Debian in a virtual machine, installs Homie there as `make install` does,
# and lets inside.sh try it. Control groups are version 2 there, and systemd's own filters and mounts are around homied,
# which no test on a machine without systemd meets. Needs root and some minutes; the machine is emulated unless
# HOMIE_VM_ACCEL says kvm. `make test-systemd` runs it; SUITE=trixie tries a later Debian.
set -euo pipefail
cd "$(dirname "$0")/../.."

bin=${BIN:-target/release}
suite=${SUITE:-bookworm}
accel=${HOMIE_VM_ACCEL:-tcg,thread=multi}
# What newer processors have, an emulator has least practice in: kernel 6.12 falls over with `max` of QEMU 7.2.
cpu=Nehalem
# The kernel of virtual machines: smaller, and its disk needs two modules only.
packages=systemd,systemd-sysv,dbus,udev,linux-image-cloud-amd64,initramfs-tools,python3,iproute2,util-linux,procps

case $(uname -m) in
x86_64) ;;
*) echo "the machine that is emulated is x86_64, and the binaries in $bin are not" >&2; exit 1 ;;
esac
[ "$(id -u)" = 0 ] || { echo "debootstrap needs root: sudo make test-systemd" >&2; exit 1; }

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
root=$dir/root

echo "making a Debian $suite"
debootstrap --variant=minbase --include="$packages" "$suite" "$root" >"$dir/debootstrap.log" 2>&1 || {
    tail -n 20 "$dir/debootstrap.log" >&2
    exit 1
}
install -D -m 755 "$bin/homied" "$root/usr/local/bin/homied"
install -D -m 755 "$bin/homie-ctl" "$root/usr/local/bin/homie-ctl"
ln -s homie-ctl "$root/usr/local/bin/homie"
DESTDIR=$root PREFIX=/usr/local packaging/install-files.sh
install -m 755 tests/systemd/inside.sh "$root/root/inside.sh"
echo homie-vm >"$root/etc/hostname"
cat >"$root/etc/systemd/system/inside.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash /root/inside.sh
StandardOutput=file:/dev/ttyS1
StandardError=inherit
ExecStopPost=/bin/systemctl poweroff --no-block
TimeoutStartSec=infinity
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../inside.service "$root/etc/systemd/system/multi-user.target.wants/"
truncate -s 4G "$dir/disk"
mke2fs -q -t ext4 -d "$root" "$dir/disk"

echo "booting it"
: >"$dir/said"
tail -f "$dir/said" &
follower=$!
# Emulated it takes three minutes on an idle machine.
timeout "${HOMIE_VM_SECONDS:-1800}" qemu-system-x86_64 -accel "$accel" -cpu "$cpu" -M q35 -smp 2 -m 2048 -display none \
    -no-reboot -nic none -kernel "$root"/boot/vmlinuz-* -initrd "$root"/boot/initrd.img-* \
    -append "root=/dev/vda rw console=ttyS0 quiet panic=1" -drive file="$dir/disk",format=raw,if=virtio,cache=unsafe \
    -serial file:"$dir/console" -serial file:"$dir/said" || {
    tail -n 20 "$dir/console" >&2
    exit 1
}
sleep 0.2
kill $follower
grep -q '^every check held' "$dir/said"
