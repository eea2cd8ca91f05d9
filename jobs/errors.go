package jobs

import (
	"errors"
	"fmt"
)

// Errors of [Manager], to be tested with errors.Is.
var (
	ErrNotFound = errors.New("no such job")
	ErrBusy     = errors.New("another job has the file system")
	ErrFinished = errors.New("the job is over")
	ErrLocked   = errors.New("another service has the file system")
)

// An InvalidError is a [Spec], or another argument, that cannot be obeyed.
type InvalidError struct {
	Field   string // as in JSON, such as "prefixes"
	Problem string // one sentence: what is wrong, and what to do
}

// Error gives field and problem.
func (e *InvalidError) Error() string { return fmt.Sprintf("%s: %s", e.Field, e.Problem) }
