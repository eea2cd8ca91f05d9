package fusefs

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lhsm-azblob/testenv/state"
)

func TestCoarseRelease(t *testing.T) {
	for release, want := range map[string]bool{
		"5.15.0-generic": true, "6.9.1": true, "6.12.48+deb13-amd64": true, "6.13.0": false, "6.18.44-x": false, "7.0": false, "nonsense": true,
	} {
		if got := coarseRelease(release); got != want {
			t.Errorf("coarseRelease(%s) = %v", release, got)
		}
	}
}

func TestNodes(t *testing.T) {
	file := state.FID{Seq: 0x200000401, OID: 0xffffff}
	for _, fid := range []state.FID{state.RootFID, state.DotLustreFID, file} {
		node := nodeOf(fid)
		for _, n := range []uint64{node, node | fidAlias, node | (epochs-1)<<epochShift} {
			if got := fidOf(n); got != fid {
				t.Errorf("node %#x is %v, want %v", n, got, fid)
			}
		}
	}
	if nodeOf(state.RootFID) != rootNode || nodeOf(file)>>epochShift != 0 {
		t.Errorf("nodes %d, %#x", nodeOf(state.RootFID), nodeOf(file))
	}
}

func TestFaultCounts(t *testing.T) {
	fs := &FS{}
	fid, other := state.FID{Seq: 1, OID: 1}, state.FID{Seq: 1, OID: 2}
	if err := fs.AddFault(Fault{Op: "read", FID: fid, Skip: 1, Count: 2, Errno: syscall.EIO}); err != nil {
		t.Fatal(err)
	}
	var got []bool
	for _, f := range []state.FID{fid, other, fid, fid, fid} {
		got = append(got, errors.Is(fs.faults.check(context.Background(), "read", f), syscall.EIO))
	}
	for i, want := range []bool{false, false, true, true, false} {
		if got[i] != want {
			t.Errorf("call %d: spoiled %v, want %v", i, got[i], want)
		}
	}
	if fs.faults.onData() {
		t.Error("the fault is still armed")
	}
}

func TestFaultDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := &FS{}
		if err := fs.AddFault(Fault{Op: "write", Delay: time.Minute}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := fs.faults.check(context.Background(), "write", state.FID{}); err != nil || time.Since(start) != time.Minute {
			t.Errorf("delayed by %v, %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := fs.faults.check(ctx, "write", state.FID{}); !errors.Is(err, syscall.EINTR) {
			t.Errorf("delay that was given up: %v", err)
		}
		fs.ClearFaults("write")
		if err := fs.faults.check(ctx, "write", state.FID{}); err != nil {
			t.Errorf("cleared fault: %v", err)
		}
	})
}
