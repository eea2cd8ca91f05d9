#!/usr/bin/env bash
# Ends what a demo left up: stop.sh DEMO-DIRECTORY. Quiet where nothing runs.
# With --after-eof it first waits for the end of its input, and then spares a demo that is to be kept.
set -euo pipefail

if [ "$1" = --after-eof ]; then
	shift
	cat >/dev/null
	[ ! -e "$1/keep" ] || exit 0
fi
home=$1

# Who uses it first, the file system last: each while what it needs still lives.
for name in service copytool azurite lustre; do
	pid=$(cat "$home/$name.pid" 2>/dev/null) || continue
	if kill -TERM "$pid" 2>/dev/null; then
		timeout 30 tail --pid="$pid" -f /dev/null || true
	fi
	kill -KILL -- "-$pid" 2>/dev/null || true
done
while mountpoint -q "$home/lustre" 2>/dev/null; do umount -l "$home/lustre"; done
rm -rf "$home"
