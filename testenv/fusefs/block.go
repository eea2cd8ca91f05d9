package fusefs

import (
	"context"
	"time"

	"lhsm-azblob/testenv/lioc"
)

// signalPoll is how often an interrupted caller is looked at again.
const signalPoll = 100 * time.Millisecond

// watchSignals calls stop when the thread tid has a signal that ends its wait.
//
// The kernel interrupts a request once, for any signal whatever, also for one
// that the thread handles or that only stops it; a Go program sends itself
// such signals all the time. So the interrupt only says "start looking".
func watchSignals(ctx context.Context, stop func(), cancel <-chan struct{}, tid uint32) {
	select {
	case <-ctx.Done():
		return
	case <-cancel:
	}
	tick := time.NewTicker(signalPoll)
	defer tick.Stop()
	for {
		s, err := lioc.ReadStatus(int(tid))
		if err != nil || s.GivesUp() {
			stop()
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
