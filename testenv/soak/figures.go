package soak

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// figures are what is counted.
type figures struct {
	mu      sync.Mutex // guards all below
	counts  map[string]map[string]int
	longest map[string]time.Duration
	what    map[string]string // the longest of its kind was this
	peaks   map[string]int64
}

func newFigures() *figures {
	return &figures{counts: map[string]map[string]int{}, longest: map[string]time.Duration{}, what: map[string]string{}, peaks: map[string]int64{}}
}

// Groups of counts.
const (
	operations = "operations of users"
	requests   = "requests"
	refused    = "refused or failed"
	actions    = "actions by outcome"
	kills      = "kills and restarts"
	injected   = "faults injected"
	checked    = "checked"
)

var groups = []string{operations, requests, refused, actions, kills, injected, checked}

func (g *figures) count(group, name string) { g.add(group, name, 1) }

func (g *figures) add(group, name string, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.counts[group] == nil {
		g.counts[group] = map[string]int{}
	}
	g.counts[group][name] += n
}

// took notes how long something has taken.
func (g *figures) took(kind, what string, d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d > g.longest[kind] {
		g.longest[kind], g.what[kind] = d, what
	}
}

func (g *figures) peak(name string, n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.peaks[name] = max(g.peaks[name], n)
}

func (g *figures) total(group string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, k := range g.counts[group] {
		n += k
	}
	return n
}

// longestOf is the longest of all kinds that begin with a word.
func (g *figures) longestOf(word string) (d time.Duration, what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for kind, l := range g.longest {
		if strings.HasPrefix(kind, word) && l > d {
			d, what = l, g.what[kind]
		}
	}
	return d, what
}

// line is for who watches.
func (g *figures) line() string {
	longest, _ := g.longestOf("")
	return fmt.Sprintf("%d operations, %d requests, %d actions ended, %d reads compared, %d kills and restarts, %d faults; longest %v",
		g.total(operations), g.total(requests), g.total(actions), g.total(checked), g.total(kills), g.total(injected), longest.Round(100*time.Millisecond))
}

func (g *figures) print(w io.Writer) {
	for _, group := range groups {
		fmt.Fprintf(w, "%-22s %7d ", group, g.total(group))
		g.mu.Lock()
		for _, name := range slices.Sorted(maps.Keys(g.counts[group])) {
			fmt.Fprintf(w, " %s %d;", name, g.counts[group][name])
		}
		g.mu.Unlock()
		fmt.Fprintln(w)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, kind := range slices.Sorted(maps.Keys(g.longest)) {
		fmt.Fprintf(w, "longest %-14s %7.1f s (%q)\n", kind, g.longest[kind].Seconds(), g.what[kind])
	}
	for _, name := range slices.Sorted(maps.Keys(g.peaks)) {
		fmt.Fprintf(w, "peak %-17s %7d\n", name, g.peaks[name])
	}
}
