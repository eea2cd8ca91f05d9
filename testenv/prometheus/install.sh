#!/bin/sh
# Puts Prometheus and promtool, of Debian's package, into build/prometheus (or $1). The package is unpacked there and
# not installed, so no service starts. Does nothing, and needs no network, when both are there already.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-$here/../../build/prometheus}
mkdir -p "$dir"
cd "$dir"

# Two test binaries may come here at once.
exec 9>install.lock
flock 9

if [ -x promtool ] && [ -x prometheus ]; then
	exit 0
fi
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
	echo "install prometheus: this is no Debian; put the programs prometheus and promtool into $dir" >&2
	exit 1
fi
download() { apt-get -o APT::Sandbox::User=root download prometheus; }
{ download || { apt-get update && download; }; } >install.log 2>&1 || {
	tail -n 20 install.log >&2
	exit 1
}
dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x --strip-components=3 ./usr/bin/prometheus ./usr/bin/promtool
rm -f prometheus_*.deb
