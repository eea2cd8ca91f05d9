package copytool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"lhsm-azblob/llapi"
)

// fakeLustre is a file system with its coordinator, in memory but for the data
// of files, which handlers want to have descriptors of. It keeps what Lustre
// promises: data versions, one end per action, the look at the version at the
// end of an archive, released files, volatile files.
type fakeLustre struct {
	t      *testing.T
	dir    string
	fsname string
	lists  chan llapi.ActionList
	fails  chan error // what Recv returns instead of a list

	mu       sync.Mutex // guards all below
	files    map[llapi.FID]*fakeFile
	dirs     map[string]Attr
	next     uint32
	version  uint64
	cookie   uint64
	ended    map[key]chan syscall.Errno // of every action sent
	over     map[key]bool               // the coordinator knows them no more
	progress map[key][]llapi.Extent
	answer   map[key]error // to progress
	endError map[key]error
	sessions []*fakeSession
	register func() error // may refuse a registration
	renew    func() error // may refuse a renewal
	ending   func()       // what happens while a registration ends
	renewals int
	stats    int // of files that there are
	begun    int // restores
	free     int64
	refuse   func(lov []byte) error  // a layout
	shrink   func(lov []byte) []byte // what is made of a layout
	usual    []byte                  // layout of files that get none by SetLayout
	onSet    func(fid llapi.FID, name string)
	onReport func(it llapi.ActionItem) // of progress
}

type fakeFile struct {
	fid      llapi.FID
	data     string // path of its data
	names    []string
	version  uint64
	xattrs   map[string][]byte
	archived bool
	layout   []byte // set by SetLayout; of volatile files
	untold   bool   // the client does not know it yet
}

func newFakeLustre(t *testing.T) *fakeLustre {
	return &fakeLustre{
		t: t, dir: t.TempDir(), fsname: "lustre", lists: make(chan llapi.ActionList, 100), fails: make(chan error),
		files: map[llapi.FID]*fakeFile{}, dirs: map[string]Attr{}, version: 1000, cookie: 100,
		ended: map[key]chan syscall.Errno{}, over: map[key]bool{}, progress: map[key][]llapi.Extent{}, answer: map[key]error{}, endError: map[key]error{},
	}
}

// Files.

func (l *fakeLustre) write(path, content string) llapi.FID {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.newFile()
	f.names = []string{path}
	for dir := filepath.Dir(path); dir != "."; dir = filepath.Dir(dir) {
		if _, ok := l.dirs[dir]; !ok {
			l.dirs[dir] = Attr{Mode: 0o40755, UID: 10, GID: 20}
		}
	}
	l.put(f, content)
	return f.fid
}

func (l *fakeLustre) newFile() *fakeFile {
	l.next++
	fid := llapi.FID{Seq: 0x200000401, OID: l.next}
	f := &fakeFile{fid: fid, data: filepath.Join(l.dir, fid.Bare()), xattrs: map[string][]byte{}}
	l.files[fid] = f
	return f
}

func (l *fakeLustre) put(f *fakeFile, content string) {
	l.version++
	f.version = l.version
	if err := os.WriteFile(f.data, []byte(content), 0o644); err != nil {
		l.t.Error(err)
	}
}

// scribble writes into all files without a name, as a part of a download does.
func (l *fakeLustre) scribble() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.files {
		if f.names == nil {
			l.put(f, "a part")
		}
	}
}

func (l *fakeLustre) change(fid llapi.FID, content string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(l.files[fid], content)
}

func (l *fakeLustre) rename(fid llapi.FID, names ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.files[fid].names = names
}

func (l *fakeLustre) unlink(fid llapi.FID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := os.Remove(l.files[fid].data); err != nil {
		l.t.Error(err)
	}
	delete(l.files, fid)
}

// release keeps the size and drops the data.
func (l *fakeLustre) release(fid llapi.FID) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.files[fid]
	if !f.archived {
		l.t.Fatalf("release of %s, which is not archived", fid)
	}
	info, err := os.Stat(f.data)
	if err != nil {
		l.t.Fatal(err)
	}
	l.put(f, string(make([]byte, info.Size())))
	f.xattrs["trusted.hsm"] = hsmAttr(llapi.HSExists | llapi.HSArchived | llapi.HSReleased)
}

// hsmAttr is a trusted.hsm with flags and nothing else.
func hsmAttr(flags llapi.StateFlags) []byte {
	return binary.LittleEndian.AppendUint32(make([]byte, 4, 24), uint32(flags))[:24]
}

func (l *fakeLustre) content(fid llapi.FID) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, err := os.ReadFile(l.files[fid].data)
	if err != nil {
		l.t.Error(err)
	}
	return string(b)
}

func (l *fakeLustre) xattr(fid llapi.FID, name string) ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, ok := l.files[fid].xattrs[name]
	return v, ok
}

func (l *fakeLustre) setXattr(fid llapi.FID, name, value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.files[fid].xattrs[name] = []byte(value)
}

// record writes an identity as another mover does.
func (l *fakeLustre) record(fid llapi.FID, id *Identity) {
	l.t.Helper()
	if err := writeIdentity(l, Ref{FID: fid}, id, SetAny); err != nil {
		l.t.Error(err)
	}
}

func (l *fakeLustre) identity(fid llapi.FID) *Identity {
	l.t.Helper()
	id, err := readIdentity(l, Ref{FID: fid})
	if err != nil || id == nil {
		l.t.Fatalf("identity of %s: %v, %v", fid, id, err)
	}
	return id
}

// FileSystem.

func (l *fakeLustre) file(fid llapi.FID) (*fakeFile, error) {
	if f := l.files[fid]; f != nil {
		return f, nil
	}
	return nil, fmt.Errorf("%s: %w", fid, fs.ErrNotExist)
}

func (l *fakeLustre) Paths(fid llapi.FID) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, err := l.file(fid)
	if err != nil {
		return nil, err
	}
	return slices.Clone(f.names), nil
}

func (l *fakeLustre) Stat(fid llapi.FID) (Attr, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, err := l.file(fid)
	if err != nil {
		return Attr{}, err
	}
	l.stats++
	return lstat(f.data)
}

func (l *fakeLustre) StatDir(path string) (Attr, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	attr, ok := l.dirs[path]
	if !ok {
		return Attr{}, fs.ErrNotExist
	}
	return attr, nil
}

func (l *fakeLustre) List(r Ref) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, err := l.file(r.FID)
	if err != nil {
		return nil, err
	}
	return slices.Collect(maps.Keys(f.xattrs)), nil
}

func (l *fakeLustre) Get(r Ref, name string) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.File != nil && name == layoutXattr {
		if f := l.byData(r.File); f.names == nil || f.layout != nil {
			return f.toldLayout()
		}
	}
	f, err := l.file(r.FID)
	if err != nil {
		return nil, err
	}
	v, ok := f.xattrs[name]
	if !ok {
		return nil, syscall.ENODATA
	}
	return bytes.Clone(v), nil
}

func (f *fakeFile) toldLayout() ([]byte, error) {
	if f.layout == nil || f.untold {
		return nil, syscall.ENODATA
	}
	return bytes.Clone(f.layout), nil
}

func (l *fakeLustre) Set(r Ref, name string, value []byte, mode SetMode) error {
	if l.onSet != nil {
		l.onSet(r.FID, name)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f, err := l.file(r.FID)
	if err != nil {
		return err
	}
	if _, ok := f.xattrs[name]; ok && mode == SetCreate {
		return syscall.EEXIST
	}
	if value == nil {
		delete(f.xattrs, name)
		return nil
	}
	f.xattrs[name] = bytes.Clone(value)
	return nil
}

func (l *fakeLustre) byData(f *os.File) *fakeFile {
	for _, file := range l.files {
		if file.data == f.Name() {
			return file
		}
	}
	return nil
}

func (l *fakeLustre) DataVersion(f *os.File) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if file := l.byData(f); file != nil {
		file.untold = false
		return file.version, nil
	}
	return 0, nil // unlinked
}

func (l *fakeLustre) SetLayout(f *os.File, lov []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		if err := l.refuse(lov); err != nil {
			return err
		}
	}
	if l.byData(f).layout != nil {
		return syscall.EEXIST
	}
	if l.shrink != nil {
		lov = l.shrink(lov)
	}
	l.byData(f).layout, l.byData(f).untold = lov, true
	return nil
}

func (l *fakeLustre) Free() (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.free, nil
}

func (l *fakeLustre) Flags(r Ref) (llapi.StateFlags, error) {
	b, err := l.Get(r, "trusted.hsm")
	if errors.Is(err, syscall.ENODATA) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	attr, err := llapi.DecodeHSMAttr(b)
	return attr.Flags, err
}

func (l *fakeLustre) SetFlags(fid llapi.FID, set, clr llapi.StateFlags) error {
	if l.onSet != nil {
		l.onSet(fid, "trusted.hsm")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f, err := l.file(fid)
	if err != nil {
		return err
	}
	f.xattrs["trusted.hsm"] = hsmAttr(f.flags()&^clr | set)
	return nil
}

func (f *fakeFile) flags() llapi.StateFlags {
	attr, err := llapi.DecodeHSMAttr(f.xattrs["trusted.hsm"])
	if err != nil {
		return 0
	}
	return attr.Flags
}

func (l *fakeLustre) MDTIndex(llapi.FID) (int, error) { return 0, nil }
