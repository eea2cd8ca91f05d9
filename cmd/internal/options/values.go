package options

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// A Value is what an option was given, and where.
type Value struct {
	Texts  []string
	Origin string // as in "--memory", "$LHSM_AZBLOB_MEMORY", "/etc/x.conf:7: memory"; empty: the default
}

// Values are by option name. Tables are those of the file, each complete: what
// one leaves out it has from the options outside of it.
type Values struct {
	ByName map[string]Value
	Tables []map[string]Value
}

// Changed names the options to which two readings of the configuration give
// different values: those that may change while the program runs, and those that
// need a restart. Tables are taken one by one where they are of the same keys.
func (t *Table[S]) Changed(before, after *Values) (live, fixed []string) {
	pairs := [][2]map[string]Value{{before.ByName, after.ByName}}
	if t.sameTables(before, after) {
		for i := range before.Tables {
			pairs = append(pairs, [2]map[string]Value{before.Tables[i], after.Tables[i]})
		}
	} else {
		fixed = append(fixed, "[["+t.SubTable+"]]")
	}
	for o := range t.All() {
		differs := func(p [2]map[string]Value) bool { return !slices.Equal(p[0][o.Name].Texts, p[1][o.Name].Texts) }
		switch {
		case !slices.ContainsFunc(pairs, differs):
		case o.Live:
			live = append(live, o.title())
		default:
			fixed = append(fixed, o.title())
		}
	}
	return live, fixed
}

func (t *Table[S]) sameTables(a, b *Values) bool {
	return slices.EqualFunc(a.Tables, b.Tables, func(x, y map[string]Value) bool {
		return slices.Equal(x[t.SubKey].Texts, y[t.SubKey].Texts)
	})
}

// On tells whether a switch is on.
func (v *Values) On(name string) bool {
	texts := v.ByName[name].Texts
	return len(texts) == 1 && texts[0] == "true"
}

// Resolve puts the sources over each other: flags over environment over file
// over defaults.
func (t *Table[S]) Resolve(c *cli.Context, environ []string) (*Values, error) {
	v := &Values{ByName: map[string]Value{}}
	for o := range t.All() {
		v.ByName[o.Name] = Value{Texts: []string{o.Default}}
	}
	env, err := t.fromEnvironment(environ)
	if err != nil {
		return nil, err
	}
	given := t.fromFlags(c)
	above := maps.Clone(env)
	maps.Copy(above, given)
	if path, ok := above["config"]; ok && path.Texts[0] != "" {
		f, err := t.readFile(path.Texts[0])
		if err != nil {
			return nil, err
		}
		maps.Copy(v.ByName, f.top)
		v.Tables = f.tables
	}
	maps.Copy(v.ByName, above)
	return v, t.completeTables(v, above)
}

// completeTables gives the tables what they leave out. SubKey is what tables are
// for, so it is not handed down.
func (t *Table[S]) completeTables(v *Values, above map[string]Value) error {
	if len(v.Tables) == 0 {
		return nil
	}
	if id, ok := above[t.SubKey]; ok {
		return Usagef("%s: the configuration file has [[%s]] tables; change the id there", id.Origin, t.SubTable)
	}
	for i, table := range v.Tables {
		if _, ok := table[t.SubKey]; !ok {
			return Usagef("%s: table %d of [[%s]] has no %s", v.ByName["config"].Texts[0], i+1, t.SubTable, strings.ReplaceAll(t.SubKey, "-", "_"))
		}
		complete := maps.Clone(v.ByName)
		maps.Copy(complete, table)
		v.Tables[i] = complete
	}
	return nil
}

func (t *Table[S]) fromFlags(c *cli.Context) map[string]Value {
	given := map[string]Value{}
	for o := range t.All() {
		switch {
		case !o.isFlag() || !c.IsSet(o.Name):
		case o.Arg == "":
			given[o.Name] = Value{[]string{fmt.Sprint(c.Bool(o.Name))}, "--" + o.Name}
		case o.isList():
			given[o.Name] = Value{c.StringSlice(o.Name), "--" + o.Name}
		default:
			given[o.Name] = Value{[]string{c.String(o.Name)}, "--" + o.Name}
		}
	}
	return given
}

// fromEnvironment refuses variables that look like ours and are not, as the
// file refuses keys: a misspelt setting must not be a silent default.
func (t *Table[S]) fromEnvironment(environ []string) (map[string]Value, error) {
	byVariable := map[string]*Option[S]{}
	for o := range t.All() {
		byVariable[t.variable(o)] = o
	}
	given := map[string]Value{}
	for _, assignment := range environ {
		name, text, _ := strings.Cut(assignment, "=")
		if !strings.HasPrefix(name, t.Prefix) {
			continue
		}
		o := byVariable[name]
		if o == nil {
			return nil, Usagef("$%s is no setting; unset it, or see %s --help for the names", name, t.Program)
		}
		texts := []string{text}
		if o.isList() {
			texts = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
		}
		given[o.Name] = Value{texts, "$" + name}
	}
	return given, nil
}

// Flags are the options that may be flags.
func (t *Table[S]) Flags() []cli.Flag { return t.FlagsOf(func(*Option[S]) bool { return true }) }

// FlagsOf are those of some of the options, for commands that need no others.
func (t *Table[S]) FlagsOf(keep func(*Option[S]) bool) []cli.Flag {
	var fs []cli.Flag
	for o := range t.All() {
		switch {
		case !o.isFlag() || !keep(o):
		case o.Arg == "":
			fs = append(fs, &cli.BoolFlag{Name: o.Name, Usage: o.Help})
		case o.isList():
			fs = append(fs, &cli.StringSliceFlag{Name: o.Name, Usage: o.Help})
		default:
			fs = append(fs, &cli.StringFlag{Name: o.Name, Usage: o.Help})
		}
	}
	return fs
}

// Read turns the texts of a run, or of one of the file's tables, into settings.
func (t *Table[S]) Read(given map[string]Value) (*S, []error) {
	var errs []error
	s := new(S)
	for o := range t.All() {
		v := given[o.Name]
		if o.Kind == nil {
			continue
		}
		if err := o.Kind.Set(s, v.Texts); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", cmp.Or(v.Origin, "--"+o.Name), err))
		}
	}
	return s, errs
}
