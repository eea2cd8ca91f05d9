package jobs_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lhsm-azblob/jobs"
	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
)

func TestExplain(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	m := openManager(t, l, nil)
	write(t, l.Path("d", "new"), l.Path("d", "changed"), l.Path("d", "waits"), l.Path("d", "never"))
	for name, flags := range map[string]llapi.StateFlags{"changed": llapi.HSExists | llapi.HSArchived | llapi.HSDirty, "never": llapi.HSNoArchive} {
		if err := llapi.SetState(l.Path("d", name), flags, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"trusted.lhsm_azblob":       `{"v":1,"acct":"acc","ctr":"c","name":"d/changed","etag":"e","size":7,"dv":12,"t":"2026-11-28T00:00:00Z"}`,
		"trusted.lhsm_azblob_error": `{"v":1,"t":"2026-11-28T00:00:00Z","op":"ARCHIVE","code":"BlobLeased","msg":"leased","host":"mover1"}`,
	} {
		if err := unix.Setxattr(l.Path("d", "changed"), name, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	if r := l.Lfs("hsm_archive", l.Path("d", "waits")); r.Code != 0 {
		t.Fatal(r)
	}
	if err := os.Symlink("new", l.Path("d", "link")); err != nil {
		t.Fatal(err)
	}
	explain := func(path string) jobs.Explanation {
		t.Helper()
		e, err := m.Explain(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e := explain(l.Path("d", "new")); !e.WouldArchive || e.Path != "/d/new" || e.Size != 7 || e.FID != fidOf(t, l.Path("d", "new")).String() ||
		e.State != "(0x00000000)" || e.Action != "NOOP" || e.Copy != nil || e.LastError != nil || !strings.Contains(e.Why, "never archived") {
		t.Errorf("new: %+v", e)
	}
	e := explain("d/changed")
	if !e.WouldArchive || e.State != "(0x0000000b) exists dirty archived" || !slices.Equal(e.Flags, []string{"exists", "dirty", "archived"}) || !strings.Contains(e.Why, "has changed") {
		t.Errorf("changed: %+v", e)
	}
	if e.Copy == nil || e.Copy.Blob != "d/changed" || e.LastError == nil || e.LastError.Code != "BlobLeased" {
		t.Errorf("changed: %+v, %+v", e.Copy, e.LastError)
	}
	// What lfs prints is what we print.
	if r := l.Lfs("hsm_state", l.Path("d", "changed")); strings.TrimSpace(r.Stdout) != l.Path("d", "changed")+": "+e.State {
		t.Errorf("lfs says %q, we %q", r.Stdout, e.State)
	}
	if e := explain("/d/waits"); !e.WouldArchive || !strings.HasPrefix(e.Action, "ARCHIVE waiting") || !strings.Contains(e.Why, "asked for it already") {
		t.Errorf("waits: %+v", e)
	}
	for path, why := range map[string]string{"/d/never": "never_archive", "/d/link": "not a regular file", "/d": "directory", "/": "directory"} {
		if e := explain(path); e.WouldArchive || !strings.Contains(e.Why, why) {
			t.Errorf("%s: %+v, want %q", path, e, why)
		}
	}
	var invalid *jobs.InvalidError
	for _, path := range []string{"/nothing", "/d/new/x", "../etc"} {
		if _, err := m.Explain(t.Context(), path); !errors.As(err, &invalid) || invalid.Field != "path" {
			t.Errorf("%s: %v", path, err)
		}
	}
}
