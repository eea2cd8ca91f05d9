package copytool

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
)

// A Ref names a file for a metadata operation: by an open descriptor if there
// is one, which spares the server a look-up, else by FID.
type Ref struct {
	FID  llapi.FID
	File *os.File // may be nil
}

// Attr is what stat tells of a file.
type Attr struct {
	Size     int64 // bytes
	Mode     uint32
	UID, GID uint32
	Links    uint64
	Accessed time.Time
	Modified time.Time
	Changed  time.Time
}

// Namespace answers questions about names. None of them restores a file.
type Namespace interface {
	// Paths returns all names of the file, relative to the mount root. The
	// error is fs.ErrNotExist when none is left.
	Paths(fid llapi.FID) ([]string, error)
	// Stat is by FID, whatever the file's names.
	Stat(fid llapi.FID) (Attr, error)
	// StatDir is of a directory, by a path relative to the mount root. It follows
	// no symbolic link, at no place: whoever owns a directory on the way can put
	// one to somewhere else there.
	StatDir(path string) (Attr, error)
}

// SetMode says what an attribute that is set must have been before.
type SetMode int

// Modes of setting an attribute.
const (
	SetAny    SetMode = iota
	SetCreate         // it must not exist; the error is EEXIST
)

// Xattrs reads and writes extended attributes.
type Xattrs interface {
	List(r Ref) ([]string, error)
	// Get returns ENODATA where there is none.
	Get(r Ref, name string) ([]byte, error)
	// Set with a nil value removes the attribute; removing none is no error.
	Set(r Ref, name string, value []byte, mode SetMode) error
}

// Objects is about the data of files and where it lies.
type Objects interface {
	// DataVersion makes other clients write back what they hold, and returns
	// a number that changes whenever the data does.
	DataVersion(f *os.File) (uint64, error)
	// SetLayout stripes an empty file as lov, the bytes of a lustre.lov, says.
	SetLayout(f *os.File, lov []byte) error
	// Flags are the HSM flags of a file, as the metadata server has them.
	Flags(r Ref) (llapi.StateFlags, error)
	// SetFlags sets and clears HSM flags.
	SetFlags(fid llapi.FID, set, clr llapi.StateFlags) error
	// MDTIndex returns the index of the metadata target that holds the file.
	MDTIndex(fid llapi.FID) (int, error)
}

// Space tells how full the file system is.
type Space interface {
	// Free is how many bytes there is room for, on all targets together.
	Free() (int64, error)
}

// FileSystem is what the copytool needs of Lustre beside the coordinator.
type FileSystem interface {
	Namespace
	Xattrs
	Objects
	Space
}

// Receiver brings the actions of a registration.
type Receiver interface {
	// Peek waits for the next list, and leaves it where it is. ok is false where only
	// Recv can tell what comes.
	Peek(ctx context.Context) (list llapi.ActionList, ok bool)
	// Recv waits for the next list. EPROTO means a list was lost, go on.
	Recv(ctx context.Context) (llapi.ActionList, error)
}

// Registration is one with the coordinators.
type Registration interface {
	// Renew makes sure that the coordinators have not forgotten it, and disturbs
	// nothing. It can take as long as a metadata server is away.
	Renew() error
	// Unregister ends it at once; actions go on. It needs somebody in Recv, which
	// returns what is sent by then, and then llapi.ErrClosed.
	Unregister() error
	// Close waits for open actions, then frees what they needed.
	Close() error
}

// Coordinator takes the reports about actions.
type Coordinator interface {
	Begin(item llapi.ActionItem, mdtIndex, openFlags int) (Action, error)
	// Fail ends an action that was not begun.
	Fail(item llapi.ActionItem, flags llapi.EndFlags, errno syscall.Errno) error
	// ReportProgress tells that an extent was moved, or with length 0 only
	// that the action lives. ECANCELED asks to stop, ENOENT means forgotten.
	ReportProgress(item llapi.ActionItem, moved llapi.Extent) error
}

// Session is a registration and the reports about the actions it brings.
type Session interface {
	Receiver
	Registration
	Coordinator
}

// Action is an action that was begun. It must be ended, or abandoned, once.
type Action interface {
	// File returns a descriptor of the data, which the caller closes.
	File() (*os.File, error)
	End(moved llapi.Extent, flags llapi.EndFlags, errno syscall.Errno) error
	// Abandon ends it without a word to the coordinator. What File returned must be
	// closed before.
	Abandon()
}

// attrOf returns the attributes of an open file.
func attrOf(f *os.File) (Attr, error) {
	info, err := f.Stat()
	if err != nil {
		return Attr{}, err
	}
	return attrOfInfo(info)
}

// linksOf returns how many names an open file has. To ask for nothing else spares
// Lustre the question to each of the file's OSTs how large it is.
func linksOf(f *os.File) (uint32, error) {
	var st unix.Statx_t
	err := control(f, func(fd int) error { return unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_NLINK, &st) })
	return st.Nlink, err
}

func attrOfInfo(info os.FileInfo) (Attr, error) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Attr{}, fmt.Errorf("stat %s: %w", info.Name(), syscall.ENOSYS)
	}
	return Attr{
		Size: st.Size, Mode: st.Mode, UID: st.Uid, GID: st.Gid,
		Links:    uint64(st.Nlink), //nolint:unconvert // a uint32 on arm64
		Accessed: time.Unix(st.Atim.Unix()), Modified: time.Unix(st.Mtim.Unix()), Changed: time.Unix(st.Ctim.Unix()),
	}, nil
}
