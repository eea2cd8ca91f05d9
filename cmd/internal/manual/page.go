package manual

import (
	"fmt"
	"regexp"
	"strings"
)

// A Page is a manual page that is being written.
type Page struct {
	b     strings.Builder
	begun bool // the section has a paragraph: the next one is set apart
}

// A Head is what stands at the top and at the bottom of a page.
type Head struct {
	Name    string // of the program, or of the file
	Section int
	About   string // one line, as apropos shows it
	Date    string // YYYY-MM-DD; empty: none
	Version string
}

// New begins a page.
func New(h Head) *Page {
	p := &Page{}
	p.line(".TH %s %d %q %s", quote(strings.ToUpper(h.Name)), h.Section, h.Date, quote("lhsm-azblob "+h.Version))
	p.Section("Name")
	p.line(`%s \- %s`, Escape(h.Name), Escape(h.About))
	return p
}

// String is the page so far.
func (p *Page) String() string { return p.b.String() }

// paragraph sets what follows apart from what came before.
func (p *Page) paragraph() {
	if p.begun {
		p.line(".PP")
	}
	p.begun = true
}

func (p *Page) line(format string, args ...any) { fmt.Fprintf(&p.b, format+"\n", args...) }

// Section begins a section.
func (p *Page) Section(title string) {
	p.line(".SH %s", quote(strings.ToUpper(title)))
	p.begun = false
}

// Subsection begins a part of a section.
func (p *Page) Subsection(title string) {
	p.line(".SS %s", quote(title))
	p.begun = false
}

// Usage is how a command is called: words in capitals are what the user puts
// there.
func (p *Page) Usage(command, arguments string) {
	p.paragraph()
	p.line("%s", strings.TrimRight(`\fB`+Escape(command)+`\fR `+italics(arguments), " "))
}

// Text is paragraphs, with empty lines between them.
func (p *Page) Text(text string) {
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		p.paragraph()
		p.line("%s", Escape(strings.Join(strings.Fields(paragraph), " ")))
	}
}

// Item is a word, with what stands for its value if it has one, and what is to
// be said of it.
func (p *Page) Item(word, value, text string) {
	p.line(".TP")
	p.begun = true
	p.line("%s", strings.TrimRight(`\fB`+Escape(word)+`\fR `+italics(value), " "))
	p.line("%s", Escape(strings.Join(strings.Fields(text), " ")))
}

// Example is lines that are shown as they are.
func (p *Page) Example(lines string) {
	p.paragraph()
	p.line(".EX")
	for line := range strings.SplitSeq(strings.Trim(lines, "\n"), "\n") {
		p.line("%s", Escape(line))
	}
	p.line(".EE")
}

// escapes are the characters that mean something to roff, or that it would show
// as another one that nobody can paste into a shell.
var escapes = strings.NewReplacer(
	`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `"`, `\(dq`, `^`, `\(ha`, `~`, `\(ti`, "…", `\&.\|.\|.`,
)

// Escape makes one line of text that is shown as it is.
func Escape(text string) string {
	text = escapes.Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}

// quote makes an argument of a macro.
func quote(text string) string { return `"` + Escape(text) + `"` }

var placeholder = regexp.MustCompile(`[A-Z]+`)

// italics sets what the user replaces apart from the rest.
func italics(text string) string {
	var b strings.Builder
	end := 0
	for _, m := range placeholder.FindAllStringIndex(text, -1) {
		b.WriteString(Escape(text[end:m[0]]) + `\fI` + text[m[0]:m[1]] + `\fR`)
		end = m[1]
	}
	b.WriteString(Escape(text[end:]))
	return b.String()
}
