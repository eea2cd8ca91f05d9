package jobs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lhsm-azblob/llapi"
)

// withdraw ends a job that was cancelled. The coordinator takes a cancel at once
// and hands it out later, like a request: not while running archives have all its
// slots, and not without a copytool. So the job does not wait for each to be
// gone. It gives what is ending a little time, counts what has been archived,
// and says what it had to leave.
func (x *export) withdraw(ctx context.Context) error {
	refused, err := x.cancelFlights()
	if err != nil {
		return err
	}
	if err := x.await(ctx); err != nil {
		return err
	}
	message := x.remaining(refused)
	var left []FileResult
	for _, f := range x.flights {
		o := outcome{flight: f, fate: workLeft, code: "Canceled"}
		left = append(left, o.result())
	}
	err = x.r.commit(ctx, func(_ tx, c *change) error {
		n := &c.counters
		n.FilesSubmitted += x.owed.files
		n.BytesSubmitted += x.owed.bytes
		n.FilesLeft = n.FilesFound - n.FilesSkipped - n.FilesExported - n.FilesFailed
		n.BytesLeft = n.BytesFound - n.BytesSkipped - n.BytesExported - n.BytesFailed
		c.results = left
		return nil
	})
	if err != nil {
		return err
	}
	code := Code("")
	if message != "" {
		code = CodeNotWithdrawn
	}
	return x.r.finish(ctx, Canceled, code, message)
}

// cancelFlights withdraws everything that was sent, and returns how much of it
// the coordinator did not take.
func (x *export) cancelFlights() (refused int, err error) {
	for call := range slices.Chunk(x.flights, llapi.MaxRequestItems) {
		r := llapi.Request{Action: llapi.UserCancel}
		for _, f := range call {
			r.Items = append(r.Items, f.fid)
		}
		if err := x.cdt.Request(r); lostMount(err) {
			return refused, err
		} else if err != nil && !gone(err) {
			refused += len(call)
			x.r.m.log.Warn("withdraw requests", "job", x.r.id, "files", len(call), "err", err)
		}
	}
	return refused, nil
}

// await looks at everything that was sent, at least once, until nothing is left
// or the time is up. Only the state of files counts now: one whose archive has
// failed is left, as those that were never begun.
func (x *export) await(ctx context.Context) error {
	for end := time.Now().Add(x.tune.grace); len(x.flights) > 0; {
		outcomes, err := lookAt(slices.Clone(x.flights), x.lookAtState)
		if err != nil {
			return err
		}
		if err := x.settle(ctx, outcomes); err != nil {
			return err
		}
		if time.Now().After(end) || !pause(ctx, min(x.tune.grace/10, 300*time.Millisecond)) {
			return ctx.Err()
		}
	}
	return nil
}

// sampleFlights is how many of the flights that are left the coordinator is asked about.
const sampleFlights = 20

// remaining asks about some of what is left, and says in one sentence what of it
// the coordinator still has; "" if nothing.
func (x *export) remaining(refused int) string {
	if refused > 0 {
		return fmt.Sprintf("the coordinator did not take the cancel of %d requests; they may still be carried out", refused)
	}
	asked, there := 0, 0
	for end := time.Now().Add(time.Second); asked < min(len(x.flights), sampleFlights) && time.Now().Before(end); asked++ {
		f := x.flights[asked*len(x.flights)/min(len(x.flights), sampleFlights)]
		if a, err := x.cdt.Action(f.fid); err == nil && a.Action == llapi.UserArchive {
			there++
		}
	}
	if there == 0 {
		return ""
	}
	return fmt.Sprintf("of %d requests that were withdrawn %d in %d asked about are still with the coordinator: it hands out a cancel when a slot (mdt.*.hsm.max_requests) "+
		"is free and a copytool serves the archive id; until then what runs goes on and what waits stays", len(x.flights), there, asked)
}
