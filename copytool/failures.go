package copytool

import "sync"

// keptFailures is how many failures an agent remembers. All are in the log.
const keptFailures = 20

// failures are the last actions that ended badly.
type failures struct {
	mu   sync.Mutex // guards last
	last []FailedAction
}

func (f *failures) add(a FailedAction) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = append(f.last[max(0, len(f.last)+1-keptFailures):], a)
}

func (f *failures) newestFirst() []FailedAction {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]FailedAction, 0, len(f.last))
	for i := range f.last {
		list = append(list, f.last[len(f.last)-1-i])
	}
	return list
}
