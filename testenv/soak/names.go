package soak

import (
	"math/rand/v2"
	"path"
	"strconv"
	"strings"
)

// fileNames are few, so that names are used again, and odd.
var fileNames = []string{
	"plain", "data.bin", "with space", " leading", "trailing ", "dot.", "...", "new\nline", "tab\t", "quote'\"", "per%cent", "per%20cent", "hash#", "question?",
	`back\slash`, "latin-\xe9\xff", "ünïcödé", "e\u0301", "\u00e9", "plus+&amp;", "colon:;", "star*[a]", "-dash", "$(x)", "\u0081", strings.Repeat("n", 200),
}

var dirNames = []string{"a", "b b", "c.", "d%2F", "deep/er", "latin-\xe8"}

// somePath is a path below a user's tree.
func somePath(r *rand.Rand, tree string) string {
	return path.Join(tree, dirNames[r.IntN(len(dirNames))], fileNames[r.IntN(len(fileNames))])
}

// someSize favours small files. Little is what is left to grow.
func someSize(r *rand.Rand, little bool) int64 {
	n := r.IntN(100)
	switch {
	case n < 10:
		return 0
	case n < 55 || little:
		return r.Int64N(16 << 10)
	case n < 80:
		return r.Int64N(512 << 10)
	case n < 97:
		return r.Int64N(4 << 20)
	}
	return r.Int64N(24 << 20)
}

func treeOf(uid int) string { return "u" + strconv.Itoa(uid) }
