package acceptance

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/azurite"
	"lhsm-azblob/testenv/gate"
)

// A secretKind is a credential as it is given to the copytool, and what must be
// seen nowhere.
type secretKind struct {
	name   string
	auth   string
	option string // of the secret
	value  string
	secret string // the part of it that signs
}

// secretKinds are those that work, and the same with a signature that does not.
func secretKinds(t *testing.T, e *env) []secretKind {
	t.Helper()
	server := azurite.Start(t)
	sas, err := server.SAS(filepath.Base(e.containerURL), "racwdl", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	values, err := url.ParseQuery(sas)
	if err != nil {
		t.Fatal(err)
	}
	const wrong = "d3JvbmcgYW5kIHNlY3JldCwgYWxsIHRoZSBzYW1lISEhISE="
	endpoint := strings.TrimSuffix(e.containerURL, "/"+filepath.Base(e.containerURL))
	connection := func(key string) string {
		return fmt.Sprintf("AccountName=%s;AccountKey=%s;BlobEndpoint=%s", server.AccountName, key, endpoint)
	}
	badSAS := strings.Replace(sas, url.QueryEscape(values.Get("sig")), url.QueryEscape(wrong), 1)
	return []secretKind{
		{"key", "shared-key", "account_key", server.AccountKey, server.AccountKey},
		{"wrong key", "shared-key", "account_key", wrong, wrong},
		{"SAS", "sas", "sas", sas, values.Get("sig")},
		{"wrong SAS", "sas", "sas", badSAS, wrong},
		{"connection string", "connection-string", "connection_string", connection(server.AccountKey), server.AccountKey},
		{"wrong connection string", "connection-string", "connection_string", connection(wrong), wrong},
		{"application's secret", "client-secret", "client_secret", wrong, wrong},
	}
}

// forms are the ways in which a secret can be written down.
func (k secretKind) forms() []string {
	forms := []string{k.secret, url.QueryEscape(k.secret), url.PathEscape(k.secret), fmt.Sprintf("%x", k.secret)}
	if raw, err := base64.StdEncoding.DecodeString(k.secret); err == nil {
		forms = append(forms, string(raw), fmt.Sprintf("%x", raw), fmt.Sprint(raw), base64.RawURLEncoding.EncodeToString(raw))
	}
	return forms
}

func (k secretKind) wantNot(t *testing.T, where string, text []byte) {
	t.Helper()
	for _, form := range k.forms() {
		if bytes.Contains(text, []byte(form)) {
			t.Errorf("%s shows the secret of kind %q", where, k.name)
		}
	}
}

// copytoolWith is a copytool that has a secret from a variable of its
// environment or from its configuration, and logs all it can.
func (e *env) copytoolWith(k secretKind, inFile bool, args ...string) (flags, environ []string) {
	e.t.Helper()
	flags = []string{"--container-url", e.containerURL, "--auth", k.auth, "--account-key-file", "", "--log-level", "debug", "--http", "127.0.0.1:0"}
	if k.auth == "client-secret" {
		flags = append(flags, "--tenant-id", "11111111-1111-1111-1111-111111111111", "--client-id", "client", "--authority-host", "https://"+closedPort(e.t))
	}
	if inFile {
		flags = append(flags, "--config", e.file("secret.conf", fmt.Sprintf("%s = %q\n", k.option, k.value)))
	} else {
		environ = []string{"LHSM_AZBLOB_" + strings.ToUpper(k.option) + "=" + k.value}
	}
	return append(flags, args...), environ
}

// TestSecretsShowNowhere gives the copytool each kind of secret, right and
// wrong, in each way, and looks for it in all that it lets others see: output of
// its one-off commands, log, metrics, command lines, the keeper's environment,
// journal, the files' attributes, and what it says when it is made to crash.
func TestSecretsShowNowhere(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	for _, k := range secretKinds(t, e) {
		for _, inFile := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, in a file %t", k.name, inFile), func(t *testing.T) {
				e.t = t
				for _, command := range []string{"--check", "--print-config"} {
					flags, environ := e.copytoolWith(k, inFile, command)
					cmd := e.copytoolCommand(append(flags, e.lustre.Mount())...)
					cmd.Env = append(os.Environ(), environ...)
					// A proxy has a password, too. Nothing here goes through it.
					cmd.Env = append(cmd.Env, "HTTPS_PROXY=http://user:"+url.QueryEscape(k.secret)+"@"+closedPort(t))
					_, out := run(t, cmd)
					k.wantNot(t, command, []byte(out))
				}
				if !strings.HasPrefix(k.name, "wrong") && k.auth != "client-secret" {
					e.wantSecretKept(k, inFile)
				}
			})
		}
	}
}

// wantSecretKept lets a copytool live, and fail, and crash.
func (e *env) wantSecretKept(k secretKind, inFile bool) {
	flags, environ := e.copytoolWith(k, inFile)
	for _, assignment := range environ {
		name, value, _ := strings.Cut(assignment, "=")
		e.t.Setenv(name, value)
	}
	e.t.Setenv("GOTRACEBACK", "all")
	c := e.startCopytool(e.lustre.Mount(), flags...)
	rel := strings.ReplaceAll(k.name, " ", "-") + fmt.Sprint(inFile)
	e.write(rel, []byte("content"))
	f := e.gate.Fault(func(r *http.Request) bool { return r.Method == http.MethodPut }, -1, gate.Refuse(http.StatusForbidden, "AuthorizationFailure"))
	e.hsm("archive", rel)
	e.gate.Heal()
	if e.gate.Hits(f) == 0 {
		e.t.Error("no request failed")
	}
	address := c.waitLog("serving HTTP")
	_, address, _ = strings.Cut(address, "address=")
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		e.t.Fatal(err)
	}
	var metrics bytes.Buffer
	_, err = metrics.ReadFrom(resp.Body)
	resp.Body.Close()
	if err != nil {
		e.t.Fatal(err)
	}
	k.wantNot(e.t, "/metrics", metrics.Bytes())
	lastError := make([]byte, 64<<10)
	n, err := unix.Getxattr(e.path(rel), "trusted.lhsm_azblob_error", lastError)
	if err != nil {
		e.t.Errorf("the file's last error: %v", err)
	}
	k.wantNot(e.t, "the file's last error", lastError[:max(n, 0)])
	for _, name := range []string{
		fmt.Sprintf("/proc/%d/cmdline", c.cmd.Process.Pid), fmt.Sprintf("/proc/%d/cmdline", c.keeperPID()), fmt.Sprintf("/proc/%d/environ", c.keeperPID()),
	} {
		e.wantFileWithout(k, name)
	}
	e.hsm("archive", rel)
	e.wantBlob(rel, []byte("content"))
	journals, err := filepath.Glob(filepath.Join(e.stateDir, "*"))
	if err != nil || len(journals) == 0 {
		e.t.Fatalf("journals: %q, %v", journals, err)
	}
	for _, name := range journals {
		e.wantFileWithout(k, name)
	}
	c.signal(syscall.SIGQUIT)
	<-c.done
	c.waitLog("goroutine 1 ") // the dump of a crash
	k.wantNot(e.t, "the log", []byte(strings.Join(c.log(), "\n")))
}

func (e *env) wantFileWithout(k secretKind, name string) {
	e.t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		e.t.Error(err)
	}
	k.wantNot(e.t, name, b)
}
