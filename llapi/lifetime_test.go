package llapi_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
)

func TestRecvEndsWithContext(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := w.ct.Recv(ctx); done <- err }() // ends by cancel
	cancel()
	w.is("Recv", <-done, context.Canceled)
	_, err := w.ct.Recv(ctx)
	w.is("Recv with a context that has ended", err, context.Canceled)
	// The copytool is none the worse for it.
	_, fid := w.file("f", "x")
	w.request(llapi.UserArchive, fid)
	w.ok(w.ct.Fail(w.recv(w.ct), 0, syscall.EIO))
}

func TestClose(t *testing.T) {
	w := newWorld(t)
	path, fid := w.file("f", "content")
	w.request(llapi.UserArchive, fid)
	item, a := w.begin(llapi.ActionArchive)

	recv, closed := make(chan error, 1), make(chan error, 1)
	go func() { _, err := w.ct.Recv(context.Background()); recv <- err }() // ended by Close
	go func() { closed <- w.ct.Close() }()                                 // ends with the action
	w.is("Recv", <-recv, llapi.ErrClosed)
	select {
	case err := <-closed:
		t.Fatalf("Close did not wait for the action: %v", err)
	default:
	}
	_, err := w.ct.Begin(item, -1, 0)
	w.is("Begin", err, llapi.ErrClosed)
	w.is("Fail", w.ct.Fail(item, 0, syscall.EIO), llapi.ErrClosed)
	w.is("ReportProgress", w.ct.ReportProgress(item, llapi.Extent{}), llapi.ErrClosed)
	w.ok(a.Progress(llapi.Extent{Length: 1}, 7))
	w.ok(a.End(llapi.WholeFile, 0, 0))
	w.ok(<-closed)
	w.wantState(path, archived, 1)
	w.is("second Close", w.ct.Close(), llapi.ErrClosed)
	_, err = w.ct.Recv(t.Context())
	w.is("Recv after Close", err, llapi.ErrClosed)
}

// Unregister takes the agent away at once, and nothing else.
func TestUnregister(t *testing.T) {
	w := newWorld(t)
	path, fid := w.file("f", "content")
	_, waiting := w.file("g", "content")
	w.request(llapi.UserArchive, fid)
	_, a := w.begin(llapi.ActionArchive)
	w.request(llapi.UserArchive, waiting)
	w.ok(w.ct.WaitReadable(t.Context()))
	w.ok(w.ct.Unregister())
	w.ok(w.ct.Unregister())
	if agents := w.lustre.GetParam("mdt.*.hsm.agents"); strings.Contains(agents, "uuid=") {
		t.Errorf("the agent is still there: %s", agents)
	}
	// What was in the pipe is not lost.
	item := w.recv(w.ct)
	if item.FID != waiting {
		t.Errorf("received %v, want %v", item.FID, waiting)
	}
	_, err := w.ct.Recv(t.Context())
	w.is("Recv", err, llapi.ErrClosed)
	w.ok(w.ct.Fail(item, 0, syscall.EAGAIN))
	w.ok(a.Progress(llapi.Extent{Length: 1}, 7))
	w.ok(a.End(llapi.WholeFile, 0, 0))
	w.wantState(path, archived, 1)
	w.ok(w.ct.Close())
}

// TestUnregisterWhileMoreComes: the kernel waits in a write to the full pipe, which a
// keeper holds as well. Each list is received, or the coordinator's to send again.
func TestUnregisterWhileMoreComes(t *testing.T) {
	w := newWorld(t)
	keeper, err := w.ct.Pipe()
	w.ok(err)
	defer keeper.Close()
	_, err = unix.FcntlInt(keeper.Fd(), unix.F_SETPIPE_SZ, 4096) // two lists
	w.ok(err)
	w.ok(w.ct.Unblock())
	const files = 20
	w.lustre.SetParam("mdt.*.hsm.max_requests", fmt.Sprint(files))
	for i := range files {
		_, fid := w.file(fmt.Sprintf("f%d", i), "content")
		w.ok(llapi.SendRequest(w.lustre.Mount(), llapi.Request{Action: llapi.UserArchive, Items: []llapi.FID{fid}, Data: make([]byte, 1500)}))
		for w.started() <= i {
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- w.ct.Unregister() }()
	received := 0
	for err == nil {
		var list llapi.ActionList
		list, err = w.ct.Recv(t.Context())
		received += len(list.Items)
	}
	if !errors.Is(err, llapi.ErrClosed) {
		w.is("Recv", err, syscall.EPIPE)
	}
	w.ok(<-ended)
	if started := w.started(); received == 0 || received != started {
		t.Errorf("%d actions were received, and the coordinator takes %d for sent", received, started)
	}
}

// started is how many actions the coordinator takes for sent.
func (w *world) started() int {
	return strings.Count(w.lustre.GetParam("mdt.*.hsm.actions"), "status=STARTED")
}

// The old registration's end leaves a newer one of the same mount alone.
func TestRegisterAgain(t *testing.T) {
	w := newWorld(t)
	_, fid := w.file("f", "content")
	w.request(llapi.UserArchive, fid)
	_, a := w.begin(llapi.ActionArchive)
	newer := w.register(w.lustre.Mount())
	closed := make(chan error, 1)
	go func() { closed <- w.ct.Close() }() // ends with the action
	w.ok(a.End(llapi.WholeFile, 0, 0))
	w.ok(<-closed)
	_, fid = w.file("g", "content")
	w.request(llapi.UserArchive, fid)
	w.ok(newer.Fail(w.recv(newer), 0, syscall.EIO))
}

func TestRecvErrors(t *testing.T) {
	for fault, want := range map[string]error{
		"pipe-split": syscall.EPROTO, "pipe-garbage": syscall.EPROTO,
		"pipe-close": syscall.EPIPE, "pipe-shutdown": syscall.ESHUTDOWN,
	} {
		t.Run(fault, func(t *testing.T) {
			w := newWorld(t)
			w.lustre.Fault(fault, "count=1")
			_, fid := w.file("f", "content")
			w.request(llapi.UserArchive, fid)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := w.ct.Recv(ctx)
			w.is("Recv", err, want)
			w.lustre.ClearFaults()
			_, fid = w.file("g", "content")
			if !errors.Is(want, syscall.EPROTO) {
				w.ok(w.ct.Close())
				w.ct = w.register(w.lustre.Mount())
			}
			w.request(llapi.UserArchive, fid)
			for found := false; !found; { // garbage comes beside the list
				list, err := w.ct.Recv(ctx)
				w.ok(err)
				for _, item := range list.Items {
					found = found || item.FID == fid
					w.ok(w.ct.Fail(item, 0, syscall.EIO))
				}
			}
		})
	}
}

// A daemon that is gone is noticed, and does not keep Close from ending.
func TestLostLustre(t *testing.T) {
	w := &world{T: t, lustre: testenv.StartLustre(t, testenv.Options{})}
	ct, err := llapi.Register(w.lustre.Mount())
	w.ok(err)
	_, fid := w.file("f", "content")
	w.request(llapi.UserArchive, fid)
	item := w.recv(ct)
	a, err := ct.Begin(item, -1, 0)
	w.ok(err)
	w.lustre.Kill()
	_, err = ct.Recv(t.Context())
	w.is("Recv", err, syscall.EPIPE)
	if err := a.End(llapi.WholeFile, 0, 0); err == nil {
		t.Error("End succeeded without a Lustre")
	}
	_ = ct.Close() // says that the kernel could not be told
}

// Children of the process get neither the pipe nor data.
func TestCloseOnExec(t *testing.T) {
	w := newWorld(t)
	_, fid := w.file("f", "content")
	w.request(llapi.UserArchive, fid)
	_, a := w.begin(llapi.ActionArchive)
	f, err := a.File()
	w.ok(err)
	defer f.Close()
	out, err := exec.Command("sh", "-c", "ls -l /proc/self/fd").Output()
	w.ok(err)
	if regexp.MustCompile(`lr-x.* -> pipe:`).Match(out) {
		t.Errorf("a child has\n%s", out)
	}
	w.ok(a.End(llapi.WholeFile, 0, 0))
}

// Many actions at once, with everything that goes with them, for the race
// detector.
func TestConcurrentActions(t *testing.T) {
	w := newWorld(t)
	const files = 60
	var fids []llapi.FID
	for i := range files {
		_, fid := w.file(fmt.Sprintf("f%d", i), "content")
		fids = append(fids, fid)
	}
	w.request(llapi.UserArchive, fids...)
	var wg sync.WaitGroup
	for left := files; left > 0; {
		list := w.recvList(w.ct)
		left -= len(list.Items)
		for _, item := range list.Items {
			wg.Go(func() { w.work(item) })
		}
	}
	wg.Wait()
	w.lustre.WaitIdle()
	for i := range files {
		w.wantState(w.lustre.Path(fmt.Sprintf("f%d", i)), archived, 1)
	}
}

func (w *world) work(item llapi.ActionItem) {
	a, err := w.ct.Begin(item, -1, 0)
	if err != nil {
		w.Errorf("Begin: %v", err)
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.ct.ReportProgress(item, llapi.Extent{Length: 1}); err != nil && !errors.Is(err, syscall.ENOENT) {
			w.Errorf("ReportProgress: %v", err)
		}
	})
	wg.Go(func() {
		if err := a.Progress(llapi.Extent{Length: 2}, 7); err != nil && !errors.Is(err, llapi.ErrClosed) {
			w.Errorf("Progress: %v", err)
		}
	})
	f, err := a.File()
	if err != nil {
		w.Errorf("File: %v", err)
	} else {
		var b [7]byte
		if _, err := f.ReadAt(b[:], 0); err != nil {
			w.Errorf("read: %v", err)
		}
		f.Close()
	}
	var ends [2]error // one of two that race
	for i := range ends {
		wg.Go(func() { ends[i] = a.End(llapi.WholeFile, 0, 0) })
	}
	wg.Wait()
	if (ends[0] == nil) == (ends[1] == nil) || !errors.Is(errors.Join(ends[:]...), llapi.ErrClosed) {
		w.Errorf("two Ends returned %v", ends)
	}
}

// The rules for arguments that Go never passes are those of the C library.
func TestConformance(t *testing.T) {
	w := &world{T: t, lustre: testenv.StartLustre(t, testenv.Options{})}
	path, _ := w.file("f", "content")
	program := t.TempDir() + "/conformance"
	library := os.Getenv(llapi.LibraryVariable)
	out, err := exec.Command("gcc", "-Wall", "-Werror", "-I.", "-o", program, "testdata/conformance.c", library).CombinedOutput()
	if err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	cmd := exec.Command(program, w.lustre.Mount(), path)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+library[:strings.LastIndexByte(library, '/')])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestRestoreWithoutRoom wants the reason, which the library itself loses.
func TestRestoreWithoutRoom(t *testing.T) {
	w := newWorld(t)
	_, fid := w.file("f", "content")
	w.archive(fid)
	w.request(llapi.UserRelease, fid)
	w.request(llapi.UserRestore, fid)
	item := w.recv(w.ct)
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EPERM} {
		w.lustre.Fault("create", "errno="+unix.ErrnoName(errno), "count=1")
		_, err := w.ct.Begin(item, -1, llapi.OpenDelayCreate)
		w.is("Begin", err, errno)
	}
	w.restore(w.start(item), "content")
}
