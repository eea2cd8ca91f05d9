package jobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
)

// A looker decides for each file of a batch whether it has to go.
type looker struct {
	archive uint32 // of the Spec
	dryRun  bool
	again   bool // a file may be met a second time by the same name
	// known tells of a file that needs no archive whether the job has it already:
	// only after a restart, when it may be one that the job itself has archived. Else nil.
	known func(context.Context, llapi.FID) (bool, error)
}

// A sighting is what a look at some files found.
type sighting struct {
	works   []work       // files with a row of their own
	reasons []Reason     // beside works: why one of status workSkipped needs no archive
	results []FileResult // beside works: of those that are accounted for already
	skipped map[Reason]tally
}

// A tally is a number of files and their bytes.
type tally struct{ files, bytes int64 }

func (s *sighting) skip(why Reason, size int64) {
	if s.skipped == nil {
		s.skipped = map[Reason]tally{}
	}
	t := s.skipped[why]
	s.skipped[why] = tally{t.files + 1, t.bytes + size}
}

func (s *sighting) add(w work, why Reason, r FileResult) {
	s.works = append(s.works, w)
	s.reasons = append(s.reasons, why)
	s.results = append(s.results, r)
}

// fail adds a file, or directory, that is given up.
func (s *sighting) fail(w work, code Code, message string) {
	w.status = workFailed
	s.add(w, "", resultOf(&w, StatusFailed, code, message))
}

// look looks at a batch. The error ends the scan.
func (l *looker) look(ctx context.Context, b *batch) (sighting, error) {
	var s sighting
	for i := range b.files {
		e := &b.files[i]
		err := l.file(ctx, b, e, &s)
		switch {
		case err == nil:
		case lostMount(err), errors.Is(err, errFull), ctx.Err() != nil:
			return s, err
		case gone(err) && b.listed:
			s.fail(work{path: b.path(e)}, CodePathNotFound, errNoFile.Error())
		case gone(err): // since the directory was listed; nobody will miss it
		default:
			s.fail(work{path: b.path(e)}, codeOfErrno(err), err.Error())
		}
	}
	return s, nil
}

func (l *looker) file(ctx context.Context, b *batch, e *entry, s *sighting) error {
	if e.typ != unix.DT_REG && (e.typ != unix.DT_UNKNOWN || !isRegular(b.dir.fd(), e.name)) {
		s.skip(SkipNotRegular, 0)
		return nil
	}
	fd, err := openToAsk(b.dir.fd(), e.name)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	state, err := llapi.GetStateFD(fd)
	if err != nil {
		return err
	}
	// The open has brought what the metadata server knows of the size into the client's
	// cache, where statx finds it without asking the object servers.
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_SIZE|unix.STATX_NLINK, &st); err != nil {
		return err
	}
	why, size := skipReason(state.Flags), int64(st.Size)
	again := l.again || st.Nlink > 1
	if why != "" && !again && l.known == nil {
		s.skip(why, size) // by far the most frequent; it costs nothing more
		return nil
	}
	w := work{path: b.path(e), size: size, archive: state.ArchiveID, flags: state.Flags}
	if w.fid, err = llapi.FDToFID(fd); err != nil {
		return err
	}
	if why == "" {
		l.wanted(w, state, st.Attributes, s)
		return nil
	}
	return l.unwanted(ctx, w, why, again, s)
}

// unwanted finds the place of a file that needs no archive.
func (l *looker) unwanted(ctx context.Context, w work, why Reason, again bool, s *sighting) error {
	if !again {
		known, err := l.known(ctx, w.fid)
		if err != nil {
			return errors.Join(errFull, err)
		}
		if !known {
			s.skip(why, w.size)
		}
		return nil
	}
	w.status = workSkipped
	s.add(w, why, FileResult{})
	return nil
}

// wanted finds the place of a file that needs an archive. attributes are those of statx.
func (l *looker) wanted(w work, state llapi.State, attributes uint64, s *sighting) {
	refused, frozen := conflict(state, l.archive), llapi.FrozenReason(attributes)
	switch {
	case refused != "":
		s.fail(w, CodeArchiveConflict, refused)
	case frozen != "":
		s.fail(w, CodePermissionDenied, frozen)
	case l.dryRun:
		w.status = workListed
		s.add(w, "", resultOf(&w, StatusWouldExport, "", ""))
	default:
		s.add(w, "", FileResult{})
	}
}

// resultOf makes the line of a report.
func resultOf(w *work, status Status, code Code, message string) FileResult {
	r := FileResult{
		Path: w.path, Status: status, ErrorCode: code, Message: message,
		Size: w.size, Attempts: w.attempts, Time: time.Now().UTC(),
	}
	if !w.fid.IsZero() {
		r.FID = w.fid.String()
	}
	return r
}

// shorten takes the path out of an error: ours name descriptors, which mean
// nothing to a reader of the report.
func shorten(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%s: %w", p.Op, p.Err)
	}
	return err
}

// codeOfErrno names an error of Lustre.
func codeOfErrno(err error) Code {
	switch {
	case errors.Is(err, errNoMatch), errors.Is(err, errNoFile):
		return CodePathNotFound
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.ENOKEY):
		return CodePermissionDenied
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOTTY):
		return CodeHsmDisabled
	}
	return CodeLustreError
}

// errNoFile is the failure of a listed file.
var errNoFile = errors.New("there is no such file")
