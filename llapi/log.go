package llapi

// #include "shim.h"
import "C"

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"syscall"
)

// Levels of liblustreapi's messages (enum llapi_message_level).
const (
	msgError   = 2
	msgWarn    = 3
	msgInfo    = 5
	msgMask    = 7    // the level itself
	msgNoErrno = 0x10 // the error number is not worth printing
)

var logger atomic.Pointer[slog.Logger]

// SetLogger sends the library's messages to l, with the attribute "errno" when
// they carry an error. Without it, or with nil, they go where the library
// sends them: errors to stderr, the rest to stdout. Messages can come from any
// goroutine that is inside a function of the library.
//
// Implements:
//
//	llapi_log_callback_t llapi_error_callback_set(llapi_log_callback_t cb);
//	llapi_log_callback_t llapi_info_callback_set(llapi_log_callback_t cb);
func SetLogger(l *slog.Logger) {
	loadMu.Lock()
	defer loadMu.Unlock()
	logger.Store(l)
	if loaded.Load() {
		applyLogger()
	}
}

// applyLogger makes the loaded library use or leave our callback. The caller
// holds loadMu.
func applyLogger() {
	if logger.Load() != nil {
		C.shim_log_to_go(1)
	} else {
		C.shim_log_to_go(0)
	}
}

// SetMessageLevel sets which messages the library writes: 0 none, 2 errors, 3
// warnings, 4 normal, 5 information, 6 debug, 7 all, which is where it starts.
//
// Implements:
//
//	void llapi_msg_set_level(int level);
func SetMessageLevel(level int) error {
	if err := Load(); err != nil {
		return err
	}
	C.shim_msg_level(C.int(level))
	return nil
}

//export llapiLogMessage
func llapiLogMessage(level, errno C.int, text *C.char) {
	logMessage(logger.Load(), int(level), int(errno), C.GoString(text))
}

func logMessage(l *slog.Logger, level, errno int, text string) {
	if l == nil {
		return // taken away between the library's call and here
	}
	var attrs []slog.Attr
	if errno != 0 && level&msgNoErrno == 0 {
		attrs = append(attrs, slog.String("errno", syscall.Errno(errno).Error()))
	}
	l.LogAttrs(context.Background(), slogLevel(level), "liblustreapi: "+strings.TrimSpace(text), attrs...)
}

func slogLevel(level int) slog.Level {
	switch level &= msgMask; {
	case level <= msgError:
		return slog.LevelError
	case level == msgWarn:
		return slog.LevelWarn
	case level <= msgInfo:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}
