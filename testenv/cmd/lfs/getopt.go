package main

import "strings"

// getopt takes options out of an argument list as glibc's getopt_long does,
// with what users of it rely on: options may follow other arguments, which are
// moved behind them; long ones may be shortened; "--" ends them.
type getopt struct {
	argv  []string
	short string // letters, each followed by ":" if it takes an argument
	long  []longOption

	optind int    // of the next argument to look at
	arg    string // argument of the option that next returned
	rest   string // letters left of a group like "-rw"

	// argv[first:last] are other arguments that were passed over.
	first, last int
}

type longOption struct {
	name   string
	hasArg bool
	val    byte
}

// Results of next besides the options' letters.
const (
	optEnd = 0   // no more options; argv[optind:] are the other arguments
	optBad = '?' // unknown, ambiguous, or without its argument
)

func newGetopt(argv []string, short string, long []longOption) *getopt {
	return &getopt{argv: append([]string(nil), argv...), short: short, long: long, optind: 1, first: 1, last: 1}
}

// bad is how lfs names the argument that made next return optBad. Within a
// group of letters that is the one before it.
func (g *getopt) bad() string { return g.argv[g.optind-1] }

// others returns what is left once next returned optEnd.
func (g *getopt) others() []string { return g.argv[g.optind:] }

func (g *getopt) next() byte {
	g.arg = ""
	if g.rest == "" {
		if !g.advance() {
			return optEnd
		}
		word := g.argv[g.optind]
		if g.long != nil && strings.HasPrefix(word, "--") {
			return g.nextLong(word[2:])
		}
		g.rest = word[1:]
	}
	return g.nextShort()
}

// advance moves to the next argument that is an option.
func (g *getopt) advance() bool {
	g.permute()
	for g.optind < len(g.argv) && !isOption(g.argv[g.optind]) {
		g.optind++
	}
	g.last = g.optind
	if g.optind < len(g.argv) && g.argv[g.optind] == "--" {
		g.optind++
		g.permute()
		g.last, g.optind = len(g.argv), len(g.argv)
	}
	if g.optind < len(g.argv) {
		return true
	}
	if g.first != g.last {
		g.optind = g.first
	}
	return false
}

func isOption(word string) bool { return len(word) > 1 && word[0] == '-' }

// permute moves the other arguments behind the options that followed them.
func (g *getopt) permute() {
	switch {
	case g.first == g.last:
		g.first = g.optind
	case g.last != g.optind:
		others := append([]string(nil), g.argv[g.first:g.last]...)
		n := copy(g.argv[g.first:], g.argv[g.last:g.optind])
		copy(g.argv[g.first+n:], others)
		g.first += n
	}
	g.last = g.optind
}

func (g *getopt) nextShort() byte {
	letter := g.rest[0]
	g.rest = g.rest[1:]
	if g.rest == "" {
		g.optind++
	}
	at := strings.IndexByte(g.short, letter)
	if letter == ':' || at < 0 {
		return optBad
	}
	if !strings.HasPrefix(g.short[at+1:], ":") {
		return letter
	}
	if g.rest != "" {
		g.arg, g.rest = g.rest, ""
		g.optind++
		return letter
	}
	return g.takeArg(letter)
}

func (g *getopt) nextLong(word string) byte {
	g.optind++
	name, value, hasValue := strings.Cut(word, "=")
	option, ok := g.findLong(name)
	switch {
	case !ok, hasValue && !option.hasArg:
		return optBad
	case hasValue:
		g.arg = value
		return option.val
	case !option.hasArg:
		return option.val
	}
	return g.takeArg(option.val)
}

// takeArg makes the next word the option's argument, whatever it looks like.
func (g *getopt) takeArg(letter byte) byte {
	if g.optind >= len(g.argv) {
		return optBad
	}
	g.arg = g.argv[g.optind]
	g.optind++
	return letter
}

// findLong finds an option by its name or by a beginning that means only one
// thing.
func (g *getopt) findLong(name string) (longOption, bool) {
	var found longOption
	matches := 0
	for _, o := range g.long {
		if o.name == name {
			return o, true
		}
		if strings.HasPrefix(o.name, name) && (matches == 0 || o.val != found.val || o.hasArg != found.hasArg) {
			found = o
			matches++
		}
	}
	return found, matches == 1
}
