package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/cmd/internal/severity"
)

// run runs checks and returns the findings by name.
func run(t *testing.T, checks []Check) map[string]Finding {
	t.Helper()
	found := map[string]Finding{}
	Run(t.Context(), checks, func(f Finding) { found[f.Check] = f })
	if len(found) != len(checks) {
		t.Errorf("%d findings of %d checks", len(found), len(checks))
	}
	return found
}

// TestRunKeepsOrder: what a check needs is known before it runs; it is not run in
// vain; and what only has to be waited for need not be well.
func TestRunKeepsOrder(t *testing.T) {
	var ran []string // the checks of this test run one after the other
	row := func(name string, res result, needs, after []string) Check {
		return Check{Subject: "s", Name: name, needs: needs, after: after, advice: "advice", run: func(context.Context) result {
			ran = append(ran, name)
			return res
		}}
	}
	found := run(t, []Check{
		row("last", okf("fine"), nil, []string{"vain"}),
		row("vain", okf("fine"), []string{"bad"}, nil),
		row("below", okf("fine"), []string{"vain"}, nil),
		row("bad", failf("", "broken"), []string{"good"}, nil),
		row("good", warnf("mend", "fair"), nil, nil),
	})
	if want := []string{"good", "bad", "last"}; !slices.Equal(ran, want) {
		t.Errorf("ran %q, want %q", ran, want)
	}
	for name, want := range map[string]severity.Level{"good": severity.Warning, "bad": severity.Failure, "vain": severity.Note, "below": severity.Note, "last": severity.OK} {
		if found[name].Level != want {
			t.Errorf("%s: %+v, want %v", name, found[name], want)
		}
	}
	if found["good"].Mend != "mend" || found["bad"].Mend != "advice" || found["vain"].Seen != "not looked at: first mend bad" {
		t.Errorf("findings are %+v", found)
	}
}

// TestRunGivesUp: a check that hangs in a system call does not notice that its
// time is over; one that does may say what it waited for.
func TestRunGivesUp(t *testing.T) {
	forever := make(chan struct{})
	defer close(forever)
	found := run(t, []Check{
		{Subject: "s", Name: "dead", limit: time.Millisecond, advice: "advice", run: func(context.Context) result {
			<-forever
			return okf("fine")
		}},
		{Subject: "s", Name: "slow", limit: time.Millisecond, notice: time.Minute, run: func(ctx context.Context) result {
			<-ctx.Done()
			return warnf("", "slow")
		}},
		{Subject: "s", Name: "behind", needs: []string{"dead"}, run: func(context.Context) result { return okf("fine") }},
	})
	if f := found["dead"]; f.Level != severity.Failure || f.Seen != "no answer in 1ms: it hangs" || f.Mend != "advice" {
		t.Errorf("dead: %+v", f)
	}
	if f := found["slow"]; f.Level != severity.Warning || f.Seen != "slow" {
		t.Errorf("slow: %+v", f)
	}
	if f := found["behind"]; f.Level != severity.Note {
		t.Errorf("behind: %+v", f)
	}
}

func TestFailedSplitsRemedies(t *testing.T) {
	for _, tt := range []struct {
		err        error
		seen, mend string
	}{
		{errors.New("a; b; c"), "a; b", "c"},
		{errors.New("a"), "a", ""},
		{&blobstore.Error{Op: "list", Err: errors.New("no; really"), Hint: "do this"}, "list: no; really", "do this"},
	} {
		if got := failed(tt.err); got != (result{severity.Failure, tt.seen, tt.mend}) {
			t.Errorf("%v: got %+v", tt.err, got)
		}
	}
}

// TestChecksAreWellFormed: each needs what there is, nothing needs itself in the
// end, each that can fail has advice, and names are names.
func TestChecksAreWellFormed(t *testing.T) {
	checks := Checks(Options{Archives: []Archive{{IDs: []uint32{1, 3}}, {IDs: []uint32{0}}}})
	known := map[string]bool{}
	for _, c := range checks {
		if known[c.key()] || strings.Trim(c.Name, "abcdefghijklmnopqrstuvwxyz-") != "" {
			t.Errorf("check %q", c.key())
		}
		known[c.key()] = true
	}
	for _, c := range checks {
		for _, name := range append(c.needs, c.after...) {
			if !known[c.address(name)] {
				t.Errorf("%s needs %s, which is none", c.key(), name)
			}
		}
	}
	for i := range checks { // all end: none waits in a circle
		checks[i].run = func(context.Context) result { return okf("fine") }
	}
	n := 0
	Run(t.Context(), checks, func(Finding) { n++ })
	if n != len(checks) || !known["archive 1,3/reach"] || !known["archive any/reach"] {
		t.Errorf("%d findings of %d; %v", n, len(checks), known)
	}
}
