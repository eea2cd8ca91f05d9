package main

import (
	"errors"
	"io"
	"strings"
	"syscall"

	"lhsm-azblob/llapi"
)

// Bits of a changelog record's open mode.
const (
	modeRead     = 0x1
	modeWrite    = 0x2
	modeExec     = 0x4
	modeTruncate = 0x1000
	modeAppend   = 0x2000
)

func (l *lfs) changelog(argv []string) int {
	g := newGetopt(argv, "f", []longOption{{"follow", false, 'f'}})
	flags := llapi.ChangelogBlock | llapi.ChangelogJobID | llapi.ChangelogNIDBE | llapi.ChangelogExtra
	for c := g.next(); c != optEnd; c = g.next() {
		if c != 'f' {
			l.errorf("%s changelog: unrecognized option '%s'\n", l.prog, g.bad())
			return help
		}
		flags |= llapi.ChangelogFollow
	}
	args := g.others()
	if len(args) == 0 {
		l.errorf("%s changelog: mdtname must be specified\n", l.prog)
		return help
	}
	var bounds [2]uint64 // first and last record; 0: no bound
	for i, name := range [2]string{"startrec", "endrec"} {
		if len(args) > i+1 {
			n, _, inRange := strtoll(args[i+1])
			if !inRange || n < 0 {
				l.errorf("%s changelog: bad %s\n", l.prog, name)
				return help
			}
			bounds[i] = uint64(n)
		}
	}
	if !l.load(argv[0]) {
		return 1
	}
	return l.showChangelog(args[0], bounds, flags)
}

func (l *lfs) showChangelog(mdt string, bounds [2]uint64, flags llapi.ChangelogFlags) int {
	cl, err := llapi.OpenChangelog(mdt, bounds[0], flags)
	if err != nil {
		l.errorf("%s changelog: cannot start changelog: %s\n", l.prog, strerror(err))
		return errnoOf(err)
	}
	defer cl.Close() //nolint:errcheck // nothing was written
	for {
		r, err := cl.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return 0
		case err != nil:
			l.errorf("%s changelog: cannot access changelog: %s\n", l.prog, strerror(err))
			return errnoOf(err)
		case bounds[1] != 0 && r.Index > bounds[1]:
			return 0
		case r.Index >= bounds[0]:
			l.printf("%s\n", recordText(r))
		}
	}
}

func recordText(r llapi.Record) string {
	var b strings.Builder
	at := r.Time.UTC()
	b.WriteString(sprintf("%d %02d%-5s %s 0x%x t=%s", r.Index, uint32(r.Type), r.Type,
		at.Format("15:04:05.000000000 2006.01.02"), r.Flags, r.FID))
	if r.JobID != "" {
		b.WriteString(" j=" + r.JobID)
	}
	b.WriteString(extraText(r))
	if !r.Parent.IsZero() {
		b.WriteString(" p=" + r.Parent.String())
	}
	if r.Name != "" {
		b.WriteString(" " + r.Name)
	}
	if !r.SourceFID.IsZero() {
		b.WriteString(sprintf(" s=%s sp=%s %s", r.SourceFID, r.SourceParent, r.SourceName))
	}
	return b.String()
}

func extraText(r llapi.Record) string {
	if !r.HasExtra {
		return ""
	}
	text := sprintf(" ef=0x%x", r.Extra)
	if r.Extra&llapi.ExtraOwner != 0 {
		text += sprintf(" u=%d:%d", r.UID, r.GID)
	}
	if r.Extra&llapi.ExtraNID != 0 {
		text += " nid=" + r.NID.String()
	}
	if mode := openModeText(r.OpenMode); r.Extra&llapi.ExtraOpen != 0 && mode != "---" {
		text += " m=" + mode
	}
	if r.Extra&llapi.ExtraXattr != 0 && r.Xattr != "" {
		text += " x=" + r.Xattr
	}
	return text
}

func openModeText(mode uint32) string {
	if mode&modeExec != 0 {
		return "--x"
	}
	text := []byte("---")
	if mode&modeRead != 0 {
		text[0] = 'r'
	}
	if mode&(modeWrite|modeTruncate|modeAppend) != 0 {
		text[1] = 'w'
	}
	return string(text)
}

func (l *lfs) changelogClear(argv []string) int {
	if len(argv) != 4 {
		return help
	}
	end, _, inRange := strtoll(argv[3])
	if !inRange || end < 0 {
		l.errorf("%s: bad endrec '%s'\n", argv[0], argv[3])
		return help
	}
	if !l.load(argv[0]) {
		return 1
	}
	err := llapi.ClearChangelog(argv[1], argv[2], uint64(end))
	switch {
	case err == nil:
		return 0
	case errors.Is(err, syscall.EINVAL):
		l.errorf("%s: record out of range: %d\n", argv[0], end)
	case errors.Is(err, syscall.ENOENT):
		l.errorf("%s: no changelog user: %s\n", argv[0], argv[2])
	default:
		l.errorf("%s error: %s\n", argv[0], strerror(err))
	}
	return errnoOf(err)
}
