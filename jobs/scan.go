package jobs

import (
	"context"
	"errors"
	"path"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
)

// A scan finds the files of a job:
//
//	list, then walk ──batches──▶ lookers ──sightings──▶ recorder ──▶ table of work
//
// It runs ahead of the coordinator as fast as it can, so that the job soon
// knows how much there is to do. What it finds waits in the database, not in memory.
type scan struct {
	r     *run
	m     *mount
	look  looker
	found chan sighting
}

func (r *run) scan(ctx context.Context, m *mount) error {
	s := &scan{r: r, m: m, found: make(chan sighting, 64)}
	s.look = looker{archive: r.spec.ArchiveID, dryRun: r.spec.DryRun, again: r.spec.FileCount > 0}
	if r.resumed {
		s.look.known = r.m.store.known
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(s.found)
		return s.see(gctx)
	})
	g.Go(func() error { return s.record(gctx) })
	if err := g.Wait(); err != nil {
		return err
	}
	return r.scanned(ctx)
}

// see runs the producer and the lookers.
func (s *scan) see(ctx context.Context) error {
	batches := make(chan batch, s.r.m.o.Scanners)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(batches)
		if err := s.list(ctx, batches); err != nil {
			return err
		}
		return s.walk(ctx, batches)
	})
	for range s.r.m.o.Scanners {
		g.Go(func() error { return s.lookAll(ctx, batches) })
	}
	return g.Wait()
}

// walk takes the prefixes of the job, or those in its list.
func (s *scan) walk(ctx context.Context, batches chan<- batch) error {
	w := &walk{m: s.m, batches: batches, refused: s.refusedPrefix, stack: newDirStack(path.Dir(s.r.m.o.Path))}
	err := w.ask(s.r.spec.Prefixes...)
	if err == nil {
		err = s.askListed(ctx, w)
	}
	if err == nil {
		err = w.run(ctx)
	}
	return errors.Join(err, w.stack.close())
}

// askListed asks for the prefixes in the job's list. They come sorted, so that what
// another one covers comes after that.
func (s *scan) askListed(ctx context.Context, w *walk) error {
	last := ""
	for p, err := range s.r.m.store.listedPrefixes(ctx, s.r.id) {
		if err != nil {
			return err
		}
		if last != "" && strings.HasPrefix(p, last) {
			continue
		}
		last = p
		if err := w.ask(p); err != nil {
			return err
		}
	}
	return nil
}

// refused notes a listed file that cannot be looked at.
func (s *scan) refused(ctx context.Context, path string, err error) error {
	return s.refusedPrefix(ctx, refusal{path: path, err: err})
}

// refusedPrefix notes a directory that cannot be read, or a prefix without files.
func (s *scan) refusedPrefix(ctx context.Context, r refusal) error {
	var found sighting
	found.fail(work{path: r.path}, codeOfErrno(r.err), shorten(r.err).Error())
	found.results[0].prefix = r.prefix
	return s.send(ctx, found)
}

func (s *scan) send(ctx context.Context, found sighting) error {
	select {
	case s.found <- found:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lookAll looks at batches until there are none. It also lets go of those that
// it does not look at any more.
func (s *scan) lookAll(ctx context.Context, batches <-chan batch) (err error) {
	for b := range batches {
		if err == nil {
			var found sighting
			if found, err = s.look.look(ctx, &b); err == nil {
				err = s.send(ctx, found)
			}
		}
		b.dir.release()
	}
	return err
}

// list takes the files of the job's list.
func (s *scan) list(ctx context.Context, batches chan<- batch) error {
	l := lister{m: s.m, refused: s.refused, send: func(b batch) error { return send(ctx, batches, b) }}
	for f, err := range s.r.m.store.list(ctx, s.r.id) {
		if err == nil && f.prefix == "" {
			err = l.add(ctx, f)
		}
		if err != nil {
			return errors.Join(err, l.flush())
		}
	}
	return l.flush()
}

// A lister puts listed files into batches: neighbours of one directory together.
type lister struct {
	m       *mount
	send    func(batch) error
	refused func(context.Context, string, error) error
	batch   batch
}

func (l *lister) add(ctx context.Context, f listed) error {
	parent, name := path.Split(f.path)
	parent = path.Clean(parent)
	if name == "" { // the root, or "dir/"
		return l.refused(ctx, f.path, unix.EISDIR)
	}
	e := entry{dirent: dirent{name, unix.DT_UNKNOWN}, path: f.path}
	if !f.fid.IsZero() {
		parent, e.name = fidDir, f.fid.Bare()
		if now, _, err := llapi.FIDToPath(l.m.root, f.fid, 0); err == nil { // else the old path tells more than none
			e.path = join(root, now)
		}
	}
	if l.batch.dir == nil || l.batch.dir.path != parent || len(l.batch.files) == batchFiles {
		if err := l.flush(); err != nil {
			return err
		}
		dir, err := l.m.openDir(parent)
		if gone(err) || errors.Is(err, unix.ENOTDIR) {
			return l.refused(ctx, f.path, errNoFile)
		}
		if err != nil {
			return l.refuse(ctx, f.path, err)
		}
		l.batch = batch{dir: dir, listed: true}
	}
	l.batch.files = append(l.batch.files, e)
	return nil
}

// refuse notes the failure of one file, unless it is one of all.
func (l *lister) refuse(ctx context.Context, path string, err error) error {
	if lostMount(err) {
		return err
	}
	return l.refused(ctx, path, err)
}

// fidDir is the directory in which every file is found by its FID.
const fidDir = "/.lustre/fid"

func (l *lister) flush() error {
	b := l.batch
	l.batch = batch{}
	if b.dir == nil {
		return nil
	}
	return l.send(b)
}

// Bounds of what the recorder stores at once: a transaction costs as much as
// many rows, and what is not stored is not archived.
const (
	recordFiles = 2000
	recordPause = 200 * time.Millisecond
)

// record stores what the lookers find.
func (s *scan) record(ctx context.Context) error {
	tick := time.NewTicker(recordPause)
	defer tick.Stop()
	var all sighting
	for open := true; open; {
		full := false
		select {
		case found, ok := <-s.found:
			open = ok
			all.join(found)
			full = len(all.works) >= recordFiles
		case <-tick.C:
			full = true
		}
		if full || !open {
			if err := s.r.recordSighting(ctx, all); err != nil {
				return errors.Join(errFull, err)
			}
			all = sighting{}
		}
	}
	return nil
}

// join adds another sighting.
func (s *sighting) join(o sighting) {
	s.works = append(s.works, o.works...)
	s.reasons = append(s.reasons, o.reasons...)
	s.results = append(s.results, o.results...)
	for why, t := range o.skipped {
		if s.skipped == nil {
			s.skipped = map[Reason]tally{}
		}
		sum := s.skipped[why]
		s.skipped[why] = tally{sum.files + t.files, sum.bytes + t.bytes}
	}
}

// recordSighting adds a sighting to the table, the report and the counters.
func (r *run) recordSighting(ctx context.Context, s sighting) error {
	if len(s.works) == 0 && len(s.skipped) == 0 {
		return nil
	}
	return r.commit(ctx, func(t tx, c *change) error {
		added, err := t.addWork(s.works)
		if err != nil {
			return err
		}
		for _, i := range added {
			c.counters.find(s.works[i].status, 1, s.works[i].size)
			if why := s.reasons[i]; why != "" {
				c.counters.skip(why, 1, s.works[i].size)
			}
			if s.results[i].Status != "" {
				c.results = append(c.results, s.results[i])
			}
		}
		for why, n := range s.skipped {
			c.counters.FilesFound += n.files
			c.counters.BytesFound += n.bytes
			c.counters.skip(why, n.files, n.bytes)
		}
		return nil
	})
}
