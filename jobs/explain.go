package jobs

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
)

// Explain tells what is known about a file: what Lustre thinks of it, which blob is
// its copy, what is done with it now, what went wrong last, and what the next
// job would do and why. It changes nothing and asks nobody but Lustre.
//
// Errors: *InvalidError for a path that is not in the file system, or is not there.
func (m *Manager) Explain(_ context.Context, file string) (Explanation, error) {
	clean, problem := cleanPath(file, m.o.Mount)
	if problem != "" {
		return Explanation{}, &InvalidError{"path", fmt.Sprintf("%q %s", file, problem)}
	}
	fs, err := openMount(m.o.Mount)
	if err != nil {
		return Explanation{}, err
	}
	defer fs.close()
	parent, name := path.Split(path.Clean(clean))
	dir, err := fs.openDir(parent)
	if err != nil {
		return Explanation{}, explainError(clean, err)
	}
	defer dir.release()
	if name == "" {
		name = "."
	}
	e := Explanation{Path: path.Clean(clean)}
	if err := e.read(fs, dir, name); err != nil {
		return Explanation{}, explainError(clean, err)
	}
	return e, nil
}

func explainError(path string, err error) error {
	if gone(err) || errors.Is(err, unix.ENOTDIR) {
		return &InvalidError{"path", fmt.Sprintf("%q is not there", path)}
	}
	return fmt.Errorf("explain %s: %w", path, shorten(err))
}

// read fills in what is on the file, or why it is none.
func (e *Explanation) read(fs *mount, dir *openDir, name string) error {
	f, mode, err := readFile(dir.fd(), name)
	if err != nil {
		return err
	}
	e.Size, e.Action, e.Flags = f.Size, llapi.UserNone.String(), []string{}
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		e.Why = "it is a directory; a job takes the files in it"
		return nil
	default:
		e.Why = "it is not a regular file, and Lustre HSM archives no others"
		return nil
	}
	e.FID = f.FID.String()
	e.describe(f.State)
	if err := e.readNotes(&f); err != nil {
		return err
	}
	action, err := fs.Action(f.FID)
	if err != nil {
		return err
	}
	e.Action = actionText(action)
	if e.WouldArchive && action.Action == llapi.UserArchive {
		e.Why += "; somebody has asked for it already"
	}
	return nil
}

// StateText is a HSM state as lfs hsm_state prints it.
func StateText(state llapi.State) string {
	text := strings.TrimSuffix(fmt.Sprintf("(0x%08x) %s", uint32(state.Flags), state.Flags), " ")
	if state.ArchiveID != 0 {
		text += fmt.Sprintf(", archive_id:%d", state.ArchiveID)
	}
	return text
}

// describe says what a HSM state means for the next job.
func (e *Explanation) describe(state llapi.State) {
	e.State, e.ArchiveID = StateText(state), state.ArchiveID
	e.Flags = strings.Fields(state.Flags.String())
	switch why := skipReason(state.Flags); why {
	case "":
		e.WouldArchive = true
		e.Why = whyArchive(state.Flags)
	default:
		e.Why = skipTexts[why]
	}
}

// skipTexts say why a file needs no archive.
var skipTexts = map[Reason]string{
	SkipNeverArchive: "the flag never_archive is set on it; lfs hsm_clear --noarchive takes it away",
	SkipReleased:     "its data are in the archive only; there is nothing in Lustre to send",
	SkipArchived:     "it is archived and has not changed since",
}

func whyArchive(flags llapi.StateFlags) string {
	switch {
	case flags&llapi.HSLost != 0:
		return "the archive has lost its copy, and the data are still in Lustre"
	case flags&llapi.HSArchived != 0:
		return "it has changed since it was archived"
	case flags&llapi.HSExists != 0:
		return "it is new: an archive was begun, and none has ended well"
	}
	return "it is new: it was never archived"
}

// readNotes reads what a copytool has left on the file.
func (e *Explanation) readNotes(f *File) error {
	b, err := f.Xattr(identityXattr)
	if err != nil {
		return err
	}
	if id, err := parseIdentity(b); err == nil {
		e.Copy = &id
	}
	if b, err = f.Xattr(errorXattr); err != nil {
		return err
	}
	if last, err := parseLastError(b); err == nil {
		e.LastError = &last
	}
	return nil
}

// actionText is what lfs hsm_action prints after the path.
func actionText(a llapi.CurrentAction) string {
	switch {
	case a.Action == llapi.UserNone:
		return a.Action.String()
	case a.State == llapi.ProgressRunning:
		return fmt.Sprintf("%s %s (%d bytes moved)", a.Action, a.State, a.Location.Length)
	}
	return fmt.Sprintf("%s %s", a.Action, a.State)
}
