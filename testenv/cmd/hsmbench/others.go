package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/blobsink"
	"lhsm-azblob/testenv/meter"
)

// loop has blobloop move the files there and back.
func (r *round) loop(who string, set *fileSet) error {
	res, err := testenv.Output(r.world.command("blobloop", "-via", who, "-holes="+strconv.FormatBool(r.fill == blobsink.Sparse),
		"-url", r.world.url, "-stats", r.world.stats, "-dir", set.dir, "-prefix", filepath.Base(set.dir), "-transfers", strconv.Itoa(r.transfers)))
	if err == nil && res.Code != 0 {
		err = fmt.Errorf("blobloop: exit %d: %s", res.Code, strings.TrimSpace(res.Stderr))
	}
	if err != nil {
		return err
	}
	var figures struct{ Put, Get meter.Figures }
	if err := json.Unmarshal([]byte(res.Stdout), &figures); err != nil {
		return fmt.Errorf("blobloop: %w", err)
	}
	r.add(archive, who, sample{Figures: figures.Put})
	r.add(restore, who, sample{Figures: figures.Get})
	return nil
}

// least is what is left, in seconds, where there is so little to do that the rest
// is noise.
const least = 1e-3

// rclone copies the files there and back. What it takes to copy nothing is left
// out: the others are measured while they run already.
func (r *round) rclone(set *fileSet) error {
	remote := ":azureblob:bench/" + filepath.Base(set.dir)
	nothing := filepath.Join(r.world.dir, "nothing")
	if err := os.MkdirAll(nothing, 0o755); err != nil {
		return err
	}
	start, err := r.rcloneCopy(nothing, remote)
	if err != nil {
		return err
	}
	for _, way := range []struct{ op, from, to string }{
		{archive, set.dir, remote},
		{restore, remote, set.dir + "-back"},
	} {
		f, err := r.rcloneCopy(way.from, way.to)
		if err != nil {
			return err
		}
		f.CPU = max(f.CPU-start.CPU, least)
		f.Seconds = max(f.Seconds-start.Seconds, least)
		r.add(way.op, rclone, sample{Figures: f})
	}
	return os.RemoveAll(set.dir + "-back")
}

func (r *round) rcloneCopy(from, to string) (f meter.Figures, err error) {
	before, err := blobsink.FetchStats(r.world.ctx, r.world.stats)
	if err != nil {
		return f, err
	}
	n := strconv.Itoa(r.transfers)
	cmd := exec.CommandContext(r.world.ctx, r.peer, "copy", from, to, "--config", "", "--quiet",
		"--transfers", n, "--checkers", n, "--azureblob-upload-concurrency", n, "--multi-thread-streams", n,
		"--azureblob-chunk-size", "8Mi", "--multi-thread-chunk-size", "8Mi",
		"--azureblob-account", "sink", "--azureblob-key", accountKey, "--azureblob-endpoint", strings.TrimSuffix(r.world.url, "/bench"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	began := time.Now()
	res, err := testenv.Output(cmd)
	f.Seconds = time.Since(began).Seconds()
	if err == nil && res.Code != 0 {
		err = fmt.Errorf("rclone: exit %d: %s", res.Code, strings.TrimSpace(res.Stderr))
	}
	if err != nil {
		return f, err
	}
	f.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	f.Peak = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10 // on Linux it is one
	after, err := blobsink.FetchStats(r.world.ctx, r.world.stats)
	f.Requests = meter.Since(before, after)
	return f, err
}
