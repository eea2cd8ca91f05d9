package main

import (
	"math"

	"lhsm-azblob/llapi"
)

// hsmState and hsmAction take no options: whatever they are given is a file's name.
func (l *lfs) hsmState(argv []string) int {
	return l.eachFile(argv, "get HSM state", func(path string) error {
		s, err := llapi.GetState(path)
		if err != nil {
			return err
		}
		l.printf("%s: (0x%08x)%s", path, uint32(s.Flags), blankBefore(s.Flags.String()))
		if s.ArchiveID != 0 {
			l.printf(", archive_id:%d", int32(s.ArchiveID))
		}
		l.printf("\n")
		return nil
	})
}

func (l *lfs) hsmAction(argv []string) int {
	return l.eachFile(argv, "get hsm action", func(path string) error {
		a, err := llapi.GetCurrentAction(path)
		if err != nil {
			return err
		}
		l.printf("%s: %s\n", path, actionText(a))
		return nil
	})
}

// eachFile goes on after a file that fails, and returns the first failure.
func (l *lfs) eachFile(argv []string, what string, show func(path string) error) int {
	if len(argv) < 2 {
		return help
	}
	if !l.load(argv[0]) {
		return 1
	}
	first := 0
	for _, path := range argv[1:] {
		if err := show(path); err != nil {
			l.errorf("%s %s: %s for '%s' failed: %s\n", l.prog, argv[0], what, path, strerror(err))
			first = firstOf(first, errnoOf(err))
		}
	}
	return first
}

// firstOf keeps the first failure of several.
func firstOf(first, rc int) int {
	if first != 0 {
		return first
	}
	return rc
}

func blankBefore(words string) string {
	if words == "" {
		return ""
	}
	return " " + words
}

func actionText(a llapi.CurrentAction) string {
	text := a.Action.String()
	switch a.Action {
	case llapi.UserNone:
		return text
	case llapi.UserArchive, llapi.UserRestore, llapi.UserRelease, llapi.UserRemove, llapi.UserCancel:
	default:
		text = "UNKNOWN"
	}
	text += " " + progressWord(a.State) + " "
	switch e := a.Location; {
	case a.State == llapi.ProgressRunning && (a.Action == llapi.UserArchive || a.Action == llapi.UserRestore):
		return text + sprintf("(%d bytes moved)", e.Length)
	case e.Offset+e.Length == math.MaxUint64:
		return text + sprintf("(from %d to EOF)", e.Offset)
	default:
		return text + sprintf("(from %d to %d)", e.Offset, e.Offset+e.Length)
	}
}

func progressWord(s llapi.ProgressState) string {
	switch s {
	case llapi.ProgressWaiting, llapi.ProgressRunning, llapi.ProgressDone:
		return s.String()
	}
	return "unknown"
}

var flagOptions = []longOption{
	{"archived", false, 'A'},
	{"noarchive", false, 'a'},
	{"dirty", false, 'd'},
	{"exists", false, 'e'},
	{"help", false, 'h'},
	{"archive-id", true, 'i'},
	{"lost", false, 'l'},
	{"norelease", false, 'r'},
}

var flagOf = map[byte]llapi.StateFlags{
	'A': llapi.HSArchived, 'a': llapi.HSNoArchive, 'd': llapi.HSDirty,
	'e': llapi.HSExists, 'l': llapi.HSLost, 'r': llapi.HSNoRelease,
}

func (l *lfs) hsmSet(argv []string) int {
	return l.changeFlags(argv, func(path string, mask llapi.StateFlags, archiveID uint32) error {
		return llapi.SetState(path, mask, 0, archiveID)
	})
}

func (l *lfs) hsmClear(argv []string) int {
	return l.changeFlags(argv, func(path string, mask llapi.StateFlags, _ uint32) error {
		return llapi.SetState(path, 0, mask, 0)
	})
}

func (l *lfs) changeFlags(argv []string, change func(string, llapi.StateFlags, uint32) error) int {
	if len(argv) < 3 {
		return help
	}
	mask, archiveID, files, ok := l.flagArgs(argv)
	if !ok || mask == 0 {
		return help
	}
	if !l.load(argv[0]) {
		return 1
	}
	first := 0
	for _, path := range files {
		if err := change(path, mask, archiveID); err != nil {
			l.errorf("%s %s: change hsm flags for '%s' failed: %s\n", l.prog, argv[0], path, strerror(err))
			first = firstOf(first, errnoOf(err))
		}
	}
	return first
}

func (l *lfs) flagArgs(argv []string) (mask llapi.StateFlags, archiveID uint32, files []string, ok bool) {
	g := newGetopt(argv, "aAdehi:lr", flagOptions)
	for {
		switch c := g.next(); c {
		case optEnd:
			return mask, archiveID, g.others(), true
		case 'i':
			n, rest, inRange := strtoll(g.arg)
			if !inRange || rest != "" {
				l.errorf("%s: invalid archive_id: '%s'\n", l.prog, rest)
				return 0, 0, nil, false
			}
			archiveID = uint32(n)
		case 'h':
			return 0, 0, nil, false
		case optBad:
			l.errorf("%s: unrecognized option '%s'\n", l.prog, g.bad())
			return 0, 0, nil, false
		default:
			mask |= flagOf[c]
		}
	}
}
