#!/bin/sh
# Installs Azurite, and a Node that can run it, into build/azurite (or $1).
#
# Both come through npm: Azurite 3.37 checks x-ms-content-crc64, which older
# ones ignore, and wants Node 22, which the npm package "node" brings where the
# system has an older one. Does nothing, and needs no network, when what it
# would install is there already.
set -eu

azurite=3.37.0
node=22

here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-$here/../../build/azurite}
mkdir -p "$dir"
cd "$dir"

# Two test binaries may come here at once.
exec 9>install.lock
flock 9

want="azurite $azurite"
system=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/') || system=0
if [ "${system:-0}" -lt "$node" ]; then
	want="$want node $node"
fi
if [ "$(cat installed 2>/dev/null)" = "$want" ]; then
	exit 0
fi

if ! command -v npm >/dev/null; then
	echo "install azurite: npm is missing; install the packages nodejs and npm" >&2
	exit 1
fi
rm -rf installed node_modules package.json package-lock.json
echo '{"private": true}' >package.json
set -- "azurite@$azurite"
case $want in *node*) set -- "$@" "node@$node" ;; esac
npm install --no-audit --no-fund --loglevel=error --save-exact "$@" >install.log 2>&1 || {
	cat install.log >&2
	exit 1
}
echo "$want" >installed
