package acceptance

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An outside is a place beyond the mount that a plain user wants the copytool,
// which may read and write everything, to read from or write to.
type outside struct {
	t      *testing.T
	dir    string // has a file f and a directory sub, which nobody but root sees
	secret []byte
	before []string
}

func newOutside(t *testing.T) *outside {
	t.Helper()
	o := &outside{t: t, dir: t.TempDir(), secret: []byte("what only root may know")}
	if err := os.WriteFile(filepath.Join(o.dir, "f"), o.secret, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(o.dir, "sub"), 0o701); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(o.dir, "sub"), 4242, 4243); err != nil {
		t.Fatal(err)
	}
	o.before = o.look()
	return o
}

// look lists all that is there, with what a write would change.
func (o *outside) look() []string {
	o.t.Helper()
	var seen []string
	err := filepath.WalkDir(o.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		seen = append(seen, strings.Join([]string{path, info.Mode().String(), info.ModTime().String(), time.Unix(st.Ctim.Unix()).String()}, " "))
		return nil
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return seen
}

// wantUntouched makes sure that nothing was written there, and nothing of it was
// published.
func (o *outside) wantUntouched(e *env) {
	o.t.Helper()
	if after := o.look(); !slices.Equal(after, o.before) {
		o.t.Errorf("outside of the mount\n%q became\n%q", o.before, after)
	}
	for _, name := range e.blobNames() {
		if b, _ := e.blobContent(name); bytes.Contains(b, o.secret) {
			o.t.Errorf("blob %q has a file from outside of the mount", name)
		}
	}
}

// meanwhile asks for an action, and lets the user do something before any
// copytool hears of it.
func (e *env) meanwhile(verb, rel string, trick func()) {
	e.t.Helper()
	e.lustre.SetParam("mdt.*.hsm_control", "disabled")
	e.lfs("hsm_"+verb, e.path(rel))
	trick()
	e.lustre.SetParam("mdt.*.hsm_control", "enabled")
	e.lustre.WaitIdle()
}

func (e *env) symlink(target, rel string) {
	e.t.Helper()
	if err := os.Symlink(target, e.path(rel)); err != nil {
		e.t.Fatal(err)
	}
}

// swaps are what can take the place of a file, or of a directory above it, all
// with means that a plain user has in directories of their own.
var swaps = []struct {
	name string
	do   func(e *env, o *outside, dir string)
}{
	{"link for the file", func(e *env, o *outside, dir string) {
		e.rename(dir+"/f", dir+"/away")
		e.symlink(filepath.Join(o.dir, "f"), dir+"/f")
	}},
	{"pipe for the file", func(e *env, _ *outside, dir string) {
		e.rename(dir+"/f", dir+"/away")
		if err := unix.Mkfifo(e.path(dir+"/f"), 0o666); err != nil {
			e.t.Fatal(err)
		}
	}},
	{"link for the directory", func(e *env, o *outside, dir string) {
		e.rename(dir, dir+"-away")
		e.symlink(o.dir, dir)
	}},
	{"link for the directory above", func(e *env, o *outside, dir string) {
		above := filepath.Dir(dir)
		e.rename(above, above+"-away")
		e.symlink(filepath.Dir(o.dir), above)
	}},
}

// TestSwappedFile: the action is about the file that was asked for, wherever it
// is by now, and about nothing that was put into its place.
func TestSwappedFile(t *testing.T) {
	e, c := start(t)
	o := newOutside(t)
	for _, swap := range swaps {
		for _, verb := range []string{"archive", "restore", "remove"} {
			name := swap.name + " before " + verb
			e.during(t, c, name, func() {
				dir, content := name+"/"+filepath.Base(o.dir), []byte("content, "+name)
				switch verb {
				case "archive":
					e.write(dir+"/f", content)
				case "restore":
					e.released(dir+"/f", content)
				case "remove":
					e.archived(dir+"/f", content)
				}
				byFID := ".lustre/fid/" + strings.Trim(e.fid(dir+"/f"), "[]")
				e.meanwhile(verb, dir+"/f", func() { swap.do(e, o, dir) })
				o.wantUntouched(e)
				e.wantContent(byFID, content)
				if there := e.holdsBlobWith(content); there != (verb != "remove") {
					t.Errorf("a blob with the content is there: %t", there)
				}
			})
		}
	}
}

func (e *env) holdsBlobWith(content []byte) bool {
	e.t.Helper()
	return slices.ContainsFunc(e.blobNames(), func(name string) bool {
		got, _ := e.blobContent(name)
		return bytes.Equal(got, content)
	})
}

// TestMarkersAreOfTheMount: while a file is uploaded, a link to elsewhere takes
// the place of a directory above it. No marker tells of what is there.
func TestMarkersAreOfTheMount(t *testing.T) {
	e, c := start(t)
	o := newOutside(t)
	e.write("dir/sub/f", []byte("content"))
	h := e.gate.Hold(isPutOf("dir/sub/f"))
	e.lfs("hsm_archive", e.path("dir/sub/f"))
	<-h.Caught
	e.rename("dir", "away")
	e.symlink(o.dir, "dir")
	h.Release()
	e.lustre.WaitIdle()
	c.waitLog("op=ARCHIVE", "code=OK", "dir/sub/f")
	c.waitLog("a directory is not marked", "dir/sub")
	for _, name := range []string{"dir/sub", "dir"} {
		if _, there := e.blobContent(name); there && e.metadata(name)["owner"] == "4242" {
			t.Errorf("the marker %q tells of a directory outside of the mount", name)
		}
	}
	o.wantUntouched(e)
}

// TestNamesDoNotForgeLogLines: whatever a user calls a file, each line of the log
// is one that the copytool meant.
func TestNamesDoNotForgeLogLines(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			e, c := start(t, "--log-format", format)
			const forged = "time=2026-01-01T00:00:00Z level=ERROR msg=forged"
			e.archived("a\n"+forged+"\nb", []byte("content"))
			e.archived("bell\a escape\x1b[2J return\r"+forged, []byte("content"))
			c.stop()
			for _, line := range c.log() {
				if strings.HasPrefix(line, forged) || strings.ContainsAny(line, "\a\x1b\r") {
					t.Errorf("a line that a file's name made: %q", line)
				}
			}
		})
	}
}
