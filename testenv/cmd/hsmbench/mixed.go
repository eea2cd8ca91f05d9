package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv/meter"
)

// smallAtATime is how many small files are asked for together, as many as one
// request holds.
const smallAtATime = llapi.MaxRequestItems

// moveMixed asks for the large files of the case, and while they are on their way
// for small ones, some at a time. It looks at how long each of those takes, from
// its request to the record of its end in the changelog.
func moveMixed(r *round, who string) (err error) {
	w := r.world
	large, err := w.makeFiles(fmt.Sprintf("large-%d", r.number), r.large())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, large.remove()) }()
	small, err := w.makeFiles(fmt.Sprintf("small-%d", r.number), r.benchCase)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, small.remove()) }()
	tool, err := w.startCopytool(r.copytoolOptions(who))
	if err != nil {
		return err
	}
	defer stop(tool)
	m, err := meter.Start(w.ctx, tool.Cmd.Process.Pid, w.stats)
	if err != nil {
		return err
	}
	s := sample{}
	if s.Latencies, err = w.smallBehind(large, small); err != nil {
		return err
	}
	if s.Figures, err = m.Stop(); err != nil {
		return err
	}
	r.add(archive, who, s)
	return large.allAre(archived)
}

// large is the case with the large files in place of the small ones.
func (c benchCase) large() benchCase {
	c.files, c.size = c.behind, c.behindSize
	return c
}

// smallBehind archives everything, but stops to ask for small files when the large
// ones are done: what small ones take then is not the question.
func (w *world) smallBehind(large, small *fileSet) (q *quantiles, err error) {
	events, err := w.follow()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, events.close()) }()
	if err := large.ask(llapi.UserArchive); err != nil {
		return nil, err
	}
	var times []time.Duration
	left := len(large.fids)
	for some := range slices.Chunk(small.fids, smallAtATime) {
		if left == 0 {
			break
		}
		asked := time.Now()
		if err := (&fileSet{world: w, fids: some}).ask(llapi.UserArchive); err != nil {
			return nil, err
		}
		for n := 0; n < len(some); {
			e, err := events.next()
			switch {
			case err != nil:
				return nil, err
			case slices.Contains(large.fids, e.FID):
				left--
			default:
				n++
				times = append(times, e.Time.Sub(asked))
			}
		}
	}
	return quantilesOf(times), w.waitIdle()
}

// ends are the ends of archives, as the changelog has them.
type ends struct {
	world *world
	user  string // for whom records are kept
	log   *llapi.Changelog
}

const mdt = "lustre-MDT0000"

// follow begins with what is still to happen: without a user, nothing was kept.
func (w *world) follow() (*ends, error) {
	user, err := w.standin("changelog_register", "-n", "-m", "HSM")
	if err != nil {
		return nil, err
	}
	log, err := llapi.OpenChangelog(mdt, 0, llapi.ChangelogFollow|llapi.ChangelogBlock)
	return &ends{w, strings.TrimSpace(user), log}, err
}

func (e *ends) close() error {
	_, err := e.world.standin("changelog_deregister", e.user)
	return errors.Join(err, e.log.Close())
}

// next waits for one.
func (e *ends) next() (llapi.Record, error) {
	for {
		r, err := e.log.Recv()
		if err != nil {
			return r, fmt.Errorf("read the changelog: %w", err)
		}
		if r.Type != llapi.RecordHSM {
			continue
		}
		event, errno, _ := r.HSM()
		switch {
		case event != llapi.HSMArchive:
		case errno != 0:
			return r, fmt.Errorf("archive of %s: %w", r.FID, errno)
		default:
			return r, nil
		}
	}
}
