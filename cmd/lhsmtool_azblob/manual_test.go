package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"lhsm-azblob/cmd/internal/mover"
	"lhsm-azblob/cmd/internal/options"
	"lhsm-azblob/testenv"
)

// page is a page of the manual as its reader sees it.
func page(t *testing.T, section string) string {
	t.Helper()
	date = "2026-01-02"
	code, stdout, stderr := program(t, nil, "--manual", section)
	if code != exitOK {
		t.Fatalf("exit %d, %q", code, stderr)
	}
	return testenv.ReadManual(t, stdout)
}

// TestManualHasEveryOption: with its help, its bounds and its default.
func TestManualHasEveryOption(t *testing.T) {
	of8, of5 := page(t, "8"), page(t, "5")
	for o := range mover.Table.All() {
		head := "--" + o.Name
		if o.Scope == options.Secret {
			head = o.Key() + " (file"
		}
		texts := []string{head, o.Help}
		if o.Arg != "" && o.Default != "" {
			texts = append(texts, "default "+o.Default+".")
		}
		for _, text := range texts {
			if !strings.Contains(of8, text) {
				t.Errorf("--%s: no %q in the page about the program", o.Name, text)
			}
		}
		if !o.InFile() {
			continue
		}
		if text := o.Key() + " = "; !strings.Contains(of5, text) || !strings.Contains(of5, o.Help) {
			t.Errorf("no %q or no %q in the page about the file", text, o.Help)
		}
		if b, ok := o.Kind.(options.Bounded); ok && (!strings.Contains(of8, b.Allowed()) || !strings.Contains(of5, "Allowed: "+b.Allowed()+".")) {
			t.Errorf("--%s: not everywhere %q", o.Name, b.Allowed())
		}
	}
}

// TestBounds: what an option says that it takes is what it takes.
func TestBounds(t *testing.T) {
	for o := range mover.Table.All() {
		b, ok := o.Kind.(options.Bounded)
		if !ok {
			continue
		}
		allowed := b.Allowed()
		list, isList := strings.CutPrefix(allowed, "one of ")
		values := strings.Split(list, ", ")
		if !isList {
			rest, _ := strings.CutPrefix(allowed, "0, or ")
			values = strings.Split(strings.TrimSuffix(rest, ", or any"), " to ")
		}
		for _, v := range values {
			if err := o.Kind.Set(new(mover.Settings), []string{v}); err != nil {
				t.Errorf("--%s says %q, and %s is refused: %v", o.Name, allowed, v, err)
			}
		}
		if err := o.Kind.Set(new(mover.Settings), []string{values[len(values)-1] + "9"}); err == nil {
			t.Errorf("--%s says %q, and takes more", o.Name, allowed)
		}
	}
}

// TestCompletion lets real shells complete.
func TestCompletion(t *testing.T) {
	script := func(shell string) string {
		code, stdout, stderr := program(t, nil, "--completion", shell)
		if code != exitOK {
			t.Fatalf("exit %d, %q", code, stderr)
		}
		return stdout
	}
	for words, want := range map[string]string{
		"lhsmtool_azblob --arch":    "--archive-id --archives",
		"lhsmtool_azblob --auth s":  "sas shared-key",
		"lhsmtool_azblob --v":       "--version",
		"lhsmtool_azblob --manual ": "8 5",
	} {
		line := script("bash") + "COMP_WORDS=(" + words + "''); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _lhsmtool_azblob; echo ${COMPREPLY[@]}"
		wantCompletion(t, words, want, "bash", "-c", line)
		wantCompletion(t, words, want, "fish", "-c", script("fish")+"complete -C '"+words+"'")
	}
	wantCompletion(t, "zsh's script", "fine", "zsh", "-c", "autoload -U compinit; compinit -D -u; source /dev/stdin <<'E'\n"+script("zsh")+"E\n[[ $_comps[lhsmtool_azblob] = _lhsmtool_azblob ]] && echo fine")
	if code, _, stderr := program(t, nil, "--completion", "tcsh"); code != exitUsage || !strings.Contains(stderr, "bash, zsh, fish") {
		t.Errorf("tcsh: exit %d, %q", code, stderr)
	}
}

func wantCompletion(t *testing.T, words, want string, command ...string) {
	t.Helper()
	shell, err := exec.LookPath(command[0])
	if err != nil {
		return // not on this machine
	}
	out, err := exec.CommandContext(t.Context(), shell, command[1:]...).CombinedOutput()
	got := strings.Fields(string(out))
	for _, w := range strings.Fields(want) {
		if err != nil || !slices.Contains(got, w) {
			t.Errorf("%s: %s completes to %q, %v, without %s", command[0], words, out, err, w)
		}
	}
}
