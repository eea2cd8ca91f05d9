package copytool

import (
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"

	"lhsm-azblob/blobstore"
)

// Metrics are an agent's numbers, in a registry of their own. docs/monitoring.md
// explains them to those who watch.
type Metrics struct {
	registry *prometheus.Registry

	outcomes  children[outcome, prometheus.Counter]
	durations children[string, prometheus.Observer] // of actions, by kind
	archived  prometheus.Counter                    // bytes
	restored  prometheus.Counter

	markersWritten, markersFailed prometheus.Counter

	answers  children[answer, prometheus.Counter]
	requests children[string, requestMetrics] // by REST operation
	sent     prometheus.Counter               // bytes
	received prometheus.Counter

	receiveErrors prometheus.Counter
	registrations prometheus.Counter
	adopted       prometheus.Counter
}

// outcome and answer are the labels of what is counted by more than one.
type (
	outcome struct {
		op   string
		code Code
	}
	answer struct {
		op     string
		status int // 0: none
		code   string
	}
)

// requestMetrics are those of one REST operation.
type requestMetrics struct {
	duration           prometheus.Observer
	retries, throttles prometheus.Counter
}

const namespace = "lhsm_azblob"

// NewMetrics makes and registers everything but what [Metrics.Watch] and
// [Metrics.Build] add.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.countActions()
	m.countRequests()
	m.receiveErrors = m.counter("receive_errors_total", "Lists of actions that were lost or refused, and registrations that were lost.").WithLabelValues()
	m.registrations = m.counter("registrations_total", "Registrations with the coordinators after the first.").WithLabelValues()
	return m
}

// countActions makes what is there before the first action: a counter that appears
// with its first event hides that from every rate.
func (m *Metrics) countActions() {
	actions := m.counter("actions_total", "Actions that ended, by kind and result code.", "op", "code")
	m.outcomes.add = func(o outcome) prometheus.Counter { return actions.WithLabelValues(o.op, string(o.code)) }
	durations := m.histogram("action_duration_seconds", "Time from the start of an action to its end.", prometheus.ExponentialBuckets(0.005, 4, 10))
	m.durations.add = func(op string) prometheus.Observer { return durations.WithLabelValues(op) }
	for _, op := range []string{opArchive, opRestore, opRemove} {
		m.durations.of(op)
		m.outcomes.of(outcome{op, OK})
		for code := range verdicts {
			m.outcomes.of(outcome{op, code})
		}
	}
	bytes := m.counter("action_bytes_total", "Bytes of the files that were archived or restored, counted at the end of each.", "op")
	m.archived, m.restored = bytes.WithLabelValues(opArchive), bytes.WithLabelValues(opRestore)
	markers := m.counter("directory_markers_total", "Directory markers, by what became of them.", "result")
	m.markersWritten, m.markersFailed = markers.WithLabelValues("written"), markers.WithLabelValues("failed")
	m.adopted = m.counter("adopted_actions_total", "Actions taken over from a process that died.").WithLabelValues()
}

func (m *Metrics) countRequests() {
	requests := m.counter("blob_requests_total",
		"HTTP requests to Blob storage, each try for itself, by operation, HTTP status (none: no answer) and the service's error code.", "op", "status", "code")
	m.answers.add = func(a answer) prometheus.Counter {
		return requests.WithLabelValues(a.op, statusLabel(a.status), a.code)
	}
	durations := m.histogram("blob_request_duration_seconds", "Time of an HTTP request to Blob storage, to the end of its answer.", prometheus.ExponentialBuckets(0.001, 4, 9))
	retries := m.counter("blob_request_retries_total", "HTTP requests that repeat one that failed.", "op")
	throttles := m.counter("blob_throttles_total", "Answers by which Blob storage asks for fewer requests (503, 429).", "op")
	m.requests.add = func(op string) requestMetrics {
		return requestMetrics{durations.WithLabelValues(op), retries.WithLabelValues(op), throttles.WithLabelValues(op)}
	}
	bytes := m.counter("blob_bytes_total", "Bytes in the bodies of HTTP requests and answers, counted at the end of each request.", "direction")
	m.sent, m.received = bytes.WithLabelValues("sent"), bytes.WithLabelValues("received")
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

// histogram is by op. Those who ask for native histograms get one, with a resolution
// of a tenth; others get the buckets.
func (m *Metrics) histogram(name, help string, buckets []float64) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}, []string{"op"})
	m.registry.MustRegister(v)
	return v
}

// Gatherer is what an HTTP handler serves.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Watch adds a gauge that is read when it is asked for.
func (m *Metrics) Watch(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, read))
}

// Count adds a counter that is read when it is asked for.
func (m *Metrics) Count(name, help string, read func() int64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, func() float64 { return float64(read()) }))
}

// Build adds lhsm_azblob_build_info.
func (m *Metrics) Build(version string) {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "1, with the versions of the program and of Go as labels.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	g.Set(1)
	m.registry.MustRegister(g)
}

// ObserveRequest counts a request of package blobstore.
func (m *Metrics) ObserveRequest(e blobstore.RequestEvent) {
	m.answers.of(answer{e.Op, e.Status, codeLabel(e.Code)}).Inc()
	of := m.requests.of(e.Op)
	of.duration.Observe(e.Duration.Seconds())
	if e.Try > 1 {
		of.retries.Inc()
	}
	if e.Throttled() {
		of.throttles.Inc()
	}
	m.sent.Add(float64(e.Sent))
	m.received.Add(float64(e.Received))
}

// statusLabel is an HTTP status, or that there was none.
func statusLabel(status int) string {
	if status == 0 {
		return "none"
	}
	return strconv.Itoa(status)
}

// codeLabel is an error code of the service, if it looks like one: it comes from
// outside, and a label has to be UTF-8 and is kept for good.
func codeLabel(code string) string {
	const longest = 64
	if len(code) > longest {
		return "other"
	}
	for _, c := range []byte(code) {
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9') {
			return "other"
		}
	}
	return code
}

func (m *Metrics) actionDone(op string, code Code, took time.Duration) {
	m.outcomes.of(outcome{op, code}).Inc()
	m.durations.of(op).Observe(took.Seconds())
}

// Moved is how many bytes of bodies have passed to and from Blob storage.
func (m *Metrics) Moved() int64 { return counted(m.sent) + counted(m.received) }

// totals are what the rates of an [Activity] are made of: bytes, and actions.
func (m *Metrics) totals() (sent, received, ended int64) {
	for _, c := range m.outcomes.all() {
		ended += counted(c)
	}
	return counted(m.sent), counted(m.received), ended
}

func counted(c prometheus.Counter) int64 {
	var v dto.Metric
	if c.Write(&v) != nil {
		return 0
	}
	return int64(v.GetCounter().GetValue())
}

// watch adds what an agent is doing.
func (m *Metrics) watch(a *Agent) {
	m.registry.MustRegister(laneCollector{a.sched})
	m.Watch("serving", "1 while the copytool is registered and takes actions, else 0.", func() float64 {
		if a.serving.Load() {
			return 1
		}
		return 0
	})
}
