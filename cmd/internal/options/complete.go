package options

import (
	"fmt"
	"slices"
	"strings"
)

// Shells are those that [Table.Completion] writes for.
var Shells = []string{"bash", "zsh", "fish"}

// Completion is the script by which one of [Shells] completes the options of a
// program whose arguments are directories.
func (t *Table[S]) Completion(shell string) (string, error) {
	switch shell {
	case "bash":
		return t.bash(), nil
	case "zsh":
		return t.zsh(), nil
	case "fish":
		return t.fish(), nil
	}
	return "", Usagef("%q is none of %s", shell, strings.Join(Shells, ", "))
}

// choices are the values of an option that has few.
func (o *Option[S]) choices() []string {
	list, ok := strings.CutPrefix(o.allowed(), "one of ")
	if !ok {
		return nil
	}
	return strings.Split(list, ", ")
}

// flags are the options that are completed.
func (t *Table[S]) flags() []*Option[S] {
	var flags []*Option[S]
	for o := range t.All() {
		if o.isFlag() {
			flags = append(flags, o)
		}
	}
	return flags
}

// bash completes names, and the values of options that have few; for all else it
// falls back to names of files.
func (t *Table[S]) bash() string {
	var names []string
	var cases strings.Builder
	for _, o := range t.flags() {
		names = append(names, "--"+o.Name)
		if values := o.choices(); values != nil {
			fmt.Fprintf(&cases, "\t--%s) words=%q ;;\n", o.Name, strings.Join(values, " "))
		}
	}
	for _, s := range Standard {
		names = append(names, "--"+s.Name)
	}
	return fmt.Sprintf(`_%[1]s() {
	local cur="${COMP_WORDS[COMP_CWORD]}" words=
	case "${COMP_WORDS[COMP_CWORD-1]}" in
%[2]s	*) [[ $cur == -* ]] && words=%[3]q ;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o bashdefault -o default -F _%[1]s %[1]s
`, t.Program, cases.String(), strings.Join(names, " "))
}

// ZshStart is how a script for zsh ends that defines the function _PROGRAM, and
// works where it is sourced as well as in a directory of $fpath.
func ZshStart(program string) string {
	return fmt.Sprintf("if [[ $funcstack[1] = _%[1]s ]]; then _%[1]s \"$@\"; else compdef _%[1]s %[1]s; fi\n", program)
}

func (t *Table[S]) zsh() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %[1]s\n_%[1]s() {\n_arguments", t.Program)
	escape := strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, "'", `'\''`)
	for _, o := range t.flags() {
		again := ""
		if o.isList() {
			again = "*"
		}
		fmt.Fprintf(&b, " \\\n\t'%s--%s[%s]%s'", again, o.Name, escape.Replace(o.Help), o.zshValue())
	}
	for _, s := range Standard {
		fmt.Fprintf(&b, " \\\n\t'(- *)--%s[%s]'", s.Name, s.Help)
	}
	b.WriteString(" \\\n\t'1:mount point:_files -/'\n}\n" + ZshStart(t.Program))
	return b.String()
}

func (o *Option[S]) zshValue() string {
	values := o.choices()
	switch {
	case o.Arg == "":
		return ""
	case values != nil:
		return ":" + o.Arg + ":(" + strings.Join(values, " ") + ")"
	case o.Arg == "FILE":
		return ":" + o.Arg + ":_files"
	case o.Arg == "DIR":
		return ":" + o.Arg + ":_files -/"
	}
	return ":" + o.Arg + ": "
}

func (t *Table[S]) fish() string {
	var b strings.Builder
	line := func(name, help, value string) {
		help = strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(help)
		fmt.Fprintf(&b, "complete -c %s -l %s%s -d '%s'\n", t.Program, name, value, help)
	}
	for _, o := range t.flags() {
		line(o.Name, o.Help, o.fishValue())
	}
	for _, s := range Standard {
		line(s.Name, s.Help, "")
	}
	return b.String()
}

func (o *Option[S]) fishValue() string {
	values := o.choices()
	switch {
	case o.Arg == "":
		return ""
	case values != nil:
		return fmt.Sprintf(" -x -a '%s'", strings.Join(values, " "))
	case slices.Contains([]string{"FILE", "DIR", "PATH"}, o.Arg):
		return " -r -F"
	}
	return " -x"
}
