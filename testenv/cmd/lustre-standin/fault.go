package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv/fusefs"
	"lhsm-azblob/testenv/state"
)

// fault arms and disarms faults. Which package spoils the call is nobody's
// business here: data and pipes are fusefs's, the rest is the state's.
func (d *daemon) fault(_ context.Context, args []string) (string, error) {
	if len(args) == 0 {
		return "", errors.New("want add, clear or ops")
	}
	switch args[0] {
	case "add":
		return "", d.addFault(args[1:])
	case "clear":
		op := ""
		if len(args) > 1 {
			op = args[1]
		}
		d.fs.ClearFaults(op)
		d.state.ClearFaults(op)
		return "", nil
	case "ops":
		ops := append(slices.Clone(fusefs.FaultOps), state.FaultOps...)
		slices.Sort(ops)
		return strings.Join(slices.Compact(ops), "\n") + "\n", nil
	}
	return "", fmt.Errorf("no %q; want add, clear or ops", args[0])
}

// addFault reads OP [key=value]...
func (d *daemon) addFault(args []string) error {
	if len(args) == 0 {
		return errors.New("want an operation")
	}
	f := fusefs.Fault{Op: args[0]}
	for _, a := range args[1:] {
		key, value, _ := strings.Cut(a, "=")
		var err error
		switch key {
		case "errno":
			f.Errno, err = errnoByName(value)
		case "count":
			f.Count, err = strconv.Atoi(value)
		case "skip":
			f.Skip, err = strconv.Atoi(value)
		case "delay":
			f.Delay, err = time.ParseDuration(value)
		case "fid":
			f.FID, err = state.ParseFID(value)
		case "path":
			f.FID, err = d.walk(value)
		default:
			err = errors.New("unknown; want errno, count, skip, delay, path or fid")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", a, err)
		}
	}
	if slices.Contains(fusefs.FaultOps, f.Op) {
		return d.fs.AddFault(f)
	}
	if !slices.Contains(state.FaultOps, f.Op) {
		return fmt.Errorf("no operation %q; see fault ops", f.Op)
	}
	if !f.FID.IsZero() {
		return fmt.Errorf("%s: only %s can be limited to a file", f.Op, strings.Join(fusefs.FaultOps, ", "))
	}
	return d.state.AddFault(state.Fault{Op: f.Op, Count: f.Count, Skip: f.Skip, Errno: f.Errno, Delay: f.Delay})
}

// errnoByName knows EIO and such, and plain numbers.
func errnoByName(s string) (syscall.Errno, error) {
	if n, err := strconv.Atoi(s); err == nil {
		return syscall.Errno(n), nil
	}
	for e := syscall.Errno(1); e < 134; e++ {
		if unix.ErrnoName(e) == strings.ToUpper(s) {
			return e, nil
		}
	}
	return 0, errors.New("no such error")
}
