package importer

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
)

// A directory has the mode that its marker says, none at all included; only where the
// marker says nothing it has a common one.
func TestModesOfDirectories(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	r := &run{root: root}
	known := blobstore.Attributes{UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), IsFolder: true}
	for name, want := range map[blobstore.Name]struct {
		mode, made uint32
		at         time.Time
	}{
		"closed": {0, 0, time.Unix(1, 0)}, "open": {0o751, 0o751, time.Unix(1, 0)}, "unknown": {0, 0o755, time.Time{}},
	} {
		at := known
		at.Mode, at.ModTime = want.mode, want.at
		if err := r.directory(blobstore.Info{Name: name}, at); err != nil {
			t.Error(err)
		}
		st, err := os.Stat(filepath.Join(dir, string(name)))
		if err != nil {
			t.Fatal(err)
		}
		if got := uint32(st.Mode().Perm()); got != want.made {
			t.Errorf("%s has the mode %o, want %o", name, got, want.made)
		}
	}
}

// Set-user-id is for the file that was imported, and for no other that has its place.
func TestHighBitsOfAnotherFile(t *testing.T) {
	lustre := testenv.StartLustre(t, testenv.Options{})
	fids := map[string]llapi.FID{}
	for _, name := range []string{"imported", "other"} {
		if err := os.WriteFile(lustre.Path(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		fid, err := llapi.PathToFID(lustre.Path(name))
		if err != nil {
			t.Fatal(err)
		}
		fids[name] = fid
	}
	for name, want := range map[string]uint32{"imported": 0o4755, "other": 0o600} {
		err := setHighBits(lustre.Path(name), fids["imported"], 0o4755)
		if (err == nil) != (name == "imported") {
			t.Errorf("%s: %v", name, err)
		}
		var st unix.Stat_t
		if err := unix.Stat(lustre.Path(name), &st); err != nil {
			t.Fatal(err)
		}
		if st.Mode&0o7777 != want {
			t.Errorf("%s has the mode %o, want %o", name, st.Mode&0o7777, want)
		}
	}
}
