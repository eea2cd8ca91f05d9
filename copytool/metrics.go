package copytool

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"lhsm-azblob/blobstore"
)

// Metrics are an agent's numbers, in a registry of their own.
type Metrics struct {
	registry      *prometheus.Registry
	actions       *prometheus.CounterVec
	seconds       *prometheus.HistogramVec
	bytes         *prometheus.CounterVec
	markers       *prometheus.CounterVec
	requests      *prometheus.CounterVec
	requestTime   *prometheus.HistogramVec
	receiveErrors prometheus.Counter
	registrations prometheus.Counter
	adopted       prometheus.Counter
}

const namespace = "lhsm_azblob"

// NewMetrics makes and registers everything but what [Metrics.Watch] and
// [Metrics.Build] add.
func NewMetrics() *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	}
	single := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	}
	durations := func(name, help, label string, buckets []float64) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, []string{label})
	}
	m := &Metrics{
		registry:      prometheus.NewRegistry(),
		actions:       counter("actions_total", "Actions that ended, by kind and outcome.", "op", "code"),
		seconds:       durations("action_seconds", "Time from an action's start to its end.", "op", prometheus.ExponentialBuckets(0.005, 4, 10)),
		bytes:         counter("bytes_total", "Bytes of files moved: archive or restore.", "direction"),
		markers:       counter("markers_total", "Directory markers written or failed.", "result"),
		requests:      counter("blob_requests_total", "HTTP requests to Blob storage, each try for itself.", "op", "code"),
		requestTime:   durations("blob_request_seconds", "Time of an HTTP request to Blob storage.", "op", prometheus.ExponentialBuckets(0.001, 4, 9)),
		receiveErrors: single("receive_errors_total", "Lists of actions lost or refused, and registrations lost."),
		registrations: single("registrations_total", "Registrations after the first."),
		adopted:       single("adopted_actions_total", "Actions taken over from a process that died."),
	}
	m.registry.MustRegister(m.actions, m.seconds, m.bytes, m.markers, m.requests, m.requestTime, m.receiveErrors, m.registrations, m.adopted,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Gatherer is what an HTTP handler serves.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Watch adds a gauge that is read when it is asked for.
func (m *Metrics) Watch(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, read))
}

// Build adds lhsm_azblob_build_info.
func (m *Metrics) Build(version string) {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "1, with the version as a label.", ConstLabels: prometheus.Labels{"version": version},
	})
	g.Set(1)
	m.registry.MustRegister(g)
}

// ObserveRequest counts a request of package blobstore.
func (m *Metrics) ObserveRequest(e blobstore.RequestEvent) {
	code := e.Code
	if code == "" {
		code = strconv.Itoa(e.Status)
	}
	m.requests.WithLabelValues(e.Op, code).Inc()
	m.requestTime.WithLabelValues(e.Op).Observe(e.Duration.Seconds())
}

func (m *Metrics) actionDone(op string, code Code, took time.Duration) {
	m.actions.WithLabelValues(op, string(code)).Inc()
	m.seconds.WithLabelValues(op).Observe(took.Seconds())
}

// watch adds the scheduler's lanes.
func (m *Metrics) watch(s *scheduler) { m.registry.MustRegister(laneCollector{s}) }

// laneCollector reads all lanes under one lock, so that a scrape is of one moment.
type laneCollector struct{ s *scheduler }

var (
	queueDepth = prometheus.NewDesc(namespace+"_queue_depth", "Actions that wait for a slot.", []string{"op"}, nil)
	parked     = prometheus.NewDesc(namespace+"_actions_parked", "Actions that have begun and wait for room in Lustre.", []string{"op"}, nil)
	inFlight   = prometheus.NewDesc(namespace+"_actions_in_flight", "Actions that run.", []string{"op"}, nil)
)

func (laneCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- queueDepth
	ch <- inFlight
	ch <- parked
}

func (c laneCollector) Collect(ch chan<- prometheus.Metric) {
	for _, l := range c.s.state() {
		ch <- prometheus.MustNewConstMetric(queueDepth, prometheus.GaugeValue, float64(l.waiting), l.name)
		ch <- prometheus.MustNewConstMetric(inFlight, prometheus.GaugeValue, float64(l.running), l.name)
		ch <- prometheus.MustNewConstMetric(parked, prometheus.GaugeValue, float64(l.parked), l.name)
	}
}
