package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lhsm-azblob/jobs"
)

// metrics is the handler of the service's own numbers, for Prometheus.
func (s *Server) metrics() func(w http.ResponseWriter, r *http.Request) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(jobCollector{s.o.Jobs}, buildInfo(s.o.Version),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	o := promhttp.HandlerOpts{}
	if s.o.Log != nil {
		o.ErrorLog = slog.NewLogLogger(s.o.Log.Handler(), slog.LevelError)
	}
	handler := promhttp.HandlerFor(registry, o)
	return func(w http.ResponseWriter, r *http.Request) error {
		handler.ServeHTTP(w, r)
		return nil
	}
}

const namespace = "lhsmctl"

func buildInfo(version string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "1, with the versions of the program and of Go as labels.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
}

// jobCollector asks for the numbers when it is asked for them.
type jobCollector struct{ jobs Jobs }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
}

var (
	jobsDesc     = desc("jobs", "Jobs in the database, by state.", "state")
	endedDesc    = desc("jobs_ended_total", "Jobs that ended, by the state that they ended in.", "state")
	oldestDesc   = desc("queue_oldest_age_seconds", "Time since the job was made that has waited longest for its turn; 0 if none waits.")
	filesDesc    = desc("job_files_total", "Files that jobs have exported, or failed to.", "result")
	bytesDesc    = desc("job_exported_bytes_total", "Bytes of the files that jobs have exported.")
	retriesDesc  = desc("job_file_retries_total", "Requests for a file that were made again after a failure.")
	waitingDesc  = desc("job_waiting", "1 while the job that has the file system waits for something and nothing moves, else 0.")
	progressDesc = desc("job_progress_ratio", "How much of the job that has the file system is done, from 0 to 1; 0 without a job.")
)

// Describe implements prometheus.Collector.
func (jobCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{jobsDesc, endedDesc, oldestDesc, filesDesc, bytesDesc, retriesDesc, waitingDesc, progressDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c jobCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	ctx := context.Background() // a collector has no request; the database is a file
	t, err := c.jobs.Totals(ctx)
	var current jobs.Job
	if err == nil {
		current, _, err = c.jobs.Current(ctx)
	}
	if err != nil {
		ch <- prometheus.NewInvalidMetric(jobsDesc, err)
		return
	}
	for state, n := range t.Jobs {
		gauge(jobsDesc, float64(n), string(state))
	}
	for state, n := range t.Since.Ended {
		counter(endedDesc, n, string(state))
	}
	gauge(oldestDesc, ageOf(t.OldestQueued, time.Now()))
	counter(filesDesc, t.Since.FilesExported, "exported")
	counter(filesDesc, t.Since.FilesFailed, "failed")
	counter(bytesDesc, t.Since.BytesExported)
	counter(retriesDesc, t.Since.FilesRetried)
	gauge(waitingDesc, boolean(current.WaitsFor != ""))
	gauge(progressDesc, float64(current.PercentComplete)/100)
}

// ageOf is in seconds, 0 for a time that is none.
func ageOf(t, now time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return now.Sub(t).Seconds()
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
