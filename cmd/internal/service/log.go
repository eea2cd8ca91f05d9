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
// it is a [slog.LevelVar]. The format is "json" or "text".
func Logger(w io.Writer, level slog.Leveler, format string) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
