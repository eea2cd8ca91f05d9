package copytool

import "time"

// A CANCEL can arrive before its target does. It is remembered for so long, or
// until so many more have come.
const (
	earlyCancelAge = time.Minute
	maxEarly       = 10_000
)

// earlyCancels are the cancels whose target has not been seen. They are kept in
// two halves, the older of which is dropped when the newer is full or has aged: a
// flood of cancels costs no more for each than a few.
type earlyCancels struct {
	newer, older map[key]time.Time
	begun        time.Time // when newer was
}

func (e *earlyCancels) note(k key, now time.Time) {
	if e.newer == nil || len(e.newer) >= maxEarly/2 || now.Sub(e.begun) > earlyCancelAge {
		e.newer, e.older, e.begun = map[key]time.Time{}, e.newer, now
	}
	e.newer[k] = now
}

// take tells whether the action was cancelled before it was seen.
func (e *earlyCancels) take(k key, now time.Time) bool {
	for _, half := range []map[key]time.Time{e.newer, e.older} {
		if seen, ok := half[k]; ok {
			delete(half, k)
			return now.Sub(seen) <= earlyCancelAge
		}
	}
	return false
}
