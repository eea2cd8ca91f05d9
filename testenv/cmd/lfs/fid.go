package main

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
)

func (l *lfs) path2fid(argv []string) int {
	g := newGetopt(argv, "p", []longOption{{"parents", false, 'p'}})
	parents := false
	for c := g.next(); c != optEnd; c = g.next() {
		if c != 'p' {
			l.errorf("%s path2fid: unrecognized option '%s'\n", l.prog, g.bad())
			return help
		}
		parents = true
	}
	paths := g.others()
	if len(paths) == 0 {
		l.errorf("%s path2fid: FILE... must be specified\n", l.prog)
		return help
	}
	if !l.load(argv[0]) {
		return 1
	}
	first, show, what := 0, l.showFID, ""
	if parents {
		show, what = l.showParents, "parent "
	}
	for _, p := range paths {
		prefix := ""
		if len(paths) > 1 {
			prefix = p + ": "
		}
		if err := show(p, prefix); err != nil {
			l.errorf("%s path2fid: cannot get %sfid for '%s': %s\n", l.prog, what, p, strerror(err))
			first = firstOf(first, errnoOf(err))
		}
	}
	return first
}

func (l *lfs) showFID(path, prefix string) error {
	fid, err := llapi.PathToFID(path)
	if err == nil {
		l.printf("%s%s\n", prefix, fid)
	}
	return err
}

// showParents shows the links to a file in one line.
func (l *lfs) showParents(path, prefix string) error {
	for linkno := 0; ; linkno++ {
		parent, name, err := llapi.PathToParent(path, linkno)
		if errors.Is(err, syscall.ENODATA) && linkno > 0 {
			l.printf("\n")
			return nil
		}
		if err != nil {
			return err
		}
		if linkno > 0 {
			prefix = "\t"
		}
		l.printf("%s%s/%s", prefix, parent, name)
	}
}

var fid2pathOptions = []longOption{
	{"print0", false, '0'},
	{"cur", false, 'c'},
	{"current", false, 'c'},
	{"print-link", false, 'c'},
	{"print-fid", false, 'f'},
	{"link", true, 'l'},
	{"name", false, 'n'},
}

// fid2pathArgs is what fid2path was asked for.
type fid2pathArgs struct {
	separator          string
	printLink, printID bool
	nameOnly           bool
	linkno             int // -1: all of them
	where              string
	fids               []string

	mount  string // found from where
	prefix string // of every path: the mount when where is a path
}

func (l *lfs) fid2path(argv []string) int {
	a, ok := l.fid2pathArgs(argv)
	if !ok {
		return help
	}
	if len(a.fids) == 0 {
		l.errorf("Usage: %s fid2path FSNAME|ROOT FID...\n", l.prog)
		return help
	}
	if !l.load(argv[0]) {
		return 1
	}
	if err := a.findMount(); err != nil {
		l.errorf("%s fid2path: cannot resolve mount point for '%s': %s\n", l.prog, a.where, strerror(err))
		return errnoOf(err)
	}
	first := 0
	for _, text := range a.fids {
		fid, err := parseFID(text)
		if err != nil {
			l.errorf("%s fid2path: invalid FID '%s'\n", l.prog, text)
			first = firstOf(first, errnoOf(err))
			continue
		}
		first = firstOf(first, l.showLinks(a, text, fid))
	}
	return first
}

func (l *lfs) fid2pathArgs(argv []string) (a fid2pathArgs, ok bool) {
	a = fid2pathArgs{separator: "\n", linkno: -1}
	g := newGetopt(argv, "0cfl:pr:n", fid2pathOptions)
	for {
		switch g.next() {
		case optEnd:
			if others := g.others(); len(others) >= 2 {
				a.where, a.fids = others[0], others[1:]
			}
			return a, true
		case '0':
			a.separator = "\x00"
		case 'c':
			a.printLink = true
		case 'f':
			a.printID = true
		case 'l':
			n, rest, inRange := strtoll(g.arg)
			if !inRange || rest != "" || n < 0 || n > math.MaxInt32 {
				l.errorf("%s fid2path: invalid linkno '%s'\n", l.prog, g.arg)
				return a, false
			}
			a.linkno = int(n)
		case 'n':
			a.nameOnly = true
		case 'r': // a record number that no server ever looked at
			if n, rest, inRange := strtoll(g.arg); !inRange || rest != "" || n < 0 {
				l.errorf("%s fid2path: invalid recno '%s'\n", l.prog, g.arg)
				return a, false
			}
		default:
			l.errorf("%s fid2path: unrecognized option '%s'\n", l.prog, g.bad())
			return a, false
		}
	}
}

// findMount resolves where, a path on a mount or the name of a file system.
func (a *fid2pathArgs) findMount() (err error) {
	if strings.HasPrefix(a.where, "/") {
		if a.mount, _, err = llapi.MountRoot(a.where); err == nil {
			a.prefix = strings.TrimRight(a.mount, "/") + "/"
		}
		return err
	}
	a.mount, err = llapi.RootOf(a.where)
	return err
}

// showLinks shows one link or all of them.
func (l *lfs) showLinks(a fid2pathArgs, text string, fid llapi.FID) int {
	for linkno := max(a.linkno, 0); ; {
		p, next, err := llapi.FIDToPath(a.mount, fid, linkno)
		if err != nil {
			l.errorf("%s fid2path: cannot find %s %s: %s\n", l.prog, a.where, text, strerror(err))
			return errnoOf(err)
		}
		if a.nameOnly && !a.printLink {
			return l.showNames(a, text, p, next)
		}
		l.showLink(a, text, p, next)
		if a.linkno >= 0 || next == linkno {
			return 0
		}
		linkno = next
	}
}

func (l *lfs) showLink(a fid2pathArgs, text, p string, next int) {
	if a.printID {
		l.printf("%s ", text)
	}
	if a.printLink {
		l.printf("%d ", next)
	}
	switch {
	case a.nameOnly:
		l.printf("%s\n", path.Base("/"+p))
	case p == "": // the root is "//" below its mount point
		l.printf("%s/%s", a.prefix, a.separator)
	default:
		l.printf("%s%s%s", a.prefix, p, a.separator)
	}
}

// showNames shows the names of all links, or of the one asked for, from the
// attribute that the metadata server keeps them in.
func (l *lfs) showNames(a fid2pathArgs, text, p string, next int) int {
	buf := make([]byte, 64<<10)
	n, err := unix.Getxattr(a.mount+"/"+p, "trusted.link", buf)
	if err != nil {
		l.errorf("%s: failed to read %s xattr: %s\n", p, "trusted.link", strerror(err))
		return errnoOf(err)
	}
	for _, name := range linkNames(buf[:n]) {
		number := ""
		if a.linkno >= 0 {
			if name != path.Base(p) {
				continue
			}
			number = sprintf("%d ", next)
		}
		if a.printID {
			l.printf("%s ", text)
		}
		l.printf("%s%s\n", number, name)
		if number != "" {
			break
		}
	}
	return 0
}

// linkNames decodes a link EA: a header of 24 bytes, then entries that begin
// with their length (big endian) and the parent's FID.
func linkNames(b []byte) (names []string) {
	const header, fixed = 24, 2 + 16
	for rest := b[min(header, len(b)):]; len(rest) >= fixed; {
		size := int(binary.BigEndian.Uint16(rest))
		if size < fixed || size > len(rest) {
			break
		}
		names = append(names, string(rest[fixed:size]))
		rest = rest[size:]
	}
	return names
}

func (l *lfs) dataVersion(argv []string) int {
	if len(argv) < 2 {
		l.errorf("%s: FILE must be specified\n", l.prog)
		return help
	}
	flags, save := llapi.ReadFlush, false
	g := newGetopt(argv, "hnrws", nil)
	for c := g.next(); c != optEnd; c = g.next() {
		switch c {
		case 'n':
			flags = 0
		case 'r':
			flags |= llapi.ReadFlush
		case 'w':
			flags |= llapi.WriteFlush
		case 's':
			save = true
		case 'h':
			return help
		default:
			l.errorf("%s data_version: unrecognized option '%s'\n", l.prog, g.bad())
			return help
		}
	}
	if len(g.others()) == 0 {
		l.errorf("%s data_version: FILE must be specified\n", l.prog)
		return help
	}
	if !l.load(argv[0]) {
		return 1
	}
	return l.showDataVersion(g.others()[0], flags, save)
}

func (l *lfs) showDataVersion(path string, flags llapi.DataVersionFlags, save bool) int {
	f, err := os.Open(path)
	if err != nil {
		l.errorf("%s data_version: cannot open file '%s': %s\n", l.prog, path, strerror(err))
		return errnoOf(err)
	}
	defer f.Close()
	dv, err := llapi.DataVersion(int(f.Fd()), flags)
	if err != nil {
		l.errorf("%s data_version: cannot get version for '%s': %s\n", l.prog, path, strerror(err))
		return errnoOf(err)
	}
	l.printf("%d\n", dv)
	if !save {
		return 0
	}
	if err := llapi.SetArchivedVersion(int(f.Fd()), dv); err != nil {
		l.errorf("%s data_version: cannot set version %d for '%s': %s\n", l.prog, dv, path, strerror(err))
		return errnoOf(err)
	}
	return 0
}
