package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"lhsm-azblob/testenv/blobsink"
)

// batch is how many files one lfs command may name: a request must fit into one message.
const batch = 50

// A bench is the running set: stand-in, blob server, copytool.
type bench struct {
	ctx             context.Context // its end kills every program
	bin, dir, mount string
	lustre, server  *exec.Cmd
	copytool        *exec.Cmd
}

func newBench(ctx context.Context, o options) (b *bench, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.back, "hsmbench-")
	if err != nil {
		return nil, err
	}
	b = &bench{ctx: ctx, bin: filepath.Dir(self), dir: dir, mount: filepath.Join(dir, "lustre")}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if err := b.setEnvironment(); err != nil {
		return nil, err
	}
	if b.lustre, _, err = b.start("ready", "lustre-standin", "serve", "--back", filepath.Join(dir, "back"), "--mount", b.mount); err != nil {
		return nil, err
	}
	if err := b.do("lustre-standin", "set_param", "mdt.*.hsm_control=enabled", "mdt.*.hsm.max_requests=256", "mdt.*.hsm.loop_period=1", "mdt.*.hsm.grace_delay=1"); err != nil {
		return nil, err
	}
	return b, b.startCopytool(o)
}

func (b *bench) setEnvironment() error {
	return errors.Join(
		os.Mkdir(b.mount, 0o755),
		os.Setenv("LUSTRE_MOUNT", b.mount),
		os.Setenv("LHSM_LIBLUSTREAPI", filepath.Join(b.bin, "liblustreapi.so.1")),
	)
}

func (b *bench) startCopytool(o options) error {
	url, key, err := b.startServer(o)
	if err != nil {
		return err
	}
	keyFile := filepath.Join(b.dir, "account.key")
	if err := os.WriteFile(keyFile, []byte(key), 0o600); err != nil {
		return err
	}
	args := append([]string{
		"--container-url", url, "--auth", "shared-key", "--account-key-file", keyFile,
		"--run-dir", filepath.Join(b.dir, "run"), "--state-dir", filepath.Join(b.dir, "state"), "--log-level", "warn",
	}, append(o.copytool, b.mount)...)
	b.copytool, _, err = b.start("", "lhsmtool_azblob", args...)
	return err
}

// startServer gives the URL of a container and the account's key.
func (b *bench) startServer(o options) (url, key string, err error) {
	var said map[string]string
	if o.server == "azurite" {
		b.server, said, err = b.start("ready", "azurite", "--container", "bench", "--location", filepath.Join(b.dir, "azurite"))
		return said["AZURITE_CONTAINER"], said["AZURITE_KEY"], err
	}
	b.server, said, err = b.start("ready", "blobsink", "-pattern")
	return said["BLOBSINK_ENDPOINT"] + "/bench", "bm8gc2lnbmF0dXJlIGlzIGNoZWNrZWQ=", err
}

// start runs a program in the background and collects the NAME=value lines
// that it prints before the word.
func (b *bench) start(word, program string, args ...string) (*exec.Cmd, map[string]string, error) {
	cmd := exec.CommandContext(b.ctx, filepath.Join(b.bin, program), args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	if word == "" {
		return cmd, nil, nil
	}
	said := map[string]string{}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), word) {
			go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the program
			return cmd, said, nil
		}
		if name, value, ok := strings.Cut(lines.Text(), "="); ok {
			said[name] = value
		}
	}
	return cmd, nil, fmt.Errorf("start %s: it ended before it was ready", program)
}

func (b *bench) close() error {
	for _, cmd := range []*exec.Cmd{b.copytool, b.server, b.lustre} {
		if cmd != nil && cmd.Process != nil {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait() // ended by a signal is how it should end
		}
	}
	return os.RemoveAll(b.dir)
}

func (b *bench) do(program string, args ...string) error {
	out, err := exec.CommandContext(b.ctx, filepath.Join(b.bin, program), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, args[0], err, bytes.TrimSpace(out))
	}
	return nil
}

func (b *bench) lfs(verb string, files []string) error {
	for some := range slices.Chunk(files, batch) {
		if err := b.do("lfs", append([]string{verb}, some...)...); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) waitIdle() error { return b.do("lustre-standin", "wait-idle") }

func (b *bench) cores() int { return runtime.NumCPU() }

// makeFiles fills files with what a blob of the sink is made of, so that its answers have the right checksum.
func (b *bench) makeFiles(folder string, n int, size int64) ([]string, error) {
	dir := filepath.Join(b.mount, folder)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	files := make([]string, n)
	for i := range files {
		files[i] = filepath.Join(dir, strconv.Itoa(i))
		if err := writeFile(files[i], size); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func writeFile(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, blobsink.Pattern.Reader(size), make([]byte, 1<<20))
	return errors.Join(err, f.Close())
}

// cpuSeconds is user plus system time of a process so far: fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms.
func cpuSeconds(pid int) (float64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return float64(user+system) / 100, errors.Join(err1, err2)
}
