package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/signal"
	"syscall"

	"lhsm-azblob/httpapi"
)

func (s *session) watch() error {
	id, err := s.optionalOrLast()
	if err != nil {
		return err
	}
	return s.watchJob(id)
}

// watchJob shows a job until it is over. Ctrl-C ends the watching, not the job.
func (s *session) watchJob(id int64) error {
	var stop context.CancelFunc
	s.ctx, stop = signal.NotifyContext(s.ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	show := s.viewer()
	end, err := s.follow(id, show.job, show.away)
	show.done()
	switch {
	case s.ctx.Err() != nil:
		return fmt.Errorf("no longer watching job %d, which goes on; %s archive watch %d looks at it again, %s archive cancel %d ends it", id, programName, id, programName, id)
	case err != nil:
		return err
	}
	if !s.json {
		printEnd(s.stdout, end)
	}
	return ended(end.State)
}

// A viewer shows a job that is watched.
type viewer interface {
	job(j httpapi.Job)
	away(err error) // the service does not answer
	done()
}

// viewer is the one that fits what the output is.
func (s *session) viewer() viewer {
	width := terminalWidth(s.stdout)
	switch {
	case s.json:
		return jsonViewer{json.NewEncoder(s.stdout), s.program}
	case width > 0:
		return &barViewer{p: s.program, width: func() int { return terminalWidth(s.stdout) }}
	}
	return &lineViewer{p: s.program}
}

// jsonViewer prints each state of the job on a line.
type jsonViewer struct {
	out *json.Encoder
	p   *program
}

func (v jsonViewer) job(j httpapi.Job) { v.out.Encode(j) }
func (v jsonViewer) away(error)        {}
func (v jsonViewer) done()             {}

// lineViewer prints a line when there is something new to say: for logs.
type lineViewer struct {
	p       *program
	last    string // what was said last, without the numbers that always move
	percent int
	gone    bool
}

// percentStep is how far a job has to get for another line.
const percentStep = 5

func (v *lineViewer) job(j httpapi.Job) {
	v.gone = false
	about := fmt.Sprintf("%d %s %s", j.ID, j.State, j.WaitsFor)
	if about == v.last && j.PercentComplete < v.percent+percentStep {
		return
	}
	v.last, v.percent = about, j.PercentComplete
	fmt.Fprintln(v.p.stdout, progressLine(j))
}

func (v *lineViewer) away(err error) {
	if !v.gone {
		fmt.Fprintf(v.p.stderr, "%s: %v; trying again\n", programName, err)
	}
	v.gone = true
}

func (v *lineViewer) done() {}
