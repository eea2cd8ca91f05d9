package httpapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// The part of JSON Schema that openapi.json uses. A keyword that it does not
// know is an error, so that no demand of the document goes unchecked.

type object = map[string]any

var annotations = []string{"description", "title"}

func (d *document) validate(schema object, value any, at string) error {
	if ref, ok := schema["$ref"].(string); ok {
		return d.validate(d.resolve(ref), value, at)
	}
	for keyword, want := range schema {
		check, ok := keywords[keyword]
		if !ok && !slices.Contains(annotations, keyword) {
			return fmt.Errorf("%s: the validator does not know %q", at, keyword)
		}
		if ok {
			if err := check(d, schema, want, value, at); err != nil {
				return err
			}
		}
	}
	return nil
}

var keywords map[string]func(d *document, schema object, want, value any, at string) error

func init() {
	keywords = map[string]func(d *document, schema object, want, value any, at string) error{
		"type": func(_ *document, _ object, want, value any, at string) error {
			if got := typeOf(value); got != want && !(got == "integer" && want == "number") {
				return fmt.Errorf("%s: a %s, want a %s", at, got, want)
			}
			return nil
		},
		"enum": func(_ *document, _ object, want, value any, at string) error {
			if !slices.Contains(want.([]any), value) {
				return fmt.Errorf("%s: %v is none of %v", at, value, want)
			}
			return nil
		},
		"format": func(_ *document, _ object, want, value any, at string) error {
			if _, err := time.Parse(time.RFC3339Nano, fmt.Sprint(value)); want != "date-time" || err != nil {
				return fmt.Errorf("%s: %v is no %v", at, value, want)
			}
			return nil
		},
		"minimum": func(_ *document, _ object, want, value any, at string) error {
			if value.(float64) < want.(float64) {
				return fmt.Errorf("%s: %v is less than %v", at, value, want)
			}
			return nil
		},
		"maximum": func(_ *document, _ object, want, value any, at string) error {
			if value.(float64) > want.(float64) {
				return fmt.Errorf("%s: %v is more than %v", at, value, want)
			}
			return nil
		},
		"required": func(_ *document, _ object, want, value any, at string) error {
			for _, name := range want.([]any) {
				if _, ok := value.(object)[name.(string)]; !ok {
					return fmt.Errorf("%s: %s is missing", at, name)
				}
			}
			return nil
		},
		"properties": func(d *document, _ object, want, value any, at string) error {
			for name, schema := range want.(object) {
				if v, ok := value.(object)[name]; ok {
					if err := d.validate(schema.(object), v, at+"."+name); err != nil {
						return err
					}
				}
			}
			return nil
		},
		"additionalProperties": func(d *document, schema object, want, value any, at string) error {
			named, _ := schema["properties"].(object)
			for name, v := range value.(object) {
				if _, ok := named[name]; ok {
					continue
				}
				other, ok := want.(object)
				if !ok {
					return fmt.Errorf("%s: %s is not in the document", at, name)
				}
				if err := d.validate(other, v, at+"."+name); err != nil {
					return err
				}
			}
			return nil
		},
		"items": func(d *document, _ object, want, value any, at string) error {
			for i, v := range value.([]any) {
				if err := d.validate(want.(object), v, fmt.Sprintf("%s[%d]", at, i)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func typeOf(v any) string {
	switch v := v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	case object:
		return "object"
	}
	return fmt.Sprint(reflect.TypeOf(v))
}

// document is openapi.json.
type document struct{ root object }

func parseDocument(b []byte) (*document, error) {
	d := &document{}
	return d, json.Unmarshal(b, &d.root)
}

func (d *document) resolve(ref string) object {
	at := d.root
	for _, name := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		at = at[name].(object)
	}
	return at
}

// follow is what a node says, or what it refers to.
func (d *document) follow(node any) object {
	o := node.(object)
	if ref, ok := o["$ref"].(string); ok {
		return d.resolve(ref)
	}
	return o
}
