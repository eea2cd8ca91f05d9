package service

import (
	"io"
	"log/slog"
)

// Level is the level that slog knows by this name.
func Level(name string) slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(name)); err != nil {
		return slog.LevelInfo // tables of options allow only levels that slog knows
	}
	return l
}

// Logger makes the log of a service. The level may change while it runs, where
// it is a [slog.LevelVar]. The format is "json" or "text". A warning or an error
// that repeats another one, word for word, is left out for a minute.
func Logger(w io.Writer, level slog.Leveler, format string) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if format == "json" {
		o.ReplaceAttr = readableTimes
		return slog.New(newQuiet(slog.NewJSONHandler(w, o)))
	}
	return slog.New(newQuiet(slog.NewTextHandler(w, o)))
}

// readableTimes writes 5m0s where JSON would have a number of nanoseconds.
func readableTimes(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
