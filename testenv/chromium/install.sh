#!/bin/sh
# Makes sure that there is a Chromium: Debian's package. Does nothing, and needs no network, where there is one.
set -eu

if command -v chromium >/dev/null; then
	exit 0
fi
# Two test binaries may come here at once.
exec 9>"${TMPDIR:-/tmp}/lhsm-azblob-chromium.lock"
flock 9
if command -v chromium >/dev/null; then
	exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
	echo "install chromium: it is missing, and this is no Debian or not root; install the package chromium" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
{ apt-get update && apt-get install --yes --no-install-recommends chromium; } >"$log" 2>&1 || {
	tail -n 20 "$log" >&2
	exit 1
}
rm -f "$log"
