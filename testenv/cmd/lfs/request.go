package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
)

func sprintf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

var requestOptions = []longOption{
	{"archive", true, 'a'},
	{"data", true, 'D'},
	{"help", false, 'h'},
	{"filelist", true, 'l'},
	{"mntpath", true, 'm'},
}

// requestArgs is what a request command was asked for.
type requestArgs struct {
	archiveID int32
	data      string
	filelist  string
	byFID     bool // files are FIDs on mount
	mount     string
	files     []string
}

// hsmRequest sends all files in one request: more than fit in one fail.
func (l *lfs) hsmRequest(argv []string, action llapi.UserAction) int {
	if len(argv) < 2 {
		return help
	}
	a, ok := l.requestArgs(argv, action)
	if !ok {
		return help
	}
	if len(a.files) == 0 && a.filelist == "" {
		return 0 // lfs returns whatever errno is by then
	}
	if !l.load(argv[0]) {
		return 1
	}
	b := builder{lfs: l, byFID: a.byFID, someFile: a.mount, found: a.byFID}
	if rc := b.add(a); rc != 0 {
		return rc
	}
	return b.sendRequest(llapi.Request{
		Action: action, ArchiveID: uint32(a.archiveID), Items: b.fids, Data: []byte(a.data),
	})
}

func (l *lfs) requestArgs(argv []string, action llapi.UserAction) (a requestArgs, ok bool) {
	g := newGetopt(argv, "a:D:hl:m:", requestOptions)
	for {
		switch g.next() {
		case optEnd:
			a.files = g.others()
			return a, true
		case 'l':
			a.filelist = g.arg
		case 'D':
			a.data = g.arg
		case 'a':
			if action != llapi.UserArchive && action != llapi.UserRemove {
				l.errorf("error: -a is supported only when archiving or removing\n")
				return a, false
			}
			a.archiveID = atoi(g.arg)
		case 'm':
			if !a.byFID { // the first one counts
				a.byFID, a.mount = true, g.arg
			}
		case 'h':
			return a, false
		default:
			l.errorf("%s: unrecognized option '%s'\n", l.prog, g.bad())
			return a, false
		}
	}
}

// sendRequest sends r to the file system that someFile is on.
func (b *builder) sendRequest(r llapi.Request) int {
	path, err := realpath(b.someFile)
	if !b.found { // a file list with nothing in it
		b.someFile, err = "(null)", syscall.EINVAL
	}
	if err != nil {
		b.errorf("Could not find path '%s': %s\n", b.someFile, strerror(err))
	}
	if err := b.send(path, r); err != nil {
		b.errorf("Cannot send HSM request (use of %s): %s\n", b.someFile, strerror(err))
		return errnoOf(err)
	}
	return 0
}

// realpath returns the path without links, or as far as it goes.
func realpath(path string) (string, error) {
	if path == "" {
		return "", syscall.ENOENT
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return path, err
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real, nil
	}
	_, err = os.Stat(abs)
	return abs, err
}

// builder collects the FIDs of a request.
type builder struct {
	*lfs
	byFID    bool
	someFile string // by which the file system is found
	found    bool   // someFile is one
	device   uint64 // that all files must be on, once there is one
	fids     []llapi.FID
}

// add adds the files of the command line, then those of the list.
func (b *builder) add(a requestArgs) int {
	for _, file := range a.files {
		if rc := b.addFile(file); rc != 0 {
			return rc
		}
	}
	if a.filelist == "" {
		return 0
	}
	f, err := os.Open(a.filelist)
	if err != nil {
		b.errorf("Cannot read the file list %s: %s\n", a.filelist, strerror(err))
		return errnoOf(err)
	}
	defer f.Close()
	return b.addLines(f)
}

func (b *builder) addLines(r io.Reader) int {
	for in := bufio.NewReader(r); ; {
		line, err := in.ReadString('\n')
		if line != "" {
			if rc := b.addFile(strings.TrimSuffix(line, "\n")); rc != 0 {
				return rc
			}
		}
		if err != nil {
			return 0 // lfs takes an error for the end, too
		}
	}
}

func (b *builder) addFile(file string) int {
	if !b.found {
		b.someFile, b.found = file, true
	}
	fid, rc := b.fid(file)
	if rc == 0 {
		b.fids = append(b.fids, fid)
	}
	return rc
}

func (b *builder) fid(file string) (llapi.FID, int) {
	if b.byFID {
		fid, err := parseFID(file)
		if err != nil {
			b.errorf("hsm: '%s' is not a valid FID\n", file)
			return llapi.FID{}, errnoOf(err)
		}
		return fid, 0
	}
	if rc := b.checkFile(file); rc != 0 {
		return llapi.FID{}, rc
	}
	fid, err := b.fidOf(file)
	if err != nil {
		b.errorf("Cannot read FID of %s: %s\n", file, strerror(err))
		return llapi.FID{}, errnoOf(err)
	}
	return fid, 0
}

// checkFile refuses what cannot be archived, and files of two file systems.
func (b *builder) checkFile(file string) int {
	var st unix.Stat_t
	if err := unix.Lstat(file, &st); err != nil {
		b.errorf("Cannot stat %s: %s\n", file, strerror(err))
		return errnoOf(err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		b.errorf("error: \"%s\" is not a regular file\n", file)
		return help
	}
	if b.device != 0 && b.device != st.Dev {
		b.errorf("All files should be on the same filesystem: %s\n", file)
		return -int(syscall.EINVAL)
	}
	b.device = st.Dev
	return 0
}
