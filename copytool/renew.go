package copytool

import (
	"context"
	"errors"
	"syscall"
	"time"

	"lhsm-azblob/llapi"
)

// keepRegistered renews the registration when no action has come for a while, and at
// once when an answer hints that a coordinator has been restarted. One that has
// forgotten this mount tells nobody, and then no action comes any more: an agent that
// waits in vain looks like one that has nothing to do. A renewal can block while a
// metadata server is away, so nothing else waits for it.
//
// Where actions come, none is made: with several metadata servers of which one has its
// coordinator stopped, a renewal takes the mount off the lists of the others.
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
			a.heard.Store(time.Now().UnixNano())
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

// untilRenewal waits, and reports false at the end of ctx. What comes meanwhile makes
// the wait longer, and doubts cut it short, but for one that follows a failure.
func (a *Agent) untilRenewal(ctx context.Context, wait time.Duration, failed bool) bool {
	doubt := a.doubt
	if failed {
		doubt = nil
	}
	for wait > 0 {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-doubt:
			timer.Stop()
			return true
		case <-timer.C:
		}
		if wait = 0; !failed {
			wait = a.o.RenewInterval - time.Since(time.Unix(0, a.heard.Load()))
		}
	}
	return true
}

// answered draws from what became of a report what it says about the registration. A
// coordinator that does not know an action was restarted. One that is stopped, or
// away, may have forgotten its agents when it answers again; a renewal before that
// would fail.
func (a *Agent) answered(t *task, err error) {
	switch {
	case errors.Is(err, syscall.ENOENT):
		a.doubtRegistration()
	case isAnswer(err):
		if t.away.Swap(false) {
			a.doubtRegistration()
		}
	default:
		t.away.Store(true)
	}
}

// isAnswer tells a coordinator's answer from a failure to get one.
func isAnswer(err error) bool {
	return err == nil || errors.Is(err, syscall.ECANCELED) || errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EINVAL)
}

// doubtRegistration is said by who has met a coordinator that was restarted.
func (a *Agent) doubtRegistration() {
	select {
	case a.doubt <- struct{}{}:
	default:
	}
}
