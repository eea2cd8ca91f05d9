package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"lhsm-azblob/jobs"
)

// A Code is the stable name of a refusal.
type Code string

// The codes of problems.
const (
	InvalidRequest   Code = "InvalidRequest"   // a value cannot be; Field says which
	UnknownField     Code = "UnknownField"     // the request has a field that the operation does not know
	Unauthorized     Code = "Unauthorized"     // no token, or a wrong one
	CrossOrigin      Code = "CrossOrigin"      // a browser sent it for a page that is not ours
	NotFound         Code = "NotFound"         // no such address
	JobNotFound      Code = "JobNotFound"      // no such job, or not any more
	NoJob            Code = "NoJob"            // nothing runs that could be cancelled
	JobFinished      Code = "JobFinished"      // the job is over
	Busy             Code = "Busy"             // another job runs, and the request was not to wait
	NotRecorded      Code = "NotRecorded"      // the job recorded failures only
	MethodNotAllowed Code = "MethodNotAllowed" // the address is right, the method is not
	TooLarge         Code = "TooLarge"         // the body is over the limit
	UnsupportedMedia Code = "UnsupportedMedia" // the body is not JSON
	Stopping         Code = "Stopping"         // the service is being stopped; ask again in a moment
	Internal         Code = "Internal"         // the service failed; its log says why
)

// A Problem is an error as clients see it (RFC 9457).
type Problem struct {
	Title  string `json:"title"` // of the status
	Status int    `json:"status"`
	Code   Code   `json:"code"`
	Detail string `json:"detail"`          // one sentence: what is wrong and what to do
	Field  string `json:"field,omitempty"` // what of the request it is about
}

// Error is the detail.
func (p *Problem) Error() string { return p.Detail }

func problem(status int, code Code, format string, args ...any) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: fmt.Sprintf(format, args...)}
}

func invalid(field, format string, args ...any) *Problem {
	p := problem(http.StatusBadRequest, InvalidRequest, format, args...)
	p.Field = field
	return p
}

// problemOf translates an error of the engine, and is the only place that does.
// What it does not know is our fault: the log has it, the client has not.
func problemOf(err error) *Problem {
	var p *Problem
	var wrong *jobs.InvalidError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &wrong):
		return invalid(wrong.Field, "%s", wrong.Problem)
	case errors.Is(err, jobs.ErrNotFound):
		return problem(http.StatusNotFound, JobNotFound, "there is no such job, or not any more")
	case errors.Is(err, context.Canceled): // or the client has gone, who does not see it
		return problem(http.StatusServiceUnavailable, Stopping, "the service is being stopped; ask again in a moment")
	}
	return problem(http.StatusInternalServerError, Internal, "the service failed; its log says why")
}

// refused is an error of the engine that is about the job that comes with it.
func refused(j jobs.Job, err error) error {
	switch {
	case errors.Is(err, jobs.ErrFinished):
		return problem(http.StatusConflict, JobFinished, "job %d is over: it is %s, and cannot be cancelled", j.ID, j.State)
	case errors.Is(err, jobs.ErrBusy):
		return problem(http.StatusConflict, Busy, "job %d has the file system, and is %s: wait for its end, or cancel it", j.ID, j.State)
	}
	return err
}

// A style is how a route says a problem. Nil is problem+json.
type style func(w http.ResponseWriter, p *Problem)

func (write style) problem(w http.ResponseWriter, p *Problem) {
	if write != nil {
		write(w, p)
		return
	}
	writeBody(w, p.Status, "application/problem+json", p)
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	writeBody(w, status, "application/json", v)
	return nil
}

func writeBody(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}
