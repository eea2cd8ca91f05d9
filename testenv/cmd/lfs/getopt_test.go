package main

import (
	"slices"
	"strings"
	"testing"
)

func TestGetopt(t *testing.T) {
	long := []longOption{
		{"archive", true, 'a'},
		{"archive-id", true, 'i'},
		{"data", true, 'D'},
		{"cur", false, 'c'},
		{"current", false, 'c'},
		{"noarchive", false, 'n'},
		{"norelease", false, 'r'},
	}
	for _, tt := range []struct {
		argv   string // separated by blanks
		want   string // options with their arguments; a bad one with its name
		others string
	}{
		{"cmd", "", ""},
		{"cmd f g", "", "f g"},
		{"cmd -c f", "c", "f"},
		{"cmd f -c g -D x h", "c D=x", "f g h"},
		{"cmd f g -c", "c", "f g"},
		{"cmd -c f g -n h", "c ?-n", "f g h"},
		{"cmd -- -c f", "", "-c f"},
		{"cmd f -c -- -c g", "c", "f -c g"},
		{"cmd - -c", "c", "-"},
		{"cmd -Dx f", "D=x", "f"},
		{"cmd -cD x f", "c D=x", "f"},
		{"cmd -D -c f", "D=-c", "f"},
		{"cmd -D", "?-D", ""},
		{"cmd -x f", "?-x", "f"},
		{"cmd -xc f", "?cmd c", "f"},
		{"cmd f -xc g", "?f c", "f g"},
		{"cmd --data x f", "D=x", "f"},
		{"cmd --data=x f", "D=x", "f"},
		{"cmd --data= f", "D=", "f"},
		{"cmd --data", "?--data", ""},
		{"cmd --da x f", "D=x", "f"},
		{"cmd --archive 3", "a=3", ""},
		{"cmd --archive- 3", "i=3", ""},
		{"cmd --arch 3", "?--arch", "3"},
		{"cmd --cu f", "c", "f"},
		{"cmd --cur=1 f", "?--cur=1", "f"},
		{"cmd --no f", "?--no", "f"},
		{"cmd --nor f", "r", "f"},
		{"cmd f --bogus g", "?--bogus", "f g"},
	} {
		g := newGetopt(strings.Fields(tt.argv), "cD:", long)
		var got []string
		for c := g.next(); c != optEnd; c = g.next() {
			switch {
			case c == optBad:
				got = append(got, "?"+g.bad())
			case c == 'c' || c == 'n' || c == 'r':
				got = append(got, string(c))
			default:
				got = append(got, string(c)+"="+g.arg)
			}
		}
		if text := strings.Join(got, " "); text != tt.want {
			t.Errorf("%s: options %q, want %q", tt.argv, text, tt.want)
		}
		if others := strings.Join(g.others(), " "); others != tt.others {
			t.Errorf("%s: others %q, want %q", tt.argv, others, tt.others)
		}
	}
}

func FuzzGetopt(f *testing.F) {
	f.Add("cmd f -c --data x -- g")
	f.Fuzz(func(t *testing.T, line string) {
		argv := append([]string{"cmd"}, strings.Split(line, " ")...)
		g := newGetopt(argv, "cD:", []longOption{{"data", true, 'D'}, {"date", false, 'c'}})
		for steps := 0; g.next() != optEnd; steps++ {
			if steps > len(line)+1 {
				t.Fatalf("%q: no end", argv)
			}
		}
		// Nothing was lost or invented: the words were only moved.
		before, after := slices.Sorted(slices.Values(argv)), slices.Sorted(slices.Values(g.argv))
		if !slices.Equal(before, after) {
			t.Fatalf("%q became %q", argv, g.argv)
		}
		for _, other := range g.others() {
			if isOption(other) && !slices.Contains(argv, "--") {
				t.Fatalf("%q: %q is left", argv, other)
			}
		}
	})
}

func TestNumbers(t *testing.T) {
	for s, want := range map[string]int32{"3": 3, " 3x": 3, "abc": 0, "": 0, "-1": -1, "+7": 7, "--1": 0, "4294967297": 1} {
		if got := atoi(s); got != want {
			t.Errorf("atoi(%q) = %d, want %d", s, got, want)
		}
	}
	for s, want := range map[string]string{
		"0x200000401:0x2:0x0":       "[0x200000401:0x2:0x0]",
		"  [[0x1:07:9]x":            "[0x1:0x7:0x9]",
		"1:2:":                      "[0x1:0x2:0x0]",
		"::":                        "[0:0x0:0x0]",
		"0x:1:1":                    "invalid argument",
		"1:2":                       "invalid argument",
		"junk":                      "invalid argument",
		"":                          "invalid argument",
		"0x1:0x100000000:0x0":       "numerical result out of range",
		"0xffffffffffffffff:0x1:1":  "numerical result out of range",
		"99999999999999999999:0:0x": "numerical result out of range",
	} {
		fid, err := parseFID(s)
		got := fid.String()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("parseFID(%q) = %s, want %s", s, got, want)
		}
	}
}
