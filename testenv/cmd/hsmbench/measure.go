package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"lhsm-azblob/testenv/meter"
)

// A sample is what one of those who are measured did in one round.
type sample struct {
	meter.Figures
	Latencies *quantiles `json:"latencies,omitempty"` // of single files, where they were looked at
}

// A round is a case in which everyone has one turn.
type round struct {
	options
	benchCase
	world  *world
	number int
	add    func(op, who string, s sample)
}

// measure runs the cases one after the other. One that fails does not stop the
// others: a run takes long. What there is by then is kept.
func (o options) measure(ctx context.Context, cases []benchCase) (*report, error) {
	if _, err := exec.LookPath(o.peer); err != nil {
		fmt.Fprintln(os.Stderr, "hsmbench: without rclone, so there is no peer to compare with; give it with -rclone")
		o.peer = ""
	}
	r := newReport(o)
	var failed error
	for _, c := range cases {
		err := o.measureCase(ctx, c.scaled(o.scale), r)
		if ctx.Err() != nil {
			return r, errors.Join(failed, errors.New("interrupted"))
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", c.name, err))
		}
	}
	return r, failed
}

func (o options) measureCase(ctx context.Context, c benchCase, r *report) error {
	w, err := newWorld(ctx, o.back, c)
	if err != nil {
		return err
	}
	defer w.close()
	found := r.newCase(c)
	for n := range o.rounds {
		turn := &round{options: o, benchCase: c, world: w, number: n, add: found.add}
		for _, who := range c.who {
			if !turn.can(who) {
				continue
			}
			if err := c.run(turn, who); err != nil {
				return fmt.Errorf("%s: %w", who, err)
			}
		}
	}
	fmt.Println(found.text())
	return nil
}

// can tells whether one of those to measure is able to take part.
func (r *round) can(who string) bool {
	switch who {
	case sendfile:
		return !r.secure
	case rclone:
		return r.peer != ""
	}
	return true
}

// moveFiles has one of them archive and restore the files of the case.
func moveFiles(r *round, who string) (err error) {
	set, err := r.world.makeFiles(fmt.Sprintf("%s-%d", who, r.number), r.benchCase)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.remove()) }()
	switch who {
	case copytool, defaults, library:
		return r.wholePath(who, set)
	case rclone:
		return r.rclone(set)
	}
	return r.loop(who, set)
}
