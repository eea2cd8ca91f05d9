package jobs

import (
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// A storedSpec is a Spec as JSON can carry it. A prefix is any bytes, and where they
// are no UTF-8 an encoder would put a replacement character, which is another prefix.
type storedSpec struct {
	Spec
	PrefixBytes [][]byte `json:"prefixBytes,omitempty"` // in place of Prefixes, where one is no UTF-8
}

func encodeSpec(s Spec) ([]byte, error) {
	stored := storedSpec{Spec: s}
	if slices.ContainsFunc(s.Prefixes, func(p string) bool { return !utf8.ValidString(p) }) {
		stored.Prefixes = nil
		for _, p := range s.Prefixes {
			stored.PrefixBytes = append(stored.PrefixBytes, []byte(p))
		}
	}
	return json.Marshal(stored)
}

func decodeSpec(b []byte) (Spec, error) {
	var stored storedSpec
	err := json.Unmarshal(b, &stored)
	for _, p := range stored.PrefixBytes {
		stored.Prefixes = append(stored.Prefixes, string(p))
	}
	return stored.Spec, err
}
