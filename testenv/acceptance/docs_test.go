package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lhsm-azblob/testenv"
)

// Every command in README.md and docs/ is run, or at least checked. What a fenced block
// is, its info string says:
//
//	sh        run by bash -eu, in one shell for each document, where the .deb is installed
//	          on a systemd, the stand-in is /mnt/lustre, and Azurite is behind containerPlaceholder
//	sh exit N the same, and it may also end with that status
//	sh azure  needs real Azure: its syntax is checked, and that our programs and lfs know the
//	          commands and flags in it
//	sh elsewhere  the same, of what belongs on other machines, or has no end
//	sh ci     make targets that .ci/run has
//	toml      a configuration of lhsmtool_azblob, which takes it
//	text, …   no commands
//
// A comment <!--sh … --> is run as well, and not seen by the reader: files that the next
// block wants to be there.

// A docBlock is a fenced block, or a comment with commands.
type docBlock struct {
	where string // file:line
	info  string
	text  string
}

// docBlocks are those of a document, in order.
func docBlocks(t *testing.T, path string) (blocks []docBlock) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var block *docBlock // that the line is in
	end := ""
	for i, line := range strings.Split(string(content), "\n") {
		where := fmt.Sprintf("%s:%d", filepath.Base(path), i+1)
		trimmed := strings.TrimSpace(line)
		switch info, isFence := strings.CutPrefix(trimmed, "```"); {
		case block != nil && trimmed == end:
			blocks, block = append(blocks, *block), nil
		case block != nil:
			block.text += line + "\n"
		case isFence:
			block, end = &docBlock{where: where, info: info}, "```"
		case trimmed == "<!--sh":
			block, end = &docBlock{where: where, info: "sh"}, "-->"
		}
	}
	if block != nil {
		t.Errorf("%s has no end", block.where)
	}
	return blocks
}

// documents are all of them.
func documents(t *testing.T) []string {
	t.Helper()
	docs, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{"../../README.md"}, docs...)
}

// containerPlaceholder is the container in documents.
const containerPlaceholder = "https://ACCOUNT.blob.core.windows.net/CONTAINER"

// TestDocs runs and checks the commands of each document.
func TestDocs(t *testing.T) {
	if !hasDpkg() {
		t.Skip("no dpkg on this machine")
	}
	for _, path := range documents(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			blocks := docBlocks(t, path)
			if slices.ContainsFunc(blocks, docBlock.needsSite) {
				newDocSite(t).check(blocks)
			}
			for _, b := range blocks {
				b.checkElsewhere(t)
			}
		})
	}
}

func (b docBlock) needsSite() bool { return b.isRun() || b.isChecked() || b.info == "toml" }

// isRun tells of a block that is run.
func (b docBlock) isRun() bool { return b.info == "sh" || strings.HasPrefix(b.info, "sh exit ") }

// isChecked tells of one that is only looked at.
func (b docBlock) isChecked() bool { return b.info == "sh azure" || b.info == "sh elsewhere" }

// script is what runs the block after others, and stops where it fails.
func (b docBlock) script() string {
	begin := fmt.Sprintf("cd /root\necho '== %s'\n", b.where)
	status, mayFail := strings.CutPrefix(b.info, "sh exit ")
	if !mayFail {
		return begin + b.text
	}
	return fmt.Sprintf("%sset +e\n(set -e\n%s)\nstatus=$?\nset -e\ntest $status = 0 -o $status = %s\n", begin, b.text, status)
}

// checkElsewhere is for blocks that need no site.
func (b docBlock) checkElsewhere(t *testing.T) {
	t.Helper()
	switch {
	case b.needsSite():
	case b.info == "":
		t.Errorf("%s: the block does not say what it is; write ```sh, ```text or what the comment in docs_test.go lists", b.where)
	case b.info == "sh ci":
		b.checkCI(t)
	case strings.HasPrefix(b.info, "sh"):
		t.Errorf("%s: what is %q?", b.where, b.info)
	}
}

func (b docBlock) checkCI(t *testing.T) {
	t.Helper()
	ci, err := os.ReadFile("../../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.text) {
		if step := "\nstep " + strings.TrimSpace(line) + "\n"; !strings.Contains(string(ci), step) {
			t.Errorf("%s: .ci/run has no%s", b.where, step)
		}
	}
}

// A docSite is where the commands are run: a machine with our package, a Lustre and a
// container.
type docSite struct {
	packageManager
	help map[string]string // of commands
}

func newDocSite(t *testing.T) *docSite {
	t.Helper()
	e := newEnv(t, testenv.Options{})
	s := &docSite{help: map[string]string{}}
	s.packageManager = packageManager{startSystemd(t, e, packagedUnit{name: "lhsmtool_azblob", files: map[string]string{
		// So the site's own files need no more than its documentation says.
		"mnt-lustre.env": "LHSM_AZBLOB_ACCOUNT_KEY_FILE=/etc/lhsm-azblob/mnt-lustre.key\n",
	}})}
	for name, path := range map[string]string{
		"lfs": testenv.LfsPath(t), "liblustreapi.so.1": testenv.Library(t), "lustre-standin": testenv.Binary(t, "./testenv/cmd/lustre-standin"),
	} {
		s.copy("site/"+name, path)
	}
	s.put("site/lctl", "#!/bin/sh\nverb=$1\nshift\nexec lustre-standin $verb --mount /mnt/lustre \"$@\"\n")
	// What documents write goes into memory, here as in /etc, /usr and /var.
	s.must("sh", "-ec", `for dir in /root /home /tmp; do mount -t tmpfs tmpfs $dir; done
cd /run/out/site
install lfs lctl lustre-standin /usr/bin/
install liblustreapi.so.1 /usr/lib/
dpkg --install "$0"`, s.deb("0.1.0"))
	return s
}

// check does with each block what its info string says.
func (s *docSite) check(blocks []docBlock) {
	s.t.Helper()
	var script strings.Builder
	for i, b := range blocks {
		if b.info == "toml" {
			s.checkConfig(i, b)
		}
		if b.isRun() {
			script.WriteString(strings.ReplaceAll(b.script(), containerPlaceholder, s.containerURL))
		}
		if b.isRun() || b.isChecked() {
			s.checkSyntax(b)
			for _, words := range commandsIn(b.text) {
				s.checkCommand(b, words)
			}
		}
	}
	s.run(script.String())
}

// scriptPatience is how long all commands of a document may take together.
const scriptPatience = 5 * patience

// bash runs a script as root who has just logged in.
func (s *docSite) bash(script string, options ...string) testenv.Result {
	s.t.Helper()
	s.put("site/script", script)
	environ := []string{"env", "-i", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LHSM_AZBLOB_ACCOUNT_KEY_FILE=/etc/lhsm-azblob/mnt-lustre.key"}
	return s.insideWithin(scriptPatience, slices.Concat(environ, []string{"bash", "-eu"}, options, []string{"/run/out/site/script"})...)
}

func (s *docSite) run(script string) {
	s.t.Helper()
	r := s.bash(script)
	if r.Code != 0 {
		s.t.Errorf("exit %d; the last block is the one that fails", r.Code)
	}
	s.t.Log(tail(r.Stdout, 10_000))
}

func (s *docSite) checkSyntax(b docBlock) {
	s.t.Helper()
	if r := s.bash(b.text, "-n"); r.Code != 0 {
		s.t.Errorf("%s: %s", b.where, r.Stdout)
	}
}

// checkConfig reads a piece of a configuration, in which the container may be missing.
func (s *docSite) checkConfig(i int, b docBlock) {
	s.t.Helper()
	name := fmt.Sprintf("site/%d.toml", i)
	s.put(name, b.text)
	if r := s.inside("lhsmtool_azblob", "--config", "/run/out/"+name, "--print-config"); r.Code != 0 {
		s.t.Errorf("%s: %s", b.where, r.Stdout)
	}
}

// ourCommand finds a program whose flags are checked, as a word by itself, and what
// follows it up to the end of the command.
var ourCommand = regexp.MustCompile("(?:^|[\\s/(])(lhsmctl|lhsmtool_azblob|lhsm-acceptance|lfs)((?:[ \t]+[^\\s|&;<>()`]+)+)")

// commandsIn are the commands in a block whose words can be checked.
func commandsIn(text string) (commands [][]string) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	text = regexp.MustCompile(`(?m)(^|\s)#.*$`).ReplaceAllString(text, "")
	for _, m := range ourCommand.FindAllStringSubmatch(text, -1) {
		commands = append(commands, append([]string{m[1]}, strings.Fields(m[2])...))
	}
	return commands
}

var (
	subcommand = regexp.MustCompile(`^[a-z][a-z_-]+$`)
	flagName   = regexp.MustCompile(`^--?([a-z0-9][a-z0-9-]*)`)
)

// checkCommand looks for each flag in the help of the command.
func (s *docSite) checkCommand(b docBlock, words []string) {
	s.t.Helper()
	program, rest := words[0], words[1:]
	command := []string{program}
	depth := map[string]int{"lfs": 1, "lhsmctl": 1}[program]
	if program == "lhsmctl" && (rest[0] == "archive" || rest[0] == "export") {
		depth = 2
	}
	for len(command) <= depth && len(rest) > 0 && subcommand.MatchString(rest[0]) {
		command, rest = append(command, rest[0]), rest[1:]
	}
	help := s.helpOf(b, command)
	for _, word := range rest {
		flag := flagName.FindStringSubmatch(word)
		if flag != nil && !regexp.MustCompile(`(^|[\s,{\[|])--?`+flag[1]+`($|[\s,}\]|=])`).MatchString(help) {
			s.t.Errorf("%s: %s has no flag %s", b.where, strings.Join(command, " "), flag[0])
		}
	}
}

// helpOf is what a command says of itself.
func (s *docSite) helpOf(b docBlock, command []string) string {
	s.t.Helper()
	key := strings.Join(command, " ")
	if help, ok := s.help[key]; ok {
		return help
	}
	r := s.inside(append(slices.Clone(command), "--help")...)
	if strings.Contains(r.Stdout, "not a valid command") || strings.Contains(r.Stdout, "No help topic") || r.Stdout == "" {
		s.t.Errorf("%s: there is no command %q: %s", b.where, key, r.Stdout)
	}
	s.help[key] = r.Stdout
	return r.Stdout
}
