package service

import (
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// statusInterval is how often the status line of systemctl is renewed.
const statusInterval = 10 * time.Second

// A Notifier talks to systemd. Without it, it does nothing.
type Notifier struct{ log *slog.Logger }

// NewNotifier makes a notifier.
func NewNotifier(log *slog.Logger) *Notifier { return &Notifier{log} }

func (n *Notifier) say(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.log.Debug("notify systemd", "err", err)
	}
}

// Ready says that the service serves.
func (n *Notifier) Ready() { n.say(daemon.SdNotifyReady) }

// Reloading says that a changed configuration is being read. [Notifier.Ready] ends it.
// The time is for units of Type=notify-reload, which systemd has from 253 on.
func (n *Notifier) Reloading() {
	n.say(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// Stopping says that it is about to end.
func (n *Notifier) Stopping() { n.say(daemon.SdNotifyStopping) }

// Follow feeds the watchdog, and the status line when it changes, until stop is
// called. A service that hangs does not come back from status, and is restarted.
func (n *Notifier) Follow(status func() string) (stop func()) {
	interval := statusInterval
	if watchdog, err := daemon.SdWatchdogEnabled(false); err == nil && watchdog > 0 {
		interval = min(interval, watchdog/2)
	}
	done, ended := make(chan struct{}), sync.WaitGroup{}
	ended.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for last := ""; ; {
			state := daemon.SdNotifyWatchdog
			if now := status(); now != last {
				state, last = state+"\nSTATUS="+now, now
			}
			n.say(state)
			select {
			case <-done:
				return
			case <-ticker.C:
			}
		}
	})
	return func() {
		close(done)
		ended.Wait()
	}
}
