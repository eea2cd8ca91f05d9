package main

import (
	"fmt"
	"strings"
	"time"

	"lhsm-azblob/copytool"
)

// A meter measures how fast bytes pass to and from Blob storage. It is one reader's alone.
type meter struct {
	before int64 // what the last reading found
	at     time.Time
}

// rate is the bytes per second since the last reading, of those that have moved so far.
func (m *meter) rate(moved int64, now time.Time) float64 {
	span, rate := now.Sub(m.at).Seconds(), 0.0
	if !m.at.IsZero() && span > 0 {
		rate = float64(moved-m.before) / span
	}
	m.before, m.at = moved, now
	return rate
}

// A condition is what systemctl status shows of.
type condition struct {
	copytool.Status
	rate     float64       // bytes per second
	expiry   time.Duration // until the first SAS ends
	expires  bool          // one does
	rejected bool          // the last reload was
}

// leastRate is the rate from which on it is worth a word: requests without a file's
// bytes move some, too.
const leastRate = 100 << 10

// statusLine is what systemctl status shows: first what goes on, then what is wrong.
func statusLine(c condition) string {
	word := "registering"
	switch {
	case c.Draining:
		word = "draining"
	case c.Serving:
		word = "serving"
	}
	parts := []string{fmt.Sprintf("%s: archives %d running, %d waiting; restores %d, %d; removes %d, %d", word,
		c.Running["ARCHIVE"], c.Waiting["ARCHIVE"], c.Running["RESTORE"], c.Waiting["RESTORE"], c.Running["REMOVE"], c.Waiting["REMOVE"])}
	if c.rate >= leastRate {
		parts = append(parts, rateText(c.rate))
	}
	if c.Parked > 0 {
		parts = append(parts, fmt.Sprintf("%d held back, since Lustre is full", c.Parked))
	}
	switch {
	case c.CredentialRefused:
		parts = append(parts, "THE ACCOUNT REFUSES THE CREDENTIAL")
	case c.expires && c.expiry <= 0:
		parts = append(parts, "THE SAS HAS EXPIRED")
	case c.expires && c.expiry < expiryNotice:
		parts = append(parts, "the SAS ends in "+spanText(c.expiry))
	}
	if c.rejected {
		parts = append(parts, "the last reload was refused, see the log")
	}
	return strings.Join(parts, "; ")
}

func rateText(r float64) string {
	const gib = 1 << 30
	if r >= gib {
		return fmt.Sprintf("%.1f GiB/s", r/gib)
	}
	return fmt.Sprintf("%.1f MiB/s", r/(1<<20))
}

// spanText is coarse, so that the line does not change all the time.
func spanText(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return fmt.Sprintf("%d minutes", d/time.Minute)
}
