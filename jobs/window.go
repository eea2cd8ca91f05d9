package jobs

import "time"

// A window is how many requests the coordinator may have from a job at once. It
// begins with one, and finds by itself the number that keeps the copytools busy
// and no more: requests cost the metadata server time, each with the length of
// its queue, and a queue that is long cannot be withdrawn quickly.
//
// The measure is the youngest request. If that runs already, nothing is queued,
// and the window doubles. If it waits, there is a queue, and the window
// is steered to what the coordinator completes within queueTime.
type window struct {
	size float64
	max  float64
}

// Constants of the window.
const (
	queueTime  = 5 * time.Second
	leastQueue = 16 // requests, however slow they are
)

func newWindow(limit int) window { return window{size: 1, max: float64(limit)} }

// room is how many more requests there may be.
func (w *window) room(unfinished int) int { return max(int(w.size)-unfinished, 0) }

// adjust is called from time to time while the window was full. waiting says that
// the youngest request is not running yet; rate is completions per second.
func (w *window) adjust(waiting bool, rate float64) {
	target := rate*queueTime.Seconds() + leastQueue
	switch {
	case !waiting:
		w.size *= 2
	case w.size < target:
		w.size = min(w.size*1.25+1, target)
	case w.size > 2*target:
		w.size = max(w.size*0.9, target)
	}
	w.size = min(max(w.size, 1), w.max)
}

// shrink answers a coordinator that refuses.
func (w *window) shrink() { w.size = max(w.size/2, 1) }
