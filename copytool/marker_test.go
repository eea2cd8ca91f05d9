package copytool

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

// markerPuts counts the writes of a blob, and forgets them.
func (r *rig) markerPuts(name string) int {
	n := 0
	for _, request := range r.store.log() {
		if request == "put "+name {
			n++
		}
	}
	return n
}

func (r *rig) setDir(dir string, attr Attr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dirs[dir] = attr
}

func TestMarkersAreWrittenOnce(t *testing.T) {
	r := newRig(t)
	for i := range 10 {
		r.archive(r.write(fmt.Sprintf("a/b/f%d", i), "content"))
	}
	log := r.store.log()
	for _, dir := range []string{"put a", "put a/b"} {
		if n := len(slices.DeleteFunc(slices.Clone(log), func(s string) bool { return s != dir })); n != 1 {
			t.Errorf("%q %d times, want once", dir, n)
		}
	}
	info, err := r.store.Stat(t.Context(), "a/b")
	if err != nil {
		t.Fatal(err)
	}
	if at := attributesOf(info); !at.IsFolder || at.UID != 10 || at.GID != 20 || at.Mode != 0o755 {
		t.Errorf("marker: %+v", at)
	}
}

func TestMarkersFollowTheirDirectory(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		attr := Attr{Mode: 0o40755}
		for _, step := range []struct {
			what   string
			change func()
			puts   int
		}{
			{"first file", func() {}, 1},
			{"next file, other times", func() { attr.Changed = time.Now() }, 0},
			{"other mode", func() { attr.Mode = 0o40700; time.Sleep(markerLook) }, 1},
			{"other times, soon", func() { attr.Changed = time.Now(); time.Sleep(markerLook) }, 0},
			{"other times, much later", func() { time.Sleep(markerRefresh) }, 1},
			{"nothing new", func() { time.Sleep(markerRefresh) }, 0},
		} {
			step.change()
			r.setDir("d", attr)
			r.archive(r.write("d/"+step.what, "content"))
			if n := r.markerPuts("d"); n != step.puts {
				t.Errorf("%s: the marker was written %d times, want %d", step.what, n, step.puts)
			}
		}
	})
}

// TestMarkerOfAnEarlierProcess costs one attempt and one look.
func TestMarkerOfAnEarlierProcess(t *testing.T) {
	r := newRig(t)
	r.archive(r.write("d/f", "content"))
	r.store.log()
	r.agent.markers = newMarkers()
	r.archive(r.write("d/g", "content"))
	if got, want := r.store.log(), []string{"put d/g", "put d", "head d"}; !slices.Equal(got, want) {
		t.Errorf("requests: %q, want %q", got, want)
	}
	r.agent.markers = newMarkers()
	r.setDir("d", Attr{Mode: 0o40700})
	r.archive(r.write("d/h", "content"))
	if got, want := r.store.log(), []string{"put d/h", "put d", "head d", "put d"}; !slices.Equal(got, want) {
		t.Errorf("after a change: requests %q, want %q", got, want)
	}
}

func TestFailedMarkerIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.store.before = func(_ context.Context, op string, n blobstore.Name) error {
			if n == "d" {
				return fail(op, n, blobstore.ErrBusy)
			}
			return nil
		}
		r.archive(r.write("d/f", "content")) // all the same
		if !strings.Contains(r.log.String(), "marker of a directory is not written") {
			t.Error("the failure is not in the log")
		}
		r.wantNoBlob("d")
		r.store.before = nil
		time.Sleep(markerLook)
		r.archive(r.write("d/g", "content"))
		r.wantBlob("d", "")
	})
}

func TestMarkerLeavesForeignBlobsAlone(t *testing.T) {
	for name, md := range map[string]map[string]string{
		"a file":                nil,
		"another tool's marker": {"hdi_isfolder": "true", "owner": "5", "group": "5", "permissions": "0700"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.store.foreign("d", "theirs", md)
			r.archive(r.write("d/f", "content"))
			r.wantBlob("d", "theirs")
		})
	}
}

func TestMarkersAreBounded(t *testing.T) {
	ms := newMarkers()
	for i := range maxMarkers + 10 {
		if _, ok := ms.claim(markerKey{nil, fmt.Sprint(i)}, time.Now()); !ok {
			t.Fatalf("directory %d is not looked at", i)
		}
	}
	if len(ms.byDir) > maxMarkers {
		t.Errorf("%d directories are remembered, want %d at most", len(ms.byDir), maxMarkers)
	}
}

// TestUnwritableErrorIsNoFailure: what cannot be noted is logged only.
func TestUnwritableErrorIsNoFailure(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "content")
	r.store.before = func(_ context.Context, op string, n blobstore.Name) error { return fail(op, n, blobstore.ErrBusy) }
	r.onSet = func(_ llapi.FID, name string) {
		if name == ErrorXattr {
			r.unlink(fid)
		}
	}
	r.want(llapi.ActionArchive, fid, syscall.EAGAIN)
}
