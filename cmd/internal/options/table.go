package options

import (
	"io/fs"
	"iter"
	"slices"
	"strings"
)

// An Option is one setting, whatever way it is given: as the flag --name, as
// the key name with underscores in the configuration file, or as a variable
// such as LHSM_AZBLOB_NAME in the environment.
type Option[S any] struct {
	Name    string
	Arg     string // what stands for the value in the help; empty: a switch
	Default string
	Help    string  // one sentence; the unit is in it
	Kind    Kind[S] // nil: the option is looked at before there are settings
	Scope   Scope
	Live    bool // a change takes effect while the program runs
}

// title is how messages call the option.
func (o *Option[S]) title() string {
	if o.isFlag() {
		return "--" + o.Name
	}
	return o.Key()
}

// Scope says where an option may be given.
type Scope int

// The scopes.
const (
	Anywhere Scope = iota
	PerTable       // anywhere, and in the tables of the file
	Secret         // as PerTable, but not as a flag: command lines are public
	OneRun         // not in the file: it is about one run of the program
)

// Key is the option's name in the configuration file.
func (o *Option[S]) Key() string { return strings.ReplaceAll(o.Name, "-", "_") }

// InFile tells whether the configuration file may have it.
func (o *Option[S]) InFile() bool { return o.Scope != OneRun }

func (o *Option[S]) inTable() bool { return o.Scope == PerTable || o.Scope == Secret }
func (o *Option[S]) isFlag() bool  { return o.Scope != Secret }

// isList tells whether the option has several values.
func (o *Option[S]) isList() bool {
	list, ok := o.Kind.(interface{ List() bool })
	return ok && list.List()
}

// A Group is options under one headline.
type Group[S any] struct {
	Title   string
	Options []*Option[S]
}

// A Table is all options of a program. S is what their values are read into.
type Table[S any] struct {
	Program string // as in messages
	Prefix  string // of the variables, such as LHSM_AZBLOB_
	// SubTable is the name of the tables that the file may have, [[archive]],
	// and SubKey the option that each has to have. Empty: there are none.
	SubTable, SubKey string
	// CheckPrivate refuses a file that others than its user can read, by what
	// stat said of it; the error names cause and remedy. It is needed where the
	// table has secrets.
	CheckPrivate func(path string, info fs.FileInfo) error
	Groups       []Group[S]
}

// Standard are the flags that package cli gives to every program.
var Standard = []struct{ Name, Help string }{{"help", "explain the options, and exit"}, {"version", "print the version, and exit"}}

// All yields the options without headlines.
func (t *Table[S]) All() iter.Seq[*Option[S]] {
	return func(yield func(*Option[S]) bool) {
		for _, g := range t.Groups {
			for _, o := range g.Options {
				if !yield(o) {
					return
				}
			}
		}
	}
}

func (t *Table[S]) variable(o *Option[S]) string { return t.Prefix + strings.ToUpper(o.Key()) }

// keys is for messages.
func (t *Table[S]) keys(keep func(*Option[S]) bool) []string {
	var keys []string
	for o := range t.All() {
		if keep(o) {
			keys = append(keys, o.Key())
		}
	}
	return slices.Sorted(slices.Values(keys))
}
