package main

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"lhsm-azblob/testenv/blobsink"
)

// A workload is a set of files and what is done with it.
type workload struct {
	name  string
	files int
	size  int64 // bytes of each
	fill  blobsink.Fill
	who   []string // that can do it
	run   func(*round, string) error

	// Of some: how many of the files are asked for together, and the large files
	// that they are behind.
	batch      int
	behind     int
	behindSize int64
}

// A setting is what the server is like.
type setting struct {
	secure  bool
	latency time.Duration // of every answer
}

// A benchCase is a workload in a setting.
type benchCase struct {
	name string
	workload
	setting
	transfers int // requests in flight that everyone may have
}

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// Those who are measured.
const (
	copytool = "copytool"
	defaults = "defaults"
	library  = "library"
	sdkLoop  = "sdk"
	httpLoop = "nethttp"
	sendfile = "sendfile"
	rclone   = "rclone"
)

var (
	everyone = []string{copytool, defaults, "blobstore", sdkLoop, httpLoop, sendfile, rclone}
	ofSmall  = append(slices.Clone(everyone), library)
	pathOnly = []string{copytool}
	sparing  = []string{copytool, "blobstore", sdkLoop} // who can pass over holes
)

var (
	large   = workload{name: "large", files: 1, size: 8 * gib, fill: blobsink.Pattern, who: everyone, run: moveFiles}
	medium  = workload{name: "medium", files: 64, size: 256 * mib, fill: blobsink.Pattern, who: everyone, run: moveFiles}
	files16 = workload{name: "files-16MiB", files: 512, size: 16 * mib, fill: blobsink.Pattern, who: everyone, run: moveFiles}
	files1  = workload{name: "files-1MiB", files: 4096, size: 1 * mib, fill: blobsink.Pattern, who: everyone, run: moveFiles}
	small64 = workload{name: "small-64KiB", files: 20_000, size: 64 * kib, fill: blobsink.Pattern, who: ofSmall, run: moveFiles}
	small4  = workload{name: "small-4KiB", files: 20_000, size: 4 * kib, fill: blobsink.Pattern, who: ofSmall, run: moveFiles}

	mixed = workload{
		name: "mixed", files: 10_000, size: 4 * kib, fill: blobsink.Pattern, who: pathOnly, run: moveMixed,
		behind: 4, behindSize: 4 * gib,
	}
	// The same files twice, so that nothing differs but how many wait.
	queueShort = workload{name: "queue-short", files: 100_000, size: 4 * kib, fill: blobsink.Pattern, who: pathOnly, run: moveQueued, batch: 1000}
	queueLong  = workload{name: "queue-long", files: 100_000, size: 4 * kib, fill: blobsink.Pattern, who: pathOnly, run: moveQueued, batch: 100_000}
	// A GiB of data, in as many blocks as there are pieces of it.
	sparse = workload{name: "sparse", files: 1, size: 1024 * blobsink.SparsePeriod, fill: blobsink.Sparse, who: sparing, run: moveFiles}
)

var (
	plain  = setting{}
	secure = setting{secure: true}
)

func (s setting) at(latency time.Duration) setting {
	s.latency = latency
	return s
}

const ms = time.Millisecond

// allCases are the cases in the order in which they run.
var allCases = slices.Concat(
	cross(large, plain, secure, plain.at(20*ms), secure.at(20*ms), secure.at(5*ms), secure.at(50*ms)),
	cross(medium, plain, secure, plain.at(20*ms), secure.at(20*ms)),
	cross(files16, secure),
	cross(files1, secure),
	cross(small64, plain, secure, plain.at(20*ms), secure.at(20*ms), secure.at(5*ms), secure.at(50*ms)),
	cross(small4, plain, secure, plain.at(20*ms), secure.at(20*ms)),
	cross(mixed, plain, secure),
	cross(queueShort, plain),
	cross(queueLong, plain),
	cross(sparse, plain),
)

// Requests in flight. Two cores are busy with 16; with latency the number is what
// limits small files, and 32 leaves it to the latency.
const (
	transfers        = 16
	transfersLatency = 32
)

func cross(w workload, settings ...setting) (cases []benchCase) {
	for _, s := range settings {
		c := benchCase{name: w.name + "/" + s.String(), workload: w, setting: s, transfers: transfers}
		if s.latency > 0 {
			c.transfers = transfersLatency
		}
		cases = append(cases, c)
	}
	return cases
}

// String is http or https, with the latency.
func (s setting) String() string {
	text := "http"
	if s.secure {
		text = "https"
	}
	if s.latency > 0 {
		text += "+" + s.latency.String()
	}
	return text
}

// String says what is moved.
func (c benchCase) String() string { return describe(c.files, c.size) + ", " + c.setting.String() }

// units are those of sizes, the largest first.
var units = []struct {
	name  string
	bytes int64
}{{"GiB", gib}, {"MiB", mib}, {"KiB", kib}}

func describe(files int, size int64) string { return fmt.Sprintf("%d x %s", files, sizeText(size)) }

func sizeText(size int64) string {
	for _, u := range units {
		if size >= u.bytes {
			return fmt.Sprintf("%.4g %s", float64(size)/float64(u.bytes), u.name)
		}
	}
	return fmt.Sprintf("%d bytes", size)
}

// choose finds the cases of those names, with those to measure in them.
func choose(cases, who string) (chosen []benchCase, err error) {
	for _, c := range allCases {
		ok, err := matches(cases, c.name)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		c.who = slices.Clone(c.who)
		c.who = slices.DeleteFunc(c.who, func(name string) bool {
			ok, werr := matches(who, name)
			err = werr
			return !ok
		})
		if err != nil {
			return nil, err
		}
		if len(c.who) > 0 {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("there is no case %q with %q in it; see -list", cases, who)
	}
	return chosen, nil
}

// matches tells whether one of the patterns, separated by commas, is that of name.
// In them * is for any text, also one with a slash.
func matches(patterns, name string) (bool, error) {
	for p := range strings.SplitSeq(patterns, ",") {
		ok, err := path.Match(strings.ReplaceAll(p, "/", "\x00"), strings.ReplaceAll(name, "/", "\x00"))
		if err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

// scaled is the case with a part of the files, or of the one file.
func (c benchCase) scaled(part float64) benchCase {
	if c.files == 1 {
		c.size = scaleSize(c.size, part, c.fill)
		return c
	}
	c.files = scaleCount(c.files, part)
	c.batch = scaleCount(c.batch, part)
	c.behindSize = scaleSize(c.behindSize, part, c.fill)
	return c
}

func scaleCount(n int, part float64) int { return max(int(float64(n)*part), min(n, 1)) }

// scaleSize gives whole blocks, and whole periods of the fill.
func scaleSize(size int64, part float64, fill blobsink.Fill) int64 {
	unit := int64(8 * mib)
	if fill == blobsink.Sparse {
		unit = blobsink.SparsePeriod
	}
	return max(int64(float64(size)*part)/unit, min(size, 1)) * unit
}
