package options

import (
	"errors"
	"fmt"
	"strings"
)

// A UsageError is a mistake in what was asked for, as opposed to one in what
// was found.
type UsageError struct{ Err error }

// Error is the text of the mistake.
func (e UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the mistake.
func (e UsageError) Unwrap() error { return e.Err }

// Usagef makes a [UsageError].
func Usagef(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// OneLine keeps a message that came from elsewhere on one line.
func OneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

// Join makes one error of several, each told once: tables inherit mistakes.
func Join(errs []error) error {
	var err error
	for _, e := range errs {
		switch {
		case e == nil:
		case err == nil:
			err = e
		case !strings.Contains(err.Error(), e.Error()):
			err = errors.Join(err, e)
		}
	}
	return err
}
