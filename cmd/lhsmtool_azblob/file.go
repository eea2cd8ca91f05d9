package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

// A configFile is a parsed configuration file.
type configFile struct {
	top      map[string]value
	archives []map[string]value
}

// readFile reads a configuration file. A key that is not in the table of
// options is an error, and so is a secret that everybody may read.
func readFile(path string) (*configFile, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w; give another file with --config", err)
	}
	f, err := parseFile(path, string(b))
	if err != nil {
		return nil, usageError{err}
	}
	return f, f.keepsSecrets(path)
}

// keepsSecrets makes sure that only the file's owner and group can read it if
// there is a secret in it.
func (f *configFile) keepsSecrets(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if info.Mode().Perm()&0o004 == 0 {
		return nil
	}
	for _, table := range append(f.archives, f.top) {
		for o := range options {
			if v, ok := table[o.name]; ok && o.scope == secret && v.texts[0] != "" {
				return usagef("%s is secret, and everybody may read the file; chmod 600 %s", v.origin, path)
			}
		}
	}
	return nil
}

func parseFile(path, content string) (*configFile, error) {
	target := reflect.New(fileType())
	d := toml.NewDecoder(strings.NewReader(content)).DisallowUnknownFields()
	if err := d.Decode(target.Interface()); err != nil {
		return nil, tomlError(path, err)
	}
	lines := keyLines(content)
	f := &configFile{}
	var err error
	if f.top, err = tableValues(path, lines, 0, target.Elem()); err != nil {
		return nil, err
	}
	tables := target.Elem().FieldByName(archiveField)
	for i := range tables.Len() {
		table, err := tableValues(path, lines, i+1, tables.Index(i))
		if err != nil {
			return nil, err
		}
		f.archives = append(f.archives, table)
	}
	return f, nil
}

// tomlError says where and what, on one line.
func tomlError(path string, err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		row, _ := strict.Errors[0].Position()
		key := strict.Errors[0].Key()
		known := names((*option).inFile)
		if len(key) > 1 {
			known = names((*option).inArchive)
		}
		return fmt.Errorf("%s:%d: unknown key %q; the keys are %s", path, row, strings.Join(key, "."), strings.Join(known, ", "))
	}
	var syntax *toml.DecodeError
	if errors.As(err, &syntax) {
		row, _ := syntax.Position()
		return fmt.Errorf("%s:%d: %w", path, row, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}

const archiveField = "Archive"

// fileType is the Go type of a configuration file, made from the table of
// options: the decoder then refuses what is not in it. Values may be of any
// type here; each option's kind reads them as it reads a flag.
var fileType = sync.OnceValue(func() reflect.Type {
	table := reflect.StructOf(fields((*option).inArchive))
	top := append(fields((*option).inFile), reflect.StructField{
		Name: archiveField, Type: reflect.SliceOf(table), Tag: `toml:"archive"`,
	})
	return reflect.StructOf(top)
})

func fields(keep func(*option) bool) []reflect.StructField {
	var fs []reflect.StructField
	for o := range options {
		if keep(o) {
			fs = append(fs, reflect.StructField{
				Name: fieldName(o), Type: reflect.TypeFor[any](), Tag: reflect.StructTag(`toml:` + strconv.Quote(o.key())),
			})
		}
	}
	return fs
}

func fieldName(o *option) string { return "Key_" + o.key() }

// tableValues reads the table with the given number, 0 being the file's head.
func tableValues(path string, lines map[tableKey]int, number int, table reflect.Value) (map[string]value, error) {
	given := map[string]value{}
	for o := range options {
		field := table.FieldByName(fieldName(o))
		if !field.IsValid() || field.IsNil() {
			continue
		}
		origin := fmt.Sprintf("%s:%d: %s", path, lines[tableKey{number, o.key()}], o.key())
		texts, err := textsOf(field.Interface())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", origin, err)
		}
		given[o.name] = value{texts, origin}
	}
	return given, nil
}

func textsOf(v any) ([]string, error) {
	switch v := v.(type) {
	case string:
		return []string{v}, nil
	case int64, float64, bool:
		return []string{fmt.Sprint(v)}, nil
	case []any:
		texts := []string{}
		for _, item := range v {
			t, err := textsOf(item)
			if err != nil {
				return nil, err
			}
			texts = append(texts, t...)
		}
		return texts, nil
	}
	return nil, errors.New("the value must be a text, a number, true, false, or a list of those")
}

// A tableKey is a key in one of the file's tables.
type tableKey struct {
	table int
	key   string
}

var (
	keyLine   = regexp.MustCompile(`^\s*"?([a-z0-9_]+)"?\s*=`)
	tableLine = regexp.MustCompile(`^\s*\[\[\s*archive\s*\]\]`)
)

// keyLines finds the line of each key, which the decoder tells only of those
// it refuses.
func keyLines(content string) map[tableKey]int {
	lines, table := map[tableKey]int{}, 0
	for i, line := range strings.Split(content, "\n") {
		if tableLine.MatchString(line) {
			table++
		}
		if m := keyLine.FindStringSubmatch(line); m != nil {
			lines[tableKey{table, m[1]}] = i + 1
		}
	}
	return lines
}
