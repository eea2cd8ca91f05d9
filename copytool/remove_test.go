package copytool

import (
	"context"
	"slices"
	"syscall"
	"testing"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/llapi"
)

func (r *rig) removeWith(fid llapi.FID, data string) syscall.Errno {
	it := r.item(llapi.ActionRemove, fid)
	it.Data = []byte(data)
	r.send(it)
	return r.wait(it)
}

func TestRemove(t *testing.T) {
	r := newRig(t)
	fid := r.write("a", "content")
	r.archive(fid)
	r.rename(fid, "b")
	r.want(llapi.ActionRemove, fid, 0)
	r.wantNoBlob("a")
	if _, ok := r.xattr(fid, IdentityXattr); ok {
		t.Error("the identity stayed without a copy")
	}
	r.want(llapi.ActionRemove, fid, 0) // gone already
}

func TestRemoveOfVanishedFile(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		restarted  bool // the process does not remember the file
		errno      syscall.Errno
		gone       bool
	}{
		{"remembered", "", false, 0, true},
		{"nothing known", "", true, syscall.ENOENT, false},
		{"named", `{"file_id": "dir/f"}`, true, 0, true},
		{"named with a NUL", "{\"file_id\": \"/dir/f\"}\x00", true, 0, true},
		{"another name", `{"file_id": "g"}`, true, 0, false},
		{"a policy engine's data", "arch_id=3\x00", true, syscall.ENOENT, false},
		{"a directory", `{"file_id": "dir"}`, true, syscall.ENOENT, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			fid := r.write("dir/f", "content")
			r.archive(fid)
			r.unlink(fid)
			if tt.restarted {
				r.agent.recent.drop(fid)
			}
			if errno := r.removeWith(fid, tt.data); errno != tt.errno {
				t.Errorf("ended with %v, want %v", errno, tt.errno)
			}
			if _, there := r.store.content("dir/f"); there == tt.gone {
				t.Errorf("the blob is there: %t, want %t", there, !tt.gone)
			}
			r.wantBlob("dir", "")
		})
	}
}

// TestRemoveSparesOtherFiles: whatever path is named, a blob that says it is
// another file's copy stays.
func TestRemoveSparesOtherFiles(t *testing.T) {
	r := newRig(t)
	first := r.write("f", "first")
	r.archive(first)
	r.unlink(first)
	second := r.write("f", "second")
	r.archive(second)
	if errno := r.removeWith(first, `{"file_id": "f"}`); errno != 0 {
		t.Errorf("named: ended with %v, want success: its own copy is gone", errno)
	}
	if errno := r.removeWith(first, ""); errno != 0 {
		t.Errorf("remembered: ended with %v, want success", errno)
	}
	r.wantBlob("f", "second")
}

func TestRemoveOfABlobThatChanged(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "content")
	r.archive(fid)
	r.store.touch("f") // still says that it is ours
	r.want(llapi.ActionRemove, fid, 0)
	r.wantNoBlob("f")

	r.archive(fid)
	r.store.foreign("f", "somebody else's", nil)
	r.want(llapi.ActionRemove, fid, syscall.EIO)
	r.wantBlob("f", "somebody else's")
}

// TestRemoveAfterAFailedArchive: the blob at the path is why there is no copy.
func TestRemoveAfterAFailedArchive(t *testing.T) {
	r := newRig(t)
	r.store.foreign("f", "somebody else's", nil)
	fid := r.write("f", "ours")
	r.want(llapi.ActionArchive, fid, syscall.EEXIST)
	r.want(llapi.ActionRemove, fid, 0)
	r.wantBlob("f", "somebody else's")
}

// TestRemoveOfAnImportedFile deletes what the file itself names.
func TestRemoveOfAnImportedFile(t *testing.T) {
	r := newRig(t)
	r.store.foreign("imported", "content", nil)
	fid := r.write("f", "content")
	r.setXattr(fid, "trusted.lhsm_uuid", "az://ctr/imported")
	r.want(llapi.ActionRemove, fid, 0)
	r.wantNoBlob("imported")
}

// TestRemoveOfTheOnlyCopy comes late: the file has been archived again, and
// released, since it was asked for.
func TestRemoveOfTheOnlyCopy(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "content")
	r.archive(fid)
	r.release(fid)
	r.want(llapi.ActionRemove, fid, syscall.EPERM)
	r.wantCode(fid, OnlyCopy)
	r.restore(fid)
	r.wantContent(fid, "content")
}

// TestNamesThatClimb: neither an attribute nor a request leads out of the container.
func TestNamesThatClimb(t *testing.T) {
	r := newRig(t)
	r.store.foreign("a/../../other/f", "not ours", nil)
	fid := r.write("f", "content")
	r.setXattr(fid, "trusted.lhsm_uuid", "az://ctr/a/../../other/f")
	r.want(llapi.ActionRemove, fid, 0)
	if errno := r.removeWith(fid, `{"file_id": "a/../../other/f"}`); errno != 0 {
		t.Errorf("named by the request: ended with %v", errno)
	}
	r.wantBlob("a/../../other/f", "not ours")
}

func FuzzFileID(f *testing.F) {
	f.Add([]byte(`{"file_id": "a/b"}`))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := fileID(data)
		if path == "" {
			return
		}
		if path[0] == '/' || path[len(path)-1] == '/' {
			t.Errorf("fileID(%q) = %q, which is no relative path", data, path)
		}
	})
}

// TestForeignPlaces: what another tool's attribute says is believed only of our
// own container, and only if it is one name there.
func TestForeignPlaces(t *testing.T) {
	ar := &Archive{Account: "acct", Container: "ctr"}
	for value, want := range map[string]blobstore.Name{
		"name":            "name",
		"/dir/name\x00":   "dir/name",
		"az://ctr/dir/f":  "dir/f",
		"az://other/f":    "",
		"az://ctr/../f":   "",
		"az://ctr/":       "",
		"../f":            "",
		"dir/./f":         "",
		"..":              "",
		"dir/..name/...f": "dir/..name/...f",
		"nul\x00in it":    "",
		"https://acct.blob.core.windows.net/ctr/a%20b?sig=x": "a b",
		"https://127.0.0.1:10000/acct/ctr/f":                 "f",
		"https://evil.blob.core.windows.net/ctr/f":           "",
		"https://evil/acct/ctr2/f":                           "",
		"https://acct.blob.core.windows.net/ctr/%2e%2e/f":    "",
		"https://acct.blob.core.windows.net/ctr/a%00b":       "",
		"https://acct.blob.core.windows.net/other/f":         "",
		"file:///ctr/etc/shadow":                             "",
	} {
		if got, ok := ar.parseForeign(value); ok != (want != "") || ok && got != want {
			t.Errorf("parseForeign(%q) = %q, %t, want %q", value, got, ok, want)
		}
	}
}

func FuzzParseForeign(f *testing.F) {
	f.Add("az://ctr/name")
	f.Add("https://acct.h/ctr/name?sig=x")
	f.Add("https://h/acct/ctr/name")
	f.Add("../name")
	ar := &Archive{Account: "acct", Container: "ctr"}
	f.Fuzz(func(t *testing.T, value string) {
		name, ok := ar.parseForeign(value)
		if !ok {
			return
		}
		again, ok := ar.parseForeign("az://ctr/" + string(name))
		if !ok || again != name {
			t.Errorf("parseForeign(%q) = %q, which is read back as %q, %t", value, name, again, ok)
		}
	})
}

// TestRemoveStaysInItsPlace: no name in a request reaches what is not below the
// archive's prefix, or is not one name.
func TestRemoveStaysInItsPlace(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Archives[0].Prefix = "ours" })
	for _, name := range []blobstore.Name{"theirs/f", "ours", "oursandmore/f", "ours/../theirs/f", "..", "../other/f", "ours/in", "ours/dir/in"} {
		r.store.foreign(name, "content", nil)
	}
	fid := r.write("f", "content")
	r.unlink(fid)
	for data, want := range map[string]syscall.Errno{
		`{"file_id": "theirs/f"}`:         0, // ours/theirs/f is not there
		`{"file_id": "oursandmore/f"}`:    0,
		`{"file_id": "ours/../theirs/f"}`: syscall.ENOENT,
		`{"file_id": "../theirs/f"}`:      syscall.ENOENT,
		`{"file_id": "../other/f"}`:       syscall.ENOENT,
		`{"file_id": ".."}`:               syscall.ENOENT,
		`{"file_id": "/../../x"}`:         syscall.ENOENT,
		`{"file_id": "a\u0000b"}`:         syscall.ENOENT,
		`{"file_id": "ours/in"}`:          0,
		`{"file_id": "dir/in"}`:           0,
	} {
		if errno := r.removeWith(fid, data); errno != want {
			t.Errorf("%s: ended with %v, want %v", data, errno, want)
		}
	}
	want := []blobstore.Name{"..", "../other/f", "ours", "ours/../theirs/f", "oursandmore/f", "theirs/f"}
	if got := slices.Sorted(slices.Values(r.store.names())); !slices.Equal(got, want) {
		t.Errorf("left are %q, want %q", got, want)
	}
}

// TestRemoveOfAnUnknownCopy: Lustre says that there is a copy, and nothing says
// where. A blob at the path that does not say whose it is stays.
func TestRemoveOfAnUnknownCopy(t *testing.T) {
	r := newRig(t)
	r.store.foreign("f", "perhaps", nil)
	fid := r.write("f", "content")
	r.setXattr(fid, "trusted.hsm", string(hsmAttr(llapi.HSExists|llapi.HSArchived)))
	r.want(llapi.ActionRemove, fid, syscall.EIO)
	r.wantBlob("f", "perhaps")
	if errno := r.removeWith(fid, `{"file_id": "f"}`); errno != 0 {
		t.Errorf("named by the request: ended with %v", errno)
	}
	r.wantNoBlob("f")
}

// TestReleaseDuringARemove: from the moment at which the remove has looked at the
// file's state until the coordinator knows of the end, it cannot be released.
func TestReleaseDuringARemove(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error
		errno syscall.Errno
		flags llapi.StateFlags // afterwards
	}{
		{"deleted", nil, 0, 0},
		{"in doubt", blobstore.ErrUnreachable, syscall.EHOSTUNREACH, llapi.HSExists | llapi.HSArchived | llapi.HSDirty},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			fid := r.write("f", "content")
			r.archive(fid)
			var during llapi.StateFlags
			r.store.before = func(_ context.Context, op string, _ blobstore.Name) error {
				if op != "delete" {
					return nil
				}
				during = r.flags(fid)
				if tt.err != nil {
					return fail("delete", "f", tt.err)
				}
				return nil
			}
			r.want(llapi.ActionRemove, fid, tt.errno)
			if during&llapi.HSDirty == 0 {
				t.Errorf("flags while the copy is deleted: %v", during)
			}
			if got := r.flags(fid); got != tt.flags {
				t.Errorf("flags afterwards: %v, want %v", got, tt.flags)
			}
		})
	}
}

// TestRemoveKeepsAUsersFlag: who has forbidden the release of a file goes on to do so.
func TestRemoveKeepsAUsersFlag(t *testing.T) {
	r := newRig(t)
	fid := r.write("f", "content")
	r.archive(fid)
	if err := r.SetFlags(fid, llapi.HSNoRelease, 0); err != nil {
		t.Fatal(err)
	}
	r.want(llapi.ActionRemove, fid, 0)
	if got := r.flags(fid); got != llapi.HSNoRelease {
		t.Errorf("flags afterwards: %v, want never_release as before", got)
	}
}

func (r *rig) flags(fid llapi.FID) llapi.StateFlags {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.files[fid].flags()
}
