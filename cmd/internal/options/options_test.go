package options

import (
	"strings"
	"testing"
)

type values struct{ memory, limit int64 }

var sample = Table[values]{
	Program: "program", Prefix: "PROGRAM_", SubTable: "archive", SubKey: "name",
	Groups: []Group[values]{{"All", []*Option[values]{
		{"memory", "SIZE", "1GiB", "bytes of memory", Size(func(v *values) *int64 { return &v.memory }, 1, 1<<40), Anywhere},
		{"limit", "SIZE", "0", "bytes of an archive", SizeOrZero(func(v *values) *int64 { return &v.limit }, 1, 1<<40), PerTable},
		{"name", "NAME", "", "name of an archive", nil, PerTable},
	}}},
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "4096": 4096, "8MiB": 8 << 20, "8 MiB": 8 << 20, "1.5GiB": 3 << 29, "2TB": 2e12, "64k": 64 << 10, "1kb": 1000, "7B": 7, "1TiB": 1 << 40,
	} {
		if got, err := ParseSize(in); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "MiB", "-1", "1XiB", "nan", "inf", "1e30", "0x10", "1,5GiB", "99999999TiB"} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("ParseSize(%q) = %d", in, got)
		}
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add("memory = \"1GiB\"\n[[archive]]\narchive_id = [1, \"any\"]\n")
	f.Add(sample.Sample("", ""))
	f.Fuzz(func(t *testing.T, content string) {
		c, err := sample.parseFile("x.conf", content)
		if (c == nil) == (err == nil) {
			t.Fatalf("parseFile(%q) = %v, %v", content, c, err)
		}
		if err != nil {
			return
		}
		for _, table := range append(c.tables, c.top) {
			for name, v := range table {
				if !strings.HasPrefix(v.Origin, "x.conf:") {
					t.Errorf("%s of %q has origin %q", name, content, v.Origin)
				}
			}
		}
	})
}
