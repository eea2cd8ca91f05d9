package jobs

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
)

// TestLookAtUnlinked: a file that somebody unlinks while it is looked at has no name
// left, and needs no archive any less for that.
func TestLookAtUnlinked(t *testing.T) {
	l := testenv.StartLustre(t, testenv.Options{})
	f, err := os.Create(l.Path("f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := llapi.SetState(f.Name(), llapi.HSNoArchive, 0, 0); err != nil {
		t.Fatal(err)
	}
	fid, err := llapi.PathToFID(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.Name()); err != nil {
		t.Fatal(err)
	}
	m, err := openMount(l.Mount())
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	dir, err := m.openDir(fidDir) // there it is found until it is closed
	if err != nil {
		t.Fatal(err)
	}
	defer dir.release()
	s, err := (&looker{}).look(t.Context(), &batch{dir: dir, files: []entry{{dirent: dirent{fid.Bare(), unix.DT_REG}}}})
	if err != nil || s.skipped[SkipNeverArchive].files != 1 || len(s.works) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}
