#!/usr/bin/env bash
# build.sh VERSION NFPM WORK OUT: makes the .deb and the .rpm of what is installed below WORK/root.
set -euo pipefail

described=$1 nfpm=$2 work=$3 out=$4
here=$(cd "$(dirname "$0")" && pwd)
root=$work/root doc=$work/root/usr/share/doc/lhsm-azblob
programs=("$root"/usr/bin/* "$root"/usr/sbin/*)

PACKAGE_VERSION=$("$here/version.sh" "$described" "$(git rev-list --count HEAD 2>/dev/null || true)")
PACKAGE_ARCH=$(go env GOARCH)
# The programs are linked with nothing but glibc. This is the oldest that has every symbol of theirs.
PACKAGE_GLIBC=$(readelf -W -V "${programs[@]}" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1 | sed 's/GLIBC_//')
# Without git, as from an archive of the sources, who makes the packages should give these.
PACKAGE_MAINTAINER=${PACKAGE_MAINTAINER:-$(git log -1 --format='%an <%ae>' 2>/dev/null || echo "$(id -un) <$(id -un)@$(hostname)>")}
# The same commit makes the same packages.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export PACKAGE_VERSION PACKAGE_ARCH PACKAGE_GLIBC PACKAGE_MAINTAINER SOURCE_DATE_EPOCH

# modules are those that are linked into the programs, as "path version".
modules() { go version -m "${programs[@]}" | awk '$1 == "dep" { print $2 " " $3 }' | sort -u; }

# copyright has what the licences of linked modules want to be passed on.
copyright() {
	printf 'lhsm-azblob is made by %s.\n\nThe programs contain the Go standard library and the modules below, under these terms.\n' "$PACKAGE_MAINTAINER"
	printf '\n==== Go %s\n\n' "$(go env GOVERSION)"
	cat "$(go env GOROOT)/LICENSE"
	local path version dir terms
	while read -r path version; do
		dir=$(go mod download -json "$path@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
		terms=$(find "$dir" -maxdepth 1 -type f -iname 'licen[cs]e*' -o -maxdepth 1 -type f -iname 'copying*' -o -maxdepth 1 -type f -iname 'notice*' | sort)
		[ -n "$terms" ] || { echo "build.sh: $path has no licence" >&2; return 1; }
		printf '\n==== %s %s\n' "$path" "$version"
		while read -r file; do printf '\n'; cat "$file"; done <<<"$terms"
	done < <(modules)
}

# changelog is what happened since the tag before this version, in the form that Debian wants.
changelog() {
	local before
	before=$(git describe --tags --abbrev=0 HEAD^ 2>/dev/null) || true
	printf 'lhsm-azblob (%s) unstable; urgency=medium\n\n' "$PACKAGE_VERSION"
	git log --format='  * %s' ${before:+"$before.."}HEAD 2>/dev/null || printf '  * %s\n' "$PACKAGE_VERSION"
	printf '\n -- %s  %s\n' "$PACKAGE_MAINTAINER" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")"
}

mkdir -p "$doc" "$out"
copyright >"$doc/copyright"
changelog | gzip -9n >"$doc/changelog.gz"
find "$root/usr/share/man" -name '*.[1-8]' -exec gzip -9nf {} + 2>/dev/null || true # without man pages there is none
chmod 644 "$doc"/*
cp -r "$here/scripts" "$work/"
chmod 755 "$work"/scripts/*
find "$work" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
for packager in deb rpm; do
	(cd "$work" && "$nfpm" package --config "$here/nfpm.yaml" --packager "$packager" --target "$out/")
done
