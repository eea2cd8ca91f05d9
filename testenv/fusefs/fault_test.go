package fusefs_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/lioc"
)

func TestDataFaults(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	write(t, l.Path("f"), "content")
	write(t, l.Path("g"), "other")
	l.Fault("read", "errno=EIO", "path=/f", "count=1")
	if _, err := os.ReadFile(l.Path("f")); !errors.Is(err, syscall.EIO) {
		t.Errorf("spoiled read: %v", err)
	}
	wantContent(t, l.Path("g"), "other")
	wantContent(t, l.Path("f"), "content") // once only
	l.Fault("write", "errno=ENOSPC", "skip=1")
	f, err := os.Create(l.Path("h"))
	must(t, err)
	defer f.Close()
	_, err = f.WriteString("first")
	must(t, err)
	if _, err := f.WriteString("second"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("spoiled write: %v", err)
	}
	l.ClearFaults()
	_, err = f.WriteString("third")
	must(t, err)
	l.Fault("fsync", "errno=EDQUOT")
	if err := f.Sync(); !errors.Is(err, syscall.EDQUOT) {
		t.Errorf("spoiled fsync: %v", err)
	}
}

func TestIoctlFaults(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	write(t, l.Path("f"), "")
	l.Fault("state_get", "errno=ESTALE", "count=1")
	if _, err := ioctl(open(t, l.Path("f")), lioc.HSMStateGet, make([]byte, 32)); !errors.Is(err, syscall.ESTALE) {
		t.Errorf("spoiled STATE_GET: %v", err)
	}
	wantState(t, l.Path("f"), 0)
	l.Fault("fid2path", "errno=EIO", "count=1", "delay=1ms")
	if _, _, err := fid2path(t, l.Mount(), fidOf(t, l.Path("f")), 0, 4096); !errors.Is(err, syscall.EIO) {
		t.Errorf("spoiled FID2PATH: %v", err)
	}
	if r := l.Command("fault", "add", "nonsense", "errno=EIO"); r.Code == 0 {
		t.Error("a fault for an operation that does not exist was accepted")
	}
}

func TestPipeFaults(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	archive := func(name string) {
		write(t, l.Path(name), "")
		must(t, request(t, l.Mount(), lioc.UserArchive, fidOf(t, l.Path(name))))
	}
	c := register(t, l.Mount())
	l.Fault("pipe-split", "count=1")
	archive("split")
	must(t, c.archive(c.next())) // a reader who waits for the rest has the whole

	l.Fault("pipe-late", "count=1")
	archive("late")
	waitFor(t, l, "mdt.*.hsm.actions", "status=STARTED") // or both may come in one message
	archive("early")
	early, late := c.next(), c.next()
	if early.FID != fidOf(t, l.Path("early")) || late.FID != fidOf(t, l.Path("late")) {
		t.Errorf("received %v, then %v", early.FID, late.FID)
	}
	must(t, c.archive(early))
	must(t, c.archive(late))

	l.Fault("pipe-garbage", "count=1")
	archive("garbage")
	if b, err := c.message(); err != nil || b[0] == 0x1c {
		t.Errorf("garbage begins with %#x, %v", b[0], err)
	}
	l.Fault("pipe-shutdown", "count=1")
	archive("shutdown")
	if b, err := c.message(); err != nil || !bytes.Equal(b, lioc.ShutdownMessage()) {
		t.Errorf("shutdown is % x, %v", b, err)
	}
	l.Fault("pipe-close", "count=1")
	archive("close")
	if _, err := c.message(); !errors.Is(err, io.EOF) {
		t.Errorf("closed pipe: %v", err)
	}
	waitFor(t, l, "mdt.*.hsm.actions", "status=WAITING")
	c = register(t, l.Mount())
	must(t, c.archive(c.next())) // the message that was lost with the pipe
}

func TestShutdownMessage(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	c := register(t, l.Mount())
	if r := l.Command("shutdown-message", l.Mount()); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	if b, err := c.message(); err != nil || !bytes.Equal(b, lioc.ShutdownMessage()) {
		t.Errorf("shutdown is % x, %v", b, err)
	}
	if _, err := c.message(); !errors.Is(err, io.EOF) {
		t.Errorf("after the shutdown: %v", err)
	}
}

// readAll reads whole records: as many as fit into 4096 bytes at a time.
func readAll(f *os.File) (all []byte, err error) {
	buf := make([]byte, 4096)
	for {
		n, err := f.Read(buf)
		all = append(all, buf[:n]...)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

// awaitRecord waits until a record is there, and goes back to the first one.
func awaitRecord(t *testing.T, log *os.File, index int64) {
	t.Helper()
	_, err := log.WriteString("follow:1")
	must(t, err)
	_, err = log.Seek(index, io.SeekStart)
	must(t, err)
	_, err = log.Read(make([]byte, 4096))
	must(t, err)
	_, err = log.WriteString("follow:0")
	must(t, err)
	_, err = log.Seek(0, io.SeekStart)
	must(t, err)
}

func TestChangelogFile(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	if r := l.Command("changelog_register", "-n"); r.Stdout != "cl1\n" || r.Code != 0 {
		t.Fatalf("changelog_register: %+v", r)
	}
	for _, name := range []string{"a", "b", "c"} {
		write(t, l.Path(name), "")
	}
	log, err := os.OpenFile(l.Path(".lustre/changelog"), os.O_RDWR, 0)
	must(t, err)
	defer log.Close()
	awaitRecord(t, log, 6) // the last close, which is recorded after close(2) has returned
	all, err := readAll(log)
	must(t, err)
	if !bytes.Contains(all, []byte("a")) || len(all) < 3*64 {
		t.Errorf("changelog of %d bytes", len(all))
	}
	_, err = log.Seek(2, io.SeekStart)
	must(t, err)
	rest, err := readAll(log)
	must(t, err)
	if len(rest) == 0 || !bytes.HasSuffix(all, rest) || len(rest) == len(all) {
		t.Errorf("from record 2: %d bytes of %d", len(rest), len(all))
	}
	_, err = log.WriteString("clear:cl1:0\x00")
	must(t, err)
	_, err = log.Seek(1, io.SeekStart)
	must(t, err)
	if b, err := readAll(log); err != nil || len(b) != 0 {
		t.Errorf("cleared changelog has %d bytes, %v", len(b), err)
	}
	if _, err := log.WriteString("clear:cl9:0"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("clear for nobody: %v", err)
	}
	if _, err := log.WriteString("nonsense"); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("nonsense: %v", err)
	}
}
