package main

import (
	"testing"
	"time"

	"lhsm-azblob/blobstore"
	"lhsm-azblob/copytool"
)

func TestStatusLine(t *testing.T) {
	const idle = "serving: archives 0 running, 0 waiting; restores 0, 0; removes 0, 0"
	serving := copytool.Status{Serving: true}
	for want, c := range map[string]condition{
		"registering: archives 0 running, 0 waiting; restores 0, 0; removes 0, 0": {},
		idle: {Status: serving, rate: 1000, expires: true, expiry: 8 * 24 * time.Hour},
		"draining: archives 3 running, 700 waiting; restores 1, 2; removes 0, 4; 1.5 GiB/s": {
			Status: copytool.Status{
				Draining: true, Running: map[string]int{"ARCHIVE": 3, "RESTORE": 1}, Waiting: map[string]int{"ARCHIVE": 700, "RESTORE": 2, "REMOVE": 4},
			},
			rate: 3 << 29,
		},
		idle + "; 0.5 MiB/s; 7 held back, since Lustre is full": {Status: copytool.Status{Serving: true, Parked: 7}, rate: 1 << 19},
		idle + "; the SAS ends in 3 days":                       {Status: serving, expires: true, expiry: 80 * time.Hour},
		idle + "; the SAS ends in 5 hours":                      {Status: serving, expires: true, expiry: 5*time.Hour + time.Minute},
		idle + "; the SAS ends in 90 minutes":                   {Status: serving, expires: true, expiry: 90 * time.Minute},
		idle + "; THE SAS HAS EXPIRED":                          {Status: serving, expires: true, expiry: -time.Second},
		idle + "; THE ACCOUNT REFUSES THE CREDENTIAL; the last reload was refused, see the log": {
			Status: copytool.Status{Serving: true, CredentialRefused: true}, rejected: true,
		},
	} {
		if got := statusLine(c); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func TestMeter(t *testing.T) {
	m, passed, now := meter{}, copytool.NewMetrics(), time.Now()
	passed.ObserveRequest(blobstore.RequestEvent{Sent: 1 << 30})
	if got := m.rate(passed.Moved(), now); got != 0 {
		t.Errorf("rate at first: %g", got)
	}
	passed.ObserveRequest(blobstore.RequestEvent{Sent: 1000, Received: 3000})
	for i, want := range []float64{400, 0} {
		if got := m.rate(passed.Moved(), now.Add(time.Duration(i+1)*10*time.Second)); got != want {
			t.Errorf("rate %d: %g, want %g", i, got, want)
		}
	}
}
