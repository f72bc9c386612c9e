#!/bin/sh
# Installs what homied needs beside its binaries: units, the service's user and directories, firewall services.
# usage: DESTDIR=... PREFIX=/usr/local packaging/install-files.sh          (called by `make install`)
#        DESTDIR=... PREFIX=/usr/local packaging/install-files.sh remove   (called by `make uninstall`)
set -eu
cd "$(dirname "$0")/.."
prefix=${PREFIX:-/usr/local}
dest=${DESTDIR:-}

# from, to, mode. Units below /usr/local/lib/systemd are found like those below /usr/lib.
files() {
	cat <<-LIST
		systemd/system/homied.service $prefix/lib/systemd/system/homied.service
		systemd/user/homied.service $prefix/lib/systemd/user/homied.service
		systemd/sysusers.d/homie.conf $prefix/lib/sysusers.d/homie.conf
		systemd/tmpfiles.d/homie.conf $prefix/lib/tmpfiles.d/homie.conf
		packaging/firewalld/homie.xml $prefix/lib/firewalld/services/homie.xml
		packaging/ufw/homie /etc/ufw/applications.d/homie
		packaging/apparmor/homied /etc/apparmor.d/homied
	LIST
}

files | while read -r from to; do
	case "$to" in
	# A system without these keeps no files for them.
	/etc/ufw/* | /etc/apparmor.d/*) [ -n "$dest" ] || [ -d "$(dirname "$to")" ] || continue ;;
	esac
	if [ "${1:-}" = remove ]; then
		rm -f "$dest$to"
	else
		install -D -m 644 "$from" "$dest$to"
		# The files name the packaged place of the binary.
		sed -i "s|/usr/bin/homied|$prefix/bin/homied|" "$dest$to"
	fi
done

# On a live system, and not into a package: the user, the directories, the units.
if [ -z "$dest" ] && [ "${1:-}" != remove ] && [ "$(id -u)" = 0 ]; then
	if command -v systemd-sysusers >/dev/null; then systemd-sysusers "$prefix/lib/sysusers.d/homie.conf"; fi
	if command -v systemd-tmpfiles >/dev/null; then systemd-tmpfiles --create "$prefix/lib/tmpfiles.d/homie.conf"; fi
	if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
fi
