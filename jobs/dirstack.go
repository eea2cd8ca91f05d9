package jobs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
)

// A dirStack has the directories that are to be listed, the last found first:
// so it stays small on trees of any depth. Where a directory has millions of
// directories it does not, and what is too much for memory goes into a file.
type dirStack struct {
	mu    sync.Mutex // guards what follows
	some  *sync.Cond // something was pushed, or everything is done
	top   []listing
	bytes int      // of the paths in top
	open  int      // pushed and not done
	dir   string   // where file is made
	file  *os.File // without a name
	pages []page   // in file, the oldest first
}

// A listing is a directory to list, from the root of the file system.
type listing struct {
	path   string
	prefix string // of the names that matter
	asked  string // the prefix that somebody asked for, where the listing is its first
}

// A page is a run of directories in the file.
type page struct {
	offset int64
	size   int
}

// maxTop is how many bytes of paths stay in memory.
const maxTop = 4 << 20

func newDirStack(dir string) *dirStack {
	s := &dirStack{dir: dir}
	s.some = sync.NewCond(&s.mu)
	return s
}

// push adds a directory.
func (s *dirStack) push(l listing) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.top = append(s.top, l)
	s.bytes += l.size()
	s.open++
	s.some.Signal()
	if s.bytes > maxTop && len(s.top) > 1 {
		return s.spill()
	}
	return nil
}

// spill moves the older half of memory to the file.
func (s *dirStack) spill() error {
	if err := s.makeFile(); err != nil {
		return fmt.Errorf("make a file for the directories to list: %w", err)
	}
	var b []byte
	half := len(s.top) / 2
	for _, l := range s.top[:half] {
		for _, text := range []string{l.path, l.prefix, l.asked} {
			b = binary.AppendUvarint(b, uint64(len(text)))
			b = append(b, text...)
		}
		s.bytes -= l.size()
	}
	next := page{size: len(b)}
	if n := len(s.pages); n > 0 {
		next.offset = s.pages[n-1].offset + int64(s.pages[n-1].size)
	}
	if _, err := s.file.WriteAt(b, next.offset); err != nil {
		return fmt.Errorf("put aside directories to list: %w", err)
	}
	s.pages = append(s.pages, next)
	s.top = slices.Clone(s.top[half:])
	return nil
}

func (s *dirStack) makeFile() (err error) {
	if s.file == nil {
		if s.file, err = os.CreateTemp(s.dir, "directories-"); err == nil {
			err = os.Remove(s.file.Name())
		}
	}
	return err
}

func (l listing) size() int { return len(l.path) + len(l.prefix) + len(l.asked) }

// unspill brings the newest page back.
func (s *dirStack) unspill() error {
	last := s.pages[len(s.pages)-1]
	b := make([]byte, last.size)
	if _, err := s.file.ReadAt(b, last.offset); err != nil {
		return fmt.Errorf("read back directories to list: %w", err)
	}
	s.pages = s.pages[:len(s.pages)-1]
	for len(b) > 0 {
		var l listing
		for _, text := range []*string{&l.path, &l.prefix, &l.asked} {
			size, n := binary.Uvarint(b)
			if n <= 0 || uint64(len(b)-n) < size {
				return errors.New("read back directories to list: the file was changed")
			}
			*text, b = string(b[n:n+int(size)]), b[n+int(size):]
		}
		s.top = append(s.top, l)
		s.bytes += l.size()
	}
	return nil
}

// pop takes the next directory, and waits for one while some are being listed
// whose directories are not known yet. ok is false when all are done, or ctx ends.
func (s *dirStack) pop(ctx context.Context) (l listing, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.top) == 0 && len(s.pages) == 0 && s.open > 0 && ctx.Err() == nil {
		s.some.Wait()
	}
	if s.open == 0 || ctx.Err() != nil {
		return listing{}, false, ctx.Err()
	}
	if len(s.top) == 0 {
		if err := s.unspill(); err != nil {
			return listing{}, false, err
		}
	}
	n := len(s.top) - 1
	l, s.top = s.top[n], s.top[:n]
	s.bytes -= l.size()
	return l, true, nil
}

// done is called for each directory that was popped, after its directories were pushed.
func (s *dirStack) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open--; s.open == 0 {
		s.some.Broadcast()
	}
}

// wakeAll lets those who wait see that their context has ended.
func (s *dirStack) wakeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.some.Broadcast()
}

func (s *dirStack) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
