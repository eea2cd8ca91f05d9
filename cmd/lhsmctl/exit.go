package main

import (
	"errors"
	"fmt"

	"lhsm-azblob/cmd/internal/options"
	"lhsm-azblob/cmd/internal/severity"
	"lhsm-azblob/httpapi"
	"lhsm-azblob/jobs"
)

// Exit statuses. They are part of the manual: scripts and timers go by them.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 64 // as sysexits.h has it: 2 is what a crash of a Go program looks like
	exitPartial     = 3  // the job ended CompletedPartial
	exitFailed      = 4  // the job ended Failed
	exitCanceled    = 5  // the job ended Canceled
	exitBusy        = 6  // another job has the file system
	exitUnreachable = 7  // the service does not answer
	exitWarning     = 8  // doctor, verify: warnings, and no failure
)

const exitHelp = `Exit status: 0 done; 1 failure; 64 usage; 3 the job ended with failed files; 4 the job failed; 5 it was canceled;
6 another job has the file system (--if-busy fail); 7 the service cannot be reached; 8 doctor and verify have found something to warn of (1: worse).`

// A jobEnd is how a job ended that was waited for. All is said already.
type jobEnd struct{ state jobs.State }

func (e jobEnd) Error() string { return fmt.Sprintf("the job ended %s", e.state) }

// ended makes the error of a job's end; nil if it is a good one.
func ended(s jobs.State) error {
	if s == jobs.Completed {
		return nil
	}
	return jobEnd{s}
}

// A worst finding decides about the end of a command that has reported all.
type worst struct{ level severity.Level }

func (e worst) Error() string { return "the worst finding is a " + e.level.String() }

// worstOf makes the error of a report; nil if nothing is wrong.
func worstOf(level severity.Level) error {
	if level < severity.Warning {
		return nil
	}
	return worst{level}
}

// An unreachable error is about the way to the service.
type unreachable struct{ error }

func (e unreachable) Unwrap() error { return e.error }

// exitStatus decides by the error, and is the only place that does.
func exitStatus(err error) int {
	var end jobEnd
	var found worst
	var refusal *httpapi.Problem
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &end):
		return map[jobs.State]int{jobs.CompletedPartial: exitPartial, jobs.Failed: exitFailed, jobs.Canceled: exitCanceled}[end.state]
	case errors.As(err, &found) && found.level == severity.Warning:
		return exitWarning
	case errors.As(err, &options.UsageError{}):
		return exitUsage
	case errors.As(err, &unreachable{}):
		return exitUnreachable
	case errors.As(err, &refusal) && refusal.Code == httpapi.Busy:
		return exitBusy
	case errors.As(err, &refusal) && (refusal.Code == httpapi.InvalidRequest || refusal.Code == httpapi.UnknownField):
		return exitUsage
	}
	return exitFailure
}
