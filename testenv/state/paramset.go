package state

import (
	"math"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// This file reads and writes the values of single tunables.

func duration(at func(*params) *time.Duration) func(*FS) string {
	return func(fs *FS) string {
		d := *at(&fs.params)
		if d%time.Second == 0 {
			return strconv.FormatInt(int64(d/time.Second), 10)
		}
		return d.String()
	}
}

func setDuration(at func(*params) *time.Duration) func(*FS, string) error {
	return func(fs *FS, value string) error {
		d, err := time.ParseDuration(value)
		if seconds, serr := strconv.ParseUint(value, 0, 31); serr == nil {
			d, err = time.Duration(seconds)*time.Second, nil
		}
		if err != nil || d <= 0 {
			return syscall.EINVAL
		}
		*at(&fs.params) = d
		select {
		case fs.cdt.reset <- struct{}{}:
		default:
		}
		return nil
	}
}

func parseInt(value string, least, most int64) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(value), 0, 64)
	if err != nil || n < least || n > most {
		return 0, syscall.EINVAL
	}
	return n, nil
}

func setInt(at func(*params) *int) func(*FS, string) error {
	return func(fs *FS, value string) error {
		n, err := parseInt(value, 0, math.MaxInt32)
		if err == nil {
			*at(&fs.params) = int(n)
		}
		return err
	}
}

func setArchiveID(fs *FS, value string) error {
	n, err := parseInt(value, 1, math.MaxInt32)
	if err == nil {
		fs.params.defaultArchive = uint32(n)
	}
	return err
}

func setMaxRequests(fs *FS, value string) error {
	n, err := parseInt(value, 1, math.MaxInt32)
	if err == nil {
		fs.params.maxRequests = int(n)
		fs.cdt.kick()
	}
	return err
}

func setRemoveOnUnlink(fs *FS, value string) error {
	n, err := parseInt(value, 0, 1)
	if err == nil {
		fs.params.removeOnUnlink = n == 1
	}
	return err
}

func runningCount(a Action) func(*FS) string {
	return func(fs *FS) string {
		n := 0
		for _, run := range fs.cdt.running {
			if run.rec.action == a {
				n++
			}
		}
		return strconv.Itoa(n)
	}
}

// policyNames pairs the words of hsm.policy; the short ones can be written too.
var policyNames = []struct {
	long, short string
	at          func(*params) *bool
}{
	{"NonBlockingRestore", "NBR", func(p *params) *bool { return &p.nonBlockingRestore }},
	{"NoRetryAction", "NRA", func(p *params) *bool { return &p.noRetryAction }},
}

func (fs *FS) policyText() string {
	var words []string
	for _, n := range policyNames {
		if *n.at(&fs.params) {
			words = append(words, "["+n.long+"]")
		} else {
			words = append(words, n.long)
		}
	}
	return strings.Join(words, " ")
}

// setPolicy understands "+NBR", "-NRA", a list that replaces everything, and the
// text that policyText gives.
func setPolicy(fs *FS, value string) error {
	next := map[*bool]bool{}
	bracketed := strings.Contains(value, "[")
	relative := strings.HasPrefix(value, "+") || strings.HasPrefix(value, "-")
	for _, n := range policyNames {
		next[n.at(&fs.params)] = relative && *n.at(&fs.params)
	}
	for _, word := range strings.Fields(value) {
		sign, name := byte('+'), strings.Trim(word, "[]")
		if name != "" && (name[0] == '+' || name[0] == '-') {
			sign, name = name[0], name[1:]
		}
		known := false
		for _, n := range policyNames {
			if name == n.long || name == n.short {
				known = true
				next[n.at(&fs.params)] = sign == '+' && (!bracketed || word[0] == '[')
			}
		}
		if !known {
			return syscall.EINVAL
		}
	}
	for at, on := range next {
		*at = on
	}
	return nil
}

// actionMask is a set of actions.
type actionMask uint32

var maskActions = []Action{ActionNone, ActionArchive, ActionRestore, ActionRemove, ActionCancel}

func maskOf(a Action) actionMask       { return 1 << a }
func (m actionMask) has(a Action) bool { return m&maskOf(a) != 0 }
func mask(which int) func(*FS) string {
	return func(fs *FS) string { return fs.params.masks[which].String() }
}

// String gives the words that hsm.user_request_mask shows.
func (m actionMask) String() string {
	var words []string
	for _, a := range maskActions {
		if m.has(a) {
			words = append(words, a.String())
		}
	}
	return strings.Join(words, " ")
}

func setMask(which int) func(*FS, string) error {
	return func(fs *FS, value string) error {
		return editMask(value, &fs.params.masks[which], func(word string) (actionMask, bool) {
			for _, a := range maskActions {
				if a.String() == word {
					return maskOf(a), true
				}
			}
			return 0, false
		})
	}
}

func setChangelogMask(fs *FS, value string) error {
	m := fs.params.changelogMask
	if err := editMask(value, &m, parseChange); err != nil {
		return err
	}
	fs.params.changelogMask = m | maskMark
	return nil
}

// editMask changes a mask as "+A -B" says; words without a sign replace it.
func editMask[M ~uint32](value string, m *M, parse func(word string) (M, bool)) error {
	next := *m
	words := strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == ',' || r == '|' })
	for n, word := range words {
		signed := word[0] == '+' || word[0] == '-'
		if n == 0 && !signed {
			next = 0
		}
		bits, ok := parse(strings.TrimLeft(word, "+-"))
		switch {
		case !ok:
			return syscall.EINVAL
		case word[0] == '-':
			next &^= bits
		default:
			next |= bits
		}
	}
	if len(words) == 0 {
		next = 0
	}
	*m = next
	return nil
}
