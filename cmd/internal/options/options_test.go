package options

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

type values struct{ memory, limit int64 }

var sample = Table[values]{
	Program: "program", Prefix: "PROGRAM_", SubTable: "archive", SubKey: "name",
	Groups: []Group[values]{{"All", []*Option[values]{
		{Name: "memory", Arg: "SIZE", Default: "1GiB", Help: "bytes of memory", Kind: Size(func(v *values) *int64 { return &v.memory }, 1, 1<<40), Live: true},
		{Name: "limit", Arg: "SIZE", Default: "0", Help: "bytes of an archive", Kind: SizeOrZero(func(v *values) *int64 { return &v.limit }, 1, 1<<40), Scope: PerTable},
		{Name: "name", Arg: "NAME", Help: "name of an archive", Scope: PerTable},
		{Name: "config", Arg: "FILE", Help: "configuration file", Scope: OneRun},
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

// TestChanged: what a new file changes is told apart by whether it can be taken over.
func TestChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.conf")
	read := func(content string) *Values {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		v, err := sample.Resolve(cli.NewContext(nil, flag.NewFlagSet("", flag.ContinueOnError), nil), []string{"PROGRAM_CONFIG=" + path})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	const tables = "[[archive]]\nname = \"a\"\n[[archive]]\nname = \"b\"\nlimit = 7\n"
	before := read("memory = \"2GiB\"\n" + tables)
	for content, want := range map[string]string{
		"memory = \"2GiB\"\n" + tables:                "[] []",
		"# a line more\nmemory = \"2GiB\"\n" + tables: "[] []",
		tables: "[--memory] []",
		"memory = \"2GiB\"\nlimit = 3\n" + tables:                        "[] [--limit]",
		"memory = \"2GiB\"\n" + strings.ReplaceAll(tables, "= 7", "= 8"): "[] [--limit]",
		"memory = 1\n" + strings.ReplaceAll(tables, "\"b\"", "\"c\""):    "[--memory] [[[archive]]]",
		"memory = \"2GiB\"\n[[archive]]\nname = \"a\"\n":                 "[] [[[archive]]]",
	} {
		live, fixed := sample.Changed(before, read(content))
		if got := fmt.Sprint(live, fixed); got != want {
			t.Errorf("%q changes %s, want %s", content, got, want)
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
