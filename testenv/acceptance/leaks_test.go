package acceptance

import (
	"bufio"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What an action takes, it gives back when it ends.
const (
	goroutines = "go_goroutines"
	openFiles  = "process_open_fds"
	memory     = "lhsm_azblob_memory_in_use_bytes"
)

// scrapes is how often the numbers of a copytool at rest are read. A scrape has
// goroutines of its own, now more and now fewer: the least is what counts.
const scrapes = 20

// rest notes what the copytool holds while it has nothing to do.
func (e *env) rest(c *copytool) {
	e.t.Helper()
	e.gate.HangUp() // idle connections come and go
	c.idle = map[string]float64{memory: 0}
	for i := range scrapes {
		m := c.metrics()
		for _, name := range []string{goroutines, openFiles} {
			if least, ok := c.idle[name]; i == 0 || ok && m[name] < least {
				c.idle[name] = m[name]
			}
		}
	}
}

// wantNoLeak waits until a copytool that has nothing to do holds no more than it
// did at rest.
func (e *env) wantNoLeak(c *copytool) {
	e.t.Helper()
	e.gate.HangUp()
	more := maps.Clone(c.idle)
	for deadline := time.Now().Add(patience); len(more) > 0; {
		m := c.metrics()
		maps.DeleteFunc(more, func(name string, idle float64) bool { return m[name] <= idle })
		if len(more) > 0 && time.Now().After(deadline) {
			for name, idle := range more {
				e.t.Errorf("%s stays at %v; it was %v at rest", name, m[name], idle)
			}
			return
		}
	}
}

// wantMetric scrapes the copytool as Prometheus does.
func (c *copytool) wantMetric(name string, want float64) {
	c.t.Helper()
	if got := c.metric(name); got != want {
		c.t.Errorf("%s is %v, want %v", name, got, want)
	}
}

// waitMetrics waits until one scrape has all these values.
func (c *copytool) waitMetrics(want map[string]float64) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		got := c.metrics()
		maps.DeleteFunc(got, func(name string, _ float64) bool { _, asked := want[name]; return !asked })
		if maps.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("the metrics stay at %v, want %v", got, want)
		}
	}
}

func (c *copytool) metric(name string) float64 {
	c.t.Helper()
	value, ok := c.metrics()[name]
	if !ok {
		c.t.Fatalf("no metric %s", name)
	}
	return value
}

// scraper leaves no connection behind, which would be one more of the copytool's.
var scraper = http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// metrics are all numbers of the copytool, by name and labels.
func (c *copytool) metrics() map[string]float64 {
	c.t.Helper()
	_, address, _ := strings.Cut(c.waitLog("serving HTTP"), "address=")
	resp, err := scraper.Get("http://" + address + "/metrics")
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	all := map[string]float64{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil && line[0] != '#' {
			all[line[:at]] = v
		}
	}
	if err := lines.Err(); err != nil {
		c.t.Fatal(err)
	}
	return all
}
