package main

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// Colours that people who see few of them can tell apart.
const (
	blue, orange, green, grey = "#0072b2", "#d55e00", "#009e73", "#888888"
)

// plots are the pictures of a report, by the names of their files.
func (r *report) plots() map[string]plot {
	return map[string]plot{
		"throughput-size.svg":    r.overSize(),
		"throughput-latency.svg": r.overLatency(),
	}
}

// plot writes them into a folder.
func (r *report) plot(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, p := range r.plots() {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(p.svg()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (r *report) overSize() plot {
	p := plot{title: "Throughput over file size, HTTPS", xLabel: "bytes of a file", yLabel: "MiB/s"}
	for size := int64(4 * kib); size <= 8*gib; size *= 8 {
		p.ticks = append(p.ticks, tick{float64(size), sizeText(size)})
	}
	for _, s := range []struct{ who, color string }{{copytool, blue}, {sdkLoop, grey}, {rclone, orange}} {
		for _, op := range []string{archive, restore} {
			p.series = append(p.series, series{
				name: op + ", " + s.who, color: s.color, dashed: op == restore,
				points: r.points(op, s.who, func(c *caseResult) (float64, bool) { return float64(c.Size), c.Secure && c.LatencyMS == 0 }),
			})
		}
	}
	return p
}

// firstLatency stands for none on an axis of logarithms.
const firstLatency = 1

func (r *report) overLatency() plot {
	p := plot{title: "Throughput of archives over latency of the service, HTTPS", xLabel: "ms", yLabel: "MiB/s"}
	p.ticks = []tick{{firstLatency, "0"}}
	for _, ms := range []float64{5, 20, 50} {
		p.ticks = append(p.ticks, tick{ms, strconv.FormatFloat(ms, 'g', -1, 64)})
	}
	for _, w := range []struct {
		name, color string
	}{{large.name, blue}, {small64.name, green}} {
		at := func(c *caseResult) (float64, bool) {
			return max(c.LatencyMS, firstLatency), c.Secure && c.Workload == w.name
		}
		p.series = append(p.series,
			series{name: w.name + ", " + copytool, color: w.color, points: r.points(archive, copytool, at)},
			series{name: w.name + ", " + sdkLoop, color: w.color, dashed: true, points: r.points(archive, sdkLoop, at)},
		)
	}
	return p
}

// points are the throughputs of one in the cases that have a place on the axis.
func (r *report) points(op, who string, place func(*caseResult) (x float64, ok bool)) (points []point) {
	for _, c := range r.Cases {
		x, ok := place(c)
		if found := c.find(op, who); ok && found != nil && c.Behind == 0 && c.Batch == 0 {
			points = append(points, point{x, float64(c.Files) * float64(c.Size) / mib / found.median(seconds)})
		}
	}
	slices.SortFunc(points, func(a, b point) int { return cmp.Compare(a.x, b.x) })
	return points
}
