package options

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// HelpWidth is the number of columns that the help is made for.
const HelpWidth = 100

// Help is what --help prints: a title line and an introduction, then every option.
func (t *Table[S]) Help(title, usage, introduction string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nUsage: %s\n\n", title, usage)
	b.WriteString(strings.Join(Wrap(introduction, HelpWidth), "\n") + "\n")
	for _, g := range t.Groups {
		fmt.Fprintf(&b, "\n%s:\n", g.Title)
		for _, o := range g.Options {
			writeOption(&b, o)
		}
	}
	return b.String()
}

func writeOption[S any](b *strings.Builder, o *Option[S]) {
	head := strings.TrimRight("--"+o.Name+" "+o.Arg, " ")
	if !o.isFlag() {
		head = o.Key() + " (file and environment only)"
	}
	fmt.Fprintf(b, "  %s\n", head)
	for _, line := range Wrap(o.explanation(), HelpWidth-8) {
		fmt.Fprintf(b, "        %s\n", line)
	}
}

// allowed says which values the option takes; empty where the help says it.
func (o *Option[S]) allowed() string {
	if b, ok := o.Kind.(Bounded); ok {
		return b.Allowed()
	}
	return ""
}

// meaning is the help with what may be given.
func (o *Option[S]) meaning() string {
	if allowed := o.allowed(); allowed != "" {
		return o.Help + "; " + allowed
	}
	return o.Help
}

// explanation is the meaning with what holds if nothing is given.
func (o *Option[S]) explanation() string {
	if o.Default != "" && o.Arg != "" {
		return o.meaning() + "; default " + o.Default
	}
	return o.meaning()
}

// Wrap breaks a text into lines of a width.
func Wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimLeft(line+" "+word, " ")
	}
	return append(lines, line)
}

// Sample is a configuration file with every key and its default, between a head
// and a tail.
func (t *Table[S]) Sample(head, tail string) string {
	var b strings.Builder
	b.WriteString(head)
	for _, g := range t.Groups {
		if !slices.ContainsFunc(g.Options, (*Option[S]).InFile) {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n", g.Title)
		for _, o := range g.Options {
			if o.InFile() {
				writeKey(&b, o, []string{o.Default})
			}
		}
	}
	b.WriteString(tail)
	return b.String()
}

func writeKey[S any](b *strings.Builder, o *Option[S], texts []string) {
	for _, line := range Wrap(o.meaning(), HelpWidth-2) {
		fmt.Fprintf(b, "\n# %s", line)
	}
	fmt.Fprintf(b, "\n%s = %s\n", o.Key(), literal(o, texts))
}

// literal writes a value as TOML.
func literal[S any](o *Option[S], texts []string) string {
	quoted := make([]string, len(texts))
	for i, t := range texts {
		if k, ok := o.Kind.(Redactor); ok {
			t = k.Redact(t)
		}
		quoted[i] = strconv.Quote(t)
		if _, err := strconv.ParseInt(t, 10, 64); err == nil {
			quoted[i] = t
		}
	}
	if o.isList() && len(texts) == 1 && texts[0] == "" {
		return "[]"
	}
	if o.isList() {
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	return quoted[0]
}

// Effective is the configuration as it is used, as a file that says of each value
// where it comes from. Secrets are left out.
func (t *Table[S]) Effective(v *Values) string {
	var b strings.Builder
	t.write(&b, v.ByName, (*Option[S]).InFile)
	for _, table := range v.Tables {
		fmt.Fprintf(&b, "\n[[%s]]\n", t.SubTable)
		own := maps.Clone(table)
		maps.DeleteFunc(own, func(name string, val Value) bool { return val.Origin == v.ByName[name].Origin })
		t.write(&b, own, (*Option[S]).inTable)
	}
	return b.String()
}

// originColumn is where the origins of values stand, if these are not too long.
const originColumn = 40

func (t *Table[S]) write(b *strings.Builder, table map[string]Value, keep func(*Option[S]) bool) {
	for o := range t.All() {
		v, ok := table[o.Name]
		if !ok || !keep(o) {
			continue
		}
		setting := o.Key() + " = " + literal(o, v.Texts)
		if o.Scope == Secret && v.Texts[0] != "" {
			setting = "# " + o.Key() + " is not shown"
		}
		fmt.Fprintf(b, "%-*s # %s\n", originColumn, setting, o.origin(v))
	}
}

// origin is where a value comes from, without what the line begins with.
func (o *Option[S]) origin(v Value) string {
	return cmp.Or(strings.TrimSuffix(v.Origin, ": "+o.Key()), "default")
}
