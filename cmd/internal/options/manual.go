package options

import (
	"slices"

	"lhsm-azblob/cmd/internal/manual"
)

// ManualOptions writes the options as flags, for the page about the program.
func (t *Table[S]) ManualOptions(p *manual.Page) {
	for _, g := range t.Groups {
		p.Subsection(g.Title)
		for _, o := range g.Options {
			if o.isFlag() {
				p.Item("--"+o.Name, o.Arg, o.explanation()+".")
			} else {
				p.Item(o.Key(), "", "(file and environment only) "+o.explanation()+".")
			}
		}
	}
}

// ManualKeys writes the options as keys, for the page about the file.
func (t *Table[S]) ManualKeys(p *manual.Page) {
	for _, g := range t.Groups {
		if !slices.ContainsFunc(g.Options, (*Option[S]).InFile) {
			continue
		}
		p.Subsection(g.Title)
		for _, o := range g.Options {
			if o.InFile() {
				p.Item(o.Key(), "= "+o.keyArg(), o.keyText(t))
			}
		}
	}
}

func (o *Option[S]) keyArg() string {
	switch {
	case o.Arg == "" && o.isFlag():
		return "true | false"
	case o.Arg == "":
		return "TEXT"
	case o.isList():
		return "[" + o.Arg + ", …]"
	}
	return o.Arg
}

func (o *Option[S]) keyText(t *Table[S]) string {
	text := o.Help + "."
	if allowed := o.allowed(); allowed != "" {
		text += " Allowed: " + allowed + "."
	}
	if o.Default != "" {
		text += " Default: " + o.Default + "."
	}
	if t.SubTable != "" && o.inTable() {
		text += " Also in [[" + t.SubTable + "]]."
	}
	if o.Live {
		text += " Reloadable."
	}
	return text
}
