package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// A document is Markdown with places for what was measured:
//
//	<!-- hsmbench machine -->
//	anything, which is replaced
//	<!-- /hsmbench -->
//
// The word is machine, marks, or "cases" and a pattern as -cases has it.
var place = regexp.MustCompile(`(?s)(<!-- hsmbench ([^>]*?) -->\n).*?(<!-- /hsmbench -->)`)

// refresh puts the report into a document.
func (r *report) refresh(file string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text, err := r.fill(string(old))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

func (r *report) fill(text string) (string, error) {
	var err error
	found := false
	text = place.ReplaceAllStringFunc(text, func(old string) string {
		found = true
		part := place.FindStringSubmatch(old)
		content, perr := r.content(part[2])
		if perr != nil {
			err = perr
		}
		return part[1] + content + part[3]
	})
	if !found {
		return "", fmt.Errorf("there is no place for figures in it, such as <!-- hsmbench machine -->")
	}
	return text, err
}

func (r *report) content(what string) (string, error) {
	word, pattern, _ := strings.Cut(what, " ")
	switch word {
	case "machine":
		return r.machine(), nil
	case "marks":
		return "\n" + r.marks().markdown() + "\n", nil
	case "cases":
		return r.sections(pattern)
	}
	return "", fmt.Errorf("no place is called %q", what)
}

func (r *report) machine() string {
	m := r.Machine
	return fmt.Sprintf("\nMeasured on %s: %d cores of %s, Linux %s, %s; medians of so many rounds, and files of such a scale, as the command of each table says.\n\n",
		r.Date.Format("2 January 2006"), m.Cores, m.Processor, m.Kernel, m.Go)
}

// sections has a table for each case that a pattern names, with the command that
// makes it again.
func (r *report) sections(pattern string) (string, error) {
	var b strings.Builder
	for _, c := range r.Cases {
		ok, err := matches(pattern, c.Name)
		if err != nil {
			return "", fmt.Errorf("%q: %w", pattern, err)
		}
		if ok {
			fmt.Fprintf(&b, "\n**%s**. `make bench CASES=%s SCALE=%.4g ROUNDS=%d`\n\n%s", c.title(), c.Name, c.Scale, c.Rounds, c.table().markdown())
		}
	}
	if b.Len() == 0 {
		return "", fmt.Errorf("the report has no case %q", pattern)
	}
	return b.String() + "\n", nil
}
