package otlp

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"time"
)

// A Span is a piece of work that is over.
type Span struct {
	TraceID, ID, Parent string // of [NewTraceID] and [NewSpanID]; Parent is empty for the first of a trace
	Name                string
	Kind                Kind
	Start, End          time.Time
	Attributes          []Attribute
	Error               string // why it failed; empty: it did not
}

// A Kind says which side of a call a span is.
type Kind int

// The kinds that are used here, with their numbers in the protocol.
const (
	Internal Kind = 1
	Client   Kind = 3
)

// An Attribute is a key and a value: a string, an int64 or a bool.
type Attribute struct {
	Key   string
	Value any
}

// NewTraceID is one that nobody else has.
func NewTraceID() string { return random(16) }

// NewSpanID is one that no other span of a trace has.
func NewSpanID() string { return random(8) }

func random(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // documented never to fail
	return hex.EncodeToString(b)
}

// What follows is the JSON form of the messages of the protocol, with its names.
type (
	request struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   resource     `json:"resource"`
		ScopeSpans []scopeSpans `json:"scopeSpans"`
	}
	resource struct {
		Attributes []keyValue `json:"attributes"`
	}
	scopeSpans struct {
		Scope scope      `json:"scope"`
		Spans []wireSpan `json:"spans"`
	}
	scope struct {
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
	}
	wireSpan struct {
		TraceID      string     `json:"traceId"`
		SpanID       string     `json:"spanId"`
		ParentSpanID string     `json:"parentSpanId,omitempty"`
		Name         string     `json:"name"`
		Kind         Kind       `json:"kind"`
		Start        string     `json:"startTimeUnixNano"` // 64-bit numbers are strings
		End          string     `json:"endTimeUnixNano"`
		Attributes   []keyValue `json:"attributes,omitempty"`
		Status       status     `json:"status"`
	}
	keyValue struct {
		Key   string `json:"key"`
		Value value  `json:"value"`
	}
	value struct {
		String *string `json:"stringValue,omitempty"`
		Int    *string `json:"intValue,omitempty"`
		Bool   *bool   `json:"boolValue,omitempty"`
	}
	status struct {
		Code    int    `json:"code,omitempty"`
		Message string `json:"message,omitempty"`
	}
)

// statusError is the code of a span that failed.
const statusError = 2

func (s *Span) wire() wireSpan {
	w := wireSpan{
		TraceID: s.TraceID, SpanID: s.ID, ParentSpanID: s.Parent, Name: s.Name, Kind: s.Kind,
		Start: nanos(s.Start), End: nanos(s.End), Attributes: keyValues(s.Attributes),
	}
	if s.Error != "" {
		w.Status = status{statusError, s.Error}
	}
	return w
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func keyValues(attributes []Attribute) (list []keyValue) {
	for _, a := range attributes {
		var v value
		switch x := a.Value.(type) {
		case string:
			v.String = &x
		case int64:
			n := strconv.FormatInt(x, 10)
			v.Int = &n
		case bool:
			v.Bool = &x
		}
		list = append(list, keyValue{a.Key, v})
	}
	return list
}
