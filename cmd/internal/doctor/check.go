package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/cmd/internal/severity"
)

// A Finding is what a check found.
type Finding struct {
	Subject string         `json:"subject"` // "lustre", "mover", "archive 1", ...
	Check   string         `json:"check"`
	Level   severity.Level `json:"level"`
	Seen    string         `json:"seen"`
	Mend    string         `json:"mend,omitempty"` // what to do about it
	Seconds float64        `json:"seconds"`        // that it took to find out
}

// A Check looks at one thing.
type Check struct {
	Subject string
	Name    string // unique within its subject, and never changed: scripts know it

	needs  []string // of the same subject, or "subject/name": in vain where one of them has failed
	after  []string // the like, but only to be waited for
	limit  time.Duration
	notice time.Duration // that it has after its limit to say itself what it was waiting for
	advice string        // what helps where the result does not know better
	run    func(ctx context.Context) result
}

// usualLimit is how long a check may take. A healthy one takes a second at most.
const usualLimit = 20 * time.Second

const usualNotice = time.Second

// A result is a finding without its address.
type result struct {
	level severity.Level
	seen  string
	mend  string
}

func okf(format string, args ...any) result {
	return result{severity.OK, fmt.Sprintf(format, args...), ""}
}

func notef(mend, format string, args ...any) result {
	return result{severity.Note, fmt.Sprintf(format, args...), mend}
}

func warnf(mend, format string, args ...any) result {
	return result{severity.Warning, fmt.Sprintf(format, args...), mend}
}

func failf(mend, format string, args ...any) result {
	return result{severity.Failure, fmt.Sprintf(format, args...), mend}
}

// failed is the result of an error. Ours end with the remedy: as a hint of its
// own, or behind the last semicolon.
func failed(err error) result {
	var b *blobstore.Error
	if errors.As(err, &b) && b.Hint != "" {
		cause := *b
		cause.Hint = ""
		return result{severity.Failure, cause.Error(), b.Hint}
	}
	text := err.Error()
	if i := strings.LastIndex(text, "; "); i >= 0 {
		return result{severity.Failure, text[:i], text[i+2:]}
	}
	return result{severity.Failure, text, ""}
}

// key is what other checks know a check by.
func (c *Check) key() string { return c.Subject + "/" + c.Name }

func (c *Check) address(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	return c.Subject + "/" + name
}

// Run runs the checks, and tells report of each finding as soon as it is there,
// one at a time. It returns when all are told, also if checks still hang.
func Run(ctx context.Context, checks []Check, report func(Finding)) {
	r := runner{report: report, done: map[string]chan struct{}{}, failed: map[string]bool{}}
	for i := range checks {
		r.done[checks[i].key()] = make(chan struct{})
	}
	var all sync.WaitGroup
	for i := range checks {
		all.Go(func() { r.check(ctx, &checks[i]) })
	}
	all.Wait()
}

// A runner is one run.
type runner struct {
	report func(Finding)
	done   map[string]chan struct{} // closed when the check of the key is over

	mu     sync.Mutex // guards failed, and serializes report
	failed map[string]bool
}

func (r *runner) check(ctx context.Context, c *Check) {
	for _, name := range append(c.needs, c.after...) {
		<-r.done[c.address(name)]
	}
	start := time.Now()
	res := r.skipped(c)
	if res.seen == "" {
		res = within(ctx, c)
	}
	if res.level >= severity.Warning && res.mend == "" {
		res.mend = c.advice
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed[c.key()] = res.level == severity.Failure || strings.HasPrefix(res.seen, notLookedAt)
	r.report(Finding{c.Subject, c.Name, res.level, res.seen, res.mend, time.Since(start).Seconds()})
	close(r.done[c.key()])
}

const notLookedAt = "not looked at: "

// skipped is the result of a check that would be in vain.
func (r *runner) skipped(c *Check) result {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range c.needs {
		if r.failed[c.address(name)] {
			return notef("", notLookedAt+"first mend %s", name)
		}
	}
	return result{}
}

// within runs a check, and gives it up when its time is over. It may go on then,
// for good if it has to.
func within(ctx context.Context, c *Check) result {
	limit, notice := cmp.Or(c.limit, usualLimit), cmp.Or(c.notice, usualNotice)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	found := make(chan result, 1)
	go func() { found <- c.run(ctx) }() // whoever gave it up does not listen any more
	select {
	case res := <-found:
		return res
	case <-ctx.Done():
	}
	select {
	case res := <-found: // it noticed by itself, and knows more
		return res
	case <-time.After(notice):
		return failf("", "no answer in %s: it hangs", limit)
	}
}
