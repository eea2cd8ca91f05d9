package copytool

import (
	"context"
	"errors"
	"time"

	"lhsm-azblob/llapi"
)

// keepRegistered renews the registration every so often, and at once when a report
// hints that a coordinator has been restarted. One that has forgotten this mount
// tells nobody, and then no action comes any more: an agent that waits in vain
// looks like one that has nothing to do. A renewal can block while a metadata
// server is away, so nothing else waits for it.
func (a *Agent) keepRegistered(ctx context.Context) {
	wait, failed := a.o.RenewInterval, false
	for a.untilRenewal(ctx, wait, failed) {
		err := a.withSession(Session.Renew)
		switch {
		case err == nil:
			if failed {
				a.serving.Store(true)
				a.log.Info("the registration is renewed")
				a.sched.wakeAll() // whose ends could not be told
			}
			wait, failed = a.o.RenewInterval, false
		case errors.Is(err, llapi.ErrClosed):
			// The receive loop is registering anew, or has stopped.
			wait, failed = a.o.RenewInterval, false
		default:
			if !failed {
				wait = minBackoff / 2
			}
			wait, failed = min(2*wait, maxBackoff, a.o.RenewInterval), true
			a.serving.Store(false)
			a.metrics.receiveErrors.Inc()
			a.log.Warn("nothing may come from the coordinator", "err", err, "next_try", wait)
		}
	}
}

// untilRenewal waits, and reports false at the end of ctx. Doubts cut the wait
// short, but for one that follows a failure.
func (a *Agent) untilRenewal(ctx context.Context, wait time.Duration, failed bool) bool {
	doubt := a.doubt
	if failed {
		doubt = nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-doubt:
	}
	return ctx.Err() == nil
}

// doubtRegistration is said by who has met a coordinator that was restarted, or
// may have been.
func (a *Agent) doubtRegistration() {
	select {
	case a.doubt <- struct{}{}:
	default:
	}
}
