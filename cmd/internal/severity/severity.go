// Package severity has the words for how bad a finding is, which are the same in
// every report and decide about its exit status.
package severity

import "fmt"

// A Level says how bad a finding is. A larger one is worse.
type Level int

// The levels.
const (
	OK      Level = iota
	Note          // nothing is wrong, but worth reading: a choice with consequences, or what cannot be seen from here
	Warning       // works, and will trouble somebody
	Failure       // does not work
)

var words = [...]string{OK: "ok", Note: "note", Warning: "warning", Failure: "failure"}

// String is the level in a word.
func (l Level) String() string { return words[l] }

// MarshalText implements [encoding.TextMarshaler].
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (l *Level) UnmarshalText(text []byte) error {
	for i, word := range words {
		if string(text) == word {
			*l = Level(i)
			return nil
		}
	}
	return fmt.Errorf("no level: %q", text)
}
