package jobs

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestNormalizePrefixes(t *testing.T) {
	for _, test := range []struct{ in, want []string }{
		{nil, []string{"/"}},
		{[]string{"/mnt/l"}, []string{"/"}},
		{[]string{"/mnt/l/"}, []string{"/"}},
		{[]string{"data"}, []string{"/data"}},
		{[]string{"/data"}, []string{"/data"}},
		{[]string{"/mnt/l/data"}, []string{"/data"}},
		{[]string{"/mnt/lx"}, []string{"/mnt/lx"}},
		{[]string{"/data/"}, []string{"/data/"}},
		{[]string{"/data/.", "data2/./."}, []string{"/data/", "/data2/"}},
		{[]string{"/mnt/l/data/."}, []string{"/data/"}},
		{[]string{"/mnt/l/."}, []string{"/"}},
		{[]string{"/."}, []string{"/"}},
		{[]string{"./data"}, []string{"/data"}},
		{[]string{"/data/.x", "/data2/y."}, []string{"/data/.x", "/data2/y."}},
		{[]string{"//data//./x"}, []string{"/data/x"}},
		{[]string{"/b", "/a", "/ab", "/a/b", "/b"}, []string{"/a", "/b"}},
		{[]string{"/data/", "/data"}, []string{"/data"}},
		{[]string{"/data-1", "/data", "/data/x"}, []string{"/data"}},
		{[]string{"/x", "/"}, []string{"/"}},
		{[]string{"a\xff b\n"}, []string{"/a\xff b\n"}},
	} {
		got, err := Spec{Prefixes: test.in}.normalize("/mnt/l")
		if err != nil || !slices.Equal(got.Prefixes, test.want) {
			t.Errorf("%q: %q, %v; want %q", test.in, got.Prefixes, err, test.want)
		}
	}
}

func TestNormalizeRefuses(t *testing.T) {
	negative := -1
	for _, test := range []struct {
		spec  Spec
		field string
	}{
		{Spec{Prefixes: []string{"/a/../b"}}, "prefixes"},
		{Spec{Prefixes: []string{"/a\x00"}}, "prefixes"},
		{Spec{Prefixes: []string{""}}, "prefixes"},
		{Spec{Prefixes: []string{"/data", ""}}, "prefixes"},
		{Spec{Prefixes: []string{"."}}, "prefixes"},
		{Spec{Prefixes: []string{"./"}}, "prefixes"},
		{Spec{Prefixes: []string{"/data", ".//./."}}, "prefixes"},
		{Spec{Prefixes: []string{"mnt/l"}}, "prefixes"},
		{Spec{Files: []string{"."}}, "files"},
		{Spec{Files: []string{"/x", ""}}, "files"},
		{Spec{Files: []string{"../x"}}, "files"},
		{Spec{Files: []string{"/x"}, Prefixes: []string{"/"}}, "files"},
		{Spec{IfBusy: "maybe"}, "ifBusy"},
		{Spec{Retries: &negative}, "retries"},
		{Spec{RequestID: strings.Repeat("x", maxRequestID+1)}, "requestId"},
		{Spec{ArchiveID: 1 << 31}, "archiveId"},
	} {
		_, err := test.spec.normalize("/mnt/l")
		var invalid *InvalidError
		if !errors.As(err, &invalid) || invalid.Field != test.field {
			t.Errorf("%+v: %v, want a complaint about %s", test.spec, err, test.field)
		}
	}
}
