package jobs

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
)

// TestFrozen: what Lustre lets nobody set an attribute on is not asked for: it would come to
// nothing, without a note on the file.
func TestFrozen(t *testing.T) {
	const archived = llapi.HSExists | llapi.HSArchived
	for name, tt := range map[string]struct {
		state      llapi.State
		attributes uint64
		dryRun     bool
		code       Code
		part       string
	}{
		"a usual file":        {llapi.State{}, unix.STATX_ATTR_ENCRYPTED, false, "", ""},
		"immutable":           {llapi.State{}, unix.STATX_ATTR_IMMUTABLE, false, CodePermissionDenied, "the file is immutable, "},
		"append-only":         {llapi.State{Flags: archived | llapi.HSDirty}, unix.STATX_ATTR_APPEND, false, CodePermissionDenied, "(chattr -a)"},
		"in another archive":  {llapi.State{Flags: archived, ArchiveID: 3}, unix.STATX_ATTR_APPEND, false, CodeArchiveConflict, "archive 3"},
		"immutable, dry run":  {llapi.State{}, unix.STATX_ATTR_IMMUTABLE, true, CodePermissionDenied, "the file is immutable, "},
		"usual, in a dry run": {llapi.State{}, 0, true, "", ""},
	} {
		var s sighting
		l := looker{archive: 2, dryRun: tt.dryRun}
		l.wanted(work{fid: fakeFID(1), path: "/f", size: 1}, tt.state, tt.attributes, &s)
		if r := s.results[0]; r.ErrorCode != tt.code || !strings.Contains(r.Message, tt.part) || (s.works[0].status == workFailed) != (tt.code != "") {
			t.Errorf("%s: %+v, %+v", name, r, s.works[0])
		}
	}
}

// TestNoKey: who reads of an encrypted file that cannot be asked about is told what to do.
func TestNoKey(t *testing.T) {
	err := shorten(explainKey(&os.PathError{Op: "open", Path: "/proc/self/fd/7/f", Err: unix.ENOKEY}))
	if !strings.Contains(err.Error(), "fscrypt unlock") || strings.Contains(err.Error(), "/proc") || codeOfErrno(err) != CodePermissionDenied {
		t.Errorf("%v, %s", err, codeOfErrno(err))
	}
	if err := explainKey(unix.EIO); err.Error() != unix.EIO.Error() {
		t.Errorf("another error: %v", err)
	}
}

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
