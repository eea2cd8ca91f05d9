#!/bin/sh
# version.sh DESCRIPTION [COMMITS]: the version of a package, from what `git describe --tags --always --dirty` says.
# It is valid for dpkg and rpm, and both sort it as git does: v1.2.0-rc1, v1.2.0, v1.2.0-3-gabc, v1.2.1.
# Without any tag the number of commits puts versions in order.
set -eu

version=$1 more=
case $version in *-dirty) version=${version%-dirty} more=dirty ;; esac
if commit=$(expr "$version" : '.*-\([0-9]*-g[0-9a-f]*\)$'); then
	version=${version%-"$commit"}
	more=$(echo "$commit" | tr - .)${more:+.$more}
elif expr "$version" : '[0-9a-f]\{7,40\}$' >/dev/null; then
	more=${2:?the number of commits is missing}.g$version${more:+.$more}
	version=0.0.0
fi
version=$(echo "${version#v}" | sed 's/-/~/; s/-/./g')${more:++$more}
expr "$version" : '[0-9][0-9A-Za-z.+~]*$' >/dev/null || {
	echo "version.sh: \"$1\" is no version; tag a commit as v1.2.3, or give make VERSION=v1.2.3" >&2
	exit 1
}
echo "$version"
