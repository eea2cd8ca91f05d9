package copytool

import "lhsm-azblob/llapi"

// A fileLine is the actions on one file. One of them owns the file, since the
// coordinator sends two archives of one file at once, or a remove before the
// end of an archive; the others wait.
//
// A restore does not wait for an archive. If a file is released while an archive
// of it waits or runs, the archive's next read asks for a restore, and hangs in
// the kernel until that is done. So a restore is the guest of an archive, and
// goes before it where both wait.
type fileLine struct {
	owner, guest     *task
	restores, others fifo // what waits
}

// enter tells whether the task may run now. If not, it waits.
func (l *fileLine) enter(t *task) bool {
	restore := t.item.Action == llapi.ActionRestore
	switch {
	case l.owner == nil:
		l.owner = t
	case restore && l.guest == nil && l.owner.item.Action == llapi.ActionArchive:
		l.guest = t
	case restore:
		l.restores.push(t)
		return false
	default:
		l.others.push(t)
		return false
	}
	return true
}

// leave returns the task that may run on the file next, if there is one.
func (l *fileLine) leave(t *task) *task {
	if t == l.guest {
		l.guest = l.restores.pop()
		return l.guest
	}
	l.owner, l.guest = l.guest, nil
	if l.owner != nil {
		return nil // it runs already
	}
	if l.owner = l.restores.pop(); l.owner == nil {
		l.owner = l.others.pop()
	}
	return l.owner
}

func (l *fileLine) empty() bool { return l.owner == nil && l.guest == nil }
