package copytool

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"lhsm-azblob/blobstore"
)

// A Journal is a local file in which an agent notes the actions that it has
// received, and those that have ended. What is open in it when a process starts
// are the actions of one that died, which [Agent.Serve] takes over.
//
// Records are written and not synced: what a process has written survives its
// death, whatever the kind. Only when the node itself goes down can the last
// seconds be lost, and then the coordinator's timeout takes care of them.
//
// A journal that cannot be written any more does not stop the work: it is said
// in the log, and the next record tries again.
type Journal struct {
	path string
	head []byte // its first record
	log  *slog.Logger

	mu        sync.Mutex // guards all below
	file      *os.File
	size      int64 // bytes of whole records
	live      openActions
	next      uint64 // number of the next entry
	failing   bool
	rewriteAt int64  // size from which it is worth to leave out what has ended
	rewriting bool   // somebody does that
	meanwhile []byte // what was appended since
}

// rewriteSlack is how much a journal may grow before it is rewritten: about
// 8,000 actions.
const rewriteSlack = 1 << 20

// OpenJournal opens the journal of a mount in a directory, which it makes if
// need be. Nobody else may have it open: see [LockMount]. Its errors name cause
// and remedy.
func OpenJournal(dir, fsname, mount string, log *slog.Logger) (*Journal, error) {
	j := newJournal(dir, fsname, mount, log)
	if err := j.open(dir); err != nil {
		return nil, fmt.Errorf("journal of actions: %w; name a directory on a local disk with --state-dir", err)
	}
	return j, nil
}

func newJournal(dir, fsname, mount string, log *slog.Logger) *Journal {
	return &Journal{
		path: filepath.Join(dir, fsname+url.PathEscape(mount)+".journal"), log: log,
		head: appendRecord(nil, &record{kind: recordHeader, fsname: fsname, mount: mount}),
		live: newOpenActions(), next: 1,
	}
}

func (j *Journal) open(dir string) error {
	if dir == "" {
		return errors.New("no directory is given")
	}
	if err := ownDir(dir, stateDirMode); err != nil {
		return err
	}
	content, err := os.ReadFile(j.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := j.replay(content); err != nil {
		return err
	}
	return j.rewrite() // which also shows that it can be written
}

// continueJournal opens the journal of a process that died to write behind what
// that one wrote: what a keeper does, who may have a millisecond.
func continueJournal(dir, fsname, mount string, log *slog.Logger) (*Journal, error) {
	j := newJournal(dir, fsname, mount, log)
	content, err := os.ReadFile(j.path)
	if err != nil {
		return nil, err
	}
	if j.size, err = j.replay(content); err != nil {
		return nil, err
	}
	if j.file, err = os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND, 0); err != nil {
		return nil, err
	}
	return j, j.file.Truncate(j.size)
}

// replay finds what is open, and how much of the content is whole. A torn tail is what a death leaves; a beginning that
// is not ours is a mistake.
func (j *Journal) replay(content []byte) (whole int64, err error) {
	at := 0
	for at < len(content) {
		r, size, err := decodeRecord(content[at:])
		if at == 0 && (err != nil || !slices.Equal(content[:size], j.head)) {
			return 0, fmt.Errorf("%s is not the journal of this mount; move it away", j.path)
		}
		if err != nil {
			j.log.Info("the end of the journal is torn, as after a crash", "journal", j.path, "bytes", len(content)-at)
			break
		}
		j.apply(&r, content[at:at+size])
		at += size
	}
	return int64(at), nil
}

func (j *Journal) apply(r *record, raw []byte) {
	j.live.apply(r, raw)
	if r.kind == recordReceived {
		j.next = max(j.next, r.entry+1)
	}
}

// orphans are the open actions, as tasks, in the order in which they came.
func (j *Journal) orphans() []*task {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.live.tasks()
}

// received notes the tasks of a list, in one write, and numbers them.
func (j *Journal) received(tasks []*task) {
	if j == nil || len(tasks) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []byte
	for _, t := range tasks {
		t.entry = j.next
		start := len(all)
		r := record{kind: recordReceived, entry: t.entry, archiveID: t.archiveID, flags: t.flags, received: t.received, item: t.item}
		all = appendRecord(all, &r)
		j.apply(&r, all[start:])
	}
	j.append(all)
}

// staged notes that the service has a block of an action's file.
func (j *Journal) staged(t *task, version uint64, block blobstore.StagedBlock) {
	if j == nil {
		return
	}
	r := record{kind: recordStaged, entry: t.entry, staged: stagedBlock{version, block}}
	raw := appendRecord(nil, &r)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.apply(&r, raw)
	j.append(raw)
}

// ended notes that there is nothing left to do for an action.
func (j *Journal) ended(t *task) {
	if j == nil {
		return
	}
	r := record{kind: recordEnded, entry: t.entry}
	j.mu.Lock()
	j.apply(&r, nil)
	j.append(appendRecord(nil, &r))
	worth := j.size >= j.rewriteAt && !j.rewriting
	j.rewriting = j.rewriting || worth
	j.mu.Unlock()
	if worth {
		if err := j.rewrite(); err != nil {
			j.log.Warn("rewrite the journal", "err", err)
		}
	}
}

// append writes records. What could be written only in part is taken back: it
// would hide what comes after it.
func (j *Journal) append(records []byte) {
	if j.rewriting {
		j.meanwhile = append(j.meanwhile, records...)
	}
	_, err := j.file.Write(records)
	if err == nil {
		j.size += int64(len(records))
		j.failing = false
		return
	}
	err = errors.Join(err, j.file.Truncate(j.size))
	if !j.failing {
		j.failing = true
		j.log.Error("the journal cannot be written; actions received now would wait for the coordinator's timeout after a crash", "err", err)
	}
}

// rewrite puts a file with only the open actions into the journal's place. Nobody
// who wants to append waits while it is written and synced.
func (j *Journal) rewrite() error {
	j.mu.Lock()
	j.rewriting, j.meanwhile = true, nil // ended has said so already
	open := make([]byte, 0, int64(len(j.head))+j.live.bytes)
	open = j.live.appendTo(append(open, j.head...))
	j.mu.Unlock()
	f, err := writeSynced(j.path+".new", open)

	j.mu.Lock()
	defer j.mu.Unlock()
	j.rewriting = false
	j.rewriteAt = 2*j.live.bytes + max(j.size, rewriteSlack) // if it fails; not at once again
	if err != nil {
		return err
	}
	if _, err = f.Write(j.meanwhile); err == nil {
		err = os.Rename(f.Name(), j.path)
	}
	if err != nil {
		f.Close()
		return err
	}
	if j.file != nil {
		j.file.Close()
	}
	j.file, j.size, j.meanwhile = f, int64(len(open)+len(j.meanwhile)), nil
	j.rewriteAt = 2*j.size + rewriteSlack
	return nil
}

// writeSynced makes a file with a content that is on the disk, open to append.
func writeSynced(path string, content []byte) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(content); err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Close closes the file. What is open in it is for the next process.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file.Close()
}
