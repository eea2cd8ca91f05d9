package llapi

import (
	"log/slog"
	"strings"
	"testing"
)

func TestLogMessage(t *testing.T) {
	for _, tt := range []struct {
		level, errno int
		want         string
	}{
		{2, 2, `level=ERROR msg="liblustreapi: text" errno="no such file or directory"`},
		{2 | msgNoErrno, 2, `level=ERROR msg="liblustreapi: text"`},
		{1, 0, `level=ERROR msg="liblustreapi: text"`},
		{3, 0, `level=WARN msg="liblustreapi: text"`},
		{4, 0, `level=INFO msg="liblustreapi: text"`},
		{6, 0, `level=DEBUG msg="liblustreapi: text"`},
	} {
		var out strings.Builder
		options := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}
		logMessage(slog.New(slog.NewTextHandler(&out, options)), tt.level, tt.errno, "text\n")
		if got := out.String(); got != tt.want+"\n" {
			t.Errorf("level %#x, errno %d: %s", tt.level, tt.errno, got)
		}
	}
	logMessage(nil, 2, 0, "a message after SetLogger(nil) has nowhere to go")
}
