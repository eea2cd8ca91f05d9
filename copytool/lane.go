package copytool

// largeFile is the size from which a file is kept away from the slots that are
// reserved for small ones. A small one is through in about a second.
const largeFile = 64 << 20

// Names of lanes: those of the actions in them.
const (
	opArchive = "ARCHIVE"
	opRestore = "RESTORE"
	opRemove  = "REMOVE"
)

// A lane is the tasks of one kind, and how many of them may run. All fields are
// guarded by the scheduler's mu.
type lane struct {
	name  string
	limit int
	// largeLimit is how many of limit large files may take. Where it is limit
	// itself, nobody asks how large a file is.
	largeLimit int
	// perFile: one at a time on each file.
	perFile bool

	// urgent goes first. What waits in large was found to be large when its
	// turn came, so it has waited for longer than anything in normal.
	urgent, large, normal fifo

	waiting      int // in a queue, for another action on the same file, or resting
	resting      int // their end was not taken
	running      int
	largeRunning int
	parked       int // run without a slot; see scheduler.park
}

// newLane makes a lane that asks how large files are.
func newLane(name string, limit int) *lane {
	l := &lane{name: name, perFile: true}
	l.setLimit(limit)
	return l
}

// setLimit reserves a quarter of the slots for small files.
func (l *lane) setLimit(limit int) { l.limit, l.largeLimit = limit, limit-limit/4 }

func (l *lane) sizes() bool { return l.largeLimit < l.limit }

// takesUnsized tells whether a task may start before anybody knows how large its
// file is: its own first look will tell, and until then it counts as large. That
// spares a request to the server for each file. Half the share of the large ones is
// kept for those that are.
func (l *lane) takesUnsized() bool { return l.sizes() && l.largeRunning < l.largeLimit/2 }

// add queues a task that is in no queue.
func (l *lane) add(t *task) {
	t.lane = l
	l.waiting++
	switch {
	case t.urgent:
		l.urgent.push(t)
	case t.large:
		l.large.push(t)
	default:
		l.normal.push(t)
	}
}

// next takes the task that is to run now.
func (l *lane) next() *task {
	if t := l.urgent.pop(); t != nil {
		return t
	}
	if l.parked > 0 {
		return nil
	}
	if l.largeRunning < l.largeLimit {
		if t := l.large.pop(); t != nil {
			return t
		}
	}
	return l.normal.pop()
}

// admitLarge tells whether a file just found to be large may go on.
func (l *lane) admitLarge(t *task) bool {
	return t.urgent || l.largeRunning < l.largeLimit
}
