package options

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// A configFile is a parsed configuration file.
type configFile struct {
	top    map[string]Value
	tables []map[string]Value
}

// readFile reads a configuration file. A key that is not in the table of
// options is an error, and so is a file that somebody else may write, or with a
// secret in it, read.
func (t *Table[S]) readFile(path string) (*configFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w; give another file with --config", err)
	}
	defer file.Close()
	info, err := file.Stat() // of what was opened, whatever the path's links lead to
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	b, err := io.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w; give another file with --config", err)
	}
	f, err := t.parseFile(path, string(b))
	if err != nil {
		return nil, UsageError{err}
	}
	return f, t.checkAccess(f, path, info)
}

// checkAccess makes sure that nobody else decides what the program does, and
// that nobody else sees a secret.
func (t *Table[S]) checkAccess(f *configFile, path string, info fs.FileInfo) error {
	if info.Mode().Perm()&0o002 != 0 {
		return Usagef("everybody may write %s; chmod 600 %[1]s", path)
	}
	for _, table := range append(f.tables, f.top) {
		for o := range t.All() {
			v, ok := table[o.Name]
			if !ok || o.Scope != Secret || v.Texts[0] == "" {
				continue
			}
			if err := t.CheckPrivate(path, info); err != nil {
				return Usagef("%s is secret, and %w", v.Origin, err)
			}
		}
	}
	return nil
}

func (t *Table[S]) parseFile(path, content string) (*configFile, error) {
	target := reflect.New(t.fileType())
	d := toml.NewDecoder(strings.NewReader(content)).DisallowUnknownFields()
	if err := d.Decode(target.Interface()); err != nil {
		return nil, t.tomlError(path, err)
	}
	lines := t.keyLines(content)
	f := &configFile{}
	var err error
	if f.top, err = t.tableValues(path, lines, 0, target.Elem()); err != nil {
		return nil, err
	}
	tables := target.Elem().FieldByName(subTableField)
	for i := range lenOf(tables) {
		table, err := t.tableValues(path, lines, i+1, tables.Index(i))
		if err != nil {
			return nil, err
		}
		f.tables = append(f.tables, table)
	}
	return f, nil
}

// tomlError says where and what, on one line.
func (t *Table[S]) tomlError(path string, err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		row, _ := strict.Errors[0].Position()
		key := strict.Errors[0].Key()
		known := t.keys((*Option[S]).InFile)
		if len(key) > 1 {
			known = t.keys((*Option[S]).inTable)
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

const subTableField = "SubTable"

// fileType is the Go type of a configuration file, made from the table of
// options: the decoder then refuses what is not in it. Values may be of any
// type here; each option's kind reads them as it reads a flag.
func (t *Table[S]) fileType() reflect.Type {
	top := t.fields((*Option[S]).InFile)
	if t.SubTable != "" {
		top = append(top, reflect.StructField{
			Name: subTableField, Type: reflect.SliceOf(reflect.StructOf(t.fields((*Option[S]).inTable))), Tag: tag(t.SubTable),
		})
	}
	return reflect.StructOf(top)
}

func tag(key string) reflect.StructTag { return reflect.StructTag(`toml:` + strconv.Quote(key)) }

// lenOf is the length of a slice that may not be there.
func lenOf(v reflect.Value) int {
	if !v.IsValid() {
		return 0
	}
	return v.Len()
}

func (t *Table[S]) fields(keep func(*Option[S]) bool) []reflect.StructField {
	var fs []reflect.StructField
	for o := range t.All() {
		if keep(o) {
			fs = append(fs, reflect.StructField{
				Name: fieldName(o.Key()), Type: reflect.TypeFor[any](), Tag: tag(o.Key()),
			})
		}
	}
	return fs
}

func fieldName(key string) string { return "Key_" + key }

// tableValues reads the table with the given number, 0 being the file's head.
func (t *Table[S]) tableValues(path string, lines map[tableKey]int, number int, table reflect.Value) (map[string]Value, error) {
	given := map[string]Value{}
	for o := range t.All() {
		field := table.FieldByName(fieldName(o.Key()))
		if !field.IsValid() || field.IsNil() {
			continue
		}
		origin := fmt.Sprintf("%s:%d: %s", path, lines[tableKey{number, o.Key()}], o.Key())
		texts, err := textsOf(field.Interface())
		if err == nil && len(texts) != 1 && !o.isList() {
			err = fmt.Errorf("%d values, and one is wanted", len(texts))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", origin, err)
		}
		given[o.Name] = Value{texts, origin}
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
	tableLine = regexp.MustCompile(`^\s*\[\[\s*([a-z0-9_]+)\s*\]\]`)
)

// keyLines finds the line of each key, which the decoder tells only of those
// it refuses.
func (t *Table[S]) keyLines(content string) map[tableKey]int {
	lines, table := map[tableKey]int{}, 0
	for i, line := range strings.Split(content, "\n") {
		if m := tableLine.FindStringSubmatch(line); m != nil && m[1] == t.SubTable {
			table++
		}
		if m := keyLine.FindStringSubmatch(line); m != nil {
			lines[tableKey{table, m[1]}] = i + 1
		}
	}
	return lines
}
