package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lhsm-azblob/llapi"
	"lhsm-azblob/testenv"
)

// result is what a command line did.
type result struct {
	stdout, stderr string
	rc             int
}

func (r result) String() string { return fmt.Sprintf("out %q err %q rc %d", r.stdout, r.stderr, r.rc) }

// run runs a command line, its words separated by blanks, in a directory with
// f, g, dir, sym, fifo and some file lists; requests end in sent.
func run(t *testing.T, line string, sent *[]llapi.Request) result {
	t.Helper()
	return runIn(t, workDir(t), line, sent)
}

func workDir(t *testing.T) string {
	t.Helper()
	t.Setenv(llapi.LibraryVariable, testenv.Library(t))
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range map[string]string{
		"f": "x", "g": "y", "list": "f\ng\n", "empty": "", "uncut": "f\ng", "gap": "f\n\ng\n", "fids": "0x1:0x2:0x3\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{os.Mkdir("dir", 0o700), os.Symlink("f", "sym"), unix.Mkfifo("fifo", 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func runIn(t *testing.T, dir, line string, sent *[]llapi.Request) result {
	t.Helper()
	var stdout, stderr strings.Builder
	l := &lfs{
		prog: "lfs", stdout: &stdout, stderr: &stderr,
		fidOf: func(path string) (llapi.FID, error) {
			return llapi.FID{Seq: 1, OID: uint32(path[0])}, nil
		},
		send: func(path string, r llapi.Request) error {
			if sent == nil {
				return &llapi.Error{Func: "llapi_hsm_request", Errno: syscall.EPERM}
			}
			if want, _ := realpath(dir); !strings.HasPrefix(path, want) && path != "/tmp" {
				t.Errorf("sent to %s, want a path in %s", path, want)
			}
			*sent = append(*sent, r)
			return nil
		},
	}
	rc := l.run(append([]string{"lfs"}, strings.Fields(line)...))
	return result{stdout.String(), stderr.String(), rc}
}

const (
	archiveUsage = "Archive file to external storage.\nusage: hsm_archive [--filelist FILELIST] [--data DATA]\n\t\t     [--archive NUM] FILE\n"
	restoreUsage = "Restore file from external storage.\nusage: hsm_restore [--filelist FILELIST] [--data DATA] FILE\n"
	stateUsage   = "Display the HSM information for given files.\nusage: hsm_state FILE\n"
	actionUsage  = "Display current HSM request for given files.\nusage: hsm_action FILE\n"
	clearUsage   = "Clear HSM user flag on specified files.\nusage: hsm_clear [--norelease] [--noarchive] [--dirty] [--exists]\n\t\t   [--archived] [--lost] FILE\n"
	removeUsage  = "Remove file copy from external storage.\nusage: hsm_remove [--filelist FILELIST] [--data DATA]\n\t\t    [--archive NUM]\n" +
		"                  {FILE | --mntpath MOUNTPATH FID}\n\n" +
		"Note: To remove an archived copy of a file already deleted from a Lustre FS, --mntpath option and a list of FIDs must be specified\n"
	setUsage     = "Set HSM user flag on specified files.\nusage: hsm_set [--norelease] [--noarchive] [--dirty] [--exists]\n\t\t [--archived] [--lost] [--archive-id NUM] FILE\n"
	p2fUsage     = "Display the fid(s) for a given path(s).\nusage: path2fid [--parents] <path> ...\n"
	f2pUsage     = "Resolve the full path(s) for given FID(s). For a specific hardlink specify link number <linkno>.\nusage: fid2path [--print0|-0] [--print-fid|-f] [--print-link|-c] [--link|-l <linkno>] [--name|-n] <fsname|root> <fid>...\n"
	dvUsage      = "Display file data version or set the data version in the HSM xattr for a given path.\nusage: data_version [-n|-r|-w|-s] <path>\n"
	clUsage      = "Show the metadata changes on an MDT.\nusage: changelog <mdtname> [startrec [endrec]]\n"
	clearClUsage = "Indicate that old changelog records up to <endrec> are no longer of interest to consumer <id>, allowing the system to free up space.\nAn <endrec> of 0 means all records.\nusage: changelog_clear <mdtname> <id> <endrec>\n"
)

// The texts and exit statuses here were printed by the lfs of Lustre 2.17.0.
func TestMessages(t *testing.T) {
	for line, want := range map[string]result{
		"--version":        {"lfs 2.17.0\n", "", 0},
		"nothing":          {"", "lfs: 'nothing' is not a valid command. See 'lfs --list-commands'.\n", 1},
		"help hsm_archive": {"", "hsm_archive: " + archiveUsage, 0},

		"hsm_state":                          {stateUsage, "", 4},
		"hsm_state f":                        {"", "lfs hsm_state: get HSM state for 'f' failed: Inappropriate ioctl for device\n", 25},
		"hsm_state nofile f":                 {"", "lfs hsm_state: get HSM state for 'nofile' failed: No such file or directory\nlfs hsm_state: get HSM state for 'f' failed: Inappropriate ioctl for device\n", 2},
		"hsm_state --help":                   {"", "lfs hsm_state: get HSM state for '--help' failed: No such file or directory\n", 2},
		"hsm_action":                         {actionUsage, "", 4},
		"hsm_action dir":                     {"", "lfs hsm_action: get hsm action for 'dir' failed: Inappropriate ioctl for device\n", 25},
		"hsm_action -v":                      {"", "lfs hsm_action: get hsm action for '-v' failed: No such file or directory\n", 2},
		"hsm_archive":                        {archiveUsage, "", 4},
		"hsm_archive --help":                 {archiveUsage, "", 4},
		"hsm_archive nofile":                 {"", "Cannot stat nofile: No such file or directory\n", 2},
		"hsm_archive f dir":                  {archiveUsage, "error: \"dir\" is not a regular file\n", 4},
		"hsm_archive sym":                    {archiveUsage, "error: \"sym\" is not a regular file\n", 4},
		"hsm_archive fifo":                   {archiveUsage, "error: \"fifo\" is not a regular file\n", 4},
		"hsm_remove dir":                     {removeUsage, "error: \"dir\" is not a regular file\n", 4},
		"hsm_archive --bogus f":              {archiveUsage, "lfs: unrecognized option '--bogus'\n", 4},
		"hsm_archive f -xy":                  {archiveUsage, "lfs: unrecognized option 'f'\n", 4},
		"hsm_archive -l none":                {"", "Cannot read the file list none: No such file or directory\n", 2},
		"hsm_archive -l gap":                 {"", "Cannot stat : No such file or directory\n", 2},
		"hsm_archive --data x":               {"", "", 0},
		"hsm_archive f":                      {"", "Cannot send HSM request (use of f): Operation not permitted\n", 1},
		"hsm_archive -l list":                {"", "Cannot send HSM request (use of f): Operation not permitted\n", 1},
		"hsm_archive -l empty":               {"", "Could not find path '(null)': Invalid argument\nCannot send HSM request (use of (null)): Operation not permitted\n", 1},
		"hsm_restore -a 3 f":                 {restoreUsage, "error: -a is supported only when archiving or removing\n", 4},
		"hsm_remove -m /tmp junk":            {"", "hsm: 'junk' is not a valid FID\n", 22},
		"hsm_remove -m /tmp 1:0x100000000:0": {"", "hsm: '1:0x100000000:0' is not a valid FID\n", 34},
		"hsm_remove -m /none 1:2:3":          {"", "Could not find path '/none': No such file or directory\nCannot send HSM request (use of /none): Operation not permitted\n", 1},
		"hsm_set f":                          {setUsage, "", 4},
		"hsm_set --dirty f":                  {"", "lfs hsm_set: change hsm flags for 'f' failed: Inappropriate ioctl for device\n", 25},
		"hsm_set --no f":                     {setUsage, "lfs: unrecognized option '--no'\n", 4},
		"hsm_set -i 3x -d f":                 {setUsage, "lfs: invalid archive_id: 'x'\n", 4},
		"hsm_clear --lost none":              {"", "lfs hsm_clear: change hsm flags for 'none' failed: No such file or directory\n", 2},
		"hsm_clear -l":                       {clearUsage, "", 4},

		"path2fid":            {p2fUsage, "lfs path2fid: FILE... must be specified\n", 4},
		"path2fid none":       {"", "lfs path2fid: cannot get fid for 'none': No such file or directory\n", 2},
		"path2fid -p none":    {"", "lfs path2fid: cannot get parent fid for 'none': No such file or directory\n", 2},
		"path2fid -x f":       {p2fUsage, "lfs path2fid: unrecognized option '-x'\n", 4},
		"fid2path":            {f2pUsage, "Usage: lfs fid2path FSNAME|ROOT FID...\n", 4},
		"fid2path /tmp 1:2:3": {"", "lfs fid2path: cannot resolve mount point for '/tmp': No such device\n", 19},
		"fid2path nofs 1:2:3": {"", "lfs fid2path: cannot resolve mount point for 'nofs': No such device\n", 19},
		"fid2path -l x a b":   {f2pUsage, "lfs fid2path: invalid linkno 'x'\n", 4},
		"fid2path -r -1 a b":  {f2pUsage, "lfs fid2path: invalid recno '-1'\n", 4},
		"data_version":        {dvUsage, "lfs: FILE must be specified\n", 4},
		"data_version -n":     {dvUsage, "lfs data_version: FILE must be specified\n", 4},
		"data_version f":      {"", "lfs data_version: cannot get version for 'f': Inappropriate ioctl for device\n", 25},
		"data_version none":   {"", "lfs data_version: cannot open file 'none': No such file or directory\n", 2},
		"data_version -x f":   {dvUsage, "lfs data_version: unrecognized option '-x'\n", 4},

		"changelog":                         {clUsage, "lfs changelog: mdtname must be specified\n", 4},
		"changelog --help":                  {clUsage, "lfs changelog: unrecognized option '--help'\n", 4},
		"changelog no-MDT0000":              {"", "lfs changelog: cannot start changelog: No such file or directory\n", 2},
		"changelog no-MDT0000 -- -5":        {clUsage, "lfs changelog: bad startrec\n", 4},
		"changelog_clear a b":               {clearClUsage, "", 4},
		"changelog_clear no-MDT0000 cl1 -1": {clearClUsage, "changelog_clear: bad endrec '-1'\n", 4},
		"changelog_clear no-MDT0000 cl1 0":  {"", "changelog_clear: no changelog user: cl1\n", 2},
	} {
		t.Run(line, func(t *testing.T) {
			if got := run(t, line, nil); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestRequests(t *testing.T) {
	f, g := llapi.FID{Seq: 1, OID: 'f'}, llapi.FID{Seq: 1, OID: 'g'}
	byFID := []llapi.FID{{Seq: 1, OID: 2, Ver: 3}}
	for line, want := range map[string]llapi.Request{
		"hsm_archive f g":                  {Action: llapi.UserArchive, Items: []llapi.FID{f, g}},
		"hsm_archive --archive 7 f":        {Action: llapi.UserArchive, ArchiveID: 7, Items: []llapi.FID{f}},
		"hsm_archive --archive abc f":      {Action: llapi.UserArchive, Items: []llapi.FID{f}},
		"hsm_archive --archive -1 f":       {Action: llapi.UserArchive, ArchiveID: 1<<32 - 1, Items: []llapi.FID{f}},
		"hsm_archive f --arch=33":          {Action: llapi.UserArchive, ArchiveID: 33, Items: []llapi.FID{f}},
		"hsm_archive --data text f":        {Action: llapi.UserArchive, Items: []llapi.FID{f}, Data: []byte("text")},
		"hsm_restore --filelist list":      {Action: llapi.UserRestore, Items: []llapi.FID{f, g}},
		"hsm_release g --filelist uncut":   {Action: llapi.UserRelease, Items: []llapi.FID{g, f, g}},
		"hsm_cancel f":                     {Action: llapi.UserCancel, Items: []llapi.FID{f}},
		"hsm_remove -a 2 -m /tmp 1:2:3":    {Action: llapi.UserRemove, ArchiveID: 2, Items: byFID},
		"hsm_remove --mntpath /tmp -lfids": {Action: llapi.UserRemove, Items: byFID},
	} {
		t.Run(line, func(t *testing.T) {
			var sent []llapi.Request
			if got := run(t, line, &sent); got != (result{}) {
				t.Fatalf("got %s", got)
			}
			if len(want.Data) == 0 {
				want.Data = []byte{}
			}
			if len(sent) != 1 || !reflect.DeepEqual(sent[0], want) {
				t.Errorf("sent %+v, want %+v", sent, want)
			}
		})
	}
}

func TestListCommands(t *testing.T) {
	got := run(t, "--list-commands", nil)
	if !strings.HasPrefix(got.stdout, "help                --help              version             --version           \n") ||
		!strings.HasSuffix(got.stdout, "hsm_remove          hsm_cancel          \n") || got.rc != 0 {
		t.Errorf("got %s", got)
	}
}

func TestTwoFileSystems(t *testing.T) {
	dir := workDir(t)
	other := "/proc/self/status"
	want := result{"", "All files should be on the same filesystem: " + other + "\n", 22}
	if got := runIn(t, dir, "hsm_archive f "+other, nil); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestActionText(t *testing.T) {
	for want, a := range map[string]llapi.CurrentAction{
		"NOOP":                            {State: llapi.ProgressWaiting, Action: llapi.UserNone},
		"ARCHIVE waiting (from 0 to EOF)": {State: llapi.ProgressWaiting, Action: llapi.UserArchive, Location: llapi.WholeFile},
		"ARCHIVE running (0 bytes moved)": {State: llapi.ProgressRunning, Action: llapi.UserArchive},
		"RESTORE running (18446744073709551615 bytes moved)": {State: llapi.ProgressRunning, Action: llapi.UserRestore, Location: llapi.WholeFile},
		"REMOVE running (from 0 to EOF)":                     {State: llapi.ProgressRunning, Action: llapi.UserRemove, Location: llapi.WholeFile},
		"RESTORE done (from 5 to 8)":                         {State: llapi.ProgressDone, Action: llapi.UserRestore, Location: llapi.Extent{Offset: 5, Length: 3}},
		"CANCEL unknown (from 0 to 0)":                       {State: 9, Action: llapi.UserCancel},
	} {
		if got := actionText(a); got != want {
			t.Errorf("%+v: %q, want %q", a, got, want)
		}
	}
}

// The lines are those of a real changelog.
func TestRecordText(t *testing.T) {
	at := time.Date(2026, 11, 23, 8, 11, 41, 858739815, time.UTC)
	fid, dir := llapi.FID{Seq: 0x200000401, OID: 0x5f}, llapi.FID{Seq: 0x200000401, OID: 0x5e}
	lo := llapi.NID{Type: 9}
	for want, r := range map[string]llapi.Record{
		"2 10OPEN  08:11:41.858739815 2026.11.23 0x24a t=[0x200000401:0x5f:0x0] ef=0x17 u=0:0 nid=0@lo m=-w- p=[0x200000401:0x5e:0x0]": {
			Index: 2, Type: llapi.RecordOpen, Time: at, Flags: 0x24a, FID: fid, Parent: dir, HasExtra: true, Extra: 0x17, NID: lo, OpenMode: 2,
		},
		"8 16HSM   08:11:41.858739815 2026.11.23 0x280 t=[0x200000401:0x5f:0x0] ef=0x13 u=0:0 nid=0@<0:0>": {
			Index: 8, Type: llapi.RecordHSM, Time: at, Flags: 0x280, FID: fid, HasExtra: true, Extra: 0x13,
		},
		"34 10OPEN  08:11:41.858739815 2026.11.23 0x8 t=[0x200000401:0x5f:0x0] ef=0x17 u=0:0 nid=0@lo": {
			Index: 34, Type: llapi.RecordOpen, Time: at, Flags: 8, FID: fid, HasExtra: true, Extra: 0x17, NID: lo,
		},
		"78 15XATTR 08:11:41.858739815 2026.11.23 0x0 t=[0x200000401:0x5f:0x0] ef=0x1b u=0:0 nid=0@lo x=user.k": {
			Index: 78, Type: 15, Time: at, FID: fid, HasExtra: true, Extra: 0x1b, NID: lo, Xattr: "user.k",
		},
		"81 08RENME 08:11:41.858739815 2026.11.23 0x0 t=[0:0x0:0x0] ef=0x13 u=0:0 nid=0@lo p=[0x200000401:0x5e:0x0] g s=[0x200000401:0x5f:0x0] sp=[0x200000401:0x5e:0x0] f": {
			Index: 81, Type: llapi.RecordRename, Time: at, Parent: dir, Name: "g", HasExtra: true, Extra: 0x13, NID: lo,
			SourceFID: fid, SourceParent: dir, SourceName: "f",
		},
		"1 01CREAT 08:11:41.858739815 2026.11.23 0x0 t=[0x200000401:0x5f:0x0] j=touch.0 ef=0x1 u=1000:100 p=[0x200000401:0x5e:0x0] f": {
			Index: 1, Type: llapi.RecordCreate, Time: at, FID: fid, Parent: dir, Name: "f", JobID: "touch.0", HasExtra: true, Extra: 1, UID: 1000, GID: 100,
		},
	} {
		if got := recordText(r); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestLinkNames(t *testing.T) {
	entry := func(name string) []byte {
		return append(append([]byte{0, byte(18 + len(name))}, make([]byte, 16)...), name...)
	}
	ea := append(append(make([]byte, 24), entry("a")...), entry("name")...)
	if got := linkNames(ea); !reflect.DeepEqual(got, []string{"a", "name"}) {
		t.Errorf("linkNames = %q", got)
	}
	if got := linkNames(ea[:len(ea)-1]); !reflect.DeepEqual(got, []string{"a"}) {
		t.Errorf("of a cut one = %q", got)
	}
}

func TestStrerror(t *testing.T) {
	for err, want := range map[error]string{
		syscall.EPERM: "Operation not permitted",
		&llapi.Error{Func: "f", Errno: syscall.ENODATA}: "No data available",
		errors.New("no errno in it"):                    "Input/output error",
	} {
		if got := strerror(err); got != want {
			t.Errorf("strerror(%v) = %q, want %q", err, got, want)
		}
	}
}
