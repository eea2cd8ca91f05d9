package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// A value is what an option was given, and where.
type value struct {
	texts  []string
	origin string // as in "--memory", "$LHSM_AZBLOB_MEMORY", "/etc/x.conf:7: memory"; empty: the default
}

// values are by option name. archives are the file's [[archive]] tables, each
// complete: what a table leaves out it has from the options outside of it.
type values struct {
	byName   map[string]value
	archives []map[string]value
}

func (v *values) on(name string) bool {
	texts := v.byName[name].texts
	return len(texts) == 1 && texts[0] == "true"
}

// resolve puts the sources over each other: flags over environment over file
// over defaults.
func resolve(c *cli.Context, environ []string) (*values, error) {
	v := &values{byName: map[string]value{}}
	for o := range options {
		v.byName[o.name] = value{texts: []string{o.def}}
	}
	env, err := fromEnvironment(environ)
	if err != nil {
		return nil, err
	}
	given := fromFlags(c)
	above := maps.Clone(env)
	maps.Copy(above, given)
	if path, ok := above["config"]; ok && path.texts[0] != "" {
		f, err := readFile(path.texts[0])
		if err != nil {
			return nil, err
		}
		maps.Copy(v.byName, f.top)
		v.archives = f.archives
	}
	maps.Copy(v.byName, above)
	return v, v.completeArchives(above)
}

// completeArchives gives the tables what they leave out. Ids are what tables
// are for, so they are not handed down.
func (v *values) completeArchives(above map[string]value) error {
	if len(v.archives) == 0 {
		return nil
	}
	if id, ok := above["archive-id"]; ok {
		return usagef("%s: the configuration file has [[archive]] tables; change the id there", id.origin)
	}
	for i, table := range v.archives {
		if _, ok := table["archive-id"]; !ok {
			return usagef("%s: table %d of [[archive]] has no archive_id", v.byName["config"].texts[0], i+1)
		}
		complete := maps.Clone(v.byName)
		maps.Copy(complete, table)
		v.archives[i] = complete
	}
	return nil
}

func fromFlags(c *cli.Context) map[string]value {
	given := map[string]value{}
	for o := range options {
		switch {
		case !o.isFlag() || !c.IsSet(o.name):
		case o.arg == "":
			given[o.name] = value{[]string{fmt.Sprint(c.Bool(o.name))}, "--" + o.name}
		case isList(o):
			given[o.name] = value{c.StringSlice(o.name), "--" + o.name}
		default:
			given[o.name] = value{[]string{c.String(o.name)}, "--" + o.name}
		}
	}
	return given
}

func isList(o *option) bool { return o.kind == archiveIDs{} }

// fromEnvironment refuses variables that look like ours and are not, as the
// file refuses keys: a misspelt setting must not be a silent default.
func fromEnvironment(environ []string) (map[string]value, error) {
	byVariable := map[string]*option{}
	for o := range options {
		byVariable[o.variable()] = o
	}
	given := map[string]value{}
	for _, assignment := range environ {
		name, text, _ := strings.Cut(assignment, "=")
		if !strings.HasPrefix(name, "LHSM_AZBLOB_") {
			continue
		}
		o := byVariable[name]
		if o == nil {
			return nil, usagef("$%s is no setting; unset it, or see %s --help for the names", name, programName)
		}
		texts := []string{text}
		if isList(o) {
			texts = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
		}
		given[o.name] = value{texts, "$" + name}
	}
	return given, nil
}

func flags() []cli.Flag {
	var fs []cli.Flag
	for o := range options {
		switch {
		case !o.isFlag():
		case o.arg == "":
			fs = append(fs, &cli.BoolFlag{Name: o.name})
		case isList(o):
			fs = append(fs, &cli.StringSliceFlag{Name: o.name})
		default:
			fs = append(fs, &cli.StringFlag{Name: o.name})
		}
	}
	return fs
}

// names is for messages.
func names(keep func(*option) bool) []string {
	var keys []string
	for o := range options {
		if keep(o) {
			keys = append(keys, o.key())
		}
	}
	return slices.Sorted(slices.Values(keys))
}
