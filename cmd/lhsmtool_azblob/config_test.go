package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"lhsm-azblob/cmd/internal/mover"
	"lhsm-azblob/cmd/internal/options"
)

// program runs the program up to where it needs a Lustre.
func program(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), append([]string{programName}, args...), environ, &out, &errs)
	return code, out.String(), errs.String()
}

func configFileWith(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.conf")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUsageErrors(t *testing.T) {
	const url = "https://a.blob.core.windows.net/c"
	for _, tt := range []struct {
		name    string
		environ []string
		file    string
		args    []string
		want    string // after "lhsmtool_azblob: "; FILE is the file's path
	}{
		{"no mount", nil, "", nil, "MOUNT is missing: give the mount point of a Lustre file system; see lhsmtool_azblob --help"},
		{"an empty mount", nil, "", []string{""}, "MOUNT is missing: give the mount point of a Lustre file system; see lhsmtool_azblob --help"},
		{"two mounts", nil, "", []string{"/a", "/b"}, "2 arguments, and one is wanted: MOUNT"},
		{"option after the mount", nil, "", []string{"/a", "--memory", "1GiB"}, "--memory comes after MOUNT; options go before it"},
		{"unknown flag", nil, "", []string{"--memry", "1", "/a"}, "flag provided but not defined: -memry; see lhsmtool_azblob --help"},
		{"no container", nil, "", []string{"/a"}, "the container is missing: give --container-url https://ACCOUNT.blob.core.windows.net/CONTAINER, or container_url in the configuration file"},
		{"no size", nil, "", []string{"--container-url", url, "--memory", "much", "/a"}, `--memory: "much" is not a size; write bytes, or a number with KiB, MiB, GiB, TiB, KB, MB, GB or TB`},
		{"impossible size", nil, "", []string{"--container-url", url, "--block-size", "5TiB", "/a"}, "--block-size: 5TiB is out of range: 64KiB to 4000MiB"},
		{"no folder", nil, "", []string{"--container-url", url, "--prefix", "/a/../b", "/a"}, `--prefix: "a/../b" is not a folder: an empty segment, . or .. is in it`},
		{"no address", nil, "", []string{"--container-url", url, "--http", "9090", "/a"}, `--http: "9090" is not host:port; write it like 127.0.0.1:9090 or :9090`},
		{"no memory", nil, "", []string{"--container-url", url, "--memory", "0", "/a"}, "--memory: 0 is out of range: 64MiB to 16TiB"},
		{"no number", nil, "", []string{"--container-url", url, "--archives", "-1", "/a"}, `--archives: "-1" is not a number from 1 to 2000`},
		{"no retries at all", nil, "", []string{"--container-url", url, "--retries", "many", "/a"}, `--retries: "many" is not a number from 0 to 100`},
		{"no time", nil, "", []string{"--container-url", url, "--drain-timeout", "5", "/a"}, `--drain-timeout: "5" is not a time; write it like 90s, 5m or 1h30m`},
		{"no policy", nil, "", []string{"--container-url", url, "--on-conflict", "ask", "/a"}, `--on-conflict: "ask" is none of if-ours, overwrite, fail`},
		{"two ids in one", nil, "", []string{"--container-url", url, "--archive-id", "1,2", "/a"}, `--archive-id: "1,2" is neither a number from 1 to 2147483647 nor "any"`},
		{"no id", nil, "", []string{"--container-url", url, "--archive-id", "0", "/a"}, `--archive-id: "0" is neither a number from 1 to 2147483647 nor "any"`},
		{"id twice", nil, "", []string{"--container-url", url, "--archive-id", "3", "--archive-id", "3", "/a"}, "archive id 3 is given twice"},
		{"variable", []string{"LHSM_AZBLOB_MEMORY=much", "LHSM_AZBLOB_CONTAINER_URL=" + url}, "", []string{"/a"}, `$LHSM_AZBLOB_MEMORY: "much" is not a size; write bytes, or a number with KiB, MiB, GiB, TiB, KB, MB, GB or TB`},
		{"unknown variable", []string{"LHSM_AZBLOB_MEMRY=1"}, "", []string{"/a"}, "$LHSM_AZBLOB_MEMRY is no setting; unset it, or see lhsmtool_azblob --help for the names"},
		{"secret as a flag", nil, "", []string{"--account-key", "x", "/a"}, "flag provided but not defined: -account-key; see lhsmtool_azblob --help"},
		{"two credentials", nil, "", []string{"--container-url", url, "--sas-file", "x", "--account-key-file", "y", "/a"}, "credentials of several kinds are given (--sas-file, --account-key-file); say with auth which one counts: [sas shared-key]"},
		{"two mistakes", nil, "", []string{"--container-url", url, "--archives", "0", "--removes", "0", "/a"}, `--archives: "0" is not a number from 1 to 2000; --removes: "0" is not a number from 1 to 2000`},
		{"value in the file", nil, "# first line\nmemory = \"much\"\ncontainer_url = \"" + url + "\"\n", []string{"/a"}, `FILE:2: memory: "much" is not a size; write bytes, or a number with KiB, MiB, GiB, TiB, KB, MB, GB or TB`},
		{"type in the file", nil, "\nmemory = 2026-01-01\n", []string{"/a"}, "FILE:2: memory: the value must be a text, a number, true, false, or a list of those"},
		{"no value in the file", nil, "\nsas = []\n", []string{"/a"}, "FILE:2: sas: 0 values, and one is wanted"},
		{"two values in the file", nil, "\nmemory = [\"1GiB\", \"2GiB\"]\n", []string{"--print-config", "/a"}, "FILE:2: memory: 2 values, and one is wanted"},
		{"syntax of the file", nil, "memory = \n", []string{"/a"}, "FILE:1: toml:"},
		{"unknown key", nil, "archives = 3\nmemry = 1\n", []string{"/a"}, `FILE:2: unknown key "memry"; the keys are access_tier, account_key,`},
		{"unknown key of an archive", nil, "[[archive]]\narchive_id = 1\nmemory = 1\n", []string{"/a"}, `FILE:3: unknown key "archive.memory"; the keys are access_tier,`},
		{"unknown table", nil, "[archve]\nx = 1\n", []string{"/a"}, `FILE:1: unknown key "archve"`},
		{"archive without id", nil, "container_url = \"" + url + "\"\n[[archive]]\nprefix = \"a\"\n", []string{"/a"}, "FILE: table 1 of [[archive]] has no archive_id"},
		{"value of an archive", nil, "container_url = \"" + url + "\"\n[[archive]]\narchive_id = 1\n[[archive]]\narchive_id = 2\nauth = \"key\"\n", []string{"/a"}, `FILE:6: auth: "key" is none of auto, default,`},
		{"flag beside archives", nil, "[[archive]]\narchive_id = 1\n", []string{"--archive-id", "2", "/a"}, "--archive-id: the configuration file has [[archive]] tables; change the id there"},
		{"archives with one id", nil, "container_url = \"" + url + "\"\n[[archive]]\narchive_id = [1, 2]\n[[archive]]\narchive_id = 2\n", []string{"/a"}, "archive id 2 is given twice: FILE:3: archive_id, FILE:5: archive_id"},
		{"two credentials in the file", []string{"LHSM_AZBLOB_SAS=sig=x"}, "container_url = \"" + url + "\"\n[[archive]]\narchive_id = 1\naccount_key_file = \"/k\"\n", []string{"/a"}, "credentials of several kinds are given ($LHSM_AZBLOB_SAS, FILE:4: account_key_file); say with auth which one counts: [sas shared-key]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := tt.args
			want := tt.want
			if tt.file != "" {
				path := configFileWith(t, tt.file)
				args = append([]string{"--config", path}, args...)
				want = strings.ReplaceAll(want, "FILE", path)
			}
			code, stdout, stderr := program(t, tt.environ, args...)
			if code != exitUsage || stdout != "" || !strings.HasPrefix(stderr, programName+": "+want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit %d, stdout %q, stderr\n%q, want exit 2 and one line\n%q", code, stdout, stderr, want)
			}
		})
	}
}

// TestLists: several values are a flag each time, a list in the file, and words in a
// variable.
func TestLists(t *testing.T) {
	file := configFileWith(t, "archive_id = [1, 2, 3]\n")
	for _, tt := range []struct{ environ, args []string }{
		{nil, []string{"--archive-id", "1", "--archive-id", "2", "--archive-id", "3"}},
		{[]string{"LHSM_AZBLOB_ARCHIVE_ID=1,2 3"}, nil},
		{nil, []string{"--config", file}},
	} {
		code, stdout, stderr := program(t, tt.environ, append(tt.args, "--print-config")...)
		if code != exitOK || !strings.Contains(stdout, "archive_id = [1, 2, 3] ") {
			t.Errorf("%q %q: exit %d, %q, %q", tt.environ, tt.args, code, stdout, stderr)
		}
	}
}

func TestMissingConfigFile(t *testing.T) {
	code, _, stderr := program(t, nil, "--config", "/no/such.conf", "/a")
	if code != exitFailure || !strings.Contains(stderr, "/no/such.conf: no such file") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

// TestSecretsNeedAPrivateFile: with a secret in it, a file is for root and for
// this process's user alone; and nobody else ever says where the data go.
func TestSecretsNeedAPrivateFile(t *testing.T) {
	const noSecret = "container_url = \"https://a.blob.core.windows.net/c\"\n"
	const withSecret = noSecret + "[[archive]]\narchive_id = 1\naccount_key = \"c2VjcmV0\"\n"
	for _, tt := range []struct {
		name    string
		content string
		mode    os.FileMode
		uid     int
		gid     int
		want    string // after the path
	}{
		{"secret, everybody reads", withSecret, 0o644, 0, 0, ":4: account_key is secret, and other users may read or write FILE (mode 0644); chmod 600 FILE"},
		{"secret, a group reads", withSecret, 0o640, 0, 1001, ":4: account_key is secret, and other users may read or write FILE (mode 0640); chmod 600 FILE"},
		{"secret, of another user", withSecret, 0o600, 1001, 0, ":4: account_key is secret, and FILE belongs to user 1001; chown root FILE"},
		{"everybody writes", noSecret, 0o666, 0, 0, "everybody may write FILE; chmod 600 FILE"},
		{"secret", withSecret, 0o600, 0, 0, ""},
		{"secret, root's group reads", withSecret, 0o640, 0, 0, ""},
		{"no secret", noSecret, 0o644, 0, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := configFileWith(t, tt.content)
			if err := errors.Join(os.Chown(path, tt.uid, tt.gid), os.Chmod(path, tt.mode)); err != nil {
				t.Skip("needs root: ", err)
			}
			link := filepath.Join(t.TempDir(), "link.conf")
			if err := os.Symlink(path, link); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{path, link} {
				code, stdout, stderr := program(t, nil, "--config", name, "--print-config", "/a")
				if strings.Contains(stdout+stderr, "c2VjcmV0") {
					t.Error("the secret was printed")
				}
				want := strings.ReplaceAll(tt.want, "FILE", name)
				if (code == exitOK) != (want == "") || want != "" && (code != exitUsage || !strings.Contains(stderr, want)) {
					t.Errorf("exit %d, %q, want %q", code, stderr, want)
				}
			}
		})
	}
}

// TestPrecedence: flags over environment over file over default.
func TestPrecedence(t *testing.T) {
	path := configFileWith(t, "memory = \"1GiB\"\nrestores = 3\narchives = 3\narchive_id = [5, \"any\"]\n")
	env := []string{"LHSM_AZBLOB_CONFIG=" + path, "LHSM_AZBLOB_ARCHIVES=4", "LHSM_AZBLOB_RESTORES=4", "OTHER=x"}
	code, stdout, stderr := program(t, env, "--archives", "5", "--print-config")
	if code != exitOK {
		t.Fatalf("exit %d, %q", code, stderr)
	}
	for setting, origin := range map[string]string{
		"archives = 5": "--archives", "restores = 4": "$LHSM_AZBLOB_RESTORES", `memory = "1GiB"`: path + ":1", "removes = 16": "default", `archive_id = [5, "any"]`: path + ":4",
	} {
		if want := fmt.Sprintf("%-40s # %s\n", setting, origin); !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
}

var origin = regexp.MustCompile(`(?m) +# .*$`)

func TestPrintedConfigIsAConfig(t *testing.T) {
	path := configFileWith(t, "archives = 7\ncontainer_url = \"https://a.blob.core.windows.net/c\"\n[[archive]]\narchive_id = 1\n[[archive]]\narchive_id = \"any\"\nprefix = \"rest\"\n")
	_, first, _ := program(t, nil, "--config", path, "--print-config")
	code, second, stderr := program(t, nil, "--config", configFileWith(t, first), "--print-config")
	if code != exitOK || origin.ReplaceAllString(first, "") != origin.ReplaceAllString(second, "") {
		t.Errorf("exit %d, %q; first\n%s\nsecond\n%s", code, stderr, first, second)
	}
}

// TestSampleInPackaging is what packagers install.
func TestSampleInPackaging(t *testing.T) {
	b, err := os.ReadFile("../../packaging/lhsm-azblob.conf")
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, _ := program(t, nil, "--sample-config")
	if code != exitOK || string(b) != stdout {
		t.Error("packaging/lhsm-azblob.conf is not the output of --sample-config; write it anew")
	}
}

// TestSampleIsTheDefault: every key stands in the sample, with its default.
func TestSampleIsTheDefault(t *testing.T) {
	var keys map[string]any
	if err := toml.Unmarshal([]byte(sampleConfig()), &keys); err != nil {
		t.Fatal(err)
	}
	for o := range mover.Table.All() {
		if _, ok := keys[o.Key()]; ok != o.InFile() {
			t.Errorf("key %s is in the sample: %t, want %t", o.Key(), ok, o.InFile())
		}
	}
	_, byDefault, _ := program(t, nil, "--print-config")
	code, bySample, stderr := program(t, nil, "--config", configFileWith(t, sampleConfig()), "--print-config")
	if code != exitOK || origin.ReplaceAllString(bySample, "") != origin.ReplaceAllString(byDefault, "") {
		t.Errorf("the sample says, exit %d, %q\n%s\nthe defaults are\n%s", code, stderr, bySample, byDefault)
	}
}

func TestHelpHasEveryOption(t *testing.T) {
	code, stdout, _ := program(t, nil, "--help")
	if code != exitOK {
		t.Errorf("exit %d", code)
	}
	for o := range mover.Table.All() {
		if o.Help == "" || !strings.Contains(stdout, o.Name+" ") && !strings.Contains(stdout, o.Name+"\n") && !strings.Contains(stdout, o.Key()+" (file") {
			t.Errorf("--%s is not explained", o.Name)
		}
	}
	for line := range strings.Lines(stdout) {
		if len(line) > options.HelpWidth+1 {
			t.Errorf("line of %d columns: %q", len(line), line)
		}
	}
}

func TestVersion(t *testing.T) {
	if code, stdout, _ := program(t, nil, "--version"); code != exitOK || !strings.Contains(stdout, version) {
		t.Errorf("exit %d, %q", code, stdout)
	}
}
