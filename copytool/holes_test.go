package copytool

import (
	"os"
	"testing"
	"time"

	"lhsm-azblob/blobstore"
)

func TestAtRest(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name              string
		modified, changed time.Duration // ago
		long              time.Duration
		want              bool
	}{
		{"old", time.Hour, time.Hour, time.Minute, true},
		{"just old enough", time.Minute, time.Minute, time.Minute, true},
		{"written", time.Second, time.Second, time.Minute, false},
		{"written, and its time set back", time.Hour, time.Second, time.Minute, false},
		{"renamed with its time set ahead", -time.Hour, time.Hour, time.Minute, false},
		{"written by who has another clock", -time.Second, -time.Second, time.Minute, false},
		{"whatever it is", -time.Hour, -time.Hour, 0, true},
	} {
		a := Attr{Modified: now.Add(-tt.modified), Changed: now.Add(-tt.changed)}
		if got := a.atRest(tt.long, now); got != tt.want {
			t.Errorf("%s: at rest is %t, want %t", tt.name, got, tt.want)
		}
	}
}

// TestHolesOfYoungFilesAreRead: a user may set the time of the last write, which
// does not make the data any older.
func TestHolesOfYoungFilesAreRead(t *testing.T) {
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{{time.Minute, false}, {0, true}, {time.Nanosecond, true}} {
		r := newRig(t, func(o *Options) { o.HolesAfter = tt.after })
		fid := r.write("f", "content")
		r.mu.Lock()
		data := r.files[fid].data
		r.mu.Unlock()
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(data, old, old); err != nil {
			t.Fatal(err)
		}
		r.archive(fid)
		r.store.mu.Lock()
		got := r.store.nextData != nil
		r.store.mu.Unlock()
		if got != tt.want {
			t.Errorf("with %v the upload may find holes: %t, want %t", tt.after, got, tt.want)
		}
	}
}

// TestZeroBlocksAreKept: the restore knows of them by the identity, also of a copy
// that was put aside, and where there is none by the blob.
func TestZeroBlocksAreKept(t *testing.T) {
	r := newRig(t)
	r.store.zeros = 3
	fid := r.write("f", "content")
	r.archive(fid)
	want := func(id int, asked int) {
		t.Helper()
		r.store.mu.Lock()
		got := r.store.fetched.ZeroBlocks
		r.store.fetched = blobstore.DownloadOptions{}
		r.store.mu.Unlock()
		if n := r.identity(fid).ZeroBlocks; n != id || got != asked {
			t.Errorf("the identity has %d blocks of zeros, want %d; the download was told of %d, want %d", n, id, got, asked)
		}
	}
	want(3, 0)
	r.release(fid)
	r.restore(fid)
	want(3, 3)

	r.rename(fid, "moved")
	r.store.zeros = 0
	other := r.write("f", "another")
	r.archive(other) // moves the copy aside
	r.release(fid)
	r.restore(fid)
	want(3, 3)
	if n := r.identity(other).ZeroBlocks; n != 0 {
		t.Errorf("a dense file has %d blocks of zeros", n)
	}

	if err := r.Set(Ref{FID: fid}, IdentityXattr, nil, SetAny); err != nil {
		t.Fatal(err)
	}
	r.release(fid)
	r.restore(fid)
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	if n := r.store.fetched.ZeroBlocks; n != 3 {
		t.Errorf("without an identity the download was told of %d blocks of zeros, want 3", n)
	}
}
