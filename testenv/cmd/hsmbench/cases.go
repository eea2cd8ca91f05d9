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
	sdkLoop  = "sdk"
	sendfile = "sendfile"
	rclone   = "rclone"
)

var (
	everyone = []string{copytool, defaults, "blobstore", sdkLoop, "nethttp", sendfile, rclone}
	pathOnly = []string{copytool}
)

var (
	large   = workload{"large", 1, 8 * gib, blobsink.Pattern, everyone, moveFiles}
	medium  = workload{"medium", 64, 256 * mib, blobsink.Pattern, everyone, moveFiles}
	files16 = workload{"files-16MiB", 512, 16 * mib, blobsink.Pattern, everyone, moveFiles}
	files1  = workload{"files-1MiB", 4096, 1 * mib, blobsink.Pattern, everyone, moveFiles}
	small64 = workload{"small-64KiB", 20_000, 64 * kib, blobsink.Pattern, everyone, moveFiles}
	small4  = workload{"small-4KiB", 20_000, 4 * kib, blobsink.Pattern, everyone, moveFiles}
	// The block list of a blob has no holes, so zeros travel like anything else.
	sparse = workload{"sparse", 1, 100 * gib, blobsink.Sparse, pathOnly, moveFiles}
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

func describe(files int, size int64) string {
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"GiB", gib}, {"MiB", mib}, {"KiB", kib}} {
		if size >= u.bytes {
			return fmt.Sprintf("%d x %.4g %s", files, float64(size)/float64(u.bytes), u.name)
		}
	}
	return fmt.Sprintf("%d x %d bytes", files, size)
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
		// Whole blocks, and whole periods of the fill.
		unit := int64(8 * mib)
		if c.fill == blobsink.Sparse {
			unit = blobsink.SparsePeriod
		}
		c.size = max(int64(float64(c.size)*part)/unit, 1) * unit
		return c
	}
	c.files = max(int(float64(c.files)*part), 1)
	return c
}
