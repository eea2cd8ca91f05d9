package copytool

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// laneCollector reads all lanes under one lock, so that a scrape is of one moment.
type laneCollector struct{ s *scheduler }

// A laneGauge is a number of each lane.
type laneGauge struct {
	desc *prometheus.Desc
	read func(laneState) float64
}

var laneGauges = []laneGauge{
	gaugeOfLane("queue_depth", "Actions that wait: for a slot, for another action on their file, or to say their end again.",
		func(l laneState) float64 { return float64(l.waiting) }),
	gaugeOfLane("queue_oldest_age_seconds", "Time since the copytool received the action that has waited longest for a slot or for its file; 0 if none waits.",
		func(l laneState) float64 { return l.age(time.Now()).Seconds() }),
	gaugeOfLane("actions_in_flight", "Actions that run.",
		func(l laneState) float64 { return float64(l.running) }),
	gaugeOfLane("actions_limit", "How many actions may run at a time.",
		func(l laneState) float64 { return float64(l.limit) }),
	gaugeOfLane("actions_parked", "Actions that have begun and wait for room in Lustre.",
		func(l laneState) float64 { return float64(l.parked) }),
	gaugeOfLane("actions_unreported", "Actions that are over and whose end the coordinator has not taken yet; part of queue_depth.",
		func(l laneState) float64 { return float64(l.resting) }),
}

func gaugeOfLane(name, help string, read func(laneState) float64) laneGauge {
	return laneGauge{prometheus.NewDesc(namespace+"_"+name, help, []string{"op"}, nil), read}
}

// Describe implements prometheus.Collector.
func (laneCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, g := range laneGauges {
		ch <- g.desc
	}
}

// Collect implements prometheus.Collector.
func (c laneCollector) Collect(ch chan<- prometheus.Metric) {
	for _, l := range c.s.state() {
		for _, g := range laneGauges {
			ch <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.read(l), l.name)
		}
	}
}
