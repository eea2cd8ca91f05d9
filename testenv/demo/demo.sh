#!/usr/bin/env bash
# The main job from start to end, on a stand-in Lustre and Azurite: types what a user types and shows what comes back.
# demo.sh BIN-DIRECTORY; with KEEP=1 everything stays up afterwards.
set -euo pipefail

bin=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
home=$(dirname "$bin")/demo
mnt=$home/lustre
export PATH=$bin:$PATH LHSM_LIBLUSTREAPI=$bin/liblustreapi.so.1 LUSTRE_MOUNT=$mnt

die() { echo "demo: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "needs root, since it mounts a file system; run it as root"
[ -c /dev/fuse ] || die "/dev/fuse is missing; load the fuse module (modprobe fuse)"

# --- what stands around the demo -------------------------------------------

"$here/stop.sh" "$home" # what a former demo left up
mkdir -p "$mnt"

# However this script ends, kill -9 included, its end of the pipe closes, and the guard stops what was started.
mkfifo "$home/alive"
setsid "$here/stop.sh" --after-eof "$home" <"$home/alive" &
guard=$!
exec {alive}>"$home/alive"

# start NAME LOG-WORD COMMAND...: a daemon in a session of its own; waits until its log says the word.
start() {
	local name=$1 word=$2
	shift 2
	: >"$home/$name.log"
	setsid "$@" >"$home/$name.log" 2>&1 {alive}>&- &
	echo $! >"$home/$name.pid"
	timeout 60 grep -q -m 1 -e "$word" <(exec tail -n +1 -F --pid=$! "$home/$name.log" 2>/dev/null {alive}>&-) ||
		die "$name did not start: $(tail -n 3 "$home/$name.log")"
}

step() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
type() { printf '\033[32m$ %s\033[0m\n' "$*"; eval "$*"; }
want() { [ "$1" = "$2" ] || die "got '$1', want '$2'"; echo "  ok: $2"; }
state() { lfs hsm_state "$1" | sed 's/^.*: (/(/'; }
in_flight() { find tree -type f -print0 | xargs -0 -n 1 -P 8 lfs hsm_action | { grep ARCHIVE || true; } | wc -l; }
wait_for() { until [ "$(state "$1")" = "$2" ]; do :; done; }

began=$SECONDS
step "A stand-in Lustre at $mnt and Azurite as Azure Blob Storage"
start lustre ready lustre-standin serve --back "$home/back" --mount "$mnt"
lustre-standin set_param 'mdt.*.hsm_control=enabled' 'mdt.*.hsm.max_requests=64'
start azurite ready azurite --location "$home/azurite" --container lustre-archive
# The emulator's own account and key, public by design.
container=$(sed -n 's/^AZURITE_CONTAINER=//p' "$home/azurite.log")
export AZURITE_KEY=$(sed -n 's/^AZURITE_KEY=//p' "$home/azurite.log")
(umask 077 && echo "$AZURITE_KEY" >"$home/account.key")
echo "container: $container"

step "The copytool: Lustre on one side, a container on the other"
cat >"$home/lhsm-azblob.conf" <<EOF
container_url = "$container"
auth = "shared-key"
account_key_file = "$home/account.key"
run_dir = "$home/run"
state_dir = "$home/state"
progress_interval = "1s"
http = "127.0.0.1:0"
EOF
type "cat $home/lhsm-azblob.conf"
echo "\$ lhsmtool_azblob --config $home/lhsm-azblob.conf $mnt &"
start copytool 'msg=serving ' lhsmtool_azblob --config "$home/lhsm-azblob.conf" "$mnt"
metrics=$(sed -n 's/.*msg="serving HTTP" address=//p' "$home/copytool.log")

step "A small tree: small files, 300 MiB, an empty one, odd names"
cd "$mnt"
mkdir -p tree/results 'tree/odd names'
for i in $(seq 1 20); do head -c $((i * 5000)) /dev/urandom >tree/results/run$i.dat; done
head -c 300M /dev/urandom >tree/big.bin
: >tree/empty
for name in 'with space' $'new\nline' 'quote"s' '100%' 'hash#tag' 'what?' 'back\slash' $'not-utf8-\xff' 'dot.'; do echo "I am $name" >"tree/odd names/$name"; done
type "find tree -type f | wc -l; du -sh tree"
type "lfs hsm_state tree/big.bin"
want "$(state tree/big.bin)" '(0x00000000)'
sum=$(md5sum <tree/big.bin)

step "Archive the tree, and watch the number of files in flight go down to 0"
type "find tree -type f -print0 | xargs -0 -n 1 lfs hsm_archive"
echo '$ find tree -type f -print0 | xargs -0 -n 1 -P 8 lfs hsm_action | grep ARCHIVE | wc -l'
until n=$(in_flight) && echo "$n" && [ "$n" = 0 ]; do :; done
type "lfs hsm_state tree/big.bin tree/empty"
want "$(state tree/big.bin)" '(0x00000009) exists archived, archive_id:1'

step "The blobs: the same paths, with sizes and metadata"
type "blobls $container"
type "blobls $container tree/big.bin"

step "Change a file, and archive it again"
type "echo changed >> tree/results/run1.dat"
type "lfs hsm_state tree/results/run1.dat"
want "$(state tree/results/run1.dat)" '(0x0000000b) exists dirty archived, archive_id:1'
type "lfs hsm_archive tree/results/run1.dat"
wait_for tree/results/run1.dat '(0x00000009) exists archived, archive_id:1'
type "lfs hsm_state tree/results/run1.dat"

step "Release: the data leave Lustre, the file stays"
type "lfs hsm_release tree/big.bin"
type "lfs hsm_state tree/big.bin"
want "$(state tree/big.bin)" '(0x0000000d) released exists archived, archive_id:1'
type "ls -ls tree/big.bin"

step "Read it: Lustre asks the copytool to bring the data back, and cat waits for them"
type "cat tree/big.bin | md5sum"
want "$(md5sum <tree/big.bin)" "$sum"
type "lfs hsm_state tree/big.bin"
want "$(state tree/big.bin)" '(0x00000009) exists archived, archive_id:1'

step "Rename a released file; it comes back all the same"
sum=$(md5sum <tree/results/run2.dat)
type "lfs hsm_release tree/results/run2.dat && mv tree/results/run2.dat tree/renamed.dat"
type "md5sum < tree/renamed.dat"
want "$(md5sum <tree/renamed.dat)" "$sum"

step "Remove: the copy leaves the container, the file stays"
type "lfs hsm_remove tree/results/run3.dat"
wait_for tree/results/run3.dat '(0x00000000), archive_id:1'
type "lfs hsm_state tree/results/run3.dat"
want "$(blobls "$container" | grep -c ' tree/results/run3.dat ' || true)" 0

step "A service of archive jobs, with a web page"
token=$(od -An -N 16 -tx1 /dev/urandom | tr -d ' \n')
(umask 077 && echo "$token" >"$home/page.token")
echo "\$ lhsmctl serve --listen 127.0.0.1:0 --token-file $home/page.token … $mnt &"
start service 'at=127' lhsmctl serve --socket "$home/lhsmctl.sock" --state-dir "$home/jobs" \
	--listen 127.0.0.1:0 --token-file "$home/page.token" --mover "http://$metrics/metrics" "$mnt"
export LHSMCTL_SERVER=unix://$home/lhsmctl.sock
page=http://$(sed -n 's/.*msg=listening at=\(127[^ ]*\).*/\1/p' "$home/service.log")/

step "An archive job over the tree: what is new or changed goes, the rest is skipped"
mkdir -p tree/night tree2
for i in $(seq 1 200); do head -c $((i * 1000)) /dev/urandom >tree/night/shot$i.raw; done
echo "begins with the same string" >tree2/file
echo changed >>tree/results/run4.dat
type "lhsmctl archive create /tree --dry-run"
type "lhsmctl archive create /tree --wait"
type "lhsmctl archive list"
want "$(state tree/night/shot200.raw)" '(0x00000009) exists archived, archive_id:1'
want "$(state tree2/file)" '(0x00000009) exists archived, archive_id:1'
# 200 shots, the file beside the tree, the one that changed, and the one whose copy was removed above.
want "$(lhsmctl archive show --output json | sed -n 's/.*"filesExported": \([0-9]*\).*/\1/p')" 203
type "lhsmctl explain tree/night/shot200.raw"

files=$(find tree tree2 -type f | wc -l)
step "Done in $((SECONDS - began)) s: $files files archived, one changed, released, restored, renamed, removed, the rest by a job; every check passed"
if [ "${KEEP:-}" = 1 ]; then
	touch "$home/keep"
	cat <<EOF
It stays up. To use it:
  export PATH=$bin:\$PATH LHSM_LIBLUSTREAPI=$LHSM_LIBLUSTREAPI LUSTRE_MOUNT=$mnt AZURITE_KEY=$AZURITE_KEY
  cd $mnt                        # the file system
  lfs hsm_state tree/big.bin     # and hsm_archive, hsm_release, hsm_restore, hsm_remove, hsm_action
  blobls $container
  lustre-standin get_param 'mdt.*.hsm.*'
  export LHSMCTL_SERVER=$LHSMCTL_SERVER
  lhsmctl archive create /tree --wait
  $page   # the page of archive jobs; its token is $token
  tail -f $home/copytool.log
To end it:
  $here/stop.sh $home
EOF
	exit 0
fi
cd /
exec {alive}>&-
wait "$guard"
