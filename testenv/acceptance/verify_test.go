package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv"
)

// A verdict is one line of `lhsmctl verify --json`.
type verdict struct {
	Path, Verdict, Level, Why, Blob string
	Released, SafeToRelease, Deep   bool
}

// verifyCommand verifies with the clinic's configuration, some keys of it changed.
func (c *clinic) verifyCommand(changed map[string]string, args ...string) *exec.Cmd {
	args = append([]string{"verify", "--config", c.configFile(changed), "--json"}, args...)
	return exec.Command(testenv.Binary(c.t, "./cmd/lhsmctl"), args...)
}

// verdicts runs verify, and makes sure that its exit status and its summary are
// those of the files. Paths are as they are printed.
func (c *clinic) verdicts(args ...string) map[string]verdict {
	c.t.Helper()
	code, stdout, stderr := outputs(c.t, c.verifyCommand(nil, args...))
	return c.readVerdicts(code, stdout, stderr)
}

func (c *clinic) readVerdicts(code int, stdout, stderr string) map[string]verdict {
	c.t.Helper()
	all := map[string]verdict{}
	want, safe := 0, 0
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	for _, line := range lines[:len(lines)-1] {
		var v verdict
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			c.t.Fatalf("%v: %q; stderr %q", err, line, stderr)
		}
		all[v.Path] = v
		switch {
		case v.Level == "failure":
			want = 1
		case v.Level == "warning" && want == 0:
			want = 8
		}
		if v.SafeToRelease {
			safe++
		}
		if v.Verdict != "Matches" && (v.SafeToRelease || v.Why == "") {
			c.t.Errorf("verdict is %+v", v)
		}
	}
	var last struct {
		Summary *struct{ Files, SafeToRelease int }
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Summary == nil {
		c.t.Fatalf("exit %d, %v, no summary in %q; stderr %q", code, err, stdout, stderr)
	}
	if code != want || stderr != "" || last.Summary.Files != len(all) || last.Summary.SafeToRelease != safe {
		c.t.Errorf("exit %d, want %d; %+v of %d files, %d safe; stderr %q", code, want, *last.Summary, len(all), safe, stderr)
	}
	return all
}

// wantVerdicts makes sure of some files: "Verdict safe deep words...".
func wantVerdicts(t *testing.T, all map[string]verdict, wanted map[string]string) {
	t.Helper()
	for path, w := range wanted {
		v, ok := all[path]
		got := v.Verdict
		if v.SafeToRelease {
			got += " safe"
		}
		if v.Deep {
			got += " deep"
		}
		want, words, _ := strings.Cut(w, ": ")
		if !ok || got != want || !strings.Contains(v.Why, words) {
			t.Errorf("%s: got %+v, want %q", path, v, w)
		}
	}
	for path, v := range all {
		if _, ok := wanted[path]; !ok {
			t.Errorf("besides: %s: %+v", path, v)
		}
	}
}

// identity changes what is noted on a file.
func (e *env) identity(rel string, change func(map[string]any)) {
	e.t.Helper()
	buf := make([]byte, 16<<10)
	n, err := unix.Getxattr(e.path(rel), "trusted.lhsm_azblob", buf)
	if err != nil {
		e.t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(buf[:n]))
	d.UseNumber() // data versions have 64 bits
	var id map[string]any
	if err := d.Decode(&id); err != nil {
		e.t.Fatal(err)
	}
	change(id)
	b, err := json.Marshal(id)
	if err == nil {
		err = unix.Setxattr(e.path(rel), "trusted.lhsm_azblob", b, 0)
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

// TestVerifyTellsWhatIsSafe: of every kind of file, what is found and whether its
// data in Lustre can be given up; by a look, and by reading everything.
func TestVerifyTellsWhatIsSafe(t *testing.T) {
	c := newClinic(t)
	const odd = "d/new\nline \xff\x1b[2J"
	for _, rel := range []string{"d/ok", "d/gone", "d/changed", "d/touched", "d/dirty", "d/lost", "d/kept", "d/forgotten", "d/swapped", "d/older", "d/quiet", odd, "d.txt", "elsewhere"} {
		c.archived(rel, []byte("content of "+rel[:3]))
	}
	c.write("d/new", []byte("new"))
	c.write("d/never", []byte("never"))
	c.lfs("hsm_set", "--noarchive", c.path("d/never"))
	c.released("d/released", []byte("released"))
	c.released("d/restored", []byte("restored"))
	c.wantContent("d/restored", []byte("restored"))
	c.lustre.WaitIdle()
	if err := os.Symlink("ok", c.path("d/link")); err != nil {
		t.Fatal(err)
	}

	ctx := context.Background()
	if _, err := c.blobs.NewBlobClient(c.blobOf("d/gone")).Delete(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.blobs.NewBlockBlobClient(c.blobOf("d/changed")).UploadBuffer(ctx, []byte("somebody's"), nil); err != nil {
		t.Fatal(err)
	}
	md := c.metadata(c.blobOf("d/touched"))
	clean := "clean"
	more := map[string]*string{"scanned": &clean}
	for k, v := range md {
		more[k] = &v
	}
	if _, err := c.blobs.NewBlobClient(c.blobOf("d/touched")).SetMetadata(ctx, more, nil); err != nil {
		t.Fatal(err)
	}
	c.append("d/dirty", []byte("more"))
	c.write("d/quiet", []byte("CONTENT of d/q"))
	c.lfs("hsm_clear", "--dirty", c.path("d/quiet"))
	c.lfs("hsm_set", "--lost", c.path("d/lost"))
	c.lfs("hsm_set", "--norelease", c.path("d/kept"))
	if err := unix.Removexattr(c.path("d/forgotten"), "trusted.lhsm_azblob"); err != nil {
		t.Fatal(err)
	}
	var other map[string]any
	c.identity("d/ok", func(id map[string]any) { other = id })
	c.write("d/swapped", []byte("CONTENT of d/o"))
	c.hsm("archive", "d/swapped")
	c.identity("d/swapped", func(id map[string]any) {
		id["name"], id["etag"], id["crc"], id["size"] = other["name"], other["etag"], other["crc"], other["size"]
	})
	c.identity("d/older", func(id map[string]any) { id["dv"] = 1 })
	// Lustre keeps whole seconds: what is written in the second of its archive has
	// the time of change that was archived.
	past := time.Now().Add(-time.Hour)
	for _, rel := range []string{"d/older", "d/quiet"} {
		if err := os.Chtimes(c.path(rel), past, past); err != nil {
			t.Fatal(err)
		}
	}

	want := map[string]string{
		"/d/ok": "Matches safe", "/d/gone": "BlobMissing: BlobNotFound", "/d/changed": "BlobChanged: it was changed", "/d/touched": "Matches safe: metadata",
		"/d/dirty": "Dirty: archive it again", "/d/lost": "LostFromHSM: lost", "/d/kept": "Matches", "/d/forgotten": "NoIdentity: another copytool",
		"/d/swapped": "Matches safe", "/d/quiet": "Superseded: --deep", "/d/older": "Superseded: --deep", "/d/new": "NotArchived: archive it", "/d/never": "NeverArchive: noarchive",
		"/d/released": "Matches", "/d/restored": "Matches safe", "/d/new%0Aline %FF%1B[2J": "Matches safe",
	}
	wantVerdicts(t, c.verdicts(c.path("d")), want)
	for path, w := range map[string]string{
		"/d/ok": "Matches safe deep", "/d/touched": "Matches safe deep: metadata", "/d/kept": "Matches deep", "/d/swapped": "ContentDiffers: from byte 0", "/d/quiet": "FileChanged: archive it again",
		"/d/older": "Matches safe deep", "/d/released": "Matches deep", "/d/restored": "Matches safe deep", "/d/new%0Aline %FF%1B[2J": "Matches safe deep",
	} {
		want[path] = w
	}
	wantVerdicts(t, c.verdicts("--deep", c.path("d")), want)
	c.wantState("d/released", stateReleased)

	// A prefix is a string; a path is a file, or a directory with what is in it.
	want["/d.txt"] = "Matches safe"
	if all := c.verdicts("--mount", c.mount, "--prefix", "/d"); len(all) != len(want) || all["/d.txt"].Verdict != "Matches" {
		t.Errorf("by prefix: %d files, want %d", len(all), len(want))
	}
	wantVerdicts(t, c.verdicts(c.path("d.txt"), c.path("d/new"), c.path("nothing"), c.path("d/link")), map[string]string{
		"/d.txt": "Matches safe", "/d/new": "NotArchived: archive it", "/nothing": "Unreadable: no such file", "/d/link": "Unreadable: it is a symbolic link to ok; name what it points to",
	})
	c.wantVerifyText(c.path("d"))
}

// blobOf is the name of a file's blob.
func (e *env) blobOf(rel string) (name string) {
	e.identity(rel, func(id map[string]any) { name = id["name"].(string) })
	return name
}

// wantVerifyText looks at what people see.
func (c *clinic) wantVerifyText(path string) {
	c.t.Helper()
	cmd := exec.Command(testenv.Binary(c.t, "./cmd/lhsmctl"), "verify", "--config", c.configFile(nil), "--problems", path)
	code, stdout, stderr := outputs(c.t, cmd)
	if code != 1 || stderr != "" || strings.ContainsRune(stdout, 0x1b) || !utf8.ValidString(stdout) || strings.Contains(stdout, "/d/ok") || !strings.Contains(stdout, "/d/gone  (") {
		c.t.Errorf("exit %d, %q, stderr %q", code, stdout, stderr)
	}
	c.t.Logf("the problems:\n%s", stdout)
}

// TestVerifyNeverRestores: a file that is released while its blob is being
// compared with it is not read any more.
func TestVerifyNeverRestores(t *testing.T) {
	c := newClinic(t)
	c.archived("f", randomBytes(1<<20, 1))
	blob := "/" + c.blobOf("f")
	// The file is open then, and nothing of it is being compared.
	hold := c.gate.Hold(func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, blob)
	})
	defer hold.Release()
	cmd := c.verifyCommand(map[string]string{"block_size": `"64KiB"`, "transfers": "1"}, "--deep", c.path("f"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	p := testenv.Run(t, cmd)
	select {
	case <-hold.Caught:
	case <-p.Done():
		t.Fatalf("it ended too soon: %s", out.String())
	case <-time.After(patience):
		t.Fatal("it does not read the blob")
	}
	c.lfs("hsm_release", c.path("f"))
	hold.Release()
	code := p.Wait()
	wantVerdicts(t, c.readVerdicts(code, out.String(), ""), map[string]string{"/f": "Matches safe deep"})
	c.wantState("f", stateReleased)
}

// TestVerifyUsage: what is wrong with the question is said in one line, and what is
// wrong with the configuration of each file.
func TestVerifyUsage(t *testing.T) {
	c := newClinic(t)
	c.archived("f", []byte("data"))
	outside := t.TempDir()
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 64, "nothing is given to verify"},
		{[]string{"--parallel", "0", c.path("f")}, 64, "--parallel: 0 is not a number"},
		{[]string{filepath.Join(outside, "x")}, 1, "is not in a Lustre file system"},
		{[]string{"--mount", outside, c.path("f")}, 64, "is not in the file system at " + outside},
		{[]string{"--mount", c.mount, "--prefix", "/a/../b"}, 64, `has ".." in it`},
		{[]string{"--mount", c.mount, "--prefix", ""}, 64, `"" is no path`},
	} {
		code, stdout, stderr := outputs(t, c.verifyCommand(nil, tt.args...))
		if code != tt.code || stdout != "" || !strings.Contains(stderr, tt.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("verify %q: exit %d, %q, %q; want %d, %q", tt.args, code, stdout, stderr, tt.code, tt.want)
		}
	}
	c.configs("another container", map[string]string{"container_url": quote(c.containerURL + "-other")}, "NoArchiveConfigured")
	c.configs("another key", map[string]string{"account_key_file": quote(c.file("key", "a2V5"))}, "AuthFailed")
}

// configs verifies the file f with another configuration.
func (c *clinic) configs(name string, changed map[string]string, verdict string) {
	c.t.Helper()
	code, stdout, stderr := outputs(c.t, c.verifyCommand(changed, c.path("f")))
	if v := c.readVerdicts(code, stdout, stderr)["/f"]; v.Verdict != verdict || code != 1 {
		c.t.Errorf("%s: %+v", name, v)
	}
}
