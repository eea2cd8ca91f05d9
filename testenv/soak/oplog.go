package soak

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// An opLog has a line for everything that was done, by whom and with what
// result: what one needs to understand a mismatch.
type opLog struct {
	mu sync.Mutex // guards f
	f  *os.File
}

func newOpLog(path string) (*opLog, error) {
	f, err := os.Create(path)
	return &opLog{f: f}, err
}

func (l *opLog) add(who, what string, err error) {
	result := "ok"
	if err != nil {
		result = err.Error()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// Times are UTC, as in the logs of the copytools on a machine that is set so.
	fmt.Fprintf(l.f, "%s %s: %s: %s\n", time.Now().Format("15:04:05.000"), who, what, result)
}

func (l *opLog) close() {
	if l != nil && l.f != nil {
		l.f.Close()
	}
}
