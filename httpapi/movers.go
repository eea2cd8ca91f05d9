package httpapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// A Mover is a copytool as its metrics show it.
type Mover struct {
	URL           string     `json:"url"`
	Reachable     bool       `json:"reachable"`
	Error         string     `json:"error,omitempty"` // why it is not
	Version       string     `json:"version,omitempty"`
	Running       Operations `json:"running"`
	Waiting       Operations `json:"waiting"`
	Succeeded     int64      `json:"succeeded"` // actions since it started
	Failed        int64      `json:"failed"`
	BytesArchived int64      `json:"bytesArchived"`
	BytesRestored int64      `json:"bytesRestored"`
	MemoryInUse   int64      `json:"memoryInUse"` // bytes of buffers
	MemoryLimit   int64      `json:"memoryLimit"`
}

// Operations are numbers of actions by kind.
type Operations struct {
	Archive int64 `json:"archive"`
	Restore int64 `json:"restore"`
	Remove  int64 `json:"remove"`
}

func (o Operations) total() int64 { return o.Archive + o.Restore + o.Remove }

func (o *Operations) add(kind string, n int64) {
	switch kind {
	case "ARCHIVE":
		o.Archive += n
	case "RESTORE":
		o.Restore += n
	case "REMOVE":
		o.Remove += n
	}
}

// MoverTime is how long a look at movers should take at most. The page asks often, and
// a mover that does not answer must not hold it up.
const MoverTime = 2 * time.Second

// Other bounds of a look at a mover.
const (
	moverAge  = 3 * time.Second
	moverBody = 4 << 20 // bytes
)

// movers looks at the copytools' metrics, and remembers for a moment.
type movers struct {
	urls   []string
	client *http.Client
	age    time.Duration // that a look may have

	mu   sync.Mutex // guards what follows, and lets one look at a time be taken
	when time.Time
	last []Mover
}

func newMovers(urls []string) *movers {
	return &movers{urls: urls, client: &http.Client{Timeout: MoverTime}, age: moverAge, last: []Mover{}}
}

// look is never older than age, nor longer than the client's timeout.
func (m *movers) look(ctx context.Context) []Mover {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.when) < m.age {
		return m.last
	}
	found := make([]Mover, len(m.urls))
	var all sync.WaitGroup
	for i, u := range m.urls {
		// Others read the result as well, so it does not end with this request.
		all.Go(func() { found[i] = m.scrape(context.WithoutCancel(ctx), u) })
	}
	all.Wait()
	m.when, m.last = time.Now(), found
	return found
}

func (m *movers) scrape(ctx context.Context, address string) Mover {
	mover := Mover{URL: redacted(address)}
	families, err := m.fetch(ctx, address)
	if err != nil {
		mover.Error = strings.ReplaceAll(err.Error(), address, mover.URL)
		return mover
	}
	mover.Reachable = true
	mover.read(families)
	return mover
}

// redacted is an address without a password.
func redacted(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	return address
}

func (m *movers) fetch(ctx context.Context, address string) (map[string]*dto.MetricFamily, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	answer, err := m.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", answer.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(io.LimitReader(answer.Body, moverBody))
}

// read takes the few numbers that a glance needs.
func (m *Mover) read(families map[string]*dto.MetricFamily) {
	each := func(name string, take func(labels map[string]string, value int64)) {
		for _, metric := range families["lhsm_azblob_"+name].GetMetric() {
			labels := map[string]string{}
			for _, l := range metric.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			take(labels, int64(metric.GetCounter().GetValue()+metric.GetGauge().GetValue()))
		}
	}
	each("build_info", func(l map[string]string, _ int64) { m.Version = l["version"] })
	each("actions_in_flight", func(l map[string]string, n int64) { m.Running.add(l["op"], n) })
	each("queue_depth", func(l map[string]string, n int64) { m.Waiting.add(l["op"], n) })
	each("memory_in_use_bytes", func(_ map[string]string, n int64) { m.MemoryInUse = n })
	each("memory_limit_bytes", func(_ map[string]string, n int64) { m.MemoryLimit = n })
	each("actions_total", func(l map[string]string, n int64) {
		if l["code"] == "OK" {
			m.Succeeded += n
		} else {
			m.Failed += n
		}
	})
	each("action_bytes_total", func(l map[string]string, n int64) {
		if l["op"] == "ARCHIVE" {
			m.BytesArchived += n
		} else {
			m.BytesRestored += n
		}
	})
}
