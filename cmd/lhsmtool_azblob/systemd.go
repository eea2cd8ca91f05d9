package main

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"lhsm-azblob/copytool"
)

// statusInterval is how often the status line of systemctl is renewed.
const statusInterval = 10 * time.Second

// A notifier talks to systemd. Without it, it does nothing.
type notifier struct{ log *slog.Logger }

func newNotifier(log *slog.Logger) *notifier { return &notifier{log} }

func (n *notifier) say(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.log.Debug("notify systemd", "err", err)
	}
}

func (n *notifier) ready()    { n.say(daemon.SdNotifyReady) }
func (n *notifier) stopping() { n.say(daemon.SdNotifyStopping) }

// follow feeds the watchdog and the status line from the agent until stop is
// called. An agent whose scheduler hangs does not answer, and is restarted.
func (n *notifier) follow(agent *copytool.Agent) (stop func()) {
	interval := statusInterval
	if watchdog, err := daemon.SdWatchdogEnabled(false); err == nil && watchdog > 0 {
		interval = min(interval, watchdog/2)
	}
	done, ended := make(chan struct{}), sync.WaitGroup{}
	ended.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			n.say(daemon.SdNotifyWatchdog + "\nSTATUS=" + statusLine(agent.Status()))
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

func statusLine(st copytool.Status) string {
	word := "registering"
	switch {
	case st.Draining:
		word = "draining"
	case st.Serving:
		word = "serving"
	}
	return fmt.Sprintf("%s: archives %d running, %d waiting; restores %d, %d; removes %d, %d", word,
		st.Running["ARCHIVE"], st.Waiting["ARCHIVE"], st.Running["RESTORE"], st.Waiting["RESTORE"], st.Running["REMOVE"], st.Waiting["REMOVE"])
}
