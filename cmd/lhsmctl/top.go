package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"lhsm-azblob/cmd/internal/options"
	"lhsm-azblob/httpapi"
)

const topHelp = `Shows what the movers do: their running actions with progress, rates, queues, and the last failures. The service says
which movers there are (lhsmctl serve --mover); with --mover they are asked directly, and no service is needed. q or Ctrl-C
leaves. Where the output is no terminal it is printed once. A copytool that listens with --http shows paths of files to who asks
on its machine, and to who has the token of its --http-token-file; without one of these they are FIDs.`

func (p *program) topCommand() *cli.Command {
	return &cli.Command{
		Name: "top", Usage: "watch the movers at work", Description: topHelp,
		Flags: append(serverFlags(),
			&cli.StringSliceFlag{Name: "mover", Usage: "`URL` of a copytool to ask in place of the service, such as http://mover1:9090; may be repeated"},
			&cli.StringFlag{Name: "mover-token-file", Usage: "`FILE` with the token of the --http-token-file of those copytools"},
			&cli.DurationFlag{Name: "interval", Value: 2 * time.Second, Usage: "`TIME` between two looks"},
			&cli.BoolFlag{Name: "once", Usage: "look once, and print it"},
			&cli.BoolFlag{Name: "json", Usage: "look once, and print JSON"},
		),
		Action: p.top,
	}
}

// A topView is one look at the movers.
type topView struct {
	Time   time.Time               `json:"time"`
	Job    *httpapi.Job            `json:"job,omitempty"` // that runs
	Movers []httpapi.MoverActivity `json:"movers"`
}

// leastInterval keeps impatient people from being a load.
const leastInterval = 200 * time.Millisecond

func (p *program) top(c *cli.Context) error {
	interval := c.Duration("interval")
	switch {
	case c.NArg() > 0:
		return options.Usagef("%d arguments, and none is wanted", c.NArg())
	case interval < leastInterval:
		return options.Usagef("--interval %v is too short; the least is %v", interval, leastInterval)
	}
	look, err := p.looker(c)
	if err != nil {
		return err
	}
	if c.Bool("once") || c.Bool("json") {
		return p.topOnce(c.Context, look, c.Bool("json"))
	}
	s, err := openScreen(p.stdin, p.stdout)
	switch {
	case err != nil:
		return err
	case s == nil:
		return p.topOnce(c.Context, look, false)
	}
	defer s.close()
	return s.watchMovers(c.Context, interval, look)
}

// A looker takes one look.
type looker func(ctx context.Context) (topView, error)

// looker asks the movers that are named, or the service.
func (p *program) looker(c *cli.Context) (looker, error) {
	movers := c.StringSlice("mover")
	if len(movers) == 0 {
		s, err := p.connect(c)
		if err != nil {
			return nil, err
		}
		return s.lookAtMovers, nil
	}
	for _, address := range movers {
		if err := checkMover(address); err != nil {
			return nil, options.Usagef("--mover: %w", err)
		}
	}
	token, err := tokenIn("mover-token-file", c.String("mover-token-file"))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (topView, error) {
		ctx, cancel := context.WithTimeout(ctx, cmp.Or(p.moverTime, httpapi.MoverTime))
		defer cancel()
		return topView{Time: time.Now(), Movers: httpapi.AskMovers(ctx, movers, token)}, nil
	}, nil
}

// recentJobs is among how many jobs the one is looked for that runs.
const recentJobs = 50

func (s *session) lookAtMovers(ctx context.Context) (topView, error) {
	look := *s
	look.ctx = ctx
	v := topView{Time: time.Now()}
	var list httpapi.MoverList
	if err := look.call("GET", "/v1/movers", nil, &list); err != nil {
		return v, err
	}
	if v.Movers = list.Movers; len(v.Movers) == 0 {
		return v, errors.New("the service knows no movers; name them with --mover, here or to lhsmctl serve")
	}
	var jobs httpapi.JobList
	if err := look.call("GET", fmt.Sprintf("/v1/jobs?limit=%d", recentJobs), nil, &jobs); err != nil {
		return v, err
	}
	if i := slices.IndexFunc(jobs.Jobs, func(j httpapi.Job) bool { return !j.Finished && j.StartedTime != nil }); i >= 0 {
		v.Job = &jobs.Jobs[i]
	}
	return v, nil
}

func (p *program) topOnce(ctx context.Context, look looker, asJSON bool) error {
	v, err := look(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		e := json.NewEncoder(p.stdout)
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	for _, line := range v.lines(0, 0) {
		if _, err := fmt.Fprintln(p.stdout, line); err != nil {
			return err
		}
	}
	return nil
}

// Keys that leave.
const (
	ctrlC = 3
	ctrlD = 4
)

// watchMovers looks again and again until somebody leaves.
func (s *screen) watchMovers(ctx context.Context, interval time.Duration, look looker) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	looks := make(chan frame, 1)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	looking := true
	start := func() { // one at a time, so that a slow network is no queue
		v, err := look(ctx)
		looks <- frame{v, err}
	}
	go start() // ends with ctx at the latest, and nobody need wait for it
	var last frame
	for {
		select {
		case <-ctx.Done():
			return nil
		case key, more := <-s.keys:
			if !more || key == 'q' || key == 'Q' || key == ctrlC || key == ctrlD {
				return nil
			}
		case last = <-looks:
			looking = false
			s.show(last)
		case <-s.resized:
			s.show(last)
		case <-ticker.C:
			if !looking {
				looking = true
				go start()
			}
		}
	}
}

// A frame is what a look has brought.
type frame struct {
	view topView
	err  error
}

func (s *screen) show(f frame) {
	if f.err != nil {
		s.draw([]string{programName + " top", "", printable(options.OneLine(f.err.Error())), "", "It is tried again. q leaves."})
		return
	}
	s.draw(f.view.lines(s.size()))
}
