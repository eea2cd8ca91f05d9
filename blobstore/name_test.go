package blobstore

import (
	"errors"
	"strings"
	"testing"
)

func TestNameForPath(t *testing.T) {
	for _, tt := range []struct {
		path string
		want Name
	}{
		{"a", "a"},
		{"run 1/results (final) #2 100% ok?.dat", "run 1/results (final) #2 100% ok?.dat"},
		{`it's "quoted" & <odd>+~!*;,:@=$|^{}[]`, `it's "quoted" & <odd>+~!*;,:@=$|^{}[]`},
		{"größe/文件/🙂", "größe/文件/🙂"},
		{".hidden/..data/a.b", ".hidden/..data/a.b"},
		{"dot.", "dot%2E"},
		{"a./b../...", "a%2E/b.%2E/..%2E"},
		{"line\nbreak\ttab\x7f", "line%0Abreak%09tab%7F"},
		{`back\slash`, "back%5Cslash"},
		{"\xff\xfe", "%FF%FE"},
		{"half \xe6\x96 rune", "half %E6%96 rune"},
		{"c1 \u0081 private \ue000 bom \ufeff none \uffff", "c1 %C2%81 private %EE%80%80 bom %EF%BB%BF none %EF%BF%BF"},
		{" lead and trail ", "%20lead and trail%20"},
		{" ", "%20"},
		// A % stays where nothing can be read into it.
		{"100%", "100%"},
		{"100%41%zz%2f%4", "100%41%zz%2f%4"},
		{"%2E", "%252E"},
		{"a%20b", "a%2520b"},
		{"%25", "%2525"},
		{"%%2E", "%%252E"},
		{"%\n", "%%0A"},
		{"%2\n", "%2%0A"},
		{"%~0123", "%25~0123"},
		{"%FF", "%25FF"},
		{"�", "�"}, // the replacement character itself is valid
	} {
		got, err := NameForPath(tt.path)
		if err != nil || got != tt.want {
			t.Errorf("NameForPath(%q) = %q, %v, want %q", tt.path, got, err, tt.want)
			continue
		}
		if back, err := PathForName(got); err != nil || back != tt.path {
			t.Errorf("PathForName(%q) = %q, %v, want %q", got, back, err, tt.path)
		}
	}
}

func TestNameForPathRefusesWhatIsNoPath(t *testing.T) {
	for _, path := range []string{"", "/", "/a", "a/", "a//b", ".", "..", "./a", "a/../b", "a/.", "nul\x00"} {
		if got, err := NameForPath(path); !errors.Is(err, ErrName) {
			t.Errorf("NameForPath(%q) = %q, %v, want ErrName", path, got, err)
		}
	}
}

// A foreign name that only looks like one of ours has no path, since that path
// has another name.
func TestPathForNameRefusesSecondNames(t *testing.T) {
	for _, n := range []Name{"a%2Eb", "%61%20b", "tail.", "", "/a", "a%2525", "x\ny", `x\y`, "%EE%80", Name(strings.Repeat("a", 1025))} {
		path, err := PathForName(n)
		back, _ := NameForPath(path)
		if err == nil && back != n {
			t.Errorf("PathForName(%q) = %q, whose name is %q", n, path, back)
		}
	}
	for _, n := range []Name{"a%2Eb", "tail.", "", "x\ny"} {
		if _, err := PathForName(n); !errors.Is(err, ErrName) {
			t.Errorf("PathForName(%q) gives %v, want ErrName", n, err)
		}
	}
}

func TestLongNames(t *testing.T) {
	segment := strings.Repeat("x", 200)
	for name, path := range map[string]string{
		"characters":    strings.Repeat(segment+"/", 10) + "end",
		"segments":      strings.Repeat("d/", 300) + "end",
		"escapes":       strings.Repeat("\n", 400),
		"one segment":   strings.Repeat("\xff", 255) + "/" + strings.Repeat("\xff", 255),
		"supplementary": strings.Repeat("🙂", 600),
	} {
		t.Run(name, func(t *testing.T) {
			n, err := NameForPath(path)
			if err != nil || !n.Hashed() {
				t.Fatalf("NameForPath = %q, %v, want a hashed name", n, err)
			}
			if !fits(string(n)) {
				t.Errorf("hashed name has %d units and %d segments", units(string(n)), strings.Count(string(n), "/")+1)
			}
			if _, err := PathForName(n); !errors.Is(err, ErrPathInMetadata) {
				t.Errorf("PathForName: %v, want ErrPathInMetadata", err)
			}
			if other, _ := NameForPath(path + "y"); other == n {
				t.Errorf("another path has the same name %q", n)
			}
		})
	}
}

func TestLongestNameIsNotHashed(t *testing.T) {
	path := strings.Repeat(strings.Repeat("ü", 255)+"/", 4) // 1,024 characters, 2,044 bytes
	path = path[:len(path)-1] + "n"
	n, err := NameForPath(path)
	if err != nil || n.Hashed() || string(n) != path {
		t.Errorf("a path of 1,024 characters has the name %q, %v", n, err)
	}
	if n, _ := NameForPath(path + "n"); !n.Hashed() {
		t.Errorf("a path of 1,025 characters has the name %q", n)
	}
}

// A long path keeps its directories, so that a listing by prefix finds it.
func TestHashedNameKeepsDirectories(t *testing.T) {
	path := "project/run1/" + strings.Repeat("\n", 250) + "/" + strings.Repeat("\n", 250)
	n, err := NameForPath(path)
	if err != nil || !strings.HasPrefix(string(n), "project/run1/%0A%0A") {
		t.Errorf("name is %.60q..., %v", n, err)
	}
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"a/b", "%2E", "a.", "\xff", "%~", "a%25", " ", strings.Repeat("/a", 300)[1:], strings.Repeat("%", 1030)} {
		f.Add(s, s+"%")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		na, err := NameForPath(a)
		if err != nil {
			if !errors.Is(err, ErrName) || na != "" {
				t.Fatalf("NameForPath(%q) = %q, %v", a, na, err)
			}
			return
		}
		if !fits(string(na)) {
			t.Errorf("NameForPath(%q) = %q does not fit", a, na)
		}
		if back, err := PathForName(na); na.Hashed() != errors.Is(err, ErrPathInMetadata) || err == nil && back != a {
			t.Errorf("PathForName(%q) = %q, %v, want %q", na, back, err, a)
		}
		if nb, err := NameForPath(b); err == nil && na == nb && a != b {
			t.Errorf("%q and %q both have the name %q", a, b, na)
		}
		// Any string taken as a name has no path, or one that leads back to it.
		if path, err := PathForName(Name(b)); err == nil {
			if back, err := NameForPath(path); err != nil || back != Name(b) {
				t.Errorf("name %q has the path %q, which has the name %q, %v", b, path, back, err)
			}
		}
	})
}
