package copytool

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lhsm-azblob/llapi"
)

// A keeper is a process that holds the other end of an agent's life: the pipe in
// which actions come, and the lock of the mount. When the agent dies, it writes
// what nobody has read into the journal and ends. The coordinator sends an action
// once, and what lies in a pipe dies with its last reader; and a process with
// gigabytes of buffers lives on for a while, deaf, after it has been killed.
type keeper struct {
	process *exec.Cmd
	alive   *os.File // closed by our death, or by stop
}

// KeeperCommand is the first argument of a process that is a keeper: its main
// calls [RunKeeper] and nothing else.
const KeeperCommand = "keep-unread-actions"

// Descriptors of a keeper.
const (
	keeperPipe  = 3 + iota // where actions come
	keeperAlive            // ends with the agent
	keeperLock             // of the mount
)

// released is what an agent says that needs its keeper no more.
const released = 'q'

// Keep makes registrations of the mount outlive this process, for as long as it
// takes to note what was sent to it in the journal in dir.
func (m *Mount) Keep(lock *MountLock, dir string, log *slog.Logger) {
	m.startKeeper = func(ct *llapi.Copytool, archiveIDs []uint32) *keeper {
		k, err := startKeeper(ct, lock, []string{KeeperCommand, dir, m.FSName, m.Root, joinIDs(archiveIDs)})
		if err != nil {
			log.Warn("nobody keeps unread actions; after a crash they would wait for the coordinator's timeout", "err", err)
		}
		return k
	}
}

func startKeeper(ct *llapi.Copytool, lock *MountLock, args []string) (*keeper, error) {
	pipe, err := ct.Pipe()
	if err != nil {
		return nil, err
	}
	defer pipe.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := exec.Command("/proc/self/exe", args...) //nolint:noctx // it outlives every context, and ends by itself
	cmd.Stderr = os.Stderr
	cmd.Env = keeperEnvironment(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what kills the group of the one spares the other
	cmd.ExtraFiles = []*os.File{pipe, r, lock.file}
	llapi.KeepFromChildren()
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, fmt.Errorf("start a keeper: %w", err)
	}
	return &keeper{cmd, w}, ct.Unblock() // handing a file to a child makes it block, also for us
}

// keeperEnvironment leaves a keeper only what Go's runtime reads. It needs no
// secret, and variables can hold some.
func keeperEnvironment(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(assignment string) bool {
		name, _, _ := strings.Cut(assignment, "=")
		return !slices.Contains([]string{"GODEBUG", "GORACE", "GOTRACEBACK"}, name)
	})
}

// stop ends a keeper that is not needed any more. One that has ended already, for
// whatever reason, is no harm by now.
func (k *keeper) stop() {
	if k == nil {
		return
	}
	_, _ = k.alive.Write([]byte{released})
	_ = k.alive.Close()
	_ = k.process.Wait()
}

func joinIDs(ids []uint32) string {
	var texts []string
	for _, id := range ids {
		texts = append(texts, strconv.FormatUint(uint64(id), 10))
	}
	return strings.Join(texts, ",")
}

func splitIDs(text string) (ids []uint32) {
	for t := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' }) {
		if id, err := strconv.ParseUint(t, 10, 32); err == nil {
			ids = append(ids, uint32(id))
		}
	}
	return ids
}

// RunKeeper is the whole life of a keeper: args are what follows [KeeperCommand].
// Its error is one line.
func RunKeeper(args []string, log *slog.Logger) error {
	if len(args) != 4 {
		return errors.New("keeper: started by something that is no copytool")
	}
	dir, fsname, mount, ids := args[0], args[1], args[2], splitIDs(args[3])
	alive := os.NewFile(keeperAlive, "agent")
	if last, err := io.ReadAll(alive); err != nil || len(last) > 0 {
		return err
	}
	lists, err := llapi.DrainPipe(keeperPipe)
	if err != nil {
		log.Warn("read what was sent to the process that died", "err", err)
	}
	tasks := keptTasks(lists, fsname, ids)
	if len(tasks) == 0 {
		return nil
	}
	j, err := continueJournal(dir, fsname, mount, log)
	if err != nil {
		return err
	}
	j.received(tasks)
	log.Info("kept actions that the process which died had not read", "actions", len(tasks))
	return j.Close()
}

// keptTasks are the actions that an agent with these archive ids would have taken.
// CANCELs need no keeping: the coordinator tells whoever asks about their target.
func keptTasks(lists []llapi.ActionList, fsname string, ids []uint32) (tasks []*task) {
	for _, list := range lists {
		if list.FSName != fsname || len(ids) > 0 && !slices.Contains(ids, list.ArchiveID) {
			continue
		}
		for _, item := range list.Items {
			if item.Action != llapi.ActionCancel {
				tasks = append(tasks, newTask(item, &list, time.Now()))
			}
		}
	}
	return tasks
}
