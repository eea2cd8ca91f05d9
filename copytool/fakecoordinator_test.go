package copytool

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"

	"lhsm-azblob/llapi"
)

func (l *fakeLustre) newSession([]uint32) (Session, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.register != nil {
		if err := l.register(); err != nil {
			return nil, err
		}
	}
	s := &fakeSession{fakeLustre: l, gone: make(chan struct{})}
	l.sessions = append(l.sessions, s)
	return s, nil
}

// item makes an action that nobody has been sent yet.
func (l *fakeLustre) item(action llapi.Action, fid llapi.FID) llapi.ActionItem {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cookie++
	it := llapi.ActionItem{Action: action, FID: fid, DFID: fid, Extent: llapi.WholeFile, Cookie: l.cookie}
	l.ended[key{it.Cookie, fid}] = make(chan syscall.Errno, 1)
	return it
}

func (l *fakeLustre) send(items ...llapi.ActionItem) { l.sendFlags(0, items...) }

func (l *fakeLustre) sendFlags(flags llapi.RequestFlags, items ...llapi.ActionItem) {
	l.lists <- llapi.ActionList{FSName: l.fsname, ArchiveID: 1, Flags: flags, Items: items}
}

// wait returns what the action ended with.
func (l *fakeLustre) wait(it llapi.ActionItem) syscall.Errno {
	l.mu.Lock()
	ch := l.ended[key{it.Cookie, it.FID}]
	l.mu.Unlock()
	return <-ch
}

// do sends one action and waits for its end.
func (l *fakeLustre) do(action llapi.Action, fid llapi.FID) syscall.Errno {
	it := l.item(action, fid)
	l.send(it)
	return l.wait(it)
}

// refuseEnds lets the coordinator not take the action's end: with ESHUTDOWN not even
// that it failed.
func (l *fakeLustre) refuseEnds(it llapi.ActionItem, errno syscall.Errno) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endError[key{it.Cookie, it.FID}] = &llapi.Error{Func: "end", Errno: errno}
}

func (l *fakeLustre) takeEnds(it llapi.ActionItem) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.endError, key{it.Cookie, it.FID})
}

// end is the only way out of the coordinator; a second one is a bug.
func (l *fakeLustre) end(it llapi.ActionItem, errno syscall.Errno) {
	l.over[key{it.Cookie, it.FID}] = true
	select {
	case l.ended[key{it.Cookie, it.FID}] <- errno:
	default:
		l.t.Errorf("%s of %s with cookie %d ended twice, or was never sent", it.Action, it.FID, it.Cookie)
	}
}

type fakeSession struct {
	*fakeLustre
	once   sync.Once
	gone   chan struct{}
	closed bool // guarded by mu
	open   sync.WaitGroup
	next   *arrival // seen, and not taken; the receive loop's own
}

// An arrival is what Recv returns.
type arrival struct {
	list llapi.ActionList
	err  error
}

func (s *fakeSession) Peek(ctx context.Context) (llapi.ActionList, bool) {
	list, err := s.Recv(ctx)
	s.next = &arrival{list, err}
	return list, err == nil
}

func (s *fakeSession) Recv(ctx context.Context) (llapi.ActionList, error) {
	if a := s.next; a != nil {
		s.next = nil
		return a.list, a.err
	}
	select {
	case <-s.gone:
		return llapi.ActionList{}, llapi.ErrClosed
	default:
	}
	select {
	case <-ctx.Done():
		return llapi.ActionList{}, ctx.Err()
	case <-s.gone:
		return llapi.ActionList{}, llapi.ErrClosed
	case err := <-s.fails:
		return llapi.ActionList{}, err
	case list := <-s.lists:
		return list, nil
	}
}

func (s *fakeSession) Renew() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renewals++
	if s.renew != nil {
		return s.renew()
	}
	return nil
}

func (s *fakeSession) Unregister() error {
	s.once.Do(func() {
		if s.ending != nil {
			s.ending()
		}
		close(s.gone)
	})
	return nil
}

func (s *fakeSession) Close() error {
	_ = s.Unregister()
	s.open.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

func (s *fakeSession) Begin(it llapi.ActionItem, _, flags int) (Action, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, llapi.ErrClosed
	}
	a := &fakeAction{s: s, item: it}
	f := s.files[it.FID]
	switch {
	case it.Action == llapi.ActionRemove:
	case f == nil:
		return nil, &llapi.Error{Func: "begin", Errno: syscall.ENOENT}
	case errors.Is(s.answer[key{it.Cookie, it.FID}], syscall.ENOENT):
		return nil, &llapi.Error{Func: "begin", Errno: syscall.ENOENT}
	case errors.Is(s.answer[key{it.Cookie, it.FID}], syscall.ECANCELED):
		return nil, &llapi.Error{Func: "begin", Errno: syscall.ECANCELED}
	case it.Action == llapi.ActionArchive:
		a.file, a.version = f, f.version
	case it.Action == llapi.ActionRestore:
		a.file = s.newFile()
		s.put(a.file, "")
		s.begun++
		if flags&llapi.OpenDelayCreate == 0 {
			a.file.layout = s.usual
		}
	}
	s.open.Add(1)
	return a, nil
}

func (s *fakeSession) Fail(it llapi.ActionItem, _ llapi.EndFlags, errno syscall.Errno) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return llapi.ErrClosed
	}
	if errno == 0 {
		s.t.Error("Fail with errno 0")
	}
	if err := s.endError[key{it.Cookie, it.FID}]; errors.Is(err, syscall.ESHUTDOWN) {
		return err
	}
	s.fakeLustre.end(it, errno)
	return nil
}

func (s *fakeSession) ReportProgress(it llapi.ActionItem, e llapi.Extent) error {
	if s.onReport != nil {
		s.onReport(it)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{it.Cookie, it.FID}
	if s.over[k] && s.answer[k] == nil {
		return &llapi.Error{Func: "progress", Errno: syscall.ENOENT}
	}
	s.progress[k] = append(s.progress[k], e)
	return s.answer[k]
}

type fakeAction struct {
	s       *fakeSession
	item    llapi.ActionItem
	file    *fakeFile
	version uint64
}

func (a *fakeAction) File() (*os.File, error) {
	if a.item.Action == llapi.ActionRestore {
		return os.OpenFile(a.file.data, os.O_RDWR, 0)
	}
	return os.Open(a.file.data)
}

func (a *fakeAction) Abandon() {
	if info, err := os.Stat(a.file.data); err != nil || info.Size() != 0 {
		a.s.t.Errorf("a file is abandoned with the space that it has taken; stat: %v", err)
	}
	a.s.open.Done()
}

func (a *fakeAction) End(_ llapi.Extent, _ llapi.EndFlags, errno syscall.Errno) error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	defer a.s.open.Done()
	if err := a.s.endError[key{a.item.Cookie, a.item.FID}]; err != nil {
		switch {
		case errors.Is(err, syscall.ENOENT):
			a.s.end(a.item, errno)
		case errors.Is(err, syscall.EOPNOTSUPP):
			a.s.end(a.item, syscall.EOPNOTSUPP)
		} // else the coordinator has not heard of it
		return err
	}
	f := a.s.files[a.item.FID]
	if errno == 0 && a.item.Action == llapi.ActionArchive && f != nil {
		if f.version != a.version {
			a.s.end(a.item, syscall.EBUSY)
			return &llapi.Error{Func: "end", Errno: syscall.EBUSY}
		}
		f.archived = true
		f.xattrs["trusted.hsm"] = hsmAttr(f.flags()&^llapi.HSDirty | llapi.HSExists | llapi.HSArchived)
	}
	if a.item.Action == llapi.ActionRestore {
		delete(a.s.files, a.file.fid)
		if errno == 0 && f != nil {
			f.data, f.version, f.layout = a.file.data, a.file.version, a.file.layout
			f.xattrs["trusted.hsm"] = hsmAttr(llapi.HSExists | llapi.HSArchived)
		}
	}
	a.s.end(a.item, errno)
	return nil
}
