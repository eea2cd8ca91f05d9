#!/usr/bin/env bash
# Runs every fuzz target of the tree for a while: fuzz.sh TIME or NUMBERx. `go test` takes one target at a time, and would spend
# the whole of a short run on making one input smaller.
set -euo pipefail
cd "$(dirname "$0")/.."
grep -rl --include='*_test.go' '^func Fuzz' --exclude-dir=build . | while read -r file; do
	package=$(dirname "$file")
	grep -o '^func Fuzz[A-Za-z0-9_]*' "$file" | cut -c6- | while read -r target; do
		echo "fuzz $package $target"
		go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 10x </dev/null
	done
done
