package service

import (
	"io"
	"log/slog"
)

// Logger makes the log of a service. The level is one that slog knows by name,
// the format "json" or "text".
func Logger(w io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo // tables of options allow only levels that slog knows
	}
	o := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
